//! The supervisor's own log: lines that others have formatted.
//!
//! Lines go to a file or to syslog and, in the foreground, to the inherited standard
//! output too. Each of them has a queue of its own, so that a full disk does not
//! silence the terminal and a stopped terminal not the file. A queue has a limit;
//! what did not fit is counted, and the count becomes a line when there is room.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bardo_sys::pipe::PatientWriter;

use super::file::{FileId, Files, Rotation};
use super::syslog::Syslog;
use super::{CHUNK_BYTES_MAX, Formatter, Severity};
use crate::daemon::main_log::HEADER_BYTES;

/// Most bytes of lines that wait for one target, and in the queue before it. At
/// a hundred bytes a line that is ten thousand lines: a start of ten thousand
/// programs while the disk is busy.
pub(super) const QUEUE_BYTES_MAX: usize = 1 << 20;

/// What a waiting line costs besides its text, so that empty lines are counted.
pub(super) const LINE_OVERHEAD: usize = 64;

/// Lines that wait.
#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// How much of the first line has been written.
    begun: usize,
    lost: u64,
}

impl Queue {
    fn push(&mut self, line: &[u8]) {
        if self.bytes + line.len() + LINE_OVERHEAD > QUEUE_BYTES_MAX {
            self.lost += 1;
            return;
        }
        self.bytes += line.len() + LINE_OVERHEAD;
        self.lines.push_back(line.to_vec());
    }

    fn lose(&mut self, lines: u64) {
        self.lost += lines;
    }

    /// Says how many lines were lost, once there is room to say it.
    fn confess(&mut self, format: Formatter) {
        if self.lost > 0 && self.lines.is_empty() {
            let text = format!("{} lines of this log were lost: too many waited", self.lost);
            self.lost = 0;
            self.push(&format(Severity::Warning, &text));
        }
    }

    /// Copies the first lines, whole ones, until there are `room` bytes.
    fn fill(&self, batch: &mut Vec<u8>, room: u64) {
        batch.clear();
        let mut begun = self.begun;
        for line in &self.lines {
            batch.extend_from_slice(&line[begun..]);
            begun = 0;
            if batch.len() as u64 >= room || batch.len() >= CHUNK_BYTES_MAX {
                break;
            }
        }
    }

    fn wrote(&mut self, mut bytes: usize) {
        while let Some(line) = self.lines.front() {
            let left = line.len() - self.begun;
            if bytes < left {
                self.begun += bytes;
                return;
            }
            bytes -= left;
            self.begun = 0;
            self.bytes -= line.len() + LINE_OVERHEAD;
            self.lines.pop_front();
            if bytes == 0 {
                return;
            }
        }
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
                && ends_in_a_line(&path, place.offset)
            {
                queue.push(b"\n");
            }
            FileOutlet { file, rotation, queue }
        });
        let copy = match settings.copy {
            Some(target) => Some(CopyOutlet {
                writer: PatientWriter::new(target)?,
                queue: Queue::default(),
                is_full: false,
            }),
            None => None,
        };
        let syslog = settings.to_syslog.then(Queue::default);
        let (format, copies_lines) = (settings.format, settings.copies_lines);
        Ok(Self { file, syslog, copy, copies_lines, format, batch: Vec::new() })
    }

    /// Becomes another log; what still waits goes along.
    pub(super) fn replace(
        &mut self,
        settings: super::MainLogSettings,
        files: &mut Files,
    ) -> io::Result<()> {
        let before = std::mem::replace(self, Self::new(settings, files)?);
        let next = self.file.as_mut().map(|outlet| &mut outlet.queue).or(self.syslog.as_mut());
        let waiting = match before.file {
            Some(outlet) => {
                files.release(outlet.file);
                Some(outlet.queue)
            }
            None => before.syslog,
        };
        if let (Some(next), Some(waiting)) = (next, waiting) {
            waiting.lines.iter().for_each(|line| next.push(line));
            next.lose(waiting.lost);
        }
        Ok(())
    }

    /// Takes a finished line.
    pub(super) fn line(&mut self, line: &[u8]) {
        for queue in self.queues() {
            queue.push(line);
        }
    }

    /// Takes what is for the standard output alone.
    pub(super) fn say_on_stdout(&mut self, bytes: &[u8]) {
        if let Some(copy) = &mut self.copy {
            copy.queue.push(bytes);
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

    /// Writes one batch; to be called until it has nothing more to do.
    pub(super) fn flush(&mut self, files: &mut Files, syslog: &mut Syslog) -> Flushed {
        self.flush_syslog(syslog);
        if let Some(full) = self.flush_copy() {
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
        let size = place.map_or(0, |place| place.offset);
        // A line that reaches the limit is the last one in its file, as if each
        // had been written by itself.
        let room = outlet.rotation.room(size).map_or(u64::MAX, |room| room.max(1));
        outlet.queue.fill(&mut self.batch, room);
        match files.write(id, place, &self.batch) {
            Ok(written) => {
                outlet.queue.wrote(written);
                match files.rotate(id, size + written as u64, outlet.rotation) {
                    Ok(()) => Flushed::Took(id),
                    Err(error) => Flushed::NotRotated(id, error),
                }
            }
            Err(error) => Flushed::Refused(id, error),
        }
    }

    fn flush_syslog(&mut self, syslog: &mut Syslog) {
        let Some(queue) = &mut self.syslog else { return };
        while !queue.is_empty() && !syslog.is_full() {
            queue.confess(self.format);
            queue.fill(&mut self.batch, 1);
            // Each line of a message has the time and the level, as in Supervisor.
            let (header, message) =
                self.batch.split_at_checked(HEADER_BYTES).unwrap_or((b"", &self.batch));
            syslog.say(&String::from_utf8_lossy(header), message);
            queue.wrote(self.batch.len());
        }
    }

    fn flush_copy(&mut self) -> Option<Flushed> {
        let outlet = self.copy.as_mut()?;
        while !outlet.queue.is_empty() && !outlet.is_full {
            outlet.queue.confess(self.format);
            outlet.queue.fill(&mut self.batch, u64::MAX);
            match outlet.writer.write(&self.batch) {
                Ok(written) => outlet.queue.wrote(written),
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

/// Whether a log of that size ends in the midst of a line, as a process leaves it
/// that was killed while it wrote one.
fn ends_in_a_line(path: &str, size: u64) -> bool {
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|file| file.read_at(&mut last, size.max(1) - 1));
    read.is_ok() && last != *b"\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_kill_has_cut_is_told_from_a_whole_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("main");
        let cut = |text: &str| {
            std::fs::write(&path, text).unwrap();
            ends_in_a_line(path.to_str().unwrap(), text.len() as u64)
        };

        assert!(cut("whole\ncut"));
        assert!(!cut("whole\n"));
        assert!(!cut(""));
    }

    fn format(_: Severity, text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    fn batch(queue: &Queue, room: u64) -> String {
        let mut batch = Vec::new();
        queue.fill(&mut batch, room);
        String::from_utf8(batch).unwrap()
    }

    #[test]
    fn a_line_that_reaches_the_limit_is_the_last_of_its_file() {
        let mut queue = Queue::default();
        for line in ["one\n", "two\n", "three\n"] {
            queue.push(line.as_bytes());
        }

        assert_eq!(batch(&queue, 5), "one\ntwo\n");
        assert_eq!(batch(&queue, 4), "one\n");
        assert_eq!(batch(&queue, u64::MAX), "one\ntwo\nthree\n");
    }

    #[test]
    fn what_was_written_in_part_goes_on_where_it_stopped() {
        let mut queue = Queue::default();
        queue.push(b"one\n");
        queue.push(b"two\n");

        queue.wrote(2);
        assert_eq!(batch(&queue, u64::MAX), "e\ntwo\n");
        queue.wrote(3);
        assert_eq!(batch(&queue, u64::MAX), "wo\n");
        queue.wrote(3);

        assert!(queue.is_empty() && queue.bytes == 0);
    }

    #[test]
    fn the_lines_that_were_lost_are_counted_when_there_is_room() {
        let mut queue = Queue::default();
        queue.push(&[b'x'; QUEUE_BYTES_MAX / 2]);
        queue.push(&[b'x'; QUEUE_BYTES_MAX / 2]);
        queue.lose(2);
        queue.confess(format);
        assert_eq!(queue.lines.len(), 1);

        queue.wrote(QUEUE_BYTES_MAX / 2);
        queue.confess(format);

        assert!(batch(&queue, u64::MAX).starts_with("3 lines of this log were lost"));
    }
}
