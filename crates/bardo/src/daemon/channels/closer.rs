//! Descriptors that programs and strangers have sent are closed beside the control thread.
//!
//! To close somebody's descriptor can take as long as he likes: a connection that lingers
//! waits for its other end, and a file of a file system in user space for whoever serves
//! it. So there is a thread for it while there is something to close, one for each who
//! sends, and who has sent too much of it is not listened to until it is gone.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::net::sockopt::set_socket_linger;

/// How many descriptors may wait until no more are taken. That of a few messages, and few
/// beside those that a supervisor has itself.
const WAITING_MAX: usize = 256;

/// Closes the descriptors of one who sends.
#[derive(Debug, Default)]
pub(super) struct Closer {
    pile: Arc<Mutex<Pile>>,
}

/// What is to be closed.
#[derive(Debug, Default)]
struct Pile {
    waiting: Vec<OwnedFd>,
    /// What the thread has taken and not closed yet.
    taken: usize,
    /// Whether there is a thread.
    is_worked_on: bool,
}

impl Closer {
    /// Closes descriptors. It never waits for that.
    pub(super) fn close(&self, descriptors: &mut Vec<OwnedFd>) {
        if descriptors.is_empty() {
            return;
        }
        let mut pile = lock(&self.pile);
        pile.waiting.append(descriptors);
        work_on(&self.pile, &mut pile);
    }

    /// Whether more can be taken.
    pub(super) fn has_room(&self) -> bool {
        let mut pile = lock(&self.pile);
        // There was no thread to be had before.
        work_on(&self.pile, &mut pile);
        pile.waiting.len() + pile.taken < WAITING_MAX
    }
}

#[cfg(test)]
impl Closer {
    /// As if too much were being closed.
    pub(super) fn fill(&self) {
        lock(&self.pile).taken = WAITING_MAX;
    }

    /// As if all of that were closed.
    pub(super) fn clear(&self) {
        lock(&self.pile).taken = 0;
    }
}

fn lock(pile: &Mutex<Pile>) -> MutexGuard<'_, Pile> {
    pile.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees to it that there is a thread where there is something to do.
fn work_on(shared: &Arc<Mutex<Pile>>, pile: &mut Pile) {
    if pile.is_worked_on || pile.waiting.is_empty() {
        return;
    }
    let shared = Arc::clone(shared);
    let made = thread::Builder::new().name("close".to_owned()).spawn(move || empty(&shared));
    pile.is_worked_on = made.is_ok();
}

fn empty(pile: &Mutex<Pile>) {
    loop {
        let batch = {
            let mut pile = lock(pile);
            let batch = std::mem::take(&mut pile.waiting);
            pile.taken = batch.len();
            pile.is_worked_on = !batch.is_empty();
            batch
        };
        if batch.is_empty() {
            return;
        }
        for descriptor in batch {
            // What does not linger is closed at once. Most are not even sockets.
            let _ = set_socket_linger(&descriptor, None);
            drop(descriptor);
            lock(pile).taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::pipe::pipe;

    use super::*;

    #[test]
    fn what_is_handed_over_is_closed_and_too_much_of_it_finds_no_room() {
        let closer = Closer::default();
        let (read, write) = pipe().unwrap();
        let mut descriptors: Vec<_> =
            (0..WAITING_MAX).map(|_| write.try_clone().unwrap()).collect();
        drop(write);
        closer.fill();
        assert!(!closer.has_room());
        closer.clear();
        assert!(closer.has_room());

        closer.close(&mut descriptors);

        assert!(descriptors.is_empty());
        // Its other end is closed when all are.
        poll(&mut [PollFd::new(&read, PollFlags::IN)], None).unwrap();
    }

    #[test]
    fn what_found_no_thread_is_closed_when_there_is_one() {
        let closer = Closer::default();
        let (read, write) = pipe().unwrap();
        lock(&closer.pile).waiting.push(write);

        assert!(closer.has_room());

        poll(&mut [PollFd::new(&read, PollFlags::IN)], None).unwrap();
    }
}
