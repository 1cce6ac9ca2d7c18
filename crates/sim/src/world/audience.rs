//! What event listeners have been told, and whether it is the truth: every change of
//! state once, in its order, whenever the supervisor is cut off.

use bardo_core::service::StateName;
use bardo_core::{Event, Supervisor};

use super::Machine;

impl Machine {
    /// The events of a turn become known, together with its records.
    pub(super) fn make_known(&mut self) {
        for event in std::mem::take(&mut self.mortal.events) {
            match event {
                Event::ProcessState { group, name, from, to, .. } => {
                    let key = (group, name);
                    let last = self.told_states.get(&key).copied();
                    if last.unwrap_or(StateName::Stopped) != from {
                        self.violate(|| {
                            format!("listeners hear of {key:?} going from {from:?}, after {last:?}")
                        });
                    }
                    self.told_states.insert(key, to);
                }
                Event::GroupRemoved(gone) => {
                    self.told_states.retain(|(group, _), _| *group != gone);
                }
                Event::Cleared => self.told_states.clear(),
                Event::SupervisorRunning | Event::SupervisorStopping | Event::GroupAdded(_) => {}
            }
        }
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
