//! What is wrong is told wherever people look, and is over when it is.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use bardo::selftest::home::{self, Daemon, Home};
use bardo_sys::limits::{self, Limit, Limited};
use bardo_wire::xmlrpc::Value;

use crate::holder::Holder;
use crate::scene::{KILL, Scene, executable, open};

/// A program that is not started yet, and says something when it is.
const SAY: &str = "[program:say]\ncommand=/bin/sh -c 'echo said; exec cat'\nautostart=false\n\
                   startsecs=0\nstdout_logfile={here}/logs/say.log\n";

fn request(scene: &Scene, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(scene.home.file("s.sock")).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn get(scene: &Scene, path: &str) -> String {
    let mut answer = String::new();
    request(scene, path).read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned())
}

/// The subjects of what is wrong of a kind.
pub(crate) fn troubles(scene: &Scene, kind: &str) -> Vec<String> {
    let json: serde_json::Value =
        serde_json::from_str(&get(scene, "/api/v1/troubles")).unwrap_or_default();
    let listed = json["troubles"].as_array().cloned().unwrap_or_default();
    let subject = |trouble: serde_json::Value| trouble["subject"].as_str().unwrap().to_owned();
    listed.into_iter().filter(|trouble| trouble["kind"] == kind).map(subject).collect()
}

/// What those who watch are told of what is wrong, each time.
fn trouble_events(scene: &Scene) -> impl Iterator<Item = serde_json::Value> {
    let lines = BufReader::new(request(scene, "/api/v1/events")).lines().map(Result::unwrap);
    let mut lines = lines.skip_while(|line| line != "event: snapshot").skip(1);
    std::iter::from_fn(move || {
        lines.find(|line| line == "event: trouble")?;
        let data = lines.next()?;
        serde_json::from_str(data.strip_prefix("data: ")?).ok()
    })
}

fn metric(scene: &Scene, kind: &str) -> Option<String> {
    let name = format!("bardo_trouble{{kind=\"{kind}\"}} ");
    get(scene, "/metrics").lines().find_map(|line| line.strip_prefix(&name).map(str::to_owned))
}

fn start(scene: &Scene, name: &str) {
    let parameters = [Value::from(name), Value::from(false)];
    scene.client().call("supervisor.startProcess", &parameters).unwrap();
}

#[test]
fn a_log_that_takes_nothing_is_told_of_until_it_takes() {
    let home = Home::new("trouble").unwrap();
    fs::create_dir(home.file("logs")).unwrap();
    let here = home.path().display().to_string();
    home.configure("", &SAY.replace("{here}", &here)).unwrap();
    let daemon = Daemon::start(executable(), &home).unwrap();
    let scene = Scene { daemon, home };
    fs::remove_dir(scene.home.file("logs")).unwrap();
    fs::write(scene.home.file("logs"), "").unwrap();
    let log = scene.home.file("logs").join("say.log").display().to_string();

    let mut watched = trouble_events(&scene);

    start(&scene, "say");

    let kinds = |told: serde_json::Value| told["troubles"][0]["kind"].clone();
    assert_eq!(watched.next().map(kinds), Some("log-target".into()));
    scene.wait("the trouble", || troubles(&scene, "log-target") == [log.clone()]);
    assert_eq!(metric(&scene, "log-target").as_deref(), Some("1"));
    scene.await_log(&format!("cannot write to {log}"));
    fs::remove_file(scene.home.file("logs")).unwrap();
    fs::create_dir(scene.home.file("logs")).unwrap();
    scene.wait("its end", || troubles(&scene, "log-target").is_empty());
    assert_eq!(metric(&scene, "log-target").as_deref(), Some("0"));
    assert_eq!(watched.next().map(kinds), Some(serde_json::Value::Null));
    scene.await_log(&format!("writing to {log} again"));
    scene.wait("the line", || fs::read_to_string(&log).is_ok_and(|text| text == "said\n"));
    assert_eq!(scene.log().matches(&format!("cannot write to {log}")).count(), 1);
}

#[test]
fn a_start_for_which_there_are_no_descriptors_is_told_of_until_it_succeeds() {
    let scene = open("", "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nautorestart=true\n");
    let before = scene.process("cat");
    // Until it has written to it, the supervisor has not opened its main log.
    scene.await_log("spawned: 'cat'");
    let supervisor = scene.supervisor().pid;
    let all = limits::get(Limited::Descriptors);
    // All numbers below are taken, and more than a poll has.
    let few = Limit { soft: 8, ..all };

    limits::set_of(supervisor, Limited::Descriptors, few).unwrap();
    home::send(before.pid, KILL).unwrap();

    // No new connection is answered for as long as this lasts.
    scene.await_log("spawnerr: too many open files to spawn 'cat'");
    limits::set_of(supervisor, Limited::Descriptors, all).unwrap();
    scene.await_log("'cat' is not short of anything any more");
    scene.until("cat", "RUNNING");
    assert_eq!(troubles(&scene, "shortage"), [""; 0]);
}

#[test]
fn a_pump_that_waits_for_a_file_is_told_of_until_it_goes_on() {
    let programs = "[program:cat]\ncommand=/bin/cat\nautostart=false\nstdout_logfile=AUTO\n\
                    stderr_logfile=NONE\n";
    let scene = open("", programs);
    let is_log = |name: &str| name.starts_with("cat-stdout---");
    let log = || {
        let entries = fs::read_dir(scene.home.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.into_iter().find(|name| is_log(name))
    };
    scene.wait("its log", || log().is_some());
    let log = log().unwrap();
    let holder = Holder::of(&scene.home, &log);

    // A new supervisor creates the logs that its predecessor may not have had the time for.
    scene.daemon.kill_supervisor().unwrap();

    scene.wait("the trouble", || troubles(&scene, "log-pump") == ["log-pump"]);
    assert!(get(&scene, "/api/v1/troubles").contains(&log));
    drop(holder);
    scene.wait("its end", || troubles(&scene, "log-pump").is_empty());
    scene.await_log("the log pump does not move: it waits for ");
    scene.await_log("the log pump goes on");
}

#[test]
fn those_who_watch_are_told_that_the_keeper_had_to_start_another_supervisor() {
    let scene = open("", "");

    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();

    assert_eq!(troubles(&scene, "keeper"), ["supervisor"]);
    let lines = BufReader::new(request(&scene, "/api/v1/events")).lines().map(Result::unwrap);
    let of_event = |line: &String| ["id: ", "event: "].iter().any(|start| line.starts_with(start));
    let told: Vec<String> = lines.filter(of_event).take(3).collect();
    assert_eq!(told[0], "event: snapshot");
    assert!(told[1].starts_with("id: "), "{told:?}");
    assert_eq!(told[2], "event: trouble");
}

#[test]
fn a_program_that_is_not_executed_yet_is_told_of_until_it_is() {
    let home = Home::new("stuck").unwrap();
    home::copy_executable(Path::new("/bin/cat"), &home.file("slow-cat")).unwrap();
    let here = home.path().display();
    let program = format!("[program:slow]\ncommand={here}/slow-cat\nstartsecs=0\n");
    home.configure("", &program).unwrap();
    let holder = Holder::of(&home, "slow-cat");
    let daemon = Daemon::start(executable(), &home).unwrap();
    let scene = Scene { daemon, home };

    scene.wait("the trouble", || troubles(&scene, "stuck-birth") == ["slow"]);
    drop(holder);
    scene.wait("its end", || troubles(&scene, "stuck-birth").is_empty());

    scene.until("slow", "RUNNING");
}
