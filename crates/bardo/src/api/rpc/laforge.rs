//! The methods of `mr.laforge` 0.9: signals for processes that are up. Supervisor has
//! had signals of its own since.

use std::sync::Arc;

use bardo_core::{Signal, Target, Verb, Wait};
use bardo_wire::xmlrpc::Value;

use super::parameters::{Parameters, integer, shown};
use super::processes::{Status, act, by_priority, statuses};
use crate::api::Context;
use crate::api::faults::{Code, Fault};
use crate::daemon::clients::{ProcessView, Selection};
use crate::names;

/// The version of the interface.
const API_VERSION: &str = "0.1";

/// The version of the package.
const PACKAGE_VERSION: &str = "0.9";

type Result = std::result::Result<Value, Fault>;

pub(super) async fn api_version(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    Ok(Value::from(API_VERSION))
}

pub(super) async fn package_version(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    Ok(Value::from(PACKAGE_VERSION))
}

pub(super) async fn kill(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    let namespec = names::parse(name);
    let Some(process) = namespec.process else {
        // The original means this and mistakes the signal for the name of the group.
        return kill_all(&context, namespec.group, name, &parameters).await;
    };
    let view = context.process(namespec.group, process, name).await?;
    let signal = signal(&parameters)?;
    send(&context, &view, signal).await.map(|()| Value::Boolean(true))
}

pub(super) async fn kill_group(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    kill_all(&context, name, name, &parameters).await
}

/// Sends a signal to the members of a group that are up, one after the other.
async fn kill_all(context: &Context, group: &str, name: &str, parameters: &Parameters) -> Result {
    let selection = Selection::Group(group.into());
    let views = context.processes(selection, name).await?;
    let mut results = Vec::new();
    for view in by_priority(views).into_iter().filter(|view| view.state.is_up()) {
        let sent = match signal(parameters) {
            Ok(signal) => send(context, &view, signal).await,
            Err(fault) => Err(fault),
        };
        results.push(Status::new(&view.group.name, &view.spec.name, sent));
    }
    Ok(statuses(results))
}

/// Sends a signal to a process that is up: unlike Supervisor's own method, not to one
/// that is being stopped.
async fn send(
    context: &Context,
    view: &ProcessView,
    signal: Signal,
) -> std::result::Result<(), Fault> {
    if !view.state.is_up() {
        return Err(Fault::bare(Code::NotRunning));
    }
    let (group, process) = (Arc::clone(&view.group.name), Arc::clone(&view.spec.name));
    let name = names::namespec(&group, &process);
    let target = Target::Process(group, process);
    match act(context, Verb::Signal(signal), target, Wait::Begun, &name).await {
        Ok(_) => Ok(()),
        // It has ended meanwhile, or waits for its next start.
        Err(fault) if fault.code == Code::NotRunning => Err(Fault::bare(Code::NotRunning)),
        Err(fault) => Err(fault),
    }
}

/// A signal by number, also one without a name, or by name.
fn signal(parameters: &Parameters) -> std::result::Result<Signal, Fault> {
    let value = parameters.get(1);
    let signal = match (value.and_then(integer), value) {
        (Some(number), _) => Signal::from_number(number),
        (None, Some(Value::String(name))) => Signal::from_name(name),
        (None, _) => return Err(Fault::bare(Code::IncorrectParameters)),
    };
    let bad = || Fault::with(Code::BadArguments, value.map(shown).unwrap_or_default());
    signal.ok_or_else(bad)
}
