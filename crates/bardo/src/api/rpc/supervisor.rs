//! Methods about the supervisor itself.

use std::path::PathBuf;
use std::sync::Arc;

use bardo_core::Command;
use bardo_wire::xmlrpc::Value;

use super::parameters::{Parameters, shown};
use super::process_logs::read_file;
use crate::api::Context;
use crate::api::ask::misanswered;
use crate::api::faults::{Code, Fault};
use crate::daemon::clients::{ClearRefusal, Question, Reply, Selection};

/// The version of the interface. Clients refuse to work with any other.
const API_VERSION: &str = "3.0";

type Result = std::result::Result<Value, Fault>;

pub(super) async fn api_version(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    Ok(Value::from(API_VERSION))
}

pub(super) async fn supervisor_version(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    Ok(Value::from(context.settings.supervisor_version))
}

pub(super) async fn identification(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    Ok(Value::from(&*context.shown().identifier))
}

/// While everything is being stopped this is refused too.
pub(super) async fn state(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    // Supervisor has this state for a supervisor that cannot go on.
    let (code, name) =
        if context.shown().watching.is_some() { (2, "FATAL") } else { (1, "RUNNING") };
    Ok(Value::Struct(vec![
        ("statecode".into(), Value::Int(code)),
        ("statename".into(), Value::from(name)),
    ]))
}

pub(super) async fn pid(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    Ok(Value::Int(context.settings.keeper.0.into()))
}

pub(super) async fn read_log(context: Arc<Context>, parameters: Parameters) -> Result {
    context.working().await?;
    let file = context.shown().main_log;
    read_file(file, &parameters, 0).await
}

pub(super) async fn clear_log(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    let missing = || Fault::bare(Code::NoFile);
    let file = context.shown().main_log.ok_or_else(missing)?;
    let file = PathBuf::from(&*file);
    let there = tokio::task::spawn_blocking(move || file.exists()).await;
    if !matches!(there, Ok(true)) {
        return Err(missing());
    }
    match context.ask(Question::ClearLog(Selection::Main)).await? {
        Reply::ClearLog(Ok(())) => Ok(Value::Boolean(true)),
        Reply::ClearLog(Err(refusal)) => Err(Fault::bare(match refusal {
            ClearRefusal::NoSuchName => Code::NoFile,
            ClearRefusal::Failed => Code::Failed,
            ClearRefusal::ShuttingDown => Code::ShutdownState,
        })),
        _ => Err(misanswered()),
    }
}

pub(super) async fn shutdown(context: Arc<Context>, _: Parameters) -> Result {
    context.command(Command::Shutdown, "").await?;
    Ok(Value::Boolean(true))
}

pub(super) async fn restart(context: Arc<Context>, _: Parameters) -> Result {
    context.command(Command::Restart, "").await?;
    Ok(Value::Boolean(true))
}

/// The only method of its namespace that works while everything is being stopped.
pub(super) async fn send_event(context: Arc<Context>, parameters: Parameters) -> Result {
    let text = |place| parameters.get(place).map(shown).unwrap_or_default();
    let (kind, data) = (text(0), text(1));
    match context.ask(Question::RemoteEvent { kind, data }).await? {
        Reply::Answer(_) => Ok(Value::Boolean(true)),
        _ => Err(misanswered()),
    }
}
