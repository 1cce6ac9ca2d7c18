//! Resource limits.

use std::io;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Open descriptors of a process.
    Descriptors,
    /// Processes of a user.
    Processes,
    /// Bytes of a file.
    FileSize,
    /// Bytes of a core file.
    Core,
}

impl Limited {
    /// The kernel's number for it.
    pub(crate) fn number(self) -> usize {
        match self {
            Self::Descriptors => libc::RLIMIT_NOFILE as usize,
            Self::Processes => libc::RLIMIT_NPROC as usize,
            Self::FileSize => libc::RLIMIT_FSIZE as usize,
            Self::Core => libc::RLIMIT_CORE as usize,
        }
    }
}

/// A limit: the one in force, and how far it may be raised. `u64::MAX` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// In force.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// Reads a limit.
#[must_use]
pub fn get(what: Limited) -> Limit {
    let limit = getrlimit(resource(what));
    Limit { soft: limit.current.unwrap_or(u64::MAX), hard: limit.maximum.unwrap_or(u64::MAX) }
}

/// Sets a limit.
///
/// # Errors
/// What `setrlimit` says: EPERM for a hard limit that only root may raise.
pub fn set(what: Limited, limit: Limit) -> io::Result<()> {
    Ok(setrlimit(resource(what), kernels(limit))?)
}

/// Sets a limit of another process, for tests.
///
/// # Errors
/// What `prlimit` says.
pub fn set_of(pid: u32, what: Limited, limit: Limit) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    prlimit(Some(pid), resource(what), kernels(limit))?;
    Ok(())
}

fn kernels(limit: Limit) -> Rlimit {
    let some = |value: u64| (value != u64::MAX).then_some(value);
    Rlimit { current: some(limit.soft), maximum: some(limit.hard) }
}

fn resource(what: Limited) -> Resource {
    match what {
        Limited::Descriptors => Resource::Nofile,
        Limited::Processes => Resource::Nproc,
        Limited::FileSize => Resource::Fsize,
        Limited::Core => Resource::Core,
    }
}
