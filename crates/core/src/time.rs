//! The core's clock: it is told the time, it never asks.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the machine's monotonic clock, in nanoseconds since boot. It means
/// the same to a supervisor and to the one that takes over after its death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// How long ago `earlier` was; zero when it is not in the past.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates: a deadline too far away to be written down never comes.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A moment on the wall clock, in whole seconds since 1970: shown to people and
/// never used to decide anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WallTime(pub i64);

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// What every deadline is compared with.
    pub instant: Instant,
    /// What clients are shown.
    pub wall: WallTime,
}

impl Now {
    /// Both clocks at an earlier moment, as far as that can be said now: the wall clock
    /// may have been set in between. A later moment counts as now.
    #[must_use]
    pub fn at(self, moment: Instant) -> Self {
        let ago = self.instant.since(moment).as_secs();
        let wall = WallTime(self.wall.0.saturating_sub_unsigned(ago));
        Self { instant: self.instant.min(moment), wall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_moment_is_earlier_on_both_clocks() {
        let now = Now { instant: Instant(20_000_000_000), wall: WallTime(1000) };

        let then = now.at(Instant(8_500_000_000));

        assert_eq!(then, Now { instant: Instant(8_500_000_000), wall: WallTime(989) });
        assert_eq!(now.at(Instant(30_000_000_000)), now);
    }
}
