//! Resource limits.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Open descriptors of a process.
    Descriptors,
    /// Processes of a user.
    Processes,
    /// Bytes of a file.
    FileSize,
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
    let some = |value: u64| (value != u64::MAX).then_some(value);
    let limit = Rlimit { current: some(limit.soft), maximum: some(limit.hard) };
    Ok(setrlimit(resource(what), limit)?)
}

fn resource(what: Limited) -> Resource {
    match what {
        Limited::Descriptors => Resource::Nofile,
        Limited::Processes => Resource::Nproc,
        Limited::FileSize => Resource::Fsize,
    }
}
