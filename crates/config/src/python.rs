//! Python's idea of text, where the configuration shows it: which characters are
//! blank, how a string is quoted in a message, what a whole number looks like.
//!
//! Supervisor's messages are read by scripts, so they are reproduced to the
//! letter. One thing surprises a newcomer: Python counts the four separators
//! U+001C to U+001F as blanks, Rust does not.

use std::fmt;

/// Whether Python's `str.isspace` holds for the character.
pub(crate) fn is_blank(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Python's `str.strip()`.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// Python's `str.rstrip()`.
pub(crate) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_blank)
}

/// Python's `str.split()`: the words between blanks.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_blank).filter(|word| !word.is_empty())
}

/// A string as Python's `repr` quotes it: single quotes, or double ones if the
/// text holds a single quote and no double one.
pub(crate) struct Repr<'a>(pub(crate) &'a str);

impl fmt::Display for Repr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('\'') && !self.0.contains('"') { '"' } else { '\'' };
        write!(f, "{quote}")?;
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\t' => f.write_str("\\t")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                _ if character == quote => write!(f, "\\{character}")?,
                _ if is_printable(character) => write!(f, "{character}")?,
                _ => write!(f, "{}", Escape(character))?,
            }
        }
        write!(f, "{quote}")
    }
}

/// A string as Python's `ascii` quotes it: like `repr`, without a character
/// beyond ASCII.
pub(crate) fn ascii(text: &str) -> String {
    let mut quoted = String::new();
    for character in Repr(text).to_string().chars() {
        if character.is_ascii() {
            quoted.push(character);
        } else {
            quoted.push_str(&Escape(character).to_string());
        }
    }
    quoted
}

/// A character by its number, in the shortest of Python's three forms.
struct Escape(char);

impl fmt::Display for Escape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::from(self.0) {
            number @ 0..=0xff => write!(f, "\\x{number:02x}"),
            number @ 0x100..=0xffff => write!(f, "\\u{number:04x}"),
            number => write!(f, "\\U{number:08x}"),
        }
    }
}

/// Whether `repr` shows the character itself. Rust's own escaping uses the same
/// Unicode categories as Python's; behind a letter it leaves combining marks alone.
fn is_printable(character: char) -> bool {
    match character {
        ' '..='~' => true,
        _ if character.is_ascii() => false,
        _ => {
            let pair: String = ['a', character].iter().collect();
            pair.escape_debug().nth(1) == Some(character)
        }
    }
}

/// What Python's `int` makes of a text; `None` where it refuses. Numbers that do
/// not fit are taken as the greatest or least that does: no option can tell.
pub(crate) fn integer(text: &str, base: u32) -> Option<i64> {
    let text = text.trim_matches(|character: char| match character {
        '\u{1c}'..='\u{1f}' => false,
        _ => character.is_whitespace(),
    });
    let (negative, text) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let prefixed = text.strip_prefix("0o").or_else(|| text.strip_prefix("0O"));
    let digits = match prefixed {
        // An underscore may follow the prefix as it may follow a digit.
        Some(rest) if base == 8 => rest.strip_prefix('_').unwrap_or(rest),
        _ => text,
    };
    let magnitude = digits.split('_').try_fold(0_i64, |value, part| {
        if part.is_empty() {
            return None;
        }
        part.chars().try_fold(value, |value, digit| {
            let digit = i64::from(digit.to_digit(base)?);
            Some(value.saturating_mul(i64::from(base)).saturating_add(digit))
        })
    })?;
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_python_quotes_them() {
        let cases = [
            ("plain", "'plain'"),
            ("it's", "\"it's\""),
            ("both ' and \"", "'both \\' and \"'"),
            ("back\\slash", "'back\\\\slash'"),
            ("a\tb\nc\rd", "'a\\tb\\nc\\rd'"),
            ("\u{0}\u{1f}\u{7f}", "'\\x00\\x1f\\x7f'"),
            ("\u{80}\u{a0}\u{ad}", "'\\x80\\xa0\\xad'"),
            ("é日", "'é日'"),
            ("\u{feff}[a]", "'\\ufeff[a]'"),
            ("\u{e0001}", "'\\U000e0001'"),
            ("e\u{301}", "'e\u{301}'"),
        ];

        for (text, quoted) in cases {
            assert_eq!(Repr(text).to_string(), quoted);
        }
    }

    #[test]
    fn ascii_quoting_leaves_no_other_character() {
        assert_eq!(ascii("é'x"), "\"\\xe9'x\"");
        assert_eq!(ascii("日"), "'\\u65e5'");
    }

    #[test]
    fn separators_are_blanks() {
        assert_eq!(trim("\u{1c} a b\u{1f}\n"), "a b");
        assert_eq!(words(" a\u{1d}b\tc ").collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn whole_numbers_are_read_as_python_reads_them() {
        let good = [
            ("0", 0),
            (" 12\n", 12),
            ("+7", 7),
            ("-3", -3),
            ("1_000", 1000),
            ("007", 7),
            ("\u{a0}5", 5),
            ("99999999999999999999", i64::MAX),
        ];
        let bad =
            ["", " ", "+", "+ 1", "--1", "1__0", "_1", "1_", "1.5", "0x1", "12a", "0o7", "\u{1c}5"];

        for (text, number) in good {
            assert_eq!(integer(text, 10), Some(number), "{text:?}");
        }
        for text in bad {
            assert_eq!(integer(text, 10), None, "{text:?}");
        }
    }

    #[test]
    fn octal_numbers_may_have_their_prefix() {
        assert_eq!(integer("022", 8), Some(18));
        assert_eq!(integer("0o22", 8), Some(18));
        assert_eq!(integer("0O_22", 8), Some(18));
        assert_eq!(integer("-7", 8), Some(-7));
        assert_eq!(integer("8", 8), None);
        assert_eq!(integer("0o", 8), None);
        assert_eq!(integer("0o__7", 8), None);
    }
}
