//! How a process ended, and why one could not be started.

use crate::signal::Signal;

/// How a process ended, as the keeper recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called `exit` with this code.
    Code(u8),
    /// A signal ended it; `core` says whether a core file was written.
    Signal {
        /// The signal.
        signal: Signal,
        /// Whether the kernel dumped core.
        core: bool,
    },
    /// It is gone, and nobody can say how: its keeper died before it.
    Unknown,
}

impl ExitStatus {
    /// The status as `wait` reports it on Linux.
    #[must_use]
    pub fn from_wait_status(status: i32) -> Self {
        if status & 0x7f == 0 {
            return Self::Code(u8::try_from((status >> 8) & 0xff).unwrap_or(u8::MAX));
        }
        Signal::from_number(i64::from(status & 0x7f))
            .map_or(Self::Unknown, |signal| Self::Signal { signal, core: status & 0x80 != 0 })
    }

    /// The exit code, or -1 for every other ending, as Supervisor counts.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => i32::from(code),
            Self::Signal { .. } | Self::Unknown => -1,
        }
    }

    /// The code that a shell would end with in its place: 128 more than the number of the
    /// signal that has ended it. `None` where nobody can say.
    #[must_use]
    pub fn shell_code(self) -> Option<u8> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal { signal, .. } => u8::try_from(128 + signal.number()).ok(),
            Self::Unknown => None,
        }
    }
}

/// Why an instance never ran its program. The texts belong to the faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpawnError {
    /// The command line cannot be split into words: a quote is not closed.
    NoClosingQuotation,
    /// The command line cannot be split into words: it ends in a backslash.
    NoEscapedCharacter,
    /// There is no word in the command line.
    Empty,
    /// No file of that name, as given or along the search path.
    NotFound,
    /// The file is a directory.
    IsDirectory,
    /// Nobody may execute the file.
    NotExecutable,
    /// Somebody may execute the file, but not we.
    NotPermitted,
    /// The kernel gave no descriptor or pipe; the number is the errno.
    Pipes(i32),
    /// The kernel made no process; the number is the errno.
    Clone(i32),
    /// The listening socket that is its standard input cannot be had; the number is the
    /// errno.
    Socket(i32),
    /// The kernel has refused to execute the program; the number is the errno. It is told of
    /// services that are cared for only.
    Exec(i32),
    /// The file with further variables cannot be used; the number is the errno, EINVAL for a
    /// line that makes no sense.
    Variables(i32),
    /// The kernel has refused what is done before the program is executed; the number is the
    /// errno. It is told of services that are cared for only.
    Prepare(Preparation, i32),
}

/// What a process does to itself before it executes its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// Put its descriptors in place.
    Descriptors,
    /// Lead a process group or a session.
    Group,
    /// Set its limits.
    Limits,
    /// Become its user.
    User,
    /// Enter its directory.
    Directory,
    /// Join its control group.
    Cgroup,
    /// Set its nice value.
    Priority,
    /// Set by which rule it gets the processor.
    Scheduling,
    /// Set the processors on which it may run.
    Processors,
    /// Give up its privileges.
    Privileges,
}

impl Preparation {
    /// All of them. Their places are written down and stay what they are.
    pub const ALL: [Self; 10] = [
        Self::Descriptors,
        Self::Group,
        Self::Limits,
        Self::User,
        Self::Directory,
        Self::Cgroup,
        Self::Priority,
        Self::Scheduling,
        Self::Processors,
        Self::Privileges,
    ];
}

/// EAGAIN, ENOMEM, ENFILE, EMFILE and ETOOMANYREFS.
const SHORTAGES: [i32; 5] = [11, 12, 23, 24, 109];

impl SpawnError {
    /// Whether the machine has nothing left to start a process with just now: no
    /// descriptor, process number or memory. The program has done nothing wrong.
    #[must_use]
    pub fn is_shortage(self) -> bool {
        match self {
            Self::Pipes(errno)
            | Self::Clone(errno)
            | Self::Socket(errno)
            | Self::Exec(errno)
            | Self::Variables(errno)
            | Self::Prepare(_, errno) => SHORTAGES.contains(&errno),
            Self::NoClosingQuotation
            | Self::NoEscapedCharacter
            | Self::Empty
            | Self::NotFound
            | Self::IsDirectory
            | Self::NotExecutable
            | Self::NotPermitted => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_what_may_be_over_later() {
        for (error, expected) in [
            (SpawnError::Pipes(24), true),
            (SpawnError::Clone(11), true),
            (SpawnError::Socket(23), true),
            (SpawnError::Clone(1), false),
            (SpawnError::Exec(8), false),
            (SpawnError::Prepare(Preparation::Cgroup, 12), true),
            (SpawnError::Prepare(Preparation::User, 1), false),
            (SpawnError::NotFound, false),
        ] {
            assert_eq!(error.is_shortage(), expected, "{error:?}");
        }
    }

    #[test]
    fn wait_statuses_are_read_as_linux_writes_them() {
        assert_eq!(ExitStatus::from_wait_status(7 << 8), ExitStatus::Code(7));
        let killed = ExitStatus::Signal { signal: Signal::KILL, core: false };
        assert_eq!(ExitStatus::from_wait_status(9), killed);
        let aborted = ExitStatus::from_wait_status(6 | 0x80);
        assert!(matches!(aborted, ExitStatus::Signal { core: true, .. }));
        assert_eq!(aborted.code(), -1);
        assert_eq!(aborted.shell_code(), Some(134));
    }
}
