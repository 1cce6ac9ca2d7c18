//! Processes and outcomes as JSON.

use std::ffi::OsStr;

use bardo_core::{ExitStatus, Mood};
use bardo_wire::xmlrpc::Value;
use serde::Serialize;

use crate::api::info;
use crate::daemon::clients::ProcessView;
use crate::names;
use crate::words;

/// A process. Names are those of `getProcessInfo`; what is not known is null.
#[derive(Debug, Serialize)]
pub(super) struct Process {
    namespec: String,
    group: String,
    name: String,
    state: &'static str,
    statecode: i32,
    pid: Option<u32>,
    start: Option<i64>,
    stop: Option<i64>,
    exitstatus: Option<i32>,
    spawnerr: String,
    description: String,
    stdout_logfile: Option<String>,
    stderr_logfile: Option<String>,
}

impl Process {
    /// It may ask the file system for a program that could not be started.
    pub(super) fn of(view: &ProcessView, now: i64, own_path: Option<&OsStr>) -> Self {
        let (statecode, state) = words::state(view.state);
        let spawnerr = info::spawn_error(view, own_path);
        Self {
            namespec: names::namespec(&view.group.name, &view.spec.name),
            group: view.group.name.to_string(),
            name: view.spec.name.to_string(),
            state,
            statecode,
            pid: view.pid.map(|pid| pid.0),
            start: view.started.map(|time| time.0),
            stop: view.stopped.map(|time| time.0),
            exitstatus: view.exit.map(ExitStatus::code),
            description: info::description(view, now, &spawnerr),
            spawnerr,
            stdout_logfile: view.stdout_log.as_deref().map(str::to_owned),
            stderr_logfile: view.stderr_log.as_deref().map(str::to_owned),
        }
    }
}

/// The word for what the supervisor is about: Supervisor's names of its states.
pub(super) fn mood(mood: Mood) -> &'static str {
    match mood {
        Mood::Running => "RUNNING",
        Mood::Restarting => "RESTARTING",
        Mood::Shutdown => "SHUTDOWN",
        // Supervisor has no word for it: it works, only nothing is started again.
        Mood::Resting => "RUNNING",
    }
}

/// A value of XML-RPC as JSON.
pub(super) fn json(value: Value) -> serde_json::Value {
    match value {
        Value::Int(number) => number.into(),
        Value::Double(number) => number.into(),
        Value::Boolean(truth) => truth.into(),
        Value::String(text) | Value::DateTime(text) => text.into(),
        Value::Array(values) => values.into_iter().map(json).collect(),
        Value::Struct(members) => {
            members.into_iter().map(|(key, value)| (key.into_owned(), json(value))).collect()
        }
    }
}
