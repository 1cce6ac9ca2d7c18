//! What was decided about a service and why, as plain values: what people are told who ask.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{Generation, ServiceId};
use crate::status::{ExitStatus, SpawnError};
use crate::time::WallTime;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// About which service.
    pub service: ServiceId,
    /// In which of its lives.
    pub generation: Generation,
    /// When.
    pub at: WallTime,
    /// What.
    pub what: What,
}

/// What was decided or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A process was asked for.
    Start(Cause),
    /// It waits for a dependency.
    Holds {
        /// The label of what it waits for.
        on: Arc<str>,
    },
    /// The program was executed.
    Executed,
    /// It is initialised.
    Ready(Sign),
    /// Its process ended without having been told to.
    Ended(ExitStatus, Reason),
    /// There was no process.
    SpawnFailed(SpawnError),
    /// The next start waits.
    Waits {
        /// For how long.
        wait: Duration,
        /// How many restarts, or failed starts, go before.
        count: u32,
        /// Whose rule that is.
        rule: Rule,
    },
    /// Its process is killed, for this reason.
    Kills(Reason),
    /// Its recovery script is asked to decide.
    AsksScript(Reason),
    /// The script ended and has decided nothing.
    ScriptSilent,
    /// The script that was asked before has not ended yet, so that it cannot be asked.
    ScriptBusy,
    /// The script could not be started.
    ScriptFailed(SpawnError),
    /// No further start is tried.
    GaveUp,
    /// It is told to stop.
    Stop(Wish),
    /// It has stopped as it was told.
    Stopped(ExitStatus),
    /// It was healthy for long enough: the counter begins anew.
    CounterReset,
    /// What was asked for it is different.
    Edited,
    /// It was expected to end, or must not be started again, and stays down.
    Rests,
    /// Everything ends because it is critical.
    Ends,
    /// Everything ends with it, as was asked for, and the daemon with this code.
    EndsAll(u8),
}

/// Why a process is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It starts by itself with its group.
    Automatic,
    /// A client asked.
    Asked,
    /// The one before crashed.
    Crash,
    /// The start before failed.
    Retry,
    /// A client asked for a fresh one.
    Refresh,
    /// A client, or its script, did not want to wait.
    Now,
    /// Its script took too long to decide.
    Script,
}

/// By what a service was found to be initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It said so.
    Said,
    /// A check succeeded.
    Checked,
    /// It stayed up.
    StayedUp,
}

/// Why a process is no more, or will not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It ended by itself.
    Terminated,
    /// It owed a sign of life.
    NoHeartbeat,
    /// A client asked for a fresh one.
    Restart,
    /// A check failed too often.
    Health,
    /// There was no memory for it.
    OutOfMemory,
    /// It was not initialised in time.
    InitTimeout,
    /// It said that it cannot be initialised, with this number.
    InitFailed(i32),
    /// It said that it cannot go on where the one before it ended.
    CannotResume,
}

/// Whose rule a wait follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Supervisor's, after failed starts.
    Retries,
    /// MINIX's binary back-off.
    Binary,
    /// Always the same.
    Constant,
    /// The machine has nothing left to start it with.
    Shortage,
}

/// Who wants a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A client.
    Client,
    /// A client who wants a fresh one.
    Refresh,
    /// All ends.
    End,
}
