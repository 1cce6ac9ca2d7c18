//! A supervisor that takes nothing any more is replaced; one that has nothing to take
//! is left alone.

use std::time::Duration;

use bardo::selftest::client::CallError;
use bardo::selftest::home;
use bardo::selftest::procfs;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::scene::{CAT, KILL, TERM, open, stays};

const HUNG: &str = "took nothing any more and was killed";

/// Three times the time that a supervisor is given here.
const LONG: Duration = Duration::from_secs(3);

#[test]
fn a_supervisor_that_takes_no_exit_is_replaced() {
    let scene = open("hang_timeout=1", CAT);
    let cat = scene.process("cat");
    let supervisor = scene.supervisor();

    scene.halt(supervisor.pid);
    home::send(cat.pid, KILL).unwrap();

    scene.wait("another supervisor", || {
        scene.daemon.supervisor().is_some_and(|now| now.pid != supervisor.pid)
    });
    scene.await_log(HUNG);
    scene.await_log("exited: cat (terminated by SIGKILL; not expected)");
    assert_ne!(scene.process("cat").pid, cat.pid, "it is born again");
}

#[test]
fn a_supervisor_that_takes_no_signal_is_replaced() {
    let scene = open("hang_timeout=1", CAT);
    scene.process("cat");
    scene.halt(scene.supervisor().pid);

    scene.daemon.signal_keeper(TERM).unwrap();

    scene.await_log(HUNG);
    scene.expect_good_end();
}

#[test]
fn a_supervisor_that_owes_nothing_is_left_alone() {
    let scene = open("hang_timeout=1", CAT);
    let cat = scene.process("cat");
    let supervisor = scene.supervisor();

    scene.halt(supervisor.pid);

    let stopped =
        || procfs::stat(supervisor.pid).is_some_and(|stat| stat.started == supervisor.started);
    assert!(stays(LONG, stopped), "{}", scene.log());
    assert_eq!(procfs::stat(cat.pid).map(|stat| stat.started), Some(cat.started));
    home::send(supervisor.pid, crate::scene::CONT).unwrap();
    assert_eq!(scene.supervisor().pid, supervisor.pid);
    assert!(!scene.log().contains(HUNG));
}

/// Holds up one thread of a process, as a debugger does. False where that is not
/// allowed.
fn hold(thread: Pid) -> bool {
    if let Err(error) = ptrace::seize(thread, ptrace::Options::empty()) {
        eprintln!("skipped: a thread cannot be held up: {error}");
        return false;
    }
    ptrace::interrupt(thread).unwrap();
    waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
    true
}

#[test]
fn a_request_that_the_control_thread_does_not_take_replaces_the_supervisor() {
    let scene = open("hang_timeout=1", CAT);
    let cat = scene.process("cat");
    let supervisor = scene.supervisor();
    // The first thread is the control thread; the API thread goes on.
    let control = Pid::from_raw(supervisor.pid.cast_signed());
    if !hold(control) {
        return;
    }

    let client = scene.client().clone();
    let asked = std::thread::spawn(move || client.info("cat"));

    scene.wait("another supervisor", || {
        // Its end is told to the one who held it first, and to its parent then.
        let _ = waitpid(control, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG));
        scene.daemon.supervisor().is_some_and(|now| now.pid != supervisor.pid)
    });
    scene.await_log(HUNG);
    let answer = asked.join().unwrap();
    assert!(matches!(answer, Err(CallError::Unanswered(_))), "{answer:?}");
    assert_eq!(scene.process("cat").identity(), cat.identity());
}
