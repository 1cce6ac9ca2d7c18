//! `bardo selftest`: what we promise, tried on this machine.
//!
//! Everything happens in a private temporary folder with the real program: the tests
//! of this crate run the same code.

pub mod actors;
pub mod client;
mod drivers;
pub mod home;
pub mod lines;
pub mod procfs;
pub mod report;
pub mod survival;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use self::survival::Survival;
use crate::personality::getopt::{self, Flag, Given};

/// Exit code of a test that has found something.
const FOUND: u8 = 1;

/// Exit code of a command line that cannot be read.
const USAGE: u8 = 2;

const fn flag(long: &'static str, takes_argument: bool) -> Flag {
    Flag { short: None, long: Some(long), takes_argument }
}

const FLAGS: &[Flag] = &[
    flag("kills", true),
    flag("seconds", true),
    flag("seed", true),
    flag("answer-within", true),
    flag("keep", false),
    flag("help", false),
];

const HELP: &str = "\
bardo selftest survival [options]

Runs programs under a real supervisor, kills the supervisor again and again, and
checks that nothing is lost. Needs no root.

  --kills N           how often the supervisor is killed (100)
  --seconds S         the time over which the kills are spread (40)
  --seed X            what chance begins with
  --answer-within MS  what the median time to the first answer must stay below (100)
  --keep              leave the folder with all logs there
";

/// Runs a self-test; the exit code says whether all is well.
#[must_use]
pub fn main(words: &[OsString]) -> ExitCode {
    match read(words) {
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Some(survival)) => match survival::run(&survival) {
            Ok(report) => {
                print!("{report}");
                if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
            }
            Err(error) => {
                eprintln!("bardo: selftest: {error}");
                ExitCode::from(FOUND)
            }
        },
        Err(message) => {
            eprint!("bardo: selftest: {message}\n\n{HELP}");
            ExitCode::from(USAGE)
        }
    }
}

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

fn read(words: &[OsString]) -> Result<Option<Survival>, String> {
    let (name, words) = match words.split_first() {
        Some((name, words)) => (name.to_string_lossy(), words),
        None => return Ok(None),
    };
    match &*name {
        "survival" => {}
        "help" | "--help" | "-h" => return Ok(None),
        other => return Err(format!("there is no self-test '{other}'")),
    }
    let (given, rest) = getopt::parse(FLAGS, words).map_err(|error| error.to_string())?;
    if let Some(word) = rest.first() {
        return Err(format!("what is '{word}'?"));
    }
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut survival = Survival {
        executable,
        kills: 100,
        span: Duration::from_secs(40),
        seed: bardo_sys::clock::monotonic() >> 10,
        keep: false,
        answer_within: Duration::from_millis(100),
    };
    for Given { name, argument } in given {
        let number =
            || argument.parse::<u64>().map_err(|_| format!("{name}: '{argument}' is no number"));
        match name.as_str() {
            "--kills" => survival.kills = usize::try_from(number()?).unwrap_or(usize::MAX),
            "--seconds" => survival.span = Duration::from_secs(number()?),
            "--seed" => survival.seed = number()?,
            "--answer-within" => survival.answer_within = Duration::from_millis(number()?),
            "--keep" => survival.keep = true,
            _ => return Ok(None),
        }
    }
    Ok(Some(survival))
}
