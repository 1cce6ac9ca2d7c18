//! Messages to text, as Python's marshaller lays them out.

use super::Value;

/// What every message begins with.
pub(super) const DECLARATION: &str = "<?xml version='1.0'?>\n";

/// Appends a value, with the line break that follows it.
pub(super) fn value(out: &mut String, value: &Value) {
    out.push_str("<value>");
    match value {
        Value::Int(number) => element(out, "int", &number.to_string()),
        Value::Boolean(truth) => element(out, "boolean", if *truth { "1" } else { "0" }),
        Value::String(content) => element(out, "string", content),
        Value::Double(number) => element(out, "double", &double(*number)),
        Value::DateTime(content) => element(out, "dateTime.iso8601", content),
        Value::Array(values) => {
            out.push_str("<array><data>\n");
            for item in values {
                self::value(out, item);
            }
            out.push_str("</data></array>");
        }
        Value::Struct(members) => {
            out.push_str("<struct>\n");
            for (name, item) in members {
                out.push_str("<member>\n");
                element(out, "name", name);
                out.push('\n');
                self::value(out, item);
                out.push_str("</member>\n");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>\n");
}

/// Appends an element that holds nothing but text.
pub(super) fn element(out: &mut String, name: &str, content: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    text(out, content);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Appends text. Python escapes these three characters and no others.
fn text(out: &mut String, content: &str) {
    out.reserve(content.len());
    let mut plain = 0;
    for (at, character) in content.char_indices() {
        let written = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ if is_sendable(character) => continue,
            _ => "\u{fffd}",
        };
        out.push_str(&content[plain..at]);
        out.push_str(written);
        plain = at + character.len_utf8();
    }
    out.push_str(&content[plain..]);
}

/// Whether XML 1.0 has the character at all. Supervisor sends the others as they
/// are, and its clients die of a parse error.
fn is_sendable(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Python's `repr` of a number: an exponent has a sign and at least two digits.
fn double(number: f64) -> String {
    let written = format!("{number:?}");
    let Some((digits, exponent)) = written.split_once('e') else {
        return written;
    };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}
