//! Which groups and services there are: how they come, change and leave.

use std::sync::Arc;

use bardo_core::job::{Answer, Refusal};
use bardo_core::spec::Origin;
use bardo_core::{Configuration, Generation, GroupSpec, Now, ServiceId, ServiceSpec};

use super::{Member, Reference, id};

impl Reference {
    pub(super) fn begin(&mut self, now: Now, configuration: Configuration) {
        self.loaded = configuration;
        for spec in self.loaded.groups.clone() {
            if !self.groups.iter().any(|(there, _)| there.name == spec.name) {
                self.add(spec);
            }
        }
        for group in self.by_priority() {
            if self.groups[group].0.origin == Origin::File {
                self.autostart(now, group);
            }
        }
    }

    pub(super) fn add(&mut self, spec: Arc<GroupSpec>) {
        let ids = self.settle(&spec.services);
        self.groups.push((spec, ids));
    }

    /// Finds places for services.
    fn settle(&mut self, services: &[Arc<ServiceSpec>]) -> Vec<ServiceId> {
        let mut ids = Vec::new();
        for service in services {
            let free = self.members.iter().position(Option::is_none);
            let place = free.unwrap_or_else(|| {
                self.members.push(None);
                self.past.push((Generation::default(), 0));
                self.members.len() - 1
            });
            self.members[place] = Some(Member::new(Arc::clone(service), self.past[place]));
            ids.push(id(place));
        }
        ids
    }

    pub(super) fn autostart(&mut self, now: Now, group: usize) {
        self.start_by_themselves(now, &self.groups[group].1.clone());
    }

    fn start_by_themselves(&mut self, now: Now, ids: &[ServiceId]) {
        for id in ids {
            if self.member(*id).is_some_and(|member| member.spec.program.autostart) {
                self.change(now, *id, Member::start);
            }
        }
    }

    pub(super) fn join(
        &mut self,
        now: Now,
        group: &Arc<str>,
        services: &[Arc<ServiceSpec>],
    ) -> Answer {
        let Some(group) = self.of_the_file(group) else {
            return Answer::Refused(Refusal::NoSuchGroup);
        };
        let spec = Arc::clone(&self.groups[group].0);
        for service in services {
            if spec.services.iter().any(|there| there.name == service.name) {
                return Answer::Refused(Refusal::NameTaken(Arc::clone(&service.name)));
            }
        }
        let ids = self.settle(services);
        let with_them = [&spec.services, services].concat();
        self.groups[group].1.extend(&ids);
        self.remember(group, with_them);
        self.start_by_themselves(now, &ids);
        Answer::Done
    }

    pub(super) fn leave(&mut self, group: &Arc<str>, process: &Arc<str>) -> Answer {
        let Some(group) = self.of_the_file(group) else {
            return Answer::Refused(Refusal::NoSuchGroup);
        };
        let (spec, ids) = self.groups[group].clone();
        let Some(place) = spec.services.iter().position(|there| there.name == *process) else {
            return Answer::Refused(Refusal::NoSuchName);
        };
        let id = ids[place];
        let member = self.members[id.0 as usize].as_ref();
        if !member.is_none_or(Member::is_stopped) {
            return Answer::Refused(Refusal::StillRunning);
        }
        self.forget(id);
        self.groups[group].1.retain(|other| *other != id);
        let others = spec.services.iter().filter(|there| there.name != *process);
        self.remember(group, others.cloned().collect());
        Answer::Done
    }

    /// A group has other members, and so has its loaded description where that was the
    /// same.
    fn remember(&mut self, group: usize, services: Vec<Arc<ServiceSpec>>) {
        let before = Arc::clone(&self.groups[group].0);
        let after = Arc::new(GroupSpec { services, ..(*before).clone() });
        for loaded in &mut self.loaded.groups {
            if **loaded == *before {
                *loaded = Arc::clone(&after);
            }
        }
        self.groups[group].0 = after;
    }

    pub(super) fn remove(&mut self, group: usize) {
        for id in self.groups.remove(group).1 {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ServiceId) {
        if let Some(member) = self.members[id.0 as usize].take() {
            self.past[id.0 as usize] = (member.generation, member.successes);
        }
    }
}
