//! Captured messages: telling what stands between the marks from what does not.
//!
//! Supervisor (`POutputDispatcher` in its `dispatchers.py`) keeps the last two dozen bytes
//! of a stream back, for they may begin a mark; at the end of the process they are lost.
//! Ours is a state machine that keeps back only what has begun a mark so far, and whoever
//! knows that nothing follows asks for it.
//!
//! One thing surprises a newcomer: nothing is stored but how many bytes of the mark have
//! been met. They are the mark's own bytes, so they need no memory. It works because the
//! first letter of a mark is in it only once: after a mismatch nothing but the byte at hand
//! can begin another one.

const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";
const END: &[u8] = b"<!--XSUPERVISOR:END-->";

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Capture {
    /// Whether it is within a message.
    pub(super) is_within: bool,
    /// How many bytes of the next mark have been met.
    matched: u8,
    /// How many of these have been passed on already, by a target that took only a part.
    passed: u8,
}

/// What follows from a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// What had begun a mark and did not become one.
    pub(super) freed: &'static [u8],
    /// Whether the byte itself is none of a mark's.
    pub(super) emits_byte: bool,
    /// Whether a mark is whole.
    pub(super) is_mark: bool,
    /// Where the stream stands then.
    pub(super) next: Capture,
}

impl Capture {
    /// Bits that [`Self::to_bits`] needs.
    pub(super) const BITS: u32 = 11;

    /// The number that is stored for it.
    pub(super) fn to_bits(self) -> u16 {
        u16::from(self.is_within) | u16::from(self.matched) << 1 | u16::from(self.passed) << 6
    }

    /// The state of a stored number. Unknown ones are the beginning.
    pub(super) fn from_bits(bits: u16) -> Self {
        let is_within = bits & 1 == 1;
        let (matched, passed) = ((bits >> 1 & 31) as u8, (bits >> 6 & 31) as u8);
        let known = Self { is_within, matched, passed };
        let is_possible = usize::from(matched) < known.mark().len() && passed <= matched;
        if is_possible { known } else { Self::default() }
    }

    /// How many of the first bytes cannot have to do with a mark.
    pub(super) fn plain(self, input: &[u8]) -> usize {
        match self.matched {
            0 => input.iter().position(|byte| *byte == BEGIN[0]).unwrap_or(input.len()),
            _ => 0,
        }
    }

    /// Takes in a byte.
    pub(super) fn step(self, byte: u8) -> Step {
        let mark = self.mark();
        let is_within = self.is_within;
        if byte == mark[usize::from(self.matched)] {
            let matched = self.matched + 1;
            let is_mark = usize::from(matched) == mark.len();
            let next = match is_mark {
                true => Self { is_within: !is_within, ..Self::default() },
                false => Self { matched, ..self },
            };
            return Step { freed: &[], emits_byte: false, is_mark, next };
        }
        let freed = self.held_back();
        let begins = byte == mark[0];
        let next = Self { is_within, matched: u8::from(begins), passed: 0 };
        Step { freed, emits_byte: !begins, is_mark: false, next }
    }

    /// What must be passed on if nothing follows.
    pub(super) fn held_back(self) -> &'static [u8] {
        &self.mark()[usize::from(self.passed)..usize::from(self.matched)]
    }

    /// The same place, when so many bytes of what is held back have been passed on.
    pub(super) fn passed_on(self, bytes: usize) -> Self {
        let bytes = u8::try_from(bytes).unwrap_or(u8::MAX);
        Self { passed: self.passed.saturating_add(bytes).min(self.matched), ..self }
    }

    fn mark(self) -> &'static [u8] {
        if self.is_within { END } else { BEGIN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_letter_of_a_mark_is_in_it_once() {
        for mark in [BEGIN, END] {
            assert_eq!(mark.iter().filter(|byte| **byte == mark[0]).count(), 1);
            assert_eq!(mark[0], BEGIN[0]);
            assert!(mark.len() < 32, "its places fit into five bits");
        }
    }

    #[test]
    fn a_state_is_the_same_after_it_was_stored() {
        for is_within in [false, true] {
            for matched in 0..22 {
                for passed in 0..=matched {
                    let state = Capture { is_within, matched, passed };
                    assert_eq!(Capture::from_bits(state.to_bits()), state);
                    assert!(state.to_bits() < 1 << Capture::BITS);
                }
            }
        }
        assert_eq!(Capture::from_bits(u16::MAX), Capture::default());
    }
}
