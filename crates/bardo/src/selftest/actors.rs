//! The programs of the self-test: a hidden face of this executable.
//!
//! `selftest-actor FOLDER SEED ROLE [NUMBER]`. Each of them notes in its folder what
//! it does, so that what the supervisor says of it can be compared.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use bardo_sys::lease::Lease;
use bardo_sys::{clock, signals};

use super::board::Board;
use super::home::add_line;
use super::lines::Random;
use super::{events, hearts, listener, speakers, visitors, writers};

/// The word that calls this face.
pub const WORD: &str = "selftest-actor";

/// The actors that end by themselves again and again.
const MORTALS: [&str; 3] = ["crasher", "runner", "failing"];

/// As much of the notes as holds the last life for sure.
const TAIL_BYTES: u64 = 1024;

/// How often one that rests looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(5);

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
    parse(&fs::read_to_string(runs_file(folder, name)).unwrap_or_default())
}

/// The last life that an actor has noted, which is looked for at the end of a file that may
/// be long.
#[must_use]
pub fn last_run(folder: &Path, name: &str) -> Option<Run> {
    let mut file = File::open(runs_file(folder, name)).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).ok()?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    // The first line may be half of one, and the end of a life whose beginning is not seen
    // is passed over.
    parse(&text).pop()
}

fn parse(text: &str) -> Vec<Run> {
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
            writers::play(folder, number, Random::new(seed ^ (number as u64 + 1) << 32))
        }
        // Ends after a moment, with a code that tells which of its lives it was.
        "crasher" => {
            let mut random = Random::new(seed ^ u64::from(std::process::id()));
            let moment = Duration::from_millis(3 + random.below(60));
            let linger = |board: &Board| {
                thread::sleep(moment);
                while board.is_paused() {
                    thread::sleep(LOOK_EVERY);
                }
            };
            Ok(note_life(folder, role, linger, crash_code)?)
        }
        // Ends after a moment: with codes that ask for a restart, and then with 0.
        "runner" => {
            let linger = |_: &Board| thread::sleep(Duration::from_millis(5));
            Ok(note_life(
                folder,
                role,
                linger,
                |life| {
                    if life % 4 == 3 { 0 } else { crash_code(life) }
                },
            )?)
        }
        // Cannot start.
        "failing" => Ok(note_life(folder, role, |_| {}, |_| 3)?),
        // Takes no notice of any signal but SIGKILL.
        "stubborn" => {
            signals::block_all();
            wait_for_ever(folder, role)
        }
        "speaker" => {
            let number = rest.first().and_then(|word| word.parse().ok()).unwrap_or(0);
            let pause = rest.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
            speakers::play(folder, number, pause, Random::new(seed ^ (number as u64 + 1) << 40))
        }
        "talker" => {
            let number = rest.first().and_then(|word| word.parse().ok()).unwrap_or(0);
            events::talk(folder, number)
        }
        "acceptor" => visitors::accept(Random::new(seed ^ u64::from(std::process::id()))),
        "counter" => events::count(folder),
        "heart" => hearts::play(folder, rest),
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

/// Notes a life that lingers and ends with the code that belongs to its number.
fn note_life(
    folder: &Path,
    role: &str,
    linger: impl FnOnce(&Board),
    code: impl Fn(usize) -> u8,
) -> io::Result<u8> {
    let path = runs_file(folder, role);
    let pid = std::process::id();
    let board = Board::open(folder)?;
    let life = board.begin_life(MORTALS.iter().position(|mortal| *mortal == role).unwrap_or(0));
    add_line(&path, &format!("began {pid} {}", clock::monotonic()))?;
    linger(&board);
    let code = code(life);
    add_line(&path, &format!("ended {pid} {} {code}", clock::monotonic()))?;
    Ok(code)
}
