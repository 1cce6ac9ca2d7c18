//! How many bytes each stream has written: one word each, added to by the pump alone.
//!
//! The table grows in pieces that never move, so that reading it takes no lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bardo_core::ServiceId;

use super::Channel;

/// Places of one piece of the table: 4 KiB.
const PIECE_PLACES: usize = 256;

/// Most pieces. A quarter of a million processes are counted; of more of them nothing is
/// told.
const PIECES_MAX: usize = 1024;

type Piece = Box<[[AtomicU64; 2]; PIECE_PLACES]>;

/// The table, by place of the process and by stream.
#[derive(Debug)]
pub(super) struct Volumes(Box<[OnceLock<Piece>]>);

impl Volumes {
    pub(super) fn new() -> Self {
        Self(std::iter::repeat_with(OnceLock::new).take(PIECES_MAX).collect())
    }

    /// Bytes were carried.
    pub(super) fn add(&self, service: ServiceId, channel: Channel, bytes: usize) {
        let index = service.0 as usize;
        let Some(piece) = self.0.get(index / PIECE_PLACES) else { return };
        let piece = piece.get_or_init(|| Box::new(std::array::from_fn(|_| Default::default())));
        let word = &piece[index % PIECE_PLACES][channel.index()];
        word.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that were carried so far.
    pub(super) fn get(&self, service: ServiceId, channel: Channel) -> u64 {
        self.word(service, channel).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// The place has a new process, which has written nothing.
    pub(super) fn forget(&self, service: ServiceId) {
        for word in Channel::BOTH.into_iter().filter_map(|channel| self.word(service, channel)) {
            word.store(0, Ordering::Relaxed);
        }
    }

    fn word(&self, service: ServiceId, channel: Channel) -> Option<&AtomicU64> {
        let index = service.0 as usize;
        let piece = self.0.get(index / PIECE_PLACES)?.get()?;
        Some(&piece[index % PIECE_PLACES][channel.index()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_has_a_word_of_its_own() {
        let volumes = Volumes::new();

        volumes.add(ServiceId(0), Channel::Stdout, 5);
        volumes.add(ServiceId(0), Channel::Stdout, 6);
        volumes.add(ServiceId(700), Channel::Stderr, 7);

        assert_eq!(volumes.get(ServiceId(0), Channel::Stdout), 11);
        assert_eq!(volumes.get(ServiceId(0), Channel::Stderr), 0);
        assert_eq!(volumes.get(ServiceId(700), Channel::Stderr), 7);
        volumes.forget(ServiceId(700));
        assert_eq!(volumes.get(ServiceId(700), Channel::Stderr), 0);
    }

    #[test]
    fn a_place_beyond_all_is_not_counted() {
        let volumes = Volumes::new();

        volumes.add(ServiceId(u32::MAX), Channel::Stdout, 5);

        assert_eq!(volumes.get(ServiceId(u32::MAX), Channel::Stdout), 0);
    }
}
