//! One connection: the socket, and how long the other side may take.
//!
//! Supervisor has no limits here, so a client that sends half a request holds its
//! connection for ever. One thing surprises a newcomer: there is a timer only
//! while something is waited for that the other side owes us. A client that waits
//! for a program to start owes nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};

/// How long a new connection may be silent. Browsers open some in advance.
const FIRST_WAIT: Duration = Duration::from_secs(60);

/// How long a request may take to arrive, from its first byte to its last.
const REQUEST_WAIT: Duration = Duration::from_secs(60);

/// How long a connection may be silent between two requests: as long as in
/// Supervisor.
const IDLE_WAIT: Duration = Duration::from_secs(30 * 60);

/// How long a client that lets us wait may take to read [`READER_BYTES`] of what it has
/// asked for, or the rest.
const READER_WAIT: Duration = Duration::from_secs(60);

/// What is read in that time over the slowest line that we serve: 17 KiB a second.
/// Whoever reads byte by byte would keep a large answer in memory for ever.
const READER_BYTES: usize = 1 << 20;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The first byte of the first request.
    First,
    /// The rest of a request.
    Request,
    /// Nothing from the other side: the answer is being made.
    Answer,
    /// The other side reads the answer.
    Sending,
    /// The next request.
    Idle,
    /// Nothing any more: it gives its place to somebody else.
    Leaving,
}

/// The phase, shared with whoever answers the requests.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Known>);

#[derive(Debug)]
struct Known {
    opened: Instant,
    phase: AtomicU8,
    /// When the phase began, in milliseconds after `opened`.
    since: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(Known {
            opened: Instant::now(),
            phase: AtomicU8::new(Phase::First as u8),
            since: AtomicU64::new(0),
        }))
    }

    pub(super) fn enter(&self, phase: Phase) {
        let before = self.0.phase.swap(phase as u8, Ordering::Relaxed);
        if before != phase as u8 {
            let since = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.0.since.store(since, Ordering::Relaxed);
        }
    }

    /// The phase, and for how long it has been that.
    pub(super) fn waited(&self) -> (Phase, Duration) {
        let since = Duration::from_millis(self.0.since.load(Ordering::Relaxed));
        (self.phase(), self.0.opened.elapsed().saturating_sub(since))
    }

    fn phase(&self) -> Phase {
        let phases = [
            Phase::First,
            Phase::Request,
            Phase::Answer,
            Phase::Sending,
            Phase::Idle,
            Phase::Leaving,
        ];
        phases[usize::from(self.0.phase.load(Ordering::Relaxed))]
    }
}

/// Either kind of socket.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(socket) => socket.as_fd(),
            Self::Tcp(socket) => socket.as_fd(),
        }
    }
}

/// A socket whose other side must not be too slow.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    progress: Progress,
    /// The phase that `reading` was set for.
    timed: Option<Phase>,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    /// What was written since `writing` was set.
    written: usize,
}

impl Connection {
    pub(super) fn new(socket: Socket, progress: Progress) -> Self {
        Self { socket, progress, timed: None, reading: None, writing: None, written: 0 }
    }

    /// Sets the timer for a phase that has begun.
    fn begin(&mut self, phase: Phase) {
        self.timed = Some(phase);
        let wait = match phase {
            Phase::First => FIRST_WAIT,
            Phase::Request => REQUEST_WAIT,
            Phase::Idle => IDLE_WAIT,
            // Who reads too slowly is found out when there is more to be written.
            Phase::Answer | Phase::Sending | Phase::Leaving => {
                self.reading = None;
                return;
            }
        };
        set(&mut self.reading, wait);
    }

    /// Something was read or there is nothing to read yet.
    fn watch_reading(&mut self, context: &mut Context<'_>, got: bool) -> Poll<io::Result<()>> {
        let phase = self.progress.phase();
        if got {
            if matches!(phase, Phase::First | Phase::Sending | Phase::Idle) {
                self.progress.enter(Phase::Request);
                self.begin(Phase::Request);
            }
            return Poll::Ready(Ok(()));
        }
        if self.timed != Some(phase) {
            self.begin(phase);
        }
        expired(&mut self.reading, context)
    }

    fn watch_writing(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = written {
            self.written = self.written.saturating_add(*result.as_ref().unwrap_or(&0));
            if self.written >= READER_BYTES {
                self.writing = None;
            }
            return Poll::Ready(result);
        }
        if self.writing.is_none() {
            set(&mut self.writing, READER_WAIT);
            self.written = 0;
        }
        match expired(&mut self.writing, context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }
}

fn set(timer: &mut Option<Pin<Box<Sleep>>>, wait: Duration) {
    match timer {
        Some(timer) => timer.as_mut().reset(Instant::now() + wait),
        None => *timer = Some(Box::pin(tokio::time::sleep(wait))),
    }
}

fn expired(timer: &mut Option<Pin<Box<Sleep>>>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    match timer.as_mut().map(|timer| timer.as_mut().poll(context)) {
        Some(Poll::Ready(())) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        Some(Poll::Pending) | None => Poll::Pending,
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = match &mut this.socket {
            Socket::Unix(socket) => Pin::new(socket).poll_read(context, buffer),
            Socket::Tcp(socket) => Pin::new(socket).poll_read(context, buffer),
        };
        match read {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                this.watch_reading(context, true)
            }
            Poll::Pending => this.watch_reading(context, false),
            ended => ended,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.socket {
            Socket::Unix(socket) => Pin::new(socket).poll_write(context, bytes),
            Socket::Tcp(socket) => Pin::new(socket).poll_write(context, bytes),
        };
        this.watch_writing(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.socket {
            Socket::Unix(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Socket::Tcp(socket) => Pin::new(socket).poll_write_vectored(context, slices),
        };
        this.watch_writing(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// All that was to be written has been.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.writing = None;
        if this.progress.phase() == Phase::Sending {
            this.progress.enter(Phase::Idle);
        }
        match &mut this.socket {
            Socket::Unix(socket) => Pin::new(socket).poll_flush(context),
            Socket::Tcp(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Runs on a clock that jumps to the next deadline whenever nothing else is to be
    /// done.
    fn on_a_quick_clock(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap().block_on(test);
    }

    fn connection() -> (Connection, UnixStream, Progress) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let progress = Progress::new();
        (Connection::new(Socket::Unix(ours), progress.clone()), theirs, progress)
    }

    /// What ended a read, and after how long.
    async fn read(connection: &mut Connection) -> (io::Result<usize>, Duration) {
        let begun = Instant::now();
        let read = connection.read(&mut [0; 16]).await;
        (read, begun.elapsed())
    }

    fn timed_out((result, after): (io::Result<usize>, Duration), limit: Duration) {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(after >= limit && after < limit + Duration::from_secs(1), "{after:?}");
    }

    #[test]
    fn a_new_client_must_say_something() {
        on_a_quick_clock(async {
            let (mut connection, _client, _progress) = connection();

            timed_out(read(&mut connection).await, FIRST_WAIT);
        });
    }

    #[test]
    fn a_request_that_was_begun_must_be_finished() {
        on_a_quick_clock(async {
            let (mut connection, mut client, progress) = connection();
            progress.enter(Phase::Idle);
            client.write_all(b"GET").await.unwrap();
            assert_eq!(read(&mut connection).await.0.unwrap(), 3);

            timed_out(read(&mut connection).await, REQUEST_WAIT);
        });
    }

    #[test]
    fn a_client_that_is_waited_upon_may_be_silent() {
        on_a_quick_clock(async {
            let (mut connection, _client, progress) = connection();
            progress.enter(Phase::Answer);

            let waited = tokio::time::timeout(IDLE_WAIT * 10, read(&mut connection)).await;

            assert!(waited.is_err(), "nothing ended the wait");
        });
    }

    #[test]
    fn a_client_must_not_read_byte_by_byte() {
        on_a_quick_clock(async {
            let (mut connection, mut client, _progress) = connection();
            let begun = Instant::now();
            let reader = tokio::spawn(async move {
                while client.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {
                    tokio::time::sleep(READER_WAIT / 100).await;
                }
            });

            let error = loop {
                if let Err(error) = connection.write(&[0; 4096]).await {
                    break error;
                }
            };

            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() < READER_WAIT * 2, "{:?}", begun.elapsed());
            reader.abort();
        });
    }

    #[test]
    fn a_client_must_read_what_it_has_asked_for() {
        on_a_quick_clock(async {
            let (mut connection, _client, _progress) = connection();

            let error = loop {
                if let Err(error) = connection.write(&[0; 4096]).await {
                    break error;
                }
            };

            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }
}
