//! Signals by number and name.

use std::fmt;

/// A signal number of Linux, 0 to 64. Zero tests for existence only: Supervisor
/// accepts it as `stopsignal`, so it can be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// Every name that Python's `signal` module knows on Linux (x86 and arm numbers),
/// the canonical name of a number first.
const NAMES: &[(u8, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (6, "SIGIOT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (16, "SIGSTKFLT"),
    (17, "SIGCHLD"),
    (17, "SIGCLD"),
    (18, "SIGCONT"),
    (19, "SIGSTOP"),
    (20, "SIGTSTP"),
    (21, "SIGTTIN"),
    (22, "SIGTTOU"),
    (23, "SIGURG"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (26, "SIGVTALRM"),
    (27, "SIGPROF"),
    (28, "SIGWINCH"),
    (29, "SIGIO"),
    (29, "SIGPOLL"),
    (30, "SIGPWR"),
    (31, "SIGSYS"),
    (34, "SIGRTMIN"),
    (64, "SIGRTMAX"),
];

impl Signal {
    /// SIGHUP.
    pub const HUP: Self = Self(1);
    /// SIGINT.
    pub const INT: Self = Self(2);
    /// SIGQUIT.
    pub const QUIT: Self = Self(3);
    /// SIGABRT.
    pub const ABRT: Self = Self(6);
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGUSR2.
    pub const USR2: Self = Self(12);
    /// SIGTERM.
    pub const TERM: Self = Self(15);

    /// A signal by its number; `None` above 64.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| *number <= 64).map(Self)
    }

    /// A signal by its name, with or without `SIG`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let wanted = name.to_ascii_uppercase();
        let bare = wanted.strip_prefix("SIG").unwrap_or(&wanted);
        NAMES.iter().find(|(_, known)| &known[3..] == bare).map(|(number, _)| Self(*number))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }

    /// The name with `SIG`, for numbers that have one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_with_and_without_its_prefix() {
        assert_eq!(Signal::from_name("term"), Some(Signal::TERM));
        assert_eq!(Signal::from_name("SIGTERM"), Some(Signal::TERM));
        assert_eq!(Signal::from_name("cld").map(Signal::number), Some(17));
        assert_eq!(Signal::from_name("NOPE"), None);
    }

    #[test]
    fn a_number_has_its_canonical_name() {
        assert_eq!(Signal::from_number(6).and_then(Signal::name), Some("SIGABRT"));
        assert_eq!(Signal::from_number(65), None);
        assert_eq!(Signal::from_number(-1), None);
    }
}
