//! How processes and groups are.

use std::sync::Arc;

use serde::Serialize;

use super::call::{Call, Said};
use super::problem::Problem;
use super::shapes::Process;
use crate::api::faults::{Code, Fault};
use crate::api::{Context, info};
use crate::daemon::clients::{ProcessView, Selection};
use crate::names;

/// About how many bytes are told of each process.
const ROW_BYTES: usize = 1 << 10;

type Result = std::result::Result<Said, Problem>;

#[derive(Serialize)]
struct Listed {
    now: i64,
    processes: Vec<Process>,
}

#[derive(Serialize)]
struct Group {
    name: String,
    priority: i64,
    processes: Vec<Process>,
}

pub(super) async fn all(call: Call) -> Result {
    let views = call.context.processes(Selection::All, "").await?;
    call.share.add(views.len() * ROW_BYTES).await?;
    let now = info::now();
    Said::json(&Listed { now, processes: described(&call.context, views).await? })
}

pub(super) async fn one(call: Call) -> Result {
    call.process()?;
    Said::json(&current(&call).await?)
}

/// The process that the path names, as it is now.
pub(super) async fn current(call: &Call) -> std::result::Result<Process, Problem> {
    let view = view(call).await?;
    let described = described(&call.context, vec![view]).await?.pop();
    described.ok_or_else(|| Fault::with(Code::BadName, call.name()).into())
}

/// The view of the process that the path names.
pub(super) async fn view(call: &Call) -> std::result::Result<ProcessView, Problem> {
    let namespec = names::parse(call.name());
    let unknown = || Problem::from(Fault::with(Code::BadName, call.name()));
    let process = namespec.process.ok_or_else(unknown)?;
    Ok(call.context.process(namespec.group, process, call.name()).await?)
}

pub(super) async fn groups(call: Call) -> Result {
    let views = call.context.processes(Selection::All, "").await?;
    call.share.add(views.len() * ROW_BYTES).await?;
    let mut groups: Vec<Group> = Vec::new();
    let heads: Vec<_> =
        views.iter().map(|view| (view.group.name.to_string(), view.group.priority)).collect();
    let processes = described(&call.context, views).await?;
    for ((name, priority), process) in heads.into_iter().zip(processes) {
        match groups.last_mut().filter(|last| last.name == name) {
            Some(group) => group.processes.push(process),
            None => groups.push(Group { name, priority, processes: vec![process] }),
        }
    }
    Said::json(&groups)
}

pub(super) async fn group(call: Call) -> Result {
    let views = call.context.processes(Selection::Group(call.name().into()), call.name()).await?;
    let priority = views.first().map_or(0, |view| view.group.priority);
    call.share.add(views.len() * ROW_BYTES).await?;
    let processes = described(&call.context, views).await?;
    Said::json(&Group { name: call.name().to_owned(), priority, processes })
}

/// Describes processes, beside the API thread where a program has to be looked for.
pub(super) async fn described(
    context: &Arc<Context>,
    views: Vec<ProcessView>,
) -> std::result::Result<Vec<Process>, Fault> {
    let context = Arc::clone(context);
    let asks_disk = views.iter().any(|view| view.failure.is_some());
    let describe = move || {
        let (now, path) = (info::now(), context.path.as_deref());
        views.iter().map(|view| Process::of(view, now, path)).collect()
    };
    if !asks_disk {
        return Ok(describe());
    }
    let described = tokio::task::spawn_blocking(describe).await;
    described.map_err(|_| Fault::bare(Code::Failed))
}
