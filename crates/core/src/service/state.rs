//! What a service can be doing, and what can happen to it.

use crate::id::{ExitSequence, Generation, Pid};
use crate::input::Found;
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

/// How far a start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launch {
    /// It was decided; no process is known yet.
    Requested,
    /// There is a process, on its way to its program.
    Cloned {
        /// When people are told that it is stuck; `None` once they were.
        report_at: Option<Instant>,
    },
    /// The process has executed its program.
    Executed,
}

/// Which signal a stopping process is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
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
    /// [`State::Backoff`]
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
    /// See [`crate::Input::Spawned`].
    Spawned(Generation, Pid),
    /// See [`crate::Input::Executed`].
    Executed(Generation),
    /// See [`crate::Input::SpawnFailed`].
    SpawnFailed(Generation, SpawnError),
    /// See [`crate::Input::Exited`].
    Exited(Generation, ExitStatus, ExitSequence, Instant),
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
