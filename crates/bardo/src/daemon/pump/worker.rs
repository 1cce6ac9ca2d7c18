//! The pump's thread: one loop over whatever is ready.
//!
//! Each round carries at most one chunk of each ready stream, obeys what others
//! have asked for, tries again what had refused, and writes the main log. It
//! decides nothing about programs: which streams there are, where they go and
//! when they end is told to it. How a stream's bytes move on is in [`super::flow`].

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use bardo_core::{Generation, ServiceId};
use bardo_sys::pipe;
use bardo_sys::poller::{Event, Events, Interest, Poller};
use bardo_sys::waker::Waker;

use super::capture::Capture;
use super::compress::Compression;
use super::echo::{self, Readers};
use super::file::{FileId, Files, Rotation, Second};
use super::filter::Filter;
use super::intake::Intake;
use super::main_log::{Flushed, LINE_OVERHEAD, MainLog};
use super::outlet::Outlets;
use super::record::{Known, Record};
use super::staging::{Shown, Source, Staging, Target};
use super::streams::{Entry, Flow, Growth, Slot, Streams};
use super::strip::Strip;
use super::syslog::Syslog;
use super::{
    Channel, Command, MainLogSettings, PumpSettings, Report, Severity, Shared, Stream, StreamKey,
    Tells,
};

/// Chunks smaller than this on average are a trickle.
const TRICKLE_CHUNK: usize = 4096;

/// Rounds that are nearer to each other than this are a quick succession.
const TRICKLE_SPAN: Duration = Duration::from_millis(1);

/// How long a trickle may gather: a fraction of what fills a pipe of 64 KiB with
/// lines, and less than anybody who reads a log can see.
const TRICKLE_REST: Duration = Duration::from_micros(200);

/// The log of a stream that has none, and whose bytes are looked at.
const NOWHERE: &str = "/dev/null";

/// Tokens of the poll: streams by slot, then files, then the three others.
pub(super) const FILE_TOKENS: u64 = 1 << 32;
const COPY_TOKEN: u64 = u64::MAX - 1;
pub(super) const SYSLOG_TOKEN: u64 = u64::MAX - 2;
pub(super) const WAKER_TOKEN: u64 = u64::MAX;

/// Everything the thread owns.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) poller: Poller,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: Receiver<Command>,
    pub(super) streams: Streams,
    pub(super) files: Files,
    pub(super) compression: Compression,
    pub(super) staging: Staging,
    pub(super) intake: Intake,
    pub(super) null: File,
    pub(super) main_log: MainLog,
    pub(super) syslog: Syslog,
    /// Lines that have been taken for it.
    pub(super) lines: u64,
    pub(super) reports: Sender<Report>,
    pub(super) control: Arc<Waker>,
    pub(super) stage: Stage,
    /// What this round has carried so far.
    pub(super) carried: Round,
    /// When parked streams and files that refused are tried again.
    pub(super) retry: Option<Second>,
    /// Whether streams wait for a line of the main log to be written.
    pub(super) awaits_main_log: bool,
    /// Which stream was first when those that waited for room went on.
    pub(super) turn: Slot,
}

/// What one round has carried.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round {
    pub(super) chunks: usize,
    pub(super) bytes: usize,
}

/// Sees that programs write in a quick succession of small pieces, and lets some
/// of them gather in the pipes: to carry each piece by itself costs several times
/// as much as writing it did.
#[derive(Debug, Default)]
struct Trickle {
    last: Option<Instant>,
}

impl Trickle {
    /// Rests for a moment if this round and one just before it carried little. A
    /// line that comes alone is never late.
    fn rest_after(&mut self, round: Round) {
        if round.chunks == 0 || round.bytes >= round.chunks * TRICKLE_CHUNK {
            return;
        }
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < TRICKLE_SPAN) {
            thread::sleep(TRICKLE_REST);
        }
        self.last = Some(now);
    }
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
    /// Makes ready what there is to work with. Lines that the last pump has not written wait
    /// to be written first.
    ///
    /// # Errors
    /// What making a poll, a pipe or an open file says.
    pub(super) fn new(
        settings: PumpSettings,
        shared: Arc<Shared>,
        commands: Receiver<Command>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&shared.waker, WAKER_TOKEN, Interest::Readable)?;
        let (record, known) = Record::open(settings.cells, settings.base, settings.length);
        let (read, write) = settings.staging;
        let mut staging = Staging::new(read, write, record)?;
        staging.outlets = Outlets::new(settings.outlets, &staging.record)?;
        let mut files = Files::new(Arc::clone(&shared.pulse));
        files.know_outputs(staging.outlets.identities());
        let mut main_log = MainLog::new(settings.main_log, &mut files)?;
        main_log.settle(settings.owed, &mut files, &staging.record);
        shared.said_owed.store(staging.record.said(), Ordering::Relaxed);
        if known == Known::No {
            let text = "another version had log bytes in flight; they cannot be taken over";
            main_log.say(Severity::Warning, text);
        }
        Ok(Self {
            poller,
            shared,
            commands,
            streams: Streams::default(),
            files,
            compression: Compression::default(),
            staging,
            intake: settings.intake,
            null: pipe::open_target(Path::new("/dev/null"))?,
            main_log,
            syslog: Syslog::new(settings.syslog),
            reports: settings.reports,
            control: settings.waker,
            stage: Stage::Gathering,
            carried: Round::default(),
            retry: None,
            lines: 0,
            awaits_main_log: false,
            turn: Slot(0),
        })
    }

    /// Works until it is told to finish.
    pub(super) fn run(mut self) {
        let mut events = Events::new();
        let mut trickle = Trickle::default();
        while self.stage != Stage::Finished {
            let timeout = self.retry.map(|retry| self.files.until(retry));
            self.shared.pulse.rest();
            self.poller
                .wait(&mut events, timeout)
                .expect("a poll of our own descriptors with a valid timeout does not fail");
            self.shared.pulse.wake();
            self.carried = Round::default();
            let mut ready = events.iter();
            for event in ready.by_ref() {
                self.serve(event);
                // What we are told waits for one stream, not for all that have something: most
                // lines of the main log that wait are lost when the supervisor is killed. The
                // other streams are seen again by the next poll.
                if self.shared.is_awake.load(Ordering::SeqCst) {
                    break;
                }
            }
            ready.for_each(|event| self.see_again(event.token()));
            self.obey();
            self.try_again();
            self.write_main_log();
            self.compress();
            self.report();
            trickle.rest_after(self.carried);
        }
    }

    fn serve(&mut self, event: Event) {
        match event.token() {
            WAKER_TOKEN => self.shared.waker.clear(),
            COPY_TOKEN => {
                if let Some(copy) = self.main_log.copy() {
                    let _ = self.poller.delete(copy);
                }
                self.main_log.copy_has_room();
            }
            SYSLOG_TOKEN => self.syslog_has_room(),
            token @ FILE_TOKENS.. => self.file_has_room(FileId((token - FILE_TOKENS) as u32)),
            slot => self.flow(Slot(slot as u32), event.is_hung_up()),
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
                    self.main_log.line(&line);
                    self.took_line(line.len());
                }
                Command::Owed(line) => {
                    self.main_log.owed_line(&line.text, line.number);
                    self.took_line(line.text.len());
                }
                Command::Stdout(bytes) => {
                    self.main_log.say_on_stdout(&bytes);
                    self.took_line(bytes.len());
                }
                Command::Reopen => self.reopen(),
                Command::Clear(path) => self.clear(&path),
                Command::Strip(key, strip_ansi) => self.strip(key, strip_ansi),
                Command::MainLog(settings) => self.replace_main_log(settings),
                Command::Create(path) => self.create(&path),
                Command::Remove(path) => self.remove(&path),
                Command::Room => self.resume_parked(),
                // It is seen after each round whether anybody wants to know.
                Command::Look => {}
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
        // What is shown has to be carried, even if nobody keeps it.
        let path = sink.path.or_else(|| sink.echo.is_some().then(|| NOWHERE.into()));
        let file = path.as_ref().map(|path| self.files.acquire(path));
        let filter = Filter {
            capture: sink.captures.then(Capture::default),
            strip: sink.strip_ansi.then(Strip::default),
        };
        let filter = filter.at(self.staging.record.state(key).unwrap_or(0));
        let rotation = Rotation::new(sink.bytes_max, sink.backups, sink.compress);
        if let Some(file) = file {
            self.files.inherit(file, rotation);
        }
        let slot = self.streams.insert(Entry {
            key,
            pipe,
            file,
            rotation,
            filter,
            echo: sink.echo,
            flow: Flow::Parked,
            growth: Growth::Untried,
            left: None,
        });
        if !sink.prefix.is_empty() {
            self.streams.mark(slot, sink.prefix);
        }
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
        self.empty_outlets();
        for slot in self.streams.which(|_| true) {
            self.resume(slot);
        }
    }

    fn settle(&mut self) {
        let Self { streams, files, staging, syslog, main_log, intake, shared, control, .. } = self;
        let unsettled = staging.unsettled();
        let was_told = unsettled.is_some_and(|(_, number)| intake.has(number));
        let slot = unsettled.and_then(|(key, _)| streams.find(key));
        let entry = slot.and_then(|slot| streams.get(slot));
        let file = entry.and_then(|entry| entry.file);
        let place = file.map(|file| files.prepare(file));
        let target = match (file, place) {
            (Some(file), Some(Ok(place))) => Some(Target { file: files.opened(file), place }),
            _ => None,
        };
        let mut readers = Readers { syslog, main_log, intake, shared, control };
        let show = &mut |shown: Shown<'_>| echo::show(entry, shown, &mut readers);
        let source = entry.map(|entry| Source {
            key: entry.key,
            pipe: entry.pipe.as_fd(),
            filter: entry.filter,
        });
        let settled = staging.settle(source, target, was_told, show);
        match settled {
            Ok(Some(state)) => {
                if let Some(entry) = slot.and_then(|slot| self.streams.get_mut(slot)) {
                    entry.filter = entry.filter.at(state);
                }
            }
            Ok(None) => {}
            Err(error) => {
                let text = format!("a log chunk could not be taken over: {error}");
                self.main_log.say(Severity::Critical, &text);
            }
        }
    }

    /// A line of that length has left the queue.
    fn took_line(&mut self, length: usize) {
        self.shared.queued_bytes.fetch_sub(length + LINE_OVERHEAD, Ordering::Relaxed);
        self.lines += 1;
    }

    /// Lines that were said before belong to the files as they were.
    fn reopen(&mut self) {
        self.write_main_log();
        for file in self.files.ids() {
            self.unwatch(file);
            if let Err(error) = self.files.reopen(file) {
                self.refused(file, &error);
            }
        }
        self.empty_outlets();
        self.resume_parked();
    }

    /// As for reopening.
    fn clear(&mut self, path: &str) {
        self.write_main_log();
        if let Some(file) = self.files.find(path) {
            self.unwatch(file);
        }
        if let Some((file, Err(error))) = self.files.clear(path) {
            let text = format!("could not clear {}: {error}", self.files.path(file));
            self.main_log.say(Severity::Warning, &text);
        }
        self.resume_parked();
    }

    /// As for reopening. Lines that the last log does not take go to the next one.
    fn replace_main_log(&mut self, settings: MainLogSettings) {
        self.write_main_log();
        if let Some(copy) = self.main_log.copy() {
            // It is waited for only while it has no room.
            let _ = self.poller.delete(copy);
        }
        if let Err(error) = self.main_log.replace(settings, &mut self.files) {
            self.main_log.say(Severity::Warning, &format!("could not change this log: {error}"));
        }
    }

    /// A file that cannot be created now is created when there is something to log.
    fn create(&mut self, path: &Arc<str>) {
        self.shared.pulse.touch_other(path);
        let made = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&**path);
        if let Err(error) = made {
            self.main_log.say(Severity::Warning, &format!("could not create {path}: {error}"));
        }
    }

    fn remove(&mut self, path: &Arc<str>) {
        self.compression.forget(path);
        self.shared.pulse.touch_other(path);
        if let Err(error) = fs::remove_file(&**path)
            && error.kind() != io::ErrorKind::NotFound
        {
            self.main_log.say(Severity::Warning, &format!("could not remove {path}: {error}"));
        }
    }

    /// Carries all that is there, writes the main log, and ends.
    fn finish(&mut self) {
        for file in self.files.ids() {
            self.unwatch(file);
            self.files.make_due(file);
        }
        if self.stage == Stage::Flowing {
            for slot in self.streams.which(|_| true) {
                // Nobody listens any more.
                if let Some(echo) = self.streams.get_mut(slot).and_then(|entry| entry.echo.as_mut())
                {
                    echo.tells = Tells::Nothing;
                }
                let waiting = self.streams.get(slot).map(|entry| pipe::waiting(&entry.pipe));
                let left = waiting.and_then(Result::ok).unwrap_or(0);
                self.end(slot, u32::try_from(left).unwrap_or(u32::MAX));
            }
            for slot in self.streams.which(|_| true) {
                self.give_up(slot);
            }
        }
        for text in self.lost_in_outlets() {
            self.main_log.say(Severity::Warning, &text);
        }
        self.compression.abandon();
        self.write_main_log();
        let lost = self.syslog.abandon();
        if lost > 0 {
            let text = format!("{lost} lines for syslog are lost: it took nothing");
            self.main_log.say(Severity::Warning, &text);
            self.write_main_log();
        }
        self.stage = Stage::Finished;
    }

    /// Tries what had refused, once its time has come.
    fn try_again(&mut self) {
        if self.retry.is_none_or(|retry| !self.files.until(retry).is_zero()) {
            return;
        }
        self.retry = None;
        self.syslog.flush();
        self.main_log.copy_has_room();
        self.empty_outlets();
        self.resume_parked();
        self.try_unused();
        self.files.tell_full();
        if let Some(next) = self.files.next_retry() {
            self.try_later(next);
        }
    }

    /// Opens what had refused and what nobody has bytes for at present, so that it is known
    /// when that is over.
    fn try_unused(&mut self) {
        for file in self.files.due() {
            let waits = |entry: &Entry| {
                entry.file == Some(file) && !matches!(pipe::waiting(&entry.pipe), Ok(0))
            };
            if !self.streams.which(waits).is_empty() || self.main_log.waits_for(file) {
                continue;
            }
            match self.files.prepare(file) {
                Ok(_) => self.took(file),
                Err(error) => {
                    self.refused(file, &error);
                }
            }
        }
    }

    /// Tells the control thread what it has not been told yet.
    fn report(&mut self) {
        let goes_on = self.shared.pulse.is_missed().then_some(Report::GoesOn);
        let mut has_any = false;
        for report in self.files.reports().chain(goes_on) {
            // If nobody listens any more, the process is about to end.
            let _ = self.reports.send(report);
            has_any = true;
        }
        if has_any {
            self.control.wake();
        }
    }

    /// Makes sure that what has refused is tried again at that time.
    pub(super) fn try_later(&mut self, at: Second) {
        self.retry = Some(self.retry.map_or(at, |retry| retry.min(at)));
    }

    pub(super) fn write_main_log(&mut self) {
        loop {
            self.flush_main_log();
            match self.syslog.news() {
                Some(news) => self.tell(&news),
                None => break,
            }
        }
        self.shared.written.store(self.lines, Ordering::Relaxed);
        self.shared.said_owed.store(self.staging.record.said(), Ordering::Relaxed);
        self.watch_syslog();
        self.resume_behind_main_log();
    }

    fn flush_main_log(&mut self) {
        loop {
            let Self { main_log, files, syslog, staging, .. } = self;
            match main_log.flush(files, syslog, &staging.record, &mut staging.outlets) {
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
                    let copy = self.main_log.copy();
                    let added =
                        copy.map(|copy| self.poller.add(copy, COPY_TOKEN, Interest::Writable));
                    if let Some(Err(_)) = added {
                        let soon = self.files.soon();
                        self.try_later(soon);
                    }
                }
            }
        }
    }
}
