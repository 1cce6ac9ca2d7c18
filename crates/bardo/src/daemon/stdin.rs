//! Bytes that clients have sent to programs and that full pipes have not taken yet.
//!
//! It holds them in order and knows when there is room again; it asks nobody about
//! programs. What surprises: the keeper has a duplicate of every standard input, so a
//! watch does not end when ours is closed, only by [`Backlog::forget`].

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bardo_sys::poller::{Events, Interest, Poller};

use super::clients::StdinRefusal;
use super::logs;

/// Most bytes that wait for one program: two of the largest requests. A program that
/// has not read so much will hardly miss what is refused.
const WAITING_MAX: usize = 8 << 20;

/// Most bytes that wait for all programs together, so that they do not fill the memory.
const ALL_WAITING_MAX: usize = 64 << 20;

/// What waits, by process.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: HashMap<u32, VecDeque<u8>>,
    bytes: usize,
    /// Made when it is needed first.
    poller: Option<Poller>,
    events: Events,
}

impl Backlog {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether something waits for a process.
    pub(super) fn has(&self, pid: u32) -> bool {
        self.waiting.contains_key(&pid)
    }

    /// What becomes readable when a pipe has room.
    pub(super) fn room(&self) -> Option<BorrowedFd<'_>> {
        self.poller.as_ref().filter(|_| !self.is_empty()).map(AsFd::as_fd)
    }

    /// Writes what the pipe takes and keeps the rest; all of it or nothing is taken.
    pub(super) fn write(
        &mut self,
        pid: u32,
        stdin: &OwnedFd,
        bytes: &[u8],
    ) -> Result<(), StdinRefusal> {
        let before = self.waiting.get(&pid).map_or(0, VecDeque::len);
        if before + bytes.len() > WAITING_MAX || self.bytes + bytes.len() > ALL_WAITING_MAX {
            return Err(StdinRefusal::Full);
        }
        // What was put off earlier goes first.
        let written = if before == 0 {
            self.watch(pid, stdin).map_err(|_| StdinRefusal::Full)?;
            let written = logs::write_some(stdin, bytes);
            if written.as_ref().map_or(true, |written| *written == bytes.len()) {
                self.end_watch(stdin);
            }
            written.map_err(|_| StdinRefusal::Closed)?
        } else {
            0
        };
        if written < bytes.len() {
            self.waiting.entry(pid).or_default().extend(&bytes[written..]);
            self.bytes += bytes.len() - written;
        }
        Ok(())
    }

    /// Writes on where there is room; `stdin_of` finds the pipe of a process.
    pub(super) fn go_on<'a>(&mut self, stdin_of: impl Fn(u32) -> Option<&'a OwnedFd>) {
        let Self { poller: Some(poller), events, .. } = self else { return };
        if poller.wait(events, Some(NO_TIME)).is_err() {
            return;
        }
        let ready: Vec<u64> = events.iter().map(|event| event.token()).collect();
        for pid in ready.into_iter().filter_map(|token| u32::try_from(token).ok()) {
            if let Some(stdin) = stdin_of(pid) {
                self.write_on(pid, stdin);
            }
        }
    }

    /// The process is gone, and nobody will read what waits for it.
    pub(super) fn forget(&mut self, pid: u32, stdin: Option<&OwnedFd>) {
        if let Some(waiting) = self.waiting.remove(&pid) {
            self.bytes -= waiting.len();
            if let Some(stdin) = stdin {
                self.end_watch(stdin);
            }
        }
    }

    fn write_on(&mut self, pid: u32, stdin: &OwnedFd) {
        let Some(waiting) = self.waiting.get_mut(&pid) else { return };
        let (first, _) = waiting.as_slices();
        let is_over = match logs::write_some(stdin, first) {
            Ok(written) => {
                waiting.drain(..written);
                self.bytes -= written;
                waiting.is_empty()
            }
            // Its other end is closed.
            Err(_) => true,
        };
        if is_over {
            self.forget(pid, Some(stdin));
        }
    }

    fn watch(&mut self, pid: u32, stdin: &OwnedFd) -> io::Result<()> {
        let poller = match self.poller.take() {
            Some(poller) => poller,
            None => Poller::new()?,
        };
        self.poller.insert(poller).add(stdin, u64::from(pid), Interest::Writable)
    }

    fn end_watch(&self, stdin: &OwnedFd) {
        if let Some(poller) = &self.poller {
            // One that is not watched needs no end.
            let _ = poller.delete(stdin);
        }
    }
}

/// Only what is known already.
const NO_TIME: std::time::Duration = std::time::Duration::ZERO;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use bardo_sys::pipe::pipe;
    use bardo_sys::poll::{self, Room, has_hung_up};

    use super::*;
    use crate::selftest::home::wait_until;

    const PID: u32 = 7;

    fn has_room(backlog: &Backlog) -> bool {
        backlog.room().is_some_and(|room| poll::two(room, None, Room(false), Some(0)).first)
    }

    fn numbered(count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| (number as u32).to_ne_bytes()).collect()
    }

    #[test]
    fn what_a_full_pipe_does_not_take_follows_in_order_when_it_is_read() {
        let (read, write) = pipe().unwrap();
        let mut backlog = Backlog::default();
        let sent = numbered(100_000);

        for part in sent.chunks(90_000) {
            backlog.write(PID, &write, part).unwrap();
        }
        assert!(!backlog.is_empty() && !has_room(&backlog), "nobody has read");
        let mut received = Vec::new();
        let mut part = vec![0; 70_000];
        while received.len() < sent.len() {
            let count = File::from(read.try_clone().unwrap()).read(&mut part).unwrap();
            received.extend_from_slice(&part[..count]);
            assert!(backlog.is_empty() || has_room(&backlog));
            backlog.go_on(|_| Some(&write));
        }

        assert_eq!(received, sent);
        assert!(backlog.is_empty() && backlog.bytes == 0);
    }

    #[test]
    fn what_would_fill_the_memory_is_refused_as_a_whole() {
        let (_read, write) = pipe().unwrap();
        let mut backlog = Backlog::default();
        let half = vec![0; WAITING_MAX / 2];

        backlog.write(PID, &write, &half).unwrap();
        backlog.write(PID, &write, &half).unwrap();
        let before = backlog.bytes;

        assert_eq!(backlog.write(PID, &write, &half), Err(StdinRefusal::Full));
        assert_eq!(backlog.bytes, before);
        for (pid, (_, other)) in (0..16).map(|pid| (pid, pipe().unwrap())) {
            let _ = backlog.write(PID + 1 + pid, &other, &half);
        }
        assert!(backlog.bytes <= ALL_WAITING_MAX);
    }

    #[test]
    fn whoever_is_gone_is_not_waited_for_although_the_keeper_has_a_duplicate() {
        let (read, write) = pipe().unwrap();
        let _keepers = write.try_clone().unwrap();
        let mut backlog = Backlog::default();
        backlog.write(PID, &write, &numbered(100_000)).unwrap();
        drop(read);
        wait_until("its reader to be gone", || has_hung_up(write.as_fd())).unwrap();
        assert!(has_room(&backlog));

        backlog.forget(PID, Some(&write));

        let poller = backlog.poller.as_ref().unwrap();
        assert!(!poll::two(poller.as_fd(), None, Room(false), Some(0)).first);
        assert_eq!((backlog.is_empty(), backlog.bytes), (true, 0));
    }

    #[test]
    fn a_pipe_whose_reader_has_closed_it_is_left_alone() {
        let (read, write) = pipe().unwrap();
        let mut backlog = Backlog::default();
        backlog.write(PID, &write, &numbered(100_000)).unwrap();
        drop(read);
        wait_until("its reader to be gone", || has_hung_up(write.as_fd())).unwrap();

        backlog.go_on(|_| Some(&write));

        assert!(backlog.is_empty());
        assert_eq!(backlog.write(PID, &write, b"x"), Err(StdinRefusal::Closed));
    }
}
