//! Names for things that must not be confused: each is a number of its own type.

use std::fmt;

/// Which service: an index into the supervisor's table, stable for as long as
/// the service is in it, and used again only after it has been removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u32);

/// Which life of a service: one more with each start. Together with
/// [`ServiceId`] it is the identity of a process; a pid alone never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u32);

impl Generation {
    /// The generation of the next start.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A process number of the kernel: carried for people to read, compared only
/// together with a [`Generation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which question of a client: the world gives the number, and hands the answer
/// that carries it to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A number of the keeper's exit records: they are handed on in rising order,
/// so the highest one that was processed tells which are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ExitSequence(pub u64);
