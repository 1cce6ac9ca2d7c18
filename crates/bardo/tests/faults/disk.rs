//! Full file systems: the logs of programs, the main log, the runtime directory.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use bardo::selftest::home::{Daemon, Home};
use bardo_sys::faults::mounts::{self, Small};

use crate::descriptors::Limited;
use crate::others::{OTHER, looper, try_open, writer};
use crate::scene::Scene;

/// Less than a [`writer`] writes, and more than a pipe holds.
const SMALL: u64 = 128 << 10;

/// A daemon for which the folder `small` lies on a file system that is soon full.
fn open(main_log: Option<&str>, programs: &str) -> Option<Scene> {
    let small = |home: &Home| home.file("small");
    try_open(
        "",
        programs,
        |home| fs::create_dir(small(home)).unwrap(),
        |home, command| {
            mounts::before(command, vec![Small::at(&small(home), 2 * SMALL, 16)]);
            command.arg("-l").arg(main_log.map_or(home.file("main.log"), |name| home.file(name)));
        },
    )
}

/// Takes half of the room, or what is left of it.
fn fill(file: &Path, bytes: u64) {
    let mut file = File::create(file).unwrap();
    let page = [0; 4096];
    for _ in 0..bytes / 4096 {
        if file.write_all(&page).is_err() {
            return;
        }
    }
}

#[test]
fn a_log_without_room_waits_and_loses_no_line() {
    let programs = writer("writer", "{here}/small/writer.log", "autostart=false") + OTHER;
    let Some(scene) = open(None, &programs) else { return };
    fill(&scene.seen("small/filler"), SMALL);

    scene.client().about("startProcess", "writer").unwrap();

    scene.await_log("writer.log: No space left on device (os error 28); what is for it waits");
    let log = scene.home.file("small/writer.log").display().to_string();
    scene.await_troubles(&[("log-target", &log)]);
    scene.expect_supervision();
    scene.expect_supervision();
    fs::remove_file(scene.seen("small/filler")).unwrap();
    scene.await_all_lines(&scene.seen("small/writer.log"));
    scene.await_log("small/writer.log again");
    scene.await_troubles(&[]);
    assert_eq!(scene.said("what is for it waits"), 1, "{}", scene.log());
}

/// Descriptors of which few may wait for the log of one program.
const FEW: u64 = 1024;

#[test]
fn a_program_that_loops_while_its_log_has_no_room_waits_and_loses_no_line() {
    let programs = looper("{here}/small/loop.log") + OTHER;
    let Some(scene) = open(None, &programs) else { return };
    fill(&scene.seen("small/filler"), 2 * SMALL);
    // The next supervisor has the keeper's limits.
    let _limited = Limited::to_number(scene.daemon.keeper(), FEW);
    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();

    scene.client().about("startProcess", "loop").unwrap();

    let log = scene.home.file("small/loop.log").display().to_string();
    scene.await_troubles_besides_a_kill(&[("log-target", &log), ("shortage", "loop")]);
    scene.expect_supervision();
    fs::remove_file(scene.seen("small/filler")).unwrap();
    let before = scene.said("spawned: 'loop'");
    scene.wait("more lives", || scene.said("spawned: 'loop'") > before + 100);
    scene.client().about("stopProcess", "loop").unwrap();
    scene.await_all_loops(&scene.seen("small/loop.log"));
    scene.await_troubles_besides_a_kill(&[]);
    assert!(before < 100, "it was started {before} times");
}

#[test]
fn a_main_log_without_room_waits_and_loses_no_line() {
    let Some(scene) = open(Some("small/main.log"), OTHER) else { return };
    let log = scene.seen("small/main.log");
    fill(&scene.seen("small/filler"), 2 * SMALL);
    // What is left of the log's last page.
    let spawned = || fs::read_to_string(&log).unwrap().matches("spawned: 'other'").count();
    let mut kills = 0;
    let before = fs::metadata(&log).unwrap().len();

    while fs::metadata(&log).unwrap().len() / 4096 == before / 4096 && kills < 40 {
        scene.expect_supervision();
        kills += 1;
    }
    for _ in 0..5 {
        scene.expect_supervision();
        kills += 1;
    }

    assert!(spawned() <= kills, "the disk is full");
    let path = scene.home.file("small/main.log").display().to_string();
    scene.await_troubles(&[("log-target", &path)]);
    fs::remove_file(scene.seen("small/filler")).unwrap();
    scene.wait("the lines that have waited", || spawned() == kills + 1);
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.lines().all(|line| line.starts_with("20")), "a line is torn:\n{text}");
    assert!(!text.contains("were lost"), "{text}");
    scene.await_troubles(&[]);
}

/// A daemon whose runtime directory may hold so many files.
fn start_with_runtime_directory(home: &Home, files: u64) -> std::io::Result<Daemon> {
    let is_root = rustix::process::geteuid().is_root();
    let place = if is_root { "/run".into() } else { home.file("run") };
    fs::create_dir_all(&place).unwrap();
    home.configure("", OTHER).unwrap();
    let change = |command: &mut Command| {
        command.env("XDG_RUNTIME_DIR", &place);
        mounts::before(command, vec![Small::at(&place, 1 << 20, files)]);
    };
    Daemon::start_with(crate::scene::executable(), home, change)
}

#[test]
fn a_full_runtime_directory_refuses_the_start_and_says_why() {
    // One file is the directory itself, one is the directory for Bardo in it; then there is
    // one for this daemon, and its lock.
    for (files, what) in [(2, "cannot make the runtime directory"), (3, "cannot take the lock")] {
        let home = Home::new("faults").unwrap();

        let refused = start_with_runtime_directory(&home, files).unwrap_err();

        if refused.raw_os_error().is_some() {
            return eprintln!("skipped: there are no private mounts here: {refused}");
        }
        let text = refused.to_string();
        assert!(text.contains(what), "{text}");
        assert!(text.contains("No space left on device"), "{text}");
    }
}

#[test]
fn a_runtime_directory_that_fills_up_later_hinders_nobody() {
    let home = Home::new("faults").unwrap();
    let daemon = match start_with_runtime_directory(&home, 16) {
        Ok(daemon) => daemon,
        Err(error) => return eprintln!("skipped: there are no private mounts here: {error}"),
    };
    let scene = Scene { daemon, home };
    let is_root = rustix::process::geteuid().is_root();
    let place = if is_root { scene.root().join("run") } else { scene.seen("run") };
    fill(&place.join("filler"), 2 << 20);

    scene.expect_supervision();
    let other = scene.process("other");
    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();

    assert_eq!(scene.process("other").identity(), other.identity());
    scene.expect_supervision();
}
