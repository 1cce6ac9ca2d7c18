//! A descriptor that is kept for one client when there are none left: somebody must be able
//! to ask what is wrong.
//!
//! When the kernel has no descriptor for a client who knocks, the spare one is closed, and
//! its number is the client's. When a client has gone, it is taken again.

use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The spare descriptor, while it is not lent.
#[derive(Debug)]
pub(super) struct Spare(Mutex<Option<File>>);

impl Spare {
    /// Takes one.
    pub(super) fn new() -> Self {
        Self(Mutex::new(take()))
    }

    /// Closes it, so that its number is free. False when it is not there.
    pub(super) fn give_up(&self) -> bool {
        self.spare().take().is_some()
    }

    /// Takes one again where it was given up, if there is one to be had.
    pub(super) fn restore(&self) {
        let mut spare = self.spare();
        if spare.is_none() {
            *spare = take();
        }
    }

    fn spare(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file of its own: where the machine has no more files, a duplicate frees none.
fn take() -> Option<File> {
    File::open("/dev/null").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_once_until_it_is_restored() {
        let spare = Spare::new();

        assert!(spare.give_up());
        assert!(!spare.give_up());
        spare.restore();
        spare.restore();

        assert!(spare.give_up());
        assert!(!spare.give_up());
    }
}
