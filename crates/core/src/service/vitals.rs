//! What is kept of a service that asks for more than Supervisor's rules.
//!
//! It is recorded with the service and is a plain value. What belongs to one life begins
//! anew with each; the counters, and what concerns the recovery script, outlive it.

use std::time::Duration;

use crate::decision::Reason;
use crate::id::{Generation, Pid};
use crate::spec::{Care, ServiceSpec};
use crate::time::Instant;

/// What is kept of a service that asks for more than Supervisor's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vitals {
    /// Restarts that have succeeded since the counter began: the delay follows from it.
    pub restarts: u32,
    /// How often it has crashed.
    pub crashes: u32,
    /// How long the wait after its last crash was.
    pub waited: Duration,
    /// Whether the present or next life follows a crash and was not yet initialised.
    pub recovers: bool,
    /// What its script is to be told, or was told and has not decided.
    pub asks: Option<Reason>,
    /// Whether the stop that goes on makes room for a fresh process.
    pub refreshing: bool,
    /// Its recovery script, which may outlive the question. Its number is that of the life
    /// whose end it was asked about.
    pub script: ScriptRun,
    /// Whether that script was told to end, because others have decided.
    pub ends_script: bool,
    /// Its last life that had a process and has ended, until nothing is known to be left of
    /// its tree or the next has a process: what is left is killed first.
    pub former: Option<Generation>,
    /// The number of the last check.
    pub checks: u32,
    /// The number of the last question for a sign of life.
    pub pings: u32,
    /// What belongs to the present life.
    pub life: Life,
    /// Whether the present or next life takes the place of one that was refreshed and was not
    /// yet initialised.
    pub renews: bool,
}

/// What belongs to one life of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life {
    /// Whether it has said something before it was initialised.
    pub spoke: bool,
    /// Until when it may be initialised, where it has asked for more time.
    pub ready_by: Option<Instant>,
    /// When it was initialised.
    pub ready_at: Option<Instant>,
    /// When its last sign of life came.
    pub alive_at: Option<Instant>,
    /// How often it says by itself that it lives, where it has said how often; nothing is
    /// for never.
    pub period: Option<Duration>,
    /// When it is asked for a sign of life; `None` while an answer is owed.
    pub ping_at: Option<Instant>,
    /// When it is taken for hung.
    pub hung_at: Option<Instant>,
    /// How far its check has come.
    pub check: Checking,
    /// Checks that have failed in a row.
    pub unhealthy: u32,
    /// Why it is being killed, or what killed it.
    pub verdict: Option<Reason>,
    /// When its start began, once that has succeeded.
    pub begun: Option<Instant>,
    /// Until when it may have its stop put off, once it was told to stop.
    pub stop_by: Option<Instant>,
}

/// How far a check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checking {
    /// None is due.
    #[default]
    Idle,
    /// The next one is due at this time.
    Due(Instant),
    /// It has been asked for, and is broken off at this time.
    Asked(Instant),
}

/// What is known of the process of a recovery script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScriptRun {
    /// There is none.
    #[default]
    Idle,
    /// The one of this number has been asked for.
    Requested(u32),
    /// The one of this number runs.
    Running(u32, Pid),
}

impl ScriptRun {
    /// Its number.
    #[must_use]
    pub fn number(self) -> Option<u32> {
        match self {
            Self::Idle => None,
            Self::Requested(number) | Self::Running(number, _) => Some(number),
        }
    }
}

impl Vitals {
    /// What is kept once something else is asked for: what was known, where it still counts.
    pub(crate) fn after_edit(known: Option<Self>, spec: &ServiceSpec) -> Option<Self> {
        spec.program.care.as_ref().map(|care| known.unwrap_or_else(|| Self::new(care)))
    }

    /// Those of a service that was never started.
    #[must_use]
    pub fn new(care: &Care) -> Self {
        Self { restarts: care.recovery.restarts, ..Self::default() }
    }
}
