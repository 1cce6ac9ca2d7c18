//! Who may speak for a service on its notify socket, which everybody on the machine reaches.
//!
//! A sender is one of the service's own when the kernel says so: by the cgroup of the life,
//! and where it has none, by its session, its process group or its parents. One thing
//! surprises a newcomer: a message outlives its sender. Of one that has ended nothing is
//! left but its user, so then the service's user is believed, and root. systemd believes
//! the same.
//!
//! To look at a stranger costs more than to hear one of the service's own. So who was
//! refused is not looked at again for a while.

use std::collections::VecDeque;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use bardo_sys::cgroup::{Owner, Root};
use bardo_sys::control::Peer;
use bardo_sys::process;
use bardo_sys::stat::Stat;

/// For whom somebody speaks.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    /// The process that was started.
    pub(super) pid: u32,
    /// The user that it was started as.
    pub(super) uid: u32,
    /// The cgroup of its life, where it has one.
    pub(super) nest: Option<Nest>,
}

/// The cgroup of a life.
#[derive(Debug, Clone)]
pub(super) struct Nest {
    pub(super) root: Arc<Root>,
    pub(super) owner: Owner,
}

/// Most parents that are asked for. A shell that runs a script that runs a tool has three.
const PARENTS_MAX: usize = 8;

/// Most strangers that are remembered, for each service.
const STRANGERS_MAX: usize = 16;

/// How long: so short that no number becomes another process's meanwhile.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Who was refused a moment ago, and until when that is remembered.
#[derive(Debug, Default)]
pub(super) struct Strangers(VecDeque<(u32, u64)>);

impl Strangers {
    /// Whether somebody is remembered.
    pub(super) fn have(&mut self, pid: u32, now: u64) -> bool {
        while self.0.front().is_some_and(|(_, until)| *until <= now) {
            self.0.pop_front();
        }
        self.0.iter().any(|(stranger, _)| *stranger == pid)
    }

    /// Somebody was refused.
    pub(super) fn add(&mut self, pid: u32, now: u64) {
        if self.0.len() == STRANGERS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((pid, now + u64::try_from(REMEMBERED.as_nanos()).unwrap_or(0)));
    }
}

/// Whether what `sender` says is heard as said by `principal`.
pub(super) fn may_speak(sender: &Peer, principal: &Principal) -> bool {
    if sender.pid == principal.pid {
        return true;
    }
    let is_own = match &principal.nest {
        Some(nest) => is_in(sender.pid, nest),
        None => is_near(sender.pid, principal.pid),
    };
    match is_own.filter(|_| is_there(sender)) {
        Some(is_own) => is_own,
        None => sender.uid == principal.uid || sender.uid == 0,
    }
}

/// Whether the process of that number is still the one that has sent the message.
fn is_there(sender: &Peer) -> bool {
    let pidfd = sender.pidfd.as_ref();
    pidfd.is_none_or(|pidfd| process::signal(pidfd.as_fd(), 0).unwrap_or(true))
}

/// Whether a process is in the cgroup of a life; `None` where there is no such process any
/// more.
fn is_in(sender: u32, nest: &Nest) -> Option<bool> {
    match nest.root.owner_of(sender) {
        Owner::Unknown => None,
        owner => Some(owner == nest.owner),
    }
}

/// Whether a process is of the session, of the group or of the children of another; `None`
/// where there is no such process any more.
fn is_near(sender: u32, principal: u32) -> Option<bool> {
    let mut line = Stat::line_of(sender).take(PARENTS_MAX).peekable();
    let first = line.peek()?;
    let is_near = first.session == principal || first.group == principal;
    Some(is_near || line.any(|stat| stat.parent == principal))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn sender(pid: u32) -> Peer {
        by(pid, own_uid())
    }

    fn by(pid: u32, uid: u32) -> Peer {
        Peer { pid, uid, gid: 0, pidfd: process::open(pid).ok() }
    }

    /// One without a cgroup of its own.
    fn of(pid: u32, uid: u32) -> Principal {
        Principal { pid, uid, nest: None }
    }

    fn ourselves() -> Principal {
        of(std::process::id(), own_uid())
    }

    /// A shell that leads a group and waits, and a child of it that says that it is there.
    fn family() -> (Child, u32) {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "sleep 600 & echo $!; exec >&-; wait"])
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut byte = [0];
        let mut stdout = shell.stdout.take().unwrap();
        while stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            said.push(char::from(byte[0]));
        }
        (shell, said.parse().unwrap())
    }

    fn end((mut shell, child): (Child, u32)) {
        let pid = rustix::process::Pid::from_raw(child.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn a_service_speaks_for_itself_and_so_do_its_children_and_theirs() {
        let (shell, child) = family();

        assert!(may_speak(&sender(std::process::id()), &ourselves()));
        assert!(may_speak(&sender(shell.id()), &ourselves()), "its child");
        assert!(may_speak(&sender(child), &ourselves()), "its child's child");
        let of_shell = of(shell.id(), own_uid());
        assert!(may_speak(&sender(child), &of_shell), "one of its group");
        end((shell, child));
    }

    #[test]
    fn nobody_else_speaks_for_a_service_whoever_it_is() {
        let (shell, child) = family();
        let of_child = of(child, own_uid());

        assert!(!may_speak(&sender(std::process::id()), &of_child), "its grandparent");
        assert!(!may_speak(&by(1, 0), &of_child), "the first process");
        end((shell, child));
    }

    #[test]
    fn of_a_sender_that_has_ended_the_user_is_asked() {
        let mut short = Command::new("/bin/true").spawn().unwrap();
        short.wait().unwrap();
        let pid = short.id();
        let of_user = |uid| of(std::process::id(), uid);

        assert!(may_speak(&by(pid, 71), &of_user(71)));
        assert!(may_speak(&by(pid, 0), &of_user(71)));
        assert!(!may_speak(&by(pid, 72), &of_user(71)));
    }

    #[test]
    fn where_there_is_a_cgroup_it_alone_says_who_belongs_to_a_service() {
        let name = format!("bardo-senders-{}", std::process::id());
        // Not everybody may make cgroups, and not everywhere.
        let Ok(root) = Root::open(&name) else { return };
        let leaf = root.leaf("web", 3).unwrap();
        let (shell, child) = family();
        let procs = leaf.path().join("cgroup.procs");
        std::fs::write(procs, child.to_string()).unwrap();
        let root = Arc::new(root);
        let nest = |number| {
            let owner = Owner::Life("web".to_owned(), number);
            Some(Nest { root: Arc::clone(&root), owner })
        };
        let of_life = |number| Principal { nest: nest(number), ..ourselves() };

        assert!(may_speak(&sender(child), &of_life(3)));
        assert!(!may_speak(&sender(child), &of_life(4)), "in that of another life");
        assert!(!may_speak(&sender(shell.id()), &of_life(3)), "a child that is not in it");
        assert!(may_speak(&sender(std::process::id()), &of_life(3)), "the one that was started");
        end((shell, child));
        assert!(leaf.becomes_empty(Duration::from_secs(60)));
        root.remove();
    }

    #[test]
    fn a_stranger_is_remembered_for_a_moment() {
        let mut strangers = Strangers::default();
        let moment = u64::try_from(REMEMBERED.as_nanos()).unwrap();

        strangers.add(7, 0);

        assert!(strangers.have(7, moment - 1));
        assert!(!strangers.have(8, 0));
        assert!(!strangers.have(7, moment));
        for pid in 0..100 {
            strangers.add(pid, 0);
        }
        assert_eq!(strangers.0.len(), STRANGERS_MAX);
    }
}
