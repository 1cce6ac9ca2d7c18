//! The supervisor's end of its talk with the keeper.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bardo_keeper::protocol::{Exit, Key, Message, Predecessor, Roles, ToKeeper, ToSupervisor};
use bardo_sys::channel::{Channel, Received, Wait};
use bardo_sys::descriptors::FileId;
use bardo_sys::poll;

/// A descriptor that the keeper has held.
#[derive(Debug)]
pub struct Held {
    /// Whose.
    pub key: Key,
    /// Which.
    pub role: Roles,
    /// The descriptor.
    pub descriptor: OwnedFd,
}

/// What the keeper has handed on.
#[derive(Debug, Default)]
pub struct News {
    /// Exit records, in order.
    pub exits: Vec<Exit>,
    /// Signals: bit n is signal n.
    pub signals: u64,
    /// Whether the keeper is gone.
    pub lost: bool,
}

/// The talk. Threads may share it: messages are whole.
#[derive(Debug, Clone)]
pub struct Link {
    channel: Arc<Channel>,
    /// What the keeper holds, where there may be another one.
    ledger: Option<Arc<Mutex<Ledger>>>,
}

/// What the keeper was given to hold, by what its files are known by: whoever has the files
/// open can give them to the next keeper. Processes are not in it, which have no such thing
/// everywhere.
#[derive(Debug, Default)]
pub struct Ledger {
    files: HashMap<Key, Vec<(Roles, FileId)>>,
}

impl Ledger {
    fn add(&mut self, key: Key, role: Roles, file: BorrowedFd<'_>) {
        if role != Roles::PROCESS
            && let Ok(id) = FileId::of(file)
        {
            self.files.entry(key).or_default().push((role, id));
        }
    }

    fn remove(&mut self, key: Key, roles: Roles) {
        if let Some(files) = self.files.get_mut(&key) {
            files.retain(|(role, _)| !roles.meets(*role));
            if files.is_empty() {
                self.files.remove(&key);
            }
        }
    }

    /// Whose each file is.
    #[must_use]
    pub fn by_file(&self) -> HashMap<FileId, (Key, Roles)> {
        let all = self.files.iter().flat_map(|(key, files)| files.iter().map(move |it| (*key, it)));
        all.map(|(key, (role, id))| (*id, (key, *role))).collect()
    }
}

impl Link {
    /// Takes over the inherited end.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self { channel: Arc::new(Channel::from_inherited(socket)), ledger: None }
    }

    /// Keeps account of what the keeper is given to hold, because there may be another one.
    #[must_use]
    pub fn of_service(self) -> Self {
        Self { ledger: Some(Arc::default()), ..self }
    }

    /// Whether there may be another keeper, so that everything is held that it would need.
    #[must_use]
    pub fn is_of_service(&self) -> bool {
        self.ledger.is_some()
    }

    /// What the keeper was given to hold.
    pub fn ledger(&self) -> Option<MutexGuard<'_, Ledger>> {
        // Whoever has panicked with it has ended the process.
        self.ledger.as_ref().map(|all| all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes everything that the keeper holds, batch by batch.
    ///
    /// # Errors
    /// When the keeper is gone or cannot be understood.
    pub fn take_over(&self) -> io::Result<(Vec<Held>, Predecessor)> {
        let mut held = Vec::new();
        loop {
            self.say(ToKeeper::Next)?;
            let mut message = Message::default();
            let mut descriptors = Vec::new();
            let received = self.channel.receive(message.room(), Wait::ForRoom, |descriptor| {
                descriptors.push(descriptor);
            })?;
            let Received::Message(length) = received else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            message.set_length(length);
            match message.from_keeper() {
                Some(ToSupervisor::Held) => {
                    // The kernel drops those for which there is no number; a stream that
                    // nobody reads would hold up its program for ever.
                    if message.held().count() > descriptors.len() {
                        return Err(rustix::io::Errno::MFILE.into());
                    }
                    let named = message.held().zip(descriptors);
                    held.extend(named.map(|((key, role), descriptor)| Held {
                        key,
                        role,
                        descriptor,
                    }));
                }
                Some(ToSupervisor::Begin(predecessor)) => {
                    if let Some(mut ledger) = self.ledger() {
                        held.iter().for_each(|Held { key, role, descriptor }| {
                            ledger.add(*key, *role, descriptor.as_fd());
                        });
                    }
                    return Ok((held, predecessor));
                }
                Some(ToSupervisor::Exits | ToSupervisor::Signals(_)) | None => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    }

    /// Whether the keeper is gone, which is seen before all that it has said is read.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        poll::has_hung_up(self.channel.as_fd())
    }

    /// Takes what the keeper has handed on, without waiting.
    pub fn listen(&self, news: &mut News) {
        loop {
            let mut message = Message::default();
            match self.channel.receive(message.room(), Wait::No, drop) {
                Ok(Received::Message(length)) => {
                    message.set_length(length);
                    match message.from_keeper() {
                        Some(ToSupervisor::Exits) => news.exits.extend(message.exits()),
                        Some(ToSupervisor::Signals(signals)) => news.signals |= signals,
                        Some(ToSupervisor::Held | ToSupervisor::Begin(_)) | None => {}
                    }
                }
                Ok(Received::Nothing) => return,
                Ok(Received::Closed) | Err(_) => {
                    news.lost = true;
                    return;
                }
            }
        }
    }

    /// Says something. Waits for room in the channel: the keeper never waits for us,
    /// so there soon is.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn say(&self, what: ToKeeper) -> io::Result<()> {
        if let ToKeeper::Drop(key, roles) = what
            && let Some(mut ledger) = self.ledger()
        {
            ledger.remove(key, roles);
        }
        self.channel.send(Message::to_keeper(what).bytes(), &[], Wait::ForRoom)
    }

    /// Has the keeper tell whoever has started it, in the words of `sd_notify(3)`.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn tell(&self, text: &str) -> io::Result<()> {
        self.channel.send(Message::telling(text).bytes(), &[], Wait::ForRoom)
    }

    /// Says something if there is room for it, for threads that must not wait.
    pub fn try_say(&self, what: ToKeeper) {
        let _ = self.channel.send(Message::to_keeper(what).bytes(), &[], Wait::No);
    }

    /// Gives the keeper descriptors to hold. They are safe when this returns: a
    /// message in the channel outlives its sender.
    ///
    /// # Errors
    /// When the keeper is gone, or the kernel lets no more descriptors travel just
    /// now (ETOOMANYREFS).
    pub fn hold(&self, key: Key, roles: Roles, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let message = Message::to_keeper(ToKeeper::Hold(key, roles));
        self.channel.send(message.bytes(), descriptors, Wait::ForRoom)?;
        if let Some(mut ledger) = self.ledger() {
            let named = roles.each().zip(descriptors);
            named.for_each(|(role, descriptor)| ledger.add(key, role, *descriptor));
        }
        Ok(())
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}
