//! `bardo selftest`: what we promise, tried on this machine.
//!
//! Everything happens in a private temporary folder with the real program: the tests
//! of this crate run the same code.

mod accounts;
pub mod actors;
mod blows;
pub mod board;
mod cast;
pub mod chain;
pub mod checker;
pub mod client;
mod drivers;
pub mod events;
pub mod hearts;
pub mod home;
pub mod hostile;
pub mod interruption;
pub mod lines;
pub mod listener;
pub mod procfs;
pub mod report;
pub mod service;
pub mod soak;
pub mod speakers;
pub mod survival;
mod tails;
pub mod visitors;
pub mod writers;

use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code of a program of a self-test that is told nothing sensible.
const USAGE: u8 = 2;

/// Plays a program of the self-test.
#[must_use]
pub fn act(words: &[OsString]) -> ExitCode {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match actors::play(&words) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("bardo: {}: {error}", actors::WORD);
            ExitCode::from(USAGE)
        }
    }
}
