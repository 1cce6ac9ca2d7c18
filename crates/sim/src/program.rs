//! What programs do: live for ever, crash, ignore a signal, never come to their
//! first instruction. A service has a nature for a whole seed; each of its lives
//! is a script that the nature draws.

use std::time::Duration;

use bardo_core::{ExitStatus, Signal};

use crate::random::Random;

/// The character of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// It runs until it is told to stop.
    Steady,
    /// It dies now and then.
    Crasher,
    /// It dies around the end of its start, just before, at, or just after it.
    Borderline,
    /// It dies at once.
    Doomed,
    /// It does its work and ends.
    OneShot,
    /// It does not care for signals.
    Stubborn,
    /// It is long on the way to its program, or never gets there.
    Slow,
    /// Anything.
    Moody,
}

/// One life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// How its birth goes.
    pub birth: Birth,
    /// When it ends by itself, counted from the first instruction, and how.
    pub end: Option<(Duration, ExitStatus)>,
    /// What a signal that asks it to stop makes of it.
    pub stop: Reaction,
}

/// How a birth goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Birth {
    /// It executes its program after this time.
    Executes(Duration),
    /// A step before the program fails after this time, with this errno.
    Fails(Duration, i32),
    /// It stays between its birth and its program until it is killed.
    Stuck,
}

/// What a signal that asks it to stop makes of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// It cleans up for this long and ends with this code.
    Exits(Duration, u8),
    /// It dies of the signal.
    Dies,
    /// Nothing.
    Ignores,
}

const ENOENT: i32 = 2;
const ENOEXEC: i32 = 8;

impl Nature {
    /// The nature of a program, by the seed and its name.
    #[must_use]
    pub fn of(seed: u64, name: &str) -> Self {
        Random::named(seed, name).pick(&[
            Self::Steady,
            Self::Steady,
            Self::Crasher,
            Self::Borderline,
            Self::Doomed,
            Self::OneShot,
            Self::Stubborn,
            Self::Slow,
            Self::Moody,
        ])
    }

    /// Draws a life; `span` is how long its start takes to count as a success.
    #[must_use]
    pub fn live(self, random: &mut Random, span: Duration) -> Script {
        let nature = match self {
            Self::Moody => random.pick(&[
                Self::Steady,
                Self::Crasher,
                Self::Borderline,
                Self::Doomed,
                Self::OneShot,
                Self::Stubborn,
                Self::Slow,
            ]),
            settled => settled,
        };
        Script {
            birth: nature.birth(random),
            end: nature.end(random, span),
            stop: nature.stop(random),
        }
    }

    fn birth(self, random: &mut Random) -> Birth {
        let moment = Duration::from_micros(random.below(2000));
        match (self, random.below(100)) {
            (Self::Slow, 0..20) => Birth::Stuck,
            (Self::Slow, 20..60) => Birth::Executes(Duration::from_millis(random.below(15_000))),
            (_, 95..98) => Birth::Fails(moment, random.pick(&[ENOENT, ENOEXEC])),
            (_, 98) => Birth::Executes(Duration::from_millis(random.below(8000))),
            _ => Birth::Executes(moment),
        }
    }

    fn end(self, random: &mut Random, span: Duration) -> Option<(Duration, ExitStatus)> {
        let after = match self {
            Self::Crasher => Duration::from_millis(random.below(20_000)),
            Self::Borderline => match random.below(4) {
                0 => span,
                1 => span.saturating_sub(Duration::from_micros(random.below(3000))),
                2 => span + Duration::from_nanos(1),
                _ => span + Duration::from_micros(random.below(3000)),
            },
            Self::Doomed => Duration::from_nanos(random.below(2_000_000)),
            Self::OneShot => Duration::from_millis(random.below(6000)),
            Self::Steady | Self::Stubborn | Self::Slow | Self::Moody => return None,
        };
        let status = match random.below(6) {
            0..=2 => ExitStatus::Code(0),
            3 => ExitStatus::Code(7),
            4 => ExitStatus::Signal { signal: Signal::KILL, core: false },
            _ => ExitStatus::Signal { signal: Signal::QUIT, core: true },
        };
        Some((after, status))
    }

    fn stop(self, random: &mut Random) -> Reaction {
        match (self, random.below(10)) {
            (Self::Stubborn, 0..9) | (_, 9..) => Reaction::Ignores,
            (_, 0..4) => Reaction::Dies,
            (_, 4..7) => Reaction::Exits(Duration::from_micros(random.below(5000)), 0),
            _ => Reaction::Exits(Duration::from_millis(random.below(6000)), 7),
        }
    }
}
