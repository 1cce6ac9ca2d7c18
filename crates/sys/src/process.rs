//! Processes: their ends, their identities, and what a process says of itself.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The magic number of the file system that pidfds live on since Linux 6.9.
const PIDFS_MAGIC: u64 = 0x5049_4446;

/// A child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Its number, which the kernel may use again from now on.
    pub pid: u32,
    /// Its status as `wait` reports it.
    pub status: i32,
}

/// Takes one ended child of any kind, without waiting. `None` when there is none.
#[must_use]
pub fn reap() -> Option<Reaped> {
    let mut status = 0;
    // SAFETY: `status` is valid for a write.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) };
    u32::try_from(pid).ok().filter(|pid| *pid > 0).map(|pid| Reaped { pid, status })
}

/// Takes the status of one child if it has ended, without waiting.
#[must_use]
pub fn reap_one(pid: u32) -> Option<i32> {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0)?;
    let mut status = 0;
    // SAFETY: `status` is valid for a write.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG | libc::__WALL) };
    (ended == pid).then_some(status)
}

/// Whether there is any child, of whatever kind, that has not been reaped.
#[must_use]
pub fn has_children() -> bool {
    // SAFETY: no information is wanted, and nobody is reaped.
    let result = unsafe {
        libc::waitid(
            libc::P_ALL,
            0,
            std::ptr::null_mut(),
            libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL,
        )
    };
    result == 0
}

/// All processes, to find one's children among them.
#[derive(Debug)]
pub struct Processes {
    folder: OwnedFd,
}

impl Processes {
    /// Opens /proc, which stays open: it can be read when nothing else can be opened but
    /// one file.
    ///
    /// # Errors
    /// When there is no /proc, or no descriptor.
    pub fn open() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { folder: rustix::fs::open(c"/proc", flags, Mode::empty())? })
    }

    /// Calls `each` with the number of every child of this process. False when some may be
    /// missing, because they could not be looked at. Nothing is allocated.
    pub fn each_child(&self, each: impl FnMut(u32)) -> bool {
        self.each_child_of(std::process::id(), each)
    }

    fn each_child_of(&self, wanted: u32, mut each: impl FnMut(u32)) -> bool {
        let mut is_whole = rustix::fs::seek(&self.folder, SeekFrom::Start(0)).is_ok();
        let mut space = [MaybeUninit::uninit(); 2048];
        let mut entries = RawDir::new(&self.folder, &mut space);
        while let Some(entry) = entries.next() {
            let Ok(entry) = entry else { return false };
            let pid = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
            let Some(pid) = pid else { continue };
            match self.parent_of(entry.file_name()) {
                Ok(parent) if parent == Some(wanted) => each(pid),
                // It has ended, or is somebody's whose processes are hidden from us.
                Ok(_) | Err(Errno::NOENT | Errno::SRCH | Errno::ACCESS | Errno::PERM) => {}
                Err(_) => is_whole = false,
            }
        }
        is_whole
    }

    fn parent_of(&self, name: &CStr) -> rustix::io::Result<Option<u32>> {
        let mut path = [0; 32];
        // A number is much shorter; what is left of it is zero.
        let letters = name.to_bytes().iter().chain(b"/stat");
        path.iter_mut().zip(letters).for_each(|(place, letter)| *place = *letter);
        let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::INVAL)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let stat = rustix::fs::openat(&self.folder, path, flags, Mode::empty())?;
        Ok(parent_in(&stat))
    }
}

/// Reads the parent's number out of a stat file: the second field behind the name, which
/// may itself contain anything.
fn parent_in(stat: &OwnedFd) -> Option<u32> {
    let mut bytes = [0; 256];
    let length = rustix::io::read(stat, &mut bytes).ok()?;
    let text = &bytes[..length];
    let behind = text.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = text[behind..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()
}

/// Makes orphans below this process its children.
///
/// # Errors
/// What `prctl` says.
pub fn become_subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Sets the name that `ps -e` and `pidof` show; it is cut to 15 bytes.
pub fn set_name(name: &str) {
    let mut bytes: Vec<u8> = name.bytes().filter(|byte| *byte != 0).take(15).collect();
    bytes.push(0);
    // SAFETY: PR_SET_NAME reads a string closed by a NUL.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
}

/// Opens a process by its number.
///
/// # Errors
/// ESRCH when there is none; what `pidfd_open` says.
pub fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// A number that no other process has had or will have until the next boot: the
/// inode of its pidfd, or where the kernel gives none, the moment of its start.
///
/// # Errors
/// When neither can be read.
pub fn identity(pidfd: BorrowedFd<'_>, pid: u32) -> io::Result<u64> {
    let system = rustix::fs::fstatfs(pidfd)?;
    if u64::try_from(system.f_type).is_ok_and(|magic| magic == PIDFS_MAGIC) {
        return Ok(rustix::fs::fstat(pidfd)?.st_ino);
    }
    start_time(pid)
}

/// When a process started, in clock ticks since boot: field 22 of its stat file.
fn start_time(pid: u32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let field = fields.split_ascii_whitespace().nth(19);
    field.and_then(|field| field.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether another child of our parent still has our own name (see [`set_name`]): one
/// that was cloned and has not executed its program. Where /proc does not tell, there
/// is none.
#[must_use]
pub fn has_unborn_sibling() -> bool {
    let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
    let mut siblings = Vec::new();
    // The kernel's own list is quick, and not there on every machine.
    if let Ok(list) = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")) {
        siblings.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    } else if let Ok(processes) = Processes::open() {
        processes.each_child_of(parent, |pid| siblings.push(pid));
    }
    siblings.into_iter().any(|pid| pid != own && is_unborn(pid))
}

/// Whether a child of our parent has not executed its program yet: it still has our own
/// name (see [`set_name`]). Where /proc does not tell, it has.
#[must_use]
pub fn is_unborn(pid: u32) -> bool {
    let name = |pid: u32| std::fs::read(format!("/proc/{pid}/comm")).ok();
    name(pid).is_some_and(|bytes| Some(bytes) == name(std::process::id()))
}

/// Whether a process has the same parent as we.
#[must_use]
pub fn is_sibling(pid: u32) -> bool {
    let stat = std::fs::File::open(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| parent_in(&stat.into()) == Some(std::os::unix::process::parent_id()))
}

/// Sends a signal to a process. A process that is gone is no error: `false`. Where a
/// container forbids `pidfd_send_signal`, its number is looked up and `kill` used.
///
/// # Errors
/// What `pidfd_send_signal` or `kill` says.
pub fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<bool> {
    match signal_through(pidfd, signal) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            signal_by_number(pidfd, signal).unwrap_or(Err(error))
        }
        sent => sent,
    }
}

/// Sends a signal to whoever has the number of this process at this moment: the kernel
/// tells whose it is, and gives it to nobody else before the process has been reaped.
/// `None` where it does not tell.
fn signal_by_number(pidfd: BorrowedFd<'_>, signal: i32) -> Option<io::Result<bool>> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    let pid: i32 = line.trim().parse().ok()?;
    if pid <= 0 {
        // It has been reaped.
        return Some(Ok(false));
    }
    // SAFETY: plain numbers.
    Some(sent(unsafe { libc::kill(pid, signal) }.into()))
}

/// Sends a signal by `pidfd_send_signal` only.
///
/// # Errors
/// What it says.
pub(crate) fn signal_through(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<bool> {
    // SAFETY: plain numbers, and no information to read.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    sent(result)
}

/// Sends a signal to the process group that a process leads, or has led. The
/// process must not have been reaped, so that the number is still its own.
/// A group that is gone is no error: `false`.
///
/// # Errors
/// What `kill` says.
pub fn signal_group(leader: u32, signal: i32) -> io::Result<bool> {
    let group = i32::try_from(leader).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    assert!(group > 1, "a process group of ours is not everybody");
    // SAFETY: plain numbers.
    sent(unsafe { libc::kill(-group, signal) }.into())
}

/// Sends a signal to a child of ours that has not been reaped, so that the number is
/// its own. Nothing can be wrong that the caller could mend.
pub fn kill_child(pid: u32, signal: i32) {
    if let Ok(pid) = i32::try_from(pid)
        && pid > 1
    {
        // SAFETY: plain numbers.
        unsafe { libc::kill(pid, signal) };
    }
}

fn sent(result: libc::c_long) -> io::Result<bool> {
    if result == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(false) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    #[test]
    fn a_process_is_the_same_under_two_descriptors() {
        let own = std::process::id();
        let (one, other) = (open(own).unwrap(), open(own).unwrap());

        assert_eq!(identity(one.as_fd(), own).unwrap(), identity(other.as_fd(), own).unwrap());
        assert_ne!(start_time(own).unwrap(), 0);
        assert!(signal(one.as_fd(), 0).unwrap());
    }

    #[test]
    fn children_are_found_until_they_are_reaped() {
        let mut child = std::process::Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let processes = Processes::open().unwrap();
        let is_there = |pid| {
            let mut found = false;
            assert!(processes.each_child(|child| found |= child == pid));
            found
        };

        assert!(has_children() && is_there(child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!is_there(child.id()));
    }
}
