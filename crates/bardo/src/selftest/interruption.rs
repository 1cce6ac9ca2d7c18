//! A self-test that is broken off removes what it has made.
//!
//! The signals that would end it are read instead, and whoever waits is told so. Everything
//! made is a value that removes itself when it is dropped, so an error is enough.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bardo_sys::poll::{self, Room};
use bardo_sys::signals::SignalReader;

/// What ends a command on a terminal: SIGHUP, SIGINT, SIGQUIT and SIGTERM.
const ENDING: [i32; 4] = [1, 2, 3, 15];

static READER: OnceLock<SignalReader> = OnceLock::new();
static CAME: AtomicBool = AtomicBool::new(false);

/// Reads the signals from now on. To be called before any thread is started.
///
/// # Errors
/// What `signalfd` says.
pub fn expect() -> io::Result<()> {
    let reader = SignalReader::new(&ENDING)?;
    // A second one would read the same signals.
    let _ = READER.set(reader);
    Ok(())
}

/// Whether one has come.
#[must_use]
pub fn has_come() -> bool {
    if READER.get().is_some_and(|reader| reader.next().is_some()) {
        CAME.store(true, Ordering::SeqCst);
    }
    CAME.load(Ordering::SeqCst)
}

/// Sleeps.
///
/// # Errors
/// When a signal ends it.
pub fn sleep(span: Duration) -> io::Result<()> {
    match READER.get() {
        Some(reader) if !has_come() => {
            let nanoseconds = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
            // Whether it was a signal or the time is asked below.
            let _ = poll::two(reader.as_fd(), None, Room(false), Some(nanoseconds));
        }
        Some(_) => {}
        None => std::thread::sleep(span),
    }
    check()
}

/// Says so when one has come.
///
/// # Errors
/// When one has come.
pub fn check() -> io::Result<()> {
    if has_come() {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted by a signal"));
    }
    Ok(())
}
