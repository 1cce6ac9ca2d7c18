//! What waits for others: a start for what the service depends on, a stop for those who
//! depend on it.
//!
//! A service does not know the table. It only knows that it waits; the supervisor finds out
//! for what, and releases it.

use super::{Launch, Order, Service, State, Vitals};
use crate::action::{Action, Actions};
use crate::decision::Wish;
use crate::input::Mood;
use crate::spec::care::Dependency;
use crate::time::Now;

impl Service {
    /// What must be there before it starts.
    #[must_use]
    pub fn dependencies(&self) -> &[Dependency] {
        self.spec.program.care.as_ref().map_or(&[], |care| &care.depends_on)
    }

    /// Whether its start waits for what it depends on.
    #[must_use]
    pub fn is_start_held(&self) -> bool {
        matches!(self.state, State::Starting { launch: Launch::Held, .. })
    }

    /// Whether its stop waits for those who depend on it.
    #[must_use]
    pub fn is_stop_held(&self) -> bool {
        matches!(self.state, State::Stopping { order: Order::Held, .. })
    }

    /// Whether it has executed its program.
    #[must_use]
    pub fn is_executed(&self) -> bool {
        let is_executed = matches!(
            self.state,
            State::Starting { launch: Launch::Executed | Launch::Dead { .. }, .. }
        );
        is_executed || self.state == State::Running
    }

    /// Whether its present life was initialised, or the one before that it takes the place of.
    #[must_use]
    pub(crate) fn was_ready(&self) -> bool {
        let of_life = |vitals: &Vitals| vitals.recovers || vitals.life.ready_at.is_some();
        self.vitals.as_deref().is_some_and(of_life)
    }

    /// Whether it has a process that was not told to stop.
    #[must_use]
    pub(crate) fn is_stoppable(&self) -> bool {
        let is_cloned = matches!(
            self.state,
            State::Starting {
                launch: Launch::Cloned { .. } | Launch::Executed | Launch::Dead { .. },
                ..
            }
        );
        is_cloned || self.state == State::Running
    }

    /// How a start of it begins.
    pub(super) fn first_launch(&self) -> Launch {
        if self.dependencies().is_empty() { Launch::Requested } else { Launch::Held }
    }

    /// It is to stop once it is released. What has no process has nobody to wait for.
    pub(super) fn hold_stop(&mut self, now: Now, actions: &mut Actions) {
        self.wants(self.goal.lowered());
        self.end_check(actions);
        // It has no time to be killed at before it was told to stop.
        let kill_at = now.instant;
        self.enter(State::Stopping { kill_at, order: Order::Held }, false, actions);
    }

    /// What it waited for is there, or gone.
    pub(super) fn release(&mut self, now: Now, mood: Mood, actions: &mut Actions) {
        if self.is_start_held() {
            // The wait for others is no part of its start.
            self.started = Some(now.wall);
            self.state = State::Starting { since: now.instant, launch: Launch::Requested };
            let (service, generation) = (self.id, self.generation);
            actions.push(Action::Spawn { service, generation });
        } else if self.is_stop_held() {
            // Somebody may want it up again once it has stopped.
            let goal = self.goal;
            let is_end = matches!(mood, Mood::Restarting | Mood::Shutdown);
            self.stop(now, if is_end { Wish::End } else { Wish::Client }, actions);
            self.goal = goal;
        }
    }
}
