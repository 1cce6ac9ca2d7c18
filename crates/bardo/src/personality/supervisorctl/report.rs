//! What a program reads instead of lines for people: `-o json` and `--json`.
//!
//! A command answers with one document on one line of standard output, or with none
//! when it could not be carried out; what is said for people goes to standard error
//! then. The keys are those of Supervisor's own structs. They are stable: one may be
//! added, none is renamed or taken away.

use bardo_wire::xmlrpc::Value;
use serde::Serialize;
use serde_json::Value as Json;

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// With lines for people.
    Text,
    /// With a document.
    Json,
}

impl Format {
    /// Every format by its name.
    pub(super) const NAMES: [(&'static str, Self); 2] =
        [("text", Self::Text), ("json", Self::Json)];

    /// The format of that name.
    ///
    /// # Errors
    /// What there is instead.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match Self::NAMES.iter().find(|(name, _)| *name == text) {
            Some((_, format)) => Ok(*format),
            None => {
                let names = Self::NAMES.map(|(name, _)| name).join(", ");
                Err(format!("value '{text}' is none of: {names}"))
            }
        }
    }
}

/// What became of one process.
#[derive(Debug, Serialize)]
pub(super) struct Deed<'a> {
    /// What was to be done: `start`, `stop`, `signal` or `clear`.
    pub(super) action: &'a str,
    /// The group of the process.
    pub(super) group: &'a str,
    /// The process; `None` when it is the group that there is not.
    pub(super) name: Option<&'a str>,
    /// 80 when it is done, otherwise the number of the fault.
    pub(super) status: i32,
    /// `OK`, or the text of the fault.
    pub(super) description: &'a str,
}

/// The pid of a process.
#[derive(Debug, Serialize)]
pub(super) struct Pid<'a> {
    /// The group of the process.
    pub(super) group: &'a str,
    /// The process.
    pub(super) name: &'a str,
    /// 0 when it does not run.
    pub(super) pid: i64,
}

/// A value of a server, as JSON has it.
pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::Int(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::String(text) | Value::DateTime(text) => text.as_str().into(),
        Value::Double(number) => (*number).into(),
        Value::Array(values) => values.iter().map(json).collect(),
        Value::Struct(members) => {
            members.iter().map(|(name, value)| (name.to_string(), json(value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_values_keep_their_types() {
        let value = Value::Struct(vec![
            ("pid".into(), Value::Int(7)),
            ("up".into(), Value::Boolean(true)),
            ("names".into(), Value::Array(vec![Value::String("a\u{1b}\"".into())])),
        ]);

        assert_eq!(json(&value).to_string(), r#"{"names":["a\u001b\""],"pid":7,"up":true}"#);
    }

    #[test]
    fn an_unknown_format_is_refused_with_those_that_there_are() {
        assert_eq!(Format::parse("json"), Ok(Format::Json));
        assert_eq!(Format::parse("xml").unwrap_err(), "value 'xml' is none of: text, json");
    }
}
