//! The decisions that those are told who watch: each of them once and in order, as long as
//! a watcher does not lag too far behind.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// Most decisions that are remembered for watchers who lag behind. One who has missed more
/// is told so, and asks for those that are kept.
const REMEMBERED_MAX: usize = 1024;

/// What a watcher is told who has missed some.
const MISSED: &str = "event: missed\ndata: {}\n\n";

/// The decisions that were made while somebody watched.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The last ones, written out; `None` stands for those that got lost.
    last: VecDeque<Option<String>>,
    /// How many there were before them.
    before: u64,
}

impl Told {
    /// How many there have been.
    pub(super) fn count(&self) -> u64 {
        self.before + self.last.len() as u64
    }

    /// Takes some in, behind those that got lost.
    pub(super) fn take(&mut self, missed: bool, decisions: impl Iterator<Item = String>) {
        self.last.extend(missed.then_some(None));
        self.last.extend(decisions.map(Some));
        while self.last.len() > REMEMBERED_MAX {
            self.last.pop_front();
            self.before += 1;
        }
    }

    /// Forgets all: nobody watches.
    pub(super) fn forget(&mut self) {
        self.before = self.count();
        self.last = VecDeque::new();
    }

    /// The events for one who has been told the first so many.
    pub(super) fn since(&self, count: u64) -> String {
        let mut events = String::new();
        if count < self.before {
            events.push_str(MISSED);
        }
        let known = usize::try_from(count.saturating_sub(self.before)).unwrap_or(usize::MAX);
        for decision in self.last.iter().skip(known) {
            match decision {
                // Writing to a text does not fail.
                Some(json) => drop(write!(events, "event: decision\ndata: {json}\n\n")),
                None => events.push_str(MISSED),
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(numbers: std::ops::Range<usize>) -> impl Iterator<Item = String> {
        numbers.map(|number| number.to_string())
    }

    #[test]
    fn each_is_told_once_and_in_order() {
        let mut told = Told::default();
        told.take(false, texts(0..2));
        let known = told.count();
        told.take(false, texts(2..4));

        let event = |number| format!("event: decision\ndata: {number}\n\n");
        assert_eq!(told.since(known), event(2) + &event(3));
        assert_eq!(told.since(told.count()), "");
    }

    #[test]
    fn who_lags_too_far_behind_is_told_that_he_has_missed_some() {
        let mut told = Told::default();
        told.take(false, texts(0..REMEMBERED_MAX + 1));

        let events = told.since(0);

        assert!(events.starts_with("event: missed\n"), "{events}");
        assert_eq!(events.matches("event: decision").count(), REMEMBERED_MAX);
        assert!(told.since(1).starts_with("event: decision\ndata: 1\n"));
    }

    #[test]
    fn what_got_lost_before_it_was_told_is_told_of() {
        let mut told = Told::default();
        let known = told.count();
        told.take(true, texts(0..1));

        assert_eq!(told.since(known), format!("{MISSED}event: decision\ndata: 0\n\n"));
        told.forget();
        assert_eq!(told.since(told.count()), "");
    }
}
