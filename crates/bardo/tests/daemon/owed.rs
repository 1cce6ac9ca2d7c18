//! What was decided about an end stands in the main log, whoever is killed meanwhile.

use std::fs;

use bardo::selftest::home::{Daemon, Home};

use crate::scene::{Scene, executable};

/// It ends when its file is there, and is not started again.
const ENDS: &str = "[program:ends]\nautorestart=false\nstartsecs=0\n\
    command=/bin/sh -c 'read go < {here}/go; exit 3'\n";

/// A daemon whose main log is `logs/main.log`.
fn open() -> Scene {
    let home = Home::new("owed").unwrap();
    fs::create_dir(home.file("logs")).unwrap();
    let here = home.path().display().to_string();
    home.configure("", &ENDS.replace("{here}", &here)).unwrap();
    let path = home.file("supervisord.conf");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("/main.log", "/logs/main.log")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, home.file("go"), 0o600.into()).unwrap();
    let daemon = Daemon::start(executable(), &home).unwrap();
    Scene { daemon, home }
}

/// The main log takes nothing while this is done.
fn while_nothing_is_taken(scene: &Scene, what: impl FnOnce()) {
    let (logs, away) = (scene.home.file("logs"), scene.home.file("away"));
    fs::rename(&logs, &away).unwrap();
    fs::remove_file(away.join("main.log")).unwrap();
    fs::write(&logs, "").unwrap();
    what();
    fs::remove_file(&logs).unwrap();
    fs::rename(&away, &logs).unwrap();
}

#[test]
fn a_line_that_waits_when_the_supervisor_is_killed_is_written_by_the_next_one_once() {
    let scene = open();
    let line = "WARN exited: ends (exit status 3; not expected)\n";
    scene.until("ends", "RUNNING");

    while_nothing_is_taken(&scene, || {
        fs::write(scene.home.file("go"), "\n").unwrap();
        scene.until("ends", "EXITED");
        for _ in 0..2 {
            let before = scene.daemon.kill_supervisor().unwrap();
            scene.wait("the next one", || scene.supervisor().pid != before);
        }
    });

    let log = || fs::read_to_string(scene.home.file("logs/main.log")).unwrap_or_default();
    scene.wait("the line", || log().contains(line));
    let before = scene.daemon.kill_supervisor().unwrap();
    scene.wait("the next one", || scene.supervisor().pid != before);
    scene.wait("its line", || log().contains("this one has taken over, number 4"));
    assert_eq!(log().matches(line).count(), 1, "{}", log());
    let (told, taken) = (log().find(line), log().find("this one has taken over"));
    assert!(told < taken, "it comes before the lines of the successor: {}", log());
}
