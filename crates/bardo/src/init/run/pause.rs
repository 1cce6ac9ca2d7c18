//! The pause before a start, for managers whose own do not grow, or do not become short again.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bardo_keeper::FORWARDED;
use bardo_sys::channel::{Channel, Wait};
use bardo_sys::signals::SignalReader;
use rustix::process::{getpid, kill_process};

use super::super::pauses::{self, Notes, Start, Unit, Waited};
use super::super::systemd::START_SECONDS;
use super::RUN;
use crate::daemon::managed::folder::{self, PAUSES, READY, place};

/// Waits before a start that follows others, or that goes on where another one was killed: for
/// the manager, whose pauses do not grow, or do not become short again.
pub(super) fn pause(name: &str, place: &Path) -> Waited {
    let (notes, unit) = (Notes::new(place.join(PAUSES), Unit::Tenths), Unit::Tenths);
    let was_ready = fs::remove_file(folder::told(place).join(READY)).is_ok();
    let start = notes.next(unit.now(), was_ready);
    notes.write(start);
    let (pause, time) = (start.pause, unit.time(start.pause));
    let reader = match SignalReader::new(&FORWARDED) {
        Ok(reader) if pause > 0 => reader,
        // Who fails again and again for want of descriptors has a pause all the same.
        Err(_) if pause > 0 => {
            thread::sleep(time);
            return Waited::ToTheEnd;
        }
        Ok(_) | Err(_) => return Waited::ToTheEnd,
    };
    let told = pauses::told(time);
    eprintln!("bardo: {RUN} {name}: {told}");
    // The pause is none of the time that it has to become ready.
    let more = (time + Duration::from_secs(START_SECONDS)).as_micros();
    tell_manager(&format!("STATUS={told}\nEXTEND_TIMEOUT_USEC={more}"));
    let waited = pauses::wait(&reader, time);
    match waited {
        Waited::ToTheEnd | Waited::UntilReload => {
            notes.write(Start { began: unit.now(), ..start });
        }
        // Whoever goes on where another one was killed is to find it again.
        Waited::UntilStop(signal) => {
            let _ = kill_process(getpid(), signal);
        }
    }
    waited
}

/// Says something to the service manager, where there is one that hears it.
fn tell_manager(text: &str) {
    let manager = std::env::var_os("NOTIFY_SOCKET");
    if let Some(manager) = manager.and_then(|address| Channel::to_address(&address).ok()) {
        // It is only said for people.
        let _ = manager.send(text.as_bytes(), &[], Wait::No);
    }
}

/// Has the next start of a service begin without a pause.
pub(in crate::init) fn forget(name: &str) {
    if let Some(place) = place(name) {
        Notes::new(place.join(PAUSES), Unit::Tenths).remove();
    }
}
