//! What came of a reload: the file `told/reload` in the folder of a service, and whoever waits for
//! it.
//!
//! In its lines are the number of the last reload that is over, that of the last one that was
//! begun, what was refused of the one that is over, and what only a restart takes up. A reload is
//! counted before the configuration is read for it: whoever has seen the number of those that were
//! begun, and then asks for one, waits for one with a greater number. That one has read what was
//! there when he looked, or something later.
//!
//! `--service-reload NAME` is what a unit of an older systemd runs for `systemctl reload`: it
//! asks for it and ends when it is done.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::folder::{self, RELOAD, RELOAD_NEW};

/// The word that asks for it.
pub const WORD: &str = "--service-reload";

/// Most bytes of it that are read. It may belong to somebody who is trusted with less.
const BYTES_MAX: u64 = 4096;

/// How often is looked whether a reload is over, and how often whether anybody is still there
/// who could end it.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long a reload is waited for: programs that have to be stopped for it may take their time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Most bytes of a line of words: both of them and the numbers are read.
const LINE_BYTES_MAX: usize = 1900;

/// Exit codes where the unit has no main process, and where nothing was taken up.
const NOT_RUNNING: u8 = 7;
const REFUSED: u8 = 1;

/// What came of the last reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The last one that is over, and the last one that was begun.
    over: u64,
    begun: u64,
    /// What was refused, in a line; empty where nothing was.
    pub refusal: String,
    /// What has changed and only a restart takes up, in a line; empty where nothing has.
    pub for_a_restart: String,
}

impl Outcome {
    /// Whether a reload is over that was begun after `before` was noted. Where less was begun
    /// than then, the service itself was begun anew, and has read its configuration for that.
    fn is_after(&self, before: &Self) -> bool {
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

/// Waits until a reload is over that was begun after `before` was noted.
///
/// # Errors
/// Why it is not: nobody is there any more who could end it, or it takes too long.
pub fn awaited(
    place: &Path,
    before: &Outcome,
    mut is_there: impl FnMut() -> bool,
) -> Result<Outcome, String> {
    let began = Instant::now();
    let mut ask_at = began + ASK_EVERY;
    loop {
        if let Some(outcome) = noted(place).filter(|noted| noted.is_after(before)) {
            return Ok(outcome);
        }
        if ask_at <= Instant::now() {
            if !is_there() {
                return Err("it has ended meanwhile".to_owned());
            }
            if began.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(format!("it is not done after {seconds} s; its main log says more"));
            }
            ask_at = Instant::now() + ASK_EVERY;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Asks the main process of the unit, which the environment names.
#[must_use]
pub fn main(words: &[OsString]) -> ExitCode {
    let name = words.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    let gone = |why: &str| {
        eprintln!("bardo: reload of {name}: {why}");
        ExitCode::from(NOT_RUNNING)
    };
    let main = std::env::var("MAINPID").ok().and_then(|pid| pid.parse().ok());
    let Some(main) = main.and_then(Pid::from_raw) else {
        return gone(&format!("MAINPID names no process; use: bardo /reload {name}"));
    };
    let place = folder::place(&name);
    let before = place.as_deref().and_then(noted);
    if let Err(error) = kill_process(main, Signal::HUP) {
        let pid = main.as_raw_nonzero();
        return gone(&format!("cannot signal process {pid}: {error}"));
    }
    let (Some(place), Some(before)) = (place, before) else { return ExitCode::SUCCESS };
    match awaited(&place, &before, || test_kill_process(main).is_ok()) {
        Err(why) => gone(&why),
        Ok(outcome) if outcome.refusal.is_empty() => {
            if let Some(note) = outcome.note() {
                println!("{note}");
            }
            ExitCode::SUCCESS
        }
        Ok(outcome) => {
            eprintln!("bardo: reload of {name}: {}", outcome.refusal);
            ExitCode::from(REFUSED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_is_over_when_another_one_is_noted() {
        let room = tempfile::tempdir().unwrap();
        let place = room.path();
        assert_eq!(noted(place), None);
        folder::make_told(place, None).unwrap();
        begin(place).unwrap();
        begin(place).unwrap();
        let before = noted(place).unwrap();
        assert!(awaited(place, &before, || false).unwrap_err().contains("ended"));

        note_begin(place).unwrap();
        assert!(awaited(place, &before, || false).unwrap_err().contains("ended"));
        note(place, "not reloaded:\nit is wrong", "").unwrap();

        let after = awaited(place, &before, || false).unwrap();
        assert_eq!(after.refusal, "not reloaded: it is wrong");
        note_begin(place).unwrap();
        note(place, "", "logfile, umask").unwrap();
        begin(place).unwrap();
        let after = noted(place).unwrap();
        assert_eq!((after.over, after.begun, after.refusal.as_str()), (2, 2, ""));
        let note = after.note().unwrap();
        assert_eq!(note, "only a restart takes up what else has changed: logfile, umask");
    }

    #[test]
    fn who_asks_while_a_reload_is_under_way_waits_for_the_next_one() {
        let room = tempfile::tempdir().unwrap();
        let place = room.path();
        folder::make_told(place, None).unwrap();
        begin(place).unwrap();
        note_begin(place).unwrap();
        let before = noted(place).unwrap();

        note(place, "not reloaded: the first one", "").unwrap();
        assert!(awaited(place, &before, || false).is_err());
        note_begin(place).unwrap();
        assert!(awaited(place, &before, || false).is_err());
        assert_eq!(noted(place).unwrap().refusal, "not reloaded: the first one");
        note(place, "", "").unwrap();
        assert_eq!(awaited(place, &before, || false).unwrap().refusal, "");
    }

    #[test]
    fn who_waits_sees_that_the_service_was_begun_anew() {
        let room = tempfile::tempdir().unwrap();
        let place = room.path();
        folder::make_told(place, None).unwrap();
        note_begin(place).unwrap();
        let before = noted(place).unwrap();
        fs::remove_file(folder::told(place).join(RELOAD)).unwrap();
        begin(place).unwrap();

        assert_eq!(awaited(place, &before, || false), Ok(Outcome::default()));
    }

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
