//! Programs that need others: in which order they start and stop. And one without which
//! nothing goes on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::scene::{CAT, Scene, TERM, open};

/// Two programs that write down when they start and stop. Supervisor would start `web`
/// first, and stop it last. `db` is ready when it is let go, and `web` once it has written.
const PAIR: &str = r#"
[program:web]
command=/bin/sh -c 'trap "echo web down >> {here}/order; exit" TERM; echo web up >> {here}/order; echo >&3; while :; do sleep 0.05; done'
depends_on=db:ready
ready=fd:3
ready_timeout=600
priority=1
[program:db]
command=/bin/sh -c 'trap "echo db down >> {here}/order; exit" TERM; echo db up >> {here}/order; while [ ! -e {here}/go ]; do sleep 0.05; done; echo >&3; while :; do sleep 0.05; done'
ready=fd:3
ready_timeout=600
priority=2
"#;

/// A program that cannot be kept running.
const LOST: &str = "[program:lost]\ncommand=/bin/false\nautostart=false\ncritical=true\nstartretries=0\n\
    startsecs=600\n";

fn order(scene: &Scene) -> Vec<String> {
    let text = fs::read_to_string(scene.home.file("order")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What the tool `service` ends with.
fn service(scene: &Scene, words: &[&str]) -> Option<i32> {
    let socket: &Path = scene.client().socket();
    let mut tool = Command::new(crate::scene::executable());
    tool.arg("service").arg("--socket").arg(socket).args(words);
    tool.output().expect("the tool is there").status.code()
}

#[test]
fn what_needs_another_starts_after_it_and_stops_before_it() {
    let scene = open("", PAIR);
    let waiting = scene.client().info("web").unwrap();
    fs::write(scene.home.file("go"), "").unwrap();
    scene.until("web", "RUNNING");

    scene.daemon.signal_keeper(TERM).unwrap();
    scene.await_log("stopped: db");

    assert_eq!((waiting.state.as_str(), waiting.pid), ("STARTING", 0));
    assert_eq!(order(&scene), ["db up", "web up", "web down", "db down"]);
    scene.expect_good_end();
}

#[test]
fn a_wait_for_another_outlives_the_supervisor() {
    let scene = open("", PAIR);
    scene.daemon.kill_supervisor().unwrap();
    fs::write(scene.home.file("go"), "").unwrap();

    scene.until("web", "RUNNING");

    assert_eq!(order(&scene), ["db up", "web up"]);
}

#[test]
fn a_critical_program_that_is_lost_ends_the_daemon_with_70() {
    let mut scene = open("", &[LOST, CAT].concat());
    scene.process("cat");

    let started = scene.client().about("startProcess", "lost");
    let status = scene.daemon.wait().unwrap();

    assert_eq!(status.code(), Some(70), "{started:?}\n{}", scene.log());
    assert!(scene.log().contains("stopped: cat"), "{}", scene.log());
}

#[test]
fn everything_ends_with_a_program_that_exit_on_names_and_with_its_code() {
    let job = "[program:job]\ncommand=/bin/sh -c 'read line; exit 3'\nstartsecs=0\n\
               autorestart=false\n";
    let mut scene = open("exit_on=job\n", &[job, CAT].concat());
    scene.process("cat");
    scene.process("job");

    scene.daemon.kill_supervisor().unwrap();
    scene.until("job", "RUNNING");
    scene.client().call("supervisor.sendProcessStdin", &["job".into(), "go\n".into()]).unwrap();
    let status = scene.daemon.wait().unwrap();

    assert_eq!(status.code(), Some(3), "{}", scene.log());
    assert!(scene.log().contains("stopped: cat"), "{}", scene.log());
    assert!(scene.log().contains("exit_on asks for it: everything ends, with exit code 3"));
}

#[test]
fn a_program_of_the_file_is_called_by_its_label() {
    let scene = open("", "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n");
    let before = scene.process("cat").pid;

    assert_eq!(service(&scene, &["down", "nobody"]), Some(3));
    assert_eq!(service(&scene, &["restart", "cat"]), Some(16));
    assert_eq!(service(&scene, &["refresh", "cat"]), Some(0));
    scene.wait("another process", || {
        scene.client().info("cat").is_ok_and(|info| info.state == "RUNNING" && info.pid != before)
    });
    assert_eq!(service(&scene, &["down", "cat"]), Some(0));
    scene.until("cat", "STOPPED");
}

#[test]
fn nothing_is_started_again_while_all_rests() {
    let scene = open("", "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nautorestart=true\n");
    let cat = scene.process("cat");

    assert_eq!(service(&scene, &["shutdown"]), Some(0));
    bardo::selftest::home::send(cat.pid, crate::scene::KILL).unwrap();
    scene.until("cat", "EXITED");

    scene.daemon.signal_keeper(TERM).unwrap();
    scene.expect_good_end();
}
