//! The clocks, read.

use std::mem::MaybeUninit;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds on the monotonic clock: the same to every process since boot.
#[must_use]
pub fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Nanoseconds since boot, with those in which the machine slept.
#[must_use]
pub fn since_boot() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The monotonic clock to a few milliseconds, for a tenth of the price: what the kernel noted at
/// its last tick. Never later than [`monotonic`].
#[must_use]
pub fn coarse() -> u64 {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Whole seconds since 1970 on the wall clock.
#[must_use]
pub fn wall_seconds() -> i64 {
    wall().tv_sec
}

/// Nanoseconds since 1970 on the wall clock.
#[must_use]
pub fn wall_nanoseconds() -> i64 {
    let time = wall();
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

#[cfg(not(feature = "faults"))]
fn wall() -> Timespec {
    clock_gettime(ClockId::Realtime)
}

/// The wall clock, which a test may have stepped.
#[cfg(feature = "faults")]
fn wall() -> Timespec {
    let time = clock_gettime(ClockId::Realtime);
    Timespec { tv_sec: time.tv_sec.saturating_add(crate::faults::clock::ahead()), ..time }
}

/// A moment as a calendar and a clock on the wall show it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Year, like 2026.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Day of the week, 0 to 6; 0 is Sunday.
    pub weekday: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second; 60 is a leap second.
    pub second: u8,
    /// Thousandths of a second.
    pub millisecond: u16,
}

impl LocalTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self::of(wall_nanoseconds())
    }

    /// A moment given in nanoseconds since 1970.
    #[must_use]
    pub fn of(nanoseconds: i64) -> Self {
        let (seconds, rest) =
            (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
        let millisecond = u16::try_from(rest / 1_000_000).unwrap_or(0);
        Self { millisecond, ..Self::at(seconds) }
    }

    /// A moment given in seconds since 1970.
    #[must_use]
    pub fn at(seconds: i64) -> Self {
        let mut parts = MaybeUninit::<libc::tm>::zeroed();
        // SAFETY: both pointers are valid; all zeroes are a valid value that is left
        // where the moment is too far away for the calendar.
        let parts = unsafe {
            libc::localtime_r(&raw const seconds, parts.as_mut_ptr());
            parts.assume_init()
        };
        let small = |value: i32| u8::try_from(value).unwrap_or(0);
        Self {
            year: parts.tm_year + 1900,
            month: small(parts.tm_mon + 1),
            day: small(parts.tm_mday),
            weekday: small(parts.tm_wday),
            hour: small(parts.tm_hour),
            minute: small(parts.tm_min),
            second: small(parts.tm_sec),
            millisecond: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_day_has_its_parts() {
        // Noon of a day in the middle of a month is that day in every time zone.
        let time = LocalTime::at(1_795_003_200);

        assert_eq!((time.year, time.month), (2026, 11));
        assert!((17..=19).contains(&time.day));
    }
}
