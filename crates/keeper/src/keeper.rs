//! The one loop of the keeper.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bardo_sys::channel::{Channel, DESCRIPTORS_MAX, Received, Wait};
use bardo_sys::launch::Launch;
use bardo_sys::process::{self, Processes};
use bardo_sys::signals::SignalReader;
use bardo_sys::{clock, poll, signals};

use crate::ending::Ending;
use crate::exits::Exits;
use crate::protocol::{ENTRIES_MAX, Key, Message, Predecessor, Roles, ToKeeper, ToSupervisor};
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
}

struct Keeper {
    settings: Settings,
    signals: SignalReader,
    vault: Vault,
    exits: Exits,
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
    for held in settings.held.drain(..) {
        vault.hold(held.key, held.role, held.descriptor);
    }
    let mut keeper = Keeper {
        settings,
        signals: reader,
        vault,
        exits: Exits::new(),
        processes: Processes::open().ok(),
        pending: 0,
        supervisor: None,
        predecessor: Predecessor::default(),
        failures: 0,
        start_at: 0,
        watched: false,
        ending: None,
        stop_by: None,
        message: Message::default(),
    };
    loop {
        if let Some(code) = keeper.turn() {
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
        if let Some(ending) = &mut self.ending {
            return ending.turn(self.processes.as_ref(), &self.signals);
        }
        if self.supervisor.is_none() {
            self.start();
        }
        let wake_at = [self.deadline(), self.stop_by].into_iter().flatten().min();
        let timeout = wake_at.map(|at| at.saturating_sub(clock::monotonic()));
        // The end of the talk with one that was killed would be seen again and again.
        let other = self.supervisor.as_ref().filter(|supervisor| !supervisor.killed);
        let (channel, full) =
            (other.map(|other| other.channel.as_fd()), other.is_some_and(|other| other.full));
        let ready = poll::two(self.signals.as_fd(), channel, poll::Room(full), timeout);
        // One is enough: while there are more, the next wait does not wait.
        if ready.first
            && let Some(signal) = self.signals.next()
            && signal != CHILD_ENDED
        {
            self.pending |= 1 << signal;
            // One that comes again while it is being taken is handed on again.
            if let Some(supervisor) = &mut self.supervisor {
                supervisor.handed &= !(1 << signal);
            }
            if self.is_stop_wanted() {
                self.stop_by.get_or_insert_with(|| clock::monotonic() + OBEYS_WITHIN);
            }
        }
        if ready.second {
            self.listen();
        }
        let end = self.reap();
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
                        self.vault.hold(key, role, descriptor);
                    }
                }
            }
            ToKeeper::Drop(key, roles) => self.vault.close(key, roles),
            ToKeeper::ExitsTaken(sequence) => {
                self.exits.forget(sequence);
                self.paid();
            }
            ToKeeper::SignalsTaken(signals) => {
                self.pending &= !signals;
                supervisor.handed &= !signals;
                self.stop_by = self.stop_by.filter(|_| self.is_stop_wanted());
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
        }
    }

    /// The supervisor has taken something: its time begins anew, if there is more.
    fn paid(&mut self) {
        if let Some(supervisor) = &mut self.supervisor {
            let all = supervisor.handed == 0 && self.exits.is_empty();
            supervisor.owed_since = (!all).then(clock::monotonic);
        }
    }

    /// Gives the supervisor the next batch of what is held, or the word to begin.
    fn give(&mut self) {
        let Some(supervisor) = &mut self.supervisor else { return };
        let Some(mut number) = supervisor.give_from else { return };
        let mut message = Message::to_supervisor(ToSupervisor::Held);
        // As long as the longest batch; what is behind `count` is not sent.
        let mut descriptors = [self.signals.as_fd(); ENTRIES_MAX];
        let mut count = 0;
        while count < ENTRIES_MAX
            && let Some((key, role, descriptor, next)) = self.vault.from(number)
        {
            message.push_held(key, role);
            descriptors[count] = descriptor;
            count += 1;
            number = next;
        }
        if count == 0 {
            let (failures, next_try) = (self.failures, self.start_at);
            let predecessor = Predecessor { failures, next_try, ..self.predecessor };
            message = Message::to_supervisor(ToSupervisor::Begin(predecessor));
        }
        // One batch is in the channel at a time, so there is room; where there is
        // none, the supervisor does not take over in time and is started again.
        let sent = supervisor.channel.send(message.bytes(), &descriptors[..count], Wait::No);
        if sent.is_ok() {
            supervisor.give_from = (count > 0).then_some(number);
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

    /// Hands on what the supervisor has not been told.
    fn hand_on(&mut self) {
        let Some(supervisor) = &mut self.supervisor else { return };
        if supervisor.give_from.is_some() || supervisor.phase == Phase::Watches {
            return;
        }
        supervisor.full = false;
        while let Some(first) = self.exits.from(supervisor.next_exit) {
            let mut message = Message::to_supervisor(ToSupervisor::Exits);
            let mut next = first.sequence;
            while next < first.sequence + ENTRIES_MAX as u64
                && let Some(exit) = self.exits.from(next)
            {
                message.push_exit(exit);
                next = exit.sequence + 1;
            }
            if supervisor.channel.send(message.bytes(), &[], Wait::No).is_err() {
                supervisor.full = true;
                break;
            }
            supervisor.next_exit = next;
            supervisor.owed_since.get_or_insert_with(clock::monotonic);
        }
        let fresh = self.pending & !supervisor.handed;
        if fresh != 0 && !supervisor.full {
            let message = Message::to_supervisor(ToSupervisor::Signals(fresh));
            if supervisor.channel.send(message.bytes(), &[], Wait::No).is_ok() {
                supervisor.handed |= fresh;
                supervisor.owed_since.get_or_insert_with(clock::monotonic);
            } else {
                supervisor.full = true;
            }
        }
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
