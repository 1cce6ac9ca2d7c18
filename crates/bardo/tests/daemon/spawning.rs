//! Starts that fail for want of something that the machine has no more of.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use bardo::selftest::client::CallError;
use bardo::selftest::home::{Daemon, Home};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::scene::{Scene, executable, open, open_as_nobody};

const CAT: &str = "[program:cat]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n";

/// Descriptors that a supervisor may still open: enough for the client that asks, too few
/// for the pipes of a program.
const FEW: u64 = 3;

/// Sets a limit of the supervisor, and returns the one before.
fn limit(scene: &Scene, what: Resource, soft: u64) -> Rlimit {
    let supervisor = scene.supervisor().pid;
    let before = soft_and_hard(supervisor, what);
    set(supervisor, what, Rlimit { current: Some(soft), maximum: before.maximum });
    before
}

/// Sets a limit of a process as whoever runs it: root may set those of others only where
/// it has all of its capabilities.
fn set(pid: u32, what: Resource, limit: Rlimit) {
    let owner = fs::metadata(format!("/proc/{pid}")).unwrap();
    if owner.uid() == rustix::process::geteuid().as_raw() {
        prlimit(Pid::from_raw(i32::try_from(pid).unwrap()), what, limit).unwrap();
        return;
    }
    let number = |value: Option<u64>| value.map_or("unlimited".to_owned(), |some| some.to_string());
    let name = if what == Resource::Nofile { "--nofile" } else { "--nproc" };
    let status = Command::new(PRLIMIT)
        .arg(format!("--pid={pid}"))
        .arg(format!("{name}={}:{}", number(limit.current), number(limit.maximum)))
        .uid(owner.uid())
        .gid(owner.gid())
        .status();
    assert!(status.unwrap().success());
}

/// A limit of a process, as /proc shows it.
fn soft_and_hard(pid: u32, what: Resource) -> Rlimit {
    let name = if what == Resource::Nofile { "Max open files" } else { "Max processes" };
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().ok());
    Rlimit { current: numbers.next().unwrap(), maximum: numbers.next().unwrap() }
}

/// What sets limits of a process for another user.
const PRLIMIT: &str = "/usr/bin/prlimit";

/// Starts cat in vain: the fault is that of a failed start, the words are these, and when
/// `mend` has been done it starts by itself.
fn expect_failure(scene: &Scene, words: &str, mend: impl FnOnce()) {
    let fault = scene.client().about("startProcess", "cat").unwrap_err();

    let CallError::Fault(code, text) = fault else { panic!("{fault}") };
    assert_eq!((code, &*text), (50, "SPAWN_ERROR: cat"));
    let info = scene.client().info("cat").unwrap();
    assert_eq!((&*info.state, &*info.spawn_error), ("BACKOFF", words));
    scene.await_log(&format!("INFO spawnerr: {words}\n"));
    mend();
    scene.until("cat", "RUNNING");
}

#[test]
fn without_descriptors_a_start_fails_and_is_tried_again() {
    let scene = open("", CAT);
    let supervisor = scene.supervisor().pid;
    let open = fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().count() as u64;

    let before = limit(&scene, Resource::Nofile, open + FEW);

    expect_failure(&scene, "too many open files to spawn 'cat'", || {
        set(supervisor, Resource::Nofile, before);
    });
}

#[test]
fn without_processes_a_start_fails_and_is_tried_again() {
    let scene = if rustix::process::geteuid().is_root() {
        let Some(scene) = Some(PRLIMIT)
            .filter(|path| Path::new(path).exists())
            .and_then(|_| open_as_nobody(CAT, |_| {}))
        else {
            return eprintln!("skipped: root may have all processes, and nobody is not to be had");
        };
        scene
    } else {
        open("", CAT)
    };
    let supervisor = scene.supervisor().pid;

    let before = limit(&scene, Resource::Nproc, 1);

    expect_failure(&scene, "Too many processes in process table to spawn 'cat'", || {
        set(supervisor, Resource::Nproc, before);
    });
}

#[test]
fn the_file_of_the_search_path_that_is_in_the_way_is_told() {
    let home = Home::new("test").unwrap();
    let here = home.path().display().to_string();
    for directory in ["none", "first", "second"] {
        fs::create_dir(home.file(directory)).unwrap();
    }
    fs::write(home.file("first/tool"), "").unwrap();
    fs::create_dir(home.file("second/tool")).unwrap();
    let path = format!("{here}/none:{here}/first:{here}/second");
    let program =
        format!("[program:p]\ncommand=tool x\nstartretries=0\nenvironment=PATH=\"{path}\"\n");
    home.configure("", &program).unwrap();
    let daemon = Daemon::start(executable(), &home).unwrap();
    let scene = Scene { daemon, home };

    let info = scene.until("p", "FATAL");

    let words = format!("command at '{here}/first/tool' is not executable");
    assert_eq!(info.spawn_error, words);
    scene.await_log(&format!("INFO spawnerr: {words}\n"));
}
