//! A log and its rotated files, read one after the other while it is written.
//!
//! A file is read once a newer one is there, for then it is complete. Names shift while one
//! looks at them: which file comes next is known for sure only when the one before it
//! has the same number before and after the look.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::lines::Ear;

/// A log, and those who listen to what is written to it.
#[derive(Debug)]
pub struct Chain {
    path: PathBuf,
    backups: u32,
    /// The oldest file that is not yet read.
    current: Option<File>,
    ears: Vec<Ear>,
    buffer: Vec<u8>,
    files: usize,
    bytes: u64,
}

impl Chain {
    /// For the log at this place, from its beginning: none of its files may have been
    /// dropped yet.
    #[must_use]
    pub fn new(path: PathBuf, backups: u32, ears: Vec<Ear>) -> Self {
        Self { path, backups, current: None, ears, buffer: Vec::new(), files: 0, bytes: 0 }
    }

    /// Who listens, with what they have heard.
    #[must_use]
    pub fn ears(&self) -> &[Ear] {
        &self.ears
    }

    /// How many files were read, and how many bytes they had.
    #[must_use]
    pub fn read(&self) -> (usize, u64) {
        (self.files, self.bytes)
    }

    /// The log itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all files that are complete. Whether there was any.
    ///
    /// # Errors
    /// When a file cannot be read, or was dropped before it was.
    pub fn advance(&mut self) -> io::Result<bool> {
        if self.current.is_none() {
            self.current = self.first()?;
        }
        let before = self.files;
        while let Some(next) = self.next()? {
            self.take()?;
            self.current = Some(next);
        }
        Ok(self.files > before)
    }

    /// Reads all that is left, when nobody writes any more.
    ///
    /// # Errors
    /// As for [`Self::advance`].
    pub fn finish(&mut self) -> io::Result<()> {
        self.advance()?;
        while let Some(current) = &self.current {
            // A rotation that was cut off leaves a gap.
            let number = self.number_of(current)?;
            let newer = (0..number).rev().find_map(|number| File::open(self.name(number)).ok());
            self.take()?;
            self.current = newer;
        }
        Ok(())
    }

    /// The oldest file there is.
    fn first(&self) -> io::Result<Option<File>> {
        for number in (0..=self.backups).rev() {
            match File::open(self.name(number)) {
                Ok(file) => {
                    // A rotation at this moment may have moved an older one behind us.
                    let is_oldest = self.number_of(&file)? == number;
                    return Ok(is_oldest.then_some(file));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The file after the current one, when it is certain.
    fn next(&self) -> io::Result<Option<File>> {
        let Some(current) = &self.current else { return Ok(None) };
        let number = self.number_of(current)?;
        if number == 0 {
            return Ok(None);
        }
        let next = match File::open(self.name(number - 1)) {
            Ok(file) => file,
            // Just being rotated, or left like this by a death.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok((self.number_of(current)? == number).then_some(next))
    }

    /// The number that a file has now. Numbers only grow, and so does the one that is
    /// looked at: a file that moves is met again.
    fn number_of(&self, file: &File) -> io::Result<u32> {
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let own = identity(file.metadata()?);
        let is_it = |number: &u32| {
            std::fs::metadata(self.name(*number)).is_ok_and(|found| identity(found) == own)
        };
        (0..=self.backups).find(is_it).ok_or_else(|| {
            let text = format!("a file of {} was dropped before it was read", self.path.display());
            io::Error::new(io::ErrorKind::NotFound, text)
        })
    }

    fn name(&self, number: u32) -> PathBuf {
        match number {
            0 => self.path.clone(),
            _ => PathBuf::from(format!("{}.{number}", self.path.display())),
        }
    }

    /// Reads the current file.
    fn take(&mut self) -> io::Result<()> {
        if let Some(mut file) = self.current.take() {
            self.buffer.clear();
            file.read_to_end(&mut self.buffer)?;
            for ear in &mut self.ears {
                ear.hear(&self.buffer);
            }
            self.bytes += self.buffer.len() as u64;
            self.files += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::lines::Voice;
    use super::*;

    const VOICE: Voice = Voice { number: 3, high_bit: 0 };

    /// A chain in a folder of its own, with files of these names: two lines each, in this
    /// order.
    fn chain(names: &[&str]) -> (tempfile::TempDir, Chain) {
        let folder = tempfile::tempdir().unwrap();
        for (place, name) in (0_u64..).zip(names) {
            let mut bytes = Vec::new();
            for number in [1, 2] {
                VOICE.write(2 * place + number, None, &mut bytes);
            }
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let chain = Chain::new(folder.path().join("f"), 4, vec![Ear::new(VOICE)]);
        (folder, chain)
    }

    #[test]
    fn the_newest_file_is_read_in_the_end() {
        let (_folder, mut chain) = chain(&["f.2", "f.1", "f"]);

        assert!(chain.advance().unwrap());
        assert_eq!(chain.read().0, 2);
        assert!(!chain.advance().unwrap());
        chain.finish().unwrap();

        let tally = chain.ears()[0].tally(6);
        assert!(tally.is_clean(), "{tally:?}");
    }

    #[test]
    fn a_gap_is_waited_for_and_skipped_in_the_end() {
        let (_folder, mut chain) = chain(&["f.3", "f.1", "f"]);

        assert!(!chain.advance().unwrap(), "a rotation may be under way");
        chain.finish().unwrap();

        assert!(chain.ears()[0].tally(6).is_clean());
    }

    #[test]
    fn a_file_that_was_dropped_unread_is_noticed() {
        let (folder, mut chain) = chain(&["f.1", "f"]);
        chain.advance().unwrap();

        fs::remove_file(folder.path().join("f")).unwrap();

        assert!(chain.advance().is_err());
    }
}
