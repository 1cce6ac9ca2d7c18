//! The folders that a service takes for its own: systemd gives those to its account and
//! removes the one in /run when it ends, and so do the scripts for others in part. So one of
//! somebody else is not taken.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::definition::USUAL_NAME;
use super::ground::Ground;
use super::kinds::Other;
use super::{InitError, InitSystem};
use crate::daemon::managed::folder::{self, LOCK, MARK};

/// That nobody else has a folder that a new service is to have.
///
/// # Errors
/// Which one somebody has.
pub fn free(
    system: &dyn InitSystem,
    ground: &Ground,
    name: &str,
    others: &[Other],
) -> Result<(), InitError> {
    let is_known = |folder: &PathBuf| others.iter().any(|other| other.folders.contains(folder));
    let mut wanted = system.folders(name).into_iter().filter(|folder| !is_known(folder));
    match wanted.find(|folder| is_of_others(ground, folder, name)) {
        Some(folder) => Err(InitError::Taken(folder)),
        None => Ok(()),
    }
}

/// Whether a folder is there, and neither left by a service of ours nor in use by one.
fn is_of_others(ground: &Ground, folder: &Path, name: &str) -> bool {
    // Every supervisor of root has its locks there, and what is called bardo is ours.
    if name == USUAL_NAME {
        return false;
    }
    let real = ground.at(folder);
    // What is not there is nobody's; what may not be looked at is looked at by root.
    fs::symlink_metadata(&real).is_ok()
        && [MARK, LOCK].iter().all(|file| {
            let found = fs::symlink_metadata(real.join(file));
            found.is_err_and(|error| error.kind() != ErrorKind::PermissionDenied)
        })
}

/// Whether a folder has been a service's: somebody else may have made it since the service
/// was registered.
#[must_use]
pub fn was_used(folder: &Path) -> bool {
    [MARK, LOCK].iter().any(|file| fs::symlink_metadata(folder.join(file)).is_ok())
}

/// Removes folders of a service that is no more, as far as they are empty, and marks the
/// others; returns what to say of these.
pub fn release(ground: &Ground, folders: &[PathBuf], name: &str) -> Vec<String> {
    let mut notes = Vec::new();
    for path in folders {
        let real = ground.at(path);
        let _ = fs::remove_file(real.join(MARK));
        // It refuses where something is in it.
        if fs::remove_dir(&real).is_ok() || !real.is_dir() || name == USUAL_NAME {
            continue;
        }
        // Where nothing can be written, --force has to say that it is the same service.
        if folder::write_private(&real.join(MARK), &format!("{name}\n")).is_ok() {
            let path = path.display();
            notes.push(format!(
                "{path} is left with what is in it, and with {MARK}, by which the next service of \
                 this name knows it"
            ));
        }
    }
    notes
}
