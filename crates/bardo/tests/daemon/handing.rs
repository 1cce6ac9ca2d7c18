//! What a supervisor without a keeper hands over, and what becomes of it when that fails.

use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::thread;

use bardo::daemon::handover::{self, DOOR};
use bardo::selftest::home::{Home, PATIENCE, wait_until};
use bardo_sys::channel::{self, Channel, Wait};
use bardo_sys::poll::{self, Room};

use crate::heirs::{go_on, is_there, orphaned};
use crate::managed::place;
use crate::scene::{CAT, executable};

#[test]
fn who_was_not_given_all_sees_that_it_gets_nothing_more() {
    let (mut managed, supervisor) = orphaned(CAT);
    let cat = managed.scene.client().info("cat").unwrap().pid;
    let heir = Channel::connect(&place(&managed.scene.home, &managed.name).join(DOOR)).unwrap();

    // Nobody says so much.
    heir.send(&[7; 1 << 16], &[], Wait::ForRoom).unwrap();

    let patience = u64::try_from(PATIENCE.as_nanos()).unwrap();
    let said = poll::two(heir.as_fd(), None, Room(false), Some(patience));
    assert!(said.first && poll::has_hung_up(heir.as_fd()), "{}", managed.scene.log());
    managed.scene.await_log("what is held was not handed over: ");
    go_on(&mut managed, supervisor);
    assert_eq!(managed.scene.process("cat").pid, cat, "{}", managed.scene.log());
}

#[test]
fn one_that_hangs_up_is_asked_again_until_it_gives_all_or_is_gone() {
    let home = Home::new("door").unwrap();
    let door = channel::listen(&home.file(DOOR)).unwrap();
    let times = 6;
    let former = thread::spawn(move || {
        for _ in 0..times {
            while Channel::accept(door.as_fd()).unwrap().is_none() {
                let _ = poll::two(door.as_fd(), None, Room(false), None);
            }
        }
    });

    let handed = handover::ask(home.path()).unwrap();

    assert!(handed.journal.is_none() && handed.former.is_none());
    // It is asked for the last time before it ends.
    wait_until("it to be asked so often", || former.is_finished()).unwrap();
}

#[test]
fn who_has_no_descriptors_for_all_takes_nothing_and_ends_nobody() {
    let (mut managed, supervisor) = orphaned(CAT);
    let cat = managed.scene.client().info("cat").unwrap().pid;

    // The first one cannot even ask.
    for limit in [4, 8] {
        let mut next = Command::new("/bin/sh");
        next.args(["-c", "ulimit -n $0 && exec \"$@\"", &limit.to_string()])
            .arg(executable())
            .args(["--service-run", &managed.name, "--config"])
            .arg(managed.scene.home.file("supervisord.conf"))
            .env("XDG_RUNTIME_DIR", managed.scene.home.path())
            .env_remove("RUNTIME_DIRECTORY")
            .stdin(Stdio::null());
        let output = next.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(71), "{limit}: {said}");
        assert!(said.contains("cannot take over from a former keeper"), "{limit}: {said}");
        assert!(is_there(supervisor), "{limit}: {said}");
    }

    go_on(&mut managed, supervisor);
    assert_eq!(managed.scene.process("cat").pid, cat, "{}", managed.scene.log());
}
