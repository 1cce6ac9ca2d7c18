//! Lines that can be told apart: who wrote which, and whether it is whole.

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
    /// at places of chance where they are to be stripped. Returns its length without them.
    pub fn write(self, number: u64, colours: Option<&mut Random>, output: &mut Vec<u8>) -> usize {
        const SEQUENCES: [&[u8]; 4] = [b"\x1b[0m", b"\x1b[38;5;200m", b"\x1b[2K", b"\x1b[12;40H"];
        let line = self.line(number);
        let Some(random) = colours else {
            output.extend(line.bytes().map(|byte| byte | self.high_bit));
            return line.len();
        };
        for byte in line.bytes() {
            if random.below(12) == 0 {
                let which = usize::try_from(random.below(4)).unwrap_or(0);
                output.extend_from_slice(SEQUENCES[which]);
            }
            output.push(byte | self.high_bit);
        }
        line.len()
    }

    /// The number of a line, if it is one of this voice and whole.
    #[must_use]
    pub fn number_of(self, line: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(line).ok()?;
        let number = text.split(' ').nth(1)?.parse().ok()?;
        (self.line(number) == text).then_some(number)
    }
}

/// One who listens to a voice and counts what is wrong.
#[derive(Debug)]
pub struct Ear {
    voice: Voice,
    /// The number of the line that must come now.
    expected: u64,
    /// The beginning of a line.
    waiting: Vec<u8>,
    bytes: u64,
    tally: Tally,
}

impl Ear {
    /// For a voice, from its first line on.
    #[must_use]
    pub fn new(voice: Voice) -> Self {
        Self { voice, expected: 1, waiting: Vec::new(), bytes: 0, tally: Tally::default() }
    }

    /// Whom it listens to.
    #[must_use]
    pub fn voice(&self) -> Voice {
        self.voice
    }

    /// Bytes of the voice that were heard.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hears the next bytes of a log.
    pub fn hear(&mut self, log: &[u8]) {
        let own = log.iter().filter(|byte| *byte & 0x80 == self.voice.high_bit);
        let before = self.waiting.len();
        self.waiting.extend(own.map(|byte| byte & 0x7f));
        self.bytes += (self.waiting.len() - before) as u64;
        let end = self.waiting.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let whole: Vec<u8> = self.waiting.drain(..end).collect();
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            self.hear_line(line);
        }
    }

    fn hear_line(&mut self, line: &[u8]) {
        match self.voice.number_of(line) {
            None => self.tally.torn += 1,
            Some(number) if number < self.expected => self.tally.doubled += 1,
            Some(number) => {
                self.tally.lost += number - self.expected;
                self.expected = number + 1;
            }
        }
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.tally.is_clean()
    }

    /// What was found, when so many lines were written and all was heard.
    #[must_use]
    pub fn tally(&self, written: u64) -> Tally {
        let mut tally = Tally { written, ..self.tally };
        tally.torn += u64::from(!self.waiting.is_empty());
        tally.lost += (written + 1).saturating_sub(self.expected);
        // Lines that nobody has written.
        tally.doubled += self.expected.saturating_sub(written + 1);
        tally
    }
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

    fn check(log: &[u8], written: u64) -> Tally {
        let mut ear = Ear::new(VOICE);
        ear.hear(log);
        ear.tally(written)
    }

    #[test]
    fn a_whole_log_is_clean() {
        let log = log(&[1, 2, 3, 4]);

        for piece in [1, 7, log.len()] {
            let mut ear = Ear::new(VOICE);
            log.chunks(piece).for_each(|bytes| ear.hear(bytes));
            assert_eq!(ear.tally(4), Tally { written: 4, ..Tally::default() });
        }
    }

    #[test]
    fn what_is_wrong_is_counted() {
        assert_eq!(check(&log(&[1, 2, 4]), 5).lost, 2);
        assert_eq!(check(&log(&[1, 2, 2, 3]), 3).doubled, 1);
        assert_eq!(check(&log(&[1, 2, 3]), 2).doubled, 1);
        let mut torn = log(&[1, 2, 3]);
        torn.remove(5);
        assert_eq!(check(&torn, 3), Tally { written: 3, lost: 1, doubled: 0, torn: 1 });
    }
}
