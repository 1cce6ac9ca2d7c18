//! Idle means idle.

use std::time::Duration;

use bardo::selftest::procfs;

use crate::scene::{open, stays};

const SPAN: Duration = Duration::from_secs(2);

#[test]
fn twenty_idle_programs_cost_no_wake_up() {
    let programs = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nnumprocs=20\nprocess_name=cat_%(process_num)02d\n";
    let scene = open("", programs);
    scene.wait("twenty cats", || {
        let infos = scene.client().infos().unwrap_or_default();
        infos.len() == 20 && infos.iter().all(|info| info.state == "RUNNING")
    });
    let pair = [scene.daemon.keeper(), scene.supervisor().pid];
    // What followed from the last request is over when nothing has changed for a while.
    let switches = || pair.map(procfs::switches);
    scene.wait("the pair to come to rest", || {
        let before = switches();
        stays(Duration::from_millis(500), || switches() == before)
    });

    let before = switches();
    let idle = stays(SPAN, || switches() == before);

    assert!(idle, "switches of keeper and supervisor: {before:?}, then {:?}", switches());
}
