//! What clients have asked, and whether each got its one answer.

use std::collections::BTreeMap;

use bardo_core::job::{Answer, Outcome};
use bardo_core::service::Order;
use bardo_core::{Command, State, Supervisor, Target, Ticket, Verb, Wait};

use crate::reference::{Concerned, Reference};

/// A question that was not answered yet.
#[derive(Debug, Clone)]
struct Question {
    act: Option<(Verb, Wait)>,
    single: bool,
    concerned: Vec<Concerned>,
    /// Services that it is told it cannot have, because nothing is known of them.
    unknown: usize,
    /// Whether the rules say when it is answered.
    is_call: bool,
    /// The answer, where it can be known beforehand.
    expected: Option<Answer>,
}

/// All questions that were not answered yet.
#[derive(Debug, Default)]
pub struct Clients {
    open: BTreeMap<u64, Question>,
    last: u64,
    /// A client was told that it may restart everything.
    pub restart: bool,
}

impl Clients {
    /// A ticket that was never used.
    pub fn ticket(&mut self) -> Ticket {
        self.last += 1;
        Ticket(self.last)
    }

    /// Everybody's connection is broken.
    pub fn forget(&mut self) {
        self.open.clear();
        self.restart = false;
    }

    /// A question reaches the core.
    pub fn asked(&mut self, ticket: Ticket, command: &Command, reference: &Reference) {
        let (act, target) = match command {
            Command::Act { verb, target, wait } => (Some((*verb, *wait)), Some(target)),
            Command::Load(_)
            | Command::Reconcile(_)
            | Command::Join { .. }
            | Command::Leave { .. }
            | Command::Bring { .. }
            | Command::Manage { .. }
            | Command::Rest { .. }
            | Command::Look
            | Command::Shutdown
            | Command::Restart => (None, None),
        };
        let (concerned, unknown) = match (act, target) {
            (Some((verb, _)), Some(target)) => {
                (reference.concerned(verb, target), reference.unknown(verb, target))
            }
            _ => (Vec::new(), 0),
        };
        self.open.insert(
            ticket.0,
            Question {
                act,
                single: matches!(target, Some(Target::Process(..))),
                concerned,
                unknown,
                is_call: matches!(command, Command::Bring { .. } | Command::Manage { .. }),
                expected: None,
            },
        );
    }

    /// What the rules say that the answer is.
    pub fn expect(&mut self, ticket: Ticket, answer: Option<Answer>) {
        if let Some(question) = self.open.get_mut(&ticket.0) {
            question.expected = answer;
        }
    }

    /// An answer is given.
    ///
    /// # Errors
    /// When nobody waits for it, or it is wrong.
    pub fn answered(
        &mut self,
        ticket: Ticket,
        answer: &Answer,
        reference: &Reference,
    ) -> Result<(), String> {
        let Some(question) = self.open.remove(&ticket.0) else {
            return Err(format!("{ticket:?} is answered and nobody waits"));
        };
        if let Some(expected) = &question.expected
            && expected != answer
        {
            return Err(format!("{ticket:?}: {answer:?} and should be {expected:?}"));
        }
        if question.is_call && question.expected.is_none() {
            return Err(format!("{ticket:?} is answered before anything has come of it"));
        }
        let Some((verb, wait)) = question.act else {
            return Ok(());
        };
        if let Answer::Outcomes(outcomes) = answer {
            let (found, expected) = (outcomes.len(), question.concerned.len() + question.unknown);
            if found != expected {
                return Err(format!("{ticket:?}: {found} outcomes, {expected} services"));
            }
        }
        let all_well = match answer {
            Answer::Done => question.single,
            Answer::Outcomes(outcomes) => {
                outcomes.iter().all(|Outcome { result, .. }| result.is_ok())
            }
            Answer::Refused(_) | Answer::Difference(_) | Answer::Table => false,
        };
        if all_well && verb == Verb::Start && wait == Wait::Done {
            for Concerned { id, successes, .. } in question.concerned {
                if reference.successes(id) == Some(successes) {
                    return Err(format!("{ticket:?}: {id:?} is said to have started"));
                }
            }
        }
        Ok(())
    }

    /// Whoever still waits must have something to wait for.
    ///
    /// # Errors
    /// Who waits for nothing.
    pub fn check(&self, supervisor: &Supervisor, reference: &Reference) -> Result<(), String> {
        for (ticket, question) in &self.open {
            if question.expected.is_none() && reference.waits(Ticket(*ticket)) {
                continue;
            }
            let mut concerned = question.concerned.iter();
            let open = concerned.any(|concerned| question.is_open(supervisor, *concerned));
            if !open {
                return Err(format!("the client of ticket {ticket} waits for nothing"));
            }
        }
        Ok(())
    }
}

impl Question {
    fn is_open(&self, supervisor: &Supervisor, concerned: Concerned) -> bool {
        let service = supervisor.service(concerned.id);
        let (Some((verb, wait)), Some(service)) = (self.act, service) else {
            return false;
        };
        let is_same = service.generation == concerned.generation;
        let is_next = service.generation.next() == concerned.generation;
        match (verb, wait, service.state) {
            (Verb::Start, _, State::Stopping { .. }) => is_next,
            (Verb::Start, Wait::Done, State::Starting { .. }) => is_same,
            (Verb::Start, Wait::Begun, State::Starting { .. }) => is_same && service.pid.is_none(),
            (Verb::Start, ..) => false,
            (Verb::Stop, Wait::Done, _) => is_same && !service.state_name().is_stopped(),
            (Verb::Stop, Wait::Begun, State::Stopping { order: Order::Stop, .. }) => is_same,
            (Verb::Stop, Wait::Begun, _) => false,
            // It was sent to a process that is gone, and nobody has heard of that yet.
            (Verb::Signal(_), ..) => is_same && service.pid.is_some(),
        }
    }
}
