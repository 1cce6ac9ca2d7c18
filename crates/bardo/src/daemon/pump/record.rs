//! What the pump must still know after it was killed, in shared memory.
//!
//! Two things: the one chunk that is in flight on the read/write path, and for
//! each stream where its filter stands. It knows the layout of the words
//! and nothing of pipes or files.
//!
//! ```text
//! word   0        version of this layout
//!        1        phase of the chunk in flight; 0 is none
//!        2        its service << 32 | generation
//!        3        its channel
//!        4        offset in the file at which its output begins, or NO_OFFSET
//!        5        bytes of its output
//!        6        bytes of its input, still in the stream's pipe or in staging
//!        7, 8     device and inode of the file
//!        9        where the filter stands after it
//!       10        its number
//!       11        the number of the last chunk that was begun
//!       12 .. 16  unused
//!       16 ..     one word for each (place of a service * 2 + channel):
//!                 generation << 32 | IN_USE | where its filter stands
//! ```
//!
//! One thing surprises a newcomer: there is no lock and no checksum. A killed
//! process has done all its stores up to some instant and none after it, so it
//! is enough that the phase is stored last, and that a phase is one word.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bardo_core::{Generation, ServiceId};
use bardo_sys::memory::SharedMemory;

use super::{Channel, StreamKey};

/// The layout described above. A pump that finds another one forgets what was in
/// flight.
const VERSION: u64 = 2;

/// Words before the first cell.
const HEADER_WORDS: usize = 16;

/// Marks a cell that was written, so that a zero page reads as nothing.
const IN_USE: u64 = 1 << 31;

/// Stands for the offset of a target that has none.
const NO_OFFSET: u64 = u64::MAX;

const AT_VERSION: usize = 0;
const AT_PHASE: usize = 1;
const AT_LIFE: usize = 2;
const AT_CHANNEL: usize = 3;
const AT_OFFSET: usize = 4;
const AT_OUTPUT: usize = 5;
const AT_INPUT: usize = 6;
const AT_DEVICE: usize = 7;
const AT_INODE: usize = 8;
const AT_STATE: usize = 9;
const AT_NUMBER: usize = 10;
const AT_COUNT: usize = 11;

/// How many words the pump needs for services with places below `places`.
#[must_use]
pub const fn words_for(places: usize) -> usize {
    HEADER_WORDS + places * 2
}

/// How far the chunk in flight had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its output may be written, and its input may be moving into staging.
    Moving,
    /// Its output is in the file and all its input is in staging, or has been
    /// discarded from there.
    Discarding,
}

/// A place in a regular file, and which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// The chunk in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InFlight {
    pub(super) key: StreamKey,
    /// Where its output goes; `None` is a target without offsets, and then the
    /// output was written before this was recorded.
    pub(super) place: Option<Place>,
    pub(super) input_bytes: u64,
    pub(super) output_bytes: u64,
    /// Where the filter stands after the chunk.
    pub(super) next: u16,
    /// The number of the chunk.
    pub(super) number: u64,
}

/// The words.
#[derive(Debug)]
pub(super) struct Record {
    memory: Arc<SharedMemory>,
    base: usize,
    length: usize,
}

impl Record {
    /// Takes `length` words from `base` on.
    ///
    /// Returns whether what was found there had this layout, or nothing.
    pub(super) fn open(memory: Arc<SharedMemory>, base: usize, length: usize) -> (Self, Known) {
        assert!(
            length >= HEADER_WORDS && base + length <= memory.words().len(),
            "the pump's words lie within the mapping"
        );
        let record = Self { memory, base, length };
        let version = record.word(AT_VERSION).load(Ordering::SeqCst);
        let known = match version {
            0 | VERSION => Known::Yes,
            _ => Known::No,
        };
        if version != VERSION {
            record.clear();
            record.word(AT_VERSION).store(VERSION, Ordering::SeqCst);
        }
        (record, known)
    }

    /// Says that this chunk is in flight. Nothing may be.
    pub(super) fn begin(&self, chunk: &InFlight) {
        let store = |at, value| self.word(at).store(value, Ordering::Relaxed);
        store(AT_LIFE, life(chunk.key));
        store(AT_CHANNEL, chunk.key.channel.index() as u64);
        store(AT_OFFSET, chunk.place.map_or(NO_OFFSET, |place| place.offset));
        store(AT_DEVICE, chunk.place.map_or(0, |place| place.device));
        store(AT_INODE, chunk.place.map_or(0, |place| place.inode));
        store(AT_OUTPUT, chunk.output_bytes);
        store(AT_INPUT, chunk.input_bytes);
        store(AT_STATE, chunk.next.into());
        store(AT_NUMBER, chunk.number);
        self.word(AT_PHASE).store(1, Ordering::SeqCst);
    }

    /// Says that all of the chunk is where it belongs but for staging.
    pub(super) fn discarding(&self) {
        self.word(AT_PHASE).store(2, Ordering::SeqCst);
    }

    /// Says that nothing is in flight.
    pub(super) fn clear(&self) {
        self.word(AT_PHASE).store(0, Ordering::SeqCst);
    }

    /// The chunk that is in flight, if one is.
    pub(super) fn in_flight(&self) -> Option<(Phase, InFlight)> {
        let phase = match self.word(AT_PHASE).load(Ordering::SeqCst) {
            0 => return None,
            1 => Phase::Moving,
            _ => Phase::Discarding,
        };
        let load = |at| self.word(at).load(Ordering::Relaxed);
        let place =
            Place { offset: load(AT_OFFSET), device: load(AT_DEVICE), inode: load(AT_INODE) };
        let chunk = InFlight {
            key: key(load(AT_LIFE), load(AT_CHANNEL)),
            place: (place.offset != NO_OFFSET).then_some(place),
            input_bytes: load(AT_INPUT),
            output_bytes: load(AT_OUTPUT),
            next: u16::try_from(load(AT_STATE)).unwrap_or(0),
            number: load(AT_NUMBER),
        };
        Some((phase, chunk))
    }

    /// The number of the next chunk: no other one ever has it, not even one that was begun
    /// when the pump was killed.
    pub(super) fn next_number(&self) -> u64 {
        self.word(AT_COUNT).fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Keeps where a stream's filter stands. A service whose place is beyond
    /// the table is not kept: after a crash its stream starts afresh.
    pub(super) fn keep_state(&self, key: StreamKey, state: u16) {
        if let Some(cell) = self.cell(key) {
            let tag = u64::from(key.generation.0) << 32 | IN_USE;
            cell.store(tag | u64::from(state), Ordering::SeqCst);
        }
    }

    /// Where a stream's filter stood, if that was kept for its generation.
    pub(super) fn state(&self, key: StreamKey) -> Option<u16> {
        let word = self.cell(key)?.load(Ordering::SeqCst);
        let generation = Generation((word >> 32) as u32);
        let known = word & IN_USE != 0 && generation == key.generation;
        known.then_some(word as u16)
    }

    fn cell(&self, key: StreamKey) -> Option<&AtomicU64> {
        let at = HEADER_WORDS + key.service.0 as usize * 2 + key.channel.index();
        (at < self.length).then(|| self.word(at))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.memory.words()[self.base + at]
    }
}

/// Whether the words were understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    /// They are another version's; whatever it had in flight is forgotten.
    No,
}

fn life(key: StreamKey) -> u64 {
    u64::from(key.service.0) << 32 | u64::from(key.generation.0)
}

fn key(life: u64, channel: u64) -> StreamKey {
    StreamKey {
        service: ServiceId((life >> 32) as u32),
        generation: Generation(life as u32),
        channel: if channel == 0 { Channel::Stdout } else { Channel::Stderr },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: StreamKey = StreamKey {
        service: ServiceId(3),
        generation: Generation(u32::MAX),
        channel: Channel::Stderr,
    };

    fn memory() -> Arc<SharedMemory> {
        let file = SharedMemory::anonymous("record").unwrap();
        Arc::new(SharedMemory::map(file, 100).unwrap())
    }

    fn open(memory: &Arc<SharedMemory>) -> Record {
        Record::open(Arc::clone(memory), 10, words_for(4)).0
    }

    #[test]
    fn the_next_pump_reads_what_this_one_had_in_flight() {
        let memory = memory();
        let chunk = InFlight {
            key: KEY,
            place: Some(Place { offset: 1 << 40, device: 5, inode: 6 }),
            input_bytes: 7,
            output_bytes: 4,
            next: 2,
            number: 8,
        };

        open(&memory).begin(&chunk);
        assert_eq!(open(&memory).in_flight(), Some((Phase::Moving, chunk)));
        open(&memory).discarding();
        assert_eq!(open(&memory).in_flight(), Some((Phase::Discarding, chunk)));
        open(&memory).clear();

        assert_eq!(open(&memory).in_flight(), None);
    }

    #[test]
    fn a_state_belongs_to_one_generation() {
        let memory = memory();
        let next_life = StreamKey { generation: KEY.generation.next(), ..KEY };
        let other_channel = StreamKey { channel: Channel::Stdout, ..KEY };

        open(&memory).keep_state(KEY, 1);

        assert_eq!(open(&memory).state(KEY), Some(1));
        assert_eq!(open(&memory).state(next_life), None);
        assert_eq!(open(&memory).state(other_channel), None);
    }

    #[test]
    fn nothing_is_kept_beyond_the_table() {
        let memory = memory();
        let beyond = StreamKey { service: ServiceId(4), ..KEY };

        open(&memory).keep_state(beyond, 1);

        assert_eq!(open(&memory).state(beyond), None);
        assert!(
            memory.words()[10 + words_for(4)..]
                .iter()
                .all(|word| word.load(Ordering::Relaxed) == 0)
        );
    }

    #[test]
    fn another_versions_words_are_forgotten() {
        let memory = memory();
        open(&memory).discarding();
        memory.words()[10].store(VERSION + 1, Ordering::Relaxed);

        let (record, known) = Record::open(Arc::clone(&memory), 10, words_for(4));

        assert_eq!((record.in_flight(), known), (None, Known::No));
    }
}
