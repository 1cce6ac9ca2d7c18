//! The rules for those who need others: written as plainly as possible, so everything is
//! found out anew each time.

use std::collections::BTreeSet;
use std::sync::Arc;

use bardo_core::input::Mood;
use bardo_core::spec::care::{Condition, Dependency};
use bardo_core::{Now, ServiceId, Supervisor};

use super::{Doing, Member, Reference, id};

impl Reference {
    /// Lets everybody go who need not wait any longer.
    pub(super) fn release(&mut self, now: Now) {
        while let Some(next) = self.places().find(|id| self.need_not_wait(*id)) {
            let member = self.members[next.0 as usize].as_mut().expect("somebody waits there");
            if member.doing == Doing::StartHeld {
                member.doing = Doing::Requested;
                self.births.push_back((next, member.generation));
            } else {
                let wait = member.spec.program.stop.wait.duration();
                let kill_at = now.instant + wait;
                member.is_told = false;
                if let Some(ward) = &mut member.ward {
                    ward.present.stop_limit = Some(now.instant + wait * 6);
                }
                member.doing = Doing::Stopping { kill_at, killing: false };
            }
        }
    }

    /// Tells a service to stop, or has it wait for those who need it and are stopping.
    pub(super) fn tell_to_stop(
        &mut self,
        now: Now,
        id: ServiceId,
        stop: impl FnOnce(&mut Member, Now),
    ) {
        let must_wait = self.is_waited_for_by_a_stop(id);
        self.change(now, id, |member| match member.doing {
            Doing::Cloned { .. } | Doing::Executed { .. } | Doing::Running if must_wait => {
                member.want(false);
                member.end_check();
                member.doing = Doing::StopHeld;
            }
            _ => stop(member, now),
        });
    }

    /// The end of one service: who needs it comes first, unless it is to stay.
    pub(super) fn end_users_first(&mut self, now: Now, id: ServiceId) {
        for user in self.users(id) {
            let is_up = self.member(user).is_some_and(Member::is_up);
            let is_to_end = self.mood == Mood::Shutdown || !self.is_brought(user);
            if is_up && is_to_end {
                self.end_users_first(now, user);
            }
        }
        self.tell_to_stop(now, id, Member::shut_down);
    }

    /// Puts nobody before those who need it.
    pub(super) fn users_first(&self, mut left: Vec<ServiceId>) -> Vec<ServiceId> {
        let mut order = Vec::new();
        while !left.is_empty() {
            let is_free = |id: &ServiceId| self.users(*id).iter().all(|user| !left.contains(user));
            let place = left.iter().position(is_free).expect("circles do not count");
            order.push(left.remove(place));
        }
        order
    }

    /// Whoever waits has a reason, and who goes has none.
    ///
    /// # Errors
    /// Who does not.
    pub fn check_waits(&self, supervisor: &Supervisor) -> Result<(), String> {
        for service in supervisor.services() {
            let is_held = service.is_start_held() || service.is_stop_held();
            if is_held && self.need_not_wait(service.id) {
                return Err(format!("{}:{} waits for nothing", service.group, service.spec.name));
            }
        }
        Ok(())
    }

    /// Whether a service may not be started now, because of what it needs.
    #[must_use]
    pub fn lacks_something(&self, id: ServiceId) -> bool {
        self.member(id)
            .is_some_and(|member| member.needs().iter().any(|need| !self.is_there(id, need)))
    }

    /// Whether a stop of this service must wait for somebody who is stopping.
    #[must_use]
    pub fn is_waited_for_by_a_stop(&self, id: ServiceId) -> bool {
        self.users(id).into_iter().any(|user| self.member(user).is_some_and(Member::is_stopping))
    }

    fn need_not_wait(&self, id: ServiceId) -> bool {
        if self.recovering {
            return false;
        }
        match self.member(id).map(|member| member.doing) {
            Some(Doing::StartHeld) => {
                self.mood_for(id, self.mood) == Mood::Running && !self.lacks_something(id)
            }
            Some(Doing::StopHeld) => !self.is_waited_for_by_a_stop(id),
            _ => false,
        }
    }

    fn is_there(&self, who: ServiceId, need: &Dependency) -> bool {
        let found = self.meaning(need);
        let is_far_enough = |id: &ServiceId| {
            self.member(*id).is_some_and(|there| match there.doing {
                Doing::Running => true,
                Doing::Executed { .. } => {
                    need.condition == Condition::Started && there.seen_dead.is_none()
                }
                _ => false,
            })
        };
        !found.is_empty() && found.iter().all(|id| self.needs(*id, who) || is_far_enough(id))
    }

    /// Who needs a service, and is not needed by it.
    fn users(&self, id: ServiceId) -> Vec<ServiceId> {
        let needs_it = |user: &ServiceId| self.needed_at_once(*user).contains(&id);
        self.places().filter(|user| needs_it(user) && !self.needs(id, *user)).collect()
    }

    /// Whether one needs another in the end.
    fn needs(&self, one: ServiceId, other: ServiceId) -> bool {
        let mut all = BTreeSet::from([one]);
        loop {
            let more: BTreeSet<ServiceId> =
                all.iter().flat_map(|id| self.needed_at_once(*id)).chain(all.clone()).collect();
            if more.len() == all.len() {
                return more.contains(&other);
            }
            all = more;
        }
    }

    fn needed_at_once(&self, id: ServiceId) -> Vec<ServiceId> {
        let needs = self.member(id).map_or(&[][..], Member::needs);
        needs.iter().flat_map(|need| self.meaning(need)).collect()
    }

    fn meaning(&self, need: &Dependency) -> Vec<ServiceId> {
        let whole = |name: &str| {
            let group = self.groups.iter().find(|(spec, _)| *spec.name == *name);
            group.map_or(Vec::new(), |(_, ids)| ids.clone())
        };
        if need.name.is_empty() {
            whole(&need.group)
        } else if need.group.is_empty() {
            match self.called(&need.name) {
                Some(id) => vec![id],
                None => whole(&need.name),
            }
        } else {
            self.names()
                .filter(|(_, group, name)| *group == need.group && *name == need.name)
                .map(|(id, ..)| id)
                .collect()
        }
    }

    /// What a label means.
    pub(super) fn called(&self, label: &str) -> Option<ServiceId> {
        let mut alike = Vec::new();
        for (id, group, name) in self.names() {
            if *group == *label && *name == *label {
                return Some(id);
            }
            if *name == *label {
                alike.push(id);
            }
        }
        let full = self.names().find(|(_, group, name)| format!("{group}:{name}") == *label);
        full.map(|(id, ..)| id).or(if alike.len() == 1 { Some(alike[0]) } else { None })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (ServiceId, Arc<str>, Arc<str>)> + '_ {
        self.groups.iter().flat_map(|(spec, ids)| {
            let names = spec.services.iter().map(|service| Arc::clone(&service.name));
            ids.iter().zip(names).map(|(id, name)| (*id, Arc::clone(&spec.name), name))
        })
    }

    pub(super) fn member(&self, id: ServiceId) -> Option<&Member> {
        self.members.get(id.0 as usize)?.as_ref()
    }

    fn places(&self) -> impl Iterator<Item = ServiceId> + use<> {
        (0..self.members.len()).map(id)
    }
}
