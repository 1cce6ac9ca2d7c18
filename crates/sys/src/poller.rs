//! Waiting for many descriptors at once: a thin epoll.
//!
//! Everything but [`Interest::Arriving`] is level-triggered: what is still ready is reported
//! again, and the kernel moves it behind the others, so nobody is starved by a full
//! buffer. One thing surprises a newcomer: epoll watches the open file, not the
//! descriptor. Where another process holds a duplicate, closing ours does not
//! end the watch; only [`Poller::delete`] does.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

/// Most events that one wait reports; the rest come with the next one.
pub const EVENTS_MAX: usize = 256;

/// The longest single wait. `epoll_pwait` counts milliseconds in 31 bits and
/// Linux 5.10 has no newer call; who waits longer is woken once more.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a descriptor is watched for. An error or a hang-up is always reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something can be read, or the other end has gone.
    Readable,
    /// Something can be written.
    Writable,
    /// Both.
    Both,
    /// Something that is always readable has changed: a file of the kernel's.
    Changed,
    /// More can be read than the last time, or the other end has gone. What is there when the
    /// watch begins is reported once.
    Arriving,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Readable => EventFlags::IN,
            Self::Writable => EventFlags::OUT,
            Self::Both => EventFlags::IN | EventFlags::OUT,
            Self::Changed => EventFlags::PRI,
            Self::Arriving => EventFlags::IN | EventFlags::ET,
        }
    }
}

/// One thing that is ready.
#[derive(Clone, Copy)]
pub struct Event(epoll::Event);

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("token", &self.token())
            .field("readable", &self.is_readable())
            .field("writable", &self.is_writable())
            .field("hung_up", &self.is_hung_up())
            .finish()
    }
}

impl Event {
    /// The number that the descriptor was added with.
    #[must_use]
    pub fn token(&self) -> u64 {
        let data = self.0.data;
        data.u64()
    }

    /// A read would not wait: there are bytes, the end, or an error to be had.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.has(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
    }

    /// A write would not wait: there is room, or an error to be had.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.has(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR)
    }

    /// The other end has gone, or the descriptor is in error. Bytes may be left
    /// to read.
    #[must_use]
    pub fn is_hung_up(&self) -> bool {
        self.has(EventFlags::HUP | EventFlags::ERR)
    }

    fn has(&self, wanted: EventFlags) -> bool {
        let flags = self.0.flags;
        flags.intersects(wanted)
    }
}

/// What the last wait found: a buffer that is filled again and again.
pub struct Events {
    buffer: Vec<epoll::Event>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    /// Makes room for the events of one wait.
    #[must_use]
    pub fn new() -> Self {
        let buffer = Vec::with_capacity(EVENTS_MAX);
        Self { buffer }
    }

    /// The events, in the order in which they became ready.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.buffer.iter().map(|event| Event(*event))
    }
}

/// A set of descriptors, each with a number of its owner's choice.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// Makes an empty one.
    ///
    /// # Errors
    /// What `epoll_create1` says.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll })
    }

    /// Watches `source`; what happens to it is reported with `token`.
    ///
    /// # Errors
    /// What `epoll_ctl` says: `EPERM` where a descriptor cannot be waited for,
    /// as a regular file.
    pub fn add(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let data = EventData::new_u64(token);
        Ok(epoll::add(&self.epoll, source, data, interest.flags())?)
    }

    /// Changes what `source` is watched for.
    ///
    /// # Errors
    /// What `epoll_ctl` says.
    pub fn modify(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let data = EventData::new_u64(token);
        Ok(epoll::modify(&self.epoll, source, data, interest.flags())?)
    }

    /// Ends the watch. To be called before the descriptor is closed.
    ///
    /// # Errors
    /// What `epoll_ctl` says: `ENOENT` where it was not watched.
    pub fn delete(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Blocks until something is ready or the time is over (`None`: for as long
    /// as it takes), and replaces what is in `events`. A signal ends the wait
    /// early, with no event. Times are rounded up to a millisecond, so that a
    /// deadline has passed when its wait ends.
    ///
    /// # Errors
    /// What `epoll_pwait` says.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.buffer.clear();
        let timeout = timeout.map(|timeout| {
            let timeout = timeout.min(WAIT_MAX);
            Timespec {
                tv_sec: timeout.as_secs().cast_signed(),
                tv_nsec: timeout.subsec_nanos().into(),
            }
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut events.buffer), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waker::Waker;

    fn tokens(poller: &Poller, timeout: Option<Duration>) -> Vec<u64> {
        let mut events = Events::new();
        poller.wait(&mut events, timeout).unwrap();
        events.iter().map(|event| event.token()).collect()
    }

    #[test]
    fn what_is_ready_is_reported_with_its_token_until_it_is_taken() {
        let poller = Poller::new().unwrap();
        let waker = Waker::new().unwrap();
        poller.add(&waker, u64::MAX, Interest::Readable).unwrap();

        waker.wake();

        assert_eq!(tokens(&poller, None), [u64::MAX]);
        assert_eq!(tokens(&poller, None), [u64::MAX]);
        waker.clear();
        assert!(tokens(&poller, Some(Duration::ZERO)).is_empty());
    }

    #[test]
    fn what_arrives_is_reported_once_each_time_and_so_is_the_end() {
        let poller = Poller::new().unwrap();
        let (read, write) = crate::pipe::pipe().unwrap();
        rustix::io::write(&write, b"half ").unwrap();
        poller.add(&read, 7, Interest::Readable).unwrap();
        assert_eq!(tokens(&poller, None), [7]);

        poller.modify(&read, 7, Interest::Arriving).unwrap();
        assert_eq!(tokens(&poller, None), [7]);
        assert!(tokens(&poller, Some(Duration::ZERO)).is_empty());
        rustix::io::write(&write, b"a line").unwrap();
        assert_eq!(tokens(&poller, None), [7]);
        assert!(tokens(&poller, Some(Duration::ZERO)).is_empty());
        drop(write);
        assert_eq!(tokens(&poller, None), [7]);
    }

    #[test]
    fn a_deadline_has_passed_when_its_wait_ends() {
        let poller = Poller::new().unwrap();
        let before = std::time::Instant::now();
        let wait = Duration::from_micros(1_500);

        assert!(tokens(&poller, Some(wait)).is_empty());

        assert!(before.elapsed() >= wait);
    }

    #[test]
    fn deleting_ends_the_watch_although_a_duplicate_stays_open() {
        let poller = Poller::new().unwrap();
        let (read, write) = crate::pipe::pipe().unwrap();
        let _held_elsewhere = read.try_clone().unwrap();
        poller.add(&read, 7, Interest::Readable).unwrap();
        drop(write);

        assert_eq!(tokens(&poller, None), [7]);
        poller.delete(&read).unwrap();
        drop(read);

        assert!(tokens(&poller, Some(Duration::ZERO)).is_empty());
    }

    #[test]
    fn interest_can_be_changed() {
        let poller = Poller::new().unwrap();
        let (_read, write) = crate::pipe::pipe().unwrap();
        poller.add(&write, 1, Interest::Readable).unwrap();
        assert!(tokens(&poller, Some(Duration::ZERO)).is_empty());

        poller.modify(&write, 2, Interest::Both).unwrap();

        assert_eq!(tokens(&poller, None), [2]);
    }
}
