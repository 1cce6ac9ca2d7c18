//! Which service has the earliest deadline, without looking at all of them.
//!
//! An indexed binary heap: every key has at most one deadline, which can be moved
//! or taken away, and nothing is allocated once the tables have grown to the
//! number of services.

use std::iter;

use crate::time::Instant;

const ABSENT: u32 = u32::MAX;

/// Deadlines by key.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// A heap of (deadline, key), the earliest first; equal ones by key.
    heap: Vec<(Instant, u32)>,
    /// Where each key stands in the heap.
    places: Vec<u32>,
}

impl Timers {
    /// Gives `key` this deadline in place of the one it had.
    pub(crate) fn set(&mut self, key: u32, deadline: Option<Instant>) {
        let index = key as usize;
        if index >= self.places.len() {
            if deadline.is_none() {
                return;
            }
            self.places.resize(index + 1, ABSENT);
        }
        let place = self.places[index];
        match (place, deadline) {
            (ABSENT, None) => {}
            (ABSENT, Some(deadline)) => {
                self.heap.push((deadline, key));
                self.rise(self.heap.len() - 1);
            }
            (place, Some(deadline)) => {
                self.heap[place as usize].0 = deadline;
                self.settle(place as usize);
            }
            (place, None) => {
                self.places[index] = ABSENT;
                let last = self.heap.pop().expect("a key with a place is in the heap");
                if (place as usize) < self.heap.len() {
                    self.heap[place as usize] = last;
                    self.settle(place as usize);
                }
            }
        }
    }

    /// The earliest deadline and its key.
    pub(crate) fn first(&self) -> Option<(Instant, u32)> {
        self.heap.first().copied()
    }

    /// The keys whose deadline has come, in no order.
    pub(crate) fn due(&self, now: Instant) -> impl Iterator<Item = u32> {
        let mut next = Some(0);
        iter::from_fn(move || {
            loop {
                let place = next?;
                let due = self.heap.get(place).filter(|(deadline, _)| *deadline <= now);
                next = if due.is_some() { Some(2 * place + 1) } else { beside(place) };
                if let Some((_, key)) = due {
                    return Some(*key);
                }
            }
        })
    }

    fn settle(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            self.heap.swap(place, (place - 1) / 2);
            self.note(place);
            place = (place - 1) / 2;
        }
        self.note(place);
        place
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            let Some(&left_entry) = self.heap.get(left) else {
                break;
            };
            let right_is_less = self.heap.get(left + 1).is_some_and(|right| *right < left_entry);
            let child = if right_is_less { left + 1 } else { left };
            if self.heap[place] <= self.heap[child] {
                break;
            }
            self.heap.swap(place, child);
            self.note(place);
            place = child;
        }
        self.note(place);
    }

    fn note(&mut self, place: usize) {
        self.places[self.heap[place].1 as usize] =
            u32::try_from(place).expect("there are fewer services than u32::MAX");
    }
}

/// The place that is looked at next when nothing below this one is due.
fn beside(mut place: usize) -> Option<usize> {
    while place > 0 && place.is_multiple_of(2) {
        place = (place - 1) / 2;
    }
    (place > 0).then_some(place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A small generator of numbers, so that the test needs no dependency.
    fn next(seed: &mut u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    }

    #[test]
    fn the_first_is_always_the_earliest() {
        let mut seed = 0x5eed;
        let mut timers = Timers::default();
        let mut model: Vec<Option<Instant>> = vec![None; 20];

        for _ in 0..5000 {
            let key = next(&mut seed) % 20;
            let deadline =
                (!next(&mut seed).is_multiple_of(3)).then(|| Instant(next(&mut seed) % 50));
            timers.set(u32::try_from(key).unwrap(), deadline);
            model[usize::try_from(key).unwrap()] = deadline;

            let least: Option<(Instant, u32)> = model
                .iter()
                .zip(0..)
                .filter_map(|(deadline, key)| deadline.map(|deadline| (deadline, key)))
                .collect::<BTreeSet<_>>()
                .first()
                .copied();
            assert_eq!(timers.first(), least);
            let now = Instant(next(&mut seed) % 50);
            let is_due = |deadline: &Option<Instant>| deadline.is_some_and(|it| it <= now);
            let due = model.iter().zip(0..).filter(|(deadline, _)| is_due(deadline));
            let mut told: Vec<u32> = timers.due(now).collect();
            told.sort_unstable();
            assert_eq!(told, due.map(|(_, key)| key).collect::<Vec<u32>>());
        }
    }
}
