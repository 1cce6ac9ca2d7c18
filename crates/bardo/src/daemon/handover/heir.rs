//! Who comes next: a keeper takes over from the supervisor of one that was killed.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use bardo_keeper::protocol::{Exit, Message, Roles, ToKeeper, ToSupervisor};
use bardo_sys::channel::{Channel, Wait};
use bardo_sys::peer::{self, Credentials};
use bardo_sys::poll::{self, Room};
use bardo_sys::stat::Stat;
use bardo_sys::{clock, process};
use rustix::io::Errno;

use super::super::link::Held;
use super::super::managed::folder::LOCK;
use super::super::watching;
use super::{DOOR, FORMER_DOOR, SAID_WITHIN, hear, until};

/// SIGKILL.
const KILL: i32 = 9;

/// SIGSTOP.
const STOP: i32 = 19;

/// SIGCONT.
const CONTINUE: i32 = 18;

/// How long, in nanoseconds, a former supervisor may take to end that was killed.
const ENDED_WITHIN: u64 = 5_000_000_000;

/// How long, in nanoseconds, one may take to stop. It goes on where it takes longer, and is
/// asked again by the next keeper.
const STOPPED_WITHIN: u64 = SAID_WITHIN;

/// How long one rests who waits for that.
const REST: Duration = Duration::from_millis(1);

/// What a former supervisor has handed over.
#[derive(Debug, Default)]
pub struct Handed {
    /// The journal.
    pub journal: Option<OwnedFd>,
    /// What its keeper held.
    pub held: Vec<Held>,
    /// Processes that have ended, and that it has not taken in.
    pub exits: Vec<Exit>,
    /// Signals that it has not taken in.
    pub signals: u64,
    /// Itself, while it is there: it waits, and does nothing.
    pub former: Option<Former>,
}

/// The supervisor of a keeper that was killed, who has handed over all that it has. It is
/// stopped, and goes on where nobody takes its place: when this is dropped.
#[derive(Debug)]
pub struct Former {
    /// It.
    pub process: OwnedFd,
    /// The talk with it, which has it go on when the last one closes it.
    pub talk: OwnedFd,
    /// The user that it is.
    pub uid: u32,
    /// Its number.
    pid: u32,
    /// Whether it was found where the next keeper is waited for.
    pub(super) has_door: bool,
}

impl Former {
    fn stop(process: OwnedFd, by: Credentials, talk: Channel) -> io::Result<Self> {
        let Credentials { pid, uid } = by;
        let former = Self { process, talk: talk.into(), uid, pid, has_door: false };
        process::signal(former.process.as_fd(), STOP)?;
        let stopped = former.await_stop();
        if stopped.is_err() {
            // The end of the talk has it go on as well, where the kernel was asked for that.
            let _ = process::signal(former.process.as_fd(), CONTINUE);
        }
        stopped.map(|()| former)
    }

    /// What it does in a system call is not over at once, and a disk may hold that up. It would be
    /// done twice.
    fn await_stop(&self) -> io::Result<()> {
        let deadline = clock::monotonic().saturating_add(STOPPED_WITHIN);
        while !process::is_stopped(self.process.as_fd(), self.pid)? {
            if until(deadline) == 0 {
                let text = "the supervisor of a former keeper does not stop";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            std::thread::sleep(REST);
        }
        Ok(())
    }

    /// Ends it: somebody else has its place.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end(self) -> io::Result<()> {
        end(&self.process)
    }
}

/// Takes everything from the supervisor of a keeper that was killed, if there is one. It is
/// stopped then: nothing that it does afterwards is to be missed, and nothing is done twice.
/// One that cannot be heard is ended.
///
/// # Errors
/// When there is one that can neither be heard nor ended, that has given all and does not stop,
/// or that cannot be asked now for want of something.
pub fn ask(place: &Path) -> io::Result<Handed> {
    let mut is_silent = false;
    for name in [DOOR, FORMER_DOOR] {
        match ask_at(&place.join(name))? {
            Asked::Nobody => {}
            Asked::Silent => is_silent = true,
            Asked::Handed(mut handed) => {
                handed.former.iter_mut().for_each(|former| former.has_door = name == DOOR);
                if is_silent {
                    end_holders(place, handed.former.as_ref().map(|former| former.pid))?;
                }
                return Ok(handed);
            }
        }
    }
    // Half of what it has is of no use.
    end_holders(place, None)?;
    Ok(Handed::default())
}

/// What came of asking.
enum Asked {
    Handed(Handed),
    /// Nobody is there, or nobody who can be reached: the file is gone.
    Nobody,
    Silent,
}

fn ask_at(door: &Path) -> io::Result<Asked> {
    let give_up_at = clock::monotonic().saturating_add(SAID_WITHIN);
    let (mut tries_left, mut pause) = (TRIES, ASK_AGAIN);
    loop {
        let mut handed = Handed::default();
        let taken = match Channel::connect(door) {
            Ok(channel) => {
                must_be_own(&channel)?;
                take_all(channel, &mut handed)
            }
            // It hangs, and has been asked often.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            Err(error) if is_nobody(&error) => return Ok(Asked::Nobody),
            Err(error) => return Err(error),
        };
        let why = match taken {
            Ok((process, by, talk)) => {
                handed.former = Some(Former::stop(process, by, talk)?);
                return Ok(Asked::Handed(handed));
            }
            // It has all, and we are short of something.
            Err(why) if !is_nobody(&why) => return Err(why),
            Err(why) => why,
        };
        let is_silent = matches!(why.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
        let has_hung_up = matches!(
            why.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionReset
        );
        tries_left -= u32::from(!has_hung_up);
        if has_hung_up && until(give_up_at) == 0 {
            // It lives, and all programs with it: it is asked by the next start.
            let text = format!("the supervisor of the former keeper cannot hand over: {why}");
            return Err(io::Error::other(text));
        }
        if is_silent || tries_left == 0 || until(give_up_at) == 0 {
            eprintln!("bardo: the supervisor of the former keeper hands nothing over: {why}");
            return Ok(Asked::Silent);
        }
        if has_hung_up {
            // It has ended, or it is short of something.
            std::thread::sleep(pause);
            pause = (pause * 2).min(ASK_AGAIN_MAX);
        }
    }
}

/// That somebody may be asked: what another account has started only that one, or root, can go on
/// with. Where its descriptors come from the service manager its processes would be lost all the
/// same.
fn must_be_own(channel: &Channel) -> io::Result<()> {
    let own = rustix::process::geteuid();
    let by = peer::credentials(channel.as_fd())?.uid;
    if own.is_root() || by == own.as_raw() {
        return Ok(());
    }
    let text = format!(
        "it was started by user {by}, and this is user {}, who cannot go on with its programs: \
         they run on, and nobody looks after them. Have it started by the former user again, or \
         stop it",
        own.as_raw()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// Whether nobody can be there who is asked: no file, no listener, or another kind of file. It
/// is not so where we are short of something ourselves.
fn is_nobody(error: &io::Error) -> bool {
    let resources = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    !resources.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// How often one is asked that says something else than all.
const TRIES: u32 = 3;

/// How long one rests before one is asked again that has hung up; twice as long each time, up
/// to [`ASK_AGAIN_MAX`].
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// The longest of these rests.
const ASK_AGAIN_MAX: Duration = Duration::from_millis(500);

/// Takes all there is; the supervisor itself comes with it, and who it is.
fn take_all(channel: Channel, handed: &mut Handed) -> io::Result<(OwnedFd, Credentials, Channel)> {
    let (mut former, mut sender) = (None, None);
    // The socket was made by its keeper, who may have been another user.
    channel.want_senders()?;
    let next = Message::to_keeper(ToKeeper::Next);
    channel.send(next.bytes(), &[], Wait::ForRoom)?;
    loop {
        let (mut message, mut files) = (Message::default(), Vec::new());
        let by = hear(&channel, SAID_WITHIN, &mut message, &mut files)?;
        let by = by.filter(|by| sender.is_none_or(|sender| sender == *by));
        sender = Some(by.ok_or(io::ErrorKind::PermissionDenied)?);
        match message.from_keeper() {
            Some(ToSupervisor::Held) => {
                if message.held().count() > files.len() {
                    return Err(Errno::MFILE.into());
                }
                for ((key, role), descriptor) in message.held().zip(files) {
                    match role {
                        Roles::SUPERVISOR => former = Some(descriptor),
                        Roles::JOURNAL => handed.journal = Some(descriptor),
                        _ => handed.held.push(Held { key, role, descriptor }),
                    }
                }
                channel.send(next.bytes(), &[], Wait::ForRoom)?;
            }
            Some(ToSupervisor::Exits) => handed.exits.extend(message.exits()),
            Some(ToSupervisor::Signals(signals)) => handed.signals |= signals,
            Some(ToSupervisor::Begin(_)) => break,
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    let own = rustix::process::geteuid();
    let said = former.zip(sender).filter(|(former, sender)| {
        let is_trusted = own.is_root() || [0, own.as_raw()].contains(&sender.uid);
        // It is the one that has said all this, and no other that it gives to us to be ended.
        is_trusted && process::number(former.as_fd()) == i32::try_from(sender.pid).ok()
    });
    let (former, sender) = said.ok_or(io::ErrorKind::PermissionDenied)?;
    Ok((former, sender, channel))
}

/// Ends a process and waits until it has ended.
pub(super) fn end(former: &OwnedFd) -> io::Result<()> {
    if !process::signal(former.as_fd(), KILL)? {
        return Ok(());
    }
    let deadline = clock::monotonic().saturating_add(ENDED_WITHIN);
    // Also an interruption ends the wait.
    while !poll::two(former.as_fd(), None, Room(false), Some(until(deadline))).first {
        if until(deadline) == 0 {
            let text = "the supervisor of a former keeper was killed and does not end";
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
    }
    Ok(())
}

/// Ends supervisors of this service that have no keeper and say nothing: they are stopped, or
/// hang, or nobody can reach them any more. The one of the number `but` goes on.
fn end_holders(place: &Path, but: Option<u32>) -> io::Result<()> {
    let uid = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let is_ours = [watching::SUPERVISOR_COMM, watching::COMM].contains(&comm.trim_end());
        let is_reachable = entry.metadata().is_ok_and(|there| uid == 0 || there.uid() == uid);
        if !is_ours || !is_reachable || pid == std::process::id() || but == Some(pid) {
            continue;
        }
        let Ok(former) = process::open(pid) else { continue };
        let has_keeper =
            || Stat::of(pid).is_some_and(|stat| has_open(stat.parent, &place.join(LOCK)));
        if has_open(pid, place) && !has_keeper() {
            end(&former)?;
        }
    }
    Ok(())
}

/// Whether a process has this file or folder open, or one that was removed from there.
fn has_open(pid: u32, path: &Path) -> bool {
    let id = |path: &Path| fs::metadata(path).ok().map(|there| (there.dev(), there.ino()));
    let own = id(path);
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    let gone = folder.zip(path.file_name()).map(|(folder, name)| {
        let mut gone = folder.join(name).into_os_string();
        gone.push(" (deleted)");
        gone
    });
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.map(|file| file.path()).any(|file| {
        let is_it = own.is_some() && id(&file) == own;
        is_it || fs::read_link(&file).is_ok_and(|link| Some(link.as_os_str()) == gone.as_deref())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_there_unless_we_are_short_of_something_ourselves() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("file");
        fs::write(&file, "").unwrap();
        let closed = room.path().join("closed");
        drop(bardo_sys::channel::listen(&closed).unwrap());

        for path in [room.path().join("nothing"), file, closed] {
            let error = Channel::connect(&path).unwrap_err();
            assert!(is_nobody(&error), "{}: {error}", path.display());
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS] {
            assert!(!is_nobody(&errno.into()), "{errno}");
        }
    }
}
