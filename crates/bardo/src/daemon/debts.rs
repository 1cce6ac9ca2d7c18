//! What nobody waits for, and what is done when there is time for it: the keeper is told what
//! it need not hold any more, channels of the dead are closed, and what the next lives of
//! services will want is made.
//!
//! A birth comes before all of that. Some are never over, so what is over does not wait for
//! them for long.

use bardo_keeper::protocol::{Key, Roles, ToKeeper};
use bardo_sys::clock;
use bardo_sys::limits::{self, Limited};

use super::trees;
use super::world::Machine;

/// How long, in nanoseconds, what is over waits for births, and the end of a stream for that
/// of its process.
const WITHIN: u64 = 10_000_000;

/// Among how many keys the one of a life is looked for: what belongs together comes together.
const LOOKED_THROUGH: usize = 8;

/// What the keeper need not hold any more, and has not been told of yet.
#[derive(Debug, Default)]
pub(super) struct Debts {
    done_with: Vec<(Key, Roles)>,
    /// Whether some of that is of a life that is over.
    is_one_over: bool,
    /// When all of it is done at the latest.
    due_at: Option<u64>,
}

impl Debts {
    /// The keeper need not hold something any more. It is told once for all that a life had.
    pub(super) fn done_with(&mut self, key: Key, roles: Roles) {
        let mut last = self.done_with.iter_mut().rev().take(LOOKED_THROUGH);
        match last.find(|(whose, _)| *whose == key) {
            Some((_, all)) => *all = all.and(roles),
            None => self.done_with.push((key, roles)),
        }
    }

    /// The same, of a life that is over.
    pub(super) fn life_is_over(&mut self, key: Key, roles: Roles) {
        self.is_one_over = true;
        self.done_with(key, roles);
    }

    /// In how many nanoseconds it is to be done.
    pub(super) fn due_in(&self, now: u64) -> Option<u64> {
        self.due_at.map(|at| at.saturating_sub(now))
    }

    /// What the keeper is told now. The end of a stream is mostly followed by that of its
    /// process, and the keeper, which tells of that, is not disturbed in between.
    fn take_due(&mut self, is_busy: bool, now: u64) -> Option<Vec<(Key, Roles)>> {
        let is_due = !is_busy && self.is_one_over || self.due_in(now) == Some(0);
        is_due.then(|| {
            (self.is_one_over, self.due_at) = (false, None);
            std::mem::take(&mut self.done_with)
        })
    }

    /// Sees to it that what is left is done in time.
    fn settle(&mut self, has_more: bool, now: u64) {
        let is_owing = has_more || !self.done_with.is_empty();
        let due_at = self.due_at.unwrap_or_else(|| now.saturating_add(WITHIN));
        self.due_at = is_owing.then_some(due_at);
    }
}

impl Machine {
    /// Does what nobody waits for, as far as there is time for it; whether more is to be made.
    pub(super) fn catch_up(&mut self, is_busy: bool) -> bool {
        let now = clock::monotonic();
        if let Some(done_with) = self.debts.take_due(is_busy, now) {
            self.channels.bury();
            for (key, roles) in done_with {
                self.tell(ToKeeper::Drop(key, roles));
            }
        }
        self.debts.settle(self.channels.has_remains(), now);
        if !is_busy {
            let below = || trees::left_from(limits::get(Limited::Descriptors).soft);
            self.children.stock.fill(self.channels.count(), below);
        }
        self.trees.tidy(is_busy)
    }

    /// Closes what was made before anybody wants it; whether there was anything.
    pub(super) fn give_up_ahead(&mut self) -> bool {
        // Both of them.
        self.trees.give_up() | self.children.stock.give_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Key = Key { owner: 7, life: 3 };

    #[test]
    fn the_keeper_is_told_once_of_all_that_a_life_had() {
        let mut debts = Debts::default();
        debts.done_with(LIFE, Roles::STDOUT);
        debts.done_with(LIFE, Roles::STDERR);
        debts.life_is_over(LIFE, Roles::STDIN);

        let all = Roles::STDOUT.and(Roles::STDERR).and(Roles::STDIN);
        assert_eq!(debts.take_due(false, 0), Some(vec![(LIFE, all)]));
        assert_eq!(debts.take_due(false, 0), None);
    }

    #[test]
    fn the_end_of_a_stream_waits_for_that_of_its_process_and_not_for_ever() {
        let mut debts = Debts::default();
        debts.done_with(LIFE, Roles::STDOUT);
        debts.settle(false, 5);

        assert_eq!(debts.take_due(false, 5), None);
        assert_eq!(debts.due_in(5), Some(WITHIN));
        debts.settle(false, 9);
        assert_eq!(debts.due_in(9), Some(WITHIN - 4), "it is not put off again");
        assert!(debts.take_due(true, 5 + WITHIN).is_some());
        debts.settle(false, 5 + WITHIN);
        assert_eq!(debts.due_in(0), None, "nothing is owed");
    }

    #[test]
    fn what_is_over_waits_for_a_birth_and_not_for_one_that_never_ends() {
        let mut debts = Debts::default();
        debts.life_is_over(LIFE, Roles::STDIN);
        debts.settle(true, 0);

        assert_eq!(debts.take_due(true, WITHIN - 1), None);
        assert!(debts.take_due(true, WITHIN).is_some());
    }
}
