//! Exit statuses, kept until a supervisor is done with them.

use crate::protocol::Exit;

/// Most records that wait. When they are full nothing more is reaped: the kernel
/// keeps the rest, and nothing is lost.
const RECORDS_MAX: usize = 1 << 16;

/// The records that nobody is done with, oldest first. Their numbers rise by one,
/// so a number is a place in the ring. A ring that is empty begins anew, so that only as
/// much memory is touched as records have waited at once.
#[derive(Debug)]
pub(crate) struct Exits {
    records: Box<[[u64; 3]]>,
    /// The number of the record that is at the first place.
    first: u64,
    /// The number of the oldest record that is kept.
    oldest: u64,
    /// The number that the next record gets.
    next: u64,
}

impl Exits {
    /// The first record will have this number.
    pub(crate) fn new(first: u64) -> Self {
        // Zeroed memory of this size is not there until it is touched.
        let records = vec![[0; 3]; RECORDS_MAX].into();
        Self { records, first, oldest: first, next: first }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.next - self.oldest < RECORDS_MAX as u64
    }

    pub(crate) fn push(&mut self, pid: u32, status: i32, at: u64) {
        if self.is_empty() {
            self.first = self.next;
        }
        let exit = Exit { sequence: self.next, pid, status, at };
        self.records[self.place(self.next)] = exit.to_words();
        self.next += 1;
    }

    /// The record of that number, or the oldest one after it; `None` when all later
    /// ones are yet to come.
    pub(crate) fn from(&self, sequence: u64) -> Option<Exit> {
        let sequence = sequence.max(self.oldest);
        (sequence < self.next).then(|| Exit::from_words(self.records[self.place(sequence)]))
    }

    /// Whether there is a record of this process.
    pub(crate) fn has(&self, pid: u32) -> bool {
        let mut all = (self.oldest..self.next).filter_map(|sequence| self.from(sequence));
        all.any(|exit| exit.pid == pid)
    }

    /// Forgets the records up to this number.
    pub(crate) fn forget(&mut self, sequence: u64) {
        self.oldest = self.oldest.max(sequence.saturating_add(1).min(self.next));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.oldest == self.next
    }

    fn place(&self, sequence: u64) -> usize {
        ((sequence - self.first) % RECORDS_MAX as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_kept_until_they_are_done_with() {
        let mut exits = Exits::new(1);
        (1..=5).for_each(|pid| exits.push(pid, 0, u64::from(pid) * 10));

        exits.forget(2);

        assert_eq!(exits.from(0).map(|exit| (exit.sequence, exit.pid)), Some((3, 3)));
        assert_eq!(exits.from(5).map(|exit| (exit.pid, exit.at)), Some((5, 50)));
        assert_eq!(exits.from(6), None);
        exits.forget(100);
        assert!(exits.is_empty());
        exits.push(6, 0, 60);
        assert_eq!(exits.from(0).map(|exit| (exit.sequence, exit.pid)), Some((6, 6)));
    }

    #[test]
    fn no_more_places_are_used_than_records_wait_at_once() {
        let mut exits = Exits::new(1);

        for number in 1..=100 {
            exits.push(number, 0, 0);
            exits.push(number, 1, 0);
            let waiting = [exits.from(0), exits.from(u64::from(2 * number))];
            assert_eq!(waiting.map(|exit| exit.map(|exit| exit.status)), [Some(0), Some(1)]);
            exits.forget(u64::from(2 * number));
        }

        assert!(exits.records[2..].iter().all(|record| *record == [0; 3]));
    }

    #[test]
    fn a_full_ring_has_no_room_until_something_is_forgotten() {
        let mut exits = Exits::new(1);
        (0..RECORDS_MAX as u32).for_each(|pid| exits.push(pid, 0, 0));

        assert!(!exits.has_room());
        exits.forget(1);
        assert!(exits.has_room());
    }
}
