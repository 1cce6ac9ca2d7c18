//! Parts of log files, as text.
//!
//! Supervisor answers with HTTP 500 when a part begins or ends within a character,
//! or holds bytes that are not UTF-8. Here a character belongs to the part that it
//! begins in, so that consecutive parts lose nothing, and other bytes are replaced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::faults::Code;

/// Most bytes of a log in one answer: more than Supervisor's default size of a log
/// file. What is beyond them has to be asked for by its offset.
const PART_BYTES_MAX: u64 = 64 << 20;

/// Bytes of the longest character after its first.
const CONTINUATION_MAX: u64 = 3;

/// Opens a log for reading. What is no file is refused: a pipe would have no end.
///
/// It may block.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// A part of a log that is to be read.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    from: u64,
    to: u64,
    size: u64,
}

/// The end of a log, the size of the log, and whether there is more than was asked for.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) part: Part,
    pub(super) size: i64,
    pub(super) overflow: bool,
}

impl Part {
    /// What the `readLog` methods answer with: a negative offset counts from the end and
    /// has no length; a length of zero is everything up to the end.
    ///
    /// It may block.
    pub(super) fn find(path: &Path, offset: i64, length: i64) -> Result<Self, Code> {
        let file = open(path).map_err(|_| Code::Failed)?;
        let size = file.metadata().map_err(|_| Code::Failed)?.len();
        let (from, to) = match (u64::try_from(offset), u64::try_from(length)) {
            (Err(_), Ok(0)) => (size.saturating_sub(offset.unsigned_abs()), size),
            (Err(_), _) | (_, Err(_)) => return Err(Code::BadArguments),
            (Ok(from), Ok(0)) => (from, size),
            (Ok(from), Ok(length)) => (from, from.saturating_add(length).min(size)),
        };
        let from = match offset {
            ..0 => from.max(to.saturating_sub(PART_BYTES_MAX)),
            _ => from,
        };
        let to = to.min(from.saturating_add(PART_BYTES_MAX));
        Ok(Self { file, from, to, size })
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.to.saturating_sub(self.from)).unwrap_or(usize::MAX)
    }

    /// Where it begins and ends in the file, and how long the file is.
    pub(super) fn span(&self) -> (u64, u64, u64) {
        (self.from, self.to, self.size)
    }

    /// The characters that begin in it.
    ///
    /// It may block.
    pub(super) fn read(&self) -> io::Result<String> {
        let Self { file, from, to, size } = self;
        if from >= to {
            return Ok(String::new());
        }
        let before = (*from).min(CONTINUATION_MAX);
        let after = (size.saturating_sub(*to)).min(CONTINUATION_MAX);
        let start = from - before;
        let mut bytes = vec![0; usize::try_from(to + after - start).unwrap_or(usize::MAX)];
        let read = read_at(file, &mut bytes, start)?;
        bytes.truncate(read);

        let (head, tail) = (
            usize::try_from(before).unwrap_or(0),
            usize::try_from(to - start).unwrap_or(usize::MAX).min(read),
        );
        let begin = match character_around(&bytes, head) {
            Some((_, end)) => end.min(bytes.len()),
            None => head.min(bytes.len()),
        };
        let end = match character_around(&bytes, tail) {
            Some((_, end)) if end <= bytes.len() => end,
            Some((begin, _)) => begin,
            None => tail,
        };
        bytes.truncate(end);
        bytes.drain(..begin.min(end));
        // A log that is text, as most are, is not copied.
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

impl Tail {
    /// What the `tail` methods answer with: the last `length` bytes, the size, and
    /// whether there is more after `offset` than that.
    ///
    /// It may block.
    pub(super) fn find(path: &Path, offset: i64, length: i64) -> io::Result<Self> {
        let file = open(path)?;
        let end = file.metadata()?.len();
        let size = i64::try_from(end).unwrap_or(i64::MAX);
        let overflow = size > offset.saturating_add(length);
        // As in Supervisor the bytes are the last ones, also those before `offset`,
        // unless nothing was added since.
        let wanted = match overflow || offset < size {
            true => length.clamp(0, size),
            false => 0,
        };
        let wanted = u64::try_from(wanted).unwrap_or(0).min(PART_BYTES_MAX);
        let part = Part { file, from: end - wanted, to: end, size: end };
        Ok(Self { part, size, overflow })
    }
}

/// How many of the bytes are whole characters: the rest begins one.
pub(super) fn whole_characters(bytes: &[u8]) -> usize {
    character_around(bytes, bytes.len()).map_or(bytes.len(), |(begin, _)| begin)
}

/// How many of the first bytes end a character that began before them.
pub(super) fn end_of_character(bytes: &[u8], before: usize) -> usize {
    character_around(bytes, before).map_or(before, |(_, end)| end.min(bytes.len()))
}

/// Where the character begins and ends that begins before `at` and ends after it.
fn character_around(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let begin = (at.saturating_sub(3)..at).rev().find(|index| bytes[*index] & 0xc0 != 0x80)?;
    let length = match bytes[begin] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let end = begin + length;
    let continued = bytes[begin + 1..end.min(bytes.len())].iter().all(|byte| byte & 0xc0 == 0x80);
    (end > at && continued).then_some((begin, end))
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn read(path: &Path, offset: i64, length: i64) -> Result<String, Code> {
        Part::find(path, offset, length)?.read().map_err(|_| Code::Failed)
    }

    fn tail(path: &Path, offset: i64, length: i64) -> (String, i64, bool) {
        let tail = Tail::find(path, offset, length).unwrap();
        (tail.part.read().unwrap(), tail.size, tail.overflow)
    }

    #[test]
    fn a_part_is_read_as_supervisor_reads_it() {
        let file = log(b"one\ntwo\n");
        let cases = [
            ((0, 0), Ok("one\ntwo\n")),
            ((0, 5), Ok("one\nt")),
            ((3, 4), Ok("\ntwo")),
            ((5000, 10), Ok("")),
            ((-4, 0), Ok("two\n")),
            ((-900, 0), Ok("one\ntwo\n")),
            ((-3, 2), Err(Code::BadArguments)),
            ((0, -1), Err(Code::BadArguments)),
            ((i64::MIN, 0), Ok("one\ntwo\n")),
            ((i64::MAX, i64::MAX), Ok("")),
        ];

        for ((offset, length), wanted) in cases {
            let text = read(file.path(), offset, length);
            assert_eq!(text.as_deref().map_err(|code| *code), wanted);
        }
    }

    #[test]
    fn a_tail_is_read_as_supervisor_reads_it() {
        let file = log(b"one\ntwo\n");
        let cases = [
            ((0, 100), ("one\ntwo\n", 8, false)),
            ((0, 3), ("wo\n", 8, true)),
            ((4, 100), ("one\ntwo\n", 8, false)),
            ((900, 10), ("", 8, false)),
            ((0, 0), ("", 8, true)),
            ((8, 5), ("", 8, false)),
            ((0, 8), ("one\ntwo\n", 8, false)),
        ];

        for ((offset, length), (text, size, overflow)) in cases {
            let wanted = (text.to_owned(), size, overflow);
            assert_eq!(tail(file.path(), offset, length), wanted);
        }
        let empty = log(b"");
        assert_eq!(tail(empty.path(), 0, 5), (String::new(), 0, false));
    }

    #[test]
    fn consecutive_parts_lose_no_character() {
        let text = "aé€😀z".repeat(3);
        let file = log(text.as_bytes());
        let size = i64::try_from(text.len()).unwrap();

        for step in 1..7 {
            let parts: String = (0..size)
                .step_by(usize::try_from(step).unwrap())
                .map(|offset| read(file.path(), offset, step).unwrap())
                .collect();
            assert_eq!(parts, text, "{step} bytes at a time");
        }
    }

    #[test]
    fn a_part_from_the_end_begins_with_a_whole_character() {
        let file = log("xé".as_bytes());

        assert_eq!(read(file.path(), -1, 0).as_deref(), Ok(""));
        assert_eq!(read(file.path(), -2, 0).as_deref(), Ok("é"));
        assert_eq!(read(file.path(), -3, 0).as_deref(), Ok("xé"));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let file = log(b"a\xff\xa9\xa9\xa9\xa9b\xe2\x82");

        assert_eq!(
            read(file.path(), 0, 0).as_deref(),
            Ok("a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}b")
        );
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let room = tempfile::tempdir().unwrap();

        assert_eq!(read(room.path(), 0, 0), Err(Code::Failed));
        assert_eq!(read(Path::new("/dev/zero"), 0, 0), Err(Code::Failed));
    }
}
