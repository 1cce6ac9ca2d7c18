//! Signs of life: a service with a period owes one for each.
//!
//! ```text
//!   sign of life      + P: it is asked      + 2P: it is hung
//!   -----+------------------+-------------------+---------->
//! ```
//!
//! Both times count from the sign of life and never from the question. Those whose turn comes
//! at about the same time are asked in the same moment, a little before it: one waking serves
//! them all. Who says by itself that it lives is not asked. A supervisor that was itself late
//! cannot know whether it was answered: it waits for one more period.

use std::time::Duration;

use super::{Service, State};
use crate::action::{Action, Actions};
use crate::decision::Reason;
use crate::mutant::{self, Mutant};
use crate::time::{Instant, Now};

/// How many moments a period has in which services are asked.
const MOMENTS: u32 = 64;

/// What lies between two such moments at most.
const MOMENT_MAX: Duration = Duration::from_secs(1);

/// When one is asked that gave a sign of life now.
fn asked_at(now: Instant, period: Duration) -> Instant {
    let apart = (period / MOMENTS).clamp(Duration::from_nanos(1), MOMENT_MAX).as_nanos();
    let due = now + period;
    let beyond = u128::from(due.0) % apart;
    due - Duration::from_nanos(u64::try_from(beyond).unwrap_or_default())
}

impl Service {
    /// How often it owes a sign of life, and whether it is asked for it.
    fn period(&self) -> Option<(Duration, bool)> {
        let (care, vitals) = self.cared()?;
        let (period, is_asked) = match vitals.life.period {
            Some(own) => (own, false),
            None => (care.heartbeat?.period, true),
        };
        (period > Duration::ZERO).then_some((period, is_asked))
    }

    /// The heartbeat begins, or is another one from now on.
    pub(super) fn arm_heartbeat(&mut self, now: Instant) {
        let period = self.period();
        if let Some(vitals) = &mut self.vitals {
            let life = &mut vitals.life;
            life.alive_at = Some(now);
            life.hung_at = period.map(|(period, _)| now + period * 2);
            life.ping_at =
                period.and_then(|(period, is_asked)| is_asked.then(|| asked_at(now, period)));
        }
    }

    /// It has given a sign of life.
    pub(super) fn lives(&mut self, now: Instant) {
        if self.state == State::Running && self.verdict().is_none() {
            self.arm_heartbeat(now);
        }
    }

    pub(super) fn heartbeat_timeout(&mut self, now: Now, actions: &mut Actions) {
        let (service, generation, period) = (self.id, self.generation, self.period());
        let (Some(vitals), Some((period, _))) = (&mut self.vitals, period) else {
            return;
        };
        let is_late = |due: Instant| {
            now.instant.since(due) > period / 2 && !mutant::on(Mutant::KillsWhenLate)
        };
        let (pings, life) = (&mut vitals.pings, &mut vitals.life);
        if let Some(due) = life.ping_at.filter(|due| *due <= now.instant) {
            life.ping_at = None;
            *pings = pings.wrapping_add(1);
            actions.push(Action::Ping { service, generation, number: *pings });
            if mutant::on(Mutant::CountsFromPing) {
                life.hung_at = Some(now.instant + period * 2);
            }
            if is_late(due) {
                life.hung_at = life.hung_at.map(|hung| hung.max(now.instant + period));
            }
        }
        match life.hung_at {
            Some(due) if due <= now.instant && is_late(due) => {
                life.hung_at = Some(now.instant + period);
            }
            Some(due) if due <= now.instant => self.condemn(now, Reason::NoHeartbeat, actions),
            Some(_) | None => {}
        }
    }

    /// After a takeover nobody knows what was asked and answered: it is asked again, and has
    /// a period for that. What was armed may be another period's, or none, where of an edit
    /// only the first half was written down.
    pub(super) fn resume_heartbeat(&mut self, now: Instant) {
        let period = self.period();
        let Some(vitals) = &mut self.vitals else {
            return;
        };
        let life = &mut vitals.life;
        life.hung_at = period.map(|(period, _)| {
            let least = now + period;
            life.hung_at.map_or(least, |hung| hung.max(least))
        });
        life.ping_at =
            period.and_then(|(_, is_asked)| is_asked.then(|| life.ping_at.unwrap_or(now)));
    }
}
