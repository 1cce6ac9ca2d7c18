//! This process as the keeper: what it was given, and how it starts supervisors.

use std::io;
use std::os::fd::OwnedFd;

use bardo_keeper::protocol::{Key, Roles};
use bardo_keeper::{Held, Settings};
use bardo_sys::launch::{Launch, c_string, inherited, own_executable};
use bardo_sys::limits::{self, Limited};
use bardo_sys::process;

use super::stage::{KEEPER_FILES, Stage};

/// The first descriptor that a keeper is given.
const FIRST_FD: i32 = 3;

/// Most descriptors that are held: there is room for so many, and no limit is above.
const DESCRIPTORS_MAX: u64 = 1 << 20;

/// How many nanoseconds programs have to end when the keeper tells them to.
const STOP_WAIT: u64 = 10_000_000_000;

/// Keeps until all is over; returns the exit code.
///
/// # Errors
/// When it was not given what a keeper is given, or cannot become the parent of
/// orphans.
pub fn run(listeners: usize, hang_timeout_ms: u64) -> io::Result<i32> {
    process::set_name("supervisord");
    let count = KEEPER_FILES + listeners;
    let mut files = (FIRST_FD..).take(count).map(inherited);
    let mut next = || {
        files.next().flatten().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a keeper is started by supervisord only")
        })
    };
    let journal = next()?;
    let house = |life: usize, role: Roles, descriptor: OwnedFd| Held {
        key: Key { owner: Key::HOUSE, life: u32::try_from(life).unwrap_or(u32::MAX) },
        role,
        descriptor,
    };
    let mut held =
        vec![house(0, Roles::STAGING_READ, next()?), house(0, Roles::STAGING_WRITE, next()?)];
    let lock = next()?;
    for place in 0..listeners {
        held.push(house(place, Roles::LISTENER, next()?));
    }
    let limit = limits::get(Limited::Descriptors).hard.min(DESCRIPTORS_MAX);
    let launch = |name: &[u8], stage: Stage| -> io::Result<Launch> {
        Ok(Launch::new(own_executable()?, vec![c_string(name)], stage.environment()))
    };
    bardo_keeper::run(Settings {
        supervisor: launch(b"bardo-supervisor", Stage::Supervisor)?,
        watcher: launch(b"bardo-watcher", Stage::Watcher)?,
        journal,
        held,
        kept_open: vec![lock],
        hang_timeout: hang_timeout_ms.saturating_mul(1_000_000),
        // Whoever takes over says what is configured; before, there is nobody to stop.
        stop_wait: STOP_WAIT,
        descriptors_max: usize::try_from(limit).unwrap_or(usize::MAX),
    })
}
