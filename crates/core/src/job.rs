//! What clients ask, and what they are answered.

use std::sync::Arc;

use crate::action::Errand;
use crate::id::{Generation, Pid, ServiceId, Ticket};
use crate::reconcile::{Difference, Scope};
use crate::service::{Failure, Goal, Launch, Order, Service, State, StateName};
use crate::signal::Signal;
use crate::spec::{Configuration, GroupSpec, ServiceSpec};
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
    /// Make services members of a group that is there.
    Join {
        /// The group.
        group: Arc<str>,
        /// The services, in start order.
        services: Vec<Arc<ServiceSpec>>,
    },
    /// Take a service that is stopped out of its group.
    Leave {
        /// The group.
        group: Arc<str>,
        /// The service.
        process: Arc<str>,
    },
    /// Bring up a service in a group of its own; answered when it is initialised or gone.
    Bring {
        /// The group, with this one service.
        group: Arc<GroupSpec>,
        /// When to answer.
        wait: Wait,
        /// Who asks.
        by: Caller,
    },
    /// Do something to the service of a label, as `service` has it.
    Manage {
        /// What.
        deed: Deed,
        /// The label.
        label: Arc<str>,
        /// When to answer: a refresh has begun when the new process has been asked for, and
        /// is done when that is initialised.
        wait: Wait,
        /// Who asks.
        by: Caller,
    },
    /// Start nothing again from now on, and stop nothing: MINIX's shutdown.
    Rest {
        /// Who asks.
        by: Caller,
    },
    /// Look at the table. The world makes the answer when it performs it.
    Look,
    /// Stop everything and end.
    Shutdown,
    /// Answer as soon as everything may be stopped and replaced: the world then
    /// sends [`crate::Input::Replace`].
    Restart,
}

/// Who asks for something that not everybody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Root, or the user as whom the supervisor runs.
    Owner,
    /// A process of a service: what its `control` list says, it may.
    Service(ServiceId),
    /// The recovery script of a service: it may what its service may, and decides what
    /// becomes of that.
    Script(ServiceId),
    /// Anybody else.
    Nobody,
}

/// What `service` does to a service that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It is brought down, and is there no more.
    Down,
    /// Its process is replaced by a fresh one, without a wait.
    Refresh,
    /// It does not wait any longer after a crash, and its script is not asked.
    RestartNow,
    /// What was asked for it is different from now on. Only the owner may ask for that: who
    /// can say what a service is, is whoever that runs as.
    Edit {
        /// What was asked for until now. Where that is something else, somebody has been
        /// faster, and what he has changed would be lost.
        former: Arc<ServiceSpec>,
        /// All that is asked for now.
        spec: Arc<ServiceSpec>,
        /// What its counter of restarts is, where that is said.
        restarts: Option<u32>,
    },
    /// Its process crashes.
    Inject,
    /// Whether it may be cloned or updated: neither can be done yet.
    Advance,
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
    /// There is no such group.
    NoSuchGroup,
    /// The group has a member of this name already.
    NameTaken(Arc<str>),
    /// The members of the group are event listeners.
    TakesNoPrograms,
    /// There is no room for more services, says the world.
    TableFull,
    /// It is up already.
    AlreadyStarted,
    /// It is not up.
    NotRunning,
    /// A signal could not be sent to it before, so nothing is known of it.
    UnknownState,
    /// A signal could not be sent to it.
    SignalFailed {
        /// Its process.
        pid: Option<Pid>,
        /// What it was sent for.
        errand: Errand,
        /// The errno.
        errno: i32,
    },
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
    /// Nothing is started any more.
    Resting,
    /// Whoever asks may not.
    NotPermitted,
    /// There is no service of this label.
    NoSuchLabel,
    /// There is one of this label already.
    LabelTaken,
    /// Another one has this device.
    DeviceTaken,
    /// It is being initialised, or somebody else waits for it.
    Busy,
    /// It has crashed, and waits for its restart or its script.
    Terminated,
    /// It has not crashed.
    StillUp,
    /// It is critical.
    Critical,
    /// It comes from the configuration file.
    FromFile,
    /// It ended, or could not be initialised, in place of what was asked.
    Died,
    /// This can not be done yet.
    NotYet,
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
    /// The services, and the life of each that is meant: by the time somebody
    /// looks, another one may have begun.
    pub(crate) waiting: Vec<(ServiceId, Generation)>,
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

/// What has come of `verb` for a life that somebody waits for; `None` while it is
/// not decided.
pub(crate) fn outcome(
    service: &Service,
    meant: Generation,
    verb: Verb,
    wait: Wait,
) -> Option<Result<(), Refusal>> {
    match verb {
        // A later life: the one that is meant has succeeded and ended at once.
        Verb::Start if service.generation != meant && service.generation.next() != meant => {
            Some(Ok(()))
        }
        Verb::Start => started(service, wait),
        Verb::Stop if service.generation != meant => Some(Ok(())),
        Verb::Stop => match (wait, service.state_name()) {
            (_, StateName::Unknown) => Some(Err(Refusal::UnknownState)),
            (Wait::Begun, _) => (!is_untold(service)).then_some(Ok(())),
            (Wait::Done, state) => state.is_stopped().then_some(Ok(())),
        },
        // Whether it could be sent is told by [`Supervisor::signalled`]; to whom has gone
        // meanwhile it was, as far as Supervisor is concerned.
        Verb::Signal(_) if service.generation != meant || service.pid.is_none() => Some(Ok(())),
        Verb::Signal(_) => None,
    }
}

/// Whether its stop signal is still on its way.
pub(crate) fn is_untold(service: &Service) -> bool {
    matches!(service.state, State::Stopping { order: Order::Stop, .. })
}

fn started(service: &Service, wait: Wait) -> Option<Result<(), Refusal>> {
    match (service.state, wait) {
        (State::Starting { launch: Launch::Requested, .. }, _) => None,
        (State::Starting { .. }, Wait::Begun) | (State::Running, _) => Some(Ok(())),
        (State::Starting { .. }, Wait::Done) => None,
        (State::Stopping { .. }, _) if service.goal == Goal::Up => None,
        (State::Stopping { .. }, _) => Some(Err(Refusal::EndedEarly)),
        (
            State::Stopped
            | State::Backoff { .. }
            | State::Recovering { .. }
            | State::Exited
            | State::Fatal
            | State::Unknown,
            _,
        ) => Some(Err(match service.failure {
            Some(Failure::Spawn(error)) => Refusal::SpawnFailed(Some(error)),
            Some(Failure::ExitedTooQuickly | Failure::BadExitCode(_) | Failure::Condemned(_)) => {
                Refusal::SpawnFailed(None)
            }
            None => Refusal::EndedEarly,
        })),
    }
}

/// Which life `verb` means, before it is done.
pub(crate) fn meant(service: &Service, verb: Verb) -> Generation {
    match verb {
        Verb::Start => service.generation.next(),
        Verb::Stop | Verb::Signal(_) => service.generation,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{program, service};
    use crate::time::Instant;

    const NOW: Instant = Instant(1);

    fn in_state(state: State) -> Service {
        let spec = service("a", program());
        let mut there = Service::new(ServiceId(0), Generation(3), Arc::from("g"), spec);
        there.state = state;
        there.pid = Some(Pid(9));
        there
    }

    fn states() -> [(StateName, Service); 8] {
        let starting = State::Starting { since: NOW, launch: Launch::Executed };
        let stopping = State::Stopping { kill_at: NOW, order: Order::Stop };
        [
            State::Stopped,
            starting,
            State::Running,
            State::Backoff { until: NOW },
            stopping,
            State::Exited,
            State::Fatal,
            State::Unknown,
        ]
        .map(|state| (in_state(state).state_name(), in_state(state)))
    }

    #[test]
    fn a_start_is_refused_while_it_is_up_or_nothing_is_known() {
        let refused: Vec<_> = states()
            .into_iter()
            .filter_map(|(name, there)| Some((name, refusal(&there, Verb::Start)?)))
            .collect();

        let expected = [
            (StateName::Starting, Refusal::AlreadyStarted),
            (StateName::Running, Refusal::AlreadyStarted),
            (StateName::Backoff, Refusal::AlreadyStarted),
            (StateName::Unknown, Refusal::UnknownState),
        ];
        assert_eq!(refused, expected);
    }

    #[test]
    fn a_stop_is_possible_while_it_is_up_and_not_stopping_already() {
        let possible: Vec<StateName> = states()
            .into_iter()
            .filter(|(_, there)| refusal(there, Verb::Stop).is_none())
            .map(|(name, _)| name)
            .collect();

        assert_eq!(possible, [StateName::Starting, StateName::Running, StateName::Backoff]);
    }

    #[test]
    fn a_signal_is_possible_while_there_is_a_process_to_take_it() {
        let verb = Verb::Signal(Signal::HUP);
        let possible: Vec<StateName> = states()
            .into_iter()
            .filter(|(_, there)| refusal(there, verb).is_none())
            .map(|(name, _)| name)
            .collect();

        assert_eq!(possible, [StateName::Starting, StateName::Running, StateName::Stopping]);
    }

    #[test]
    fn a_start_whose_life_is_already_over_has_succeeded() {
        let there = in_state(State::Starting { since: NOW, launch: Launch::Requested });

        let of = |meant| outcome(&there, Generation(meant), Verb::Start, Wait::Done);

        assert_eq!(of(2), Some(Ok(())));
        assert_eq!(of(3), None);
    }

    #[test]
    fn a_stop_whose_life_is_already_over_is_done() {
        let there = in_state(State::Running);

        let of = |meant| outcome(&there, Generation(meant), Verb::Stop, Wait::Done);

        assert_eq!(of(2), Some(Ok(())));
        assert_eq!(of(3), None);
    }

    #[test]
    fn a_failed_start_is_answered_with_what_went_wrong() {
        let mut there = in_state(State::Backoff { until: NOW });
        let of = |there: &Service| outcome(there, Generation(3), Verb::Start, Wait::Done);

        there.failure = Some(Failure::Spawn(SpawnError::NotFound));
        let not_found = Refusal::SpawnFailed(Some(SpawnError::NotFound));
        assert_eq!(of(&there), Some(Err(not_found)));

        there.failure = Some(Failure::ExitedTooQuickly);
        assert_eq!(of(&there), Some(Err(Refusal::SpawnFailed(None))));

        there.failure = None;
        assert_eq!(of(&there), Some(Err(Refusal::EndedEarly)));
    }
}
