//! What a method is given, read as Python would read it.

use std::sync::Arc;

use bardo_wire::xmlrpc::Value;

use crate::api::faults::{Code, Fault};
use crate::api::room::Share;

/// The parameters of one call; their number has been checked.
#[derive(Debug)]
pub(super) struct Parameters {
    values: Vec<Value>,
    share: Share,
    namespace: Arc<str>,
}

impl Parameters {
    pub(super) fn new(values: Vec<Value>, share: Share, namespace: &str) -> Self {
        Self { values, share, namespace: namespace.into() }
    }

    /// The namespace under which the method was called.
    pub(super) fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    /// The room that the answer may ask for.
    pub(super) fn share(&self) -> &Share {
        &self.share
    }

    /// The value at a place, if one was given.
    pub(super) fn get(&self, place: usize) -> Option<&Value> {
        self.values.get(place)
    }

    /// A text. Supervisor answers HTTP 500 to anything else.
    pub(super) fn text(&self, place: usize) -> Result<&str, Fault> {
        self.get(place)
            .and_then(Value::as_str)
            .ok_or_else(|| Fault::bare(Code::IncorrectParameters))
    }

    /// A whole number, or what Python's `int` makes one of.
    pub(super) fn integer(&self, place: usize) -> Result<i64, Fault> {
        self.get(place).and_then(integer).ok_or_else(|| Fault::bare(Code::BadArguments))
    }

    /// Whether Python counts the value as true; true when none is given.
    pub(super) fn truth(&self, place: usize) -> bool {
        match self.get(place) {
            None => true,
            Some(Value::Boolean(truth)) => *truth,
            Some(Value::Int(number)) => *number != 0,
            Some(Value::Double(number)) => *number != 0.0,
            Some(Value::String(text) | Value::DateTime(text)) => !text.is_empty(),
            Some(Value::Array(values)) => !values.is_empty(),
            Some(Value::Struct(members)) => !members.is_empty(),
        }
    }
}

/// What Python's `int` makes of a value.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Boolean(truth) => Some(i64::from(*truth)),
        #[expect(clippy::cast_possible_truncation, reason = "Python truncates too")]
        Value::Double(number) if number.is_finite() => Some(*number as i64),
        Value::String(text) => text.trim().parse().ok(),
        Value::Double(_) | Value::DateTime(_) | Value::Array(_) | Value::Struct(_) => None,
    }
}

/// A value as Python's `%s` shows it, as far as anybody could want it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::Boolean(true) => "True".to_owned(),
        Value::Boolean(false) => "False".to_owned(),
        Value::Double(number) => format!("{number:?}"),
        Value::String(text) | Value::DateTime(text) => text.clone(),
        Value::Array(_) => "an array".to_owned(),
        Value::Struct(_) => "a struct".to_owned(),
    }
}
