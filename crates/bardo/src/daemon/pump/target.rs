//! Opening what a log's name stands for: a file, or what somebody else has opened.
//!
//! Containers log to `/dev/stdout`. Where that is a socket, as journald gives it, or a
//! terminal of another user, the kernel does not open it by its name; then the descriptor
//! itself is used, without a change to the open file, which others share. Descriptors
//! above the three that a program inherits by custom are our own: their names are refused.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use bardo_sys::pipe;
use rustix::io::Errno;

/// What was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    /// Whether it is ours alone, so that whoever moves bytes into it need not fear to
    /// wait.
    pub(super) is_ours: bool,
}

/// Opens the target of that name for writing, and creates it where it may be a file.
///
/// # Errors
/// What `open` says; EBADF for a descriptor that was not inherited.
pub(super) fn open(path: &str) -> io::Result<Opened> {
    let descriptor = inherited(path)?;
    match (pipe::open_target(Path::new(path)), descriptor) {
        (Ok(file), _) => Ok(Opened { file, is_ours: true }),
        (Err(error), Some(descriptor)) if !pipe::is_descriptor_limit(&error) => {
            let file = File::from(descriptor.try_clone_to_owned()?);
            Ok(Opened { file, is_ours: false })
        }
        (Err(error), _) => Err(error),
    }
}

/// Whether a name stands for a descriptor that was inherited.
pub(super) fn is_inherited(path: &str) -> bool {
    inherited(path).is_ok_and(|descriptor| descriptor.is_some())
}

/// Names below /dev and /proc stand for what somebody else opened, even where it
/// is a regular file: `/dev/stdout` must not become `/dev/stdout.1`.
pub(super) fn is_ours_to_rename(path: &str) -> bool {
    !path.starts_with("/dev/") && !path.starts_with("/proc/")
}

/// The inherited descriptor that a name stands for, if it stands for one.
fn inherited(path: &str) -> io::Result<Option<BorrowedFd<'static>>> {
    let folders = ["/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"];
    let path = plain(path);
    let number = folders.iter().find_map(|folder| path.strip_prefix(folder));
    match (&*path, number) {
        ("/dev/stdin", _) | (_, Some("0")) => Ok(Some(rustix::stdio::stdin())),
        ("/dev/stdout", _) | (_, Some("1")) => Ok(Some(rustix::stdio::stdout())),
        ("/dev/stderr", _) | (_, Some("2")) => Ok(Some(rustix::stdio::stderr())),
        (_, Some(_)) => Err(Errno::BADF.into()),
        (_, None) => Ok(None),
    }
}

/// A path without detours.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_names_is_neither_rotated_nor_removed() {
        assert!(!is_ours_to_rename("/dev/stdout"));
        assert!(!is_ours_to_rename("/proc/self/fd/1"));
        assert!(is_ours_to_rename("/var/log/devices"));
    }

    #[test]
    fn only_the_three_inherited_descriptors_are_logged_to() {
        for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/2"] {
            assert!(inherited(name).unwrap().is_some(), "{name}");
        }
        for name in ["/dev/fd/3", "/proc/self/fd/17", "/dev/fd/x", "//dev/./fd/../fd/3"] {
            assert_eq!(open(name).unwrap_err().raw_os_error(), Some(9), "{name}");
        }
        for name in ["/tmp/1", "1", "dev/stdout"] {
            assert!(inherited(name).unwrap().is_none(), "{name}");
        }
    }
}
