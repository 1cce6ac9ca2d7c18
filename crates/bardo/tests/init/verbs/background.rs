//! What a script of SysV init starts: a service that goes to the background.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bardo::selftest::home::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::stubs::configuration;

struct Service {
    room: TempDir,
    place: PathBuf,
    name: String,
}

impl Service {
    fn new() -> Self {
        let name = format!("bardo-test-background-{}", std::process::id());
        let room = tempfile::tempdir().unwrap();
        let place = match rustix::process::geteuid().is_root() {
            true => PathBuf::from("/run").join(&name),
            false => room.path().join("place"),
        };
        fs::create_dir_all(&place).unwrap();
        let programs = "[program:sleeper]\ncommand=sleep 1000\nstartsecs=0\n";
        let text = format!("{}{programs}", configuration(room.path()));
        fs::write(room.path().join("c.conf"), text).unwrap();
        Self { room, place, name }
    }

    /// Starts it, and waits until that returns; its number.
    fn start(&self) -> Pid {
        let file = |name: &str| self.room.path().join(name);
        let status = Command::new(env!("CARGO_BIN_EXE_bardo"))
            .args(["--service-run", &self.name, "--background", "--config"])
            .arg(file("c.conf"))
            .arg("--pidfile")
            .arg(file("ready.pid"))
            .env("RUNTIME_DIRECTORY", &self.place)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0));
        self.pid().unwrap()
    }

    fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.room.path().join("ready.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    /// The number of its program.
    fn program(&self) -> String {
        let url = format!("unix://{}", self.room.path().join("s.sock").display());
        let words = ["supervisorctl", "-s", &url, "pid", "sleeper"];
        let output = Command::new(env!("CARGO_BIN_EXE_bardo")).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(pid) = self.pid().filter(|pid| is_there(*pid)) {
            let _ = kill_process(pid, Signal::TERM);
            // What does not end is killed below.
            let _ = wait_until("the end of the service", || !is_there(pid));
        }
        // What a test has left when it failed has this in its environment.
        let mark = format!("RUNTIME_DIRECTORY={}\0", self.place.display());
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw)
                && String::from_utf8_lossy(&environment).contains(&mark)
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// Whether a process has not ended yet: a zombie has, and has let go of its locks.
fn is_there(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

#[test]
fn a_start_after_its_keeper_was_killed_returns_and_keeps_the_programs() {
    let service = Service::new();
    let first = service.start();
    let program = service.program();

    kill_process(first, Signal::KILL).unwrap();
    wait_until("its end", || !is_there(first)).unwrap();
    let second = service.start();

    assert_ne!(first, second, "the pid file names the keeper that is there");
    assert_eq!(service.program(), program, "the program was not started again");
}
