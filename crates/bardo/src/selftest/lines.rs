//! Lines that can be told apart: who wrote which, and whether it is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Chance that can be had again: xorshift.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).max(1))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.draw() >> 11) % limit.max(1)
    }
}

/// The stream of one writer in a file. Two that share a file are told apart by their
/// highest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    /// Which, among all.
    pub number: u64,
    /// The bit that its bytes have set.
    pub high_bit: u8,
}

/// What was found of a voice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that were written.
    pub written: u64,
    /// Lines that are not there.
    pub lost: u64,
    /// Lines that are there again, or out of their order.
    pub doubled: u64,
    /// What is there and is no whole line.
    pub torn: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            written: self.written + other.written,
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
            torn: self.torn + other.torn,
        }
    }

    /// Whether everything is there once.
    #[must_use]
    pub fn is_clean(self) -> bool {
        (self.lost, self.doubled, self.torn) == (0, 0, 0)
    }
}

impl Voice {
    /// A line of this voice, without its high bit.
    #[must_use]
    pub fn line(self, number: u64) -> String {
        let mut random = Random::new(number ^ (self.number + 1) << 48);
        let payload = "x".repeat(usize::try_from(random.below(90)).unwrap_or(0));
        format!("{} {number} {:016x} {payload}.\n", self.number, random.draw())
    }

    /// Appends a line as it is written: with its high bit, and with escape sequences
    /// at places of chance where they are to be stripped.
    pub fn write(self, number: u64, colours: Option<&mut Random>, output: &mut Vec<u8>) {
        const SEQUENCES: [&[u8]; 4] = [b"\x1b[0m", b"\x1b[38;5;200m", b"\x1b[2K", b"\x1b[12;40H"];
        let line = self.line(number);
        let Some(random) = colours else {
            output.extend(line.bytes().map(|byte| byte | self.high_bit));
            return;
        };
        for byte in line.bytes() {
            if random.below(12) == 0 {
                let which = usize::try_from(random.below(4)).unwrap_or(0);
                output.extend_from_slice(SEQUENCES[which]);
            }
            output.push(byte | self.high_bit);
        }
    }

    /// Compares all bytes of a log with the lines that were written.
    #[must_use]
    pub fn check(self, log: &[u8], written: u64) -> Tally {
        let own: Vec<u8> = log
            .iter()
            .filter(|byte| *byte & 0x80 == self.high_bit)
            .map(|byte| byte & 0x7f)
            .collect();
        let mut tally = Tally { written, ..Tally::default() };
        let mut expected = 1;
        for line in own.split_inclusive(|byte| *byte == b'\n') {
            match self.number_of(line) {
                None => tally.torn += 1,
                Some(number) if number < expected || number > written => tally.doubled += 1,
                Some(number) => {
                    tally.lost += number - expected;
                    expected = number + 1;
                }
            }
        }
        tally.lost += (written + 1).saturating_sub(expected);
        tally
    }

    /// The number of a line, if it is one of this voice and whole.
    fn number_of(self, line: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(line).ok()?;
        let number = text.split(' ').nth(1)?.parse().ok()?;
        (self.line(number) == text).then_some(number)
    }
}

/// A log with all its rotated files, the oldest first, and how many files there are.
///
/// # Errors
/// When a file cannot be read, or one is missing in between.
pub fn read_rotated(newest: &Path) -> io::Result<(Vec<u8>, usize)> {
    let backup = |number: usize| PathBuf::from(format!("{}.{number}", newest.display()));
    let backups = (1..).take_while(|number| backup(*number).exists()).count();
    let directory = newest.parent().unwrap_or(Path::new("."));
    let prefix = newest.file_name().unwrap_or_default().to_string_lossy().into_owned() + ".";
    let names = fs::read_dir(directory)?.flatten().map(|entry| entry.file_name());
    let found = names.filter(|name| name.to_string_lossy().starts_with(&prefix)).count();
    if found != backups {
        let text = format!("{found} rotated files of {}, {backups} in a row", newest.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut bytes = Vec::new();
    for number in (1..=backups).rev() {
        bytes.extend(fs::read(backup(number))?);
    }
    bytes.extend(fs::read(newest)?);
    Ok((bytes, backups + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE: Voice = Voice { number: 3, high_bit: 0x80 };

    fn log(numbers: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in numbers {
            VOICE.write(*number, None, &mut bytes);
            Voice { number: 4, high_bit: 0 }.write(*number, None, &mut bytes);
        }
        bytes
    }

    #[test]
    fn a_whole_log_is_clean() {
        let tally = VOICE.check(&log(&[1, 2, 3, 4]), 4);

        assert_eq!(tally, Tally { written: 4, ..Tally::default() });
    }

    #[test]
    fn what_is_wrong_is_counted() {
        assert_eq!(VOICE.check(&log(&[1, 2, 4]), 5).lost, 2);
        assert_eq!(VOICE.check(&log(&[1, 2, 2, 3]), 3).doubled, 1);
        let mut torn = log(&[1, 2, 3]);
        torn.remove(5);
        assert_eq!(VOICE.check(&torn, 3), Tally { written: 3, lost: 1, doubled: 0, torn: 1 });
    }
}
