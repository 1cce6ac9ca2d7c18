//! The control thread's side of the core: what has happened, and what to do.
//!
//! It waits in one place, for two things: the keeper's messages and a wake-up by
//! another thread. Nothing here decides anything about a program.

use std::collections::HashMap;
use std::fmt::Display;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bardo_core::id::ExitSequence;
use bardo_core::time::WallTime;
use bardo_core::{
    Action, Event, ExitStatus, Input, Instant, Mood, Now, Pid, ServiceId, Signal, Supervisor,
    Ticket, World,
};
use bardo_keeper::protocol::{Exit, Roles, ToKeeper};
use bardo_sys::clock::{self, LocalTime};
use bardo_sys::limits::{self, Limited};
use bardo_sys::memory;
use bardo_sys::plan::Plan;
use bardo_sys::poll;
use bardo_sys::process;
use bardo_sys::spawn::{ChildError, Settled};
use bardo_sys::waker::Waker;

use super::answers::Pending;
use super::changes::Changes;
use super::children::{Children, Life};
use super::clients::Questions;
use super::fastcgi::SharedSockets;
use super::journal::{Entry, Journal, Process, Surroundings};
use super::link::{Link, News};
use super::listeners::Listening;
use super::main_log::{self, Level};
use super::metrics::Metrics;
use super::notices::spawn_error;
use super::plans::Planner;
use super::pump::{Channel, PumpHandle, Report, StreamKey};
use super::restart::{Outcome, Restart};
use super::settings::Settings;
use super::stdin::Backlog;
use super::troubles::Troubles;
use super::undrained::Undrained;
use crate::api::{Doors, Shown};
use crate::personality::{payload, words};

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
    /// What the keeper has not been told yet is done with.
    pub(super) taken: Taken,
    pub(super) newborn: Vec<(Life, u32)>,
    /// Lives that are over, and whose pipes have not been handed to their end yet.
    over: Vec<Life>,
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
    settled: Vec<Settled>,
    news: News,
    /// Whether an entry found no room in the journal: until there is a snapshot, nothing
    /// that has to be written down first may be done.
    pub(super) must_compact: bool,
    /// Whether a snapshot would do the journal good.
    wants_snapshot: bool,
    /// When a snapshot is tried again for which there was no room.
    compact_again_at: Option<u64>,
    /// Whether the keeper is gone: nothing can be known of any child any more.
    pub(super) keeper_lost: bool,
}

#[derive(Default)]
pub(super) struct Taken {
    exits: Option<u64>,
    signals: u64,
    /// Whether a configuration has been loaded again.
    pub(super) reload: bool,
}

/// What a machine is made of.
pub struct Parts {
    /// What the daemon was told at its start.
    pub settings: Settings,
    /// The journal.
    pub journal: Journal,
    /// What it says beside the table.
    pub surroundings: Surroundings,
    /// The processes.
    pub children: Children,
    /// The keeper.
    pub link: Link,
    /// The log pump.
    pub pump: PumpHandle,
    /// What it tells.
    pub reports: Receiver<Report>,
    /// What wakes the control thread.
    pub waker: Arc<Waker>,
    /// The clients' questions.
    pub questions: Questions,
    /// Those who listen to events.
    pub listening: Listening,
    /// The sockets that programs share.
    pub sockets: SharedSockets,
    /// What the API shows.
    pub shown: Arc<RwLock<Shown>>,
    /// Where the API listens.
    pub doors: Doors,
    /// How far a restart has come.
    pub(super) restart: Restart,
}

impl Machine {
    /// Puts it together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let planner = Planner::new(&parts.settings);
        Self {
            log_level: parts.settings.main_log.level,
            settings: parts.settings,
            journal: parts.journal,
            surroundings: parts.surroundings,
            children: parts.children,
            link: parts.link,
            pump: parts.pump,
            planner,
            plans: Vec::new(),
            waker: parts.waker,
            changes: Changes::new(parts.questions.watch()),
            questions: parts.questions,
            reports: parts.reports,
            troubles: Troubles::default(),
            stuck: HashMap::new(),
            loaded_again: std::sync::mpsc::channel(),
            restart: parts.restart,
            shown: parts.shown,
            doors: parts.doors,
            mood: Mood::Running,
            tickets: HashMap::new(),
            next_ticket: 0,
            taken: Taken::default(),
            newborn: Vec::new(),
            over: Vec::new(),
            exits_known: Vec::new(),
            stillborn: HashMap::new(),
            in_the_way: HashMap::new(),
            backlog: Backlog::default(),
            listening: parts.listening,
            sockets: parts.sockets,
            metrics: Metrics::new(clock::wall_seconds()),
            undrained: Undrained::new(limits::get(Limited::Descriptors).soft),
            settled: Vec::new(),
            news: News::default(),
            must_compact: false,
            wants_snapshot: false,
            compact_again_at: None,
            keeper_lost: false,
        }
    }

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
        }
    }

    /// Starts what was put off, once and last in a wait: its birth is written down
    /// before it can be settled, and so before its cell can be cleared. The core hears
    /// of it first.
    fn start_waiting(&mut self, inputs: &mut Vec<Input>) {
        let mut born = Vec::new();
        while let Some(start) = self.children.next_waiting() {
            born.push(self.start(start));
        }
        inputs.splice(0..0, born);
    }

    /// Takes what the keeper has handed on.
    pub(super) fn listen(&mut self, inputs: &mut Vec<Input>) {
        let mut news = std::mem::take(&mut self.news);
        self.link.listen(&mut news);
        self.keeper_lost |= news.lost;
        self.news = news;
        self.births(inputs);
        self.exits(inputs);
        self.signals(inputs);
    }

    fn exits(&mut self, inputs: &mut Vec<Input>) {
        for Exit { sequence, pid, status, at } in std::mem::take(&mut self.news.exits) {
            self.taken.exits = Some(sequence);
            let sequence = ExitSequence(sequence);
            if self.was_taken(pid, sequence) {
                continue;
            }
            let status = ExitStatus::from_wait_status(status);
            let Some(child) = self.children.remove(pid) else {
                let ending = words::ending(status);
                self.log(Level::Debug, &format!("reaped unknown pid {pid} ({ending})"));
                continue;
            };
            self.backlog.forget(pid, child.stdin.as_ref());
            self.listening.unwatch(child.life, child.stdin.as_ref());
            let Life { service, generation } = child.life;
            self.is_unstuck(service);
            inputs.push(match self.stillborn.remove(&pid).and_then(spawn_error) {
                Some((error, entry)) => {
                    self.note_file(service, entry);
                    Input::SpawnFailed { service, generation, error }
                }
                None => {
                    let at = Instant(at);
                    Input::Exited { service, generation, status, sequence, at }
                }
            });
            self.metrics.exited(service, at);
            self.over.push(child.life);
        }
    }

    /// Whether a predecessor took this record and had no time to say so. The number of
    /// its process may belong to another one by now.
    fn was_taken(&self, pid: u32, sequence: ExitSequence) -> bool {
        let service = self.children.child(pid).map(|child| child.life.service.0 as usize);
        let known = service.and_then(|place| self.exits_known.get(place));
        known.is_some_and(|known| sequence <= *known)
    }

    /// A life is over: what is left in its pipes is read, then they are closed.
    pub(super) fn release(&mut self, life: Life) {
        self.tell(ToKeeper::Drop(life.key(), Roles::STDIN));
        self.pump.release(life.service, life.generation);
    }

    fn signals(&mut self, inputs: &mut Vec<Input>) {
        let signals = std::mem::take(&mut self.news.signals);
        self.taken.signals |= signals;
        for signal in (1..64).filter(|number| signals >> number & 1 == 1) {
            match Signal::from_number(signal) {
                Some(signal @ (Signal::TERM | Signal::INT | Signal::QUIT)) => {
                    let text = format!("received {signal} indicating exit request");
                    self.log(Level::Warn, &text);
                    inputs.push(Input::Shutdown);
                }
                Some(Signal::HUP) => self.hang_up(),
                Some(Signal::USR2) => {
                    self.log(Level::Info, "received SIGUSR2 indicating log reopen request");
                    self.log(Level::Info, "supervisord logreopen");
                    self.pump.reopen();
                }
                Some(_) | None => {}
            }
        }
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
        self.tell(ToKeeper::Drop(Life { service, generation }.key(), role));
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
            if let Ok(identity) = process::identity(pidfd.as_fd(), pid) {
                let process = Process { generation: life.generation, pid: Pid(pid), identity };
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
        // There is time for a snapshot when there is nothing else.
        self.wants_snapshot = inputs.is_empty() && self.journal.is_long();
        let idle = inputs.is_empty() && self.compact_in() != Some(0) && !self.has_more_to_hear();
        let timeout = if idle {
            let now = clock::monotonic();
            let until = deadline.map(|deadline| deadline.0.saturating_sub(now));
            let nanoseconds = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
            let waits =
                [until, look.map(nanoseconds), self.attend_in(), self.compact_in(), pump_look];
            waits.into_iter().flatten().min()
        } else {
            Some(0)
        };
        let rooms = [Some(self.waker.as_fd()), self.backlog.room(), self.listening.room()];
        let (spoken_to, [woken, has_room, listener_has_room]) =
            poll::many(self.link.as_fd(), rooms, timeout);
        if woken {
            self.waker.clear();
        }
        // Before the exits: a birth that failed is known before its exit is read.
        self.births(inputs);
        if spoken_to {
            self.listen(inputs);
        }
        if woken {
            self.reports(inputs);
            self.questions(inputs);
        }
        if has_room {
            let children = &self.children;
            self.backlog.go_on(|pid| children.child(pid)?.stdin.as_ref());
        }
        if listener_has_room {
            self.send_on();
        }
        self.start_waiting(inputs);
    }

    fn publish(&mut self, supervisor: &Supervisor, event: Event) {
        if let Some(event) = payload::event_type(&event) {
            self.metrics.told(event);
        }
        self.release_socket(supervisor, &event);
        self.heed(&event);
        self.publish_event(supervisor, &event);
    }

    fn record(&mut self, supervisor: &mut Supervisor) {
        let mut full = self.must_compact;
        let journal = &mut self.journal;
        let published = self.listening.take_published();
        let changes = &mut self.changes;
        if full {
            // The snapshot has it all.
            supervisor.take_records(|record| changes.note(&record));
        } else if !published.is_empty() {
            // What is published and what it tells of are written down in one entry.
            let mut both = journal.begin();
            published.into_iter().for_each(|deed| both.add(&Entry::Audience(deed)));
            supervisor.take_records(|record| {
                changes.note(&record);
                both.add(&Entry::Table(record));
            });
            full = !both.append();
        }
        // After one that found no room no other is written: what is there stays a
        // beginning of all there was, until the snapshot takes its place.
        supervisor.take_records(|record| {
            changes.note(&record);
            full = full || !journal.append(&Entry::Table(record));
        });
        self.want_chunks();
        self.must_compact = full;
        if self.compact_in() == Some(0) {
            self.compact(supervisor);
        }
        self.mood = supervisor.mood();
        self.hand_over(supervisor);
    }

    fn perform(&mut self, supervisor: &Supervisor, action: Action) -> Option<Input> {
        match action {
            Action::Spawn { service, generation } => {
                return self.spawn(supervisor, Life { service, generation });
            }
            Action::Unspawn { service, generation } => {
                self.children.forget(Life { service, generation });
            }
            Action::Signal { service, generation, signal, reach } => {
                let life = Life { service, generation };
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
            Action::Removed(service) => self.removed(service),
            Action::Answer { ticket, answer } => self.answer(supervisor, ticket, answer),
            Action::Notice(notice) => self.notice(supervisor, &notice),
            Action::Begin => self.take_up(&supervisor.loaded().attachment),
            Action::Begun => self.welcome(),
            // An event is told, not performed.
            Action::Event(_) | Action::Finish => {}
        }
        None
    }
}
