//! `--service-attend NAME`: stands between OpenRC's supervise-daemon and the service.
//!
//! supervise-daemon starts again whatever has ended, after the same pause each time. The
//! attendant makes that pause longer when a service ends again and again, and has OpenRC
//! stop a service that has ended because a shutdown was asked for. It passes signals on.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bardo_sys::accounts;
use bardo_sys::poll::{self, Room};
use bardo_sys::signals::{self, SignalReader};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

use crate::daemon::settings::RESTART_REQUESTED;

use super::ground::Ground;
use super::pauses::{self, Notes, STOPS, Start, Unit, Waited};

/// The word that asks for it.
pub const WORD: &str = "--service-attend";

/// The word that executes the service as a child of the attendant.
pub const CHILD_WORD: &str = "--service-attended";

/// The option, behind the name, that says which account the service runs as. The attendant
/// itself stays root: only root may have OpenRC stop something.
pub const ACCOUNT: &str = "--account";

/// Exit code of an attendant that could not do its work.
const BROKEN: u8 = 70;

/// How long OpenRC may take to stop us when we have asked for it.
const STOP_WAIT: Duration = Duration::from_secs(30);

/// Signals that are passed on.
const PASSED: [Signal; 5] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP, Signal::USR2];

/// Attends a service; the words are its name and options.
#[must_use]
pub fn main(words: &[OsString]) -> ExitCode {
    let name = words.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    attend(&name, words).unwrap_or_else(|error| {
        eprintln!("bardo: service {name}: {error}");
        ExitCode::from(BROKEN)
    })
}

/// Becomes the service: first the account that it runs as, where that is not root. It ends
/// with its attendant, so that the next one can start it.
#[must_use]
pub fn child(words: &[OsString]) -> ExitCode {
    let parent = words.first().and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let behind = words.get(1..).unwrap_or_default();
    let (behind, account) = match behind {
        [option, account, behind @ ..] if *option == *ACCOUNT => (behind, account.to_str()),
        _ => (behind, None),
    };
    if let Some(name) = account
        && let Err(error) = become_account(name)
    {
        eprintln!("bardo: cannot become {name}, which the service is to run as: {error}");
        return ExitCode::from(BROKEN);
    }
    // Whoever becomes another account is bound to nobody any more.
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    // The attendant may have ended before that.
    if bound.is_err() || parent.is_none() || getppid() != parent {
        return ExitCode::from(BROKEN);
    }
    let executable = std::env::current_exe();
    let failed = executable
        .map(|executable| Command::new(executable).arg("--service-run").args(behind).exec());
    eprintln!("bardo: cannot execute the service: {}", failed.unwrap_or_else(|error| error));
    ExitCode::from(BROKEN)
}

fn become_account(name: &str) -> io::Result<()> {
    let account = accounts::user_by_name(name);
    let account = account.ok_or_else(|| io::Error::other("there is no such account"))?;
    let groups = accounts::groups_of(&account);
    accounts::become_user(account.uid, account.gid, &groups)
}

fn attend(name: &str, words: &[OsString]) -> io::Result<ExitCode> {
    let numbers = [PASSED.map(Signal::as_raw).as_slice(), &[Signal::CHILD.as_raw()]].concat();
    let reader = SignalReader::new(&numbers)?;
    let (notes, unit) = (Notes::of(name), Unit::Seconds);
    let start = notes.next(unit.now(), false);
    notes.write(start);
    let pause = unit.time(start.pause);
    if !pause.is_zero() {
        eprintln!("bardo: service {name}: {}", pauses::told(pause));
    }
    if let Waited::UntilStop(_) = pauses::wait(&reader, pause) {
        notes.remove();
        return Ok(ExitCode::SUCCESS);
    }
    notes.write(Start { began: unit.now(), ..start });
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(CHILD_WORD).arg(std::process::id().to_string());
    let words = match words {
        [name, option, account, behind @ ..] if *option == *ACCOUNT => {
            command.arg(option).arg(account).arg(name);
            behind
        }
        words => words,
    };
    command.args(words);
    let mut service = signals::spawn_unblocked(&mut command)?;
    let (status, was_told) = until_end(&reader, &mut service)?;
    if was_told {
        notes.remove();
        return Ok(ExitCode::SUCCESS);
    }
    if status.code() == Some(0) {
        // A shutdown that was asked for: OpenRC has to know of it.
        notes.remove();
        stop_by_openrc(name)?;
        // An end before OpenRC's stop would be one to be followed by a start, also on a reload.
        let deadline = Instant::now() + STOP_WAIT;
        while pauses::wait(&reader, deadline.saturating_duration_since(Instant::now()))
            == Waited::UntilReload
        {}
        return Ok(ExitCode::SUCCESS);
    }
    if status.code() == Some(i32::from(RESTART_REQUESTED)) {
        // That was asked for as well, and is no failure.
        notes.remove();
    }
    let code = status.code().unwrap_or(128 + status.signal().unwrap_or_default());
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(BROKEN)))
}

/// Passes signals on until the service has ended; returns whether it was told to end.
fn until_end(reader: &SignalReader, service: &mut Child) -> io::Result<(ExitStatus, bool)> {
    let pid = i32::try_from(service.id()).ok().and_then(Pid::from_raw);
    let mut was_told = false;
    loop {
        if let Some(status) = service.try_wait()? {
            return Ok((status, was_told));
        }
        let _ = poll::two(reader.as_fd(), None, Room(false), None);
        while let Some(number) = reader.next() {
            let Some(signal) = PASSED.into_iter().find(|signal| signal.as_raw() == number) else {
                continue;
            };
            was_told |= STOPS.contains(&signal);
            // One that has ended meanwhile is seen in the next turn.
            let _ = pid.map(|pid| kill_process(pid, signal));
        }
    }
}

/// Has OpenRC stop the service. It will end us for that, so it is in a group of its own.
fn stop_by_openrc(name: &str) -> io::Result<()> {
    let tool = Ground::here().tool("rc-service").unwrap_or_else(|| PathBuf::from("rc-service"));
    let mut command = Command::new(tool);
    command.args([name, "stop"]).process_group(0).stdin(Stdio::null());
    signals::spawn_unblocked(&mut command).map(|_| ())
}
