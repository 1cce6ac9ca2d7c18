//! Entries in memory that survives: written by plain stores, never by a system
//! call, and readable up to the last whole one whatever happens in between.
//!
//! An entry is a word with its length and checksum, then its bytes. The word is
//! stored last, so an entry is there or it is not. Two regions take turns: a
//! snapshot is written into the idle one, then one store makes it the live one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bardo_sys::memory::SharedMemory;

use crate::daemon::pump::intake::INTAKE_WORDS;

/// Words of the header.
const HEADER_WORDS: usize = 64;

/// What the first word says: the name of the format, and its version last.
const MAGIC: u64 = 0x4241_5244_4f4a_0004;

/// Where the number of the live region stands.
const LIVE: usize = 1;

/// Where a supervisor leaves its last words, behind what is said of the journal itself.
pub const LAST_WORDS_AT: usize = 32;

/// How many words of memory they may take.
pub const LAST_WORDS: usize = HEADER_WORDS - LAST_WORDS_AT;

/// Words of the log pump's cells. Untouched, they cost nothing.
pub const PUMP_WORDS: usize = 1 << 20;

/// Words of a region: 64 MiB, of which only what is written exists. Ten thousand
/// services need about 5 MiB.
const REGION_WORDS: usize = 1 << 23;

/// Bytes of a region.
pub(super) const BYTES: usize = REGION_WORDS * 8;

/// Where the births stand.
pub const BIRTHS_AT: usize = HEADER_WORDS;

/// Where the log pump's cells stand.
pub const PUMP_AT: usize = BIRTHS_AT + bardo_sys::spawn::BIRTH_WORDS;

/// Where the ring stands in which the pump tells what it carries.
pub const INTAKE_AT: usize = PUMP_AT + PUMP_WORDS;

const REGIONS_AT: usize = INTAKE_AT + INTAKE_WORDS;

/// Words of it all.
pub const WORDS: usize = REGIONS_AT + 2 * REGION_WORDS;

/// The region is full: a snapshot must take its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The regions of a journal.
#[derive(Debug)]
pub(super) struct Regions {
    memory: Arc<SharedMemory>,
    live: usize,
    /// The word of the live region where the next entry goes.
    end: usize,
    /// Where the entries behind the snapshot begin.
    snapshot_end: usize,
}

impl Regions {
    /// Makes an empty journal.
    #[must_use]
    pub(super) fn create(memory: Arc<SharedMemory>) -> Self {
        let words = memory.words();
        words[LIVE].store(0, Ordering::Relaxed);
        words[0].store(MAGIC, Ordering::Release);
        Self { memory, live: 0, end: 0, snapshot_end: 0 }
    }

    /// Opens a journal and hands out its entries in order.
    ///
    /// # Errors
    /// When it is no journal, or of another version.
    pub(super) fn open(memory: Arc<SharedMemory>, mut read: impl FnMut(&[u8])) -> io::Result<Self> {
        let words = memory.words();
        if words[0].load(Ordering::Acquire) != MAGIC {
            let text = "the journal is not one of this version";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let live = usize::from(words[LIVE].load(Ordering::Acquire) == 1);
        let region = region(&memory, live);
        let mut end = 0;
        let mut bytes = Vec::new();
        while let Some(next) = entry(region, end, &mut bytes) {
            read(&bytes);
            end = next;
        }
        // What is behind the last whole entry was cut off in the making. It is
        // cleared, so that it can never be taken for an entry.
        let snapshot_end = entry(region, 0, &mut bytes).unwrap_or(0);
        for word in region[end..].iter().take_while(|word| word.load(Ordering::Relaxed) != 0) {
            word.store(0, Ordering::Relaxed);
        }
        Ok(Self { memory, live, end, snapshot_end })
    }

    /// Adds an entry: from this call's return on it survives the process.
    ///
    /// # Errors
    /// When the region is full.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.end = write(region(&self.memory, self.live), self.end, bytes).ok_or(Full)?;
        Ok(())
    }

    /// Puts one entry, a snapshot, in place of all that there is.
    ///
    /// # Errors
    /// When it is longer than a region.
    pub(super) fn replace(&mut self, snapshot: &[u8]) -> Result<(), Full> {
        let idle = 1 - self.live;
        self.clear(idle);
        let end = write(region(&self.memory, idle), 0, snapshot).ok_or(Full)?;
        self.memory.words()[LIVE].store(idle as u64, Ordering::Release);
        self.clear(self.live);
        (self.live, self.end, self.snapshot_end) = (idle, end, end);
        Ok(())
    }

    /// Bytes of the snapshot, and bytes added behind it since.
    #[must_use]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.snapshot_end * 8, (self.end - self.snapshot_end) * 8)
    }

    /// The memory, for those who keep other things in it.
    #[must_use]
    pub(super) fn memory(&self) -> &Arc<SharedMemory> {
        &self.memory
    }

    /// Makes a region's words zero and gives its pages back.
    fn clear(&self, which: usize) {
        let start = REGIONS_AT + which * REGION_WORDS;
        if self.memory.punch(start..start + REGION_WORDS).is_err() {
            let words = region(&self.memory, which).iter();
            for word in words.take_while(|word| word.load(Ordering::Relaxed) != 0) {
                word.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// The words of the live region.
#[cfg(test)]
pub(super) fn live(memory: &SharedMemory) -> &[AtomicU64] {
    let live = usize::from(memory.words()[LIVE].load(Ordering::Acquire) == 1);
    region(memory, live)
}

fn region(memory: &SharedMemory, which: usize) -> &[AtomicU64] {
    let start = REGIONS_AT + which * REGION_WORDS;
    &memory.words()[start..start + REGION_WORDS]
}

/// Writes an entry at a word; the word behind it, or `None` when there is no room.
fn write(region: &[AtomicU64], at: usize, bytes: &[u8]) -> Option<usize> {
    let end = at + 1 + bytes.len().div_ceil(8);
    // One word is left over: it is the zero that ends the region.
    if end >= region.len() || bytes.is_empty() {
        return None;
    }
    for (word, chunk) in region[at + 1..end].iter().zip(bytes.chunks(8)) {
        let mut value = [0; 8];
        value[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(value), Ordering::Relaxed);
    }
    let length = u32::try_from(bytes.len()).ok()?;
    region[at].store(head(length, bytes), Ordering::Release);
    Some(end)
}

/// Reads the entry at a word; the word behind it, or `None` when there is no whole
/// one.
fn entry(region: &[AtomicU64], at: usize, bytes: &mut Vec<u8>) -> Option<usize> {
    let word = region.get(at)?.load(Ordering::Acquire);
    let length = (word & u64::from(u32::MAX)) as u32;
    let end = at + 1 + (length as usize).div_ceil(8);
    if length == 0 || end >= region.len() {
        return None;
    }
    bytes.clear();
    for word in &region[at + 1..end] {
        bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    bytes.truncate(length as usize);
    (head(length, bytes) == word).then_some(end)
}

/// The word before an entry's bytes.
fn head(length: u32, bytes: &[u8]) -> u64 {
    u64::from(crc32fast::hash(bytes)) << 32 | u64::from(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Arc<SharedMemory> {
        let file = SharedMemory::anonymous("journal").unwrap();
        Arc::new(SharedMemory::map(file, WORDS).unwrap())
    }

    fn entries(memory: &Arc<SharedMemory>) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        Regions::open(Arc::clone(memory), |bytes| found.push(bytes.to_vec())).unwrap();
        found
    }

    #[test]
    fn entries_come_back_in_order_and_more_can_be_added() {
        let memory = memory();
        let mut journal = Regions::create(Arc::clone(&memory));
        journal.append(b"one").unwrap();
        journal.append(b"a second, longer entry").unwrap();
        let mut journal = Regions::open(Arc::clone(&memory), |_| {}).unwrap();
        journal.append(b"3").unwrap();

        let expected = [b"one".as_slice(), b"a second, longer entry", b"3"];

        assert_eq!(entries(&memory), expected);
    }

    #[test]
    fn an_entry_cut_off_in_the_making_is_not_there() {
        let memory = memory();
        let mut journal = Regions::create(Arc::clone(&memory));
        journal.append(b"whole").unwrap();
        let end = journal.end;
        journal.append(b"this one will be torn in two").unwrap();
        region(&memory, 0)[end + 2].fetch_xor(1 << 40, Ordering::Relaxed);

        let mut again = Regions::open(Arc::clone(&memory), |_| {}).unwrap();
        again.append(b"next").unwrap();

        assert_eq!(entries(&memory), [b"whole".as_slice(), b"next"]);
    }

    #[test]
    fn a_snapshot_takes_the_place_of_everything() {
        let memory = memory();
        let mut journal = Regions::create(Arc::clone(&memory));
        for turn in 0..5_u8 {
            journal.append(&[turn; 100]).unwrap();
            journal.replace(&[turn; 10]).unwrap();
            journal.append(&[turn]).unwrap();
            assert_eq!(entries(&memory), [vec![turn; 10], vec![turn]]);
        }
    }

    #[test]
    fn something_else_is_no_journal() {
        let error = Regions::open(memory(), |_| {}).unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
