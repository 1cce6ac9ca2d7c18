//! How one stream's bytes move on, and what happens when they cannot.
//!
//! One thing surprises a newcomer: a stream whose file takes nothing is *parked*,
//! that is, taken out of the poll. Its bytes stay in the pipe, its writer waits
//! when the pipe is full, and nobody else notices.

use std::io;
use std::os::fd::AsFd as _;

use bardo_sys::pipe;
use bardo_sys::poller::Interest;

use super::echo::{self, Readers};
use super::file::{FileId, News};
use super::record::Place;
use super::staging::{Carried, Shown, Source, Target};
use super::streams::{Entry, Flow, Growth, Slot};
use super::worker::{FILE_TOKENS, Stage, Worker};
use super::{CHUNK_BYTES_MAX, Report, Severity, StreamKey};

/// A chunk of this size says that the stream fills its pipe.
const GROW_AT: usize = 64 * 1024;

/// What a busy stream's pipe is asked to hold. The kernel grants an unprivileged
/// user no more by default, and larger ones carry no faster.
const PIPE_BYTES_GROWN: usize = 1 << 20;

/// What one attempt to carry a chunk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Bytes(usize),
    Empty,
    End,
    /// The file takes nothing now.
    Blocked,
    /// What is there is the beginning of a line, which waits for the rest.
    Held,
}

impl Worker {
    /// Carries one chunk of a stream that is ready.
    pub(super) fn flow(&mut self, slot: Slot, has_hung_up: bool) {
        match self.carry(slot, CHUNK_BYTES_MAX) {
            Moved::Bytes(bytes) => {
                self.count(slot, bytes);
                self.carried.chunks += 1;
                self.carried.bytes += bytes;
                self.cease_to_hold(slot);
            }
            // Nobody is left who could write the rest.
            Moved::Held if has_hung_up => self.end_now(slot),
            Moved::Held => {
                self.carried.chunks += 1;
                self.hold(slot);
            }
            Moved::Empty => {}
            Moved::End => self.end(slot, 0),
            Moved::Blocked => self.park(slot),
        }
    }

    /// Ends a stream after so many bytes more.
    pub(super) fn end(&mut self, slot: Slot, left: u32) {
        let Some(entry) = self.streams.get_mut(slot) else {
            return;
        };
        entry.left = Some(left);
        if self.stage == Stage::Flowing {
            self.drain(slot);
        }
    }

    /// Carries what is left of a stream that ends. If its file takes nothing, it
    /// waits for the file, parked.
    fn drain(&mut self, slot: Slot) {
        loop {
            let Some(entry) = self.streams.get_mut(slot) else {
                return;
            };
            let left = entry.left.unwrap_or(0) as usize;
            let moved = match left {
                0 => self.flush(slot),
                _ => self.carry(slot, left.min(CHUNK_BYTES_MAX)),
            };
            let left = match moved {
                Moved::Bytes(moved) => {
                    self.count(slot, moved);
                    left.saturating_sub(moved)
                }
                Moved::End if left == 0 => {
                    if self.is_owed(slot) {
                        self.park(slot);
                        return;
                    }
                    self.detach_and_report(slot);
                    return;
                }
                Moved::End | Moved::Empty | Moved::Held => 0,
                Moved::Blocked => {
                    self.park(slot);
                    return;
                }
            };
            if let Some(entry) = self.streams.get_mut(slot) {
                entry.left = Some(u32::try_from(left).unwrap_or(u32::MAX));
            }
        }
    }

    /// Carries one chunk.
    fn carry(&mut self, slot: Slot, limit: usize) -> Moved {
        let Some(entry) = self.streams.get(slot) else {
            return Moved::Empty;
        };
        let Some(file) = entry.file else {
            return moved(pipe::splice(&entry.pipe, &self.null, limit)).unwrap_or(Moved::Empty);
        };
        if !self.files.may_try(file) || self.is_silenced(slot) {
            return Moved::Blocked;
        }
        let place = match self.files.prepare(file) {
            Ok(place) => place,
            Err(error) => return self.refused(file, &error),
        };
        if let Some(outlet) = self.files.outlet(file) {
            return self.carry_lines(slot, (file, place, outlet), Some(limit));
        }
        if entry.filter.is_needed() || entry.echo.is_some() || !self.files.splices(file) {
            return self.stage(slot, file, place, Some(limit));
        }
        let target = self.files.opened(file);
        let spliced = match place {
            Some(place) => pipe::splice_at(&entry.pipe, target, place.offset, limit),
            None => pipe::splice(&entry.pipe, target, limit),
        };
        let filter = entry.filter;
        let carried = match spliced {
            Ok(0) => Ok(Carried::End),
            Ok(bytes) => Ok(Carried::Chunk { input: bytes, output: bytes, filter }),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.files.cannot_splice(file);
                return self.carry(slot, limit);
            }
            // A disk is waited for, so the pipe was empty. Other targets may be what
            // would have had to wait.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match pipe::waiting(&entry.pipe) {
                    Ok(1..) if place.is_none() => Err(error),
                    _ => Ok(Carried::Empty),
                }
            }
            Err(error) => Err(error),
        };
        self.carried(slot, file, target_end(place), carried)
    }

    /// Counts what a process has written, wherever it goes.
    fn count(&self, slot: Slot, bytes: usize) {
        if let Some(entry) = self.streams.get(slot) {
            self.shared.volumes.add(entry.key.service, entry.key.channel, bytes);
        }
    }

    /// From now on escape sequences are removed from a stream, or are not any more. What
    /// was held back of a sequence that had begun is written as it is.
    pub(super) fn strip(&mut self, key: StreamKey, strip_ansi: bool) {
        let Some(slot) = self.streams.find(key) else { return };
        if !strip_ansi && matches!(self.flush(slot), Moved::Blocked) {
            // The file takes nothing now; it goes on as it was.
            return;
        }
        if let Some(entry) = self.streams.get_mut(slot) {
            let strip = strip_ansi.then(|| entry.filter.strip.unwrap_or_default());
            entry.filter.strip = strip;
        }
    }

    /// Writes what the filter of a stream that ends holds back.
    fn flush(&mut self, slot: Slot) -> Moved {
        let Some(entry) = self.streams.get(slot) else {
            return Moved::End;
        };
        let Some(file) = entry.file.filter(|_| entry.filter.holds_back()) else {
            return Moved::End;
        };
        if !self.files.may_try(file) || self.is_silenced(slot) {
            return Moved::Blocked;
        }
        let place = match self.files.prepare(file) {
            Ok(place) => place,
            Err(error) => return self.refused(file, &error),
        };
        match self.files.outlet(file) {
            Some(outlet) => self.carry_lines(slot, (file, place, outlet), None),
            None => self.stage(slot, file, place, None),
        }
    }

    /// Carries up to `limit` bytes through memory, or what the filter holds back where
    /// there is no limit.
    fn stage(
        &mut self,
        slot: Slot,
        file: FileId,
        place: Option<Place>,
        limit: Option<usize>,
    ) -> Moved {
        let Self { streams, files, staging, syslog, main_log, intake, shared, control, .. } = self;
        let Some(entry) = streams.get(slot) else {
            return Moved::Empty;
        };
        let target = Target { file: files.opened(file), place };
        let source = Source { key: entry.key, pipe: entry.pipe.as_fd(), filter: entry.filter };
        let mut readers = Readers { syslog, main_log, intake, shared, control };
        let show = &mut |shown: Shown<'_>| echo::show(Some(entry), shown, &mut readers);
        let carried = match limit {
            Some(limit) => staging.carry(source, target, limit, show),
            None => staging.flush(source, target, show),
        };
        self.carried(slot, file, target_end(place), carried)
    }

    /// What follows from a chunk: rotation, a larger pipe, a word about the file.
    pub(super) fn carried(
        &mut self,
        slot: Slot,
        file: FileId,
        start: u64,
        carried: io::Result<Carried>,
    ) -> Moved {
        let (input, output, filter) = match carried {
            Ok(Carried::Chunk { input, output, filter }) => (input, output, filter),
            Ok(Carried::Empty) => return Moved::Empty,
            Ok(Carried::End) => return Moved::End,
            Ok(Carried::Held) => return Moved::Held,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return self.wait_for_room(file);
            }
            Err(error) => return self.refused(file, &error),
        };
        self.took(file);
        if let Some(entry) = self.streams.get_mut(slot) {
            entry.filter = filter;
            if input >= GROW_AT && entry.growth == Growth::Untried {
                entry.growth = Growth::Tried;
                // A refusal leaves the pipe as it is, which is as exact.
                let _ = pipe::set_capacity(&entry.pipe, PIPE_BYTES_GROWN);
            }
            let rotation = entry.rotation;
            if let Err(error) = self.files.rotate(file, start + output as u64, rotation) {
                self.not_rotated(file, &error);
            }
        }
        Moved::Bytes(input)
    }

    /// A file took bytes. If that ends a refusal, the main log says so.
    pub(super) fn took(&mut self, file: FileId) {
        if self.files.took(file) == News::Yes {
            let text = format!("writing to {} again", self.files.path(file));
            self.main_log.say(Severity::Information, &text);
        }
    }

    /// A file refused. The main log says so once, and it is tried again later.
    pub(super) fn refused(&mut self, file: FileId, error: &io::Error) -> Moved {
        self.unwatch(file);
        if self.files.drop_if_deserted(file, error) {
            let path = self.files.path(file);
            let text = format!("nobody reads {path} any more: what is for it is dropped");
            self.main_log.say(Severity::Warning, &text);
            // What is waiting flows again, to nowhere.
            let soon = self.files.soon();
            self.try_later(soon);
            return Moved::Blocked;
        }
        let (news, retry) = self.files.refused(file, error);
        if news == News::Yes {
            let path = self.files.path(file);
            let text = format!("cannot write to {path}: {error}; what is for it waits");
            self.main_log.say(Severity::Warning, &text);
        }
        self.try_later(retry);
        Moved::Blocked
    }

    /// A file could not be rotated.
    pub(super) fn not_rotated(&mut self, file: FileId, error: &io::Error) {
        let path = self.files.path(file);
        let text = format!("cannot rotate {path}: {error}; it grows on");
        self.main_log.say(Severity::Warning, &text);
    }

    /// The target of a stream is full: the poll says when it is not.
    pub(super) fn wait_for_room(&mut self, file: FileId) -> Moved {
        let token = FILE_TOKENS + u64::from(file.0);
        match self.poller.add(self.files.opened(file), token, Interest::Writable) {
            Ok(()) => {
                let told = self.files.full(file);
                self.try_later(told);
                Moved::Blocked
            }
            Err(error) => self.refused(file, &error),
        }
    }

    /// The poll need not say any more when a target has room. A watch does not end with our
    /// descriptor where others share the open file.
    pub(super) fn unwatch(&mut self, file: FileId) {
        if self.files.is_full(file) {
            let _ = self.poller.delete(self.files.opened(file));
            self.files.took(file);
        }
    }

    /// A target that was full is not, or somebody has gone from its other end.
    pub(super) fn file_has_room(&mut self, file: FileId) {
        if !self.files.is_full(file) {
            return;
        }
        self.unwatch(file);
        self.empty_outlets();
        for slot in self.in_turn(|entry| entry.file == Some(file)) {
            self.resume(slot);
        }
    }

    /// The places of streams that something is true of, beginning with another one each time:
    /// those that share a target which is never empty have it in turn.
    fn in_turn(&mut self, wanted: impl Fn(&Entry) -> bool) -> Vec<Slot> {
        let mut slots = self.streams.which(wanted);
        let first = slots.iter().position(|slot| slot.0 > self.turn.0).unwrap_or(0);
        slots.rotate_left(first);
        if let Some(first) = slots.first() {
            self.turn = *first;
        }
        slots
    }

    /// Lets all streams flow whose files may be tried.
    pub(super) fn resume_parked(&mut self) {
        if self.stage == Stage::Flowing {
            for slot in self.in_turn(|entry| entry.flow == Flow::Parked) {
                self.resume(slot);
            }
        }
    }

    /// Lets a parked stream flow, if its file may be tried.
    pub(super) fn resume(&mut self, slot: Slot) {
        let Some(entry) = self.streams.get(slot) else {
            return;
        };
        if entry.file.is_some_and(|file| !self.files.may_try(file)) || self.is_silenced(slot) {
            return;
        }
        if entry.left.is_some() {
            self.drain(slot);
        } else {
            self.watch(slot);
        }
    }

    /// Lets bytes of a stream wake the pump.
    pub(super) fn watch(&mut self, slot: Slot) {
        let Some(entry) = self.streams.get_mut(slot) else {
            return;
        };
        if entry.flow != Flow::Parked {
            return;
        }
        match self.poller.add(&entry.pipe, slot.0.into(), Interest::Readable) {
            Ok(()) => entry.flow = Flow::Watched,
            // The kernel has no memory or no room for another watch.
            Err(_) => {
                let soon = self.files.soon();
                self.try_later(soon);
            }
        }
    }

    /// Lets them not.
    pub(super) fn park(&mut self, slot: Slot) {
        let Some(entry) = self.streams.get_mut(slot) else {
            return;
        };
        if entry.flow != Flow::Parked {
            let _ = self.poller.delete(&entry.pipe);
            entry.flow = Flow::Parked;
        }
    }

    /// Ends a stream at once, whatever is left in its pipe.
    pub(super) fn give_up(&mut self, slot: Slot) {
        let Some(entry) = self.streams.get(slot) else {
            return;
        };
        let lost = pipe::waiting(&entry.pipe).unwrap_or(0);
        if let Some(file) = entry.file
            && lost > 0
        {
            let path = self.files.path(file);
            let text = if self.is_silenced(slot) {
                format!("{lost} bytes for {path} are lost: syslog or the supervisor takes nothing")
            } else {
                format!("{lost} bytes for {path} are lost: it cannot be written to")
            };
            self.main_log.say(Severity::Warning, &text);
        }
        self.detach_and_report(slot);
    }

    fn detach_and_report(&mut self, slot: Slot) {
        if let Some(key) = self.detach(slot) {
            // If nobody listens any more, the process is about to end.
            let _ = self.reports.send(Report::Drained(key));
            self.control.wake();
        }
    }

    /// Takes a stream out of the table and the poll, and closes its pipe.
    pub(super) fn detach(&mut self, slot: Slot) -> Option<StreamKey> {
        self.park(slot);
        let entry = self.streams.remove(slot)?;
        if let Some(file) = entry.file {
            self.files.release(file);
        }
        Some(entry.key)
    }
}

fn moved(spliced: io::Result<usize>) -> io::Result<Moved> {
    match spliced {
        Ok(0) => Ok(Moved::End),
        Ok(bytes) => Ok(Moved::Bytes(bytes)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Moved::Empty),
        Err(error) => Err(error),
    }
}

pub(super) fn target_end(place: Option<Place>) -> u64 {
    place.map_or(0, |place| place.offset)
}
