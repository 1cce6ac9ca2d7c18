//! The control thread's side of the core: what has happened, and what to do.
//!
//! It waits in one place, for two things: the keeper's messages and a wake-up by
//! another thread. Nothing here decides anything about a program.

mod parts;

use std::collections::HashMap;
use std::fmt::Display;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bardo_core::id::ExitSequence;
use bardo_core::spec::Reach;
use bardo_core::time::WallTime;
use bardo_core::{
    Action, Decision, Event, Generation, Input, Instant, Mood, Notice, Now, Pid, ServiceId,
    Supervisor, Ticket, World,
};
use bardo_keeper::protocol::{Roles, ToKeeper};
use bardo_sys::clock::{self, LocalTime};
use bardo_sys::memory;
use bardo_sys::plan::Plan;
use bardo_sys::poll;
use bardo_sys::process;
use bardo_sys::spawn::{ChildError, Settled};
use bardo_sys::waker::Waker;
use bardo_wire::control::Order;

use super::answers::Pending;
use super::changes::Changes;
use super::channels::{self, Channels};
use super::children::{Children, Life};
use super::clients::Questions;
use super::debts::Debts;
use super::errands::Errands;
use super::fastcgi::SharedSockets;
use super::following::Following;
use super::helpers::{self, Helpers};
use super::images::Images;
use super::journal::{Entry, Journal, Process, Surroundings};
use super::link::{Link, News};
use super::listeners::Listening;
use super::main_log::{self, Level};
use super::managed::telling::Telling;
use super::metrics::Metrics;
use super::owed::{self, Promise};
use super::plans::Planner;
use super::pump::{Channel, PumpHandle, Report, StreamKey};
use super::restart::{Outcome, Restart};
use super::settings::Settings;
use super::stdin::Backlog;
use super::trees::{self, Trees};
use super::troubles::Troubles;
use super::undrained::Undrained;
use super::variables::VariableFiles;
use crate::api::{Doors, Shown};
use crate::words::payload;

pub use self::parts::Parts;

/// How long, in nanoseconds, a snapshot is put off that was too long for the journal.
const COMPACT_AGAIN: u64 = 1_000_000_000;

/// This machine, as the core sees it.
pub struct Machine {
    pub(super) settings: Settings,
    pub(super) journal: Journal,
    pub(super) surroundings: Surroundings,
    pub(super) children: Children,
    pub(super) link: Link,
    pub(super) pump: PumpHandle,
    pub(super) planner: Planner,
    pub(super) plans: Vec<Option<Arc<Plan>>>,
    pub(super) waker: Arc<Waker>,
    pub(super) questions: Questions,
    /// What those who watch the table have not been told yet.
    pub(super) changes: Changes,
    /// Decisions that are still to be written down.
    decided: Vec<Decision>,
    /// Lines that are still to be promised.
    pub(super) promised: Vec<Promise>,
    /// The number of the last end that a line is said of, and of the last one whose line was
    /// handed to the log pump.
    pub(super) numbered: u64,
    pub(super) handed_on: u64,
    pub(super) reports: Receiver<Report>,
    /// What is wrong at present.
    pub(super) troubles: Troubles,
    /// Those of whom people know that they have not executed their programs yet.
    pub(super) stuck: HashMap<ServiceId, Arc<str>>,
    pub(super) loaded_again: (Sender<Outcome>, Receiver<Outcome>),
    pub(super) restart: Restart,
    /// What the API shows, and where it listens.
    pub(super) shown: Arc<RwLock<Shown>>,
    pub(super) doors: Doors,
    /// What is logged.
    pub(super) log_level: Level,
    /// What the supervisor is about, as recorded last.
    pub(super) mood: Mood,
    pub(super) tickets: HashMap<Ticket, Pending>,
    pub(super) next_ticket: u64,
    /// How far the reload of a service has come.
    pub(super) following: Following,
    /// What the keeper has not been told yet is done with.
    pub(super) taken: Taken,
    pub(super) newborn: Vec<(Life, u32)>,
    /// Lives that are over, and whose pipes have not been handed to their end yet.
    pub(super) over: Vec<Life>,
    /// What is over, and waits until nobody is being born.
    pub(super) debts: Debts,
    /// The last exit record that the predecessors took for each service, by place.
    pub(super) exits_known: Vec<ExitSequence>,
    /// Births that failed, until their exit comes.
    pub(super) stillborn: HashMap<u32, ChildError>,
    /// Which file of the search path was in the way of a start, until that is told.
    pub(super) in_the_way: HashMap<ServiceId, String>,
    pub(super) backlog: Backlog,
    pub(super) listening: Listening,
    pub(super) sockets: SharedSockets,
    pub(super) metrics: Metrics,
    pub(super) undrained: Undrained,
    pub(super) helpers: Helpers,
    /// What programs say.
    pub(super) channels: Channels,
    /// What is done beside this thread.
    pub(super) errands: Errands,
    /// What belongs to lives beside their processes.
    pub(super) trees: Trees,
    /// Programs in memory.
    pub(super) images: Images,
    /// Variables from files.
    pub(super) variable_files: VariableFiles,
    settled: Vec<Settled>,
    pub(super) news: News,
    /// What whoever has started us was told.
    pub(super) telling: Telling,
    /// Whether an entry found no room in the journal: until there is a snapshot, nothing
    /// that has to be written down first may be done.
    pub(super) must_compact: bool,
    /// Whether a snapshot would do the journal good.
    wants_snapshot: bool,
    /// When a snapshot is tried again for which there was no room.
    compact_again_at: Option<u64>,
    /// Whether the keeper is gone: nothing can be known of any child any more.
    pub(super) keeper_lost: bool,
    /// Those who may have programs of a keeper that was killed; nobody where all are the
    /// keeper's own.
    pub(super) stepparents: Vec<u32>,
    /// Where the next keeper is waited for.
    pub(super) door: Option<OwnedFd>,
    /// The folder of the service, by which others know whose supervisor this is.
    _place: Option<OwnedFd>,
}

#[derive(Default)]
pub(super) struct Taken {
    pub(super) exits: Option<u64>,
    pub(super) signals: u64,
    /// Whether a configuration has been loaded again.
    pub(super) reload: bool,
}

impl Machine {
    /// Writes a line into the main log, if its level is wanted.
    pub fn log(&self, level: Level, message: &str) {
        if level >= self.log_level {
            self.pump.line(main_log::line(LocalTime::now(), level, message));
        }
    }

    /// Writes down something that is not about the table.
    pub(super) fn note(&mut self, entry: &Entry) {
        self.surroundings.apply(entry);
        if !self.journal.append(entry) {
            self.must_compact = true;
            self.listening.hold_up();
        }
    }

    /// How many nanoseconds from now a snapshot is due; `None` where none is wanted.
    fn compact_in(&self) -> Option<u64> {
        let again = self.compact_again_at.map_or(0, |at| at.saturating_sub(clock::monotonic()));
        (self.must_compact || self.wants_snapshot).then_some(again)
    }

    /// Puts a snapshot in place of the journal's entries where one of them found no room.
    pub(super) fn compact_if_must(&mut self, supervisor: &Supervisor) {
        if self.must_compact {
            self.compact(supervisor);
        }
    }

    /// Has a snapshot take the place of the journal's entries, because some cannot be read.
    pub(super) fn mend_journal(&mut self) {
        self.must_compact = true;
    }

    /// Puts a snapshot in place of the journal's entries.
    fn compact(&mut self, supervisor: &Supervisor) {
        let replaced = self.journal.replace(&supervisor.snapshot(), &self.surroundings);
        // What has no room now has none in the next moment.
        self.compact_again_at = replaced.is_err().then(|| clock::monotonic() + COMPACT_AGAIN);
        self.must_compact &= replaced.is_err();
        self.wants_snapshot = false;
        let failed = replaced.as_ref().err();
        self.journal_was_replaced(failed.map(|error| error as &dyn Display));
        memory::give_back();
    }

    // What has happened.

    /// Births come first: the core hears of a process before it hears of anything
    /// else about it.
    fn births(&mut self, inputs: &mut Vec<Input>) {
        let mut settled = std::mem::take(&mut self.settled);
        self.children.spawner().settle(&mut settled);
        for settled in settled.drain(..) {
            if helpers::is_helper(settled.identity) {
                self.helpers.settled(settled.pid, settled.error);
                continue;
            }
            let life = Life::from_number(settled.identity);
            self.children.settled(life, settled.error.is_none());
            self.is_unstuck(life.service);
            match settled.error {
                None => {}
                Some(error) => {
                    if let (ChildError::Failed(step, errno), Some(stderr)) = (error, settled.stderr)
                    {
                        self.say_for_child(life.service, stderr, step, errno);
                    }
                    self.stillborn.insert(settled.pid, error);
                }
            }
        }
        self.settled = settled;
        while let Some(Life { service, generation }) =
            self.children.next_executed().or_else(|| self.children.next_adopted())
        {
            inputs.push(Input::Executed { service, generation });
            self.channels.listen(Life { service, generation }, clock::monotonic());
        }
    }

    /// Starts what was put off, once and last in a wait: its birth is written down
    /// before it can be settled, and so before its cell can be cleared. The core hears
    /// of it first.
    fn start_waiting(&mut self, inputs: &mut Vec<Input>) {
        let mut born = Vec::new();
        while !self.decides_nothing()
            && let Some(start) = self.children.next_waiting()
        {
            born.extend(self.start(start));
        }
        inputs.splice(0..0, born);
        self.start_helpers(inputs);
    }

    /// Whether the keeper is gone, and another one is to come who decides.
    pub(super) fn decides_nothing(&self) -> bool {
        self.keeper_lost && self.settings.service.is_some()
    }

    /// Takes what the keeper has handed on.
    pub(super) fn listen(&mut self, inputs: &mut Vec<Input>) {
        let mut news = std::mem::take(&mut self.news);
        self.link.listen(&mut news);
        self.keeper_lost |= news.lost;
        self.news = news;
        self.births(inputs);
        // What nobody can act upon any more is left to whoever comes next.
        if self.decides_nothing() {
            return;
        }
        self.exits(inputs);
        self.signals(inputs);
    }

    /// A life is over: what is left in its pipes is read, then they are closed.
    pub(super) fn release(&mut self, life: Life) {
        let roles = Roles::STDIN.and(Roles::PROCESS).and(channels::roles());
        self.debts.life_is_over(life.key(), roles);
        self.pump.release(life.service, life.generation);
    }

    fn reports(&mut self, inputs: &mut Vec<Input>) {
        while let Ok(report) = self.reports.try_recv() {
            match report {
                Report::Drained(key) => self.drained(key),
                Report::Refuses { .. } | Report::Takes(_) | Report::GoesOn => {
                    self.pump_reports(&report);
                }
            }
        }
        self.renewals(inputs);
        self.follow_on(inputs);
        self.helpers.probed(inputs);
    }

    /// All that a stream has had is where it belongs.
    fn drained(&mut self, key: StreamKey) {
        self.stream_has_ended(key);
        let StreamKey { service, generation, channel } = key;
        self.undrained.drained(service);
        let role = match channel {
            Channel::Stdout => Roles::STDOUT,
            Channel::Stderr => Roles::STDERR,
        };
        self.debts.done_with(Life { service, generation }.key(), role);
    }

    /// Tells the keeper something; that it is gone is noticed when it is listened to.
    pub(super) fn tell(&self, what: ToKeeper) {
        let _ = self.link.say(what);
    }

    /// Tells the keeper what is done with: it is recorded by now.
    pub(super) fn acknowledge(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        if let Some(sequence) = taken.exits {
            self.tell(ToKeeper::ExitsTaken(sequence));
            self.log(Level::Debug, "received SIGCHLD indicating a child quit");
        }
        if taken.signals != 0 {
            self.tell(ToKeeper::SignalsTaken(taken.signals));
        }
        if taken.reload {
            self.note(&Entry::Reloading(0));
        }
    }

    /// Notes what new processes are known by, once they are on their way.
    fn identify(&mut self) {
        for (life, pid) in std::mem::take(&mut self.newborn) {
            let Some((_, child)) = self.children.get(life) else { continue };
            let Some(pidfd) = &child.pidfd else { continue };
            if self.link.is_of_service() {
                // Without it a keeper that comes after this one does not learn how it has ended.
                let _ = self.link.hold(life.key(), Roles::PROCESS, &[pidfd.as_fd()]);
            }
            if let Ok(identity) = process::identity(pidfd.as_fd(), pid) {
                let is_session = child.leaf.is_none() && self.trees.has(life.service);
                let session = is_session.then(|| trees::started(pid));
                let generation = life.generation;
                let process = Process { generation, pid: Pid(pid), identity, session };
                self.note(&Entry::Process(life.service, process));
            }
        }
    }
}

impl World for Machine {
    fn now(&mut self) -> Now {
        Now { instant: Instant(clock::monotonic()), wall: WallTime(clock::wall_seconds()) }
    }

    fn wait(&mut self, deadline: Option<Instant>, inputs: &mut Vec<Input>) {
        self.metrics.turn();
        // Whoever watches waits until the processes are started.
        self.changes.tell();
        // What a process has written stands in the main log before the word of its end.
        for life in std::mem::take(&mut self.over) {
            self.release(life);
        }
        self.acknowledge();
        self.identify();
        self.births(inputs);
        self.close_unused_sockets();
        let pump_look = self.look_at_pump();
        self.listen_and_send();
        let look = self.children.next_look();
        let has_more_to_make = self.catch_up(look.is_some() || !inputs.is_empty());
        // There is time for a snapshot when there is nothing else.
        self.wants_snapshot = inputs.is_empty() && self.journal.is_long();
        let idle = inputs.is_empty()
            && self.compact_in() != Some(0)
            && !self.has_more_to_hear()
            && !has_more_to_make;
        let timeout = if idle {
            let now = clock::monotonic();
            let until = deadline.map(|deadline| deadline.0.saturating_sub(now));
            let nanoseconds = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
            let rest = self.channels.rest_in(now);
            let look = look.map(nanoseconds);
            let own = [self.debts.due_in(now), self.compact_in(), self.tell_in(now)];
            let waits = [until, look, self.attend_in(), pump_look, rest];
            let waits = waits.into_iter().chain(own);
            waits.flatten().min()
        } else {
            Some(0)
        };
        let (backlog, listening) = (self.backlog.room(), self.listening.room());
        let others = [Some(self.waker.as_fd()), backlog, listening, self.channels.fd()];
        let (spoken_to, [woken, has_room, listener_has_room, said]) =
            poll::many(self.link.as_fd(), others, timeout);
        self.keeper_lost |= spoken_to && self.link.is_of_service() && self.link.is_lost();
        if self.decides_nothing() {
            // What is not read now is read by whoever comes next.
            return;
        }
        if woken {
            self.waker.clear();
        }
        // Before the exits: a birth that failed is known before its exit is read.
        self.births(inputs);
        if said || self.channels.rest_in(clock::monotonic()) == Some(0) {
            self.hear_programs(inputs);
        }
        if spoken_to {
            self.listen(inputs);
        }
        if woken {
            self.reports(inputs);
            self.questions(inputs);
            self.errands_done(inputs);
        }
        if has_room {
            let children = &self.children;
            self.backlog.go_on(|pid| children.child(pid)?.stdin.as_ref());
        }
        if listener_has_room {
            self.send_on();
        }
        if !self.decides_nothing() {
            self.start_waiting(inputs);
        }
    }

    fn is_dead(&mut self, service: ServiceId, generation: Generation) -> bool {
        self.children.is_dead(Life { service, generation })
    }

    fn publish(&mut self, supervisor: &Supervisor, event: Event) {
        if let Some(event) = payload::event_type(&event) {
            self.metrics.told(event);
        }
        self.release_socket(supervisor, &event);
        self.heed(&event);
        self.publish_event(supervisor, &event);
    }

    fn decided(&mut self, decision: Decision) {
        self.decided.push(decision);
    }

    fn owe(&mut self, supervisor: &Supervisor, notice: &Notice) {
        self.promise(supervisor, notice);
    }

    fn record(&mut self, supervisor: &mut Supervisor) {
        let mut full = self.must_compact;
        let journal = &mut self.journal;
        let published = self.listening.take_published();
        let (changes, known) = (&mut self.changes, &mut self.surroundings.decisions);
        let telling = &mut self.telling;
        let (promised, owed) = (&mut self.promised, &mut self.surroundings.owed);
        if full {
            // The snapshot has it all.
            supervisor.take_records(|record| {
                telling.note();
                changes.note(&record);
                known.note(&record);
            });
            known.keep_all(&mut self.decided, changes, |_| {});
            owed::keep(promised, owed, |_| {});
        } else if !(published.is_empty() && self.decided.is_empty() && promised.is_empty()) {
            // What is told, what it tells of and why are written down in one entry.
            let mut all = journal.begin();
            published.into_iter().for_each(|deed| all.add(&Entry::Audience(deed)));
            supervisor.take_records(|record| {
                telling.note();
                changes.note(&record);
                known.note(&record);
                all.add(&Entry::Table(record));
            });
            known.keep_all(&mut self.decided, changes, |entry| all.add(entry));
            owed::keep(promised, owed, |entry| all.add(entry));
            full = !all.append();
        }
        // After one that found no room no other is written: what is there stays a
        // beginning of all there was, until the snapshot takes its place.
        supervisor.take_records(|record| {
            telling.note();
            changes.note(&record);
            known.note(&record);
            full = full || !journal.append(&Entry::Table(record));
        });
        known.settle();
        self.want_chunks();
        self.must_compact = full;
        if self.compact_in() == Some(0) {
            self.compact(supervisor);
        }
        self.mood = supervisor.mood();
        self.tell_how_it_is(supervisor);
        self.look_at_stops(supervisor);
        self.hand_over(supervisor);
    }

    fn perform(&mut self, supervisor: &Supervisor, action: Action) -> Option<Input> {
        match action {
            Action::Spawn { service, generation } => {
                return self.spawn(supervisor, Life { service, generation });
            }
            Action::RunScript { service, script, reason, restarts } => {
                return self.run_script(supervisor, (service, script), (reason, restarts));
            }
            Action::EndScript { service, script } => {
                return self.end_script(service, script);
            }
            Action::Check { service, generation, check } => {
                self.count_kills(Life { service, generation });
                return self.check(supervisor, (service, generation), check);
            }
            Action::EndCheck { service, check } => {
                self.end_check(service, check);
            }
            Action::Unspawn { service, generation } => {
                let life = Life { service, generation };
                self.children.forget(life);
                self.trees.held.retain(|start| start.life != life);
            }
            Action::Signal { service, generation, signal, reach } => {
                let life = Life { service, generation };
                if reach == Reach::Tree {
                    return self.signal_tree(life, signal);
                }
                return match self.children.signal(life, signal, reach) {
                    Ok(Some(())) => Some(Input::Signalled { service, generation, signal, reach }),
                    Ok(None) => None,
                    Err(errno) => Some(Input::SignalFailed { service, generation, signal, errno }),
                };
            }
            Action::Added(service) => {
                self.metrics.added(service, clock::wall_seconds());
                self.pump.forget(service);
                self.added(supervisor, service);
            }
            Action::Edited(service) => {
                self.forget_unstartable(service);
                self.added(supervisor, service);
                self.confine_anew(supervisor, service);
            }
            Action::Removed(service) => {
                self.forget_checks(service);
                self.forget_script(service);
                self.removed(service);
            }
            Action::Answer { ticket, answer } => self.answer(supervisor, ticket, answer),
            Action::Notice(notice) => self.notice(supervisor, &notice),
            Action::Begin => self.take_up(&supervisor.loaded().attachment),
            Action::Begun => self.welcome(),
            Action::Ping { service, generation, number } => {
                self.count_kills(Life { service, generation });
                let now = clock::monotonic();
                self.channels.ping(Life { service, generation }, number, now);
            }
            Action::Commit { service, generation } => {
                self.channels.say(Life { service, generation }, &Order::Commit);
            }
            Action::Sweep { service, generation } => {
                return self.sweep(supervisor, Life { service, generation });
            }
            // These are told, not performed.
            Action::Event(_) | Action::Decided(_) | Action::Finish => {}
        }
        None
    }
}
