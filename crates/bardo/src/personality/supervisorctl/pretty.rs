//! Values as Python's `pprint` shows them: on one line where they fit, else one below the
//! other. A text is never broken, unlike there.

use bardo_wire::xmlrpc::Value;

use crate::words::quoted;

/// The width of a line.
const WIDTH: usize = 80;

/// A value in lines.
pub(super) fn lines(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text
}

/// Writes a value behind `indent` characters, with room for `after` behind it.
fn write(value: &Value, indent: usize, after: usize, text: &mut String) {
    let short = on_one_line(value);
    if short.chars().count() + indent + after <= WIDTH {
        text.push_str(&short);
        return;
    }
    let next = format!(",\n{}", " ".repeat(indent + 1));
    match value {
        Value::Array(values) => {
            text.push('[');
            for (place, value) in values.iter().enumerate() {
                let after = if place + 1 == values.len() { after + 1 } else { 1 };
                text.push_str(if place == 0 { "" } else { &next });
                write(value, indent + 1, after, text);
            }
            text.push(']');
        }
        Value::Struct(_) => {
            text.push('{');
            let members = sorted(value);
            for (place, (name, value)) in members.iter().enumerate() {
                let after = if place + 1 == members.len() { after + 1 } else { 1 };
                let name = format!("{}: ", quoted(name));
                text.push_str(if place == 0 { "" } else { &next });
                text.push_str(&name);
                write(value, indent + 1 + name.chars().count(), after, text);
            }
            text.push('}');
        }
        Value::Int(_)
        | Value::Boolean(_)
        | Value::Double(_)
        | Value::String(_)
        | Value::DateTime(_) => text.push_str(&short),
    }
}

fn on_one_line(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::Boolean(true) => "True".to_owned(),
        Value::Boolean(false) => "False".to_owned(),
        Value::Double(number) => format!("{number:?}"),
        Value::String(text) | Value::DateTime(text) => quoted(text),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(on_one_line).collect::<Vec<_>>().join(", "))
        }
        Value::Struct(_) => {
            let member =
                |(name, value): (&str, &Value)| format!("{}: {}", quoted(name), on_one_line(value));
            format!("{{{}}}", sorted(value).into_iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The members of a struct by name.
fn sorted(value: &Value) -> Vec<(&str, &Value)> {
    let Value::Struct(members) = value else { return Vec::new() };
    let mut members: Vec<(&str, &Value)> =
        members.iter().map(|(name, value)| (&**name, value)).collect();
    members.sort_by_key(|(name, _)| *name);
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stands_on_one_line() {
        let value = Value::Struct(vec![
            ("b".into(), Value::Array(vec![Value::Int(1), Value::Boolean(true)])),
            ("a".into(), Value::from("it's")),
        ]);

        assert_eq!(lines(&value), "{'a': \"it's\", 'b': [1, True]}");
    }

    #[test]
    fn what_is_longer_stands_one_below_the_other() {
        let word = |letter: &str| Value::from(letter.repeat(30));
        let inner = Value::Struct(vec![("k".into(), word("x")), ("l".into(), word("y"))]);
        let value = Value::Array(vec![word("a"), inner, Value::Int(5)]);

        assert_eq!(
            lines(&value),
            format!(
                "['{}',\n {{'k': '{}', 'l': '{}'}},\n 5]",
                "a".repeat(30),
                "x".repeat(30),
                "y".repeat(30)
            )
        );
    }
}
