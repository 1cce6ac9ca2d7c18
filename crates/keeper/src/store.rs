//! What the keeper holds, kept a second time by the service manager that has started it.
//!
//! A keeper that is killed takes what it holds with it, save what its manager has been given:
//! that is handed to the next one. Each descriptor has a name there that says whose it is, so
//! that nobody has to look into it.
//!
//! Like all that is told, this never waits. What is still to be given or taken back waits in a
//! ring, and what has been closed meanwhile is passed over. A manager keeps so many descriptors
//! and no more: what is beyond is given to it when others have been taken back. The ring has
//! room for the gift and the return of all that it may have, so no change is ever lost.

use std::fmt::{self, Write as _};
use std::io;
use std::os::fd::BorrowedFd;

use bardo_sys::channel::{Channel, Wait};

use crate::protocol::{Key, Roles};
use crate::vault::Vault;

/// The name of the journal there.
pub const JOURNAL: &str = "bardo-journal";

/// What all names of descriptors begin with.
const PREFIX: &str = "bardo.";

/// Most descriptors that a manager is given that does not say how many it keeps.
pub(crate) const KEPT_UNTOLD: usize = 1 << 15;

/// Most that it is given in any case: no process has more.
const KEPT_MAX: usize = 1 << 20;

/// Changes that wait and are none of what is held: the gift of the journal and its return, and
/// one place that is always free.
const SPARE: usize = 3;

/// Bytes of the longest message.
const MESSAGE_BYTES_MAX: usize = 128;

/// Those that live no longer than a keeper: nobody else is to have them.
const NOT_KEPT: Roles = Roles::HANDOVER.and(Roles::SUPERVISOR).and(Roles::TALK);

/// Whose the journal is.
const NOBODY: Key = Key { owner: 0, life: 0 };

/// What the manager is to do.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Keep the descriptor of this number, if it is still that one.
    Keep(u32),
    /// Keep the journal.
    KeepJournal,
    /// Keep no descriptor of this name any more.
    Drop,
    /// Keep the journal no more.
    DropJournal,
}

impl Change {
    /// As it waits, with the name that it is about.
    fn to_words(self, Key { owner, life }: Key, Roles(role): Roles) -> [u32; 5] {
        let (kind, place) = match self {
            Self::Drop => (0, 0),
            Self::Keep(place) => (1, place),
            Self::KeepJournal => (2, 0),
            Self::DropJournal => (3, 0),
        };
        [owner, life, role, kind, place]
    }

    fn from_words([owner, life, role, kind, place]: [u32; 5]) -> (Key, Roles, Self) {
        let change = match kind {
            1 => Self::Keep(place),
            2 => Self::KeepJournal,
            3 => Self::DropJournal,
            _ => Self::Drop,
        };
        (Key { owner, life }, Roles(role), change)
    }
}

/// What a manager has, and what it is to have.
#[derive(Debug)]
pub(crate) struct Store {
    waiting: Box<[[u32; 5]]>,
    first: usize,
    count: usize,
    /// Which of what is held the manager has, or will have.
    has: Box<[bool]>,
    /// Most that it keeps.
    most: usize,
    /// How many it has or will have, until their return is told.
    kept: usize,
    /// Whether it does not have all, for want of room.
    is_short: bool,
    /// Whether that is still to be told.
    shortage: Option<Shortage>,
    /// The place of what is held from which on it is looked for what is still to be told;
    /// `None` where all is.
    again_from: Option<usize>,
    /// Whether nothing is kept there any more.
    is_over: bool,
}

/// A manager that keeps less than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shortage {
    ToBeTold,
    Told,
}

/// What is told then, once.
pub(crate) const SHORTAGE: &str = "bardo: more descriptors are held for programs than the service manager keeps: where keeper \
     and supervisor are killed at once, output and control of some programs is lost; raise \
     FileDescriptorStoreMax= of the unit: install the service again, or use a drop-in\n";

/// What became of a try to tell the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// It knows all.
    All,
    /// There is more when it has room.
    Full,
    /// There is more, and not for want of room there.
    Later,
}

/// How long, in nanoseconds, one rests before what the kernel had no means for is tried again.
pub(crate) const REST: u64 = 10_000_000;

/// A message as it is put together, without memory of its own.
struct Message {
    bytes: [u8; MESSAGE_BYTES_MAX],
    length: usize,
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// The name of a descriptor.
struct Name(Key, Roles);

impl fmt::Display for Name {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Key { owner, life }, Roles(role)) = self;
        write!(to, "{PREFIX}{owner}.{life}.{role}")
    }
}

/// Whose descriptor has this name, if it is one that a keeper has given to its manager.
#[must_use]
pub fn named(name: &str) -> Option<(Key, Roles)> {
    let mut numbers = name.strip_prefix(PREFIX)?.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    let (key, role) = (Key { owner: next()?, life: next()? }, Roles(next()?));
    numbers.next().is_none().then_some((key, role))
}

/// Has a manager give up all that it keeps under a name: whoever begins anew wants none of it.
/// False when it takes nothing just now.
#[must_use]
pub fn take_back(manager: &Channel, name: &str) -> bool {
    let text = format!("FDSTOREREMOVE=1\nFDNAME={name}");
    let sent = manager.send(text.as_bytes(), &[], Wait::No);
    !sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

impl Store {
    /// For descriptors below `limit`, of which the manager keeps so many.
    pub(crate) fn new(limit: usize, most: usize) -> Self {
        let most = most.min(limit).min(KEPT_MAX);
        Self {
            // Zeroed memory of this size is not there until it is touched.
            waiting: vec![[0; 5]; 2 * most + SPARE].into(),
            first: 0,
            count: 0,
            has: vec![false; limit].into(),
            // The journal is one of them.
            most: most.saturating_sub(1),
            kept: 0,
            is_short: false,
            shortage: None,
            again_from: None,
            is_over: false,
        }
    }

    /// What is held there from before.
    pub(crate) fn has_already(&mut self, place: usize) {
        if let Some(has) = self.has.get_mut(place)
            // There may be more than we are told that it keeps: their return has room.
            && self.kept + self.most < self.waiting.len()
        {
            *has = true;
            self.kept += 1;
        }
    }

    /// The manager is to have the journal.
    pub(crate) fn keep_journal(&mut self) {
        self.push(NOBODY, Roles(0), Change::KeepJournal);
    }

    /// The manager is to have what is held there now.
    pub(crate) fn keep(&mut self, key: Key, role: Roles, place: usize) {
        let Some(has) = self.has.get_mut(place).filter(|has| !**has && !role.meets(NOT_KEPT))
        else {
            return;
        };
        if self.kept >= self.most {
            self.is_short = true;
            self.shortage.get_or_insert(Shortage::ToBeTold);
            return;
        }
        *has = true;
        self.kept += 1;
        let number = u32::try_from(place).unwrap_or(u32::MAX);
        self.push(key, role, Change::Keep(number));
    }

    /// Whether the manager keeps less than there is, and nobody was told yet.
    pub(crate) fn is_short_untold(&mut self) -> bool {
        let is_untold = self.shortage == Some(Shortage::ToBeTold);
        if is_untold {
            self.shortage = Some(Shortage::Told);
        }
        is_untold
    }

    /// What is held there is closed now.
    pub(crate) fn drop(&mut self, key: Key, role: Roles, place: usize) {
        if self.has.get_mut(place).is_some_and(std::mem::take) {
            self.push(key, role, Change::Drop);
        }
    }

    /// The manager is to have nothing any more.
    pub(crate) fn drop_all(&mut self) {
        self.is_over = true;
        self.again_from = Some(0);
    }

    /// Whether there is something that waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.count > 0 || self.again_from.is_some()
    }

    /// Takes up what the manager had no room for, as far as it has now, or at the end what it is
    /// to give back. To be called when nothing waits.
    fn take_up(&mut self, vault: &Vault) {
        if self.is_short && !self.is_over && self.kept < self.most {
            self.is_short = false;
            // There is never anything at place 0.
            self.again_from = Some(1);
        }
        while let Some(from) = self.again_from
            && !self.is_short
            && self.count + SPARE < self.waiting.len()
        {
            self.again_from = None;
            if from == 0 {
                self.push(NOBODY, Roles(0), Change::DropJournal);
            }
            let Some((key, role, _, next)) = vault.from(from) else { return };
            if self.is_over {
                self.drop(key, role, next - 1);
            } else {
                self.keep(key, role, next - 1);
            }
            self.again_from = (!self.is_short).then_some(next);
        }
    }

    /// Sends what waits, as far as there is room.
    pub(crate) fn flush(
        &mut self,
        manager: &Channel,
        vault: &Vault,
        journal: BorrowedFd<'_>,
    ) -> Flushed {
        loop {
            if self.count == 0 {
                self.take_up(vault);
            }
            if self.count == 0 {
                break;
            }
            let (key, role, change) = Change::from_words(self.waiting[self.first]);
            let mut message = Message { bytes: [0; MESSAGE_BYTES_MAX], length: 0 };
            let name = Name(key, role);
            let (descriptor, written) = match change {
                Change::Keep(place) => {
                    let descriptor = vault.at(place as usize, key, role);
                    let text = format_args!("FDSTORE=1\nFDPOLL=0\nFDNAME={name}");
                    (descriptor, message.write_fmt(text))
                }
                Change::KeepJournal => {
                    let text = format_args!("FDSTORE=1\nFDPOLL=0\nFDNAME={JOURNAL}");
                    (Some(journal), message.write_fmt(text))
                }
                Change::Drop => {
                    (None, message.write_fmt(format_args!("FDSTOREREMOVE=1\nFDNAME={name}")))
                }
                Change::DropJournal => {
                    (None, message.write_fmt(format_args!("FDSTOREREMOVE=1\nFDNAME={JOURNAL}")))
                }
            };
            let is_over = matches!(change, Change::Keep(_)) && descriptor.is_none();
            if !is_over && written.is_ok() {
                let sent =
                    manager.send(&message.bytes[..message.length], descriptor.as_slice(), Wait::No);
                if let Some(waits) = sent.err().and_then(|error| waits_for(&error)) {
                    return waits;
                }
            }
            if matches!(change, Change::Drop) {
                self.kept = self.kept.saturating_sub(1);
            }
            self.first = (self.first + 1) % self.waiting.len();
            self.count -= 1;
        }
        // As much memory is touched as changes have waited at once.
        self.first = 0;
        Flushed::All
    }

    /// There is room: see above.
    fn push(&mut self, key: Key, role: Roles, change: Change) {
        let place = (self.first + self.count) % self.waiting.len();
        self.waiting[place] = change.to_words(key, role);
        self.count = (self.count + 1).min(self.waiting.len() - 1);
    }
}

/// What a message waits for that was not sent; `None` for one that never will be.
pub(crate) fn waits_for(error: &io::Error) -> Option<Flushed> {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::WouldBlock, _) => Some(Flushed::Full),
        // Too much is on its way just now, or there is no memory for it.
        (_, Some(ENOBUFS | ENOMEM | ETOOMANYREFS)) => Some(Flushed::Later),
        _ => None,
    }
}

/// What the kernel says that has no means for a message just now.
const ENOMEM: i32 = 12;
const ENOBUFS: i32 = 105;
const ETOOMANYREFS: i32 = 109;

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

    #[test]
    fn a_manager_is_given_what_is_held_and_has_it_taken_back() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("notify");
        let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let manager = Channel::to_address(path.as_os_str()).unwrap();
        let said = || {
            let mut bytes = [0; 256];
            let length = socket.recv(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
        };
        let journal = std::fs::File::open("/dev/null").unwrap();
        let (mut vault, mut store) = (Vault::new(1024), Store::new(1024, 64));
        let hold = |vault: &mut Vault, store: &mut Store, owner, role| {
            let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
            let (key, place) = (Key { owner, life: 1 }, file.as_raw_fd() as usize);
            vault.hold(key, role, file);
            store.keep(key, role, place);
        };
        let close = |vault: &mut Vault, store: &mut Store, owner| {
            let key = Key { owner, life: 1 };
            vault.close(key, Roles::ALL, |role, place, _| store.drop(key, role, place));
        };

        store.keep_journal();
        hold(&mut vault, &mut store, 1, Roles::STDOUT);
        hold(&mut vault, &mut store, 2, Roles::STDOUT);
        hold(&mut vault, &mut store, 3, Roles::HANDOVER);
        close(&mut vault, &mut store, 1);
        assert_eq!(store.flush(&manager, &vault, journal.as_fd()), Flushed::All);

        let stored = |name: &str| Some(format!("FDSTORE=1\nFDPOLL=0\nFDNAME={name}"));
        let removed = |name: &str| Some(format!("FDSTOREREMOVE=1\nFDNAME={name}"));
        // What was closed before it was given is taken back all the same, which does no harm.
        let all = [said(), said(), said(), said()];
        assert_eq!(all, [stored(JOURNAL), stored("bardo.2.1.2"), removed("bardo.1.1.2"), None]);
        store.drop_all();
        assert!(store.is_waiting());
        assert_eq!(store.flush(&manager, &vault, journal.as_fd()), Flushed::All);
        assert!(!store.is_waiting());
        assert_eq!([said(), said(), said()], [removed(JOURNAL), removed("bardo.2.1.2"), None]);
    }

    #[test]
    fn what_a_manager_has_no_room_for_is_given_when_others_are_taken_back() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("notify");
        let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let manager = Channel::to_address(path.as_os_str()).unwrap();
        let journal = std::fs::File::open("/dev/null").unwrap();
        let (mut vault, mut store) = (Vault::new(1024), Store::new(1024, 4));
        // What the manager has, with the name of each.
        let mut there = std::collections::BTreeSet::new();
        let mut hear = || {
            let mut bytes = [0; 256];
            while let Ok(length) = socket.recv(&mut bytes) {
                let said = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let (verb, name) = said.split_once("FDNAME=").unwrap();
                match verb.starts_with("FDSTOREREMOVE") {
                    true => there.remove(name),
                    false => there.insert(name.to_owned()),
                };
                assert!(there.len() <= 4, "{there:?}");
            }
            there.iter().filter(|name| *name != JOURNAL).cloned().collect::<Vec<_>>().join(" ")
        };
        store.keep_journal();
        let key = |owner| Key { owner, life: 1 };

        for owner in 1..=5 {
            let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
            let place = file.as_raw_fd() as usize;
            vault.hold(key(owner), Roles::STDOUT, file);
            store.keep(key(owner), Roles::STDOUT, place);
        }
        assert_eq!([store.is_short_untold(), store.is_short_untold()], [true, false]);
        assert_eq!(store.flush(&manager, &vault, journal.as_fd()), Flushed::All);
        assert_eq!(hear(), "bardo.1.1.2 bardo.2.1.2 bardo.3.1.2");

        // However much comes and goes while the manager takes nothing, all is told in the end.
        for life in 2..100 {
            let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
            let (next, place) = (Key { owner: 9, life }, file.as_raw_fd() as usize);
            vault.hold(next, Roles::STDOUT, file);
            store.keep(next, Roles::STDOUT, place);
            let last = Key { owner: 9, life: life - 1 };
            vault.close(last, Roles::ALL, |role, place, _| store.drop(last, role, place));
            let other = key(life % 3);
            vault.close(other, Roles::ALL, |role, place, _| store.drop(other, role, place));
        }
        assert_eq!(store.flush(&manager, &vault, journal.as_fd()), Flushed::All);
        let there = hear();
        assert_eq!((there.split(' ').count(), &there[..11]), (3, "bardo.3.1.2"));
        vault.close(key(3), Roles::ALL, |role, place, _| store.drop(key(3), role, place));
        assert_eq!(store.flush(&manager, &vault, journal.as_fd()), Flushed::All);
        assert_eq!(hear(), "bardo.4.1.2 bardo.5.1.2 bardo.9.99.2");
        store.drop_all();
        assert_eq!(store.flush(&manager, &vault, journal.as_fd()), Flushed::All);
        assert_eq!(hear(), "");
        assert!(!store.is_short_untold());
    }

    #[test]
    fn what_the_kernel_has_no_means_for_is_told_later_and_what_nobody_takes_is_not() {
        // EAGAIN; then it is gone (ECONNREFUSED), or takes no message that long (EMSGSIZE).
        let later = [ENOBUFS, ENOMEM, ETOOMANYREFS].map(|errno| (errno, Some(Flushed::Later)));
        let others = [(11, Some(Flushed::Full)), (111, None), (90, None)];
        for (errno, expected) in later.into_iter().chain(others) {
            assert_eq!(waits_for(&io::Error::from_raw_os_error(errno)), expected, "{errno}");
        }
    }

    #[test]
    fn a_name_says_whose_a_descriptor_is() {
        let key = Key { owner: Key::HOUSE, life: 7 };
        let name = Name(key, Roles::STAGING_READ).to_string();

        assert_eq!(named(&name), Some((key, Roles::STAGING_READ)));
        assert!(name.len() < 64 && !name.contains(':'), "a manager takes it: {name}");
        for other in ["", JOURNAL, "bardo.1.2", "bardo.1.2.3.4", "bardo.1.x.3", "stored"] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
