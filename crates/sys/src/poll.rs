//! Waiting for one of two or three descriptors, without allocating.

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
    if poll(&mut both[..count], timeout.map(span).as_ref()).is_err() {
        return Ready { first: false, second: false };
    }
    let [first, second] = both.map(|one| !one.revents().is_empty());
    Ready { first, second: second && count == 2 }
}

/// Waits until one of them has something to read, or `timeout` nanoseconds have passed.
/// An interruption looks like a time-out.
#[must_use]
pub fn three(
    first: BorrowedFd<'_>,
    second: BorrowedFd<'_>,
    third: Option<BorrowedFd<'_>>,
    timeout: Option<u64>,
) -> [bool; 3] {
    let mut all = [first, second, third.unwrap_or(first)]
        .map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN));
    let count = if third.is_some() { 3 } else { 2 };
    if poll(&mut all[..count], timeout.map(span).as_ref()).is_err() {
        return [false; 3];
    }
    // One that was not waited for has no news.
    all.map(|one| !one.revents().is_empty())
}

fn span(nanoseconds: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanoseconds % 1_000_000_000).unwrap_or(0),
    }
}
