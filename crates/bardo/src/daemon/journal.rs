//! The journal: all that a supervisor knows, in memory that outlives it.
//!
//! Each change is an entry, written before anything follows from it. Now and then,
//! when there is nothing else to do, one snapshot takes the place of them all. A
//! new supervisor reads it from the beginning and knows what the old one knew; it
//! reads no configuration file.
//!
//! It may be of another version than its predecessor: `layout.rs` says who can read what.
//! A field is added like this:
//!
//! 1. write it last in its structure's `small` or `frame` (`records.rs`, `specs.rs`,
//!    `care.rs`, `audience.rs`, `entries.rs`);
//! 2. read it last; where `from.is_at_end()` the writer did not know it, and a default is
//!    right;
//! 3. raise `layout::VERSION`, and have a sample of it written (`tests/versions.rs`); those
//!    of former versions stay as they are;
//! 4. give it to the strategies in `tests/samples.rs`;
//! 5. raise `layout::LEAST` only when an older reader must not go on without it.
//!
//! A new kind of entry is passed over by older readers, and told of. A new variant within
//! an entry makes that entry one of an unknown kind for them; within a snapshot they can
//! do without nothing, so it raises `LEAST`.

mod audience;
mod care;
mod codec;
mod decisions;
mod entries;
mod layout;
mod owed;
mod records;
mod region;
mod specs;
mod store;
mod vitals;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use bardo_core::record::{Record, Snapshot};
use bardo_core::{Configuration, Decision, Generation, Pid, ServiceId};
use bardo_sys::memory::SharedMemory;

use super::cache::{Cache, Change};
use super::channels::Told;
use super::decisions::Decisions;
use super::images::MemoryCopy;
use super::owed::{Owed, Promise};

use self::codec::Unreadable::{self, Malformed, Unknown};
use self::codec::{Decoder, Encoder};
pub use self::layout::{Areas, LAST_WORDS, WORDS};
use self::region::Regions;
use super::listeners::audience::{Audience, Deed};

/// Entries behind the snapshot are worth a new snapshot from this many bytes on: four of
/// the largest chunks that event listeners are told of.
const COMPACT_FROM: usize = 512 << 10;

/// Clients add programs up to this size of it, which is half of what it can be.
const ADDED_UP_TO: usize = 32 << 20;

/// Most bytes of a configuration, as it is written down. Up to three of them are there at a
/// time: what was loaded, what is up, and what comes instead of both. It is some 40,000
/// programs.
const CONFIGURATION_UP_TO: usize = 16 << 20;

/// The first byte of a snapshot, and of an entry of several parts. Others have the
/// number of their kind.
const SNAPSHOT: u8 = 0;
const SEVERAL: u8 = 6;

/// What a supervisor knows of the world beside its table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// The files that automatic logs were given, by service and channel.
    pub auto_logs: HashMap<(ServiceId, u8), Arc<str>>,
    /// What a process of a service is known by.
    pub processes: HashMap<ServiceId, Process>,
    /// The last beginning whose lines were written to the main log.
    pub greeted: u64,
    /// How many supervisors have begun to load the configuration, to begin anew with it; 0
    /// when that is over.
    pub reload_tries: u8,
    /// Those who listen to events.
    pub audience: Audience,
    /// The listening sockets that programs share: the URL of each, by number.
    pub sockets: BTreeMap<u32, Arc<str>>,
    /// What clients have stored.
    pub cache: Cache,
    /// With which exit code everything ends, once it does.
    pub ends_with: u8,
    /// What was decided last about every service.
    pub decisions: Decisions,
    /// What services tell of themselves.
    pub told: BTreeMap<ServiceId, Told>,
    /// The commands that find out whether services work, while they run.
    pub checks: BTreeMap<ServiceId, Process>,
    /// The copies in memory that services are started from.
    pub copies: BTreeMap<ServiceId, MemoryCopy>,
    /// Lines of the main log that may not be written yet.
    pub owed: Owed,
}

/// What a process is known by: a pid alone is no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Which life.
    pub generation: Generation,
    /// Its number.
    pub pid: Pid,
    /// What the kernel knows it by.
    pub identity: u64,
    /// Where its session is what tells who belongs to it: when it was started, in clock ticks
    /// since boot, or a moment before.
    pub session: Option<u64>,
}

/// Something that is written down.
#[expect(
    clippy::large_enum_variant,
    reason = "the record of a service is made on the restart path, where nothing is allocated"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A change of the table.
    Table(Record),
    /// The file of an automatic log; `None` when there is none any more.
    AutoLog(ServiceId, u8, Option<Arc<str>>),
    /// What a process is known by.
    Process(ServiceId, Process),
    /// The lines of a beginning were written.
    Greeted(u64),
    /// The configuration is being loaded, to begin anew with it, and so many supervisors
    /// have begun that; or it is over: 0.
    Reloading(u8),
    /// Something happens to those who listen to events.
    Audience(Deed),
    /// The URL of a shared socket; `None` when there is none any more.
    Socket(u32, Option<Arc<str>>),
    /// What clients have stored is different.
    Cache(Change),
    /// Everything ends with this exit code, once it does.
    EndsWith(u8),
    /// Something was decided about a service; it is the decision of this number.
    Decided(u64, Decision),
    /// What a service tells of itself; an empty one when that is over.
    Told(ServiceId, Told),
    /// A command finds out whether a service works; `None` when it has ended.
    Check(ServiceId, Option<Process>),
    /// A service is started from a copy of its program; `None` when it is not any more.
    Copy(ServiceId, Option<MemoryCopy>),
    /// A line of the main log is promised.
    Owed(Promise),
}

/// The journal of one supervisor.
#[derive(Debug)]
pub struct Journal {
    regions: Regions,
    encoder: Encoder,
    /// Whether an entry found no room. After it no other is written: what is there stays a
    /// beginning of all there was, until a snapshot takes its place.
    is_full: bool,
}

/// What a journal says.
#[derive(Debug, Default)]
pub struct Memory {
    /// The table.
    pub table: Snapshot,
    /// The rest.
    pub surroundings: Surroundings,
    /// What could not be taken in.
    pub flaws: Flaws,
    has_snapshot: bool,
}

/// What a journal says that could not be taken in. What stands before it could, and
/// where each entry is whole by itself what stands behind it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flaws {
    /// Entries that are whole and not what any version writes.
    pub malformed: usize,
    /// Entries, or parts of them, that only a later version understands.
    pub unknown: usize,
    /// Changes of the table that make no sense where they stand, and parts of a snapshot
    /// that contradict others.
    pub senseless: usize,
    /// Entries from the first one on that has other bytes than were written: nothing is
    /// read behind it.
    pub lost: usize,
}

impl Journal {
    /// Makes a new journal that knows a configuration.
    ///
    /// # Errors
    /// When it is longer than a journal can be.
    pub fn create(memory: Arc<SharedMemory>, loaded: Configuration) -> io::Result<Self> {
        check_length(&loaded)?;
        let mut journal =
            Self { regions: Regions::create(memory), encoder: Encoder::default(), is_full: false };
        let table = Snapshot { loaded, ..Snapshot::default() };
        journal.replace(&table, &Surroundings::default())?;
        Ok(journal)
    }

    /// Opens a predecessor's journal.
    ///
    /// # Errors
    /// When it is no journal, or one that only a later version can read.
    pub fn open(memory: Arc<SharedMemory>) -> io::Result<(Self, Memory)> {
        let mut known = Memory::default();
        let (regions, lost) = Regions::open(memory, |bytes| known.read(bytes))?;
        known.flaws.lost = lost;
        if !known.has_snapshot {
            let text = "the snapshot that the journal begins with cannot be read";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok((Self { regions, encoder: Encoder::default(), is_full: false }, known))
    }

    /// Writes something down: when this returns true it survives. False means that
    /// there is no room before a snapshot has taken the place of what is there.
    #[must_use]
    pub fn append(&mut self, entry: &Entry) -> bool {
        entries::write_entry(&mut self.encoder, entry);
        self.encoder.close();
        self.append_encoded()
    }

    fn append_encoded(&mut self) -> bool {
        self.is_full = self.is_full || self.regions.append(self.encoder.bytes()).is_err();
        self.encoder.clear();
        !self.is_full
    }

    /// Begins an entry of several parts.
    pub fn begin(&mut self) -> Several<'_> {
        self.encoder.clear();
        self.encoder.byte(SEVERAL);
        Several { journal: self }
    }

    /// Whether a snapshot would shorten it much.
    #[must_use]
    pub fn is_long(&self) -> bool {
        let (snapshot, behind) = self.regions.sizes();
        let is_nearly_full = snapshot + behind > self.regions.capacity() / 4 * 3;
        behind > COMPACT_FROM.max(snapshot) || (is_nearly_full && behind > COMPACT_FROM)
    }

    /// Whether there is room for much more. What clients add must leave some for what
    /// happens to it.
    #[must_use]
    pub fn has_room_to_add(&self) -> bool {
        let (snapshot, behind) = self.regions.sizes();
        snapshot + behind < ADDED_UP_TO
    }

    /// Bytes of the snapshot, and bytes of the entries behind it.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        self.regions.sizes()
    }

    /// Puts a snapshot in place of all entries.
    ///
    /// # Errors
    /// When it is longer than a journal can be; the entries are then still there.
    pub fn replace(&mut self, table: &Snapshot, surroundings: &Surroundings) -> io::Result<()> {
        entries::write_all(&mut self.encoder, table, surroundings);
        let replaced = self.regions.replace(self.encoder.bytes());
        self.encoder.clear();
        self.is_full = self.is_full && replaced.is_err();
        replaced.map_err(|_| {
            io::Error::new(
                io::ErrorKind::StorageFull,
                "the configuration is too long for a journal",
            )
        })
    }

    /// The memory, for births and the log pump's cells.
    #[must_use]
    pub fn memory(&self) -> &Arc<SharedMemory> {
        self.regions.memory()
    }

    /// What stands where in the memory.
    #[must_use]
    pub fn areas(&self) -> &Areas {
        self.regions.areas()
    }
}

/// Refuses a configuration that would leave no room for what becomes of it. It is asked
/// before anything follows from it.
///
/// # Errors
/// When it is too long.
pub fn check_length(configuration: &Configuration) -> io::Result<()> {
    let mut encoder = Encoder::default();
    specs::write_configuration(&mut encoder, configuration);
    let length = encoder.bytes().len();
    if length <= CONFIGURATION_UP_TO {
        return Ok(());
    }
    let text = format!(
        "the configuration is too long: it is {} MiB when it is written down, and at most {} MiB \
         are possible",
        length.div_ceil(1 << 20),
        CONFIGURATION_UP_TO >> 20
    );
    Err(io::Error::new(io::ErrorKind::StorageFull, text))
}

/// Several things that are written down in one entry: all survive or none.
#[derive(Debug)]
pub struct Several<'a> {
    journal: &'a mut Journal,
}

impl Several<'_> {
    /// Adds one of them.
    pub fn add(&mut self, entry: &Entry) {
        self.journal.encoder.part();
        self.journal.encoder.frame(|to| entries::write_entry(to, entry));
    }

    /// Writes them down; as [`Journal::append`].
    #[must_use]
    pub fn append(self) -> bool {
        self.journal.append_encoded()
    }
}

impl Drop for Several<'_> {
    /// One that was begun and is not wanted leaves nothing for the entry after it.
    fn drop(&mut self) {
        self.journal.encoder.clear();
    }
}

impl Surroundings {
    /// Takes in an entry. Of a change of the table it takes what concerns the rest.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Table(record) => self.change(record),
            Entry::AutoLog(service, channel, Some(path)) => {
                self.auto_logs.insert((*service, *channel), Arc::clone(path));
            }
            Entry::AutoLog(service, channel, None) => {
                self.auto_logs.remove(&(*service, *channel));
            }
            Entry::Process(service, process) => {
                self.processes.insert(*service, *process);
            }
            Entry::Greeted(beginning) => self.greeted = *beginning,
            Entry::EndsWith(code) => self.ends_with = *code,
            Entry::Reloading(tries) => self.reload_tries = *tries,
            Entry::Audience(deed) => self.audience.apply(deed),
            Entry::Socket(number, Some(url)) => {
                self.sockets.insert(*number, Arc::clone(url));
            }
            Entry::Socket(number, None) => {
                self.sockets.remove(number);
            }
            Entry::Cache(change) => self.cache.apply(change),
            Entry::Decided(number, decision) => {
                self.decisions.keep(*number, decision);
            }
            Entry::Told(service, told) if *told == Told::default() => {
                self.told.remove(service);
            }
            Entry::Check(service, Some(process)) => {
                self.checks.insert(*service, *process);
            }
            Entry::Check(service, None) => {
                self.checks.remove(service);
            }
            Entry::Copy(service, Some(copy)) => {
                self.copies.insert(*service, copy.clone());
            }
            Entry::Copy(service, None) => {
                self.copies.remove(service);
            }
            Entry::Owed(promise) => self.owed.add(promise.clone()),
            Entry::Told(service, told) => {
                self.told.insert(*service, told.clone());
            }
        }
    }
}

impl Surroundings {
    /// Takes in what of a change of the table concerns the rest.
    fn change(&mut self, record: &Record) {
        self.decisions.note(record);
        self.decisions.settle();
    }
}

impl Memory {
    /// Takes in an entry, and counts it where that cannot be done.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        match self.try_read(bytes) {
            Ok(()) => {}
            Err(Malformed) => self.flaws.malformed += 1,
            Err(Unknown) => self.flaws.unknown += 1,
        }
    }

    fn try_read(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        let mut from = Decoder::new(bytes);
        match from.byte()? {
            SNAPSHOT => {
                let mut table = records::read_snapshot(&mut from)?;
                let senseless = table.mend();
                let read = |from: &mut _| entries::read_surroundings(from, &table.groups);
                let surroundings = from.frame(read)?;
                (self.table, self.surroundings) = (table, surroundings);
                self.flaws.senseless += senseless;
                self.has_snapshot = true;
            }
            SEVERAL => {
                // All of them or none, save those that only a later version understands.
                let mut parts = Vec::new();
                while !from.is_at_end() {
                    match from.frame(entries::read_entry) {
                        Ok(entry) => parts.push(entry),
                        Err(Unknown) => self.flaws.unknown += 1,
                        Err(Malformed) => return Err(Malformed),
                    }
                }
                parts.into_iter().for_each(|entry| self.apply(entry));
            }
            _ => {
                let entry = entries::read_entry(&mut Decoder::new(bytes))?;
                self.apply(entry);
            }
        }
        Ok(())
    }

    /// Writes what is known and reads it again.
    ///
    /// # Panics
    /// When it is not the same.
    #[cfg(fuzzing)]
    pub(crate) fn round_trip(&self) {
        let mut encoder = Encoder::default();
        entries::write_all(&mut encoder, &self.table, &self.surroundings);
        let mut again = Self::default();
        again.read(encoder.bytes());
        assert_eq!(again.flaws, Flaws::default(), "what was written is read");
        assert_eq!(again.table, self.table, "the table is the same");
        assert_eq!(again.surroundings, self.surroundings, "the rest is the same");
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Table(record) if self.table.admits(&record) => {
                self.surroundings.change(&record);
                self.table.apply(record);
            }
            Entry::Table(_) => self.flaws.senseless += 1,
            other => self.surroundings.apply(&other),
        }
        // They were for people who have heard of it, or never will.
        self.surroundings.audience.notes.clear();
    }
}

#[cfg(test)]
mod tests;
