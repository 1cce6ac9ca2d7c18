//! How the API thread asks the control thread, and how it is answered.
//!
//! A bounded queue and a wake-up: the API thread never touches a child, and the
//! control thread never waits for a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use bardo_core::job::{Answer, Caller};
use bardo_core::service::{Failure, StateName};
use bardo_core::spec::{GroupSpec, ServiceSpec};
use bardo_core::time::WallTime;
use bardo_core::{Command, ExitStatus, Mood, Pid, ServiceId};
use bardo_sys::waker::Waker;
use tokio::sync::oneshot;

use super::changes::{Changed, Watch};
use super::decisions::Told;
use super::main_log::Level;
use super::metrics::{Counted, Counts};
use super::standing::{Explained, Standing};
use super::troubles::{Account, TroubleKind};

/// Most questions that wait for the control thread. One client asks one thing at a
/// time, so this is the number of busy clients; more of them are told to wait.
pub const QUESTIONS_MAX: usize = 1024;

/// What a client wants from the control thread.
#[derive(Debug)]
pub enum Question {
    /// Something that the core decides; answered with [`Reply::Answer`].
    Command(Command),
    /// How processes are; answered with [`Reply::Processes`] or
    /// [`Reply::Answer`] with the refusal.
    Processes(Selection),
    /// All processes, and what was counted; answered with [`Reply::Measured`], also
    /// while everything is being stopped.
    Measure,
    /// What has changed since this was last asked, or the whole table; answered with
    /// [`Reply::Changed`], also while everything is being stopped.
    Changed {
        /// Whether everything is to be told.
        whole: bool,
    },
    /// To which service one of these processes belongs, the first that belongs to any;
    /// answered with [`Reply::WhoIs`], also while everything is being stopped.
    WhoIs {
        /// The processes, the nearest first.
        pids: Vec<Pid>,
    },
    /// What is wrong; answered with [`Reply::Troubles`], also while everything is being
    /// stopped.
    Troubles,
    /// What the supervisor is about; answered with [`Reply::Mood`], also while everything
    /// is being stopped.
    Mood,
    /// How services stand, all or the one of a label; answered with [`Reply::Services`], also
    /// while everything is being stopped.
    Services(Option<Arc<str>>),
    /// Why the service of a label is as it is; answered with [`Reply::Why`], also while
    /// everything is being stopped.
    Why(Arc<str>),
    /// The decisions that are kept, after the one of this number; answered with
    /// [`Reply::Decisions`], also while everything is being stopped.
    Decisions(u64),
    /// The loaded configuration; answered with [`Reply::Groups`].
    Groups,
    /// Write to a process's standard input; answered with [`Reply::Stdin`].
    Stdin {
        /// Its group.
        group: Arc<str>,
        /// Its name.
        name: Arc<str>,
        /// What to write.
        bytes: Vec<u8>,
    },
    /// The names of the groups that are there, in the order in which they were added;
    /// answered with [`Reply::Names`].
    GroupNames,
    /// Write a line into the main log; answered with [`Reply::Answer`] (`Done`).
    Log {
        /// How much it matters.
        level: Level,
        /// The line.
        text: String,
    },
    /// Look into what clients have stored in an interface, or change that; answered
    /// with [`Reply::Cache`].
    Cache {
        /// The name of the interface.
        namespace: Arc<str>,
        /// What is wanted.
        request: CacheRequest,
    },
    /// Empty the main log, or the logs of one process; answered with
    /// [`Reply::ClearLog`].
    ClearLog(Selection),
    /// Tell the event listeners what a client has to say; answered with
    /// [`Reply::Answer`] (`Done`), also while everything is being stopped.
    RemoteEvent {
        /// What the client calls it.
        kind: String,
        /// What it says.
        data: String,
    },
}

impl Question {
    /// Whether it can be answered without a change of anything, or is about the
    /// supervisor itself.
    #[must_use]
    pub fn is_look(&self) -> bool {
        match self {
            Self::Command(command) => {
                matches!(command, Command::Look | Command::Restart | Command::Shutdown)
            }
            Self::Processes(_)
            | Self::Measure
            | Self::Changed { .. }
            | Self::Mood
            | Self::WhoIs { .. }
            | Self::Troubles
            | Self::Services(_)
            | Self::Why(_)
            | Self::Decisions(_)
            | Self::Groups
            | Self::GroupNames => true,
            Self::Stdin { .. }
            | Self::Log { .. }
            | Self::Cache { .. }
            | Self::ClearLog(_)
            | Self::RemoteEvent { .. } => false,
        }
    }
}

/// What a client wants of what clients have stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheRequest {
    /// All keys, sorted.
    Keys,
    /// The value of a key.
    Fetch(Arc<str>),
    /// A value is to be stored under a key.
    Store(Arc<str>, Arc<str>),
    /// A key is to be deleted.
    Delete(Arc<str>),
    /// All keys are to be deleted.
    Clear,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheReply {
    /// The keys.
    Keys(Vec<Arc<str>>),
    /// The value; `None` where nothing is stored under the key.
    Value(Option<Arc<str>>),
    /// It is done.
    Done,
    /// There is no room for it.
    Full,
}

/// Which processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The supervisor itself (its main log).
    Main,
    /// One, by group and process name.
    Process(Arc<str>, Arc<str>),
    /// All of a group.
    Group(Arc<str>),
    /// All.
    All,
}

/// What the control thread answers.
#[derive(Debug)]
pub enum Reply {
    /// What the core answered.
    Answer(Answer),
    /// How processes are, sorted by group name, then process name.
    Processes(Vec<ProcessView>),
    /// All processes and what was counted of them, and of the whole.
    Measured(Box<Measured>),
    /// What has changed.
    Changed(Changed),
    /// Who acts.
    WhoIs {
        /// On behalf of whom.
        caller: Caller,
        /// Whether that one may do something to any service.
        controls: bool,
    },
    /// What is wrong.
    Troubles(Account),
    /// What the supervisor is about.
    Mood(Mood),
    /// How services stand, sorted by group name, then process name.
    Services(Vec<Standing>),
    /// What there is to say about a name; `None` where nothing is known of it.
    Why(Option<Explained>),
    /// Decisions in their order, and the number of the latest of all.
    Decisions(Vec<Told>, u64),
    /// The loaded configuration's groups in start order, and for each whether it is
    /// up.
    Groups(Vec<(Arc<GroupSpec>, bool)>),
    /// Names.
    Names(Vec<Arc<str>>),
    /// What came of a look into what clients have stored.
    Cache(CacheReply),
    /// What became of bytes for a process's standard input.
    Stdin(Result<(), StdinRefusal>),
    /// What became of a log that was to be emptied.
    ClearLog(Result<(), ClearRefusal>),
}

/// What was counted, at one moment.
#[derive(Debug, Default)]
pub struct Measured {
    /// The processes as clients see them, each with its place in the table and what was
    /// counted of it; sorted by group name, then process name.
    pub processes: Vec<(ServiceId, ProcessView, Counts)>,
    /// What was counted of the whole.
    pub counted: Counted,
    /// How much is wrong, in the order of [`TroubleKind::ALL`].
    pub troubles: [usize; TroubleKind::ALL.len()],
}

/// Why nothing was written to a standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdinRefusal {
    /// There is no such process.
    NoSuchName,
    /// It does not run, or is being stopped.
    NotRunning,
    /// Its standard input is closed or not a pipe of ours.
    Closed,
    /// It does not read, and as much waits for it as may wait.
    Full,
    /// Everything is being stopped.
    ShuttingDown,
}

/// Why a log was not emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClearRefusal {
    /// There is no such process, or no such log.
    NoSuchName,
    /// Its file could not be removed.
    Failed,
    /// Everything is being stopped.
    ShuttingDown,
}

/// How one process is.
#[derive(Debug, Clone)]
pub struct ProcessView {
    /// Its group.
    pub group: Arc<GroupSpec>,
    /// What was asked for.
    pub spec: Arc<ServiceSpec>,
    /// What it is doing.
    pub state: StateName,
    /// Its process.
    pub pid: Option<Pid>,
    /// When its last start began.
    pub started: Option<WallTime>,
    /// When it last ended.
    pub stopped: Option<WallTime>,
    /// How it last ended.
    pub exit: Option<ExitStatus>,
    /// What went wrong last.
    pub failure: Option<Failure>,
    /// The file its standard output goes to.
    pub stdout_log: Option<Arc<str>>,
    /// The file its standard error goes to.
    pub stderr_log: Option<Arc<str>>,
}

/// A question and where its answer goes.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub question: Question,
    /// Where the answer goes. A client that has gone away does not matter.
    pub reply: oneshot::Sender<Reply>,
}

/// Why a question got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Too many questions wait already.
    #[error("the supervisor is busy: too many requests are waiting")]
    Busy,
    /// The control thread has ended.
    #[error("the supervisor is ending")]
    Ended,
}

/// The API thread's end.
#[derive(Debug, Clone)]
pub struct Clients {
    questions: SyncSender<Request>,
    wake: Arc<Waker>,
    watch: Arc<Watch>,
    asked: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
}

/// The control thread's end.
#[derive(Debug)]
pub struct Questions {
    requests: Receiver<Request>,
    watch: Arc<Watch>,
    taken: Arc<AtomicU64>,
}

/// A question that was asked and has no answer yet.
#[derive(Debug)]
pub struct Pending {
    answer: oneshot::Receiver<Reply>,
    number: u64,
    taken: Arc<AtomicU64>,
}

/// Makes the queue: the API thread's end and the control thread's.
#[must_use]
pub fn channel(wake: Arc<Waker>) -> (Clients, Questions) {
    let (questions, requests) = sync_channel(QUESTIONS_MAX);
    let taken = Arc::new(AtomicU64::new(0));
    let watch = Arc::new(Watch::default());
    let clients = Clients {
        questions,
        wake,
        watch: Arc::clone(&watch),
        asked: Arc::new(AtomicU64::new(0)),
        taken: Arc::clone(&taken),
    };
    (clients, Questions { requests, watch, taken })
}

impl Clients {
    /// Asks. The answer may take as long as a program takes to start or to stop.
    ///
    /// # Errors
    /// When the queue is full or the control thread has ended.
    pub fn ask(&self, question: Question) -> Result<Pending, AskError> {
        let (reply, answer) = oneshot::channel();
        self.questions.try_send(Request { question, reply }).map_err(|refused| match refused {
            TrySendError::Full(_) => AskError::Busy,
            TrySendError::Disconnected(_) => AskError::Ended,
        })?;
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        self.wake.wake();
        Ok(Pending { answer, number, taken: Arc::clone(&self.taken) })
    }

    /// Where to say that somebody watches the table, and to wait for its changes.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }
}

impl Questions {
    /// The next question, if one waits.
    pub fn take(&self) -> Option<Request> {
        let request = self.requests.try_recv().ok()?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(request)
    }

    /// Where it is said whether somebody watches the table.
    #[must_use]
    pub fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }
}

impl Pending {
    /// Whether the control thread has taken the question out of the queue. The
    /// queue keeps its order, so counting is enough.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.number
    }

    /// Waits for the answer. It may be called again when the wait was given up.
    ///
    /// # Errors
    /// When the control thread has ended.
    pub async fn answer(&mut self) -> Result<Reply, AskError> {
        (&mut self.answer).await.map_err(|_| AskError::Ended)
    }
}
