//! The supervisor is stopped for a while: a debugger, a machine that swaps.

use std::time::Duration;

use bardo::selftest::home;
use bardo::selftest::procfs::Stat;

use crate::others::{OTHER, writer};
use crate::scene::{CAT, CONT, KILL, Scene, open, stays};

/// Words of a supervisor that was replaced.
const HUNG: &str = "took nothing any more and was killed";

fn programs() -> String {
    writer("writer", "{here}/writer.log", "autostart=false") + CAT + OTHER
}

/// Stops the supervisor while it owes something, for as long as `meanwhile` takes.
fn stop(scene: &Scene, meanwhile: impl FnOnce(&Stat)) {
    let cat = scene.process("cat");
    let supervisor = scene.supervisor();
    scene.client().about("startProcess", "writer").unwrap();
    scene.halt(supervisor.pid);
    home::send(cat.pid, KILL).unwrap();

    meanwhile(&supervisor);

    // One that was replaced is not there any more.
    let _ = home::send(supervisor.pid, CONT);
    scene.await_log("exited: cat (terminated by SIGKILL; not expected)");
    scene.until("cat", "RUNNING");
    scene.await_all_lines(&scene.home.file("writer.log"));
    scene.expect_supervision();
}

#[test]
fn one_that_is_stopped_for_too_long_is_replaced() {
    let scene = open("hang_timeout=1", &programs());

    stop(&scene, |stopped| {
        scene.wait("another supervisor", || {
            scene.daemon.supervisor().is_some_and(|now| now.pid != stopped.pid)
        });
    });

    scene.await_log(HUNG);
    scene.await_troubles(&[("keeper", "supervisor")]);
}

/// A supervisor with much time goes on where it was, however long it was stopped.
fn goes_on_after(span: Duration) {
    let scene = open("hang_timeout=3600", &programs());
    let mut pid = 0;

    stop(&scene, |stopped| {
        pid = stopped.pid;
        let is_there = || scene.daemon.supervisor().is_some_and(|now| now.pid == stopped.pid);
        assert!(stays(span, is_there), "{}", scene.log());
    });

    assert_eq!(scene.supervisor().pid, pid);
    assert_eq!(scene.said(HUNG), 0, "{}", scene.log());
    scene.await_troubles(&[]);
}

#[test]
fn one_that_is_stopped_for_a_moment_goes_on() {
    goes_on_after(Duration::from_secs(2));
}

#[test]
#[ignore = "it takes a minute"]
fn one_that_is_stopped_for_a_minute_goes_on() {
    goes_on_after(Duration::from_secs(60));
}
