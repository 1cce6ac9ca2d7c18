//! Waiting for one of two descriptors, without allocating.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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
    let timeout = timeout.map(|nanoseconds| Timespec {
        tv_sec: i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanoseconds % 1_000_000_000).unwrap_or(0),
    });
    if poll(&mut both[..count], timeout.as_ref()).is_err() {
        return Ready { first: false, second: false };
    }
    let [first, second] = both.map(|one| !one.revents().is_empty());
    Ready { first, second: second && count == 2 }
}
