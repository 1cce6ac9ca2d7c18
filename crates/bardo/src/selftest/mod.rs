//! `bardo selftest`: what we promise, tried on this machine.
//!
//! Everything happens in a private temporary folder with the real program: the tests
//! of this crate run the same code.

pub mod actors;
pub mod client;
mod drivers;
pub mod home;
pub mod hostile;
pub mod lines;
pub mod procfs;
pub mod report;
pub mod survival;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use self::hostile::Hostile;
use self::survival::Survival;
use crate::personality::getopt::{self, Flag, Given};

/// Exit code of a test that has found something.
const FOUND: u8 = 1;

/// Exit code of a command line that cannot be read.
const USAGE: u8 = 2;

const fn flag(long: &'static str, takes_argument: bool) -> Flag {
    Flag { short: None, long: Some(long), takes_argument }
}

const SURVIVAL_FLAGS: &[Flag] = &[
    flag("kills", true),
    flag("seconds", true),
    flag("seed", true),
    flag("answer-within", true),
    flag("keep", false),
    flag("help", false),
];

const HOSTILE_FLAGS: &[Flag] = &[
    flag("connections", true),
    flag("seconds", true),
    flag("memory-within", true),
    flag("restart-within", true),
    flag("starts-percent", true),
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

bardo selftest hostile [options]

Attacks the HTTP servers of a real supervisor through a port on this machine and
through its socket file, and checks that it stays there, that its memory is bounded,
that its owner is answered, and that programs are restarted as before. Needs no root.

  --connections N      clients of the largest crowds (10000)
  --seconds S          how long each attack goes on (5)
  --memory-within MIB  what the supervisor's memory must stay below (512)
  --restart-within MS  what the median time to a restart must stay below (50)
  --starts-percent P   starts in a time that there must be, of those without an attack (50)
  --keep               leave the folder with all logs there
";

/// A self-test that was asked for.
#[derive(Debug)]
enum Test {
    Survival(Survival),
    Hostile(Hostile),
}

/// Runs a self-test; the exit code says whether all is well.
#[must_use]
pub fn main(words: &[OsString]) -> ExitCode {
    let found = match read(words) {
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Some(Test::Survival(test))) => {
            survival::run(&test).map(|report| (report.to_string(), report.is_good()))
        }
        Ok(Some(Test::Hostile(test))) => {
            hostile::run(&test).map(|report| (report.to_string(), report.is_good()))
        }
        Err(message) => {
            eprint!("bardo: selftest: {message}\n\n{HELP}");
            return ExitCode::from(USAGE);
        }
    };
    match found {
        Ok((report, is_good)) => {
            print!("{report}");
            if is_good { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
        }
        Err(error) => {
            eprintln!("bardo: selftest: {error}");
            ExitCode::from(FOUND)
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

fn read(words: &[OsString]) -> Result<Option<Test>, String> {
    let (name, words) = match words.split_first() {
        Some((name, words)) => (name.to_string_lossy(), words),
        None => return Ok(None),
    };
    let flags = match &*name {
        "survival" => SURVIVAL_FLAGS,
        "hostile" => HOSTILE_FLAGS,
        "help" | "--help" | "-h" => return Ok(None),
        other => return Err(format!("there is no self-test '{other}'")),
    };
    let (given, rest) = getopt::parse(flags, words).map_err(|error| error.to_string())?;
    if let Some(word) = rest.first() {
        return Err(format!("what is '{word}'?"));
    }
    if given.iter().any(|given| given.name == "--help") {
        return Ok(None);
    }
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    let test = match &*name {
        "survival" => read_survival(executable, &given).map(Test::Survival),
        _ => read_hostile(executable, &given).map(Test::Hostile),
    };
    test.map(Some)
}

fn read_survival(executable: PathBuf, given: &[Given]) -> Result<Survival, String> {
    let mut survival = Survival {
        executable,
        kills: 100,
        span: Duration::from_secs(40),
        seed: bardo_sys::clock::monotonic() >> 10,
        keep: false,
        answer_within: Duration::from_millis(100),
    };
    for given in given {
        match given.name.as_str() {
            "--kills" => survival.kills = usize::try_from(number(given)?).unwrap_or(usize::MAX),
            "--seconds" => survival.span = Duration::from_secs(number(given)?),
            "--seed" => survival.seed = number(given)?,
            "--answer-within" => survival.answer_within = Duration::from_millis(number(given)?),
            _ => survival.keep = true,
        }
    }
    Ok(survival)
}

fn read_hostile(executable: PathBuf, given: &[Given]) -> Result<Hostile, String> {
    let mut hostile = Hostile {
        executable,
        connections: 10_000,
        span: Duration::from_secs(5),
        memory_within: 512 << 20,
        restart_within: Duration::from_millis(50),
        starts_percent: 50,
        keep: false,
    };
    for given in given {
        match given.name.as_str() {
            "--connections" => {
                hostile.connections = usize::try_from(number(given)?).unwrap_or(usize::MAX);
            }
            "--seconds" => hostile.span = Duration::from_secs(number(given)?),
            "--memory-within" => hostile.memory_within = number(given)?.saturating_mul(1 << 20),
            "--starts-percent" => hostile.starts_percent = number(given)?,
            "--restart-within" => hostile.restart_within = Duration::from_millis(number(given)?),
            _ => hostile.keep = true,
        }
    }
    Ok(hostile)
}

fn number(given: &Given) -> Result<u64, String> {
    let Given { name, argument } = given;
    argument.parse().map_err(|_| format!("{name}: '{argument}' is no number"))
}
