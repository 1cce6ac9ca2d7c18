//! What the service manager is to hold as well, for the next keeper.

use std::io;
use std::os::fd::AsFd as _;

use bardo_sys::poll::{self, Want};
use bardo_sys::{clock, pipe, process};

use super::{KILL, Keeper, MILLISECOND, SECOND};
use crate::protocol::{Key, Roles};
use crate::store::{self, Flushed, Store};

/// How long a service manager may take to hear what it is not to have any more.
const TAKEN_BACK_WITHIN: u64 = 2 * SECOND;

impl Keeper {
    /// Gives the service manager what it is to have, as far as it takes it now.
    pub(super) fn mirror(&mut self) {
        if self.store.as_mut().is_some_and(Store::is_short_untold) {
            // Who does not hear it now has the unit's own word for it.
            let _ = pipe::write_now(io::stderr(), store::SHORTAGE.as_bytes());
        }
        let now = clock::monotonic();
        self.mirror_at = self.mirror_at.filter(|at| now < *at);
        let is_due = self.mirror_at.is_none();
        let store = self.store.as_mut().filter(|store| is_due && store.is_waiting());
        let Some(store) = store else { return };
        let journal = self.settings.journal.as_fd();
        match self.notify.manager().map(|manager| store.flush(manager, &self.vault, journal)) {
            Some(Flushed::Full) => self.notify.wait_for_room(),
            Some(Flushed::Later) => self.mirror_at = Some(now.saturating_add(store::REST)),
            Some(Flushed::All) | None => {}
        }
    }

    /// All is over: whoever starts us again begins anew, and is to find nothing. The service
    /// manager takes that back before it hears of our end.
    pub(super) fn leave_nothing(&mut self) {
        // One that has handed over all would wait for yet another keeper.
        let former = Key { owner: Key::HOUSE, life: 0 };
        if let Some((_, former)) = self.vault.find(former, Roles::SUPERVISOR) {
            // One that is gone needs no end.
            let _ = process::signal(former, KILL);
        }
        if let Some(store) = &mut self.store {
            store.drop_all();
        }
        let give_up_at = clock::monotonic() + TAKEN_BACK_WITHIN;
        while self.store.as_ref().is_some_and(Store::is_waiting) && clock::monotonic() < give_up_at
        {
            self.notify.flush();
            self.mirror();
            let room = self.notify.room().map(|room| (room, Want::Room));
            // A signal that comes now changes nothing; while it is there one would not wait.
            while self.signals.next().is_some() {}
            let _ = poll::several(self.signals.as_fd(), [room], Some(MILLISECOND));
        }
    }
}
