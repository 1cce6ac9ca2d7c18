//! The demo from its start to its end, as a user sees it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// How long anything may take before the test gives up: much longer than it does.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn programs_outlive_the_supervisor_and_nothing_outlives_the_demo() {
    let mut demo = Demo::start(&[]);
    let folder = PathBuf::from(demo.word_after("folder"));
    let keeper = demo.pid_after("keeper");
    let supervisor = demo.pid_after("supervisor");
    let url = demo.line("the URL", |line| line.contains("curl ")).replace("curl ", "");
    let before = demo.pids(": RUNNING, process ", 3);
    assert!(folder.join("supervisord.conf").is_file());
    let answer = get(url.trim());
    assert!(answer.contains(&format!("I am process {},", before["web"])), "{answer}");

    kill_process(pid(supervisor), Signal::KILL).expect("the supervisor is there");
    let line = demo.line("the successor", |line| line.contains("has taken over"));
    assert!(line.contains(&format!("the supervisor {supervisor} has died")), "{line}");
    assert!(line.contains("number 2"), "{line}");
    let successor = demo.pid_after("next: kill -9");
    assert_ne!(successor, supervisor);
    for name in ["web", "ticker"] {
        let kept = format!("{name} has kept its process {}", before[name]);
        assert!(demo.told(&kept), "{kept}: {:#?}", demo.lines);
    }
    let answer = get(url.trim());
    assert!(answer.contains(&format!("I am process {},", before["web"])), "{answer}");

    let mut there: Vec<u32> = vec![keeper, successor];
    there.extend(before.iter().filter(|(name, _)| *name != "crasher").map(|(_, pid)| *pid));
    let descriptors: Vec<_> = there
        .iter()
        .map(|number| pidfd_open(pid(*number), PidfdFlags::empty()).expect("it lives"))
        .collect();
    kill_process(demo.own_pid(), Signal::INT).expect("the demo is there");

    assert_eq!(demo.end(), Some(0));
    for (descriptor, number) in descriptors.iter().zip(there) {
        let gone = rustix::process::pidfd_send_signal(descriptor, Signal::CONT).is_err();
        assert!(gone, "process {number} is still there");
    }
    assert!(!folder.exists(), "the folder is still there");
}

#[test]
fn a_program_that_is_killed_comes_back() {
    let mut demo = Demo::start(&[]);
    let before = demo.pids(": RUNNING, process ", 3)["ticker"];

    kill_process(pid(before), Signal::KILL).expect("the program is there");
    let line = demo.line("its next life", |line| line.contains(&format!("ticker: {before} has")));

    assert!(line.contains("is in its place"), "{line}");
    kill_process(demo.own_pid(), Signal::TERM).expect("the demo is there");
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn the_time_can_be_set() {
    let mut demo = Demo::start(&["--for", "1"]);
    let folder = PathBuf::from(demo.word_after("folder"));

    assert_eq!(demo.end(), Some(0));
    assert!(!folder.exists(), "the folder is still there");
}

/// A demo that runs, and what it has said.
struct Demo {
    process: Child,
    said: Receiver<String>,
    lines: Vec<String>,
}

impl Demo {
    fn start(words: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_bardo"))
            .arg("demo")
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary can be run");
        let stdout = process.stdout.take().expect("it is a pipe");
        Self { process, said: listen(stdout), lines: Vec::new() }
    }

    /// Waits for a line; a former one will do as well.
    fn line(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        if let Some(line) = self.lines.iter().find(|line| is_it(line)) {
            return line.clone();
        }
        loop {
            let Ok(line) = self.said.recv_timeout(PATIENCE) else {
                panic!("the demo has not told {what}: {:#?}", self.lines);
            };
            self.lines.push(line.clone());
            if is_it(&line) {
                return line;
            }
        }
    }

    fn word_after(&mut self, start: &str) -> String {
        let line = self.line(start, |line| line.trim_start().starts_with(start));
        let rest = line.trim_start().trim_start_matches(start).trim_start();
        rest.split_whitespace().next().expect("something stands there").to_owned()
    }

    fn pid_after(&mut self, start: &str) -> u32 {
        self.word_after(start).parse().expect("a process number")
    }

    /// The processes of so many programs, from lines with those words in them.
    fn pids(&mut self, words: &str, count: usize) -> BTreeMap<String, u32> {
        let mut found = BTreeMap::new();
        while found.len() < count {
            let known: Vec<String> = found.keys().cloned().collect();
            let line = self.line("a program", |line| {
                line.contains(words) && !known.iter().any(|name| line.contains(name.as_str()))
            });
            let (name, pid) = line.split_once(words).expect("the line has them");
            let name = name.split_whitespace().last().expect("a name").to_owned();
            found.insert(name, pid.parse().expect("a process number"));
        }
        found
    }

    fn told(&self, words: &str) -> bool {
        self.lines.iter().any(|line| line.ends_with(words))
    }

    fn own_pid(&self) -> Pid {
        pid(self.process.id())
    }

    /// Waits for its end: its output ends only with all that could write to it.
    fn end(&mut self) -> Option<i32> {
        while let Ok(line) = self.said.recv_timeout(PATIENCE) {
            self.lines.push(line);
        }
        self.process.wait().expect("it is our child").code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // A test that failed leaves none behind.
        if let Ok(None) = self.process.try_wait() {
            let _ = kill_process(self.own_pid(), Signal::TERM);
            let _ = self.process.wait();
        }
    }
}

fn listen(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn pid(number: u32) -> Pid {
    i32::try_from(number).ok().and_then(Pid::from_raw).expect("a process number")
}

/// What the web server at that address says.
fn get(url: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address.trim_end_matches('/')).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time is given");
    write!(stream, "GET / HTTP/1.0\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
