//! What the pump tells the control thread of the bytes that it carries: a ring in shared
//! memory, so that nothing of it is lost or told twice when the process is killed.
//!
//! One chunk is one entry. The pump puts it in while the chunk is in flight, before its
//! bytes leave their pipe; the control thread takes it out when its journal has it. A chunk
//! has a number, and the ring knows the number of the last one that came in: a pump that
//! settles what its predecessor had in flight sees whether that has been told.
//!
//! ```text
//! word   0        version of this layout
//!        1        words that were taken out since the beginning
//!        2        words that were put in since the beginning
//!        3, 4     number of a chunk, and word 2 as that chunk left it
//!        5, 6     the same; the two take turns
//!        8 ..     the ring: for each entry a word with its bytes, then these
//! ```
//!
//! One thing surprises a newcomer: word 2 is what counts. What stands behind it in the ring
//! is nothing, and of 3 to 6 the pair that names it tells the last chunk.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bardo_core::{Generation, ServiceId};
use bardo_sys::memory::SharedMemory;

use super::{CHUNK_BYTES_MAX, Channel, StreamKey};

/// The layout described above. What another one had in it is forgotten.
const VERSION: u64 = 1;

/// Words before the ring.
const HEADER_WORDS: usize = 8;

/// Words of the ring: 1 MiB, twice what the longest entry needs.
const RING_WORDS: usize = 1 << 17;

/// All words.
pub const INTAKE_WORDS: usize = HEADER_WORDS + RING_WORDS;

/// Most bytes of an entry: a chunk, and a head for each of its parts. A captured message is
/// no shorter than its marks, so there are never more parts than this allows.
const ENTRY_BYTES_MAX: usize = 4 * CHUNK_BYTES_MAX;

const AT_VERSION: usize = 0;
const AT_TAKEN: usize = 1;
const AT_PUT: usize = 2;
const AT_LAST: [usize; 2] = [3, 5];

/// What a part of a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// What an event listener says.
    Said,
    /// What goes to the log, and whoever wants it.
    Logged,
    /// A part of a captured message.
    Captured,
    /// A captured message is whole.
    CaptureEnd,
}

impl PartKind {
    const ALL: [Self; 4] = [Self::Said, Self::Logged, Self::Captured, Self::CaptureEnd];
}

/// What is told of one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tidings {
    /// The stream.
    pub key: StreamKey,
    /// Its process.
    pub pid: u32,
    /// Whether each part is an event by itself, too.
    pub chunks: bool,
    /// Most bytes of a message that it has captured.
    pub capture_bytes_max: u64,
    /// The group's name.
    pub group: String,
    /// The process's name.
    pub process: String,
    /// Its parts, in order.
    pub parts: Vec<(PartKind, Vec<u8>)>,
}

impl Tidings {
    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.key.service.0.to_le_bytes());
        bytes.extend_from_slice(&self.key.generation.0.to_le_bytes());
        bytes.extend_from_slice(&self.pid.to_le_bytes());
        bytes.extend_from_slice(&self.capture_bytes_max.to_le_bytes());
        bytes.push(self.key.channel.index() as u8);
        bytes.push(u8::from(self.chunks));
        for text in [&self.group, &self.process] {
            write(&mut bytes, text.as_bytes());
        }
        for (kind, part) in &self.parts {
            bytes.push(*kind as u8);
            write(&mut bytes, part);
        }
        bytes
    }

    /// Of bytes; `None` where they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = bytes;
        let key_service = ServiceId(number(&mut from)?);
        let generation = Generation(number(&mut from)?);
        let pid = number(&mut from)?;
        let (low, high) = (number(&mut from)?, number(&mut from)?);
        let channel = Channel::BOTH.get(usize::from(byte(&mut from)?)).copied()?;
        let chunks = byte(&mut from)? == 1;
        let mut text = || String::from_utf8(read(&mut from)?.to_vec()).ok();
        let (group, process) = (text()?, text()?);
        let mut parts = Vec::new();
        while !from.is_empty() {
            let kind = PartKind::ALL.get(usize::from(byte(&mut from)?)).copied()?;
            parts.push((kind, read(&mut from)?.to_vec()));
        }
        Some(Self {
            key: StreamKey { service: key_service, generation, channel },
            pid,
            chunks,
            capture_bytes_max: u64::from(high) << 32 | u64::from(low),
            group,
            process,
            parts,
        })
    }
}

fn write(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a chunk is shorter than 4 GiB");
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(bytes);
}

fn byte(from: &mut &[u8]) -> Option<u8> {
    let (first, rest) = from.split_first()?;
    *from = rest;
    Some(*first)
}

fn number(from: &mut &[u8]) -> Option<u32> {
    let (first, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(u32::from_le_bytes(*first))
}

fn read<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(from)? as usize;
    let (part, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(part)
}

/// One end of the ring. The pump puts in, the control thread takes out.
#[derive(Debug, Clone)]
pub struct Intake {
    memory: Arc<SharedMemory>,
    base: usize,
    ring_words: usize,
}

impl Intake {
    /// The ring in these words, [`INTAKE_WORDS`] or more.
    #[must_use]
    pub fn open(memory: Arc<SharedMemory>, area: Range<usize>) -> Self {
        assert!(area.len() >= INTAKE_WORDS, "the ring has room for any entry");
        assert!(area.end <= memory.words().len(), "the ring lies within the mapping");
        let intake = Self { memory, base: area.start, ring_words: area.len() - HEADER_WORDS };
        if intake.load(AT_VERSION) != VERSION {
            let put = intake.load(AT_PUT);
            intake.word(AT_TAKEN).store(put, Ordering::SeqCst);
            intake.word(AT_VERSION).store(VERSION, Ordering::SeqCst);
        }
        intake
    }

    /// Whether there is room for any entry.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let used = self.load(AT_PUT).saturating_sub(self.load(AT_TAKEN));
        used as usize + words_of(ENTRY_BYTES_MAX) <= self.ring_words
    }

    /// Whether the last thing that was put in is of chunk `number`.
    pub(super) fn has(&self, number: u64) -> bool {
        self.last() == Some(number)
    }

    /// Puts in what is to be told of chunk `number`, unless that is there already.
    pub(super) fn put(&self, number: u64, tidings: &Tidings) {
        if self.has(number) {
            return;
        }
        let bytes = tidings.to_bytes();
        let put = self.load(AT_PUT);
        let words = self.ring_words as u64;
        let free = words - put.saturating_sub(self.load(AT_TAKEN)).min(words);
        assert!(words_of(bytes.len()) as u64 <= free, "there was room for any entry");
        self.ring(put).store(bytes.len() as u64, Ordering::Relaxed);
        for (place, chunk) in (put + 1..).zip(bytes.chunks(8)) {
            let mut value = [0; 8];
            value[..chunk.len()].copy_from_slice(chunk);
            self.ring(place).store(u64::from_le_bytes(value), Ordering::Relaxed);
        }
        let end = put + words_of(bytes.len()) as u64;
        // The pair that does not tell the last chunk is overwritten.
        let pair = AT_LAST.into_iter().find(|pair| self.load(*pair + 1) != put);
        let pair = pair.unwrap_or(AT_LAST[0]);
        self.word(pair).store(number, Ordering::SeqCst);
        self.word(pair + 1).store(end, Ordering::SeqCst);
        self.word(AT_PUT).store(end, Ordering::SeqCst);
    }

    /// The entry at a place, as bytes, and the place behind it; `None` where there is none.
    #[must_use]
    pub fn next(&self, place: u64) -> Option<(Vec<u8>, u64)> {
        let put = self.word(AT_PUT).load(Ordering::SeqCst);
        if place >= put {
            return None;
        }
        let length = usize::try_from(self.ring(place).load(Ordering::Relaxed)).ok()?;
        let end = place + words_of(length) as u64;
        if length > ENTRY_BYTES_MAX || end > put {
            // It is none of ours: nothing can be told from it.
            return Some((Vec::new(), put));
        }
        let mut bytes = Vec::with_capacity(length + 8);
        for place in place + 1..end {
            bytes.extend_from_slice(&self.ring(place).load(Ordering::Relaxed).to_le_bytes());
        }
        bytes.truncate(length);
        Some((bytes, end))
    }

    /// Where the next entry will be.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.load(AT_PUT)
    }

    /// The first place that was not taken out.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.load(AT_TAKEN)
    }

    /// Takes out everything before a place.
    pub fn take(&self, place: u64) {
        self.word(AT_TAKEN).store(place, Ordering::SeqCst);
    }

    /// The number of the last chunk that was put in.
    fn last(&self) -> Option<u64> {
        let put = self.load(AT_PUT);
        let pair = AT_LAST.into_iter().find(|pair| put > 0 && self.load(*pair + 1) == put)?;
        Some(self.load(pair))
    }

    fn load(&self, at: usize) -> u64 {
        self.word(at).load(Ordering::SeqCst)
    }

    fn ring(&self, place: u64) -> &AtomicU64 {
        self.word(HEADER_WORDS + (place % self.ring_words as u64) as usize)
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.memory.words()[self.base + at]
    }
}

fn words_of(bytes: usize) -> usize {
    1 + bytes.div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> Intake {
        let file = SharedMemory::anonymous("intake").unwrap();
        let memory = SharedMemory::map(file, INTAKE_WORDS + 10).unwrap();
        Intake::open(Arc::new(memory), 10..10 + INTAKE_WORDS)
    }

    fn tidings(text: &str) -> Tidings {
        Tidings {
            key: StreamKey {
                service: ServiceId(7),
                generation: Generation(9),
                channel: Channel::Stderr,
            },
            pid: 77,
            chunks: true,
            capture_bytes_max: u64::MAX - 5,
            group: "group".to_owned(),
            process: "prozeß".to_owned(),
            parts: vec![(PartKind::Logged, text.into()), (PartKind::CaptureEnd, Vec::new())],
        }
    }

    fn read(intake: &Intake, place: u64) -> Option<(Tidings, u64)> {
        let (bytes, next) = intake.next(place)?;
        Some((Tidings::from_bytes(&bytes).unwrap(), next))
    }

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        let intake = intake();
        intake.put(1, &tidings("one"));
        intake.put(2, &tidings("two"));

        let (first, next) = read(&intake, intake.start()).unwrap();
        let (second, end) = read(&intake, next).unwrap();

        assert_eq!((first, second), (tidings("one"), tidings("two")));
        assert_eq!((read(&intake, end), end), (None, intake.end()));
    }

    #[test]
    fn a_chunk_is_put_in_once_also_by_another_pump_and_when_it_was_taken_out() {
        let intake = intake();
        intake.put(1, &tidings("one"));
        intake.put(2, &tidings("two"));
        let end = intake.end();
        intake.take(end);

        Intake::open(Arc::clone(&intake.memory), 10..10 + INTAKE_WORDS).put(2, &tidings("two"));
        assert_eq!(intake.end(), end);

        intake.put(3, &tidings("three"));
        assert_eq!(read(&intake, end).map(|(tidings, _)| tidings), Some(tidings("three")));
    }

    #[test]
    fn the_ring_goes_round_and_has_room_again_when_something_is_taken_out() {
        let intake = intake();
        let long = "x".repeat(CHUNK_BYTES_MAX);
        let mut place = intake.start();
        for number in 0..40 {
            let mut count = 0;
            while intake.has_room() {
                count += 1;
                intake.put(number * 100 + count, &tidings(&long));
            }
            assert!(count > 0);
            while let Some((told, next)) = read(&intake, place) {
                assert_eq!(told, tidings(&long));
                place = next;
            }
            intake.take(place);
        }
    }

    #[test]
    fn a_chunk_of_nothing_but_messages_has_room() {
        // The shortest message: its two marks and one byte, and one byte behind it.
        let count = CHUNK_BYTES_MAX / 48;
        let one = [
            (PartKind::Captured, vec![b'x']),
            (PartKind::CaptureEnd, Vec::new()),
            (PartKind::Logged, vec![b'x']),
        ];
        let parts = one.iter().cycle().take(count * 3).cloned().collect();

        assert!(Tidings { parts, ..tidings("") }.to_bytes().len() < ENTRY_BYTES_MAX / 2);
    }

    #[test]
    fn bytes_that_are_no_tidings_are_nothing() {
        let bytes = tidings("text").to_bytes();

        assert_eq!(Tidings::from_bytes(&bytes), Some(tidings("text")));
        for cut in 0..bytes.len() {
            assert_ne!(Tidings::from_bytes(&bytes[..cut]), Some(tidings("text")));
        }
        assert_eq!(Tidings::from_bytes(&[]), None);
    }
}
