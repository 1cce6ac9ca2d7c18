//! Places for connections: how many there are, and who gives one up for a new client.
//!
//! Each server has places of its own, so that strangers on a port take none from the
//! owner of the socket file. When all are taken, whoever has kept us waiting longest
//! must go, or else whoever is answered next: a client that waits for our answer never
//! does.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bardo_sys::limits::{self, Limited};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::connection::{Phase, Progress, Socket};

/// Most connections of a server at a time. More of them wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 256;

/// How many of the connections of a server may follow a log. They do not end by
/// themselves, and somebody must be able to ask how things are.
const FOLLOWERS_SHARE: usize = 2;

/// How long a connection may be silent although somebody else wants its place.
const SILENCE_SPARED: Duration = Duration::from_secs(1);

/// The same for a request that has begun: it may have to cross a slow line.
const REQUEST_SPARED: Duration = Duration::from_secs(2);

/// The same for a client that reads its answer.
const READER_SPARED: Duration = Duration::from_secs(20);

/// How often it is looked for somebody who can go, while nobody goes by himself.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Descriptors that connections through a port never take: a quarter of all, and no more
/// than forty births need at a time. Half of them are there for the owner of a socket
/// file, who must be able to ask what is wrong.
const DESCRIPTORS_KEPT: u64 = 256;

/// The places of one server.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    free: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    guests: Mutex<HashMap<u64, Guest>>,
    next: AtomicU64,
    /// Whether somebody waits for a place, and nobody has made way for him yet.
    wanted: AtomicBool,
}

/// Who has a place.
#[derive(Debug)]
struct Guest {
    progress: Progress,
    leave: Arc<Notify>,
}

/// A place that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    progress: Progress,
    leave: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// The places of a server.
    pub(super) fn new() -> Arc<Self> {
        Self::with(CONNECTIONS_MAX)
    }

    fn with(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            free: Arc::new(Semaphore::new(most)),
            followers: Arc::new(Semaphore::new(most.div_ceil(FOLLOWERS_SHARE))),
            guests: Mutex::default(),
            next: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
        })
    }

    /// Waits for a place, and makes somebody go where that is possible.
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        loop {
            if self.free.available_permits() == 0 && !self.make_room() {
                self.wanted.store(true, Ordering::Relaxed);
            }
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(LOOK_EVERY, free).await {
                return self.seat(permit.expect("nobody closes it"));
            }
        }
    }

    /// Sends away who has kept us waiting longest. False when nobody has for long enough.
    pub(super) fn make_room(&self) -> bool {
        let guests = self.guests();
        let longest = guests
            .values()
            .filter_map(|guest| {
                let (phase, waited) = guest.progress.waited();
                let spared = match phase {
                    Phase::First | Phase::Idle => SILENCE_SPARED,
                    Phase::Request => REQUEST_SPARED,
                    Phase::Sending => READER_SPARED,
                    Phase::Answer | Phase::Leaving => return None,
                };
                (waited >= spared).then_some((waited, guest))
            })
            .max_by_key(|(waited, _)| *waited);
        longest.is_some_and(|(_, guest)| {
            guest.progress.enter(Phase::Leaving);
            guest.leave.notify_one();
            true
        })
    }

    /// Whether nobody is there.
    pub(super) fn are_free(&self) -> bool {
        self.guests().is_empty()
    }

    /// Waits until all are free.
    pub(super) async fn emptied(&self) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        let _ = self.free.acquire_many(all).await;
    }

    fn seat(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (progress, leave) = (Progress::new(), Arc::new(Notify::new()));
        let guest = Guest { progress: progress.clone(), leave: Arc::clone(&leave) };
        self.guests().insert(number, guest);
        Place { places: Arc::clone(self), number, progress, leave, _permit: permit }
    }

    fn guests(&self) -> MutexGuard<'_, HashMap<u64, Guest>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// How far the conversation in this place is.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The right to follow a log; `None` when too many do.
    pub(super) fn follow(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places.followers).try_acquire_owned().ok()
    }

    /// Whether this client, who has been answered, has to make way for one who waits.
    pub(super) fn makes_way(&self) -> bool {
        self.places.wanted.swap(false, Ordering::Relaxed)
    }

    /// Waits until the place is needed for somebody else.
    pub(super) async fn needed(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.guests().remove(&self.number);
    }
}

/// Whether so few descriptors are left that programs may need that of a new connection.
/// The kernel always gives the lowest free number, so it tells how many are taken.
pub(super) fn are_descriptors_short(connection: &Socket) -> bool {
    let limit = limits::get(Limited::Descriptors).soft;
    let kept = (limit / 4).min(DESCRIPTORS_KEPT);
    let kept = match connection {
        Socket::Tcp(_) => kept,
        Socket::Unix(_) => kept / 2,
    };
    let number = u64::try_from(connection.as_fd().as_raw_fd()).unwrap_or(0);
    number >= limit - kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs on a clock that jumps to the next deadline whenever nothing else is to be
    /// done.
    fn on_a_quick_clock(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap().block_on(test);
    }

    #[test]
    fn the_one_who_was_silent_longest_goes_for_a_new_client() {
        on_a_quick_clock(async {
            let places = Places::with(2);
            let first = places.take().await;
            tokio::time::advance(SILENCE_SPARED * 2).await;
            let second = places.take().await;
            tokio::time::advance(SILENCE_SPARED * 2).await;

            let third = tokio::spawn({
                let places = Arc::clone(&places);
                async move { places.take().await }
            });
            first.needed().await;
            drop(first);

            let third = third.await.unwrap();
            assert_eq!((second.number, third.number), (1, 2));
        });
    }

    #[test]
    fn a_client_that_waits_for_its_answer_is_never_sent_away() {
        on_a_quick_clock(async {
            let places = Places::with(1);
            let waiting = places.take().await;
            waiting.progress().enter(Phase::Answer);

            let taken = tokio::time::timeout(Duration::from_secs(3600), places.take()).await;

            assert!(taken.is_err(), "nobody could go");
        });
    }

    #[test]
    fn a_request_that_has_just_begun_is_spared_a_while() {
        on_a_quick_clock(async {
            let places = Places::with(1);
            let place = places.take().await;
            place.progress().enter(Phase::Request);

            tokio::time::advance(SILENCE_SPARED).await;
            assert!(!places.make_room());
            tokio::time::advance(REQUEST_SPARED).await;
            assert!(places.make_room());
            assert!(!places.make_room(), "one is sent away once");
        });
    }

    #[test]
    fn not_everybody_may_follow_a_log() {
        on_a_quick_clock(async {
            let place = Places::with(3).take().await;

            let followers: Vec<_> = std::iter::from_fn(|| place.follow()).collect();

            assert_eq!(followers.len(), 2);
        });
    }

    #[test]
    fn the_first_descriptors_are_not_the_last() {
        on_a_quick_clock(async {
            let (one, _other) = tokio::net::UnixStream::pair().unwrap();

            assert!(!are_descriptors_short(&Socket::Unix(one)));
        });
    }
}
