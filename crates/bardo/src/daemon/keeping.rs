//! This process as the keeper: what it was given, and how it starts supervisors.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use bardo_keeper::protocol::{Key, Roles};
use bardo_keeper::{FORWARDED, Held, Listener, Resumed, Settings};
use bardo_sys::channel::Channel;
use bardo_sys::launch::{Launch, c_string, inherited, own_executable};
use bardo_sys::limits::{self, Limited};
use bardo_sys::memory::{self, SharedMemory};
use bardo_sys::{accounts, clock, process, signals};

use super::handover::{self, Former, Handed};
use super::journal::Journal;
use super::link;
use super::managed::folder;
use super::runtime::{self, ClaimError, Runtime};
use super::settings as daemon;

use super::stage::{KEEPER_FILES, SERVICE_FILES, Stage, Waiter};

/// The first descriptor that a keeper is given.
const FIRST_FD: i32 = 3;

/// Most descriptors that are held: there is room for so many, and no limit is above.
const DESCRIPTORS_MAX: u64 = 1 << 20;

/// How many nanoseconds programs have to end when the keeper tells them to.
const STOP_WAIT: u64 = 10_000_000_000;

/// How often a service manager hears in its time that the keeper works.
const FEEDS_IN_TIME: u64 = 3;

/// What a keeper's process is called.
pub const NAME: &str = "supervisord";

/// Keeps until all is over; returns the exit code.
///
/// # Errors
/// When it was not given what a keeper is given, or cannot become the parent of
/// orphans.
pub fn run(listeners: usize, hang_timeout_ms: u64, service: Option<Waiter>) -> io::Result<i32> {
    process::set_name(NAME);
    let count = KEEPER_FILES + SERVICE_FILES + listeners;
    let mut files = (FIRST_FD..).take(count).map(inherited);
    let mut next = || {
        files.next().flatten().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a keeper is started by supervisord only")
        })
    };
    let journal = next()?;
    let mut held =
        vec![house(0, Roles::STAGING_READ, next()?), house(0, Roles::STAGING_WRITE, next()?)];
    let mut kept_open = vec![next()?];
    let mut listener = Listener::default();
    if let Some(Waiter(waits)) = service {
        kept_open.push(next()?);
        held.push(house(0, Roles::HANDOVER, next()?));
        listener = manager();
        listener.waiter = if waits { Some(next()?) } else { None };
    }
    for place in 0..listeners {
        held.push(house(place, Roles::LISTENER, next()?));
    }
    keep(Kept { journal, held, kept_open, hang_timeout_ms, listener, resumed: None })
}

/// What a keeper is made of.
struct Kept {
    journal: OwnedFd,
    held: Vec<Held>,
    kept_open: Vec<OwnedFd>,
    hang_timeout_ms: u64,
    listener: Listener,
    resumed: Option<Resumed>,
}

fn house(life: usize, role: Roles, descriptor: OwnedFd) -> Held {
    let life = u32::try_from(life).unwrap_or(u32::MAX);
    Held { key: Key { owner: Key::HOUSE, life }, role, descriptor, is_stored: false }
}

fn keep(kept: Kept) -> io::Result<i32> {
    let Kept { journal, held, kept_open, hang_timeout_ms, listener, resumed } = kept;
    let limit = limits::get(Limited::Descriptors).hard.min(DESCRIPTORS_MAX);
    let launch = |name: &[u8], stage: Stage| -> io::Result<Launch> {
        Ok(Launch::new(own_executable()?, vec![c_string(name)], stage.environment()))
    };
    bardo_keeper::run(Settings {
        supervisor: launch(b"bardo-supervisor", Stage::Supervisor)?,
        watcher: launch(b"bardo-watcher", Stage::Watcher)?,
        journal,
        held,
        kept_open,
        hang_timeout: hang_timeout_ms.saturating_mul(1_000_000),
        // Whoever takes over says what is configured; before, there is nobody to stop.
        stop_wait: STOP_WAIT,
        descriptors_max: usize::try_from(limit).unwrap_or(usize::MAX),
        listener,
        resumed,
    })
}

/// What a keeper goes on with that comes after one that was killed.
#[derive(Debug)]
pub struct Inherited {
    /// What the service manager has kept.
    pub stored: Vec<(Key, Roles, OwnedFd)>,
    /// Its journal, where it has that.
    pub journal: Option<OwnedFd>,
    /// What the former supervisor has handed over, which is newer.
    pub handed: Handed,
}

/// Why nothing can be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// What is known cannot be read.
    #[error("what the former keeper knew cannot be read: {0}")]
    Unreadable(String),
    /// The system refuses.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Somebody else has the lock.
    #[error("{0}")]
    Claim(#[from] ClaimError),
}

/// Keeps what a former keeper has kept, until all is over; returns the exit code. The
/// configuration is not read: the journal has it. `lock` is what a keeper of this name has, and
/// `place` its folder; `waiter` is where somebody waits until all is ready.
///
/// # Errors
/// When that cannot be done. A former supervisor goes on then, and waits for another keeper.
pub fn resume(
    inherited: Inherited,
    (lock, place): (OwnedFd, &Path),
    waiter: Option<OwnedFd>,
) -> Result<i32, ResumeError> {
    let failed = |what| move |source| ResumeError::System { what, source };
    process::set_name(NAME);
    signals::hold_back(&FORWARDED);
    let Inherited { stored, journal, handed } = inherited;
    let Handed { journal: newer, held: handed, exits, signals, former } = handed;
    let journal_is_stored = journal.is_some();
    let Some(journal) = newer.or(journal) else {
        return Err(ResumeError::Unreadable("there is no journal".to_owned()));
    };
    let bound = bound(&journal, former.as_ref())?;
    let settings = known(&journal)?;
    let user = account(bound, &settings)?;
    let user = user.filter(|(uid, ..)| rustix::process::getuid().as_raw() != *uid);
    let claim = || Runtime::reclaim(Path::new(&settings.runtime_directory));
    // It belongs to that user, who may make nothing in our own folder; and the door is replaced
    // by whoever has the lock, and nobody else.
    let runtime = match &user {
        Some((uid, gid, _)) => {
            accounts::while_being(*uid, *gid, claim).map_err(failed("act as the user"))?
        }
        None => claim(),
    }?;
    let door = handover::door_beside(place, former.as_ref());
    let door = door.map_err(failed("listen for the next keeper"))?;
    // Its manager may have emptied the folder. Without it reloads are not waited for.
    let _ = folder::make_told(place, user.as_ref().map(|(uid, gid, _)| (*uid, *gid)));
    if let Some((uid, gid, groups)) = &user {
        accounts::become_user(*uid, *gid, groups).map_err(failed("become the user"))?;
    }
    if settings.has_pidfile {
        // It names a process that is gone; that it cannot be written is no reason to stop.
        let _ = fs::write(&settings.pidfile, format!("{}\n", std::process::id()));
    }
    let mut held = vec![house(0, Roles::HANDOVER, door)];
    // It is ended by the first supervisor that has all.
    held.extend(former.into_iter().flat_map(|Former { process, talk, .. }| {
        [house(0, Roles::SUPERVISOR, process), house(0, Roles::TALK, talk)]
    }));
    held.extend(united(stored, handed));
    let exits = exits.iter().map(|exit| (exit.pid, exit.status, exit.at)).collect();
    // Each record that a former keeper has made took it longer than a nanosecond.
    let first_exit = clock::monotonic();
    let hang_timeout_ms = settings.hang_timeout_ms;
    drop(settings);
    memory::give_back();
    keep(Kept {
        journal,
        held,
        kept_open: vec![runtime.into_lock(), lock],
        hang_timeout_ms,
        listener: Listener { waiter, ..manager() },
        resumed: Some(Resumed { first_exit, exits, signals, journal_is_stored }),
    })
    .map_err(failed("keep"))
}

/// The user whose rights a journal has, and who has given it to us: what is done in its name is
/// done with no more. Only what root alone has written is done as root.
fn bound(journal: &OwnedFd, former: Option<&Former>) -> Result<Option<u32>, ResumeError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let failed = |source| ResumeError::System { what: "look at the journal", source };
    let name = fs::read_link(format!("/proc/self/fd/{}", journal.as_raw_fd())).map_err(failed)?;
    // A file of the file system may belong to root and be written by others.
    if name.as_os_str() != format!("/memfd:{} (deleted)", runtime::JOURNAL).as_str() {
        let text = format!("it is {} and no journal of ours", name.display());
        return Err(ResumeError::Unreadable(text));
    }
    // The kernel has noted who has made it, and only root can change that.
    let maker =
        fs::File::from(journal.try_clone().map_err(failed)?).metadata().map_err(failed)?.uid();
    let users = [Some(maker), former.map(|former| former.uid)];
    let mut users = users.into_iter().flatten().filter(|uid| *uid != 0);
    let first = users.next();
    match users.next() {
        Some(other) if first != Some(other) => {
            let text = "the journal of one user came from another one".to_owned();
            Err(ResumeError::Unreadable(text))
        }
        Some(_) | None => Ok(first),
    }
}

/// The account to become. That of a user whose word everything is comes with the groups that
/// the machine gives to him, not with those that he names.
fn account(
    bound: Option<u32>,
    settings: &daemon::Settings,
) -> Result<Option<(u32, u32, Vec<u32>)>, ResumeError> {
    let Some(uid) = bound else {
        return Ok(settings.service.as_ref().and_then(|service| service.account.clone()));
    };
    let account = accounts::user_by_id(uid).ok_or_else(|| {
        ResumeError::Unreadable(format!("it is that of user {uid}, who is not known here"))
    })?;
    let groups = accounts::groups_of(&account);
    Ok(Some((account.uid, account.gid, groups)))
}

/// What a journal says of the daemon; limits become as wide as its programs need.
fn known(journal: &OwnedFd) -> Result<daemon::Settings, ResumeError> {
    let unreadable = |error: &dyn Display| ResumeError::Unreadable(error.to_string());
    let read = || SharedMemory::map_whole(journal.try_clone()?);
    let memory = read().map_err(|error| unreadable(&error))?;
    let opened = Journal::open(Arc::new(memory));
    let (_, known) = opened.map_err(|error| unreadable(&error))?;
    super::boot::raise_own_limit(&known.table.loaded);
    let attachment = &known.table.loaded.attachment;
    daemon::Settings::parse(attachment).map_err(|error| unreadable(&error))
}

/// What is held, of what the manager has kept and what the former supervisor had: that is
/// newer.
fn united(stored: Vec<(Key, Roles, OwnedFd)>, handed: Vec<link::Held>) -> Vec<Held> {
    let names: HashSet<(Key, u32)> = stored.iter().map(|(key, role, _)| (*key, role.0)).collect();
    let newer: HashSet<(Key, u32)> = handed.iter().map(|held| (held.key, held.role.0)).collect();
    let handed = handed.into_iter().map(|link::Held { key, role, descriptor }| {
        let is_stored = names.contains(&(key, role.0));
        Held { key, role, descriptor, is_stored }
    });
    // Of several of one name the manager hands over the latest first.
    let mut seen = newer;
    let left = stored.into_iter().filter(|(key, role, _)| seen.insert((*key, role.0)));
    let left = left.map(|(key, role, descriptor)| Held { key, role, descriptor, is_stored: true });
    handed.chain(left).collect()
}

/// Where systemd says from version 254 on how many descriptors it keeps; our unit says it to
/// older ones' services.
pub const KEEPS: &str = "FDSTORE";

/// The service manager that has started this process, as far as it wants to be told.
fn manager() -> Listener {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let every = number("WATCHDOG_USEC").filter(|every| is_ours && *every > 0);
    let address = std::env::var_os("NOTIFY_SOCKET");
    Listener {
        // One that cannot be reached is not told; it will say so itself.
        manager: address.and_then(|address| Channel::to_address(&address).ok()),
        keeps: number(KEEPS).and_then(|count| usize::try_from(count).ok()),
        feed_every: every.map(|every| every.saturating_mul(1000) / FEEDS_IN_TIME),
        waiter: None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use rustix::fs::{Gid, Uid};

    use super::*;

    #[test]
    fn root_has_no_more_rights_than_the_maker_of_a_journal() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let journal = || SharedMemory::anonymous(runtime::JOURNAL).unwrap();
        let of_root = journal();
        let of_other = journal();
        let owner = Some((Uid::from_raw(65534), Gid::from_raw(65534)));
        let (uid, gid) = owner.unzip();
        rustix::fs::fchown(of_other.as_fd(), uid, gid).unwrap();
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        let settings = daemon::Settings::default();

        assert_eq!(bound(&of_root, None).unwrap(), None);
        assert_eq!(bound(&of_other, None).unwrap(), Some(65534));
        assert!(bound(&file, None).is_err(), "root's file, which others may have written");
        let (uid, _, groups) = account(Some(65534), &settings).unwrap().unwrap();
        assert!(uid == 65534 && !groups.contains(&0), "{groups:?}");
    }
}
