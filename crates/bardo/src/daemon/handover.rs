//! From one keeper to the next: a supervisor that has lost its own waits, and gives the next
//! one what it holds.
//!
//! Without a keeper nothing can be known of any child, so nothing is decided. But the log pump
//! goes on, and all that the keeper held is open here too, save what it held for those who are
//! over. The next keeper asks for it over a socket in the service's folder, and once it has all,
//! it stops this process. The first supervisor of that keeper ends it that has all of it as
//! well: until then what is held is held twice. Where neither of them is there any more, the
//! kernel has this process go on, and it waits again.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use bardo_core::job::{Answer, Command, Refusal};
use bardo_core::{Mood, Supervisor};
use bardo_keeper::protocol::{
    ENTRIES_MAX, Key, Message, Predecessor, Roles, ToKeeper, ToSupervisor,
};
use bardo_sys::channel::{self, Channel, Received, Wait};
use bardo_sys::descriptors::{FileId, each_own};
use bardo_sys::peer::{self, Credentials};
use bardo_sys::poll::{self, Room};
use bardo_sys::{clock, process};
use rustix::fs::{Mode, OFlags};

use super::adoption::Inheritance;
use super::clients::{Question, Reply, Request};
use super::journal::Entry;
use super::main_log::Level;
pub use super::managed::folder::{DOOR, FORMER_DOOR};
use super::settings::RESTART_REQUESTED;
use super::troubles::TroubleKind;
use super::troubles::noticing::SUPERVISOR;
use super::world::Machine;

mod heir;

use heir::end;
pub use heir::{Former, Handed, ask};

/// What is not handed over: it is about one keeper only.
const NOT_HANDED: Roles = Roles::HANDOVER.and(Roles::SUPERVISOR).and(Roles::TALK);

/// SIGTERM.
const TERMINATE: i32 = 15;

/// How long, in nanoseconds, the next keeper is waited for where no service manager says that
/// it has given up: longer than any pause before a restart.
const WAIT_FOR: u64 = 300_000_000_000;

/// How long, in nanoseconds, the other one may take to say its next word. Who says none is
/// ended with all that it has, so a machine that merely has no time for it is waited for.
const SAID_WITHIN: u64 = 20_000_000_000;

/// How long one rests who cannot let the next keeper in.
const REST: Duration = Duration::from_millis(10);

/// Listens for the next keeper, where nobody else does.
///
/// # Errors
/// What the system says.
pub fn door(place: &Path) -> io::Result<OwnedFd> {
    // What has been left there by a supervisor that was ended.
    let _ = fs::remove_file(place.join(FORMER_DOOR));
    channel::listen(&place.join(DOOR))
}

/// Listens for the next keeper in the place of a former supervisor, which can still be reached.
///
/// # Errors
/// What the system says.
pub fn door_beside(place: &Path, former: Option<&Former>) -> io::Result<OwnedFd> {
    match former {
        None => door(place),
        Some(former) => {
            if former.has_door {
                fs::rename(place.join(DOOR), place.join(FORMER_DOOR))?;
            }
            channel::listen(&place.join(DOOR))
        }
    }
}

/// The folder of a service, to be had open by its supervisor: who looks for a supervisor that
/// cannot be reached knows it by that.
#[must_use]
pub fn folder(place: &str) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Without it nobody is found any more, which does no harm as long as the door is there.
    rustix::fs::open(place, flags, Mode::empty()).ok()
}

/// What clients have asked for that the next keeper is to do.
#[derive(Debug, Clone, Copy, Default)]
struct Wishes {
    /// As signals: bit n is signal n.
    signals: u64,
    /// Whether everything is to begin anew after the end.
    begins_anew: bool,
}

// Who waits.

/// Waits for the next keeper, and hands everything to it, also processes of which nobody here
/// takes care. Returns when nobody comes.
pub(super) fn wait_for_heir(
    machine: &mut Machine,
    supervisor: &Supervisor,
    processes: &HashMap<Key, OwnedFd>,
) {
    let Some(door) = machine.door.take() else { return };
    // What the keeper has said before its end was not read by all who have seen that.
    machine.link.listen(&mut machine.news);
    let reason = "the keeper is gone: logs go on, and nothing else is done until another one has \
                  come";
    machine.log(Level::Critical, reason);
    machine.troubles.begin(TroubleKind::Keeper, SUPERVISOR, reason, clock::wall_seconds());
    machine.shown.write().unwrap_or_else(PoisonError::into_inner).watching = Some(reason.into());
    let is_told = machine.settings.service.as_ref().is_some_and(|service| service.is_told);
    // Where there is a service manager it ends what is left when nobody comes any more.
    let give_up_at = (!is_told).then(|| clock::monotonic() + WAIT_FOR);
    let (mut wishes, mut heir) = (Wishes::default(), None::<Heir>);
    loop {
        // Who has come is waited for without end: one that goes is seen.
        let give_up_at = give_up_at.filter(|_| heir.is_none());
        let left = give_up_at.map(|at| at.saturating_sub(clock::monotonic()));
        if left == Some(0) {
            return;
        }
        let others = [Some(machine.waker.as_fd()), heir.as_ref().map(|Heir(talk)| talk.as_fd())];
        let (knocked, [woken, gone]) = poll::many(door.as_fd(), others, left);
        if gone && heir.take().is_some() {
            // It has ended before somebody had all.
            machine.log(Level::Warn, "the next keeper is gone as well: another one is waited for");
        }
        if woken {
            machine.waker.clear();
            machine.hear_of_logs();
        }
        // What is promised once all was handed over nobody would keep.
        while heir.is_none()
            && let Some(request) = machine.next_question()
        {
            answer(machine, supervisor, request, &mut wishes);
        }
        if knocked {
            match Channel::accept(door.as_fd()) {
                Ok(Some(talk)) => {
                    machine.keep_wish(supervisor, &wishes);
                    let handed = hand_over(machine, &talk, wishes.signals, processes);
                    if let Err(error) = &handed {
                        let text = format!("what is held was not handed over: {error}");
                        machine.log(Level::Error, &text);
                    }
                    // Who closes a connection in which something is unread takes back what was
                    // said. Who was not given all sees it closed, and asks again at once.
                    heir = handed.is_ok().then_some(Heir(talk));
                }
                // Who has knocked still does when there is a descriptor for the talk.
                Ok(None) | Err(_) => std::thread::sleep(REST),
            }
        }
    }
}

/// The talk with a keeper that has all.
struct Heir(Channel);

impl Machine {
    /// Ends the supervisor of the keeper before, if it is there still: all that it had is here,
    /// and this keeper has it too.
    pub(super) fn end_former(&self, inheritance: &mut Inheritance) -> io::Result<()> {
        let (process, talk) = std::mem::take(&mut inheritance.former);
        if let Some(process) = process {
            end(&process)?;
        }
        // Who is not ended yet goes on when the last one closes this.
        drop(talk);
        let house = Key { owner: Key::HOUSE, life: 0 };
        self.tell(ToKeeper::Drop(house, Roles::SUPERVISOR.and(Roles::TALK)));
        Ok(())
    }

    /// Notes whether the end that a client has asked for is a restart. An earlier wish for one
    /// may have been noted for a keeper that is gone as well.
    fn keep_wish(&mut self, supervisor: &Supervisor, wishes: &Wishes) {
        let noted = self.surroundings.ends_with == RESTART_REQUESTED;
        if wishes.signals != 0 && wishes.begins_anew != noted {
            let code = if wishes.begins_anew { RESTART_REQUESTED } else { 0 };
            self.note(&Entry::EndsWith(code));
            self.compact_if_must(supervisor);
        }
    }
}

/// Answers a client; a stop that is wished is the next keeper's first signal.
fn answer(machine: &mut Machine, supervisor: &Supervisor, request: Request, wishes: &mut Wishes) {
    let Request { question, reply } = request;
    match question {
        Question::Command(Command::Shutdown | Command::Restart)
            if supervisor.mood() == Mood::Shutdown =>
        {
            let _ = reply.send(Reply::Answer(Answer::Refused(Refusal::ShuttingDown)));
        }
        Question::Command(command @ (Command::Shutdown | Command::Restart)) => {
            let begins_anew = command == Command::Restart;
            let what = if begins_anew { "a restart" } else { "the end" };
            machine.log(
                Level::Warn,
                &format!("a client asks for {what}: it comes with the next keeper"),
            );
            wishes.signals |= 1 << TERMINATE;
            // Of two wishes the later one counts.
            wishes.begins_anew = begins_anew;
            let _ = reply.send(Reply::Answer(Answer::Done));
        }
        Question::Command(Command::Look) => {
            let _ = reply.send(Reply::Answer(Answer::Table));
        }
        // The API lets nothing through but looks.
        question => machine.look(supervisor, question, reply),
    }
}

/// Gives a keeper everything, batch by batch, each when it asks for it.
fn hand_over(
    machine: &Machine,
    heir: &Channel,
    wishes: u64,
    processes: &HashMap<Key, OwnedFd>,
) -> io::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    let asker = peer::credentials(heir.as_fd())?;
    if asker.uid != 0 && asker.uid != own {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut batch = Batch::new(heir);
    let house = Key { owner: Key::HOUSE, life: 0 };
    batch.add(house, Roles::SUPERVISOR, File::Own(process::open(std::process::id())?))?;
    batch.add(house, Roles::JOURNAL, File::Lent(machine.journal.memory().file()))?;
    let known = machine.link.ledger().map(|ledger| ledger.by_file()).unwrap_or_default();
    // Some files are open more than once here.
    let mut given = HashSet::new();
    each_own(|file| {
        // It may be closed by now.
        let Ok(id) = FileId::of(file) else { return Ok(()) };
        let Some((key, role)) = known.get(&id).filter(|(_, role)| !role.meets(NOT_HANDED)) else {
            return Ok(());
        };
        if given.contains(&id) {
            return Ok(());
        }
        let mut duplicate = file.try_clone_to_owned();
        if duplicate.is_err() {
            // There is room when those are on their way that wait for it.
            batch.send()?;
            duplicate = file.try_clone_to_owned();
        }
        let file = duplicate?;
        // Its number may be that of another file by now.
        if FileId::of(file.as_fd())? == id {
            given.insert(id);
            batch.add(*key, *role, File::Own(file))?;
        }
        Ok(())
    })?;
    let others = processes.iter().map(|(key, pidfd)| (*key, pidfd.as_fd()));
    for (key, pidfd) in machine.children.open().chain(machine.helpers.scripts()).chain(others) {
        batch.add(key, Roles::PROCESS, File::Lent(pidfd))?;
    }
    batch.send()?;
    // Its answer is taken: an end with something unread would be told to it before our words.
    hear(heir, SAID_WITHIN, &mut Message::default(), &mut Vec::new())?;
    // Once it has heard all it may stop this process at any instant. Where the kernel refuses
    // this, a heir that dies leaves us stopped; to hand over nothing would be worse.
    let _ = heir.go_on_when_closed();
    for exits in machine.news.exits.chunks(ENTRIES_MAX) {
        let mut message = Message::to_supervisor(ToSupervisor::Exits);
        exits.iter().for_each(|exit| message.push_exit(*exit));
        heir.send(message.bytes(), &[], Wait::ForRoom)?;
    }
    let signals = machine.news.signals | wishes;
    let last = [ToSupervisor::Signals(signals), ToSupervisor::Begin(Predecessor::default())];
    for said in last {
        heir.send(Message::to_supervisor(said).bytes(), &[], Wait::ForRoom)?;
    }
    Ok(())
}

/// Descriptors on their way.
struct Batch<'a> {
    heir: &'a Channel,
    all: Vec<(Key, Roles, File<'a>)>,
}

/// A descriptor that is handed over: one that stays open here, or one made for that.
enum File<'a> {
    Lent(BorrowedFd<'a>),
    Own(OwnedFd),
}

impl AsFd for File<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Lent(file) => *file,
            Self::Own(file) => file.as_fd(),
        }
    }
}

impl<'a> Batch<'a> {
    fn new(heir: &'a Channel) -> Self {
        Self { heir, all: Vec::with_capacity(ENTRIES_MAX) }
    }

    fn add(&mut self, key: Key, role: Roles, file: File<'a>) -> io::Result<()> {
        self.all.push((key, role, file));
        if self.all.len() == ENTRIES_MAX { self.send() } else { Ok(()) }
    }

    /// Sends them, if there are any, when the other one is ready for them.
    fn send(&mut self) -> io::Result<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        hear(self.heir, SAID_WITHIN, &mut Message::default(), &mut Vec::new())?;
        let mut message = Message::to_supervisor(ToSupervisor::Held);
        self.all.iter().for_each(|(key, role, _)| message.push_held(*key, *role));
        let files: Vec<BorrowedFd<'_>> = self.all.iter().map(|(.., file)| file.as_fd()).collect();
        self.heir.send(message.bytes(), &files, Wait::ForRoom)?;
        self.all.clear();
        Ok(())
    }
}

/// Takes the next message, which must come in time, and who has sent it where that is wanted.
fn hear(
    channel: &Channel,
    within: u64,
    message: &mut Message,
    files: &mut Vec<OwnedFd>,
) -> io::Result<Option<Credentials>> {
    let deadline = clock::monotonic().saturating_add(within);
    // Also an interruption ends the wait.
    while !poll::two(channel.as_fd(), None, Room(false), Some(until(deadline))).first {
        if until(deadline) == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    let (received, sender) = channel.receive_from(message.room(), |file| files.push(file))?;
    match received {
        Received::Message(length) => message.set_length(length),
        Received::Nothing => return Err(io::ErrorKind::TimedOut.into()),
        Received::Closed => return Err(io::ErrorKind::UnexpectedEof.into()),
    }
    Ok(sender)
}

/// The nanoseconds until then.
fn until(deadline: u64) -> u64 {
    deadline.saturating_sub(clock::monotonic())
}
