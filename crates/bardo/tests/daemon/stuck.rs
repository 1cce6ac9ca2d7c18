//! Programs that cannot be executed yet hold up nobody.
//!
//! A lease on the program's file makes `execve` wait, as a dead network file system
//! would; it needs no root.

use std::fs;
use std::path::Path;

use bardo::selftest::home::{Daemon, Home, copy_executable};
use bardo::selftest::procfs;

use crate::holder::Holder;
use crate::scene::{Scene, executable};

/// More than there are fast slots for births.
const STUCK: usize = 20;

fn open() -> (Scene, Holder) {
    let home = Home::new("stuck").unwrap();
    copy_executable(Path::new("/bin/cat"), &home.file("slow-cat")).unwrap();
    // A place may not take all the room there is for births, so each has a place of its own.
    for number in 0..STUCK {
        let place = home.file(&format!("{number:02}"));
        fs::create_dir(&place).unwrap();
        fs::hard_link(home.file("slow-cat"), place.join("slow-cat")).unwrap();
    }
    let here = home.path().display();
    let several = "process_name=%(program_name)s_%(process_num)02d\n";
    let programs = format!(
        "[program:stuck]\ncommand={here}/%(process_num)02d/slow-cat\nstartsecs=0\npriority=1\n\
         numprocs={STUCK}\n{several}\n\
         [program:cat]\ncommand=/bin/cat\nstartsecs=0\nnumprocs=5\n{several}\n"
    );
    home.configure("", &programs).unwrap();
    let holder = Holder::of(&home, "slow-cat");
    let daemon = Daemon::start(executable(), &home).unwrap();
    (Scene { daemon, home }, holder)
}

fn count(scene: &Scene, name: &str, state: &str) -> usize {
    let infos = scene.client().infos().unwrap_or_default();
    infos.iter().filter(|info| info.group == name && info.state == state).count()
}

#[test]
fn others_start_meanwhile_and_it_starts_when_it_can() {
    let (scene, holder) = open();

    scene.wait("the others", || count(&scene, "cat", "RUNNING") == 5);

    assert_eq!(count(&scene, "stuck", "STARTING"), STUCK);
    scene.await_log("has not executed its program yet");
    drop(holder);
    scene.wait("the stuck ones", || count(&scene, "stuck", "RUNNING") == STUCK);
    await_program(&scene, &pids(&scene));
}

#[test]
fn it_can_be_stopped() {
    let (scene, _holder) = open();
    scene.wait("the others", || count(&scene, "cat", "RUNNING") == 5);

    scene.client().about("stopProcessGroup", "stuck").unwrap();

    assert_eq!(count(&scene, "stuck", "STOPPED"), STUCK);
    assert_eq!(count(&scene, "cat", "RUNNING"), 5);
}

#[test]
fn it_outlives_the_supervisor_that_made_it() {
    let (scene, holder) = open();
    scene.wait("the others", || count(&scene, "cat", "RUNNING") == 5);
    scene.wait("births", || {
        let infos = scene.client().infos().unwrap_or_default();
        infos.iter().all(|info| info.pid != 0)
    });
    let before = pids(&scene);

    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();

    assert_eq!(pids(&scene), before);
    // Who takes over knows that they are on their way still, and says so once it is long.
    assert_eq!(count(&scene, "stuck", "STARTING"), STUCK);
    scene.await_log("has not executed its program yet");
    drop(holder);
    scene.wait("the stuck ones", || count(&scene, "stuck", "RUNNING") == STUCK);
    await_program(&scene, &before);
    assert_eq!(pids(&scene), before);
}

/// Waits until all that were stuck have their program.
fn await_program(scene: &Scene, pids: &[(String, u32)]) {
    scene.wait("their program", || {
        pids.iter()
            .filter(|(name, _)| name.starts_with("stuck"))
            .all(|(_, pid)| procfs::stat(*pid).is_some_and(|stat| stat.comm == "slow-cat"))
    });
}

fn pids(scene: &Scene) -> Vec<(String, u32)> {
    let infos = scene.client().infos().unwrap();
    infos.into_iter().map(|info| (info.name, info.pid)).collect()
}
