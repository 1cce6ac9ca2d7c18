//! The one way in which the words of a journal are changed. In tests the stores are
//! counted, and those behind a cut do not happen: so a test sees the memory that a
//! process leaves which was killed between any two of them.

use std::io;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Release;

use bardo_sys::memory::SharedMemory;

/// Stores a word. Whoever sees it sees the stores before it.
#[cfg(not(test))]
pub(super) fn store(word: &AtomicU64, value: u64) {
    word.store(value, Release);
}

/// Makes words zero and gives their pages back.
///
/// # Errors
/// When the file system cannot do that.
#[cfg(not(test))]
pub(super) fn punch(memory: &SharedMemory, words: Range<usize>) -> io::Result<()> {
    memory.punch(words)
}

#[cfg(test)]
pub(super) use self::cut::{punch, store};

#[cfg(test)]
pub(super) mod cut {
    use std::cell::Cell;

    use super::{AtomicU64, Range, Release, SharedMemory, io};

    thread_local! {
        /// Stores that happen before the cut, and stores so far.
        static CUT: Cell<(u64, u64)> = const { Cell::new((u64::MAX, 0)) };
    }

    /// Only so many stores of this thread happen from now on.
    pub(crate) fn after(stores: u64) {
        CUT.set((stores, 0));
    }

    /// All stores happen; how many there were since [`after`].
    pub(crate) fn never() -> u64 {
        CUT.replace((u64::MAX, 0)).1
    }

    /// How many stores there were since [`after`], with those that did not happen.
    pub(crate) fn so_far() -> u64 {
        CUT.get().1
    }

    fn happens() -> bool {
        let (left, stores) = CUT.get();
        CUT.set((left, stores + 1));
        stores < left
    }

    pub(in super::super) fn store(word: &AtomicU64, value: u64) {
        if happens() {
            word.store(value, Release);
        }
    }

    pub(in super::super) fn punch(memory: &SharedMemory, words: Range<usize>) -> io::Result<()> {
        if happens() { memory.punch(words) } else { Ok(()) }
    }
}
