//! Groups that come and go: the first start, `reread` and `update`, and a reload.

use std::sync::Arc;

use super::Supervisor;
use crate::action::{Action, Actions};
use crate::event::Event;
use crate::group::{Group, start_order};
use crate::job::{Answer, Refusal};
use crate::reconcile::{Difference, Scope};
use crate::record::Record;
use crate::service::Stimulus;
use crate::spec::{Configuration, GroupSpec};
use crate::time::Now;

impl Supervisor {
    pub(super) fn begin(&mut self, now: Now, configuration: Configuration, actions: &mut Actions) {
        self.depends.unsettle();
        let difference = self.load(configuration);
        actions.push(Action::Begin);
        for name in difference.added {
            if let Some(spec) = self.loaded.group(&name).cloned() {
                self.add_group(spec, actions);
            }
        }
        // Its record says that there is a whole table.
        self.changes.table.push(Record::Mood(self.mood));
        actions.push(Action::Event(Event::SupervisorRunning));
        actions.push(Action::Begun);
        for index in start_order(&self.groups) {
            if self.groups[index].is_of_file() {
                self.autostart(now, index, actions);
            }
        }
    }

    pub(super) fn load(&mut self, configuration: Configuration) -> Difference {
        self.loaded = configuration;
        let record = Record::Loaded(self.loaded.clone());
        self.changes.table.push(record);
        Difference::between(self.groups.iter().map(|group| &group.spec), &self.loaded)
    }

    pub(super) fn add_group(&mut self, spec: Arc<GroupSpec>, actions: &mut Actions) {
        let members = self.place_services(&spec.name, &spec.services, actions);
        for id in &members {
            self.brought.set(*id, spec.origin);
        }
        let name = Arc::clone(&spec.name);
        let group = Group { spec, members };
        self.changes.table.push(Record::GroupAdded(group.clone()));
        self.groups.push(group);
        actions.push(Action::Event(Event::GroupAdded(name)));
    }

    pub(super) fn autostart(&mut self, now: Now, group: usize, actions: &mut Actions) {
        for id in self.groups[group].members.clone() {
            if self.service(id).is_some_and(|service| service.spec.program.autostart) {
                self.stir(now, id, Stimulus::Start, actions);
            }
        }
    }

    pub(super) fn remove_group(&mut self, index: usize, actions: &mut Actions) {
        let name = Arc::clone(&self.groups[index].spec.name);
        self.take_out_group(index, actions);
        actions.push(Action::Event(Event::GroupRemoved(name)));
    }

    pub(super) fn take_out_group(&mut self, index: usize, actions: &mut Actions) {
        let group = self.groups.remove(index);
        self.forget_group(&group, actions);
    }

    /// Empties the places of a group that is no more in the list of groups.
    pub(super) fn forget_group(&mut self, group: &Group, actions: &mut Actions) {
        for id in &group.members {
            self.vacate(*id, actions);
        }
        let record = Record::GroupRemoved(Arc::clone(&group.spec.name));
        self.changes.table.push(record);
    }

    pub(super) fn reconcile(&mut self, now: Now, scope: &Scope, actions: &mut Actions) -> Answer {
        match scope {
            Scope::Add(name) => {
                // In this order: one that is there and in the file no more has a bad name.
                let Some(spec) = self.loaded.group(name).cloned() else {
                    return Answer::Refused(Refusal::NoSuchName);
                };
                if self.groups.iter().any(|group| group.spec.name == *name) {
                    return Answer::Refused(Refusal::AlreadyAdded);
                }
                self.add_group(spec, actions);
                self.autostart(now, self.groups.len() - 1, actions);
            }
            Scope::Remove(name) => {
                let is_meant = |group: &Group| group.spec.name == *name && group.is_of_file();
                let Some(index) = self.groups.iter().position(is_meant) else {
                    return Answer::Refused(Refusal::NoSuchName);
                };
                if self.unstopped(&self.groups[index]).next().is_some() {
                    return Answer::Refused(Refusal::StillRunning);
                }
                self.remove_group(index, actions);
            }
        }
        Answer::Done
    }
}
