//! `/metrics` of a real daemon: what is counted, and that readers of the formats take it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use bardo::selftest::home;

use crate::openmetrics::{Samples, read};
use crate::scene::{KILL, Scene, open};

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

/// A program that says five bytes, and names that need to be escaped.
const ECHO: &str = "[program:say\"\\it]\ncommand=/bin/sh -c 'echo said; exec cat'\n\
                    autorestart=true\nstartsecs=0\nstdout_logfile={here}/said.log\n";

const SAY: [(&str, &str); 2] = [("group", "say\"\\it"), ("name", "say\"\\it")];

fn scraped(scene: &Scene, accept: &str) -> String {
    let mut stream = UnixStream::connect(scene.home.file("s.sock")).unwrap();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: {accept}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

fn samples(scene: &Scene) -> Samples {
    read(&scraped(scene, OPEN_METRICS))
}

/// Waits until a sample of the program has a value.
fn await_sample(scene: &Scene, name: &str, labels: &[(&str, &str)], value: f64) {
    scene.wait(&format!("{name} {value}"), || samples(scene).get(name, labels) == Some(value));
}

#[test]
fn a_restart_is_counted_and_timed() {
    let scene = open("", ECHO);
    let before = scene.process("say\"\\it");

    home::send(before.pid, KILL).unwrap();

    await_sample(&scene, "bardo_process_starts_total", &SAY, 2.0);
    let samples = samples(&scene);
    let of_program = |name: &str| samples.get(name, &SAY);
    assert_eq!(of_program("bardo_process_restarts_total"), Some(1.0));
    assert_eq!(samples.get("bardo_restart_latency_seconds_count", &[]), Some(1.0));
    assert!(samples.get("bardo_restart_latency_seconds_sum", &[]) > Some(0.0));
    let exited = samples.get("bardo_events_total", &[("type", "PROCESS_STATE_EXITED")]);
    assert_eq!(exited, Some(1.0));
}

#[test]
fn bytes_memory_and_time_are_told() {
    let scene = open("", ECHO);
    scene.process("say\"\\it");

    let stream = [SAY[0], SAY[1], ("stream", "stdout")];
    await_sample(&scene, "bardo_process_log_bytes_total", &stream, 5.0);

    let samples = samples(&scene);
    let of_program = |name: &str| samples.get(name, &SAY);
    assert_eq!(of_program("bardo_process_up"), Some(1.0));
    assert_eq!(of_program("bardo_process_state"), Some(20.0));
    assert!(of_program("bardo_process_resident_memory_bytes") > Some(0.0));
    assert!(of_program("bardo_process_cpu_seconds_total").is_some());
    let started = of_program("bardo_process_start_time_seconds");
    assert_eq!(of_program("bardo_process_cpu_seconds_created"), started);
    let silent = [SAY[0], SAY[1], ("stream", "stderr")];
    assert_eq!(samples.get("bardo_process_log_bytes_total", &silent), Some(0.0));
}

#[test]
fn a_successor_counts_anew_and_says_since_when() {
    let scene = open("", ECHO);
    let before = scene.process("say\"\\it");
    let since = |samples: &Samples| samples.get("bardo_process_starts_created", &SAY);
    let first = since(&samples(&scene));
    // Seconds are told, so that a successor in the same one could not be told apart.
    scene.wait("another second", || Some(bardo_sys::clock::wall_seconds() as f64) > first);

    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();

    let samples = samples(&scene);
    assert_eq!(samples.get("bardo_process_starts_total", &SAY), Some(0.0));
    assert!(since(&samples) > first);
    assert_eq!(since(&samples), samples.get("bardo_supervisor_start_time_seconds", &[]));
    let uptime = samples.get("bardo_process_uptime_seconds", &SAY);
    assert!(uptime.is_some(), "the process is the same");
    assert_eq!(scene.process("say\"\\it").pid, before.pid);
}

#[test]
fn a_program_that_is_added_again_counts_anew() {
    let scene = open("", ECHO);
    scene.process("say\"\\it");
    let name = "say\"\\it";
    let call = |method: &str| {
        let method = format!("supervisor.{method}");
        scene.client().call(&method, &[bardo_wire::xmlrpc::Value::from(name)])
    };
    call("stopProcess").unwrap();
    call("removeProcessGroup").unwrap();

    call("addProcessGroup").unwrap();

    await_sample(&scene, "bardo_process_starts_total", &SAY, 1.0);
    let restarts = samples(&scene).get("bardo_process_restarts_total", &SAY);
    assert_eq!(restarts, Some(0.0));
}

#[test]
fn promtool_has_nothing_to_say() {
    let scene = open("", ECHO);
    scene.process("say\"\\it");
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = spawned else {
        println!("skipped: promtool is not installed (on Debian: apt-get install prometheus)");
        return;
    };

    let text = scraped(&scene, "text/plain");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();

    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&said));
    assert_eq!(String::from_utf8_lossy(&said), "");
}
