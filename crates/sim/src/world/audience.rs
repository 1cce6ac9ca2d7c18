//! What event listeners have been told, and whether it is the truth: every change of
//! state once, in its order, whenever the supervisor is cut off.

use std::sync::Arc;

use bardo_core::service::StateName;
use bardo_core::{Command, Event, Input, Supervisor};

use super::Machine;

impl Machine {
    /// Whether a service leaves its group in this turn. Nobody is told of that, and one of
    /// the same name may come.
    pub(super) fn somebody_leaves(&self) -> bool {
        self.mortal.told.iter().any(|(_, input)| {
            matches!(input, Input::Command { command: Command::Leave { .. }, .. })
        })
    }

    /// The groups of the file that were there before a turn, if it clears them away. What is
    /// there after it tells nothing of that: one that was brought up may have left as well.
    pub(super) fn groups_of_the_file(&self) -> Vec<Arc<str>> {
        if !self.mortal.events.contains(&Event::Cleared) {
            return Vec::new();
        }
        let of_file = self.journal.groups.iter().filter(|group| group.is_of_file());
        of_file.map(|group| Arc::clone(&group.spec.name)).collect()
    }

    /// The events of a turn become known, together with its records.
    pub(super) fn make_known(&mut self, somebody_leaves: bool, mut of_file: Vec<Arc<str>>) {
        for event in std::mem::take(&mut self.mortal.events) {
            match event {
                Event::ProcessState { group, name, from, to, .. } => {
                    let key = (group, name);
                    let last = self.told_states.get(&key).copied();
                    if last.unwrap_or(StateName::Stopped) != from && !somebody_leaves {
                        self.violate(|| {
                            format!("listeners hear of {key:?} going from {from:?}, after {last:?}")
                        });
                    }
                    self.told_states.insert(key, to);
                }
                Event::GroupRemoved(gone) => {
                    self.told_states.retain(|(group, _), _| *group != gone);
                    of_file.retain(|group| *group != gone);
                }
                Event::Cleared => {
                    self.told_states.retain(|(group, _), _| !of_file.contains(group));
                }
                Event::SupervisorRunning | Event::SupervisorStopping | Event::GroupAdded(_) => {}
            }
        }
        let groups = &self.journal.groups;
        self.told_states.retain(|(group, name), _| {
            let of_name = groups.iter().find(|there| there.spec.name == *group);
            of_name.is_some_and(|group| group.spec.services.iter().any(|spec| spec.name == *name))
        });
    }

    /// Whether listeners know the state that each service has.
    ///
    /// # Errors
    /// Which they do not.
    pub fn check_told(&self, supervisor: &Supervisor) -> Result<(), String> {
        let wrong = supervisor.services().find(|service| {
            let key = (service.group.clone(), service.spec.name.clone());
            let told = self.told_states.get(&key).copied().unwrap_or(StateName::Stopped);
            self.has_listeners && told != service.state_name()
        });
        wrong.map_or(Ok(()), |service| {
            let (group, name) = (&service.group, &service.spec.name);
            Err(format!("listeners do not know that {group}:{name} is {:?}", service.state))
        })
    }
}
