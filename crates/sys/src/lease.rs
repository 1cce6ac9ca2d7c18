//! Leases: for a while nobody else gets at a file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use crate::signals::SignalReader;

/// SIGIO, which tells the holder of a lease that somebody wants the file.
const WANTED: i32 = 29;

/// A file that is kept from everybody: whoever opens or executes it waits. The kernel
/// gives it free when this is dropped, or after the time in
/// `/proc/sys/fs/lease-break-time` at the latest. It makes a program that cannot be
/// executed yet, as one on a dead network file system is.
#[derive(Debug)]
pub struct Lease {
    _file: File,
    _signals: SignalReader,
}

impl Lease {
    /// Takes a file that is ours and that nobody else has open. It is best opened for
    /// reading: who had it open for writing is in the way of its execution for a moment
    /// longer. SIGIO is blocked in the calling thread, which must be the only one.
    ///
    /// # Errors
    /// What `fcntl` says: EAGAIN when somebody has it open.
    pub fn take(file: File) -> io::Result<Self> {
        let signals = SignalReader::new(&[WANTED])?;
        // SAFETY: plain numbers.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { _file: file, _signals: signals })
    }
}
