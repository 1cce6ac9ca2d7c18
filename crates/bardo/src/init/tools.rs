//! Tools of the system: run, and what they said.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use rustix::fs::MemfdFlags;

use super::InitError;
use super::escape::shell;
use super::ground::Ground;

/// Where a script finds tools.
const SCRIPT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Most lines of what a script of ours complains of that are told.
const REASONS_MAX: usize = 3;

/// What a tool has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its exit code, or 128 and the number of the signal that has ended it.
    pub code: i32,
    /// What it has written on standard output.
    pub said: String,
    /// What it has written on standard error.
    pub complaint: String,
}

impl Answer {
    /// Whether all went well.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.code == 0
    }

    /// The last line that says something.
    #[must_use]
    pub fn last_line(&self) -> String {
        let lines = self.said.lines().chain(self.complaint.lines());
        let mut spoken = lines.map(str::trim).filter(|line| !line.is_empty());
        let Some(last) = spoken.next_back() else { return "it said nothing".to_owned() };
        // systemctl says first why, and then where more is told.
        match spoken.next_back().filter(|_| last.starts_with("See ")) {
            Some(reason) => format!("{reason} {last}"),
            None => last.to_owned(),
        }
    }
}

/// Runs a tool and waits until it has ended, however long that takes: the tools of init
/// systems have time-outs of their own, which are those of the service.
///
/// # Errors
/// When it is not there or cannot be run.
pub fn run(ground: &Ground, words: &[String]) -> Result<Answer, InitError> {
    let [tool, arguments @ ..] = words else {
        return Err(InitError::Failed("there is no command".to_owned()));
    };
    let path = if tool.contains('/') { Some(ground.at(tool)) } else { ground.tool(tool) };
    let Some(path) = path else {
        let text = format!("the tool `{tool}` is not there: is its package installed?");
        return Err(InitError::NotConfigured(text));
    };
    let mut command = Command::new(&path);
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    if tool.contains('/') {
        // A script of an init system: what it starts is to find what it finds at boot.
        command.env_clear().env("PATH", SCRIPT_PATH);
    } else {
        command
            .env("PATH", ground.search())
            // What is said is read, and shown as it is.
            .env("LC_ALL", "C")
            .env("SYSTEMD_COLORS", "0")
            .env("SYSTEMD_PAGER", "");
    }
    let wrong = |source: io::Error| InitError::Tool {
        command: line(words),
        how: "it cannot be executed".to_owned(),
        said: source.to_string(),
    };
    let (said, complaint) = (memory().map_err(wrong)?, memory().map_err(wrong)?);
    command.stdout(said.try_clone().map_err(wrong)?);
    command.stderr(complaint.try_clone().map_err(wrong)?);
    let status = command.status().map_err(wrong)?;
    Ok(Answer {
        code: status.code().unwrap_or(128 + status.signal().unwrap_or_default()),
        said: text(said),
        complaint: text(complaint),
    })
}

/// Something to write into. A pipe would be read for as long as anybody lives whom the tool
/// has started, which may be the service.
fn memory() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("bardo-tool", MemfdFlags::CLOEXEC)?.into())
}

fn text(mut file: File) -> String {
    let mut bytes = Vec::new();
    // It is memory; what cannot be read of it is not told.
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The same for plain words.
///
/// # Errors
/// As [`run`].
pub fn ask(ground: &Ground, words: &[&str]) -> Result<Answer, InitError> {
    run(ground, &super::owned(words))
}

/// Runs a tool that must succeed. Where nothing is to be done, it is only told.
///
/// # Errors
/// When it fails.
pub fn must(ground: &Ground, words: &[String]) -> Result<(), InitError> {
    if ground.is_offline() {
        return Ok(());
    }
    if ground.is_told() {
        super::files::tell_command(words);
        return Ok(());
    }
    let answer = run(ground, words)?;
    if answer.is_good() { Ok(()) } else { Err(failed(words, &answer)) }
}

/// That a tool has failed, with the code that follows from its own.
#[must_use]
pub fn failed(words: &[String], answer: &Answer) -> InitError {
    InitError::Tool { command: line(words), how: how(answer), said: answer.last_line() }
}

/// The same for a script of ours, which tells the reason before what it comes to.
#[must_use]
pub fn script_failed(words: &[String], answer: &Answer) -> InitError {
    let lines: Vec<&str> = answer.complaint.lines().map(str::trim).collect();
    let spoken: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let last = &spoken[spoken.len().saturating_sub(REASONS_MAX)..];
    let said = if last.is_empty() { answer.last_line() } else { last.join("; ") };
    InitError::Tool { command: line(words), how: how(answer), said }
}

fn how(answer: &Answer) -> String {
    match answer.code {
        code @ ..=128 => format!("exit code {code}"),
        code => format!("signal {}", code - 128),
    }
}

/// A command line as somebody would type it.
#[must_use]
pub fn line(words: &[String]) -> String {
    words.iter().map(|word| shell(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_and_the_last_words_of_a_tool_are_told() {
        let words = super::super::owned(&["sh", "-c", "echo first; echo last >&2; exit 4"]);

        let answer = run(&Ground::here(), &words).unwrap();

        assert_eq!((answer.code, answer.last_line().as_str()), (4, "last"));
        let text = failed(&words, &answer).to_string();
        assert!(text.ends_with("failed (exit code 4): last"), "{text}");
    }

    #[test]
    fn the_reason_is_told_that_stands_before_a_hint() {
        let script = "echo 'Job for x.service failed.' >&2; echo 'See \"systemctl status\".' >&2";
        let answer = ask(&Ground::here(), &["sh", "-c", script]).unwrap();

        assert_eq!(answer.last_line(), "Job for x.service failed. See \"systemctl status\".");
    }

    #[test]
    fn a_script_sees_nothing_of_the_environment_of_whoever_calls() {
        let answer = ask(&Ground::here(), &["/usr/bin/env"]).unwrap();

        assert_eq!(answer.said, format!("PATH={SCRIPT_PATH}\n"));
    }

    #[test]
    fn a_tool_that_is_not_there_is_named() {
        let error = ask(&Ground::here(), &["no-such-tool-anywhere"]).unwrap_err();

        assert_eq!(error.code(), 6);
        assert!(error.to_string().contains("`no-such-tool-anywhere`"));
    }
}
