//! What belongs to a life beside its process: all that it has started. A service that is
//! cared for has none of it left over when its next life begins.
//!
//! Each such life leads a session of its own, and where cgroups of version 2 can be made it
//! is born in one: nobody escapes from that. Elsewhere the session is what there is, and who
//! leaves it is not found. Plain programs of Supervisor have neither, and are left alone.
//!
//! What surprises a newcomer: to kill is not to be rid of. A process that was killed holds
//! its port and its memory for a moment longer, so the next start waits until the tree is
//! empty, which is seen on a thread beside this one.

mod ahead;
mod births;
mod edits;
mod limits;
mod memory;
mod setup;
mod sweeps;

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bardo_core::ServiceId;
use bardo_core::spec::care::Confinement;
use bardo_sys::cgroup::{Absent, Leaf, Places, Root};
use bardo_sys::stat::Stat;
use bardo_sys::tree::Tree;

use self::ahead::Ahead;
pub(super) use self::ahead::left_from;
pub(super) use self::births::Nest;
pub(super) use self::edits::Changed;
use self::memory::Counted;
pub(super) use self::setup::{Prepared, prepare};
pub(super) use self::sweeps::Left;
use super::children::{Life, Start};

/// What the cgroup of all leaves of a daemon begins with.
const PREFIX: &str = "bardo-";

/// How long what was killed may take to be gone before the next life begins all the same:
/// what waits for a dead disk may never be.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// How long one of many is waited for before the others are looked at: what was killed is
/// mostly gone by then.
const PAUSE_LEAST: Duration = Duration::from_millis(2);

/// The same when it takes its time.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Most threads that wait until trees are empty.
const SWEEPERS_MAX: usize = 4;

/// Most empty leaves that wait until no process is being born: a birth may take for ever.
const EMPTY_MAX: usize = 64;

/// The trees of all services that are cared for.
#[derive(Debug)]
pub(super) struct Trees {
    /// The name of the cgroup that all leaves are in.
    name: String,
    /// That cgroup, once it was wanted; or why it cannot be had.
    root: Option<Result<Arc<Root>, Arc<Absent>>>,
    /// What no thread looks after yet.
    left: Vec<Left>,
    /// Threads that do.
    sweepers: usize,
    /// What is to be killed while its leader is there, and whether a thread is at it.
    doomed: Vec<Tree>,
    is_killing: bool,
    /// Leaves of lives that have left nothing.
    empty: Vec<Leaf>,
    /// What is made for the lives that may follow.
    ahead: Ahead,
    /// Trees of each service that are not known to be empty.
    sweeping: HashMap<ServiceId, u32>,
    /// Starts that wait for something that is done beside this thread.
    pub(super) held: Vec<Start>,
    /// What the present lives were confined to.
    confined: HashMap<ServiceId, Arc<Confinement>>,
    /// Kills for want of memory, as far as they were counted.
    kills: HashMap<ServiceId, Counted>,
    /// What of that is not enforced.
    shortcomings: HashMap<ServiceId, Arc<[String]>>,
}

impl Trees {
    /// Those in the cgroup of this name: see [`name_of`].
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            root: None,
            left: Vec::new(),
            sweepers: 0,
            doomed: Vec::new(),
            is_killing: false,
            empty: Vec::new(),
            ahead: Ahead::default(),
            sweeping: HashMap::new(),
            held: Vec::new(),
            confined: HashMap::new(),
            kills: HashMap::new(),
            shortcomings: HashMap::new(),
        }
    }

    /// The cgroup of all leaves, made when it is first wanted.
    pub(super) fn root(&mut self) -> Result<&Arc<Root>, &Arc<Absent>> {
        let name = &self.name;
        // A shortage is over one day.
        let is_over = |opened: &Result<_, Arc<Absent>>| {
            opened.as_ref().err().is_some_and(|absent| absent.shortage().is_some())
        };
        self.root.take_if(|opened| is_over(opened));
        let opened = self.root.get_or_insert_with(|| {
            let root = Root::open(name).map_err(Arc::new)?;
            remove_stale(&root, name);
            Ok(Arc::new(root))
        });
        opened.as_ref()
    }

    /// The leaf of a life, if it has one.
    pub(super) fn leaf(&mut self, label: &str, life: Life) -> Option<Leaf> {
        let leaf = self.root().ok()?.find(label, life.to_number());
        leaf.path().is_dir().then_some(leaf)
    }

    /// What a leaf is below, which tells who is in it.
    pub(super) fn root_of(&mut self, leaf: Option<&Leaf>) -> Option<Arc<Root>> {
        leaf.and_then(|_| self.root().ok().map(Arc::clone))
    }

    /// Why there are no leaves, where there are none.
    pub(super) fn absence(&self) -> Option<&Absent> {
        self.root.as_ref()?.as_ref().err().map(|absent| &**absent)
    }

    /// What of a service is not enforced.
    pub(super) fn shortcomings(&self, service: ServiceId) -> &[String] {
        self.shortcomings.get(&service).map_or(&[], |lines| lines)
    }

    /// Whether a service is one that is cared for, by its present life.
    pub(super) fn has(&self, service: ServiceId) -> bool {
        self.confined.contains_key(&service)
    }

    /// Forgets a service.
    pub(super) fn forget(&mut self, service: ServiceId) {
        self.confined.remove(&service);
        self.kills.remove(&service);
        self.shortcomings.remove(&service);
        self.empty.extend(self.ahead.forget(service));
    }

    /// Closes what is open without need; whether anything was.
    pub(super) fn give_up(&mut self) -> bool {
        self.ahead.give_up()
    }

    /// Removes the cgroup of all leaves, as far as it is empty.
    pub(super) fn close(&mut self) {
        if let Some(Ok(root)) = self.root.take() {
            root.remove();
        }
    }
}

/// When a process of ours was started, in clock ticks since boot. Where it has ended and was
/// reaped, that is not known any more: then it is when we were, which was before.
pub(super) fn started(pid: u32) -> u64 {
    let stat = Stat::of(pid).filter(|stat| stat.parent == std::os::unix::process::parent_id());
    let stat = stat.or_else(|| Stat::of(std::process::id()));
    // Without /proc nobody is found by anything.
    stat.map_or(u64::MAX, |stat| stat.started)
}

/// The name of the cgroup of the daemon of this keeper, while it is there.
#[must_use]
pub fn name_of(keeper: u32) -> String {
    // A number alone would be that of another daemon one day.
    let started = Stat::of(keeper).map_or(0, |stat| stat.started);
    format!("{PREFIX}{keeper}-{started}")
}

/// Kills all that a daemon has left in the cgroup of this name, and removes it. For a daemon
/// that was killed itself; it waits for a moment until all are gone.
pub fn kill_left(name: &str) {
    if !is_there(name) {
        return;
    }
    let Ok(root) = Root::open(name) else { return };
    for (label, number) in root.leaves() {
        let leaf = root.find(&label, number);
        let _ = leaf.kill();
        let _ = leaf.becomes_empty(GONE_WITHIN);
    }
    root.remove();
}

/// Whether there is a cgroup of this name where a daemon has its own.
fn is_there(name: &str) -> bool {
    let Some(own) = Places::of_this_process().unified else { return false };
    // We may be in it.
    let places = own.directory.ancestors().take_while(|place| place.starts_with(&own.top));
    places.into_iter().any(|place| place.join(name).is_dir())
}

/// Removes what daemons have left that are no more, as far as nobody is in it.
fn remove_stale(root: &Root, own: &str) {
    let beside = root.directory().parent().map(fs::read_dir);
    let names = beside.into_iter().flatten().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        if name != own
            && is_stale(&name)
            && let Ok(stale) = Root::open(&name)
        {
            stale.remove();
        }
    }
}

/// Whether this is the name of the cgroup of a daemon that is no more.
fn is_stale(name: &str) -> bool {
    let numbers = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    let Some((Ok(keeper), Ok(started))) =
        numbers.map(|(keeper, started)| (keeper.parse::<u32>(), started.parse::<u64>()))
    else {
        return false;
    };
    Stat::of(keeper).is_none_or(|stat| stat.started != started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_is_no_more_is_told_by_the_name_of_its_cgroup() {
        let own = name_of(std::process::id());
        let (number, started) = own.strip_prefix(PREFIX).unwrap().split_once('-').unwrap();

        assert!(!is_stale(&own));
        assert!(is_stale(&format!("{PREFIX}{number}-{started}7")), "another process");
        assert!(is_stale(&format!("{PREFIX}{}-1", u32::MAX)));
        for other in ["bardo-doctor-7", "bardo-7", "system.slice", "bardo-x-1"] {
            assert!(!is_stale(other), "{other}");
        }
    }
}
