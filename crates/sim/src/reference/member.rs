//! The rules for one service.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::id::ExitSequence;
use bardo_core::input::{Found, Mood};
use bardo_core::job::Refusal;
use bardo_core::service::{Goal, Order};
use bardo_core::spec::{Backoff, RestartOn};
use bardo_core::{
    ExitStatus, Generation, Input, Instant, Launch, Now, Service, ServiceSpec, SpawnError, State,
    Verb,
};

use super::{Doing, Member};

impl Member {
    pub(super) fn new(spec: Arc<ServiceSpec>, (generation, successes): (Generation, u32)) -> Self {
        Self {
            spec,
            doing: Doing::Stopped,
            wanted: false,
            generation,
            pid: None,
            failures: 0,
            started: false,
            exit_sequence: ExitSequence::default(),
            successes,
        }
    }

    pub(super) fn of(service: &Service) -> Self {
        Self {
            spec: Arc::clone(&service.spec),
            doing: Doing::of(service.state),
            wanted: service.goal == Goal::Up,
            generation: service.generation,
            pid: service.pid,
            failures: service.failures,
            started: service.started.is_some(),
            exit_sequence: service.exit_sequence,
            successes: 0,
        }
    }

    pub(super) fn compare(&self, service: &Service) -> Result<(), String> {
        let found =
            Self { spec: Arc::clone(&self.spec), successes: self.successes, ..Self::of(service) };
        let words = |member: &Self| {
            format!(
                "{:?}, wanted: {}, {:?}, pid {:?}, failures: {}, exit record {}",
                member.doing,
                member.wanted,
                member.generation,
                member.pid.map(|pid| pid.0),
                member.failures,
                member.exit_sequence.0
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
        !self.is_stopped() && !matches!(self.doing, Doing::Stopping { .. })
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.doing, Doing::Stopped | Doing::Exited | Doing::Fatal | Doing::Unknown)
    }

    pub(super) fn refusal(&self, verb: Verb) -> Option<Refusal> {
        let stopping = matches!(self.doing, Doing::Stopping { .. });
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
        match self.doing {
            Doing::Stopped | Doing::Exited | Doing::Fatal => {
                self.failures = 0;
                self.launch();
            }
            Doing::Stopping { .. } => self.wanted = true,
            _ => {}
        }
    }

    pub(super) fn launch(&mut self) {
        self.wanted = true;
        self.started = true;
        self.generation = self.generation.next();
        self.doing = Doing::Requested;
    }

    pub(super) fn stop(&mut self, now: Now) {
        match self.doing {
            Doing::Requested | Doing::Backoff { .. } => self.rest(Doing::Stopped),
            Doing::Cloned { .. } | Doing::Executed { .. } | Doing::Running => {
                self.wanted = false;
                self.doing = Doing::Stopping {
                    kill_at: now.instant + self.spec.program.stop.wait.duration(),
                    killing: false,
                };
            }
            Doing::Stopping { .. } => self.wanted = false,
            _ => {}
        }
    }

    pub(super) fn shut_down(&mut self, now: Now) {
        match self.doing {
            Doing::Backoff { .. } => self.rest(Doing::Fatal),
            _ if self.is_up() => self.stop(now),
            _ => {}
        }
    }

    pub(super) fn rest(&mut self, doing: Doing) {
        self.doing = doing;
        self.wanted = false;
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
                    Mood::Restarting | Mood::Shutdown => self.rest(Doing::Stopped),
                }
            }
            Input::Executed { generation, .. } if *generation == self.generation => {
                if let Doing::Cloned { since } = self.doing {
                    self.doing = Doing::Executed { since };
                    self.succeed_if_due(now);
                }
            }
            Input::SpawnFailed { generation, error, .. } if *generation == self.generation => {
                match self.doing {
                    Doing::Requested | Doing::Cloned { .. } | Doing::Executed { .. } => {
                        match error {
                            // No descriptor, process or memory to be had: not its fault.
                            SpawnError::Clone(11 | 12) | SpawnError::Pipes(23 | 24) => {
                                self.pid = None;
                                let until = now.instant + Duration::from_secs(1);
                                self.doing = Doing::Backoff { until };
                            }
                            _ => self.fail(now.instant),
                        }
                    }
                    Doing::Stopping { .. } => self.after_stop(mood),
                    Doing::Unknown => self.rest(Doing::Stopped),
                    _ => {}
                }
            }
            Input::Exited { generation, status, sequence, at, .. }
                if *generation == self.generation && self.pid.is_some() =>
            {
                self.exit_sequence = *sequence;
                self.exited(*at, mood, *status);
            }
            Input::SignalFailed { generation, .. }
                if *generation == self.generation
                    && self.pid.is_some()
                    && self.doing != Doing::Unknown =>
            {
                self.doing = Doing::Unknown;
            }
            _ => {}
        }
    }

    /// What counts is when it ended, however late that is heard of.
    pub(super) fn exited(&mut self, at: Instant, mood: Mood, status: ExitStatus) {
        match self.doing {
            Doing::Cloned { since } | Doing::Executed { since }
                if at.since(since) < self.spec.program.readiness.span() =>
            {
                self.fail(at);
            }
            Doing::Cloned { .. } | Doing::Executed { .. } | Doing::Running => {
                if self.doing != Doing::Running {
                    self.successes += 1;
                }
                self.rest(Doing::Exited);
                let expected = match status {
                    ExitStatus::Code(code) => self.spec.program.exit_codes.contains(&code),
                    ExitStatus::Signal { .. } | ExitStatus::Unknown => false,
                };
                let again = match self.spec.program.restart.on {
                    RestartOn::Always => true,
                    RestartOn::Unexpected => !expected,
                    RestartOn::Never => false,
                };
                if again && mood == Mood::Running {
                    self.launch();
                }
            }
            Doing::Stopping { .. } => self.after_stop(mood),
            Doing::Unknown => self.rest(Doing::Stopped),
            _ => {}
        }
    }

    pub(super) fn after_stop(&mut self, mood: Mood) {
        let wanted = self.wanted;
        self.rest(Doing::Stopped);
        if wanted && mood == Mood::Running {
            self.launch();
        }
    }

    /// R retries are R+1 attempts, with waits of 1, 2, 3, ... seconds.
    pub(super) fn fail(&mut self, at: Instant) {
        self.pid = None;
        self.failures += 1;
        let restart = &self.spec.program.restart;
        if restart.start_retries.is_some_and(|retries| i64::from(self.failures) > retries) {
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
        self.doing = Doing::Backoff { until: at + wait };
    }

    pub(super) fn succeed_if_due(&mut self, now: Now) {
        if let Doing::Executed { since } = self.doing
            && now.instant.since(since) > self.spec.program.readiness.span()
        {
            self.doing = Doing::Running;
            self.failures = 0;
            self.successes += 1;
        }
    }

    pub(super) fn timeout(&mut self, now: Now, mood: Mood) {
        match self.doing {
            Doing::Executed { .. } => self.succeed_if_due(now),
            Doing::Backoff { until } if until <= now.instant => match mood {
                Mood::Running => self.launch(),
                Mood::Restarting | Mood::Shutdown => self.rest(Doing::Fatal),
            },
            Doing::Stopping { kill_at, .. } if kill_at <= now.instant => {
                let wait = self.spec.program.stop.wait.duration();
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
                Launch::Requested => Self::Requested,
                Launch::Cloned { .. } => Self::Cloned { since },
                Launch::Executed => Self::Executed { since },
            },
            State::Running => Self::Running,
            State::Backoff { until } => Self::Backoff { until },
            State::Stopping { kill_at, order } => {
                Self::Stopping { kill_at, killing: matches!(order, Order::Kill | Order::KillSent) }
            }
            State::Exited => Self::Exited,
            State::Fatal => Self::Fatal,
            State::Unknown => Self::Unknown,
        }
    }
}
