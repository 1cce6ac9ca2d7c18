//! The table of streams: one small entry each, found by place or by key.
//!
//! An entry is all that an idle stream costs besides its descriptor and its line
//! in the index: no buffer, no allocation of its own.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::file::{FileId, Rotation};
use super::filter::Filter;
use super::{Echo, StreamKey};

/// Which entry of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(pub(super) u32);

/// One stream.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: StreamKey,
    pub(super) pipe: OwnedFd,
    /// Where its bytes go; `None` drops them.
    pub(super) file: Option<FileId>,
    pub(super) rotation: Rotation,
    /// What is done to its bytes, and where that stands.
    pub(super) filter: Filter,
    /// Where else its bytes are shown.
    pub(super) echo: Option<Box<Echo>>,
    pub(super) flow: Flow,
    pub(super) growth: Growth,
    /// How many bytes are still to be carried before it ends, once that is known.
    pub(super) left: Option<u32>,
}

/// Whether a stream's pipe is being watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It is: bytes wake the pump.
    Watched,
    /// It holds the beginning of a line: more bytes wake the pump.
    Held,
    /// It is not, because its file takes nothing or the pump has not begun.
    Parked,
}

/// Whether a stream's pipe has been made larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    Untried,
    Tried,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Streams {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    by_key: HashMap<StreamKey, Slot>,
    /// What stands before each line of those that have a prefix.
    prefixes: HashMap<u32, Arc<str>>,
}

impl Streams {
    /// Adds a stream. Its key must not be in the table.
    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            let last = u32::try_from(self.entries.len() - 1);
            Slot(last.expect("there are fewer streams than descriptors"))
        });
        let before = self.by_key.insert(entry.key, slot);
        assert!(before.is_none(), "a stream is attached once");
        self.entries[slot.0 as usize] = Some(entry);
        slot
    }

    /// Takes a stream out.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.entries[slot.0 as usize].take()?;
        self.by_key.remove(&entry.key);
        self.prefixes.remove(&slot.0);
        self.free.push(slot);
        Some(entry)
    }

    /// The entry of that place, if it is taken.
    pub(super) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot.0 as usize)?.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot.0 as usize)?.as_mut()
    }

    /// From now on this stands before each line of a stream.
    pub(super) fn mark(&mut self, slot: Slot, prefix: Arc<str>) {
        self.prefixes.insert(slot.0, prefix);
    }

    /// What stands before each line of a stream.
    pub(super) fn prefix(&self, slot: Slot) -> &[u8] {
        self.prefixes.get(&slot.0).map_or(b"", |prefix| prefix.as_bytes())
    }

    /// Where the stream of that key is.
    pub(super) fn find(&self, key: StreamKey) -> Option<Slot> {
        self.by_key.get(&key).copied()
    }

    /// The places of all streams that `wanted` holds for.
    pub(super) fn which(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Slot> {
        let entries = (0..).map(Slot).zip(&self.entries);
        let taken = entries.filter(|(_, entry)| entry.as_ref().is_some_and(&wanted));
        taken.map(|(slot, _)| slot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_stream_costs_less_than_a_hundred_bytes() {
        let entry = size_of::<Option<Entry>>();
        // An entry of the index and its byte of control, at the worst load.
        let index = (size_of::<(StreamKey, Slot)>() + 1) * 8 / 7;

        assert!(entry + index < 100, "{entry} + {index}");
    }
}
