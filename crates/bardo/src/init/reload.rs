//! Whoever waits for what comes of a reload, as it is noted in the folder of a service.
//!
//! `--service-reload NAME` is what a unit of an older systemd runs for `systemctl reload`: it
//! asks for it and ends when it is done.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::daemon::managed::folder;
use crate::daemon::managed::reloads::{Outcome, noted};

/// The word that asks for it.
pub const WORD: &str = "--service-reload";

/// How often is looked whether a reload is over, and how often whether anybody is still there
/// who could end it.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long a reload is waited for: programs that have to be stopped for it may take their time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Exit codes where the unit has no main process, and where nothing was taken up: what is
/// configured cannot be used. It is not 1, which `SuccessExitStatus=` of the unit makes a success
/// of `ExecReload=` too.
const NOT_RUNNING: u8 = 7;
const REFUSED: u8 = 6;

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
    use std::fs;

    use super::*;
    use crate::daemon::managed::folder::RELOAD;
    use crate::daemon::managed::reloads::{begin, note, note_begin};

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
}
