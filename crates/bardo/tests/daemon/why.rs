//! `bardo status`, `bardo why` and `bardo events`, of a real supervisor that is killed
//! meanwhile.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use bardo::selftest::home;
use serde_json::Value;

use crate::scene::{CAT, INT, KILL, Scene, TERM, executable, open};

/// A program that is found nowhere, and is tried often enough to be seen.
const BAD: &str = "[program:bad]\ncommand=/nowhere/bad\nstartretries=20\n";

fn tool(scene: &Scene, words: &[&str]) -> Command {
    let mut command = Command::new(executable());
    command.args(words).arg("--socket").arg(scene.home.file("s.sock"));
    command
}

fn run(scene: &Scene, words: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = tool(scene, words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// What was decided about a service: the words for it.
fn words(scene: &Scene, name: &str) -> Vec<String> {
    let (code, stdout, stderr) = run(scene, &["why", name, "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let why: Value = serde_json::from_str(&stdout).unwrap();
    let decisions = why["decisions"].as_array().unwrap().iter();
    decisions.map(|decided| decided["what"].as_str().unwrap().to_owned()).collect()
}

/// `bardo events --follow --json`, as it is read.
struct Follower {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn open(scene: &Scene) -> Self {
        let mut command = tool(scene, &["events", "--follow", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads on until this was decided about a service, and says what was told of it.
    fn until(&mut self, name: &str, what: &str) -> Vec<Value> {
        let mut told = Vec::new();
        loop {
            let line = self.lines.next().expect("it goes on").unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            let is_last = event["name"] == name && event["what"] == what;
            if event["name"] == name && event["type"] == "decision" {
                told.push(event);
            }
            if is_last {
                return told;
            }
        }
    }

    /// Ends it with a signal and says how it ended and what it had to say.
    fn end(mut self, signal: i32) -> (Option<i32>, String) {
        home::send(self.child.id(), signal).unwrap();
        self.lines.by_ref().for_each(drop);
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

/// A number of each event.
fn of_each(events: &[Value], name: &str) -> Vec<u64> {
    events.iter().map(|event| event[name].as_u64().unwrap()).collect()
}

#[test]
fn every_state_is_told_with_its_reason() {
    let programs = format!(
        "{CAT}{BAD}[program:once]\ncommand=/bin/true\nstartsecs=0\nautorestart=false\n\
         [program:idle]\ncommand=/bin/cat\nautostart=false\n"
    );
    let scene = open("", &programs);
    scene.until("cat", "RUNNING");
    scene.until("once", "EXITED");
    scene.wait("a failed start", || words(&scene, "bad").contains(&"waits".to_owned()));

    let (code, stdout, _) = run(&scene, &["status"]);

    let rows: Vec<&str> = stdout.lines().collect();
    assert_eq!((code, rows.len()), (0, 4), "{stdout}");
    assert!(rows[1].starts_with("cat   RUNNING   runs since "), "{stdout}");
    assert!(rows[1].contains(", ready after "), "{stdout}");
    assert_eq!(rows[2], "idle  STOPPED   not started yet: nobody has asked for it");
    assert!(rows[3].starts_with("once  EXITED    stays down: exit status 0 at "), "{stdout}");

    scene.client().about("stopProcess", "cat").unwrap();
    let (_, stdout, _) = run(&scene, &["status", "cat"]);
    assert!(stdout.starts_with("cat  STOPPED   stopped at "), "{stdout}");
    assert!(stdout.contains("a client asked, terminated by SIGTERM"), "{stdout}");
}

#[test]
fn a_name_of_which_nothing_is_known_is_told_of() {
    let scene = open("", CAT);

    let (code, stdout, stderr) = run(&scene, &["status", "nobody", "cat", "cat:*", "--json"]);
    let services: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, services.as_array().unwrap().len()), (1, 2));
    assert_eq!(
        stderr,
        "bardo: status: nothing is known of nobody; bardo status lists all services\n"
    );
    let (code, _, stderr) = run(&scene, &["why", "nobody"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("nothing is known of nobody"), "{stderr}");
}

#[test]
fn where_nobody_answers_that_is_said_with_the_place() {
    for words in [&["status"][..], &["why", "x"], &["events"], &["events", "--follow"]] {
        let output = Command::new(executable())
            .args(words)
            .args(["--socket", "/nowhere/s.sock"])
            .output()
            .unwrap();

        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{words:?}: {stderr}");
        assert!(stderr.contains("no supervisor answers at unix:///nowhere/s.sock"), "{stderr}");
    }
}

#[test]
fn decisions_outlive_the_supervisor() {
    let scene = open("", CAT);
    let cat = scene.process("cat");
    home::send(cat.pid, KILL).unwrap();
    let story = ["start", "executed", "ready", "ended", "start", "executed", "ready"];
    scene.wait("a restart", || words(&scene, "cat") == story);
    let (_, before, _) = run(&scene, &["why", "cat"]);

    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();

    let (code, after, _) = run(&scene, &["why", "cat"]);
    assert_eq!((code, &after), (0, &before));
    assert!(after.contains("ended: terminated by SIGKILL"), "{after}");
    let (_, events, _) = run(&scene, &["events"]);
    assert_eq!(events.lines().count(), story.len(), "{events}");
}

/// Row 65 of the contract: down, then up with a new endpoint, for each restart.
#[test]
fn row_65_a_follower_sees_each_restart_in_order_and_through_the_death_of_the_supervisor() {
    let scene = open("", CAT);
    scene.process("cat");
    let mut follower = Follower::open(&scene);
    follower.until("cat", "ready");
    let (mut numbers, mut endpoints) = (Vec::new(), Vec::new());

    for round in 0..6 {
        if round % 2 == 1 {
            scene.daemon.kill_supervisor().unwrap();
            scene.supervisor();
        }
        home::send(scene.process("cat").pid, KILL).unwrap();
        let told = follower.until("cat", "ready");

        let story: Vec<&str> = told.iter().map(|event| event["what"].as_str().unwrap()).collect();
        assert_eq!(story, ["ended", "start", "executed", "ready"], "round {round}");
        numbers.extend(of_each(&told, "number"));
        endpoints.extend(of_each(&told, "endpoint"));
        let [down, up] = [0, 1].map(|place| endpoints[endpoints.len() - 4 + place]);
        assert_ne!(down, up, "it has a new endpoint");
    }

    assert!(numbers.is_sorted() && endpoints.is_sorted());
    assert_eq!(follower.end(INT), (Some(130), String::new()));
    // The same, for those who ask later.
    let (_, kept, _) = run(&scene, &["events", "--json"]);
    let kept: Vec<u64> = kept
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["number"].as_u64().unwrap())
        .collect();
    assert_eq!(kept, numbers[numbers.len() - 20..]);
}

#[test]
fn a_follower_ends_with_the_supervisor() {
    let mut scene = open("", CAT);
    scene.process("cat");
    let mut follower = Follower::open(&scene);
    follower.until("cat", "ready");

    scene.daemon.signal_keeper(TERM).unwrap();

    let rest: Vec<String> = follower.lines.by_ref().map(Result::unwrap).collect();
    let output = follower.child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), &*stderr),
        (Some(0), "bardo: events: the supervisor has ended\n")
    );
    assert!(rest.iter().all(|line| line.contains("\"type\":\"")), "{rest:?}");
    scene.daemon.wait().unwrap();
}

#[test]
fn a_follower_whom_nobody_reads_ends() {
    let scene = open("", CAT);
    scene.process("cat");
    let Follower { mut child, mut lines } = Follower::open(&scene);
    lines.next().unwrap().unwrap();
    drop(lines);

    scene.wait("its end", || {
        // It notices when it has something to say.
        scene
            .client()
            .about("stopProcess", "cat")
            .or_else(|_| scene.client().about("startProcess", "cat"))
            .unwrap();
        child.try_wait().unwrap().is_some()
    });

    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_has_left_the_table_is_told_until_its_name_is_used_again() {
    let scene = open("", CAT);
    scene.process("cat");
    scene.client().about("stopProcess", "cat").unwrap();
    scene.client().about("removeProcessGroup", "cat").unwrap();

    let (code, stdout, _) = run(&scene, &["why", "cat"]);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("cat is not in the table any more; at "), "{stdout}");
    assert!(stdout.contains("stopped as it was told: terminated by SIGTERM"), "{stdout}");
    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();
    assert_eq!(run(&scene, &["why", "cat"]).1, stdout);

    scene.client().about("addProcessGroup", "cat").unwrap();
    scene.until("cat", "RUNNING");

    scene.wait("a new story", || words(&scene, "cat") == ["start", "executed", "ready"]);
}

#[test]
fn a_configuration_says_which_supervisor_is_meant() {
    let scene = open("", CAT);
    scene.process("cat");
    let file = scene.home.file("supervisord.conf");
    assert!(fs::exists(&file).unwrap());

    let output = Command::new(executable()).args(["status", "-c"]).arg(file).output().unwrap();

    assert!(String::from_utf8(output.stdout).unwrap().starts_with("cat  RUNNING "));
}
