//! Streams that are not in their logs yet, and how many of them a program may have.
//!
//! Each holds descriptors here and in the keeper until its last byte is where it belongs. A
//! program that ends again and again while its log takes nothing would use them all up; so
//! it is not started any more until some of what it has written is in its log. No byte is
//! given up, and the others go on.

use bardo_core::ServiceId;

/// Most streams that a program may have, those of its present life among them: this part
/// of all descriptors, and at least and at most so many. A log pump that is merely busy,
/// with thousands of programs that start, is not so far behind.
const OWN_PART: u64 = 32;
const OWN_LEAST: u32 = 32;
const OWN_MOST: u32 = 512;

/// Streams of lives that are over from which on no program may have any beside those of one
/// life: many programs share a disk that takes nothing.
const OVER_MAX: u32 = 2048;

/// Streams of one life, which may have ended just now.
const OF_A_LIFE: u32 = 2;

/// How many streams are not in their logs yet.
#[derive(Debug)]
pub(super) struct Undrained {
    /// Most of a service.
    own_max: u32,
    /// Of each service, by place.
    own: Vec<u32>,
    all: u32,
}

impl Undrained {
    /// None yet, where there are at most so many descriptors.
    pub(super) fn new(descriptors: u64) -> Self {
        let part = u32::try_from(descriptors / OWN_PART).unwrap_or(u32::MAX);
        Self { own_max: part.clamp(OWN_LEAST, OWN_MOST), own: Vec::new(), all: 0 }
    }

    /// The log pump is given a stream.
    pub(super) fn attached(&mut self, service: ServiceId) {
        let place = service.0 as usize;
        if place >= self.own.len() {
            self.own.resize(place + 1, 0);
        }
        self.own[place] += 1;
        self.all += 1;
    }

    /// A stream is in its log, to its last byte.
    pub(super) fn drained(&mut self, service: ServiceId) {
        if let Some(own) = self.own.get_mut(service.0 as usize).filter(|own| **own > 0) {
            *own -= 1;
            self.all -= 1;
        }
    }

    /// Whether a program may be given another life, while there are so many processes.
    pub(super) fn may_begin(&self, service: ServiceId, processes: usize) -> bool {
        let own = self.own.get(service.0 as usize).copied().unwrap_or(0);
        let living = u32::try_from(processes).unwrap_or(u32::MAX).saturating_mul(2);
        let most =
            if self.all.saturating_sub(living) < OVER_MAX { self.own_max } else { OF_A_LIFE + 1 };
        own < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPS: ServiceId = ServiceId(3);
    const OTHER: ServiceId = ServiceId(7);

    #[test]
    fn a_program_whose_streams_are_not_drained_waits_for_them_and_no_other_does() {
        let mut undrained = Undrained::new(1024);
        (0..OWN_LEAST).for_each(|_| undrained.attached(LOOPS));

        assert!(!undrained.may_begin(LOOPS, 0));
        assert!(undrained.may_begin(OTHER, 0));
        undrained.drained(LOOPS);
        assert!(undrained.may_begin(LOOPS, 0));
    }

    #[test]
    fn when_many_wait_each_may_have_one_life_and_the_one_that_has_just_ended() {
        let mut undrained = Undrained::new(1024);
        for service in 0..OVER_MAX {
            undrained.attached(ServiceId(service));
        }
        // Its life has two streams, and has ended just now: that is no delay.
        undrained.attached(LOOPS);
        assert!(undrained.may_begin(LOOPS, 0));

        undrained.attached(LOOPS);

        assert!(!undrained.may_begin(LOOPS, 0));
        assert!(undrained.may_begin(ServiceId(OVER_MAX), 0));
        assert!(undrained.may_begin(LOOPS, 2), "some belong to lives that are not over");
    }
}
