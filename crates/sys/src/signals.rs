//! Signals as something to read, and processes without any.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

/// Signals that are read instead of taking effect.
#[derive(Debug)]
pub struct SignalReader {
    descriptor: OwnedFd,
}

impl SignalReader {
    /// Blocks these signals in the calling thread and makes them readable. Threads
    /// that are started later have them blocked too.
    ///
    /// # Errors
    /// What `signalfd` says.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigemptyset` initialises the set, `sigaddset` and
        // `pthread_sigmask` get a valid one; the old mask is not wanted.
        let descriptor = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), *signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given it to us.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { descriptor })
    }

    /// The next signal, without waiting.
    #[must_use]
    pub fn next(&self) -> Option<i32> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer has room for one whole record.
        let read =
            unsafe { libc::read(self.descriptor.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if usize::try_from(read) != Ok(size) {
            return None;
        }
        // SAFETY: a whole record was read.
        i32::try_from(unsafe { info.assume_init() }.ssi_signo).ok()
    }
}

impl AsFd for SignalReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Blocks these signals in the calling thread: one that comes waits, also while another
/// program is executed, until somebody reads it.
pub fn hold_back(signals: &[i32]) {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initialises the set, `sigaddset` and `pthread_sigmask` get a
    // valid one; the old mask is not wanted.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Makes these signals have no effect on this process.
pub fn ignore(signals: &[i32]) {
    for signal in signals {
        // SAFETY: to be ignored touches no memory; a number that may not be is refused.
        unsafe { libc::signal(*signal, libc::SIG_IGN) };
    }
}

/// Sets every signal to its default and blocks all of them, also those that the C
/// library keeps for itself: this is how a child is to be born. To be called
/// before any thread is started.
pub fn block_all() {
    let all = u64::MAX;
    for signal in 1..=64 {
        // SAFETY: the default action touches no memory; numbers that may not be
        // changed are refused, which does no harm.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    OWN_OF_LIBRARY.into_iter().for_each(stop_ignoring);
    // SAFETY: the set is as long as the kernel's own, which `libc`'s wrapper would
    // not let us fill.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const all,
            std::ptr::null_mut::<u64>(),
            8,
        )
    };
}

/// The numbers that the GNU C library keeps for itself and does not let anybody change.
/// Its `posix_spawn` starts processes that ignore them, and theirs do too.
const OWN_OF_LIBRARY: [i32; 2] = [32, 33];

/// An action as the kernel itself knows it: handler, flags, restorer, mask. Where an
/// architecture has no restorer the last word is not looked at.
type KernelAction = [usize; 4];

/// Sets a signal to its default if it is ignored. One that has a handler is left to
/// whoever has set it.
fn stop_ignoring(signal: i32) {
    let mut action: KernelAction = [0; 4];
    let change = |new: *const KernelAction, old: *mut KernelAction| {
        // SAFETY: both pointers are null or to an action; the last number is the
        // length of its mask.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, size_of::<u64>()) }
    };
    if change(std::ptr::null(), &raw mut action) == 0 && action[0] == libc::SIG_IGN {
        let default: KernelAction = [libc::SIG_DFL, 0, 0, 0];
        change(&raw const default, std::ptr::null_mut());
    }
}

/// Starts a command that gets all signals, although they are blocked here.
///
/// # Errors
/// As for `Command::spawn`.
pub fn spawn_unblocked(command: &mut Command) -> io::Result<Child> {
    let unblock = || {
        unblock_all();
        Ok(())
    };
    // SAFETY: between fork and exec it does one system call and nothing else.
    unsafe { command.pre_exec(unblock) };
    command.spawn()
}

/// Lets all signals through again: for a program that is about to replace this one.
pub fn unblock_all() {
    let none = 0_u64;
    // SAFETY: as in `block_all`.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null_mut::<u64>(),
            8,
        )
    };
}
