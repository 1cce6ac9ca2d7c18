//! The end of everything without a supervisor.
//!
//! A keeper knows no order and no stop signals: all children are told to end at once, and
//! those that are still there after a while are killed, with whatever they leave behind.

use std::os::fd::AsFd;

use bardo_sys::process::{self, Processes};
use bardo_sys::signals::SignalReader;
use bardo_sys::{clock, poll};

use crate::exits::Exits;
use crate::foreign::Foreign;
use crate::keeper::{KILL, SECOND};
use crate::vault::Vault;

/// SIGTERM.
const TERMINATE: i32 = 15;

/// The time between two looks at who is still there and has to be told or killed.
const LOOK_EVERY: u64 = SECOND / 10;

/// Programs that are not the keeper's children.
pub(crate) struct Others<'a> {
    pub(crate) foreign: &'a mut Foreign,
    pub(crate) vault: &'a Vault,
    pub(crate) exits: &'a mut Exits,
}

/// The end, on its way.
#[derive(Debug)]
pub(crate) struct Ending {
    kill_at: u64,
    /// Whether all have been told to end. Where there is no descriptor to find them with
    /// they are told when there is one.
    told: bool,
}

impl Ending {
    /// Children have `wait` nanoseconds to end.
    pub(crate) fn new(wait: u64) -> Self {
        Self { kill_at: clock::monotonic().saturating_add(wait), told: false }
    }

    /// Tells and kills whoever is to be told or killed now, then waits for something, until
    /// `feed_at` at most.
    /// `Some` is the exit code.
    pub(crate) fn turn(
        &mut self,
        processes: Option<&Processes>,
        signals: &SignalReader,
        others: Others<'_>,
        feed_at: Option<u64>,
    ) -> Option<i32> {
        let Others { foreign, vault, exits } = others;
        // Those that a supervisor would have named are to end as well.
        if !self.told {
            foreign.watch_all(vault);
        }
        let late = self.kill_at <= clock::monotonic();
        if late || !self.told {
            let signal = if late { KILL } else { TERMINATE };
            foreign.signal(vault, signal);
            self.told |= processes.is_some_and(|processes| {
                processes.each_child(|pid| process::kill_child(pid, signal))
            });
        }
        // Whoever is orphaned by a kill is a child then.
        let wait = self.kill_at.saturating_sub(clock::monotonic());
        let is_told = self.told && foreign.count() == 0;
        let wait = if is_told && wait > 0 { wait } else { LOOK_EVERY };
        let feed_in = feed_at.map(|at| at.saturating_sub(clock::monotonic()));
        let wait = feed_in.map_or(wait, |feed_in| wait.min(feed_in));
        let _ = poll::two(signals.as_fd(), None, poll::Room(false), Some(wait));
        while signals.next().is_some() {}
        while process::reap().is_some() {}
        // Nobody reads them, so what finds no room is not waited for.
        exits.forget(u64::MAX - 1);
        foreign.reap(vault, exits, clock::monotonic());
        (!process::has_children() && foreign.count() == 0).then_some(0)
    }
}
