//! The commands of plugins that are built in: those of supervisor_cache and mr.laforge.
//! They call the namespaces that their originals call, whatever the plugin is named.

use bardo_config::command;
use bardo_core::SpawnError;
use bardo_wire::xmlrpc::Value;

use super::control::{Control, Next, Stop, fault};
use super::pretty;
use super::processes::{number, rows, text};
use crate::client::CallError;
use crate::names;

type Result = std::result::Result<Next, Stop>;

pub(super) fn clear(control: &mut Control<'_>, argument: &str) -> Result {
    call_plainly(control, "cache_clear", argument, "cache.clear", |_, _| {})
}

pub(super) fn count(control: &mut Control<'_>, argument: &str) -> Result {
    call_plainly(control, "cache_count", argument, "cache.getCount", show)
}

pub(super) fn keys(control: &mut Control<'_>, argument: &str) -> Result {
    call_plainly(control, "cache_keys", argument, "cache.getKeys", show)
}

pub(super) fn delete(control: &mut Control<'_>, argument: &str) -> Result {
    let Some([key]) = words(control, "cache_delete", argument)? else { return Ok(Next::Line) };
    control.call_any("cache.delete", vec![Value::from(key)])?;
    Ok(Next::Line)
}

pub(super) fn fetch(control: &mut Control<'_>, argument: &str) -> Result {
    let Some([key]) = words(control, "cache_fetch", argument)? else { return Ok(Next::Line) };
    let value = control.call_any("cache.fetch", vec![Value::from(key)])?;
    show(control, &value);
    Ok(Next::Line)
}

pub(super) fn store(control: &mut Control<'_>, argument: &str) -> Result {
    let Some([key, value]) = words(control, "cache_store", argument)? else {
        return Ok(Next::Line);
    };
    control.call_any("cache.store", vec![Value::from(key), Value::from(value)])?;
    Ok(Next::Line)
}

pub(super) fn kill(control: &mut Control<'_>, argument: &str) -> Result {
    if !control.is_up()? {
        return Ok(Next::Line);
    }
    let words: Vec<&str> = argument.split_whitespace().collect();
    let [signal, targets @ ..] = words.as_slice() else {
        control.say("Error: kill requires a signal and process name");
        control.say_help("kill");
        return Ok(Next::Line);
    };
    if targets.is_empty() {
        // The original fails at saying its help.
        control.fail("Error: kill requires a process name");
        control.say_help("kill");
    }
    for target in targets {
        let namespec = names::parse(target);
        let about = |name: &str| vec![Value::from(name), Value::from(*signal)];
        if namespec.process.is_none() {
            let results = control.call_any("laforge.killProcessGroup", about(namespec.group))?;
            for result in rows(results) {
                let code = i32::try_from(number(&result, "status")).unwrap_or(0);
                say_killed(control, text(&result, "name"), code)?;
            }
            continue;
        }
        let code = match control.call_any("laforge.killProcess", about(target)) {
            Ok(_) => fault::SUCCESS,
            Err(CallError::Fault { code, .. }) => code,
            Err(error) => return Err(error.into()),
        };
        say_killed(control, target, code)?;
    }
    Ok(Next::Line)
}

/// Says what became of a signal.
fn say_killed(control: &mut Control<'_>, name: &str, code: i32) -> std::result::Result<(), Stop> {
    match code {
        fault::SUCCESS => control.say(format_args!("{name}: signal sent")),
        fault::BAD_NAME => control.say(format_args!("{name}: ERROR (no such process)")),
        fault::BAD_ARGUMENTS => control.say(format_args!("{name}: ERROR (signal not defined)")),
        fault::NOT_RUNNING => control.say(format_args!("{name}: ERROR (not running)")),
        code => return Err(Stop::Value(format!("Unknown result code {code} for {name}"))),
    }
    Ok(())
}

/// Calls a method that takes nothing, for a command that takes nothing.
fn call_plainly(
    control: &mut Control<'_>,
    name: &str,
    argument: &str,
    method: &str,
    then: fn(&mut Control<'_>, &Value),
) -> Result {
    if argument.is_empty() {
        let value = control.call_any(method, Vec::new())?;
        then(control, &value);
    } else {
        control.say_help(name);
    }
    Ok(Next::Line)
}

fn show(control: &mut Control<'_>, value: &Value) {
    control.say(pretty::lines(value));
}

/// The words of a command that takes so many, split as a shell does; shows its help
/// where there are more or fewer.
fn words<const COUNT: usize>(
    control: &mut Control<'_>,
    name: &str,
    argument: &str,
) -> std::result::Result<Option<[String; COUNT]>, Stop> {
    let words = match command::split(argument) {
        Ok(words) => words,
        Err(SpawnError::NoClosingQuotation) => return Err(unreadable("No closing quotation")),
        Err(SpawnError::NoEscapedCharacter) => return Err(unreadable("No escaped character")),
        Err(_) => Vec::new(),
    };
    let words = words.try_into().ok();
    if words.is_none() {
        control.say_help(name);
    }
    Ok(words)
}

fn unreadable(why: &str) -> Stop {
    Stop::Value(why.to_owned())
}
