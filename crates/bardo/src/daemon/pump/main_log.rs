//! The supervisor's own log: lines that others have formatted.
//!
//! Lines go to a file or to syslog and, in the foreground, to the inherited standard
//! output too. Each of them has a queue of its own, so that a full disk does not
//! silence the terminal and a stopped terminal not the file. A queue has a limit;
//! what did not fit is counted, and the count becomes a line when there is room.
//!
//! Some lines are *owed*: they have numbers, and somebody has written down that they are to
//! be said. None of them is given up here: whoever owes them owes only so many at a time.
//! What becomes of them when the pump is killed is in [`super::owed`].

use std::collections::VecDeque;
use std::io;

use bardo_sys::pipe::PatientWriter;

use super::file::{FileId, Files, Rotation};
use super::outlet::{HOUSE, OutletId, Outlets};
use super::owed::{self, OwedLine};
use super::record::{Place, Record};
use super::syslog::Syslog;
use super::{CHUNK_BYTES_MAX, Formatter, Severity};
use crate::daemon::main_log::HEADER_BYTES;

/// Most bytes of lines that wait for one target, and in the queue before it. At
/// a hundred bytes a line that is ten thousand lines: a start of ten thousand
/// programs while the disk is busy.
pub(super) const QUEUE_BYTES_MAX: usize = 1 << 20;

/// What a waiting line costs besides its text, so that empty lines are counted.
pub(super) const LINE_OVERHEAD: usize = 64;

/// A line that nobody has to be told of when it is written.
const NOT_OWED: u64 = 0;

/// Lines that wait, each with the number by which it is owed.
#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<(Vec<u8>, u64)>,
    bytes: usize,
    /// How much of the first line has been written.
    begun: usize,
    lost: u64,
}

impl Queue {
    fn push(&mut self, line: &[u8], number: u64) {
        let is_full = self.bytes + line.len() + LINE_OVERHEAD > QUEUE_BYTES_MAX;
        if is_full && number == NOT_OWED {
            self.lost += 1;
            return;
        }
        self.bytes += line.len() + LINE_OVERHEAD;
        self.lines.push_back((line.to_vec(), number));
    }

    fn lose(&mut self, lines: u64) {
        self.lost += lines;
    }

    /// Says how many lines were lost, once there is room to say it.
    fn confess(&mut self, format: Formatter) {
        if self.lost > 0 && self.lines.is_empty() {
            let text = format!("{} lines of this log were lost: too many waited", self.lost);
            self.lost = 0;
            self.push(&format(Severity::Warning, &text), NOT_OWED);
        }
    }

    /// Copies the first lines, whole ones, until there are `room` bytes.
    fn fill(&self, batch: &mut Vec<u8>, room: u64) {
        batch.clear();
        let mut begun = self.begun;
        for (line, _) in &self.lines {
            batch.extend_from_slice(&line[begun..]);
            begun = 0;
            if batch.len() as u64 >= room || batch.len() >= CHUNK_BYTES_MAX {
                break;
            }
        }
    }

    /// Takes out what was written: the number of the last owed line that is whole now.
    fn wrote(&mut self, mut bytes: usize) -> u64 {
        let mut said = NOT_OWED;
        while let Some((line, number)) = self.lines.front() {
            let left = line.len() - self.begun;
            if bytes < left {
                self.begun += bytes;
                break;
            }
            bytes -= left;
            said = said.max(*number);
            self.begun = 0;
            self.bytes -= line.len() + LINE_OVERHEAD;
            self.lines.pop_front();
            if bytes == 0 {
                break;
            }
        }
        said
    }

    /// Where the first line begins, if the log ends at that place.
    fn begins_at(&self, end: Place) -> Place {
        Place { offset: end.offset.saturating_sub(self.begun as u64), ..end }
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lost == 0
    }
}

/// The file and what waits for it.
#[derive(Debug)]
struct FileOutlet {
    file: FileId,
    rotation: Rotation,
    queue: Queue,
}

/// The inherited standard output and what waits for it.
#[derive(Debug)]
struct CopyOutlet {
    writer: PatientWriter,
    /// The output that programs share, if it is that.
    outlet: Option<OutletId>,
    queue: Queue,
    is_full: bool,
}

/// What a flush came to.
#[derive(Debug)]
pub(super) enum Flushed {
    /// There is nothing more to do now.
    Idle,
    /// The file took lines.
    Took(FileId),
    /// The file refused, or has no room (`WouldBlock`).
    Refused(FileId, io::Error),
    /// A rotation was refused.
    NotRotated(FileId, io::Error),
    /// The standard output has no room.
    CopyFull,
}

/// The main log.
#[derive(Debug)]
pub(super) struct MainLog {
    file: Option<FileOutlet>,
    /// What waits for syslog, where lines go there.
    syslog: Option<Queue>,
    /// The last owed line that was handed to syslog; it may wait there.
    in_syslog: u64,
    copy: Option<CopyOutlet>,
    copies_lines: bool,
    format: Formatter,
    batch: Vec<u8>,
}

impl MainLog {
    pub(super) fn new(settings: super::MainLogSettings, files: &mut Files) -> io::Result<Self> {
        let file = settings.path.map(|path| {
            let file = files.acquire(&path);
            let rotation = Rotation::new(settings.bytes_max, settings.backups, settings.compress);
            files.inherit(file, rotation);
            let mut queue = Queue::default();
            // If it cannot be had, the first line says so.
            if let Ok(Some(place)) = files.prepare(file)
                && owed::ends_in_a_line(&path, place.offset)
            {
                queue.push(b"\n", NOT_OWED);
            }
            FileOutlet { file, rotation, queue }
        });
        let copy = match settings.copy {
            Some(target) => Some(CopyOutlet {
                outlet: files.output(&target),
                writer: PatientWriter::new(target)?,
                queue: Queue::default(),
                is_full: false,
            }),
            None => None,
        };
        let syslog = settings.to_syslog.then(Queue::default);
        let (format, copies_lines) = (settings.format, settings.copies_lines);
        let (in_syslog, batch) = (NOT_OWED, Vec::new());
        Ok(Self { file, syslog, in_syslog, copy, copies_lines, format, batch })
    }

    /// Becomes another log; what still waits goes along.
    pub(super) fn replace(
        &mut self,
        settings: super::MainLogSettings,
        files: &mut Files,
    ) -> io::Result<()> {
        let before = std::mem::replace(self, Self::new(settings, files)?);
        self.in_syslog = before.in_syslog;
        let next = self.file.as_mut().map(|outlet| &mut outlet.queue).or(self.syslog.as_mut());
        let waiting = match before.file {
            Some(outlet) => {
                files.release(outlet.file);
                Some(outlet.queue)
            }
            None => before.syslog,
        };
        if let (Some(next), Some(waiting)) = (next, waiting) {
            waiting.lines.iter().for_each(|(line, number)| next.push(line, *number));
            next.lose(waiting.lost);
        }
        Ok(())
    }

    /// Takes a finished line.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.owed_line(line, NOT_OWED);
    }

    /// Takes a finished line that is owed by that number: to the log, and not to whoever
    /// sees a copy of it.
    pub(super) fn owed_line(&mut self, line: &[u8], number: u64) {
        let numbers = std::iter::once(number).chain(std::iter::repeat(NOT_OWED));
        for (queue, number) in self.queues().zip(numbers) {
            queue.push(line, number);
        }
    }

    /// Takes the lines that were owed when the last pump was killed, but for those that are
    /// in the file.
    pub(super) fn settle(&mut self, owed: Vec<OwedLine>, files: &mut Files, record: &Record) {
        let outlet = self.file.as_ref();
        let place = outlet.and_then(|outlet| files.prepare(outlet.file).ok()?);
        let path = outlet.map(|outlet| &**files.path(outlet.file));
        for line in owed::missing(owed, path.zip(place), record) {
            self.owed_line(&line.text, line.number);
        }
    }

    /// Takes what is for the standard output alone.
    pub(super) fn say_on_stdout(&mut self, bytes: &[u8]) {
        if let Some(copy) = &mut self.copy {
            copy.queue.push(bytes, NOT_OWED);
        }
    }

    /// Takes something that the pump itself has to say.
    pub(super) fn say(&mut self, severity: Severity, text: &str) {
        let line = (self.format)(severity, text);
        self.line(&line);
    }

    /// Counts lines that never came this far.
    pub(super) fn lose(&mut self, lines: u64) {
        for queue in self.queues() {
            queue.lose(lines);
        }
    }

    /// The standard output, to be waited for.
    pub(super) fn copy(&self) -> Option<&PatientWriter> {
        self.copy.as_ref().map(|outlet| &outlet.writer)
    }

    /// The standard output has room again.
    pub(super) fn copy_has_room(&mut self) {
        if let Some(outlet) = &mut self.copy {
            outlet.is_full = false;
        }
    }

    /// Whether lines wait for a file.
    pub(super) fn waits_for(&self, file: FileId) -> bool {
        self.file.as_ref().is_some_and(|outlet| outlet.file == file && !outlet.queue.is_empty())
    }

    /// Whether a line is being written to an output that programs share: it has no room for
    /// the rest.
    pub(super) fn is_within_line(&self, outlet: OutletId, files: &Files) -> bool {
        let copy = self.copy.as_ref();
        let file = self.file.as_ref();
        copy.is_some_and(|copy| copy.outlet == Some(outlet) && copy.queue.begun > 0)
            || file
                .is_some_and(|file| file.queue.begun > 0 && files.outlet(file.file) == Some(outlet))
    }

    /// Writes one batch; to be called until it has nothing more to do.
    pub(super) fn flush(
        &mut self,
        files: &mut Files,
        syslog: &mut Syslog,
        record: &Record,
        outlets: &mut Outlets,
    ) -> Flushed {
        self.flush_syslog(syslog, record);
        if let Some(full) = self.flush_copy(record, outlets) {
            return full;
        }
        let Some(outlet) = &mut self.file else {
            return Flushed::Idle;
        };
        let id = outlet.file;
        if outlet.queue.is_empty() || !files.may_try(id) {
            return Flushed::Idle;
        }
        outlet.queue.confess(self.format);
        let place = match files.prepare(id) {
            Ok(place) => place,
            Err(error) => return Flushed::Refused(id, error),
        };
        let shared = files.outlet(id);
        if shared.is_some_and(|shared| outlets.left(shared) > 0) {
            return Flushed::Refused(id, io::ErrorKind::WouldBlock.into());
        }
        if let Some(shared) = shared.filter(|shared| must_break(*shared, &outlet.queue, outlets)) {
            return match files.write(id, place, b"\n") {
                Ok(_) => {
                    outlets.ends_in(shared, None, record);
                    Flushed::Took(id)
                }
                Err(error) => Flushed::Refused(id, error),
            };
        }
        let size = place.map_or(0, |place| place.offset);
        // A line that reaches the limit is the last one in its file, as if each
        // had been written by itself.
        let room = outlet.rotation.room(size).map_or(u64::MAX, |room| room.max(1));
        outlet.queue.fill(&mut self.batch, room);
        if let Some(place) = place {
            record.say_at(outlet.queue.begins_at(place));
        }
        match files.write(id, place, &self.batch) {
            Ok(written) => {
                record.said_up_to(outlet.queue.wrote(written));
                note_line(shared, &outlet.queue, outlets, record);
                if outlet.queue.begun == 0 {
                    record.said_all();
                }
                match files.rotate(id, size + written as u64, outlet.rotation) {
                    Ok(()) => Flushed::Took(id),
                    Err(error) => Flushed::NotRotated(id, error),
                }
            }
            Err(error) => Flushed::Refused(id, error),
        }
    }

    fn flush_syslog(&mut self, syslog: &mut Syslog, record: &Record) {
        while !syslog.is_full() {
            // What was handed over does not wait any more.
            record.said_up_to(self.in_syslog);
            let Some(queue) = self.syslog.as_mut().filter(|queue| !queue.is_empty()) else {
                return;
            };
            queue.confess(self.format);
            queue.fill(&mut self.batch, 1);
            // Each line of a message has the time and the level, as in Supervisor.
            let (header, message) =
                self.batch.split_at_checked(HEADER_BYTES).unwrap_or((b"", &self.batch));
            syslog.say(&String::from_utf8_lossy(header), message);
            self.in_syslog = self.in_syslog.max(queue.wrote(self.batch.len()));
        }
    }

    fn flush_copy(&mut self, record: &Record, outlets: &mut Outlets) -> Option<Flushed> {
        let outlet = self.copy.as_mut()?;
        let shared = outlet.outlet;
        while !outlet.queue.is_empty() && !outlet.is_full {
            if shared.is_some_and(|shared| outlets.left(shared) > 0) {
                // Whoever empties the outbox lets it go on.
                return None;
            }
            outlet.queue.confess(self.format);
            let breaks = shared.is_some_and(|shared| must_break(shared, &outlet.queue, outlets));
            match breaks {
                true => self.batch.splice(.., *b"\n").for_each(drop),
                false => outlet.queue.fill(&mut self.batch, u64::MAX),
            }
            match outlet.writer.write(&self.batch) {
                Ok(written) => {
                    outlet.queue.wrote(if breaks { 0 } else { written });
                    note_line(shared, &outlet.queue, outlets, record);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    outlet.is_full = true;
                    return Some(Flushed::CopyFull);
                }
                Err(_) => {
                    // Whoever listened has gone, for good.
                    self.copy = None;
                    return None;
                }
            }
        }
        None
    }

    fn queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        let file = self.file.as_mut().map(|outlet| &mut outlet.queue);
        let copy = self.copy.as_mut().filter(|_| self.copies_lines);
        let copy = copy.map(|outlet| &mut outlet.queue);
        file.into_iter().chain(&mut self.syslog).chain(copy)
    }
}

/// Whether somebody else's line is to be ended before the next one.
fn must_break(shared: OutletId, queue: &Queue, outlets: &Outlets) -> bool {
    queue.begun == 0 && outlets.is_open(shared)
}

/// Keeps whether an output ends in one of these lines.
fn note_line(shared: Option<OutletId>, queue: &Queue, outlets: &mut Outlets, record: &Record) {
    if let Some(shared) = shared {
        outlets.ends_in(shared, (queue.begun > 0).then_some(HOUSE), record);
    }
}

#[cfg(test)]
mod tests;
