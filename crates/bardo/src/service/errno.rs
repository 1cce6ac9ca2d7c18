//! The numbers with which `service` ends: MINIX's, which are those of NetBSD and not
//! Linux's.

use bardo_core::{Refusal, SpawnError};

/// A number with which a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u8);

impl Errno {
    /// It is done.
    pub const OK: Self = Self(0);
    /// Not permitted.
    pub const EPERM: Self = Self(1);
    /// No such file, or nothing of that sort is there.
    pub const ENOENT: Self = Self(2);
    /// No such service.
    pub const ESRCH: Self = Self(3);
    /// Not done in time.
    pub const EINTR: Self = Self(4);
    /// Input or output failed.
    pub const EIO: Self = Self(5);
    /// Too long.
    pub const E2BIG: Self = Self(7);
    /// Not a program.
    pub const ENOEXEC: Self = Self(8);
    /// No room.
    pub const ENOMEM: Self = Self(12);
    /// May not be executed.
    pub const EACCES: Self = Self(13);
    /// It is there already, or busy.
    pub const EBUSY: Self = Self(16);
    /// It exists.
    pub const EEXIST: Self = Self(17);
    /// Makes no sense.
    pub const EINVAL: Self = Self(22);
    /// Not now.
    pub const EAGAIN: Self = Self(35);
    /// Links that lead to each other.
    pub const ELOOP: Self = Self(62);
    /// The name of a file is too long.
    pub const ENAMETOOLONG: Self = Self(63);
    /// Cannot be done.
    pub const ENOSYS: Self = Self(78);
    /// The new one crashed.
    pub const ERESTART: Self = Self(200);
    /// Nobody is there who could be asked.
    pub const EDEADSRCDST: Self = Self(202);
    /// It is gone.
    pub const EDEADEPT: Self = Self(215);

    /// What the number means, as MINIX's `strerror` has it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::OK => "OK",
            Self::EPERM => "Operation not permitted",
            Self::ENOENT => "No such file or directory",
            Self::ESRCH => "No such process",
            Self::EINTR => "Interrupted system call",
            Self::EIO => "Input/output error",
            Self::E2BIG => "Argument list too long",
            Self(6) => "Device not configured",
            Self::ENOEXEC => "Exec format error",
            Self(9) => "Bad file descriptor",
            Self::ENOMEM => "Cannot allocate memory",
            Self::EACCES => "Permission denied",
            Self(14) => "Bad address",
            Self::EBUSY => "Device busy",
            Self::EEXIST => "File exists",
            Self(20) => "Not a directory",
            Self(21) => "Is a directory",
            Self::EINVAL => "Invalid argument",
            Self(23) => "Too many open files in system",
            Self(24) => "Too many open files",
            Self(26) => "Text file busy",
            Self(27) => "File too large",
            Self(28) => "No space left on device",
            Self(30) => "Read-only file system",
            Self::EAGAIN => "Resource temporarily unavailable",
            Self::ELOOP => "Too many levels of symbolic links",
            Self::ENAMETOOLONG => "File name too long",
            Self::ENOSYS => "Function not implemented",
            Self::ERESTART => "Service restarted",
            Self::EDEADSRCDST => "Source or destination is not alive",
            Self::EDEADEPT => "Specified endpoint is dead",
            Self(_) => "Unknown error",
        }
    }
}

impl From<&Refusal> for Errno {
    /// The number for what the core refuses.
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::NotPermitted
            | Refusal::Terminated
            | Refusal::Critical
            | Refusal::FromFile
            | Refusal::ShuttingDown
            | Refusal::Resting => Self::EPERM,
            Refusal::NoSuchLabel | Refusal::NoSuchName | Refusal::NoSuchGroup => Self::ESRCH,
            Refusal::LabelTaken
            | Refusal::DeviceTaken
            | Refusal::Busy
            | Refusal::StillUp
            | Refusal::NameTaken(_)
            | Refusal::AlreadyStarted
            | Refusal::AlreadyAdded
            | Refusal::StillRunning => Self::EBUSY,
            Refusal::TableFull => Self::ENOMEM,
            Refusal::TakesNoPrograms => Self::EINVAL,
            Refusal::Died
            | Refusal::EndedEarly
            | Refusal::NotRunning
            | Refusal::SpawnFailed(None) => Self::EDEADEPT,
            Refusal::SpawnFailed(Some(error)) => Self::from(*error),
            Refusal::UnknownState | Refusal::SignalFailed { .. } => Self::EIO,
            Refusal::NotYet => Self::ENOSYS,
        }
    }
}

impl From<SpawnError> for Errno {
    /// The number for a program that could not be executed.
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::NoClosingQuotation | SpawnError::NoEscapedCharacter | SpawnError::Empty => {
                Self::EINVAL
            }
            SpawnError::NotFound => Self::ENOENT,
            SpawnError::IsDirectory | SpawnError::NotExecutable | SpawnError::NotPermitted => {
                Self::EACCES
            }
            SpawnError::Pipes(errno)
            | SpawnError::Clone(errno)
            | SpawnError::Socket(errno)
            | SpawnError::Exec(errno)
            | SpawnError::Variables(errno)
            | SpawnError::Prepare(_, errno) => Self::from_linux(errno),
        }
    }
}

impl Errno {
    /// MINIX's number for one of Linux's: below 35 they are the same but for EAGAIN.
    /// What NetBSD has no number for is a failure of input or output.
    #[must_use]
    pub fn from_linux(errno: i32) -> Self {
        match errno {
            11 => Self::EAGAIN,
            36 => Self::ENAMETOOLONG,
            38 => Self::ENOSYS,
            40 => Self::ELOOP,
            1..=34 => u8::try_from(errno).map_or(Self::EIO, Self),
            _ => Self::EIO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_linux_become_those_of_minix_with_words_for_them() {
        for (linux, errno) in
            [(2, 2), (11, 35), (13, 13), (20, 20), (36, 63), (38, 78), (40, 62), (116, 5)]
        {
            assert_eq!(Errno::from_linux(linux).0, errno, "{linux}");
        }
        for linux in [2, 6, 7, 8, 9, 12, 13, 14, 20, 21, 22, 23, 24, 26, 27, 28, 30, 36, 40] {
            assert_ne!(Errno::from_linux(linux).text(), "Unknown error", "{linux}");
        }
    }
}
