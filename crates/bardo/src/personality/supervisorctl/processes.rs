//! Commands about processes.

use bardo_wire::xmlrpc::Value;

use super::control::{Control, Stop, exit, fault};
use super::report;
use crate::client::CallError;
use crate::names::{self, Namespec};

/// The narrowest column of names.
const NAME_WIDTH: usize = 30;

/// The column of states.
const STATE_WIDTH: usize = 10;

/// State numbers in which nothing runs: STOPPED, EXITED, FATAL and UNKNOWN.
const STOPPED_STATES: [i64; 4] = [0, 100, 200, 1000];

pub(super) fn status(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    if !control.is_up()? {
        control.set_exit(exit::STATUS_UNKNOWN);
        return Ok(());
    }
    let all = rows(control.call("getAllProcessInfo", &[])?);
    let names: Vec<&str> = argument.split_whitespace().collect();
    let mut shown = Vec::new();
    if names.is_empty() || names.contains(&"all") {
        shown.extend(&all);
    } else {
        for name in names {
            let Namespec { group, process } = names::parse(name);
            let before = shown.len();
            shown.extend(all.iter().filter(|info| {
                let named = process.is_none_or(|process| text(info, "name") == process);
                named && text(info, "group") == group
            }));
            if shown.len() == before {
                match process {
                    None => control.say(format_args!("{group}: ERROR (no such group)")),
                    Some(_) => control.say(format_args!("{name}: ERROR (no such process)")),
                }
                control.set_exit(exit::STATUS_UNKNOWN);
            }
        }
    }
    show(control, &shown);
    if shown.iter().any(|info| STOPPED_STATES.contains(&number(info, "state"))) {
        control.set_exit(exit::STATUS_NOT_RUNNING);
    }
    Ok(())
}

/// Shows how processes are.
fn show(control: &mut Control<'_>, shown: &[&Value]) {
    if control.is_document() {
        return control.answer_also(shown.iter().map(|info| report::json(info)));
    }
    let named = |info: &Value| names::namespec(text(info, "group"), text(info, "name"));
    let width = shown.iter().map(|info| named(info).chars().count()).max().unwrap_or(0);
    let width = width.max(NAME_WIDTH) + 3;
    for info in shown {
        let (state, description) = (text(info, "statename"), text(info, "description"));
        let line = format!("{:width$}{state:STATE_WIDTH$}{description}", named(info));
        control.say(control.manner.colour.line(state, &line));
    }
}

pub(super) fn pid(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    if !control.is_up()? {
        return Ok(());
    }
    let names: Vec<&str> = argument.split_whitespace().collect();
    if names.is_empty() {
        let pid = control.call("getPID", &[])?.as_int().unwrap_or_default();
        match control.is_document() {
            true => control.answer(serde_json::json!({ "pid": pid })),
            false => control.say(pid),
        }
    } else if names.contains(&"all") {
        let infos = rows(control.call("getAllProcessInfo", &[])?);
        show_pids(control, &infos);
    } else {
        show_pids(control, &[]);
        for name in names {
            match control.call("getProcessInfo", &[name]) {
                Ok(info) => {
                    let is_running = number(&info, "pid") != 0;
                    show_pids(control, &[info]);
                    if !is_running {
                        control.set_exit(exit::NOT_RUNNING);
                    }
                }
                Err(CallError::Fault { code: fault::BAD_NAME, .. }) => {
                    control.fail(format_args!("No such process {name}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn show_pids(control: &mut Control<'_>, infos: &[Value]) {
    if control.is_document() {
        let row = |info| {
            let pid = number(info, "pid");
            report::Pid { group: text(info, "group"), name: text(info, "name"), pid }
        };
        return control.answer_also(infos.iter().map(|info| serde_json::json!(row(info))));
    }
    for info in infos {
        control.say(number(info, "pid"));
    }
}

/// What differs between starting, stopping and signalling.
struct Deed {
    /// What it is called.
    action: &'static str,
    one: &'static str,
    group: &'static str,
    all: &'static str,
    /// What a process is when it is done.
    done: &'static str,
    /// What stands before the name among the parameters.
    signal: Option<String>,
    /// The words for faults.
    refusals: &'static [(i32, &'static str)],
    /// Whether a fault's own text is shown when there are no words for it.
    shows_failed: bool,
    /// The fault that is no failure.
    ignored: Option<i32>,
    /// The exit code when there is no such group.
    no_group: u8,
}

const SIGNAL_REFUSALS: &[(i32, &str)] = &[
    (fault::BAD_NAME, "no such process"),
    (fault::BAD_SIGNAL, "bad signal name"),
    (fault::NOT_RUNNING, "not running"),
];

const START: Deed = Deed {
    action: "start",
    one: "startProcess",
    group: "startProcessGroup",
    all: "startAllProcesses",
    done: "started",
    signal: None,
    refusals: &[
        (fault::BAD_NAME, "no such process"),
        (fault::NO_FILE, "no such file"),
        (fault::NOT_EXECUTABLE, "file is not executable"),
        (fault::ALREADY_STARTED, "already started"),
        (fault::SPAWN_ERROR, "spawn error"),
        (fault::ABNORMAL_TERMINATION, "abnormal termination"),
    ],
    shows_failed: false,
    ignored: Some(fault::ALREADY_STARTED),
    no_group: exit::INVALID_ARGUMENTS,
};

const STOP: Deed = Deed {
    action: "stop",
    one: "stopProcess",
    group: "stopProcessGroup",
    all: "stopAllProcesses",
    done: "stopped",
    signal: None,
    refusals: SIGNAL_REFUSALS,
    shows_failed: true,
    ignored: Some(fault::NOT_RUNNING),
    no_group: exit::GENERIC,
};

pub(super) fn start(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    if !control.is_up()? {
        return Ok(());
    }
    let names: Vec<&str> = argument.split_whitespace().collect();
    if names.is_empty() {
        control.fail("Error: start requires a process name");
        control.set_exit(exit::INVALID_ARGUMENTS);
        control.say_help("start");
        return Ok(());
    }
    do_to(control, &START, &names)
}

pub(super) fn stop(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    match checked(control, "stop", argument)? {
        Some(names) => do_to(control, &STOP, &names),
        None => Ok(()),
    }
}

pub(super) fn restart(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    match checked(control, "restart", argument)? {
        Some(names) => {
            do_to(control, &STOP, &names)?;
            do_to(control, &START, &names)
        }
        None => Ok(()),
    }
}

pub(super) fn signal(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    if !control.is_up()? {
        return Ok(());
    }
    let words: Vec<&str> = argument.split_whitespace().collect();
    let [signal, names @ ..] = words.as_slice() else {
        return no_signal(control);
    };
    if names.is_empty() {
        return no_signal(control);
    }
    let deed = Deed {
        action: "signal",
        one: "signalProcess",
        group: "signalProcessGroup",
        all: "signalAllProcesses",
        done: "signalled",
        signal: Some((*signal).to_owned()),
        refusals: SIGNAL_REFUSALS,
        shows_failed: true,
        ignored: None,
        no_group: exit::GENERIC,
    };
    do_to(control, &deed, names)
}

fn no_signal(control: &mut Control<'_>) -> Result<(), Stop> {
    control.fail("Error: signal requires a signal name and a process name");
    control.say_help("signal");
    Ok(())
}

/// The names a command is about; says so when there are none.
pub(super) fn checked<'n>(
    control: &mut Control<'_>,
    command: &str,
    argument: &'n str,
) -> Result<Option<Vec<&'n str>>, Stop> {
    if !control.is_up()? {
        return Ok(None);
    }
    let names: Vec<&str> = argument.split_whitespace().collect();
    if names.is_empty() {
        control.fail(format_args!("Error: {command} requires a process name"));
        control.say_help(command);
        return Ok(None);
    }
    Ok(Some(names))
}

/// Does something to processes and groups, in the order in which they are named.
fn do_to(control: &mut Control<'_>, deed: &Deed, names: &[&str]) -> Result<(), Stop> {
    let signal = deed.signal.as_deref();
    if control.is_document() {
        // Nothing to be done is an answer too.
        control.answer_also([]);
    }
    if names.contains(&"all") {
        let parameters: Vec<&str> = signal.into_iter().collect();
        let results = control.call(deed.all, &parameters)?;
        return say_all(control, deed, results);
    }
    for name in names {
        let Namespec { group, process } = names::parse(name);
        match process {
            None => {
                let parameters: Vec<&str> = std::iter::once(group).chain(signal).collect();
                match control.call(deed.group, &parameters) {
                    Ok(results) => say_all(control, deed, results)?,
                    Err(CallError::Fault { code: code @ fault::BAD_NAME, text }) => {
                        match control.is_document() {
                            true => answer_one(control, deed.action, (group, None), code, &text),
                            false => control.say(format_args!("{group}: ERROR (no such group)")),
                        }
                        control.set_exit(deed.no_group);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Some(process) => {
                let parameters: Vec<&str> = std::iter::once(*name).chain(signal).collect();
                let result = match control.call(deed.one, &parameters) {
                    Ok(_) => (fault::SUCCESS, "OK".to_owned()),
                    Err(CallError::Fault { code, text }) => (code, text),
                    Err(error) => return Err(error.into()),
                };
                say_one(control, deed, (group, process), result.0, &result.1)?;
            }
        }
    }
    Ok(())
}

fn say_all(control: &mut Control<'_>, deed: &Deed, results: Value) -> Result<(), Stop> {
    for result in rows(results) {
        let place = (text(&result, "group"), text(&result, "name"));
        let code = i32::try_from(number(&result, "status")).unwrap_or(0);
        say_one(control, deed, place, code, text(&result, "description"))?;
    }
    Ok(())
}

fn say_one(
    control: &mut Control<'_>,
    deed: &Deed,
    (group, process): (&str, &str),
    code: i32,
    description: &str,
) -> Result<(), Stop> {
    if control.is_document() {
        answer_one(control, deed.action, (group, Some(process)), code, description);
        note(control, code, deed.ignored);
        return Ok(());
    }
    let name = names::namespec(group, process);
    let words = deed.refusals.iter().find(|(known, _)| *known == code);
    match (words, code) {
        (Some((_, words)), _) => control.say(format_args!("{name}: ERROR ({words})")),
        (None, fault::SUCCESS) => control.say(format_args!("{name}: {}", deed.done)),
        (None, fault::FAILED) if deed.shows_failed => control.say(description),
        (None, fault::FAILED) => control.say(format_args!("{name}: ERROR ({description})")),
        (None, _) => {
            return Err(Stop::Value(format!("Unknown result code {code} for {name}")));
        }
    }
    note(control, code, deed.ignored);
    Ok(())
}

/// Answers with what became of one process.
pub(super) fn answer_one(
    control: &mut Control<'_>,
    action: &str,
    (group, name): (&str, Option<&str>),
    status: i32,
    description: &str,
) {
    let row = report::Deed { action, group, name, status, description };
    control.answer_also([serde_json::json!(row)]);
}

/// Takes note of a result in the exit code.
pub(super) fn note(control: &mut Control<'_>, code: i32, ignored: Option<i32>) {
    match code {
        fault::SUCCESS => {}
        _ if Some(code) == ignored => {}
        fault::SPAWN_ERROR | fault::ABNORMAL_TERMINATION | fault::NOT_RUNNING => {
            control.set_exit(exit::NOT_RUNNING);
        }
        _ => control.set_exit(exit::GENERIC),
    }
}

/// The structs of an answer that is an array of them.
pub(super) fn rows(value: Value) -> Vec<Value> {
    match value {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    }
}

/// A text of a struct; empty when there is none.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.member(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number of a struct; zero when there is none.
pub(super) fn number(value: &Value, key: &str) -> i64 {
    value.member(key).and_then(Value::as_int).unwrap_or_default()
}
