//! Supervisor's own supervisorctl, and two plugins of it from PyPI.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::scene::{Scene, python, said};

const PROGRAMS: &str = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n\
                        [program:alpha]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n\
                        [program:talk]\ncommand=/bin/echo hello\nstartsecs=0\nautorestart=false\n";

/// The words of a control tool, with plugins.
fn control(tool: &Path, scene: &Scene, words: &str) -> (String, i32) {
    let file = scene.home.file("plugins.conf");
    let plugins = "[ctlplugin:wildcards]\nsupervisor.ctl_factory=\
                   supervisorwildcards.controllerplugin:make_wildcards_controllerplugin\n\
                   [ctlplugin:serialrestart]\nsupervisor.ctl_factory=\
                   supervisorserialrestart.controllerplugin:make_serialrestart_controllerplugin\n";
    fs::write(&file, format!("{}{plugins}", scene.read("ctl.conf"))).unwrap();
    said(Command::new(tool).arg("-c").arg(file).args(words.split(' ')))
}

#[test]
fn the_original_tool_steers_the_daemon() {
    let Some(tool) = python("supervisorctl") else { return };
    let scene = Scene::open("clients-ctl", PROGRAMS);
    scene.await_state("talk", "EXITED");
    scene.await_state("cat", "RUNNING");
    let pid = format!("{}\n", scene.pid("cat"));
    let updated = "cat: stopped\ncat: removed process group\n";

    for (words, wanted, code) in [
        ("version", "4.3.0\n", 0),
        ("pid cat", pid.as_str(), 0),
        ("start alpha", "alpha: started\n", 0),
        ("start alpha", "alpha: ERROR (already started)\n", 0),
        ("start nobody", "nobody: ERROR (no such process)\n", 1),
        ("signal CONT alpha", "alpha: signalled\n", 0),
        ("stop alpha", "alpha: stopped\n", 0),
        ("restart cat", "cat: stopped\ncat: started\n", 0),
        ("tail talk", "hello\n\n", 0),
        ("clear talk", "talk: cleared\n", 0),
        ("reread", "No config updates to processes\n", 0),
    ] {
        assert_eq!(control(&tool, &scene, words), (wanted.to_owned(), code), "{words}");
    }

    let (status, code) = control(&tool, &scene, "status");
    assert_eq!((status.lines().count(), code), (3, 3), "{status}");
    assert!(status.contains("RUNNING   pid "), "{status}");
    let (available, _) = control(&tool, &scene, "avail");
    assert_eq!(available.matches("in use").count(), 3, "{available}");

    let file = scene.home.file("supervisord.conf");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[program:cat]\ncommand=/bin/cat\nstartsecs=0\n", "")).unwrap();
    assert_eq!(control(&tool, &scene, "update"), (updated.to_owned(), 0));
}

#[test]
fn plugins_of_the_original_tool_work_with_the_daemon() {
    let Some(tool) = python("supervisorctl") else { return };
    let scene = Scene::open("clients-plugins", PROGRAMS);
    scene.await_state("cat", "RUNNING");
    let before = scene.pid("cat");

    let said = |words: &str| control(&tool, &scene, words).0;

    assert_eq!(said("mstart al*"), "alpha: started\n");
    assert_eq!(said("mstop al*"), "alpha: stopped\n");
    assert_eq!(said("mstop nobody*"), "No process matched given expression.\n");
    assert_eq!(said("serialrestart c*"), "cat: stopped\ncat: started\n");
    assert_ne!(scene.pid("cat"), before);
}
