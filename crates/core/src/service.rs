//! One service: its states, and the only function that moves it between them.

mod state;

use std::sync::Arc;
use std::time::Duration;

use crate::action::{Action, Actions, Errand, Notice};
use crate::event::Event;
use crate::id::{ExitSequence, Generation, Pid, ServiceId};
use crate::input::{Found, Mood};
use crate::mutant::{self, Mutant};
use crate::signal::Signal;
use crate::spec::{Reach, RestartOn, ServiceSpec};
use crate::status::ExitStatus;
use crate::time::{Instant, Now, WallTime};

pub use state::{Failure, Goal, Launch, Order, Role, State, StateName, Stimulus};

/// How long a process may be between its birth and its program before people are
/// told. Longer than any healthy exec, shorter than the patience of a person.
pub const STUCK_AFTER: Duration = Duration::from_secs(5);

/// How often a client that waits for a stop is spoken of in the main log.
pub const STOP_REPORT_EVERY: Duration = Duration::from_secs(2);

/// The shortest time between one SIGKILL and the next. With `stopwaitsecs=0` Supervisor
/// sends one each time it looks, which is once a second when nothing happens.
pub const KILL_AGAIN_LEAST: Duration = Duration::from_secs(1);

/// How long after a start for which there was no descriptor, process or memory the next
/// one is tried. A failed one costs next to nothing.
pub const SHORTAGE_WAIT: Duration = Duration::from_secs(1);

/// One service of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its place in the table.
    pub id: ServiceId,
    /// The name of its group.
    pub group: Arc<str>,
    /// What was asked for.
    pub spec: Arc<ServiceSpec>,
    /// The part it plays.
    pub role: Role,
    /// What is wanted.
    pub goal: Goal,
    /// What it is doing.
    pub state: State,
    /// Its present or last life.
    pub generation: Generation,
    /// Its process, from clone to exit.
    pub pid: Option<Pid>,
    /// Failed starts in a row.
    pub failures: u32,
    /// When its last start began.
    pub started: Option<WallTime>,
    /// When it was last told to stop or ended.
    pub stopped: Option<WallTime>,
    /// How it last ended; cleared by a start.
    pub exit: Option<ExitStatus>,
    /// What went wrong last; cleared by a start.
    pub failure: Option<Failure>,
    /// The keeper's last exit record that was taken for it.
    pub exit_sequence: ExitSequence,
    /// When the main log next says that a client waits for its stop.
    pub stop_report_at: Option<Instant>,
}

impl Service {
    /// A service that was never started, at a place whose last life was `generation`.
    #[must_use]
    pub fn new(
        id: ServiceId,
        generation: Generation,
        group: Arc<str>,
        spec: Arc<ServiceSpec>,
    ) -> Self {
        Self {
            id,
            group,
            spec,
            role: Role::Active,
            goal: Goal::Down,
            state: State::Stopped,
            generation,
            pid: None,
            failures: 0,
            started: None,
            stopped: None,
            exit: None,
            failure: None,
            exit_sequence: ExitSequence::default(),
            stop_report_at: None,
        }
    }

    /// The state without what is known in it.
    #[must_use]
    pub fn state_name(&self) -> StateName {
        match self.state {
            State::Stopped => StateName::Stopped,
            State::Starting { .. } => StateName::Starting,
            State::Running => StateName::Running,
            State::Backoff { .. } => StateName::Backoff,
            State::Stopping { .. } => StateName::Stopping,
            State::Exited => StateName::Exited,
            State::Fatal => StateName::Fatal,
            State::Unknown => StateName::Unknown,
        }
    }

    /// On whose errand `signal` is on its way just now.
    #[must_use]
    pub fn errand(&self, signal: Signal) -> Errand {
        match self.state {
            State::Stopping { order: Order::Stop, .. }
                if signal == self.spec.program.stop.signal =>
            {
                Errand::Stop
            }
            State::Stopping { order: Order::Kill, .. } if signal == Signal::KILL => Errand::Stop,
            State::Stopping { .. }
            | State::Stopped
            | State::Starting { .. }
            | State::Running
            | State::Backoff { .. }
            | State::Exited
            | State::Fatal
            | State::Unknown => Errand::Client,
        }
    }

    /// When it must be stepped with [`Stimulus::Timeout`] next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Starting { launch: Launch::Requested, .. } => None,
            State::Starting { launch: Launch::Cloned { report_at }, .. } => report_at,
            State::Starting { since, launch: Launch::Executed } => Some(self.start_succeeds(since)),
            State::Backoff { until } => Some(until),
            State::Stopping { kill_at, .. } => {
                Some(self.stop_report_at.map_or(kill_at, |report_at| report_at.min(kill_at)))
            }
            State::Stopped | State::Running | State::Exited | State::Fatal | State::Unknown => None,
        }
    }

    /// Moves the service.
    ///
    /// ```text
    ///                 Start                    Executed, then startsecs
    ///   Stopped ----------------> Starting ------------------------------> Running
    ///      ^                      |  ^  ^                                   |   |
    ///      |   exit or no process |  |  | until, or               Exited    |   |
    ///      |                      v  |  | exit asks for a restart <---------+   |
    ///      |<---- Stop -------- Backoff |             |                         |
    ///      |                      |     +-------------+                         |
    ///      |                      | too many: Fatal                             |
    ///      |        exit                                 Stop                   |
    ///      +---------------- Stopping <------- (Starting, Running) -------------+
    ///                         kill_at: SIGKILL, and again
    /// ```
    ///
    /// A report about a former life changes nothing. `Exited` and `Fatal` are
    /// left by `Start` as `Stopped` is. `Unknown` is entered when a signal cannot
    /// be sent and left when the process is seen to end.
    #[expect(clippy::too_many_lines, reason = "one flat match over state and stimulus")]
    pub fn step(&mut self, now: Now, mood: Mood, stimulus: Stimulus, actions: &mut Actions) {
        match (self.state, stimulus) {
            (_, Stimulus::Exited(generation, ..)) if self.is_over(generation) => {}
            (State::Stopping { .. }, Stimulus::Exited(_, status, ..))
                if mutant::on(Mutant::TakesStopForCrash) =>
            {
                self.exited((now, now), mood, status, actions);
            }
            // A birth that nobody waits for any more must not become a second process.
            (_, Stimulus::Spawned(generation, _)) if generation != self.generation => {
                let service = self.id;
                let (signal, reach) = (Signal::KILL, Reach::Process);
                actions.push(Action::Signal { service, generation, signal, reach });
            }
            (
                _,
                Stimulus::Executed(generation)
                | Stimulus::SpawnFailed(generation, _)
                | Stimulus::Signalled(generation, ..)
                | Stimulus::SignalFailed(generation, ..)
                | Stimulus::Found(generation, _),
            ) if generation != self.generation && !mutant::on(Mutant::ForgetsGeneration) => {}

            (State::Stopped | State::Exited | State::Fatal, Stimulus::Start) => {
                self.failures = 0;
                self.spawn(now, actions);
            }
            (State::Stopping { .. }, Stimulus::Start) => self.goal = Goal::Up,
            (
                State::Starting { .. } | State::Running | State::Backoff { .. } | State::Unknown,
                Stimulus::Start,
            ) => {}

            (
                State::Starting { launch: Launch::Requested, .. },
                Stimulus::Stop | Stimulus::ShutDown,
            ) => {
                actions.push(Action::Unspawn { service: self.id, generation: self.generation });
                self.come_to_rest(now, State::Stopped, actions);
            }
            (State::Starting { .. } | State::Running, Stimulus::Stop | Stimulus::ShutDown) => {
                self.stop(now, actions);
            }
            (State::Backoff { .. }, Stimulus::Stop) => {
                actions.push(Action::Notice(Notice::StoppedInBackoff(self.id)));
                self.come_to_rest(now, State::Stopped, actions);
            }
            (State::Backoff { .. }, Stimulus::ShutDown) => self.give_up(actions),
            (State::Stopping { .. }, Stimulus::Stop | Stimulus::ShutDown) => {
                self.goal = Goal::Down;
            }
            (
                State::Stopped | State::Exited | State::Fatal | State::Unknown,
                Stimulus::Stop | Stimulus::ShutDown,
            ) => {}

            (
                State::Starting { launch: Launch::Requested, .. },
                Stimulus::Spawned(_, pid) | Stimulus::Found(_, Found::Alive(pid, _)),
            ) => {
                self.pid = Some(pid);
                // A birth may have waited for its turn: it counts from the clone on.
                let cloned = if let Stimulus::Found(_, Found::Alive(_, at)) = stimulus {
                    now.at(at)
                } else {
                    now
                };
                let since = cloned.instant;
                let report_at = Some(now.instant + STUCK_AFTER);
                self.state = State::Starting { since, launch: Launch::Cloned { report_at } };
            }
            // The order to forget it crossed the news of its birth.
            (
                State::Stopped | State::Exited | State::Fatal,
                Stimulus::Spawned(_, pid) | Stimulus::Found(_, Found::Alive(pid, _)),
            ) if self.pid.is_none() => {
                self.pid = Some(pid);
                self.stop(now, actions);
            }
            (_, Stimulus::Spawned(..) | Stimulus::Found(_, Found::Alive(..))) => {}

            (State::Starting { since, launch: Launch::Cloned { .. } }, Stimulus::Executed(_)) => {
                self.executed(now, since, actions);
            }
            (_, Stimulus::Executed(_)) => {}

            (State::Starting { .. }, Stimulus::SpawnFailed(_, error)) => {
                self.pid = None;
                actions.push(Action::Notice(Notice::SpawnFailed { service: self.id, error }));
                self.failed(now, Failure::Spawn(error), actions);
            }
            (State::Stopping { .. }, Stimulus::SpawnFailed(..)) => {
                self.after_stop((now, now), mood, actions);
            }
            (State::Unknown, Stimulus::SpawnFailed(..)) => {
                self.come_to_rest(now, State::Stopped, actions);
            }
            (
                State::Stopped
                | State::Running
                | State::Backoff { .. }
                | State::Exited
                | State::Fatal,
                Stimulus::SpawnFailed(..),
            ) => {}

            (State::Starting { since, launch }, Stimulus::Exited(_, status, sequence, at)) => {
                self.exit_sequence = sequence;
                let ended = if mutant::on(Mutant::ForgetsWhenItEnded) { now } else { now.at(at) };
                self.exited_while_starting((now, ended), mood, (since, launch), status, actions);
            }
            (State::Running, Stimulus::Exited(_, status, sequence, at)) => {
                self.exit_sequence = sequence;
                self.exited((now, now.at(at)), mood, status, actions);
            }
            (State::Stopping { .. }, Stimulus::Exited(_, status, sequence, at)) => {
                self.exit_sequence = sequence;
                self.exit = Some(status);
                let expected = self.is_expected(status);
                let service = self.id;
                actions.push(Action::Notice(Notice::Stopped { service, status, expected }));
                self.after_stop((now, now.at(at)), mood, actions);
            }
            (State::Unknown, Stimulus::Exited(_, status, sequence, at)) => {
                self.exit_sequence = sequence;
                self.exit = Some(status);
                self.come_to_rest(now.at(at), State::Stopped, actions);
            }
            // These have no process, so `is_over` has answered already.
            (
                State::Stopped | State::Backoff { .. } | State::Exited | State::Fatal,
                Stimulus::Exited(..),
            ) => {}

            (State::Stopping { kill_at, order }, Stimulus::Signalled(_, signal, reach)) => {
                let order = self.sent(order, signal, reach);
                self.state = State::Stopping { kill_at, order };
            }
            (_, Stimulus::Signalled(..)) => {}

            (
                State::Starting { .. } | State::Running | State::Stopping { .. },
                Stimulus::SignalFailed(_, signal, errno),
            ) => {
                let (service, pid, errand) = (self.id, self.pid, self.errand(signal));
                let notice = Notice::SignalFailed { service, pid, errand, errno };
                actions.push(Action::Notice(notice));
                self.enter(State::Unknown, false, actions);
            }
            (
                State::Stopped
                | State::Backoff { .. }
                | State::Exited
                | State::Fatal
                | State::Unknown,
                Stimulus::SignalFailed(..),
            ) => {}

            (
                State::Starting { launch: Launch::Requested, .. },
                Stimulus::Found(_, Found::NeverCloned),
            ) => match mood {
                Mood::Running => {
                    if mutant::on(Mutant::ReusesGeneration) {
                        self.generation = Generation(self.generation.0.wrapping_sub(1));
                    }
                    self.request_spawn(actions);
                }
                Mood::Restarting | Mood::Shutdown => {
                    self.come_to_rest(now, State::Stopped, actions);
                }
            },
            (_, Stimulus::Found(_, Found::NeverCloned)) => {}

            (state, Stimulus::Resume) => self.resume(now, mood, state, actions),
            (state, Stimulus::Timeout) => self.timeout(now, mood, state, actions),
        }
    }

    /// Whether the exit of `generation` has nothing to tell about this life.
    fn is_over(&self, generation: Generation) -> bool {
        generation != self.generation || self.pid.is_none()
    }

    /// Does what was decided before a crash and not done.
    fn resume(&mut self, now: Now, mood: Mood, state: State, actions: &mut Actions) {
        match state {
            // Its group was added, and the crash came before its first start.
            State::Stopped
                if mood == Mood::Running
                    && self.started.is_none()
                    && self.spec.program.autostart =>
            {
                self.spawn(now, actions);
            }
            State::Stopping { order: Order::Stop, .. } if mutant::on(Mutant::ForgetsUnsentStop) => {
            }
            State::Stopping { order: Order::Stop, .. } => self.order_stop(actions),
            State::Stopping { order: Order::Kill, .. } => self.order_kill(actions),
            State::Stopping { order: Order::StopSent | Order::KillSent, .. }
            | State::Stopped
            | State::Starting { .. }
            | State::Running
            | State::Backoff { .. }
            | State::Exited
            | State::Fatal
            | State::Unknown => {}
        }
    }

    fn timeout(&mut self, now: Now, mood: Mood, state: State, actions: &mut Actions) {
        match state {
            State::Starting { since, launch: Launch::Cloned { report_at: Some(report_at) } }
                if report_at <= now.instant =>
            {
                self.state = State::Starting { since, launch: Launch::Cloned { report_at: None } };
                if let Some(pid) = self.pid {
                    actions.push(Action::Notice(Notice::Stuck { service: self.id, pid }));
                }
            }
            State::Starting { since, launch: Launch::Executed }
                if self.start_succeeds(since) <= now.instant =>
            {
                self.stayed_up(actions);
            }
            State::Backoff { until } if until <= now.instant => match mood {
                Mood::Running => {
                    if mutant::on(Mutant::ForgetsFailures) {
                        self.failures = 0;
                    }
                    self.spawn(now, actions);
                }
                Mood::Restarting | Mood::Shutdown => self.give_up(actions),
            },
            State::Stopping { kill_at, .. } => self.stop_timeout(now, kill_at, actions),
            State::Starting { .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Running
            | State::Exited
            | State::Fatal
            | State::Unknown => {}
        }
    }

    fn stop_timeout(&mut self, now: Now, kill_at: Instant, actions: &mut Actions) {
        if self.stop_report_at.is_some_and(|report_at| report_at <= now.instant) {
            self.report_stop(now, actions);
        }
        if kill_at <= now.instant {
            let wait = self.spec.program.stop.wait.duration().max(KILL_AGAIN_LEAST);
            let stale = mutant::on(Mutant::KeepsPastDeadline);
            self.state = State::Stopping {
                kill_at: if stale { kill_at } else { now.instant + wait },
                order: Order::Kill,
            };
            if let Some(pid) = self.pid {
                let (service, signal) = (self.id, Signal::KILL);
                let reach = self.spec.program.stop.kill_reach;
                actions.push(Action::Notice(Notice::Killing { service, pid, reach }));
                actions.push(Action::Notice(Notice::Stopping { service, pid, signal, reach }));
            }
            self.order_kill(actions);
        }
    }

    /// Says in the main log that a client waits for the stop, and when to say it
    /// again.
    pub(crate) fn report_stop(&mut self, now: Now, actions: &mut Actions) {
        actions.push(Action::Notice(Notice::WaitingToStop(self.id)));
        self.stop_report_at = Some(now.instant + STOP_REPORT_EVERY);
    }

    /// Begins a new life.
    fn spawn(&mut self, now: Now, actions: &mut Actions) {
        self.goal = Goal::Up;
        self.started = Some(now.wall);
        self.exit = None;
        self.failure = None;
        let state = State::Starting { since: now.instant, launch: Launch::Requested };
        self.enter(state, false, actions);
        self.request_spawn(actions);
    }

    /// Asks for a process under a generation that was never used.
    fn request_spawn(&mut self, actions: &mut Actions) {
        self.generation = self.generation.next();
        actions.push(Action::Spawn { service: self.id, generation: self.generation });
    }

    fn executed(&mut self, now: Now, since: Instant, actions: &mut Actions) {
        if let Some(pid) = self.pid {
            actions.push(Action::Notice(Notice::Spawned { service: self.id, pid }));
        }
        self.state = State::Starting { since, launch: Launch::Executed };
        if self.start_succeeds(since) <= now.instant {
            self.stayed_up(actions);
        }
    }

    fn stayed_up(&mut self, actions: &mut Actions) {
        self.failures = 0;
        self.enter(State::Running, false, actions);
        actions.push(Action::Notice(Notice::StayedUp(self.id)));
    }

    /// When a start that began at `since` has succeeded. Supervisor compares with
    /// `>`: the process must have stayed up for longer than startsecs.
    fn start_succeeds(&self, since: Instant) -> Instant {
        since + self.spec.program.readiness.span() + Duration::from_nanos(1)
    }

    fn exited_while_starting(
        &mut self,
        times @ (_, ended): (Now, Now),
        mood: Mood,
        (since, launch): (Instant, Launch),
        status: ExitStatus,
        actions: &mut Actions,
    ) {
        if launch != Launch::Executed
            && let Some(pid) = self.pid
        {
            actions.push(Action::Notice(Notice::Spawned { service: self.id, pid }));
        }
        if ended.instant.since(since) < self.spec.program.readiness.span() {
            self.pid = None;
            self.stopped = Some(ended.wall);
            let service = self.id;
            actions.push(Action::Notice(Notice::Exited { service, status, expected: false }));
            self.failed(ended, Failure::ExitedTooQuickly, actions);
        } else {
            // Supervisor lets listeners see that it ran, however shortly.
            self.enter(State::Running, false, actions);
            self.exited(times, mood, status, actions);
        }
    }

    /// The process has ended by itself after a start that had succeeded. Of the times one
    /// is now, and one is when it ended.
    fn exited(
        &mut self,
        (now, ended): (Now, Now),
        mood: Mood,
        status: ExitStatus,
        actions: &mut Actions,
    ) {
        let expected = self.is_expected(status);
        self.failures = 0;
        self.exit = Some(status);
        self.stopped = Some(ended.wall);
        if !expected {
            self.failure = Some(Failure::BadExitCode(status.code()));
        }
        self.enter(State::Exited, expected, actions);
        self.pid = None;
        actions.push(Action::Notice(Notice::Exited { service: self.id, status, expected }));
        let again = match self.spec.program.restart.on {
            RestartOn::Always => true,
            RestartOn::Unexpected => !expected,
            RestartOn::Never => false,
        };
        match mood {
            Mood::Running if again => self.spawn(now, actions),
            Mood::Running | Mood::Restarting | Mood::Shutdown => self.goal = Goal::Down,
        }
    }

    /// A start has failed. Death before startsecs is a failure even with exit
    /// code 0 and autorestart=false: Supervisor's rule. A start for which the machine
    /// has nothing left is tried until it has: Supervisor counts that against the
    /// program, which is then FATAL for what another one has done.
    fn failed(&mut self, now: Now, failure: Failure, actions: &mut Actions) {
        self.failure = Some(failure);
        if let Failure::Spawn(error) = failure
            && error.is_shortage()
            && !mutant::on(Mutant::CountsShortages)
        {
            let until = now.instant + SHORTAGE_WAIT;
            self.enter(State::Backoff { until }, false, actions);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let restart = &self.spec.program.restart;
        let more = i64::from(mutant::on(Mutant::RetriesOnceMore));
        let exhausted = restart
            .start_retries
            .is_some_and(|retries| i64::from(self.failures) > retries.saturating_add(more));
        let until = now.instant + restart.backoff.wait(self.failures);
        self.enter(State::Backoff { until }, false, actions);
        if exhausted {
            self.give_up(actions);
            actions.push(Action::Notice(Notice::GaveUp(self.id)));
        }
    }

    /// Supervisor says nothing of it when it is the end that does not wait for a try.
    fn give_up(&mut self, actions: &mut Actions) {
        self.goal = Goal::Down;
        self.failures = 0;
        self.enter(State::Fatal, false, actions);
    }

    /// Tells a process to stop.
    fn stop(&mut self, now: Now, actions: &mut Actions) {
        self.goal = Goal::Down;
        let stop = &self.spec.program.stop;
        let (signal, reach) = (stop.signal, stop.stop_reach);
        let kill_at = now.instant + stop.wait.duration();
        if let Some(pid) = self.pid {
            let service = self.id;
            actions.push(Action::Notice(Notice::Stopping { service, pid, signal, reach }));
        }
        self.enter(State::Stopping { kill_at, order: Order::Stop }, false, actions);
        self.order_stop(actions);
    }

    /// What is still to be sent once `signal` was: a client's own signal does not
    /// do for the one that is on order.
    fn sent(&self, order: Order, signal: Signal, reach: Reach) -> Order {
        let stop = &self.spec.program.stop;
        match order {
            Order::Stop if (signal, reach) == (stop.signal, stop.stop_reach) => Order::StopSent,
            Order::Kill if (signal, reach) == (Signal::KILL, stop.kill_reach) => Order::KillSent,
            Order::Stop | Order::StopSent | Order::Kill | Order::KillSent => order,
        }
    }

    fn order_stop(&self, actions: &mut Actions) {
        let stop = &self.spec.program.stop;
        self.order(stop.signal, stop.stop_reach, actions);
    }

    fn order_kill(&self, actions: &mut Actions) {
        if mutant::on(Mutant::NeverKills) {
            return;
        }
        self.order(Signal::KILL, self.spec.program.stop.kill_reach, actions);
    }

    fn order(&self, signal: Signal, reach: Reach, actions: &mut Actions) {
        let (service, generation) = (self.id, self.generation);
        actions.push(Action::Signal { service, generation, signal, reach });
    }

    /// The process that was told to stop is gone: a client may have asked for a
    /// new one meanwhile.
    fn after_stop(&mut self, (now, ended): (Now, Now), mood: Mood, actions: &mut Actions) {
        let goal = self.goal;
        self.come_to_rest(ended, State::Stopped, actions);
        match (goal, mood) {
            (Goal::Up, Mood::Running) => self.spawn(now, actions),
            (Goal::Up, Mood::Restarting | Mood::Shutdown) | (Goal::Down, _) => {}
        }
    }

    fn come_to_rest(&mut self, now: Now, state: State, actions: &mut Actions) {
        self.goal = Goal::Down;
        self.failures = 0;
        self.stop_report_at = None;
        if self.pid.is_some() {
            self.stopped = Some(now.wall);
        }
        self.enter(state, false, actions);
        self.pid = None;
    }

    /// Changes the state and tells the listeners.
    fn enter(&mut self, state: State, expected: bool, actions: &mut Actions) {
        let from = self.state_name();
        self.state = state;
        let to = self.state_name();
        if from != to {
            actions.push(Action::Event(Event::ProcessState {
                service: self.id,
                generation: self.generation,
                group: Arc::clone(&self.group),
                name: Arc::clone(&self.spec.name),
                from,
                to,
                pid: self.pid,
                tries: self.failures,
                expected,
            }));
        }
    }

    fn is_expected(&self, status: ExitStatus) -> bool {
        match status {
            ExitStatus::Code(code) => self.spec.program.exit_codes.contains(&code),
            ExitStatus::Signal { .. } | ExitStatus::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests;
