//! The daemon under show: started, watched from outside, stopped.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bardo_sys::poll::{self, Room};
use bardo_sys::process;

use super::ask::Process;
use super::folder::Folder;

/// SIGTERM and SIGKILL.
const TERM: i32 = 15;
const KILL: i32 = 9;

/// How long the daemon may take to stop everything. Its programs end at once.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How the kernel calls the supervisor process.
const SUPERVISOR_NAME: &str = "bardo-superv";

/// The daemon.
#[derive(Debug)]
pub(super) struct Daemon {
    keeper: Child,
    keeper_fd: OwnedFd,
    supervisor: Option<(u32, OwnedFd)>,
    /// The programs' processes as they were last seen, to leave none behind.
    programs: HashMap<u32, OwnedFd>,
}

impl Daemon {
    /// Starts it, in a process group of its own: Ctrl-C is for the demo, which then
    /// stops it in order.
    pub(super) fn start(folder: &Folder) -> io::Result<Self> {
        let mut keeper = Command::new(folder.executable())
            .args(["supervisord", "-n", "-c"])
            .arg(folder.configuration())
            // The journal stays in the folder too, unless we are root.
            .env("XDG_RUNTIME_DIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        match process::open(keeper.id()) {
            Ok(keeper_fd) => {
                Ok(Self { keeper, keeper_fd, supervisor: None, programs: HashMap::new() })
            }
            Err(error) => {
                keeper.kill()?;
                keeper.wait()?;
                Err(error)
            }
        }
    }

    /// The keeper's number.
    pub(super) fn keeper(&self) -> u32 {
        self.keeper.id()
    }

    /// The supervisor's number, as it was last looked for.
    pub(super) fn supervisor(&self) -> u32 {
        self.supervisor.as_ref().map_or(0, |(pid, _)| *pid)
    }

    /// Readable once that supervisor has died.
    pub(super) fn supervisor_fd(&self) -> Option<BorrowedFd<'_>> {
        self.supervisor.as_ref().map(|(_, descriptor)| descriptor.as_fd())
    }

    /// Looks for the supervisor among the keeper's children. A program that is just
    /// being born has its name too, and is younger.
    pub(super) fn find_supervisor(&mut self) -> io::Result<()> {
        let children = children(self.keeper())?.into_iter();
        let eldest = children
            .filter(|(_, child)| child.name == SUPERVISOR_NAME)
            .min_by_key(|(pid, child)| (child.started, *pid));
        let (pid, _) = eldest.ok_or_else(|| io::Error::other("the keeper has no supervisor"))?;
        self.supervisor = Some((pid, process::open(pid)?));
        Ok(())
    }

    /// Says so when the keeper has ended by itself.
    pub(super) fn check(&mut self) -> io::Result<()> {
        match self.keeper.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!("the keeper has ended: {status}"))),
        }
    }

    /// Notes the programs' processes.
    pub(super) fn keep(&mut self, seen: &[Process]) {
        self.programs.retain(|pid, _| seen.iter().any(|process| process.pid == *pid));
        for process in seen.iter().filter(|process| process.pid != 0) {
            if !self.programs.contains_key(&process.pid)
                && let Ok(descriptor) = process::open(process.pid)
            {
                self.programs.insert(process.pid, descriptor);
            }
        }
    }

    /// Stops it as an init system would, and leaves no process behind.
    pub(super) fn stop(mut self) -> io::Result<()> {
        process::signal(self.keeper_fd.as_fd(), TERM)?;
        let within = u64::try_from(STOP_WITHIN.as_nanos()).unwrap_or(u64::MAX);
        let ended = poll::two(self.keeper_fd.as_fd(), None, Room(false), Some(within)).first;
        if !ended {
            process::signal(self.keeper_fd.as_fd(), KILL)?;
        }
        let status = self.keeper.wait()?;
        for descriptor in self.programs.values() {
            // Only when something went wrong before does one of them still live.
            process::signal(descriptor.as_fd(), KILL)?;
        }
        if ended && status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("the daemon did not stop as it should: {status}")))
    }
}

/// What /proc tells of a child.
#[derive(Debug, PartialEq, Eq)]
struct Kin {
    name: String,
    /// When it was cloned, in the kernel's ticks since boot.
    started: u64,
}

/// The living children of a process.
fn children(parent: u32) -> io::Result<Vec<(u32, Kin)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has just ended has no file any more.
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        found.extend(child_of(parent, &text).map(|child| (pid, child)));
    }
    Ok(found)
}

/// What the text of /proc/PID/stat tells, if that is a living child of `parent`.
fn child_of(parent: u32, text: &str) -> Option<Kin> {
    let (start, fields) = text.rsplit_once(')')?;
    let (_, name) = start.split_once('(')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let (state, its_parent, started) = (fields.first()?, fields.get(1)?, fields.get(19)?);
    let is_child = *state != "Z" && its_parent.parse() == Ok(parent);
    is_child.then(|| Some(Kin { name: name.to_owned(), started: started.parse().ok()? }))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_known_by_its_parent_whatever_its_name() {
        let stat = |start: &str| format!("{start} 9 9 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 345 0 0");

        let child = Kin { name: "a b) c".to_owned(), started: 345 };
        assert_eq!(child_of(7, &stat("9 (a b) c) S 7")), Some(child));
        assert_eq!(child_of(7, &stat("9 (a) S 8")), None);
        assert_eq!(child_of(7, &stat("9 (a) Z 7")), None);
    }
}
