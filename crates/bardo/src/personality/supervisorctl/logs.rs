//! Commands about logs, and `fg`.

use bardo_wire::xmlrpc::Value;

use super::control::{Control, Stop, exception, fault};
use super::processes::{answer_one, checked, note, number, rows, text};
use crate::client::{CallError, Client, Ended, Heard, StreamError, Then};
use crate::names::{self, Namespec};
use crate::words::quoted;

/// How much of a log is shown when nobody says how much.
const TAIL_BYTES: i64 = 1600;

/// The number of the state RUNNING.
const RUNNING: i64 = 20;

/// What emptying logs is called.
const CLEAR: &str = "clear";

const CTRL_C: &str = "==> Press Ctrl-C to exit <==";

/// How much of a log is to be shown.
enum Amount {
    /// So many bytes from its end.
    Bytes(i64),
    /// What comes, until the user has enough.
    Following,
}

impl Amount {
    /// Reads what follows the dash.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "f" => Some(Self::Following),
            _ => text.trim().parse().ok().map(Self::Bytes),
        }
    }
}

pub(super) fn tail(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    if !control.is_up()? {
        return Ok(());
    }
    let mut words: Vec<&str> = argument.split_whitespace().collect();
    match words.len() {
        0 => {
            control.fail("Error: too few arguments");
            control.say_help("tail");
            return Ok(());
        }
        1..=3 => {}
        _ => {
            control.fail("Error: too many arguments");
            control.say_help("tail");
            return Ok(());
        }
    }
    let modifier = words[0].starts_with('-').then(|| words.remove(0));
    let (name, channel) = match words.as_slice() {
        [] => {
            control.fail("Error: tail requires process name");
            return Ok(());
        }
        [name] => (*name, "stdout".to_owned()),
        [name, .., channel] => (*name, channel.to_lowercase()),
    };
    if !matches!(&*channel, "stdout" | "stderr") {
        control.fail(format_args!("Error: bad channel {}", quoted(&channel)));
        return Ok(());
    }
    let amount = match modifier {
        None => Amount::Bytes(TAIL_BYTES),
        Some(modifier) => match Amount::parse(&modifier[1..]) {
            Some(amount) => amount,
            None => {
                control.fail(format_args!("Error: bad argument {modifier}"));
                return Ok(());
            }
        },
    };
    match amount {
        Amount::Following => follow(control, &format!("/logtail/{name}/{channel}")),
        Amount::Bytes(bytes) => {
            let method =
                if channel == "stdout" { "readProcessStdoutLog" } else { "readProcessStderrLog" };
            let parameters = vec![Value::from(name), Value::Int(-bytes), Value::Int(0)];
            show(control, method, parameters, name)?;
        }
    }
    Ok(())
}

pub(super) fn maintail(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    if !control.is_up()? {
        return Ok(());
    }
    let words: Vec<&str> = argument.split_whitespace().collect();
    let amount = match words.as_slice() {
        [] => Amount::Bytes(TAIL_BYTES),
        [word] => match word.strip_prefix('-').and_then(Amount::parse) {
            Some(amount) => amount,
            None => {
                control.fail(format_args!("Error: bad argument {word}"));
                return Ok(());
            }
        },
        _ => {
            control.fail("Error: too many arguments");
            control.say_help("maintail");
            return Ok(());
        }
    };
    match amount {
        Amount::Following => follow(control, "/mainlogtail"),
        Amount::Bytes(bytes) => {
            let parameters = vec![Value::Int(-bytes), Value::Int(0)];
            show(control, "readLog", parameters, "supervisord")?;
        }
    }
    Ok(())
}

/// Shows a part of a log.
fn show(
    control: &mut Control<'_>,
    method: &str,
    parameters: Vec<Value>,
    name: &str,
) -> Result<(), Stop> {
    let error = match control.call_with(method, parameters) {
        Ok(text) => {
            control.say(text.as_str().unwrap_or_default());
            return Ok(());
        }
        Err(error) => error,
    };
    let why = match error.fault() {
        Some(fault::NO_FILE) => "no log file",
        Some(fault::FAILED) => "unknown error reading log",
        Some(fault::BAD_NAME) if method != "readLog" => "no such process name",
        _ => return Err(error.into()),
    };
    control.fail(format_args!("{name}: ERROR ({why})"));
    Ok(())
}

/// Follows a log. What goes wrong is told on standard error and is no failure, as in
/// Supervisor. When nobody reads what is shown any more there is no use in going on.
fn follow(control: &mut Control<'_>, path: &str) {
    control.say(CTRL_C);
    control.flush();
    let Control { client, output, .. } = control;
    let ended =
        client.follow(path, |piece| match output.write_all(piece).and_then(|()| output.flush()) {
            Ok(()) => Then::Go,
            Err(_) => Then::Stop,
        });
    match ended {
        Ok(Ended::User) => control.say(""),
        Ok(Ended::Server | Ended::Input | Ended::Enough) => {}
        Err(error) => complain(control.client.url(), path, &error),
    }
}

/// Tells why a log cannot be followed.
fn complain(url: &str, path: &str, error: &StreamError) {
    match error {
        StreamError::Connect(error) => {
            let (kind, text) = exception(error);
            eprintln!("{url}{path} Cannot connect, error: <class '{kind}'> ({text})");
        }
        StreamError::Status(_) => eprintln!("{url}{path} {error}"),
    }
}

pub(super) fn clear(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    let Some(names) = checked(control, "clear", argument)? else {
        return Ok(());
    };
    if control.is_document() {
        control.answer_also([]);
    }
    if names.contains(&"all") {
        for result in rows(control.call("clearAllProcessLogs", &[])?) {
            let place = (text(&result, "group"), text(&result, "name"));
            let code = i32::try_from(number(&result, "status")).unwrap_or(0);
            say_cleared(control, place, code, text(&result, "description"))?;
        }
        return Ok(());
    }
    for name in names {
        let Namespec { group, process } = names::parse(name);
        let Some(process) = process else {
            clear_group(control, group)?;
            continue;
        };
        clear_one(control, name, (group, process))?;
    }
    Ok(())
}

/// Empties the logs of a group's processes one by one: the server knows no groups
/// here, and Supervisor's tool takes one for a process called None.
fn clear_group(control: &mut Control<'_>, group: &str) -> Result<(), Stop> {
    let infos = rows(control.call("getAllProcessInfo", &[])?);
    let members: Vec<&str> = infos
        .iter()
        .filter(|info| text(info, "group") == group)
        .map(|info| text(info, "name"))
        .collect();
    if members.is_empty() {
        if control.is_document() {
            let description = format!("BAD_NAME: {group}");
            answer_one(control, CLEAR, (group, None), fault::BAD_NAME, &description);
        }
        control.tell(format_args!("{group}: ERROR (no such group)"));
        note(control, fault::BAD_NAME, None);
    }
    for process in members {
        clear_one(control, &format!("{group}:{process}"), (group, process))?;
    }
    Ok(())
}

fn clear_one(control: &mut Control<'_>, name: &str, place: (&str, &str)) -> Result<(), Stop> {
    match control.call("clearProcessLogs", &[name]) {
        Ok(_) => say_cleared(control, place, fault::SUCCESS, "OK"),
        Err(CallError::Fault { code, text }) => say_cleared(control, place, code, &text),
        Err(error) => Err(error.into()),
    }
}

fn say_cleared(
    control: &mut Control<'_>,
    (group, process): (&str, &str),
    code: i32,
    description: &str,
) -> Result<(), Stop> {
    let name = names::namespec(group, process);
    match code {
        _ if control.is_document() => {
            answer_one(control, CLEAR, (group, Some(process)), code, description);
        }
        fault::SUCCESS => control.say(format_args!("{name}: cleared")),
        fault::BAD_NAME => control.say(format_args!("{name}: ERROR (no such process)")),
        fault::FAILED => control.say(format_args!("{name}: ERROR (failed)")),
        _ => return Err(Stop::Value(format!("Unknown result code {code} for {name}"))),
    }
    note(control, code, None);
    Ok(())
}

pub(super) fn foreground(control: &mut Control<'_>, argument: &str) -> Result<(), Stop> {
    if !control.is_up()? {
        return Ok(());
    }
    let names: Vec<&str> = argument.split_whitespace().collect();
    let name = match names.as_slice() {
        [] => {
            control.fail("ERROR: no process name supplied");
            control.say_help("fg");
            return Ok(());
        }
        [name] => *name,
        _ => {
            control.fail("ERROR: too many process names supplied");
            return Ok(());
        }
    };
    match control.call("getProcessInfo", &[name]) {
        Ok(info) if number(&info, "state") == RUNNING => {}
        Ok(_) => {
            control.fail("ERROR: process not running");
            return Ok(());
        }
        Err(CallError::Fault { code: fault::BAD_NAME, .. }) => {
            control.fail("ERROR: bad process name supplied");
            return Ok(());
        }
        Err(error @ CallError::Fault { .. }) => {
            control.say(format_args!("ERROR: {error}"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    control.say(CTRL_C);
    attend(control, name);
    control.say("Exiting foreground");
    Ok(())
}

/// Shows what a process writes and sends it what is typed.
fn attend(control: &mut Control<'_>, name: &str) {
    control.flush();
    let paths = ["stdout", "stderr"].map(|channel| format!("/logtail/{name}/{channel}"));
    let Control { client, output, input, .. } = control;
    let mut lines = input.lines();
    let mut last_words = None;
    let ended = client.converse(
        [&paths[0], &paths[1]],
        async || lines.next().await,
        |client, heard| {
            match heard {
                Heard::Piece(piece) => {
                    return match output.write_all(&piece).and_then(|()| output.flush()) {
                        Ok(()) => Then::Go,
                        Err(_) => Then::Stop,
                    };
                }
                Heard::Failure(path, error) => complain(client.url(), &path, &error),
                Heard::Line(line) => last_words = send(client, name, line + "\n"),
            }
            if last_words.is_some() { Then::Stop } else { Then::Go }
        },
    );
    if let Err(error) = ended {
        last_words = Some(format!("ERROR: {error}"));
    }
    if let Some(words) = last_words.filter(|words| !words.is_empty()) {
        control.say(words);
    }
}

/// Sends a process a line. What comes back are the last words to be said, when there
/// is nothing more to be sent; none are to be said about a user who has enough.
fn send(client: &mut Client, name: &str, line: String) -> Option<String> {
    let parameters = vec![Value::from(name), Value::from(line)];
    let sent = client.call("supervisor.sendProcessStdin", parameters);
    let info = sent.and_then(|_| client.call("supervisor.getProcessInfo", vec![Value::from(name)]));
    match info {
        Ok(info) if number(&info, "state") == RUNNING => None,
        Ok(_) | Err(CallError::Fault { code: fault::NOT_RUNNING, .. }) => {
            Some("Process got killed".to_owned())
        }
        Err(CallError::Interrupted) => Some(String::new()),
        Err(error) => Some(format!("ERROR: {error}")),
    }
}
