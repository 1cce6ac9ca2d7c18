//! Python's `text % mapping`, for values that are texts or whole numbers.
//!
//! The walk over the text follows the order in which Python looks at it, because
//! that order decides which message is shown when more than one thing is wrong.

use std::borrow::Cow;

use crate::python::{Repr, ascii};

/// Widest field and greatest precision. Python stops when memory does; no sane
/// option is wider than a page.
const FIELD_WIDTH_MAX: usize = 1 << 16;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
}

/// Why a text was not formatted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    UnknownName(String),
    BadFormat(String),
}

/// Formats the text, asking for the value of each name it holds.
pub(super) fn format<'a>(
    text: &str,
    value: impl Fn(&str) -> Option<&'a Value>,
) -> Result<String, Failure> {
    let characters: Vec<char> = text.chars().collect();
    let mut walk = Walk { characters: &characters, position: 0 };
    let mut output = String::with_capacity(text.len());
    let mut argument = Argument::Mapping;
    while let Some(character) = walk.next() {
        if character != '%' {
            output.push(character);
        } else if walk.peek() == Some('%') {
            walk.position += 1;
            output.push('%');
        } else {
            if walk.peek() == Some('(') {
                let name = walk.name()?;
                let known = value(&name).ok_or(Failure::UnknownName(name))?;
                argument = Argument::Value(known);
            }
            let field = walk.field(&mut argument)?;
            field.write(&mut argument, &mut output)?;
        }
    }
    Ok(output)
}

/// What the next conversion takes. Python hands out the mapping itself as long as
/// no name was looked up, and each value only once.
#[derive(Clone, Copy)]
enum Argument<'a> {
    Mapping,
    Value(&'a Value),
    Taken,
}

impl<'a> Argument<'a> {
    fn take(&mut self) -> Result<Self, Failure> {
        match std::mem::replace(self, Self::Taken) {
            Self::Taken => Err(not_enough()),
            argument => Ok(argument),
        }
    }
}

fn bad(reason: impl Into<String>) -> Failure {
    Failure::BadFormat(reason.into())
}

fn not_enough() -> Failure {
    bad("not enough arguments for format string")
}

struct Walk<'a> {
    characters: &'a [char],
    position: usize,
}

impl Walk<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.position += 1;
        Some(character)
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.position).copied()
    }

    fn next_or_incomplete(&mut self) -> Result<char, Failure> {
        self.next().ok_or_else(|| bad("incomplete format"))
    }

    /// The name between balanced parentheses.
    fn name(&mut self) -> Result<String, Failure> {
        self.position += 1;
        let mut name = String::new();
        let mut depth = 1_usize;
        while let Some(character) = self.next() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(name);
            }
            name.push(character);
        }
        Err(bad("incomplete format key"))
    }

    /// Flags, width, precision and the conversion itself.
    fn field(&mut self, argument: &mut Argument<'_>) -> Result<Field, Failure> {
        let mut field = Field::default();
        let mut character = self.next_or_incomplete()?;
        while field.set_flag(character) {
            character = self.next_or_incomplete()?;
        }
        if character == '*' {
            star(argument, |number| {
                field.left |= number < 0;
                field.width = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
            })?;
            character = self.next_or_incomplete()?;
        } else if character.is_ascii_digit() {
            (field.width, character) = self.number(character, "width too big")?;
        }
        if character == '.' {
            character = self.next_or_incomplete()?;
            field.precision = Some(0);
            if character == '*' {
                star(argument, |number| {
                    field.precision = Some(usize::try_from(number).unwrap_or(0));
                })?;
                character = self.next_or_incomplete()?;
            } else if character.is_ascii_digit() {
                let (precision, next) = self.number(character, "precision too big")?;
                field.precision = Some(precision);
                character = next;
            }
        }
        if matches!(character, 'h' | 'l' | 'L') {
            character = self.next_or_incomplete()?;
        }
        if field.width > FIELD_WIDTH_MAX {
            return Err(bad("width too big"));
        }
        if field.precision.is_some_and(|precision| precision > FIELD_WIDTH_MAX) {
            return Err(bad("precision too big"));
        }
        field.conversion = character;
        field.position = self.position - 1;
        Ok(field)
    }

    /// A number that starts with the given digit, and the character behind it.
    fn number(&mut self, first: char, too_big: &str) -> Result<(usize, char), Failure> {
        let mut number = 0_usize;
        let mut character = first;
        while let Some(digit) = character.to_digit(10) {
            number = number * 10 + digit as usize;
            if number > FIELD_WIDTH_MAX {
                return Err(bad(too_big));
            }
            character = self.next_or_incomplete()?;
        }
        Ok((number, character))
    }
}

/// Takes the argument as the number that a `*` stands for.
fn star(argument: &mut Argument<'_>, mut set: impl FnMut(i64)) -> Result<(), Failure> {
    match argument.take()? {
        Argument::Value(Value::Integer(number)) => {
            set(*number);
            Ok(())
        }
        _ => Err(bad("* wants int")),
    }
}

/// One conversion with what stands before it.
#[derive(Default)]
struct Field {
    left: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
    position: usize,
}

impl Field {
    fn set_flag(&mut self, character: char) -> bool {
        match character {
            '-' => self.left = true,
            '+' => self.plus = true,
            ' ' => self.blank = true,
            '#' => self.alternate = true,
            '0' => self.zero = true,
            _ => return false,
        }
        true
    }

    fn write(&self, argument: &mut Argument<'_>, output: &mut String) -> Result<(), Failure> {
        let value = argument.take()?;
        match self.conversion {
            's' | 'r' | 'a' => self.text(value, output),
            'c' => self.character(value, output),
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => self.integer(value, output),
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => self.float(value, output),
            other => {
                let shown = if matches!(other, '\u{1f}'..='~') { other } else { '?' };
                Err(bad(format!(
                    "unsupported format character '{shown}' ({:#x}) at index {}",
                    u32::from(other),
                    self.position
                )))
            }
        }
    }

    fn text(&self, value: Argument<'_>, output: &mut String) -> Result<(), Failure> {
        let text = match (value, self.conversion) {
            (Argument::Value(Value::Text(text)), 's') => Cow::Borrowed(text.as_str()),
            (Argument::Value(Value::Text(text)), 'r') => Cow::Owned(Repr(text).to_string()),
            (Argument::Value(Value::Text(text)), _) => Cow::Owned(ascii(text)),
            (Argument::Value(Value::Integer(number)), _) => Cow::Owned(number.to_string()),
            // Python writes the whole mapping here.
            (Argument::Mapping | Argument::Taken, _) => return Err(not_enough()),
        };
        let kept: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
        self.pad("", &kept, ' ', output);
        Ok(())
    }

    fn character(&self, value: Argument<'_>, output: &mut String) -> Result<(), Failure> {
        let character = match value {
            Argument::Value(Value::Text(text)) => {
                let mut characters = text.chars();
                characters.next().filter(|_| characters.next().is_none())
            }
            Argument::Value(Value::Integer(number)) => {
                let character = u32::try_from(*number).ok().and_then(char::from_u32);
                Some(character.ok_or_else(|| bad("%c arg not in range(0x110000)"))?)
            }
            Argument::Mapping | Argument::Taken => None,
        };
        let character = character.ok_or_else(|| bad("%c requires int or char"))?;
        self.pad("", &character.to_string(), ' ', output);
        Ok(())
    }

    fn integer(&self, value: Argument<'_>, output: &mut String) -> Result<(), Failure> {
        let number = match value {
            Argument::Value(Value::Integer(number)) => *number,
            other => {
                let wanted = match self.conversion {
                    'x' | 'X' | 'o' => "an integer",
                    _ => "a real number",
                };
                let (conversion, found) = (self.conversion, type_name(other));
                return Err(bad(format!(
                    "%{conversion} format: {wanted} is required, not {found}"
                )));
            }
        };
        let magnitude = number.unsigned_abs();
        let (prefix, digits) = match self.conversion {
            'x' => ("0x", format!("{magnitude:x}")),
            'X' => ("0X", format!("{magnitude:X}")),
            'o' => ("0o", format!("{magnitude:o}")),
            _ => ("", magnitude.to_string()),
        };
        let digits = format!("{digits:0>width$}", width = self.precision.unwrap_or(0));
        let prefix = if self.alternate { prefix } else { "" };
        self.pad(&format!("{}{prefix}", self.sign(number)), &digits, self.fill(), output);
        Ok(())
    }

    fn float(&self, value: Argument<'_>, output: &mut String) -> Result<(), Failure> {
        let Argument::Value(Value::Integer(number)) = value else {
            return Err(bad(format!("must be real number, not {}", type_name(value))));
        };
        let precision = self.precision.unwrap_or(6);
        // A number of more than 53 bits loses its last digits, as in Python.
        let magnitude = number.unsigned_abs() as f64;
        let lower = match self.conversion.to_ascii_lowercase() {
            'f' => self.fixed(magnitude, precision),
            'e' => self.scientific(magnitude, precision),
            _ => self.general(magnitude, precision.max(1)),
        };
        let digits = match self.conversion {
            'E' | 'G' => lower.to_uppercase(),
            _ => lower,
        };
        self.pad(self.sign(*number), &digits, self.fill(), output);
        Ok(())
    }

    fn fixed(&self, number: f64, precision: usize) -> String {
        let point = if self.alternate && precision == 0 { "." } else { "" };
        format!("{number:.precision$}{point}")
    }

    fn scientific(&self, number: f64, precision: usize) -> String {
        let (mantissa, exponent) = scientific_parts(number, precision);
        let point = if self.alternate && precision == 0 { "." } else { "" };
        format!("{mantissa}{point}e+{exponent:02}")
    }

    /// The shorter of the two, with that many digits that count.
    fn general(&self, number: f64, digits: usize) -> String {
        let (mantissa, exponent) = scientific_parts(number, digits - 1);
        let (body, suffix) = if exponent >= digits {
            (mantissa, format!("e+{exponent:02}"))
        } else {
            (self.fixed(number, digits - 1 - exponent), String::new())
        };
        if self.alternate {
            let point = if body.contains('.') { "" } else { "." };
            return format!("{body}{point}{suffix}");
        }
        let body = match body.contains('.') {
            true => body.trim_end_matches('0').trim_end_matches('.'),
            false => &body,
        };
        format!("{body}{suffix}")
    }

    fn sign(&self, number: i64) -> &'static str {
        match (number < 0, self.plus, self.blank) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    fn fill(&self) -> char {
        if self.zero && !self.left { '0' } else { ' ' }
    }

    /// Writes sign, prefix and digits: zeros go between, blanks around.
    fn pad(&self, head: &str, body: &str, fill: char, output: &mut String) {
        let length = head.chars().count() + body.chars().count();
        let padding: String =
            std::iter::repeat_n(fill, self.width.saturating_sub(length)).collect();
        let parts = match (self.left, fill) {
            (true, _) => [head, body, &padding],
            (false, '0') => [head, &padding, body],
            (false, _) => [&padding, head, body],
        };
        output.extend(parts);
    }
}

/// Mantissa and exponent of a number that is zero or at least one.
fn scientific_parts(number: f64, precision: usize) -> (String, usize) {
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

fn type_name(value: Argument<'_>) -> &'static str {
    match value {
        Argument::Value(Value::Text(_)) => "str",
        Argument::Value(Value::Integer(_)) => "int",
        Argument::Mapping | Argument::Taken => "dict",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(text: &str, value: &Value) -> Result<String, String> {
        format(text, |name| (name == "a").then_some(value)).map_err(|failure| match failure {
            Failure::UnknownName(name) => format!("unknown {name}"),
            Failure::BadFormat(reason) => reason,
        })
    }

    #[test]
    fn whole_numbers_take_every_flag() {
        let cases = [
            ("%(a)-05d|", 255, "255  |"),
            ("%(a)02d", 7, "07"),
            ("%(a)#06x", 255, "0x00ff"),
            ("%(a)+.3d", 255, "+255"),
            ("%(a) .3x", 3, " 003"),
            ("%(a)#o", -25_500_000, "-0o141214540"),
            ("%(a)05.3d", 7, "00007"),
            ("%(a)#X", 255, "0XFF"),
            ("%(a)hd", 3, "3"),
            ("%(a)s", 3, "3"),
        ];

        for (text, number, wanted) in cases {
            assert_eq!(formatted(text, &Value::Integer(number)).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn whole_numbers_can_be_shown_as_floats() {
        let cases = [
            ("%(a)f", 255, "255.000000"),
            ("%(a)#.0f", 255, "255."),
            ("%(a)e", 255, "2.550000e+02"),
            ("%(a)g", -25_500_000, "-2.55e+07"),
            ("%(a)g", 255, "255"),
            ("%(a)g", 0, "0"),
            ("%(a)#g", 255, "255.000"),
            ("%(a)G", 25_500_000, "2.55E+07"),
        ];

        for (text, number, wanted) in cases {
            assert_eq!(formatted(text, &Value::Integer(number)).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn texts_are_cut_and_padded() {
        let value = Value::Text("é'x".to_owned());
        let cases = [
            ("%(a).2s", "é'"),
            ("%(a)05s", "  é'x"),
            ("%(a)-5s|", "é'x  |"),
            ("%(a)r", "\"é'x\""),
            ("%(a)a", "\"\\xe9'x\""),
            ("100%%", "100%"),
        ];

        for (text, wanted) in cases {
            assert_eq!(formatted(text, &value).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_pythons_words() {
        let text = Value::Text("xy".to_owned());
        let cases = [
            ("%Y", "unsupported format character 'Y' (0x59) at index 1"),
            ("%é", "unsupported format character '?' (0xe9) at index 1"),
            ("%5%", "unsupported format character '%' (0x25) at index 2"),
            ("%(a)%", "unsupported format character '%' (0x25) at index 4"),
            ("%(a)lld", "unsupported format character 'l' (0x6c) at index 5"),
            ("%", "incomplete format"),
            ("%(a).", "incomplete format"),
            ("%(a", "incomplete format key"),
            ("%(b)s", "unknown b"),
            ("%(a)i", "%i format: a real number is required, not str"),
            ("%(a)x", "%x format: an integer is required, not str"),
            ("%(a)f", "must be real number, not str"),
            ("%(a)c", "%c requires int or char"),
            ("%(a)*d", "* wants int"),
            ("%d", "%d format: a real number is required, not dict"),
            ("%(a)s %s", "not enough arguments for format string"),
            ("%s", "not enough arguments for format string"),
            ("%(a)99999999999999999999s", "width too big"),
            ("%(a).99999999999s", "precision too big"),
        ];

        for (format, wanted) in cases {
            assert_eq!(formatted(format, &text), Err(wanted.to_owned()), "{format}");
        }
    }
}
