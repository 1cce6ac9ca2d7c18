//! Who has come through a socket file, as the kernel tells it.
//!
//! Root and our own user may do everything. Of anybody else it is asked whether he is a
//! process of a service: his ancestors, his group and his session say that. A process is
//! held by a descriptor meanwhile, so that no later one of the same number passes for it.
//! Its ancestors cannot be held: who they are is read before the table is asked whose they
//! are and once more after that, and counts where both times they were the same.

use std::os::fd::{AsFd as _, OwnedFd};

use bardo_core::Pid;
use bardo_sys::poll::{self, Room};
use bardo_sys::stat::Stat;
use bardo_sys::{peer, process};

use super::connection::Socket;

/// Most ancestors that are looked at. A shell that runs a script that runs a tool has three.
const ANCESTORS_MAX: usize = 32;

/// A process and its ancestors as they were at a moment, with the times of their starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line(Vec<Stat>);

impl Line {
    fn of(pid: u32) -> Self {
        Self(Stat::line_of(pid).take(ANCESTORS_MAX).collect())
    }

    /// The process, its group, its session and its ancestors: a service is told by any of
    /// them. Empty when it has ended.
    pub(super) fn pids(&self) -> Vec<Pid> {
        let own = self.0.first().into_iter().flat_map(|stat| [stat.pid, stat.group, stat.session]);
        let parents = self.0.iter().map(|stat| stat.parent);
        own.chain(parents).filter(|pid| *pid > 1).map(Pid).collect()
    }
}

/// Who has come.
#[derive(Debug)]
pub(super) struct Peer {
    uid: u32,
    /// The number that the process had when it connected.
    pid: u32,
    /// The process itself, of those that may not do everything.
    process: Option<OwnedFd>,
}

impl Peer {
    /// Who is at the other end of a connection; `None` where nobody can say.
    pub(super) fn of(connection: &Socket) -> Option<Self> {
        let Socket::Unix(socket) = connection else { return None };
        let peer::Credentials { pid, uid } = peer::credentials(socket.as_fd()).ok()?;
        if may_do_everything(uid) {
            return Some(Self { uid, pid, process: None });
        }
        // An older kernel has only the number, which is that of the same process as long as
        // it has not ended since it has connected, some microseconds ago.
        let pidfd = peer::process(socket.as_fd()).or_else(|_| process::open(pid)).ok();
        Some(Self { uid, pid, process: pidfd.filter(|_| pid > 0) })
    }

    /// Its user.
    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether it is root or our own user.
    pub(super) fn is_owner(&self) -> bool {
        may_do_everything(self.uid)
    }

    /// The process and its ancestors now; nobody when it has ended. Of one that may do
    /// everything the number is believed: nothing is permitted for what is found.
    pub(super) fn line(&self) -> Line {
        if self.is_owner() && self.pid > 0 {
            return Line::of(self.pid);
        }
        let Some(pidfd) = &self.process else { return Line(Vec::new()) };
        let line = Line::of(self.pid);
        // While it lives its number is nobody else's, and so all of that was about it.
        let has_ended = poll::two(pidfd.as_fd(), None, Room(false), Some(0)).first;
        if has_ended { Line(Vec::new()) } else { line }
    }
}

fn may_do_everything(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[test]
    fn a_process_belongs_to_itself_and_to_its_parents() {
        let own = std::process::id();
        let child = std::process::Command::new("/bin/sh")
            .args(["-c", "read line"])
            .stdin(std::process::Stdio::piped())
            .spawn();
        let mut child = child.unwrap();

        let line = Line::of(child.id());
        let found = line.pids();

        assert_eq!(found[0], Pid(child.id()));
        assert!(found.contains(&Pid(own)), "{found:?}");
        assert_eq!(Line::of(child.id()), line, "all of them are there still");
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(Line::of(child.id()).pids().is_empty());
    }

    #[test]
    fn who_loses_his_parent_is_not_of_the_line_that_he_was_of() {
        // A shell that tells of a child of its own, which goes on when the shell has ended.
        let mut shell = std::process::Command::new("/bin/sh")
            .args(["-c", "sh -c 'echo $$; exec >&-; read line <&3' 3<&0 & read line"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let child = said.trim().parse().unwrap();
        let before = Line::of(child);
        assert!(before.pids().contains(&Pid(shell.id())), "{before:?}");

        let stdin = shell.stdin.take();
        shell.kill().unwrap();
        shell.wait().unwrap();

        assert_ne!(Line::of(child), before);
        drop(stdin);
    }
}
