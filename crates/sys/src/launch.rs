//! Starting one's own executable again, for a process that must not allocate.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

/// Most descriptors that are handed to an executable.
pub const FILES_MAX: usize = 64;

/// An executable with its arguments and environment, laid out once.
#[derive(Debug)]
pub struct Launch {
    executable: OwnedFd,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    /// What the pointers point into.
    _strings: Vec<CString>,
}

impl Launch {
    /// Lays out what is to be executed.
    #[must_use]
    pub fn new(executable: OwnedFd, arguments: Vec<CString>, environment: Vec<CString>) -> Self {
        let mut argv: Vec<_> = arguments.iter().map(|text| text.as_ptr()).collect();
        let mut envp: Vec<_> = environment.iter().map(|text| text.as_ptr()).collect();
        argv.push(ptr::null());
        envp.push(ptr::null());
        let mut strings = arguments;
        strings.extend(environment);
        Self { executable, argv, envp, _strings: strings }
    }

    /// Starts it as a child that has `files` as its descriptors 3, 4, ... and keeps
    /// 0, 1 and 2. Everything else that is not marked close-on-exec it keeps too.
    /// Nothing is allocated.
    ///
    /// # Errors
    /// What `fork` says. An exec that fails is seen as an exit with code 127.
    pub fn start(&self, files: &[BorrowedFd<'_>]) -> io::Result<u32> {
        // SAFETY: the caller has a single thread, and the child makes only
        // async-signal-safe calls before it executes or ends.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                self.replace_with(files);
                // SAFETY: ends the child.
                unsafe { libc::_exit(127) }
            }
            pid => Ok(u32::try_from(pid).unwrap_or(0)),
        }
    }

    /// Replaces the calling process by it, with `files` as 3, 4, ...; returns only
    /// when that failed.
    pub fn replace_with(&self, files: &[BorrowedFd<'_>]) -> io::Error {
        // First out of the way of the target numbers, then to them.
        let mut high = [-1; FILES_MAX];
        for (place, file) in high.iter_mut().zip(files) {
            // SAFETY: plain numbers.
            *place = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 64) };
        }
        // SAFETY: plain numbers; the executable may lie in the way too.
        let executable =
            unsafe { libc::fcntl(self.executable.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 64) };
        for (number, place) in (3..).zip(&high[..files.len()]) {
            // SAFETY: plain numbers.
            unsafe { libc::dup2(*place, number) };
        }
        let (argv, envp) = (self.argv.as_ptr(), self.envp.as_ptr());
        // SAFETY: both arrays are closed by a null pointer and their strings live in
        // `self`; the empty path stands for the descriptor itself. Not every C library has
        // a function for it.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                executable,
                c"".as_ptr(),
                argv,
                envp,
                libc::AT_EMPTY_PATH,
            )
        };
        io::Error::last_os_error()
    }
}

/// Opens the executable of this process, even if its file has been replaced.
///
/// # Errors
/// When /proc is not there.
pub fn own_executable() -> io::Result<OwnedFd> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    Ok(rustix::fs::open("/proc/self/exe", flags, rustix::fs::Mode::empty())?)
}

/// Takes over an inherited descriptor by its number, and marks it to be closed by
/// exec. `None` when the number is not open.
#[must_use]
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: asking about a number that is not open is an error and no harm.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return None;
    }
    // SAFETY: it is open, and whoever started this process meant it for us: it is
    // taken once, at the start.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    let _ = rustix::io::fcntl_setfd(file.as_fd(), rustix::io::FdFlags::CLOEXEC);
    Some(file)
}

/// A C string for the kernel; text behind a NUL is dropped.
#[must_use]
pub fn c_string(bytes: &[u8]) -> CString {
    let whole = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    CString::new(whole).unwrap_or_else(|_| CStr::to_owned(c""))
}

/// Goes on in the background: as a child that leads a session of its own, with
/// /dev/null as its 0, 1 and 2. Returns in the child; in the parent it returns `true`
/// and nothing else has changed. To be called while there is one thread.
///
/// # Errors
/// What `fork` says.
pub fn go_to_background() -> io::Result<bool> {
    // SAFETY: there is one thread, so the child is whole.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: plain calls; a failure leaves things as they were.
            unsafe {
                libc::setsid();
                let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
                for number in 0..3 {
                    libc::dup2(null, number);
                }
                if null > 2 {
                    libc::close(null);
                }
            }
            Ok(false)
        }
        _ => Ok(true),
    }
}

/// Goes on as a child that does not lead a session, so that no terminal ever becomes its own;
/// returns in the child only. To be called while there is one thread.
///
/// # Errors
/// What `fork` says.
pub fn leave_session() -> io::Result<()> {
    // SAFETY: there is one thread, so the child is whole.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(()),
        // SAFETY: ends the parent, and leaves everything that it has made to the child.
        _ => unsafe { libc::_exit(0) },
    }
}
