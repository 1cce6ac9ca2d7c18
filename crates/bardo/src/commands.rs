//! Bardo's own commands, carried out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;

use crate::check::{self, Form};
use crate::doctor::{self, Wanted};
use crate::inquiry::{self, Inquiry};
use crate::output::say;
use crate::personality::bardo;
use crate::personality::shells::Shell;
use crate::selftest::events::{self, Events};
use crate::selftest::hostile::{self, Hostile};
use crate::selftest::interruption;
use crate::selftest::service::{self, Services};
use crate::selftest::survival::{self, Survival};
use crate::{demo, launcher, manual};

/// Exit code of a self-test that has found something.
const FOUND: u8 = 1;

/// In a long self-test there is a kill in so many seconds on average, and a stop.
const SOAK_KILL_EVERY: u64 = 3;
const SOAK_HANG_EVERY: u64 = 60;

/// Runs the command that the words name.
#[must_use]
pub fn main(words: &[OsString]) -> ExitCode {
    let parsed = bardo::command().try_get_matches_from([&["bardo".into()], words].concat());
    let matches = match parsed {
        Ok(matches) => matches,
        Err(error) => {
            // A terminal that has gone is told nothing.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(FOUND));
        }
    };
    let Some((name, matches)) = matches.subcommand() else { return ExitCode::SUCCESS };
    match name {
        "check" => {
            check::main(matches.get_one::<String>("file").map(String::as_str), form(matches))
        }
        "doctor" => doctor::main(&wanted(matches), form(matches)),
        "status" | "why" | "events" => {
            inquiry::main(&wanted(matches), &inquiry_of(name, matches), form(matches))
        }
        "restart" => inquiry::main(&wanted(matches), &Inquiry::Restart, Form::Text),
        "demo" => demo::main(matches.get_one("for").copied().map(Duration::from_secs)),
        "run" => launcher::main(matches.get_one::<String>("configuration").map(String::as_str)),
        "selftest" => run_selftest(matches),
        "completions" => {
            let shell = matches.get_one::<String>("shell");
            let shell = shell.and_then(|name| Shell::find(name)).unwrap_or(Shell::Bash);
            say(&manual::completions::for_all(shell));
            ExitCode::SUCCESS
        }
        "manual" => write_manual(matches),
        "version" => {
            say(concat!("bardo ", env!("CARGO_PKG_VERSION"), "\n"));
            ExitCode::SUCCESS
        }
        _ => {
            say(&bardo::command().render_help().to_string());
            ExitCode::SUCCESS
        }
    }
}

/// How an answer is wanted.
fn form(matches: &ArgMatches) -> Form {
    if matches.get_flag("json") { Form::Json } else { Form::Text }
}

/// The daemon that is meant.
fn wanted(matches: &ArgMatches) -> Wanted {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    Wanted { file: text("configuration"), socket: text("socket") }
}

fn inquiry_of(name: &str, matches: &ArgMatches) -> Inquiry {
    match name {
        "status" => {
            let names = matches.get_many::<String>("name").into_iter().flatten();
            Inquiry::Status(names.cloned().collect())
        }
        "why" => Inquiry::Why(matches.get_one::<String>("name").cloned().unwrap_or_default()),
        _ => Inquiry::Events { follow: matches.get_flag("follow") },
    }
}

fn run_selftest(matches: &ArgMatches) -> ExitCode {
    let executable = interruption::expect().and_then(|()| std::env::current_exe());
    let found = executable.and_then(|executable| match matches.subcommand() {
        Some(("survival", matches)) => survival::run(&survival_of(executable, matches))
            .map(|report| (report.to_string(), report.is_good())),
        Some(("events", matches)) => events::run(&events_of(executable, matches))
            .map(|report| (report.to_string(), report.is_good())),
        Some(("service", matches)) => service::run(&services_of(executable, matches))
            .map(|report| (report.to_string(), report.is_good())),
        Some((_, matches)) => hostile::run(&hostile_of(executable, matches))
            .map(|report| (report.to_string(), report.is_good())),
        None => Ok((String::new(), true)),
    });
    match found {
        Ok((report, is_good)) => {
            say(&report);
            if is_good { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
        }
        Err(error) => {
            eprintln!("bardo: selftest: {error}");
            ExitCode::from(FOUND)
        }
    }
}

/// A number that has a default.
fn given(matches: &ArgMatches, name: &str) -> u64 {
    matches.get_one(name).copied().unwrap_or_default()
}

fn survival_of(executable: PathBuf, matches: &ArgMatches) -> Survival {
    let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let soaks = matches.get_flag("soak");
    let (kills, hangs, seconds) = if soaks {
        let seconds = given(matches, "minutes") * 60;
        (seconds / SOAK_KILL_EVERY, seconds / SOAK_HANG_EVERY, seconds)
    } else {
        (given(matches, "kills"), given(matches, "hangs"), given(matches, "seconds"))
    };
    Survival {
        executable,
        kills: count(kills),
        hangs: count(hangs),
        children: count(given(matches, "children")),
        span: Duration::from_secs(seconds),
        soaks,
        seed: given(matches, "seed"),
        keep: matches.get_flag("keep"),
        answer_within: Duration::from_millis(given(matches, "answer-within")),
    }
}

fn events_of(executable: PathBuf, matches: &ArgMatches) -> Events {
    Events {
        executable,
        span: Duration::from_secs(given(matches, "seconds")),
        memory_within: given(matches, "memory-within").saturating_mul(1 << 20),
        answer_within: Duration::from_millis(given(matches, "answer-within")),
        keep: matches.get_flag("keep"),
    }
}

fn services_of(executable: PathBuf, matches: &ArgMatches) -> Services {
    let count = |name| usize::try_from(given(matches, name)).unwrap_or(usize::MAX);
    Services {
        executable,
        hangs: count("hangs"),
        kills: count("kills"),
        hearts: count("hearts"),
        span: Duration::from_secs(given(matches, "seconds")),
        replaced_within: Duration::from_millis(given(matches, "replaced-within")),
        percent: given(matches, "percent"),
        slower_percent: given(matches, "slower-percent"),
        keep: matches.get_flag("keep"),
    }
}

fn hostile_of(executable: PathBuf, matches: &ArgMatches) -> Hostile {
    Hostile {
        executable,
        connections: usize::try_from(given(matches, "connections")).unwrap_or(usize::MAX),
        span: Duration::from_secs(given(matches, "seconds")),
        memory_within: given(matches, "memory-within").saturating_mul(1 << 20),
        restart_within: Duration::from_millis(given(matches, "restart-within")),
        starts_percent: given(matches, "starts-percent"),
        keep: matches.get_flag("keep"),
    }
}

fn write_manual(matches: &ArgMatches) -> ExitCode {
    let folder = matches.get_one::<PathBuf>("folder").cloned().unwrap_or_default();
    match manual::write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bardo: manual: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_tests_have_their_defaults_and_take_others() {
        let words = "bardo selftest survival --kills 3 --keep";
        let matches = bardo::command().try_get_matches_from(words.split(' ')).unwrap();
        let (_, matches) = matches.subcommand().unwrap();
        let (name, matches) = matches.subcommand().unwrap();
        let survival = survival_of(PathBuf::new(), matches);

        assert_eq!((name, survival.kills, survival.keep), ("survival", 3, true));
        assert_eq!(survival.span, Duration::from_secs(60));
    }
}
