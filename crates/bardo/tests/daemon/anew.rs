//! The supervisor itself is asked to begin anew: by `bardo restart --self`, and by its page
//! where somebody starts it again.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};

use crate::managed::manage;
use crate::scene::{CAT, Scene, executable, open};

fn restart(scene: &Scene, words: &[&str]) -> Output {
    let mut command = Command::new(executable());
    command.arg("restart").args(words).arg("--socket").arg(scene.client().socket());
    command.output().unwrap()
}

/// What is at an address of the page.
fn page(scene: &Scene, address: &str) -> String {
    let mut stream = UnixStream::connect(scene.client().socket()).unwrap();
    write!(stream, "GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const LINK: &str = "action=restartself";

#[test]
fn a_service_that_is_to_begin_anew_ends_with_1_and_says_so() {
    let mut managed = manage("", CAT, |_, _| {});
    let scene = &mut managed.scene;
    scene.process("cat");

    let output = restart(scene, &["--self"]);

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("ends with 1"), "{output:?}");
    assert_eq!(scene.daemon.wait().unwrap().code(), Some(1));
}

#[test]
fn the_page_of_a_service_restarts_the_supervisor() {
    let mut managed = manage("", CAT, |_, _| {});
    let scene = &mut managed.scene;
    scene.process("cat");
    assert!(page(scene, "/").contains(LINK));

    let answer = page(scene, &format!("/index.html?{LINK}"));

    assert!(answer.contains("Restart%20of%20the%20supervisor%20begun"), "{answer}");
    assert_eq!(scene.daemon.wait().unwrap().code(), Some(1));
}

#[test]
fn supervisord_begins_anew_and_its_page_is_supervisors() {
    let scene = open("", CAT);
    let (before, keeper) = (scene.process("cat").pid, scene.daemon.keeper());
    assert!(!page(&scene, "/").contains(LINK));
    let answer = page(&scene, &format!("/index.html?{LINK}"));
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");

    let output = restart(&scene, &["--self"]);

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("begins anew"), "{output:?}");
    scene.wait("another process", || {
        scene.client().info("cat").is_ok_and(|info| info.state == "RUNNING" && info.pid != before)
    });
    assert_eq!(scene.daemon.keeper(), keeper);
}

#[test]
fn who_does_not_say_what_is_meant_is_told() {
    let scene = open("", CAT);
    let before = scene.process("cat").pid;

    let output = restart(&scene, &[]);

    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--self"), "{output:?}");
    assert_eq!(scene.process("cat").pid, before);
}
