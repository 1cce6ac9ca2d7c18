//! When no supervisor can take over, programs go on, somebody watches, and the end can
//! still be had.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use bardo::daemon::last_words;
use bardo::daemon::watching::COMM;
use bardo::selftest::client::CallError;
use bardo::selftest::home::{self, send};
use bardo::selftest::procfs::{self, Stat};

use crate::scene::{CAT, CONT, KILL, STOP, Scene, TERM, open};
use crate::troubles::troubles;

/// A program that writes a line when it is told to, and another one that does not listen
/// to SIGTERM.
const PROGRAMS: &str = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile={here}/cat.log\n\
     [program:deaf]\ncommand=/bin/sh -c \"trap '' TERM; echo deaf; exec sleep 1000\"\n\
     startsecs=0\nstdout_logfile={here}/deaf.log\n";

/// What the keeper has started for itself: programs lead groups of their own.
fn own(scene: &Scene) -> Option<Stat> {
    let group = procfs::stat(scene.daemon.keeper())?.group;
    scene.daemon.children().into_iter().find(|child| child.is_alive() && child.group == group)
}

/// Kills one supervisor after the other before it can take over, until somebody watches.
/// It looks without a pause: there are some milliseconds only.
pub(crate) fn make_helpless(scene: &Scene) {
    let began = Instant::now();
    loop {
        match own(scene) {
            Some(stat) if stat.comm == COMM => return,
            Some(stat) if stat.comm == home::SUPERVISOR_COMM => {
                // It may have ended meanwhile.
                let _ = send(stat.pid, KILL);
            }
            Some(_) | None => {}
        }
        assert!(began.elapsed() < home::PATIENCE, "nobody watches: {}", scene.log());
    }
}

/// Has somebody watch, and nobody else come meanwhile: the keeper is stopped. Returns who
/// watches.
pub(crate) fn keep_helpless(scene: &Scene) -> Stat {
    let keeper = scene.daemon.keeper();
    loop {
        make_helpless(scene);
        // It answers when it has been given all.
        scene.wait("an answer", || scene.client().state().is_ok());
        scene.halt(keeper);
        match own(scene).filter(|stat| stat.comm == COMM) {
            Some(watcher) => return watcher,
            // The next one was tried before that.
            None => send(keeper, CONT).unwrap(),
        }
    }
}

fn fault(scene: &Scene, method: &str, name: &str) -> String {
    match scene.client().about(method, name) {
        Err(CallError::Fault(_, text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn while_nobody_can_take_over_somebody_watches_and_says_why() {
    let scene = open("", PROGRAMS);
    let cat = scene.process("cat");
    keep_helpless(&scene);

    assert_eq!(scene.client().state().unwrap(), "FATAL");
    let info = scene.client().info("cat").unwrap();
    assert_eq!((info.state.as_str(), info.pid), ("RUNNING", cat.pid));
    for method in ["startProcess", "stopProcess", "clearProcessLogs"] {
        let text = fault(&scene, method, "cat");
        assert!(text.contains("in a row could not take over; the last one ended (term"), "{text}");
    }
    scene.await_log("this one only watches");
    assert_eq!(troubles(&scene, "keeper"), ["supervisor"]);
    // What programs write goes to their logs all the same.
    fs::write(format!("/proc/{}/fd/0", cat.pid), "somebody is there\n").unwrap();
    scene.wait("the line", || {
        fs::read_to_string(scene.home.file("cat.log")).is_ok_and(|log| log == "somebody is there\n")
    });

    scene.client().call("supervisor.restart", &[]).unwrap();
    scene.daemon.signal_keeper(CONT).unwrap();
    scene.await_log("this one has taken over");
    scene.wait("a supervisor that works", || {
        scene.client().state().is_ok_and(|state| state == "RUNNING")
    });
    assert_eq!(scene.process("cat").started, cat.started);
    scene.client().about("stopProcess", "cat").unwrap();
}

#[test]
fn the_next_supervisor_is_tried_without_help() {
    let scene = open("", CAT);
    let cat = scene.process("cat");
    make_helpless(&scene);

    scene.await_log("this one has taken over");
    assert_eq!(scene.process("cat").started, cat.started);
}

#[test]
fn a_stop_without_a_supervisor_ends_every_program() {
    let scene = open("keeper_stopwaitsecs=1", PROGRAMS);
    scene.until("deaf", "RUNNING");
    scene.wait("its line", || {
        fs::read(scene.home.file("deaf.log")).is_ok_and(|log| !log.is_empty())
    });
    make_helpless(&scene);

    scene.daemon.signal_keeper(TERM).unwrap();

    expect_nothing_left(scene);
}

#[test]
fn whoever_watches_takes_a_stop_from_clients_too() {
    let scene = open("keeper_stopwaitsecs=0", PROGRAMS);
    make_helpless(&scene);
    scene.wait("an answer", || scene.client().state().is_ok());

    scene.client().call("supervisor.shutdown", &[]).unwrap();

    expect_nothing_left(scene);
}

#[test]
fn a_journal_that_nobody_can_read_stops_no_program() {
    let scene = open("keeper_stopwaitsecs=1", PROGRAMS);
    let cat = scene.process("cat");
    spoil_journal(&scene);

    scene.daemon.kill_supervisor().unwrap();
    // It is tried again and again, with pauses; then there is somebody who watches, and who
    // cannot read it either.
    let mut tries = 0;
    let mut last = 0;
    scene.wait("five tries", || {
        if let Some(stat) = own(&scene).filter(|stat| stat.pid != last) {
            last = stat.pid;
            tries += 1;
        }
        tries >= 5
    });
    assert_eq!(procfs::stat(cat.pid).map(|stat| stat.started), Some(cat.started));

    scene.daemon.signal_keeper(TERM).unwrap();
    expect_nothing_left(scene);
}

fn expect_nothing_left(mut scene: Scene) {
    let status = scene.daemon.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{}", scene.log());
    let here = scene.home.path().display().to_string();
    home::wait_until("nobody to be left", || procfs::with_words(&here).is_empty()).unwrap();
}

/// Overwrites the beginning of the journal, which the keeper holds. What was there.
fn spoil_journal(scene: &Scene) -> [u8; 64] {
    write_journal(scene, [0; 64])
}

fn write_journal(scene: &Scene, bytes: [u8; 64]) -> [u8; 64] {
    let folder = format!("/proc/{}/fd", scene.daemon.keeper());
    let journal = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).find(|path| {
        fs::read_link(path).is_ok_and(|link| link.to_string_lossy().starts_with("/memfd:"))
    });
    let journal = fs::File::options().read(true).write(true).open(journal.unwrap()).unwrap();
    let mut before = [0; 64];
    journal.read_exact_at(&mut before, 0).unwrap();
    journal.write_all_at(&bytes, 0).unwrap();
    before
}

#[test]
fn who_cannot_take_over_has_the_time_to_say_why_and_the_next_that_can_tells_it() {
    let scene = open("", CAT);
    scene.process("cat");
    let keeper = scene.daemon.keeper();
    let before = spoil_journal(&scene);
    scene.daemon.kill_supervisor().unwrap();
    scene.wait("last words", || last_words::of_keeper(keeper).is_some());

    // They are there until somebody can say them, however many fail.
    let mut last = 0;
    let mut failed = 0;
    scene.wait("two more that fail", || {
        if let Some(stat) = own(&scene).filter(|stat| stat.pid != last) {
            last = stat.pid;
            failed += 1;
        }
        failed > 2
    });
    let said = last_words::of_keeper(keeper).unwrap();
    write_journal(&scene, before);

    scene.await_log("this one has taken over");
    // Killed by the keeper it would have ended by SIGKILL.
    let line = format!("the supervisor ended (exit status 70: {said}); this one has taken over");
    assert!(scene.log().contains(&line), "{line}\n{}", scene.log());
    scene.wait("them to be forgotten", || last_words::of_keeper(keeper).is_none());
}

#[test]
fn a_keeper_that_is_stopped_is_told_of_to_whoever_asks_what_is_wrong() {
    let scene = open("", CAT);
    scene.process("cat");
    let keeper = scene.daemon.keeper();
    let state = || procfs::stat(keeper).map(|stat| stat.state);
    assert_eq!(troubles(&scene, "keeper"), [""; 0]);

    send(keeper, STOP).unwrap();
    scene.wait("it to stop", || state() == Some('T'));
    assert_eq!(troubles(&scene, "keeper"), ["keeper"]);
    scene.await_log(&format!("kill -CONT {keeper} has it go on"));

    send(keeper, CONT).unwrap();
    scene.wait("it to go on", || state() != Some('T'));
    assert_eq!(troubles(&scene, "keeper"), [""; 0]);
    scene.await_log("INFO the keeper goes on");
}
