//! Waiting for one of a few descriptors, without allocating.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Most descriptors that are waited for at a time.
const MANY_MAX: usize = 4;

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
    // In the place of one that is not there the first stands once more, and its news are
    // passed over.
    let there = others.map(|other| other.is_some());
    let one = |file| PollFd::from_borrowed_fd(file, PollFlags::IN);
    let mut all: [PollFd<'_>; MANY_MAX] = std::array::from_fn(|_| one(first));
    for (place, other) in all[1..].iter_mut().zip(others) {
        *place = one(other.unwrap_or(first));
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
