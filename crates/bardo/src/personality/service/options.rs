//! The only list of options that stand behind the program.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use bardo_core::spec::device;

use super::measure::{self, Plain};
use super::wrong::Wrong;
use crate::service::request::Asked;

/// What the options come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// What is asked of the supervisor.
    pub asked: Asked,
    /// `-label`.
    pub label: Option<String>,
    /// `-config`.
    pub configuration: Option<String>,
    /// `-wait`.
    pub waits: bool,
    /// `-stop`, of `shutdown`.
    pub stops: bool,
    /// The first option that was there of what cannot be done yet.
    pub(super) ahead: Option<&'static str>,
    /// What people should know although it is taken.
    pub(super) notes: Vec<&'static str>,
    /// Whether `-dev` or `-major` was there.
    has_device: bool,
}

/// What stands behind an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A value, called so in help.
    Needed(&'static str),
    /// A truth value, or nothing, which is yes.
    Truth,
    /// Nothing.
    None,
}

/// Whose an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// MINIX has it.
    Minix,
    /// MINIX has it; here it is checked, and refused (78) until there is what it is about:
    /// updates.
    Later,
    /// It is ours.
    Ours,
}

type Apply = fn(&mut Draft, &str) -> Result<(), Wrong>;

/// An option.
#[derive(Debug, Clone, Copy)]
pub struct ServiceOption {
    /// Its name, without the dash.
    pub name: &'static str,
    /// What stands behind it.
    pub value: Value,
    /// Whose it is.
    pub source: Source,
    /// What it is for, for people.
    pub help: &'static str,
    apply: Apply,
}

const fn minix(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    apply: Apply,
) -> ServiceOption {
    ServiceOption { name, value: Value::Needed(value), source: Source::Minix, help, apply }
}

const fn later(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    apply: Apply,
) -> ServiceOption {
    ServiceOption { name, value: Value::Needed(value), source: Source::Later, help, apply }
}

const fn ours(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    apply: Apply,
) -> ServiceOption {
    ServiceOption { name, value: Value::Needed(value), source: Source::Ours, help, apply }
}

/// Every option.
#[rustfmt::skip]
pub const OPTIONS: &[ServiceOption] = &[
    minix("args", "STRING", "the program's arguments, parted at blanks; nothing is quoted. `--` at the end of \
        the command line takes them as they are",
        arguments),
    minix("label", "NAME", "what the service is called; the program's name when left out. `edit` needs it",
        |draft, text| { draft.label = Some(name("label", text)?); Ok(()) }),
    minix("progname", "NAME", "the program's name: its entry of system.conf(5), and the key of shared copies; \
        the last part of its path when left out",
        |draft, text| { draft.asked.program_name = Some(name("progname", text)?); Ok(()) }),
    minix("config", "FILE", "the system.conf(5) that has the entry; the usual ones are looked through when left out",
        |draft, text| { draft.configuration = Some(text.to_owned()); Ok(()) }),
    minix("period", "TIME", "it owes a sign of life so often, and is killed when there is none for twice as long; \
        a plain number is hundredths of a second, 0 is none",
        |draft, text| put(&mut draft.asked.period, "period", text, Plain::Ticks)),
    minix("script", "FILE", "the recovery script: it is run instead of a restart, and decides",
        |draft, text| { draft.asked.script = Some(absolute("script", text)?); Ok(()) }),
    minix("restarts", "NUMBER", "the counter of restarts begins with this",
        |draft, text| { draft.asked.restarts = Some(number("restarts", text)?).filter(|it| *it > 0); Ok(()) }),
    minix("dev", "FILE", "the node of the device that only this service may have",
        device),
    minix("major", "NUMBER", "the same by the major number",
        major),
    minix("devid", "NUMBER", "accepted; means nothing here, where there is no device manager",
        device_manager),
    later("maxtime", "TIME", "how long an update may take",
        |_, text| time("maxtime", text, Plain::Ticks).map(drop)),
    later("state", "STATE", "in which state the old version is replaced",
        |_, text| state(text)),
    later("trg-label", "NAME", "of which service the new version takes the state",
        |_, text| name("trg-label", text).map(drop)),
    later("heap-prealloc", "BYTES", "heap that is set aside for an update",
        |_, text| more_than_none("heap-prealloc", text)),
    later("map-prealloc", "BYTES", "memory that is set aside for an update",
        |_, text| more_than_none("map-prealloc", text)),
    later("ipc_bl", "FILTER", "whom the old version does not hear while it prepares",
        |_, text| filter("ipc_bl", text)),
    later("ipc_wl", "FILTER", "whom alone the old version hears while it prepares",
        |_, text| filter("ipc_wl", text)),
    later("asr-count", "NUMBER", "how often its parts were moved in memory",
        |_, text| number::<u32>("asr-count", text).map(drop)),
    ours("ready", "HOW", "by what it counts as initialised: `auto`, `ctl`, `notify`, `fd:N`, `health`, `listen` or \
        `alive`",
        ready),
    ours("ready-timeout", "TIME", "how long it may take to be initialised; 20 seconds when left out",
        |draft, text| put(&mut draft.asked.ready_timeout, "ready-timeout", text, Plain::Seconds)),
    ours("alive", "TIME", "how long a program that says nothing stays up to count as initialised; one second when \
        left out",
        |draft, text| put(&mut draft.asked.alive, "alive", text, Plain::Seconds)),
    ours("health", "COMMAND", "it is examined by this command line of the shell, which ends with 0 when all is well; \
        NONE takes away from a service what examines it",
        |draft, text| { draft.asked.health_command = Some(something("health", text)?); Ok(()) }),
    ours("health-http", "URL", "it is examined by a request to this URL",
        |draft, text| { draft.asked.health_http = Some(something("health-http", text)?); Ok(()) }),
    ours("health-tcp", "PLACE", "it is examined by a connection to HOST:PORT or to a socket file",
        |draft, text| { draft.asked.health_tcp = Some(something("health-tcp", text)?); Ok(()) }),
    ours("health-interval", "TIME", "how long after one examination the next one is made",
        |draft, text| put(&mut draft.asked.health_interval, "health-interval", text, Plain::Seconds)),
    ours("health-timeout", "TIME", "how long an examination may take",
        |draft, text| put(&mut draft.asked.health_timeout, "health-timeout", text, Plain::Seconds)),
    ours("health-retries", "NUMBER", "how many failures in a row are too many",
        |draft, text| { draft.asked.health_retries = Some(number("health-retries", text)?); Ok(()) }),
    ours("stop-signal", "SIGNAL", "the signal that stops it; TERM when left out",
        |draft, text| { draft.asked.stop_signal = Some(something("stop-signal", text)?); Ok(()) }),
    ours("grace", "TIME", "how long it may take to stop before it is killed; two seconds when left out",
        |draft, text| put(&mut draft.asked.grace, "grace", text, Plain::Seconds)),
    ours("ok-exit", "CODES", "exit codes that are no crash, parted by commas: it is not started again after them",
        |draft, text| { draft.asked.ok_exit = Some(codes(text)?); Ok(()) }),
    ours("script-timeout", "TIME", "how long the recovery script may take to decide before the service is started \
        again as if there were none; for ever when left out",
        |draft, text| put(&mut draft.asked.script_timeout, "script-timeout", text, Plain::Seconds)),
    ours("depends", "LIST", "what must be there before it starts: `db:ready net:started`",
        |draft, text| { draft.asked.depends_on = Some(text.to_owned()); Ok(()) }),
    ours("env", "NAME=VALUE", "a variable of its environment; may be given more than once",
        variable),
    ours("dir", "FOLDER", "where it works",
        |draft, text| { draft.asked.directory = Some(absolute("dir", text)?); Ok(()) }),
    ours("stdout", "FILE", "the log of its standard output; NONE is none",
        |draft, text| { draft.asked.stdout_logfile = Some(log("stdout", text)?); Ok(()) }),
    ours("stderr", "FILE", "the log of its standard error; NONE is none",
        |draft, text| { draft.asked.stderr_logfile = Some(log("stderr", text)?); Ok(()) }),
    ServiceOption { name: "critical", value: Value::Truth, source: Source::Ours,
        help: "everything ends, with exit code 70, when it cannot be kept running",
        apply: |draft, text| { draft.asked.critical = Some(truth("critical", text)?); Ok(()) } },
    ServiceOption { name: "wait", value: Value::None, source: Source::Ours,
        help: "`refresh` answers when the fresh process is initialised",
        apply: |draft, _| { draft.waits = true; Ok(()) } },
    ServiceOption { name: "stop", value: Value::None, source: Source::Ours,
        help: "`shutdown` stops everything, and the supervisor ends",
        apply: |draft, _| { draft.stops = true; Ok(()) } },
];

/// What is said of a word that is truth.
const YES: [&str; 4] = ["yes", "true", "on", "1"];
const NO: [&str; 4] = ["no", "false", "off", "0"];

impl ServiceOption {
    /// The option that a word like `-period` names.
    #[must_use]
    pub fn find(word: &str) -> Option<&'static Self> {
        let name = word.strip_prefix('-')?;
        OPTIONS.iter().find(|option| option.name == name)
    }

    /// Takes the option, with what stands behind it.
    pub(super) fn take(
        &self,
        draft: &mut Draft,
        behind: &mut std::iter::Peekable<impl Iterator<Item = String>>,
    ) -> Result<(), Wrong> {
        let text = match self.value {
            Value::Needed(_) => behind.next().ok_or_else(|| {
                Wrong::usage(format!(
                    "optional argument not complete: -{} needs a value",
                    self.name
                ))
            })?,
            Value::Truth => {
                let is_truth = |text: &String| YES.contains(&&**text) || NO.contains(&&**text);
                behind.next_if(is_truth).unwrap_or_else(|| YES[0].to_owned())
            }
            Value::None => String::new(),
        };
        (self.apply)(draft, &text)?;
        if self.source == Source::Later {
            draft.ahead.get_or_insert(self.name);
        }
        Ok(())
    }
}

/// A value that makes no sense.
fn unfit(option: &str, text: &str, wanted: &str) -> Wrong {
    Wrong::usage(format!("bad value for -{option}: \"{text}\" is not {wanted}"))
}

fn something(option: &str, text: &str) -> Result<String, Wrong> {
    match text {
        "" => Err(unfit(option, text, "anything")),
        text => Ok(text.to_owned()),
    }
}

fn name(option: &str, text: &str) -> Result<String, Wrong> {
    let is_fit = |letter: char| !letter.is_control() && !letter.is_whitespace() && letter != '/';
    match !text.is_empty() && text.chars().all(is_fit) {
        true => Ok(text.to_owned()),
        false => Err(unfit(option, text, "a name: no blanks, no slashes")),
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|_| unfit(option, text, "a number from 0 on"))
}

fn more_than_none(option: &str, text: &str) -> Result<(), Wrong> {
    match text.parse::<u64>() {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => Err(unfit(option, text, "a number of bytes from 1 on")),
    }
}

fn truth(option: &str, text: &str) -> Result<bool, Wrong> {
    match text {
        text if YES.contains(&text) => Ok(true),
        text if NO.contains(&text) => Ok(false),
        _ => Err(unfit(option, text, "yes or no")),
    }
}

fn time(option: &str, text: &str, plain: Plain) -> Result<u64, Wrong> {
    let wanted = match plain {
        Plain::Ticks => "a time: 500 (hundredths of a second), 5HZ, 5s, 5000ms",
        Plain::Seconds => "a time: 5 (seconds), 5s, 500ms, 2m, 1h",
    };
    measure::milliseconds(text, plain).ok_or_else(|| unfit(option, text, wanted))
}

fn put(to: &mut Option<u64>, option: &str, text: &str, plain: Plain) -> Result<(), Wrong> {
    *to = Some(time(option, text, plain)?);
    Ok(())
}

/// Pieces between blanks, as MINIX has it.
fn arguments(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let pieces = text.split(' ').filter(|piece| !piece.is_empty());
    draft.asked.arguments = Some(pieces.map(str::to_owned).collect());
    Ok(())
}

/// A path from wherever the tool was called: the supervisor works elsewhere.
fn absolute(option: &str, text: &str) -> Result<String, Wrong> {
    let path = std::path::absolute(text).map_err(|_| unfit(option, text, "a path"))?;
    Ok(path.to_string_lossy().into_owned())
}

fn log(option: &str, text: &str) -> Result<String, Wrong> {
    match text {
        "NONE" | "AUTO" | "syslog" => Ok(text.to_owned()),
        path => absolute(option, path),
    }
}

fn device(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    only_one_device(draft)?;
    let path = Path::new(text);
    let node = std::fs::metadata(path).map_err(|error| Wrong::stat(text, &error))?;
    if !node.file_type().is_block_device() && !node.file_type().is_char_device() {
        return Err(Wrong::usage(format!("special file is not a device node: {text}")));
    }
    let is_block = node.file_type().is_block_device();
    draft.asked.device = Some(device::of_node(node.rdev(), is_block));
    Ok(())
}

fn major(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    only_one_device(draft)?;
    let major = number("major", text).ok().filter(|major| *major <= device::MAJOR_MAX);
    let wanted = format!("a number from 0 to {}", device::MAJOR_MAX);
    let major = major.ok_or_else(|| unfit("major", text, &wanted))?;
    draft.asked.device = Some(device::of_major(major)).filter(|_| major > 0);
    Ok(())
}

fn only_one_device(draft: &mut Draft) -> Result<(), Wrong> {
    match std::mem::replace(&mut draft.has_device, true) {
        true => Err(Wrong::usage("major already set: a service has one device".to_owned())),
        false => Ok(()),
    }
}

fn device_manager(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    // None is what there is.
    if number::<u32>("devid", text)? > 0 {
        draft.notes.push("-devid means nothing here: there is no device manager");
    }
    Ok(())
}

fn ready(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let is_word = ["auto", "ctl", "notify", "health", "listen", "alive"].contains(&text);
    let is_descriptor = text.strip_prefix("fd:").is_some_and(|text| text.parse::<u32>().is_ok());
    if !is_word && !is_descriptor {
        return Err(unfit("ready", text, "auto, ctl, notify, fd:N, health, listen or alive"));
    }
    draft.asked.ready = Some(text.to_owned());
    Ok(())
}

fn codes(text: &str) -> Result<Vec<u8>, Wrong> {
    let code = |text: &str| text.trim().parse().ok();
    let codes: Option<Vec<u8>> = text.split(',').map(code).collect();
    codes.ok_or_else(|| unfit("ok-exit", text, "exit codes from 0 to 255, parted by commas"))
}

fn variable(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            draft.asked.environment.insert(name.to_owned(), value.to_owned());
            Ok(())
        }
        _ => Err(unfit("env", text, "NAME=VALUE")),
    }
}

/// A number, or an expression.
fn state(text: &str) -> Result<(), Wrong> {
    // What MINIX has room for.
    const EXPRESSION_BYTES_MAX: usize = 511;
    match text {
        "0" => Err(unfit("state", text, "a number from 1 on, or an expression")),
        text if text.len() > EXPRESSION_BYTES_MAX => Err(Wrong::too_long(format!(
            "an expression behind -state has {EXPRESSION_BYTES_MAX} bytes at most"
        ))),
        _ => Ok(()),
    }
}

/// `label,type:label,type`: either half may be missing, not both; four at most.
fn filter(option: &str, text: &str) -> Result<(), Wrong> {
    const FILTERS_MAX: usize = 4;
    // What MINIX has room for.
    const LABEL_BYTES_MAX: usize = 15;
    let all: Vec<&str> = text.split(':').collect();
    let is_fit = |filter: &&str| {
        filter.split_once(',').is_some_and(|(label, kind)| {
            (!label.is_empty() || !kind.is_empty()) && !kind.contains(',')
        })
    };
    if !all.iter().all(is_fit) {
        return Err(unfit(option, text, "LABEL,TYPE:LABEL,TYPE"));
    }
    let label = |filter: &str| filter.split(',').next().unwrap_or_default().len();
    if all.iter().any(|filter| label(filter) > LABEL_BYTES_MAX) {
        let text = format!("a label behind -{option} has {LABEL_BYTES_MAX} bytes at most");
        return Err(Wrong::too_long(text));
    }
    match all.len() > FILTERS_MAX {
        true => Err(Wrong::too_many(format!("-{option} takes {FILTERS_MAX} filters at most"))),
        false => Ok(()),
    }
}
