//! Command lines.

use bardo_core::SpawnError;

use super::Context;
use super::code::Code;
use super::finding::Findings;
use super::programs::Program;
use crate::command;
use crate::path::{absolute, join, with_home};

/// Programs that run what their arguments say as a shell would, or pass it on to one.
const SHELLS: [&str; 12] =
    ["sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "su", "runuser", "ssh", "awk", "perl"];

/// Words that mean something to a shell only.
const OPERATORS: [&str; 12] =
    ["&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>", "&>", ">&2"];

/// Words that shells carry out themselves.
const BUILT_IN: [&str; 5] = ["cd", "export", "source", "ulimit", "exec"];

/// Programs that hand over to something in the background and end.
const STARTERS: [&str; 4] = ["systemctl", "service", "start-stop-daemon", "rc-service"];

/// Flags that send a program to the background, wherever they are known.
const BACKGROUND_FLAGS: [&str; 3] = ["--daemon", "--daemonize", "-daemonize"];

/// In a mode: the kind of a file, and that of an ordinary one.
const KIND: u32 = 0o170_000;
const ORDINARY: u32 = 0o100_000;

/// In a mode: somebody may execute.
const EXECUTABLE: u32 = 0o111;

/// What deserves attention about a command.
pub(super) fn examine(context: &Context<'_>, program: &Program<'_>, findings: &mut Findings) {
    let Some(process) = program.processes.first() else { return };
    if !context.says(program, "command") {
        return;
    }
    let place = context.place(program, "command");
    let words = match command::split(&process.draft.command) {
        Ok(words) => words,
        Err(error) => {
            let why = match error {
                SpawnError::NoClosingQuotation => "has a quote that is not closed",
                SpawnError::NoEscapedCharacter => "ends in a backslash",
                _ => "is empty",
            };
            let message = format!("the command {why}, and every start will fail");
            return findings.add(place, Code::BadCommand, message, "");
        }
    };
    let Some((first, rest)) = words.split_first() else { return };
    if let Some(found) = shell_syntax(first, rest) {
        findings.add(
            place.clone(),
            Code::ShellSyntax,
            format!("no shell runs the command, so `{found}` means nothing special"),
            "write it as: /bin/sh -c '...', or put it into a script",
        );
    }
    if STARTERS.contains(&base(first))
        || first.starts_with("/etc/init.d/")
        || rest.iter().any(|word| BACKGROUND_FLAGS.contains(&word.as_str()))
    {
        findings.add(
            place.clone(),
            Code::GoesToBackground,
            "this leaves its work to a process in the background and ends, which looks like a \
             failure",
            "start the program so that it stays in the foreground",
        );
    }
    let script = script_of(first, rest);
    if script.is_some_and(is_compound) && !program.draft.stopasgroup {
        findings.add(
            place.clone(),
            Code::ShellStaysBehind,
            "a stop is sent to the shell alone; what the shell has started may live on",
            "end the script with `exec PROGRAM`, or say stopasgroup=true",
        );
    }
    look_for(context, program, first, findings);
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The first word that is written for a shell.
fn shell_syntax<'a>(first: &'a str, rest: &'a [String]) -> Option<&'a str> {
    if BUILT_IN.contains(&first) {
        return Some(first);
    }
    let words = || std::iter::once(first).chain(rest.iter().map(String::as_str));
    if words().any(|word| SHELLS.contains(&base(word))) {
        return None;
    }
    words()
        .find(|word| OPERATORS.contains(word) || names_variable(word) || is_assignment(word, first))
}

/// Whether it is `NAME=value` in front of a command.
fn is_assignment(word: &str, first: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    word == first && name.is_some_and(is_variable)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
}

/// Whether it holds `$NAME`, `${NAME}` or `$(`.
fn names_variable(word: &str) -> bool {
    word.match_indices('$').any(|(at, _)| {
        let rest = &word[at + 1..];
        rest.starts_with(['(', '{'])
            || rest.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_')
    })
}

/// What a shell is told to run.
fn script_of<'a>(first: &str, rest: &'a [String]) -> Option<&'a str> {
    let [flag, script, ..] = rest else { return None };
    let is_shell = SHELLS[..6].contains(&base(first));
    (is_shell && flag.starts_with('-') && flag.ends_with('c')).then_some(script.as_str())
}

/// Whether the shell stays there while the script runs.
fn is_compound(script: &str) -> bool {
    script.trim_end().contains([';', '&', '|', '\n']) && !script.contains("exec ")
}

/// Looks for the program as a start will.
fn look_for(context: &Context<'_>, program: &Program<'_>, first: &str, findings: &mut Findings) {
    let place = context.place(program, "command");
    if first.starts_with('~') {
        findings.add(
            place,
            Code::CommandNotFound,
            format!("no shell runs the command, so the `~` of {first} is no home"),
            format!("write {}", with_home(context.inspector, first)),
        );
    } else if !first.contains('/') {
        let environment = context.inspector.environment();
        let path = environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or("/bin:/usr/bin:/usr/local/bin", |(_, path)| path.as_str());
        let is_there = |folder: &str| is_executable(context, &join(folder, first));
        if BUILT_IN.contains(&first) || path.split(':').any(is_there) {
            return;
        }
        findings.add(
            place,
            Code::CommandNotFound,
            format!("there is no {first} along the PATH of whoever runs this check"),
            "the daemon looks along its own PATH, not along one that `environment` sets: an \
             absolute path is safer",
        );
    } else {
        let process = program.processes.first();
        let directory = process.and_then(|process| process.draft.directory.as_deref());
        if !first.starts_with('/') {
            let message = match directory {
                Some(directory) => format!(
                    "{first} is looked for in {directory}; Supervisor checks that it is there \
                     seen from where the daemon is started"
                ),
                None => format!("{first} depends on where the daemon is started"),
            };
            let advice = "an absolute path, or one that begins with %(here)s";
            findings.add(place.clone(), Code::RelativeCommand, message, advice);
        }
        let path = join(directory.unwrap_or_default(), first);
        if !is_executable(context, &absolute(context.inspector, &path)) {
            let why =
                if context.inspector.exists(&path) { "cannot be executed" } else { "is not there" };
            let message = format!("{path} {why}, and every start will fail");
            findings.add(place, Code::CommandNotFound, message, "");
        }
    }
}

fn is_executable(context: &Context<'_>, path: &str) -> bool {
    let mode = context.inspector.mode(path).unwrap_or_default();
    mode & KIND == ORDINARY && mode & EXECUTABLE != 0
}
