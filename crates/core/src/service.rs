//! One service: its states, and the only function that moves it between them.

mod care;
mod checks;
mod heartbeat;
mod held;
mod recovery;
mod starting;
mod state;
mod stopping;
mod vitals;

use std::sync::Arc;
use std::time::Duration;

use crate::action::{Action, Actions, Errand, Notice};
use crate::decision::{Cause, What, Wish};
use crate::event::Event;
use crate::id::{ExitSequence, Generation, Pid, ServiceId};
use crate::input::{Found, Mood};
use crate::mutant::{self, Mutant};
use crate::signal::Signal;
use crate::spec::{Reach, ServiceSpec};
use crate::status::ExitStatus;
use crate::time::{Instant, Now, WallTime};

pub use care::READ_WITHIN;
pub use checks::{READY_CHECK_EVERY, READY_CHECK_WITHIN};
pub use recovery::SCRIPT_SILENT_AFTER;
pub use state::{Failure, Goal, Inquiry, Launch, Order, Role, State, StateName, Stimulus};
pub use vitals::{Checking, Life, ScriptRun, Vitals};

/// How long a process may be between its birth and its program before people are
/// told. Longer than any healthy exec, shorter than the patience of a person.
pub const STUCK_AFTER: Duration = Duration::from_secs(5);

/// How often a client that waits for a stop is spoken of in the main log.
pub const STOP_REPORT_EVERY: Duration = Duration::from_secs(2);

/// The shortest time between one SIGKILL and the next. With `stopwaitsecs=0` Supervisor
/// sends one each time it looks, which is once a second when nothing happens.
pub const KILL_AGAIN_LEAST: Duration = Duration::from_secs(1);

/// How many times the time that it has for its stop a service may take that asks for more: one
/// that asks again and again must come to its end.
pub const STOP_WAITS_MAX: u32 = 6;

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
    /// What is kept of it beyond Supervisor's rules, where it asks for more.
    pub vitals: Option<Box<Vitals>>,
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
        let vitals = spec.program.care.as_ref().map(|care| Box::new(Vitals::new(care)));
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
            vitals,
        }
    }

    /// The state without what is known in it.
    #[must_use]
    pub fn state_name(&self) -> StateName {
        match self.state {
            State::Stopped => StateName::Stopped,
            State::Starting { .. } => StateName::Starting,
            State::Running => StateName::Running,
            State::Backoff { .. } | State::Recovering { .. } => StateName::Backoff,
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
            State::Starting { .. } | State::Running
                if signal == Signal::KILL && self.verdict().is_some() =>
            {
                Errand::Stop
            }
            State::Stopping { .. }
            | State::Stopped
            | State::Starting { .. }
            | State::Running
            | State::Backoff { .. }
            | State::Recovering { .. }
            | State::Exited
            | State::Fatal
            | State::Unknown => Errand::Client,
        }
    }

    /// When it must be stepped with [`Stimulus::Timeout`] next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Starting {
                launch: Launch::Held | Launch::Requested | Launch::Dead { .. },
                ..
            } => None,
            State::Starting { launch: Launch::Cloned { report_at }, .. } => report_at,
            State::Starting { since, launch: Launch::Executed } => self.starting_deadline(since),
            State::Running => self.running_deadline(),
            State::Backoff { until } => Some(until),
            State::Stopping { order: Order::Held, .. } => self.stop_report_at,
            State::Recovering { since, inquiry } => self.recovering_deadline(since, inquiry),
            State::Stopping { kill_at, .. } => {
                Some(self.stop_report_at.map_or(kill_at, |report_at| report_at.min(kill_at)))
            }
            State::Stopped | State::Exited | State::Fatal | State::Unknown => None,
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
            (
                _,
                Stimulus::Dead(generation)
                | Stimulus::OutOfMemory(generation)
                | Stimulus::Said(generation, _)
                | Stimulus::Checked(generation, ..),
            ) if generation != self.generation && !mutant::on(Mutant::HearsFormerLives) => {}

            // It leaves the table.
            (State::Stopped | State::Exited | State::Fatal, Stimulus::Start)
                if self.goal == Goal::Gone => {}
            (State::Stopped | State::Exited | State::Fatal, Stimulus::Start) => {
                self.start(now, actions);
            }
            (State::Stopping { .. }, Stimulus::Start) if self.goal == Goal::Gone => {}
            (State::Stopping { .. }, Stimulus::Start) => self.wants(Goal::Up),
            (
                State::Starting { .. }
                | State::Running
                | State::Backoff { .. }
                | State::Recovering { .. }
                | State::Unknown,
                Stimulus::Start,
            ) => {}

            (
                State::Starting { launch: Launch::Requested, .. },
                Stimulus::Stop | Stimulus::ShutDown,
            ) => {
                actions.push(Action::Unspawn { service: self.id, generation: self.generation });
                self.decide(now, What::Stop(stimulus.wish()), actions);
                self.come_to_rest(now, State::Stopped, actions);
            }
            (State::Starting { launch: Launch::Held, .. }, Stimulus::Stop | Stimulus::ShutDown) => {
                self.come_to_rest(now, State::Stopped, actions);
            }
            (State::Starting { .. } | State::Running, Stimulus::Stop | Stimulus::ShutDown) => {
                self.stop(now, stimulus.wish(), actions);
            }
            (State::Backoff { .. } | State::Recovering { .. }, Stimulus::Stop) => {
                actions.push(Action::Notice(Notice::StoppedInBackoff(self.id)));
                self.decide(now, What::Stop(Wish::Client), actions);
                self.come_to_rest(now, State::Stopped, actions);
            }
            (State::Backoff { .. } | State::Recovering { .. }, Stimulus::ShutDown) => {
                self.decide(now, What::Stop(Wish::End), actions);
                self.give_up(actions);
            }
            (State::Stopping { .. }, Stimulus::Stop | Stimulus::ShutDown) => {
                self.wants(self.goal.lowered());
            }
            (
                State::Stopped | State::Exited | State::Fatal | State::Unknown,
                Stimulus::Stop | Stimulus::ShutDown,
            ) => {}

            (
                State::Starting {
                    launch: Launch::Cloned { .. } | Launch::Executed | Launch::Dead { .. },
                    ..
                }
                | State::Running,
                Stimulus::HoldStop,
            ) => self.hold_stop(now, actions),
            (_, Stimulus::HoldStop) => {}
            (_, Stimulus::Release) => self.release(now, mood, actions),

            (
                State::Starting { launch: Launch::Requested, .. },
                Stimulus::Spawned(_, pid) | Stimulus::Found(_, Found::Alive(pid, _)),
            ) => {
                self.pid = Some(pid);
                if let Some(vitals) = &mut self.vitals {
                    vitals.former = None;
                }
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
                self.stop(now, Wish::Client, actions);
            }
            (_, Stimulus::Spawned(..) | Stimulus::Found(_, Found::Alive(..))) => {}

            (State::Starting { since, launch: Launch::Cloned { .. } }, Stimulus::Executed(_)) => {
                self.executed(now, since, actions);
            }
            (_, Stimulus::Executed(_)) => {}

            (State::Starting { since, launch: Launch::Executed }, Stimulus::Dead(_))
                if self.presumes_alive() && !mutant::on(Mutant::BelievesTheClock) =>
            {
                self.state = State::Starting { since, launch: Launch::Dead { seen: now.instant } };
            }
            (_, Stimulus::Dead(_)) => {}

            (State::Starting { .. }, Stimulus::SpawnFailed(_, error)) => {
                self.pid = None;
                actions.push(Action::Notice(Notice::SpawnFailed { service: self.id, error }));
                self.decide(now, What::SpawnFailed(error), actions);
                self.failed(now, mood, Failure::Spawn(error), actions);
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
                | State::Recovering { .. }
                | State::Exited
                | State::Fatal,
                Stimulus::SpawnFailed(..),
            ) => {}

            (State::Starting { since, launch }, Stimulus::Exited(_, status, sequence, at)) => {
                self.exit_sequence = sequence;
                self.sweep(actions);
                let ended = if mutant::on(Mutant::ForgetsWhenItEnded) { now } else { now.at(at) };
                self.exited_while_starting((now, ended), mood, (since, launch), status, actions);
            }
            (State::Running, Stimulus::Exited(_, status, sequence, at)) => {
                self.exit_sequence = sequence;
                self.sweep(actions);
                self.exited((now, now.at(at)), mood, status, actions);
            }
            (State::Stopping { .. }, Stimulus::Exited(_, status, sequence, at)) => {
                self.exit_sequence = sequence;
                self.sweep(actions);
                self.exit = Some(status);
                let expected = self.is_expected(status);
                let service = self.id;
                actions.push(Action::Notice(Notice::Stopped { service, status, expected }));
                self.decide(now.at(at), What::Stopped(status), actions);
                self.after_stop((now, now.at(at)), mood, actions);
            }
            (State::Unknown, Stimulus::Exited(_, status, sequence, at)) => {
                self.exit_sequence = sequence;
                self.sweep(actions);
                self.exit = Some(status);
                self.come_to_rest(now.at(at), State::Stopped, actions);
            }
            // These have no process, so `is_over` has answered already.
            (
                State::Stopped
                | State::Backoff { .. }
                | State::Recovering { .. }
                | State::Exited
                | State::Fatal,
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
                self.end_check(actions);
                self.enter(State::Unknown, false, actions);
            }
            (
                State::Stopped
                | State::Backoff { .. }
                | State::Recovering { .. }
                | State::Exited
                | State::Fatal
                | State::Unknown,
                Stimulus::SignalFailed(..),
            ) => {}

            (
                State::Starting { launch: Launch::Requested, since },
                Stimulus::Found(_, Found::NeverCloned),
            ) => match mood {
                Mood::Running => {
                    if mutant::on(Mutant::ReusesGeneration) {
                        self.generation = Generation(self.generation.0.wrapping_sub(1));
                    }
                    self.sweep_former(actions);
                    let launch = self.first_launch();
                    self.state = State::Starting { since, launch };
                    self.request_spawn(launch, actions);
                }
                Mood::Restarting | Mood::Shutdown | Mood::Resting => {
                    self.come_to_rest(now, State::Stopped, actions);
                }
            },
            (_, Stimulus::Found(_, Found::NeverCloned)) => {}

            (State::Running, Stimulus::Refresh) => self.refresh(now, actions),
            (State::Running, Stimulus::Inject) => {
                self.order(Signal::ABRT, Reach::Process, actions);
            }
            (State::Backoff { .. } | State::Recovering { .. }, Stimulus::RestartNow) => {
                self.spawn(now, Cause::Now, actions);
            }
            (_, Stimulus::Refresh | Stimulus::Inject | Stimulus::RestartNow) => {}

            (_, Stimulus::OutOfMemory(_)) => self.out_of_memory(),
            (_, Stimulus::Said(_, saying)) => self.said(now, mood, saying, actions),
            (_, Stimulus::Swept(generation)) => self.swept(generation),
            (_, Stimulus::Checked(_, check, finding)) => {
                self.checked(now, check, finding, actions);
            }
            (_, Stimulus::ScriptSpawned(script, pid)) => self.script_spawned(script, pid),
            (_, Stimulus::ScriptFailed(script, error)) => {
                self.script_failed(now, mood, (script, error), actions);
            }
            (_, Stimulus::ScriptEnded(script)) => self.script_ended(now, script, actions),
            (_, Stimulus::ScriptFound(script, pid)) => {
                self.script_found(now, (script, pid), actions);
            }

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
        self.resume_care(now, state, actions);
        match state {
            // Its group was added, and the crash came before its first start.
            State::Stopped
                if mood == Mood::Running
                    && self.started.is_none()
                    && self.spec.program.autostart =>
            {
                self.spawn(now, Cause::Automatic, actions);
            }
            State::Stopping { order: Order::Stop, .. } if mutant::on(Mutant::ForgetsUnsentStop) => {
            }
            State::Stopping { order: Order::Stop, .. } => self.order_stop(actions),
            State::Stopping { order: Order::Kill, .. } => self.order_kill(actions),
            State::Stopping { order: Order::Held | Order::StopSent | Order::KillSent, .. }
            | State::Stopped
            | State::Starting { .. }
            | State::Running
            | State::Backoff { .. }
            | State::Recovering { .. }
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
            State::Starting { since, launch: Launch::Executed } => {
                self.starting_timeout(now, since, actions);
            }
            State::Running => self.running_timeout(now, actions),
            State::Recovering { since, inquiry } => {
                self.recovering_timeout(now, mood, (since, inquiry), actions);
            }
            State::Backoff { until } if until <= now.instant => match mood {
                Mood::Running => {
                    if mutant::on(Mutant::ForgetsFailures) {
                        self.failures = 0;
                    }
                    self.recover(now, self.cause_of_next(), actions);
                }
                Mood::Restarting | Mood::Shutdown | Mood::Resting => {
                    self.decide(now, What::Rests, actions);
                    self.give_up(actions);
                }
            },
            State::Stopping { kill_at, .. } => self.stop_timeout(now, kill_at, actions),
            State::Starting { .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Exited
            | State::Fatal
            | State::Unknown => {}
        }
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
}

#[cfg(test)]
mod tests;
