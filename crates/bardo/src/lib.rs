//! The program: finds its face by the name it was called by or by its first word.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

pub mod api;
pub mod client;
pub mod daemon;
pub mod demo;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod host;
pub mod personality;
pub mod selftest;

use daemon::stage::Stage;
use daemon::{keeping, supervisor};

/// Exit code of a keeper or supervisor that could not do its work.
const BROKEN: u8 = 70;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match Stage::of_this_process() {
        Some(Stage::Keeper { listeners, hang_timeout_ms }) => {
            ended("keeper", keeping::run(listeners, hang_timeout_ms))
        }
        Some(Stage::Supervisor) => ended("supervisor", supervisor::run()),
        None => face(),
    }
}

/// A part of the daemon that has ended: its code, or what went wrong.
fn ended<E: std::error::Error>(part: &str, result: Result<i32, E>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(BROKEN)),
        Err(error) => {
            let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            eprintln!("bardo: {part}: {error}{source}");
            ExitCode::from(BROKEN)
        }
    }
}

fn face() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let called = words.first().map(OsString::as_os_str).unwrap_or_default();
    let name = Path::new(called).file_name().unwrap_or_default();
    let program = called.to_string_lossy();
    let behind = words.get(1..).unwrap_or_default();
    if let Some(code) = named(name, &program, behind) {
        return code;
    }
    let first = behind.first().map(OsString::as_os_str).unwrap_or_default();
    let behind = behind.get(1..).unwrap_or_default();
    if let Some(code) = named(first, &first.to_string_lossy(), behind) {
        return code;
    }
    match first.to_str() {
        Some("selftest") => selftest::main(behind),
        Some(selftest::actors::WORD) => selftest::act(behind),
        Some("demo") => demo::main(behind),
        Some("--version" | "-V" | "version") => {
            println!("bardo {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("--help" | "-h" | "help") => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{HELP}");
            ExitCode::from(2)
        }
    }
}

/// The face of that name, if there is one.
fn named(name: &OsStr, program: &str, words: &[OsString]) -> Option<ExitCode> {
    match name.to_str()? {
        "supervisord" => Some(personality::supervisord::main(program, words)),
        "supervisorctl" => Some(personality::supervisorctl::main(program, words)),
        _ => None,
    }
}

const HELP: &str = "\
bardo - keeps programs running, and may itself die at any moment

  bardo demo                          see it work; needs no file and no root
  bardo supervisord -n -c FILE        run a Supervisor configuration
  bardo supervisorctl -c FILE status  ask it and steer it
  bardo selftest survival             kill it a hundred times, and look

Called by the name of one of these tools, bardo is that tool.
";
