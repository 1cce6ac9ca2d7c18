//! `pidproxy`: for a program that puts its real process behind another one, and its number
//! into a file. Signals that come here go to the process in the file.
//!
//! As Supervisor's, but the end of the command is noticed at once and not up to five
//! seconds later, and a command that cannot be run is an error.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use bardo_sys::poll::{self, Room};
use bardo_sys::signals::{SignalReader, spawn_unblocked};
use rustix::process::{Pid, Signal, kill_process};

use crate::output::say;

/// Exit code for a wrong command line.
const USAGE: u8 = 1;

/// Exit code where the last signal could not be sent.
const FAILED: u8 = 1;

/// Exit code where the command cannot be run, as a shell has it.
const NOT_RUN: u8 = 127;

/// Signals that are passed on.
const PASSED: [Signal; 6] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::TERM];

/// Those after which nothing more is to be done here.
const LAST: [Signal; 3] = [Signal::INT, Signal::QUIT, Signal::TERM];

/// Runs the tool: `pidproxy PIDFILE COMMAND [ARGUMENT...]`.
#[must_use]
pub fn main(program: &str, words: &[OsString]) -> ExitCode {
    let [pidfile, command, arguments @ ..] = words else {
        say(&usage(program));
        return ExitCode::from(USAGE);
    };
    match run(Path::new(pidfile), command, arguments) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::InVain) => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("{program}: cannot run {}: {error}", Path::new(command).display());
            ExitCode::from(NOT_RUN)
        }
    }
}

/// How it has ended.
enum Ended {
    /// The command has, or the last signal was sent.
    Well,
    /// The last signal could not be sent.
    InVain,
}

/// What became of a signal.
#[derive(PartialEq, Eq)]
enum Passed {
    Sent,
    NotSent,
    /// There is no process to send it to.
    NoProcess,
}

fn usage(program: &str) -> String {
    format!(
        "pidproxy -- runs a command, and sends the signals that it gets itself (TERM, INT, QUIT,\n\
         HUP, USR1, USR2) to the process whose number is in a file. It ends with the command, or\n\
         after TERM, INT or QUIT.\n\n\
         Usage: {program} <pidfile name> <command> [<cmdarg1> ...]\n"
    )
}

fn run(pidfile: &Path, command: &OsString, arguments: &[OsString]) -> io::Result<Ended> {
    // Before the command is there, so that none of its signals is missed.
    let wanted = PASSED.iter().chain(&[Signal::CHILD]).map(|signal| signal.as_raw());
    let signals = SignalReader::new(&wanted.collect::<Vec<_>>())?;
    // It is not looked for in PATH.
    let path = std::path::absolute(command)?;
    let mut child = spawn_unblocked(Command::new(path).arg0(command).args(arguments))?;
    while child.try_wait()?.is_none() {
        let _ = poll::two(signals.as_fd(), None, Room(false), None);
        while let Some(number) = signals.next() {
            // The end of a child is no signal to be passed on.
            let Some(signal) = PASSED.iter().find(|signal| signal.as_raw() == number) else {
                continue;
            };
            match pass_on(*signal, pidfile) {
                Passed::Sent if LAST.contains(signal) => return Ok(Ended::Well),
                Passed::NotSent if LAST.contains(signal) => return Ok(Ended::InVain),
                Passed::Sent | Passed::NotSent | Passed::NoProcess => {}
            }
        }
    }
    Ok(Ended::Well)
}

/// Sends a signal to the process in the file.
fn pass_on(signal: Signal, pidfile: &Path) -> Passed {
    let Some(pid) = read(pidfile) else {
        say(&format!("Can't read child pidfile {}!\n", pidfile.display()));
        return Passed::NoProcess;
    };
    match kill_process(pid, signal) {
        Ok(()) => Passed::Sent,
        Err(error) => {
            let (number, pid) = (signal.as_raw(), pid.as_raw_nonzero());
            say(&format!("Can't send signal {number} to process {pid}: {error}\n"));
            Passed::NotSent
        }
    }
}

/// The number in a file. Zero and negative ones, which mean many processes, are none.
fn read(pidfile: &Path) -> Option<Pid> {
    let text = fs::read_to_string(pidfile).ok()?;
    let number = text.trim().parse().ok().filter(|pid| *pid > 0)?;
    Pid::from_raw(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_of_one_process_is_a_number() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cases = [("12\n", Some(12)), (" 7 ", Some(7)), ("0", None), ("-1", None), ("x", None)];

        for (text, expected) in cases {
            fs::write(file.path(), text).unwrap();
            assert_eq!(read(file.path()), expected.and_then(Pid::from_raw), "{text:?}");
        }
        assert_eq!(read(Path::new("/nonexistent")), None);
    }
}
