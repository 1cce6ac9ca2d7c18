//! The program: finds its face by the name it was called by or by its first word.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

pub mod api;
pub mod check;
pub mod client;
pub mod commands;
pub mod daemon;
pub mod demo;
pub mod doctor;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod host;
pub mod init;
pub mod inquiry;
pub mod launcher;
pub mod manual;
pub mod names;
mod output;
pub mod personality;
pub mod selftest;
pub mod service;
pub mod tool_path;
pub mod words;

use daemon::stage::Stage;
use daemon::supervisor::Part;
use daemon::{keeping, supervisor};

/// Exit code of a keeper or supervisor that could not do its work.
const BROKEN: u8 = 70;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match Stage::of_this_process() {
        Some(Stage::Keeper { listeners, hang_timeout_ms, service }) => {
            ended("keeper", keeping::run(listeners, hang_timeout_ms, service))
        }
        Some(Stage::Supervisor) => ended("supervisor", supervisor::run(Part::Works)),
        Some(Stage::Watcher) => ended("watcher", supervisor::run(Part::Watches)),
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
    // What Bardo starts itself is recognized before any command line is read.
    let own = match first.to_str() {
        Some(selftest::actors::WORD) => Some(selftest::act(behind)),
        Some(init::run::RUN) => Some(init::run::main(behind)),
        Some(init::reap::WORD) => Some(init::reap::main(behind)),
        Some(init::attendant::WORD) => Some(init::attendant::main(behind)),
        Some(init::attendant::CHILD_WORD) => Some(init::attendant::child(behind)),
        Some(init::registered::WORD) => Some(init::registered::main()),
        Some(init::reload::WORD) => Some(init::reload::main(behind)),
        // A verb of the service; a slash begins nothing else.
        Some(word) if personality::host::is_meant(word) => {
            Some(personality::host::main(words.get(1..).unwrap_or_default()))
        }
        Some("demo") => demo::act(behind),
        _ => None,
    };
    own.unwrap_or_else(|| commands::main(words.get(1..).unwrap_or_default()))
}

/// The face of that name, if there is one.
fn named(name: &OsStr, program: &str, words: &[OsString]) -> Option<ExitCode> {
    match name.to_str()? {
        "supervisord" => Some(personality::supervisord::main(program, words)),
        "supervisorctl" => Some(personality::supervisorctl::main(program, words)),
        "pidproxy" => Some(personality::pidproxy::main(program, words)),
        personality::host::NAME => Some(personality::host::main(words)),
        "service" | "minix-service" => Some(personality::service::main(program, words)),
        "echo_supervisord_conf" => Some(personality::echo_conf::main()),
        _ => None,
    }
}
