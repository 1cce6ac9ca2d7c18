//! Which service a label means, and who may do what to it.

use std::sync::Arc;

use super::Supervisor;
use crate::id::ServiceId;
use crate::job::{Caller, Deed};
use crate::mutant::{self, Mutant};
use crate::service::Service;
use crate::spec::care::Confinement;

impl Supervisor {
    /// The service of a label: `group:process`, or the name where both are the same, or a
    /// process name that only one group has.
    #[must_use]
    pub fn labelled(&self, label: &str) -> Option<ServiceId> {
        let in_group = |group: &str, process: &str| {
            let group = self.groups.iter().find(|there| *there.spec.name == *group)?;
            let place = group.spec.services.iter().position(|there| *there.name == *process)?;
            Some(group.members[place])
        };
        let alone = || {
            let mut named = self.services().filter(|there| *there.spec.name == *label);
            let first = named.next()?;
            named.next().is_none().then_some(first.id)
        };
        in_group(label, label)
            .or_else(|| label.split_once(':').and_then(|(group, name)| in_group(group, name)))
            .or_else(alone)
    }

    /// Whether somebody may do this to a service: whoever owns the supervisor, a service
    /// whose list has the target's label or program name, or is on the target's. A service
    /// itself is brought down and restarted by its own recovery script. What a service is
    /// only the owner says: it may be started as root.
    pub(super) fn may(&self, by: Caller, deed: &Deed, target: &Service) -> bool {
        if mutant::on(Mutant::LetsStrangersIn) {
            return true;
        }
        let decides = matches!(deed, Deed::Down | Deed::RestartNow);
        match by {
            Caller::Owner => true,
            Caller::Nobody => false,
            Caller::Service(_) | Caller::Script(_) if matches!(deed, Deed::Edit { .. }) => false,
            Caller::Service(id) | Caller::Script(id) => self.service(id).is_some_and(|caller| {
                let is_own = by == Caller::Script(target.id) && decides;
                let is_on = |list: fn(&Confinement) -> &[Arc<str>], of: &Service, who: &Service| {
                    let care = of.spec.program.care.as_ref();
                    care.is_some_and(|care| is_named(who, list(&care.confinement)))
                };
                is_own
                    || is_on(|confinement| &confinement.control, caller, target)
                    || is_on(|confinement| &confinement.controlled_by, target, caller)
            }),
        }
    }

    /// Whether somebody who asks for a label that nobody has is told so.
    pub(super) fn may_ask_for(&self, by: Caller, deed: &Deed, label: &str) -> bool {
        match by {
            Caller::Owner => true,
            Caller::Nobody => false,
            Caller::Service(_) | Caller::Script(_) if matches!(deed, Deed::Edit { .. }) => false,
            Caller::Service(id) | Caller::Script(id) => self.service(id).is_some_and(|caller| {
                let care = caller.spec.program.care.as_ref();
                care.is_some_and(|care| {
                    care.confinement.control.iter().any(|name| **name == *label)
                })
            }),
        }
    }
}

impl Supervisor {
    /// Whether somebody may do something to any service, be it there already or not.
    #[must_use]
    pub fn controls_any(&self, by: Caller) -> bool {
        let id = match by {
            Caller::Owner | Caller::Script(_) => return true,
            Caller::Nobody => return false,
            Caller::Service(id) => id,
        };
        let confinement = |service: &Service| {
            service.spec.program.care.as_ref().map(|care| Arc::clone(&care.confinement))
        };
        self.service(id).is_some_and(|caller| {
            confinement(caller).is_some_and(|own| !own.control.is_empty())
                || self.services().any(|target| {
                    confinement(target).is_some_and(|its| is_named(caller, &its.controlled_by))
                })
        })
    }
}

/// Whether a service is on a list, by its label or the name of its program.
fn is_named(service: &Service, list: &[Arc<str>]) -> bool {
    let program_name = service.spec.program.care.as_ref().map(|care| &care.program_name);
    list.iter().any(|name| Some(name) == program_name || is_label_of(service, name))
}

/// Whether a service is called this: `group:process`, or the name where both are the same.
fn is_label_of(service: &Service, label: &str) -> bool {
    let (group, process) = (&*service.group, &*service.spec.name);
    match label.split_once(':') {
        Some(parts) if parts == (group, process) => true,
        _ => group == process && label == process,
    }
}
