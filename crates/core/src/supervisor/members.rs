//! Members of a group that come and go while it is there: Supervisor's file knows
//! nothing of that, its extension `supervisor_twiddler` does.

use std::sync::Arc;

use super::Supervisor;
use crate::action::{Action, Actions};
use crate::group::{Group, member_change};
use crate::id::ServiceId;
use crate::job::{Answer, Refusal};
use crate::record::{Record, ServiceRecord};
use crate::service::{Service, Stimulus};
use crate::spec::{GroupKind, Origin, ServiceSpec};
use crate::time::Now;

impl Supervisor {
    /// Makes services members of a group, and starts those that start by themselves.
    pub(super) fn join(
        &mut self,
        now: Now,
        group: &Arc<str>,
        services: Vec<Arc<ServiceSpec>>,
        actions: &mut Actions,
    ) -> Answer {
        let Some(there) = self.file_group(group) else {
            return Answer::Refused(Refusal::NoSuchGroup);
        };
        let known = |name: &Arc<str>| there.spec.services.iter().any(|other| other.name == *name);
        if let Some(taken) = services.iter().find(|service| known(&service.name)) {
            return Answer::Refused(Refusal::NameTaken(Arc::clone(&taken.name)));
        }
        if matches!(there.spec.kind, GroupKind::Listeners(_)) {
            return Answer::Refused(Refusal::TakesNoPrograms);
        }
        let members = self.place_services(group, &services, actions);
        let change =
            Record::MembersJoined { group: Arc::clone(group), services, members: members.clone() };
        member_change(&mut self.groups, &mut self.loaded, &change);
        self.changes.table.push(change);
        for id in members {
            if self.service(id).is_some_and(|service| service.spec.program.autostart) {
                self.stir(now, id, Stimulus::Start, actions);
            }
        }
        Answer::Done
    }

    /// Takes a service that is stopped out of its group.
    pub(super) fn leave(
        &mut self,
        group: &Arc<str>,
        process: &str,
        actions: &mut Actions,
    ) -> Answer {
        let Some(there) = self.file_group(group) else {
            return Answer::Refused(Refusal::NoSuchGroup);
        };
        let place = there.spec.services.iter().position(|service| *service.name == *process);
        let Some(id) = place.map(|place| there.members[place]) else {
            return Answer::Refused(Refusal::NoSuchName);
        };
        if !self.is_stopped(id) {
            return Answer::Refused(Refusal::StillRunning);
        }
        self.vacate(id, actions);
        let change = Record::MemberLeft { group: Arc::clone(group), service: id };
        member_change(&mut self.groups, &mut self.loaded, &change);
        self.changes.table.push(change);
        Answer::Done
    }

    /// The group of this name, if it is one of the configuration file.
    pub(super) fn file_group(&self, name: &str) -> Option<&Group> {
        let is_meant = |there: &&Group| *there.spec.name == *name && there.is_of_file();
        self.groups.iter().find(is_meant)
    }

    /// Gives services of a group their places in the table.
    pub(super) fn place_services(
        &mut self,
        group: &Arc<str>,
        services: &[Arc<ServiceSpec>],
        actions: &mut Actions,
    ) -> Vec<ServiceId> {
        let mut members = Vec::with_capacity(services.len());
        let mut free = 0;
        for service in services {
            while self.services.get(free).is_some_and(Option::is_some) {
                free += 1;
            }
            let id = ServiceId(u32::try_from(free).expect("a table of 2^32 services has no room"));
            members.push(id);
            let generation = self.generations.get(free).copied().unwrap_or_default();
            self.place(Service::new(id, generation, Arc::clone(group), Arc::clone(service)));
            self.mark(id);
            actions.push(Action::Added(id));
        }
        members
    }

    /// Empties a place of the table. It remembers its last life, also one nobody
    /// recorded yet.
    pub(super) fn vacate(&mut self, id: ServiceId, actions: &mut Actions) {
        actions.push(Action::Removed(id));
        self.winding = None;
        self.timers.set(id.0, None);
        if let Some(service) = self.services[id.0 as usize].take() {
            self.depends.go(&service);
            self.brought.set(id, Origin::File);
            self.generations[id.0 as usize] = service.generation;
            let record = Record::Service(ServiceRecord::from(&service));
            self.changes.table.push(record);
        }
    }
}
