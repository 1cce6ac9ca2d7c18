//! Groups and the order in which their members start and stop.

use std::sync::Arc;

use crate::id::ServiceId;
use crate::record::Record;
use crate::spec::{Configuration, GroupSpec, Origin, ServiceSpec};

/// A group that is up: its spec, and its members' places in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What was asked for.
    pub spec: Arc<GroupSpec>,
    /// Its members, in the order of the spec.
    pub members: Vec<ServiceId>,
}

impl Group {
    /// Whether the configuration file has it, so that it can be loaded again.
    #[must_use]
    pub fn is_of_file(&self) -> bool {
        self.spec.origin == Origin::File
    }

    /// Its members by ascending priority, equal ones in the order of the spec: the
    /// order in which clients' commands reach them. When the group is first
    /// started its members come in the order of the spec instead: Supervisor
    /// ignores their priority then.
    #[must_use]
    pub fn by_priority(&self) -> Vec<ServiceId> {
        let mut members: Vec<(i64, ServiceId)> = self
            .spec
            .services
            .iter()
            .zip(&self.members)
            .map(|(service, id)| (service.program.priority, *id))
            .collect();
        members.sort_by_key(|(priority, _)| *priority);
        members.into_iter().map(|(_, id)| id).collect()
    }
}

/// The places of `groups` by ascending priority, equal ones in the order in which
/// they were added. Groups start in this order and stop in the reverse one.
#[must_use]
pub fn start_order(groups: &[Group]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|index| groups[*index].spec.priority);
    order
}

/// Takes a change of members into the groups that are there. The loaded configuration
/// changes too where it has the group as it is: in Supervisor the two are one thing, and
/// `reread` finds the difference to the file.
pub(crate) fn member_change(groups: &mut [Group], loaded: &mut Configuration, change: &Record) {
    let (Record::MembersJoined { group: name, .. } | Record::MemberLeft { group: name, .. }) =
        change
    else {
        return;
    };
    let Some(group) = groups.iter_mut().find(|there| there.spec.name == *name) else { return };
    let before = Arc::clone(&group.spec);
    let spec = Arc::make_mut(&mut group.spec);
    if let Record::MembersJoined { services, members, .. } = change {
        spec.services.extend_from_slice(services);
        group.members.extend_from_slice(members);
    }
    if let Record::MemberLeft { service, .. } = change
        && let Some(place) = group.members.iter().position(|member| member == service)
    {
        spec.services.remove(place);
        group.members.remove(place);
    }
    if let Some(there) = loaded.groups.iter_mut().find(|there| **there == before) {
        *there = Arc::clone(&group.spec);
    }
}

/// Takes another spec of a member into the groups that are there.
pub(crate) fn edit_member(groups: &mut [Group], id: ServiceId, spec: &Arc<ServiceSpec>) {
    for group in groups {
        if let Some(place) = group.members.iter().position(|member| *member == id) {
            Arc::make_mut(&mut group.spec).services[place] = Arc::clone(spec);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{group, plain_group, program, service};

    fn there(spec: Arc<GroupSpec>) -> Group {
        let members = (0..).map(ServiceId).take(spec.services.len()).collect();
        Group { spec, members }
    }

    #[test]
    fn members_of_equal_priority_keep_the_order_of_the_file() {
        let ranked = |name, priority| {
            let mut program = program();
            program.priority = priority;
            service(name, program)
        };
        let spec = group("g", 1, vec![ranked("a", 5), ranked("b", 1), ranked("c", 5)]);

        let order = there(spec).by_priority();

        assert_eq!(order, [ServiceId(1), ServiceId(0), ServiceId(2)]);
    }

    #[test]
    fn groups_of_equal_priority_keep_the_order_in_which_they_were_added() {
        let priorities = [999, -1, 999, 5];
        let groups: Vec<Group> =
            priorities.iter().map(|priority| there(plain_group("g", *priority, &["a"]))).collect();

        assert_eq!(start_order(&groups), [1, 3, 0, 2]);
    }
}
