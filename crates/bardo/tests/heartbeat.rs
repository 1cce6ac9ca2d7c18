//! The services of `examples/heartbeat`, in every language that this machine has.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bardo::selftest::home::{Daemon, Home, PATIENCE, wait_until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};

/// A program of the example that is ready to run: its language, and its words.
struct Example {
    language: &'static str,
    words: String,
}

#[test]
fn a_session_is_the_one_that_the_protocol_describes_in_every_language() {
    let home = Home::new("heartbeat").unwrap();
    for example in examples(home.path()) {
        let (mut child, control) = begin(&example);
        let hear = || hear(&control);
        let say = |message: &str| {
            send(&control, message.as_bytes(), SendFlags::NOSIGNAL).unwrap();
        };

        assert_eq!(hear(), "HELLO=1", "{}", example.language);
        say("INIT=fresh\nRESTARTS=0\nLABEL=gauge\nINSTANCE=1");
        assert_eq!(hear(), "STATUS=nothing to do\nREADY=1", "{}", example.language);
        say("COMMIT=1");
        // The last of two counts, and unknown keys are passed over.
        say("PING=6\nFROM=tomorrow\nPING=7");
        assert_eq!(hear(), "PONG=7", "{}", example.language);

        let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(3);
        let said: Vec<String> = lines.map(Result::unwrap).collect();
        let expected = ["started fresh as life 1 of gauge", "serving", "answered 7"];
        assert_eq!(said, expected, "{}", example.language);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_service_lives_while_it_answers_and_is_replaced_when_it_hangs_in_every_language() {
    let home = Home::new("heartbeat").unwrap();
    let here = home.path().display();
    let examples = examples(home.path());
    let mut programs = String::new();
    for Example { language, words } in &examples {
        for (kind, options) in [("lives", ""), ("hangs", " --hang-after 1")] {
            write!(
                programs,
                "[program:{language}-{kind}]\ncommand={words}{options}\nready=ctl\n\
                 ready_timeout=600\nheartbeat_period=2\nstdout_logfile={here}/{language}-{kind}.log\n"
            )
            .unwrap();
        }
    }
    home.configure("", &programs).unwrap();
    let daemon = Daemon::start(Path::new(env!("CARGO_BIN_EXE_bardo")), &home).unwrap();
    let log =
        |name: &str| fs::read_to_string(home.file(&format!("{name}.log"))).unwrap_or_default();
    let wait = |what: &str, condition: &dyn Fn() -> bool| {
        let waited = wait_until(what, condition);
        waited.unwrap_or_else(|error| panic!("{error}\n{}", home.main_log()));
    };

    for Example { language, .. } in &examples {
        let (lives, hangs) = (format!("{language}-lives"), format!("{language}-hangs"));
        wait(&format!("{hangs} to be started again"), &|| {
            log(&hangs).contains(&format!("started restart as life 2 of {hangs}\nserving\n"))
        });
        let first = log(&hangs);
        let first = first.split_once("started restart").map(|(first, _)| first.to_owned());
        let expected = format!("started fresh as life 1 of {hangs}\nserving\nanswered 1\n");
        assert_eq!(first, Some(expected), "{}", home.main_log());
        wait(&format!("{lives} to answer"), &|| log(&lives).contains("answered 2\n"));
        assert!(!log(&lives).contains("restart"), "{}\n{}", log(&lives), home.main_log());
    }
    assert_eq!(daemon.client().infos().unwrap().len(), 2 * examples.len());
}

#[test]
fn every_key_of_the_grammar_stands_in_the_protocol() {
    let document = include_str!("../../../docs/protocol.md");
    let grammar = include_str!("../../wire/src/control.rs");
    let quoted = grammar.split('"').skip(1).step_by(2);
    let is_key = |word: &&str| {
        word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let keys: Vec<&str> = quoted.filter(is_key).collect();

    assert!(keys.contains(&"READY") && keys.contains(&"PING"), "{keys:?}");
    let missing: Vec<_> = keys.iter().filter(|key| !document.contains(*key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Starts it as a supervisor would, with the control socket as descriptor 3.
fn begin(example: &Example) -> (Child, OwnedFd) {
    let flags = SocketFlags::CLOEXEC;
    let (ours, its) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let child = Command::new("/bin/sh")
        .args(["-c", &format!("exec {} 3<&0 </dev/null", example.words)])
        .env("BARDO_CTL", "3")
        .stdin(Stdio::from(its))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    (child, ours)
}

/// The next message.
fn hear(control: &OwnedFd) -> String {
    let patience = Timespec::try_from(PATIENCE).unwrap();
    let mut wait = [PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN)];
    assert_eq!(poll(&mut wait, Some(&patience)), Ok(1), "nothing was said");
    let mut message = [0; 4096];
    let (length, _) = recv(control, &mut message, RecvFlags::empty()).unwrap();
    String::from_utf8(message[..length].to_vec()).unwrap()
}

/// All of them that this machine can run; the compiled ones are put into `folder`.
fn examples(folder: &Path) -> Vec<Example> {
    let source = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/heartbeat").join(name)
    };
    let compiled = |language, compiler: &str, arguments: &[&str], name: &str| {
        let program = folder.join(language);
        let mut command = Command::new(compiler);
        command.args(arguments).arg("-o").arg(&program).arg(source(name));
        ran(&mut command).map(|()| Example { language, words: words(&program) })
    };
    let python = ran(Command::new("python3").arg("--version")).map(|()| Example {
        language: "python",
        words: format!("python3 {}", words(&source("heartbeat.py"))),
    });
    let c = compiled("c", "cc", &["-Wall", "-Wextra", "-Werror"], "heartbeat.c");
    let strict = ["--edition=2024", "-Dwarnings"];
    let rust = compiled("rust", "rustc", &strict, "heartbeat.rs");
    [python, c, rust].into_iter().flatten().collect()
}

/// Runs it to its success; nothing where there is no such program.
fn ran(command: &mut Command) -> Option<()> {
    match command.output() {
        Ok(output) => {
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?}: {complaint}");
            Some(())
        }
        Err(error) => {
            println!("skipped: {}: {error}", command.get_program().display());
            None
        }
    }
}

fn words(path: &Path) -> String {
    let path: PathBuf = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.display().to_string()
}
