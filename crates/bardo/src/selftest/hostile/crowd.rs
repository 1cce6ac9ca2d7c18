//! A crowd of clients with bad manners, all played by one thread.
//!
//! Nobody in it ever waits: each has its turn, does what it can, and leaves the rest for
//! its next turn. Who is shown out comes again.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send as send_to,
    socket_with,
};

/// How long the thread sleeps between two rounds of a crowd that is slow.
const SLOW_PAUSE: Duration = Duration::from_millis(20);

/// The same for a crowd that is in a hurry.
const QUICK_PAUSE: Duration = Duration::from_micros(200);

/// Most bytes that one reads or writes in its turn.
const TURN_BYTES: usize = 64 << 10;

/// Where clients come in.
#[derive(Debug, Clone)]
pub(super) enum Door {
    /// A port.
    Port(SocketAddr),
    /// A socket file.
    File(PathBuf),
}

/// What a client does.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    /// It comes and says nothing.
    Silent,
    /// It says the first text at once and then, byte by byte, the second.
    Drip(Vec<u8>, Vec<u8>),
    /// It says one of the texts, reads what comes, and asks again.
    Ask(Vec<Vec<u8>>),
    /// It says the text and reads nothing.
    Deaf(Vec<u8>),
    /// It says the text and reads byte by byte.
    Sip(Vec<u8>),
    /// It says the first text and then, for ever, the second.
    Flood(Vec<u8>, Vec<u8>),
}

/// What a crowd has done.
#[derive(Debug, Default, Clone, Copy)]
pub struct Done {
    /// Connections that were begun.
    pub connections: u64,
    /// Those that the server has ended.
    pub shown_out: u64,
    /// Requests that were sent to their end, or as far as the server has let them.
    pub requests: u64,
    /// Bytes that were sent.
    pub sent: u64,
}

/// A client.
struct Visitor {
    stream: OwnedFd,
    /// Which of the texts it says.
    text: usize,
    sent: usize,
    /// Whether something was read since the text was sent.
    answered: bool,
}

/// Why a turn ended.
enum Turn {
    /// There is nothing to be done before the next one.
    Over,
    /// The server has ended the connection.
    ShownOut,
}

/// Sends a crowd to a server until it is called back.
pub(super) fn send(door: &Door, manner: &Manner, size: usize, back: &AtomicBool) -> Done {
    // What is measured is the server, which must not be starved by its guests.
    let _ = rustix::process::nice(10);
    let mut done = Done::default();
    let mut visitors: Vec<Option<Visitor>> = (0..size).map(|_| None).collect();
    let mut buffer = vec![0; TURN_BYTES];
    let pause = match manner {
        Manner::Silent | Manner::Drip(..) | Manner::Deaf(_) | Manner::Sip(_) => SLOW_PAUSE,
        Manner::Ask(_) | Manner::Flood(..) => QUICK_PAUSE,
    };
    while !back.load(Ordering::Relaxed) {
        for (number, place) in visitors.iter_mut().enumerate() {
            let Some(visitor) = place else {
                *place = come(door, number).ok();
                done.connections += u64::from(place.is_some());
                continue;
            };
            match visitor.take_turn(manner, &mut buffer, &mut done) {
                Ok(Turn::Over) => {}
                Ok(Turn::ShownOut) => {
                    done.shown_out += 1;
                    *place = None;
                }
                // It is not connected yet.
                Err(error) if is_early(&error) => {}
                Err(_) => {
                    done.shown_out += 1;
                    *place = None;
                }
            }
        }
        thread::sleep(pause);
    }
    done
}

fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}

/// Begins a connection, without waiting for it.
fn come(door: &Door, number: usize) -> io::Result<Visitor> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let open = |family| socket_with(family, SocketType::STREAM, flags, None);
    let (stream, begun) = match door {
        Door::Port(server) => {
            let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let stream = open(family)?;
            let begun = connect(&stream, server);
            (stream, begun)
        }
        Door::File(path) => {
            let stream = open(AddressFamily::UNIX)?;
            let begun = connect(&stream, &SocketAddrUnix::new(path)?);
            (stream, begun)
        }
    };
    match begun {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Visitor { stream, text: number, sent: 0, answered: false })
}

impl Visitor {
    fn take_turn(
        &mut self,
        manner: &Manner,
        buffer: &mut [u8],
        done: &mut Done,
    ) -> io::Result<Turn> {
        match manner {
            Manner::Silent => self.read(buffer),
            Manner::Drip(first, rest) => {
                self.say(first, done)?;
                let place = self.sent - first.len();
                let byte = [rest.get(place % rest.len().max(1)).copied().unwrap_or(b'x')];
                self.sent += self.write(&byte)?;
                done.sent += 1;
                self.read(buffer)
            }
            Manner::Ask(texts) => self.ask(texts, buffer, done),
            Manner::Deaf(text) => {
                self.say(text, done)?;
                if self.is_shown_out() { Ok(Turn::ShownOut) } else { Ok(Turn::Over) }
            }
            Manner::Sip(text) => {
                self.say(text, done)?;
                self.read(&mut buffer[..1])
            }
            Manner::Flood(first, rest) => {
                self.say(first, done)?;
                let place = (self.sent - first.len()) % rest.len();
                let written = self.write(&rest[place..])?;
                self.sent += written;
                done.sent += written as u64;
                Ok(Turn::Over)
            }
        }
    }

    fn ask(&mut self, texts: &[Vec<u8>], buffer: &mut [u8], done: &mut Done) -> io::Result<Turn> {
        let text = &texts[self.text % texts.len()];
        // A server that has heard enough may have answered already.
        let said = self.say(text, done);
        match self.listen(buffer) {
            Ok(0) => return Ok(Turn::ShownOut),
            Ok(_) => self.answered = true,
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.answered => {
                self.answered = false;
                self.sent = 0;
                self.text += 1;
                return Ok(Turn::Over);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        said.map(|()| Turn::Over)
    }

    /// Says a text, as far as the server takes it: an error until all of it is said.
    fn say(&mut self, text: &[u8], done: &mut Done) -> io::Result<()> {
        while self.sent < text.len() {
            let written = self.write(&text[self.sent..])?;
            self.sent += written;
            done.sent += written as u64;
            done.requests += u64::from(self.sent == text.len());
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Turn> {
        match self.listen(buffer)? {
            0 => Ok(Turn::ShownOut),
            _ => Ok(Turn::Over),
        }
    }

    fn listen(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.stream, buffer)?)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send_to(&self.stream, bytes, SendFlags::NOSIGNAL)?)
    }

    /// Whether the server has ended the connection, as one sees who does not read.
    fn is_shown_out(&self) -> bool {
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut asked = [PollFd::new(&self.stream, PollFlags::RDHUP)];
        let answered = poll(&mut asked, Some(&Timespec::default()));
        answered.is_ok() && asked[0].revents().intersects(gone)
    }
}
