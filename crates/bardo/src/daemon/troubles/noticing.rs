//! How the control thread notices what is wrong, and whom it tells.
//!
//! Whoever begins a trouble and learns that it is new writes the line of the main log; here
//! the others are told: event listeners, those who watch, and whoever asks. Nothing here
//! keeps the thread awake: the log pump is looked at while it owes something, and what ends
//! by the passing of time ends when somebody asks.

use std::fmt::Display;
use std::sync::PoisonError;

use bardo_core::service::StateName;
use bardo_core::{Event, ServiceId, SpawnError, Supervisor};
use bardo_keeper::protocol::Predecessor;
use bardo_sys::clock;
use bardo_sys::stat::Stat;
use bardo_wire::listener::EventType;

use super::{Account, TroubleKind, WELL_AFTER};
use crate::daemon::main_log::Level;
use crate::daemon::pump::Report;
use crate::daemon::world::Machine;
use crate::names::namespec;
use crate::words::{self, payload};

/// How long, in nanoseconds, the log pump may be at one thing while others wait for it.
/// Disks that are busy take less; what takes longer is a file system that is frozen, or a
/// server that has gone.
const PUMP_STILL: u64 = 5_000_000_000;

/// What the log pump, the journal and the supervisor are called as subjects.
const PUMP: &str = "log-pump";
const JOURNAL: &str = "journal";
pub(in crate::daemon) const SUPERVISOR: &str = "supervisor";
const KEEPER: &str = "keeper";

impl Machine {
    /// Something is wrong from now on. True when that is news: then whoever noticed it says
    /// so in the main log.
    pub(in crate::daemon) fn begin_trouble(
        &mut self,
        kind: TroubleKind,
        subject: &str,
        text: &dyn Display,
    ) -> bool {
        let text = text.to_string();
        let is_new = self.troubles.begin(kind, subject, &text, clock::wall_seconds());
        self.changes.note_troubles();
        if is_new && !self.only_watches() {
            let payload = payload::trouble(kind, subject, "BEGAN", &text);
            self.offer(EventType::Trouble, payload);
        }
        is_new
    }

    /// It is not wrong any more. True when that is news, as for the beginning.
    pub(in crate::daemon) fn end_trouble(&mut self, kind: TroubleKind, subject: &str) -> bool {
        if self.troubles.is_free_of(kind) {
            return false;
        }
        let over = self.troubles.end(kind, subject);
        self.changes.note_troubles();
        if let Some(over) = &over
            && !self.only_watches()
        {
            let payload = payload::trouble(kind, subject, "ENDED", &over.text);
            self.offer(EventType::Trouble, payload);
        }
        over.is_some()
    }

    /// All that is wrong at this moment.
    pub(in crate::daemon) fn account(&mut self) -> Account {
        self.look_at_pump();
        self.forgive_listeners();
        let now = clock::wall_seconds();
        // A clock that was set back does not make it wait.
        let is_well = |subject: &str, since: i64| {
            subject == SUPERVISOR && !(since..since + WELL_AFTER).contains(&now)
        };
        if self.only_watches() {
            // As long as it only watches, nothing is well.
            return self.troubles.account();
        }
        self.look_at_keeper();
        for subject in self.troubles.subjects(TroubleKind::Keeper, is_well) {
            self.end_trouble(TroubleKind::Keeper, &subject);
            self.log(Level::Info, "the supervisor has been well for a minute");
        }
        self.troubles.account()
    }

    /// Whether this is the mode that only watches, in which nothing is written down.
    fn only_watches(&self) -> bool {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).watching.is_some()
    }

    // The log pump.

    /// Takes in what the log pump has to say of logs, and nothing else of it.
    pub(in crate::daemon) fn hear_of_logs(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            self.pump_reports(&report);
        }
    }

    /// Takes in what the log pump has to say of logs. It has written the lines itself.
    pub(in crate::daemon) fn pump_reports(&mut self, report: &Report) {
        match report {
            Report::Drained(_) => {}
            Report::Refuses { target, why } => {
                self.begin_trouble(TroubleKind::LogTarget, target, why);
            }
            Report::Takes(target) => {
                self.end_trouble(TroubleKind::LogTarget, target);
            }
            Report::GoesOn => {
                if self.end_trouble(TroubleKind::LogPump, PUMP) {
                    self.log(Level::Info, "the log pump goes on");
                }
            }
        }
    }

    /// Sees whether the log pump moves. Says after how many nanoseconds it has to be looked
    /// at again: only while it has not taken what it was handed.
    pub(in crate::daemon) fn look_at_pump(&mut self) -> Option<u64> {
        if !self.troubles.is_free_of(TroubleKind::LogPump) {
            // It says itself when it goes on.
            return None;
        }
        let Some(work) = self.pump.work() else {
            return self.pump.is_owed().then_some(PUMP_STILL);
        };
        let left = PUMP_STILL.saturating_sub(clock::monotonic().saturating_sub(work.since));
        if left > 0 {
            return self.pump.is_owed().then_some(left);
        }
        let target = work.target.as_deref().unwrap_or("something that is no log");
        let text =
            format!("it waits for {target} and carries nothing; programs that write wait too");
        if self.begin_trouble(TroubleKind::LogPump, PUMP, &text) {
            self.log(Level::Critical, &format!("the log pump does not move: {text}"));
        }
        self.pump.miss();
        None
    }

    // Starts.

    /// A program could not be started. Where that was for want of something: whether it is
    /// news.
    pub(in crate::daemon) fn falls_short(
        &mut self,
        supervisor: &Supervisor,
        id: ServiceId,
        error: SpawnError,
    ) -> Option<bool> {
        let service = supervisor.service(id).filter(|_| error.is_shortage())?;
        let subject = namespec(&service.group, &service.spec.name);
        let text = words::spawn_error(&service.spec, error);
        Some(self.begin_trouble(TroubleKind::Shortage, &subject, &text))
    }

    /// A program was started.
    pub(in crate::daemon) fn was_started(&mut self, supervisor: &Supervisor, id: ServiceId) {
        if let Some(service) = supervisor.service(id)
            && !self.troubles.is_free_of(TroubleKind::Shortage)
        {
            self.is_not_short(&namespec(&service.group, &service.spec.name));
        }
    }

    fn is_not_short(&mut self, subject: &str) {
        if self.end_trouble(TroubleKind::Shortage, subject) {
            self.log(Level::Info, &format!("'{subject}' is not short of anything any more"));
        }
    }

    /// A process has not executed its program yet.
    pub(in crate::daemon) fn is_stuck(
        &mut self,
        supervisor: &Supervisor,
        id: ServiceId,
        text: &str,
    ) {
        if let Some(service) = supervisor.service(id) {
            let subject = namespec(&service.group, &service.spec.name);
            self.begin_trouble(TroubleKind::StuckBirth, &subject, &text);
            self.stuck.insert(id, subject.into());
        }
    }

    /// A process has executed its program, or has ended.
    pub(in crate::daemon) fn is_unstuck(&mut self, id: ServiceId) {
        if let Some(subject) = self.stuck.remove(&id)
            && self.end_trouble(TroubleKind::StuckBirth, &subject)
        {
            self.log(Level::Info, &format!("'{subject}' is not stuck any more"));
        }
    }

    /// What is stopped, or gone, is short of nothing.
    pub(in crate::daemon) fn heed(&mut self, event: &Event) {
        if self.troubles.is_free_of(TroubleKind::Shortage) {
            return;
        }
        let gone = match event {
            Event::ProcessState { group, name, to: StateName::Stopped, .. } => {
                vec![namespec(group, name).into()]
            }
            Event::GroupRemoved(group) => {
                let is_member = |subject: &str, _| {
                    let rest = subject.strip_prefix(&**group);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
                };
                self.troubles.subjects(TroubleKind::Shortage, is_member)
            }
            Event::Cleared => self.troubles.subjects(TroubleKind::Shortage, |_, _| true),
            Event::ProcessState { .. }
            | Event::SupervisorRunning
            | Event::SupervisorStopping
            | Event::GroupAdded(_) => return,
        };
        for subject in gone {
            self.is_not_short(&subject);
        }
    }

    // The rest.

    /// A snapshot of the journal was written, or found no room.
    pub(in crate::daemon) fn journal_was_replaced(&mut self, failed: Option<&dyn Display>) {
        if let Some(error) = failed {
            if self.begin_trouble(TroubleKind::JournalFull, JOURNAL, error) {
                self.log(Level::Critical, &format!("cannot write the journal: {error}"));
            }
        } else if self.end_trouble(TroubleKind::JournalFull, JOURNAL) {
            self.log(Level::Info, "the journal has room again");
        }
    }

    /// A pool of event listeners has given up an event. Each has its line already.
    pub(in crate::daemon) fn loses_events(&mut self, pool: &str) {
        let text =
            "its listeners are slower than what they are told of; the oldest events are lost";
        self.begin_trouble(TroubleKind::Listener, pool, &text);
    }

    /// Pools whose listeners have caught up, or that are gone, lose nothing any more.
    pub(in crate::daemon) fn forgive_listeners(&mut self) {
        if self.troubles.is_free_of(TroubleKind::Listener) {
            return;
        }
        let pools = &self.surroundings.audience.pools;
        let behind = |name: &str, _| !pools.is_behind(name);
        for pool in self.troubles.subjects(TroubleKind::Listener, behind) {
            if self.end_trouble(TroubleKind::Listener, &pool) {
                self.log(Level::Info, &format!("pool {pool} has caught up"));
            }
        }
    }

    /// The keeper had to start this supervisor in place of another one.
    pub(in crate::daemon) fn took_anothers_place(&mut self, predecessor: Predecessor, why: &str) {
        let count = predecessor.count;
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        let text =
            format!("the keeper had to start another supervisor {times}: the last one {why}");
        self.begin_trouble(TroubleKind::Keeper, SUPERVISOR, &text);
    }

    /// Sees whether the keeper was stopped: nobody but the manager of the machine would notice,
    /// and few of them do.
    fn look_at_keeper(&mut self) {
        let keeper = self.settings.keeper_pid;
        // What cannot be seen is as it was.
        let Some(seen) = Stat::of(keeper) else { return };
        if !seen.is_stopped {
            if self.end_trouble(TroubleKind::Keeper, KEEPER) {
                self.log(Level::Info, "the keeper goes on");
            }
            return;
        }
        let text = format!(
            "it is stopped (SIGSTOP): no end of a program is noticed, nothing is started again, \
             and no signal is heeded; kill -CONT {keeper} has it go on"
        );
        if self.begin_trouble(TroubleKind::Keeper, KEEPER, &text) {
            self.log(Level::Critical, &format!("something is wrong with the keeper: {text}"));
        }
    }
}
