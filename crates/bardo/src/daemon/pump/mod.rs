//! The log pump: a thread that carries what children write to where it belongs.
//!
//! It reads the pipes of the children's output, writes log files, rotates them,
//! and writes the supervisor's own log. It decides nothing about programs, talks
//! to no child, and nobody waits for it. Children's pipes and the staging pipe
//! are held by the keeper as well, so the process may be killed at any instant:
//! the next pump is handed the same pipes, and no byte is lost, doubled or torn.
//!
//! **Bytes that nobody must see** are moved from the pipe into the file by
//! `splice`, at the offset where the file ends. A byte is in the pipe or in the
//! file; the file's size says which. There is nothing to recover.
//!
//! **Bytes that are looked at on their way** (`strip_ansi`, captured messages, event
//! listeners, syslog, level `debug`) pass through memory that dies with us. What has become of them is seen in the *staging pipe*, of
//! which the pump is the only reader and writer, and in the [record], a few words
//! of shared memory. One chunk is in flight at a time:
//!
//! ```text
//!    step                                      after a cut right behind it
//!    0  tee pipe -> scratch, read, transform   nothing happened
//!    1  record stream, file, offset,           the file ends before the output's
//!       sizes, next state; phase = moving      end: cut it back to the offset;
//!    2  write the output at the offset         else: the output is whole, go on at 3
//!    3  show it: intake, syslog, main log      the same: it is shown once more
//!    4  splice the input, pipe -> staging      staging holds m > 0 bytes: move the rest
//!    5  keep the filter's next state           go on at 4 with nothing left: the same
//!    6  phase = discarding                     go on at 7
//!    7  splice staging -> /dev/null            go on at 7 with what is left
//!    8  phase = none                           nothing is in flight
//! ```
//!
//! The order makes it exact. The record names the stream before its bytes move.
//! The output is whole before the first byte of input leaves the pipe, so any byte
//! in staging proves the output; and the bytes to be moved are still at the head
//! of the pipe, for only the pump reads it. Until then a refusal (a full disk)
//! costs nothing: the bytes have never left the pipe, and no other stream waits.
//!
//! What is shown once more is in syslog twice, which nobody minds. Event listeners and
//! captured messages would: the [intake] knows the number of the last chunk and takes none
//! twice.
//!
//! **Bytes for an output that programs share**, `/dev/stdout`, go the second way in whole lines,
//! by a pipe of their own before the output: [`outlet`](self::outlet).
//!
//! One thing surprises a newcomer: there is no queue of bytes anywhere. A pipe is
//! the queue of its stream; when a file takes nothing, the pipe fills and its
//! writer waits, as it does under Supervisor.
//!
//! `docs/design/log-pump.md` has the reasons and the limits.
//!
//! [record]: self::record
//! [intake]: self::intake

mod capture;
mod compress;
mod echo;
mod file;
mod filter;
mod flow;
pub mod intake;
mod lines;
mod main_log;
mod outlet;
mod owed;
mod pulse;
mod record;
mod rotation;
mod share;
mod staging;
mod streams;
pub(crate) mod strip;
mod syslog;
mod target;
mod volume;
mod worker;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use bardo_core::{Generation, ServiceId};
use bardo_sys::memory::SharedMemory;
use bardo_sys::waker::Waker;

pub use self::outlet::OutletSettings;
pub use self::owed::OwedLine;
pub use self::pulse::Work;
pub use self::record::words_for;

use self::intake::Intake;
use self::pulse::Pulse;
use self::volume::Volumes;
use self::worker::Worker;

/// Most bytes that are carried of one stream before the next one's turn, and
/// between two looks at a file's size. Supervisor reads as much at once, so logs
/// exceed their limit by the same amount.
pub const CHUNK_BYTES_MAX: usize = 128 * 1024;

/// Which of a process's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Channel {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// As Supervisor names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// 0 or 1.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Stdout => 0,
            Self::Stderr => 1,
        }
    }
}

/// The identity of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// Whose output.
    pub service: ServiceId,
    /// Of which life.
    pub generation: Generation,
    /// Which output.
    pub channel: Channel,
}

/// Where a stream's bytes go, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// The file; `None` drops them.
    pub path: Option<Arc<str>>,
    /// The file is rotated once it has reached this size; never where this is not
    /// positive.
    pub bytes_max: i64,
    /// How many rotated files are kept; with none, the file is truncated.
    pub backups: i64,
    /// Whether rotated files are compressed.
    pub compress: bool,
    /// Whether terminal escape sequences are removed.
    pub strip_ansi: bool,
    /// Whether messages between marks are told from the rest. They are for the event
    /// listeners and do not come into the log.
    pub captures: bool,
    /// What stands before each line, where that goes to an output which programs share.
    pub prefix: Arc<str>,
    /// Where else they are shown.
    pub echo: Option<Box<Echo>>,
}

/// Where a stream's bytes are shown beside its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    /// The process, as these lines name it.
    pub process: String,
    /// Its group.
    pub group: String,
    /// Its number.
    pub pid: u32,
    /// Whether each line goes to syslog.
    pub to_syslog: bool,
    /// Whether each chunk goes to the main log.
    pub to_main_log: bool,
    /// What the control thread is told of it.
    pub tells: Tells,
}

impl Echo {
    /// Whether messages are captured.
    #[must_use]
    pub fn captures(&self) -> bool {
        matches!(self.tells, Tells::Events { capture_bytes_max: 1.., .. })
    }
}

/// What the control thread is told of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// Nothing.
    Nothing,
    /// Everything: it is what an event listener says.
    Everything,
    /// What event listeners want to know.
    Events {
        /// Whether that is each chunk, if one has subscribed to it.
        chunks: bool,
        /// Most bytes of a captured message.
        capture_bytes_max: u64,
    },
}

impl Sink {
    /// No file at all.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            path: None,
            bytes_max: 0,
            backups: 0,
            compress: false,
            strip_ansi: false,
            captures: false,
            prefix: "".into(),
            echo: None,
        }
    }
}

/// A pipe to be read, and where it leads.
#[derive(Debug)]
pub struct Stream {
    /// Its identity.
    pub key: StreamKey,
    /// Its read end. The keeper holds a duplicate.
    pub pipe: OwnedFd,
    /// Where its bytes go.
    pub sink: Sink,
}

/// What the pump tells the control thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A stream has ended: all its bytes are where they belong, and nobody needs its pipe
    /// any more.
    Drained(StreamKey),
    /// A target takes nothing from now on. The main log has a line about it.
    Refuses {
        /// Its path, or the word `syslog`.
        target: Arc<str>,
        /// Why.
        why: String,
    },
    /// A target takes bytes again, or nobody has any for it.
    Takes(Arc<str>),
    /// The pump was missed ([`PumpHandle::miss`]), and goes on.
    GoesOn,
}

/// How important something is that the pump itself has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// For whoever looks for a fault.
    Debug,
    /// Good to know.
    Information,
    /// Something will be missing, or is late.
    Warning,
    /// Something is broken.
    Critical,
}

/// Makes a line of the main log, newline included, out of a text.
pub type Formatter = fn(Severity, &str) -> Vec<u8>;

/// The supervisor's own log.
#[derive(Debug)]
pub struct MainLogSettings {
    /// Its file; `None` is none.
    pub path: Option<Arc<str>>,
    /// As for a stream.
    pub bytes_max: i64,
    /// As for a stream.
    pub backups: i64,
    /// As for a stream.
    pub compress: bool,
    /// Whether lines go to syslog.
    pub to_syslog: bool,
    /// The standard output. It is never waited for, and its open file, which others may
    /// share, is not changed.
    pub copy: Option<OwnedFd>,
    /// Whether lines go there too.
    pub copies_lines: bool,
    /// How the pump words what it has to say itself.
    pub format: Formatter,
}

/// What a pump is made of.
#[derive(Debug)]
pub struct PumpSettings {
    /// Memory that outlives this process.
    pub cells: Arc<SharedMemory>,
    /// The first word that is the pump's.
    pub base: usize,
    /// How many words are; see [`words_for`].
    pub length: usize,
    /// The read end and the write end of the staging pipe. The keeper holds
    /// duplicates; nobody else reads or writes it.
    pub staging: (OwnedFd, OwnedFd),
    /// Standard output and standard error, where anybody sees them.
    pub outlets: [Option<OutletSettings>; 2],
    /// Where the control thread is told what it wants to know of the bytes.
    pub intake: Intake,
    /// Is told what happens.
    pub reports: Sender<Report>,
    /// Is woken then.
    pub waker: Arc<Waker>,
    /// The socket where the system's log is collected.
    pub syslog: PathBuf,
    /// The supervisor's own log.
    pub main_log: MainLogSettings,
    /// What the last pump was to write there. What it has written is told from the rest.
    pub owed: Vec<OwedLine>,
}

/// Where the system's log is collected.
pub const SYSLOG: &str = "/dev/log";

/// What the pump is asked to do.
#[derive(Debug)]
enum Command {
    Attach(Stream),
    Release(ServiceId, Generation),
    Go,
    Line(Vec<u8>),
    Owed(OwedLine),
    Stdout(Vec<u8>),
    Reopen,
    Clear(Arc<str>),
    Strip(StreamKey, bool),
    MainLog(MainLogSettings),
    Create(Arc<str>),
    Remove(Arc<str>),
    Room,
    Look,
    Finish,
}

/// What the handles and the thread share.
#[derive(Debug)]
struct Shared {
    waker: Waker,
    /// Whether the thread has been woken and has not looked yet.
    is_awake: AtomicBool,
    /// Bytes of lines that the thread has not taken yet.
    queued_bytes: AtomicUsize,
    /// Lines that found no room.
    lost: AtomicU64,
    /// Lines that were accepted.
    said: AtomicU64,
    /// Lines that have been written, or could not be.
    written: AtomicU64,
    /// The number of the last owed line that has been written.
    said_owed: AtomicU64,
    /// Whether anybody wants to be told of each chunk, by channel.
    chunks_wanted: [AtomicBool; 2],
    /// Whether streams wait for room in the intake.
    wants_room: AtomicBool,
    /// Bytes that each stream has written.
    volumes: Volumes,
    /// What the thread is at.
    pulse: Arc<Pulse>,
}

/// How others talk to the pump. No call waits.
#[derive(Debug, Clone)]
pub struct PumpHandle {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

impl PumpHandle {
    /// Hands over a stream. Its file is opened, and created where there is none.
    /// A stream of a process that is over already is attached and released.
    pub fn attach(&self, stream: Stream) {
        self.send(Command::Attach(stream));
    }

    /// A process has ended: what is in its pipes now is carried, and then each of
    /// its streams is reported as drained. A surviving grandchild that writes on
    /// is not waited for. A stream that had ended by itself has been reported
    /// then, and is not again.
    pub fn release(&self, service: ServiceId, generation: Generation) {
        self.send(Command::Release(service, generation));
    }

    /// All streams of the last pump's time are attached: what it had in flight is
    /// settled, and everything begins to flow.
    pub fn go(&self) {
        self.send(Command::Go);
    }

    /// Writes a finished line to the main log, or counts it as lost if too many
    /// wait.
    pub fn line(&self, line: Vec<u8>) {
        self.queue(line.len(), Command::Line(line));
    }

    /// Writes a line that is owed, which is never lost here: no more of them may be owed at a
    /// time than memory has room for.
    pub fn owed_line(&self, line: OwedLine) {
        let bytes = line.text.len() + main_log::LINE_OVERHEAD;
        self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.accept(Command::Owed(line));
    }

    /// The number of the last owed line that is in the main log.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.shared.said_owed.load(Ordering::Relaxed)
    }

    /// Writes to the standard output, or counts it as a lost line if too much waits.
    pub fn say_on_stdout(&self, bytes: Vec<u8>) {
        self.queue(bytes.len(), Command::Stdout(bytes));
    }

    fn queue(&self, length: usize, command: Command) {
        let bytes = length + main_log::LINE_OVERHEAD;
        let before = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > main_log::QUEUE_BYTES_MAX {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.accept(command);
    }

    fn accept(&self, command: Command) {
        self.shared.said.fetch_add(1, Ordering::Relaxed);
        self.send(command);
    }

    /// How many lines were accepted so far: a mark for [`Self::has_written`].
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.shared.said.load(Ordering::Relaxed)
    }

    /// Whether everything up to a mark is in the main log, or could not be written.
    #[must_use]
    pub fn has_written(&self, mark: u64) -> bool {
        self.shared.written.load(Ordering::Relaxed) >= mark
    }

    /// How many bytes a process has written to a stream since this pump began, or since
    /// the place is its own.
    #[must_use]
    pub fn carried(&self, service: ServiceId, channel: Channel) -> u64 {
        self.shared.volumes.get(service, channel)
    }

    /// Whether something was handed over that the pump has not taken yet.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.shared.is_awake.load(Ordering::Relaxed)
    }

    /// What the pump is at; `None` while it waits for something to do.
    #[must_use]
    pub fn work(&self) -> Option<Work> {
        self.shared.pulse.work()
    }

    /// The pump does not move: it shall say when it goes on ([`Report::GoesOn`]).
    pub fn miss(&self) {
        self.shared.pulse.miss();
        // If it has gone on meanwhile, it has to be woken to say so.
        self.send(Command::Look);
    }

    /// The place has a new process, which has written nothing yet.
    pub fn forget(&self, service: ServiceId) {
        self.shared.volumes.forget(service);
    }

    /// Closes all files and opens them by name, as after SIGUSR2.
    pub fn reopen(&self) {
        self.send(Command::Reopen);
    }

    /// From now on escape sequences are removed from a stream, or are not any more.
    pub fn strip(&self, key: StreamKey, strip_ansi: bool) {
        self.send(Command::Strip(key, strip_ansi));
    }

    /// From now on the supervisor's own log is this one. What was said before is written to
    /// the one before.
    pub fn replace_main_log(&self, settings: MainLogSettings) {
        self.send(Command::MainLog(settings));
    }

    /// Removes the file of that path and creates it again. Nothing happens if no
    /// stream and not the main log has it in use.
    pub fn clear(&self, path: Arc<str>) {
        self.send(Command::Clear(path));
    }

    /// Creates the empty file of an automatic log, for its owner's eyes only.
    pub fn create(&self, path: Arc<str>) {
        self.send(Command::Create(path));
    }

    /// Removes the file of an automatic log that no stream uses any more.
    pub fn remove(&self, path: Arc<str>) {
        self.send(Command::Remove(path));
    }

    /// Whether anybody wants to be told of each chunk of a channel.
    pub fn want_chunks(&self, channel: Channel, wanted: bool) {
        self.shared.chunks_wanted[channel.index()].store(wanted, Ordering::Relaxed);
    }

    /// Something was taken out of the intake: streams that have waited for room go on.
    pub fn intake_has_room(&self) {
        if self.shared.wants_room.swap(false, Ordering::SeqCst) {
            self.send(Command::Room);
        }
    }

    /// Carries all that is there, writes the main log, and ends the thread. What
    /// is asked for afterwards is ignored.
    pub fn finish(&self) {
        self.send(Command::Finish);
    }

    fn send(&self, command: Command) {
        // A pump that has finished needs nothing any more.
        if self.commands.send(command).is_ok() && !self.shared.is_awake.swap(true, Ordering::SeqCst)
        {
            self.shared.waker.wake();
        }
    }
}

/// Starts the thread. Lines are written at once, streams flow after
/// [`PumpHandle::go`]. The thread ends after [`PumpHandle::finish`] only.
///
/// The process must ignore SIGPIPE and SIGXFSZ: a reader that goes away and a
/// file that may not grow are errors here, not ends.
///
/// # Errors
/// What making a poll, a pipe, a wake-up or a thread says.
pub fn start(settings: PumpSettings) -> io::Result<(PumpHandle, JoinHandle<()>)> {
    let (commands, receiver) = channel();
    let shared = Arc::new(Shared {
        waker: Waker::new()?,
        is_awake: AtomicBool::new(false),
        queued_bytes: AtomicUsize::new(0),
        lost: AtomicU64::new(0),
        said: AtomicU64::new(0),
        written: AtomicU64::new(0),
        said_owed: AtomicU64::new(0),
        chunks_wanted: [AtomicBool::new(false), AtomicBool::new(false)],
        wants_room: AtomicBool::new(false),
        volumes: Volumes::new(),
        pulse: Arc::default(),
    });
    let worker = Worker::new(settings, Arc::clone(&shared), receiver)?;
    let thread = thread::Builder::new().name("log-pump".into()).spawn(move || {
        let _guard = AbortOnPanic;
        worker.run();
    })?;
    Ok((PumpHandle { commands, shared }, thread))
}

/// Ends the process when the thread panics. Without a pump, every child would soon
/// wait for its output to be read; a new supervisor reads it.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}
