//! What must be true during every fault, and scenes in which one can be made.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use bardo::selftest::home::{self, Daemon, Home};
use bardo_sys::faults::{Call, Gate};

use crate::scene::{KILL, Scene, executable};

/// A program that nothing is wrong with.
pub(crate) const OTHER: &str = "[program:other]\ncommand=/bin/cat\nstartsecs=0\n";

/// The last of the lines that [`writer`] writes: more than fits into a pipe.
pub(crate) const LINES: u32 = 40_000;

/// A program that writes numbered lines as fast as they are taken, and then does nothing.
pub(crate) fn writer(name: &str, log: &str, more: &str) -> String {
    format!(
        "[program:{name}]\ncommand=/bin/sh -c 'seq 1 {LINES}; exec cat'\nstartsecs=0\n\
         redirect_stderr=true\nstdout_logfile={log}\nstdout_logfile_maxbytes=0\n{more}\n"
    )
}

/// What [`writer`] has written when it has written everything.
pub(crate) fn all_lines() -> String {
    (1..=LINES).map(|number| format!("{number}\n")).collect()
}

/// A program that says its number and ends, again and again. A stop does not cut it short.
pub(crate) fn looper(log: &str) -> String {
    format!(
        "[program:loop]\ncommand=/bin/sh -c 'echo $$'\nstartsecs=0\nautorestart=true\n\
         autostart=false\nstopsignal=CONT\nredirect_stderr=true\n\
         stdout_logfile={log}\nstdout_logfile_maxbytes=0\n"
    )
}

/// A scene whose daemon is started with something changed; `None` where the system refuses
/// that, in so many words.
pub(crate) fn try_open(
    more: &str,
    programs: &str,
    prepare: impl FnOnce(&Home),
    change: impl FnOnce(&Home, &mut Command),
) -> Option<Scene> {
    let home = Home::new("faults").unwrap();
    let here = home.path().display().to_string();
    home.configure(more, &programs.replace("{here}", &here)).unwrap();
    prepare(&home);
    match Daemon::start_with(executable(), &home, |command| change(&home, command)) {
        Ok(daemon) => Some(Scene { daemon, home }),
        Err(error) if error.raw_os_error().is_some() => {
            eprintln!("skipped: this fault cannot be made here: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A scene whose daemon is behind a gate for these calls.
pub(crate) fn behind_gate(more: &str, programs: &str, calls: &[Call]) -> Option<(Scene, Gate)> {
    let home = Home::new("faults").unwrap();
    let here = home.path().display().to_string();
    home.configure(more, &programs.replace("{here}", &here)).unwrap();
    let mut gate = None;
    let daemon = Daemon::spawn_with(executable(), &home, |command| {
        gate = Some(Gate::before(command, calls).unwrap());
    });
    let daemon = match daemon {
        Ok(daemon) => daemon,
        Err(error) => {
            eprintln!("skipped: there is no filter of system calls here: {error}");
            return None;
        }
    };
    let gate = gate.unwrap().open().unwrap();
    let scene = Scene { daemon, home };
    scene.supervisor();
    Some((scene, gate))
}

/// What is wrong: kinds and subjects. Nothing where there is no answer.
fn troubles(scene: &Scene) -> Vec<(String, String)> {
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(scene.home.file("s.sock"))?;
        let head = "GET /api/v1/troubles HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()))
    };
    let Ok(body) = ask() else { return vec![("no answer".to_owned(), String::new())] };
    let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let listed = json["troubles"].as_array().unwrap();
    listed.iter().map(|one| (text(&one["kind"]), text(&one["subject"]))).collect()
}

impl Scene {
    /// The others are looked after: one that is killed is there again, and the API says so.
    pub(crate) fn expect_supervision(&self) {
        let before = self.process("other");
        home::send(before.pid, KILL).unwrap();
        self.wait("another process of `other`", || {
            let info = self.client().info("other").ok();
            info.is_some_and(|info| info.state == "RUNNING" && info.pid != before.pid)
        });
    }

    /// Waits until exactly this is wrong, as `/api/v1/troubles` tells it: kinds and subjects.
    pub(crate) fn await_troubles(&self, expected: &[(&str, &str)]) {
        self.await_those_troubles(expected, |_| true);
    }

    /// Like [`Self::await_troubles`], where a supervisor was killed at some time: that is told of
    /// for a minute.
    pub(crate) fn await_troubles_besides_a_kill(&self, expected: &[(&str, &str)]) {
        self.await_those_troubles(expected, |kind| kind != "keeper");
    }

    fn await_those_troubles(&self, expected: &[(&str, &str)], counts: impl Fn(&str) -> bool) {
        let mut seen = Vec::new();
        let is_so = |scene: &Self, seen: &mut Vec<(String, String)>| {
            *seen = troubles(scene);
            seen.retain(|(kind, _)| counts(kind));
            seen.iter().map(|(kind, subject)| (&**kind, &**subject)).eq(expected.iter().copied())
        };
        if home::wait_until("the troubles", || is_so(self, &mut seen)).is_err() {
            panic!("{seen:?} is wrong and not {expected:?}\n{}", self.log());
        }
    }

    /// A file of ours as the daemon sees it.
    pub(crate) fn seen(&self, name: &str) -> PathBuf {
        let path = self.home.file(name);
        let within = path.strip_prefix("/").unwrap();
        self.root().join(within)
    }

    /// The root of the file system as the daemon sees it.
    pub(crate) fn root(&self) -> PathBuf {
        format!("/proc/{}/root", self.daemon.keeper()).into()
    }

    /// Waits until all lines of a [`writer`] are in a file, each of them once.
    pub(crate) fn await_all_lines(&self, file: &Path) {
        let all = all_lines();
        self.wait(&format!("all lines in {}", file.display()), || {
            fs::metadata(file).is_ok_and(|there| there.len() >= all.len() as u64)
        });
        assert!(fs::read_to_string(file).unwrap() == all, "a line is missing, double or torn");
    }

    /// Waits until each life of a [`looper`] that was stopped has said its number in its
    /// log, once.
    pub(crate) fn await_all_loops(&self, file: &Path) {
        let numbers = || -> Vec<String> {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        };
        let lives = || self.said("exited: loop") + self.said("stopped: loop");
        self.wait("the log of each life", || numbers().len() == lives());
        let different: BTreeSet<String> = numbers().into_iter().collect();
        assert_eq!(different.len(), lives(), "{:?}\n{}", numbers(), self.log());
    }

    /// How often the main log has these words.
    pub(crate) fn said(&self, words: &str) -> usize {
        self.log().matches(words).count()
    }
}
