//! What changes processes: one of them, a group, or all.

use bardo_wire::xmlrpc::Value;
use serde::Serialize;

use super::call::{Call, Said, Whom};
use super::problem::{Problem, ShownFault};
use super::processes::current;
use crate::api::faults::{Code, Fault};
use crate::daemon::clients::Selection;
use crate::names;

type Result = std::result::Result<Said, Problem>;

/// What became of several processes.
#[derive(Serialize)]
pub(super) struct Outcomes {
    failed: usize,
    results: Vec<Outcome>,
}

/// What became of one of them.
#[derive(Serialize)]
pub(super) struct Outcome {
    namespec: String,
    group: String,
    name: String,
    ok: bool,
    /// Number and text of Supervisor's fault.
    fault: Option<OutcomeFault>,
}

#[derive(Serialize)]
struct OutcomeFault {
    code: i64,
    text: String,
}

/// What can be done to processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Start,
    Stop,
    Restart,
    Clear,
    Signal,
    Stdin,
}

/// Does it to the process that the path names, and tells how the process is then.
pub(super) async fn to_process(call: Call, deed: Deed) -> Result {
    let whom = call.process()?;
    perform(&call, deed, &whom).await?;
    Said::json(&current(&call).await?)
}

/// Does it to a group, and tells what became of each process.
pub(super) async fn to_group(call: Call, deed: Deed) -> Result {
    let whom = Whom::Group(call.name().to_owned());
    outcomes(perform(&call, deed, &whom).await?)
}

/// Does it to all.
pub(super) async fn to_all(call: Call, deed: Deed) -> Result {
    outcomes(perform(&call, deed, &Whom::All).await?)
}

async fn perform(call: &Call, deed: Deed, whom: &Whom) -> std::result::Result<Value, Problem> {
    let wait = Value::Boolean(call.waits()?);
    match deed {
        Deed::Start => Ok(reach(call, "start", whom, vec![wait]).await?),
        Deed::Stop => Ok(reach(call, "stop", whom, vec![wait]).await?),
        Deed::Restart => restart(call, whom, wait).await,
        Deed::Signal => {
            let signal = Value::from(call.field_or_text("signal")?.trim());
            Ok(reach(call, "signal", whom, vec![signal]).await?)
        }
        Deed::Stdin => {
            let text = call.field_or_text("chars")?;
            each(call, whom, "sendProcessStdin", &[Value::from(&*text)]).await
        }
        Deed::Clear => each(call, whom, "clearProcessLogs", &[]).await,
    }
}

/// Calls the method of three that is for this target.
async fn reach(
    call: &Call,
    verb: &str,
    whom: &Whom,
    rest: Vec<Value>,
) -> std::result::Result<Value, Fault> {
    let (method, name) = match whom {
        Whom::Process(name) => (format!("{verb}Process"), Some(name)),
        Whom::Group(name) => (format!("{verb}ProcessGroup"), Some(name)),
        Whom::All => (format!("{verb}AllProcesses"), None),
    };
    let name = name.map(|name| Value::from(&**name));
    call.rpc(&method, name.into_iter().chain(rest).collect()).await
}

/// Stops what runs, waits until it has ended, and starts everything.
async fn restart(call: &Call, whom: &Whom, wait: Value) -> std::result::Result<Value, Problem> {
    match reach(call, "stop", whom, vec![Value::Boolean(true)]).await {
        Ok(_) => {}
        // What does not run needs no stop.
        Err(fault) if fault.code == Code::NotRunning => {}
        Err(fault) => return Err(fault.into()),
    }
    Ok(reach(call, "start", whom, vec![wait]).await?)
}

/// Calls a method that is for one process, for each of several.
async fn each(
    call: &Call,
    whom: &Whom,
    method: &str,
    rest: &[Value],
) -> std::result::Result<Value, Problem> {
    let with = |name: &str| {
        let name = Value::from(name);
        std::iter::once(name).chain(rest.iter().cloned()).collect()
    };
    let (selection, name) = match whom {
        Whom::Process(name) => return Ok(call.rpc(method, with(name)).await?),
        Whom::Group(name) => (Selection::Group(name.as_str().into()), &**name),
        Whom::All => (Selection::All, ""),
    };
    let mut rows = Vec::new();
    for view in call.context.processes(selection, name).await? {
        let (group, process) = (&*view.group.name, &*view.spec.name);
        let result = call.rpc(method, with(&format!("{group}:{process}"))).await;
        let (status, description) = match result {
            Ok(_) => (Code::Success as i32, "OK".to_owned()),
            Err(fault) => (fault.code as i32, fault.text),
        };
        rows.push(Value::Struct(vec![
            ("name".into(), Value::from(process)),
            ("group".into(), Value::from(group)),
            ("status".into(), Value::from(status)),
            ("description".into(), Value::from(description)),
        ]));
    }
    Ok(Value::Array(rows))
}

fn outcomes(statuses: Value) -> Result {
    let Value::Array(rows) = statuses else { return Err(Problem::our_fault()) };
    let results: Vec<Outcome> = rows.iter().map(outcome).collect();
    let failed = results.iter().filter(|result| !result.ok).count();
    Said::json(&Outcomes { failed, results })
}

fn outcome(row: &Value) -> Outcome {
    let text = |key| row.member(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (group, name) = (text("group"), text("name"));
    let code = match row.member("status") {
        Some(Value::Int(code)) => *code,
        _ => i64::from(Code::Failed as i32),
    };
    let ok = code == i64::from(Code::Success as i32);
    Outcome {
        namespec: names::namespec(&group, &name),
        group,
        name,
        ok,
        fault: (!ok).then(|| OutcomeFault { code, text: text("description") }),
    }
}

/// What became of a group that a new configuration adds, changes or removes.
#[derive(Serialize)]
pub(super) struct Change<'a> {
    pub(super) group: &'a str,
    pub(super) change: &'static str,
    pub(super) ok: bool,
    pub(super) fault: Option<ShownFault<'a>>,
}
