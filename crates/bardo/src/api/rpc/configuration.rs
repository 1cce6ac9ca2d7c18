//! Methods about the configuration.

use std::collections::HashMap;
use std::sync::Arc;

use bardo_config::info::{InfoValue, Presence, config_info};
use bardo_core::job::Answer;
use bardo_core::{Command, GroupSpec, Scope};
use bardo_wire::xmlrpc::Value;

use super::parameters::Parameters;
use super::processes::ROW_BYTES;
use crate::api::Context;
use crate::api::ask::misanswered;
use crate::api::faults::{Code, Fault, refused};
use crate::daemon::clients::{ProcessView, Question, Reply, Selection};
use crate::daemon::fastcgi;
use crate::daemon::main_log::Level;

type Result = std::result::Result<Value, Fault>;

/// The answer is an array in an array: Supervisor could not answer with three
/// values.
pub(super) async fn reload(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    let load = Arc::clone(&context.settings.load);
    let configuration = match tokio::task::spawn_blocking(move || load()).await {
        Ok(Ok(configuration)) => configuration,
        Ok(Err(text)) => return Err(Fault::with(Code::CantReread, text)),
        Err(_) => return Err(Fault::with(Code::CantReread, "the file cannot be read")),
    };
    match context.command(Command::Load(configuration), "").await? {
        Answer::Difference(difference) => {
            let parts = [difference.added, difference.changed, difference.removed];
            let names = parts
                .map(|names| Value::Array(names.iter().map(|name| Value::from(&**name)).collect()));
            Ok(Value::Array(vec![Value::Array(names.into())]))
        }
        _ => Err(misanswered()),
    }
}

pub(super) async fn add(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    probe_sockets(&context, name).await?;
    let command = Command::Reconcile(Scope::Add(name.into()));
    context.command(command, name).await?;
    Ok(Value::Boolean(true))
}

/// Tries the sockets that a new group shares among its processes, as Supervisor does. One
/// that a group has that is there already can be had.
async fn probe_sockets(context: &Context, name: &str) -> std::result::Result<(), Fault> {
    let Reply::Groups(groups) = context.ask(Question::Groups).await? else { return Ok(()) };
    let is_new = |(group, in_use): &&(Arc<GroupSpec>, bool)| *group.name == *name && !in_use;
    let Some((group, _)) = groups.iter().find(is_new) else { return Ok(()) };
    let present = groups.iter().filter(|(_, in_use)| *in_use).map(|(group, _)| group);
    let present = fastcgi::named(present);
    for socket in fastcgi::named([group]) {
        if present.iter().any(|there| there.address == socket.address) {
            continue;
        }
        let mut lines = Vec::new();
        let probed = fastcgi::probe(&socket, &mut lines);
        for line in lines {
            context.say(Level::Info, &line);
        }
        probed.map_err(|error| Fault::with(Code::Failed, error))?;
    }
    Ok(())
}

pub(super) async fn remove(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    let command = Command::Reconcile(Scope::Remove(name.into()));
    context.command(command, name).await?;
    Ok(Value::Boolean(true))
}

pub(super) async fn info(context: Arc<Context>, parameters: Parameters) -> Result {
    let groups = match context.ask(Question::Groups).await? {
        Reply::Groups(groups) => groups,
        Reply::Answer(Answer::Refused(refusal)) => return Err(refused(&refusal, "")),
        _ => return Err(misanswered()),
    };
    let views = context.processes(Selection::All, "").await?;
    let services: usize = groups.iter().map(|(group, _)| group.services.len()).sum();
    parameters.share().add(services * ROW_BYTES).await?;
    let present: HashMap<(&str, &str), &ProcessView> =
        views.iter().map(|view| ((&*view.group.name, &*view.spec.name), view)).collect();

    let mut rows = Vec::new();
    for (group, in_use) in &groups {
        for service in &group.services {
            // An automatic log has a name only in the specs that are in use; those
            // loaded anew say `auto`, as in Supervisor.
            let view = present
                .get(&(&*group.name, &*service.name))
                .filter(|view| Arc::ptr_eq(&view.group, group));
            let presence = Presence {
                in_use: *in_use,
                stdout_logfile: view.and_then(|view| view.stdout_log.as_deref()),
                stderr_logfile: view.and_then(|view| view.stderr_log.as_deref()),
            };
            rows.push((&*service.name, row(config_info(group, service, presence))));
        }
    }
    rows.sort_by_key(|(name, _)| *name);
    Ok(Value::Array(rows.into_iter().map(|(_, row)| row).collect()))
}

fn row(info: Vec<(&'static str, InfoValue)>) -> Value {
    let members = info.into_iter().map(|(key, value)| {
        let value = match value {
            InfoValue::Integer(number) => Value::Int(number),
            InfoValue::Boolean(truth) => Value::Boolean(truth),
            InfoValue::Text(text) => Value::String(text),
            InfoValue::Integers(numbers) => {
                Value::Array(numbers.into_iter().map(Value::Int).collect())
            }
        };
        (key.into(), value)
    });
    Value::Struct(members.collect())
}
