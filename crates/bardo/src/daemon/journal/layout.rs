//! Where things stand in a journal's memory, and which versions can read it.
//!
//! ```text
//! word   0        the name of the format
//!        1        its version, and the least version that a reader must know
//!        2        which region is the live one: 0 or 1
//!        3        how many areas there are, and a checksum of their table
//!        4 ..     the table: the first word of each area, and its words
//!       32 ..     the last words of a supervisor that ended by itself
//! ```
//!
//! Areas are known by their order: births, the log pump's cells, the ring of what it
//! tells, the two regions. Later versions may have others behind them and other sizes.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use bardo_sys::memory::SharedMemory;
use bardo_sys::spawn::BIRTH_WORDS;

use super::store::store;
use crate::daemon::pump::intake::INTAKE_WORDS;

/// Words of the header. Its table has room for fourteen areas.
const HEADER_WORDS: usize = 64;

/// Where a supervisor leaves its last words: also when nothing else can be read.
pub const LAST_WORDS: Range<usize> = 32..HEADER_WORDS;

/// What the first word says.
const NAME: u64 = u64::from_be_bytes(*b"BARDOJNL");

/// The version that this program writes. It goes up whenever what is written changes.
pub(super) const VERSION: u16 = 9;

/// The least version that can read what this program writes. It goes up only when what an
/// older one passes over, or takes a default for, would lead it astray, or when what the
/// other areas hold, and the tidings that are copied from there, is laid out differently:
/// nothing there is framed.
pub(super) const LEAST: u16 = 7;

/// Words of the log pump's cells. Untouched, they cost nothing.
const PUMP_WORDS: usize = 1 << 20;

/// Words of a region: 64 MiB, of which only what is written exists. Ten thousand
/// services need about 5 MiB.
const REGION_WORDS: usize = 1 << 23;

/// Words that a region has at least: a MiB, twice what entries may take before a snapshot
/// replaces them.
const REGION_WORDS_MIN: usize = 1 << 17;

/// Words of a journal that is made.
pub const WORDS: usize = HEADER_WORDS + BIRTH_WORDS + PUMP_WORDS + INTAKE_WORDS + 2 * REGION_WORDS;

/// Areas that this version knows.
const AREAS: usize = 5;

const AT_NAME: usize = 0;
const AT_VERSIONS: usize = 1;
const AT_LIVE: usize = 2;
const AT_TABLE: usize = 3;

/// The words of each area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Areas {
    /// Births that were begun.
    pub births: Range<usize>,
    /// The log pump's cells.
    pub pump: Range<usize>,
    /// The ring in which the pump tells what it carries.
    pub intake: Range<usize>,
    /// The regions of entries, which take turns.
    pub(super) regions: [Range<usize>; 2],
}

impl Areas {
    /// The areas of a journal that is made, one behind the other.
    fn new() -> Self {
        Self::of_sizes(HEADER_WORDS, [BIRTH_WORDS, PUMP_WORDS, INTAKE_WORDS, REGION_WORDS])
    }

    /// Areas of these sizes, from a word on.
    pub(super) fn of_sizes(mut from: usize, sizes: [usize; AREAS - 1]) -> Self {
        let mut next = |words: usize| {
            from += words;
            from - words..from
        };
        let [births, pump, intake, region] = sizes.map(&mut next);
        Self { births, pump, intake, regions: [region.clone(), next(region.len())] }
    }

    fn in_order(&self) -> [&Range<usize>; AREAS] {
        [&self.births, &self.pump, &self.intake, &self.regions[0], &self.regions[1]]
    }
}

/// Writes the header of an empty journal.
pub(super) fn create(memory: &SharedMemory) -> Areas {
    let areas = Areas::new();
    write(memory, &areas.in_order(), (VERSION, LEAST));
    areas
}

/// Writes a header. The name comes last: without it there is no journal.
pub(super) fn write(memory: &SharedMemory, areas: &[&Range<usize>], versions: (u16, u16)) {
    let words = memory.words();
    let places = words[AT_TABLE + 1..].chunks(2);
    for (place, area) in places.zip(areas) {
        store(&place[0], area.start as u64);
        store(&place[1], area.len() as u64);
    }
    store(&words[AT_TABLE], table_word(memory, areas.len() as u32));
    store(&words[AT_LIVE], 0);
    store(&words[AT_VERSIONS], versions_word(versions));
    store(&words[AT_NAME], NAME);
}

/// Reads the header of a predecessor's journal, and says in it that this version writes
/// here, too.
///
/// # Errors
/// When it is none, or only later versions can read it, or it has no room for what this
/// version needs.
pub(super) fn open(memory: &SharedMemory) -> io::Result<Areas> {
    let words = memory.words();
    if words.len() < HEADER_WORDS || words[AT_NAME].load(Ordering::Acquire) != NAME {
        return Err(refused("this is not a journal".to_owned()));
    }
    let word = words[AT_VERSIONS].load(Ordering::Relaxed);
    let (version, least) = ((word >> 16) as u16, word as u16);
    if word != versions_word((version, least)) {
        return Err(refused("the version of the journal cannot be read".to_owned()));
    }
    if least > VERSION {
        let text = format!(
            "the journal is of version {version} and can be read from version {least} on; \
             this program has version {VERSION}"
        );
        return Err(refused(text));
    }
    let areas = read_table(memory)?;
    store(&words[AT_VERSIONS], versions_word((version.max(VERSION), least.max(LEAST))));
    Ok(areas)
}

fn read_table(memory: &SharedMemory) -> io::Result<Areas> {
    let words = memory.words();
    let table = words[AT_TABLE].load(Ordering::Relaxed);
    let count = table as u32;
    let room = (LAST_WORDS.start - AT_TABLE - 1) / 2;
    if !(AREAS..=room).contains(&(count as usize)) || table != table_word(memory, count) {
        return Err(refused("the journal's table of areas cannot be read".to_owned()));
    }
    let area = |index: usize| {
        let place = AT_TABLE + 1 + 2 * index;
        let [start, length] = [place, place + 1].map(|at| words[at].load(Ordering::Relaxed));
        let end = start.checked_add(length).filter(|end| *end <= words.len() as u64);
        let end = end.ok_or_else(|| refused(format!("area {index} of the journal has no room")))?;
        // Both are no more than the length of the mapping.
        Ok::<_, io::Error>(start as usize..end as usize)
    };
    let areas =
        Areas { births: area(0)?, pump: area(1)?, intake: area(2)?, regions: [area(3)?, area(4)?] };
    let too_short = areas.births.len() < BIRTH_WORDS
        || areas.intake.len() < INTAKE_WORDS
        || areas.regions.iter().any(|region| region.len() < REGION_WORDS_MIN);
    if too_short {
        return Err(refused("the areas of the journal are too short".to_owned()));
    }
    Ok(areas)
}

/// Which region is the live one.
pub(super) fn live(memory: &SharedMemory) -> usize {
    usize::from(memory.words()[AT_LIVE].load(Ordering::Acquire) == 1)
}

/// Makes a region the live one.
pub(super) fn set_live(memory: &SharedMemory, region: usize) {
    store(&memory.words()[AT_LIVE], region as u64);
}

fn versions_word((version, least): (u16, u16)) -> u64 {
    let versions = u32::from(version) << 16 | u32::from(least);
    u64::from(crc32fast::hash(&versions.to_le_bytes())) << 32 | u64::from(versions)
}

fn table_word(memory: &SharedMemory, areas: u32) -> u64 {
    let table = &memory.words()[AT_TABLE + 1..][..2 * areas as usize];
    let mut checksum = crc32fast::Hasher::new();
    for word in table {
        checksum.update(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    u64::from(checksum.finalize()) << 32 | u64::from(areas)
}

fn refused(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
