//! The rules for what `service` asks: MINIX's, from its manual and its table of errors.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::input::Mood;
use bardo_core::job::{Answer, Caller, Deed, Refusal};
use bardo_core::spec::care::Care;
use bardo_core::spec::{EndsAll, Origin};
use bardo_core::{
    ExitStatus, Generation, GroupSpec, Now, ServiceId, ServiceSpec, SpawnError, Ticket, Wait,
};

use super::{Doing, Member, Reference};

/// A call that was not answered yet.
#[derive(Debug, Clone)]
pub(super) struct Call {
    ticket: Ticket,
    id: ServiceId,
    what: What,
    wait: Wait,
    /// The life that was there.
    life: Generation,
    /// How often starts had succeeded.
    successes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Up,
    Down,
    Refresh,
}

impl Reference {
    /// What has come of calls since this was last asked.
    pub fn take_answers(&mut self) -> Vec<(Ticket, Answer)> {
        std::mem::take(&mut self.answers)
    }

    /// Whether a call still waits.
    #[must_use]
    pub fn waits(&self, ticket: Ticket) -> bool {
        self.calls.iter().any(|call| call.ticket == ticket)
    }

    pub(super) fn bring(
        &mut self,
        now: Now,
        ticket: Ticket,
        group: &Arc<GroupSpec>,
        (wait, by): (Wait, Caller),
    ) -> Option<Answer> {
        self.part();
        let device = group.services[0].program.care.as_ref().and_then(|care| care.device);
        let mut others = self.members.iter().flatten();
        let has_device = |there: &Member| {
            device.is_some() && there.care().is_some_and(|care| care.device == device)
        };
        if by != Caller::Owner {
            return Some(Answer::Refused(Refusal::NotPermitted));
        }
        match self.mood {
            Mood::Shutdown => return Some(Answer::Refused(Refusal::ShuttingDown)),
            Mood::Resting => return Some(Answer::Refused(Refusal::Resting)),
            Mood::Running | Mood::Restarting => {}
        }
        if self.groups.iter().any(|(spec, _)| spec.name == group.name) {
            return Some(Answer::Refused(Refusal::LabelTaken));
        }
        if others.any(has_device) {
            return Some(Answer::Refused(Refusal::DeviceTaken));
        }
        self.add(Arc::clone(group));
        let id = self.groups.last().expect("it was just added").1[0];
        let member = self.member(id).expect("it was just added");
        let (life, successes) = (member.generation, member.successes);
        self.calls.push(Call { ticket, id, what: What::Up, wait, life, successes });
        self.change(now, id, Member::start);
        None
    }

    pub(super) fn manage(
        &mut self,
        now: Now,
        ticket: Ticket,
        deed: &Deed,
        label: &str,
        (wait, by): (Wait, Caller),
    ) -> Option<Answer> {
        self.part();
        let id = match self.gate(deed, label, by) {
            Ok(id) => id,
            Err(refusal) => return Some(Answer::Refused(refusal)),
        };
        let member = self.member(id).expect("it passed the gate");
        let (life, successes) = (member.generation, member.successes);
        match deed {
            Deed::Down => {
                self.calls.push(Call { ticket, id, what: What::Down, wait, life, successes });
                let is_brought = self.is_brought(id);
                if let Some(member) = self.members[id.0 as usize].as_mut() {
                    member.dismissed |= is_brought;
                    member.wanted &= !is_brought;
                }
                self.tell_to_stop(now, id, Member::stop);
                None
            }
            Deed::Refresh => {
                self.calls.push(Call { ticket, id, what: What::Refresh, wait, life, successes });
                self.change(now, id, |member| {
                    member.stop(now);
                    member.wanted = true;
                    if let Some(ward) = &mut member.ward {
                        ward.refreshing = true;
                    }
                });
                None
            }
            Deed::RestartNow => {
                self.change(now, id, |member| match member.doing {
                    Doing::Backoff { .. } | Doing::Recovering { .. } => member.launch(),
                    _ => member.start(),
                });
                Some(Answer::Done)
            }
            Deed::Edit { spec, restarts, .. } => {
                self.edit(now, id, spec, *restarts);
                Some(Answer::Done)
            }
            Deed::Inject => Some(Answer::Done),
            Deed::Advance => Some(Answer::Refused(Refusal::NotYet)),
        }
    }

    /// Nothing begins any more.
    pub(super) fn lie_down(&mut self, now: Now, by: Caller) -> Answer {
        match (by, self.mood) {
            (Caller::Service(_) | Caller::Script(_) | Caller::Nobody, _) => {
                Answer::Refused(Refusal::NotPermitted)
            }
            (Caller::Owner, Mood::Restarting | Mood::Shutdown) => {
                Answer::Refused(Refusal::ShuttingDown)
            }
            (Caller::Owner, Mood::Running | Mood::Resting) => {
                self.part();
                self.mood = Mood::Resting;
                for place in 0..self.members.len() {
                    self.change(now, super::id(place), |member| {
                        if member.doing == Doing::StartHeld {
                            member.rest(Doing::Stopped);
                        }
                    });
                }
                Answer::Done
            }
        }
    }

    pub(super) fn shut_down(&mut self) {
        self.part();
        self.mood = Mood::Shutdown;
    }

    /// Whether a service was brought up by `service`.
    pub(super) fn is_brought(&self, id: ServiceId) -> bool {
        let group = self.groups.iter().find(|(_, ids)| ids.contains(&id));
        group.is_some_and(|(spec, _)| spec.origin == Origin::Brought)
    }

    /// Notes whether everything ends with a service: a critical one that was given up, or a
    /// program of which that was asked and that is down for good.
    pub(super) fn note_end(&mut self, id: ServiceId) {
        if self.mood_for(id, self.mood) != Mood::Running {
            return;
        }
        let Some(member) = self.member(id) else {
            return;
        };
        let is_critical = member.care().is_some_and(|care| care.critical);
        let asked = member.spec.program.ends_all;
        let word = match (asked, member.doing) {
            (EndsAll::Down, Doing::Exited | Doing::Fatal) | (EndsAll::Fatal, Doing::Fatal) => {
                match member.exit {
                    Some(ExitStatus::Code(code)) => Some(code),
                    Some(ExitStatus::Signal { signal, .. }) => {
                        u8::try_from(128 + signal.number()).ok()
                    }
                    Some(ExitStatus::Unknown) | None => Some(70),
                }
            }
            (_, Doing::Fatal) if is_critical && member.has_failed => Some(70),
            _ => None,
        };
        self.last_word = self.last_word.or(word);
    }

    /// Everything ends with what was noted.
    pub(super) fn end_with_one(&mut self) {
        for place in 0..self.members.len() {
            self.note_end(super::id(place));
        }
        if let Some(code) = self.last_word.take() {
            self.shut_down();
            self.exit_code = code;
        }
    }

    /// Those who have ended for good leave a moment later.
    pub(super) fn note_leavers(&mut self, now: Now) {
        if self.leave_at.is_none() && self.leavers().next().is_some() {
            self.leave_at = Some(now.instant + Duration::from_nanos(1));
        }
    }

    pub(super) fn part(&mut self) {
        self.leave_at = None;
        let leavers: Vec<ServiceId> = self.leavers().collect();
        for id in leavers {
            let calls: Vec<Call> = self.calls.extract_if(.., |call| call.id == id).collect();
            let member = self.members[id.0 as usize].as_ref().expect("it is there");
            self.answers.extend(calls.into_iter().map(|call| (call.ticket, call.gone(member))));
            let group = self.groups.iter().position(|(_, ids)| ids.contains(&id));
            self.remove(group.expect("it is a member"));
        }
    }

    fn leavers(&self) -> impl Iterator<Item = ServiceId> + '_ {
        (0..self.members.len()).map(super::id).filter(|id| {
            let mood = self.mood_for(*id, self.mood);
            self.is_brought(*id)
                && self.member(*id).is_some_and(|member| match (member.doing, mood) {
                    (Doing::Exited | Doing::Fatal, Mood::Running) => true,
                    (
                        Doing::Stopped | Doing::Exited | Doing::Fatal,
                        Mood::Running | Mood::Resting,
                    ) => member.dismissed,
                    _ => false,
                })
        })
    }

    fn gate(&self, deed: &Deed, label: &str, by: Caller) -> Result<ServiceId, Refusal> {
        let is_for_the_dead = matches!(deed, Deed::Down | Deed::RestartNow);
        if matches!(deed, Deed::Edit { .. }) && by != Caller::Owner {
            return Err(Refusal::NotPermitted);
        }
        let Some(id) = self.called(label) else {
            let may_know = match by {
                Caller::Owner => true,
                Caller::Nobody => false,
                Caller::Service(id) | Caller::Script(id) => self
                    .member(id)
                    .and_then(Member::care)
                    .is_some_and(|care| care.confinement.control.iter().any(|it| **it == *label)),
            };
            return Err(if may_know { Refusal::NoSuchLabel } else { Refusal::NotPermitted });
        };
        let member = self.member(id).expect("a label means somebody");
        if !self.is_allowed(id, is_for_the_dead, by) {
            return Err(Refusal::NotPermitted);
        }
        match self.mood_for(id, self.mood) {
            Mood::Running => {}
            Mood::Resting if matches!(deed, Deed::Down | Deed::Inject | Deed::Edit { .. }) => {}
            Mood::Resting => return Err(Refusal::Resting),
            Mood::Restarting | Mood::Shutdown => {
                return Err(Refusal::ShuttingDown);
            }
        }
        let is_dead = matches!(member.doing, Doing::Backoff { .. } | Doing::Recovering { .. });
        let is_beginning = matches!(
            member.doing,
            Doing::Requested | Doing::Cloned { .. } | Doing::Executed { .. }
        );
        let is_asked_for = self.calls.iter().any(|call| {
            let may_be_ended = match call.what {
                What::Up => is_dead || member.doing == Doing::StartHeld,
                What::Refresh => is_dead,
                What::Down => false,
            };
            call.id == id && !(may_be_ended && is_for_the_dead)
        });
        if is_asked_for || is_beginning {
            return Err(Refusal::Busy);
        }
        if is_dead && !is_for_the_dead {
            return Err(Refusal::Terminated);
        }
        if *deed == Deed::Down && member.care().is_some_and(|care| care.critical) {
            return Err(Refusal::Critical);
        }
        let refusal = match (deed, member.doing) {
            (Deed::Advance, _) => None,
            (Deed::Edit { .. }, _) if !self.is_brought(id) => Some(Refusal::FromFile),
            (Deed::Edit { former, .. }, _) => {
                (member.is_stopping() || *former != member.spec).then_some(Refusal::Busy)
            }
            (_, Doing::Unknown) => Some(Refusal::UnknownState),
            (Deed::Down, _) => None,
            (Deed::RestartNow, Doing::Running | Doing::StartHeld) => Some(Refusal::StillUp),
            (Deed::RestartNow, Doing::Stopping { .. } | Doing::StopHeld) => Some(Refusal::StillUp),
            (Deed::RestartNow, _) | (_, Doing::Running) => None,
            (_, Doing::Stopped | Doing::Exited | Doing::Fatal) => Some(Refusal::Terminated),
            (Deed::Refresh | Deed::Inject, _) => Some(Refusal::Busy),
        };
        refusal.map_or(Ok(id), Err)
    }

    fn is_allowed(&self, target: ServiceId, is_for_the_dead: bool, by: Caller) -> bool {
        let (Caller::Service(caller) | Caller::Script(caller)) = by else {
            return by == Caller::Owner;
        };
        let Some(there) = self.member(caller) else {
            return false;
        };
        let mine = there.care().map_or(&[][..], |care| &care.confinement.control);
        let theirs = self.member(target).and_then(Member::care);
        let theirs = theirs.map_or(&[][..], |care| &care.confinement.controlled_by);
        let is_mine = mine.iter().any(|name| self.is_called(target, name));
        let is_theirs = theirs.iter().any(|name| self.is_called(caller, name));
        is_mine || is_theirs || by == Caller::Script(target) && is_for_the_dead
    }

    /// Whether this is its whole name, or that of its program.
    fn is_called(&self, who: ServiceId, word: &str) -> bool {
        let care = self.member(who).and_then(Member::care);
        let by_program = care.is_some_and(|care| *care.program_name == *word);
        by_program
            || self.names().any(|(id, group, name)| {
                let whole = if group == name { word == &*name } else { false };
                id == who && (whole || word == format!("{group}:{name}"))
            })
    }

    fn edit(&mut self, now: Now, id: ServiceId, spec: &Arc<ServiceSpec>, restarts: Option<u32>) {
        let Some(member) = self.members[id.0 as usize].as_mut() else {
            return;
        };
        let name = Arc::clone(&member.spec.name);
        let spec = Arc::new(ServiceSpec { name, ..(**spec).clone() });
        member.end_check();
        member.spec = Arc::clone(&spec);
        member.edited_ward(now.instant, restarts);
        for (group, ids) in &mut self.groups {
            if ids.contains(&id) {
                *group = Arc::new(GroupSpec { services: vec![spec.clone()], ..(**group).clone() });
            }
        }
    }

    /// What has come of calls, now that a service is like this. One that leaves is spoken of
    /// when it has left.
    pub(super) fn settle_calls(&mut self, id: ServiceId) {
        let leaves = self.leavers().any(|leaver| leaver == id);
        let Some(member) = self.members[id.0 as usize].as_ref().filter(|_| !leaves) else {
            return;
        };
        let mut is_in_vain = false;
        let answers = &mut self.answers;
        self.calls.retain(|call| {
            if call.id != id {
                return true;
            }
            let failed = matches!(member.doing, Doing::Backoff { .. }) && member.is_impossible();
            is_in_vain |= call.what == What::Up && failed;
            let answer = call.answer(member);
            answers.extend(answer.clone().map(|answer| (call.ticket, answer)));
            answer.is_none()
        });
        if is_in_vain {
            let member = self.members[id.0 as usize].as_mut().expect("it is there");
            member.dismissed = true;
            member.rest(Doing::Stopped);
            self.settle_calls(id);
        }
    }
}

impl Call {
    fn answer(&self, member: &Member) -> Option<Answer> {
        let is_hasty = self.wait == Wait::Begun;
        let is_new = member.generation != self.life;
        let (done, never) = (Some(Answer::Done), None);
        match (self.what, member.doing) {
            (_, Doing::Unknown) => Some(Answer::Refused(Refusal::UnknownState)),
            (What::Up, _) if member.successes > self.successes => done,
            (What::Down, Doing::Stopped | Doing::Exited | Doing::Fatal) => done,
            (What::Down, Doing::StopHeld) if is_hasty => done,
            (What::Down, Doing::Stopping { .. }) if is_hasty && member.is_told => done,
            (What::Down, Doing::Stopping { .. } | Doing::StopHeld) => never,
            (What::Down, _) => {
                if is_new {
                    done
                } else {
                    never
                }
            }
            (_, Doing::Stopped | Doing::Exited | Doing::Fatal) => Some(self.gone(member)),
            (What::Up, Doing::Running) => done,
            (What::Up, Doing::StartHeld | Doing::Executed { .. }) if is_hasty => done,
            (What::Up, _) => never,
            (What::Refresh, Doing::Backoff { .. } | Doing::Recovering { .. }) => {
                if is_hasty {
                    done
                } else {
                    never
                }
            }
            (What::Refresh, Doing::Running) if is_new => done,
            (
                What::Refresh,
                Doing::StartHeld | Doing::Requested | Doing::Cloned { .. } | Doing::Executed { .. },
            ) if is_new && is_hasty => done,
            (What::Refresh, _) => never,
        }
    }

    fn gone(&self, member: &Member) -> Answer {
        let is_over = member.generation == self.life && !member.has_failed && member.lives_once();
        match (self.what, member.spawn_failure) {
            (What::Down, _) => Answer::Done,
            (What::Up, _) if member.successes > self.successes => Answer::Done,
            (What::Refresh, _) if is_over => Answer::Done,
            (What::Up, Some(error)) => Answer::Refused(Refusal::SpawnFailed(Some(error))),
            (What::Up | What::Refresh, _) => Answer::Refused(Refusal::Died),
        }
    }
}

impl Member {
    pub(super) fn care(&self) -> Option<&Arc<Care>> {
        self.spec.program.care.as_ref()
    }

    /// Whether its last start failed, and not for want of room.
    fn is_impossible(&self) -> bool {
        self.spawn_failure.is_some_and(|error| {
            !matches!(error, SpawnError::Clone(11 | 12) | SpawnError::Pipes(23 | 24))
        })
    }
}
