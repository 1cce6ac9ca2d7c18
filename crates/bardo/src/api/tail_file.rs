//! A log file that is followed: what was added, piece by piece.
//!
//! Each follower has its own offset in the file, so the file is the queue, and a
//! slow client costs nothing but a descriptor.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::logs;

/// How much of what is there already a follower begins with: Supervisor's number.
const HEAD_BYTES: u64 = 1024;

/// Most bytes of a piece.
const PIECE_BYTES_MAX: u64 = 64 << 10;

/// What a follower is told when the file has become shorter.
const TRUNCATED: &[u8] = b"==> File truncated <==\n";

/// What has happened to a file since it was looked at last.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Nothing.
    Nothing,
    /// This was added.
    Text(Vec<u8>),
    /// It has become shorter, and is read anew.
    Truncated,
    /// Another file has its name, and is read from its beginning.
    Replaced,
}

/// A file and how far it was read.
#[derive(Debug)]
pub(super) struct TailFile {
    path: PathBuf,
    file: File,
    inode: (u64, u64),
    position: u64,
}

impl TailFile {
    /// Opens a file near its end, as far from it as Supervisor does.
    ///
    /// It may block.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::open_at(path, HEAD_BYTES)
    }

    /// Opens a file so many bytes before its end.
    ///
    /// It may block.
    pub(super) fn open_at(path: &Path, head: u64) -> io::Result<Self> {
        let mut tail = Self::reopen(path)?;
        let size = tail.file.metadata()?.len();
        let position = size.saturating_sub(head);
        let before = position.min(3);
        let mut around = [0; 7];
        let read = logs::read_at(&tail.file, &mut around, position - before)?;
        let whole = logs::end_of_character(&around[..read], usize::try_from(before).unwrap_or(0));
        tail.position = position - before + whole as u64;
        Ok(tail)
    }

    fn reopen(path: &Path) -> io::Result<Self> {
        let file = logs::open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            path: path.to_owned(),
            file,
            inode: (metadata.dev(), metadata.ino()),
            position: 0,
        })
    }

    /// When the file was last written to.
    pub(super) fn modified(&self) -> io::Result<SystemTime> {
        self.file.metadata()?.modified()
    }

    /// How far it was read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What was added, as a follower of Supervisor's is told; nothing when there is
    /// nothing yet.
    ///
    /// It may block.
    pub(super) fn more(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.next()? {
                Piece::Nothing => return Ok(Vec::new()),
                Piece::Text(bytes) => return Ok(bytes),
                Piece::Truncated => return Ok(TRUNCATED.to_vec()),
                Piece::Replaced => {}
            }
        }
    }

    /// What has happened. When another file has taken the name, the old one is read to
    /// its end first, which Supervisor forgets.
    ///
    /// It may block.
    pub(super) fn next(&mut self) -> io::Result<Piece> {
        let size = self.file.metadata()?.len();
        if size < self.position {
            self.position = 0;
            return Ok(Piece::Truncated);
        }
        let added = self.added(size)?;
        if !added.is_empty() {
            return Ok(Piece::Text(added));
        }
        match self.was_replaced().then(|| Self::reopen(&self.path)) {
            Some(Ok(next)) => {
                *self = next;
                Ok(Piece::Replaced)
            }
            // An error says that it is being replaced at this moment.
            Some(Err(_)) | None => Ok(Piece::Nothing),
        }
    }

    fn added(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let length = (size - self.position).min(PIECE_BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = logs::read_at(&self.file, &mut bytes, self.position)?;
        bytes.truncate(logs::whole_characters(&bytes[..read]));
        self.position += bytes.len() as u64;
        Ok(bytes)
    }

    /// Whether another file has the name now. A file that has no name any more is
    /// followed on.
    fn was_replaced(&self) -> bool {
        self.path.metadata().is_ok_and(|metadata| (metadata.dev(), metadata.ino()) != self.inode)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn room() -> (tempfile::TempDir, PathBuf) {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        (room, path)
    }

    fn append(path: &Path, text: &[u8]) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text).unwrap();
    }

    #[test]
    fn it_begins_with_the_last_kilobyte_and_follows() {
        let (_room, path) = room();
        append(&path, &[b'a'; 2000]);
        let mut tail = TailFile::open(&path).unwrap();

        assert_eq!(tail.more().unwrap(), [b'a'; 1024]);
        assert_eq!(tail.more().unwrap(), b"");
        append(&path, b"more");
        assert_eq!(tail.more().unwrap(), b"more");
    }

    #[test]
    fn a_truncated_file_is_told_and_read_anew() {
        let (_room, path) = room();
        append(&path, b"long text");
        let mut tail = TailFile::open(&path).unwrap();
        tail.more().unwrap();

        fs::write(&path, b"new").unwrap();

        assert_eq!(tail.more().unwrap(), TRUNCATED);
        assert_eq!(tail.more().unwrap(), b"new");
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_first() {
        let (room, path) = room();
        append(&path, b"one");
        let mut tail = TailFile::open(&path).unwrap();
        assert_eq!(tail.more().unwrap(), b"one");

        append(&path, b"two");
        fs::rename(&path, room.path().join("log.1")).unwrap();
        append(&path, b"three");

        assert_eq!(tail.more().unwrap(), b"two");
        assert_eq!(tail.more().unwrap(), b"three");
    }

    #[test]
    fn a_file_without_a_name_is_followed_on() {
        let (_room, path) = room();
        append(&path, b"one");
        let mut tail = TailFile::open(&path).unwrap();
        let mut writer = fs::OpenOptions::new().append(true).open(&path).unwrap();

        fs::remove_file(&path).unwrap();
        writer.write_all(b"two").unwrap();

        assert_eq!(tail.more().unwrap(), b"onetwo");
    }

    #[test]
    fn a_character_comes_whole() {
        let (_room, path) = room();
        append(&path, b"a\xc3");
        let mut tail = TailFile::open(&path).unwrap();

        assert_eq!(tail.more().unwrap(), b"a");
        append(&path, b"\xa9");
        assert_eq!(tail.more().unwrap(), "é".as_bytes());
    }

    #[test]
    fn the_last_kilobyte_begins_with_a_whole_character() {
        let (_room, path) = room();
        append(&path, format!("é{}", "a".repeat(1023)).as_bytes());
        let mut tail = TailFile::open(&path).unwrap();

        assert_eq!(tail.more().unwrap(), [b'a'; 1023]);
    }
}
