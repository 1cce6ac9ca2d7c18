//! A socket between two processes that carries whole messages and descriptors.

use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, recvmsg, sendmsg, socket_with, socketpair,
};

use crate::peer::Credentials;

/// Most descriptors in one message. The kernel's own limit is 253.
pub const DESCRIPTORS_MAX: usize = 240;

/// One end of a connection that keeps messages apart.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// What came of an attempt to receive.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A message of so many bytes.
    Message(usize),
    /// Nothing is there now.
    Nothing,
    /// The other end is closed.
    Closed,
}

impl Channel {
    /// Both ends of a new connection, closed by exec.
    ///
    /// # Errors
    /// What `socketpair` says.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// A connection to whoever listens at this path (see [`listen`]).
    ///
    /// # Errors
    /// What `socket` and `connect` say: `ConnectionRefused` or `NotFound` when nobody does.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let reach = Reach::of(path)?;
        connect(&socket, &SocketAddrUnix::new(reach.path())?)?;
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(Self { socket })
    }

    /// The next one who has connected to a listening socket, without waiting.
    ///
    /// # Errors
    /// What `accept` says.
    pub fn accept(listener: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => Ok(Some(Self { socket })),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::CONNABORTED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A way to whoever takes single messages at this address: a path, or a name without a
    /// file that begins with `@`. Nothing is ever received on it.
    ///
    /// # Errors
    /// What `socket` and `connect` say.
    pub fn to_address(address: &OsStr) -> io::Result<Self> {
        let bytes = address.as_bytes();
        let address = match bytes.strip_prefix(b"@") {
            Some(name) => SocketAddrUnix::new_abstract_name(name)?,
            None => SocketAddrUnix::new(bytes)?,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        connect(&socket, &address)?;
        Ok(Self { socket })
    }

    /// Takes over an end that was inherited.
    #[must_use]
    pub fn from_inherited(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Sends a message. Waits for room only if `wait` is given.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; what `sendmsg` says (EPIPE when the other
    /// end is closed, ETOOMANYREFS when too many descriptors are on their way).
    pub fn send(
        &self,
        message: &[u8],
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        let flags = match wait {
            Wait::ForRoom => SendFlags::NOSIGNAL,
            Wait::No => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        };
        loop {
            match sendmsg(&self.socket, &[IoSlice::new(message)], &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Receives a message into `buffer` and hands each descriptor to `take`. Waits
    /// for one only if `wait` is given. Nothing is allocated.
    ///
    /// # Errors
    /// What `recvmsg` says; `InvalidData` for a message that was too long.
    pub fn receive(
        &self,
        buffer: &mut [u8],
        wait: Wait,
        mut take: impl FnMut(OwnedFd),
    ) -> io::Result<Received> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = match wait {
            Wait::ForRoom => RecvFlags::CMSG_CLOEXEC,
            Wait::No => RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
        };
        let message = loop {
            let mut parts = [IoSliceMut::new(buffer)];
            match recvmsg(&self.socket, &mut parts, &mut control, flags) {
                Ok(message) => break message,
                // The other end was closed with something in it that nobody has read. That is
                // told once, before what it has sent itself: the last words are still there.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(Received::Nothing),
                Err(error) => return Err(error.into()),
            }
        };
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = part {
                descriptors.for_each(&mut take);
            }
        }
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(if message.bytes == 0 { Received::Closed } else { Received::Message(message.bytes) })
    }
}

/// SIGCONT.
const GO_ON: i32 = 18;

/// Which signal says that something has happened on a descriptor; of `fcntl(2)`.
const F_SETSIG: i32 = 10;

impl Channel {
    /// From now on this process goes on if it is stopped when the other end is closed by the
    /// last who has it open, or says something.
    ///
    /// # Errors
    /// What `fcntl` says.
    pub fn go_on_when_closed(&self) -> io::Result<()> {
        let number = self.socket.as_raw_fd();
        let check = |result: i32| {
            if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
        };
        // SAFETY: plain numbers, about a descriptor that is open.
        check(unsafe { libc::fcntl(number, libc::F_SETOWN, libc::getpid()) })?;
        // SAFETY: as above.
        check(unsafe { libc::fcntl(number, F_SETSIG, GO_ON) })?;
        // SAFETY: as above.
        let flags = check(unsafe { libc::fcntl(number, libc::F_GETFL) })?;
        // SAFETY: as above.
        check(unsafe { libc::fcntl(number, libc::F_SETFL, flags | libc::O_ASYNC) }).map(drop)
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.socket
    }
}

/// Room for a message's descriptors and for who has sent it.
const ALONG_BYTES: usize = 1 << 10;

impl Channel {
    /// From now on the kernel says of each message who has sent it.
    ///
    /// # Errors
    /// What `setsockopt` says.
    pub fn want_senders(&self) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_passcred(&self.socket, true)?)
    }

    /// Receives a message as [`Self::receive`] does, without waiting, with who has sent it where
    /// that is wanted: whoever made the socket may be another one.
    ///
    /// # Errors
    /// What `recvmsg` says; `InvalidData` for a message that was too long.
    pub fn receive_from(
        &self,
        buffer: &mut [u8],
        take: impl FnMut(OwnedFd),
    ) -> io::Result<(Received, Option<Credentials>)> {
        let mut along = [0_u64; ALONG_BYTES / size_of::<u64>()];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: a header of zeros is one of nothing.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = along.as_mut_ptr().cast();
        header.msg_controllen = ALONG_BYTES as _;
        let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
        let length = loop {
            // SAFETY: the header names a buffer and a space that live, with their lengths.
            let length = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, flags) };
            let Ok(length) = usize::try_from(length) else {
                match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => continue,
                    error if error.kind() == io::ErrorKind::WouldBlock => {
                        return Ok((Received::Nothing, None));
                    }
                    // Told once, before the last words (see above).
                    error if error.kind() == io::ErrorKind::ConnectionReset => continue,
                    error => return Err(error),
                }
            };
            break length;
        };
        // SAFETY: the kernel has filled it in, and nobody else takes what is in it.
        let sender = unsafe { come_along(&header, take) };
        if header.msg_flags & libc::MSG_TRUNC != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let received = if length == 0 { Received::Closed } else { Received::Message(length) };
        Ok((received, sender))
    }
}

/// Takes what has come along with a message.
///
/// # Safety
/// The kernel has filled in the header, its space lives, and it is read for the first time.
unsafe fn come_along(header: &libc::msghdr, mut take: impl FnMut(OwnedFd)) -> Option<Credentials> {
    let mut sender = None;
    // SAFETY: as the caller says; each piece has the length that it tells, and lies as it must
    // in a space of words.
    unsafe {
        let mut piece = libc::CMSG_FIRSTHDR(header);
        while !piece.is_null() {
            let data = libc::CMSG_DATA(piece);
            let length = (*piece).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            match ((*piece).cmsg_level, (*piece).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    for place in 0..length / size_of::<RawFd>() {
                        let number = data.cast::<RawFd>().add(place).read_unaligned();
                        take(OwnedFd::from_raw_fd(number));
                    }
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                    let found = data.cast::<libc::ucred>().read_unaligned();
                    let pid = u32::try_from(found.pid).unwrap_or(0);
                    sender = Some(Credentials { pid, uid: found.uid });
                }
                _ => {}
            }
            piece = libc::CMSG_NXTHDR(header, piece);
        }
    }
    sender
}

/// The path of a socket as it fits into an address, however long it is.
#[derive(Debug)]
pub struct Reach {
    path: PathBuf,
    /// The folder that the path leads through.
    _folder: Option<OwnedFd>,
}

/// Most bytes of a path in an address, without the NUL that closes it.
const ADDRESS_BYTES_MAX: usize = 107;

impl Reach {
    /// The path itself, or a short one through its folder, which is opened for that.
    ///
    /// # Errors
    /// What `open` says of the folder.
    pub fn of(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }

    /// It, for as long as this lives.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A socket at this path that takes connections which keep messages apart. A file that is
/// there already is removed: whoever calls this knows that it is nobody's.
///
/// # Errors
/// What `bind` and `listen` say.
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let reach = Reach::of(path)?;
    bind(&socket, &SocketAddrUnix::new(reach.path())?)?;
    rustix::net::listen(&socket, CONNECTIONS_MAX)?;
    Ok(socket)
}

/// Most connections that wait to be accepted.
const CONNECTIONS_MAX: i32 = 16;

/// Whether a call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until there is room for the message, or one to take.
    ForRoom,
    /// Not at all.
    No,
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::wait_for_hang_up;

    #[test]
    fn a_path_that_fits_into_no_address_is_reached_all_the_same() {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("n".repeat(200));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("door");

        let listener = listen(&path).unwrap();
        let caller = Channel::connect(&path).unwrap();

        assert!(Channel::accept(listener.as_fd()).unwrap().is_some());
        drop((listener, caller));
        // What another test clones listens too, until it executes its program.
        let refused = std::iter::repeat_with(|| Channel::connect(&path)).find_map(Result::err);
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::ConnectionRefused);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(Channel::connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (here, there) = Channel::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();

        here.send(b"hello", &[file.as_fd(), file.as_fd()], Wait::ForRoom).unwrap();
        let mut buffer = [0; 16];
        let mut taken = Vec::new();
        let received = there.receive(&mut buffer, Wait::ForRoom, |file| taken.push(file)).unwrap();

        assert_eq!(received, Received::Message(5));
        assert_eq!(&buffer[..5], b"hello");
        assert_eq!(taken.len(), 2);
        assert_ne!(taken[0].as_raw_fd(), file.as_raw_fd());
    }

    #[test]
    fn who_wants_to_know_is_told_who_has_sent_a_message() {
        let (here, there) = Channel::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let (mut buffer, mut taken) = ([0; 16], Vec::new());
        there.want_senders().unwrap();

        here.send(b"hello", &[file.as_fd(); 3], Wait::ForRoom).unwrap();
        let (received, sender) = there.receive_from(&mut buffer, |file| taken.push(file)).unwrap();

        let uid = rustix::process::geteuid().as_raw();
        assert_eq!((received, taken.len()), (Received::Message(5), 3));
        assert_eq!(sender, Some(Credentials { pid: std::process::id(), uid }));
        assert_eq!(there.receive_from(&mut buffer, drop).unwrap(), (Received::Nothing, None));
        drop(here);
        wait_for_hang_up(&there);
        assert_eq!(there.receive_from(&mut buffer, drop).unwrap().0, Received::Closed);
    }

    #[test]
    fn an_empty_channel_has_nothing_and_a_closed_one_says_so() {
        let (here, there) = Channel::pair().unwrap();
        let mut buffer = [0; 16];

        assert_eq!(there.receive(&mut buffer, Wait::No, drop).unwrap(), Received::Nothing);
        drop(here);
        wait_for_hang_up(&there);
        assert_eq!(there.receive(&mut buffer, Wait::No, drop).unwrap(), Received::Closed);
    }

    #[test]
    fn the_last_words_of_one_who_has_not_heard_all_are_heard() {
        let (here, there) = Channel::pair().unwrap();
        let mut buffer = [0; 16];

        there.send(b"next", &[], Wait::ForRoom).unwrap();
        here.send(b"last", &[], Wait::ForRoom).unwrap();
        drop(here);
        wait_for_hang_up(&there);

        let received = there.receive(&mut buffer, Wait::No, drop).unwrap();
        assert_eq!((received, &buffer[..4]), (Received::Message(4), &b"last"[..]));
        assert_eq!(there.receive(&mut buffer, Wait::No, drop).unwrap(), Received::Closed);
    }
}
