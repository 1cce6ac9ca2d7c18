//! The channels of all programs: who is listened to, and what becomes of what is said.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use bardo_core::input::Saying;
use bardo_core::{Input, ServiceId};
use bardo_keeper::protocol::Roles;
use bardo_sys::cgroup::{Owner, Root};
use bardo_sys::control::{Inbox, Received};
use bardo_sys::poller::{Events, Interest, Poller};
use bardo_wire::control::Order;
use rustix::io::{Errno, read};

use super::super::children::Life;
use super::birth::Asks;
use super::closer::Closer;
use super::senders::{Nest, Principal, Strangers, may_speak};
use super::speaker::{Hearing, Speaker, Told};
use super::{Ends, Kind};

/// Most messages that are taken from a program at a time. Who says more in one turn of the
/// loop is not listened to for a while: others have something to say too.
const MESSAGES_MAX: usize = 32;

/// For how long. So a program that writes without end costs three thousand messages a
/// second, and its heartbeat is heard all the same.
const REST: Duration = Duration::from_millis(10);

/// Most messages of a turn, all channels together: a few milliseconds. Where that is
/// reached, whoever has had his share of it rests.
const TURN_MAX: usize = 1024;

/// For how many messages one counts whose sender was looked for in vain: that takes so much
/// longer.
const STRANGER_COSTS: usize = 4;

/// What may be taken from a channel of a process that has ended, in messages. More than the
/// kernel keeps, and nobody can add anything any more.
const LAST_MAX: usize = 1 << 16;

/// How long the keeper is not told of a channel that has come to its end. Mostly its process
/// ends as well, and what is told of that does for both.
const LINGERS: Duration = Duration::from_millis(10);

/// When a channel is tried again that the kernel has no room to watch.
const WATCH_AGAIN: Duration = Duration::from_secs(1);

/// A life that can speak, or the last one of its service that could.
#[derive(Debug)]
struct Voice {
    life: Life,
    principal: Principal,
    ends: Ends,
    speaker: Speaker,
    /// Who has spoken for it in vain.
    strangers: Strangers,
    /// Closes what it sends.
    closer: Closer,
    /// How much was heard of it in this turn, in messages.
    heard: usize,
    /// Whether its channels are watched.
    is_watched: bool,
}

impl Voice {
    fn new(life: Life, principal: Principal, ends: Ends, speaker: Speaker) -> Self {
        let (strangers, closer) = (Strangers::default(), Closer::default());
        Self { life, principal, ends, speaker, strangers, closer, heard: 0, is_watched: false }
    }
}

/// The channels of a process that has ended, and what closes what is left in them.
#[derive(Debug)]
struct Remains {
    ends: Ends,
    closer: Closer,
}

/// All channels of all programs.
#[derive(Debug)]
pub(crate) struct Channels {
    voices: HashMap<ServiceId, Voice>,
    /// What is to be closed when nobody waits for anything.
    over: Vec<Remains>,
    poller: Poller,
    /// Taken out while it is looked through.
    events: Option<Events>,
    /// Who is not listened to, and until when.
    resting: VecDeque<(u64, Life)>,
    /// Who was heard in this turn.
    talkers: Vec<ServiceId>,
    /// Closes what strangers send.
    closer: Closer,
    /// Channels that have come to their end, and when the keeper is told of each.
    closed: VecDeque<(u64, Life, Roles)>,
    /// Who tells something else of itself.
    retold: Vec<ServiceId>,
    hearing: Hearing,
    inbox: Inbox,
    /// What is said to a program.
    words: Vec<u8>,
}

impl Channels {
    /// None yet.
    ///
    /// # Errors
    /// What `epoll_create1` says.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            voices: HashMap::new(),
            over: Vec::new(),
            poller: Poller::new()?,
            events: Some(Events::new()),
            resting: VecDeque::new(),
            talkers: Vec::new(),
            closer: Closer::default(),
            closed: VecDeque::new(),
            retold: Vec::new(),
            hearing: Hearing::default(),
            inbox: Inbox::default(),
            words: Vec::new(),
        })
    }

    /// What becomes readable when somebody speaks; nothing where nobody can.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.voices.is_empty()).then(|| self.poller.as_fd())
    }

    /// How many services can speak.
    pub(crate) fn count(&self) -> usize {
        self.voices.len()
    }

    /// In how many nanoseconds somebody is to be listened to again, or the keeper to be told.
    pub(crate) fn rest_in(&self, now: u64) -> Option<u64> {
        let rest = self.resting.front().map(|(until, _)| until.saturating_sub(now));
        let told = self.closed.front().map(|(at, _, _)| at.saturating_sub(now));
        [rest, told].into_iter().flatten().min()
    }

    /// Takes in the channels of a process that was just made, in a cgroup where it has one.
    pub(crate) fn add(
        &mut self,
        life: Life,
        asks: &Asks,
        (pid, root): (u32, Option<Arc<Root>>),
        ends: Ends,
    ) {
        let speaker = Speaker::new(&asks.label, asks.period);
        self.insert(Voice::new(life, principal(life, asks, pid, root), ends, speaker));
    }

    /// Takes in the channels of a process that a predecessor has listened to.
    pub(crate) fn adopt(
        &mut self,
        life: Life,
        asks: &Asks,
        (pid, root, told): (u32, Option<Arc<Root>>, Told),
        ends: Ends,
    ) {
        let speaker = Speaker::resumed(&asks.label, asks.period, told, asks.pings.into());
        self.insert(Voice::new(life, principal(life, asks, pid, root), ends, speaker));
    }

    fn insert(&mut self, voice: Voice) {
        if let Some(before) = self.voices.insert(voice.life.service, voice) {
            unwatch(&self.poller, &before.ends);
        }
    }

    /// Listens to a process from now on: its program runs.
    pub(crate) fn listen(&mut self, life: Life, now: u64) {
        let Some(voice) = self.voices.get_mut(&life.service).filter(|it| it.life == life) else {
            return;
        };
        if voice.is_watched {
            return;
        }
        voice.is_watched = true;
        let mut ends = voice.ends.each();
        let watch = |kind: Kind, end| {
            self.poller.add(end, kind.token(life.service), Interest::Readable).is_ok()
        };
        if !ends.all(|(kind, end)| watch(kind, end)) {
            drop(ends);
            unwatch(&self.poller, &voice.ends);
            voice.is_watched = false;
            self.rest(life, now, WATCH_AGAIN);
        }
    }

    /// Hears what has been said, a part of it where that is much.
    pub(crate) fn hear(&mut self, now: u64, inputs: &mut Vec<Input>) {
        while self.resting.front().is_some_and(|(until, _)| *until <= now) {
            let Some((_, life)) = self.resting.pop_front() else { break };
            self.listen(life, now);
        }
        // Somebody may speak on them whom nobody hears any more.
        self.bury();
        let Some(mut events) = self.events.take() else { return };
        let mut heard = 0;
        // One message of each at a time: to find that there is no other would cost a system
        // call for each, and to ask for all of them together costs one.
        for _ in 0..MESSAGES_MAX {
            let waited = self.poller.wait(&mut events, Some(Duration::ZERO));
            if waited.is_err() || events.iter().next().is_none() || heard >= TURN_MAX {
                break;
            }
            for (service, kind) in events.iter().filter_map(|it| Kind::from_token(it.token())) {
                heard += self.take(service, kind, 1, now, inputs);
            }
        }
        self.events = Some(events);
        self.share_out(heard, now);
    }

    /// Who has said more than his share in a turn that has heard so much rests.
    fn share_out(&mut self, heard: usize, now: u64) {
        let talkers = mem::take(&mut self.talkers);
        let share = if heard < TURN_MAX { MESSAGES_MAX } else { TURN_MAX / talkers.len().max(1) };
        for service in &talkers {
            let Some(voice) = self.voices.get_mut(service) else { continue };
            if mem::take(&mut voice.heard) >= share.clamp(1, MESSAGES_MAX) {
                self.quiet(*service, now);
            }
        }
        self.talkers = talkers;
        self.talkers.clear();
    }

    /// Hears all that a process has said that has ended. Its channels are closed by
    /// [`Self::bury`]: another one may be about to be born.
    pub(crate) fn finish(&mut self, life: Life, now: u64, inputs: &mut Vec<Input>) {
        let Some(voice) = self.voices.get_mut(&life.service).filter(|it| it.life == life) else {
            return;
        };
        voice.is_watched = false;
        for kind in Kind::ALL {
            // What it has said lies there: a channel without anything is done with.
            if self.take(life.service, kind, 1, now, inputs) == 0 {
                continue;
            }
            // Whoever of its children goes on speaking could do so for ever.
            if let Some(voice) = self.voices.get(&life.service) {
                voice.ends.port(kind).inspect(|port| port.take_no_more());
            }
            self.take(life.service, kind, LAST_MAX, now, inputs);
        }
        // The keeper is told to let go of all channels of a life that is over.
        self.closed.retain(|(_, whose, _)| *whose != life);
        if let Some(voice) = self.voices.get_mut(&life.service) {
            let (ends, closer) = (mem::take(&mut voice.ends), mem::take(&mut voice.closer));
            self.over.push(Remains { ends, closer });
        }
    }

    /// Whether there are channels of processes that have ended.
    pub(crate) fn has_remains(&self) -> bool {
        !self.over.is_empty()
    }

    /// Closes the channels of processes that have ended.
    pub(crate) fn bury(&mut self) {
        for Remains { ends, closer } in self.over.drain(..) {
            unwatch(&self.poller, &ends);
            for port in [&ends.control, &ends.notify].into_iter().flatten() {
                port.take_no_more();
                // What lay unread in a socket would be closed with it, by the keeper, which
                // must not wait for that.
                for _ in 0..LAST_MAX {
                    let Ok(Received::Letter(letter)) = port.receive(&mut self.inbox) else { break };
                    closer.close(letter.descriptors);
                }
            }
        }
    }

    /// Forgets a service.
    pub(crate) fn forget(&mut self, service: ServiceId) {
        if let Some(voice) = self.voices.remove(&service) {
            unwatch(&self.poller, &voice.ends);
        }
    }

    /// Sends a ping. Where there is no room for it the one before was not read, and the
    /// answer to that is owed.
    pub(crate) fn ping(&mut self, life: Life, number: u32, now: u64) {
        if let Some(voice) = self.voices.get_mut(&life.service).filter(|it| it.life == life) {
            voice.speaker.pinged(number.into(), now);
        }
        self.say(life, &Order::Ping(number.into()));
    }

    /// Says something to a process, if it has room for that and there is somebody at the
    /// other end: nobody waits for it.
    pub(crate) fn say(&mut self, life: Life, order: &Order<'_>) {
        let voice = self.voices.get(&life.service).filter(|it| it.life == life);
        let Some(control) = voice.and_then(|voice| voice.ends.control.as_ref()) else { return };
        if order.write(&mut self.words).is_ok() {
            let _ = control.send(&self.words, &[]);
        }
    }

    /// The next line that people are to read.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        let lines = &mut self.hearing.lines;
        (!lines.is_empty()).then(|| lines.remove(0))
    }

    /// The next service that tells something else of itself.
    pub(crate) fn next_retold(&mut self) -> Option<(ServiceId, Told)> {
        let service = self.retold.pop()?;
        let told = self.voices.get_mut(&service)?.speaker.retold()?;
        Some((service, told.clone()))
    }

    /// The next channel that has come to its end, and that the keeper is told of now.
    pub(crate) fn next_closed(&mut self, now: u64) -> Option<(Life, Roles)> {
        self.closed.front().filter(|(at, _, _)| *at <= now)?;
        self.closed.pop_front().map(|(_, life, roles)| (life, roles))
    }

    /// Takes what a channel has, up to so much in messages; how much there was.
    fn take(
        &mut self,
        service: ServiceId,
        kind: Kind,
        most: usize,
        now: u64,
        inputs: &mut Vec<Input>,
    ) -> usize {
        let Some(voice) = self.voices.get_mut(&service) else { return 0 };
        let life = voice.life;
        let mut count = 0;
        let mut last = Heard::Nothing;
        while count < most {
            last = match kind {
                Kind::Control | Kind::Notify => {
                    let whose = (kind, &self.closer);
                    voice.take_message(whose, &mut self.inbox, now, &mut self.hearing)
                }
                Kind::Ready => voice.take_newline(&mut self.hearing),
            };
            let Heard::Something(weight) = last else { break };
            count += weight;
        }
        if voice.heard == 0 && count > 0 {
            self.talkers.push(service);
        }
        voice.heard += count;
        if voice.speaker.is_retold() && !self.retold.contains(&service) {
            self.retold.push(service);
        }
        let Life { service, generation } = life;
        let said = self.hearing.sayings.drain(..);
        inputs.extend(said.map(|saying| Input::Said { service, generation, saying }));
        match last {
            Heard::End => self.close(service, kind, now),
            Heard::Later => self.quiet(service, now),
            Heard::Something(_) | Heard::Nothing => {}
        }
        count
    }

    /// A channel has come to its end.
    fn close(&mut self, service: ServiceId, kind: Kind, now: u64) {
        let Some(voice) = self.voices.get_mut(&service) else { return };
        if let Some(end) = voice.ends.get(kind) {
            // It is not watched where its process has ended.
            let _ = self.poller.delete(end);
            voice.ends.close(kind);
            self.closed.push_back((after(now, LINGERS), voice.life, kind.role()));
        }
    }

    /// Does not listen to a process for a while.
    fn quiet(&mut self, service: ServiceId, now: u64) {
        let Some(voice) = self.voices.get_mut(&service) else { return };
        let life = voice.life;
        if mem::take(&mut voice.is_watched) {
            unwatch(&self.poller, &voice.ends);
            self.rest(life, now, REST);
        }
    }

    fn rest(&mut self, life: Life, now: u64, span: Duration) {
        let until = after(now, span);
        let place = self.resting.partition_point(|(other, _)| *other <= until);
        self.resting.insert(place, (until, life));
    }
}

/// What came of looking at a channel.
#[derive(Debug, Clone, Copy)]
enum Heard {
    /// Something, which has cost as much as so many messages.
    Something(usize),
    Nothing,
    /// Nothing can be taken now.
    Later,
    End,
}

impl Voice {
    /// Takes a message; `strangers` closes what comes with one of somebody else.
    fn take_message(
        &mut self,
        (kind, strangers): (Kind, &Closer),
        inbox: &mut Inbox,
        now: u64,
        hearing: &mut Hearing,
    ) -> Heard {
        let Some(port) = self.ends.port(kind) else { return Heard::Nothing };
        // Only its own come to the control socket.
        if !(self.closer.has_room() && (kind == Kind::Control || strangers.has_room())) {
            return Heard::Later;
        }
        let letter = match port.receive(inbox) {
            Ok(Received::Letter(letter)) => letter,
            Ok(Received::Nothing) => return Heard::Nothing,
            Ok(Received::Closed) => return Heard::End,
            // The kernel is short of something, and the channel is as good as it was.
            Err(_) => return Heard::Later,
        };
        let (descriptors, sender) = (letter.descriptors.len(), &letter.sender);
        // Nothing is kept of what comes along, and who waits for a barrier waits for that.
        if kind == Kind::Notify && self.strangers.have(sender.pid, now) {
            strangers.close(letter.descriptors);
            return Heard::Something(1);
        }
        if kind == Kind::Notify && !may_speak(sender, &self.principal) {
            self.strangers.add(sender.pid, now);
            self.speaker.was_spoken_for(sender.pid, sender.uid, hearing);
            strangers.close(letter.descriptors);
            return Heard::Something(STRANGER_COSTS);
        }
        if letter.is_cut {
            self.speaker.was_cut_short(hearing);
        } else {
            self.speaker.hear(letter.bytes, descriptors, now, hearing);
        }
        self.closer.close(letter.descriptors);
        Heard::Something(1)
    }

    /// A newline says that the program is ready; then nothing more is to be read.
    fn take_newline(&mut self, hearing: &mut Hearing) -> Heard {
        let Some(pipe) = &self.ends.ready else { return Heard::Nothing };
        let mut bytes = [0; 256];
        match read(pipe, &mut bytes) {
            Ok(0) => Heard::End,
            Ok(length) if bytes[..length].contains(&b'\n') => {
                hearing.sayings.push(Saying::Ready);
                Heard::End
            }
            Ok(_) | Err(Errno::INTR) => Heard::Something(1),
            Err(Errno::AGAIN) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }
}

/// For whom a life's channels speak.
fn principal(life: Life, asks: &Asks, pid: u32, root: Option<Arc<Root>>) -> Principal {
    let owner = Owner::Life(asks.label.to_string(), life.to_number());
    Principal { pid, uid: asks.uid, nest: root.map(|root| Nest { root, owner }) }
}

/// The moment that is so long after another one.
fn after(now: u64, span: Duration) -> u64 {
    now.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}

/// Ends the watch of all channels of a life. The keeper has duplicates, so to close ours
/// would not do.
fn unwatch(poller: &Poller, ends: &Ends) {
    for (_, end) in ends.each() {
        // One that is not watched is fine.
        let _ = poller.delete(end);
    }
}

#[cfg(test)]
mod tests;
