//! The runtime directory: where a daemon's lock is.
//!
//! One directory for each daemon, named for its identifier and what makes it this
//! one: its configuration file and its pid file. Who listens on the lock socket is
//! its keeper. A lock that nobody listens on is stale and taken over.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use bardo_sys::memory::SharedMemory;
use rustix::fs::{Access, FlockOperation};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::Pid;

/// Why a daemon cannot have its runtime directory.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The same daemon runs already.
    #[error("this configuration is already run by process {pid} (lock {lock})")]
    Taken {
        /// Its keeper.
        pid: String,
        /// The lock socket.
        lock: String,
    },
    /// The system refuses.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// The name of the journal, as /proc shows it.
pub const JOURNAL: &str = "bardo-journal";

/// How often a directory is made that others sweep away while we do it.
const GUARD_TRIES: usize = 1000;

/// Most directories of others that are looked at when one is claimed.
const SWEPT_MAX: usize = 64;

/// A runtime directory that is ours.
#[derive(Debug)]
pub struct Runtime {
    directory: PathBuf,
    lock: UnixListener,
}

impl Runtime {
    /// Makes the directory and takes the lock.
    ///
    /// # Errors
    /// When the same daemon runs already, or the directory cannot be made.
    pub fn claim(configuration: &str, pidfile: &str, identifier: &str) -> Result<Self, ClaimError> {
        let path = fs::canonicalize(configuration).unwrap_or_else(|_| configuration.into());
        let hash = fingerprint(&[path.as_os_str().as_encoded_bytes(), pidfile.as_bytes()]);
        let name: String = identifier
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
            .take(32)
            .collect();
        let base = base();
        sweep(&base);
        let directory = base.join(format!("{name}-{hash:016x}"));
        Self::claim_directory(&directory)
    }

    /// Takes the lock of a directory anew whose keeper was killed.
    ///
    /// # Errors
    /// When somebody else has it, or the directory cannot be made.
    pub fn reclaim(directory: &Path) -> Result<Self, ClaimError> {
        Self::claim_directory(directory)
    }

    fn claim_directory(directory: &Path) -> Result<Self, ClaimError> {
        let failed = |what: &str| {
            let what = format!("{what} {}", directory.display());
            move |source| ClaimError::System { what, source }
        };
        // Two that start at once look at the lock one after the other.
        let mut tries_left = GUARD_TRIES;
        let guard = loop {
            tries_left -= 1;
            match guarded(directory) {
                Ok(guard) => break guard,
                Err(error) if tries_left > 0 && is_swept(&error) => {}
                Err(error) => return Err(failed("make the runtime directory")(error)),
            }
        };
        let lock = take_lock(&directory.join("lock")).inspect_err(|_| {
            // It stays where there is a lock in it.
            let _ = fs::remove_dir(directory);
        })?;
        drop(guard);
        Ok(Self { directory: directory.to_owned(), lock })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where runtime directories are looked for first. Nothing is made.
    #[must_use]
    pub fn usual() -> PathBuf {
        places().swap_remove(0)
    }

    /// A file for the journal. It has no name: a file system that fills up would end
    /// every supervisor that touches a page of it for the first time.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn journal() -> io::Result<OwnedFd> {
        SharedMemory::anonymous(JOURNAL)
    }

    /// The lock socket, to be held for as long as the daemon lives.
    #[must_use]
    pub fn into_lock(self) -> OwnedFd {
        self.lock.into()
    }

    /// Removes a runtime directory at the end of its daemon.
    pub fn remove(directory: &str) {
        let _ = fs::remove_file(Path::new(directory).join("lock"));
        let _ = fs::remove_dir(directory);
    }
}

/// A directory of our own that nobody else claims or sweeps while this is open.
fn guarded(directory: &Path) -> io::Result<File> {
    make_private(directory)?;
    let guard = File::open(directory)?;
    rustix::fs::flock(&guard, FlockOperation::LockExclusive)?;
    if is_at(&guard, directory)? {
        Ok(guard)
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "others remove it all the time"))
    }
}

/// Whether a directory is still where it was opened.
fn is_at(guard: &File, directory: &Path) -> io::Result<bool> {
    let (held, there) = (guard.metadata()?, fs::symlink_metadata(directory)?);
    Ok((there.dev(), there.ino()) == (held.dev(), held.ino()))
}

/// Whether a directory may have been swept while it was made or opened. Who makes one that is
/// there, and looks at it when it is not there any more, is told that it exists.
fn is_swept(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
}

/// Removes some of the directories of daemons that were killed whole, keeper and all: those
/// with a lock on which nobody listens.
fn sweep(base: &Path) {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    for directory in entries.map(|entry| entry.path()).take(SWEPT_MAX) {
        let lock = directory.join("lock");
        let Ok(guard) = File::open(&directory) else { continue };
        // Somebody who starts just now is claiming it.
        if rustix::fs::flock(&guard, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        // Another one may have swept it, and its name may be that of a new one.
        let is_there = is_at(&guard, &directory).unwrap_or(false);
        if is_there && knock(&lock) == Err(Errno::CONNREFUSED) {
            // What else is in it is not ours, and then it stays.
            let _ = fs::remove_file(lock);
            let _ = fs::remove_dir(&directory);
        }
    }
}

/// Where runtime directories are: the first of our places that can be had.
fn base() -> PathBuf {
    let places = places();
    let usable = places.iter().find(|place| make_private(place).is_ok());
    // The error says of the last one why it cannot be had.
    usable.or(places.last()).cloned().unwrap_or_default()
}

/// Where what belongs to a supervisor of ours may be, in the order in which it is tried:
/// `/run/bardo` for root; for others below `XDG_RUNTIME_DIR`, then in `/run`, which in a
/// container can be theirs; and last in `/tmp`, which is there when all else is read-only.
#[must_use]
pub fn places() -> Vec<PathBuf> {
    places_of(rustix::process::geteuid().as_raw(), std::env::var_os("XDG_RUNTIME_DIR"))
}

fn places_of(user: u32, session: Option<OsString>) -> Vec<PathBuf> {
    let session = session.map(PathBuf::from).filter(|path| path.is_absolute());
    let (session, run) = match user {
        0 => (None, PathBuf::from("/run/bardo")),
        user => (session, PathBuf::from(format!("/run/bardo-{user}"))),
    };
    let session = session.map(|path| path.join("bardo"));
    session.into_iter().chain([run, PathBuf::from(format!("/tmp/bardo-{user}"))]).collect()
}

/// Makes a directory that only we can look into, or checks that it is such a one.
///
/// # Errors
/// When it cannot be made, or is somebody else's.
pub fn make_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let there = fs::symlink_metadata(directory)?;
    if !there.is_dir() || there.uid() != rustix::process::geteuid().as_raw() {
        let text = "it belongs to somebody else";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    // One of a former run, or of an image, may be on what is read-only now.
    rustix::fs::access(directory, Access::WRITE_OK)?;
    Ok(())
}

/// Whether nobody else has made a directory in our name: what is not there has nobody made.
#[must_use]
pub fn is_safe(directory: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(directory).map_or(true, |there| [0, own].contains(&there.uid()))
}

fn take_lock(path: &Path) -> Result<UnixListener, ClaimError> {
    let failed =
        |source| ClaimError::System { what: format!("take the lock {}", path.display()), source };
    match UnixListener::bind(path) {
        Ok(lock) => return Ok(lock),
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(failed(error)),
        Err(_) => {}
    }
    if let Ok(keeper) = knock(path) {
        let pid = keeper.map_or_else(|| "?".to_owned(), |pid| pid.as_raw_nonzero().to_string());
        return Err(ClaimError::Taken { pid, lock: path.display().to_string() });
    }
    fs::remove_file(path).map_err(failed)?;
    UnixListener::bind(path).map_err(failed)
}

/// Who listens on a lock. The keeper lets nobody in: once many have knocked, the kernel
/// only says that somebody is there. Never waits.
fn knock(path: &Path) -> rustix::io::Result<Option<Pid>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) => Ok(socket_peercred(&socket).ok().map(|peer| peer.pid)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A number that different byte strings are unlikely to share (FNV-1a).
fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.iter().chain(&[0])) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// The automatic logs in a directory that belong to this identifier.
///
/// # Errors
/// A line for the log when the directory cannot be read.
pub fn automatic_logs(directory: &str, identifier: &str) -> Result<Vec<PathBuf>, String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Err("Could not clear childlog dir".to_owned());
    };
    let names = entries.flatten().map(|entry| entry.path());
    Ok(names
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            name.is_some_and(|name| is_automatic_log(&name, identifier))
        })
        .collect())
}

/// Deletes the automatic logs that former runs of this identifier have left, and
/// returns a line for each that could not be deleted.
#[must_use]
pub fn clear_automatic_logs(directory: &str, identifier: &str) -> Vec<String> {
    let found = match automatic_logs(directory, identifier) {
        Ok(found) => found,
        Err(line) => return vec![line],
    };
    found
        .into_iter()
        .filter_map(|path| {
            fs::remove_file(&path)
                .is_err()
                .then(|| format!("Failed to clean up '{}'", path.display()))
        })
        .collect()
}

/// Whether a file name has the shape of an automatic log of this identifier:
/// Supervisor's pattern, which looks at the beginning of the name only.
fn is_automatic_log(name: &str, identifier: &str) -> bool {
    let mark = format!("---{identifier}-");
    name.match_indices(&mark).filter(|(at, _)| *at > 0).any(|(at, _)| {
        let random = &name[at + mark.len()..];
        random
            .match_indices(".log")
            .any(|(end, _)| end > 0 && !random[..end].contains(char::is_whitespace))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::selftest::home::wait_until;

    #[test]
    fn places_are_tried_in_an_order() {
        let places = |user, session: &str| places_of(user, Some(session.into()));
        let paths = |texts: &[&str]| texts.iter().map(PathBuf::from).collect::<Vec<_>>();

        assert_eq!(places(0, "/s"), paths(&["/run/bardo", "/tmp/bardo-0"]));
        assert_eq!(places(7, "/s"), paths(&["/s/bardo", "/run/bardo-7", "/tmp/bardo-7"]));
        assert_eq!(places(7, ""), paths(&["/run/bardo-7", "/tmp/bardo-7"]));
    }

    #[test]
    fn what_killed_daemons_have_left_is_swept() {
        let base = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let directory = base.path().join(name);
            make_private(&directory).unwrap();
            directory
        };
        let (left, foreign) = (make("left"), make("foreign"));
        let runs = Runtime::claim_directory(&make("runs")).unwrap();
        drop(UnixListener::bind(left.join("lock")).unwrap());

        // What another test clones has the lock as well, until it executes its program.
        wait_until("what is left to be swept", || {
            sweep(base.path());
            !left.exists()
        })
        .unwrap();

        assert!(foreign.exists() && runs.directory().join("lock").exists());
        // However many have knocked.
        for _ in 0..200 {
            let claimed = Runtime::claim_directory(runs.directory());
            assert!(matches!(claimed, Err(ClaimError::Taken { .. })));
        }
    }

    #[test]
    fn a_directory_that_is_swept_while_it_is_claimed_is_had_all_the_same() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("killed");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        sweep(base.path());
                    }
                });
            }

            // What another test clones has the lock as well, until it executes its program.
            let claim = || loop {
                match Runtime::reclaim(&directory) {
                    Err(ClaimError::Taken { .. }) => {}
                    claimed => break claimed.map(drop),
                }
            };
            let claims: Result<Vec<_>, _> = (0..2000).map(|_| claim()).collect();

            is_over.store(true, Ordering::Relaxed);
            claims.unwrap();
        });
    }

    #[test]
    fn only_automatic_logs_of_the_identifier_are_cleared() {
        let cases = [
            ("cat-stdout---supervisor-abcdefgh.log", true),
            ("cat-stdout---supervisor-abcdefgh.log.3", true),
            ("cat-stdout---supervisor-abcdefgh.log.3.gz", true),
            (".cat-stdout---supervisor-abcdefgh.log.gz.part", true),
            ("cat-stdout---other-abcdefgh.log", false),
            ("---supervisor-abcdefgh.log", false),
            ("cat-stdout---supervisor-.log", false),
            ("cat.log", false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_automatic_log(name, "supervisor"), expected, "{name}");
        }
    }

    #[test]
    fn a_stale_lock_is_taken_over_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        drop(take_lock(&path).unwrap());

        // What another test clones has it as well, until it executes its program.
        let mut lock = None;
        wait_until("the lock", || {
            lock = take_lock(&path).ok();
            lock.is_some()
        })
        .unwrap();

        let own = std::process::id().to_string();
        let refused = take_lock(&path).unwrap_err();
        assert!(matches!(&refused, ClaimError::Taken { pid, .. } if *pid == own), "{refused}");
        drop(lock);
    }
}
