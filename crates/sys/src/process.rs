//! Processes: their ends, their identities, and what a process says of itself.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::poll;
use crate::stat::Stat;

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

/// Whether a process that is open is a child of this one that was not reaped.
#[must_use]
pub fn is_own_child(pidfd: BorrowedFd<'_>) -> bool {
    let Ok(number) = libc::id_t::try_from(pidfd.as_raw_fd()) else { return false };
    // SAFETY: no information is wanted, and nobody is reaped.
    let result = unsafe {
        libc::waitid(
            libc::P_PIDFD,
            number,
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
        self.each(|stat| {
            if stat.parent == wanted {
                each(stat.pid);
            }
        })
    }

    /// Calls `each` with what is told of every process. False when some may be missing,
    /// because they could not be looked at. Nothing is allocated. It takes time in
    /// proportion to the processes of the machine: some microseconds for each.
    pub fn each(&self, mut each: impl FnMut(&Stat)) -> bool {
        let mut is_whole = true;
        let is_read = self.each_name(|name| match self.stat_of(name) {
            Ok(stat) => stat.iter().for_each(&mut each),
            // It has ended, or is somebody's whose processes are hidden from us.
            Err(Errno::NOENT | Errno::SRCH | Errno::ACCESS | Errno::PERM) => {}
            Err(_) => is_whole = false,
        });
        is_whole && is_read
    }

    /// Calls `each` with the number of every process. False when some may be missing. It
    /// takes a small part of the time of [`Self::each`].
    pub fn each_number(&self, mut each: impl FnMut(u32)) -> bool {
        self.each_name(|name| {
            let number = name.to_str().ok().and_then(|name| name.parse().ok());
            number.into_iter().for_each(&mut each);
        })
    }

    fn each_name(&self, mut each: impl FnMut(&CStr)) -> bool {
        let is_at_start = rustix::fs::seek(&self.folder, SeekFrom::Start(0)).is_ok();
        let mut space = [MaybeUninit::uninit(); 2048];
        let mut entries = RawDir::new(&self.folder, &mut space);
        while let Some(entry) = entries.next() {
            let Ok(entry) = entry else { return false };
            if entry.file_name().to_bytes().iter().all(u8::is_ascii_digit) {
                each(entry.file_name());
            }
        }
        is_at_start
    }

    fn stat_of(&self, name: &CStr) -> rustix::io::Result<Option<Stat>> {
        let mut path = [0; 32];
        // A number is much shorter; what is left of it is zero.
        let letters = name.to_bytes().iter().chain(b"/stat");
        path.iter_mut().zip(letters).for_each(|(place, letter)| *place = *letter);
        let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::INVAL)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, path, flags, Mode::empty())?;
        let mut bytes = [0; STAT_BYTES];
        let length = rustix::io::read(&file, &mut bytes)?;
        Ok(Stat::parse(&bytes[..length]))
    }
}

/// More bytes than a process's line in /proc has up to its start.
const STAT_BYTES: usize = 512;

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

/// The children of a process, where the kernel lists them and they are few: a list that is
/// longer than this is none. One may be passed over while others end.
#[must_use]
pub fn few_children(parent: u32) -> Option<Vec<u32>> {
    let mut list = [0; 512];
    let file = std::fs::File::open(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let length = rustix::io::read(&file, &mut list).ok().filter(|length| *length < list.len())?;
    let text = std::str::from_utf8(&list[..length]).ok()?;
    text.split_ascii_whitespace().map(|pid| pid.parse().ok()).collect()
}

/// The numbers of the session and of the group of a process, which the kernel tells sooner
/// than /proc does.
///
/// # Errors
/// ESRCH when there is none.
pub fn session_and_group(pid: u32) -> io::Result<[u32; 2]> {
    let pid = i32::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    // Those of the kernel itself have 0, and so has who is not of our namespace.
    // SAFETY: plain numbers.
    let numbers = unsafe { [libc::getsid(pid), libc::getpgid(pid)] };
    match numbers.map(u32::try_from) {
        [Ok(session), Ok(group)] => Ok([session, group]),
        _ => Err(io::Error::last_os_error()),
    }
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

/// How a process has ended that somebody else reaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this status, as `wait` reports it.
    With(i32),
    /// It has ended or will, and was not reaped.
    NotReaped,
    /// The kernel does not tell.
    NotTold,
}

/// What the kernel tells of a process through its pidfd, as far as all versions tell it that
/// tell anything.
#[repr(C)]
#[derive(Debug, Default)]
struct Information {
    mask: u64,
    cgroup: u64,
    numbers: [u32; 11],
    exit_code: i32,
}

/// The request for it: number 11 of the type 0xff, which reads and writes so many bytes.
const GET_INFORMATION: libc::Ioctl =
    (3 << 30 | (size_of::<Information>() << 16) | 0xff << 8 | 11) as libc::Ioctl;

/// That the exit code is wanted, or told.
const HAS_EXIT: u64 = 1 << 3;

/// Asks how a process has ended. It is told only to those who had the pidfd before the end.
#[must_use]
pub fn how_ended(pidfd: BorrowedFd<'_>) -> Ended {
    let mut information = Information { mask: HAS_EXIT, ..Information::default() };
    // SAFETY: the kernel writes as many bytes as the request says, which is how long it is.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFORMATION, &raw mut information) };
    if result == 0 && information.mask & HAS_EXIT != 0 {
        return Ended::With(information.exit_code);
    }
    // One that was reaped is nobody any more.
    let is_there = result == 0 && signal_through(pidfd, 0).unwrap_or(true);
    if is_there { Ended::NotReaped } else { Ended::NotTold }
}

/// When a process started, in clock ticks since boot.
fn start_time(pid: u32) -> io::Result<u64> {
    let line = std::fs::read(format!("/proc/{pid}/stat"))?;
    Stat::parse(&line).map(|stat| stat.started).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether another child of `parent` still has our own name (see [`set_name`]): one
/// that was cloned and has not executed its program. Only those that `is_meant` says yes to
/// count. Where /proc does not tell, there is none.
#[must_use]
pub fn has_unborn_child(parent: u32, is_meant: impl Fn(u32) -> bool) -> bool {
    let own = std::process::id();
    let mut siblings = Vec::new();
    // The kernel's own list is quick, and not there on every machine.
    if let Ok(list) = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")) {
        siblings.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    } else if let Ok(processes) = Processes::open() {
        processes.each_child_of(parent, |pid| siblings.push(pid));
    }
    siblings.into_iter().any(|pid| pid != own && is_unborn(pid) && is_meant(pid))
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
    is_child_of(pid, std::os::unix::process::parent_id())
}

/// Whether a process has this parent.
#[must_use]
pub fn is_child_of(pid: u32, parent: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.parent == parent)
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
    let pid = number(pidfd)?;
    if pid <= 0 {
        // It has been reaped.
        return Some(Ok(false));
    }
    // SAFETY: plain numbers.
    Some(sent(unsafe { libc::kill(pid, signal) }.into()))
}

/// The number of a process that is open; one that has been reaped has none any more, and 0 or
/// less is told. `None` where the kernel does not tell.
#[must_use]
pub fn number(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
}

/// Whether no thread of a process, of which this is a pidfd, runs any more: each was stopped, or
/// has ended.
///
/// # Errors
///
/// When that cannot be seen, as without descriptors.
pub fn is_stopped(pidfd: BorrowedFd<'_>, pid: u32) -> io::Result<bool> {
    let is_over =
        |error: &io::Error| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH));
    let threads = match std::fs::read_dir(format!("/proc/{pid}/task")) {
        // What is hidden from us is not there either.
        Err(error) if is_over(&error) => return Ok(poll::is_readable(pidfd)),
        threads => threads?,
    };
    for thread in threads {
        let thread = match thread {
            Err(error) if is_over(&error) => continue,
            thread => thread?,
        };
        let line = match std::fs::read(thread.path().join("stat")) {
            Err(error) if is_over(&error) => continue,
            line => line?,
        };
        let behind = line.iter().rposition(|byte| *byte == b')').unwrap_or(0);
        if !line.get(behind + 2).is_some_and(|state| b"TtZX".contains(state)) {
            return Ok(false);
        }
    }
    Ok(true)
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
    fn a_process_is_stopped_once_none_of_its_threads_runs() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (pidfd, own) = (open(child.id()).unwrap(), open(std::process::id()).unwrap());
        assert!(
            !is_stopped(pidfd.as_fd(), child.id()).unwrap()
                && !is_stopped(own.as_fd(), std::process::id()).unwrap()
        );

        signal(pidfd.as_fd(), libc::SIGSTOP).unwrap();
        while !is_stopped(pidfd.as_fd(), child.id()).unwrap() {
            std::thread::yield_now();
        }
        signal(pidfd.as_fd(), libc::SIGKILL).unwrap();
        child.wait().unwrap();

        assert!(is_stopped(pidfd.as_fd(), child.id()).unwrap(), "one that is gone runs no more");
    }

    #[test]
    fn a_process_is_the_same_under_two_descriptors() {
        let own = std::process::id();
        let (one, other) = (open(own).unwrap(), open(own).unwrap());

        assert_eq!(identity(one.as_fd(), own).unwrap(), identity(other.as_fd(), own).unwrap());
        assert_ne!(start_time(own).unwrap(), 0);
        assert!(signal(one.as_fd(), 0).unwrap());
    }

    #[test]
    fn only_a_child_is_one() {
        let mut child = std::process::Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pidfd = open(child.id()).unwrap();
        let own = open(std::process::id()).unwrap();

        assert_eq!([&pidfd, &own].map(|fd| is_own_child(fd.as_fd())), [true, false]);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!is_own_child(pidfd.as_fd()), "it was reaped");
    }

    #[test]
    fn how_a_process_has_ended_is_told_to_whom_held_it() {
        let mut command = std::process::Command::new("sh");
        let command = command.args(["-c", "read x; exit 7"]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pidfd = open(child.id()).unwrap();
        let probe = Information { mask: HAS_EXIT, ..Information::default() };
        assert_eq!(size_of_val(&probe), 64, "as the kernel has it");
        let before = how_ended(pidfd.as_fd());

        drop(child.stdin.take());
        child.wait().unwrap();

        // A kernel that does not tell says so before, or then.
        let after = how_ended(pidfd.as_fd());
        assert!(before != Ended::With(7 << 8));
        assert!(
            matches!(after, Ended::With(status) if status == 7 << 8) || after == Ended::NotTold
        );
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
