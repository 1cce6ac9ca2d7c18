//! The rules for one service.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::decision::Reason;
use bardo_core::id::ExitSequence;
use bardo_core::input::{Found, Mood};
use bardo_core::job::Refusal;
use bardo_core::service::{Failure, Goal, Order};
use bardo_core::spec::care::Dependency;
use bardo_core::spec::{Backoff, RestartOn};
use bardo_core::{
    ExitStatus, Generation, Input, Instant, Launch, Now, Service, ServiceSpec, SpawnError, State,
    Verb,
};

use super::ward::Ward;
use super::{Doing, Member};

impl Member {
    pub(super) fn new(spec: Arc<ServiceSpec>, (generation, successes): (Generation, u32)) -> Self {
        Self {
            ward: spec.program.care.as_deref().map(Ward::new),
            spec,
            doing: Doing::Stopped,
            wanted: false,
            dismissed: false,
            generation,
            pid: None,
            failures: 0,
            started: false,
            exit_sequence: ExitSequence::default(),
            successes,
            spawn_failure: None,
            seen_dead: None,
            has_failed: false,
            is_told: false,
            exit: None,
        }
    }

    pub(super) fn of(service: &Service) -> Self {
        Self {
            spec: Arc::clone(&service.spec),
            doing: Doing::of(service.state),
            wanted: service.goal == Goal::Up,
            dismissed: service.goal == Goal::Gone,
            generation: service.generation,
            pid: service.pid,
            failures: service.failures,
            started: service.started.is_some(),
            exit_sequence: service.exit_sequence,
            successes: 0,
            spawn_failure: match service.failure {
                Some(Failure::Spawn(error)) => Some(error),
                _ => None,
            },
            seen_dead: None,
            has_failed: service.failure.is_some(),
            is_told: !matches!(service.state, State::Stopping { order: Order::Stop, .. }),
            exit: service.exit,
            ward: service.vitals.as_deref().map(Ward::of),
        }
    }

    pub(super) fn compare(&self, service: &Service) -> Result<(), String> {
        let found =
            Self { spec: Arc::clone(&self.spec), successes: self.successes, ..Self::of(service) };
        let words = |member: &Self| {
            format!(
                "{:?}, wanted: {}, dismissed: {}, {:?}, pid {:?}, failures: {}, exit record {}, {:?}",
                member.doing,
                member.wanted,
                member.dismissed,
                member.generation,
                member.pid.map(|pid| pid.0),
                member.failures,
                member.exit_sequence.0,
                member.ward
            )
        };
        let (found, expected) = (words(&found), words(self));
        if found == expected {
            return Ok(());
        }
        Err(format!(
            "{}:{} is\n    {found}\nand should be\n    {expected}",
            service.group, service.spec.name
        ))
    }

    pub(super) fn is_up(&self) -> bool {
        !self.is_stopped() && !self.is_stopping()
    }

    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.doing, Doing::Stopping { .. } | Doing::StopHeld)
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.doing, Doing::Stopped | Doing::Exited | Doing::Fatal | Doing::Unknown)
    }

    pub(super) fn refusal(&self, verb: Verb) -> Option<Refusal> {
        let stopping = self.is_stopping();
        match verb {
            Verb::Start if self.doing == Doing::Unknown => Some(Refusal::UnknownState),
            Verb::Start => self.is_up().then_some(Refusal::AlreadyStarted),
            // A stop takes back a start that waits for the end of a stop.
            Verb::Stop => {
                let is_possible = self.is_up() || stopping && self.wanted;
                (!is_possible).then_some(Refusal::NotRunning)
            }
            Verb::Signal(_) => {
                let alive = stopping || self.is_up() && self.pid.is_some();
                (!alive).then_some(Refusal::NotRunning)
            }
        }
    }

    pub(super) fn start(&mut self) {
        if self.dismissed {
            return;
        }
        match self.doing {
            Doing::Stopped | Doing::Exited | Doing::Fatal => {
                self.failures = 0;
                if let (Some(ward), Some(care)) = (&mut self.ward, &self.spec.program.care) {
                    ward.restarts = care.recovery.restarts;
                    ward.last_wait = Duration::ZERO;
                    ward.follows_crash = false;
                    ward.is_fresh = false;
                }
                self.launch();
            }
            Doing::Stopping { .. } | Doing::StopHeld => self.want(true),
            _ => {}
        }
    }

    /// It is wanted as it is, or not; what was to be refreshed is so no more.
    pub(super) fn want(&mut self, wanted: bool) {
        self.wanted = wanted;
        if let Some(ward) = &mut self.ward {
            ward.refreshing = false;
        }
    }

    pub(super) fn launch(&mut self) {
        self.begin_life();
        self.wanted = true;
        self.started = true;
        self.spawn_failure = None;
        self.seen_dead = None;
        self.has_failed = false;
        self.exit = None;
        self.generation = self.generation.next();
        let is_free = self.needs().is_empty();
        self.doing = if is_free { Doing::Requested } else { Doing::StartHeld };
    }

    /// What it must not be without.
    pub(super) fn needs(&self) -> &[Dependency] {
        match &self.spec.program.care {
            Some(care) => &care.depends_on,
            None => &[],
        }
    }

    pub(super) fn stop(&mut self, now: Now) {
        match self.doing {
            Doing::StartHeld
            | Doing::Requested
            | Doing::Backoff { .. }
            | Doing::Recovering { .. } => self.rest(Doing::Stopped),
            Doing::Cloned { .. } | Doing::Executed { .. } | Doing::Running => {
                self.want(false);
                self.end_check();
                self.is_told = false;
                let wait = self.spec.program.stop.wait.duration();
                if let Some(ward) = &mut self.ward {
                    ward.present.stop_limit = Some(now.instant + wait * 6);
                }
                self.doing = Doing::Stopping {
                    kill_at: now.instant + self.spec.program.stop.wait.duration(),
                    killing: false,
                };
            }
            Doing::Stopping { .. } | Doing::StopHeld => self.want(false),
            _ => {}
        }
    }

    pub(super) fn shut_down(&mut self, now: Now) {
        match self.doing {
            Doing::Backoff { .. } | Doing::Recovering { .. } => self.rest(Doing::Fatal),
            _ if self.is_up() => self.stop(now),
            _ => {}
        }
    }

    pub(super) fn rest(&mut self, doing: Doing) {
        self.doing = doing;
        self.want(false);
        self.failures = 0;
        self.pid = None;
    }

    pub(super) fn news(&mut self, now: Now, mood: Mood, input: &Input) {
        match input {
            Input::Spawned { generation, pid, .. }
                if *generation == self.generation && self.doing == Doing::Requested =>
            {
                self.pid = Some(*pid);
                self.doing = Doing::Cloned { since: now.instant };
            }
            // It was taken back in the instant of its birth: there must not be one.
            Input::Spawned { generation, pid, .. }
                if *generation == self.generation
                    && self.pid.is_none()
                    && matches!(self.doing, Doing::Stopped | Doing::Exited | Doing::Fatal) =>
            {
                self.pid = Some(*pid);
                self.doing = Doing::Cloned { since: now.instant };
                self.stop(now);
            }
            Input::Found { generation, found: Found::Alive(pid, cloned), .. }
                if *generation == self.generation && self.doing == Doing::Requested =>
            {
                self.pid = Some(*pid);
                self.doing = Doing::Cloned { since: *cloned };
            }
            Input::Found { generation, found: Found::NeverCloned, .. }
                if *generation == self.generation && self.doing == Doing::Requested =>
            {
                match mood {
                    Mood::Running => self.launch(),
                    Mood::Restarting | Mood::Shutdown | Mood::Resting => self.rest(Doing::Stopped),
                }
            }
            Input::Executed { generation, .. } if *generation == self.generation => {
                if let Doing::Cloned { since } = self.doing {
                    self.doing = Doing::Executed { since };
                    self.executed_ward(now);
                    if self.ward.is_none() {
                        self.succeed_if_due(now);
                    }
                }
            }
            Input::Dead { generation, .. } if *generation == self.generation => {
                let is_presumed_alive = matches!(self.doing, Doing::Executed { .. })
                    && !self.owes_readiness()
                    && self.condemned().is_none();
                self.seen_dead = self.seen_dead.or(is_presumed_alive.then_some(now.instant));
            }
            Input::SpawnFailed { generation, error, .. } if *generation == self.generation => {
                self.not_born(now.instant, mood, *error);
            }
            Input::Signalled { generation, signal, reach, .. }
                if *generation == self.generation =>
            {
                let stop = &self.spec.program.stop;
                self.is_told |= (*signal, *reach) == (stop.signal, stop.stop_reach);
            }
            Input::Exited { generation, status, sequence, at, .. }
                if *generation == self.generation && self.pid.is_some() =>
            {
                self.exit_sequence = *sequence;
                self.exit = Some(*status);
                self.exited((*at, now.instant), mood, *status);
            }
            Input::SignalFailed { generation, .. }
                if *generation == self.generation
                    && self.pid.is_some()
                    && self.doing != Doing::Unknown =>
            {
                self.end_check();
                self.doing = Doing::Unknown;
            }
            Input::Said { generation, saying, .. } if *generation == self.generation => {
                self.hear(now, mood, *saying);
            }
            Input::Checked { generation, check, finding, .. } if *generation == self.generation => {
                self.checked(now, *check, *finding);
            }
            Input::OutOfMemory { generation, .. } if *generation == self.generation => {
                if let (Some(_), Some(ward)) = (self.pid, &mut self.ward) {
                    ward.present.condemned.get_or_insert(Reason::OutOfMemory);
                }
            }
            Input::ScriptSpawned { script, pid, .. }
            | Input::ScriptFound { script, pid: Some(pid), .. } => self.script_runs(*script, *pid),
            Input::ScriptFound { script, pid: None, .. } => self.script_never_was(*script),
            Input::ScriptFailed { script, error, .. } => {
                self.script_over(now.instant, mood, *script, Some(*error));
            }
            Input::ScriptEnded { script, .. } => {
                self.script_over(now.instant, mood, *script, None);
            }
            _ => {}
        }
    }

    /// There is no process, or it has not come to its program.
    fn not_born(&mut self, now: Instant, mood: Mood, error: SpawnError) {
        match self.doing {
            Doing::Requested | Doing::Cloned { .. } | Doing::Executed { .. } => {
                self.spawn_failure = Some(error);
                self.has_failed = true;
                match error {
                    // No descriptor, process or memory to be had: not its fault.
                    SpawnError::Clone(11 | 12) | SpawnError::Pipes(23 | 24) => {
                        self.pid = None;
                        self.doing = Doing::Backoff { until: now + Duration::from_secs(1) };
                    }
                    _ => self.fail(now),
                }
            }
            Doing::Stopping { .. } | Doing::StopHeld => self.after_stop(now, mood),
            Doing::Unknown => self.rest(Doing::Stopped),
            _ => {}
        }
    }

    /// What counts is when it ended, however late that is heard of.
    pub(super) fn exited(&mut self, (at, now): (Instant, Instant), mood: Mood, status: ExitStatus) {
        match self.doing {
            Doing::Cloned { since } | Doing::Executed { since } => {
                let long_enough = at.since(since) >= self.spec.program.startsecs.duration();
                if long_enough
                    && self.seen_dead.is_none_or(|seen| at.min(now) <= seen)
                    && !self.owes_readiness()
                    && self.condemned().is_none()
                {
                    self.become_ready(at.min(now));
                    self.ended((at, now), mood, status);
                } else {
                    self.died_early(at.min(now), mood);
                }
            }
            Doing::Running => self.ended((at, now), mood, status),
            Doing::Stopping { .. } | Doing::StopHeld => self.after_stop(now, mood),
            Doing::Unknown => self.rest(Doing::Stopped),
            _ => {}
        }
    }

    fn died_early(&mut self, at: Instant, mood: Mood) {
        self.end_check();
        self.pid = None;
        self.has_failed = true;
        if let (Some(Reason::CannotResume), Mood::Running) = (self.condemned(), mood) {
            let ward = self.ward.as_mut().expect("it has one");
            ward.restarts += u32::from(ward.follows_crash);
            ward.follows_crash = false;
            ward.is_fresh = false;
            self.launch();
        } else {
            self.fail(at);
        }
    }

    /// A process that had been ready has ended by itself.
    fn ended(&mut self, (at, now): (Instant, Instant), mood: Mood, status: ExitStatus) {
        self.end_check();
        let condemned = self.condemned();
        let expected = match status {
            ExitStatus::Code(code) => self.spec.program.exit_codes.contains(&code),
            ExitStatus::Signal { .. } | ExitStatus::Unknown => false,
        };
        let again = match self.spec.program.restart.on {
            RestartOn::Always => true,
            RestartOn::Unexpected => !expected || condemned.is_some(),
            RestartOn::Never => false,
        };
        self.has_failed |= !expected || condemned.is_some();
        let (failures, too_short) = (self.failures, self.was_too_short(at.min(now)));
        self.rest(Doing::Exited);
        if !self.is_recovered(again) || mood != Mood::Running {
            return;
        }
        if too_short {
            let ward = self.ward.as_mut().expect("it has one");
            ward.crashes += 1;
            ward.follows_crash = true;
            ward.to_ask = None;
            self.failures = failures;
            self.has_failed = true;
            self.wanted = true;
            self.fail(at.min(now));
        } else {
            self.crash(at.min(now), now, condemned.unwrap_or(Reason::Terminated));
        }
    }

    pub(super) fn after_stop(&mut self, now: Instant, mood: Mood) {
        let wanted = self.wanted;
        let refreshing = self.ward.is_some_and(|ward| ward.refreshing);
        self.rest(Doing::Stopped);
        match (wanted && mood == Mood::Running, refreshing) {
            (true, true) => self.refreshed(now),
            (true, false) => self.start(),
            (false, _) => {}
        }
    }

    /// Its start has succeeded.
    pub(super) fn become_ready(&mut self, at: Instant) {
        if let (Doing::Cloned { since } | Doing::Executed { since }, Some(ward)) =
            (self.doing, &mut self.ward)
        {
            ward.present.born = Some(since);
        }
        self.doing = Doing::Running;
        if !self.was_too_short(at) {
            self.failures = 0;
        }
        self.successes += 1;
        self.ready_ward(at);
    }

    /// R retries are R+1 attempts, with waits of 1, 2, 3, ... seconds.
    pub(super) fn fail(&mut self, at: Instant) {
        self.pid = None;
        self.failures += 1;
        let restart = &self.spec.program.restart;
        let spent = restart.start_retries.is_some_and(|retries| i64::from(self.failures) > retries);
        if spent || self.dies_for_good() {
            self.rest(Doing::Fatal);
            return;
        }
        let wait = match restart.backoff {
            Backoff::Linear { step } => step * self.failures,
            Backoff::Exponential { first, max } => {
                let doubled = (1..self.failures).fold(first, |wait, failure| match failure {
                    1 => wait,
                    _ => (wait * 2).min(max),
                });
                if self.failures == 1 { Duration::ZERO } else { doubled }
            }
            Backoff::Constant(wait) => wait,
        };
        self.doing = Doing::Backoff { until: at + self.wait_after_failure(wait) };
    }

    pub(super) fn succeed_if_due(&mut self, now: Now) {
        if let Doing::Executed { since } = self.doing
            && self.seen_dead.is_none()
            && now.instant.since(since) > self.spec.program.startsecs.duration()
        {
            self.become_ready(now.instant);
        }
    }

    pub(super) fn timeout(&mut self, now: Now, mood: Mood) {
        match self.doing {
            Doing::Executed { .. } | Doing::Running if self.ward.is_some() => {
                self.ward_timeout(now);
            }
            Doing::Executed { .. } => self.succeed_if_due(now),
            Doing::Recovering { .. } => self.recovering_timeout(now.instant, mood),
            Doing::Backoff { until } if until <= now.instant => match mood {
                Mood::Running => self.go_on(now.instant),
                Mood::Restarting | Mood::Shutdown | Mood::Resting => self.rest(Doing::Fatal),
            },
            Doing::Stopping { kill_at, .. } if kill_at <= now.instant => {
                let wait = self.spec.program.stop.wait.duration();
                self.is_told = true;
                self.doing = Doing::Stopping {
                    kill_at: now.instant + wait.max(Duration::from_secs(1)),
                    killing: true,
                };
            }
            _ => {}
        }
    }
}

impl Doing {
    pub(super) fn of(state: State) -> Self {
        match state {
            State::Stopped => Self::Stopped,
            State::Starting { since, launch } => match launch {
                Launch::Held => Self::StartHeld,
                Launch::Requested => Self::Requested,
                Launch::Cloned { .. } => Self::Cloned { since },
                Launch::Executed | Launch::Dead { .. } => Self::Executed { since },
            },
            State::Running => Self::Running,
            State::Backoff { until } => Self::Backoff { until },
            State::Stopping { order: Order::Held, .. } => Self::StopHeld,
            State::Recovering { since, inquiry } => Self::Recovering { since, inquiry },
            State::Stopping { kill_at, order } => {
                Self::Stopping { kill_at, killing: matches!(order, Order::Kill | Order::KillSent) }
            }
            State::Exited => Self::Exited,
            State::Fatal => Self::Fatal,
            State::Unknown => Self::Unknown,
        }
    }
}
