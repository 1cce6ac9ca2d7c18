//! What a former keeper of the same name has left that was killed, and who has it: the next one
//! takes it over.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use bardo_keeper::store;
use bardo_sys::channel::Channel;
use bardo_sys::poll::{self, Room};
use bardo_sys::{clock, descriptors};

use crate::daemon::handover;
use crate::daemon::keeping::Inherited;

/// How long, in nanoseconds, the service manager may take to hear what it is not to have.
const TAKEN_BACK_WITHIN: u64 = 2_000_000_000;

/// What there is of a former keeper of this name that was killed: what the service manager has
/// kept of it, and what its supervisor hands over.
pub(super) fn inherited(place: &Path) -> io::Result<Option<Inherited>> {
    let (mut stored, mut journal, mut names) = (Vec::new(), None, Vec::new());
    // What it hands to us otherwise nobody has asked for.
    for (name, descriptor) in descriptors::from_manager() {
        match store::named(&name) {
            Some((key, role)) => stored.push((key, role, descriptor)),
            None if name == store::JOURNAL => journal = Some(descriptor),
            None => continue,
        }
        names.push(name);
    }
    let handed = handover::ask(place)?;
    if journal.is_some() || handed.journal.is_some() {
        return Ok(Some(Inherited { stored, journal, handed }));
    }
    names.dedup();
    take_back(&names);
    Ok(None)
}

/// Has the service manager give up what it has of a run that nobody can go on with: its pipes
/// would stay open, and a later keeper would take it for what belongs to this run.
fn take_back(names: &[String]) {
    let address = std::env::var_os("NOTIFY_SOCKET").filter(|_| !names.is_empty());
    let Some(manager) = address.and_then(|address| Channel::to_address(&address).ok()) else {
        return;
    };
    let give_up_at = clock::monotonic() + TAKEN_BACK_WITHIN;
    for name in names {
        while !store::take_back(&manager, name) {
            let left = give_up_at.saturating_sub(clock::monotonic());
            if left == 0 {
                return;
            }
            let _ = poll::two(manager.as_fd(), Some(manager.as_fd()), Room(true), Some(left));
        }
    }
}
