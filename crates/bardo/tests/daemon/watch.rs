//! Those who watch the table are told what happens, and cost nothing while nothing does.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bardo::selftest::home::{self, PATIENCE};
use bardo::selftest::procfs;
use serde_json::Value;

use crate::scene::{CAT, Scene, open, stays};

struct Events(BufReader<UnixStream>);

impl Events {
    fn open(scene: &Scene) -> Self {
        let mut stream = UnixStream::connect(scene.home.file("s.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        Self(BufReader::new(stream))
    }

    /// Reads on until some process of an event is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&Value, &Value) -> bool) -> Value {
        let mut seen = Vec::new();
        let begun = Instant::now();
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line);
            let goes_on = read.is_ok_and(|read| read > 0) && begun.elapsed() < PATIENCE;
            assert!(goes_on, "no {what}: {seen:#?}");
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Value = serde_json::from_str(data).unwrap();
            // What was decided is told, too.
            let Some(processes) = event["processes"].as_array() else { continue };
            let none = [Value::Null];
            let processes = if processes.is_empty() { &none[..] } else { processes };
            if let Some(process) = processes.iter().find(|process| wanted(&event, process)) {
                return process.clone();
            }
            seen.push(event);
        }
    }
}

#[test]
fn a_crash_is_told_to_whoever_watches() {
    let scene = open("", CAT);
    let mut events = Events::open(&scene);
    let first = events.until("cat that runs", |_, process| process["state"] == "RUNNING");
    let pid = u32::try_from(first["pid"].as_u64().unwrap()).unwrap();

    home::send(pid, crate::scene::KILL).unwrap();

    let again = events.until("cat with another pid", |_, process| {
        process["state"] == "RUNNING" && process["pid"] != pid
    });
    assert!(again["stop"].is_number(), "{again}");
}

#[test]
fn groups_that_come_and_go_are_told() {
    let scene = open("", CAT);
    let mut events = Events::open(&scene);
    events.until("cat that runs", |_, process| process["state"] == "RUNNING");

    let more = "[program:dog]\ncommand=/bin/cat\nstartsecs=0\n";
    scene.home.configure("", more).unwrap();
    let mut stream = UnixStream::connect(scene.home.file("s.sock")).unwrap();
    let request =
        "POST /api/v1/config/update HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();

    // Both may be told at once.
    let removed = Cell::new(false);
    events.until("dog that runs", |event, process| {
        removed.set(removed.get() || event["removed"] == serde_json::json!(["cat"]));
        process["name"] == "dog" && process["state"] == "RUNNING"
    });
    assert!(removed.get(), "nobody was told that the cat is gone");
}

#[test]
fn a_watcher_costs_nothing_while_nothing_happens() {
    let scene = open("", CAT);
    let mut events = Events::open(&scene);
    events.until("cat that runs", |_, process| process["state"] == "RUNNING");
    let pair = [scene.daemon.keeper(), scene.supervisor().pid];
    let switches = || pair.map(procfs::switches);
    scene.wait("the pair to come to rest", || {
        let before = switches();
        stays(Duration::from_millis(500), || switches() == before)
    });

    let before = switches();

    assert!(stays(Duration::from_secs(2), || switches() == before), "{before:?}");
}
