//! `bardo doctor` beside real daemons, well and ill.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use bardo::selftest::home::{self, Daemon, Home};
use bardo_sys::faults::{Call, Gate};
use serde_json::Value;

#[path = "daemon/holder.rs"]
mod holder;

use holder::Holder;

const KILL: i32 = 9;

fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bardo"))
}

fn doctor(words: &[&str]) -> Output {
    Command::new(executable()).arg("doctor").args(words).output().unwrap()
}

fn configuration(home: &Home) -> String {
    home.file("supervisord.conf").display().to_string()
}

/// What it says of a configuration, and its exit code.
fn examined(home: &Home) -> (Value, i32) {
    let output = doctor(&["--json", "-c", &configuration(home)]);
    let said = String::from_utf8(output.stdout).unwrap();
    let json = serde_json::from_str(&said);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (json.unwrap_or_else(|error| panic!("{error}: {said}{errors}")), output.status.code().unwrap())
}

/// What is wrong, as kind and subject.
fn wrong(json: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = json["wrong"].as_array().unwrap().iter();
    found.map(|finding| (text(&finding["kind"]), text(&finding["subject"]))).collect()
}

/// A daemon with these programs. `{here}` is its folder.
fn open(more: &str, programs: &str, prepare: impl FnOnce(&Home)) -> (Daemon, Home) {
    let home = Home::new("doctor").unwrap();
    prepare(&home);
    let here = home.path().display().to_string();
    home.configure(more, &programs.replace("{here}", &here)).unwrap();
    let daemon = Daemon::start(executable(), &home).unwrap();
    (daemon, home)
}

#[test]
fn where_there_is_no_daemon_nothing_is_wrong() {
    let home = Home::new("doctor").unwrap();
    let socket = home.file("none.sock").display().to_string();

    let output = doctor(&["--socket", &socket]);

    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.ends_with(&format!("No daemon: none found at unix://{socket}\n")), "{said}");
    assert!(said.contains("\npidfd_open "), "{said}");
    assert!(!said.contains('\x1b'), "{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[test]
fn a_daemon_that_is_well_is_told_of() {
    let programs = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n";
    let (daemon, home) = open("", programs, |_| {});

    let (json, code) = examined(&home);

    assert_eq!((wrong(&json), code), (vec![], 0), "{json}");
    assert_eq!(json["daemon"]["state"], "answers");
    assert_eq!(json["daemon"]["pid"], daemon.keeper());
    let said = doctor(&["-c", &configuration(&home)]).stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.ends_with("answers; nothing is wrong\n"), "{said}");
}

#[test]
fn all_that_is_wrong_with_a_daemon_is_told() {
    let programs = "[program:say]\ncommand=/bin/sh -c 'echo said; exec cat'\nstartsecs=0\n\
                    stdout_logfile={here}/logs/say.log\nautostart=false\n\n\
                    [program:slow]\ncommand={here}/slow-cat\n\n\
                    [program:none]\ncommand=/no/such/program\nstartretries=0\n";
    let mut holder = None;
    let (daemon, home) = open("", programs, |home| {
        home::copy_executable(Path::new("/bin/cat"), &home.file("slow-cat")).unwrap();
        fs::create_dir(home.file("logs")).unwrap();
        holder = Some(Holder::of(home, "slow-cat"));
    });
    fs::remove_dir(home.file("logs")).unwrap();
    fs::write(home.file("logs"), "").unwrap();
    daemon.client().about("startProcess", "say").unwrap();
    let log = home.file("logs").join("say.log").display().to_string();
    let file = configuration(&home);
    let expected = [
        ("configuration", &*file),
        ("fatal", "none"),
        ("log-target", &*log),
        ("stuck-birth", "slow"),
    ];

    let mut seen = None;
    let all_there = home::wait_until("all that is wrong", || {
        let (json, code) = examined(&home);
        let mut found = wrong(&json);
        found.sort();
        let is_expected = found.iter().map(|(kind, of)| (&**kind, &**of)).eq(expected);
        seen = Some((json, code));
        is_expected
    });

    let (json, code) = seen.unwrap();
    assert!(all_there.is_ok(), "{json}\n{}", home.main_log());
    assert_eq!(code, 1);
    let of = |kind: &str| {
        let found = json["wrong"].as_array().unwrap().iter();
        found.clone().find(|finding| finding["kind"] == kind).unwrap().clone()
    };
    assert_eq!(of("fatal")["text"], "can't find command '/no/such/program'");
    assert!(of("log-target")["text"].as_str().unwrap().contains("Not a directory"));
    assert!(of("log-target")["since"].as_i64().unwrap() > 0);
    let said = String::from_utf8(doctor(&["-c", &configuration(&home)]).stdout).unwrap();
    assert!(said.contains("\nWrong now\n"), "{said}");
    assert!(said.contains("\n  fatal none\n      can't find command"), "{said}");
}

#[test]
fn what_a_killed_daemon_has_left_is_told() {
    let (mut daemon, home) = open("", "", |_| {});
    daemon.signal_keeper(KILL).unwrap();
    let _ = daemon.wait();
    let pid = daemon.keeper();

    // Its supervisor ends a moment later.
    let mut seen = Vec::new();
    let stale = |kind: &str, name: &str| (kind.to_owned(), home.file(name).display().to_string());
    let expected = [stale("stale-socket", "s.sock"), stale("stale-pid-file", "s.pid")];
    let left = home::wait_until("what is left", || {
        let (json, code) = examined(&home);
        seen = wrong(&json);
        code == 1 && seen == expected
    });

    assert!(left.is_ok(), "{seen:?}");
    let said = String::from_utf8(doctor(&["-c", &configuration(&home)]).stdout).unwrap();
    assert!(said.contains(&format!("there is no process {pid}")), "{said}");
}

#[test]
fn a_keeper_without_a_supervisor_is_told_of() {
    let (daemon, home) = open("", "", |_| {});
    let over = std::sync::atomic::AtomicBool::new(false);
    let is_over = || over.load(std::sync::atomic::Ordering::Relaxed);

    let (told, json) = std::thread::scope(|scope| {
        // None lives long enough to take over, and nobody watches meanwhile: the keeper waits
        // longer and longer.
        scope.spawn(|| {
            while !is_over() {
                for child in daemon.children() {
                    if child.comm.starts_with("bardo-") {
                        let _ = home::send(child.pid, KILL);
                    }
                }
                std::thread::yield_now();
            }
        });
        let mut seen = Value::Null;
        let told = home::wait_until("the finding", || {
            let (json, _) = examined(&home);
            seen = json;
            wrong(&seen).iter().any(|(kind, _)| kind == "no-supervisor")
        });
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        (told, seen)
    });

    assert!(told.is_ok(), "{json}\n{}", home.main_log());
    assert_eq!(json["daemon"]["state"], "silent");
    assert_eq!(json["daemon"]["pid"], daemon.keeper());
}

#[test]
fn why_no_supervisor_can_take_over_is_told() {
    let (daemon, home) = open("keeper_stopwaitsecs=0", "", |_| {});
    let files = fs::read_dir(format!("/proc/{}/fd", daemon.keeper())).unwrap().flatten();
    let is_journal = |path: &std::path::PathBuf| {
        fs::read_link(path).is_ok_and(|name| name.to_string_lossy().starts_with("/memfd:"))
    };
    let journal = files.map(|file| file.path()).find(is_journal).unwrap();
    fs::File::options().write(true).open(journal).unwrap().write_all_at(&[0; 8], 0).unwrap();

    daemon.kill_supervisor().unwrap();

    let mut seen = Value::Null;
    let told = home::wait_until("the finding", || {
        seen = examined(&home).0;
        let found = seen["wrong"].as_array().unwrap().iter();
        let mut texts = found.filter(|finding| finding["kind"] == "no-supervisor");
        texts.any(|finding| finding["text"].as_str().unwrap().contains("this is not a journal"))
    });
    let console = fs::read_to_string(home.file("console")).unwrap_or_default();
    assert!(told.is_ok(), "{}\n{console}", seen["wrong"]);
}

#[test]
fn a_configuration_that_is_none_ends_it_with_code_two() {
    for words in [&["-c", "/no/such/file"][..], &["--socket", "/s", "-c", "/f"], &["--what"]] {
        let output = doctor(words);

        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{words:?}");
    }
    let said = String::from_utf8(doctor(&["-c", "/no/such/file"]).stderr).unwrap();
    assert!(said.contains("/no/such/file"), "{said}");
}

#[test]
fn a_machine_on_which_nothing_could_run_is_told_of_with_code_three() {
    let home = Home::new("doctor").unwrap();
    let socket = home.file("s.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut command = Command::new(executable());
    command.args(["doctor", "--json", "--socket"]).arg(&socket).stdout(Stdio::piped());
    let unopened = Gate::before(&mut command, &[Call::Memory]).unwrap();
    let child = command.spawn().unwrap();
    let gate = unopened.open().unwrap();

    // It waits for an answer of its daemon, and gets none.
    let (asked, _) = listener.accept().unwrap();
    gate.refuse(child.id(), Call::Memory, 1);
    drop((asked, listener));

    let output = child.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let facilities = json["facilities"].as_array().unwrap();
    let memory = facilities.iter().find(|facility| facility["name"] == "memfd").unwrap();
    assert_eq!((&memory["verdict"], &memory["reason"]), (&"refused".into(), &"EPERM".into()));
    assert_eq!(memory["needed"], true);
    assert_eq!(output.status.code(), Some(3), "{json}");
}
