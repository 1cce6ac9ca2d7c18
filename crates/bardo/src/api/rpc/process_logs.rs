//! Methods about the logs of processes.

use std::path::PathBuf;
use std::sync::Arc;

use bardo_wire::xmlrpc::Value;

use super::parameters::Parameters;
use super::processes::{Status, by_priority, statuses};
use crate::api::ask::misanswered;
use crate::api::faults::{Code, Fault};
use crate::api::{Context, logs, names};
use crate::daemon::clients::{ClearRefusal, ProcessView, Question, Reply, Selection};

type Result = std::result::Result<Value, Fault>;

pub(super) async fn read_stdout(context: Arc<Context>, parameters: Parameters) -> Result {
    let view = one(&context, parameters.text(0)?).await?;
    read_file(view.stdout_log, &parameters, 1).await
}

pub(super) async fn read_stderr(context: Arc<Context>, parameters: Parameters) -> Result {
    let view = one(&context, parameters.text(0)?).await?;
    read_file(view.stderr_log, &parameters, 1).await
}

pub(super) async fn tail_stdout(context: Arc<Context>, parameters: Parameters) -> Result {
    let view = one(&context, parameters.text(0)?).await?;
    tail_file(view.stdout_log, &parameters).await
}

pub(super) async fn tail_stderr(context: Arc<Context>, parameters: Parameters) -> Result {
    let view = one(&context, parameters.text(0)?).await?;
    tail_file(view.stderr_log, &parameters).await
}

pub(super) async fn clear(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    context.working().await?;
    let namespec = names::parse(name);
    let process = namespec.process.ok_or_else(|| Fault::with(Code::BadName, name))?;
    clear_one(&context, namespec.group, process, name).await?;
    Ok(Value::Boolean(true))
}

pub(super) async fn clear_all(context: Arc<Context>, _: Parameters) -> Result {
    let mut results = Vec::new();
    for view in by_priority(context.processes(Selection::All, "").await?) {
        let (group, process) = (&*view.group.name, &*view.spec.name);
        let name = names::namespec(group, process);
        let result = clear_one(&context, group, process, &name).await;
        results.push(Status::new(group, process, result));
    }
    Ok(statuses(results))
}

/// The process of a namespec; a group is none.
pub(super) async fn one(context: &Context, name: &str) -> std::result::Result<ProcessView, Fault> {
    let namespec = names::parse(name);
    match namespec.process {
        Some(process) => context.process(namespec.group, process, name).await,
        None => {
            context.working().await?;
            Err(Fault::with(Code::BadName, name))
        }
    }
}

/// Reads a part of a log; its offset and length are the parameters from `place` on.
pub(super) async fn read_file(
    file: Option<Arc<str>>,
    parameters: &Parameters,
    place: usize,
) -> Result {
    let (offset, length) = (parameters.integer(place), parameters.integer(place + 1));
    let file = file.ok_or_else(|| Fault::bare(Code::NoFile))?;
    let path = PathBuf::from(&*file);
    let read = move || {
        if !path.exists() {
            return Err(Fault::with(Code::NoFile, file));
        }
        logs::read(&path, offset?, length?).map_err(Fault::bare)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(text) => text.map(Value::String),
        Err(_) => Err(Fault::bare(Code::Failed)),
    }
}

async fn tail_file(file: Option<Arc<str>>, parameters: &Parameters) -> Result {
    let (offset, length) = (parameters.integer(1), parameters.integer(2));
    let nothing = (String::new(), 0, false);
    let (text, offset, overflow) = match file {
        None => nothing,
        Some(file) => {
            let path = PathBuf::from(&*file);
            let tail = move || match path.exists() {
                true => Ok(logs::tail(&path, offset?, length?)),
                false => Ok(nothing),
            };
            let read = tokio::task::spawn_blocking(tail).await;
            read.unwrap_or_else(|_| Err(Fault::bare(Code::Failed)))?
        }
    };
    Ok(Value::Array(vec![Value::String(text), Value::Int(offset), Value::Boolean(overflow)]))
}

async fn clear_one(
    context: &Context,
    group: &str,
    process: &str,
    name: &str,
) -> std::result::Result<(), Fault> {
    let selection = Selection::Process(group.into(), process.into());
    match context.ask(Question::ClearLog(selection)).await? {
        Reply::ClearLog(Ok(())) => Ok(()),
        Reply::ClearLog(Err(refusal)) => Err(match refusal {
            ClearRefusal::NoSuchName => Fault::with(Code::BadName, name),
            ClearRefusal::Failed => Fault::with(Code::Failed, name),
            ClearRefusal::ShuttingDown => Fault::bare(Code::ShutdownState),
        }),
        _ => Err(misanswered()),
    }
}
