//! The channels on which programs say something: a control socket, a notify socket, and a
//! descriptor for one newline. `docs/protocol.md` is what programs are told of them.
//!
//! Our ends are the keeper's too, so what is said while no supervisor listens waits for
//! the next one. What is said becomes an [`Input::Said`]; what that is worth the core
//! decides. Plain programs of Supervisor have no channels and cost nothing here.
//!
//! One thing surprises a newcomer: a channel is not listened to before its program is known
//! to run, so that the core hears of a process first; and it is read to its end before the
//! end of its process is told.

mod birth;
mod closer;
mod senders;
mod speaker;
mod voices;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bardo_core::{Input, ServiceId};
use bardo_keeper::protocol::Roles;
use bardo_sys::clock;
use bardo_sys::control::Port;

use super::children::Life;
use super::journal::Entry;
use super::main_log::Level;
use super::world::Machine;

pub(crate) use self::birth::{Asks, Opened, Stock};
pub use self::speaker::{Doing, STATUS_BYTES_MAX, Told};
pub(crate) use self::voices::Channels;

/// The channels that the keeper holds for a life.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Our end of its control socket.
    pub(super) control: Option<Port>,
    /// Its notify socket.
    pub(super) notify: Option<Port>,
    /// The read end of the pipe on which it says that it is ready.
    pub(super) ready: Option<OwnedFd>,
}

/// One of the channels of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Control,
    Notify,
    Ready,
}

/// What the keeper calls them.
pub(super) fn roles() -> Roles {
    Roles::CONTROL.and(Roles::NOTIFY).and(Roles::READY)
}

impl Kind {
    const ALL: [Self; 3] = [Self::Control, Self::Notify, Self::Ready];

    /// What the epoll set calls a channel.
    fn token(self, service: ServiceId) -> u64 {
        u64::from(service.0) << 2 | self as u64
    }

    fn from_token(token: u64) -> Option<(ServiceId, Self)> {
        let kind = Self::ALL.into_iter().find(|kind| *kind as u64 == token & 3)?;
        Some((ServiceId(u32::try_from(token >> 2).ok()?), kind))
    }

    fn role(self) -> Roles {
        match self {
            Self::Control => Roles::CONTROL,
            Self::Notify => Roles::NOTIFY,
            Self::Ready => Roles::READY,
        }
    }
}

impl Ends {
    fn get(&self, kind: Kind) -> Option<BorrowedFd<'_>> {
        match kind {
            Kind::Control => self.control.as_ref().map(AsFd::as_fd),
            Kind::Notify => self.notify.as_ref().map(AsFd::as_fd),
            Kind::Ready => self.ready.as_ref().map(AsFd::as_fd),
        }
    }

    /// The socket that a channel is, where it is one.
    fn port(&self, kind: Kind) -> Option<&Port> {
        match kind {
            Kind::Control => self.control.as_ref(),
            Kind::Notify => self.notify.as_ref(),
            Kind::Ready => None,
        }
    }

    fn close(&mut self, kind: Kind) {
        match kind {
            Kind::Control => self.control = None,
            Kind::Notify => self.notify = None,
            Kind::Ready => self.ready = None,
        }
    }

    /// Those that are there.
    fn each(&self) -> impl Iterator<Item = (Kind, BorrowedFd<'_>)> {
        Kind::ALL.into_iter().filter_map(|kind| Some((kind, self.get(kind)?)))
    }

    /// What the keeper is given of them, in the order of the roles' numbers.
    pub(super) fn held(&self) -> impl Iterator<Item = (Roles, BorrowedFd<'_>)> {
        self.each().map(|(kind, end)| (kind.role(), end))
    }
}

impl Machine {
    /// Hears what programs say.
    pub(super) fn hear_programs(&mut self, inputs: &mut Vec<Input>) {
        self.channels.hear(clock::monotonic(), inputs);
        self.heard();
    }

    /// All that a process has said that has ended is heard before its end.
    pub(super) fn hear_last_words(&mut self, life: Life, inputs: &mut Vec<Input>) {
        self.channels.finish(life, clock::monotonic(), inputs);
        self.heard();
    }

    /// What the life before told of itself is not so any more.
    pub(super) fn forget_told(&mut self, service: ServiceId) {
        if self.surroundings.told.contains_key(&service) {
            self.note(&Entry::Told(service, Told::default()));
        }
    }

    /// Tells people and the keeper what came of listening.
    fn heard(&mut self) {
        while let Some(line) = self.channels.next_line() {
            self.log(Level::Warn, &line);
        }
        while let Some((service, told)) = self.channels.next_retold() {
            self.note(&Entry::Told(service, told));
        }
        while let Some((life, roles)) = self.channels.next_closed(clock::monotonic()) {
            self.debts.done_with(life.key(), roles);
        }
    }
}
