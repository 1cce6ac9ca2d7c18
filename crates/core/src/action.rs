//! What to do: the only way the core touches the world.

use std::collections::VecDeque;

use crate::event::Event;
use crate::id::{Generation, Pid, ServiceId, Ticket};
use crate::job::Answer;
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
    /// A service leaves the table after this.
    Removed(ServiceId),
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
    /// A client waits for a process to stop.
    WaitingToStop(ServiceId),
    /// The end waits for these.
    WaitingToDie(Vec<ServiceId>),
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
}

impl Actions {
    /// Puts an action behind the others of its queue. A birth that is taken back
    /// before anybody was told of it is no longer there.
    pub fn push(&mut self, action: Action) {
        match action {
            Action::Unspawn { service, generation } if self.take_back(service, generation) => {}
            Action::Spawn { .. } | Action::Unspawn { .. } | Action::Signal { .. } => {
                self.urgent.push_back(action);
            }
            // `Begin` comes before everything that follows from it, and `Added` makes
            // ready what `Spawn` needs, perhaps at a place just left.
            Action::Begin | Action::Added(_) | Action::Removed(_) => {
                self.urgent.push_back(action);
            }
            Action::Begun | Action::Answer { .. } | Action::Notice(_) | Action::Finish => {
                self.later.push_back(action);
            }
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

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.later.is_empty() && self.events.is_empty()
    }

    /// Takes a birth out of the queue; whether it was there. The last ones are
    /// looked at first: what is taken back was mostly decided just now.
    fn take_back(&mut self, service: ServiceId, generation: Generation) -> bool {
        let spawn = Action::Spawn { service, generation };
        let place = self.urgent.iter().rposition(|action| *action == spawn);
        place.is_some_and(|place| self.urgent.remove(place).is_some())
    }
}
