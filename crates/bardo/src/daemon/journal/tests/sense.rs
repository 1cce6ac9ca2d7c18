//! Entries that make sense one after the other: what is done to a group or a service that
//! is not there is done to one that is.

use std::ops::Range;
use std::sync::Arc;

use bardo_core::group::Group;
use bardo_core::record::{Record, ServiceRecord, Snapshot};
use bardo_core::{ServiceId, ServiceSpec};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::Entry;
use super::samples;

/// So many entries, or some fewer.
pub(super) fn entries(count: Range<usize>) -> impl Strategy<Value = Vec<Entry>> {
    (samples::group(), vec(samples::entry(), count)).prop_map(|(group, entries)| {
        let mut table = Snapshot::default();
        let mut wanted = vec![Entry::Table(Record::GroupAdded(group))];
        wanted.extend(entries);
        wanted.into_iter().filter_map(|entry| make_sense(&mut table, entry)).collect()
    })
}

fn make_sense(table: &mut Snapshot, entry: Entry) -> Option<Entry> {
    let Entry::Table(record) = entry else { return Some(entry) };
    let record = match record {
        Record::GroupAdded(group) => {
            let members = free(table, group.members.len());
            Record::GroupAdded(Group { members, ..group })
        }
        Record::GroupRemoved(name) => Record::GroupRemoved(some_group(table, &name)?.0),
        Record::MembersJoined { group, services, members } => {
            let members = free(table, members.len());
            Record::MembersJoined { group: some_group(table, &group)?.0, services, members }
        }
        Record::MemberLeft { group, service } => {
            let (group, members) = some_group(table, &group)?;
            let member = members.get(service.0 as usize % members.len().max(1))?;
            Record::MemberLeft { group, service: *member }
        }
        Record::Service(service) => {
            let there: Vec<_> = table.places.iter().filter_map(|place| place.service).collect();
            let former = there.get(service.id.0 as usize % there.len().max(1))?;
            let generation = former.generation.max(service.generation);
            Record::Service(ServiceRecord { id: former.id, generation, ..service })
        }
        Record::Edited { service, spec } => {
            let mut members = table
                .groups
                .iter()
                .flat_map(|group| group.members.iter().zip(&group.spec.services));
            let count = members.clone().count().max(1);
            let (service, there) = members.nth(service.0 as usize % count)?;
            // Its name stays.
            let name = Arc::clone(&there.name);
            let spec = Arc::new(ServiceSpec { name, ..ServiceSpec::clone(&spec) });
            Record::Edited { service: *service, spec }
        }
        Record::Loaded(_) | Record::Mood(_) | Record::Ends(_) | Record::Replacement(_) => record,
    };
    assert!(table.admits(&record), "{record:?}");
    table.apply(record.clone());
    Some(Entry::Table(record))
}

/// The name and the members of a group that is there.
fn some_group(table: &Snapshot, name: &str) -> Option<(Arc<str>, Vec<ServiceId>)> {
    let group = table.groups.get(name.len() % table.groups.len().max(1))?;
    Some((Arc::clone(&group.spec.name), group.members.clone()))
}

/// So many places where nobody is.
fn free(table: &Snapshot, count: usize) -> Vec<ServiceId> {
    let is_free = |id: &ServiceId| {
        table.places.get(id.0 as usize).is_none_or(|place| place.service.is_none())
    };
    (0..).map(ServiceId).filter(is_free).take(count).collect()
}
