//! The scripts of an Upstart job, run by a shell as Upstart runs them, with a clock and an
//! initctl that are told what to say.

use std::fs;
use std::process::Command;

use bardo::init::InitSystem as _;
use bardo::init::upstart::Upstart;
use tempfile::TempDir;

use super::stubs::service;

struct Job {
    room: TempDir,
    /// What the scripts call, as functions of a shell.
    tools: String,
    text: String,
}

impl Job {
    fn new() -> Self {
        let room = tempfile::tempdir().unwrap();
        let here = room.path().display();
        // Time passes only in `sleep`; after so many seconds somebody may stop the job. Functions
        // of the shell, because a minute is sixty calls.
        let tools = format!(
            "date() {{ read -r told <'{here}/now'; echo \"$told\"; }}\n\
             initctl() {{ read -r told <'{here}/state'; echo \"$told\"; }}\n\
             sleep() {{\n\
             read -r told <'{here}/now'\necho $((told + $1)) >'{here}/now'\n\
             if [ -e '{here}/stop-at' ]; then read -r stop <'{here}/stop-at'; else return 0; fi\n\
             [ $((told + $1)) -lt \"$stop\" ] || echo 'web stop/post-stop' >'{here}/state'\n}}\n"
        );
        fs::write(room.path().join("now"), "100000\n").unwrap();
        let job =
            Self { tools, text: Upstart.files(&service("web")).unwrap().remove(0).text, room };
        job.state("start/post-stop");
        job
    }

    fn state(&self, state: &str) {
        fs::write(self.room.path().join("state"), format!("web {state}, process 1\n")).unwrap();
    }

    fn now(&self) -> u64 {
        fs::read_to_string(self.room.path().join("now")).unwrap().trim().parse().unwrap()
    }

    fn pass(&self, seconds: u64) {
        fs::write(self.room.path().join("now"), format!("{}\n", self.now() + seconds)).unwrap();
    }

    /// Runs a script of the job; returns how many seconds that took.
    fn run(&self, name: &str) -> u64 {
        let script = self.text.split(&format!("{name} script\n")).nth(1).unwrap();
        let script = script.split("end script\n").next().unwrap();
        let before = self.now();
        let output = Command::new("sh")
            .args(["-e", "-c", &format!("{}{script}", self.tools)])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("UPSTART_JOB", "web")
            .env("PAUSES", self.pauses())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.now() - before
    }

    fn pauses(&self) -> std::path::PathBuf {
        self.room.path().join("pauses")
    }
}

#[test]
fn pauses_between_restarts_grow_to_a_minute_and_begin_anew_after_a_run() {
    let job = Job::new();
    let mut pauses = Vec::new();
    for _ in 0..50 {
        job.run("pre-start");
        pauses.push(job.run("post-stop"));
    }
    assert_eq!(pauses[..6], [1, 2, 4, 8, 16, 32]);
    assert_eq!(pauses[6..], [60; 44]);

    job.run("pre-start");
    job.pass(60);
    assert_eq!(job.run("post-stop"), 1);
}

#[test]
fn a_stop_has_no_pause_and_ends_one() {
    let job = Job::new();
    for _ in 0..5 {
        job.run("pre-start");
        job.run("post-stop");
    }
    job.run("pre-start");
    let stop_at = job.now() + 3;
    fs::write(job.room.path().join("stop-at"), format!("{stop_at}\n")).unwrap();

    assert_eq!(job.run("post-stop"), 3, "it would have been 32");
    assert!(!job.pauses().exists(), "the next start is the first");
    job.run("pre-start");
    assert_eq!(job.run("post-stop"), 0);
}
