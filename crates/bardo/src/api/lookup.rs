//! Whether a program can be started, found out before it is: the file that its
//! command line names.
//!
//! Two differences to Supervisor. It stops at the first entry of the search path
//! that is there, even a directory, and then refuses a program that would start.
//! And it looks for a relative path in its own directory, though the program is
//! started in that of `directory=`.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bardo_config::command;
use bardo_core::{ServiceSpec, SpawnError};
use rustix::fs::{Access, access};

use crate::words;

/// Where programs are looked for when no `PATH` says otherwise: Supervisor's list.
const DEFAULT_PATH: &str = "/bin:/usr/bin:/usr/local/bin";

/// Why a program cannot be started, and the words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotStartable {
    pub(super) error: SpawnError,
    pub(super) text: String,
}

impl NotStartable {
    fn new(error: SpawnError, service: &ServiceSpec, file: &Path) -> Self {
        let text = words::spawn_error_at(service, error, &file.to_string_lossy());
        Self { error, text }
    }
}

/// Finds the file of a service's program. `own_path` is our own `PATH`.
///
/// It asks the file system and may block.
pub(super) fn check(service: &ServiceSpec, own_path: Option<&OsStr>) -> Result<(), NotStartable> {
    let words = command::split(&service.command)
        .map_err(|error| NotStartable::new(error, service, Path::new("")))?;
    let program = words.first().map_or("", String::as_str);
    find(program, service, own_path)
        .map(|_| ())
        .map_err(|(error, file)| NotStartable::new(error, service, &file))
}

fn find(
    program: &str,
    service: &ServiceSpec,
    own_path: Option<&OsStr>,
) -> Result<PathBuf, (SpawnError, PathBuf)> {
    if program.is_empty() {
        return Err((SpawnError::NotFound, program.into()));
    }
    if program.contains('/') {
        let seen_from = service.directory.as_deref().unwrap_or("");
        let file = Path::new(seen_from).join(program);
        return match judge(&file) {
            None => Ok(file),
            Some(error) => Err((error, program.into())),
        };
    }
    let mut unusable = None;
    for directory in std::env::split_paths(&search_path(service, own_path)) {
        let file = directory.join(program);
        match judge(&file) {
            None => return Ok(file),
            Some(SpawnError::NotFound) => {}
            Some(error) => {
                unusable.get_or_insert((error, file));
            }
        }
    }
    Err(unusable.unwrap_or_else(|| (SpawnError::NotFound, program.into())))
}

fn search_path(service: &ServiceSpec, own_path: Option<&OsStr>) -> OsString {
    let set = service.environment.iter().rev().find(|(name, _)| &**name == "PATH");
    match (set, own_path) {
        (Some((_, path)), _) => OsString::from(&**path),
        (None, Some(path)) => path.to_owned(),
        (None, None) => OsString::from(DEFAULT_PATH),
    }
}

/// Why a file cannot be executed; `None` when it can.
fn judge(file: &Path) -> Option<SpawnError> {
    let Ok(metadata) = file.metadata() else {
        return Some(SpawnError::NotFound);
    };
    if metadata.is_dir() {
        Some(SpawnError::IsDirectory)
    } else if metadata.permissions().mode() & 0o111 == 0 {
        Some(SpawnError::NotExecutable)
    } else if access(file, Access::EXEC_OK).is_err() {
        Some(SpawnError::NotPermitted)
    } else {
        None
    }
}

/// The words for a start that failed some time ago: the file is looked for again,
/// because only the search path can tell which it was.
///
/// It asks the file system and may block.
pub(super) fn past_failure(
    error: SpawnError,
    service: &ServiceSpec,
    own_path: Option<&OsStr>,
) -> String {
    match check(service, own_path) {
        Err(again) if again.error == error => again.text,
        _ => words::spawn_error(service, error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::test_specs::service;
    use super::*;

    fn failure(service: &ServiceSpec, path: &str) -> NotStartable {
        check(service, Some(OsStr::new(path))).unwrap_err()
    }

    fn executable(file: &Path) {
        fs::write(file, "#!/bin/sh\n").unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_command_line_that_cannot_be_split_is_told_with_its_text() {
        let open = service("p", "/bin/cat 'x");

        assert_eq!(
            failure(&open, "").text,
            "can't parse command \"/bin/cat 'x\": No closing quotation"
        );
        assert_eq!(failure(&service("p", ""), "").text, "command is empty");
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let room = tempfile::tempdir().unwrap();
        let plain = room.path().join("plain");
        fs::write(&plain, "").unwrap();
        let (plain, directory) = (plain.display(), room.path().display());

        let missing = failure(&service("p", "/no/such x"), "");
        assert_eq!(missing.error, SpawnError::NotFound);
        assert_eq!(missing.text, "can't find command '/no/such'");
        assert_eq!(
            failure(&service("p", &directory.to_string()), "").text,
            format!("command at '{directory}' is a directory")
        );
        assert_eq!(
            failure(&service("p", &plain.to_string()), "").text,
            format!("command at '{plain}' is not executable")
        );
        assert_eq!(failure(&service("p", "nowhere"), "/bin").text, "can't find command 'nowhere'");
    }

    #[test]
    fn the_search_passes_over_what_cannot_be_executed() {
        let room = tempfile::tempdir().unwrap();
        let (first, second) = (room.path().join("a"), room.path().join("b"));
        fs::create_dir_all(first.join("prog")).unwrap();
        fs::create_dir(&second).unwrap();
        executable(&second.join("prog"));
        let path = std::env::join_paths([&first, &second]).unwrap();

        assert_eq!(check(&service("p", "prog x"), Some(&path)), Ok(()));
        let alone = check(&service("p", "prog x"), Some(first.as_os_str())).unwrap_err();
        assert_eq!(alone.error, SpawnError::IsDirectory);
    }

    #[test]
    fn the_programs_own_path_counts_more_than_ours() {
        let room = tempfile::tempdir().unwrap();
        executable(&room.path().join("prog"));
        let mut program = service("p", "prog");
        program.environment = [("PATH".into(), room.path().to_string_lossy().into())].into();

        assert_eq!(check(&program, Some(OsStr::new("/nowhere"))), Ok(()));
    }

    #[test]
    fn a_relative_path_is_seen_from_the_programs_directory() {
        let room = tempfile::tempdir().unwrap();
        executable(&room.path().join("prog"));
        let mut program = service("p", "./prog");
        program.directory = Some(room.path().to_string_lossy().into());

        assert_eq!(check(&program, None), Ok(()));
    }
}
