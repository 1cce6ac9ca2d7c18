//! Entries in memory that survives: written by plain stores, never by a system
//! call, and readable up to the last whole one whatever happens in between.
//!
//! An entry is a word with its length and checksum, then its bytes. The word is
//! stored last, so an entry is there or it is not; and the word behind it is zero before
//! that, so that what was cut off in the making is never taken for one. Two regions take
//! turns: a snapshot is written into the idle one, then one store makes it the live one.
//!
//! The first word of a region says how many entries there are. It is stored after the
//! entry, so it never says too much: when fewer can be read, the others were damaged.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bardo_sys::memory::SharedMemory;

use super::layout::{self, Areas};
use super::store::{punch, store};

/// Where the entries of a region begin: behind their number.
pub(super) const FIRST: usize = 1;

/// The region is full: a snapshot must take its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The regions of a journal.
#[derive(Debug)]
pub(super) struct Regions {
    memory: Arc<SharedMemory>,
    areas: Areas,
    live: usize,
    /// The word of the live region where the next entry goes.
    end: usize,
    /// Where the entries behind the snapshot begin.
    snapshot_end: usize,
    /// How many entries the live region has.
    entries: u32,
}

impl Regions {
    /// Makes an empty journal.
    #[must_use]
    pub(super) fn create(memory: Arc<SharedMemory>) -> Self {
        let areas = layout::create(&memory);
        Self::empty(memory, areas)
    }

    /// Those of a journal whose header is written.
    #[must_use]
    pub(super) fn empty(memory: Arc<SharedMemory>, areas: Areas) -> Self {
        Self { memory, areas, live: 0, end: FIRST, snapshot_end: FIRST, entries: 0 }
    }

    /// Opens a journal and hands out its entries in order. With it comes how many are
    /// lost, because the first of them has other bytes than were written.
    ///
    /// # Errors
    /// When it is no journal, or one that only later versions can read.
    pub(super) fn open(
        memory: Arc<SharedMemory>,
        mut read: impl FnMut(&[u8]),
    ) -> io::Result<(Self, usize)> {
        let areas = layout::open(&memory)?;
        let live = layout::live(&memory);
        let region = &memory.words()[areas.regions[live].clone()];
        let (mut end, mut snapshot_end, mut entries) = (FIRST, FIRST, 0);
        let mut bytes = Vec::new();
        while let Some(next) = entry(region, end, &mut bytes) {
            read(&bytes);
            end = next;
            entries += 1;
            if entries == 1 {
                snapshot_end = end;
            }
        }
        let lost = number_in(region).unwrap_or(0).saturating_sub(entries) as usize;
        // The number may be damaged, too; but an entry that is not whole never has a head.
        let damaged = usize::from(region[end].load(Ordering::Relaxed) != 0);
        Ok((Self { memory, areas, live, end, snapshot_end, entries }, lost.max(damaged)))
    }

    /// Adds an entry: from this call's return on it survives the process.
    ///
    /// # Errors
    /// When the region is full.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let region = self.region(self.live);
        let end = write(region, self.end, bytes).ok_or(Full)?;
        store(&region[0], number_word(self.entries + 1));
        self.entries += 1;
        self.end = end;
        Ok(())
    }

    /// Puts one entry, a snapshot, in place of all that there is.
    ///
    /// # Errors
    /// When it is longer than a region.
    pub(super) fn replace(&mut self, snapshot: &[u8]) -> Result<(), Full> {
        let idle = 1 - self.live;
        self.clear(idle);
        let region = self.region(idle);
        let end = write(region, FIRST, snapshot).ok_or(Full)?;
        store(&region[0], number_word(1));
        layout::set_live(&self.memory, idle);
        self.clear(self.live);
        (self.live, self.end, self.snapshot_end, self.entries) = (idle, end, end, 1);
        Ok(())
    }

    /// Bytes of the snapshot, and bytes added behind it since.
    #[must_use]
    pub(super) fn sizes(&self) -> (usize, usize) {
        ((self.snapshot_end - FIRST) * 8, (self.end - self.snapshot_end) * 8)
    }

    /// Bytes of a region.
    #[must_use]
    pub(super) fn capacity(&self) -> usize {
        self.areas.regions.iter().map(|region| region.len() * 8).min().unwrap_or(0)
    }

    /// The memory, for those who keep other things in it.
    #[must_use]
    pub(super) fn memory(&self) -> &Arc<SharedMemory> {
        &self.memory
    }

    /// What stands where in it.
    #[must_use]
    pub(super) fn areas(&self) -> &Areas {
        &self.areas
    }

    /// The words of a region.
    fn region(&self, which: usize) -> &[AtomicU64] {
        &self.memory.words()[self.areas.regions[which].clone()]
    }

    /// Gives a region's pages back. Where that cannot be done they are written over the
    /// next time.
    fn clear(&self, which: usize) {
        let _ = punch(&self.memory, self.areas.regions[which].clone());
    }
}

/// The words of the live region.
#[cfg(test)]
pub(super) fn live(memory: &SharedMemory) -> &[AtomicU64] {
    let areas = layout::open(memory).unwrap();
    &memory.words()[areas.regions[layout::live(memory)].clone()]
}

/// How many entries a region says it has; `None` when that is damaged.
fn number_in(region: &[AtomicU64]) -> Option<u32> {
    let word = region[0].load(Ordering::Relaxed);
    let number = word as u32;
    (word == 0 || word == number_word(number)).then_some(number)
}

/// The number of entries, and its complement: what is damaged is no number.
fn number_word(entries: u32) -> u64 {
    u64::from(!entries) << 32 | u64::from(entries)
}

/// Writes an entry at a word; the word behind it, or `None` when there is no room.
fn write(region: &[AtomicU64], at: usize, bytes: &[u8]) -> Option<usize> {
    let end = at + 1 + bytes.len().div_ceil(8);
    // One word is left over: it is the zero that ends the region.
    if end >= region.len() || bytes.is_empty() {
        return None;
    }
    let length = u32::try_from(bytes.len()).ok()?;
    store(&region[end], 0);
    for (word, chunk) in region[at + 1..end].iter().zip(bytes.chunks(8)) {
        let mut value = [0; 8];
        value[..chunk.len()].copy_from_slice(chunk);
        store(word, u64::from_le_bytes(value));
    }
    store(&region[at], head(length, bytes));
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
    use super::super::store::cut;
    use super::*;

    fn memory() -> Arc<SharedMemory> {
        let file = SharedMemory::anonymous("journal").unwrap();
        Arc::new(SharedMemory::map(file, layout::WORDS).unwrap())
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
        let (mut journal, _) = Regions::open(Arc::clone(&memory), |_| {}).unwrap();
        journal.append(b"3").unwrap();

        let expected = [b"one".as_slice(), b"a second, longer entry", b"3"];

        assert_eq!(entries(&memory), expected);
    }

    #[test]
    fn a_damaged_entry_is_not_there_and_what_comes_next_takes_its_place() {
        let memory = memory();
        let mut journal = Regions::create(Arc::clone(&memory));
        journal.append(b"whole").unwrap();
        let end = journal.end;
        journal.append(b"this one will be torn in two").unwrap();
        live(&memory)[end + 2].fetch_xor(1 << 40, Ordering::Relaxed);

        let (mut again, lost) = Regions::open(Arc::clone(&memory), |_| {}).unwrap();
        again.append(b"next").unwrap();

        assert_eq!(lost, 1);
        assert_eq!(entries(&memory), [b"whole".as_slice(), b"next"]);
    }

    #[test]
    fn what_was_cut_off_in_the_making_is_never_taken_for_an_entry() {
        // What programs say is written down, so it may look like anything.
        let mut says = [0; 32];
        says[8..16].copy_from_slice(&head(8, b"not mine").to_le_bytes());
        says[16..24].copy_from_slice(b"not mine");
        let memory = memory();
        let mut journal = Regions::create(Arc::clone(&memory));
        // All but the head, and the number of entries.
        cut::after(1 + 4);
        journal.append(&says).unwrap();
        cut::never();
        let (mut again, _) = Regions::open(Arc::clone(&memory), |_| {}).unwrap();

        again.append(b"mine").unwrap();

        assert_eq!(entries(&memory), [b"mine"]);
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
