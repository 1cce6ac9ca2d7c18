//! Methods about the logs of processes.

use std::path::PathBuf;
use std::sync::Arc;

use bardo_wire::xmlrpc::Value;

use super::parameters::Parameters;
use super::processes::{Status, by_priority, statuses};
use crate::api::Context;
use crate::api::ask::misanswered;
use crate::api::faults::{Code, Fault};
use crate::api::logs::{Part, Tail};
use crate::daemon::clients::{ClearRefusal, ProcessView, Question, Reply, Selection};
use crate::names;

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
    let part = beside(move || {
        if !path.exists() {
            return Err(Fault::with(Code::NoFile, file));
        }
        Part::find(&path, offset?, length?).map_err(Fault::bare)
    });
    let part = part.await?;
    parameters.share().add(part.bytes()).await?;
    beside(move || part.read().map_err(failed)).await.map(Value::String)
}

async fn tail_file(file: Option<Arc<str>>, parameters: &Parameters) -> Result {
    let (offset, length) = (parameters.integer(1), parameters.integer(2));
    let answer = |text, size, overflow| {
        Value::Array(vec![Value::String(text), Value::Int(size), Value::Boolean(overflow)])
    };
    let nothing = |size| answer(String::new(), size, false);
    let Some(file) = file else { return Ok(nothing(0)) };
    let path = PathBuf::from(&*file);
    let found = beside(move || {
        if !path.exists() {
            return Ok(Err(0));
        }
        let (offset, length) = (offset?, length?);
        // Supervisor answers with the offset where the file cannot be read.
        Ok(Tail::find(&path, offset, length).map_err(|_| offset))
    });
    let Tail { part, size, overflow } = match found.await? {
        Ok(tail) => tail,
        Err(size) => return Ok(nothing(size)),
    };
    parameters.share().add(part.bytes()).await?;
    let text = beside(move || part.read().map_err(failed)).await?;
    Ok(answer(text, size, overflow))
}

/// Does something that may wait for a disk beside the API thread.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, Fault> + Send + 'static,
) -> std::result::Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Fault::bare(Code::Failed)))
}

fn failed(_: std::io::Error) -> Fault {
    Fault::bare(Code::Failed)
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
