//! Lines of the main log that are owed, and which of them a killed pump has written.
//!
//! Where the log ends is recorded before lines are written, and the number of the last one
//! behind the write; what was written in between is seen in the file. So an owed line is in
//! the file once. In syslog, a FIFO or a terminal it is twice where the kill came between the
//! write and the record of it.
//!
//! What surprises a newcomer: nothing is looked for but lines that are whole. One that a kill
//! has cut is written again, on a line of its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::CHUNK_BYTES_MAX;
use super::record::{Place, Record};

/// Most bytes that are looked at for owed lines: those of two batches.
const LOOK_BACK_MAX: usize = 2 * CHUNK_BYTES_MAX;

/// A line of the main log that somebody has promised to write, and will until it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedLine {
    /// Its number: larger than those of the lines before it, and not 0.
    pub number: u64,
    /// All of it, newline included.
    pub text: Vec<u8>,
}

/// Which lines that were owed when the last pump was killed are still to be written. The log
/// has that path, and ends at that place.
pub(super) fn missing(
    mut owed: Vec<OwedLine>,
    log: Option<(&str, Place)>,
    record: &Record,
) -> Vec<OwedLine> {
    let said = record.said();
    owed.retain(|line| line.number > said);
    if owed.is_empty() {
        return owed;
    }
    let is_the_one =
        |saying: &Place, end: Place| (saying.device, saying.inode) == (end.device, end.inode);
    let tail = log.zip(record.saying()).filter(|((_, end), saying)| is_the_one(saying, *end));
    let tail = tail.and_then(|((path, _), saying)| read_from(path, saying).ok());
    let written = written(&owed, &tail.unwrap_or_default());
    let missing = owed.split_off(written);
    if let Some(last) = owed.last() {
        record.said_up_to(last.number);
    }
    missing
}

/// Whether a log of that size ends in the midst of a line, as a process leaves it
/// that was killed while it wrote one.
pub(super) fn ends_in_a_line(path: &str, size: u64) -> bool {
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|file| file.read_at(&mut last, size.max(1) - 1));
    read.is_ok() && last != *b"\n"
}

/// What a log has from a place on.
fn read_from(path: &str, place: Place) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = vec![0; LOOK_BACK_MAX];
    let mut length = 0;
    loop {
        match file.read_at(&mut bytes[length..], place.offset + length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// How many of these lines were written, going by a part of the log. They are written in
/// their order: where one of them stands, those before it have been dealt with as well.
fn written(owed: &[OwedLine], tail: &[u8]) -> usize {
    let mut rest = tail.split(|byte| *byte == b'\n');
    let mut written = 0;
    for (place, owed) in owed.iter().enumerate() {
        let mut looked_at = rest.clone();
        if looked_at.any(|line| Some(line) == owed.text.strip_suffix(b"\n")) {
            (rest, written) = (looked_at, place + 1);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_line_that_a_kill_has_cut_is_told_from_a_whole_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("main");
        let cut = |text: &str| {
            fs::write(&path, text).unwrap();
            ends_in_a_line(path.to_str().unwrap(), text.len() as u64)
        };

        assert!(cut("whole\ncut"));
        assert!(!cut("whole\n"));
        assert!(!cut(""));
    }

    #[test]
    fn where_a_line_stands_those_before_it_are_written_too() {
        let owed: Vec<OwedLine> = ["one\n", "same\n", "same\n", "four\n"]
            .iter()
            .zip(1..)
            .map(|(text, number)| OwedLine { number, text: (*text).into() })
            .collect();

        assert_eq!(written(&owed, b"other\none\nsame\n"), 2);
        assert_eq!(written(&owed, b"same\nother\nsame\nfou"), 3);
        assert_eq!(written(&owed, b"four\n"), 4, "who took the others, took them");
        assert_eq!(written(&owed, b""), 0);
    }
}
