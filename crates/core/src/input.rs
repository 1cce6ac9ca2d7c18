//! What happened: the only way to make the core move.

use crate::id::{ExitSequence, Generation, Pid, ServiceId, Ticket};
use crate::job::Command;
use crate::signal::Signal;
use crate::spec::{Configuration, Reach};
use crate::status::{ExitStatus, SpawnError};
use crate::time::Instant;
use std::time::Duration;

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
    /// A process is dead whose start was just about to count as a success because it had
    /// stayed up. Its exit is on the way.
    Dead {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
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
    /// There was no memory for a process: told before its exit.
    OutOfMemory {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
    },
    /// A process has said something on one of its channels.
    Said {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// What.
        saying: Saying,
    },
    /// What was left of the tree of a life that is over is gone, or nobody looks for it any
    /// more.
    Swept {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
    },
    /// What came of a check.
    Checked {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// Which check.
        check: u32,
        /// What it has shown.
        finding: Finding,
    },
    /// A recovery script runs.
    ScriptSpawned {
        /// Whose.
        service: ServiceId,
        /// Which run of it.
        script: u32,
        /// Its process.
        pid: Pid,
    },
    /// A recovery script cannot be run.
    ScriptFailed {
        /// Whose.
        service: ServiceId,
        /// Which run of it.
        script: u32,
        /// Why.
        error: SpawnError,
    },
    /// A recovery script has ended; how does not matter.
    ScriptEnded {
        /// Whose.
        service: ServiceId,
        /// Which run of it.
        script: u32,
    },
    /// What became of a recovery script that a predecessor asked for. It is told of each that
    /// is not known to have run, before [`Input::Resume`].
    ScriptFound {
        /// Whose.
        service: ServiceId,
        /// Which run of it.
        script: u32,
        /// Its process; `None` when there was none yet. One that has ended is told of by
        /// [`Input::ScriptEnded`] after this.
        pid: Option<Pid>,
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

/// What a check has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The service works.
    Works,
    /// It does not.
    Fails,
    /// Nothing: the check could not be made, for which the service can do nothing.
    Nothing,
}

impl Finding {
    /// What a check has shown that was made.
    #[must_use]
    pub fn of(works: bool) -> Self {
        if works { Self::Works } else { Self::Fails }
    }
}

/// What a process says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saying {
    /// That it will say when it is ready; every message says at least that.
    Hello,
    /// It is initialised.
    Ready,
    /// It cannot be initialised, for this reason.
    Failed(i32),
    /// It cannot resume, and is to be started afresh.
    Reset,
    /// It lives.
    Alive,
    /// What it is doing may take longer by this, from now on.
    Extend(Duration),
    /// It will say by itself that it lives, at least this often from now on, and is hung after
    /// twice as long; nothing is for never.
    Period(Duration),
    /// It is to be taken for hung.
    Trigger,
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
    /// It stops nothing and starts nothing again: MINIX's shutdown.
    Resting,
}
