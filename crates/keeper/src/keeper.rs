//! The one loop of the keeper.

mod handing;
mod mirroring;

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use bardo_sys::channel::{Channel, DESCRIPTORS_MAX, Received, Wait};
use bardo_sys::launch::Launch;
use bardo_sys::poll::{self, Want};
use bardo_sys::process::{self, Processes};
use bardo_sys::signals::SignalReader;
use bardo_sys::{clock, signals};

use crate::ending::{Ending, Others};
use crate::exits::Exits;
use crate::foreign::Foreign;
use crate::notify::{Listener, Notify};
use crate::protocol::{Key, Message, Predecessor, Roles, ToKeeper};
use crate::store::Store;
use crate::vault::Vault;

/// The signals that are forwarded, besides SIGCHLD, which is the keeper's own.
pub const FORWARDED: [i32; 5] = [1, 2, 3, 12, 15];

/// SIGCHLD.
const CHILD_ENDED: i32 = 17;

/// SIGTSTP, SIGTTIN and SIGTTOU.
const TERMINAL_STOPS: [i32; 3] = [20, 21, 22];

/// SIGKILL.
pub(crate) const KILL: i32 = 9;

const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// How long a new supervisor may take to take over. Ten thousand children take less
/// than a second.
const TAKE_OVER_WITHIN: u64 = 60 * SECOND;

/// A wait that ends so much too late was not a wait but a sleep of the machine.
const SLEPT: u64 = SECOND;

/// How long it may take a supervisor, also one after the other, to take a stop.
const OBEYS_WITHIN: u64 = 30 * SECOND;

/// A supervisor that ends by itself so soon after it has taken over is one that could not.
const BRIEF: u64 = SECOND;

/// The longest pause before a supervisor that could not take over is tried again.
const PAUSE_MAX: u64 = 30 * SECOND;

/// From so many supervisors in a row on that could not take over, somebody watches in
/// the pauses, and the keeper itself ends everything when that is asked for.
const HELPLESS_AFTER: u32 = 3;

/// SIGINT, SIGQUIT and SIGTERM: bit n is signal n.
const STOPS: u64 = 1 << 2 | 1 << 3 | 1 << 15;

/// A descriptor to hold from the start.
#[derive(Debug)]
pub struct Held {
    /// Whose.
    pub key: Key,
    /// Which.
    pub role: Roles,
    /// The descriptor.
    pub descriptor: OwnedFd,
    /// Whether the service manager has it already.
    pub is_stored: bool,
}

/// What a keeper goes on with that comes after another one.
#[derive(Debug, Default)]
pub struct Resumed {
    /// The number of its first exit record, which no former keeper has given.
    pub first_exit: u64,
    /// Processes that have ended, with their statuses and when, and that nobody has taken in.
    pub exits: Vec<(u32, i32, u64)>,
    /// Signals that nobody has taken: bit n is signal n.
    pub signals: u64,
    /// Whether the service manager has the journal already.
    pub journal_is_stored: bool,
}

/// What a keeper is given.
#[derive(Debug)]
pub struct Settings {
    /// How the supervisor is started.
    pub supervisor: Launch,
    /// How one is started that only watches.
    pub watcher: Launch,
    /// The journal, which each supervisor gets as its descriptor 4.
    pub journal: OwnedFd,
    /// What is held from the start.
    pub held: Vec<Held>,
    /// Descriptors that only have to stay open, like the lock socket.
    pub kept_open: Vec<OwnedFd>,
    /// Nanoseconds that a supervisor may leave untaken what it was handed.
    pub hang_timeout: u64,
    /// Nanoseconds that children have to end when the keeper itself tells them to.
    pub stop_wait: u64,
    /// Most descriptors of this process.
    pub descriptors_max: usize,
    /// Who is told how things are.
    pub listener: Listener,
    /// Where another keeper was before.
    pub resumed: Option<Resumed>,
}

struct Keeper {
    settings: Settings,
    signals: SignalReader,
    vault: Vault,
    exits: Exits,
    /// Programs that are not the keeper's children.
    foreign: Foreign,
    notify: Notify,
    /// What the service manager has of what is held.
    store: Option<Store>,
    /// When it is tried again to tell the manager what the kernel had no means for.
    mirror_at: Option<u64>,
    /// To find children whose numbers nobody has said; `None` where there is no /proc.
    processes: Option<Processes>,
    /// Signals that nobody is done with: bit n is signal n.
    pending: u64,
    supervisor: Option<Supervisor>,
    predecessor: Predecessor,
    /// Supervisors in a row that ended before they had taken over.
    failures: u32,
    start_at: u64,
    /// Whether somebody has watched already in this pause.
    watched: bool,
    ending: Option<Ending>,
    /// When everything is ended even if there is a supervisor: it does not obey.
    stop_by: Option<u64>,
    message: Message,
}

/// The supervisor that lives.
struct Supervisor {
    pid: u32,
    channel: Channel,
    phase: Phase,
    /// The number from which descriptors are to be given next; `None` once all were given.
    give_from: Option<usize>,
    /// The number of the next exit record to hand on.
    next_exit: u64,
    /// Signals that were handed on and are not done with.
    handed: u64,
    /// Those of them that have come again since: they are handed on again after that.
    again: u64,
    /// Since when something that was handed on is not done with.
    owed_since: Option<u64>,
    /// Whether the channel was full.
    full: bool,
    killed: bool,
    /// Whether that was because it took nothing any more.
    hung: bool,
    finish: Option<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is given what is held.
    TakesOver {
        /// Since when.
        since: u64,
    },
    /// It works.
    Works {
        /// Since when.
        since: u64,
    },
    /// It only watches until the next one is tried.
    Watches,
}

/// Keeps, until a supervisor says that all is over; returns the exit code.
///
/// # Errors
/// Only at the start: when signals cannot be read or orphans cannot be adopted.
pub fn run(mut settings: Settings) -> io::Result<i32> {
    let mut wanted = [CHILD_ENDED; FORWARDED.len() + 1];
    wanted[1..].copy_from_slice(&FORWARDED);
    let reader = SignalReader::new(&wanted)?;
    process::become_subreaper()?;
    // A keeper that a terminal has stopped would stop everybody.
    signals::ignore(&TERMINAL_STOPS);
    let mut vault = Vault::new(settings.descriptors_max);
    let notify = Notify::new(std::mem::take(&mut settings.listener));
    let mut store =
        notify.has_manager().then(|| Store::new(settings.descriptors_max, notify.keeps()));
    let has_new_keeper = settings.resumed.is_some();
    let resumed = settings.resumed.take().unwrap_or_default();
    let mut exits = Exits::new(resumed.first_exit.max(1));
    for (pid, status, at) in resumed.exits {
        // What does not fit is found to have ended by whoever takes over, with less said of it.
        if exits.has_room() {
            exits.push(pid, status, at);
        }
    }
    if let Some(store) = store.as_mut().filter(|_| !resumed.journal_is_stored) {
        store.keep_journal();
    }
    for Held { key, role, descriptor, is_stored } in settings.held.drain(..) {
        let place = descriptor.as_raw_fd() as usize;
        vault.hold(key, role, descriptor);
        match &mut store {
            Some(store) if is_stored => store.has_already(place),
            Some(store) => store.keep(key, role, place),
            None => {}
        }
    }
    let descriptors_max = settings.descriptors_max;
    let mut keeper = Keeper {
        settings,
        notify,
        signals: reader,
        vault,
        exits,
        foreign: Foreign::new(descriptors_max),
        store,
        mirror_at: None,
        processes: Processes::open().ok(),
        pending: resumed.signals,
        supervisor: None,
        predecessor: Predecessor { has_new_keeper, ..Predecessor::default() },
        failures: 0,
        start_at: 0,
        watched: false,
        ending: None,
        stop_by: None,
        message: Message::default(),
    };
    loop {
        if let Some(code) = keeper.turn() {
            keeper.leave_nothing();
            return Ok(code);
        }
    }
}

impl Keeper {
    /// Waits for something, then does all there is to do. `Some` is the end.
    fn turn(&mut self) -> Option<i32> {
        if self.ending.is_none() && self.is_stop_wanted() && self.is_helpless() {
            // From now on everybody ends.
            self.kill();
            self.supervisor = None;
            self.ending = Some(Ending::new(self.settings.stop_wait));
        }
        // While what was handed over is overdue, whoever watches the keeper is not fed.
        let is_overdue = self.supervisor.as_ref().is_some_and(|supervisor| supervisor.hung);
        if !is_overdue {
            self.notify.feed();
        }
        if let Some(ending) = &mut self.ending {
            let others =
                Others { foreign: &mut self.foreign, vault: &self.vault, exits: &mut self.exits };
            // The manager hears meanwhile that the keeper works.
            let feed_at = self.notify.feed_at().filter(|_| !is_overdue);
            return ending.turn(self.processes.as_ref(), &self.signals, others, feed_at);
        }
        if self.supervisor.is_none() {
            self.start();
        }
        let feed_at = self.notify.feed_at().filter(|_| !is_overdue);
        let look_at = self.foreign.look_at().filter(|_| self.exits.has_room());
        let moments = [
            self.deadline(),
            self.stop_by,
            feed_at,
            self.mirror_at,
            look_at,
            self.notify.again_at(),
        ];
        let wake_at = moments.into_iter().flatten().min();
        let timeout = wake_at.map(|at| at.saturating_sub(clock::monotonic()));
        // The end of the talk with one that was killed would be seen again and again.
        let other = self.supervisor.as_ref().filter(|supervisor| !supervisor.killed);
        let channel = other.map(|other| {
            let want = if other.full { Want::Both } else { Want::Read };
            (other.channel.as_fd(), want)
        });
        let room = self.notify.room().map(|room| (room, Want::Room));
        let foreign = self.foreign.news(clock::monotonic()).filter(|_| self.exits.has_room());
        let foreign = foreign.map(|news| (news, Want::Read));
        let (signalled, [spoken_to, has_room, _]) =
            poll::several(self.signals.as_fd(), [channel, room, foreign], timeout);
        if has_room || self.notify.again_at().is_some_and(|at| at <= clock::monotonic()) {
            self.notify.flush();
        }
        // One is enough: while there are more, the next wait does not wait.
        if signalled
            && let Some(signal) = self.signals.next()
            && signal != CHILD_ENDED
        {
            self.pending |= 1 << signal;
            // One that comes again while it is being taken is handed on again.
            if let Some(supervisor) = &mut self.supervisor {
                supervisor.again |= supervisor.handed & 1 << signal;
            }
            if self.is_stop_wanted() {
                self.stop_by.get_or_insert_with(|| clock::monotonic() + OBEYS_WITHIN);
            }
        }
        if spoken_to {
            self.listen();
        }
        let end = self.reap();
        // What finds no room stays there: whoever takes some makes room.
        if self.foreign.count() > 0 && self.exits.has_room() {
            self.foreign.reap(&self.vault, &mut self.exits, clock::monotonic());
        }
        self.mirror();
        self.hand_on();
        self.check_deadlines();
        end
    }

    fn deadline(&self) -> Option<u64> {
        match &self.supervisor {
            None => Some(self.start_at),
            Some(supervisor) if supervisor.killed => None,
            Some(Supervisor { phase: Phase::TakesOver { since }, .. }) => {
                Some(since.saturating_add(TAKE_OVER_WITHIN))
            }
            Some(Supervisor { phase: Phase::Watches, .. }) => Some(self.start_at),
            Some(supervisor) => {
                supervisor.owed_since.map(|since| since.saturating_add(self.settings.hang_timeout))
            }
        }
    }

    /// Starts a supervisor, or in the pause before that, one that only watches.
    fn start(&mut self) {
        let now = clock::monotonic();
        let is_due = self.start_at <= now || self.is_stop_wanted();
        let (launch, phase) = if is_due {
            (&self.settings.supervisor, Phase::TakesOver { since: now })
        } else if self.failures >= HELPLESS_AFTER && !self.watched {
            (&self.settings.watcher, Phase::Watches)
        } else {
            return;
        };
        self.watched = !is_due;
        let started = Channel::pair().and_then(|(ours, theirs)| {
            let files = [theirs.as_fd(), self.settings.journal.as_fd()];
            launch.start(&files).map(|pid| (pid, ours))
        });
        match started {
            Ok((pid, channel)) => {
                self.supervisor = Some(Supervisor {
                    pid,
                    channel,
                    phase,
                    give_from: Some(0),
                    next_exit: 0,
                    handed: 0,
                    again: 0,
                    owed_since: None,
                    full: false,
                    killed: false,
                    hung: false,
                    finish: None,
                });
            }
            // No process or descriptor to be had just now.
            Err(_) if is_due => self.pause(now),
            Err(_) => {}
        }
    }

    /// Puts off the next start: 0, 1, 2, 4 .. 30 seconds.
    fn pause(&mut self, now: u64) {
        let pause = match self.failures {
            0 => 0,
            failures => (SECOND << (failures - 1).min(5)).min(PAUSE_MAX),
        };
        self.failures = self.failures.saturating_add(1);
        self.start_at = now.saturating_add(pause);
    }

    /// Takes what the supervisor has said.
    fn listen(&mut self) {
        loop {
            let Some(supervisor) = &self.supervisor else { return };
            let mut descriptors = [const { None }; DESCRIPTORS_MAX];
            let mut places = descriptors.iter_mut();
            let received =
                supervisor.channel.receive(self.message.room(), Wait::No, |descriptor| {
                    if let Some(place) = places.next() {
                        *place = Some(descriptor);
                    }
                });
            match received {
                Ok(Received::Message(length)) => {
                    self.message.set_length(length);
                    if let Some(said) = self.message.from_supervisor() {
                        self.obey(said, &mut descriptors);
                    }
                }
                Ok(Received::Nothing) => return,
                // It is dead, or as good as that.
                Ok(Received::Closed) | Err(_) => return self.kill(),
            }
        }
    }

    fn obey(&mut self, said: ToKeeper, descriptors: &mut [Option<OwnedFd>]) {
        let Some(supervisor) = &mut self.supervisor else { return };
        match said {
            ToKeeper::Next => self.give(),
            ToKeeper::TookOver => {
                supervisor.phase = Phase::Works { since: clock::monotonic() };
                // What was handed on while it took over counts from now.
                self.paid();
            }
            ToKeeper::Hold(key, roles) => {
                for (role, descriptor) in roles.each().zip(descriptors) {
                    if let Some(descriptor) = descriptor.take() {
                        let place = descriptor.as_raw_fd() as usize;
                        self.vault.hold(key, role, descriptor);
                        if let Some(store) = &mut self.store {
                            store.keep(key, role, place);
                        }
                    }
                }
            }
            ToKeeper::Drop(key, roles) => {
                self.vault.close(key, roles, |role, place, descriptor| {
                    self.foreign.forget(place, descriptor);
                    if let Some(store) = &mut self.store {
                        store.drop(key, role, place);
                    }
                });
            }
            ToKeeper::Watch(key, pid) => {
                let now = clock::monotonic();
                self.foreign.watch(key, pid, &self.vault, &mut self.exits, now);
            }
            ToKeeper::ExitsTaken(sequence) => {
                self.exits.forget(sequence);
                self.paid();
            }
            ToKeeper::SignalsTaken(signals) => {
                self.pending &= !signals | supervisor.again;
                supervisor.handed &= !signals;
                supervisor.again &= !signals;
                self.stop_by = match self.stop_by.filter(|_| self.is_stop_wanted()) {
                    // It obeys, and was told to once more.
                    Some(_) if signals & STOPS != 0 => Some(clock::monotonic() + OBEYS_WITHIN),
                    stop_by => stop_by,
                };
                self.paid();
            }
            // While it takes over it has another limit.
            ToKeeper::Hung if matches!(supervisor.phase, Phase::Works { .. }) => self.end_hung(),
            ToKeeper::Hung => {}
            ToKeeper::Patience { hang, stop } => {
                self.settings.hang_timeout = hang.saturating_mul(MILLISECOND);
                self.settings.stop_wait = stop.saturating_mul(MILLISECOND);
            }
            ToKeeper::Finish(code) => supervisor.finish = Some(code),
            ToKeeper::Tell => self.notify.tell(self.message.text()),
        }
    }

    /// Takes the statuses of all that have ended. `Some` is the end.
    fn reap(&mut self) -> Option<i32> {
        let own = self.supervisor.as_ref().map(|supervisor| supervisor.pid);
        while self.exits.has_room()
            && let Some(ended) = process::reap()
        {
            if own != Some(ended.pid) {
                self.exits.push(ended.pid, ended.status, clock::monotonic());
            } else if let Some(code) = self.part_with(ended.status) {
                return Some(code);
            }
        }
        // The others stay with the kernel until there is room; a supervisor that makes
        // room is needed for that.
        if !self.exits.has_room()
            && let Some(status) =
                self.supervisor.as_ref().and_then(|own| process::reap_one(own.pid))
        {
            return self.part_with(status);
        }
        None
    }

    /// The supervisor has ended; what it had said before still counts.
    fn part_with(&mut self, status: i32) -> Option<i32> {
        if let Some(supervisor) = &mut self.supervisor {
            // Its number is not its own any more.
            supervisor.killed = true;
        }
        self.listen();
        self.bury(status)
    }

    /// The supervisor has ended: that was the end of all, or there is another one.
    fn bury(&mut self, status: i32) -> Option<i32> {
        let supervisor = self.supervisor.take()?;
        if supervisor.finish.is_some() {
            return supervisor.finish;
        }
        let now = clock::monotonic();
        match supervisor.phase {
            Phase::Watches => {
                // It was asked to let the next one try.
                if status == 0 {
                    self.start_at = now;
                }
                return None;
            }
            // It was killed, or had worked for a while.
            Phase::Works { since } if status == KILL || now - since > BRIEF => {
                self.failures = 0;
                self.start_at = now;
            }
            Phase::Works { .. } | Phase::TakesOver { .. } => self.pause(now),
        }
        self.predecessor.count = self.predecessor.count.saturating_add(1);
        self.predecessor.status = status;
        self.predecessor.hung = supervisor.hung;
        None
    }

    fn check_deadlines(&mut self) {
        let now = clock::monotonic();
        let Some(deadline) = self.deadline().filter(|_| self.supervisor.is_some()) else { return };
        if deadline > now {
            return;
        }
        // Who wakes up this late has slept itself: the machine or the container was
        // stopped, and the supervisor with it. It gets its time once more.
        if now - deadline > SLEPT
            && let Some(supervisor) = &mut self.supervisor
        {
            match &mut supervisor.phase {
                Phase::TakesOver { since } => *since = now,
                Phase::Works { .. } => supervisor.owed_since = Some(now),
                Phase::Watches => self.kill(),
            }
            return;
        }
        self.end_hung();
    }

    fn end_hung(&mut self) {
        if let Some(supervisor) = &mut self.supervisor {
            supervisor.hung = true;
        }
        self.kill();
    }

    /// Whether somebody has asked for the end of it all.
    fn is_stop_wanted(&self) -> bool {
        self.pending & STOPS != 0
    }

    /// Whether there is no supervisor, and no hope for one, or none that obeys.
    fn is_helpless(&self) -> bool {
        let phase = self.supervisor.as_ref().map(|supervisor| supervisor.phase);
        self.failures >= HELPLESS_AFTER && matches!(phase, None | Some(Phase::Watches))
            || self.stop_by.is_some_and(|stop_by| stop_by <= clock::monotonic())
    }

    /// Ends a supervisor that does not answer. It is our child and not reaped yet,
    /// so the number is its own.
    fn kill(&mut self) {
        if let Some(supervisor) = &mut self.supervisor
            && !supervisor.killed
        {
            supervisor.killed = true;
            process::kill_child(supervisor.pid, KILL);
        }
    }
}
