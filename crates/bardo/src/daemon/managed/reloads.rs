//! What came of reloads: the file `told/reload` in the folder of a service.
//!
//! In its lines are the number of the last reload that is over, that of the last one that was
//! begun, what was refused of the one that is over, and what only a restart takes up. A reload is
//! counted before the configuration is read for it: whoever has seen the number of those that were
//! begun, and then asks for one, waits for one with a greater number. That one has read what was
//! there when he looked, or something later.

use std::fs;
use std::io;
use std::path::Path;

use super::folder::{self, RELOAD, RELOAD_NEW};

/// Most bytes of it that are read. It may belong to somebody who is trusted with less.
const BYTES_MAX: u64 = 4096;

/// Most bytes of a line of words: both of them and the numbers are read.
const LINE_BYTES_MAX: usize = 1900;

/// What came of the last reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The last one that is over.
    pub over: u64,
    /// The last one that was begun.
    pub begun: u64,
    /// What was refused, in a line; empty where nothing was.
    pub refusal: String,
    /// What has changed and only a restart takes up, in a line; empty where nothing has.
    pub for_a_restart: String,
}

impl Outcome {
    /// Whether a reload is over that was begun after `before` was noted. Where less was begun
    /// than then, the service itself was begun anew, and has read its configuration for that.
    #[must_use]
    pub fn is_after(&self, before: &Self) -> bool {
        self.over > before.begun || self.begun < before.begun
    }

    /// What whoever has asked for it should know of what was not taken up.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let what = &self.for_a_restart;
        (!what.is_empty()).then(|| format!("{FOR_A_RESTART}{what}"))
    }
}

/// How it is told that something begins with a restart only.
pub const FOR_A_RESTART: &str = "only a restart takes up what else has changed: ";

/// What is noted in the folder of a service, if it runs.
#[must_use]
pub fn noted(place: &Path) -> Option<Outcome> {
    let text = folder::read_plain(&folder::told(place).join(RELOAD), BYTES_MAX).ok()?;
    let mut lines = text.lines();
    let (over, begun) = (lines.next()?.parse().ok()?, lines.next()?.parse().ok()?);
    // It may be an account's word, and root reads it on a terminal.
    let shown = |line: &str| line.replace(char::is_control, "?");
    let mut line = || lines.next().map(shown).unwrap_or_default();
    Some(Outcome { over, begun, refusal: line(), for_a_restart: line() })
}

/// From now on reloads are noted.
///
/// # Errors
/// What the system says.
pub fn begin(place: &Path) -> io::Result<()> {
    if noted(place).is_some() { Ok(()) } else { write(place, &Outcome::default()) }
}

/// Notes that a reload is begun: the configuration has not been read for it.
///
/// # Errors
/// What the system says.
pub fn note_begin(place: &Path) -> io::Result<()> {
    let outcome = noted(place).unwrap_or_default();
    write(place, &Outcome { begun: outcome.begun.wrapping_add(1), ..outcome })
}

/// Notes that the reload is over that was begun last, what of it was refused, and what only a
/// restart takes up.
///
/// # Errors
/// What the system says.
pub fn note(place: &Path, refusal: &str, for_a_restart: &str) -> io::Result<()> {
    let begun = noted(place).map_or(0, |outcome| outcome.begun);
    let (refusal, for_a_restart) = (in_a_line(refusal), in_a_line(for_a_restart));
    write(place, &Outcome { over: begun, begun, refusal, for_a_restart })
}

/// The beginning of a text as a line, whatever is in it.
fn in_a_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let ends = line.char_indices().map(|(start, character)| start + character.len_utf8());
    let end = ends.take_while(|end| *end <= LINE_BYTES_MAX).last().unwrap_or_default();
    line.truncate(end);
    line
}

fn write(place: &Path, outcome: &Outcome) -> io::Result<()> {
    let Outcome { over, begun, refusal, for_a_restart } = outcome;
    let text = format!("{over}\n{begun}\n{refusal}\n{for_a_restart}\n");
    let folder = folder::told(place);
    let fresh = folder.join(RELOAD_NEW);
    folder::write_private(&fresh, &text)?;
    fs::rename(fresh, folder.join(RELOAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let room = tempfile::tempdir().unwrap();
        folder::make_told(room.path(), None).unwrap();
        for start in ["", "a"] {
            let long = start.to_owned() + &"\u{20ac}".repeat(4000);
            note(room.path(), &long, &long).unwrap();
            let noted = noted(room.path()).unwrap();
            assert!(noted.refusal.len() > LINE_BYTES_MAX - 3 && long.starts_with(&noted.refusal));
            assert_eq!(noted.for_a_restart, noted.refusal);
        }
    }

    #[test]
    fn what_is_no_plain_text_is_not_believed() {
        let room = tempfile::tempdir().unwrap();
        folder::make_told(room.path(), None).unwrap();
        let path = folder::told(room.path()).join(RELOAD);
        for text in ["", "one\n", "-1\n\n", "1\n\n\n\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(noted(room.path()), None, "{text:?}");
        }
        fs::write(&path, "1\n1\n\u{1b}[2Jwrong\r\u{9b}K\n\n").unwrap();
        assert_eq!(noted(room.path()).unwrap().refusal, "?[2Jwrong??K");
        fs::remove_file(&path).unwrap();
        let other = room.path().join("other");
        fs::write(&other, "5\n5\n\n\n").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert_eq!(noted(room.path()), None);
        note(room.path(), "", "").unwrap();
        assert_eq!(fs::read_to_string(other).unwrap(), "5\n5\n\n\n");
    }
}
