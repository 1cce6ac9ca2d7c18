//! Idle means idle, also for those who listen.

use std::time::Duration;

use bardo::selftest::home::stays;
use bardo::selftest::procfs;

use crate::scene::{ears, open};

const SPAN: Duration = Duration::from_secs(2);

#[test]
fn listeners_that_nothing_is_told_cost_no_wake_up() {
    let programs = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nnumprocs=20\nprocess_name=cat_%(process_num)02d\n";
    let scene = open(&[
        programs,
        &ears("one", "PROCESS_STATE", "", ""),
        &ears("two", "PROCESS_STATE", "", ""),
        &ears("three", "TICK_3600", "", ""),
    ]);
    scene.wait("all to run", || {
        let infos = scene.client().infos().unwrap_or_default();
        infos.len() == 23 && infos.iter().all(|info| info.state == "RUNNING")
    });
    let supervisor = scene.daemon.supervisor().unwrap().pid;
    let switches = || [scene.daemon.keeper(), supervisor].map(procfs::switches);
    scene.wait("the pair to come to rest", || {
        let before = switches();
        stays(Duration::from_millis(500), || switches() == before)
    });

    let before = switches();
    let idle = stays(SPAN, || switches() == before);

    assert!(idle, "switches of keeper and supervisor: {before:?}, then {:?}", switches());
}
