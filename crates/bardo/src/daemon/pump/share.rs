//! How streams share an output: in whole lines, one behind the other.
//!
//! A stream whose pipe holds only the beginning of a line is *held*: the poll says when more
//! has come, and nothing else. One thing surprises a newcomer: such bytes are nowhere but in
//! the pipe, however often they are looked at.

use std::os::fd::AsFd as _;

use bardo_sys::pipe;
use bardo_sys::poller::Interest;

use super::Tells;
use super::echo::{self, Readers};
use super::file::FileId;
use super::flow::{Moved, target_end};
use super::lines::Patience;
use super::outlet::{Emptied, OutletId};
use super::record::Place;
use super::staging::lines::Lines;
use super::staging::{Shown, Source, Target};
use super::streams::{Entry, Flow, Slot};
use super::worker::{Stage, Worker};

/// An output, and the file that leads to it.
type Way = (FileId, Option<Place>, OutletId);

impl Worker {
    /// Carries up to `limit` bytes in whole lines, or what the filter holds back where there
    /// is no limit.
    pub(super) fn carry_lines(
        &mut self,
        slot: Slot,
        (file, place, outlet): Way,
        limit: Option<usize>,
    ) -> Moved {
        if self.main_log.is_within_line(outlet, &self.files) {
            self.awaits_main_log = true;
            return Moved::Blocked;
        }
        if !self.empty_outlet(outlet, file) {
            return Moved::Blocked;
        }
        let Self { streams, files, staging, syslog, main_log, intake, shared, control, .. } = self;
        let Some(entry) = streams.get(slot) else {
            return Moved::Empty;
        };
        let lines = Lines { outlet, prefix: streams.prefix(slot), patience: patience(entry) };
        let target = Target { file: files.opened(file), place };
        let source = Source { key: entry.key, pipe: entry.pipe.as_fd(), filter: entry.filter };
        let mut readers = Readers { syslog, main_log, intake, shared, control };
        let show = &mut |shown: Shown<'_>| echo::show(Some(entry), shown, &mut readers);
        let carried = match limit {
            Some(limit) => staging.carry_lines(source, target, (lines, limit), show),
            None => staging.flush_lines(source, target, lines, show),
        };
        let moved = self.carried(slot, file, target_end(place), carried);
        if matches!(moved, Moved::Bytes(_)) {
            self.empty_outlet(outlet, file);
        }
        moved
    }

    /// Moves what is in an outbox out by way of a file. Says whether it is empty now.
    fn empty_outlet(&mut self, outlet: OutletId, file: FileId) -> bool {
        if self.staging.outlets.left(outlet) == 0 {
            return true;
        }
        if !self.files.may_try(file) {
            return false;
        }
        if let Err(error) = self.files.prepare(file) {
            self.refused(file, &error);
            return false;
        }
        let splices = self.files.splices(file);
        match self.staging.empty(outlet, self.files.opened(file), splices) {
            Ok(Emptied::All) => {
                self.took(file);
                true
            }
            Ok(Emptied::Full) => {
                self.wait_for_room(file);
                false
            }
            Err(error) if splices && error.kind() == std::io::ErrorKind::InvalidInput => {
                self.files.cannot_splice(file);
                self.empty_outlet(outlet, file)
            }
            Err(error) => {
                self.refused(file, &error);
                false
            }
        }
    }

    /// Moves out what is in any outbox, whoever has said it.
    pub(super) fn empty_outlets(&mut self) {
        for (_, outlet) in self.staging.outlets.identities() {
            if self.staging.outlets.left(outlet) > 0
                && let Some(file) = self.files.way_out(outlet)
            {
                self.empty_outlet(outlet, file);
            }
        }
    }

    /// What is to be said of bytes that no output has taken in the end.
    pub(super) fn lost_in_outlets(&mut self) -> Vec<String> {
        self.empty_outlets();
        let outlets = self.staging.outlets.identities().into_iter();
        let left = outlets.map(|(_, outlet)| (outlet, self.staging.outlets.left(outlet)));
        let lost = left.filter(|(_, left)| *left > 0);
        lost.map(|(outlet, left)| {
            format!("{left} bytes for standard {} are lost: it takes nothing", outlet.name())
        })
        .collect()
    }

    /// Whether something that a stream may have said has not gone out yet.
    pub(super) fn is_owed(&mut self, slot: Slot) -> bool {
        let file = self.streams.get(slot).and_then(|entry| entry.file);
        let way = file.and_then(|file| Some((self.files.outlet(file)?, file)));
        way.is_some_and(|(outlet, file)| !self.empty_outlet(outlet, file))
    }

    /// A stream's pipe holds the beginning of a line: only more bytes wake the pump.
    pub(super) fn hold(&mut self, slot: Slot) {
        self.see(slot, Flow::Watched, Flow::Held, Interest::Arriving);
    }

    /// Any bytes wake the pump again.
    pub(super) fn cease_to_hold(&mut self, slot: Slot) {
        self.see(slot, Flow::Held, Flow::Watched, Interest::Readable);
    }

    /// What the poll has said of a token was not looked at. It says so again of all but those
    /// that are held.
    pub(super) fn see_again(&mut self, token: u64) {
        if let Ok(slot) = u32::try_from(token) {
            self.cease_to_hold(Slot(slot));
        }
    }

    fn see(&mut self, slot: Slot, before: Flow, after: Flow, interest: Interest) {
        let Some(entry) = self.streams.get_mut(slot).filter(|entry| entry.flow == before) else {
            return;
        };
        // A watch that is there can be changed; where it cannot, it stays as exact.
        if self.poller.modify(&entry.pipe, slot.0.into(), interest).is_ok() {
            entry.flow = after;
        }
    }

    /// Ends a stream that nobody can write to any more after what is in its pipe.
    pub(super) fn end_now(&mut self, slot: Slot) {
        let left = self.streams.get(slot).and_then(|entry| pipe::waiting(&entry.pipe).ok());
        self.end(slot, left.and_then(|left| u32::try_from(left).ok()).unwrap_or(u32::MAX));
    }

    /// Lets streams go on that have waited for a line of the main log, once it is whole.
    pub(super) fn resume_behind_main_log(&mut self) {
        if !self.awaits_main_log || self.stage != Stage::Flowing {
            return;
        }
        let outlets = self.staging.outlets.identities();
        let is_within = |outlet| self.main_log.is_within_line(outlet, &self.files);
        if !outlets.into_iter().any(|(_, outlet)| is_within(outlet)) {
            self.awaits_main_log = false;
            self.resume_parked();
        }
    }
}

/// What ends has no rest to wait for; and an event listener that has answered waits for us.
fn patience(entry: &Entry) -> Patience {
    let is_protocol = entry.echo.as_ref().is_some_and(|echo| echo.tells == Tells::Everything);
    if is_protocol || entry.left.is_some() { Patience::Ends } else { Patience::Waits }
}
