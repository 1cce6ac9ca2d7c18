//! The way of an event into a listener's standard input, exact under SIGKILL.
//!
//! Bytes that were written into a pipe cannot be counted afterwards: the listener may have
//! read them. So they are written into a pipe of our own first, the *outbox*, which the
//! keeper holds as well, and moved from there by `splice`: what is still in the outbox has
//! not been sent.
//!
//! ```text
//!    step                                         after a cut right behind it
//!    1  write down: packing n bytes for L         empty the outbox; begin again
//!    2  write n bytes into the outbox             the same
//!    3  write down: moving                        what is in the outbox was not sent,
//!    4  splice outbox -> standard input of L      the rest of the n bytes was
//!    5  write down: so many are there             empty the outbox
//!    6  empty the outbox                          nothing is on its way
//! ```
//!
//! There is one outbox for all listeners. One that does not read holds up nobody: what its
//! standard input does not take is emptied out, and packed again when there is room.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use bardo_sys::pipe;

/// The outbox.
#[derive(Debug)]
pub struct Outbox {
    read: OwnedFd,
    write: OwnedFd,
    null: File,
    capacity: usize,
}

/// How far bytes came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// All are there.
    All,
    /// There is no room for the rest.
    Full,
    /// Nobody reads any more.
    Closed,
}

impl Outbox {
    /// Takes the two ends of a pipe, which the keeper holds too.
    ///
    /// # Errors
    /// What the kernel says of the pipe.
    pub fn new(read: OwnedFd, write: OwnedFd) -> io::Result<Self> {
        let capacity = pipe::capacity(&write)?;
        Ok(Self { read, write, null: pipe::open_target(Path::new("/dev/null"))?, capacity })
    }

    /// Both ends, for the keeper.
    #[must_use]
    pub fn ends(&self) -> [BorrowedFd<'_>; 2] {
        [self.read.as_fd(), self.write.as_fd()]
    }

    /// Most bytes that can be packed at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Puts bytes into the outbox, which must be empty: all of them or an error.
    ///
    /// # Errors
    /// What `write` says.
    pub fn pack(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[pipe::write_now(&self.write, rest)?..];
        }
        Ok(())
    }

    /// Moves what is there into a standard input.
    pub fn move_into(&self, stdin: &OwnedFd) -> Moved {
        loop {
            match pipe::waiting(&self.read) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Moved::All,
            }
            match pipe::splice(&self.read, stdin.as_fd(), self.capacity) {
                Ok(0) => return Moved::All,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Moved::Full,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Moved::Closed,
            }
        }
    }

    /// How many bytes have not been moved.
    #[must_use]
    pub fn left(&self) -> usize {
        pipe::waiting(&self.read).unwrap_or(0)
    }

    /// Drops what has not been moved.
    pub fn empty(&self) {
        while self.left() > 0 {
            if pipe::splice(&self.read, &self.null, self.capacity).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use bardo_sys::poll::has_hung_up;

    use super::*;
    use crate::selftest::home::wait_until;

    fn outbox() -> Outbox {
        let (read, write) = pipe::pipe().unwrap();
        Outbox::new(read, write).unwrap()
    }

    #[test]
    fn bytes_come_to_the_other_end() {
        let outbox = outbox();
        let (read, write) = pipe::pipe().unwrap();

        outbox.pack(b"an event").unwrap();
        assert_eq!(outbox.move_into(&write), Moved::All);

        let mut buffer = [0; 20];
        let length = pipe::read(&read, &mut buffer).unwrap();
        assert_eq!((&buffer[..length], outbox.left()), (b"an event".as_slice(), 0));
    }

    #[test]
    fn what_has_no_room_stays_and_can_be_dropped() {
        let outbox = outbox();
        let (read, write) = pipe::pipe().unwrap();
        pipe::set_capacity(&write, 4096).unwrap();

        outbox.pack(&[b'x'; 10_000]).unwrap();
        assert_eq!(outbox.move_into(&write), Moved::Full);

        assert_eq!(outbox.left() + pipe::waiting(&read).unwrap(), 10_000);
        outbox.empty();
        assert_eq!(outbox.left(), 0);
    }

    #[test]
    fn one_that_does_not_read_any_more_is_told_from_one_that_is_full() {
        let outbox = outbox();
        let (read, write) = pipe::pipe().unwrap();
        drop(read);
        // What another test clones reads too, until it executes its program.
        wait_until("its reader to be gone", || has_hung_up(write.as_fd())).unwrap();

        outbox.pack(b"an event").unwrap();

        assert_eq!(outbox.move_into(&write), Moved::Closed);
    }
}
