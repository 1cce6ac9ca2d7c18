//! What the parts of a line may look like: words, numbers in any base of C, sizes, times,
//! lists of CPUs.
//!
//! Nothing here knows a keyword. A function answers with the value or with nothing; the
//! caller says what would have been right.

use std::time::Duration;

use super::{Argument, Line, Place, Refusal, Value};

/// Greatest number of a CPU: Linux can be built for 8,192 of them.
pub(super) const CPU_MAX: u32 = 8_191;

/// The parts of a line that may only be words, each with its place.
pub(super) fn texts<'a>(line: &'a Line, form: &str) -> Result<Vec<(&'a str, Place)>, Refusal> {
    let read = |argument: &'a Argument| match &argument.value {
        Value::Word(word) => Ok((word.as_str(), place(line, argument))),
        Value::Text(text) => {
            let what = format!("`{}` takes no string like \"{text}\"", line.name());
            Err(Refusal::at(&place(line, argument), what, form))
        }
        Value::List(_) => Err(no_list(line, argument, form)),
    };
    line.arguments.iter().map(read).collect()
}

/// The parts of a line that may be words or strings, each with its place.
pub(super) fn any_texts<'a>(line: &'a Line, form: &str) -> Result<Vec<(&'a str, Place)>, Refusal> {
    let read = |argument: &'a Argument| match &argument.value {
        Value::Word(text) | Value::Text(text) => Ok((text.as_str(), place(line, argument))),
        Value::List(_) => Err(no_list(line, argument, form)),
    };
    line.arguments.iter().map(read).collect()
}

fn no_list(line: &Line, argument: &Argument, form: &str) -> Refusal {
    let what = format!("`{}` takes no list in braces", line.name());
    Refusal::at(&place(line, argument), what, form)
}

/// Where a part of a line stands.
pub(super) fn place(line: &Line, argument: &Argument) -> Place {
    Place { file: line.at.file.clone(), line: argument.line }
}

/// A whole number as C's `strtol` reads it: `0x1f`, `037`, `31`, each with a sign.
pub(super) fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (digits, base) = match hexadecimal {
        Some(digits) => (digits, 16),
        None if digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    // The standard library would take a second sign.
    let magnitude =
        digits.starts_with(|first: char| first.is_ascii_hexdigit()).then_some(digits)?;
    i64::from_str_radix(magnitude, base).ok().map(|number| sign * number)
}

/// A number that is not negative.
pub(super) fn natural(text: &str) -> Option<u64> {
    integer(text).and_then(|number| u64::try_from(number).ok())
}

/// A number in hexadecimal digits, with or without `0x`.
pub(super) fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// A number of bytes: a number, or one with `K`, `M`, `G` or `T` behind it, which count by
/// 1024 as the kernel does; a `B` or `iB` may follow.
pub(super) fn size(text: &str) -> Option<u64> {
    let upper = text.to_ascii_uppercase();
    let plain = upper.strip_suffix("IB").or_else(|| {
        // Without its letter a `B` could be a hexadecimal digit.
        upper.strip_suffix('B').filter(|rest| rest.ends_with(['K', 'M', 'G', 'T']))
    });
    let plain = plain.unwrap_or(&upper);
    let (digits, shift) = match plain.char_indices().next_back()? {
        (end, 'K') => (&plain[..end], 10),
        (end, 'M') => (&plain[..end], 20),
        (end, 'G') => (&plain[..end], 30),
        (end, 'T') => (&plain[..end], 40),
        _ if plain.len() < upper.len() => return None,
        _ => (plain, 0),
    };
    natural(digits)?.checked_mul(1 << shift)
}

/// A time: a number with `us`, `ms`, `s` or `m` behind it.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|character: char| !character.is_ascii_digit())?;
    let number: u64 = text[..end].parse().ok()?;
    match &text[end..] {
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

/// CPUs: numbers and ranges with commas between them, in rising order without doubles.
pub(super) fn cpus(text: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text| natural(text).and_then(|number| u32::try_from(number).ok());
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last > CPU_MAX {
            return None;
        }
        all.extend(first..=last);
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// MINIX's priority, 0 (best) to 15, as what Linux calls nice: 7 is 0, and all sixteen are
/// spread over the forty values.
pub(super) fn nice(priority: u8) -> i8 {
    let steps = f64::from(i16::from(priority) - 7) * 20.0 / 8.0;
    // What is behind the point is at most a half, so the value fits.
    steps.round().clamp(-20.0, 19.0) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_any_base_of_c() {
        assert_eq!(integer("31"), Some(31));
        assert_eq!(integer("0x1F"), Some(31));
        assert_eq!(integer("037"), Some(31));
        assert_eq!(integer("-0X10"), Some(-16));
        assert_eq!(integer("+0"), Some(0));
        for text in ["", "-", "0x", "08", "1a", "--1", "-+1", "0x-1", "1 ", "99999999999999999999"]
        {
            assert_eq!(integer(text), None, "{text}");
        }
        assert_eq!(natural("-1"), None);
    }

    #[test]
    fn hexadecimal_numbers_need_no_prefix() {
        assert_eq!(hexadecimal("3f0"), Some(0x3f0));
        assert_eq!(hexadecimal("0xCF8"), Some(0xcf8));
        for text in ["", "0x", "g", "+1", "-1", "1ffffffff"] {
            assert_eq!(hexadecimal(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_count_by_1024() {
        assert_eq!(size("4096"), Some(4096));
        assert_eq!(size("0x10k"), Some(16 << 10));
        assert_eq!(size("256M"), Some(256 << 20));
        assert_eq!(size("256MB"), Some(256 << 20));
        assert_eq!(size("1GiB"), Some(1 << 30));
        assert_eq!(size("2t"), Some(2 << 40));
        for text in ["", "M", "1.5M", "-1", "1B", "1iB", "1MM", "1X", "99999999999G"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(duration("10us"), Some(Duration::from_micros(10)));
        for text in ["", "5", "s", "5x", "-5s", "5 s", "1.5s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn cpus_are_numbers_and_ranges() {
        assert_eq!(cpus("0"), Some(vec![0]));
        assert_eq!(cpus("4,0-2,1"), Some(vec![0, 1, 2, 4]));
        for text in ["", ",", "0,", "2-1", "-1", "a", "0-8192", "1-2-3"] {
            assert_eq!(cpus(text), None, "{text}");
        }
    }

    #[test]
    fn priorities_are_spread_over_nice() {
        let all: Vec<i8> = (0..16).map(nice).collect();

        assert_eq!(all, [-18, -15, -13, -10, -8, -5, -3, 0, 3, 5, 8, 10, 13, 15, 18, 19]);
    }
}
