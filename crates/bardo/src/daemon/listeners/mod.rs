//! Event listeners: what they are told, when, and what they answer.
//!
//! Two ways lead here: the core publishes what happens to processes and groups, and the
//! pump tells what programs write, among it what listeners say. One leads away: into a
//! listener's standard input. Everything in between is the [`audience`], which survives.
//!
//! ```text
//! core  -- publish -------------+
//! pump  -- intake -- hear ------+--> audience: pools, queues --> attend -- outbox --> listener
//! clock -- ticks, rests --------+        |
//! client -- sendRemoteCommEvent-+        +--> notes --> main log
//! ```
//!
//! One thing surprises a newcomer: a listener's answer comes by way of the pump, like any
//! output. It is written to the listener's log on its way, as Supervisor does.

pub mod audience;
pub mod captures;
pub mod note;
pub mod outbox;
pub mod pool;
pub mod pools;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bardo_config::ResultHandler;
use bardo_core::service::StateName;
use bardo_core::spec::{EventLength, GroupKind};
use bardo_core::{Event, Generation, Instant, ServiceId, Supervisor};
use bardo_keeper::protocol::{Key, Roles};
use bardo_sys::clock;
use bardo_sys::pipe;
use bardo_sys::poller::{Events, Interest, Poller};
use bardo_wire::listener::{EventType, EventTypes, LengthUnit};

use self::audience::{Deed, log};
use self::note::Note;
use self::outbox::{Moved, Outbox};
use self::pool::PoolSpec;
use super::children::Life;
use super::journal::Entry;
use super::main_log::Level;
use super::pump::intake::Intake;
use super::pump::{Channel, StreamKey};
use super::result_handler::{Judgement, judge};
use super::world::Machine;
use crate::words::{self, payload};

/// Most entries of the intake that are taken in at a time: restarts do not wait for those
/// who listen.
const ENTRIES_AT_A_TIME: usize = 64;

/// How soon something is tried again for which there were no descriptors.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What is ours of the work, beside the audience.
#[derive(Debug)]
pub struct Listening {
    intake: Intake,
    /// Made when it is needed first.
    outbox: Option<Outbox>,
    /// When something is tried again that was refused.
    try_again_at: Option<u64>,
    /// Whether people were told that it was.
    refusal_told: bool,
    /// Whether the journal had no room, so that events may have stopped on their way.
    was_held_up: bool,
    /// What was published and is written down with the next record.
    published: Vec<Deed>,
    /// Streams that have ended, each with the place in the intake before which all is that
    /// was told of it.
    endings: VecDeque<(u64, StreamKey)>,
    /// Says when a listener's standard input has room again.
    poller: Option<Poller>,
    events: Events,
    /// Those for whose room we wait.
    full: Vec<Life>,
    /// What results have for the standard inputs of programs: group, name and bytes.
    for_stdin: Vec<(Arc<str>, Arc<str>, Vec<u8>)>,
}

impl Listening {
    /// With the ring that the pump fills, and the outbox of a predecessor, if there is one.
    #[must_use]
    pub fn new(intake: Intake, outbox: Option<Outbox>) -> Self {
        Self {
            intake,
            outbox,
            try_again_at: None,
            refusal_told: false,
            was_held_up: false,
            published: Vec::new(),
            endings: VecDeque::new(),
            poller: None,
            events: Events::new(),
            full: Vec::new(),
            for_stdin: Vec::new(),
        }
    }

    /// What becomes readable when a listener has room.
    pub fn room(&self) -> Option<BorrowedFd<'_>> {
        self.poller.as_ref().filter(|_| !self.full.is_empty()).map(AsFd::as_fd)
    }

    /// The journal has no room: what is on its way may have stopped.
    pub fn hold_up(&mut self) {
        self.was_held_up = true;
    }

    /// What was published since the last time.
    pub fn take_published(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.published)
    }

    /// A stream has ended; whatever was told of it is before this place.
    pub fn ended(&mut self, key: StreamKey) {
        self.endings.push_back((self.intake.end(), key));
    }

    fn watch(&mut self, life: Life, stdin: &OwnedFd) -> io::Result<()> {
        let poller = match self.poller.take() {
            Some(poller) => poller,
            None => Poller::new()?,
        };
        self.poller.insert(poller).add(stdin, life.to_number(), Interest::Writable)?;
        self.full.push(life);
        Ok(())
    }

    /// Nobody waits for the room of a life any more.
    pub fn unwatch(&mut self, life: Life, stdin: Option<&OwnedFd>) {
        let Some(place) = self.full.iter().position(|full| *full == life) else { return };
        self.full.swap_remove(place);
        if let (Some(poller), Some(stdin)) = (&self.poller, stdin) {
            // One that is not watched needs no end.
            let _ = poller.delete(stdin);
        }
    }
}

impl Machine {
    /// Takes in what listeners and others have said, and sends what there is to send.
    pub(super) fn listen_and_send(&mut self) {
        self.hear();
        self.attend();
        self.tell_notes();
    }

    // What is told.

    /// Tells listeners what the core publishes; it is written down with the next record.
    pub(super) fn publish_event(&mut self, supervisor: &Supervisor, event: &Event) {
        if let Some(spec) = added_pool(supervisor, event) {
            self.enact_later(Deed::PoolAdded(spec));
        }
        if self.surroundings.audience.pools.is_empty() {
            return;
        }
        for pool in self.removed_pools(event) {
            self.enact_later(Deed::PoolRemoved(pool));
        }
        let pools = &self.surroundings.audience.pools;
        let wanted = payload::event_type(event).filter(|event| pools.wants(*event));
        if let Event::ProcessState { service, generation, to, .. } = event
            && pools.has_member(*service)
        {
            let is_running = *to == StateName::Running;
            let (service, generation) = (*service, *generation);
            self.enact_later(Deed::Process { service, generation, is_running });
        }
        if let Some(wanted) = wanted {
            self.enact_later(Deed::Offered(wanted, payload::event(event)));
        }
    }

    /// The pools that an event says were removed.
    fn removed_pools(&self, event: &Event) -> Vec<Arc<str>> {
        let pools = self.surroundings.audience.pools.all().iter();
        let is_gone = |name: &Arc<str>| match event {
            Event::Cleared => true,
            Event::GroupRemoved(removed) => name == removed,
            _ => false,
        };
        pools.map(|pool| Arc::clone(&pool.spec.name)).filter(is_gone).collect()
    }

    /// Tells listeners something by itself.
    pub(super) fn offer(&mut self, event: EventType, payload: Arc<str>) {
        if self.surroundings.audience.pools.wants(event) {
            self.enact(Deed::Offered(event, payload));
        }
    }

    fn enact_later(&mut self, deed: Deed) {
        self.surroundings.audience.apply(&deed);
        self.listening.published.push(deed);
    }

    fn enact(&mut self, deed: Deed) {
        self.note(&Entry::Audience(deed));
    }

    // What has happened.

    /// Takes in what the pump has told, a little at a time.
    pub(super) fn hear(&mut self) {
        let intake = &self.listening.intake;
        if intake.start() == intake.end() && self.listening.endings.is_empty() {
            return;
        }
        for _ in 0..ENTRIES_AT_A_TIME {
            if self.must_compact {
                return;
            }
            let heard = self.surroundings.audience.heard;
            let Some((bytes, place)) = self.listening.intake.next(heard) else { break };
            let at = Instant(clock::monotonic());
            self.enact(Deed::Heard { bytes, place, at });
        }
        if self.must_compact {
            return;
        }
        self.listening.intake.take(self.surroundings.audience.heard);
        self.pump.intake_has_room();
        while !self.must_compact
            && let Some((place, key)) = self.listening.endings.front().copied()
            && place <= self.surroundings.audience.heard
        {
            self.listening.endings.pop_front();
            let StreamKey { service, generation, channel } = key;
            self.enact(Deed::Ended { service, generation, channel });
        }
    }

    /// Whether there is more to be done at once.
    pub(super) fn has_more_to_hear(&self) -> bool {
        let more = self.surroundings.audience.heard < self.listening.intake.end();
        // What results have for programs is handed over when the turn is written down.
        (more && !self.must_compact) || !self.listening.for_stdin.is_empty()
    }

    /// Whether something of a stream may be of interest when it has ended.
    pub(super) fn stream_has_ended(&mut self, key: StreamKey) {
        let audience = &self.surroundings.audience;
        let is_heard = self.listening.intake.end() == audience.heard;
        if !is_heard || !audience.pools.is_empty() || audience.captures.all().next().is_some() {
            self.listening.ended(key);
        }
    }

    // What is sent.

    /// Sends what there is to whoever is ready, and says what has happened.
    pub(super) fn attend(&mut self) {
        if self.must_compact || self.surroundings.audience.pools.is_empty() {
            return;
        }
        if std::mem::take(&mut self.listening.was_held_up) {
            self.send_to_all();
        }
        if self.surroundings.audience.pools.is_tick_due(clock::wall_seconds()) {
            self.enact(Deed::Ticked(clock::wall_seconds()));
        }
        if self.listening.try_again_at.take_if(|at| *at <= clock::monotonic()).is_some() {
            self.send_to_all();
        }
        let now = Instant(clock::monotonic());
        while !self.must_compact
            && self.listening.try_again_at.is_none()
            && let Some((service, generation)) = self.surroundings.audience.pools.next_receiver(now)
        {
            let server = self.settings.identifier.as_str().into();
            self.enact(Deed::Assigned(service, generation, server));
            self.send(Life { service, generation });
        }
    }

    /// When there is something to do that nobody wakes us for, in nanoseconds from now.
    pub(super) fn attend_in(&self) -> Option<u64> {
        let pools = &self.surroundings.audience.pools;
        if pools.is_empty() {
            return None;
        }
        let now = clock::monotonic();
        if let Some(at) = self.listening.try_again_at {
            return Some(at.saturating_sub(now));
        }
        let rest = pools.next_rest_end().map(|until| until.0.saturating_sub(now));
        let wall = clock::wall_nanoseconds();
        let tick = pools
            .next_tick(wall.div_euclid(1_000_000_000))
            .map(|second| u64::try_from(second.saturating_mul(1_000_000_000) - wall).unwrap_or(0));
        [rest, tick].into_iter().flatten().min()
    }

    /// Goes on where there is room again.
    pub(super) fn send_on(&mut self) {
        if self.must_compact {
            // There is room also when it is asked again.
            return;
        }
        let Listening { poller: Some(poller), events, .. } = &mut self.listening else { return };
        if poller.wait(events, Some(Duration::ZERO)).is_err() {
            return;
        }
        let ready: Vec<u64> = events.iter().map(|event| event.token()).collect();
        for life in ready.into_iter().map(Life::from_number) {
            let stdin = self.children.get(life).and_then(|(_, child)| child.stdin.as_ref());
            self.listening.unwatch(life, stdin);
            self.send(life);
        }
    }

    /// Moves as much of a listener's event into its standard input as there is room for.
    fn send(&mut self, life: Life) {
        let Life { service, generation } = life;
        if let Err(error) = self.make_outbox() {
            if !std::mem::replace(&mut self.listening.refusal_told, true) {
                let text = format!("cannot send events: {error}; trying again");
                self.log(Level::Warn, &text);
            }
            self.try_later();
            return;
        }
        if self.children.get(life).is_some_and(|(pid, _)| self.backlog.has(pid)) {
            // What a client has sent to it goes first, whole.
            return self.wait_for_room(life);
        }
        while !self.must_compact
            && let Some((bytes, sent)) = self.rest_of_event(life)
        {
            if bytes.is_empty() {
                self.enact(Deed::Delivered(service, generation));
                return;
            }
            match self.send_part(life, &bytes, sent) {
                Some(Moved::All) => {}
                Some(Moved::Full) => return self.wait_for_room(life),
                Some(Moved::Closed) => return self.enact(Deed::Deaf(service, generation)),
                None => return self.try_later(),
            }
        }
    }

    /// What comes next of a listener's event, as much as can be sent at a time, and how much
    /// of it was sent.
    fn rest_of_event(&self, life: Life) -> Option<(Vec<u8>, u64)> {
        let bytes_max = self.listening.outbox.as_ref()?.capacity();
        let outgoing = self.surroundings.audience.pools.outgoing(life.service, life.generation)?;
        Some((outgoing.next_bytes(bytes_max), outgoing.sent))
    }

    /// Moves what fits into the outbox into a standard input; `None` where nothing can be
    /// packed now.
    fn send_part(&mut self, life: Life, part: &[u8], sent: u64) -> Option<Moved> {
        let Life { service, generation } = life;
        self.enact(Deed::Packing(service, generation, u32::try_from(part.len()).ok()?));
        if self.must_compact {
            return None;
        }
        self.listening.outbox.as_ref()?.empty();
        if self.listening.outbox.as_ref()?.pack(part).is_err() {
            self.listening.outbox.as_ref()?.empty();
            self.enact(Deed::Moved(sent));
            return None;
        }
        self.enact(Deed::Moving);
        let outbox = self.listening.outbox.as_ref()?;
        let moved = match self.children.get(life).and_then(|(_, child)| child.stdin.as_ref()) {
            Some(stdin) if !self.must_compact => outbox.move_into(stdin),
            Some(_) => Moved::Full,
            // It has ended; what it was given goes to another one.
            None => Moved::Closed,
        };
        let gone = part.len().saturating_sub(outbox.left());
        self.enact(Deed::Moved(sent + gone as u64));
        if !self.must_compact {
            // What is left there tells a successor how much was sent, until that is written down.
            self.listening.outbox.as_ref()?.empty();
        }
        Some(moved)
    }

    fn wait_for_room(&mut self, life: Life) {
        let Some((_, child)) = self.children.get(life) else { return };
        let Some(stdin) = &child.stdin else { return };
        if self.listening.watch(life, stdin).is_err() {
            self.try_later();
        }
    }

    fn try_later(&mut self) {
        let wait = u64::try_from(TRY_AGAIN.as_nanos()).unwrap_or(u64::MAX);
        self.listening.try_again_at = Some(clock::monotonic() + wait);
    }

    fn make_outbox(&mut self) -> io::Result<()> {
        if self.listening.outbox.is_none() {
            let (read, write) = pipe::pipe()?;
            let outbox = Outbox::new(read, write)?;
            let key = Key { owner: Key::HOUSE, life: 0 };
            let roles = Roles::OUTBOX_READ.and(Roles::OUTBOX_WRITE);
            self.link.hold(key, roles, &outbox.ends())?;
            self.listening.outbox = Some(outbox);
        }
        self.listening.refusal_told = false;
        Ok(())
    }

    // After a kill, and around.

    /// Goes on where the predecessor was cut off, with the streams that are still there.
    pub(super) fn resume_listening(&mut self, streams: &[StreamKey]) {
        self.surroundings.audience.notes.clear();
        // Where the journal has lost its end the ring has less, or more, than it knows of.
        let intake = &self.listening.intake;
        let heard = self.surroundings.audience.heard.max(intake.start()).min(intake.end());
        intake.take(heard);
        self.surroundings.audience.heard = heard;
        self.want_chunks();
        if let Some(transfer) = self.surroundings.audience.transfer {
            let (service, generation) = (transfer.service, transfer.generation);
            let pools = &self.surroundings.audience.pools;
            let sent = pools.outgoing(service, generation).map_or(0, |outgoing| outgoing.sent);
            let left = self.listening.outbox.as_ref().map_or(0, Outbox::left) as u64;
            let moved = match transfer.is_moving {
                true => u64::from(transfer.bytes).saturating_sub(left),
                false => 0,
            };
            self.enact(Deed::Moved(sent.saturating_add(moved)));
        }
        if let Some(outbox) = &self.listening.outbox {
            outbox.empty();
        }
        let audience = &self.surroundings.audience;
        let talks = audience.pools.lives().map(|(service, generation)| StreamKey {
            service,
            generation,
            channel: Channel::Stdout,
        });
        let speakers = audience.captures.all().map(|((service, generation, channel), _)| {
            let channel = Channel::BOTH[usize::from(*channel).min(1)];
            StreamKey { service: *service, generation: *generation, channel }
        });
        let over: Vec<StreamKey> =
            talks.chain(speakers).filter(|key| !streams.contains(key)).collect();
        for key in over {
            self.listening.ended(key);
        }
        self.send_to_all();
    }

    /// Goes on with every event that is on its way.
    fn send_to_all(&mut self) {
        let pools = &self.surroundings.audience.pools;
        let receivers: Vec<(ServiceId, Generation)> = pools.receivers().collect();
        for (service, generation) in receivers {
            let life = Life { service, generation };
            if !self.listening.full.contains(&life) {
                self.send(life);
            }
        }
    }

    /// Tells the pump what anybody wants to know.
    pub(super) fn want_chunks(&self) {
        for channel in Channel::BOTH {
            let wanted = self.surroundings.audience.pools.wants(log(channel));
            self.pump.want_chunks(channel, wanted);
        }
    }

    /// Does what a result asks for beside being a result.
    fn handle(&mut self, handler: ResultHandler, payload: &str, result: &[u8]) {
        let Judgement { stdout, stdin, .. } = judge(handler, result, clock::wall_seconds());
        if !stdout.is_empty() {
            self.pump.say_on_stdout(stdout);
        }
        if let Some((group, name)) = subject(payload).filter(|_| !stdin.is_empty()) {
            self.listening.for_stdin.push((group, name, stdin));
        }
    }

    /// Gives programs what results have for their standard inputs. One that is not there,
    /// or does not read, gets nothing, as in Supervisor.
    pub(super) fn hand_over(&mut self, supervisor: &Supervisor) {
        for (group, name, bytes) in std::mem::take(&mut self.listening.for_stdin) {
            let _ = self.write_stdin(supervisor, &group, &name, &bytes);
        }
    }

    /// Tells people what has happened to those who listen.
    pub(super) fn tell_notes(&mut self) {
        for note in std::mem::take(&mut self.surroundings.audience.notes) {
            match &note {
                Note::Handled { handler, payload, result } => {
                    self.handle(*handler, payload, result);
                }
                // Those of the core were counted when they were published.
                Note::Offered(event) if payload::is_of_core(*event) => {}
                Note::Offered(event) => self.metrics.told(*event),
                Note::Overflowed { pool, .. } => self.loses_events(pool),
                _ => {}
            }
            if let Some((level, text)) = words::listening(&note) {
                self.log(level, &text);
            }
        }
        self.forgive_listeners();
    }
}

/// The process that the payload of an event is about: its group and its name.
fn subject(payload: &str) -> Option<(Arc<str>, Arc<str>)> {
    let header = payload.lines().next()?;
    let field = |wanted: &str| {
        let mut fields = header.split(' ').filter_map(|field| field.split_once(':'));
        fields.find(|(name, _)| *name == wanted).map(|(_, value)| Arc::from(value))
    };
    Some((field("groupname")?, field("processname")?))
}

/// The pool that an event says was added.
fn added_pool(supervisor: &Supervisor, event: &Event) -> Option<PoolSpec> {
    let Event::GroupAdded(name) = event else { return None };
    let group = supervisor.groups().iter().find(|group| group.spec.name == *name)?;
    let GroupKind::Listeners(listeners) = &group.spec.kind else { return None };
    let types = listeners.events.iter().map(|name| EventTypes::named(name));
    let members = group.spec.services.iter().zip(&group.members);
    Some(PoolSpec {
        name: name.clone(),
        wanted: types.fold(EventTypes::default(), EventTypes::and),
        buffer_size: listeners.buffer_size,
        // The configuration was refused where it is none of these.
        handler: ResultHandler::parse(&listeners.result_handler).unwrap_or(ResultHandler::Default),
        unit: match listeners.event_length {
            EventLength::Characters => LengthUnit::Characters,
            EventLength::Bytes => LengthUnit::Bytes,
        },
        members: members.map(|(service, id)| (*id, service.name.clone())).collect(),
    })
}
