//! What is typed, line by line.
//!
//! There is one buffer, so that lines which came in one piece reach whoever asks
//! next: the shell, a question, or the process behind `fg`. Nothing here holds on to
//! standard input when nobody asks, because a program that reads a terminal in the
//! background takes the next line away from the one who should have it.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How much is read at once: what a terminal holds in one line.
const PIECE_BYTES: usize = 4096;

/// Standard input.
#[derive(Default)]
pub(super) struct Input {
    /// What was read and not asked for yet.
    buffer: Vec<u8>,
}

/// Standard input while somebody waits for it.
pub(super) struct Lines<'i> {
    input: &'i mut Input,
    /// `None` for what can always be read, such as a file.
    readiness: Option<AsyncFd<BorrowedFd<'static>>>,
    /// Whether `readiness` has been looked into: that needs a running runtime.
    ready: bool,
}

impl Input {
    /// Begins to wait for lines.
    pub(super) fn lines(&mut self) -> Lines<'_> {
        Lines { input: self, readiness: None, ready: false }
    }

    /// The next line of the buffer, without its end.
    fn take_line(&mut self) -> Option<String> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    /// What is left at the end of the input.
    fn take_rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.buffer);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

impl Lines<'_> {
    /// The next line, without its end; `None` at the end of the input. Nothing is
    /// lost when this is dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<String> {
        if !self.ready {
            self.readiness = readiness();
            self.ready = true;
        }
        loop {
            if let Some(line) = self.input.take_line() {
                return Some(line);
            }
            if let Some(readiness) = &self.readiness {
                let mut guard = readiness.readable().await.ok()?;
                if !is_readable() {
                    guard.clear_ready();
                    continue;
                }
            }
            let mut piece = [0; PIECE_BYTES];
            match rustix::io::read(rustix::stdio::stdin(), &mut piece) {
                Ok(0) => return self.input.take_rest(),
                Ok(length) => self.input.buffer.extend_from_slice(&piece[..length]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => return self.input.take_rest(),
            }
        }
    }
}

/// What tells when there is something to read; `None` for a file, which epoll refuses
/// and nobody has to wait for.
#[expect(
    deprecated,
    reason = "what comes after it is unsafe to call, and a descriptor borrowed for good keeps \
              the promise that is asked for there"
)]
fn readiness() -> Option<AsyncFd<BorrowedFd<'static>>> {
    AsyncFd::with_interest(rustix::stdio::stdin(), Interest::READABLE).ok()
}

/// Whether a read of standard input returns at once.
fn is_readable() -> bool {
    let stdin = rustix::stdio::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// A terminal that does not show what is typed; it does again when this is dropped.
pub(super) struct Silence {
    before: rustix::termios::Termios,
}

impl Silence {
    /// Silences the terminal of standard input.
    ///
    /// # Errors
    /// When that is none.
    pub(super) fn begin() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(rustix::stdio::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_came_together_are_handed_out_one_by_one() {
        let mut input = Input { buffer: b"one\n\ntw\xff\nrest".to_vec() };

        assert_eq!(input.take_line().as_deref(), Some("one"));
        assert_eq!(input.take_line().as_deref(), Some(""));
        assert_eq!(input.take_line().as_deref(), Some("tw\u{fffd}"));
        assert_eq!(input.take_line(), None);
        assert_eq!(input.take_rest().as_deref(), Some("rest"));
        assert_eq!(input.take_rest(), None);
    }
}
