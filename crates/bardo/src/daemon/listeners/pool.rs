//! One pool of event listeners: its queue, what its listeners say, and who is next.
//!
//! It knows nothing of other pools. One thing surprises a newcomer: a chunk of what a
//! process has written may become a part of an event that still waits, see
//! [`Pool::add_to_last`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bardo_config::ResultHandler;
use bardo_core::{Generation, Instant, ServiceId};
use bardo_wire::listener::{Conversation, EventType, EventTypes, LengthUnit, ListenerState, Said};

use super::note::Note;
use crate::daemon::result_handler::{Verdict, judge};

/// The wait after an event was rejected; it doubles with each further one, up to the most.
pub(super) const REJECTED_WAIT: Duration = Duration::from_millis(100);
const REJECTED_WAIT_MAX: Duration = Duration::from_secs(3);

/// Chunks are put together up to so many bytes of an event, and with none that waits
/// further ahead than this: what a chunk costs has a bound.
pub(super) const TOGETHER_BYTES_MAX: usize = 16 << 10;
const TOGETHER_LOOK_BACK: usize = 64;

/// What a chunk that is no text is shown as; such ones stay alone.
const UNDECODABLE: &str = "Undecodable: ";

/// The last serial number before they begin again at 0.
pub(super) const SERIAL_MAX: u64 = i64::MAX as u64;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub serial: u64,
    /// Its type.
    pub event: EventType,
    /// What it says.
    pub payload: Arc<str>,
}

/// An event on its way to a listener of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The event.
    pub message: Arc<Message>,
    /// Its number in the pool.
    pub pool_serial: u64,
}

/// A new pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSpec {
    /// The name of its group.
    pub name: Arc<str>,
    /// What it has subscribed to.
    pub wanted: EventTypes,
    /// Most events that wait for it.
    pub buffer_size: u32,
    /// What judges its listeners' results.
    pub handler: ResultHandler,
    /// What the length of an event counts.
    pub unit: LengthUnit,
    /// Its listeners, the one that is asked first being first.
    pub members: Vec<(ServiceId, Arc<str>)>,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// What it was made of.
    pub spec: PoolSpec,
    /// The number of its next event.
    pub next_serial: u64,
    /// No event from this number on was sent to anybody.
    pub unsent_from: u64,
    /// The events that wait, the next one first.
    pub queue: VecDeque<Letter>,
    /// What its listeners say, life by life.
    pub talks: Vec<Talk>,
    /// Bytes of what waits and of what its listeners have in their hands.
    pub(super) bytes: usize,
}

/// One life of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// Whose.
    pub service: ServiceId,
    /// Which life.
    pub generation: Generation,
    /// Whether its process is in state RUNNING.
    pub is_running: bool,
    /// Whether its standard input is closed.
    pub is_deaf: bool,
    /// What it says.
    pub conversation: Conversation,
    /// The event that its result is due for.
    pub letter: Option<Letter>,
    /// The event that is being sent. It may have been judged before it was read to its end.
    pub outgoing: Option<Outgoing>,
    /// It is given nothing before this, for it has rejected an event.
    pub rest_until: Option<Instant>,
    /// How long the last such rest was.
    pub rest: Duration,
}

impl Talk {
    /// Whether it waits for an event, and can read it.
    pub(super) fn is_ready(&self) -> bool {
        self.is_running
            && !self.is_deaf
            && self.outgoing.is_none()
            && self.conversation.state == ListenerState::Ready
    }
}

/// An event that is being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The line before its payload.
    pub header: Arc<str>,
    /// The event.
    pub letter: Letter,
    /// How many bytes of both are in the listener's standard input.
    pub sent: u64,
}

impl Outgoing {
    /// The bytes that come next, so many at most.
    #[must_use]
    pub fn next_bytes(&self, bytes_max: usize) -> Vec<u8> {
        let sent = usize::try_from(self.sent).unwrap_or(usize::MAX);
        let (header, payload) = (self.header.as_bytes(), self.letter.message.payload.as_bytes());
        let mut bytes = header.get(sent..).unwrap_or_default().to_vec();
        let payload_sent = sent.saturating_sub(header.len());
        let payload = payload.get(payload_sent..).unwrap_or_default();
        bytes.extend_from_slice(&payload[..payload.len().min(bytes_max)]);
        bytes.truncate(bytes_max);
        bytes
    }
}

/// Which end of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Head,
    Tail,
}

impl Pool {
    /// A pool as it was.
    #[must_use]
    pub fn restored(
        spec: PoolSpec,
        (next_serial, unsent_from): (u64, u64),
        queue: VecDeque<Letter>,
        talks: Vec<Talk>,
    ) -> Self {
        let at_work = talks.iter().filter_map(|talk| talk.letter.as_ref());
        let bytes = queue.iter().chain(at_work).map(|letter| letter.message.payload.len()).sum();
        Self { spec, next_serial, unsent_from, queue, talks, bytes }
    }

    pub(super) fn has_member(&self, service: ServiceId) -> bool {
        self.spec.members.iter().any(|(member, _)| *member == service)
    }

    pub(super) fn name_of(&self, service: ServiceId) -> Arc<str> {
        let member = self.spec.members.iter().find(|(member, _)| *member == service);
        member.map_or_else(|| "?".into(), |(_, name)| Arc::clone(name))
    }

    pub(super) fn talk(&mut self, service: ServiceId, generation: Generation) -> Option<&mut Talk> {
        let is_it = |talk: &&mut Talk| (talk.service, talk.generation) == (service, generation);
        self.talks.iter_mut().find(is_it)
    }

    /// The first of its listeners, in their order, that is ready.
    pub(super) fn next_receiver(&self, now: Instant) -> Option<(ServiceId, Generation)> {
        let ready = |service: ServiceId| {
            self.talks.iter().find(|talk| {
                let is_resting = talk.rest_until.is_some_and(|until| now < until);
                talk.service == service && talk.is_ready() && !is_resting
            })
        };
        let talk = self.spec.members.iter().find_map(|(service, _)| ready(*service))?;
        Some((talk.service, talk.generation))
    }

    /// What follows for its event from what a life of a listener has said next: its result
    /// was judged, or there was none.
    pub(super) fn next_said(
        &mut self,
        service: ServiceId,
        generation: Generation,
        notes: &mut Vec<Note>,
    ) -> Option<Option<Verdict>> {
        let (listener, handler) = (self.name_of(service), self.spec.handler);
        let talk = self.talk(service, generation)?;
        let from = talk.conversation.state;
        let said = talk.conversation.next_said()?;
        let verdict = match said {
            Said::Ready | Said::Nonsense => None,
            Said::BadResult(line) => {
                notes.push(Note::BadResult { listener: Arc::clone(&listener), line });
                None
            }
            Said::Result(result) => {
                // What is to be written where is found out when it is written.
                let verdict = judge(handler, &result, 0).verdict;
                notes.push(match verdict {
                    Verdict::Accepted => Note::Processed(Arc::clone(&listener)),
                    Verdict::Rejected => Note::Rejected(Arc::clone(&listener)),
                    Verdict::Failed => Note::Failed(Arc::clone(&listener)),
                });
                if verdict == Verdict::Failed {
                    talk.conversation.break_off();
                }
                if let Some(letter) =
                    talk.letter.as_ref().filter(|_| handler != ResultHandler::Default)
                {
                    let payload = Arc::clone(&letter.message.payload);
                    notes.push(Note::Handled { handler, payload, result });
                }
                Some(verdict)
            }
        };
        let to = talk.conversation.state;
        notes.push(Note::Changed { listener: Arc::clone(&listener), from, to });
        if to == ListenerState::Unknown {
            notes.push(Note::Broken(listener));
        }
        Some(verdict)
    }

    /// What follows from what a listener has said.
    pub(super) fn take(
        &mut self,
        service: ServiceId,
        generation: Generation,
        verdict: Option<Verdict>,
        now: Instant,
        notes: &mut Vec<Note>,
    ) {
        let Some(talk) = self.talk(service, generation) else { return };
        let letter = talk.letter.take();
        match verdict {
            Some(Verdict::Accepted) => {
                talk.rest = Duration::ZERO;
                talk.rest_until = None;
            }
            Some(Verdict::Rejected) => {
                talk.rest = (talk.rest * 2).clamp(REJECTED_WAIT, REJECTED_WAIT_MAX);
                talk.rest_until = Some(now + talk.rest);
            }
            // One that wants an event, or speaks out of turn, was given none.
            Some(Verdict::Failed) | None => {}
        }
        let Some(letter) = letter else { return };
        self.bytes -= letter.message.payload.len();
        if verdict != Some(Verdict::Accepted) {
            self.accept(letter, End::Head, notes);
        }
    }

    /// Takes in a new event.
    pub(super) fn take_in(&mut self, message: &Arc<Message>, notes: &mut Vec<Note>) {
        let letter = Letter { message: Arc::clone(message), pool_serial: self.next_serial };
        self.next_serial = after(self.next_serial);
        self.accept(letter, End::Tail, notes);
    }

    /// Makes a chunk a part of the last event that waits of its process, if it may be one.
    pub(super) fn add_to_last(&mut self, event: EventType, payload: &str) -> bool {
        let Some((head, data)) = payload.split_once('\n') else { return false };
        let owner = head.rsplit_once(" pid:").map_or(head, |(owner, _)| owner);
        let unsent_from = self.unsent_from;
        let mut last = self.queue.iter_mut().rev().take(TOGETHER_LOOK_BACK);
        let Some(letter) = last.find(|letter| is_of(&letter.message.payload, owner)) else {
            return false;
        };
        let message = &letter.message;
        let same_head = message.payload.split_once('\n').is_some_and(|(own, before)| {
            own == head && !before.starts_with(UNDECODABLE) && !data.starts_with(UNDECODABLE)
        });
        let is_one = message.event == event && same_head && letter.pool_serial >= unsent_from;
        if !is_one || message.payload.len() + data.len() > TOGETHER_BYTES_MAX {
            return false;
        }
        let serial = message.serial;
        let payload: Arc<str> = [&*message.payload, data].concat().into();
        letter.message = Arc::new(Message { serial, event, payload });
        self.bytes += data.len();
        true
    }

    /// Takes an event into the queue. A full queue gives up its oldest first.
    pub(super) fn accept(&mut self, letter: Letter, end: End, notes: &mut Vec<Note>) {
        if end == End::Head {
            notes.push(Note::PutBack {
                pool: Arc::clone(&self.spec.name),
                serial: letter.message.serial,
                waiting: self.queue.len(),
                buffer_size: self.spec.buffer_size,
            });
        }
        if self.queue.len() >= self.spec.buffer_size as usize {
            self.overflow(notes);
        }
        self.bytes += letter.message.payload.len();
        match end {
            End::Head => self.queue.push_front(letter),
            End::Tail => self.queue.push_back(letter),
        }
    }

    pub(super) fn overflow(&mut self, notes: &mut Vec<Note>) {
        if let Some(oldest) = self.queue.pop_front() {
            self.bytes -= oldest.message.payload.len();
            let (pool, serial) = (Arc::clone(&self.spec.name), oldest.message.serial);
            notes.push(Note::Overflowed { pool, serial });
        }
    }
}

/// Whether a payload is about the process of which this is said first.
fn is_of(payload: &str, owner: &str) -> bool {
    payload.strip_prefix(owner).is_some_and(|rest| rest.starts_with([' ', '\n']))
}

pub(super) fn after(serial: u64) -> u64 {
    if serial >= SERIAL_MAX { 0 } else { serial + 1 }
}
