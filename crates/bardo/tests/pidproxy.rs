//! `pidproxy` with a command whose real process is another one.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(30);

/// Starts a process of its own, says its number, and waits. That process writes down the
/// signals that it gets, and ends with its folder. Not HUP: a shell that was started with it
/// ignored cannot trap it.
const SCRIPT: &str = r#"cd "$1"
sh -c 'trap "echo usr2 >> got" USR2; trap "echo usr1 >> got" USR1
       trap "echo term >> got; exit 0" TERM
       echo $$ > number; mv number pid; while [ -e script ]; do sleep 0.01; done' &
wait
echo "$2" > waited
"#;

fn start(here: &Path) -> Child {
    // The shell reads it: what this process has just written cannot be executed while a
    // process that another test clones has it open as well.
    let script = here.join("script");
    fs::write(&script, SCRIPT).unwrap();
    Command::new(env!("CARGO_BIN_EXE_bardo"))
        .arg("pidproxy")
        .args([&here.join("pid"), Path::new("/bin/sh"), &script, here, Path::new("an argument")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits until a file has this text.
fn wait_for(path: &Path, text: &str) {
    let began = Instant::now();
    while fs::read_to_string(path).unwrap_or_default() != text {
        assert!(began.elapsed() < LIMIT, "{} is not {text:?}", path.display());
        thread::yield_now();
    }
}

fn wait_until_there(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < LIMIT, "{} is not there", path.display());
        thread::yield_now();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn signals_go_to_the_process_in_the_file_and_term_is_the_last_one() {
    let home = TempDir::new().unwrap();
    let here = home.path();
    let child = start(here);
    wait_until_there(&here.join("pid"));

    signal(&child, Signal::USR2);
    wait_for(&here.join("got"), "usr2\n");
    signal(&child, Signal::USR1);
    wait_for(&here.join("got"), "usr2\nusr1\n");
    signal(&child, Signal::TERM);
    let output = child.wait_with_output().unwrap();

    wait_for(&here.join("got"), "usr2\nusr1\nterm\n");
    assert_eq!((output.status.code(), said(&output)), (Some(0), String::new()));
    wait_for(&here.join("waited"), "an argument\n");
}

#[test]
fn it_ends_with_its_command() {
    let home = TempDir::new().unwrap();
    let here = home.path();
    let child = start(here);
    wait_until_there(&here.join("pid"));

    let pid = fs::read_to_string(here.join("pid")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();

    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_nothing_ends() {
    let home = TempDir::new().unwrap();
    let here = home.path();
    let mut child = start(here);
    wait_until_there(&here.join("pid"));

    fs::rename(here.join("pid"), here.join("away")).unwrap();
    signal(&child, Signal::TERM);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let pid = fs::read_to_string(here.join("away")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();

    // The end was asked for in vain.
    assert_eq!(line, format!("Can't read child pidfile {}!\n", here.join("pid").display()));
    assert_eq!((output.status.code(), said(&output)), (Some(0), String::new()));
    wait_for(&here.join("waited"), "an argument\n");
}

#[test]
fn a_process_that_is_gone_is_told_and_the_end_is_one() {
    let home = TempDir::new().unwrap();
    let here = home.path();
    let mut child = start(here);
    wait_until_there(&here.join("pid"));
    let pid = fs::read_to_string(here.join("pid")).unwrap().trim().parse().unwrap();
    // No process has the largest number.
    fs::write(here.join("pid"), "2147483647\n").unwrap();

    signal(&child, Signal::TERM);
    let status = child.wait().unwrap();

    // The command and its process have the same standard output.
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(said(&output).starts_with("Can't send signal 15 to process 2147483647: "));
    wait_for(&here.join("waited"), "an argument\n");
}

#[test]
fn a_wrong_command_line_and_a_command_that_is_not_there_are_errors() {
    let run = |words: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_bardo")).arg("pidproxy").args(words).output().unwrap()
    };

    let usage = run(&["file"]);
    // It is not looked for in PATH.
    let missing = run(&["file", "true"]);

    assert_eq!(usage.status.code(), Some(1));
    assert!(said(&usage).ends_with("Usage: pidproxy <pidfile name> <command> [<cmdarg1> ...]\n"));
    assert_eq!(missing.status.code(), Some(127));
    let complained = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(complained.starts_with("pidproxy: cannot run true: No such file"), "{complained}");
}
