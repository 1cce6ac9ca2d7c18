//! The runtime directory: where a daemon's lock is.
//!
//! One directory for each daemon, named for its identifier and what makes it this
//! one: its configuration file and its pid file. Who listens on the lock socket is
//! its keeper. A lock that nobody listens on is stale and taken over.

use std::fs::{self, File};
use std::io;
use std::io::ErrorKind::NotFound;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use bardo_sys::memory::SharedMemory;
use rustix::fs::FlockOperation;
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

/// How often a directory is claimed that vanishes under our hands.
const CLAIMS: usize = 3;

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
        // Another daemon may be sweeping this one, which a former run has left.
        for _ in 1..CLAIMS {
            match Self::claim_directory(&directory) {
                Err(ClaimError::System { source, .. }) if source.kind() == NotFound => {}
                claimed => return claimed,
            }
        }
        Self::claim_directory(&directory)
    }

    fn claim_directory(directory: &Path) -> Result<Self, ClaimError> {
        let failed = |what: &str| {
            let what = format!("{what} {}", directory.display());
            move |source| ClaimError::System { what, source }
        };
        make_private(directory).map_err(failed("make the runtime directory"))?;
        // Two that start at once look at the lock one after the other.
        let guard = File::open(directory).map_err(failed("open the runtime directory"))?;
        rustix::fs::flock(&guard, FlockOperation::LockExclusive)
            .map_err(|errno| failed("guard the runtime directory")(errno.into()))?;
        let lock = take_lock(&directory.join("lock")).inspect_err(|_| {
            // It stays where there is a lock in it.
            let _ = fs::remove_dir(directory);
        })?;
        Ok(Self { directory: directory.to_owned(), lock })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where runtime directories are, if that can be had. Nothing is made.
    #[must_use]
    pub fn usual() -> PathBuf {
        usual().unwrap_or_else(fallback)
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
        if knock(&lock) == Err(Errno::CONNREFUSED) {
            // What else is in it is not ours, and then it stays.
            let _ = fs::remove_file(lock);
            let _ = fs::remove_dir(&directory);
        }
    }
}

/// Where runtime directories are: `/run/bardo` for root, below `XDG_RUNTIME_DIR` for
/// others, and a private directory in `/tmp` where there is neither.
fn base() -> PathBuf {
    usual().filter(|path| make_private(path).is_ok()).unwrap_or_else(fallback)
}

fn usual() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        Some(PathBuf::from("/run/bardo"))
    } else {
        std::env::var_os("XDG_RUNTIME_DIR").map(|path| PathBuf::from(path).join("bardo"))
    }
}

fn fallback() -> PathBuf {
    PathBuf::from(format!("/tmp/bardo-{}", rustix::process::geteuid().as_raw()))
}

/// Makes a directory that only we can look into, or checks that it is such a one.
fn make_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let there = fs::symlink_metadata(directory)?;
    if !there.is_dir() || there.uid() != rustix::process::geteuid().as_raw() {
        let text = "it belongs to somebody else";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
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
    use super::*;

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

        sweep(base.path());

        assert!(!left.exists() && foreign.exists() && runs.directory().join("lock").exists());
        // However many have knocked.
        for _ in 0..200 {
            let claimed = Runtime::claim_directory(runs.directory());
            assert!(matches!(claimed, Err(ClaimError::Taken { .. })));
        }
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

        let lock = take_lock(&path).unwrap();

        let own = std::process::id().to_string();
        let refused = take_lock(&path).unwrap_err();
        assert!(matches!(&refused, ClaimError::Taken { pid, .. } if *pid == own), "{refused}");
        drop(lock);
    }
}
