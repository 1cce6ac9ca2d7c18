//! `bardo_service`: makes Bardo a service of the operating system, and steers that.
//!
//! A verb is the first word of any call of `bardo`, as `/verb`, `-verb` or `--verb`; called
//! as `bardo_service` the word alone does. What the verbs do is in `init/`; here are the
//! words for it, and what has to be true before anything is changed.

mod binary;
pub mod command_line;
pub mod help;
pub mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::command_line::{Order, Wish};
use self::table::Action;
use crate::init::choice;
use crate::init::definition::Scope;
use crate::init::ground::Ground;
use crate::init::systemd::Systemd;
use crate::init::verbs::{self, Force, Told};
use crate::init::wanted::{self, Wanted};
use crate::init::{InitError, InitSystem};
use crate::output::say;

/// The name of this face.
pub const NAME: &str = "bardo_service";

/// Exit code of a status that cannot be determined.
const UNDETERMINED: u8 = 1;

/// Whether the first word of a call is meant for this face: a verb with a mark before it, or
/// anything with a slash, which no other face takes.
#[must_use]
pub fn is_meant(word: &str) -> bool {
    word.starts_with('/') || command_line::verb_with_mark(word).is_some()
}

/// Runs the face. `words` begins with the verb.
#[must_use]
pub fn main(words: &[OsString]) -> ExitCode {
    let order = match command_line::read(words) {
        Ok(Wish::Help) => {
            say(&help::help());
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Order(order)) => order,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            if matches!(error, InitError::Usage(_)) {
                eprint!("{}", help::usage());
            }
            return ExitCode::from(error.code());
        }
    };
    let ground = ground(&order);
    let (verb, name) = (order.verb.name, &order.name);
    match carry_out(&order, &ground) {
        Ok(Outcome::Told(told)) => {
            for note in &told.notes {
                eprintln!("{name}: {note}");
            }
            // The words that were asked for stay alone on standard output.
            if ground.is_told() {
                eprintln!("{name}: nothing was done");
            } else {
                say(&format!("{name}: {}\n", told.line));
            }
            ExitCode::SUCCESS
        }
        Ok(Outcome::Status { code, line }) => {
            say(&format!("{name}: {line}\n"));
            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("{NAME}: {verb} of {name}: {error}");
            let is_status = order.verb.action == Action::Status;
            // A status says by its code whether something runs, and by 1 that it is not known.
            let is_usage = matches!(error, InitError::Usage(_));
            ExitCode::from(if is_status && !is_usage { UNDETERMINED } else { error.code() })
        }
    }
}

/// What a verb has come to.
enum Outcome {
    Told(Told),
    Status { code: u8, line: String },
}

fn ground(order: &Order) -> Ground {
    let here = Ground::here();
    let ground = match &order.root {
        Some(root) => here.below(root),
        None => here,
    };
    if order.is_dry { ground.only_told() } else { ground }
}

fn carry_out(order: &Order, ground: &Ground) -> Result<Outcome, InitError> {
    may(order, ground)?;
    let system = system(order, ground)?;
    let (system, name) = (&*system, order.name.as_str());
    let told = match order.verb.action {
        Action::Status => {
            let status = verbs::status(system, ground, name);
            return Ok(Outcome::Status { code: status.code, line: status.line });
        }
        // An option may have said when it starts.
        Action::Install(_) => install(order, ground, system),
        Action::Uninstall => verbs::uninstall(system, ground, name),
        Action::Start => verbs::start(system, ground, name),
        Action::Stop => verbs::stop(system, ground, name),
        Action::Restart => verbs::restart(system, ground, name),
        Action::TryRestart => verbs::try_restart(system, ground, name),
        Action::Reload => verbs::reload(system, ground, name),
    };
    told.map(Outcome::Told)
}

/// Whether the user may do it: found out before anything is changed.
fn may(order: &Order, ground: &Ground) -> Result<(), InitError> {
    let is_free = order.verb.action == Action::Status
        || order.scope == Scope::User
        || ground.is_offline()
        || ground.is_told();
    if is_free || ground.is_privileged() {
        return Ok(());
    }
    let user = rustix::process::geteuid().as_raw();
    Err(InitError::Forbidden(format!(
        "only root may do that, and this is user {user}; call the same with sudo before it"
    )))
}

fn system(order: &Order, ground: &Ground) -> Result<Box<dyn InitSystem>, InitError> {
    match (order.scope, order.init) {
        (Scope::User, None | Some("systemd")) => Ok(Box::new(Systemd::user())),
        (Scope::User, Some(other)) => Err(InitError::Unavailable(format!(
            "{other} keeps no services of users; --user-unit is for systemd"
        ))),
        (Scope::Machine, None) => choice::found(ground),
        (Scope::Machine, Some(name)) => choice::named(name)
            .ok_or_else(|| InitError::Usage(format!("there is no init system `{name}`"))),
    }
}

fn install(order: &Order, ground: &Ground, system: &dyn InitSystem) -> Result<Told, InitError> {
    let (binary, mut notes) = binary::own(ground, order.scope)?;
    let wanted = Wanted {
        name: &order.name,
        binary,
        start: order.start,
        scope: order.scope,
        options: order.options.clone(),
        is_anew: order.is_anew,
    };
    let (definition, more) = wanted::definition(system, ground, &wanted)?;
    notes.extend(more);
    let force = if order.is_forced { Force::Yes } else { Force::No };
    let mut told = verbs::install(system, ground, &definition, force)?;
    notes.append(&mut told.notes);
    Ok(Told { notes, ..told })
}

/// A path as it is from everywhere.
fn absolute(path: &str) -> Result<PathBuf, InitError> {
    let wrong = |why: &str| InitError::Usage(format!("`{}`: {why}", path.escape_debug()));
    if path.is_empty() {
        return Err(wrong("a path is not empty"));
    }
    if path.chars().any(char::is_control) {
        return Err(wrong("a path of a service has no control characters"));
    }
    std::path::absolute(Path::new(path)).map_err(|error| wrong(&error.to_string()))
}
