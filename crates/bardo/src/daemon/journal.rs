//! The journal: all that a supervisor knows, in memory that outlives it.
//!
//! Each change is an entry, written before anything follows from it. Now and then,
//! when there is nothing else to do, one snapshot takes the place of them all. A
//! new supervisor reads it from the beginning and knows what the old one knew; it
//! reads no configuration file.

mod audience;
mod codec;
mod records;
mod region;
mod specs;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use bardo_core::record::{Record, Snapshot};
use bardo_core::{Configuration, Generation, Pid, ServiceId};
use bardo_sys::memory::SharedMemory;

use super::cache::{Cache, Change};

use self::codec::{Decoder, Encoder, Malformed};
use self::region::Regions;
pub use self::region::{
    BIRTHS_AT, INTAKE_AT, LAST_WORDS, LAST_WORDS_AT, PUMP_AT, PUMP_WORDS, WORDS,
};
use super::listeners::audience::{Audience, Deed};

/// Entries behind the snapshot are worth a new snapshot from this many bytes on: four of
/// the largest chunks that event listeners are told of.
const COMPACT_FROM: usize = 512 << 10;

/// Clients add programs up to this size of it, which is half of what it can be.
const ADDED_UP_TO: usize = 32 << 20;

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
    /// Whether the configuration is being loaded, to begin anew with it.
    pub reloading: bool,
    /// Those who listen to events.
    pub audience: Audience,
    /// The listening sockets that programs share: the URL of each, by number.
    pub sockets: BTreeMap<u32, Arc<str>>,
    /// What clients have stored.
    pub cache: Cache,
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
}

/// Something that is written down.
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
    /// The configuration is being loaded, to begin anew with it; or that is over.
    Reloading(bool),
    /// Something happens to those who listen to events.
    Audience(Deed),
    /// The URL of a shared socket; `None` when there is none any more.
    Socket(u32, Option<Arc<str>>),
    /// What clients have stored is different.
    Cache(Change),
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
    /// Entries that could not be read and were passed over.
    pub unreadable: usize,
}

impl Journal {
    /// Makes a new journal that knows a configuration.
    ///
    /// # Errors
    /// When it is longer than a journal can be.
    pub fn create(memory: Arc<SharedMemory>, loaded: Configuration) -> io::Result<Self> {
        let mut journal =
            Self { regions: Regions::create(memory), encoder: Encoder::default(), is_full: false };
        let table = Snapshot { loaded, ..Snapshot::default() };
        journal.replace(&table, &Surroundings::default())?;
        Ok(journal)
    }

    /// Opens a predecessor's journal.
    ///
    /// # Errors
    /// When it is no journal of this version.
    pub fn open(memory: Arc<SharedMemory>) -> io::Result<(Self, Memory)> {
        let mut known = Memory::default();
        let regions = Regions::open(memory, |bytes| {
            if known.read(bytes).is_err() {
                known.unreadable += 1;
            }
        })?;
        Ok((Self { regions, encoder: Encoder::default(), is_full: false }, known))
    }

    /// Writes something down: when this returns true it survives. False means that
    /// there is no room before a snapshot has taken the place of what is there.
    #[must_use]
    pub fn append(&mut self, entry: &Entry) -> bool {
        write_entry(&mut self.encoder, entry);
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
        let is_nearly_full = snapshot + behind > region::BYTES / 4 * 3;
        behind > COMPACT_FROM.max(snapshot) || (is_nearly_full && behind > COMPACT_FROM)
    }

    /// Whether there is room for much more. What clients add must leave some for what
    /// happens to it.
    #[must_use]
    pub fn has_room_to_add(&self) -> bool {
        let (snapshot, behind) = self.regions.sizes();
        snapshot + behind < ADDED_UP_TO
    }

    /// Puts a snapshot in place of all entries.
    ///
    /// # Errors
    /// When it is longer than a journal can be; the entries are then still there.
    pub fn replace(&mut self, table: &Snapshot, surroundings: &Surroundings) -> io::Result<()> {
        let mut encoder = Encoder::default();
        write_all(&mut encoder, table, surroundings);
        let replaced = self.regions.replace(encoder.bytes());
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
        write_entry(&mut self.journal.encoder, entry);
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
    /// Takes in an entry that is not about the table.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Table(_) => {}
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
            Entry::Reloading(reloading) => self.reloading = *reloading,
            Entry::Audience(deed) => self.audience.apply(deed),
            Entry::Socket(number, Some(url)) => {
                self.sockets.insert(*number, Arc::clone(url));
            }
            Entry::Socket(number, None) => {
                self.sockets.remove(number);
            }
            Entry::Cache(change) => self.cache.apply(change),
        }
    }
}

impl Memory {
    /// Takes in an entry.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut from = Decoder::new(bytes);
        match from.byte()? {
            SNAPSHOT => {
                self.table = records::read_snapshot(&mut from)?;
                self.surroundings = read_surroundings(&mut from)?;
            }
            SEVERAL => {
                // All of them or none.
                let mut entries = Vec::new();
                while !from.is_at_end() {
                    from.part();
                    let kind = from.byte()?;
                    entries.push(read_entry(&mut from, kind)?);
                }
                entries.into_iter().for_each(|entry| self.apply(entry));
            }
            kind => {
                let entry = read_entry(&mut from, kind)?;
                if !from.is_at_end() {
                    return Err(Malformed);
                }
                self.apply(entry);
            }
        }
        if from.is_at_end() { Ok(()) } else { Err(Malformed) }
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Table(record) => self.table.apply(record),
            other => self.surroundings.apply(&other),
        }
        // They were for people who have heard of it, or never will.
        self.surroundings.audience.notes.clear();
    }
}

fn write_all(to: &mut Encoder, table: &Snapshot, surroundings: &Surroundings) {
    to.byte(SNAPSHOT);
    records::write_snapshot(to, table);
    to.u64(surroundings.greeted);
    to.byte(u8::from(surroundings.reloading));
    let logs: Vec<_> = surroundings.auto_logs.iter().collect();
    to.list(&logs, |to, ((service, channel), path)| {
        to.u32(service.0);
        to.byte(*channel);
        to.text(path);
    });
    let processes: Vec<_> = surroundings.processes.iter().collect();
    to.list(&processes, |to, (service, process)| {
        write_process(to, **service, process);
    });
    let sockets: Vec<_> = surroundings.sockets.iter().collect();
    to.list(&sockets, |to, (number, url)| {
        to.u32(**number);
        to.text(url);
    });
    to.part();
    audience::write(to, &surroundings.audience);
    let stored: Vec<Change> = surroundings.cache.changes().collect();
    to.list(&stored, write_change);
}

fn read_surroundings(from: &mut Decoder<'_>) -> Result<Surroundings, Malformed> {
    let (greeted, reloading) = (from.u64()?, from.byte()? == 1);
    let logs = from.list(|from| Ok(((from.service()?, from.byte()?), from.text()?.into())))?;
    let processes = from.list(read_process)?;
    let sockets = from.list(|from| Ok((from.u32()?, from.text()?.into())))?;
    from.part();
    let audience = audience::read(from)?;
    let mut cache = Cache::default();
    for change in from.list(read_change)? {
        cache.apply(&change);
    }
    Ok(Surroundings {
        cache,
        greeted,
        reloading,
        auto_logs: logs.into_iter().collect(),
        processes: processes.into_iter().collect(),
        audience,
        sockets: sockets.into_iter().collect(),
    })
}

fn write_entry(to: &mut Encoder, entry: &Entry) {
    match entry {
        Entry::Table(record) => {
            to.byte(1);
            records::write_record(to, record);
        }
        Entry::AutoLog(service, channel, path) => {
            to.byte(2);
            to.u32(service.0);
            to.byte(*channel);
            to.option(path.as_deref(), Encoder::text);
        }
        Entry::Process(service, process) => {
            to.byte(3);
            write_process(to, *service, process);
        }
        Entry::Greeted(beginning) => {
            to.byte(4);
            to.u64(*beginning);
        }
        Entry::Reloading(reloading) => {
            to.byte(5);
            to.byte(u8::from(*reloading));
        }
        Entry::Audience(deed) => {
            to.byte(7);
            audience::write_deed(to, deed);
        }
        Entry::Socket(number, url) => {
            to.byte(8);
            to.u32(*number);
            to.option(url.as_deref(), Encoder::text);
        }
        Entry::Cache(change) => {
            to.byte(9);
            write_change(to, change);
        }
    }
}

fn read_entry(from: &mut Decoder<'_>, kind: u8) -> Result<Entry, Malformed> {
    Ok(match kind {
        1 => Entry::Table(records::read_record(from)?),
        2 => {
            let (service, channel) = (from.service()?, from.byte()?);
            let path = from.option(|from| from.text().map(Arc::from))?;
            Entry::AutoLog(service, channel, path)
        }
        3 => {
            let (service, process) = read_process(from)?;
            Entry::Process(service, process)
        }
        4 => Entry::Greeted(from.u64()?),
        5 => Entry::Reloading(from.byte()? == 1),
        7 => Entry::Audience(audience::read_deed(from)?),
        8 => Entry::Socket(from.u32()?, from.option(|from| from.text().map(Arc::from))?),
        9 => Entry::Cache(read_change(from)?),
        _ => return Err(Malformed),
    })
}

fn write_change(to: &mut Encoder, change: &Change) {
    match change {
        Change::Store(namespace, key, value) => {
            to.byte(0);
            to.text(namespace);
            to.text(key);
            to.text(value);
        }
        Change::Delete(namespace, key) => {
            to.byte(1);
            to.text(namespace);
            to.text(key);
        }
        Change::Clear(namespace) => {
            to.byte(2);
            to.text(namespace);
        }
        Change::ClearAll => to.byte(3),
    }
}

fn read_change(from: &mut Decoder<'_>) -> Result<Change, Malformed> {
    let kind = from.byte()?;
    let mut text = || from.text().map(Arc::from);
    Ok(match kind {
        0 => Change::Store(text()?, text()?, text()?),
        1 => Change::Delete(text()?, text()?),
        2 => Change::Clear(text()?),
        3 => Change::ClearAll,
        _ => return Err(Malformed),
    })
}

fn write_process(to: &mut Encoder, service: ServiceId, process: &Process) {
    to.u32(service.0);
    to.u32(process.generation.0);
    to.u32(process.pid.0);
    to.u64(process.identity);
}

fn read_process(from: &mut Decoder<'_>) -> Result<(ServiceId, Process), Malformed> {
    let service = from.service()?;
    let (generation, pid) = (Generation(from.u32()?), Pid(from.u32()?));
    Ok((service, Process { generation, pid, identity: from.u64()? }))
}

#[cfg(test)]
mod tests;
