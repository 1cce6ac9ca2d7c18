//! `--service-list`: which services of this machine are started with our executable, for
//! whoever is about to take it away or to replace it.
//!
//! They are found by the line in their definitions. What others have written that starts it
//! too is told, and is theirs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::definition::wrong_name;
use super::escape;
use super::files::{self, Ownership};
use super::ground::Ground;
use super::{InitSystem, choice};
use crate::output::say;

/// The word that asks for it.
pub const WORD: &str = "--service-list";

/// How the scripts begin that OpenRC runs. They are in the same folder as those of SysV init.
const OF_OPENRC: &str = "#!/sbin/openrc-run";

/// The name of a service with which the names of files are made out.
const SAMPLE: &str = "NAME";

/// Exit code where our own executable cannot be told.
const UNKNOWN: u8 = 1;

/// A file that starts a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// For which init system.
    pub kind: &'static str,
    /// The name of the service.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Whether we have written it.
    pub is_ours: bool,
}

/// All definitions of a machine that start an executable.
#[must_use]
pub fn registered(ground: &Ground, executable: &Path) -> Vec<Registered> {
    let executable = executable.display().to_string();
    let systems = choice::NAMES.into_iter().filter_map(choice::named);
    systems.flat_map(|system| of_kind(&*system, ground, &executable)).collect()
}

fn of_kind(system: &dyn InitSystem, ground: &Ground, executable: &str) -> Vec<Registered> {
    let kind = system.name();
    let sample = system.paths(ground, SAMPLE).into_iter().next().unwrap_or_default();
    let file = sample.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (Some(folder), Some((before, after))) = (sample.parent(), file.split_once(SAMPLE)) else {
        return Vec::new();
    };
    let entries = fs::read_dir(ground.behind(folder)).into_iter().flatten().flatten();
    let written = written(kind, executable);
    let names_it = |text: &str| written.iter().any(|path| names(text, path));
    let mut found: Vec<Registered> = entries
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let name = file.strip_prefix(before)?.strip_suffix(after)?.to_owned();
            // A link is another name of a file that is found by itself, or somebody else's.
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let text = fs::read_to_string(entry.path()).ok().filter(|_| is_file)?;
            let is_of_openrc = text.starts_with(OF_OPENRC);
            let is_of_kind = match kind {
                "openrc" => is_of_openrc,
                "sysv" => !is_of_openrc,
                _ => true,
            };
            if !is_of_kind || wrong_name(&name).is_some() || !names_it(&text) {
                return None;
            }
            let is_ours = matches!(
                files::ownership(&entry.path()),
                Ok(Ownership::Ours(_) | Ownership::Edited(_))
            );
            Some(Registered { kind, name, path: folder.join(file), is_ours })
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

/// How a path may be written in a definition. The quotes around it are left out: somebody
/// else may have others there, or none.
fn written(kind: &str, path: &str) -> Vec<String> {
    let bare = |text: String| match text.strip_prefix(['"', '\'']) {
        Some(inside) => inside.strip_suffix(['"', '\'']).unwrap_or(inside).to_owned(),
        None => text,
    };
    let mut ways: Vec<String> = match kind {
        "systemd" => vec![escape::systemd_executable(path), escape::systemd_argument(path)],
        "launchd" => vec![escape::xml(path), path.to_owned()],
        // A word of a shell, or a command of one that is itself such a word.
        _ => vec![escape::shell(path), escape::quoted(&escape::shell(path)), path.to_owned()],
    }
    .into_iter()
    .map(bare)
    .collect();
    ways.dedup();
    ways
}

/// Whether a text has a path as a word of its own, and not as a part of another one.
fn names(text: &str, path: &str) -> bool {
    let goes_on = |next: Option<char>| {
        next.is_some_and(|next| next.is_alphanumeric() || "/_-.%$~".contains(next))
    };
    text.match_indices(path).any(|(at, found)| {
        !goes_on(text[..at].chars().next_back())
            && !goes_on(text[at + found.len()..].chars().next())
    })
}

/// Says which services there are, each in a line: the init system, the name, `boot` or `demand`
/// for when it starts, and the file. Where that is not known it starts at boot, as most do.
#[must_use]
pub fn main() -> ExitCode {
    let executable = match std::env::current_exe() {
        Ok(executable) => executable,
        Err(error) => {
            eprintln!("bardo: {WORD}: cannot find our own executable: {error}");
            return ExitCode::from(UNKNOWN);
        }
    };
    let ground = Ground::here();
    for Registered { kind, name, path, is_ours } in registered(&ground, &executable) {
        let path = path.display();
        if is_ours {
            let system = choice::named(kind);
            let boots = system.and_then(|system| system.starts_at_boot(&ground, &name));
            let start = if boots == Some(false) { "demand" } else { "boot" };
            say(&format!("{kind} {name} {start} {path}\n"));
        } else {
            let executable = executable.display();
            eprintln!("bardo: {path} starts {executable} too; it was written by somebody else");
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_word_of_its_own() {
        let path = "/usr/bin/bardo";
        for text in [
            "ExecStart=/usr/bin/bardo --x",
            "'/usr/bin/bardo'",
            "/usr/bin/bardo",
            "=\"/usr/bin/bardo\"\n",
        ] {
            assert!(names(text, path), "{text}");
        }
        for text in [
            "/opt/usr/bin/bardo",
            "/100%/usr/bin/bardo",
            "/usr/bin/bardo~",
            "/usr/bin/bardo2",
            "/usr/bin/bardo/x",
            "/usr/bin/bardo-old",
            "",
        ] {
            assert!(!names(text, path), "{text}");
        }
        assert!(names("/usr/bin/bardo.old /usr/bin/bardo", path));
    }
}
