//! Idle means idle, also for those who listen.

use std::time::Duration;

use bardo::selftest::home::stays;
use bardo::selftest::procfs;
use bardo_sys::clock;

use crate::scene::{ears, open};

const SPAN: Duration = Duration::from_secs(2);

#[test]
fn listeners_that_nothing_is_told_cost_no_wake_up() {
    let programs = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nnumprocs=20\nprocess_name=cat_%(process_num)02d\n";
    let scene = open(&[
        programs,
        &ears("one", "PROCESS_STATE", "", "buffer_size=100"),
        &ears("two", "PROCESS_STATE", "", "buffer_size=100"),
        &ears("three", "TICK_3600", "", ""),
    ]);
    scene.wait("all to run", || {
        let infos = scene.client().infos().unwrap_or_default();
        infos.len() == 23 && infos.iter().all(|info| info.state == "RUNNING")
    });
    for name in ["one", "two"] {
        let words = format!("DEBG {name}: event was processed");
        scene.wait("all to be told and answered", || {
            let heard = scene.heard(name);
            let running = heard.iter().filter(|heard| heard.event() == "PROCESS_STATE_RUNNING");
            running.count() == 23 && scene.log().matches(&words).count() == heard.len()
        });
    }
    scene.await_log("DEBG three: ACKNOWLEDGED -> READY");
    let supervisor = scene.daemon.supervisor().unwrap().pid;
    let switches = || [scene.daemon.keeper(), supervisor].map(procfs::switches);
    scene.wait("the pair to come to rest", || {
        let before = switches();
        stays(Duration::from_millis(500), || switches() == before)
    });

    let hour = || clock::wall_seconds() / 3600;
    loop {
        let (began, before) = (hour(), switches());
        let idle = stays(SPAN, || switches() == before);
        // The third one is told of the turn of an hour.
        if hour() == began {
            assert!(idle, "switches of keeper and supervisor: {before:?}, then {:?}", switches());
            break;
        }
    }
}
