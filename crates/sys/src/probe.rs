//! What this kernel, and the container around us, offer and refuse.
//!
//! Everything is tried, in a child where it would change this process, and with arguments
//! that do no harm: a version says little of a kernel that a distribution has patched, and
//! nothing of a filter that refuses. What was made is gone when a function returns.
//!
//! One thing surprises a newcomer: a child is made by `fork` of a process that may have
//! other threads. Until it ends it makes system calls only, and nothing is allocated.

use std::ffi::{c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice, tee};

use crate::limits::{self, Limited};
use crate::process;
use crate::raw::CloneArguments;
use crate::setup::{Policy, SchedulerAttributes};

/// Bytes of the stack of a child that shares our memory.
const STACK_BYTES: usize = 64 << 10;

/// The exit code of a child that could not say why it failed.
const UNKNOWN: i32 = 255;

/// `PIDFD_GET_INFO` with the first version of its structure, which is 64 bytes long.
const PIDFD_GET_INFO: u64 = 0xc040_ff0b;

/// Asks for the exit status of a process that has been reaped.
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// A file in memory that may be executed whatever the default is. Kernels before 6.3 do
/// not know it.
const MFD_EXEC: u32 = 0x10;

/// A cgroup descriptor that is none.
const NO_DESCRIPTOR: u64 = 1 << 20;

/// Asks Landlock for its version rather than for a ruleset.
const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;

/// A namespace with clocks of its own.
const CLONE_NEWTIME: c_int = 0x80;

/// The first words of `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    numbers: [u32; 11],
    exit_code: i32,
}

/// Opens this process as a descriptor.
///
/// # Errors
/// What `pidfd_open` says.
pub fn pidfd_open() -> io::Result<()> {
    process::open(std::process::id()).map(drop)
}

/// Sends no signal through such a descriptor.
///
/// # Errors
/// What `pidfd_send_signal` says.
pub fn pidfd_send_signal() -> io::Result<()> {
    let own = process::open(std::process::id())?;
    process::signal_through(own.as_fd(), 0).map(drop)
}

/// Asks such a descriptor about its process.
///
/// # Errors
/// What `PIDFD_GET_INFO` says.
pub fn pidfd_info() -> io::Result<()> {
    let own = process::open(std::process::id())?;
    information(own.as_fd(), 0).map(drop)
}

/// Asks for the exit status of a process that has been reaped; false where it is not kept.
///
/// # Errors
/// What `fork`, `pidfd_open` or `PIDFD_GET_INFO` says.
pub fn pidfd_exit_info() -> io::Result<bool> {
    // SAFETY: the child ends at once.
    let child = unsafe { fork(|| 0) }?;
    let pidfd = process::open(u32::try_from(child).unwrap_or(0));
    wait(child)?;
    let information = information(pidfd?.as_fd(), PIDFD_INFO_EXIT)?;
    Ok(information.mask & PIDFD_INFO_EXIT != 0)
}

fn information(pidfd: BorrowedFd<'_>, mask: u64) -> io::Result<PidfdInfo> {
    let mut information = PidfdInfo { mask, ..PidfdInfo::default() };
    // SAFETY: the kernel writes the 64 bytes that the number of the request tells.
    let result = unsafe {
        libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as libc::Ioctl, &raw mut information)
    };
    if result == 0 { Ok(information) } else { Err(io::Error::last_os_error()) }
}

/// Makes a process that shares our memory, as programs are born here.
///
/// # Errors
/// What `clone` says.
pub fn clone_sharing_memory() -> io::Result<()> {
    let stack = vec![0_u128; STACK_BYTES / size_of::<u128>()];
    let top = stack.as_ptr_range().end;
    in_child(move || clone_on(top, libc::CLONE_VM | libc::CLONE_FILES | libc::SIGCHLD))
}

/// Makes a process whose parent is ours, as the keeper is the parent of programs.
///
/// # Errors
/// What `clone` says: EINVAL where we are the first process of a container.
pub fn clone_sibling() -> io::Result<()> {
    let stack = vec![0_u128; STACK_BYTES / size_of::<u128>()];
    let top = stack.as_ptr_range().end;
    // The sibling of a child of a child is the child's, which waits for it.
    in_child(move || {
        // SAFETY: that child makes system calls only, too.
        let child = unsafe { fork(|| clone_on(top, libc::CLONE_VM | libc::CLONE_PARENT)) };
        let code = child.and_then(wait).map_or(UNKNOWN, exit_code);
        // SAFETY: nothing is written; `__WALL` is for children without a signal.
        while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::__WALL) } > 0 {}
        code
    })
}

/// Clones a child that ends at once, with a pidfd, on a stack that ends at `top`.
fn clone_on(top: *const u128, flags: c_int) -> c_int {
    extern "C" fn end(_: *mut c_void) -> c_int {
        0
    }
    let mut pidfd: c_int = -1;
    let mut tid: c_int = 0;
    let all = flags | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID | libc::CLONE_VFORK;
    // SAFETY: the stack is nobody else's, and with CLONE_VFORK nobody goes on before its
    // user has ended; so are both numbers.
    let pid = unsafe {
        libc::clone(
            end,
            top.cast_mut().cast(),
            all,
            ptr::null_mut(),
            &raw mut pidfd,
            ptr::null_mut::<c_void>(),
            &raw mut tid,
        )
    };
    if pid < 0 {
        return last_errno();
    }
    if flags & libc::CLONE_PARENT == 0 {
        // SAFETY: nothing is written.
        unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) };
    }
    0
}

/// Asks for a process by `clone3`, in a way that is always refused.
///
/// # Errors
/// What `clone3` says of it, where it is there and not forbidden.
pub fn clone3() -> io::Result<()> {
    // SAFETY: a structure without a byte is refused before anything is read.
    let result = unsafe { libc::syscall(libc::SYS_clone3, ptr::null::<c_void>(), 0) };
    refused_with(result, libc::EINVAL)
}

/// Asks for a process in a cgroup that is none.
///
/// # Errors
/// What `clone3` says, where it is not that the cgroup is none.
pub fn clone_into_cgroup() -> io::Result<()> {
    let arguments = CloneArguments {
        flags: 0x2_0000_0000,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: NO_DESCRIPTOR,
        ..CloneArguments::default()
    };
    in_child(move || {
        let size = size_of::<CloneArguments>();
        // SAFETY: the arguments are valid; should there be a child, it ends at once.
        unsafe {
            match libc::syscall(libc::SYS_clone3, &raw const arguments, size) {
                0 => libc::_exit(0),
                result if result > 0 => UNKNOWN,
                _ if last_errno() == libc::EBADF => 0,
                _ => last_errno(),
            }
        }
    })
}

/// Gives a child a descriptor table of its own, cut short.
///
/// # Errors
/// What `close_range` says.
pub fn close_range_unshare() -> io::Result<()> {
    in_child(|| {
        let (first, last) = (NO_DESCRIPTOR as u32, u32::MAX);
        let unshare = libc::CLOSE_RANGE_UNSHARE;
        // SAFETY: plain numbers; nothing is open there.
        code_of(unsafe { libc::syscall(libc::SYS_close_range, first, last, unshare) })
    })
}

/// Makes a file in memory.
///
/// # Errors
/// What `memfd_create` says.
pub fn memfd() -> io::Result<()> {
    in_memory(libc::MFD_CLOEXEC).map(drop)
}

/// Executes a file in memory that is no program.
///
/// # Errors
/// What `memfd_create` or `execveat` says, where it is not that the file is no program.
pub fn exec_from_memory() -> io::Result<()> {
    let file = match in_memory(libc::MFD_CLOEXEC | MFD_EXEC) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => in_memory(libc::MFD_CLOEXEC)?,
        file => file?,
    };
    rustix::io::write(&file, b"no program")?;
    let number = file.as_raw_fd();
    in_child(move || match exec(number, c"".as_ptr(), libc::AT_EMPTY_PATH) {
        libc::ENOEXEC => 0,
        errno => errno,
    })
}

/// Executes a directory.
///
/// # Errors
/// What `execveat` says, where it is not that a directory cannot be executed.
pub fn execveat() -> io::Result<()> {
    in_child(|| match exec(libc::AT_FDCWD, c"/".as_ptr(), 0) {
        libc::EACCES => 0,
        errno => errno,
    })
}

fn in_memory(flags: u32) -> io::Result<OwnedFd> {
    // SAFETY: the name is closed by a NUL.
    let file = unsafe { libc::syscall(libc::SYS_memfd_create, c"bardo-probe".as_ptr(), flags) };
    let number = c_int::try_from(file).ok().filter(|number| *number >= 0);
    let number = number.ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just given us this number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Executes a file without arguments; says why it was not.
fn exec(directory: c_int, path: *const libc::c_char, flags: c_int) -> c_int {
    let none = [ptr::null::<libc::c_char>()];
    // SAFETY: the path is closed by a NUL, and both lists by a null pointer.
    unsafe {
        libc::syscall(libc::SYS_execveat, directory, path, none.as_ptr(), none.as_ptr(), flags)
    };
    last_errno()
}

/// The version of Landlock.
///
/// # Errors
/// ENOSYS and EOPNOTSUPP where it is not there, or switched off.
pub fn landlock() -> io::Result<u32> {
    let number = libc::SYS_landlock_create_ruleset;
    // SAFETY: without a structure, the version is asked for.
    let version =
        unsafe { libc::syscall(number, ptr::null::<c_void>(), 0, LANDLOCK_CREATE_RULESET_VERSION) };
    u32::try_from(version).map_err(|_| io::Error::last_os_error())
}

/// Gives a child a filter that allows everything.
///
/// # Errors
/// What `seccomp` says.
pub fn seccomp_filter() -> io::Result<()> {
    in_child(|| {
        let allow = libc::SECCOMP_RET_ALLOW;
        let code = (libc::BPF_RET | libc::BPF_K) as u16;
        let mut filter = [libc::sock_filter { code, jt: 0, jf: 0, k: allow }];
        let program = libc::sock_fprog { len: 1, filter: filter.as_mut_ptr() };
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        // SAFETY: the program is valid, and read before the call returns.
        unsafe {
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
                return last_errno();
            }
            code_of(libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program))
        }
    })
}

/// Gives the children of a child clocks of their own.
///
/// # Errors
/// What `unshare` says.
pub fn time_namespace() -> io::Result<()> {
    // SAFETY: plain numbers.
    in_child(|| code_of(unsafe { libc::unshare(CLONE_NEWTIME) }.into()))
}

/// Gives a child a slice of its own; kernels before 6.12 pass over it.
///
/// # Errors
/// What `sched_setattr` or `sched_getattr` says; `Unsupported` where it is passed over.
pub fn scheduler_slice() -> io::Result<()> {
    const SLICE: Duration = Duration::from_millis(20);
    let wanted = Policy::Other(Some(SLICE)).attributes(0);
    let found = in_child(move || {
        let mut found = SchedulerAttributes::default();
        let size = size_of::<SchedulerAttributes>();
        // SAFETY: both structures are valid, and of the size that is told.
        unsafe {
            if libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) < 0
                || libc::syscall(libc::SYS_sched_getattr, 0, &raw mut found, size, 0) < 0
            {
                return last_errno();
            }
        }
        if found.runtime == wanted.runtime { 0 } else { libc::EOPNOTSUPP }
    });
    found.map_err(|error| match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => io::Error::new(io::ErrorKind::Unsupported, "passed over"),
        _ => error,
    })
}

/// Makes a child the parent of orphans.
///
/// # Errors
/// What `prctl` says.
pub fn subreaper() -> io::Result<()> {
    // SAFETY: plain numbers.
    in_child(|| code_of(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }.into()))
}

/// Moves a byte from pipe to pipe, and doubles it on the way.
///
/// # Errors
/// What `pipe2`, `tee` or `splice` says.
pub fn splice_pipes() -> io::Result<()> {
    let (one, two, three) = (
        pipe_with(PipeFlags::CLOEXEC)?,
        pipe_with(PipeFlags::CLOEXEC)?,
        pipe_with(PipeFlags::CLOEXEC)?,
    );
    rustix::io::write(&one.1, b"x")?;
    tee(&one.0, &two.1, 1, SpliceFlags::empty())?;
    splice(&two.0, None, &three.1, None, 1, SpliceFlags::empty())?;
    Ok(())
}

/// Raises the limit on descriptors of a child beyond what it may be raised to.
///
/// # Errors
/// EPERM where only root of the whole machine may.
pub fn raise_limits() -> io::Result<()> {
    let own = limits::get(Limited::Descriptors);
    in_child(|| {
        let hard = own.hard.saturating_add(1);
        let raised = libc::rlimit { rlim_cur: own.soft, rlim_max: hard };
        // SAFETY: the structure is valid for a read.
        code_of(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) }.into())
    })
}

/// How much memory a new pipe has, in bytes. The kernel gives less to a user who has many.
///
/// # Errors
/// What `pipe2` or `fcntl` says.
pub fn pipe_bytes() -> io::Result<usize> {
    let (read, _write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok(rustix::pipe::fcntl_getpipe_size(&read)?)
}

/// What a call came to that is always refused.
fn refused_with(result: c_long, expected: c_int) -> io::Result<()> {
    let error = io::Error::last_os_error();
    let is_known = result >= 0 || error.raw_os_error() == Some(expected);
    if is_known { Ok(()) } else { Err(error) }
}

/// Does something in a child that makes system calls only, and ends with 0 or an errno.
fn in_child(work: impl FnOnce() -> c_int) -> io::Result<()> {
    // SAFETY: this is what the caller promises of its work.
    let status = unsafe { fork(work) }.and_then(wait)?;
    match exit_code(status) {
        0 => Ok(()),
        UNKNOWN => Err(io::Error::other("it ended otherwise than expected")),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Makes a child that ends with what the work says.
///
/// # Safety
/// The work makes system calls only.
unsafe fn fork(work: impl FnOnce() -> c_int) -> io::Result<c_int> {
    // SAFETY: the caller vouches for what the child does.
    match unsafe { libc::fork() } {
        // SAFETY: nothing of the parent's is run at this end.
        0 => unsafe { libc::_exit(work()) },
        pid if pid > 0 => Ok(pid),
        _ => Err(io::Error::last_os_error()),
    }
}

fn wait(child: c_int) -> io::Result<c_int> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for a write.
        let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
        if ended == child {
            return Ok(status);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The exit code in a status. Who was killed by a signal was killed by a filter.
fn exit_code(status: c_int) -> c_int {
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { libc::ENOSYS }
}

fn code_of(result: c_long) -> c_int {
    if result < 0 { last_errno() } else { 0 }
}

fn last_errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_is_refused_is_told() {
        assert!(in_child(|| 0).is_ok());
        let refused = in_child(|| libc::EPERM).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        assert_eq!(in_child(|| UNKNOWN).unwrap_err().raw_os_error(), None);
    }

    #[test]
    fn a_child_that_a_filter_kills_was_refused() {
        // SAFETY: plain numbers.
        let killed = in_child(|| unsafe { libc::kill(libc::getpid(), libc::SIGSYS) });

        assert_eq!(killed.unwrap_err().raw_os_error(), Some(libc::ENOSYS));
    }

    #[test]
    fn what_starts_programs_in_these_tests_is_offered() {
        assert_eq!(clone_sharing_memory().map_err(|error| error.to_string()), Ok(()));
        assert_eq!(clone_sibling().map_err(|error| error.to_string()), Ok(()));
        assert_eq!(close_range_unshare().map_err(|error| error.to_string()), Ok(()));
        assert_eq!(pidfd_send_signal().map_err(|error| error.to_string()), Ok(()));
        assert_eq!(memfd().map_err(|error| error.to_string()), Ok(()));
        assert_eq!(splice_pipes().map_err(|error| error.to_string()), Ok(()));
        assert!(pipe_bytes().unwrap() > 0);
    }

    /// Other tests open descriptors meanwhile, of which there is no more than one table.
    #[test]
    fn nothing_that_was_tried_changes_this_process() {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let words = ["--exact", "probe::tests::helper_that_tries", "--ignored"];

        let output = command.args(words).output().unwrap();

        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "it is run by the test above, in a process of its own"]
    fn helper_that_tries() {
        let before = std::fs::read_to_string("/proc/self/status").unwrap();
        for tried in [
            seccomp_filter(),
            time_namespace(),
            subreaper(),
            exec_from_memory(),
            execveat(),
            clone3(),
            clone_into_cgroup(),
            pidfd_info(),
            pidfd_exit_info().map(drop),
            landlock().map(drop),
        ] {
            // Whether it is offered is the machine's affair; that it says so is ours.
            assert!(tried.is_ok() || !tried.unwrap_err().to_string().is_empty());
        }

        let after = std::fs::read_to_string("/proc/self/status").unwrap();
        let fixed = |text: &str| {
            let names = ["Seccomp", "NoNewPrivs", "FDSize", "NSpid"];
            let lines = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(fixed(&before), fixed(&after));
    }
}
