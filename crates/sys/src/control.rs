//! The sockets through which a service and its supervisor speak: the channel that a service
//! inherits, and the address that any of its processes can write to.
//!
//! It carries bytes and descriptors and says who has sent them; what they mean is known
//! elsewhere. Nothing here waits, and no message costs an allocation: what was received
//! lies in an inbox that is used again and again.
//!
//! One thing surprises a newcomer: a message of no bytes looks like the end of a channel.
//! What tells them apart is the sender, whom the kernel adds to the one and not to the
//! other. So the sender is asked for on both sockets, though only one of them needs it. A
//! descriptor of it costs more and comes with what arrives at an address only.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socket_with, socketpair, sockopt,
};

/// Most bytes of a message.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// Most descriptors of a message that we send.
pub const DESCRIPTORS_MAX: usize = 64;

/// Most descriptors that anybody can send with a message, as the kernel has it. There is
/// room for all of them: those beyond would be closed by the kernel while we receive, and
/// to close somebody's descriptor can take him as long as he likes.
const DESCRIPTORS_SENT_MAX: usize = 253;

/// Asks for a descriptor of the sender; Linux 6.5 and later.
const SO_PASSPIDFD: libc::c_int = 76;

/// A descriptor of the sender.
const SCM_PIDFD: libc::c_int = 4;

/// Room for what comes beside the bytes: descriptors, the sender, a descriptor of it.
const BESIDE_BYTES: usize = {
    // SAFETY: plain arithmetic on lengths.
    unsafe {
        libc::CMSG_SPACE((DESCRIPTORS_SENT_MAX * size_of::<libc::c_int>()) as u32) as usize
            + libc::CMSG_SPACE(size_of::<libc::ucred>() as u32) as usize
            + libc::CMSG_SPACE(size_of::<libc::c_int>() as u32) as usize
    }
};

/// Somebody at the other end.
#[derive(Debug)]
pub struct Peer {
    /// The number of the process; 0 when it is outside of what we can see.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// A descriptor of it, where the kernel gives one and it has not been reaped.
    pub pidfd: Option<OwnedFd>,
}

/// What was received, until the next thing is.
#[derive(Debug)]
pub struct Letter<'i> {
    /// The message.
    pub bytes: &'i [u8],
    /// The descriptors that came with it. What is left here is closed when the next thing is
    /// received, which may take as long as the sender likes.
    pub descriptors: &'i mut Vec<OwnedFd>,
    /// Who has sent it.
    pub sender: Peer,
    /// Whether it had more bytes than are allowed.
    pub is_cut: bool,
}

/// What came of an attempt to receive.
#[derive(Debug)]
pub enum Received<'i> {
    /// A message.
    Letter(Letter<'i>),
    /// Nothing is there now.
    Nothing,
    /// The other end is closed.
    Closed,
}

/// What came of an attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Whole,
    /// There is no room now, and nothing was sent.
    Full,
    /// The other end is closed.
    Closed,
}

/// Room for one message, used again and again.
#[derive(Debug)]
pub struct Inbox {
    bytes: Box<[u8; MESSAGE_BYTES_MAX]>,
    descriptors: Vec<OwnedFd>,
}

impl Default for Inbox {
    fn default() -> Self {
        let descriptors = Vec::with_capacity(DESCRIPTORS_MAX);
        Self { bytes: Box::new([0; MESSAGE_BYTES_MAX]), descriptors }
    }
}

/// Our end of a channel, or an address.
#[derive(Debug)]
pub struct Port {
    socket: OwnedFd,
}

impl Port {
    /// A new channel: our end, and the one that is the service's. Both are closed by exec.
    ///
    /// # Errors
    /// What `socketpair` says.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        sockopt::set_socket_passcred(&ours, true)?;
        Ok((Self { socket: ours }, theirs))
    }

    /// A new address, of a name that the kernel chooses and that no file system shows.
    ///
    /// # Errors
    /// What `socket` or `bind` says.
    pub fn bind() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        let family = libc::AF_UNIX as libc::sa_family_t;
        let length = size_of_val(&family) as libc::socklen_t;
        // SAFETY: an address that is a family only is valid; the kernel reads so many bytes.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const family).cast(), length) };
        if bound != 0 {
            return Err(io::Error::last_os_error());
        }
        sockopt::set_socket_passcred(&socket, true)?;
        let on: libc::c_int = 1;
        let length = size_of_val(&on) as libc::socklen_t;
        // SAFETY: the number is valid for a read of its length. An older kernel refuses.
        unsafe {
            let value = (&raw const on).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, value, length);
        }
        Ok(Self { socket })
    }

    /// Takes back an end that was kept elsewhere. What was asked of it is still asked.
    #[must_use]
    pub fn from_kept(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// The name of an address, as `NOTIFY_SOCKET` has it; `None` for a channel.
    ///
    /// # Errors
    /// What `getsockname` says.
    pub fn name(&self) -> io::Result<Option<String>> {
        let address = rustix::net::getsockname(&self.socket)?;
        let address = rustix::net::SocketAddrUnix::try_from(address)?;
        let name = address.abstract_name().map(|name| String::from_utf8_lossy(name).into_owned());
        Ok(name.map(|name| format!("@{name}")))
    }

    /// Sends a message to the other end of a channel.
    ///
    /// # Errors
    /// What `sendmsg` says: ETOOMANYREFS when too many descriptors are on their way.
    pub fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<Sent> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            match sendmsg(&self.socket, &[io::IoSlice::new(message)], &mut beside, flags) {
                Ok(_) => return Ok(Sent::Whole),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS) => return Ok(Sent::Full),
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => {
                    return Ok(Sent::Closed);
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Lets nobody send anything more. What was sent before can still be received.
    pub fn take_no_more(&self) {
        // It fails for what was never a socket only.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read);
    }

    /// Takes the next message, if there is one. To be called until there is nothing: before
    /// the end of a service is acted on too, since what it said last may still lie here.
    ///
    /// # Errors
    /// What `recvmsg` says: EMFILE when there is no room for a descriptor.
    pub fn receive<'i>(&self, inbox: &'i mut Inbox) -> io::Result<Received<'i>> {
        inbox.descriptors.clear();
        let mut space = Beside([0; BESIDE_BYTES]);
        let mut part =
            libc::iovec { iov_base: inbox.bytes.as_mut_ptr().cast(), iov_len: inbox.bytes.len() };
        // SAFETY: a header of zeroes is one without anything.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = space.0.as_mut_ptr().cast();
        header.msg_controllen = BESIDE_BYTES as _;
        let length = loop {
            let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
            // SAFETY: the header names memory that is valid for writes of its lengths.
            let result = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, flags) };
            if let Ok(length) = usize::try_from(result) {
                break length;
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                // The second is said once when the other end was closed with something unread
                // in it. What it has sent before lies behind that.
                Some(libc::EINTR | libc::ECONNRESET) => {}
                Some(libc::EAGAIN) => return Ok(Received::Nothing),
                _ => return Err(error),
            }
        };
        let sender = unpack(&header, &mut inbox.descriptors);
        // Where descriptors are short, those of the message are missing, and not its words.
        let is_cut = header.msg_flags & libc::MSG_TRUNC != 0;
        Ok(match sender {
            Some(sender) => {
                let (bytes, descriptors) = (&inbox.bytes[..length], &mut inbox.descriptors);
                Received::Letter(Letter { bytes, descriptors, sender, is_cut })
            }
            None => Received::Closed,
        })
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What comes beside the bytes, where its headers want to lie.
#[repr(C, align(8))]
struct Beside([u8; BESIDE_BYTES]);

/// A length as the C library has it, whose type is not the same in each.
fn bytes<T: TryInto<usize>>(length: T) -> usize {
    length.try_into().unwrap_or(0)
}

/// Takes descriptors and sender out of what came beside a message.
fn unpack(header: &libc::msghdr, descriptors: &mut Vec<OwnedFd>) -> Option<Peer> {
    let (mut sender, mut pidfd) = (None, None);
    // SAFETY: the kernel has filled in the header, so that these walk over whole parts, each
    // of which holds what its type says; every descriptor in them is new and ours.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while !at.is_null() {
            let (data, part) = (libc::CMSG_DATA(at), &*at);
            let length = bytes(part.cmsg_len) - (data.addr() - at.addr());
            let number = |place: usize| ptr::read_unaligned(data.cast::<libc::c_int>().add(place));
            match (part.cmsg_level, part.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    let count = length / size_of::<libc::c_int>();
                    descriptors.extend((0..count).map(|it| OwnedFd::from_raw_fd(number(it))));
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    sender = Some(ptr::read_unaligned(data.cast::<libc::ucred>()));
                }
                // It is an errno when there is none to be had.
                (libc::SOL_SOCKET, SCM_PIDFD) if number(0) >= 0 => {
                    pidfd = Some(OwnedFd::from_raw_fd(number(0)));
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    let sender: libc::ucred = sender?;
    let pid = u32::try_from(sender.pid).unwrap_or(0);
    Some(Peer { pid, uid: sender.uid, gid: sender.gid, pidfd })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::wait_for_hang_up;
    use crate::poller::{Events, Interest, Poller};
    use std::fs::File;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    fn is_us(peer: &Peer) -> bool {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        (peer.pid, peer.uid, peer.gid) == (std::process::id(), uid, gid)
    }

    fn text(port: &Port, inbox: &mut Inbox) -> String {
        match port.receive(inbox).unwrap() {
            Received::Letter(letter) => {
                assert!(is_us(&letter.sender), "{letter:?}");
                String::from_utf8(letter.bytes.to_vec()).unwrap()
            }
            other => format!("{other:?}"),
        }
    }

    /// A datagram socket that is connected to this address.
    fn connected(port: &Port) -> UnixDatagram {
        let name = port.name().unwrap().unwrap();
        let name = name.strip_prefix('@').unwrap();
        let socket = UnixDatagram::unbound().unwrap();
        socket.connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        socket
    }

    #[test]
    fn messages_keep_their_ends_and_an_empty_one_is_not_the_end() {
        let (ours, theirs) = Port::pair().unwrap();
        let theirs = Port::from_kept(theirs);
        let mut inbox = Inbox::default();

        for message in ["READY=1", "", "STOPPING=1"] {
            assert_eq!(theirs.send(message.as_bytes(), &[]).unwrap(), Sent::Whole);
        }
        drop(theirs);
        wait_for_hang_up(&ours);

        let said = [(); 4].map(|()| text(&ours, &mut inbox));
        assert_eq!(said, ["READY=1", "", "STOPPING=1", "Closed"]);
        assert_eq!(ours.send(b"PING=1", &[]).unwrap(), Sent::Closed);
    }

    #[test]
    fn what_was_said_last_is_received_from_who_has_read_nothing() {
        let (ours, theirs) = Port::pair().unwrap();
        let theirs = Port::from_kept(theirs);
        ours.send(b"INIT=fresh", &[]).unwrap();
        theirs.send(b"READY=1", &[]).unwrap();
        theirs.send(b"STOPPING=1", &[]).unwrap();
        drop(theirs);
        wait_for_hang_up(&ours);
        let mut inbox = Inbox::default();

        let said = [(); 4].map(|()| text(&ours, &mut inbox));

        assert_eq!(said, ["READY=1", "STOPPING=1", "Closed", "Closed"]);
    }

    #[test]
    fn who_takes_no_more_receives_what_was_sent_before() {
        let (ours, theirs) = Port::pair().unwrap();
        let theirs = Port::from_kept(theirs);
        let address = Port::bind().unwrap();
        let socket = connected(&address);
        let mut inbox = Inbox::default();
        theirs.send(b"READY=1", &[]).unwrap();
        socket.send(b"WATCHDOG=1").unwrap();

        ours.take_no_more();
        address.take_no_more();

        assert_eq!(theirs.send(b"STOPPING=1", &[]).unwrap(), Sent::Closed);
        assert!(socket.send(b"STOPPING=1").is_err());
        assert_eq!([(); 2].map(|()| text(&ours, &mut inbox)), ["READY=1", "Closed"]);
        assert_eq!([(); 2].map(|()| text(&address, &mut inbox)), ["WATCHDOG=1", "Nothing"]);
    }

    #[test]
    fn as_many_descriptors_come_as_anybody_can_send() {
        let port = Port::bind().unwrap();
        let line = "import array, os, socket, sys\n\
                    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                    s.connect('\\0' + sys.argv[1][1:])\n\
                    s.sendmsg([b'X'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,\n\
                    array.array('i', [0] * 253))])";
        let name = port.name().unwrap().unwrap();
        let python = std::process::Command::new("python3").args(["-c", line, &name]).status();
        // Not every machine has it.
        let Ok(status) = python else { return };
        assert!(status.success());

        let mut inbox = Inbox::default();
        let Received::Letter(letter) = port.receive(&mut inbox).unwrap() else { panic!() };

        assert_eq!(letter.descriptors.len(), DESCRIPTORS_SENT_MAX);
    }

    #[test]
    fn a_channel_that_is_full_says_so() {
        let (ours, _theirs) = Port::pair().unwrap();

        let mut sent = (0..100_000).map(|_| ours.send(b"PING=1", &[]).unwrap());

        assert_eq!(sent.find(|sent| *sent != Sent::Whole), Some(Sent::Full));
    }

    #[test]
    fn descriptors_come_with_their_message_and_are_closed_with_it() {
        let (ours, theirs) = Port::pair().unwrap();
        let theirs = Port::from_kept(theirs);
        let (read, write) = crate::pipe::pipe().unwrap();
        let null = File::open("/dev/null").unwrap();
        let mut inbox = Inbox::default();
        theirs.send(b"FDSTORE=1", &[write.as_fd(), null.as_fd()]).unwrap();
        drop(write);

        let Received::Letter(letter) = ours.receive(&mut inbox).unwrap() else { panic!() };
        assert_eq!((letter.descriptors.len(), letter.is_cut), (2, false));
        let kept = letter.descriptors.swap_remove(0);
        rustix::io::write(&kept, b"x").unwrap();
        drop(kept);
        wait_for_hang_up(&read);

        assert!(matches!(ours.receive(&mut inbox).unwrap(), Received::Nothing));
        assert!(inbox.descriptors.is_empty());
        let mut bytes = [0; 4];
        assert_eq!(rustix::io::read(&read, &mut bytes), Ok(1));
        assert_eq!(rustix::io::read(&read, &mut bytes), Ok(0), "nobody holds the other end");
    }

    #[test]
    fn anybody_can_write_to_an_address_and_is_told_of() {
        let (port, poller) = (Port::bind().unwrap(), Poller::new().unwrap());
        poller.add(&port, 9, Interest::Readable).unwrap();
        let (mut inbox, mut events) = (Inbox::default(), Events::new());
        assert!(matches!(port.receive(&mut inbox).unwrap(), Received::Nothing));

        let socket = connected(&port);
        socket.send(b"READY=1").unwrap();
        socket.send(b"").unwrap();
        drop(socket);

        poller.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [9]);
        assert_eq!(text(&port, &mut inbox), "READY=1");
        assert_eq!(text(&port, &mut inbox), "");
        assert_eq!(text(&port, &mut inbox), "Nothing");
    }

    #[test]
    fn what_is_too_long_is_cut_and_told_of() {
        let port = Port::bind().unwrap();
        let socket = connected(&port);
        let mut inbox = Inbox::default();

        socket.send(&[b'x'; MESSAGE_BYTES_MAX]).unwrap();
        socket.send(&[b'x'; MESSAGE_BYTES_MAX + 1]).unwrap();

        for expected in [false, true] {
            let Received::Letter(letter) = port.receive(&mut inbox).unwrap() else { panic!() };
            assert_eq!((letter.bytes.len(), letter.is_cut), (MESSAGE_BYTES_MAX, expected));
        }
    }

    #[test]
    fn a_sender_that_has_ended_is_still_told_of() {
        let port = Port::bind().unwrap();
        let name = port.name().unwrap().unwrap();
        let line = "import os, socket, sys\n\
                    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                    s.sendto(b'READY=1', '\\0' + sys.argv[1][1:])";
        let python = std::process::Command::new("python3").args(["-c", line, &name]).spawn();
        // Not every machine has it.
        let Ok(mut child) = python else { return };
        let pid = child.id();
        assert!(child.wait().unwrap().success());

        let mut inbox = Inbox::default();
        let Received::Letter(letter) = port.receive(&mut inbox).unwrap() else { panic!() };
        assert_eq!((letter.bytes, letter.sender.pid), (&b"READY=1"[..], pid));
    }
}
