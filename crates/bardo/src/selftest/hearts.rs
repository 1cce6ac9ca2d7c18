//! Programs that owe signs of life, and the memory in which each notes what it does.
//!
//! `heart NUMBER MANNER`: `answers` does what it is asked at once, `late=MS` after so many
//! milliseconds, `watchdog` says by itself that it lives, to the notify socket, and `plain`
//! speaks with nobody.

use std::fs::File;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bardo_sys::memory::SharedMemory;
use bardo_sys::{clock, launch};
use bardo_wire::control::MESSAGE_BYTES_MAX;

/// Words of memory that each has.
const WORDS: usize = 8;
const PID: usize = 0;
const LIVES: usize = 1;
const BEGAN: usize = 2;
const ALIVE_AT: usize = 3;
const SIGNS: usize = 4;
const APART: usize = 5;
const BEFORE: usize = 6;

/// What programs and whoever watches them share.
#[derive(Debug)]
pub struct Hearts {
    memory: SharedMemory,
}

/// What a program has noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heart {
    /// Its process.
    pub pid: u32,
    /// How often it was started.
    pub lives: u64,
    /// When its first instruction of ours was, on the monotonic clock.
    pub began: u64,
    /// When it last began to say that it lives, and has said it.
    pub alive_at: u64,
    /// The same of the life before.
    pub alive_before: u64,
    /// How often it has said so, in all its lives.
    pub signs: u64,
    /// The longest time between two of one life.
    pub apart: Duration,
}

impl Hearts {
    /// Opens the memory of so many of them, and makes it where there is none.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(folder: &Path, count: usize) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(folder.join("hearts"))?;
        Ok(Self { memory: SharedMemory::map(file.into(), count * WORDS)? })
    }

    /// What one has noted.
    #[must_use]
    pub fn get(&self, number: usize) -> Heart {
        let word =
            |place: usize| self.memory.words()[number * WORDS + place].load(Ordering::SeqCst);
        Heart {
            pid: u32::try_from(word(PID)).unwrap_or(0),
            lives: word(LIVES),
            began: word(BEGAN),
            alive_at: word(ALIVE_AT),
            alive_before: word(BEFORE),
            signs: word(SIGNS),
            apart: Duration::from_nanos(word(APART)),
        }
    }

    fn set(&self, number: usize, place: usize, value: u64) {
        self.memory.words()[number * WORDS + place].store(value, Ordering::SeqCst);
    }

    /// Notes a life that began then. The count of lives comes last: who has seen it finds
    /// the rest.
    fn begin(&self, number: usize, began: u64) {
        self.set(number, BEFORE, self.get(number).alive_at);
        self.set(number, BEGAN, began);
        self.set(number, PID, u64::from(std::process::id()));
        self.set(number, LIVES, self.get(number).lives + 1);
    }

    /// Has it say something that shows that it lives. That is noted when it is said, with
    /// the time before: whoever has heard it has not heard it earlier than that.
    fn sign(&self, number: usize, say: impl FnOnce() -> io::Result<usize>) -> io::Result<()> {
        let now = clock::monotonic();
        say()?;
        let heart = self.get(number);
        if heart.alive_at > heart.began {
            let apart = heart.apart.max(Duration::from_nanos(now - heart.alive_at));
            self.set(number, APART, u64::try_from(apart.as_nanos()).unwrap_or(u64::MAX));
        }
        self.set(number, ALIVE_AT, now);
        self.set(number, SIGNS, heart.signs + 1);
        Ok(())
    }
}

/// Plays one of them.
///
/// # Errors
/// When it is told nothing sensible, or cannot speak with its supervisor.
pub fn play(folder: &Path, words: &[String]) -> io::Result<u8> {
    let began = clock::monotonic();
    let [number, manner] = words else { return Err(io::ErrorKind::InvalidInput.into()) };
    let number = number.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    let hearts = Hearts::open(folder, number + 1)?;
    hearts.begin(number, began);
    match manner.as_str() {
        "plain" => loop {
            thread::park();
        },
        "watchdog" => watchdog(&hearts, number),
        "answers" => answer(&hearts, number, Duration::ZERO),
        _ => {
            let late = manner.strip_prefix("late=").and_then(|text| text.parse().ok());
            let late = late.ok_or(io::ErrorKind::InvalidInput)?;
            answer(&hearts, number, Duration::from_millis(late))
        }
    }
}

fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}

/// Says that it lives, as often as it is asked to.
fn watchdog(hearts: &Hearts, number: usize) -> io::Result<u8> {
    let name = variable("NOTIFY_SOCKET")?;
    let name = name.strip_prefix('@').ok_or(io::ErrorKind::InvalidInput)?;
    let address = SocketAddr::from_abstract_name(name)?;
    let socket = UnixDatagram::unbound()?;
    let period: u64 = variable("WATCHDOG_USEC")?.parse().map_err(io::Error::other)?;
    socket.send_to_addr(b"READY=1", &address)?;
    loop {
        hearts.sign(number, || socket.send_to_addr(b"WATCHDOG=1", &address))?;
        thread::sleep(Duration::from_micros(period / 2));
    }
}

/// Answers each question, so long after it.
fn answer(hearts: &Hearts, number: usize, late: Duration) -> io::Result<u8> {
    let channel = variable("BARDO_CTL")?.parse().map_err(io::Error::other)?;
    let channel = launch::inherited(channel).ok_or(io::ErrorKind::NotConnected)?;
    // To send and to receive is what it is for a datagram socket that is connected.
    let channel = UnixDatagram::from(channel);
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    hearts.sign(number, || channel.send(b"READY=1"))?;
    loop {
        let length = channel.recv(&mut buffer)?;
        if length == 0 {
            return Ok(0);
        }
        let message = String::from_utf8_lossy(&buffer[..length]);
        let asked = message.lines().filter_map(|line| line.strip_prefix("PING=")).next_back();
        if let Some(asked) = asked {
            if late > Duration::ZERO {
                thread::sleep(late);
            }
            hearts.sign(number, || channel.send(format!("PONG={asked}").as_bytes()))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::home::Home;

    #[test]
    fn each_notes_its_own() {
        let home = Home::new("hearts").unwrap();
        let all = Hearts::open(home.path(), 3).unwrap();
        let second = Hearts::open(home.path(), 2).unwrap();

        second.begin(1, 5);
        second.sign(1, || Ok(7)).unwrap();
        second.sign(1, || Ok(7)).unwrap();

        let heart = all.get(1);
        assert_eq!((heart.pid, heart.lives, heart.signs), (std::process::id(), 1, 2));
        assert!(heart.alive_at > 5 && heart.apart > Duration::ZERO);
        assert_eq!((all.get(0).lives, all.get(2).lives), (0, 0));
    }
}
