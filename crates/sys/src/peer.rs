//! Who is at the other end of a socket file's connection.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// `SO_PEERPIDFD`, since Linux 6.5.
const SO_PEERPIDFD: libc::c_int = 77;

/// Who has connected, as the kernel has noted it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The process; 0 for one that cannot be seen from here.
    pub pid: u32,
    /// The user it ran as.
    pub uid: u32,
}

/// Who has connected.
///
/// # Errors
/// What `getsockopt` says: it is no socket file's connection.
pub fn credentials(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    // SAFETY: the kernel writes a structure of three integers, of which any value is one.
    let found: libc::ucred = unsafe { option(socket, libc::SO_PEERCRED)? };
    Ok(Credentials { pid: u32::try_from(found.pid).unwrap_or(0), uid: found.uid })
}

/// The process that has connected, which no later one can be taken for.
///
/// # Errors
/// What `getsockopt` says: the kernel is older, or there is no descriptor.
pub fn process(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the kernel writes the number of a descriptor.
    let found: RawFd = unsafe { option(socket, SO_PEERPIDFD)? };
    // SAFETY: it was made for us just now, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(found) })
}

/// An option of a socket.
///
/// # Safety
/// What the kernel writes for the option is a `T`.
unsafe fn option<T>(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::uninit();
    let size = size_of::<T>();
    let mut length = libc::socklen_t::try_from(size).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: `value` has room for so many bytes, and `length` says how many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if usize::try_from(length).ok() != Some(size) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: all of it has been written, as the caller knows.
    Ok(unsafe { value.assume_init() })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn who_connects_is_known_by_number_and_by_descriptor() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        let (socket, _) = listener.accept().unwrap();

        let found = credentials(socket.as_fd()).unwrap();

        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(found, Credentials { pid: std::process::id(), uid });
        if let Ok(pidfd) = process(socket.as_fd()) {
            let own = crate::process::open(std::process::id()).unwrap();
            let identity = |pidfd: &OwnedFd| rustix::fs::fstat(pidfd).unwrap().st_ino;
            assert_eq!(identity(&pidfd), identity(&own));
        }
    }

    #[test]
    fn a_port_has_no_credentials() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();

        let found = credentials(listener.as_fd());

        // The kernel knows nobody there.
        assert!(found.is_err() || found.is_ok_and(|found| found.pid == 0));
    }
}
