//! Programs on a dead mount: more of them than there is room for births.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bardo::selftest::home::{Daemon, Home, copy_executable};
use bardo::selftest::procfs;

use crate::holder::Holder;
use crate::others::OTHER;
use crate::scene::{Scene, executable, stays};

/// More than births may be on their way, here or there.
const STUCK: usize = 100;

/// How often a supervisor may wake in a second in which nothing can be done.
const WAKES_MAX: u64 = 50;

fn running(scene: &Scene) -> usize {
    let infos = scene.client().infos().unwrap_or_default();
    infos.iter().filter(|info| info.group == "stuck" && info.state == "RUNNING").count()
}

#[test]
fn programs_on_a_dead_mount_leave_room_for_the_others() {
    let home = Home::new("faults").unwrap();
    fs::create_dir(home.file("dead")).unwrap();
    copy_executable(Path::new("/bin/cat"), &home.file("dead/cat")).unwrap();
    let here = home.path().display();
    let programs = format!(
        "[program:stuck]\ncommand={here}/dead/cat\nstartsecs=0\npriority=1\n\
         numprocs={STUCK}\nprocess_name=stuck_%(process_num)03d\n\n{OTHER}"
    );
    home.configure("", &programs).unwrap();
    let holder = Holder::of(&home, "dead/cat");
    let daemon = Daemon::start(executable(), &home).unwrap();
    let scene = Scene { daemon, home };

    scene.expect_supervision();
    scene.await_log("has not executed its program yet");
    scene.expect_supervision();
    let supervisor = scene.supervisor();
    let before = procfs::switches(supervisor.pid);
    assert!(stays(Duration::from_secs(1), || true));
    let wakes = procfs::switches(supervisor.pid) - before;
    assert_eq!(running(&scene), 0, "they have not been stuck for as long as that took");

    drop(holder);
    scene.wait("the stuck ones", || running(&scene) == STUCK);
    scene.await_troubles(&[]);
    assert_eq!(scene.supervisor().pid, supervisor.pid);
    scene.expect_supervision();
    assert!(wakes <= WAKES_MAX, "it woke {wakes} times for nothing");
}
