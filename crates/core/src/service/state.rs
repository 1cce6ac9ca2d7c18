//! What a service can be doing, and what can happen to it.

use crate::decision::{Reason, Wish};
use crate::id::{ExitSequence, Generation, Pid};
use crate::input::{Finding, Found, Saying};
use crate::signal::Signal;
use crate::spec::Reach;
use crate::status::{ExitStatus, SpawnError};
use crate::time::Instant;

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does not run and nothing wants it to.
    Stopped,
    /// A start has begun and not yet succeeded.
    Starting {
        /// When it began.
        since: Instant,
        /// How far it has come.
        launch: Launch,
    },
    /// It runs.
    Running,
    /// A start has failed; the next try is due.
    Backoff {
        /// At this time.
        until: Instant,
    },
    /// It has crashed, and its recovery script is asked what is to be done.
    Recovering {
        /// When it was to be asked.
        since: Instant,
        /// How far that has come.
        inquiry: Inquiry,
    },
    /// It has been told to stop.
    Stopping {
        /// When SIGKILL is sent, again and again.
        kill_at: Instant,
        /// The signal that comes next or came last.
        order: Order,
    },
    /// It ended by itself.
    Exited,
    /// Starts have failed too often; only a client can start it.
    Fatal,
    /// A signal could not be sent to it: nothing can be said or done.
    Unknown,
}

impl State {
    /// The state that a successor is told: it looks for itself whether a process is dead.
    pub(crate) fn recorded(self) -> Self {
        if let Self::Starting { since, launch: Launch::Dead { .. } } = self {
            return Self::Starting { since, launch: Launch::Executed };
        }
        self
    }
}

/// How far a start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launch {
    /// Something that it depends on is not there yet: no process was asked for.
    Held,
    /// It was decided; no process is known yet.
    Requested,
    /// There is a process, on its way to its program.
    Cloned {
        /// When people are told that it is stuck; `None` once they were.
        report_at: Option<Instant>,
    },
    /// The process has executed its program.
    Executed,
    /// It has, and is known to be dead; how it ended is not known yet. It is recorded as
    /// [`Self::Executed`]: a successor finds out for itself.
    Dead {
        /// When that was seen.
        seen: Instant,
    },
}

/// How far the question to a recovery script has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inquiry {
    /// The script that was asked before still runs: this one waits for its end.
    Waits,
    /// It still does, and people were told.
    Overdue,
    /// The script has been asked for, or runs.
    Asked,
    /// The script has ended and nothing was decided.
    Silent {
        /// When people are told; `None` once they were.
        warn_at: Option<Instant>,
    },
}

/// Which signal a stopping process is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Who depends on it stops first; no signal is to be sent before.
    Held,
    /// The stop signal is to be sent.
    Stop,
    /// The stop signal has been sent.
    StopSent,
    /// SIGKILL is to be sent.
    Kill,
    /// SIGKILL has been sent.
    KillSent,
}

/// A state without what is known in it: what clients and listeners are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateName {
    /// [`State::Stopped`]
    Stopped,
    /// [`State::Starting`]
    Starting,
    /// [`State::Running`]
    Running,
    /// [`State::Backoff`] and [`State::Recovering`]
    Backoff,
    /// [`State::Stopping`]
    Stopping,
    /// [`State::Exited`]
    Exited,
    /// [`State::Fatal`]
    Fatal,
    /// [`State::Unknown`]
    Unknown,
}

impl StateName {
    /// Whether nothing runs and nothing will by itself.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        matches!(self, Self::Stopped | Self::Exited | Self::Fatal | Self::Unknown)
    }

    /// Whether it counts as started: a start is refused, a stop is possible.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Backoff)
    }

    /// Whether a client may send it a signal.
    #[must_use]
    pub fn is_signallable(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

/// What is wanted of a service, whatever it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// It shall run.
    Up,
    /// It shall not run.
    Down,
    /// It shall not run, and not be in the table any more once it does not.
    Gone,
}

impl Goal {
    /// The goal of what is not wanted any more.
    pub(crate) fn lowered(self) -> Self {
        match self {
            Self::Up | Self::Down => Self::Down,
            Self::Gone => Self::Gone,
        }
    }
}

/// Which part an instance plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It owns the label and serves.
    Active,
    /// It is kept ready to take over.
    Replica,
    /// It is the new version of a live update.
    Candidate,
}

/// What went wrong last; cleared by the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There was no process.
    Spawn(SpawnError),
    /// It ended before its start had succeeded.
    ExitedTooQuickly,
    /// It ended with a code that is not an expected one; -1 is a signal.
    BadExitCode(i32),
    /// It was killed for this, or its start was given up.
    Condemned(Reason),
}

/// What happened to one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stimulus {
    /// It is wanted.
    Start,
    /// It is not wanted.
    Stop,
    /// It is not wanted because all ends. Supervisor makes a service FATAL that
    /// waits for its next try when that happens, and STOPPED for a client.
    ShutDown,
    /// It is not wanted, but who depends on it stops first.
    HoldStop,
    /// Its process is to be replaced by a fresh one.
    Refresh,
    /// It shall not wait for its next start any longer, nor for its script.
    RestartNow,
    /// Its process is to crash.
    Inject,
    /// What it was held for is there, or gone.
    Release,
    /// See [`crate::Input::Spawned`].
    Spawned(Generation, Pid),
    /// See [`crate::Input::Executed`].
    Executed(Generation),
    /// See [`crate::Input::SpawnFailed`].
    SpawnFailed(Generation, SpawnError),
    /// See [`crate::Input::Exited`].
    Exited(Generation, ExitStatus, ExitSequence, Instant),
    /// See [`crate::Input::Dead`].
    Dead(Generation),
    /// See [`crate::Input::OutOfMemory`].
    OutOfMemory(Generation),
    /// See [`crate::Input::Said`].
    Said(Generation, Saying),
    /// See [`crate::Input::Checked`].
    Checked(Generation, u32, Finding),
    /// See [`crate::Input::Swept`].
    Swept(Generation),
    /// See [`crate::Input::ScriptSpawned`].
    ScriptSpawned(u32, Pid),
    /// See [`crate::Input::ScriptFailed`].
    ScriptFailed(u32, SpawnError),
    /// See [`crate::Input::ScriptEnded`].
    ScriptEnded(u32),
    /// See [`crate::Input::ScriptFound`].
    ScriptFound(u32, Option<Pid>),
    /// See [`crate::Input::Signalled`].
    Signalled(Generation, Signal, Reach),
    /// See [`crate::Input::SignalFailed`].
    SignalFailed(Generation, Signal, i32),
    /// See [`crate::Input::Found`].
    Found(Generation, Found),
    /// See [`crate::Input::Resume`].
    Resume,
    /// Its deadline has passed.
    Timeout,
}

impl Stimulus {
    /// Who wants the stop that this is.
    pub(super) fn wish(self) -> Wish {
        if self == Self::ShutDown { Wish::End } else { Wish::Client }
    }

    /// How a process has ended of which this is the news.
    pub(crate) fn exit(self) -> Option<ExitStatus> {
        if let Self::Exited(_, status, ..) = self { Some(status) } else { None }
    }
}
