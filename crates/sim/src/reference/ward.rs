//! The rules for a service that asks for more than Supervisor's: MINIX's, and Bardo's own.

use std::time::Duration;

use bardo_core::decision::Reason;
use bardo_core::input::{Finding, Mood, Saying};
use bardo_core::service::{Checking, Inquiry, ScriptRun, Vitals};
use bardo_core::spec::RestartOn;
use bardo_core::spec::care::{Care, Copying, Delay, EarlyDeath, Ready, Reset};
use bardo_core::{Instant, Now};

use super::{Doing, Member};

/// What there is to know of such a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ward {
    pub(super) restarts: u32,
    pub(super) crashes: u32,
    pub(super) last_wait: Duration,
    pub(super) follows_crash: bool,
    pub(super) to_ask: Option<Reason>,
    pub(super) refreshing: bool,
    pub(super) script: ScriptRun,
    pub(super) checks: u32,
    /// Whether this life or the next one follows a refresh.
    pub(super) is_fresh: bool,
    pub(super) present: Present,
}

/// What concerns the present life only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Present {
    pub(super) has_spoken: bool,
    pub(super) more_time: Option<Instant>,
    pub(super) ready_since: Option<Instant>,
    pub(super) own_period: Option<Duration>,
    /// When it is asked, and when it is hung.
    pub(super) ask_at: Option<Instant>,
    pub(super) hung_at: Option<Instant>,
    pub(super) check: Checking,
    pub(super) failed_checks: u32,
    pub(super) condemned: Option<Reason>,
    /// When a start began that has succeeded.
    pub(super) born: Option<Instant>,
    /// The latest moment that a stop may be put off to.
    pub(super) stop_limit: Option<Instant>,
}

impl Ward {
    pub(super) fn new(care: &Care) -> Self {
        Self::of(&Vitals { restarts: care.recovery.restarts, ..Vitals::default() })
    }

    pub(super) fn of(vitals: &Vitals) -> Self {
        let life = &vitals.life;
        Self {
            restarts: vitals.restarts,
            crashes: vitals.crashes,
            last_wait: vitals.waited,
            follows_crash: vitals.recovers,
            to_ask: vitals.asks,
            refreshing: vitals.refreshing,
            script: vitals.script,
            checks: vitals.checks,
            is_fresh: vitals.renews,
            present: Present {
                has_spoken: life.spoke,
                more_time: life.ready_by,
                ready_since: life.ready_at,
                own_period: life.period,
                ask_at: life.ping_at,
                hung_at: life.hung_at,
                check: life.check,
                failed_checks: life.unhealthy,
                condemned: life.verdict,
                born: life.begun,
                stop_limit: life.stop_by,
            },
        }
    }
}

impl Member {
    pub(super) fn condemned(&self) -> Option<Reason> {
        self.ward.and_then(|ward| ward.present.condemned)
    }

    /// Whether it has to do more than to stay up.
    pub(super) fn owes_readiness(&self) -> bool {
        let (Some(care), Some(ward)) = (self.care(), self.ward) else {
            return false;
        };
        match care.readiness.by {
            Ready::Auto => ward.present.has_spoken,
            Ready::Alive => false,
            Ready::Says { .. } | Ready::Checks(_) => true,
        }
    }

    /// The first moment at which its start is too long.
    fn too_late(&self, since: Instant) -> Instant {
        let limit = self.care().map_or(Duration::ZERO, |care| care.readiness.within);
        let more = self.ward.and_then(|ward| ward.present.more_time);
        (since + limit).max(more.unwrap_or_default())
    }

    pub(super) fn begin_life(&mut self) {
        if let Some(ward) = &mut self.ward {
            ward.present = Present::default();
            ward.to_ask = None;
            ward.refreshing = false;
        }
    }

    pub(super) fn executed_ward(&mut self, now: Now) {
        let by_check =
            self.care().is_some_and(|care| matches!(care.readiness.by, Ready::Checks(_)));
        if let (true, Some(ward)) = (by_check, &mut self.ward) {
            ward.present.check = Checking::Due(now.instant);
        }
    }

    /// The period that holds, if any, and whether it is asked.
    fn beat(&self) -> Option<(Duration, bool)> {
        let own = self.ward?.present.own_period;
        let (period, asked) = match own {
            Some(period) => (period, false),
            None => (self.care()?.heartbeat?.period, true),
        };
        (!period.is_zero()).then_some((period, asked))
    }

    fn sign_of_life(&mut self, at: Instant) {
        let beat = self.beat();
        if let Some(ward) = &mut self.ward {
            ward.present.hung_at = beat.map(|(period, _)| at + period + period);
            let together = |period: Duration| {
                let due = at + period;
                let grid = (period.as_nanos() / 64).clamp(1, 1_000_000_000);
                due - Duration::from_nanos((u128::from(due.0) % grid).try_into().expect("grid"))
            };
            let asked = beat.filter(|(_, asked)| *asked);
            ward.present.ask_at = asked.map(|(period, _)| together(period));
        }
    }

    fn next_health_check(&mut self, at: Instant) {
        let interval = self.care().and_then(|care| care.health.as_ref()).map(|all| all.interval);
        if let Some(ward) = &mut self.ward {
            ward.present.check = interval.map_or(Checking::Idle, |wait| Checking::Due(at + wait));
        }
    }

    pub(super) fn ready_ward(&mut self, at: Instant) {
        if let Some(ward) = &mut self.ward {
            ward.restarts += u32::from(ward.follows_crash);
            ward.follows_crash = false;
            ward.is_fresh = false;
            ward.present.ready_since = Some(at);
            ward.present.failed_checks = 0;
            self.sign_of_life(at);
            self.next_health_check(at);
        }
    }

    /// Something else is asked for it.
    pub(super) fn edited_ward(&mut self, at: Instant, restarts: Option<u32>) {
        let care = self.spec.program.care.clone();
        self.ward = care.map(|care| self.ward.unwrap_or_else(|| Ward::new(&care)));
        if let (Some(ward), Some(restarts)) = (&mut self.ward, restarts) {
            ward.restarts = restarts;
        }
        if self.doing == Doing::Running && self.condemned().is_none() {
            self.sign_of_life(at);
            self.next_health_check(at);
        }
    }

    pub(super) fn end_check(&mut self) {
        if let Some(ward) = &mut self.ward {
            ward.present.check = Checking::Idle;
        }
    }

    fn condemn(&mut self, reason: Reason) {
        self.end_check();
        if let Some(ward) = &mut self.ward {
            ward.present.condemned = Some(reason);
            (ward.present.ask_at, ward.present.hung_at) = (None, None);
        }
    }

    pub(super) fn hear(&mut self, now: Now, mood: Mood, saying: Saying) {
        if self.ward.is_none() || self.condemned().is_some() {
            return;
        }
        if let Doing::Cloned { since } = self.doing {
            self.doing = Doing::Executed { since };
            self.executed_ward(now);
        }
        match (self.doing, saying) {
            (Doing::Stopping { kill_at, killing: false }, Saying::Extend(span)) => {
                let limit = self.ward.and_then(|ward| ward.present.stop_limit).unwrap_or_default();
                let asked = if limit < now.instant + span { limit } else { now.instant + span };
                let kill_at = match mood {
                    Mood::Running | Mood::Resting => kill_at.max(asked),
                    Mood::Restarting | Mood::Shutdown => kill_at,
                };
                self.doing = Doing::Stopping { kill_at, killing: false };
            }
            (Doing::Running, Saying::Trigger) => self.condemn(Reason::NoHeartbeat),
            (Doing::Executed { .. }, _) => self.hear_before_ready(now, saying),
            (Doing::Running, Saying::Alive) => self.sign_of_life(now.instant),
            (Doing::Running, Saying::Period(period)) => {
                self.ward.as_mut().expect("it has one").present.own_period = Some(period);
                self.sign_of_life(now.instant);
            }
            _ => {}
        }
    }

    fn hear_before_ready(&mut self, now: Now, saying: Saying) {
        let by_word = self
            .care()
            .is_some_and(|care| matches!(care.readiness.by, Ready::Auto | Ready::Says { .. }));
        let ward = self.ward.as_mut().expect("it has one");
        ward.present.has_spoken = true;
        match saying {
            Saying::Ready if by_word => self.become_ready(now.instant),
            Saying::Failed(number) => self.condemn(Reason::InitFailed(number)),
            Saying::Reset if ward.follows_crash || ward.is_fresh => {
                self.condemn(Reason::CannotResume);
            }
            Saying::Reset => self.condemn(Reason::InitFailed(200)),
            Saying::Extend(span) => {
                let asked = now.instant + span;
                let more = ward.present.more_time.unwrap_or_default();
                ward.present.more_time = Some(more.max(asked));
            }
            Saying::Period(period) => ward.present.own_period = Some(period),
            Saying::Trigger => self.condemn(Reason::NoHeartbeat),
            _ => {}
        }
    }

    pub(super) fn checked(&mut self, now: Now, check: u32, finding: Finding) {
        let Some(ward) = &mut self.ward else {
            return;
        };
        let waits = matches!(ward.present.check, Checking::Asked(_)) && ward.checks == check;
        if !waits || ward.present.condemned.is_some() {
            return;
        }
        match (finding, self.doing) {
            (Finding::Works, Doing::Executed { .. }) => self.become_ready(now.instant),
            (Finding::Works, _) => {
                ward.present.failed_checks = 0;
                self.next_health_check(now.instant);
                self.sign_of_life(now.instant);
            }
            (Finding::Fails, _) => self.check_failed(now.instant, true),
            (Finding::Nothing, _) => self.check_failed(now.instant, false),
        }
    }

    /// How often a check is made, and how long it may take, as things are.
    fn check_times(&self) -> (Duration, Duration) {
        let health = self.care().and_then(|care| care.health.as_ref());
        let (interval, timeout) = health
            .map_or((Duration::from_millis(250), Duration::from_secs(5)), |health| {
                (health.interval, health.timeout)
            });
        match self.doing {
            Doing::Executed { .. } => (interval.min(Duration::from_millis(250)), timeout),
            _ => (interval, timeout),
        }
    }

    fn check_failed(&mut self, at: Instant, counts: bool) {
        let (every, _) = self.check_times();
        let most = self.care().and_then(|care| care.health.as_ref()).map(|health| health.retries);
        let running = self.doing == Doing::Running;
        let ward = self.ward.as_mut().expect("it has one");
        ward.present.check = Checking::Due(at + every);
        if running && counts {
            ward.present.failed_checks += 1;
            if most.is_some_and(|most| ward.present.failed_checks >= most.max(1)) {
                self.condemn(Reason::Health);
            }
        }
    }

    pub(super) fn ward_timeout(&mut self, now: Now) {
        if self.ward.is_none() || self.condemned().is_some() {
            return;
        }
        match self.doing {
            Doing::Executed { .. } if self.seen_dead.is_some() => {}
            Doing::Executed { since } => {
                let limit = self.too_late(since);
                if self.owes_readiness() && limit <= now.instant {
                    let second = Duration::from_secs(1);
                    if now.instant.since(limit) > second / 2 {
                        let ward = self.ward.as_mut().expect("it has one");
                        ward.present.more_time = Some(now.instant + second);
                    } else {
                        self.condemn(Reason::InitTimeout);
                        return;
                    }
                } else if !self.owes_readiness() {
                    self.succeed_if_due(now);
                }
                if matches!(self.doing, Doing::Executed { .. }) {
                    self.look_at_check(now.instant);
                }
            }
            Doing::Running => {
                self.forget_restarts_if_healthy(now.instant);
                self.look_at_check(now.instant);
                self.look_at_heart(now.instant);
            }
            _ => {}
        }
    }

    fn forget_restarts_if_healthy(&mut self, now: Instant) {
        let Some(Reset::Healthy(least)) = self.care().map(|care| care.recovery.reset) else {
            return;
        };
        let ward = self.ward.as_mut().expect("it has one");
        let needed = least.max(ward.last_wait * 10);
        if ward.restarts > 0 && ward.present.ready_since.is_some_and(|at| at + needed <= now) {
            ward.restarts = 0;
            ward.last_wait = Duration::ZERO;
        }
    }

    fn look_at_check(&mut self, now: Instant) {
        let (_, timeout) = self.check_times();
        let ward = self.ward.as_mut().expect("it has one");
        match ward.present.check {
            Checking::Due(at) if at <= now => {
                ward.checks += 1;
                ward.present.check = Checking::Asked(now + timeout);
            }
            Checking::Asked(until) if until <= now => {
                let in_time = now.since(until) <= timeout / 2;
                self.check_failed(now, in_time);
            }
            _ => {}
        }
    }

    fn look_at_heart(&mut self, now: Instant) {
        let Some((period, _)) = self.beat() else {
            return;
        };
        if self.condemned().is_some() {
            return;
        }
        let present = &mut self.ward.as_mut().expect("it has one").present;
        let slept = |due: Instant| now.since(due) > period / 2;
        match (present.ask_at, present.hung_at) {
            (Some(ask), hung) if ask <= now => {
                present.ask_at = None;
                if slept(ask) {
                    present.hung_at = hung.max(Some(now + period));
                }
            }
            (_, Some(hung)) if hung <= now && slept(hung) => present.hung_at = Some(now + period),
            (_, Some(hung)) if hung <= now => self.condemn(Reason::NoHeartbeat),
            _ => {}
        }
    }

    /// How long the wait is after this many crashes; nothing where only Supervisor's rules
    /// say something.
    fn wait_after(&self, count: u32) -> Option<Duration> {
        let care = self.care()?;
        let second = Duration::from_secs(1);
        match care.recovery.delay? {
            _ if count == 0 => Some(Duration::ZERO),
            Delay::Constant(wait) => Some(wait),
            Delay::Binary { max } => {
                let doubled = if count < 10 { second * (1 << count) } else { max };
                let wait = doubled.min(max);
                Some(if care.copy == Copying::No { wait } else { wait.min(second) })
            }
        }
    }

    /// The wait after a start that has failed.
    pub(super) fn wait_after_failure(&self, supervisors: Duration) -> Duration {
        let Some(ward) = self.ward else {
            return supervisors;
        };
        let wait = self.wait_after(ward.restarts + self.failures).unwrap_or(supervisors);
        wait.max(Duration::from_secs(1))
    }

    /// Whether the first start that fails is the last.
    pub(super) fn dies_for_good(&self) -> bool {
        self.care().is_some_and(|care| care.recovery.early_death == EarlyDeath::Down)
    }

    pub(super) fn is_never_restarted(&self) -> bool {
        self.spec.program.restart.on == RestartOn::Never
    }

    /// Whether there is one life of it, and no second one after a refresh.
    pub(super) fn lives_once(&self) -> bool {
        self.is_never_restarted() || self.script().is_some() && !self.has_script_file()
    }

    /// Whether something follows the end of a process that had been ready.
    pub(super) fn is_recovered(&self, restarts: bool) -> bool {
        match self.script() {
            None => restarts,
            Some(_) if self.has_script_file() => restarts || self.is_never_restarted(),
            Some(_) => false,
        }
    }

    pub(super) fn crash(&mut self, at: Instant, now: Instant, reason: Reason) {
        let asks = self.has_script_file();
        let wait = self.ward.and_then(|ward| self.wait_after(ward.restarts)).unwrap_or_default();
        let Some(ward) = &mut self.ward else {
            self.launch();
            return;
        };
        ward.crashes += 1;
        ward.follows_crash = true;
        ward.last_wait = wait;
        ward.to_ask = asks.then_some(reason);
        self.wanted = true;
        if wait.is_zero() {
            self.go_on(now);
        } else {
            self.doing = Doing::Backoff { until: at + wait };
        }
    }

    /// What comes when there is nothing to wait for any more.
    pub(super) fn go_on(&mut self, now: Instant) {
        let generation = self.generation.0;
        match &mut self.ward {
            Some(ward) if ward.to_ask.is_some() => {
                self.wanted = true;
                let inquiry = match ward.script {
                    ScriptRun::Idle => {
                        ward.script = ScriptRun::Requested(generation);
                        Inquiry::Asked
                    }
                    _ => Inquiry::Waits,
                };
                self.doing = Doing::Recovering { since: now, inquiry };
            }
            _ => self.launch(),
        }
    }

    /// Whether an end at this moment makes a failure of a start that had succeeded: only where
    /// nothing else says how long to wait.
    pub(super) fn was_too_short(&self, at: Instant) -> bool {
        let born = self.ward.and_then(|ward| ward.present.born);
        let by_supervisors_rules = self.care().is_some_and(|care| {
            let recovery = &care.recovery;
            recovery.delay.is_none()
                && recovery.early_death == EarlyDeath::Retry
                && care.script.is_none()
        });
        let least = self.spec.program.startsecs.duration();
        let owed_a_sign = self.condemned() == Some(Reason::NoHeartbeat);
        by_supervisors_rules && !owed_a_sign && born.is_some_and(|born| at < born + least)
    }

    pub(super) fn refreshed(&mut self, now: Instant) {
        let single = self.script().is_some() && !self.has_script_file();
        if single || self.is_never_restarted() && self.dies_for_good() {
            self.doing = Doing::Exited;
            return;
        }
        if let (true, Some(ward)) = (self.has_script_file(), &mut self.ward) {
            ward.to_ask = Some(Reason::Restart);
        }
        if let Some(ward) = &mut self.ward {
            ward.is_fresh = true;
        }
        self.go_on(now);
    }

    /// A successor has taken over.
    pub(super) fn resume_ward(&mut self, now: Instant) {
        let beat = self.beat();
        let has_health = self.care().is_some_and(|care| care.health.is_some());
        let is_killed = self.condemned().is_some_and(|reason| reason != Reason::OutOfMemory);
        let Some(ward) = &mut self.ward else {
            return;
        };
        let is_starting = matches!(
            self.doing,
            Doing::StartHeld | Doing::Requested | Doing::Cloned { .. } | Doing::Executed { .. }
        );
        let has_executed = matches!(self.doing, Doing::Executed { .. } | Doing::Running);
        if (is_starting || self.doing == Doing::Running) && !(is_killed && has_executed) {
            if let Checking::Asked(_) = ward.present.check {
                ward.present.check = Checking::Due(now);
            }
            if is_starting {
                let least = now + Duration::from_secs(1);
                ward.present.more_time = ward.present.more_time.max(Some(least));
                return;
            }
            // An edit may have been written down without what follows from it.
            match beat {
                Some((period, asked)) => {
                    let again = ward.present.ask_at.unwrap_or(now);
                    ward.present.ask_at = asked.then_some(again);
                    ward.present.hung_at = ward.present.hung_at.max(Some(now + period));
                }
                None => (ward.present.ask_at, ward.present.hung_at) = (None, None),
            }
            if !has_health || ward.present.check == Checking::Idle {
                self.next_health_check(now);
            }
        }
    }
}
