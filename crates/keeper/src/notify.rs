//! What whoever has started the keeper is told: a service manager, or somebody who waits
//! until all is ready.
//!
//! The keeper never waits for them. What does not go through now is kept, in its order,
//! until there is room; of two messages of one kind only the later one, so that there
//! never are many.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use bardo_sys::channel::{Channel, Wait};
use bardo_sys::{clock, pipe};

use crate::protocol::TEXT_BYTES_MAX;
use crate::store::{Flushed, KEPT_UNTOLD, REST, waits_for};

/// Most messages that wait. There are fewer kinds of them.
const WAITING_MAX: usize = 8;

/// How it says that all is ready.
const READY: &[u8] = b"READY=1";

/// How it says that the keeper works.
const WATCHDOG: &[u8] = b"WATCHDOG=1";

/// How a keeper reaches whoever has started it.
#[derive(Debug, Default)]
pub struct Listener {
    /// Where a service manager listens.
    pub manager: Option<Channel>,
    /// How many descriptors it keeps, where it says so.
    pub keeps: Option<usize>,
    /// How often, in nanoseconds, it wants to hear that the keeper works.
    pub feed_every: Option<u64>,
    /// A pipe on which somebody waits who wants to know once when all is ready.
    pub waiter: Option<OwnedFd>,
}

/// What is told.
#[derive(Debug)]
pub(crate) struct Notify {
    to: Listener,
    waiting: [Text; WAITING_MAX],
    count: usize,
    /// Whether the last message found no room.
    full: bool,
    /// When it is tried again, because the kernel had no means for a message.
    again_at: Option<u64>,
    feed_at: u64,
}

/// A message.
#[derive(Debug, Clone, Copy)]
struct Text {
    bytes: [u8; TEXT_BYTES_MAX],
    length: usize,
}

impl Text {
    const EMPTY: Self = Self { bytes: [0; TEXT_BYTES_MAX], length: 0 };

    fn new(text: &[u8]) -> Self {
        let mut new = Self::EMPTY;
        new.length = text.len().min(TEXT_BYTES_MAX);
        new.bytes[..new.length].copy_from_slice(&text[..new.length]);
        new
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Notify {
    pub(crate) fn new(to: Listener) -> Self {
        Self {
            to,
            waiting: [Text::EMPTY; WAITING_MAX],
            count: 0,
            full: false,
            again_at: None,
            feed_at: 0,
        }
    }

    /// Tells it, now or when there is room.
    pub(crate) fn tell(&mut self, text: &[u8]) {
        if text.starts_with(READY)
            && let Some(waiter) = self.to.waiter.take()
        {
            // Who waits no more does not want to know.
            let _ = pipe::write_now(waiter.as_fd(), b"\n");
        }
        if self.to.manager.is_none() {
            return;
        }
        let kind = kind(text);
        let mut kept = 0;
        for place in 0..self.count {
            if self::kind(self.waiting[place].bytes()) != kind {
                self.waiting[kept] = self.waiting[place];
                kept += 1;
            }
        }
        self.count = kept;
        if let Some(place) = self.waiting.get_mut(kept) {
            *place = Text::new(text);
            self.count += 1;
        }
        self.flush();
    }

    /// Says that the keeper works, if it is time for it. Who does not call this does not say
    /// it.
    pub(crate) fn feed(&mut self) {
        let Some(every) = self.to.feed_every else { return };
        let now = clock::monotonic();
        if self.feed_at <= now {
            self.feed_at = now.saturating_add(every);
            self.tell(WATCHDOG);
        }
    }

    /// When the keeper has to say again that it works.
    pub(crate) fn feed_at(&self) -> Option<u64> {
        self.to.feed_every.map(|_| self.feed_at)
    }

    /// Where room is waited for, if there is none just now.
    pub(crate) fn room(&self) -> Option<BorrowedFd<'_>> {
        self.to.manager.as_ref().filter(|_| self.full).map(|manager| manager.as_fd())
    }

    /// The service manager, if it takes something just now.
    pub(crate) fn manager(&self) -> Option<&Channel> {
        self.to.manager.as_ref().filter(|_| !self.full)
    }

    /// Something else has found no room there.
    pub(crate) fn wait_for_room(&mut self) {
        self.full = true;
    }

    /// How many descriptors the service manager keeps at most.
    pub(crate) fn keeps(&self) -> usize {
        self.to.keeps.unwrap_or(KEPT_UNTOLD)
    }

    /// Whether there is a service manager.
    pub(crate) fn has_manager(&self) -> bool {
        self.to.manager.is_some()
    }

    /// When it is tried again to send what the kernel had no means for.
    pub(crate) fn again_at(&self) -> Option<u64> {
        self.again_at
    }

    /// Sends what waits, as far as there is room.
    pub(crate) fn flush(&mut self) {
        if let Some(manager) = self.to.manager.take() {
            self.flush_by(|text| manager.send(text, &[], Wait::No));
            self.to.manager = Some(manager);
        }
    }

    fn flush_by(&mut self, send: impl Fn(&[u8]) -> io::Result<()>) {
        (self.full, self.again_at) = (false, None);
        let mut sent = 0;
        while sent < self.count {
            match send(self.waiting[sent].bytes()).err().and_then(|error| waits_for(&error)) {
                Some(Flushed::Full) => {
                    self.full = true;
                    break;
                }
                Some(_) => {
                    self.again_at = Some(clock::monotonic().saturating_add(REST));
                    break;
                }
                // What is refused now is refused again.
                None => sent += 1,
            }
        }
        self.waiting.copy_within(sent..self.count, 0);
        self.count -= sent;
    }
}

/// What a message is about: what stands before its first equals sign.
fn kind(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b'=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    fn manager() -> (tempfile::TempDir, UnixDatagram, Channel) {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let channel = Channel::to_address(path.as_os_str()).unwrap();
        (room, socket, channel)
    }

    fn next(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn what_finds_no_room_waits_and_the_later_of_a_kind_is_told() {
        let (_room, socket, channel) = manager();
        let mut notify = Notify::new(Listener { manager: Some(channel), ..Listener::default() });
        let mut told = 0;
        while !notify.full {
            notify.tell(b"STATUS=full");
            told += 1;
        }

        for text in [&b"RELOADING=1"[..], b"STATUS=old", b"READY=1", b"STATUS=new"] {
            notify.tell(text);
        }
        assert!(notify.room().is_some());
        (0..told - 1).for_each(|_| assert_eq!(next(&socket), "STATUS=full"));
        notify.flush();

        let said: Vec<_> = (0..3).map(|_| next(&socket)).collect();
        assert_eq!(said, ["RELOADING=1", "READY=1", "STATUS=new"]);
        assert!(notify.room().is_none());
    }

    #[test]
    fn what_the_kernel_has_no_means_for_waits_and_what_is_refused_does_not() {
        const ENOBUFS: i32 = 105;
        const ECONNREFUSED: i32 = 111;
        let (_room, socket, channel) = manager();
        let mut notify = Notify::new(Listener::default());
        // Who has no manager keeps nothing; this one comes a little later.
        notify.to.manager = Some(channel);
        notify.waiting[0] = Text::new(b"READY=1");
        notify.count = 1;

        notify.flush_by(|_| Err(io::Error::from_raw_os_error(ENOBUFS)));
        assert!(notify.again_at().is_some() && notify.room().is_none());
        notify.flush();
        assert_eq!((next(&socket).as_str(), notify.again_at()), ("READY=1", None));

        notify.count = 1;
        notify.flush_by(|_| Err(io::Error::from_raw_os_error(ECONNREFUSED)));
        assert_eq!((notify.count, notify.again_at()), (0, None));
    }

    #[test]
    fn whoever_waits_is_told_once_that_all_is_ready() {
        let (read, write) = pipe::pipe().unwrap();
        let mut notify = Notify::new(Listener { waiter: Some(write), ..Listener::default() });

        notify.tell(b"STATUS=soon");
        assert_eq!(pipe::waiting(&read).unwrap(), 0);
        notify.tell(b"READY=1");
        notify.tell(b"READY=1");

        let mut bytes = [0; 8];
        assert_eq!(pipe::read(&read, &mut bytes).unwrap(), 1);
        assert_eq!(pipe::read(&read, &mut bytes).unwrap(), 0, "it is closed");
    }
}
