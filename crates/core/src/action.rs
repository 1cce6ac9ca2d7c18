//! What to do: the only way the core touches the world.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::decision::{Decision, Reason, Sign};
use crate::event::Event;
use crate::id::{Generation, Pid, ServiceId, Ticket};
use crate::job::Answer;
use crate::service::Failure;
use crate::signal::Signal;
use crate::spec::Reach;
use crate::status::{ExitStatus, SpawnError};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a process. Answered by `Spawned` or `SpawnFailed`, at once or, when
    /// there is no room for another birth just now, later.
    Spawn {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
    },
    /// Forget a `Spawn` that has not been answered.
    Unspawn {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
    },
    /// Send a signal. Answered by `Signalled` or `SignalFailed`; nothing is
    /// answered for a process that is gone: its exit is on the way.
    Signal {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// Which signal.
        signal: Signal,
        /// Whom it reaches.
        reach: Reach,
    },
    /// The loaded configuration begins: what belongs to it beside the table takes
    /// effect, before anything of it is added or started.
    Begin,
    /// All of it is in the table, and what starts by itself is being started.
    Begun,
    /// A service is in the table: make ready what it needs before it can start.
    Added(ServiceId),
    /// A service was edited: what it needs at its next start is made ready anew.
    Edited(ServiceId),
    /// A service leaves the table after this.
    Removed(ServiceId),
    /// Kill what is left of the tree of a process that has ended, before the next one.
    Sweep {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
    },
    /// Ask a process for a sign of life.
    Ping {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// The number that its answer carries.
        number: u32,
    },
    /// Tell a process that it is taken for initialised, and serves from now on.
    Commit {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
    },
    /// Find out whether a service works: by the check that tells that it is initialised
    /// while it starts, by that of its health otherwise. Answered by `Checked`.
    Check {
        /// Whose.
        service: ServiceId,
        /// Which life.
        generation: Generation,
        /// Which check.
        check: u32,
    },
    /// Break off a check that takes too long or is not needed any more.
    EndCheck {
        /// Whose.
        service: ServiceId,
        /// Which check.
        check: u32,
    },
    /// Run the recovery script. Answered by `ScriptSpawned` or `ScriptFailed`.
    RunScript {
        /// Whose.
        service: ServiceId,
        /// Which run of it.
        script: u32,
        /// What it is told happened.
        reason: Reason,
        /// How many restarts it is told went before.
        restarts: u32,
    },
    /// End the recovery script and all that it has started. Answered by `ScriptEnded`.
    EndScript {
        /// Whose.
        service: ServiceId,
        /// Which run of it.
        script: u32,
    },
    /// Write down a decision, in one breath with what follows from it: see
    /// [`crate::World::decided`].
    Decided(Decision),
    /// Hand an answer to a client.
    Answer {
        /// Whose question.
        ticket: Ticket,
        /// The answer.
        answer: Answer,
    },
    /// Tell the people who read the main log.
    Notice(Notice),
    /// Tell the event listeners. It is written down in one breath with the change that
    /// it tells of: see [`crate::World::publish`].
    Event(Event),
    /// Everything has stopped: end.
    Finish,
}

/// A line of the main log, before it has words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A program was started.
    Spawned {
        /// Which.
        service: ServiceId,
        /// Its process.
        pid: Pid,
    },
    /// A program could not be started.
    SpawnFailed {
        /// Which.
        service: ServiceId,
        /// Why.
        error: SpawnError,
    },
    /// A process has been between its birth and its program for too long.
    Stuck {
        /// Whose.
        service: ServiceId,
        /// The process.
        pid: Pid,
    },
    /// A start has succeeded.
    StayedUp(ServiceId),
    /// A start has succeeded otherwise than by staying up.
    Ready {
        /// Whose.
        service: ServiceId,
        /// How that was found.
        sign: Sign,
    },
    /// A process owes something that it does not give, and is killed.
    Condemned {
        /// Whose.
        service: ServiceId,
        /// The process.
        pid: Pid,
        /// For what.
        reason: Reason,
    },
    /// A process has ended that nobody had told to.
    Exited {
        /// Whose.
        service: ServiceId,
        /// How.
        status: ExitStatus,
        /// Whether that is fine.
        expected: bool,
    },
    /// A process has ended that had been told to.
    Stopped {
        /// Whose.
        service: ServiceId,
        /// How.
        status: ExitStatus,
        /// Whether its exit code is an expected one.
        expected: bool,
    },
    /// No further start is tried.
    GaveUp(ServiceId),
    /// A process is told to stop.
    Stopping {
        /// Whose.
        service: ServiceId,
        /// The process.
        pid: Pid,
        /// The signal.
        signal: Signal,
        /// Whom it reaches.
        reach: Reach,
    },
    /// A process did not stop in time and is killed.
    Killing {
        /// Whose.
        service: ServiceId,
        /// The process.
        pid: Pid,
        /// Whom SIGKILL reaches.
        reach: Reach,
    },
    /// A process is sent a signal because a client asked.
    Signalling {
        /// Whose.
        service: ServiceId,
        /// The process.
        pid: Pid,
        /// The signal.
        signal: Signal,
    },
    /// A service was told to stop while it waited for its next try.
    StoppedInBackoff(ServiceId),
    /// A signal could not be sent.
    SignalFailed {
        /// Whose.
        service: ServiceId,
        /// The process.
        pid: Option<Pid>,
        /// What it was sent for.
        errand: Errand,
        /// The errno.
        errno: i32,
    },
    /// A service depends on itself, through others or not; it does not wait for that.
    NeedsItself {
        /// Which.
        service: ServiceId,
        /// What it depends on, as it was asked for.
        on: Arc<str>,
    },
    /// A recovery script has ended long ago and has decided nothing.
    ScriptSilent(ServiceId),
    /// A recovery script cannot be asked, because the one of the crash before still runs.
    ScriptBusy(ServiceId),
    /// It is down for good, and everything ends with it.
    EndsAll {
        /// Which.
        service: ServiceId,
        /// What the daemon ends with.
        exit_code: u8,
    },
    /// It is critical and cannot be kept running, and everything ends with it. Its name is
    /// with it: it may have left the table when this is said.
    Lost {
        /// What it is called.
        name: Arc<str>,
        /// What went wrong.
        failure: Failure,
        /// How its process has ended, where that is what went wrong.
        ended: Option<ExitStatus>,
        /// What the daemon ends with.
        exit_code: u8,
    },
    /// A client waits for a process to stop.
    WaitingToStop(ServiceId),
    /// The end waits for these.
    WaitingToDie(Vec<ServiceId>),
}

impl Notice {
    /// Whether it says what was decided about the end of a process. Such a line is owed: what
    /// it tells of is recorded, so nobody comes to say it again.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        matches!(self, Self::Exited { .. } | Self::Stopped { .. } | Self::GaveUp(_))
    }
}

/// What a signal is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// To stop the process.
    Stop,
    /// Because a client asked for this signal.
    Client,
}

/// What is to be done, in two queues: the restart path does not wait for log
/// lines and answers. Events stand by themselves.
#[derive(Debug, Default)]
pub struct Actions {
    urgent: VecDeque<Action>,
    later: VecDeque<Action>,
    events: VecDeque<Event>,
    decisions: VecDeque<Decision>,
    owed: VecDeque<Notice>,
}

impl Actions {
    /// Puts an action behind the others of its queue. A birth that is taken back
    /// before anybody was told of it is no longer there.
    pub fn push(&mut self, action: Action) {
        match action {
            Action::Unspawn { service, generation } if self.take_back(service, generation) => {}
            Action::Spawn { .. }
            | Action::Unspawn { .. }
            | Action::Signal { .. }
            | Action::Sweep { .. }
            | Action::Ping { .. }
            | Action::Commit { .. }
            | Action::RunScript { .. }
            | Action::EndScript { .. } => self.urgent.push_back(action),
            // `Begin` comes before everything that follows from it, and `Added` makes
            // ready what `Spawn` needs, perhaps at a place just left.
            Action::Begin | Action::Added(_) | Action::Edited(_) | Action::Removed(_) => {
                self.urgent.push_back(action);
            }
            Action::Begun
            | Action::Check { .. }
            | Action::EndCheck { .. }
            | Action::Answer { .. }
            | Action::Finish => self.later.push_back(action),
            Action::Notice(ref notice) => {
                if notice.is_owed() {
                    self.owed.push_back(notice.clone());
                }
                self.later.push_back(action);
            }
            Action::Decided(decision) => self.decisions.push_back(decision),
            Action::Event(event) => self.events.push_back(event),
        }
    }

    /// Takes the next action: an urgent one if there is any. Events are taken by
    /// [`Self::pop_event`].
    pub fn pop(&mut self) -> Option<Action> {
        self.urgent.pop_front().or_else(|| self.later.pop_front())
    }

    /// Takes the next event that is to be told.
    pub fn pop_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes the next decision that is to be written down.
    pub fn pop_decision(&mut self) -> Option<Decision> {
        self.decisions.pop_front()
    }

    /// Takes the next line that is to be written down before it is said.
    pub fn pop_owed(&mut self) -> Option<Notice> {
        self.owed.pop_front()
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.urgent.is_empty()
            && self.later.is_empty()
            && self.events.is_empty()
            && self.decisions.is_empty()
            && self.owed.is_empty()
    }

    /// Whether the world is still to be told that a birth is not wanted any more.
    pub(crate) fn takes_back(&self) -> bool {
        self.urgent.iter().any(|action| matches!(action, Action::Unspawn { .. }))
    }

    /// Takes a birth out of the queue; whether it was there. The last ones are
    /// looked at first: what is taken back was mostly decided just now.
    fn take_back(&mut self, service: ServiceId, generation: Generation) -> bool {
        let spawn = Action::Spawn { service, generation };
        let place = self.urgent.iter().rposition(|action| *action == spawn);
        place.is_some_and(|place| self.urgent.remove(place).is_some())
    }
}
