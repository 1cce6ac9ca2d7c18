//! The limits of a service are changed while it runs.
//!
//! What its cgroup limits is changed there; what each process has by itself is changed of all
//! that are in the cgroup, or in the session where there is none. Both are done beside the
//! control thread.
//!
//! What surprises a newcomer: a number may be another's by the time it is used, so processes
//! are held, and for that there may be no descriptor. What was not done for want of one is
//! told, and is not noted as done: the same edit does it another time.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bardo_core::spec::care::Confinement;
use bardo_core::{ServiceId, Supervisor};
use bardo_sys::cgroup::{self, Absent, Leaf, Root};
use bardo_sys::process;
use bardo_sys::setup::Setup;
use bardo_sys::spawn::ChildError;
use bardo_sys::stat::Stat;
use bardo_sys::tree::Tree;
use rustix::io::Errno;

use super::super::children::Life;
use super::super::errands::Done;
use super::super::main_log::Level;
use super::super::world::Machine;
use super::limits::Limit;
use super::{limits, setup};
use crate::names::namespec;
use crate::words::errno;

/// What a service has come to be confined to.
#[derive(Debug)]
pub(in crate::daemon) struct Changed {
    service: ServiceId,
    /// Its label.
    label: String,
    /// What was asked for.
    asked: Arc<Confinement>,
    /// What is so now; other than that where there was no descriptor for it.
    now: Arc<Confinement>,
    /// What is not enforced.
    short: Vec<String>,
}

/// What is to be changed of a tree.
struct Change {
    before: Arc<Confinement>,
    now: Arc<Confinement>,
    /// Its cgroup, and what that is below.
    leaf: Option<Leaf>,
    root: Result<Arc<Root>, Arc<Absent>>,
    wanted: Vec<Limit>,
    /// Its leader, if it could be held.
    leader: io::Result<OwnedFd>,
    pid: u32,
    /// What is different for each process.
    setup: Arc<Setup>,
}

/// Processes that are held.
#[derive(Debug, Default)]
struct Held {
    members: Vec<(OwnedFd, u32)>,
    /// Why there may be others.
    missed: Option<io::Error>,
}

impl Machine {
    /// A service was edited: its running process is given the limits that are asked for now.
    pub(in crate::daemon) fn confine_anew(&mut self, supervisor: &Supervisor, id: ServiceId) {
        let Some(service) = supervisor.service(id) else { return };
        let Some(care) = &service.spec.program.care else {
            self.trees.empty.extend(self.trees.ahead.forget_next(id));
            return;
        };
        let life = Life { service: id, generation: service.generation };
        let now = &care.confinement;
        let label = namespec(&service.group, &service.spec.name);
        let unwanted = self.trees.ahead.edited(id, &label, now, !service.lives_once());
        // Its place may be wanted in this turn.
        if let Some(leaf) = unwanted {
            let _ = leaf.remove_if_empty();
        }
        let before = self.trees.confined.insert(id, Arc::clone(now)).unwrap_or_default();
        if before == *now {
            return;
        }
        let short = self.expected_shortcomings(now);
        self.are_unenforced(id, &label, short);
        let Some((pid, child)) = self.children.get(life) else { return };
        // One that has none has ended.
        let Some(leader) = &child.pidfd else { return };
        // Its number may be another's by the time it is looked for.
        let leader = leader.try_clone();
        let descriptors = self.planner.descriptors();
        let mut wanted = limits::lifted(&before, now);
        wanted.extend(limits::asked(now));
        let leaf = self.trees.leaf(&label, life);
        let change = Change {
            setup: setup::changed(&before, now, descriptors).setup,
            before: Arc::clone(&before),
            now: Arc::clone(now),
            root: self.trees.root().map(Arc::clone).map_err(Arc::clone),
            leaf,
            wanted,
            leader,
            pid,
        };
        let short = self.planner.prepared(now).shortcomings.to_vec();
        let (asked, told) = (Arc::clone(now), label.clone());
        let work = move || {
            let (now, short) = change.carry_out(short);
            Done::Changed(Changed { service: id, label: told, asked, now, short })
        };
        if let Err(error) = self.errands.begin("limits", work) {
            self.trees.confined.insert(id, before);
            let text = format!("{label}: its limits cannot be changed now: {error}");
            self.log(Level::Warn, &text);
        }
    }

    /// What has come of changing the limits of a running service.
    pub(in crate::daemon) fn was_confined(&mut self, changed: Changed) {
        let Changed { service, label, asked, now, short } = changed;
        // It may have been edited again, or its next life has all that was asked for.
        if let Some(known) = self.trees.confined.get_mut(&service).filter(|it| **it == asked) {
            *known = now;
        }
        self.are_unenforced(service, &label, short);
    }

    fn are_unenforced(&mut self, service: ServiceId, label: &str, short: Vec<String>) {
        if self.trees.shortcomings(service) != short {
            self.regret_shortcomings(label, &short);
        }
        self.trees.falls_short(service, short);
    }
}

impl Change {
    /// Changes what can be changed: what is so now, and what of that is not enforced besides
    /// what is known of that.
    fn carry_out(self, mut short: Vec<String>) -> (Arc<Confinement>, Vec<String>) {
        let limited = self.limit(&mut short);
        let done = self.change_each(&mut short);
        let now = match (limited, done) {
            (Whole::Yes, Whole::Yes) => self.now,
            (Whole::No, Whole::No) => self.before,
            (Whole::Yes, Whole::No) => limits::mixed(&self.now, &self.before).into(),
            (Whole::No, Whole::Yes) => limits::mixed(&self.before, &self.now).into(),
        };
        (now, short)
    }

    /// Changes what the cgroup limits.
    fn limit(&self, short: &mut Vec<String>) -> Whole {
        let mut whole = Whole::Yes;
        match (&self.root, &self.leaf) {
            (Ok(root), Some(leaf)) => {
                for (limit, refusal) in limits::set_all(root, leaf, &self.wanted) {
                    short.push(limits::unenforced(&limit, &refusal));
                    whole = whole.unless(refusal.shortage().is_some());
                }
                let (before, now) = (self.before.nice, self.now.nice);
                limits::weigh(root, leaf, (before != now).then(|| now.unwrap_or(0)));
            }
            (Err(absent), _) => {
                let say = |limit| limits::unenforced(limit, absent);
                short.extend(self.wanted.iter().map(say));
                whole = whole.unless(absent.shortage().is_some());
            }
            (Ok(_), None) => {
                let at_next = |limit: &Limit| {
                    format!("{} {} takes effect at its next start", limit.name, limit.value)
                };
                short.extend(self.wanted.iter().map(at_next));
            }
        }
        whole
    }

    /// Changes every process of the tree. What is refused is said once, beginning with the
    /// words of `system.conf` that it is about; what was known before stays.
    fn change_each(&self, short: &mut Vec<String>) -> Whole {
        let nothing = Setup { new_session: true, ..Setup::default() };
        if *self.setup == nothing {
            return Whole::Yes;
        }
        let mut say = |words: Vec<&str>, why: String| {
            for word in words {
                if !short.iter().any(|known| known.starts_with(word)) {
                    short.push(format!("{word} takes effect at the next start, because {why}"));
                }
            }
        };
        let Held { members, mut missed } = match (&self.leaf, &self.leader) {
            (Some(leaf), _) => in_leaf(leaf),
            (None, Ok(leader)) => in_session((leader.as_fd(), self.pid)),
            (None, Err(error)) => Held { missed: Some(copy(error)), ..Held::default() },
        };
        for (pidfd, pid) in members {
            if let Err(ChildError::Failed(step, number)) = self.setup.change(pidfd.as_fd(), pid) {
                let error = io::Error::from_raw_os_error(number);
                if cgroup::is_shortage(&error) {
                    missed = missed.or(Some(error));
                    continue;
                }
                let why = format!("the kernel refuses it now ({})", errno::name(number));
                say(setup::words_of(&self.setup, step), why);
            }
        }
        let Some(error) = missed else { return Whole::Yes };
        let why = error.raw_os_error().map_or_else(|| error.to_string(), errno::name);
        say(setup::words(&self.setup), format!("its processes cannot be held now ({why})"));
        Whole::No
    }
}

/// Whether all was done that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    /// There was no descriptor or no memory for it.
    No,
}

impl Whole {
    fn unless(self, is_short: bool) -> Self {
        if is_short { Self::No } else { self }
    }
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Those in a leaf, held: who was there under that number before it was held and after.
fn in_leaf(leaf: &Leaf) -> Held {
    let mut held = Held::default();
    match leaf.processes() {
        Ok(there) => {
            for pid in there {
                let pidfd = held.hold(pid);
                held.members.extend(pidfd.map(|pidfd| (pidfd, pid)));
            }
        }
        Err(error) => held.missed = Some(error),
    }
    match leaf.processes() {
        Ok(after) => {
            let after: BTreeSet<u32> = after.into_iter().collect();
            held.members.retain(|(_, pid)| after.contains(pid));
        }
        Err(error) => held = Held { missed: Some(error), ..Held::default() },
    }
    held
}

/// Those of a leader's session, held. Nobody where the leader has gone: its number, and so
/// its session, may be another's.
fn in_session((pidfd, leader): (BorrowedFd<'_>, u32)) -> Held {
    let mut held = Held::default();
    let members = Tree::of(leader).and_then(|tree| tree.members());
    if !is_there(pidfd) {
        return held;
    }
    let members = match members {
        Ok(members) => members,
        Err(error) => return Held { missed: Some(error), ..held },
    };
    for before in members {
        let Some(pidfd) = held.hold(before.pid) else { continue };
        match Stat::of(before.pid) {
            Some(now) if now.started == before.started => held.members.push((pidfd, before.pid)),
            None if is_there(pidfd.as_fd()) => held.missed = Some(Errno::MFILE.into()),
            Some(_) | None => {}
        }
    }
    held
}

fn is_there(pidfd: BorrowedFd<'_>) -> bool {
    process::signal(pidfd, 0).is_ok_and(|is_there| is_there)
}

impl Held {
    fn hold(&mut self, pid: u32) -> Option<OwnedFd> {
        match process::open(pid) {
            Ok(pidfd) => return Some(pidfd),
            Err(error) if cgroup::is_shortage(&error) => self.missed = Some(error),
            // It has gone.
            Err(_) => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confinement(nice: i32, pids: u64) -> Arc<Confinement> {
        let (nice, pids_max) = (Some(nice), Some(pids));
        Arc::new(Confinement { nice, pids_max, ..Confinement::default() })
    }

    /// An edit of nice value and number of processes.
    fn change(absent: Absent, leader: io::Result<OwnedFd>) -> Change {
        let (before, now) = (confinement(1, 10), confinement(5, 50));
        Change {
            wanted: limits::asked(&now),
            before,
            now,
            leaf: None,
            root: Err(Arc::new(absent)),
            leader,
            pid: std::process::id(),
            setup: Arc::new(Setup { new_session: true, nice: Some(5), ..Setup::default() }),
        }
    }

    fn shortage() -> io::Error {
        Errno::MFILE.into()
    }

    #[test]
    fn processes_for_which_there_is_no_descriptor_are_as_before_and_the_cgroup_is_not() {
        let change = change(Absent::NotMounted, Err(shortage()));

        let (now, short) = change.carry_out(Vec::new());

        assert_eq!(now, confinement(1, 50));
        assert!(short[0].starts_with("pids 50 is not enforced"), "{short:?}");
        assert_eq!(
            short[1],
            "nice takes effect at the next start, because its processes cannot be held now (EMFILE)"
        );
    }

    #[test]
    fn what_neither_the_cgroup_nor_its_processes_have_got_is_asked_for_another_time() {
        let change = change(Absent::Unseen(shortage()), Err(shortage()));

        let (now, short) = change.carry_out(Vec::new());

        assert_eq!((now, short.len()), (confinement(1, 10), 2));
    }

    #[test]
    fn a_cgroup_that_cannot_be_had_at_all_is_no_reason_to_ask_again() {
        let own = process::open(std::process::id()).unwrap();
        let nothing = Setup { new_session: true, ..Setup::default() };
        let change = Change { setup: Arc::new(nothing), ..change(Absent::NotMounted, Ok(own)) };

        let (now, _) = change.carry_out(Vec::new());

        assert_eq!(now, confinement(5, 50));
    }
}
