//! A socket between two processes that carries whole messages and descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

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
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(Received::Nothing),
                Err(rustix::io::Errno::CONNRESET) => return Ok(Received::Closed),
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
    use std::os::fd::AsRawFd;

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
    fn an_empty_channel_has_nothing_and_a_closed_one_says_so() {
        let (here, there) = Channel::pair().unwrap();
        let mut buffer = [0; 16];

        assert_eq!(there.receive(&mut buffer, Wait::No, drop).unwrap(), Received::Nothing);
        drop(here);
        assert_eq!(there.receive(&mut buffer, Wait::No, drop).unwrap(), Received::Closed);
    }
}
