//! All that is known of those who listen: pools, messages in the making, and how far the
//! pump's tidings have been taken in.
//!
//! It is kept by writing down what happens to it ([`Deed`]) and doing that once more: the
//! same deeds in the same order give the same audience. So a deed is written down before
//! anything follows from it, and whoever comes after a kill stands where the last one
//! stood. It acts on nothing itself.

use std::sync::Arc;

use bardo_core::{Generation, Instant, ServiceId};
use bardo_wire::listener::EventType;

use super::captures::Captures;
use super::note::Note;
use super::pool::PoolSpec;
use super::pools::Pools;
use crate::daemon::pump::Channel;
use crate::daemon::pump::intake::{PartKind, Tidings};
use crate::words::payload;

/// Something that happens to the audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A pool was added.
    PoolAdded(PoolSpec),
    /// A pool was removed.
    PoolRemoved(Arc<str>),
    /// An event is there for everybody who wants it.
    Offered(EventType, Arc<str>),
    /// The wall clock shows this second.
    Ticked(i64),
    /// A listener's process is in state RUNNING, or is no longer.
    Process {
        /// Which listener.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// Whether it is.
        is_running: bool,
    },
    /// The pump has told something.
    Heard {
        /// What, as [`Tidings::to_bytes`] writes it.
        bytes: Vec<u8>,
        /// The place behind it in the intake.
        place: u64,
        /// When it was taken in.
        at: Instant,
    },
    /// A process has ended and all its output of a channel has been told.
    Ended {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// Which channel.
        channel: Channel,
    },
    /// A listener is given the next event of its pool, by a supervisor of this name.
    Assigned(ServiceId, Generation, Arc<str>),
    /// So many bytes of an event are about to be put into the outbox, for this listener.
    Packing(ServiceId, Generation, u32),
    /// They are there, and about to be moved into its standard input.
    Moving,
    /// Some of them have been moved: so many bytes of the event are in the standard input
    /// now. What is left in the outbox is for nobody.
    Moved(u64),
    /// All bytes of a listener's event are in its standard input.
    Delivered(ServiceId, Generation),
    /// A listener does not read any more.
    Deaf(ServiceId, Generation),
}

/// Bytes of an event on their way into a listener's standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Which listener.
    pub service: ServiceId,
    /// Which life.
    pub generation: Generation,
    /// How many.
    pub bytes: u32,
    /// Whether all of them are in the outbox, and some may have left it.
    pub is_moving: bool,
}

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audience {
    /// The pools.
    pub pools: Pools,
    /// Messages in the making.
    pub captures: Captures,
    /// The place in the intake before which everything is known.
    pub heard: u64,
    /// What is on its way into a standard input.
    pub transfer: Option<Transfer>,
    /// What people have not been told yet. It is not kept.
    pub notes: Vec<Note>,
}

impl Audience {
    /// Lets something happen.
    pub fn apply(&mut self, deed: &Deed) {
        let mut notes = std::mem::take(&mut self.notes);
        self.enact(deed, &mut notes);
        self.notes = notes;
    }

    fn enact(&mut self, deed: &Deed, notes: &mut Vec<Note>) {
        match deed {
            Deed::PoolAdded(spec) => self.pools.add(spec.clone()),
            Deed::PoolRemoved(name) => self.pools.remove(name),
            Deed::Offered(event, payload) => self.pools.offer(*event, Arc::clone(payload), notes),
            Deed::Ticked(second) => self.pools.tick(*second, notes),
            Deed::Process { service, generation, is_running } => {
                self.pools.process(*service, *generation, *is_running);
            }
            Deed::Heard { bytes, place, at } => {
                self.heard = *place;
                if let Some(tidings) = Tidings::from_bytes(bytes) {
                    self.hear(&tidings, *at, notes);
                }
            }
            Deed::Ended { service, generation, channel } => {
                let unfinished = self.captures.take((*service, *generation, channel.index() as u8));
                if let Some(message) = unfinished.filter(|message| !message.bytes.is_empty()) {
                    let (process, message) = (message.process, message.bytes);
                    notes.push(Note::Unfinished { process, channel: *channel, message });
                }
                if *channel == Channel::Stdout {
                    self.pools.ended(*service, *generation, notes);
                }
            }
            Deed::Assigned(service, generation, server) => {
                self.pools.assign(*service, *generation, server, notes);
            }
            Deed::Packing(service, generation, bytes) => {
                let (service, generation) = (*service, *generation);
                let is_moving = false;
                self.transfer = Some(Transfer { service, generation, bytes: *bytes, is_moving });
            }
            Deed::Moving => {
                if let Some(transfer) = &mut self.transfer {
                    transfer.is_moving = true;
                }
            }
            Deed::Moved(bytes) => {
                if let Some(Transfer { service, generation, .. }) = self.transfer.take() {
                    self.pools.sent(service, generation, *bytes);
                }
            }
            Deed::Delivered(service, generation) => self.pools.delivered(*service, *generation),
            Deed::Deaf(service, generation) => {
                self.transfer = None;
                self.pools.deaf(*service, *generation, notes);
            }
        }
    }

    fn hear(&mut self, tidings: &Tidings, now: Instant, notes: &mut Vec<Note>) {
        let key = tidings.key;
        let life = (key.service, key.generation);
        let speaker = (key.service, key.generation, key.channel.index() as u8);
        for (kind, bytes) in &tidings.parts {
            match kind {
                PartKind::Said => self.pools.hear(life, bytes, now, notes),
                PartKind::Captured => {
                    let bytes_max =
                        usize::try_from(tidings.capture_bytes_max).unwrap_or(usize::MAX);
                    self.captures.add(speaker, &tidings.process, bytes, bytes_max);
                }
                PartKind::CaptureEnd => {
                    let message = self.captures.take(speaker).unwrap_or_default();
                    let payload = payload::communication(tidings, &message.bytes);
                    self.pools.offer(communication(key.channel), payload, notes);
                }
                PartKind::Logged => {}
            }
            let is_chunk = matches!(kind, PartKind::Logged | PartKind::Captured);
            if tidings.chunks && is_chunk && self.pools.wants(log(key.channel)) {
                self.pools.offer_chunk(log(key.channel), &payload::log(tidings, bytes), notes);
            }
        }
    }
}

fn communication(channel: Channel) -> EventType {
    match channel {
        Channel::Stdout => EventType::ProcessCommunicationStdout,
        Channel::Stderr => EventType::ProcessCommunicationStderr,
    }
}

/// The event that a chunk of a channel is.
pub fn log(channel: Channel) -> EventType {
    match channel {
        Channel::Stdout => EventType::ProcessLogStdout,
        Channel::Stderr => EventType::ProcessLogStderr,
    }
}
