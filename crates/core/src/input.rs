//! What happened: the only way to make the core move.

use crate::id::{ExitSequence, Generation, Pid, ServiceId, Ticket};
use crate::job::Command;
use crate::signal::Signal;
use crate::spec::{Configuration, Reach};
use crate::status::{ExitStatus, SpawnError};
use crate::time::Instant;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A configuration was loaded for the first time: everything in it comes up.
    Begin(Configuration),
    /// A supervisor has taken over, and all that is known of its predecessor's
    /// processes has been told: what was decided and not done is done now.
    Resume,
    /// What became of a process that a predecessor started.
    Found {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// What became of it.
        found: Found,
    },
    /// A client asks for something.
    Command {
        /// Where the answer goes.
        ticket: Ticket,
        /// What is asked.
        command: Command,
    },
    /// A process was cloned; it has not executed its program yet.
    Spawned {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// Its number.
        pid: Pid,
    },
    /// A process has executed its program.
    Executed {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
    },
    /// There is no process, and there will be none for this generation.
    SpawnFailed {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// Why.
        error: SpawnError,
    },
    /// A process has ended.
    Exited {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// How.
        status: ExitStatus,
        /// The number of the keeper's record.
        sequence: ExitSequence,
        /// When the keeper saw it end, which may be long before anybody could be told.
        at: Instant,
    },
    /// A signal has been sent: which one and to whom is said again, because a
    /// client's signal does not do for the stop signal.
    Signalled {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// Which signal.
        signal: Signal,
        /// Whom it reached.
        reach: Reach,
    },
    /// A signal could not be sent, though the process is there.
    SignalFailed {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// Which signal.
        signal: Signal,
        /// The errno.
        errno: i32,
    },
    /// A configuration was loaded in place of the present one (SIGHUP): all
    /// stops, and the new one begins.
    Replace(Configuration),
    /// The end is asked for, by a signal.
    Shutdown,
    /// A deadline has passed.
    Timeout,
}

/// What became of a process that a predecessor started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There is a process of this number, or there was: then its exit follows. It was
    /// cloned at this time.
    Alive(Pid, Instant),
    /// It was never cloned.
    NeverCloned,
}

/// Whether the supervisor works or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It starts what it is asked to start.
    Running,
    /// It stops everything and then begins anew.
    Restarting,
    /// It stops everything and then ends.
    Shutdown,
}
