//! The programs of the self-test: a hidden face of this executable.
//!
//! `selftest-actor FOLDER SEED ROLE [NUMBER]`. Each of them notes in its folder what
//! it does, so that what the supervisor says of it can be compared.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bardo_sys::lease::Lease;
use bardo_sys::memory::SharedMemory;
use bardo_sys::{clock, signals};

use super::home::add_line;
use super::lines::{Random, Voice};
use super::{events, listener, speakers};

/// The word that calls this face.
pub const WORD: &str = "selftest-actor";

/// A program that writes lines.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    /// Its name.
    pub name: &'static str,
    /// Its blocks are this long at most.
    pub block_max: u64,
    /// Whether it asks for escape sequences to be taken out.
    pub strip: bool,
    /// Where its standard error goes.
    pub stderr: Stderr,
    /// The file of its standard output, and whether another writer has it too.
    pub log: &'static str,
    /// The bit that tells it from the other writer of its file.
    pub high_bit: u8,
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

const PLAIN: Writer =
    Writer { name: "", block_max: 0, strip: false, stderr: Stderr::Silent, log: "", high_bit: 0 };

/// All writers. The number of one is its place.
pub const WRITERS: [Writer; 10] = [
    Writer { name: "tiny", block_max: 41, log: "tiny.log", ..PLAIN },
    Writer { name: "odd", block_max: 307, log: "odd.log", ..PLAIN },
    Writer { name: "page", block_max: 4_099, log: "page.log", ..PLAIN },
    Writer { name: "large", block_max: 70_001, log: "large.log", ..PLAIN },
    Writer { name: "strip", block_max: 501, strip: true, log: "strip.log", ..PLAIN },
    Writer {
        name: "redirect",
        block_max: 1_013,
        stderr: Stderr::Redirected,
        log: "redirect.log",
        ..PLAIN
    },
    Writer { name: "both", block_max: 611, stderr: Stderr::Own, log: "both.log", ..PLAIN },
    Writer {
        name: "both-strip",
        block_max: 9_001,
        strip: true,
        stderr: Stderr::Own,
        log: "both-strip.log",
        ..PLAIN
    },
    Writer { name: "shared-one", block_max: 203, log: "shared.log", ..PLAIN },
    Writer { name: "shared-two", block_max: 20_011, log: "shared.log", high_bit: 0x80, ..PLAIN },
];

impl Writer {
    /// Its streams: the voice of each, and its file.
    #[must_use]
    pub fn voices(&self, number: usize) -> Vec<(Voice, String)> {
        let first = 2 * number as u64;
        let mut voices =
            vec![(Voice { number: first, high_bit: self.high_bit }, self.log.to_owned())];
        match self.stderr {
            Stderr::Silent => {}
            Stderr::Redirected => {
                voices.push((Voice { number: first + 1, high_bit: 0x80 }, self.log.to_owned()));
            }
            Stderr::Own => {
                let log = format!("{}.stderr.log", self.name);
                voices.push((Voice { number: first + 1, high_bit: 0 }, log));
            }
        }
        voices
    }
}

/// Memory that the writers and the self-test share.
#[derive(Debug)]
pub struct Board {
    memory: SharedMemory,
}

const BOARD_WORDS: usize = 128;
const STOP: usize = 0;
const DONE_AT: usize = 1;
const LINES_AT: usize = 64;
const SPEECH_AT: usize = 96;
const SILENT_AT: usize = 112;

impl Board {
    /// Opens the one of this folder, or makes it.
    ///
    /// # Errors
    /// When its file cannot be had.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("board");
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { memory: SharedMemory::map(file.into(), BOARD_WORDS)? })
    }

    /// Tells all writers to finish their last line.
    pub fn stop(&self) {
        self.memory.words()[STOP].store(1, Ordering::SeqCst);
    }

    /// Whether a writer has written all that it will.
    #[must_use]
    pub fn is_done(&self, writer: usize) -> bool {
        self.memory.words()[DONE_AT + writer].load(Ordering::SeqCst) == 1
    }

    /// Lines that a voice has written.
    #[must_use]
    pub fn lines(&self, voice: Voice) -> u64 {
        let place = usize::try_from(voice.number).unwrap_or(0);
        self.memory.words()[LINES_AT + place].load(Ordering::SeqCst)
    }

    /// Messages that a speaker has begun.
    #[must_use]
    pub fn speech(&self, speaker: usize) -> u64 {
        self.memory.words()[SPEECH_AT + speaker].load(Ordering::SeqCst)
    }

    /// Whether a speaker has said all that it will.
    #[must_use]
    pub fn is_silent(&self, speaker: usize) -> bool {
        self.memory.words()[SILENT_AT + speaker].load(Ordering::SeqCst) == 1
    }

    pub(super) fn set_speech(&self, speaker: usize, count: u64) {
        self.memory.words()[SPEECH_AT + speaker].store(count, Ordering::SeqCst);
    }

    pub(super) fn set_silent(&self, speaker: usize) {
        self.memory.words()[SILENT_AT + speaker].store(1, Ordering::SeqCst);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.memory.words()[STOP].load(Ordering::SeqCst) == 1
    }

    fn set_lines(&self, voice: Voice, lines: u64) {
        let place = usize::try_from(voice.number).unwrap_or(0);
        self.memory.words()[LINES_AT + place].store(lines, Ordering::SeqCst);
    }

    fn set_done(&self, writer: usize) {
        self.memory.words()[DONE_AT + writer].store(1, Ordering::SeqCst);
    }
}

/// One life of an actor that ends by itself, as it has noted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub pid: u32,
    /// When it began, on the monotonic clock.
    pub began: u64,
    /// The code it has ended with, and when; `None` where it has not said so.
    pub ended: Option<(u8, u64)>,
}

/// The file in which an actor notes its lives.
#[must_use]
pub fn runs_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.runs"))
}

/// The lives that an actor has noted.
#[must_use]
pub fn runs(folder: &Path, name: &str) -> Vec<Run> {
    let text = fs::read_to_string(runs_file(folder, name)).unwrap_or_default();
    let mut runs: Vec<Run> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok());
        let pid = number(1).and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        match words.first() {
            Some(&"began") => {
                runs.push(Run { pid, began: number(2).unwrap_or(0), ended: None });
            }
            Some(&"ended") => {
                let code = number(3).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX);
                if let Some(run) = runs.iter_mut().rev().find(|run| run.pid == pid) {
                    run.ended = Some((code, number(2).unwrap_or(0)));
                }
            }
            _ => {}
        }
    }
    runs
}

/// The code that the life of this number ends with: it tells which life it was.
#[must_use]
pub fn crash_code(life: usize) -> u8 {
    u8::try_from(1 + life % 199).unwrap_or(1)
}

/// Plays a role; returns the exit code.
///
/// # Errors
/// When the folder cannot be written, or a pipe is closed.
pub fn play(words: &[String]) -> io::Result<u8> {
    let [folder, seed, role, rest @ ..] = words else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an actor needs a role"));
    };
    let folder = Path::new(folder);
    let seed = seed.parse().unwrap_or(0);
    match role.as_str() {
        "writer" => {
            let number = rest.first().and_then(|word| word.parse().ok()).unwrap_or(0);
            write_lines(folder, number, Random::new(seed ^ (number as u64 + 1) << 32))
        }
        // Ends after a moment, with a code that tells which of its lives it was.
        "crasher" => {
            let mut random = Random::new(seed ^ u64::from(std::process::id()));
            let moment = Duration::from_millis(3 + random.below(60));
            Ok(note_life(folder, role, moment, crash_code)?)
        }
        // Ends after a moment: with codes that ask for a restart, and then with 0.
        "runner" => Ok(note_life(folder, role, Duration::from_millis(5), |life| {
            if life % 4 == 3 { 0 } else { crash_code(life) }
        })?),
        // Cannot start.
        "failing" => Ok(note_life(folder, role, Duration::ZERO, |_| 3)?),
        // Takes no notice of any signal but SIGKILL.
        "stubborn" => {
            signals::block_all();
            wait_for_ever(folder, role)
        }
        "speaker" => {
            let number = rest.first().and_then(|word| word.parse().ok()).unwrap_or(0);
            speakers::play(folder, number, Random::new(seed ^ (number as u64 + 1) << 40))
        }
        "talker" => {
            let number = rest.first().and_then(|word| word.parse().ok()).unwrap_or(0);
            events::talk(folder, number)
        }
        "counter" => events::count(folder),
        "listener" => listener::play(folder, rest),
        // Keeps a file from everybody, so that it cannot be executed.
        "holder" => {
            let path = rest.first().ok_or(io::ErrorKind::InvalidInput)?;
            let _lease = Lease::take(File::open(path)?)?;
            wait_for_ever(folder, role)
        }
        _ => wait_for_ever(folder, role),
    }
}

fn wait_for_ever(folder: &Path, role: &str) -> io::Result<u8> {
    add_line(
        &runs_file(folder, role),
        &format!("began {} {}", std::process::id(), clock::monotonic()),
    )?;
    loop {
        thread::park();
    }
}

/// Notes a life that ends after a moment with the code that belongs to its number.
fn note_life(
    folder: &Path,
    role: &str,
    moment: Duration,
    code: impl Fn(usize) -> u8,
) -> io::Result<u8> {
    let path = runs_file(folder, role);
    let pid = std::process::id();
    let life = runs(folder, role).len();
    add_line(&path, &format!("began {pid} {}", clock::monotonic()))?;
    thread::sleep(moment);
    let code = code(life);
    add_line(&path, &format!("ended {pid} {} {code}", clock::monotonic()))?;
    Ok(code)
}

/// A stream with what is to be written to it.
struct Outlet {
    voice: Voice,
    output: Box<dyn Write>,
    waiting: Vec<u8>,
    lines: u64,
}

/// Writes numbered lines in blocks of odd sizes until it is told to stop.
fn write_lines(folder: &Path, number: usize, mut random: Random) -> io::Result<u8> {
    let writer = WRITERS.get(number).ok_or(io::ErrorKind::InvalidInput)?;
    let board = Board::open(folder)?;
    // Past the buffers of the library, which would choose their own blocks.
    let streams: [fn() -> io::Result<File>; 2] = [
        || Ok(rustix::io::dup(io::stdout())?.into()),
        || Ok(rustix::io::dup(io::stderr())?.into()),
    ];
    let mut outlets = Vec::new();
    for ((voice, _), stream) in writer.voices(number).into_iter().zip(streams) {
        let output = Box::new(stream()?);
        outlets.push(Outlet { voice, output, waiting: Vec::new(), lines: 0 });
    }
    while !board.is_stopped() {
        for outlet in &mut outlets {
            let block = usize::try_from(1 + random.below(writer.block_max)).unwrap_or(1);
            while outlet.waiting.len() < block {
                outlet.lines += 1;
                let colours = writer.strip.then_some(&mut random);
                outlet.voice.write(outlet.lines, colours, &mut outlet.waiting);
                board.set_lines(outlet.voice, outlet.lines);
            }
            outlet.output.write_all(&outlet.waiting[..block])?;
            outlet.waiting.drain(..block);
        }
        // About half a megabyte a second each: the test is not about speed.
        thread::sleep(Duration::from_micros(500 + random.below(2 * writer.block_max)));
    }
    for outlet in &mut outlets {
        outlet.output.write_all(&outlet.waiting)?;
    }
    board.set_done(number);
    loop {
        thread::park();
    }
}
