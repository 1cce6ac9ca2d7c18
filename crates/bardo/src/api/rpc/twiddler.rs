//! The methods of `supervisor_twiddler` 1.0.0: programs that come and go while their
//! group is there, and lines for the main log.

use std::sync::Arc;

use bardo_config::Described;
use bardo_core::job::Answer;
use bardo_core::{Command, Refusal};
use bardo_wire::xmlrpc::Value;

use super::parameters::{Parameters, shown};
use crate::api::Context;
use crate::api::ask::misanswered;
use crate::api::faults::{Code, Fault, refused};
use crate::daemon::clients::{Question, Reply};
use crate::daemon::main_log::Level;

/// The version of the interface.
const API_VERSION: &str = "1.0";

/// The levels of the main log by name and number.
const LEVELS: [(&str, i64, Level); 7] = [
    ("CRIT", 50, Level::Critical),
    ("ERRO", 40, Level::Error),
    ("WARN", 30, Level::Warn),
    ("INFO", 20, Level::Info),
    ("DEBG", 10, Level::Debug),
    ("TRAC", 5, Level::Trace),
    ("BLAT", 3, Level::Blather),
];

type Result = std::result::Result<Value, Fault>;

pub(super) async fn api_version(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    Ok(Value::from(API_VERSION))
}

pub(super) async fn group_names(context: Arc<Context>, _: Parameters) -> Result {
    let names = names(&context).await?;
    Ok(Value::Array(names.iter().map(|name| Value::from(&**name)).collect()))
}

pub(super) async fn log(context: Arc<Context>, parameters: Parameters) -> Result {
    let level = match parameters.get(1) {
        None => Some(Level::Info),
        Some(value) => level(value),
    };
    let Some(level) = level else {
        context.working().await?;
        return Err(Fault::bare(Code::IncorrectParameters));
    };
    let text = parameters.get(0).map(shown).unwrap_or_default();
    match context.ask(Question::Log { level, text }).await? {
        Reply::Answer(Answer::Refused(refusal)) => Err(refused(&refusal, "")),
        _ => Ok(Value::Boolean(true)),
    }
}

/// A level by its name, in any case, or its number.
fn level(value: &Value) -> Option<Level> {
    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers are equal to one")]
    let is_meant = |name: &str, number: i64| match value {
        Value::String(text) => text.to_uppercase() == name,
        Value::Int(other) => *other == number,
        Value::Double(other) => other.fract() == 0.0 && *other as i64 == number,
        _ => false,
    };
    LEVELS.iter().find(|(name, number, _)| is_meant(name, *number)).map(|there| there.2)
}

pub(super) async fn add_program(context: Arc<Context>, parameters: Parameters) -> Result {
    let group = parameters.get(0).map(shown).unwrap_or_default();
    // A name that is wrong is told before a program that is.
    if !names(&context).await?.iter().any(|there| **there == group) {
        return Err(refused(&Refusal::NoSuchGroup, &group));
    }
    let described = Described {
        group: group.clone(),
        name: parameters.get(1).map(shown).unwrap_or_default(),
        options: parameters.get(2).and_then(options).ok_or_else(incorrect)?,
        variables: context.shown().variables.to_vec(),
        ..Described::default()
    };
    let load = Arc::clone(&context.settings.load_program);
    // Users are looked up, which may take a while.
    let services = match tokio::task::spawn_blocking(move || load(described)).await {
        Ok(Ok(services)) => services,
        Ok(Err(text)) => return Err(Fault::with(Code::IncorrectParameters, text)),
        Err(_) => return Err(incorrect()),
    };
    let command = Command::Join { group: group.as_str().into(), services };
    context.command(command, &group).await?;
    Ok(Value::Boolean(true))
}

/// Options as a struct, or as pairs: Python makes a dictionary of both. A value that
/// is no text is read as Python would show it.
fn options(value: &Value) -> Option<Vec<(String, String)>> {
    match value {
        Value::Struct(members) => {
            members.iter().map(|(key, value)| Some((key.to_string(), option(value)?))).collect()
        }
        Value::Array(pairs) => pairs
            .iter()
            .map(|pair| match pair.as_array()? {
                [Value::String(key), value] => Some((key.clone(), option(value)?)),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn option(value: &Value) -> Option<String> {
    (!matches!(value, Value::Array(_) | Value::Struct(_))).then(|| shown(value))
}

pub(super) async fn remove_process(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = |place| parameters.get(place).map(shown).unwrap_or_default();
    let (group, process) = (name(0), name(1));
    let command = Command::Leave { group: group.as_str().into(), process: process.as_str().into() };
    match context.ask(Question::Command(command)).await? {
        Reply::Answer(Answer::Done) => Ok(Value::Boolean(true)),
        Reply::Answer(Answer::Refused(refusal @ Refusal::NoSuchGroup)) => {
            Err(refused(&refusal, &group))
        }
        Reply::Answer(Answer::Refused(refusal)) => Err(refused(&refusal, &process)),
        _ => Err(misanswered()),
    }
}

async fn names(context: &Context) -> std::result::Result<Vec<Arc<str>>, Fault> {
    match context.ask(Question::GroupNames).await? {
        Reply::Names(names) => Ok(names),
        Reply::Answer(Answer::Refused(refusal)) => Err(refused(&refusal, "")),
        _ => Err(misanswered()),
    }
}

fn incorrect() -> Fault {
    Fault::bare(Code::IncorrectParameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_name_or_a_number_of_the_seven() {
        assert_eq!(level(&Value::from("warn")), Some(Level::Warn));
        assert_eq!(level(&Value::Int(3)), Some(Level::Blather));
        assert_eq!(level(&Value::Double(50.0)), Some(Level::Critical));
        for other in [Value::from("debug"), Value::Int(31), Value::Boolean(true)] {
            assert_eq!(level(&other), None, "{other:?}");
        }
    }

    #[test]
    fn options_are_read_as_python_shows_them() {
        let described = Value::Struct(vec![
            ("command".into(), Value::from("/bin/cat")),
            ("numprocs".into(), Value::Int(2)),
            ("autostart".into(), Value::Boolean(false)),
        ]);

        let values: Vec<String> =
            options(&described).unwrap().into_iter().map(|(_, value)| value).collect();

        assert_eq!(values, ["/bin/cat", "2", "False"]);
        assert_eq!(options(&Value::from("command")), None);
        assert_eq!(options(&Value::Array(vec![Value::from("x")])), None);
    }
}
