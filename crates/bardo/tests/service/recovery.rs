//! Recovery scripts beside what becomes of their services.

use std::fs;

use bardo_sys::stat::Stat;

use super::scene::{Scene, open, send};

const PROGRAM: &str = "[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\n\
                       recovery_script={here}/recover.sh\n";

fn lives(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| !stat.is_dead)
}

/// The numbers that the script has written down.
fn pids(scene: &Scene, count: usize) -> Vec<u32> {
    let read = || fs::read_to_string(scene.home.file("pids")).unwrap_or_default();
    scene.wait("the script runs", || read().lines().count() == count);
    read().lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn down_ends_the_script_that_is_at_work_with_all_that_it_has_started() {
    let scene = open(PROGRAM);
    let lines = "cd \"$(dirname \"$0\")\"\nsleep 1000 &\necho \"$$\n$!\" > new; mv new pids\nwait";
    scene.script("recover.sh", lines);
    let web = scene.until("web", "runs", |web| web.pid != 0);

    send(web.pid, 9).unwrap();
    let pids = pids(&scene, 2);
    assert!(pids.iter().all(|pid| lives(*pid)));
    scene.service(&["down", "web"]).ends_with(0);

    scene.wait("they are gone", || !pids.iter().any(|pid| lives(*pid)));
}

#[test]
fn a_script_that_brings_its_service_down_goes_on() {
    let scene = open(PROGRAM);
    let tool = super::scene::executable().display();
    let lines = format!(
        "cd \"$(dirname \"$0\")\"\n{tool} service down \"$1\" || exit 1\n\
         {tool} service list > list\necho $$ > new; mv new pids"
    );
    scene.script("recover.sh", &lines);
    let web = scene.until("web", "runs", |web| web.pid != 0);

    send(web.pid, 9).unwrap();

    pids(&scene, 1);
    assert_eq!(scene.find("web").unwrap().pid, 0);
}
