//! Programs that write numbered lines: what they are like, and how they write.
//!
//! One that writes as fast as it can stays a bounded number of bytes ahead of the one who
//! checks the logs, so that a rotated file is checked before rotation drops it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use super::board::Board;
use super::lines::{Random, Voice};

/// The size at which logs of writers are rotated.
const LOG_BYTES: u64 = 256 << 10;

/// How far a voice may be ahead of the one who checks. More than two files, because a file
/// is only checked when a newer one is there, which a rotation that was cut off delays by
/// one more.
const AHEAD_BYTES: u64 = 4 * LOG_BYTES;

/// Rotated files that are kept: two voices may share a file, and neither must lose what is
/// not yet checked.
pub const BACKUPS: u32 = 16;

/// How often one that is too far ahead looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Writers of each kind that are as fast as they can.
const OF_EACH_KIND: usize = 3;

/// A program that writes lines.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Its name.
    pub name: String,
    /// The file of its standard output, which another writer may have, too.
    pub log: String,
    /// How it writes.
    pub kind: Kind,
}

/// How a writer writes.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    name: &'static str,
    /// The name of its log, where it shares it.
    log: Option<&'static str>,
    /// Its blocks are this long at most.
    block_max: u64,
    pace: Pace,
    /// Whether it asks for escape sequences to be taken out.
    pub strip: bool,
    /// Where its standard error goes.
    pub stderr: Stderr,
    /// The bit that tells it from the other writer of its file.
    pub high_bit: u8,
    /// More options.
    options: &'static str,
}

/// How fast a writer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// With a wait after each block.
    Slow,
    /// As fast as it can be written and checked.
    Full,
}

/// What a writer does with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    /// Nothing.
    Silent,
    /// It writes to it, and it goes where standard output goes.
    Redirected,
    /// It writes to it, and it has a file of its own.
    Own,
}

const PLAIN: Kind = Kind {
    name: "",
    log: None,
    block_max: 0,
    pace: Pace::Full,
    strip: false,
    stderr: Stderr::Silent,
    high_bit: 0,
    options: "",
};

/// Those that write slowly: one of each.
const SLOW: [Kind; 2] = [
    Kind { name: "tiny", block_max: 41, pace: Pace::Slow, ..PLAIN },
    Kind { name: "page", block_max: 4_099, pace: Pace::Slow, ..PLAIN },
];

/// Those that write as fast as they can: some of each.
const FULL: [Kind; 10] = [
    Kind { name: "odd", block_max: 307, ..PLAIN },
    Kind { name: "large", block_max: 70_001, ..PLAIN },
    Kind { name: "strip", block_max: 501, strip: true, ..PLAIN },
    Kind { name: "redirect", block_max: 1_013, stderr: Stderr::Redirected, ..PLAIN },
    Kind { name: "both", block_max: 611, stderr: Stderr::Own, ..PLAIN },
    Kind { name: "both-strip", block_max: 9_001, strip: true, stderr: Stderr::Own, ..PLAIN },
    Kind { name: "shared-one", block_max: 203, log: Some("shared"), ..PLAIN },
    Kind { name: "shared-two", block_max: 20_011, log: Some("shared"), high_bit: 0x80, ..PLAIN },
    // Marks are looked for, and there are none.
    Kind { name: "capture", block_max: 3_001, options: "stdout_capture_maxbytes=1MB\n", ..PLAIN },
    // Nobody listens to the standard error of programs.
    Kind {
        name: "told",
        block_max: 1_511,
        stderr: Stderr::Own,
        options: "stderr_events_enabled=true\n",
        ..PLAIN
    },
];

static ALL: LazyLock<Vec<Writer>> = LazyLock::new(|| {
    let slow = SLOW.iter().map(|kind| Writer::new(*kind, kind.name.to_owned(), kind.name));
    let full = (1..=OF_EACH_KIND).flat_map(|number| {
        FULL.iter().map(move |kind| {
            let log = format!("{}-{number}", kind.log.unwrap_or(kind.name));
            Writer::new(*kind, format!("{}-{number}", kind.name), &log)
        })
    });
    slow.chain(full).collect()
});

/// All writers. The number of one is its place.
#[must_use]
pub fn all() -> &'static [Writer] {
    &ALL
}

/// The number of the writer of this name.
#[must_use]
pub fn number_of(name: &str) -> usize {
    all().iter().position(|writer| writer.name == name).unwrap_or_default()
}

impl Writer {
    fn new(kind: Kind, name: String, log: &str) -> Self {
        Self { name, log: format!("{log}.log"), kind }
    }

    /// Its streams: the voice of each, and its file.
    #[must_use]
    pub fn voices(&self, number: usize) -> Vec<(Voice, String)> {
        let first = 2 * number as u64;
        let high_bit = self.kind.high_bit;
        let mut voices = vec![(Voice { number: first, high_bit }, self.log.clone())];
        match self.kind.stderr {
            Stderr::Silent => {}
            Stderr::Redirected => {
                voices.push((Voice { number: first + 1, high_bit: 0x80 }, self.log.clone()));
            }
            Stderr::Own => {
                let log = format!("{}.stderr.log", self.name);
                voices.push((Voice { number: first + 1, high_bit: 0 }, log));
            }
        }
        voices
    }

    /// Its options, with logs in this folder.
    #[must_use]
    pub fn options(&self, folder: &str) -> String {
        let rotation = |stream: &str| {
            format!("{stream}_logfile_maxbytes={LOG_BYTES}\n{stream}_logfile_backups={BACKUPS}\n")
        };
        let mut text = format!("stdout_logfile={folder}/{}\n{}", self.log, rotation("stdout"));
        if self.kind.strip {
            text += "strip_ansi=true\n";
        }
        match self.kind.stderr {
            Stderr::Silent => {}
            Stderr::Redirected => text += "redirect_stderr=true\n",
            Stderr::Own => {
                // Writing into memory cannot fail.
                let _ = writeln!(text, "stderr_logfile={folder}/{}.stderr.log", self.name);
                text += &rotation("stderr");
            }
        }
        text + self.kind.options
    }
}

/// A stream with what is to be written to it.
struct Outlet {
    voice: Voice,
    output: File,
    waiting: Vec<u8>,
    lines: u64,
    /// Bytes that will be in the log.
    bytes: u64,
}

/// Writes numbered lines in blocks of odd sizes until it is told to stop.
///
/// # Errors
/// When there is no such writer, or nobody reads.
pub fn play(folder: &Path, number: usize, mut random: Random) -> io::Result<u8> {
    let writer = all().get(number).ok_or(io::ErrorKind::InvalidInput)?;
    let Kind { block_max, pace, strip, .. } = writer.kind;
    let board = Board::open(folder)?;
    // Past the buffers of the library, which would choose their own blocks.
    let streams: [fn() -> io::Result<File>; 2] = [
        || Ok(rustix::io::dup(io::stdout())?.into()),
        || Ok(rustix::io::dup(io::stderr())?.into()),
    ];
    let mut outlets = Vec::new();
    for ((voice, _), stream) in writer.voices(number).into_iter().zip(streams) {
        outlets.push(Outlet { voice, output: stream()?, waiting: Vec::new(), lines: 0, bytes: 0 });
    }
    while !board.is_stopped() {
        let is_ahead = |outlet: &Outlet| outlet.bytes > board.checked(outlet.voice) + AHEAD_BYTES;
        if board.is_paused() || pace == Pace::Full && outlets.iter().any(is_ahead) {
            thread::sleep(LOOK_EVERY);
            continue;
        }
        for outlet in &mut outlets {
            let block = usize::try_from(1 + random.below(block_max)).unwrap_or(1);
            outlet.prepare(block, &board, strip.then_some(&mut random));
            outlet.output.write_all(&outlet.waiting[..block])?;
            outlet.waiting.drain(..block);
        }
        if pace == Pace::Slow {
            thread::sleep(Duration::from_micros(500 + random.below(2 * block_max)));
        }
    }
    for outlet in &mut outlets {
        outlet.output.write_all(&outlet.waiting)?;
    }
    board.set_done(number);
    loop {
        thread::park();
    }
}

impl Outlet {
    /// Makes lines until there are so many bytes to write. A line counts as written before
    /// it is.
    fn prepare(&mut self, block: usize, board: &Board, mut colours: Option<&mut Random>) {
        while self.waiting.len() < block {
            self.lines += 1;
            self.bytes +=
                self.voice.write(self.lines, colours.as_deref_mut(), &mut self.waiting) as u64;
            board.set_lines(self.voice, self.lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voice_of_a_log_can_be_told_from_the_others() {
        let mut seen = Vec::new();
        for (number, writer) in all().iter().enumerate() {
            for (voice, log) in writer.voices(number) {
                assert!(!seen.contains(&(log.clone(), voice.high_bit)), "{log}");
                seen.push((log, voice.high_bit));
            }
        }

        assert_eq!(all().len(), SLOW.len() + OF_EACH_KIND * FULL.len());
    }
}
