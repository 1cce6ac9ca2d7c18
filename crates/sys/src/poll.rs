//! Waiting for one of a few descriptors, without allocating.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Most descriptors that are waited for at a time.
const MANY_MAX: usize = 5;

/// Whether room to write is waited for too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room(pub bool);

/// Which of the two have something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The first.
    pub first: bool,
    /// The second: something to read, its other end closed, or room.
    pub second: bool,
}

/// Waits until one of them has something to read, or the second has `room` where
/// that is asked for, or `timeout` nanoseconds have passed. An interruption looks
/// like a time-out.
#[must_use]
pub fn two(
    first: BorrowedFd<'_>,
    second: Option<BorrowedFd<'_>>,
    room: Room,
    timeout: Option<u64>,
) -> Ready {
    let wanted = if room.0 { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let mut both = [
        PollFd::from_borrowed_fd(first, PollFlags::IN),
        PollFd::from_borrowed_fd(second.unwrap_or(first), wanted),
    ];
    let count = if second.is_some() { 2 } else { 1 };
    if poll(&mut both[..count], timeout.map(span).as_ref()).is_err() {
        return Ready { first: false, second: false };
    }
    let [first, second] = both.map(|one| !one.revents().is_empty());
    Ready { first, second: second && count == 2 }
}

/// Waits until one of them has something to read, or `timeout` nanoseconds have passed.
/// An interruption looks like a time-out. `first` is always there, others may not be.
#[must_use]
pub fn many<const N: usize>(
    first: BorrowedFd<'_>,
    others: [Option<BorrowedFd<'_>>; N],
    timeout: Option<u64>,
) -> (bool, [bool; N]) {
    several(first, others.map(|other| Some((other?, Want::Read))), timeout)
}

/// Whether the other end is closed, or this one was shut down: nobody comes through a
/// listening socket any more of which this is true.
#[must_use]
pub fn has_hung_up(file: BorrowedFd<'_>) -> bool {
    let mut all = [PollFd::from_borrowed_fd(file, PollFlags::empty())];
    // One that cannot be asked now is waited for like any other.
    let _ = poll(&mut all, Some(&span(0)));
    all[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

/// Whether there is something to read; of a pidfd, whether its process has ended.
#[must_use]
pub fn is_readable(file: BorrowedFd<'_>) -> bool {
    let mut all = [PollFd::from_borrowed_fd(file, PollFlags::IN)];
    // One that cannot be asked now is waited for like any other.
    let _ = poll(&mut all, Some(&span(0)));
    all[0].revents().intersects(PollFlags::IN)
}

/// Waits until the other end is closed. What another test clones has it as well, until it
/// executes its program.
#[cfg(test)]
pub(crate) fn wait_for_hang_up(file: impl std::os::fd::AsFd) {
    while !has_hung_up(file.as_fd()) {
        std::thread::yield_now();
    }
}

/// What a descriptor is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Something to read.
    Read,
    /// Room to write.
    Room,
    /// Either.
    Both,
}

impl Want {
    fn flags(self) -> PollFlags {
        match self {
            Self::Read => PollFlags::IN,
            Self::Room => PollFlags::OUT,
            Self::Both => PollFlags::IN | PollFlags::OUT,
        }
    }
}

/// Like [`many`], where each says what it is waited for.
#[must_use]
pub fn several<const N: usize>(
    first: BorrowedFd<'_>,
    others: [Option<(BorrowedFd<'_>, Want)>; N],
    timeout: Option<u64>,
) -> (bool, [bool; N]) {
    // In the place of one that is not there the first stands once more, and its news are
    // passed over.
    let there = others.map(|other| other.is_some());
    let mut all: [PollFd<'_>; MANY_MAX] =
        std::array::from_fn(|_| PollFd::from_borrowed_fd(first, PollFlags::IN));
    for (place, (file, want)) in all[1..].iter_mut().zip(others).filter_map(|(p, o)| Some((p, o?)))
    {
        *place = PollFd::from_borrowed_fd(file, want.flags());
    }
    if poll(&mut all[..=N], timeout.map(span).as_ref()).is_err() {
        return (false, [false; N]);
    }
    let mut news = all[1..].iter().map(|one| !one.revents().is_empty());
    let first = !all[0].revents().is_empty();
    (first, there.map(|there| news.next().unwrap_or(false) && there))
}

/// Whether a little can be written to it now without waiting.
#[must_use]
pub fn has_room(file: BorrowedFd<'_>) -> bool {
    let mut one = [PollFd::from_borrowed_fd(file, PollFlags::OUT)];
    poll(&mut one, Some(&span(0))).is_ok_and(|ready| ready > 0)
}

fn span(nanoseconds: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanoseconds % 1_000_000_000).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::{Shutdown, TcpListener};
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn a_listening_socket_that_was_shut_down_has_hung_up_under_each_of_its_descriptors() {
        let room = tempfile::tempdir().unwrap();
        let named = UnixListener::bind(room.path().join("s")).unwrap();
        let all: [OwnedFd; 2] = [TcpListener::bind("127.0.0.1:0").unwrap().into(), named.into()];
        for listener in all {
            let other = listener.try_clone().unwrap();
            assert!(!has_hung_up(other.as_fd()));

            let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);

            assert!(has_hung_up(other.as_fd()));
        }
        let (here, there) = UnixStream::pair().unwrap();
        assert!(!has_hung_up(here.as_fd()));
        there.shutdown(Shutdown::Both).unwrap();
        assert!(has_hung_up(here.as_fd()));
    }
}
