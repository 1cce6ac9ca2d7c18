//! The file that keeps the lines typed in the shell.
//!
//! One line of the file is one line typed, as GNU readline writes it, so that
//! Supervisor's tool and this one can share the file. Nothing that goes wrong with
//! it is told: a shell is of use without its past.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

/// Most lines that are kept: more than anybody walks back through.
pub(super) const LINES_MAX: usize = 10_000;

/// Most bytes of a file that is read, lest somebody names a device.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Only the user may read what he has typed.
const FILE_MODE: u32 = 0o600;

/// The lines of a file, the oldest first.
///
/// # Errors
/// When it cannot be read.
pub(super) fn load(path: &str) -> io::Result<Vec<String>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Writes the lines of a file anew.
///
/// # Errors
/// When it cannot be written.
pub(super) fn save(path: &str, lines: impl Iterator<Item: AsRef<str>>) -> io::Result<()> {
    let mut text = String::new();
    for line in lines {
        text.push_str(line.as_ref());
        text.push('\n');
    }
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_read_back_as_it_was_written() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("history").into_os_string().into_string().unwrap();
        let lines = ["status".to_owned(), "start é".to_owned()];

        save(&path, lines.iter()).unwrap();

        assert_eq!(load(&path).unwrap(), lines);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "status\nstart é\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_lose_the_other_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"one\n\xff\n\nlast").unwrap();

        let lines = load(file.path().to_str().unwrap()).unwrap();

        assert_eq!(lines, ["one", "\u{fffd}", "last"]);
    }
}
