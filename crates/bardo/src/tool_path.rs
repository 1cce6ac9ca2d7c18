//! Where a tool lies: the search for a configuration file begins near it.
//!
//! A shell tells a program only the word that was typed. Python's tools know their whole
//! path all the same, because the kernel hands it to the interpreter; we look along
//! `PATH` once more.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The path of this tool, of which `program` is what it is called in texts.
#[must_use]
pub fn of_this_tool(program: &str) -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    of(Path::new(&called), program, &path, |file| {
        file.is_file() && access(file, Access::EXEC_OK).is_ok()
    })
}

/// What was called by a word with a slash lies there. Called as the first word of
/// `bardo`, a tool lies beside it.
fn of(called: &Path, program: &str, path: &OsStr, is_there: impl Fn(&Path) -> bool) -> String {
    let found = if called.as_os_str().as_encoded_bytes().contains(&b'/') {
        Some(called.to_owned())
    } else {
        std::env::split_paths(path).map(|part| part.join(called)).find(|file| is_there(file))
    };
    let name = Path::new(program).file_name().unwrap_or_default();
    let place = found.map_or_else(|| PathBuf::from(program), |file| file.with_file_name(name));
    place.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(called: &str, program: &str) -> String {
        let there = ["/a/supervisord", "/b/bardo", "/c/bardo", "/b/supervisord"];
        let is_there = |file: &Path| there.iter().any(|path| Path::new(path) == file);
        of(Path::new(called), program, OsStr::new("/none:/a:/b:/c"), is_there)
    }

    #[test]
    fn a_word_without_a_slash_is_looked_for_as_the_shell_did() {
        assert_eq!(place("supervisord", "supervisord"), "/a/supervisord");
        assert_eq!(place("bardo", "supervisord"), "/b/supervisord");
    }

    #[test]
    fn a_word_with_a_slash_says_it_all() {
        assert_eq!(place("/x/supervisord", "/x/supervisord"), "/x/supervisord");
        assert_eq!(place("bin/bardo", "supervisorctl"), "bin/supervisorctl");
    }

    #[test]
    fn what_is_not_found_is_taken_by_its_word() {
        assert_eq!(place("nowhere", "supervisord"), "supervisord");
    }
}
