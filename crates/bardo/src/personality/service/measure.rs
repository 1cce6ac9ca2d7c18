//! Times as they are typed: MINIX's ticks and hertz, and the units that people use.

/// How long a tick is, in milliseconds: a hundredth of a second, as every Linux counts.
pub(super) const TICK: u64 = 10;

/// What a plain number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// Ticks, as in MINIX: `-period`, `-maxtime`.
    Ticks,
    /// Seconds: in options that MINIX does not have.
    Seconds,
}

/// The units, and how many milliseconds each is. `HZ` is MINIX's second.
const UNITS: [(&str, u64); 5] =
    [("HZ", 1000), ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// A time in milliseconds; `None` when the text is none.
#[must_use]
pub(super) fn milliseconds(text: &str, plain: Plain) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    let unit = match (unit, plain) {
        ("", Plain::Ticks) => TICK,
        ("", Plain::Seconds) => 1000,
        (unit, _) => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    // A heartbeat of more than a month is a mistake, and sums of times must not overflow.
    number.checked_mul(unit).filter(|time| *time <= LONGEST)
}

/// The longest time: a year.
const LONGEST: u64 = 366 * 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_seconds_are_written_in_many_ways() {
        for text in ["5HZ", "500", "5s", "5000ms"] {
            assert_eq!(milliseconds(text, Plain::Ticks), Some(5000), "{text}");
        }
        assert_eq!(milliseconds("5", Plain::Seconds), Some(5000));
        assert_eq!(milliseconds("2m", Plain::Seconds), Some(120_000));
        assert_eq!(milliseconds("0", Plain::Ticks), Some(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "x", "5x", "-1", "s", "5 s", "1.5s", "5hz", "99999999999999999999", "9999999h"]
        {
            assert_eq!(milliseconds(text, Plain::Ticks), None, "{text}");
        }
    }
}
