//! What `service` asks of one service, in MINIX's order of refusals, and when it is
//! answered.

use std::sync::Arc;

use super::Supervisor;
use crate::action::{Action, Actions};
use crate::group::edit_member;
use crate::id::{Generation, ServiceId, Ticket};
use crate::input::Mood;
use crate::job::{Answer, Caller, Deed, Refusal, Wait, is_untold};
use crate::mutant::{self, Mutant};
use crate::record::Record;
use crate::service::{Failure, Goal, Service, State, StateName, Stimulus};
use crate::spec::ServiceSpec;
use crate::time::Now;

/// A call whose answer waits for a service.
#[derive(Debug)]
pub(super) struct Call {
    ticket: Ticket,
    service: ServiceId,
    errand: Errand,
    wait: Wait,
    /// The life that the service had when it was asked.
    former: Generation,
    /// Whether what was to be brought up was, in a life that has ended since.
    has_come: bool,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// That it is up for the first time.
    Bring,
    /// That it is down.
    Down,
    /// That it is up again.
    Refresh,
}

impl Call {
    pub(super) fn new(
        ticket: Ticket,
        service: ServiceId,
        errand: Errand,
        wait: Wait,
        former: Generation,
    ) -> Self {
        Self { ticket, service, errand, wait, former, has_come: false }
    }

    /// The answer, once it is known. Who leaves the table is spoken of when it has left.
    fn answer(&self, service: &Service) -> Option<Answer> {
        let is_same = service.generation == self.former;
        let state = service.state_name();
        match (self.errand, state) {
            (_, StateName::Unknown) => Some(Answer::Refused(Refusal::UnknownState)),
            // However short that was.
            (Errand::Bring, _) if self.has_come || service.was_ready() => Some(Answer::Done),
            (Errand::Down, StateName::Stopping) => {
                (self.wait == Wait::Begun && !is_untold(service)).then_some(Answer::Done)
            }
            (Errand::Down, _) => (state.is_stopped() || !is_same).then_some(Answer::Done),
            (Errand::Refresh, StateName::Backoff) => {
                (self.wait == Wait::Begun).then_some(Answer::Done)
            }
            (Errand::Refresh, StateName::Starting | StateName::Running) if is_same => None,
            (Errand::Bring | Errand::Refresh, StateName::Running) => Some(Answer::Done),
            (Errand::Refresh, StateName::Starting) => {
                (self.wait == Wait::Begun).then_some(Answer::Done)
            }
            (Errand::Bring, StateName::Starting) => {
                let has_begun = service.is_start_held() || service.is_executed();
                (self.wait == Wait::Begun && has_begun).then_some(Answer::Done)
            }
            (Errand::Bring, StateName::Backoff)
            | (Errand::Bring | Errand::Refresh, StateName::Stopping) => None,
            (
                Errand::Bring | Errand::Refresh,
                StateName::Stopped | StateName::Exited | StateName::Fatal,
            ) => Some(self.answer_when_gone(service)),
        }
    }

    /// The answer when the service has come to rest.
    fn answer_when_gone(&self, service: &Service) -> Answer {
        let is_same = service.generation == self.former;
        match (self.errand, service.failure) {
            (Errand::Down, _) => Answer::Done,
            (Errand::Bring, _) if service.was_ready() => Answer::Done,
            (Errand::Bring, Some(Failure::Spawn(error))) => {
                Answer::Refused(Refusal::SpawnFailed(Some(error)))
            }
            // It has ended as it was told, and nothing was to take its place.
            (Errand::Refresh, None) if is_same && service.lives_once() => Answer::Done,
            (Errand::Bring | Errand::Refresh, _) => Answer::Refused(Refusal::Died),
        }
    }
}

impl Supervisor {
    /// Does something to the service of a label.
    pub(super) fn manage(
        &mut self,
        now: Now,
        ticket: Ticket,
        (deed, label, wait, by): (Deed, &str, Wait, Caller),
        actions: &mut Actions,
    ) -> Option<Answer> {
        self.part(actions);
        let id = match self.admit(&deed, label, by) {
            Ok(id) => id,
            Err(refusal) => return Some(Answer::Refused(refusal)),
        };
        match deed {
            Deed::Down => {
                if by != Caller::Script(id)
                    && let Some(Some(service)) = self.services.get_mut(id.0 as usize)
                {
                    service.end_recovery(actions);
                    self.mark(id);
                }
                let call = Call::new(ticket, id, Errand::Down, wait, self.generation(id));
                self.call(now, call, actions)
            }
            Deed::Refresh => {
                let call = Call::new(ticket, id, Errand::Refresh, wait, self.generation(id));
                self.call(now, call, actions)
            }
            Deed::RestartNow => Some(self.restart_now(now, id, actions)),
            Deed::Edit { spec, restarts, .. } => Some(self.edit(now, id, &spec, restarts, actions)),
            Deed::Inject => {
                self.stir(now, id, Stimulus::Inject, actions);
                Some(Answer::Done)
            }
            Deed::Advance => Some(Answer::Refused(Refusal::NotYet)),
        }
    }

    /// Starts nothing again from now on, and stops nothing. What waits for others would
    /// begin something, so it does not wait any longer.
    pub(super) fn rest(&mut self, now: Now, by: Caller, actions: &mut Actions) -> Answer {
        if by != Caller::Owner {
            return Answer::Refused(Refusal::NotPermitted);
        }
        if self.is_ending() {
            return Answer::Refused(Refusal::ShuttingDown);
        }
        // Nobody parts after this without being asked to.
        self.part(actions);
        self.change_mood(Mood::Resting);
        for id in self.depends.held() {
            if self.service(id).is_some_and(Service::is_start_held) {
                self.stir(now, id, Stimulus::Stop, actions);
            }
        }
        Answer::Done
    }

    /// Answers whoever waits for a service, as far as it is known what comes of it.
    pub(super) fn settle_calls(&mut self, now: Now, id: ServiceId, actions: &mut Actions) {
        let mut calls = std::mem::take(&mut self.calls);
        if self.leaves(id) {
            // Somebody may start it once more before it has left.
            let was_ready = self.service(id).is_some_and(Service::was_ready);
            let all = calls.iter_mut().filter(|call| call.service == id);
            all.for_each(|call| call.has_come |= was_ready);
            self.calls = calls;
            return;
        }
        let mut is_hopeless = false;
        if let Some(service) = self.service(id) {
            calls.retain(|call| {
                if call.service != id {
                    return true;
                }
                is_hopeless |= call.errand == Errand::Bring && cannot_be_made(service);
                let Some(answer) = call.answer(service) else {
                    return true;
                };
                actions.push(Action::Answer { ticket: call.ticket, answer });
                false
            });
        }
        self.calls = calls;
        if is_hopeless {
            // Its first process cannot be made: MINIX does not try again then.
            self.dismiss(id);
            self.stir(now, id, Stimulus::Stop, actions);
        }
    }

    /// Answers whoever waits for a service that leaves the table.
    pub(super) fn answer_parting(&mut self, id: ServiceId, actions: &mut Actions) {
        let mut calls = std::mem::take(&mut self.calls);
        if let Some(service) = self.service(id) {
            let is_forgotten =
                mutant::on(Mutant::ForgetsDownInBackoff) && service.failure.is_some();
            calls.retain(|call| {
                if call.service == id && !is_forgotten {
                    let (ticket, answer) = (call.ticket, call.answer_when_gone(service));
                    actions.push(Action::Answer { ticket, answer });
                }
                call.service != id || is_forgotten
            });
        }
        self.calls = calls;
    }

    /// The present or last life of a service.
    pub(super) fn generation(&self, id: ServiceId) -> Generation {
        self.service(id).map_or(Generation::default(), |service| service.generation)
    }

    /// Finds the service of a label and refuses in MINIX's order: who asks, who else has
    /// asked, whether it lives, and whether it can be done without.
    fn admit(&self, deed: &Deed, label: &str, by: Caller) -> Result<ServiceId, Refusal> {
        let Some(service) = self.labelled(label).and_then(|id| self.service(id)) else {
            let may_know = self.may_ask_for(by, deed, label);
            return Err(if may_know { Refusal::NoSuchLabel } else { Refusal::NotPermitted });
        };
        let (id, state) = (service.id, service.state_name());
        let is_terminated = state == StateName::Backoff;
        let ends_it = matches!(deed, Deed::Down | Deed::RestartNow);
        let critical = service.spec.program.care.as_ref().is_some_and(|care| care.critical);
        if !self.may(by, deed, service) {
            return Err(Refusal::NotPermitted);
        }
        let begins = !matches!(deed, Deed::Down | Deed::Inject | Deed::Edit { .. });
        match self.mood_for(id) {
            Mood::Restarting | Mood::Shutdown => return Err(Refusal::ShuttingDown),
            Mood::Resting if begins => return Err(Refusal::Resting),
            Mood::Resting | Mood::Running => {}
        }
        let is_initialising = state == StateName::Starting && !service.is_start_held();
        // The script that a refresh has begun decides on behalf of whoever waits for it. And
        // what does not come up can be given up, also when whoever has asked for it is gone.
        let in_turn = |call: &Call| match call.errand {
            Errand::Refresh => is_terminated && ends_it,
            Errand::Bring => (is_terminated || service.is_start_held()) && ends_it,
            Errand::Down => false,
        };
        let mut pending = self.calls.iter().filter(|call| call.service == id);
        if is_initialising || pending.any(|call| !in_turn(call)) {
            Err(Refusal::Busy)
        } else if is_terminated && !ends_it {
            Err(Refusal::Terminated)
        } else if critical && *deed == Deed::Down {
            Err(Refusal::Critical)
        } else {
            self.refusal_by_state(service, deed).map_or(Ok(id), Err)
        }
    }

    /// What MINIX has no word for, because there a service that is there runs or has
    /// crashed.
    fn refusal_by_state(&self, service: &Service, deed: &Deed) -> Option<Refusal> {
        let state = service.state_name();
        match deed {
            Deed::Down | Deed::RestartNow | Deed::Refresh | Deed::Inject
                if state == StateName::Unknown =>
            {
                Some(Refusal::UnknownState)
            }
            Deed::RestartNow => {
                (!state.is_stopped() && state != StateName::Backoff).then_some(Refusal::StillUp)
            }
            Deed::Refresh | Deed::Inject => match state {
                StateName::Running => None,
                StateName::Starting | StateName::Stopping => Some(Refusal::Busy),
                StateName::Stopped
                | StateName::Backoff
                | StateName::Exited
                | StateName::Fatal
                | StateName::Unknown => Some(Refusal::Terminated),
            },
            Deed::Edit { .. } if !self.brought.has(service.id) => Some(Refusal::FromFile),
            // What is under way was decided by what is asked for now.
            Deed::Edit { former, .. } => {
                let is_other = *former != service.spec;
                (state == StateName::Stopping || is_other).then_some(Refusal::Busy)
            }
            Deed::Down | Deed::Advance => None,
        }
    }

    /// Whether others may take the present process of a service for the one to talk to: it has
    /// been initialised and was not told to stop. One that is being brought up while nobody
    /// waits for that (`-n`) is, as soon as it has executed its program. MINIX publishes before
    /// it initialises.
    #[must_use]
    pub fn is_published(&self, id: ServiceId) -> bool {
        let Some(service) = self.service(id) else { return false };
        let is_awaited = || {
            let is_bring = |call: &Call| call.service == id && call.errand == Errand::Bring;
            self.calls.iter().any(is_bring)
        };
        match service.state {
            State::Running => true,
            State::Starting { .. } => {
                let is_first = !service.was_ready() && self.brought.has(id);
                is_first && service.is_executed() && !is_awaited()
            }
            State::Stopped
            | State::Backoff { .. }
            | State::Recovering { .. }
            | State::Stopping { .. }
            | State::Exited
            | State::Fatal
            | State::Unknown => false,
        }
    }

    /// Does what a client then waits for.
    fn call(&mut self, now: Now, call: Call, actions: &mut Actions) -> Option<Answer> {
        let (id, errand) = (call.service, call.errand);
        self.calls.push(call);
        match errand {
            Errand::Down => {
                self.dismiss(id);
                self.tell_to_stop(now, id, Stimulus::Stop, actions);
            }
            Errand::Refresh => {
                self.stir(now, id, Stimulus::Refresh, actions);
            }
            Errand::Bring => {}
        }
        None
    }

    /// Has a service leave the table once it is down, if it is not one of the file.
    fn dismiss(&mut self, id: ServiceId) {
        if self.brought.has(id)
            && let Some(Some(service)) = self.services.get_mut(id.0 as usize)
        {
            service.goal = Goal::Gone;
        }
    }

    fn is_in_backoff(&self, id: ServiceId) -> bool {
        self.service(id).is_some_and(|service| service.state_name() == StateName::Backoff)
    }

    fn restart_now(&mut self, now: Now, id: ServiceId, actions: &mut Actions) -> Answer {
        let stimulus = if self.is_in_backoff(id) { Stimulus::RestartNow } else { Stimulus::Start };
        self.stir(now, id, stimulus, actions);
        Answer::Done
    }

    /// What was asked for a service is different from now on; what is under way goes on.
    fn edit(
        &mut self,
        now: Now,
        id: ServiceId,
        spec: &Arc<ServiceSpec>,
        restarts: Option<u32>,
        actions: &mut Actions,
    ) -> Answer {
        let Some(service) = self.services.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return Answer::Refused(Refusal::NoSuchLabel);
        };
        // Its name is what it is known by, and stays.
        let spec = match spec.name == service.spec.name {
            true => Arc::clone(spec),
            false => Arc::new(ServiceSpec {
                name: Arc::clone(&service.spec.name),
                ..ServiceSpec::clone(spec)
            }),
        };
        self.depends.go(service);
        service.edit(now, Arc::clone(&spec), restarts, actions);
        self.depends.come(service);
        edit_member(&mut self.groups, id, &spec);
        self.changes.table.push(Record::Edited { service: id, spec });
        self.timers.set(id.0, self.deadline_of(id));
        self.mark(id);
        actions.push(Action::Edited(id));
        Answer::Done
    }
}

/// Whether there is no process because of what the service is, not for want of room.
fn cannot_be_made(service: &Service) -> bool {
    let failure = service.failure;
    matches!(service.state, State::Backoff { .. })
        && matches!(failure, Some(Failure::Spawn(error)) if !error.is_shortage())
}
