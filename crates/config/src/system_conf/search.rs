//! Where the entry of a program is looked for.

use super::document::Document;
use super::entry::Entry;
use super::interpret::identity::{SELF, resolve_self};
use super::{Mode, Note, Refusal};
use crate::host::{Host, ReadError};

/// Folders with a file for each program, in the order in which they are tried.
const FOLDERS: [&str; 2] = ["/etc/bardo/system.conf.d", "/etc/system.conf.d"];

/// Files for all programs, tried behind them.
const FILES: [&str; 2] = ["/etc/bardo/system.conf", "/etc/system.conf"];

/// Whose entry is looked for, and how.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The name of the program.
    pub program: &'a str,
    /// The file that was named for it, which is the only one then.
    pub file: Option<&'a str>,
    /// How strictly it is read.
    pub mode: Mode,
    /// Who asks: what `uid SELF` means.
    pub caller: u32,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The entry; `None` where there is none and none is needed: nothing is restricted, and
    /// the user stays.
    pub entry: Option<Entry>,
    /// What there is to say about the files.
    pub notes: Vec<Note>,
}

/// The files in which an entry may stand, in the order in which they are tried.
#[must_use]
pub fn candidates(program: &str) -> Vec<String> {
    // Without a name of its own in the folder there is no file to try there.
    let is_file = !program.is_empty() && !program.contains('/') && !matches!(program, "." | "..");
    let own = FOLDERS.iter().filter(|_| is_file).map(|folder| format!("{folder}/{program}"));
    own.chain(FILES.map(str::to_owned)).collect()
}

/// Looks for the entry of a program. The first file that can be read and has one counts; in
/// the mode of MINIX the first one that can be read.
///
/// # Errors
///
/// When a file does not follow the grammar, a file that was named cannot be read or has no
/// entry, or, in the mode of MINIX, no file can be read or the first has no entry.
pub fn find(host: &dyn Host, wanted: &Wanted<'_>) -> Result<Found, Refusal> {
    let Wanted { program, mode, .. } = *wanted;
    let paths = wanted.file.map_or_else(|| candidates(program), |file| vec![file.to_owned()]);
    let mut notes = Vec::new();
    for path in &paths {
        let bytes = match host.read(path) {
            Ok(bytes) => bytes,
            Err(error) if wanted.file.is_some() => return Err(unreadable(path, error)),
            Err(ReadError::Missing) => continue,
            Err(ReadError::Unreadable) => {
                let text = format!("{path} is there and cannot be read; it is passed over");
                notes.push(Note { at: None, text });
                continue;
            }
        };
        let document = Document::parse(host, path, &bytes)?;
        if let Some(mut entry) = document.entry(program)? {
            notes.extend(document.notes(program));
            resolve_self(&mut entry.lines, wanted.caller, host.user_by_name(SELF).is_some());
            return Ok(Found { entry: Some(entry), notes });
        }
        if mode == Mode::Minix || wanted.file.is_some() {
            return Err(Refusal {
                at: None,
                what: format!("service '{program}' not found in '{path}'"),
                advice: format!("write a `service {program} {{ ... }};` into it"),
            });
        }
    }
    match mode {
        Mode::Strict => Ok(Found { entry: None, notes }),
        Mode::Minix => Err(Refusal {
            at: None,
            what: format!(
                "service '{program}' not found: none of {} can be read",
                paths.join(", ")
            ),
            advice: format!("write a `service {program} {{ ... }};` into one of them"),
        }),
    }
}

fn unreadable(path: &str, error: ReadError) -> Refusal {
    let what = match error {
        ReadError::Missing => format!("{path} is not there"),
        ReadError::Unreadable => format!("{path} is there and cannot be read"),
    };
    Refusal { at: None, what, advice: "name a file that can be read behind -config".to_owned() }
}
