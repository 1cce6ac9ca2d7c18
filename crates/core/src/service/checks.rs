//! Checks from outside: the one that tells that a service is initialised, and those of its
//! health.
//!
//! One is under way at a time. What came of it counts when it is of the life, and has the
//! number, that is waited for.

use std::time::Duration;

use super::vitals::Checking;
use super::{Service, State};
use crate::action::{Action, Actions};
use crate::decision::{Reason, Sign};
use crate::input::Finding;
use crate::spec::care::Ready;
use crate::time::{Instant, Now};

/// How often it is tried at least whether a service is initialised.
pub const READY_CHECK_EVERY: Duration = Duration::from_millis(250);

/// The shortest time between two checks, and that one may take: whatever was asked, they
/// must not keep the machine busy.
const CHECK_LEAST: Duration = Duration::from_millis(10);

/// How long a check that tells that a service is initialised may take, where nothing is
/// said of its health.
pub const READY_CHECK_WITHIN: Duration = Duration::from_secs(5);

impl Service {
    pub(super) fn check_deadline(&self) -> Option<Instant> {
        match self.vitals.as_ref()?.life.check {
            Checking::Idle => None,
            Checking::Due(at) | Checking::Asked(at) => Some(at),
        }
    }

    /// How long after one check the next one is made, and how long one may take.
    fn check_times(&self) -> Option<(Duration, Duration)> {
        let (every, within) = self.check_times_asked()?;
        Some((every.max(CHECK_LEAST), within.max(CHECK_LEAST)))
    }

    fn check_times_asked(&self) -> Option<(Duration, Duration)> {
        let (care, _) = self.cared()?;
        let health = care.health.as_ref();
        match (self.state, &care.readiness.by) {
            (State::Starting { .. }, Ready::Checks(_)) => {
                let every = health
                    .map_or(READY_CHECK_EVERY, |health| health.interval.min(READY_CHECK_EVERY));
                Some((every, health.map_or(READY_CHECK_WITHIN, |health| health.timeout)))
            }
            (State::Starting { .. }, Ready::Auto | Ready::Says { .. } | Ready::Alive) => None,
            (
                State::Running
                | State::Stopped
                | State::Backoff { .. }
                | State::Recovering { .. }
                | State::Stopping { .. }
                | State::Exited
                | State::Fatal
                | State::Unknown,
                _,
            ) => health.map(|health| (health.interval, health.timeout)),
        }
    }

    /// The checks of its health begin, or are others from now on.
    pub(super) fn arm_health(&mut self, now: Instant) {
        if let Some((care, vitals)) = self.cared_mut() {
            let interval = care.health.as_ref().map(|health| health.interval.max(CHECK_LEAST));
            vitals.life.check = interval.map_or(Checking::Idle, |wait| Checking::Due(now + wait));
        }
    }

    /// A check that is under way is broken off; none is due any more.
    pub(super) fn end_check(&mut self, actions: &mut Actions) {
        let service = self.id;
        if let Some(vitals) = &mut self.vitals {
            if let Checking::Asked(_) = vitals.life.check {
                actions.push(Action::EndCheck { service, check: vitals.checks });
            }
            vitals.life.check = Checking::Idle;
        }
    }

    pub(super) fn check_timeout(&mut self, now: Now, actions: &mut Actions) {
        let (service, generation, times) = (self.id, self.generation, self.check_times());
        let (Some(vitals), Some((_, timeout))) = (&mut self.vitals, times) else {
            return;
        };
        match vitals.life.check {
            Checking::Due(at) if at <= now.instant => {
                vitals.checks = vitals.checks.wrapping_add(1);
                vitals.life.check = Checking::Asked(now.instant + timeout);
                let check = vitals.checks;
                actions.push(Action::Check { service, generation, check });
            }
            Checking::Asked(until) if until <= now.instant => {
                let is_late = now.instant.since(until) > timeout / 2;
                self.end_check(actions);
                self.check_failed(now, is_late, actions);
            }
            Checking::Idle | Checking::Due(_) | Checking::Asked(_) => {}
        }
    }

    /// What came of a check.
    pub(super) fn checked(
        &mut self,
        now: Now,
        check: u32,
        finding: Finding,
        actions: &mut Actions,
    ) {
        let is_waited_for = self.vitals.as_ref().is_some_and(|vitals| {
            vitals.checks == check && matches!(vitals.life.check, Checking::Asked(_))
        });
        if !is_waited_for || self.verdict().is_some() {
            return;
        }
        if let Some(vitals) = &mut self.vitals {
            vitals.life.check = Checking::Idle;
        }
        if finding != Finding::Works {
            self.check_failed(now, finding == Finding::Nothing, actions);
        } else if let State::Starting { .. } = self.state {
            self.ready(now, Sign::Checked, actions);
        } else {
            if let Some(vitals) = &mut self.vitals {
                vitals.life.unhealthy = 0;
            }
            self.arm_health(now.instant);
            self.lives(now.instant);
        }
    }

    /// A check has failed, or took too long. One that could not be made says nothing of the
    /// service, nor one that took long because the supervisor was itself late.
    fn check_failed(&mut self, now: Now, says_nothing: bool, actions: &mut Actions) {
        let (state, times) = (self.state, self.check_times());
        let (Some((care, vitals)), Some((every, _))) = (self.cared_mut(), times) else {
            return;
        };
        vitals.life.check = Checking::Due(now.instant + every);
        if state == State::Running && !says_nothing {
            vitals.life.unhealthy = vitals.life.unhealthy.saturating_add(1);
            let retries = care.health.as_ref().map_or(u32::MAX, |health| health.retries.max(1));
            if vitals.life.unhealthy >= retries {
                self.condemn(now, Reason::Health, actions);
            }
        }
    }

    /// After a takeover a check that was under way is made again, and does not count.
    pub(super) fn resume_check(&mut self, now: Instant) {
        if let Some(vitals) = &mut self.vitals
            && let Checking::Asked(_) = vitals.life.check
        {
            vitals.life.check = Checking::Due(now);
        }
    }

    /// As [`Self::resume_check`], for those of its health. They may not have begun yet, or be
    /// asked for no more, where of an edit only the first half was written down.
    pub(super) fn resume_health(&mut self, now: Instant) {
        self.resume_check(now);
        let is_idle = self.check_deadline().is_none();
        let is_asked_for = self.check_times().is_some();
        if is_idle == is_asked_for {
            self.arm_health(now);
        }
    }
}
