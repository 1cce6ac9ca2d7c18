//! `env_file`: variables from a file, read before each start.

use std::fs;

use super::scene::{Scene, open};

const PROGRAM: &str = "[program:p]\ncommand=/bin/sh -c 'echo \"$A $B\" >> {here}/seen; exec sleep 1000'\n\
                       environment=A=1,B=2\nenv_file={here}/p.env\nautostart=false\nstartsecs=0\n\
                       startretries=0\n";

/// What the lives so far were given.
fn seen(scene: &Scene, lives: usize) -> Vec<String> {
    let read = || fs::read_to_string(scene.home.file("seen")).unwrap_or_default();
    scene.wait(&format!("{lives} lives have begun"), || read().lines().count() == lives);
    read().lines().map(str::to_owned).collect()
}

#[test]
fn a_program_is_given_what_the_file_says_when_it_is_started() {
    let scene = open("", PROGRAM);
    let file = scene.home.file("p.env");

    fs::write(&file, "# ours\nA='from a file'\n").unwrap();
    scene.client().about("startProcess", "p").unwrap();
    assert_eq!(seen(&scene, 1), ["from a file 2"]);
    fs::write(&file, "B=3\n").unwrap();
    scene.client().about("stopProcess", "p").unwrap();
    scene.client().about("startProcess", "p").unwrap();

    assert_eq!(seen(&scene, 2)[1], "1 3", "nothing is left of what it said before");
}

#[test]
fn a_start_without_the_file_fails_and_people_are_told_why() {
    let scene = open("", PROGRAM);
    let file = scene.home.file("p.env");
    let path = file.display();

    scene.client().about("startProcess", "p").unwrap_err();
    scene.await_log(&format!("p: env_file: {path} is not there; write `-` before its path"));
    let spawnerr = scene.until("p", "FATAL").spawn_error;
    assert_eq!(spawnerr, format!("can't use the variables of '{path}': ENOENT"));
    fs::write(&file, "A=1\nnonsense\n").unwrap();
    scene.client().about("startProcess", "p").unwrap_err();
    scene.await_log(&format!("p: env_file: {path}:2: neither NAME=value nor a comment"));
    fs::write(&file, "A=7\n").unwrap();
    scene.client().about("startProcess", "p").unwrap();

    assert_eq!(seen(&scene, 1), ["7 2"]);
}

#[test]
fn a_start_that_waits_for_the_file_can_be_taken_back() {
    let program = PROGRAM.replace("env_file=", "env_file=-").replace("autostart=false\n", "");
    let scene = open("", &program);
    scene.until("p", "RUNNING");
    assert_eq!(seen(&scene, 1), ["1 2"], "it need not be there");

    for _ in 0..20 {
        scene.client().about("stopProcess", "p").unwrap();
        scene.client().about("startProcess", "p").unwrap();
    }

    scene.until("p", "RUNNING");
}
