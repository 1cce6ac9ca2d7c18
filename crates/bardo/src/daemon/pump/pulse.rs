//! What the pump is at, and since when, for those who wonder whether it moves.
//!
//! The pump may wait in a system call for as long as a disk or a file system likes. Then it
//! can say nothing, so it says beforehand what it is about to touch: a few stores into
//! memory that the other threads read. Nobody is waited for here, and no clock is read that
//! is not in this process's own memory.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bardo_sys::clock;

use super::file::FileId;

/// The target of one who touches nothing that could make him wait.
const NOTHING: u32 = 0;

/// The target that is no log file of the table: see [`Names::other`].
const OTHER: u32 = u32::MAX;

/// What the pump is at.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// When it began with what it is at, in nanoseconds on the monotonic clock; 0 while it
    /// waits for something to do.
    since: AtomicU64,
    /// What that touches: the number of a file, and 1.
    target: AtomicU32,
    names: Mutex<Names>,
    /// Whether others have seen that it does not move, and want to know when it does.
    is_missed: AtomicBool,
}

#[derive(Debug, Default)]
struct Names {
    files: Vec<Option<Arc<str>>>,
    /// What is touched beside them.
    other: Option<Arc<str>>,
}

/// What the pump is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// When it began with it, in nanoseconds on the monotonic clock.
    pub since: u64,
    /// The file that it touches, if it is one.
    pub target: Option<Arc<str>>,
}

impl Pulse {
    /// It goes to sleep.
    pub(super) fn rest(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// It wakes, or goes on with something that cannot make it wait.
    pub(super) fn wake(&self) {
        self.target.store(NOTHING, Ordering::Relaxed);
        self.since.store(clock::coarse(), Ordering::Relaxed);
    }

    /// It is about to touch a file of the table.
    pub(super) fn touch(&self, file: FileId) {
        self.target.store(file.0 + 1, Ordering::Relaxed);
        self.since.store(clock::coarse(), Ordering::Relaxed);
    }

    /// It is about to touch something else.
    pub(super) fn touch_other(&self, path: &Arc<str>) {
        self.names().other = Some(Arc::clone(path));
        self.target.store(OTHER, Ordering::Relaxed);
        self.since.store(clock::coarse(), Ordering::Relaxed);
    }

    /// A file of the table has this name now, or none.
    pub(super) fn name(&self, file: FileId, path: Option<&Arc<str>>) {
        let mut names = self.names();
        let place = file.0 as usize;
        if place >= names.files.len() {
            names.files.resize(place + 1, None);
        }
        names.files[place] = path.cloned();
    }

    /// Whether somebody wants to know that it moves; told once.
    pub(super) fn is_missed(&self) -> bool {
        self.is_missed.load(Ordering::Relaxed) && self.is_missed.swap(false, Ordering::SeqCst)
    }

    /// From now on somebody wants to know when it moves.
    pub(super) fn miss(&self) {
        self.is_missed.store(true, Ordering::SeqCst);
    }

    /// What it is at; `None` while it waits for something to do.
    pub(super) fn work(&self) -> Option<Work> {
        let since = self.since.load(Ordering::Relaxed);
        let target = match self.target.load(Ordering::Relaxed) {
            NOTHING => None,
            OTHER => self.names().other.clone(),
            number => self.names().files.get(number as usize - 1).cloned().flatten(),
        };
        (since != 0).then_some(Work { since, target })
    }

    /// Held for a look or a store only, never over a system call.
    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_looks_sees_what_is_touched_and_nothing_while_it_rests() {
        let pulse = Pulse::default();
        let (log, other): (Arc<str>, Arc<str>) = ("/log".into(), "/other".into());
        pulse.name(FileId(3), Some(&log));
        let target = || pulse.work().map(|work| work.target);

        assert_eq!(target(), None);
        pulse.wake();
        assert_eq!(target(), Some(None));
        pulse.touch(FileId(3));
        assert_eq!(target(), Some(Some(log)));
        pulse.touch_other(&other);
        assert_eq!(target(), Some(Some(other)));
        pulse.rest();
        assert_eq!(target(), None);
    }

    #[test]
    fn whoever_misses_it_is_told_once() {
        let pulse = Pulse::default();

        assert!(!pulse.is_missed());
        pulse.miss();
        assert!(pulse.is_missed());
        assert!(!pulse.is_missed());
    }
}
