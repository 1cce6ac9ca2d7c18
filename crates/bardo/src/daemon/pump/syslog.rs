//! The system's log: lines sent to the socket of whatever collects it.
//!
//! The messages are those that the C library's `syslog` makes: facility `user`, priority
//! `info`, the local time, and the daemon's name. One thing surprises a newcomer: nothing
//! is waited for. While the collector has no room, lines wait here, and whoever asks
//! [`Syslog::is_full`] sends none. Where there is no collector, lines are lost, as the C
//! library loses them; here they are counted.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use bardo_sys::clock::LocalTime;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// Most bytes of text in one message; a longer line becomes several. Collectors cut
/// messages at 8 KiB by default, and some at less.
const TEXT_BYTES_MAX: usize = 7 * 1024;

/// Whose messages they are, whatever the program is called: what reads them knows
/// Supervisor.
const IDENTITY: &str = "supervisord";

/// Facility `user`, priority `info`.
const PRIORITY: u8 = 1 << 3 | 6;

/// The way to the collector.
#[derive(Debug)]
pub(super) struct Syslog {
    socket_path: PathBuf,
    link: Option<Link>,
    /// Messages that found no room yet, and how much of the first one has been sent.
    waiting: VecDeque<Vec<u8>>,
    begun: usize,
    /// Whether a new link may be tried: once for each text.
    may_connect: bool,
    lost: u64,
    news: Option<News>,
}

/// A connected socket.
#[derive(Debug)]
struct Link {
    socket: OwnedFd,
    /// Whether messages need an end to be told apart.
    is_stream: bool,
    /// Whether somebody waits for room in it.
    is_watched: bool,
}

/// What is worth a line in the main log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// Lines are being lost, and why.
    Refuses(String),
    /// Lines arrive again, after so many were lost.
    TakesAgain(u64),
}

impl Syslog {
    /// The way to the collector at that path.
    pub(super) fn new(socket_path: PathBuf) -> Self {
        Self {
            socket_path,
            link: None,
            waiting: VecDeque::new(),
            begun: 0,
            may_connect: true,
            lost: 0,
            news: None,
        }
    }

    /// Whether the collector has no room, so that nothing more is to be said now.
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What is to be waited for from now on, so that there is room again.
    pub(super) fn begin_to_watch(&mut self) -> Option<BorrowedFd<'_>> {
        let is_full = self.is_full();
        let link = self.link.as_mut().filter(|link| is_full && !link.is_watched)?;
        link.is_watched = true;
        Some(link.socket.as_fd())
    }

    /// What is not to be waited for any more.
    pub(super) fn cease_to_watch(&mut self) -> Option<BorrowedFd<'_>> {
        let link = self.link.as_mut().filter(|link| link.is_watched)?;
        link.is_watched = false;
        Some(link.socket.as_fd())
    }

    /// What has happened since it was last asked for.
    pub(super) fn news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// Sends each line of a text behind a prefix, or keeps it until there is room. What is
    /// no text in it is replaced, and so are zeros, which would begin another message.
    pub(super) fn say(&mut self, prefix: &str, text: &[u8]) {
        let text = String::from_utf8_lossy(text).replace('\0', "\u{fffd}");
        self.may_connect = true;
        let time = LocalTime::now();
        for line in text.trim_end_matches('\n').split('\n') {
            for piece in pieces(line) {
                self.waiting.push_back(message(time, prefix, piece));
            }
        }
        self.flush();
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn flush(&mut self) {
        while let Some(message) = self.waiting.front() {
            match self.link.as_ref().map(|link| link.send(&message[self.begun..])) {
                None => self.connect(),
                Some(Ok(sent)) => self.sent(sent),
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                Some(Err(error)) => {
                    self.link = None;
                    self.begun = 0;
                    // A collector that has been started anew listens at another socket; one
                    // that refuses again refuses this too.
                    if !self.may_connect {
                        self.refused(&error);
                    }
                }
            }
        }
    }

    /// Gives up what waits, and says how many lines that are.
    pub(super) fn abandon(&mut self) -> u64 {
        self.lose();
        std::mem::take(&mut self.lost)
    }

    fn connect(&mut self) {
        if !std::mem::take(&mut self.may_connect) {
            return self.lose();
        }
        match Link::open(&self.socket_path) {
            Ok(link) => self.link = Some(link),
            Err(error) => self.refused(&error),
        }
    }

    fn refused(&mut self, error: &io::Error) {
        if self.lost == 0 {
            self.news = Some(News::Refuses(error.to_string()));
        }
        self.lose();
    }

    fn sent(&mut self, bytes: usize) {
        self.begun += bytes;
        if self.waiting.front().is_some_and(|message| message.len() <= self.begun) {
            self.waiting.pop_front();
            self.begun = 0;
            let lost = std::mem::take(&mut self.lost);
            if lost > 0 {
                self.news = Some(News::TakesAgain(lost));
            }
        }
    }

    fn lose(&mut self) {
        self.lost += self.waiting.len() as u64;
        self.waiting.clear();
        self.begun = 0;
    }
}

impl Link {
    fn open(path: &Path) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let to = |kind| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
            rustix::net::connect(&socket, &address)?;
            Ok::<_, Errno>(socket)
        };
        match to(SocketType::DGRAM) {
            Ok(socket) => Ok(Self { socket, is_stream: false, is_watched: false }),
            Err(Errno::PROTOTYPE) => {
                Ok(Self { socket: to(SocketType::STREAM)?, is_stream: true, is_watched: false })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a message, and says how much of it has gone.
    fn send(&self, message: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if self.is_stream {
            return Ok(rustix::net::send(&self.socket, message, flags)?);
        }
        let text = message.strip_suffix(b"\0").unwrap_or(message);
        rustix::net::send(&self.socket, text, flags)?;
        Ok(message.len())
    }
}

/// A line in pieces that a collector takes; one where it is empty.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let mut cut = line.len().min(TEXT_BYTES_MAX);
        while !line.is_char_boundary(cut) {
            cut -= 1;
        }
        let (piece, next) = line.split_at(cut);
        rest = (!next.is_empty()).then_some(next);
        Some(piece)
    })
}

/// A message as the C library makes it. The zero at its end tells the messages of a stream
/// apart.
fn message(time: LocalTime, prefix: &str, text: &str) -> Vec<u8> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS[usize::from(time.month).saturating_sub(1) % 12];
    let LocalTime { day, hour, minute, second, .. } = time;
    let time = format!("{month} {day:>2} {hour:02}:{minute:02}:{second:02}");
    format!("<{PRIORITY}>{time} {IDENTITY}: {prefix}{text}\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    const TIME: LocalTime = LocalTime {
        year: 2026,
        month: 11,
        day: 1,
        weekday: 0,
        hour: 7,
        minute: 5,
        second: 9,
        millisecond: 1,
    };

    fn receive(collector: &UnixDatagram) -> String {
        let mut buffer = [0; 10_000];
        let length = collector.recv(&mut buffer).unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        text.split_once("supervisord: ").expect("the daemon's name").1.to_owned()
    }

    #[test]
    fn a_message_is_that_of_the_c_library() {
        let message = message(TIME, "cat ", "a line");

        assert_eq!(message, b"<14>Nov  1 07:05:09 supervisord: cat a line\0");
    }

    #[test]
    fn each_line_is_a_message_and_the_last_newlines_are_none() {
        let home = tempfile::tempdir().unwrap();
        let collector = UnixDatagram::bind(home.path().join("log")).unwrap();
        let mut syslog = Syslog::new(home.path().join("log"));

        syslog.say("cat ", b"one\n\ntwo\xff\n\n");
        syslog.say("cat ", b"\n");

        let messages: Vec<String> = (0..4).map(|_| receive(&collector)).collect();
        assert_eq!(messages, ["cat one", "cat ", "cat two\u{fffd}", "cat "]);
    }

    #[test]
    fn a_line_that_is_too_long_becomes_several_messages() {
        let line = "x".repeat(TEXT_BYTES_MAX - 1) + "\u{e9}" + &"y".repeat(TEXT_BYTES_MAX);

        let lengths: Vec<usize> = pieces(&line).map(str::len).collect();

        assert_eq!(lengths, [TEXT_BYTES_MAX - 1, TEXT_BYTES_MAX, 2]);
        assert_eq!(pieces("").count(), 1);
    }

    #[test]
    fn where_nobody_collects_lines_are_lost_and_counted() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let mut syslog = Syslog::new(path.clone());

        syslog.say("", b"one\ntwo");
        let refused = syslog.news();
        syslog.say("", b"three");
        let collector = UnixDatagram::bind(&path).unwrap();
        syslog.say("", b"four");

        assert!(matches!(refused, Some(News::Refuses(why)) if why.contains("No such file")));
        assert_eq!(receive(&collector), "four");
        assert_eq!(syslog.news(), Some(News::TakesAgain(3)));
        assert_eq!(syslog.news(), None);
    }

    #[test]
    fn a_collector_that_was_started_anew_is_found_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let first = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::new(path.clone());
        syslog.say("", b"one");
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();

        syslog.say("", b"two");

        assert_eq!(receive(&second), "two");
        assert_eq!(syslog.news(), None);
    }

    #[test]
    fn a_collector_that_takes_nothing_costs_its_lines_and_no_more() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let collector = UnixDatagram::bind(&path).unwrap();
        // It can be connected to, and every message is refused.
        collector.shutdown(std::net::Shutdown::Read).unwrap();
        let mut syslog = Syslog::new(path);

        syslog.say("", b"one\ntwo");

        assert!(matches!(syslog.news(), Some(News::Refuses(_))));
        assert!(!syslog.is_full());
        assert_eq!(syslog.abandon(), 2);
    }

    #[test]
    fn a_line_cannot_begin_another_message() {
        let home = tempfile::tempdir().unwrap();
        let collector = UnixDatagram::bind(home.path().join("log")).unwrap();
        let mut syslog = Syslog::new(home.path().join("log"));

        syslog.say("", b"a\0<0>b");

        assert_eq!(receive(&collector), "a\u{fffd}<0>b");
    }

    #[test]
    fn a_collector_without_room_is_not_waited_for_and_misses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let collector = UnixDatagram::bind(home.path().join("log")).unwrap();
        let mut syslog = Syslog::new(home.path().join("log"));
        let mut said = 0;
        while !syslog.is_full() {
            syslog.say("", format!("{said}").as_bytes());
            said += 1;
        }
        assert!(syslog.begin_to_watch().is_some() && syslog.begin_to_watch().is_none());
        assert!(syslog.cease_to_watch().is_some());

        for line in 0..said {
            assert_eq!(receive(&collector), line.to_string());
            syslog.flush();
        }

        assert!(!syslog.is_full());
    }

    #[test]
    fn a_stream_has_a_zero_between_messages() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let collector = UnixListener::bind(&path).unwrap();
        let mut syslog = Syslog::new(path);

        syslog.say("cat ", b"one\ntwo\n");
        let (mut reader, _) = collector.accept().unwrap();
        drop(syslog);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();

        let messages: Vec<&str> = text.split_terminator('\0').collect();
        assert_eq!(messages.len(), 2);
        assert!(messages[1].ends_with("supervisord: cat two"));
    }
}
