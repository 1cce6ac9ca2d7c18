//! Whether a process was killed for want of memory.
//!
//! The kernel counts such kills in a leaf and does not tell whom it has killed: it may have
//! been somebody whom the leader has outlived. So the count is noted whenever there is a
//! reason to look at the service, and only what was counted since, or just now, can have
//! been the leader.

use bardo_core::{ExitStatus, Generation, Signal};
use bardo_sys::cgroup::{Controller, Leaf};
use bardo_sys::clock;

use super::super::children::{Child, Life};
use super::super::world::Machine;

/// How long, in nanoseconds, one that was killed may take to end, and we to hear of it.
const ENDS_WITHIN: u64 = 5_000_000_000;

/// How often, in nanoseconds, the count of a life is read at most: each time is three system
/// calls, and a service may have a thousand heartbeats a second.
const LOOKS_EVERY: u64 = 5_000_000_000;

/// The kills that were counted in the leaf of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    generation: Generation,
    count: u64,
    /// When the last of them was noted.
    at: u64,
    /// When it was last looked whether there are more.
    looked_at: u64,
}

impl Counted {
    /// None yet.
    fn none(generation: Generation) -> Self {
        Self { generation, count: 0, at: 0, looked_at: 0 }
    }

    /// Whether it is not worth while to look again, however often there is a reason to.
    fn is_fresh(&self, generation: Generation, now: u64) -> bool {
        self.generation == generation && now.saturating_sub(self.looked_at) < LOOKS_EVERY
    }

    fn note(&mut self, count: u64, now: u64) {
        self.looked_at = now;
        if count > self.count {
            (self.count, self.at) = (count, now);
        }
    }

    /// Whether the kernel may have killed just now.
    fn has_just_killed(&self, now: u64) -> bool {
        self.count > 0 && now.saturating_sub(self.at) < ENDS_WITHIN
    }
}

impl Machine {
    /// Notes how many were killed in the leaf of a life, if that is not known from just now.
    pub(in crate::daemon) fn count_kills(&mut self, life: Life) {
        let known = self.trees.kills.get(&life.service);
        if known.is_some_and(|known| known.is_fresh(life.generation, clock::monotonic())) {
            return;
        }
        let leaf = self.children.get(life).and_then(|(_, child)| child.leaf.as_deref());
        if let Some(count) = self.kills_in(leaf) {
            self.counted(life, count);
        }
    }

    /// Whether a process was killed for want of memory, as far as its leaf tells.
    pub(in crate::daemon) fn was_short_of_memory(
        &mut self,
        child: &Child,
        status: ExitStatus,
    ) -> bool {
        let is_killed = matches!(status, ExitStatus::Signal { signal: Signal::KILL, .. });
        let leaf = child.leaf.as_deref().filter(|_| is_killed);
        let count = self.kills_in(leaf);
        count.is_some_and(|count| self.counted(child.life, count))
    }

    fn kills_in(&self, leaf: Option<&Leaf>) -> Option<u64> {
        let counts = matches!(&self.trees.root, Some(Ok(root)) if root.has(Controller::Memory));
        leaf.filter(|_| counts).and_then(Leaf::oom_kills)
    }

    /// Takes note of a count; whether the last kill may have been just now.
    fn counted(&mut self, Life { service, generation }: Life, count: u64) -> bool {
        let none = Counted::none(generation);
        let known = self.trees.kills.entry(service).or_insert(none);
        if known.generation != generation {
            *known = none;
        }
        let now = clock::monotonic();
        known.note(count, now);
        known.has_just_killed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_for_a_sign_of_life_all_the_time_is_looked_at_now_and_then() {
        let mut counted = Counted::none(Generation(3));
        let looks = (0..20_000).map(|beat| LOOKS_EVERY + beat * 1_000_000).filter(|now| {
            let is_due = !counted.is_fresh(Generation(3), *now);
            if is_due {
                counted.note(0, *now);
            }
            is_due
        });

        assert_eq!(looks.count(), 4, "in 20 seconds with a heartbeat each millisecond");
        assert!(!counted.is_fresh(Generation(4), counted.looked_at));
    }

    #[test]
    fn only_who_ends_soon_after_a_kill_was_counted_can_have_been_killed() {
        let mut counted = Counted::none(Generation(3));
        counted.note(0, 10);
        assert!(!counted.has_just_killed(10));

        // Somebody else was killed, and is noted again and again.
        counted.note(1, 20);
        counted.note(1, 20 + ENDS_WITHIN);
        assert!(counted.has_just_killed(19 + ENDS_WITHIN));
        assert!(!counted.has_just_killed(20 + ENDS_WITHIN));

        counted.note(2, 30 + ENDS_WITHIN);
        assert!(counted.has_just_killed(40 + ENDS_WITHIN));
    }
}
