//! A service in the background: it goes there, and whoever has started it waits until it is
//! ready.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use bardo_sys::poll::{self, Room};
use bardo_sys::{clock, launch};
use rustix::io::Errno;

use super::{ServiceError, failed};
use crate::daemon::managed::write_pidfile;

/// How long, in nanoseconds, somebody waits who has started a service in the background.
/// Programs are begun then, and not waited for: nothing but a machine without time for us
/// takes as long.
const READY_WITHIN: u64 = 90_000_000_000;

/// Goes to the background, and tells its number there to whoever waits; `false` in the
/// process that stays in front.
pub(super) fn goes_on_behind(pipe: &OwnedFd) -> io::Result<bool> {
    if launch::go_to_background()? {
        return Ok(false);
    }
    launch::leave_session()?;
    let pid = format!("{}\n", std::process::id());
    // Who waits no more does not want to know.
    let _ = rustix::io::write(pipe, pid.as_bytes());
    Ok(true)
}

/// Waits until a service in the background is ready, and writes its pid file then.
pub(super) fn await_ready(pipe: &OwnedFd, pidfile: Option<&str>) -> Result<(), ServiceError> {
    let give_up_at = clock::monotonic() + READY_WITHIN;
    let mut said = Vec::new();
    while said.iter().filter(|byte| **byte == b'\n').count() < 2 {
        let left = give_up_at.saturating_sub(clock::monotonic());
        if !poll::two(pipe.as_fd(), None, Room(false), Some(left)).first && left == 0 {
            let seconds = READY_WITHIN / 1_000_000_000;
            let text = format!("it still tries after {seconds} s; its main log says more");
            return Err(ServiceError::Ended(text));
        }
        let mut bytes = [0; 32];
        match rustix::io::read(pipe, &mut bytes) {
            Ok(0) => {
                return Err(ServiceError::Ended("its main log says more".to_owned()));
            }
            Ok(count) => said.extend_from_slice(&bytes[..count]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("read from a pipe")(errno.into())),
        }
    }
    let Some(pidfile) = pidfile else { return Ok(()) };
    let number = said.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    write_pidfile(pidfile, number).map_err(failed(&format!("write {pidfile}")))
}
