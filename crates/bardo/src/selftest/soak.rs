//! Descriptors and memory of keeper and supervisor, early in a long test and at its end.
//!
//! Both looks are made in the same way, so that they can be compared: all programs and
//! clients rest, the journal has just been put in short, a supervisor has just taken over the
//! same programs, and neither of the two does anything any more.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::home::{Daemon, wait_until};
use super::interruption;
use super::procfs;
use super::survival::{CLIENTS, Scene};

/// How long nothing must happen to be taken for rest.
const REST: Duration = Duration::from_millis(500);

/// What a client stores at a time: little, so that little of it is left in the journal.
const STORED_BYTES: usize = 16 << 10;

/// How much later figures may differ from earlier ones, in per cent.
const DIFFERENCE_MAX: u64 = 5;

/// What one process has.
#[derive(Debug, Default, Clone, Copy)]
pub struct Has {
    /// Descriptors.
    pub descriptors: u64,
    /// Bytes of memory: its own, and its part of what it shares.
    pub bytes: u64,
}

/// What both have.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sample {
    /// The keeper.
    pub keeper: Has,
    /// The supervisor.
    pub supervisor: Has,
}

impl Has {
    fn of(pid: u32) -> Self {
        let descriptors = procfs::descriptors(pid) as u64;
        Self { descriptors, bytes: procfs::proportional_bytes(pid) }
    }

    /// Whether it is about as much as it was.
    #[must_use]
    pub fn is_about(self, before: Self) -> bool {
        let is_near = |was: u64, is: u64| is > 0 && was.abs_diff(is) * 100 <= was * DIFFERENCE_MAX;
        is_near(before.descriptors, self.descriptors) && is_near(before.bytes, self.bytes)
    }
}

/// Waits until clients rest, and keeper and supervisor have nothing to do.
pub(super) fn wait_for_rest(scene: Scene<'_>) -> io::Result<()> {
    let Scene { daemon, resting, .. } = scene;
    wait_until("clients to rest", || resting.load(Ordering::SeqCst) == CLIENTS)?;
    let switches = || {
        let supervisor = daemon.supervisor().map_or(0, |stat| stat.pid);
        (supervisor, [daemon.keeper(), supervisor].map(procfs::switches))
    };
    wait_until("keeper and supervisor to rest", || {
        let before = switches();
        interruption::sleep(REST).is_ok() && before.0 != 0 && switches() == before
    })
}

/// Has clients store so much that the supervisor puts a snapshot in place of all entries of
/// its journal, which is as long as it happens to be otherwise.
pub(super) fn shorten_journal(daemon: &Daemon) -> io::Result<()> {
    let text = "x".repeat(STORED_BYTES);
    let length = || daemon.supervisor().map_or(0, |stat| procfs::shared_bytes(stat.pid));
    let mut before = length();
    wait_until("a snapshot in the journal", || {
        let stored = daemon.client().call("cache.store", &["soak".into(), text.as_str().into()]);
        let after = length();
        let is_short = stored.is_ok() && after + STORED_BYTES as u64 <= before;
        before = after;
        is_short
    })?;
    daemon.client().call("cache.clear", &[]).map(drop).map_err(io::Error::other)
}

/// The median of each figure.
#[must_use]
pub fn median(samples: &[Sample]) -> Sample {
    let median = |figure: fn(&Sample) -> u64| {
        let mut figures: Vec<u64> = samples.iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    Sample {
        keeper: Has {
            descriptors: median(|sample| sample.keeper.descriptors),
            bytes: median(|sample| sample.keeper.bytes),
        },
        supervisor: Has {
            descriptors: median(|sample| sample.supervisor.descriptors),
            bytes: median(|sample| sample.supervisor.bytes),
        },
    }
}

/// Looks.
pub(super) fn look(daemon: &Daemon) -> io::Result<Sample> {
    let supervisor = daemon.supervisor().ok_or(io::ErrorKind::NotFound)?;
    Ok(Sample { keeper: Has::of(daemon.keeper()), supervisor: Has::of(supervisor.pid) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_more_or_less_is_about_the_same() {
        let has = |descriptors, bytes| Has { descriptors, bytes };

        assert!(has(105, 2100).is_about(has(100, 2000)));
        assert!(!has(106, 2000).is_about(has(100, 2000)));
        assert!(!has(100, 2101).is_about(has(100, 2000)));
        assert!(!has(0, 0).is_about(has(0, 0)));
    }
}
