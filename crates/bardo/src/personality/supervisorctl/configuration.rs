//! Commands about the configuration.

use std::collections::{BTreeMap, BTreeSet};

use bardo_wire::xmlrpc::Value;
use serde::Serialize;

use super::control::{Control, Stop, fault};
use super::processes::{number, rows, text};
use super::report;
use crate::client::CallError;
use crate::names;

/// How a loaded configuration differs, or what was made to follow it, by group names.
#[derive(Default, Serialize)]
struct Difference {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

impl Difference {
    /// Reads the answer of `reloadConfig`: an array in an array.
    fn of(answer: &Value) -> Self {
        let parts = answer.as_array().and_then(|outer| outer.first()).and_then(Value::as_array);
        let names = |place: usize| {
            let part = parts.and_then(|parts| parts.get(place)).and_then(Value::as_array);
            let names = part.unwrap_or_default().iter().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        };
        Self { added: names(0), changed: names(1), removed: names(2) }
    }
}

pub(super) fn avail(control: &mut Control<'_>, _: &str) -> Result<(), Stop> {
    let configurations = match control.call("getAllConfigInfo", &[]) {
        Ok(configurations) => rows(configurations),
        Err(CallError::Fault { code: fault::SHUTDOWN_STATE, .. }) => {
            control.fail("ERROR: supervisor shutting down");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if control.is_document() {
        control.answer_also(configurations.iter().map(report::json));
        return Ok(());
    }
    for info in configurations {
        let name = names::namespec(text(&info, "group"), text(&info, "name"));
        let is = |key| info.member(key).and_then(Value::as_bool).unwrap_or(false);
        let in_use = if is("inuse") { "in use" } else { "avail" };
        let start = if is("autostart") { "auto" } else { "manual" };
        let (group, process) = (number(&info, "group_prio"), number(&info, "process_prio"));
        control.say(format_args!("{name:32} {in_use:9} {start:9} {group}:{process}"));
    }
    Ok(())
}

pub(super) fn reread(control: &mut Control<'_>, _: &str) -> Result<(), Stop> {
    let Some(difference) = reload(control, "ERROR: supervisor shutting down")? else {
        return Ok(());
    };
    if control.is_document() {
        control.answer(difference);
        return Ok(());
    }
    let mut changes = BTreeMap::new();
    let parts = [
        (difference.added, "available"),
        (difference.changed, "changed"),
        (difference.removed, "disappeared"),
    ];
    for (names, what) in parts {
        changes.extend(names.into_iter().map(|name| (name, what)));
    }
    if changes.is_empty() {
        control.say("No config updates to processes");
    }
    for (name, what) in changes {
        control.say(format_args!("{name}: {what}"));
    }
    Ok(())
}

/// Lets the server load its configuration; says what is wrong with it. Supervisor's
/// `update` shows a Python exception where its `reread` has words.
fn reload(control: &mut Control<'_>, ending: &str) -> Result<Option<Difference>, Stop> {
    match control.call("reloadConfig", &[]) {
        Ok(answer) => Ok(Some(Difference::of(&answer))),
        Err(CallError::Fault { code: fault::SHUTDOWN_STATE, .. }) => {
            control.fail(ending);
            Ok(None)
        }
        Err(CallError::Fault { code: fault::CANT_REREAD, text }) => {
            control.fail(format_args!("ERROR: {text}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn add(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    change(control, |control, done| {
        for name in argument.split_whitespace() {
            match control.call("addProcessGroup", &[name]) {
                Ok(_) => {
                    control.tell(format_args!("{name}: added process group"));
                    done.added.push(name.to_owned());
                }
                Err(CallError::Fault { code: fault::SHUTDOWN_STATE, .. }) => {
                    control.fail("ERROR: shutting down");
                }
                // What is wanted is there, so this is no failure.
                Err(CallError::Fault { code: fault::ALREADY_ADDED, .. }) => {
                    control.say("ERROR: process group already active");
                }
                Err(CallError::Fault { code: fault::BAD_NAME, .. }) => {
                    control.fail(format_args!("ERROR: no such process/group: {name}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })
}

pub(super) fn remove(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    change(control, |control, done| {
        for name in argument.split_whitespace() {
            match control.call("removeProcessGroup", &[name]) {
                Ok(_) => {
                    control.tell(format_args!("{name}: removed process group"));
                    done.removed.push(name.to_owned());
                }
                Err(CallError::Fault { code: fault::STILL_RUNNING, .. }) => {
                    control.fail(format_args!("ERROR: process/group still running: {name}"));
                }
                Err(CallError::Fault { code: fault::BAD_NAME, .. }) => {
                    control.fail(format_args!("ERROR: no such process/group: {name}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })
}

pub(super) fn update(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    let Some(difference) = reload(control, "ERROR: already shutting down")? else {
        return Ok(());
    };
    let mut wanted: Vec<&str> = argument.split_whitespace().collect();
    if wanted.contains(&"all") {
        wanted.clear();
    }
    if !wanted.is_empty() {
        say_unknown(control, &wanted, &difference)?;
    }
    change(control, |control, done| carry_out(control, &wanted, difference, done))
}

/// Says which of the groups wanted are nowhere.
fn say_unknown(
    control: &mut Control<'_>,
    wanted: &[&str],
    difference: &Difference,
) -> Result<(), Stop> {
    let infos = rows(control.call("getAllProcessInfo", &[])?);
    let present = infos.iter().map(|info| text(info, "group"));
    let known: BTreeSet<&str> =
        present.chain(difference.added.iter().map(String::as_str)).collect();
    let mut said = BTreeSet::new();
    for name in wanted.iter().filter(|name| !known.contains(**name)) {
        if said.insert(*name) {
            control.fail(format_args!("ERROR: no such group: {name}"));
        }
    }
    Ok(())
}

/// Makes the server follow its configuration: all of it when no groups are named.
fn carry_out(
    control: &mut Control<'_>,
    wanted: &[&str],
    difference: Difference,
    done: &mut Difference,
) -> Result<(), Stop> {
    let is_wanted = |name: &String| wanted.is_empty() || wanted.contains(&name.as_str());
    for name in difference.removed.into_iter().filter(is_wanted) {
        let results = rows(control.call("stopProcessGroup", &[&name])?);
        control.tell(format_args!("{name}: stopped"));
        if results.iter().any(|result| number(result, "status") == i64::from(fault::FAILED)) {
            control.fail(format_args!("{name}: has problems; not removing"));
            continue;
        }
        control.call("removeProcessGroup", &[&name])?;
        control.tell(format_args!("{name}: removed process group"));
        done.removed.push(name);
    }
    for name in difference.changed.into_iter().filter(is_wanted) {
        control.call("stopProcessGroup", &[&name])?;
        control.tell(format_args!("{name}: stopped"));
        control.call("removeProcessGroup", &[&name])?;
        control.call("addProcessGroup", &[&name])?;
        control.tell(format_args!("{name}: updated process group"));
        done.changed.push(name);
    }
    for name in difference.added.into_iter().filter(is_wanted) {
        control.call("addProcessGroup", &[&name])?;
        control.tell(format_args!("{name}: added process group"));
        done.added.push(name);
    }
    Ok(())
}

/// Changes groups, and answers with what was done of it, also when something stops it.
fn change(
    control: &mut Control<'_>,
    work: impl FnOnce(&mut Control<'_>, &mut Difference) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut done = Difference::default();
    let worked = work(control, &mut done);
    if control.is_document() {
        control.answer(done);
    }
    worked
}
