//! FastCGI programs whose listening sockets Bardo holds, and visitors that knock a thousand
//! times in a second while supervisors and programs die: none may be turned away.
//!
//! A program that crashes does so before it takes the next visitor, so that each of them
//! must be answered.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use super::actors::WORD;
use super::drivers::{Drive, Findings};
use super::home::{Home, PATIENCE};
use super::lines::Random;

/// Programs at each of the two sockets.
const PROGRAMS: usize = 3;

/// Visitors that a program serves before it crashes: so many at least, and so many more at
/// most.
const SERVED_MIN: u64 = 100;
const SERVED_MORE: u64 = 500;

/// The code that it ends with.
const CRASH_CODE: u8 = 9;

/// Threads that knock, half of them at each socket, and the connections of each in a second.
pub(super) const CROWD: usize = 8;
const KNOCKS_PER_SECOND: u64 = 125;

/// Failures that are told in words.
const TOLD_MAX: u64 = 5;

/// What programs answer.
const ANSWER: &[u8] = b"served\n";

/// The two doors.
#[derive(Debug)]
pub(super) struct Doors {
    port: SocketAddr,
    file: PathBuf,
}

/// What became of visitors.
#[derive(Debug, Default)]
pub(super) struct Visits {
    answered: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
    longest: Mutex<Duration>,
}

/// The same as figures.
#[derive(Debug, Default, Clone, Copy)]
pub struct Visited {
    /// Connections that were answered.
    pub answered: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those that were taken and not answered.
    pub unanswered: u64,
    /// The longest time from a knock to the answer.
    pub longest: Duration,
}

impl Visited {
    /// Whether all were answered.
    #[must_use]
    pub fn is_clean(self) -> bool {
        self.answered > 0 && (self.refused, self.unanswered) == (0, 0)
    }
}

impl Doors {
    /// A port that nobody listens on just now, and a file in this folder.
    ///
    /// # Errors
    /// When there is no port.
    pub(super) fn new(home: &Home) -> io::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        Ok(Self { port, file: home.file("web.sock") })
    }

    /// The sections of the programs.
    pub(super) fn sections(&self, executable: &str, folder: &str, seed: u64) -> String {
        let mut text = String::new();
        let sockets =
            [("net", format!("tcp://{}", self.port)), ("web", format!("unix://{folder}/web.sock"))];
        for (name, socket) in sockets {
            // Writing into memory cannot fail.
            let _ = writeln!(
                text,
                "[fcgi-program:{name}]\nsocket={socket}\nsocket_backlog=4096\n\
                 command=\"{executable}\" {WORD} \"{folder}\" {seed} acceptor\n\
                 process_name=%(program_name)s_%(process_num)d\nnumprocs={PROGRAMS}\n\
                 autorestart=true\nstartsecs=0\n"
            );
        }
        text
    }

    /// Knocks as often as one of the crowd does, until it is time to end.
    pub(super) fn knock(&self, place: usize, drive: Drive<'_>, visits: &Visits) {
        let (mut began, mut knocks) = (Instant::now(), 0);
        while !drive.ending.load(Ordering::Relaxed) {
            if drive.rest() {
                (began, knocks) = (Instant::now(), 0);
            }
            // One who had to wait makes up for it.
            let due = Duration::from_micros(knocks * 1_000_000 / KNOCKS_PER_SECOND);
            thread::sleep(due.saturating_sub(began.elapsed()));
            knocks += 1;
            let knocked = Instant::now();
            match self.visit(place) {
                Ok(()) => visits.was_answered(knocked.elapsed()),
                Err(error) => visits.has_failed(&error, drive.findings),
            }
        }
    }

    fn visit(&self, place: usize) -> io::Result<()> {
        if place.is_multiple_of(2) {
            let stream = TcpStream::connect(self.port)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            // Closed without a rest in the kernel: so many connections in a minute would
            // take all ports that there are.
            sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
            is_answer(stream)
        } else {
            let stream = UnixStream::connect(&self.file)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            is_answer(stream)
        }
    }
}

fn is_answer(mut stream: impl io::Read) -> io::Result<()> {
    let mut answer = Vec::new();
    let mut buffer = [0; ANSWER.len()];
    while answer.len() < ANSWER.len() {
        match stream.read(&mut buffer)? {
            0 => break,
            length => answer.extend_from_slice(&buffer[..length]),
        }
    }
    if answer == ANSWER {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("answered {answer:?}")))
}

impl Visits {
    fn was_answered(&self, took: Duration) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut longest) = self.longest.lock() {
            *longest = took.max(*longest);
        }
    }

    fn has_failed(&self, error: &io::Error, findings: &Findings) {
        let is_refused = matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound | io::ErrorKind::WouldBlock
        );
        let count = if is_refused { &self.refused } else { &self.unanswered };
        if count.fetch_add(1, Ordering::Relaxed) < TOLD_MAX {
            findings.add(format!("a visitor: {error}"));
        }
    }

    /// The figures.
    pub(super) fn visited(&self) -> Visited {
        Visited {
            answered: self.answered.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            longest: self.longest.lock().map(|longest| *longest).unwrap_or_default(),
        }
    }
}

/// Answers those who knock at standard input, and crashes after some of them.
///
/// # Errors
/// When standard input is no socket that listens.
pub fn accept(mut random: Random) -> io::Result<u8> {
    for _ in 0..SERVED_MIN + random.below(SERVED_MORE) {
        let mut stream = std::fs::File::from(rustix::net::accept(io::stdin())?);
        // One who has gone wants no answer.
        let _ = stream.write_all(ANSWER);
    }
    Ok(CRASH_CODE)
}
