//! Times, where Bardo's own options take them: Supervisor's options are whole seconds.

use std::time::Duration;

use super::ValueError;

/// What may stand behind a number, and how many nanoseconds one of it has.
const UNITS: &[(&str, u128)] =
    &[("ms", 1_000_000), ("s", NANOS), ("m", 60 * NANOS), ("h", 3600 * NANOS)];

/// Nanoseconds of a second, which is what a number without a unit counts.
const NANOS: u128 = 1_000_000_000;

/// The longest time: ten years. No machine runs as long, and moments that are so far away
/// can still be counted in nanoseconds.
pub const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Digits behind the point: those of a nanosecond.
const PLACES_MAX: usize = 9;

/// A time: seconds, or a number with `ms`, `s`, `m` or `h` behind it; `0.5` is half a
/// second.
///
/// # Errors
///
/// When it is none, or longer than [`DURATION_MAX`].
pub fn duration(text: &str) -> Result<Duration, ValueError> {
    let refused = || ValueError::Duration(text.to_owned());
    let bare = text.trim();
    let end = bare.find(|character: char| !(character.is_ascii_digit() || character == '.'));
    let (number, unit) = bare.split_at(end.unwrap_or(bare.len()));
    let nanos = match unit.trim_start() {
        "" => NANOS,
        unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?.1,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.len() > PLACES_MAX {
        return Err(refused());
    }
    let digits = |text: &str| text.parse::<u64>().map(u128::from).map_err(|_| refused());
    let scale = 10_u128.pow(u32::try_from(part.len()).expect("there are few places"));
    let total = digits(whole)? * nanos + digits(part)? * nanos / scale;
    let total = u64::try_from(total).map_err(|_| refused())?;
    Some(Duration::from_nanos(total)).filter(|time| *time <= DURATION_MAX).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_seconds_unless_it_says_otherwise() {
        let cases = [
            ("5", 5000),
            ("5s", 5000),
            (" 5 s ", 5000),
            ("0.5", 500),
            ("1.25s", 1250),
            ("100ms", 100),
            ("1.5m", 90_000),
            ("2h", 7_200_000),
            ("0", 0),
        ];

        for (text, milliseconds) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(duration("0.000000001"), Ok(Duration::from_nanos(1)));
        assert_eq!(duration("3650d"), Err(ValueError::Duration("3650d".to_owned())));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let cases = [
            "",
            "s",
            "-1",
            "+1",
            "1.",
            ".5",
            "1.2.3",
            "5x",
            "5 5",
            "5HZ",
            "1e3",
            "1.0000000001",
            "99999999999",
            "18446744073709551616",
            "315360001",
            "1_0",
        ];

        for text in cases {
            let wanted = format!("not a valid time: '{text}'");
            assert_eq!(duration(text).unwrap_err().to_string(), wanted);
        }
        assert_eq!(duration("315360000"), Ok(DURATION_MAX));
    }
}
