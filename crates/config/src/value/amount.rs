//! Limits of what a program may use: memory, processes, processor time.

use super::ValueError;

/// The suffixes of sizes; a `B` may follow each.
const SUFFIXES: &[(char, u32)] = &[('K', 10), ('M', 20), ('G', 30), ('T', 40)];

/// A number of bytes that is not zero, with `K`, `M`, `G`, `T` or the same with a `B`
/// behind it, in any case.
///
/// # Errors
///
/// When it is none, or more than a control group can be told.
pub fn memory_size(text: &str) -> Result<u64, ValueError> {
    let refused = || ValueError::Size(text.to_owned());
    let upper = text.trim().to_ascii_uppercase();
    let bare = upper.strip_suffix('B').unwrap_or(&upper);
    let suffix = SUFFIXES.iter().find(|(suffix, _)| bare.ends_with(*suffix));
    let (digits, shift) = match suffix {
        Some((_, shift)) => (&bare[..bare.len() - 1], *shift),
        // A `B` alone stands for nothing.
        None => (upper.as_str(), 0),
    };
    let number = plain(digits.trim_end()).ok_or_else(refused)?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(refused)?;
    if bytes == 0 || i64::try_from(bytes).is_err() { Err(refused()) } else { Ok(bytes) }
}

/// How many of something there may be: at least one.
///
/// # Errors
///
/// When it is no whole number, or zero.
pub fn count(text: &str) -> Result<u64, ValueError> {
    let refused = || ValueError::Count(text.to_owned());
    plain(text.trim()).filter(|number| (1..=COUNT_MAX).contains(number)).ok_or_else(refused)
}

/// The most of anything that can be counted: what fits into 32 bits.
const COUNT_MAX: u64 = u32::MAX as u64;

/// Processor time as a percentage of one processor: `50%`, or `150%` for one and a half.
///
/// # Errors
///
/// When it is none, or zero, or more than there are processors.
pub fn percent(text: &str) -> Result<u32, ValueError> {
    let refused = || ValueError::Percent(text.to_owned());
    let digits = text.trim().strip_suffix('%').ok_or_else(refused)?.trim_end();
    let number = plain(digits).and_then(|number| u32::try_from(number).ok());
    number.filter(|number| (1..=PERCENT_MAX).contains(number)).ok_or_else(refused)
}

/// The most processor time: ten thousand processors, which is more than the kernel knows.
const PERCENT_MAX: u32 = 1_000_000;

/// Digits and nothing else.
fn plain(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes_with_or_without_a_b() {
        let cases = [
            ("4096", 4096),
            ("256M", 256 << 20),
            ("256MB", 256 << 20),
            ("64 kb", 64 << 10),
            ("1g", 1 << 30),
            ("2T", 2 << 40),
        ];

        for (text, bytes) in cases {
            assert_eq!(memory_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "0M", "-1", "M", "12B", "1.5G", "5X", "9999999T", "KB", "1 2K"] {
            let wanted = format!("not a valid size: '{text}'");
            assert_eq!(memory_size(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn there_is_at_least_one() {
        assert_eq!(count(" 64 "), Ok(64));
        for text in ["", "0", "-1", "x", "1.5", "4294967296"] {
            let wanted = format!("not a number of 1 or more: '{text}'");
            assert_eq!(count(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn processor_time_is_a_percentage() {
        assert_eq!((percent("50%"), percent("150 %")), (Ok(50), Ok(150)));
        for text in ["50", "0%", "-5%", "1.5%", "%", "1000001%"] {
            let wanted = format!("not a valid percentage: '{text}'");
            assert_eq!(percent(text).unwrap_err().to_string(), wanted);
        }
    }
}
