//! The end of everything without a supervisor.
//!
//! A keeper knows no order and no stop signals: all children are told to end at once, and
//! those that are still there after a while are killed, with whatever they leave behind.

use std::os::fd::AsFd;

use bardo_sys::signals::SignalReader;
use bardo_sys::{clock, poll, process};

use crate::keeper::{KILL, SECOND};

/// SIGTERM.
const TERMINATE: i32 = 15;

/// The end, on its way.
#[derive(Debug)]
pub(crate) struct Ending {
    kill_at: u64,
}

impl Ending {
    /// Tells all children to end, but for one that was killed already. They have `wait`
    /// nanoseconds for it.
    pub(crate) fn begin(killed: Option<u32>, wait: u64) -> Self {
        process::for_each_child(|pid| {
            if killed != Some(pid) {
                process::kill_child(pid, TERMINATE);
            }
        });
        Self { kill_at: clock::monotonic().saturating_add(wait) }
    }

    /// Waits for something, then does all there is to do. `Some` is the exit code.
    pub(crate) fn turn(&mut self, signals: &SignalReader) -> Option<i32> {
        let timeout = self.kill_at.saturating_sub(clock::monotonic());
        let _ = poll::two(signals.as_fd(), None, poll::Room(false), Some(timeout));
        while signals.next().is_some() {}
        while process::reap().is_some() {}
        if !process::has_children() {
            return Some(0);
        }
        if self.kill_at <= clock::monotonic() {
            process::for_each_child(|pid| process::kill_child(pid, KILL));
            // Whoever is orphaned by that is a child then.
            self.kill_at = clock::monotonic().saturating_add(SECOND / 10);
        }
        None
    }
}
