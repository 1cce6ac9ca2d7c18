//! The grammar of a service's control channel and of its notify socket: lines of
//! `KEY=VALUE`, at most 4 KiB in a message.
//!
//! It knows neither sockets nor services: descriptors that travel with a message are
//! its receiver's business, and so is what a message is worth in a state. The words of
//! `sd_notify` mean here what they mean there; the others are Bardo's own. Unknown keys
//! are passed over, so that either side may be older than the other.
//!
//! One thing surprises a newcomer: a datagram is not a list but a set. Where a key stands
//! twice the last one counts, and what was said comes out in the order of the enum, not of
//! the lines: a `STATUS=` before the `READY=1` beside it, wherever it stood.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

/// Most bytes of a message. What `sd_notify` of systemd sends at most.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// Most descriptors that come with one message. An application that stores more says so
/// in several messages.
pub const DESCRIPTORS_MAX: usize = 64;

/// Most bytes of a name in a descriptor store, and of a label.
pub const NAME_BYTES_MAX: usize = 255;

/// The largest number of an error: the kernel's own limit.
pub const ERRNO_MAX: u16 = 4095;

/// What a stored descriptor without a name is called, as systemd has it.
pub const UNNAMED: &str = "stored";

/// Something that a service says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// It speaks the protocol: `READY=1` is owed.
    Hello,
    /// Words for people.
    Status(&'a str),
    /// Its main process is another one than was started.
    MainPid(u32),
    /// Sign of life within this time from now on.
    WatchdogPeriod(Duration),
    /// It wants at least so much time from now for what it is at.
    ExtendTimeout(Duration),
    /// The descriptors of this message are to be kept for its successor.
    Store {
        /// Under which name.
        name: &'a str,
        /// Whether a descriptor is dropped when it hangs up.
        poll: bool,
    },
    /// The descriptors of this name are not to be kept any longer.
    Remove(&'a str),
    /// A connection to another service is wanted.
    Connect(&'a str),
    /// It lives.
    Watchdog,
    /// It has found that it cannot go on.
    WatchdogTrigger,
    /// It has answered the ping of this number.
    Pong(u64),
    /// It has initialised as far as it can without owning anything.
    Standby,
    /// It is not ready for an update yet.
    Busy,
    /// It holds still for an update.
    Prepared,
    /// It takes its configuration again.
    Reloading {
        /// When it began, in microseconds of the monotonic clock.
        since: Option<u64>,
    },
    /// It is initialised.
    Ready,
    /// It cannot resume: start it as new.
    Reset,
    /// What it was asked for failed.
    Errno(u16),
    /// It is about to end.
    Stopping,
    /// Whoever sent this waits until its descriptor is closed.
    Barrier,
}

/// Why a service is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// For the first time.
    Fresh,
    /// After a crash.
    Restart,
    /// In place of an older version of itself, which stands still.
    Update,
    /// To wait until it is needed.
    Standby,
}

/// What a service is told at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start<'a> {
    /// Why it is started.
    pub init: Init,
    /// How often it was restarted.
    pub restarts: u32,
    /// Its label.
    pub label: &'a str,
    /// The number of this life.
    pub instance: u64,
    /// The names of the descriptors that come with it, separated by colons.
    pub names: &'a str,
}

/// Something that a supervisor says to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order<'a> {
    /// Initialise.
    Init(Start<'a>),
    /// Stand by no longer: take over.
    Activate(Start<'a>),
    /// The label is yours; serve.
    Commit,
    /// Answer with this number.
    Ping(u64),
    /// Reach this state and hold still.
    Prepare {
        /// A number, or an expression that the service understands.
        state: &'a str,
        /// The time there is for it.
        within: Option<Duration>,
    },
    /// The update is off; go on.
    Cancel,
    /// End. A signal follows when this time is over.
    Stop {
        /// The time there is for it.
        within: Option<Duration>,
    },
    /// The descriptor is connected to the service of this label.
    Connected(&'a str),
    /// The descriptor is a connection from the service of this label.
    Peer(&'a str),
    /// What was asked for is refused.
    Errno(u16),
}

/// Why bytes are no message at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Nobody sends so much.
    #[error("a message of more than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// A byte that no text has.
    #[error("a message with a NUL at byte {0}")]
    HoldsNul(usize),
}

/// Why something cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsayable {
    /// It would be longer than anybody reads.
    #[error("the message has more than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// A value that would end its line, is empty, or is not what its key takes.
    #[error("the value of {0} cannot be sent")]
    Value(&'static str),
}

/// Most characters of a value that people are shown of what is not understood.
const SHOWN_MAX: usize = 200;

/// A line whose key is known and whose value is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit<'a> {
    /// The key.
    pub key: &'static str,
    /// What stands behind it.
    pub value: &'a [u8],
}

impl fmt::Display for Misfit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.key)?;
        let mut value = self.value.escape_ascii().map(char::from);
        for letter in value.by_ref().take(SHOWN_MAX) {
            f.write_char(letter)?;
        }
        let more = if value.next().is_some() { "..." } else { "" };
        write!(f, "{more} is not understood")
    }
}

/// What a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard<'a, T> {
    said: [Option<T>; KINDS],
    misfits: [Option<Misfit<'a>>; KINDS],
}

impl<'a, T> Heard<'a, T> {
    /// What was said, in the order in which it is to be heard.
    pub fn said(self) -> impl Iterator<Item = T> {
        self.said.into_iter().flatten()
    }

    /// The lines that were not understood although their keys are known.
    pub fn misfits(&self) -> impl Iterator<Item = Misfit<'a>> + '_ {
        self.misfits.iter().flatten().copied()
    }
}

/// How many kinds of things either side says at most.
const KINDS: usize = 20;

impl<'a> Heard<'a, Message<'a>> {
    /// Reads what a service has sent.
    ///
    /// # Errors
    /// When it is too long, or no text.
    pub fn from_service(bytes: &'a [u8]) -> Result<Self, ControlError> {
        let mut lines = Lines::read(bytes)?;
        let said = [
            lines.take("HELLO", number::<u32>).map(|_| Message::Hello),
            lines.take("STATUS", text).map(Message::Status),
            lines.take("MAINPID", pid).map(Message::MainPid),
            lines.take("WATCHDOG_USEC", duration).map(Message::WatchdogPeriod),
            lines.take("EXTEND_TIMEOUT_USEC", duration).map(Message::ExtendTimeout),
            lines.store(),
            lines.remove(),
            lines.take("CONNECT", label).map(Message::Connect),
            lines.take("WATCHDOG", watchdog),
            lines.take("PONG", number).map(Message::Pong),
            lines.take("STANDBY", one).map(|()| Message::Standby),
            lines.take("BUSY", one).map(|()| Message::Busy),
            lines.take("PREPARED", one).map(|()| Message::Prepared),
            lines.reloading(),
            lines.take("READY", one).map(|()| Message::Ready),
            lines.take("RESET", one).map(|()| Message::Reset),
            lines.take("ERRNO", errno).map(Message::Errno),
            lines.take("STOPPING", one).map(|()| Message::Stopping),
            lines.take("BARRIER", one).map(|()| Message::Barrier),
            None,
        ];
        Ok(Self { said, misfits: lines.misfits })
    }
}

impl<'a> Heard<'a, Order<'a>> {
    /// Reads what a supervisor has sent.
    ///
    /// # Errors
    /// When it is too long, or no text.
    pub fn from_supervisor(bytes: &'a [u8]) -> Result<Self, ControlError> {
        let mut lines = Lines::read(bytes)?;
        let activate = lines.take("ACTIVATE", one).map(|()| Init::Restart);
        let init = lines.take("INIT", init);
        let start = activate.or(init).map(|default| lines.start(init.unwrap_or(default)));
        let mut said = [None; KINDS];
        let orders = [
            start.map(if activate.is_some() { Order::Activate } else { Order::Init }),
            lines.take("COMMIT", one).map(|()| Order::Commit),
            lines.take("PING", number).map(Order::Ping),
            lines.prepare(),
            lines.take("CANCEL", one).map(|()| Order::Cancel),
            lines.stop(),
            lines.take("CONNECTED", label).map(Order::Connected),
            lines.take("PEER", label).map(Order::Peer),
            lines.take("ERRNO", errno).map(Order::Errno),
        ];
        said[..orders.len()].copy_from_slice(&orders);
        Ok(Self { said, misfits: lines.misfits })
    }
}

/// The lines of a message, and those of them that were not understood.
struct Lines<'a> {
    bytes: &'a [u8],
    misfits: [Option<Misfit<'a>>; KINDS],
    misfit_count: usize,
}

impl<'a> Lines<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ControlError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ControlError::TooLong);
        }
        // One at the end is forgiven, as systemd does: C programs send it by mistake.
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        match bytes.iter().position(|byte| *byte == 0) {
            Some(place) => Err(ControlError::HoldsNul(place)),
            None => Ok(Self { bytes, misfits: [None; KINDS], misfit_count: 0 }),
        }
    }

    /// The value of the last line of this key.
    fn last(&self, key: &str) -> Option<&'a [u8]> {
        self.bytes
            .rsplit(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
    }

    /// The value of the last line of this key, if it is understood.
    fn take<T>(
        &mut self,
        key: &'static str,
        understand: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        let value = self.last(key)?;
        let understood = std::str::from_utf8(value).ok().and_then(understand);
        if understood.is_none()
            && let Some(place) = self.misfits.get_mut(self.misfit_count)
        {
            *place = Some(Misfit { key, value });
            self.misfit_count += 1;
        }
        understood
    }

    fn store(&mut self) -> Option<Message<'a>> {
        self.take("FDSTORE", one)?;
        let name = self.take("FDNAME", name).unwrap_or(UNNAMED);
        let poll = self.last("FDPOLL") != Some(b"0");
        Some(Message::Store { name, poll })
    }

    fn remove(&mut self) -> Option<Message<'a>> {
        self.take("FDSTOREREMOVE", one)?;
        self.take("FDNAME", name).map(Message::Remove)
    }

    fn reloading(&mut self) -> Option<Message<'a>> {
        self.take("RELOADING", one)?;
        Some(Message::Reloading { since: self.take("MONOTONIC_USEC", number) })
    }

    fn start(&mut self, init: Init) -> Start<'a> {
        Start {
            init,
            restarts: self.take("RESTARTS", number).unwrap_or(0),
            label: self.take("LABEL", label).unwrap_or(""),
            instance: self.take("INSTANCE", number).unwrap_or(0),
            names: self.take("FDNAMES", text).unwrap_or(""),
        }
    }

    fn prepare(&mut self) -> Option<Order<'a>> {
        let state = self.take("PREPARE", |state| (!state.is_empty()).then_some(state))?;
        Some(Order::Prepare { state, within: self.take("MAXTIME_USEC", duration) })
    }

    fn stop(&mut self) -> Option<Order<'a>> {
        self.take("STOP", one)?;
        Some(Order::Stop { within: self.take("USEC", duration) })
    }
}

fn one(value: &str) -> Option<()> {
    (value == "1").then_some(())
}

/// A number of digits only: no sign, no space.
fn number<T: FromStr>(value: &str) -> Option<T> {
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok())?
}

fn duration(value: &str) -> Option<Duration> {
    number(value).map(Duration::from_micros)
}

fn pid(value: &str) -> Option<u32> {
    number::<u32>(value).filter(|pid| (1..=i32::MAX.cast_unsigned()).contains(pid))
}

fn errno(value: &str) -> Option<u16> {
    number::<u16>(value).filter(|errno| (1..=ERRNO_MAX).contains(errno))
}

fn text(value: &str) -> Option<&str> {
    Some(value)
}

/// Printable, and free of the colon that separates names: systemd's rule.
fn name(value: &str) -> Option<&str> {
    let is_fit = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b':';
    ((1..=NAME_BYTES_MAX).contains(&value.len()) && value.bytes().all(is_fit)).then_some(value)
}

fn label(value: &str) -> Option<&str> {
    (1..=NAME_BYTES_MAX).contains(&value.len()).then_some(value)
}

fn watchdog<'a>(value: &str) -> Option<Message<'a>> {
    match value {
        "1" => Some(Message::Watchdog),
        "trigger" => Some(Message::WatchdogTrigger),
        _ => None,
    }
}

fn init(value: &str) -> Option<Init> {
    Init::ALL.into_iter().find(|init| init.word() == value)
}

impl Init {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Restart, Self::Update, Self::Standby];

    /// As `INIT=` says it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Restart => "restart",
            Self::Update => "update",
            Self::Standby => "standby",
        }
    }
}

impl Message<'_> {
    /// Replaces what is in `buffer` by this message.
    ///
    /// # Errors
    /// When a value cannot be sent, or the message is too long.
    pub fn write(&self, buffer: &mut Vec<u8>) -> Result<(), Unsayable> {
        let mut words = Words::new(buffer);
        match *self {
            Self::Hello => words.add("HELLO", &1)?,
            Self::Status(status) => words.add("STATUS", &status)?,
            Self::MainPid(pid) => words.add("MAINPID", &pid)?,
            Self::WatchdogPeriod(period) => words.add("WATCHDOG_USEC", &period.as_micros())?,
            Self::ExtendTimeout(time) => words.add("EXTEND_TIMEOUT_USEC", &time.as_micros())?,
            Self::Store { name: given, poll } => {
                words.add("FDSTORE", &1)?;
                words.add("FDNAME", &name(given).ok_or(Unsayable::Value("FDNAME"))?)?;
                if !poll {
                    words.add("FDPOLL", &0)?;
                }
            }
            Self::Remove(given) => {
                words.add("FDSTOREREMOVE", &1)?;
                words.add("FDNAME", &name(given).ok_or(Unsayable::Value("FDNAME"))?)?;
            }
            Self::Connect(to) => words.add_label("CONNECT", to)?,
            Self::Watchdog => words.add("WATCHDOG", &1)?,
            Self::WatchdogTrigger => words.add("WATCHDOG", &"trigger")?,
            Self::Pong(ping) => words.add("PONG", &ping)?,
            Self::Standby => words.add("STANDBY", &1)?,
            Self::Busy => words.add("BUSY", &1)?,
            Self::Prepared => words.add("PREPARED", &1)?,
            Self::Reloading { since } => {
                words.add("RELOADING", &1)?;
                if let Some(since) = since {
                    words.add("MONOTONIC_USEC", &since)?;
                }
            }
            Self::Ready => words.add("READY", &1)?,
            Self::Reset => words.add("RESET", &1)?,
            Self::Errno(errno) => words.add("ERRNO", &errno)?,
            Self::Stopping => words.add("STOPPING", &1)?,
            Self::Barrier => words.add("BARRIER", &1)?,
        }
        Ok(())
    }
}

impl Order<'_> {
    /// Replaces what is in `buffer` by this message.
    ///
    /// # Errors
    /// When a value cannot be sent, or the message is too long.
    pub fn write(&self, buffer: &mut Vec<u8>) -> Result<(), Unsayable> {
        let mut words = Words::new(buffer);
        match *self {
            Self::Init(start) => words.add_start(&start)?,
            Self::Activate(start) => {
                words.add("ACTIVATE", &1)?;
                words.add_start(&start)?;
            }
            Self::Commit => words.add("COMMIT", &1)?,
            Self::Ping(number) => words.add("PING", &number)?,
            Self::Prepare { state: "", .. } => return Err(Unsayable::Value("PREPARE")),
            Self::Prepare { state, within } => {
                words.add("PREPARE", &state)?;
                words.add_time("MAXTIME_USEC", within)?;
            }
            Self::Cancel => words.add("CANCEL", &1)?,
            Self::Stop { within } => {
                words.add("STOP", &1)?;
                words.add_time("USEC", within)?;
            }
            Self::Connected(to) => words.add_label("CONNECTED", to)?,
            Self::Peer(from) => words.add_label("PEER", from)?,
            Self::Errno(errno) => words.add("ERRNO", &errno)?,
        }
        Ok(())
    }
}

/// A message that is being written.
struct Words<'b> {
    buffer: &'b mut Vec<u8>,
}

impl<'b> Words<'b> {
    fn new(buffer: &'b mut Vec<u8>) -> Self {
        buffer.clear();
        Self { buffer }
    }

    fn add(&mut self, key: &'static str, value: &dyn fmt::Display) -> Result<(), Unsayable> {
        use std::io::Write as _;
        if !self.buffer.is_empty() {
            self.buffer.push(b'\n');
        }
        let before = self.buffer.len();
        // Writing into memory does not fail.
        let _ = write!(self.buffer, "{key}={value}");
        if self.buffer[before..].iter().any(|byte| matches!(byte, b'\n' | 0)) {
            return Err(Unsayable::Value(key));
        }
        if self.buffer.len() > MESSAGE_BYTES_MAX { Err(Unsayable::TooLong) } else { Ok(()) }
    }

    fn add_label(&mut self, key: &'static str, value: &str) -> Result<(), Unsayable> {
        self.add(key, &label(value).ok_or(Unsayable::Value(key))?)
    }

    fn add_time(&mut self, key: &'static str, time: Option<Duration>) -> Result<(), Unsayable> {
        time.map_or(Ok(()), |time| self.add(key, &time.as_micros()))
    }

    fn add_start(&mut self, start: &Start<'_>) -> Result<(), Unsayable> {
        self.add("INIT", &start.init.word())?;
        self.add("RESTARTS", &start.restarts)?;
        self.add_label("LABEL", start.label)?;
        self.add("INSTANCE", &start.instance)?;
        if !start.names.is_empty() {
            self.add("FDNAMES", &start.names)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
