//! The pump's thread: one loop over whatever is ready.
//!
//! Each round carries at most one chunk of each ready stream, obeys what others
//! have asked for, tries again what had refused, and writes the main log. It
//! decides nothing about programs: which streams there are, where they go and
//! when they end is told to it.
//!
//! One thing surprises a newcomer: a stream whose file takes nothing is *parked*,
//! that is, taken out of the poll. Its bytes stay in the pipe, its writer waits
//! when the pipe is full, and nobody else notices.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};

use bardo_core::{Generation, ServiceId};
use bardo_sys::pipe;
use bardo_sys::poller::{Events, Interest, Poller};
use bardo_sys::waker::Waker;

use super::file::{FileId, Files, News, Rotation, Second};
use super::main_log::{Flushed, LINE_OVERHEAD, MainLog};
use super::staging::{Carried, Source, Staging, Target};
use super::streams::{Entry, Flow, Growth, Slot, Streams};
use super::strip::Strip;
use super::{CHUNK_BYTES_MAX, Channel, Command, Severity, Shared, Stream, StreamKey};

/// A chunk of this size says that the stream fills its pipe.
const GROW_AT: usize = 64 * 1024;

/// What a busy stream's pipe is asked to hold. The kernel grants an unprivileged
/// user no more by default, and larger ones carry no faster.
const PIPE_BYTES_GROWN: usize = 1 << 20;

/// Most streams of processes that have ended whose files take nothing. Each
/// holds a descriptor here and one in the keeper; a program that restarts every
/// second while the disk is full must not use them up, so the oldest is given up.
const ENDED_WAITING_MAX: usize = 1024;

/// Tokens of the poll: streams by slot, then files, then the two others.
const FILE_TOKENS: u64 = 1 << 32;
const COPY_TOKEN: u64 = u64::MAX - 1;
pub(super) const WAKER_TOKEN: u64 = u64::MAX;

/// What one attempt to carry a chunk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Bytes(usize),
    Empty,
    End,
    /// The file takes nothing now.
    Blocked,
}

/// Everything the thread owns.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) poller: Poller,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: Receiver<Command>,
    pub(super) streams: Streams,
    pub(super) files: Files,
    pub(super) staging: Staging,
    pub(super) null: File,
    pub(super) main_log: MainLog,
    pub(super) drained: Sender<StreamKey>,
    pub(super) control: Arc<Waker>,
    pub(super) stage: Stage,
    /// When parked streams and files that refused are tried again.
    pub(super) retry: Option<Second>,
    /// Ended streams that wait for their files, oldest first. Some may be gone.
    pub(super) waiting: VecDeque<StreamKey>,
}

/// How far the pump's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Streams are being attached; none flows.
    Gathering,
    Flowing,
    Finished,
}

impl Worker {
    /// Works until it is told to finish.
    pub(super) fn run(mut self) {
        let mut events = Events::new();
        while self.stage != Stage::Finished {
            let timeout = self.retry.map(|retry| self.files.until(retry));
            self.poller
                .wait(&mut events, timeout)
                .expect("a poll of our own descriptors with a valid timeout does not fail");
            for event in events.iter() {
                self.serve(event.token());
            }
            self.obey();
            self.try_again();
            self.write_main_log();
        }
    }

    fn serve(&mut self, token: u64) {
        match token {
            WAKER_TOKEN => self.shared.waker.clear(),
            COPY_TOKEN => {
                if let Some(copy) = self.main_log.copy() {
                    let _ = self.poller.delete(copy);
                }
                self.main_log.copy_has_room();
            }
            FILE_TOKENS.. => self.file_has_room(FileId((token - FILE_TOKENS) as u32)),
            slot => self.flow(Slot(slot as u32)),
        }
    }

    /// Carries one chunk of a stream that is ready.
    fn flow(&mut self, slot: Slot) {
        match self.carry(slot, CHUNK_BYTES_MAX) {
            Moved::Bytes(_) | Moved::Empty => {}
            Moved::End => {
                self.end(slot, 0);
            }
            Moved::Blocked => self.park(slot),
        }
    }

    fn obey(&mut self) {
        // From here on a sender wakes us again; what was sent before is seen below.
        self.shared.is_awake.store(false, Ordering::SeqCst);
        while self.stage != Stage::Finished
            && let Ok(command) = self.commands.try_recv()
        {
            match command {
                Command::Attach(stream) => self.attach(stream),
                Command::Release(service, generation) => self.release(service, generation),
                Command::Go => self.go(),
                Command::Line(line) => {
                    let bytes = line.len() + LINE_OVERHEAD;
                    self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                    self.main_log.line(&line);
                }
                Command::Reopen => self.reopen(),
                Command::Clear(path) => self.clear(&path),
                Command::Create(path) => self.create(&path),
                Command::Remove(path) => self.remove(&path),
                Command::Finish => self.finish(),
            }
        }
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.main_log.lose(lost);
        }
    }

    fn attach(&mut self, stream: Stream) {
        let Stream { key, pipe, sink } = stream;
        if let Some(known) = self.streams.find(key) {
            self.detach(known);
        }
        let file = sink.path.as_ref().map(|path| self.files.acquire(path));
        let filter = sink.strip_ansi.then(|| self.kept_filter(key));
        let slot = self.streams.insert(Entry {
            key,
            pipe,
            file,
            rotation: Rotation::new(sink.bytes_max, sink.backups),
            filter,
            flow: Flow::Parked,
            growth: Growth::Untried,
            left: None,
        });
        if let Some(file) = file
            && let Err(error) = self.files.prepare(file)
        {
            self.refused(file, &error);
        }
        if self.stage == Stage::Flowing {
            self.watch(slot);
        }
    }

    fn release(&mut self, service: ServiceId, generation: Generation) {
        for channel in [Channel::Stdout, Channel::Stderr] {
            let key = StreamKey { service, generation, channel };
            let Some(slot) = self.streams.find(key) else {
                continue;
            };
            let Some(entry) = self.streams.get(slot) else {
                continue;
            };
            // All that the process wrote is there now. What a grandchild adds from
            // here on is nobody's to wait for.
            let left = pipe::waiting(&entry.pipe).unwrap_or(0);
            self.end(slot, u32::try_from(left).unwrap_or(u32::MAX));
        }
    }

    /// Settles what the last pump had in flight, and lets everything flow.
    fn go(&mut self) {
        if self.stage != Stage::Gathering {
            return;
        }
        self.settle();
        self.stage = Stage::Flowing;
        for slot in self.streams.which(|_| true) {
            self.resume(slot);
        }
    }

    fn settle(&mut self) {
        let slot = self.staging.unsettled().and_then(|key| self.streams.find(key));
        let entry = slot.and_then(|slot| self.streams.get(slot));
        let file = entry.and_then(|entry| entry.file);
        let place = file.map(|file| self.files.prepare(file));
        let target = match (file, place) {
            (Some(file), Some(Ok(place))) => Some(Target { file: self.files.opened(file), place }),
            _ => None,
        };
        let settled = self.staging.settle(entry.map(|entry| entry.pipe.as_fd()), target);
        match settled {
            Ok(Some(state)) => {
                let entry = slot.and_then(|slot| self.streams.get_mut(slot));
                if let Some(filter) = entry.and_then(|entry| entry.filter.as_mut()) {
                    *filter = state;
                }
            }
            Ok(None) => {}
            Err(error) => {
                let text = format!("a log chunk could not be taken over: {error}");
                self.main_log.say(Severity::Critical, &text);
            }
        }
    }

    fn reopen(&mut self) {
        for file in self.files.ids() {
            if let Err(error) = self.files.reopen(file) {
                self.refused(file, &error);
            }
        }
        self.resume_parked();
    }

    fn clear(&mut self, path: &str) {
        if let Some((file, Err(error))) = self.files.clear(path) {
            let text = format!("could not clear {}: {error}", self.files.path(file));
            self.main_log.say(Severity::Warning, &text);
        }
        self.resume_parked();
    }

    /// A file that cannot be created now is created when there is something to log.
    fn create(&mut self, path: &str) {
        let made = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        if let Err(error) = made {
            self.main_log.say(Severity::Warning, &format!("could not create {path}: {error}"));
        }
    }

    fn remove(&mut self, path: &str) {
        if let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            self.main_log.say(Severity::Warning, &format!("could not remove {path}: {error}"));
        }
    }

    /// Carries all that is there, writes the main log, and ends.
    fn finish(&mut self) {
        for file in self.files.ids() {
            self.files.make_due(file);
        }
        if self.stage == Stage::Flowing {
            for slot in self.streams.which(|_| true) {
                let waiting = self.streams.get(slot).map(|entry| pipe::waiting(&entry.pipe));
                let left = waiting.and_then(Result::ok).unwrap_or(0);
                self.end(slot, u32::try_from(left).unwrap_or(u32::MAX));
            }
            for slot in self.streams.which(|_| true) {
                self.give_up(slot);
            }
        }
        self.write_main_log();
        self.stage = Stage::Finished;
    }

    /// Ends a stream after so many bytes more.
    fn end(&mut self, slot: Slot, left: u32) {
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
                Moved::Bytes(moved) => left.saturating_sub(moved),
                Moved::End if left == 0 => {
                    self.detach_and_report(slot);
                    return;
                }
                Moved::End | Moved::Empty => 0,
                Moved::Blocked => {
                    self.park(slot);
                    self.wait_ended(slot);
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
        if !self.files.may_try(file) {
            return Moved::Blocked;
        }
        let place = match self.files.prepare(file) {
            Ok(place) => place,
            Err(error) => return self.refused(file, &error),
        };
        let target = Target { file: self.files.opened(file), place };
        if entry.filter.is_some() || !self.files.splices(file) {
            let source = Source { key: entry.key, pipe: entry.pipe.as_fd(), filter: entry.filter };
            let carried = self.staging.carry(source, target, limit);
            return self.carried(slot, file, target_end(place), carried);
        }
        let spliced = match place {
            Some(place) => pipe::splice_at(&entry.pipe, target.file, place.offset, limit),
            None => pipe::splice(&entry.pipe, target.file, limit),
        };
        let filter = None;
        let carried = match spliced {
            Ok(0) => Ok(Carried::End),
            Ok(bytes) => Ok(Carried::Chunk { input: bytes, output: bytes, filter }),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.files.cannot_splice(file);
                return self.carry(slot, limit);
            }
            // Either end may have been the one that would have had to wait.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match pipe::waiting(&entry.pipe) {
                    Ok(0) => Ok(Carried::Empty),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        self.carried(slot, file, target_end(place), carried)
    }

    /// Writes what the transformer of a stream that ends holds back.
    fn flush(&mut self, slot: Slot) -> Moved {
        let Some(entry) = self.streams.get(slot) else {
            return Moved::End;
        };
        let (Some(file), Some(filter)) = (entry.file, entry.filter) else {
            return Moved::End;
        };
        if filter.held_back().is_empty() {
            return Moved::End;
        }
        if !self.files.may_try(file) {
            return Moved::Blocked;
        }
        let place = match self.files.prepare(file) {
            Ok(place) => place,
            Err(error) => return self.refused(file, &error),
        };
        let target = Target { file: self.files.opened(file), place };
        let source = Source { key: entry.key, pipe: entry.pipe.as_fd(), filter: entry.filter };
        let carried = self.staging.flush(source, target);
        self.carried(slot, file, target_end(place), carried)
    }

    /// What follows from a chunk: rotation, a larger pipe, a word about the file.
    fn carried(
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

    fn took(&mut self, file: FileId) {
        if self.files.took(file) == News::Yes {
            let text = format!("writing to {} again", self.files.path(file));
            self.main_log.say(Severity::Information, &text);
        }
    }

    fn refused(&mut self, file: FileId, error: &io::Error) -> Moved {
        let (news, retry) = self.files.refused(file);
        if news == News::Yes {
            let path = self.files.path(file);
            let text = format!("cannot write to {path}: {error}; what is for it waits");
            self.main_log.say(Severity::Warning, &text);
        }
        self.retry = earliest(self.retry, Some(retry));
        Moved::Blocked
    }

    fn not_rotated(&mut self, file: FileId, error: &io::Error) {
        let path = self.files.path(file);
        let text = format!("cannot rotate {path}: {error}; it grows on");
        self.main_log.say(Severity::Warning, &text);
    }

    /// The target of a stream is full: the poll says when it is not.
    fn wait_for_room(&mut self, file: FileId) -> Moved {
        let token = FILE_TOKENS + u64::from(file.0);
        match self.poller.add(self.files.opened(file), token, Interest::Writable) {
            Ok(()) => {
                self.files.full(file);
                Moved::Blocked
            }
            Err(error) => self.refused(file, &error),
        }
    }

    fn file_has_room(&mut self, file: FileId) {
        if !self.files.is_full(file) {
            return;
        }
        let _ = self.poller.delete(self.files.opened(file));
        self.files.took(file);
        for slot in self.streams.which(|entry| entry.file == Some(file)) {
            self.resume(slot);
        }
    }

    /// Tries what had refused, once its time has come.
    fn try_again(&mut self) {
        if self.retry.is_none_or(|retry| !self.files.until(retry).is_zero()) {
            return;
        }
        self.retry = None;
        self.resume_parked();
        self.retry = earliest(self.retry, self.files.next_retry());
    }

    fn resume_parked(&mut self) {
        if self.stage == Stage::Flowing {
            for slot in self.streams.which(|entry| entry.flow == Flow::Parked) {
                self.resume(slot);
            }
        }
    }

    /// Lets a parked stream flow, if its file may be tried.
    fn resume(&mut self, slot: Slot) {
        let Some(entry) = self.streams.get(slot) else {
            return;
        };
        if entry.file.is_some_and(|file| !self.files.may_try(file)) {
            return;
        }
        if entry.left.is_some() {
            self.drain(slot);
        } else {
            self.watch(slot);
        }
    }

    fn watch(&mut self, slot: Slot) {
        let Some(entry) = self.streams.get_mut(slot) else {
            return;
        };
        if entry.flow == Flow::Watched {
            return;
        }
        match self.poller.add(&entry.pipe, slot.0.into(), Interest::Readable) {
            Ok(()) => entry.flow = Flow::Watched,
            // The kernel has no memory or no room for another watch.
            Err(_) => self.retry = earliest(self.retry, Some(self.files.soon())),
        }
    }

    fn park(&mut self, slot: Slot) {
        let Some(entry) = self.streams.get_mut(slot) else {
            return;
        };
        if entry.flow == Flow::Watched {
            let _ = self.poller.delete(&entry.pipe);
            entry.flow = Flow::Parked;
        }
    }

    /// Notes that an ended stream waits, and gives up the oldest if there are too
    /// many.
    fn wait_ended(&mut self, slot: Slot) {
        let Some(entry) = self.streams.get(slot) else {
            return;
        };
        let key = entry.key;
        if !self.waiting.contains(&key) {
            self.waiting.push_back(key);
        }
        if self.waiting.len() > ENDED_WAITING_MAX
            && let Some(oldest) = self.waiting.pop_front()
            && let Some(slot) = self.streams.find(oldest)
        {
            self.give_up(slot);
        }
    }

    fn give_up(&mut self, slot: Slot) {
        let Some(entry) = self.streams.get(slot) else {
            return;
        };
        let lost = pipe::waiting(&entry.pipe).unwrap_or(0);
        if let Some(file) = entry.file {
            let path = self.files.path(file);
            let text = format!("{lost} bytes for {path} are lost: it cannot be written to");
            self.main_log.say(Severity::Warning, &text);
        }
        self.detach_and_report(slot);
    }

    fn detach_and_report(&mut self, slot: Slot) {
        if let Some(key) = self.detach(slot) {
            // If nobody listens any more, the process is about to end.
            let _ = self.drained.send(key);
            self.control.wake();
        }
    }

    fn detach(&mut self, slot: Slot) -> Option<StreamKey> {
        self.park(slot);
        let entry = self.streams.remove(slot)?;
        if let Some(file) = entry.file {
            self.files.release(file);
        }
        self.waiting.retain(|key| *key != entry.key);
        Some(entry.key)
    }

    fn write_main_log(&mut self) {
        loop {
            match self.main_log.flush(&mut self.files) {
                Flushed::Idle => return,
                Flushed::Took(file) => self.took(file),
                Flushed::NotRotated(file, error) => self.not_rotated(file, &error),
                Flushed::Refused(file, error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_for_room(file);
                }
                Flushed::Refused(file, error) => {
                    self.refused(file, &error);
                }
                Flushed::CopyFull => {
                    if let Some(copy) = self.main_log.copy() {
                        let _ = self.poller.add(copy, COPY_TOKEN, Interest::Writable);
                    }
                }
            }
        }
    }

    fn kept_filter(&self, key: StreamKey) -> Strip {
        let kept = self.staging.record.state(key);
        kept.map(Strip::from_bits).unwrap_or_default()
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

fn target_end(place: Option<super::record::Place>) -> u64 {
    place.map_or(0, |place| place.offset)
}

fn earliest(one: Option<Second>, other: Option<Second>) -> Option<Second> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
