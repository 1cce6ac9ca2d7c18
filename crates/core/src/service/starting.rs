//! Starts of a service, and what follows when its process ends by itself.

use std::time::Duration;

use super::{Failure, Goal, Launch, SHORTAGE_WAIT, Service, State, StateName};
use crate::action::{Action, Actions, Notice};
use crate::decision::{Cause, Reason, Rule, Sign, What};
use crate::input::Mood;
use crate::mutant::{self, Mutant};
use crate::spec::{EndsAll, RestartOn};
use crate::status::ExitStatus;
use crate::time::{Instant, Now};

impl Service {
    /// It is wanted, and nothing of it runs: everything is counted anew.
    pub(super) fn start(&mut self, now: Now, actions: &mut Actions) {
        self.failures = 0;
        let is_first = self.started.is_none() && self.spec.program.autostart;
        if let Some((care, vitals)) = self.cared_mut() {
            vitals.restarts = care.recovery.restarts;
            (vitals.recovers, vitals.renews, vitals.waited) = (false, false, Duration::ZERO);
        }
        self.spawn(now, if is_first { Cause::Automatic } else { Cause::Asked }, actions);
    }

    /// Begins a new life.
    pub(super) fn spawn(&mut self, now: Now, cause: Cause, actions: &mut Actions) {
        self.goal = Goal::Up;
        self.started = Some(now.wall);
        self.exit = None;
        self.failure = None;
        self.begin_life();
        let launch = self.first_launch();
        self.enter(State::Starting { since: now.instant, launch }, false, actions);
        self.request_spawn(launch, actions);
        self.decide(now, What::Start(cause), actions);
    }

    /// Asks for a process under a generation that was never used, or will when it is
    /// released.
    pub(super) fn request_spawn(&mut self, launch: Launch, actions: &mut Actions) {
        self.generation = self.generation.next();
        if launch == Launch::Requested {
            actions.push(Action::Spawn { service: self.id, generation: self.generation });
        }
    }

    pub(super) fn executed(&mut self, now: Now, since: Instant, actions: &mut Actions) {
        if let Some(pid) = self.pid {
            actions.push(Action::Notice(Notice::Spawned { service: self.id, pid }));
        }
        self.state = State::Starting { since, launch: Launch::Executed };
        self.decide(now, What::Executed, actions);
        self.begin_initialising(now);
        // What a service that is cared for has said meanwhile is heard before it is judged.
        if self.vitals.is_none() && self.start_succeeds(since) <= now.instant {
            self.ready(now, Sign::StayedUp, actions);
        }
    }

    /// When a start that began at `since` has succeeded. Supervisor compares with
    /// `>`: the process must have stayed up for longer than startsecs.
    pub(super) fn start_succeeds(&self, since: Instant) -> Instant {
        since + self.spec.program.startsecs.duration() + Duration::from_nanos(1)
    }

    pub(super) fn exited_while_starting(
        &mut self,
        times @ (_, ended): (Now, Now),
        mood: Mood,
        (since, launch): (Instant, Launch),
        status: ExitStatus,
        actions: &mut Actions,
    ) {
        if !matches!(launch, Launch::Executed | Launch::Dead { .. })
            && let Some(pid) = self.pid
        {
            actions.push(Action::Notice(Notice::Spawned { service: self.id, pid }));
        }
        // Who tells of its end may have been late: then it was seen dead before it is said to
        // have ended, and nobody has seen it alive by then.
        let is_late = matches!(launch, Launch::Dead { seen } if seen < ended.instant);
        let stayed_up =
            !is_late && ended.instant.since(since) >= self.spec.program.startsecs.duration();
        if stayed_up && self.is_silent() && self.verdict().is_none() {
            // Supervisor lets listeners see that it ran, however shortly.
            self.initialised(ended, actions);
            self.enter(State::Running, false, actions);
            self.decide(ended, What::Ready(Sign::StayedUp), actions);
            self.exited(times, mood, status, actions);
            return;
        }
        self.end_check(actions);
        let reason = self.verdict().unwrap_or(Reason::Terminated);
        self.pid = None;
        self.stopped = Some(ended.wall);
        let service = self.id;
        actions.push(Action::Notice(Notice::Exited { service, status, expected: false }));
        self.decide(ended, What::Ended(status, reason), actions);
        if reason == Reason::CannotResume && mood == Mood::Running {
            self.start_afresh(times.0, actions);
        } else {
            let failure = self.failure_of_end(Failure::ExitedTooQuickly);
            self.failed(ended, mood, failure, actions);
        }
    }

    /// The process has ended by itself after a start that had succeeded. Of the times one
    /// is now, and one is when it ended.
    pub(super) fn exited(
        &mut self,
        (now, ended): (Now, Now),
        mood: Mood,
        status: ExitStatus,
        actions: &mut Actions,
    ) {
        let expected = self.verdict().is_none() && self.is_expected(status);
        let reason = self.verdict().unwrap_or(Reason::Terminated);
        self.end_check(actions);
        if !self.ends_early(ended.instant) {
            self.failures = 0;
        }
        self.exit = Some(status);
        self.stopped = Some(ended.wall);
        if !expected {
            self.failure = Some(self.failure_of_end(Failure::BadExitCode(status.code())));
        }
        self.enter(State::Exited, expected, actions);
        self.pid = None;
        actions.push(Action::Notice(Notice::Exited { service: self.id, status, expected }));
        self.decide(ended, What::Ended(status, reason), actions);
        match mood {
            Mood::Running if self.comes_again(expected) => {
                self.crashed((now, ended), reason, actions);
            }
            Mood::Running | Mood::Restarting | Mood::Shutdown | Mood::Resting => {
                self.failures = 0;
                self.goal = self.goal.lowered();
                self.decide(now, What::Rests, actions);
            }
        }
    }

    /// Whether more follows when its process has ended by itself.
    fn comes_again(&self, expected: bool) -> bool {
        let again = match self.spec.program.restart.on {
            RestartOn::Always => true,
            RestartOn::Unexpected => !expected,
            RestartOn::Never => false,
        };
        match self.script_path() {
            Some(None) => false,
            // It is not started again, and its script sees to what remains.
            Some(Some(_)) => again || self.is_last(),
            None => again,
        }
    }

    /// It could not go on where the one before it ended: the next one need not.
    fn start_afresh(&mut self, now: Now, actions: &mut Actions) {
        if let Some(vitals) = &mut self.vitals {
            vitals.restarts = vitals.restarts.saturating_add(u32::from(vitals.recovers));
            (vitals.recovers, vitals.renews) = (false, false);
        }
        self.spawn(now, Cause::Retry, actions);
    }

    /// A start has failed. Death before startsecs is a failure even with exit
    /// code 0 and autorestart=false: Supervisor's rule. A start for which the machine
    /// has nothing left is tried until it has: Supervisor counts that against the
    /// program, which is then FATAL for what another one has done.
    pub(super) fn failed(&mut self, now: Now, mood: Mood, failure: Failure, actions: &mut Actions) {
        self.failure = Some(failure);
        if let Failure::Spawn(error) = failure
            && error.is_shortage()
            && !mutant::on(Mutant::CountsShortages)
        {
            let (wait, count, rule) = (SHORTAGE_WAIT, self.failures, Rule::Shortage);
            self.enter(State::Backoff { until: now.instant + wait }, false, actions);
            self.decide(now, What::Waits { wait, count, rule }, actions);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let (exhausted, count) = (self.is_exhausted(), self.failures);
        let (wait, rule) = self.retry_wait();
        self.enter(State::Backoff { until: now.instant + wait }, false, actions);
        if exhausted {
            self.lose(now, mood, actions);
            if !self.is_final() {
                actions.push(Action::Notice(Notice::GaveUp(self.id)));
            }
        } else {
            self.decide(now, What::Waits { wait, count, rule }, actions);
        }
    }

    /// No further start is tried, though it is wanted.
    pub(super) fn lose(&mut self, now: Now, mood: Mood, actions: &mut Actions) {
        self.decide(now, What::GaveUp, actions);
        self.give_up(actions);
        if self.is_lost() && mood == Mood::Running {
            self.decide(now, What::Ends, actions);
        }
    }

    /// Supervisor says nothing of it when it is the end that does not wait for a try.
    pub(super) fn give_up(&mut self, actions: &mut Actions) {
        self.goal = self.goal.lowered();
        self.failures = 0;
        self.enter(State::Fatal, false, actions);
    }

    /// Whether everything must end with it: it was named for that, and nothing follows by its
    /// own policy.
    #[must_use]
    pub fn is_end_of_all(&self) -> bool {
        match self.state_name() {
            StateName::Fatal => self.spec.program.ends_all >= EndsAll::Fatal,
            StateName::Exited => self.spec.program.ends_all >= EndsAll::Down,
            StateName::Backoff if mutant::on(Mutant::EndsTooEarly) => {
                self.spec.program.ends_all == EndsAll::Down
            }
            StateName::Stopped
            | StateName::Starting
            | StateName::Running
            | StateName::Backoff
            | StateName::Stopping
            | StateName::Unknown => false,
        }
    }

    pub(super) fn is_expected(&self, status: ExitStatus) -> bool {
        match status {
            ExitStatus::Code(code) => self.spec.program.exit_codes.contains(&code),
            ExitStatus::Signal { .. } | ExitStatus::Unknown => false,
        }
    }
}
