//! The configuration: what is loaded, what the file says now, and taking that up.

use bardo_wire::xmlrpc::Value;
use serde::Serialize;

use super::actions::Change;
use super::call::{Call, Said};
use super::problem::{Problem, ShownFault};
use super::shapes::json;
use crate::api::faults::{Code, Fault};

type Result = std::result::Result<Said, Problem>;

/// Which groups the file would add, change and remove.
#[derive(Debug, Default, Serialize)]
struct Difference {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

#[derive(Serialize)]
struct Updated<'a> {
    failed: usize,
    results: Vec<Change<'a>>,
}

/// What is done to a group for a change of the file, in order.
const STEPS: [(&str, &[&str]); 3] = [
    ("removed", &["stopProcessGroup", "removeProcessGroup"]),
    ("changed", &["stopProcessGroup", "removeProcessGroup", "addProcessGroup"]),
    ("added", &["addProcessGroup"]),
];

pub(super) async fn loaded(call: Call) -> Result {
    let value = call.rpc("getAllConfigInfo", Vec::new()).await?;
    Said::json(&json(value))
}

pub(super) async fn reread(call: Call) -> Result {
    Said::json(&difference(&call).await?)
}

/// What `supervisorctl update` does.
pub(super) async fn update(call: Call) -> Result {
    let Difference { added, changed, removed } = difference(&call).await?;
    let mut done = Vec::new();
    for ((change, steps), groups) in STEPS.into_iter().zip([&removed, &changed, &added]) {
        for group in groups {
            done.push((&**group, change, take_up(&call, group, steps).await));
        }
    }
    let results: Vec<Change<'_>> = done
        .iter()
        .map(|(group, change, fault)| Change {
            group,
            change,
            ok: fault.is_none(),
            fault: fault.as_ref().map(ShownFault::from),
        })
        .collect();
    let failed = results.iter().filter(|result| !result.ok).count();
    Said::json(&Updated { failed, results })
}

/// Does the steps; the first one that fails is the last one.
async fn take_up(call: &Call, group: &str, steps: &[&str]) -> Option<Fault> {
    for step in steps {
        match call.rpc(step, vec![Value::from(group)]).await {
            Ok(_) => {}
            // Nothing ran.
            Err(fault) if *step == "stopProcessGroup" && fault.code == Code::NotRunning => {}
            Err(fault) => return Some(fault),
        }
    }
    None
}

async fn difference(call: &Call) -> std::result::Result<Difference, Problem> {
    let Value::Array(mut answer) = call.rpc("reloadConfig", Vec::new()).await? else {
        return Err(Problem::our_fault());
    };
    let Some(Value::Array(lists)) = answer.pop() else { return Err(Problem::our_fault()) };
    let mut lists = lists.into_iter().map(|list| match list {
        Value::Array(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    });
    let mut next = || lists.next().unwrap_or_default();
    Ok(Difference { added: next(), changed: next(), removed: next() })
}
