//! Pools of event listeners: which events wait for which pool, and who is sent what.
//!
//! It does nothing itself and knows no process, pipe or clock: the same calls in the same
//! order give the same pools, and that is how they survive a kill (see [`super::audience`]).
//!
//! An event gets its number when the first pool takes it. It waits in the queue of each
//! pool that has subscribed to it, until a listener of the pool has processed it. What is
//! rejected, or was with a listener that died, goes back to the head of its own pool's
//! queue; a listener that rejects rests for a moment, others do not. Supervisor's source:
//! `EventListenerPool` in its `process.py`. Two things differ: Supervisor puts a rejected
//! event also into other pools, for it takes processes of equal priority for equal, and
//! sends it again at once, as fast as it can.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bardo_core::{Generation, Instant, ServiceId};
use bardo_wire::listener::{Conversation, EventType, Header};

use super::note::Note;
use super::pool::{End, Message, Outgoing, Pool, PoolSpec, Talk, after};

/// Most bytes that wait in all pools together, with what listeners have in their hands. They
/// are in the journal, which has room for three times as much.
pub const WAITING_BYTES_MAX: usize = 16 << 20;

/// The periods of the three ticks, in seconds.
const TICKS: [(EventType, i64); 3] =
    [(EventType::Tick5, 5), (EventType::Tick60, 60), (EventType::Tick3600, 3600)];

/// All pools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pools {
    /// The number of the next event.
    pub next_serial: u64,
    /// The time slice of each tick that was seen last.
    pub slices: [Option<i64>; 3],
    pools: Vec<Pool>,
}

impl Pools {
    /// Pools as they were.
    #[must_use]
    pub fn restored(next_serial: u64, slices: [Option<i64>; 3], pools: Vec<Pool>) -> Self {
        Self { next_serial, slices, pools }
    }

    /// The pools, in the order in which they were added.
    #[must_use]
    pub fn all(&self) -> &[Pool] {
        &self.pools
    }

    /// Whether there is nobody who listens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// Whether somebody has subscribed to a type.
    #[must_use]
    pub fn wants(&self, event: EventType) -> bool {
        self.pools.iter().any(|pool| pool.spec.wanted.contains(event))
    }

    /// Whether a service is a listener.
    #[must_use]
    pub fn has_member(&self, service: ServiceId) -> bool {
        self.pools.iter().any(|pool| pool.has_member(service))
    }

    /// Adds a pool, in place of one of the same name.
    pub fn add(&mut self, spec: PoolSpec) {
        self.remove(&spec.name);
        // The count of ticks that nobody has wanted so far begins with this pool.
        for (index, (event, _)) in TICKS.into_iter().enumerate() {
            if spec.wanted.contains(event) && !self.wants(event) {
                self.slices[index] = None;
            }
        }
        self.pools.push(Pool {
            spec,
            next_serial: 0,
            unsent_from: 0,
            queue: VecDeque::new(),
            talks: Vec::new(),
            bytes: 0,
        });
    }

    /// Removes a pool. Its events are lost, as in Supervisor.
    pub fn remove(&mut self, name: &str) {
        self.pools.retain(|pool| *pool.spec.name != *name);
    }

    /// Hands an event to every pool that has subscribed to it.
    pub fn offer(&mut self, event: EventType, payload: Arc<str>, notes: &mut Vec<Note>) {
        if !self.wants(event) {
            return;
        }
        let message = self.number(event, payload, notes);
        for pool in self.pools.iter_mut().filter(|pool| pool.spec.wanted.contains(event)) {
            pool.take_in(&message, notes);
        }
        self.limit(notes);
    }

    /// Hands a chunk of what a process has written to every pool that has subscribed to it.
    ///
    /// Where the last thing that waits of this process is a chunk of the same stream that
    /// was never sent, it becomes a part of that: a chunk is what was read at once, and
    /// Supervisor, which reads nothing while it is at work on events, reads more at once
    /// the more there is to do. So one that answers at once keeps up with those who write
    /// line by line.
    pub fn offer_chunk(&mut self, event: EventType, payload: &Arc<str>, notes: &mut Vec<Note>) {
        let mut alone = Vec::new();
        for (place, pool) in self.pools.iter_mut().enumerate() {
            if pool.spec.wanted.contains(event) && !pool.add_to_last(event, payload) {
                alone.push(place);
            }
        }
        if !alone.is_empty() {
            let message = self.number(event, Arc::clone(payload), notes);
            for place in alone {
                self.pools[place].take_in(&message, notes);
            }
        }
        self.limit(notes);
    }

    /// A new event, with the next number.
    fn number(
        &mut self,
        event: EventType,
        payload: Arc<str>,
        notes: &mut Vec<Note>,
    ) -> Arc<Message> {
        notes.push(Note::Offered(event));
        let serial = self.next_serial;
        self.next_serial = after(serial);
        Arc::new(Message { serial, event, payload })
    }

    /// The wall clock shows this second: hands out the ticks of slices that have begun. The
    /// first one that is seen only begins the count.
    pub fn tick(&mut self, second: i64, notes: &mut Vec<Note>) {
        for (index, (event, period)) in TICKS.into_iter().enumerate() {
            let slice = second.div_euclid(period) * period;
            if self.slices[index].replace(slice).is_some_and(|last| last != slice) {
                self.offer(event, format!("when:{slice}").into(), notes);
            }
        }
    }

    /// The second at which the next tick is due that somebody has subscribed to.
    #[must_use]
    pub fn next_tick(&self, second: i64) -> Option<i64> {
        let wanted = TICKS.into_iter().filter(|(event, _)| self.wants(*event));
        wanted.map(|(_, period)| (second.div_euclid(period) + 1) * period).min()
    }

    /// Whether a slice has begun that was not seen yet.
    #[must_use]
    pub fn is_tick_due(&self, second: i64) -> bool {
        TICKS.into_iter().zip(self.slices).any(|((event, period), last)| {
            let slice = second.div_euclid(period) * period;
            (self.wants(event) || last.is_none()) && last != Some(slice)
        })
    }

    /// The process of a life is in state RUNNING from now on, or no longer.
    pub fn process(&mut self, service: ServiceId, generation: Generation, is_running: bool) {
        if is_running {
            if let Some((_, talk)) = self.talk_or_new(service, generation) {
                talk.is_running = true;
            }
        } else if let Some((_, talk)) = self.talk(service, generation) {
            talk.is_running = false;
        }
    }

    /// A life of a listener has said something.
    pub fn hear(
        &mut self,
        (service, generation): (ServiceId, Generation),
        bytes: &[u8],
        now: Instant,
        notes: &mut Vec<Note>,
    ) {
        let Some((place, talk)) = self.talk_or_new(service, generation) else { return };
        talk.conversation.hear(bytes);
        let pool = &mut self.pools[place];
        while let Some(verdict) = pool.next_said(service, generation, notes) {
            pool.take(service, generation, verdict, now, notes);
        }
        self.limit(notes);
    }

    /// A life has nothing more to say: its process has ended and its output was read. What
    /// it was at work on goes to another one.
    pub fn ended(&mut self, service: ServiceId, generation: Generation, notes: &mut Vec<Note>) {
        for pool in &mut self.pools {
            let is_it = |talk: &Talk| (talk.service, talk.generation) == (service, generation);
            let Some(place) = pool.talks.iter().position(is_it) else { continue };
            if let Some(letter) = pool.talks.remove(place).letter {
                pool.bytes -= letter.message.payload.len();
                pool.accept(letter, End::Head, notes);
            }
        }
        self.limit(notes);
    }

    /// The next listener that can be given an event.
    #[must_use]
    pub fn next_receiver(&self, now: Instant) -> Option<(ServiceId, Generation)> {
        let mut waiting = self.pools.iter().filter(|pool| !pool.queue.is_empty());
        waiting.find_map(|pool| pool.next_receiver(now))
    }

    /// When the first rest of a listener is over for which there is something.
    #[must_use]
    pub fn next_rest_end(&self) -> Option<Instant> {
        let waiting = self.pools.iter().filter(|pool| !pool.queue.is_empty());
        let talks = waiting.flat_map(|pool| &pool.talks).filter(|talk| talk.is_ready());
        talks.filter_map(|talk| talk.rest_until).min()
    }

    /// Gives the head of its pool's queue to a listener that is ready.
    pub fn assign(
        &mut self,
        service: ServiceId,
        generation: Generation,
        server: &str,
        notes: &mut Vec<Note>,
    ) {
        let Some((place, _)) = self.talk(service, generation) else { return };
        let pool = &mut self.pools[place];
        let Some(letter) = pool.queue.pop_front() else { return };
        pool.unsent_from = pool.unsent_from.max(letter.pool_serial.saturating_add(1));
        let (serial, listener) = (letter.message.serial, pool.name_of(service));
        let header = Header {
            server,
            serial,
            pool: &pool.spec.name,
            pool_serial: letter.pool_serial,
            event: letter.message.event,
            unit: pool.spec.unit,
        };
        let header = header.line(&letter.message.payload).into();
        if let Some(talk) = pool.talk(service, generation) {
            talk.conversation.sent();
            talk.outgoing = Some(Outgoing { header, letter: letter.clone(), sent: 0 });
            talk.letter = Some(letter);
        }
        notes.push(Note::Sent { serial, listener });
    }

    /// So many bytes of its event are in a listener's standard input.
    pub fn sent(&mut self, service: ServiceId, generation: Generation, bytes: u64) {
        let talk = self.talk(service, generation);
        if let Some(outgoing) = talk.and_then(|(_, talk)| talk.outgoing.as_mut()) {
            outgoing.sent = bytes;
        }
    }

    /// All bytes of its event are there.
    pub fn delivered(&mut self, service: ServiceId, generation: Generation) {
        if let Some((_, talk)) = self.talk(service, generation) {
            talk.outgoing = None;
        }
    }

    /// A listener does not read any more: somebody else gets its event.
    pub fn deaf(&mut self, service: ServiceId, generation: Generation, notes: &mut Vec<Note>) {
        let Some((place, talk)) = self.talk(service, generation) else { return };
        talk.is_deaf = true;
        talk.outgoing = None;
        let letter = talk.letter.take();
        let pool = &mut self.pools[place];
        if let Some(letter) = letter {
            pool.bytes -= letter.message.payload.len();
            let (serial, listener) = (letter.message.serial, pool.name_of(service));
            notes.push(Note::Deaf { serial, listener });
            pool.accept(letter, End::Head, notes);
        }
    }

    /// The event that is being sent to a listener.
    #[must_use]
    pub fn outgoing(&self, service: ServiceId, generation: Generation) -> Option<&Outgoing> {
        let is_it = |talk: &&Talk| (talk.service, talk.generation) == (service, generation);
        let mut talks = self.pools.iter().flat_map(|pool| &pool.talks);
        talks.find(is_it)?.outgoing.as_ref()
    }

    /// The lives to which an event is being sent.
    pub fn receivers(&self) -> impl Iterator<Item = (ServiceId, Generation)> {
        let talks = self.pools.iter().flat_map(|pool| &pool.talks);
        let receiving = talks.filter(|talk| talk.outgoing.is_some());
        receiving.map(|talk| (talk.service, talk.generation))
    }

    /// Every life that is listened to.
    pub fn lives(&self) -> impl Iterator<Item = (ServiceId, Generation)> {
        let talks = self.pools.iter().flat_map(|pool| &pool.talks);
        talks.map(|talk| (talk.service, talk.generation))
    }

    /// Whether more waits for a pool than half of what may.
    #[must_use]
    pub fn is_behind(&self, name: &str) -> bool {
        let mut pools = self.pools.iter();
        let pool = pools.find(|pool| *pool.spec.name == *name);
        pool.is_some_and(|pool| pool.queue.len() > pool.spec.buffer_size as usize / 2)
    }

    /// Keeps what waits within its bounds: the pool for which most waits gives up its oldest.
    fn limit(&mut self, notes: &mut Vec<Note>) {
        while self.pools.iter().map(|pool| pool.bytes).sum::<usize>() > WAITING_BYTES_MAX {
            let waiting = self.pools.iter_mut().filter(|pool| !pool.queue.is_empty());
            // What listeners have in their hands is not taken from them.
            let Some(pool) = waiting.max_by_key(|pool| pool.bytes) else { return };
            pool.overflow(notes);
        }
    }

    /// A life of a listener, with the place of its pool.
    fn talk(&mut self, service: ServiceId, generation: Generation) -> Option<(usize, &mut Talk)> {
        let mut pools = self.pools.iter_mut().enumerate();
        pools.find_map(|(place, pool)| Some((place, pool.talk(service, generation)?)))
    }

    /// The same; it begins where nothing was heard of it yet.
    fn talk_or_new(
        &mut self,
        service: ServiceId,
        generation: Generation,
    ) -> Option<(usize, &mut Talk)> {
        let place = self.pools.iter().position(|pool| pool.has_member(service))?;
        let pool = &mut self.pools[place];
        if pool.talk(service, generation).is_none() {
            // Of an earlier life nothing is wanted any more but the event that it has.
            pool.talks.retain(|talk| talk.service != service || talk.letter.is_some());
            pool.talks.push(Talk {
                service,
                generation,
                is_running: false,
                is_deaf: false,
                conversation: Conversation::default(),
                letter: None,
                outgoing: None,
                rest_until: None,
                rest: Duration::ZERO,
            });
        }
        Some((place, pool.talk(service, generation)?))
    }
}

#[cfg(test)]
mod tests;
