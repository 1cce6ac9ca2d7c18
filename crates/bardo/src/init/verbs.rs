//! The verbs but for an installation and a removal, the same for every init system.

use super::files::{self, Ownership};
use super::ground::Ground;
use super::{Ended, InitError, InitSystem, Standing, reload, wanted};
use crate::daemon::managed::{folder, reloads};

pub use super::installation::install;
pub use super::removal::uninstall;

/// Whether what is in the way may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It is left alone.
    No,
    /// It is kept beside and replaced.
    Yes,
}

/// What a verb has come to, in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// What was done: one line.
    pub line: String,
    /// What else somebody should know.
    pub notes: Vec<String>,
}

impl Told {
    fn line(line: impl Into<String>) -> Self {
        Self { line: line.into(), notes: Vec::new() }
    }
}

/// How a status is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The exit code: 0 where it runs, 3 where it does not, 1 where that is not known.
    pub code: u8,
    /// The line.
    pub line: String,
}

/// Starts a service and waits until it runs.
///
/// # Errors
/// When it does not.
pub fn start(system: &dyn InitSystem, ground: &Ground, name: &str) -> Result<Told, InitError> {
    must_be_ours(system, ground, name)?;
    let was_running = ground.is_live() && is_running(system, ground, name);
    let started = system.start(ground, name).and_then(|()| is_seen(system, ground, name));
    started.map_err(|error| with_reason(system, ground, name, error))?;
    Ok(Told::line(if was_running { "it runs already" } else { "started" }))
}

/// A start is believed only when it is seen that it runs.
fn is_seen(system: &dyn InitSystem, ground: &Ground, name: &str) -> Result<(), InitError> {
    if !ground.is_live() {
        return Ok(());
    }
    match system.standing(ground, name) {
        Standing::Running(_) => Ok(()),
        Standing::Down(words) => {
            Err(InitError::Failed(format!("it was started, and does not run: {words}")))
        }
        Standing::Absent => Err(InitError::NotInstalled(name.to_owned())),
        Standing::Unclear(why) => Err(InitError::Failed(format!(
            "it was started, and nobody knows whether it runs: {why}"
        ))),
    }
}

/// Why a start has failed, first by what can be seen of the service: an init system tells only
/// that it has ended, and where more is told.
fn with_reason(
    system: &dyn InitSystem,
    ground: &Ground,
    name: &str,
    error: InitError,
) -> InitError {
    let is_of_service = matches!(error, InitError::Tool { .. } | InitError::Failed(_));
    if !is_of_service || !ground.is_live() {
        return error;
    }
    let text = error.to_string();
    let Some(reason) = wanted::hindrance(system, ground, name) else { return error };
    // A script tells what the service has said itself.
    let is_told = reason.split(';').next().is_some_and(|cause| text.contains(cause));
    if is_told { error } else { InitError::Failed(format!("{reason}. {text}")) }
}

/// Stops a service and waits until it has ended.
///
/// # Errors
/// When it has not.
pub fn stop(system: &dyn InitSystem, ground: &Ground, name: &str) -> Result<Told, InitError> {
    must_be_ours(system, ground, name)?;
    let was_running = !ground.is_live() || is_running(system, ground, name);
    // Also one that does not run: it may be in a pause before it is started again.
    let ended = system.stop(ground, name)?;
    Ok(Told::line(match (was_running, ended) {
        (true, _) | (false, Ended::Run) => "stopped",
        (false, Ended::Start) => "its start was broken off",
        (false, Ended::Leftovers) => "it did not run; what a former run had left was ended",
        (false, Ended::Nothing) => "it does not run",
    }))
}

/// Stops and starts a service; one that does not run is started.
///
/// # Errors
/// When it does not run afterwards.
pub fn restart(system: &dyn InitSystem, ground: &Ground, name: &str) -> Result<Told, InitError> {
    must_be_ours(system, ground, name)?;
    let restarted = system.restart(ground, name).and_then(|()| is_seen(system, ground, name));
    restarted.map_err(|error| with_reason(system, ground, name, error))?;
    Ok(Told::line("restarted"))
}

/// Restarts a service if it runs.
///
/// # Errors
/// When it does not run afterwards.
pub fn try_restart(
    system: &dyn InitSystem,
    ground: &Ground,
    name: &str,
) -> Result<Told, InitError> {
    must_be_ours(system, ground, name)?;
    match system.standing(ground, name) {
        Standing::Running(_) => restart(system, ground, name),
        Standing::Down(_) => Ok(Told::line("it does not run; nothing to do")),
        Standing::Absent => Err(InitError::NotInstalled(name.to_owned())),
        Standing::Unclear(why) => Err(InitError::Failed(why)),
    }
}

/// Has a service read its configuration again.
///
/// # Errors
/// When it does not run, or cannot be told so; when it refuses what it has read.
pub fn reload(system: &dyn InitSystem, ground: &Ground, name: &str) -> Result<Told, InitError> {
    must_be_ours(system, ground, name)?;
    if ground.is_live() {
        match system.standing(ground, name) {
            Standing::Running(_) => {}
            Standing::Down(_) => return Err(InitError::NotRunning(name.to_owned())),
            Standing::Absent => return Err(InitError::NotInstalled(name.to_owned())),
            Standing::Unclear(why) => return Err(InitError::Failed(why)),
        }
    }
    let place = folder::place(name).map(|place| ground.at(place)).filter(|_| ground.is_live());
    let before = place.as_deref().and_then(reloads::noted);
    let asked = system.reload(ground, name);
    let (Some(place), Some(before)) = (place, before) else {
        asked?;
        return Ok(Told::line("it reads its configuration again"));
    };
    // Who waits for the end of it himself may fail for what is refused.
    let is_there = || asked.is_ok() && is_running(system, ground, name);
    match reload::awaited(&place, &before, is_there) {
        Ok(outcome) if !outcome.refusal.is_empty() => Err(InitError::Failed(outcome.refusal)),
        waited => {
            asked?;
            let outcome = waited.map_err(InitError::Failed)?;
            let line = "what has changed is taken up".to_owned();
            Ok(Told { line, notes: outcome.note().into_iter().collect() })
        }
    }
}

/// How a service stands.
#[must_use]
pub fn status(system: &dyn InitSystem, ground: &Ground, name: &str) -> Status {
    if let Err(error) = must_be_ours(system, ground, name) {
        return Status { code: 1, line: error.to_string() };
    }
    match system.standing(ground, name) {
        Standing::Running(words) => Status { code: 0, line: format!("running: {words}") },
        Standing::Down(words) => Status { code: 3, line: format!("not running: {words}") },
        Standing::Absent => Status { code: 1, line: format!("not installed ({})", system.name()) },
        Standing::Unclear(why) => {
            Status { code: 1, line: format!("its state cannot be determined: {why}") }
        }
    }
}

/// That there is no service of that name which others have made: they may have reasons of
/// their own for how it is steered.
fn must_be_ours(system: &dyn InitSystem, ground: &Ground, name: &str) -> Result<(), InitError> {
    let Some(path) = system.definition(ground, name) else { return Ok(()) };
    match files::ownership(&ground.at(&path))? {
        Ownership::Foreign => {}
        Ownership::Nobody | Ownership::Ours(_) | Ownership::Edited(_) => return Ok(()),
    }
    match files::no_link(ground, &path) {
        // A unit answers to both of its names.
        Err(InitError::OtherName(_)) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(InitError::NotOurs(path)),
    }
}

/// Whether it runs.
pub(super) fn is_running(system: &dyn InitSystem, ground: &Ground, name: &str) -> bool {
    matches!(system.standing(ground, name), Standing::Running(_))
}
