//! Lines of the main log that are owed: what was decided about the end of a process.
//!
//! What such a line tells of is recorded and acted upon at once, and nobody comes to say it
//! again. So it is promised in the entry that records it. The log pump says which lines are
//! written; a successor has the others written, with the time at which they were decided.

use std::collections::VecDeque;
use std::sync::Arc;

use bardo_core::{ExitStatus, Notice, ServiceId, Supervisor};
use bardo_sys::clock::{self, LocalTime};

use super::journal::Entry;
use super::main_log::{self, Level};
use super::pump::OwedLine;
use super::world::Machine;
use crate::words;

/// Most lines that are owed while the log takes nothing: with what it costs to keep them
/// that is two megabytes. What ends beyond that is said as anything else is, and counted where
/// there is no room for it. What ends in one turn is promised whatever its number is.
const WAITING_MAX: usize = 8192;

/// How a life has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nobody had told the process to.
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// Whether that is fine.
        expected: bool,
    },
    /// The process had been told to.
    Stopped {
        /// How it ended.
        status: ExitStatus,
        /// Whether its exit code is an expected one.
        expected: bool,
    },
    /// No further start is tried.
    GaveUp,
}

/// A line that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// Its number: larger than that of every one before it.
    pub number: u64,
    /// When it was decided: nanoseconds since 1970.
    pub at: i64,
    /// The name of the program.
    pub name: Arc<str>,
    /// What has happened to it.
    pub end: End,
}

/// All lines that are owed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owed {
    kept: VecDeque<Promise>,
    last: u64,
}

impl End {
    /// Whose end a notice tells of, and which it is.
    #[must_use]
    pub fn of(notice: &Notice) -> Option<(ServiceId, Self)> {
        match *notice {
            Notice::Exited { service, status, expected } => {
                Some((service, Self::Exited { status, expected }))
            }
            Notice::Stopped { service, status, expected } => {
                Some((service, Self::Stopped { status, expected }))
            }
            Notice::GaveUp(service) => Some((service, Self::GaveUp)),
            _ => None,
        }
    }
}

impl Promise {
    /// The line, where its level is wanted.
    fn line(&self, level: Level) -> Option<OwedLine> {
        let (of, text) = words::end(&self.name, self.end);
        let text = || main_log::line(LocalTime::of(self.at), of, &text);
        (of >= level).then(|| OwedLine { number: self.number, text: text() })
    }
}

impl Owed {
    /// All that was promised and what the last number was, as a journal has it.
    #[must_use]
    pub fn restore(last: u64, kept: Vec<Promise>) -> Self {
        Self { kept: kept.into(), last }
    }

    /// The last number.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The last number that somebody has had, where the log pump knows of lines up to that
    /// one: an older version in between has forgotten what was promised.
    #[must_use]
    pub fn last_beside(&self, said: u64) -> u64 {
        self.last.max(said)
    }

    /// What is promised, in order.
    pub fn kept(&self) -> impl Iterator<Item = &Promise> {
        self.kept.iter()
    }

    /// The lines, as the main log is to have them. What it is not to have is owed no more:
    /// nobody would ever say that it was written.
    #[must_use]
    pub fn lines(&mut self, level: Level) -> Vec<OwedLine> {
        let mut lines = Vec::new();
        self.kept.retain(|promise| {
            let line = promise.line(level);
            let is_wanted = line.is_some();
            lines.extend(line);
            is_wanted
        });
        lines
    }

    /// Something is promised.
    pub fn add(&mut self, promise: Promise) {
        self.last = self.last.max(promise.number);
        self.kept.push_back(promise);
    }

    /// Those up to this number are written.
    fn settle(&mut self, said: u64) {
        while self.kept.front().is_some_and(|promise| promise.number <= said) {
            self.kept.pop_front();
        }
    }

    /// Whether more may be owed, where those up to this number were handed to the log pump.
    fn has_room(&self, handed_on: u64) -> bool {
        self.kept.partition_point(|promise| promise.number <= handed_on) < WAITING_MAX
    }

    /// Where the one of that number is.
    fn find(&self, number: u64) -> Option<usize> {
        self.kept.binary_search_by_key(&number, |promise| promise.number).ok()
    }
}

impl Machine {
    /// Promises a line: the next record writes it down. Each gets a number, so that it is
    /// found again when it is said.
    pub(super) fn promise(&mut self, supervisor: &Supervisor, notice: &Notice) {
        self.numbered += 1;
        let owed = &mut self.surroundings.owed;
        owed.settle(self.pump.said());
        if !owed.has_room(self.handed_on) {
            return;
        }
        let Some((service, end)) = End::of(notice) else { return };
        let Some(service) = supervisor.service(service) else { return };
        let (at, name) = (clock::wall_nanoseconds(), Arc::clone(&service.spec.name));
        self.promised.push(Promise { number: self.numbered, at, name, end });
    }

    /// Says what was decided about an end, as it was promised.
    pub(super) fn say_promised(&mut self, supervisor: &Supervisor, notice: &Notice) {
        self.handed_on += 1;
        let owed = &mut self.surroundings.owed;
        let Some(place) = owed.find(self.handed_on) else {
            // There was no room for a promise.
            if let Some((level, text)) = words::notice(supervisor, notice) {
                self.log(level, &text);
            }
            return;
        };
        match owed.kept[place].line(self.log_level) {
            Some(line) => self.pump.owed_line(line),
            // Nobody will ever say that it was written.
            None => drop(owed.kept.remove(place)),
        }
    }
}

/// Takes what is promised and has it written down.
pub(super) fn keep(promised: &mut Vec<Promise>, owed: &mut Owed, mut write: impl FnMut(&Entry)) {
    for promise in promised.drain(..) {
        owed.add(promise.clone());
        write(&Entry::Owed(promise));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(number: u64) -> Promise {
        let end = End::Exited { status: ExitStatus::Code(3), expected: false };
        Promise { number, at: 5_000_000, name: "web".into(), end }
    }

    fn numbers(owed: &Owed) -> Vec<u64> {
        owed.kept().map(|promise| promise.number).collect()
    }

    #[test]
    fn what_is_written_is_owed_no_more() {
        let mut owed = Owed::default();
        [4, 5, 9].into_iter().for_each(|number| owed.add(promise(number)));

        assert_eq!([owed.find(5), owed.find(6)], [Some(1), None]);
        owed.settle(5);

        assert_eq!((numbers(&owed), owed.last()), (vec![9], 9));
    }

    #[test]
    fn numbers_go_on_behind_what_the_pump_has_written() {
        let mut owed = Owed::default();
        assert_eq!(owed.last_beside(7), 7);
        let next = owed.last_beside(7) + 1;
        owed.add(promise(next));
        owed.settle(7);

        assert_eq!(numbers(&owed), [8]);
        assert_eq!(owed.last_beside(7), 8);
    }

    #[test]
    fn what_ends_in_one_turn_is_owed_and_what_ends_while_too_many_wait_is_not() {
        let mut owed = Owed::default();
        let ends = WAITING_MAX as u64 + 2;
        (1..=ends).for_each(|number| owed.add(promise(number)));

        assert_eq!(numbers(&owed).len() as u64, ends);
        assert!(owed.has_room(0) && owed.has_room(WAITING_MAX as u64 - 1));
        assert!(!owed.has_room(ends));
        owed.settle(3);

        assert!(owed.has_room(ends));
    }

    #[test]
    fn a_line_has_the_time_of_the_decision_and_is_left_out_below_its_level() {
        let mut owed = Owed::default();
        owed.add(promise(7));

        let lines = owed.lines(Level::Warn);

        let text = String::from_utf8(lines[0].text.clone()).unwrap();
        assert!(text.ends_with(",005 WARN exited: web (exit status 3; not expected)\n"), "{text}");
        assert_eq!(owed.lines(Level::Error), []);
        assert_eq!(owed.kept().count(), 0, "nobody would say that it was written");
    }
}
