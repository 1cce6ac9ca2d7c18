//! Where the file of a program is looked for, and how its copy is made. All of this happens
//! on a thread beside the control thread: the file may lie on a disk that hangs.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bardo_core::ServiceId;
use bardo_sys::image::{Image, ImageError};
use bardo_sys::plan::Plan;
use rustix::io::Errno;

/// A copy that is to be made.
#[derive(Debug)]
pub(in crate::daemon) struct Wanted {
    /// For whom.
    pub(super) service: ServiceId,
    /// The name under which it is shared.
    pub(super) name: Arc<str>,
    /// Whether one that is like it does.
    pub(super) is_shared: bool,
    /// The program, as its command names it.
    pub(super) program: Arc<str>,
    /// Where its file is looked for.
    files: Vec<PathBuf>,
}

impl Wanted {
    /// A copy of what this plan would execute.
    pub(super) fn new(service: ServiceId, name: Arc<str>, is_shared: bool, plan: &Plan) -> Self {
        let program = String::from_utf8_lossy(program(plan)).into();
        Self { service, name, is_shared, program, files: files(plan) }
    }
}

/// The program, as the command of a plan names it.
pub(super) fn program(plan: &Plan) -> &[u8] {
    plan.words.iter().next().map_or(&[], CStr::to_bytes)
}

/// Where the file of a plan's program may be.
fn files(plan: &Plan) -> Vec<PathBuf> {
    let path = |string: &CStr| Path::new(OsStr::from_bytes(string.to_bytes())).to_owned();
    let directory = plan.directory.iter().next().map(path).unwrap_or_default();
    let program = Path::new(OsStr::from_bytes(program(plan)));
    match plan.search_path.iter().next() {
        None => vec![directory.join(program)],
        Some(folders) => {
            let folders = folders.to_bytes().split(|byte| *byte == b':');
            folders.map(|it| directory.join(OsStr::from_bytes(it)).join(program)).collect()
        }
    }
}

/// Makes a copy. Blocks for as long as the disk takes.
///
/// # Errors
/// Why no file is one that can be executed, as the search of a program would tell it.
pub(super) fn load(wanted: &Wanted) -> Result<Image, ImageError> {
    let mut unusable = None;
    for file in &wanted.files {
        match Image::load(file) {
            Err(ImageError::Read(error)) if is_absent(&error) => {}
            Err(error @ (ImageError::NotFile | ImageError::NotExecutable)) => {
                unusable = unusable.or(Some(error));
            }
            other => return other,
        }
    }
    Err(unusable.unwrap_or_else(|| ImageError::Read(Errno::NOENT.into())))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use bardo_sys::plan::Strings;

    use super::*;

    fn plan(program: &str, directory: &str, search_path: &[&str]) -> Plan {
        let strings = |words: &[&str]| Strings::new(words.iter().map(|it| it.as_bytes())).unwrap();
        Plan {
            words: strings(&[program, "argument"]),
            directory: strings(&[directory]),
            search_path: strings(search_path),
            ..Plan::default()
        }
    }

    fn wanted(plan: &Plan) -> Wanted {
        Wanted::new(ServiceId(1), Arc::from("name"), false, plan)
    }

    #[test]
    fn a_file_is_looked_for_where_the_program_would_be() {
        let files = |plan: &Plan| files(plan).iter().map(|it| it.display().to_string()).collect();
        let expect = |plan: &Plan, expected: &[&str]| {
            let found: Vec<String> = files(plan);
            assert_eq!(found, expected);
        };

        expect(&plan("/bin/x", "/there", &[]), &["/bin/x"]);
        expect(&plan("./x", "/there", &[]), &["/there/./x"]);
        expect(&plan("x", "/there", &["/bin:own"]), &["/bin/x", "/there/own/x"]);
    }

    #[test]
    fn what_is_no_program_is_passed_over_and_told_when_there_is_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let [plain, script] = ["plain", "script"].map(|name| folder.path().join(name));
        fs::create_dir(&plain).unwrap();
        fs::create_dir(&script).unwrap();
        let write = |path: &Path, mode| {
            fs::write(path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write(&plain.join("x"), 0o644);
        let search = format!("/nowhere:{}:{}", plain.display(), script.display());
        let wanted = wanted(&plan("x", "/", &[&search]));

        assert!(matches!(load(&wanted).unwrap_err(), ImageError::NotExecutable));
        write(&script.join("x"), 0o755);
        assert_eq!(load(&wanted).unwrap().length(), 10);
        let absent = self::wanted(&plan("/nowhere/x", "/", &[]));
        assert_eq!(load(&absent).unwrap_err().errno(), 2);
    }
}
