//! The removal of a service, and what is left of it on purpose.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::claim;
use super::definition::Start;
use super::files::{self, Changes, Ownership};
use super::ground::Ground;
use super::verbs::{Told, is_running};
use super::{Commands, InitError, InitSystem, tools};
use crate::daemon::managed::folder;
use crate::launcher;

/// How much of a configuration is read to see whether a launcher has written it: the account
/// of a service may have put anything there.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// Stops a service, and removes its registration and every file of it. What it was
/// configured with, its logs and its state stay.
///
/// # Errors
/// When it cannot be removed; then it is registered as before, and runs if it did.
pub fn uninstall(system: &dyn InitSystem, ground: &Ground, name: &str) -> Result<Told, InitError> {
    let paths = system.paths(ground, name);
    let (ours, notes) = of_ours(ground, &paths)?;
    let mut told = Told { notes, ..Told::default() };
    // An earlier one may have left it.
    told.notes.extend(left_beside(system, ground, name, &paths));
    if ours.is_empty() {
        told.line = "it is not installed; nothing to do".to_owned();
        return Ok(told);
    }
    let former = Former::of(system, ground, name);
    let mut changes = Changes::new(ground);
    let (before, after) = system.unregister(ground, name);
    match take_away(system, ground, name, &mut changes, (&before, &ours)) {
        Ok(notes) => told.notes.extend(notes),
        Err(error) => {
            changes.undo();
            return Err(former.again(system, ground, name, error));
        }
    }
    for words in after {
        if ground.is_told() {
            files::tell_command(&words);
        } else if ground.is_live() {
            // There may be nothing to forget.
            let _ = tools::run(ground, &words);
        }
    }
    if ground.is_live() {
        told.notes.extend(remove_folders(system, ground, name));
    }
    told.line = "uninstalled; its configuration, logs and state are left".to_owned();
    Ok(told)
}

/// What is to be said of that which an administrator has beside a definition: it is not ours
/// to be removed, and counts for the next one of that name.
fn left_beside(
    system: &dyn InitSystem,
    ground: &Ground,
    name: &str,
    paths: &[PathBuf],
) -> Vec<String> {
    let is_there = |path: &PathBuf| fs::symlink_metadata(ground.at(path)).is_ok();
    let settings = system.settings(ground, name).into_iter().filter(is_there);
    let settings = settings.map(|path| {
        let path = path.display();
        format!("{path} is left, and counts again when a service of this name is installed")
    });
    let kept = paths.iter().flat_map(|path| files::kept_beside(ground, path));
    let kept = kept.map(|path| format!("{} is left", path.display()));
    settings.chain(kept).collect()
}

/// Those of the files of a definition that are ours, and what is to be said of the others.
/// What an installation has left that was broken off is removed.
///
/// # Errors
/// When the definition itself was written by others.
pub fn of_ours<'a>(
    ground: &Ground,
    paths: &'a [PathBuf],
) -> Result<(Vec<&'a Path>, Vec<String>), InitError> {
    let (mut ours, mut notes) = (Vec::new(), Vec::new());
    for (place, path) in paths.iter().enumerate() {
        let real = ground.at(path);
        match files::ownership(&real)? {
            Ownership::Nobody => {}
            Ownership::Ours(_) | Ownership::Edited(_) => ours.push(path.as_path()),
            Ownership::Foreign if place == 0 => {
                files::no_link(ground, path)?;
                return Err(InitError::Left(path.clone()));
            }
            // A link to the definition, by whatever tool it was made.
            Ownership::Foreign if is_link_to(&real, &paths[0]) => ours.push(path),
            Ownership::Foreign => {
                notes.push(format!("{} was written by others and is left", path.display()));
            }
        }
        if ground.is_live() {
            let _ = fs::remove_file(files::unfinished(&real));
        }
    }
    Ok((ours, notes))
}

fn is_link_to(link: &Path, path: &Path) -> bool {
    fs::read_link(link).is_ok_and(|target| target.file_name() == path.file_name())
}

/// Stops it, runs what is to be run before the files go, and removes them; returns what to
/// say of that.
fn take_away(
    system: &dyn InitSystem,
    ground: &Ground,
    name: &str,
    changes: &mut Changes<'_>,
    (before, ours): (&Commands, &[&Path]),
) -> Result<Vec<String>, InitError> {
    if !ground.is_offline() {
        match system.stop(ground, name) {
            // Its manager has never read it.
            Err(InitError::NotInstalled(_)) => {}
            stopped => drop(stopped?),
        }
    }
    before.iter().try_for_each(|words| tools::must(ground, words))?;
    let mut notes = Vec::new();
    for path in ours {
        notes.extend(changes.take_away(path)?);
    }
    Ok(notes)
}

/// How it stood with a service before it was to be removed.
struct Former {
    at_boot: Option<bool>,
    ran: bool,
}

impl Former {
    fn of(system: &dyn InitSystem, ground: &Ground, name: &str) -> Self {
        if !ground.is_live() {
            return Self { at_boot: None, ran: false };
        }
        let at_boot = system.starts_at_boot(ground, name);
        Self { at_boot, ran: is_running(system, ground, name) }
    }

    /// Makes it so again, as far as that can be done; returns what to say.
    fn again(
        self,
        system: &dyn InitSystem,
        ground: &Ground,
        name: &str,
        error: InitError,
    ) -> InitError {
        let register = |at_boot: bool| {
            let start = if at_boot { Start::AtBoot } else { Start::OnDemand };
            let commands = system.register(ground, name, start);
            commands.iter().try_for_each(|words| tools::must(ground, words))
        };
        let registered = self.at_boot.map_or(Ok(()), register);
        let restarts = self.ran && !is_running(system, ground, name);
        let started = if restarts { system.start(ground, name) } else { Ok(()) };
        match registered.and(started) {
            Ok(()) => error,
            Err(other) => InitError::Failed(format!("{error}; and it is not as before: {other}")),
        }
    }
}

/// Removes folders that an init system or a start has made for the service, where
/// nothing of value is in them; returns what to say of the others.
fn remove_folders(system: &dyn InitSystem, ground: &Ground, name: &str) -> Vec<String> {
    let mut folders = system.folders(name);
    let Some(path) = folders.first() else { return Vec::new() };
    let folder = ground.at(path);
    if !claim::was_used(&folder) {
        folders.remove(0);
    }
    folder::clear(&folder);
    // Those of a configuration that nobody has written; `bardo run` of root has its own here.
    let configuration = folder.join("bardo.conf");
    let head = folder::read_plain(&configuration, HEAD_BYTES_MAX).unwrap_or_default();
    let is_used = UnixStream::connect(folder.join(launcher::SOCKET)).is_ok();
    if head.starts_with(launcher::HEAD) && !is_used {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("bardo.") {
                let _ = fs::remove_file(entry.path());
            }
        }
        let _ = fs::remove_dir_all(folder.join(launcher::LOGS));
    }
    let _ = fs::remove_file(folder.with_file_name(format!("{name}.pauses")));
    let notes = claim::release(ground, &folders, name);
    // Where all supervisors of a user have their locks.
    let _ = fs::remove_dir(folder.with_file_name("bardo"));
    notes
}
