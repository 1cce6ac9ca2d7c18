//! `service`: MINIX's tool, which asks a supervisor to bring programs up that are watched
//! and reborn.
//!
//! The grammar of the command line and the exit numbers are MINIX's. The tool reads the
//! command line and `system.conf`, sends both, and says what it was answered; what is
//! permitted and what becomes of it is decided by the supervisor alone.

mod asking;
mod command_line;
pub mod help;
mod listing;
mod measure;
pub mod options;
pub mod verbs;
mod wrong;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use bardo_config::system_conf::{self, Mode, Wanted};

use self::command_line::{Order, Wish};
use self::verbs::Operand;
use self::wrong::Wrong;
use crate::host::Machine;
use crate::output::say;
use crate::service::bring::as_minix;
use crate::service::errno::Errno;
use crate::service::request::{Line, Request, Verb};

/// Runs the face; `program` is `ARGV0`.
#[must_use]
pub fn main(program: &str, words: &[OsString]) -> ExitCode {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let order = match command_line::read(words) {
        Ok(Wish::Help) => {
            say(&help::help(&name));
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Version) => {
            say(concat!("bardo ", env!("CARGO_PKG_VERSION"), "\n"));
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Order(order)) => by_the_rules(order),
        Err(wrong) => return refuse(&name, &wrong),
    };
    for note in &order.draft.notes {
        eprintln!("service: note: {note}");
    }
    let request = match request(&order) {
        Ok(request) => request,
        Err(wrong) => return refuse(&name, &wrong),
    };
    let Errno(code) = match request {
        Some(request) => asking::ask(&order, &request),
        None => asking::look(&order),
    };
    ExitCode::from(code)
}

/// With the rules of the supervisor, where they make a difference: settings are read by them,
/// and of long labels they know the beginning.
fn by_the_rules(mut order: Box<Order>) -> Box<Order> {
    let is_cut = |label: &str| as_minix(label).len() < label.len();
    let matters = order.verb.operand == Operand::Binary || is_cut(&order.operand);
    if matters && !order.manner.is_minix {
        order.manner.is_minix = asking::is_by_minix(&order);
    }
    order
}

fn refuse(program: &str, wrong: &Wrong) -> ExitCode {
    eprintln!("{}", wrong.text);
    if wrong.shows_usage {
        eprint!("{}", help::usage(program));
    }
    ExitCode::from(wrong.errno.0)
}

/// What is sent; `None` for verbs that only look.
fn request(order: &Order) -> Result<Option<Request>, Wrong> {
    let Some(verb) = sent(order.verb.name) else { return Ok(None) };
    let asked = match order.verb.operand {
        Operand::Binary => Some(asked(order)?),
        _ => None,
    };
    Ok(Some(Request {
        verb,
        label: order.label(),
        minix: order.manner.is_minix,
        wait: order.wait(),
        stop: order.draft.stops,
        asked,
    }))
}

fn sent(verb: &str) -> Option<Verb> {
    Some(match verb {
        "up" => Verb::Up,
        "run" => Verb::Run,
        "edit" => Verb::Edit,
        "update" => Verb::Update,
        "down" => Verb::Down,
        "refresh" => Verb::Refresh,
        "restart" => Verb::Restart,
        "clone" => Verb::Clone,
        "unclone" => Verb::Unclone,
        "fi" => Verb::Fi,
        "sysctl" => Verb::Sysctl,
        "shutdown" => Verb::Shutdown,
        _ => return None,
    })
}

/// What is asked for, with the lines of `system.conf`.
fn asked(order: &Order) -> Result<crate::service::request::Asked, Wrong> {
    let mut asked = order.draft.asked.clone();
    if !order.is_self() {
        asked.binary.clone_from(&order.operand);
    }
    asked.constant_delay = order.switches.has('b');
    asked.copy = order.switches.has('c') || order.switches.has('r');
    asked.shared_copy = order.switches.has('r');
    asked.no_restart = order.switches.has('f');
    // A service that is updated to itself keeps its settings: MINIX reads none then.
    let is_kept = order.is_self() && order.verb.is("update");
    let program = match order.is_self() && asked.program_name.is_none() {
        // Whether there is such a service is told when it is asked for.
        true => asking::program_of(order, &order.label()),
        false => Some(order.program_name()),
    };
    if let Some(program) = program.filter(|_| !is_kept) {
        asked.settings = settings(order, &program)?;
    }
    Ok(asked)
}

/// The lines of `system.conf` for the program.
fn settings(order: &Order, program: &str) -> Result<Option<Vec<Line>>, Wrong> {
    let mode = if order.manner.is_minix { Mode::Minix } else { Mode::Strict };
    let file = order.draft.configuration.as_deref();
    let wanted = Wanted {
        program,
        file,
        // Who changes a service by its label alone says nothing of files, so none is missing.
        mode: if order.is_self() && file.is_none() { Mode::Strict } else { mode },
        caller: rustix::process::getuid().as_raw(),
    };
    let found = system_conf::find(&Machine, &wanted)
        .map_err(|refusal| Wrong::configuration(&refusal.to_string()))?;
    for note in &found.notes {
        eprintln!("service: note: {note}");
    }
    let Some(entry) = found.entry else { return Ok(None) };
    // The supervisor does it again; who is told here is told where.
    system_conf::interpret(&entry.lines, &Machine, mode)
        .map_err(|refusal| Wrong::configuration(&refusal.to_string()))?;
    Ok(Some(entry.lines.iter().map(Line::from).collect()))
}
