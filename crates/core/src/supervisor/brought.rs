//! Services that `service up` brings up: each in a group of its own, which is there until
//! the service is brought down or has ended for good.
//!
//! One that is to leave stays in the table until the next turn of the loop, because what is
//! said of its end is still to be put into words, with its name.

use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use crate::action::{Action, Actions};
use crate::event::Event;
use crate::group::Group;
use crate::id::{ServiceId, Ticket};
use crate::input::Mood;
use crate::job::{Answer, Caller, Refusal, Wait};
use crate::service::{Goal, Service, State, Stimulus};
use crate::spec::{GroupSpec, Origin, device};
use crate::time::{Instant, Now};

use super::calls::{Call, Errand};

/// Which services were brought up, and which of them leave.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Whether the service at a place was.
    places: Vec<bool>,
    /// Those that leave.
    leaving: Vec<ServiceId>,
    /// Whether the service at a place is one of them.
    leaves: Vec<bool>,
    /// When they do.
    pub(super) leave_at: Option<Instant>,
}

impl Brought {
    /// Takes note of who is at a place.
    pub(super) fn set(&mut self, id: ServiceId, origin: Origin) {
        let place = id.0 as usize;
        if place >= self.places.len() {
            self.places.resize(place + 1, false);
            self.leaves.resize(place + 1, false);
        }
        self.leaves[place] = false;
        self.places[place] = origin == Origin::Brought;
    }

    pub(super) fn has(&self, id: ServiceId) -> bool {
        self.places.get(id.0 as usize).copied().unwrap_or(false)
    }

    fn leaves(&self, id: ServiceId) -> bool {
        self.leaves.get(id.0 as usize).copied().unwrap_or(false)
    }
}

impl Supervisor {
    /// Whether a service is one that `service up` has brought up.
    #[must_use]
    pub fn is_brought(&self, id: ServiceId) -> bool {
        self.brought.has(id)
    }

    /// Brings up a service in a group of its own.
    pub(super) fn bring(
        &mut self,
        now: Now,
        ticket: Ticket,
        (group, wait, by): (Arc<GroupSpec>, Wait, Caller),
        actions: &mut Actions,
    ) -> Option<Answer> {
        self.part(actions);
        if let Some(refusal) = self.refuses_to_bring(&group, by) {
            return Some(Answer::Refused(refusal));
        }
        self.add_group(group, actions);
        let id = self.groups.last().and_then(|group| group.members.first().copied())?;
        self.calls.push(Call::new(ticket, id, Errand::Bring, wait, self.generation(id)));
        self.stir(now, id, Stimulus::Start, actions);
        None
    }

    fn refuses_to_bring(&self, group: &GroupSpec, by: Caller) -> Option<Refusal> {
        let device_of = |service: &Service| service.spec.program.care.as_ref()?.device;
        let wanted = group.services.first().and_then(|spec| spec.program.care.as_ref()?.device);
        let is_taken = |wanted| {
            self.services().filter_map(device_of).any(|taken| device::collide(taken, wanted))
        };
        if by != Caller::Owner {
            Some(Refusal::NotPermitted)
        } else if self.mood == Mood::Shutdown {
            Some(Refusal::ShuttingDown)
        } else if self.mood == Mood::Resting {
            Some(Refusal::Resting)
        } else if self.groups.iter().any(|there| there.spec.name == group.name) {
            Some(Refusal::LabelTaken)
        } else if wanted.is_some_and(is_taken) {
            Some(Refusal::DeviceTaken)
        } else {
            None
        }
    }

    /// Starts what a predecessor was about to bring up for the first time.
    pub(super) fn resume_bringing(&mut self, now: Now, id: ServiceId, actions: &mut Actions) {
        let is_new = self.service(id).is_some_and(|service| {
            let was_never_up = service.state == State::Stopped && service.started.is_none();
            was_never_up && service.goal == Goal::Down
        });
        if is_new && self.brought.has(id) && self.mood_for(id) == Mood::Running {
            self.stir(now, id, Stimulus::Start, actions);
        }
    }

    /// The mood as it concerns a service: a reload passes over those that were brought up.
    #[must_use]
    pub fn mood_for(&self, id: ServiceId) -> Mood {
        let is_passed_over = self.mood == Mood::Restarting && self.brought.has(id);
        if is_passed_over { Mood::Running } else { self.mood }
    }

    /// Finds out whether a service that was brought up has ended for good. One that a client
    /// of Supervisor's commands has stopped has not: such a client may start it again.
    pub(super) fn consider_parting(&mut self, now: Now, id: ServiceId) {
        if self.brought.has(id) && self.has_ended(id) && !self.brought.leaves(id) {
            self.brought.leaving.push(id);
            self.brought.leaves[id.0 as usize] = true;
            let soon = now.instant + Duration::from_nanos(1);
            self.brought.leave_at.get_or_insert(soon);
        }
    }

    /// As [`Self::consider_parting`], for all.
    pub(super) fn consider_all_parting(&mut self, now: Now, actions: &mut Actions) {
        for place in 0..self.brought.places.len() {
            let id = ServiceId(u32::try_from(place).expect("places are numbered in u32"));
            self.consider_parting(now, id);
            self.consider_end(now, id, None, actions);
        }
    }

    /// Lets everybody leave who has ended for good, because nobody will afterwards. A successor
    /// may have to end before it has looked who that is.
    pub(super) fn part_at_last(&mut self, now: Now, actions: &mut Actions) {
        for place in 0..self.brought.places.len() {
            let id = ServiceId(u32::try_from(place).expect("places are numbered in u32"));
            self.consider_parting(now, id);
        }
        self.part(actions);
    }

    /// Whether a service leaves the table in a moment.
    pub(super) fn leaves(&self, id: ServiceId) -> bool {
        // A client may have started it again meanwhile.
        self.brought.leaves(id) && self.has_ended(id)
    }

    /// Those that leave do so, and whoever waited for that is told.
    pub(super) fn part(&mut self, actions: &mut Actions) {
        self.brought.leave_at = None;
        let leaving = std::mem::take(&mut self.brought.leaving);
        if leaving.is_empty() {
            return;
        }
        // They may be thousands: the groups are gone through once.
        let is_gone = |group: &Group| {
            group.members.iter().any(|id| self.brought.leaves(*id) && self.has_ended(*id))
        };
        let (gone, there) = self.groups.iter().cloned().partition::<Vec<Group>, _>(is_gone);
        self.groups = there;
        for id in leaving {
            self.brought.leaves[id.0 as usize] = false;
        }
        for group in gone {
            group.members.iter().for_each(|id| self.answer_parting(*id, actions));
            self.forget_group(&group, actions);
            actions.push(Action::Event(Event::GroupRemoved(Arc::clone(&group.spec.name))));
        }
    }

    fn has_ended(&self, id: ServiceId) -> bool {
        let Some(service) = self.service(id) else { return false };
        let by_itself = matches!(service.state, State::Exited | State::Fatal);
        let for_good = match self.mood_for(id) {
            Mood::Running => by_itself || service.goal == Goal::Gone,
            Mood::Resting => service.goal == Goal::Gone,
            Mood::Restarting | Mood::Shutdown => false,
        };
        let is_at_rest = by_itself || service.state == State::Stopped;
        is_at_rest && for_good && service.pid.is_none()
    }
}
