//! What the pump must still know after it was killed, in shared memory.
//!
//! Four things: the one chunk that is in flight on the read/write path, for each stream
//! where its filter stands, which lines that are owed are in the main log, and whose line an
//! output ends in. It knows the layout of the words and nothing of pipes or files.
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
//!       12        the number of the last owed line that is in the main log
//!       13        offset in its file at which lines are being written, plus one; 0 is none
//!       14, 15    device and inode of that file
//!       16 ..     one word for each (place of a service * 2 + channel):
//!                 generation << 32 | IN_USE | where its filter stands
//! last 8 + 0      of the chunk in flight, where it goes to an outlet:
//!                 its number << 8 | (outlet + 1) << 1 | whether it leaves a line open
//!        + 1, 2   whose line the first outlet ends in: service << 32 | generation, and
//!                 IN_USE | channel; 0 is none
//!        + 3, 4   the same of the second
//! ```
//!
//! Words 12 to 15 are nothing to those who knew this layout first: they find zeros there and
//! leave what is there as it is. So are the last eight, for as many places nobody has.
//!
//! One thing surprises a newcomer: there is no lock and no checksum. A killed
//! process has done all its stores up to some instant and none after it, so it
//! is enough that the phase is stored last, and that a phase is one word.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bardo_core::{Generation, ServiceId};
use bardo_sys::memory::SharedMemory;

use super::outlet::OutletId;
use super::{Channel, StreamKey};

/// The layout described above. A pump that finds another one forgets what was in
/// flight.
const VERSION: u64 = 2;

/// Words before the first cell.
const HEADER_WORDS: usize = 16;

/// Words behind the last cell.
const TAIL_WORDS: usize = 8;

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
const AT_SAID: usize = 12;
const AT_SAYING: usize = 13;
const AT_SAYING_DEVICE: usize = 14;
const AT_SAYING_INODE: usize = 15;

/// How many words the pump needs for services with places below `places`.
#[must_use]
pub const fn words_for(places: usize) -> usize {
    HEADER_WORDS + places * 2 + TAIL_WORDS
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
    /// Where it goes to an outlet, how.
    pub(super) line: Option<LineNote>,
}

/// What a chunk does to an outlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineNote {
    pub(super) outlet: OutletId,
    /// Whether the output ends in the midst of a line of the stream then.
    pub(super) leaves_open: bool,
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
            length >= HEADER_WORDS + TAIL_WORDS && base + length <= memory.words().len(),
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
        self.tail(0).store(line_word(chunk.number, chunk.line), Ordering::Relaxed);
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
            line: line_note(load(AT_NUMBER), self.tail(0).load(Ordering::Relaxed)),
        };
        Some((phase, chunk))
    }

    /// The number of the next chunk: no other one ever has it, not even one that was begun
    /// when the pump was killed.
    pub(super) fn next_number(&self) -> u64 {
        self.word(AT_COUNT).fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The number of the last owed line that is in the main log; 0 is none.
    pub(super) fn said(&self) -> u64 {
        self.word(AT_SAID).load(Ordering::SeqCst)
    }

    /// Says that lines are being written at this place of the main log.
    pub(super) fn say_at(&self, place: Place) {
        let store = |at, value| self.word(at).store(value, Ordering::Relaxed);
        store(AT_SAYING, 0);
        store(AT_SAYING_DEVICE, place.device);
        store(AT_SAYING_INODE, place.inode);
        self.word(AT_SAYING).store(place.offset.saturating_add(1), Ordering::SeqCst);
    }

    /// Where lines were being written when the pump was killed.
    pub(super) fn saying(&self) -> Option<Place> {
        let offset = self.word(AT_SAYING).load(Ordering::SeqCst).checked_sub(1)?;
        let load = |at| self.word(at).load(Ordering::Relaxed);
        Some(Place { offset, device: load(AT_SAYING_DEVICE), inode: load(AT_SAYING_INODE) })
    }

    /// Says that the owed lines up to this number are in the main log.
    pub(super) fn said_up_to(&self, number: u64) {
        self.word(AT_SAID).fetch_max(number, Ordering::SeqCst);
    }

    /// Says that nothing is being written to the main log.
    pub(super) fn said_all(&self) {
        self.word(AT_SAYING).store(0, Ordering::SeqCst);
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

    /// Whose line an outlet ends in.
    pub(super) fn open_line(&self, outlet: OutletId) -> Option<StreamKey> {
        let [life, state] = self.outlet(outlet).map(|word| word.load(Ordering::SeqCst));
        (state & IN_USE != 0).then(|| key(life, state & 1))
    }

    /// Keeps whose line an outlet ends in. It may be cut short where it is done once more.
    pub(super) fn keep_open_line(&self, outlet: OutletId, owner: Option<StreamKey>) {
        let [life_word, state] = self.outlet(outlet);
        state.store(0, Ordering::SeqCst);
        if let Some(owner) = owner {
            life_word.store(life(owner), Ordering::SeqCst);
            state.store(IN_USE | owner.channel.index() as u64, Ordering::SeqCst);
        }
    }

    fn outlet(&self, outlet: OutletId) -> [&AtomicU64; 2] {
        [1, 2].map(|at| self.tail(at + 2 * outlet.index()))
    }

    fn tail(&self, at: usize) -> &AtomicU64 {
        self.word(self.length - TAIL_WORDS + at)
    }

    fn cell(&self, key: StreamKey) -> Option<&AtomicU64> {
        let at = HEADER_WORDS + key.service.0 as usize * 2 + key.channel.index();
        (at < self.length - TAIL_WORDS).then(|| self.word(at))
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

/// The number of the chunk tells a note from what was left of another one.
fn line_word(number: u64, line: Option<LineNote>) -> u64 {
    line.map_or(0, |line| {
        number << 8 | (line.outlet.index() as u64 + 1) << 1 | u64::from(line.leaves_open)
    })
}

fn line_note(number: u64, word: u64) -> Option<LineNote> {
    let place = (word >> 1 & 127).checked_sub(1)?;
    let outlet = *OutletId::ALL.get(usize::try_from(place).ok()?)?;
    (word >> 8 == number).then_some(LineNote { outlet, leaves_open: word & 1 == 1 })
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
            line: Some(LineNote { outlet: OutletId::Error, leaves_open: true }),
        };

        open(&memory).begin(&chunk);
        assert_eq!(open(&memory).in_flight(), Some((Phase::Moving, chunk)));
        open(&memory).discarding();
        assert_eq!(open(&memory).in_flight(), Some((Phase::Discarding, chunk)));
        open(&memory).clear();

        assert_eq!(open(&memory).in_flight(), None);
    }

    #[test]
    fn a_note_about_a_line_belongs_to_one_chunk() {
        let note = Some(LineNote { outlet: OutletId::Output, leaves_open: false });

        assert_eq!(line_note(5, line_word(5, note)), note);
        assert_eq!(line_note(6, line_word(5, note)), None);
        assert_eq!(line_note(5, line_word(5, None)), None);
    }

    #[test]
    fn the_next_pump_knows_whose_line_an_output_ends_in() {
        let memory = memory();

        open(&memory).keep_open_line(OutletId::Error, Some(KEY));

        assert_eq!(open(&memory).open_line(OutletId::Error), Some(KEY));
        assert_eq!(open(&memory).open_line(OutletId::Output), None);
        open(&memory).keep_open_line(OutletId::Error, None);
        assert_eq!(open(&memory).open_line(OutletId::Error), None);
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
