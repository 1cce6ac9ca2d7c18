//! What clients ask, and what they are answered.

use std::sync::Arc;

use crate::id::{ServiceId, Ticket};
use crate::reconcile::{Difference, Scope};
use crate::service::{Failure, Goal, Launch, Service, State, StateName};
use crate::signal::Signal;
use crate::spec::Configuration;
use crate::status::SpawnError;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Do something to services.
    Act {
        /// What.
        verb: Verb,
        /// To which.
        target: Target,
        /// When to answer.
        wait: Wait,
    },
    /// Take a freshly loaded configuration as the one that groups are added from,
    /// and say how it differs from what is there. Nothing starts or stops.
    Load(Configuration),
    /// Add or remove a group.
    Reconcile(Scope),
    /// Look at the table. The world makes the answer when it performs it.
    Look,
    /// Stop everything and end.
    Shutdown,
    /// Answer as soon as everything may be stopped and replaced: the world then
    /// sends [`crate::Input::Replace`].
    Restart,
}

/// What to do to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Send its process a signal.
    Signal(Signal),
}

/// To which services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One, by group and process name.
    Process(Arc<str>, Arc<str>),
    /// All of a group.
    Group(Arc<str>),
    /// All.
    All,
}

/// When to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// When it is done: the start has succeeded or failed, the process is gone.
    Done,
    /// When it has begun.
    Begun,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such process or group.
    NoSuchName,
    /// It is up already.
    AlreadyStarted,
    /// It is not up.
    NotRunning,
    /// A signal could not be sent to it before, so nothing is known of it.
    UnknownState,
    /// It could not be started, or ended before its start had succeeded.
    SpawnFailed(Option<SpawnError>),
    /// It ended while somebody waited for its start.
    EndedEarly,
    /// A group of that name is there already.
    AlreadyAdded,
    /// A process of the group is not stopped.
    StillRunning,
    /// Everything is being stopped.
    ShuttingDown,
}

/// What came of a command for one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its group.
    pub group: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// What came of it.
    pub result: Result<(), Refusal>,
}

/// What a client is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is not done at all.
    Refused(Refusal),
    /// It is done.
    Done,
    /// What came of it for each service, in the order in which it came.
    Outcomes(Vec<Outcome>),
    /// How the loaded configuration differs.
    Difference(Difference),
    /// The world answers from the table, as it is now.
    Table,
}

/// A command whose answer waits for services.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) ticket: Ticket,
    pub(crate) verb: Verb,
    pub(crate) wait: Wait,
    /// Whether the target was a single process, whose refusal is the answer.
    pub(crate) single: bool,
    pub(crate) waiting: Vec<ServiceId>,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Job {
    /// The answer, once nothing is waited for.
    pub(crate) fn answer(&mut self) -> Answer {
        match (self.single, self.outcomes.first()) {
            (true, Some(Outcome { result: Err(refusal), .. })) => Answer::Refused(refusal.clone()),
            (true, _) => Answer::Done,
            (false, _) => Answer::Outcomes(std::mem::take(&mut self.outcomes)),
        }
    }
}

/// What has come of `verb` for a service that somebody waits for; `None` while it
/// is not decided.
pub(crate) fn outcome(service: &Service, verb: Verb, wait: Wait) -> Option<Result<(), Refusal>> {
    match verb {
        Verb::Start => started(service, wait),
        Verb::Stop => match (wait, service.state_name()) {
            (_, StateName::Unknown) => Some(Err(Refusal::UnknownState)),
            (Wait::Begun, _) => Some(Ok(())),
            (Wait::Done, state) => state.is_stopped().then_some(Ok(())),
        },
        Verb::Signal(_) => Some(Ok(())),
    }
}

fn started(service: &Service, wait: Wait) -> Option<Result<(), Refusal>> {
    match (service.state, wait) {
        (State::Starting { launch: Launch::Requested, .. }, _) => None,
        (State::Starting { .. }, Wait::Begun) | (State::Running, _) => Some(Ok(())),
        (State::Starting { .. }, Wait::Done) => None,
        (State::Stopping { .. }, _) if service.goal == Goal::Up => None,
        (State::Stopping { .. }, _) => Some(Err(Refusal::EndedEarly)),
        (
            State::Stopped | State::Backoff { .. } | State::Exited | State::Fatal | State::Unknown,
            _,
        ) => Some(Err(match service.failure {
            Some(Failure::Spawn(error)) => Refusal::SpawnFailed(Some(error)),
            Some(Failure::ExitedTooQuickly | Failure::BadExitCode(_)) => Refusal::SpawnFailed(None),
            None => Refusal::EndedEarly,
        })),
    }
}

/// Why `verb` cannot be done to a service just now; `None` when it can.
pub(crate) fn refusal(service: &Service, verb: Verb) -> Option<Refusal> {
    let state = service.state_name();
    match verb {
        Verb::Start if state == StateName::Unknown => Some(Refusal::UnknownState),
        Verb::Start if state.is_up() => Some(Refusal::AlreadyStarted),
        // A stop takes back a start that waits for the end of the stop before it.
        Verb::Stop if state == StateName::Stopping && service.goal == Goal::Up => None,
        Verb::Stop if !state.is_up() => Some(Refusal::NotRunning),
        Verb::Signal(_) if !state.is_signallable() || service.pid.is_none() => {
            Some(Refusal::NotRunning)
        }
        Verb::Start | Verb::Stop | Verb::Signal(_) => None,
    }
}
