//! Ansible's module `community.general.supervisorctl`, which runs the control tool and
//! reads what it says.

use std::process::Command;

use crate::scene::{Scene, python, said};

/// Has the module bring a process to a state, and says whether that changed something.
fn bring(scene: &Scene, name: &str, state: &str) -> bool {
    let ansible = python("ansible").unwrap();
    let interpreter = python("python").unwrap();
    let here = scene.home.path().display();
    let arguments = format!(
        "name={name} state={state} config={here}/ctl.conf supervisorctl_path={here}/supervisorctl"
    );
    let mut command = Command::new(ansible);
    command
        .args(["localhost", "-i", "localhost,", "-c", "local", "-o"])
        .args(["-m", "community.general.supervisorctl", "-a", &arguments])
        .arg("-e")
        .arg(format!("ansible_python_interpreter={}", interpreter.display()))
        .env("ANSIBLE_HOME", scene.home.file("ansible"))
        .env("ANSIBLE_LOCAL_TEMP", scene.home.file("ansible-local"))
        .env("ANSIBLE_REMOTE_TEMP", scene.home.file("ansible-remote"))
        .env("ANSIBLE_NOCOLOR", "1")
        .env("LC_ALL", "C.UTF-8");
    let (text, code) = said(&mut command);
    assert_eq!(code, 0, "{text}");
    text.contains("\"changed\": true")
}

#[test]
fn ansibles_module_brings_processes_to_the_state_that_is_wanted() {
    if python("ansible").is_none() {
        return;
    }
    let scene = Scene::open(
        "clients-ansible",
        "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nautostart=false\n\
         [group:web]\nprograms=cat\n",
    );

    assert!(bring(&scene, "web:cat", "started"));
    assert!(!bring(&scene, "web:cat", "started"), "it was started already");
    let before = scene.pid("web:cat");
    assert!(bring(&scene, "web:cat", "restarted"));
    assert_ne!(scene.pid("web:cat"), before);
    assert!(bring(&scene, "web:cat", "signalled signal=CONT"));
    assert!(bring(&scene, "web:", "stopped"), "a whole group");
    assert!(!bring(&scene, "web:cat", "stopped"), "it was stopped already");
    scene.await_state("web:cat", "STOPPED");
}
