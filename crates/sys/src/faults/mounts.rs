//! File systems that only one process and what it starts can see.
//!
//! They are mounted in a mount namespace of that process and are gone with its last
//! process, whatever happens to the test. The test looks at them below `/proc/PID/root`.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;

use crate::launch::c_string;

/// A file system in memory, of a limited size.
#[derive(Debug)]
pub struct Small {
    place: CString,
    options: CString,
}

impl Small {
    /// One at this directory for so many bytes and files. The kernel counts in pages, and
    /// the directory itself is one of the files.
    #[must_use]
    pub fn at(place: &Path, bytes: u64, files: u64) -> Self {
        let options = format!("size={bytes},nr_inodes={files},mode=0700");
        let place = c_string(place.as_os_str().as_bytes());
        Self { place, options: c_string(options.as_bytes()) }
    }
}

/// Sees to it that `command` and all that it starts have mounts of their own, these among
/// them. Where that is not allowed, it is tried as the root of a user namespace; where that
/// is refused too, the command's start says so.
pub fn before(command: &mut Command, mounts: Vec<Small>) {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let same = |number: u32| format!("{number} {number} 1");
    // In this order: without the first word the kernel does not take the last.
    let names = [
        (c"/proc/self/setgroups", c_string(b"deny")),
        (c"/proc/self/uid_map", c_string(same(uid).as_bytes())),
        (c"/proc/self/gid_map", c_string(same(gid).as_bytes())),
    ];
    let install = move || {
        if unshare(UnshareFlags::NEWNS).is_err() {
            unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
            for (file, text) in &names {
                let file = rustix::fs::open(*file, OFlags::WRONLY, Mode::empty())?;
                rustix::io::write(&file, text.to_bytes())?;
            }
        }
        let alone = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change(c"/", alone)?;
        for Small { place, options } in &mounts {
            mount(c"small", place, c"tmpfs", MountFlags::empty(), options.as_c_str())?;
        }
        Ok(())
    };
    // SAFETY: between the fork and the program only system calls are made, on memory that
    // was laid out before.
    unsafe { command.pre_exec(install) };
}

/// Freezes the file system of this directory: whoever writes to it waits.
///
/// # Errors
/// What the request says: EBUSY where it is frozen already, EOPNOTSUPP where it cannot be.
pub fn freeze(directory: BorrowedFd<'_>) -> io::Result<()> {
    request(directory, FREEZE)
}

/// Ends [`freeze`].
///
/// # Errors
/// What the request says: EINVAL where it is not frozen.
pub fn thaw(directory: BorrowedFd<'_>) -> io::Result<()> {
    request(directory, THAW)
}

/// `_IOWR('X', 119, int)` and `_IOWR('X', 120, int)`.
const FREEZE: libc::Ioctl = 0xc004_5877;
const THAW: libc::Ioctl = 0xc004_5878;

fn request(directory: BorrowedFd<'_>, request: libc::Ioctl) -> io::Result<()> {
    // SAFETY: these requests read no argument.
    match unsafe { libc::ioctl(directory.as_raw_fd(), request, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn unshare(what: UnshareFlags) -> io::Result<()> {
    // SAFETY: the caller has a single thread, and namespaces of users and mounts are no
    // memory.
    Ok(unsafe { rustix::thread::unshare_unsafe(what) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_command_sees_its_file_system() {
        let room = tempfile::tempdir().unwrap();
        let place = room.path().to_owned();
        let mut command = Command::new("/bin/dd");
        command.args(["if=/dev/zero", "bs=64k", "count=2"]);
        command.arg(format!("of={}", place.join("large").display()));
        before(&mut command, vec![Small::at(&place, 1 << 16, 8)]);
        let said = command.output();

        let seen = place.join("large").exists();
        match said {
            Err(error) => eprintln!("skipped: there are no private mounts here: {error}"),
            Ok(said) => assert!(!seen && !said.status.success(), "it was too large: {said:?}"),
        }
    }
}
