//! The clocks, read.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the monotonic clock: the same to every process since boot.
#[must_use]
pub fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Whole seconds since 1970 on the wall clock.
#[must_use]
pub fn wall_seconds() -> i64 {
    clock_gettime(ClockId::Realtime).tv_sec
}
