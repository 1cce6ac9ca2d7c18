//! What has changed in the table since the API last asked, for those who watch it.
//!
//! While nobody watches, a change costs one look at a flag. While somebody does, it is a
//! line in a list, and only the first line wakes the API thread: ten thousand exits at
//! once are told in one answer. There is one asker, and each answer empties the list.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bardo_core::record::Record;
use bardo_core::{Mood, ServiceId, Supervisor};
use tokio::sync::Notify;

use super::clients::ProcessView;
use super::decisions::{History, Told};
use super::journal::Surroundings;
use super::troubles::Account;
use super::views;

/// Most removed groups that are listed one by one; after that the whole table is told.
const REMOVED_MAX: usize = 1024;

/// Most decisions that wait to be told; whoever watches learns that he has missed some when
/// there are more.
const DECISIONS_MAX: usize = 4096;

/// Whether somebody watches, and what wakes him.
#[derive(Debug, Default)]
pub struct Watch {
    watched: AtomicBool,
    changed: Notify,
}

impl Watch {
    /// From now on changes are noted; the first question has to be for the whole table.
    pub fn begin(&self) {
        self.watched.store(true, Ordering::SeqCst);
    }

    /// Nobody watches any more.
    pub fn end(&self) {
        self.watched.store(false, Ordering::SeqCst);
    }

    /// Waits until something has changed since the last answer.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Wakes whoever watches.
    pub fn wake(&self) {
        self.changed.notify_one();
    }
}

/// What has changed.
#[derive(Debug)]
pub struct Changed {
    /// Whether this is the whole table rather than what is new.
    pub whole: bool,
    /// What the supervisor is about.
    pub mood: Mood,
    /// Groups that are gone, or were for a moment: told before the processes.
    pub removed: Vec<Arc<str>>,
    /// Processes as they are now.
    pub processes: Vec<ProcessView>,
    /// All that is wrong, if that is something else than was told.
    pub troubles: Option<Account>,
    /// What was decided since the last answer, in order.
    pub decisions: Vec<Told>,
    /// Whether more was decided than could be kept until it was asked for.
    pub missed: bool,
}

/// The control thread's list.
#[derive(Debug)]
pub(super) struct Changes {
    watch: Arc<Watch>,
    services: HashSet<ServiceId>,
    removed: Vec<Arc<str>>,
    /// Whether more has changed than the list holds.
    whole: bool,
    /// Whether whoever watches has been woken since the last answer.
    woken: bool,
    news: bool,
    /// Whether something else is wrong than was told.
    troubles: bool,
    decisions: Vec<Told>,
    /// Whether more was decided than the list holds.
    missed: bool,
}

impl Changes {
    pub(super) fn new(watch: Arc<Watch>) -> Self {
        Self {
            watch,
            services: HashSet::new(),
            removed: Vec::new(),
            whole: true,
            woken: false,
            news: false,
            troubles: false,
            decisions: Vec::new(),
            missed: false,
        }
    }

    /// Takes note of a change.
    pub(super) fn note(&mut self, record: &Record) {
        if !self.watch.watched.load(Ordering::Relaxed) {
            self.whole = true;
            return;
        }
        self.news = true;
        match record {
            Record::Service(service) => {
                self.services.insert(service.id);
            }
            Record::GroupAdded(group) => self.services.extend(&group.members),
            Record::MembersJoined { members, .. } => self.services.extend(members),
            // Only groups have a word for what is gone.
            Record::MemberLeft { .. } => self.whole = true,
            Record::GroupRemoved(_) if self.removed.len() >= REMOVED_MAX => self.whole = true,
            Record::GroupRemoved(name) => self.removed.push(Arc::clone(name)),
            Record::Edited { service, .. } => {
                self.services.insert(*service);
            }
            Record::Loaded(_) | Record::Mood(_) | Record::Ends(_) | Record::Replacement(_) => {}
        }
    }

    /// Takes note of a decision: the latest of this history.
    pub(super) fn note_decision(&mut self, history: &History) {
        if !self.watch.watched.load(Ordering::Relaxed) {
            self.decisions = Vec::new();
            return;
        }
        self.news = true;
        if self.decisions.len() == DECISIONS_MAX {
            self.missed = true;
        } else {
            self.decisions.extend(history.latest());
        }
    }

    /// Takes note that something else is wrong now.
    pub(super) fn note_troubles(&mut self) {
        self.troubles = true;
        self.news |= self.watch.watched.load(Ordering::Relaxed);
        self.tell();
    }

    /// Wakes whoever watches, once until he has asked.
    pub(super) fn tell(&mut self) {
        if std::mem::take(&mut self.news) && !self.woken {
            self.woken = true;
            self.watch.wake();
        }
    }

    /// Whether something else is wrong than when this was last asked.
    pub(super) fn tells_troubles(&mut self) -> bool {
        std::mem::take(&mut self.troubles)
    }

    /// What has changed since the last answer, or everything.
    pub(super) fn take(
        &mut self,
        supervisor: &Supervisor,
        around: &Surroundings,
        whole: bool,
    ) -> Changed {
        let whole = std::mem::take(&mut self.whole) || whole;
        self.woken = false;
        let services = std::mem::take(&mut self.services);
        let removed = std::mem::take(&mut self.removed);
        let wanted = |id: ServiceId| whole || services.contains(&id);
        Changed {
            whole,
            mood: supervisor.mood(),
            removed: if whole { Vec::new() } else { removed },
            processes: views::those(supervisor, around, wanted),
            troubles: None,
            decisions: std::mem::take(&mut self.decisions),
            missed: std::mem::take(&mut self.missed),
        }
    }
}
