//! What must survive the supervisor, as plain values.
//!
//! Every change of the table is a [`Record`]; applied in order to an empty
//! [`Snapshot`] they give the table back. The daemon writes records to its
//! journal and the simulator keeps them in a list: the core does not care.

use std::collections::HashSet;
use std::sync::Arc;

use crate::group::{Group, edit_member, member_change};
use crate::id::{ExitSequence, Generation, Pid, ServiceId};
use crate::input::Mood;
use crate::service::{Failure, Goal, Role, Service, State, Vitals};
use crate::spec::{Configuration, GroupSpec, ServiceSpec};
use crate::status::ExitStatus;
use crate::time::{Instant, WallTime};

/// One change of the table.
#[expect(
    clippy::large_enum_variant,
    reason = "the record of a service is made on the restart path, where nothing is allocated"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A configuration was loaded; groups are added from it.
    Loaded(Configuration),
    /// A group was added, its members at these places.
    GroupAdded(Group),
    /// The group of this name was removed.
    GroupRemoved(Arc<str>),
    /// A group has more members, at these places.
    MembersJoined {
        /// Its name.
        group: Arc<str>,
        /// What was asked for.
        services: Vec<Arc<ServiceSpec>>,
        /// Their places, in the same order.
        members: Vec<ServiceId>,
    },
    /// A group has this member no more.
    MemberLeft {
        /// Its name.
        group: Arc<str>,
        /// Which place.
        service: ServiceId,
    },
    /// Something else is asked for a member from now on.
    Edited {
        /// Which.
        service: ServiceId,
        /// What.
        spec: Arc<ServiceSpec>,
    },
    /// A service is now like this.
    Service(ServiceRecord),
    /// The supervisor works or ends.
    Mood(Mood),
    /// Everything stops and ends, and this is what the daemon ends with.
    Ends(u8),
    /// When everything has stopped, this is begun.
    Replacement(Option<Configuration>),
}

/// All of a service that its spec does not say. It is copied, never allocated:
/// one is made on the restart path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Its place in the table.
    pub id: ServiceId,
    /// The part it plays.
    pub role: Role,
    /// What is wanted.
    pub goal: Goal,
    /// What it is doing.
    pub state: State,
    /// Its present or last life.
    pub generation: Generation,
    /// Its process.
    pub pid: Option<Pid>,
    /// Failed starts in a row.
    pub failures: u32,
    /// When its last start began.
    pub started: Option<WallTime>,
    /// When it last ended.
    pub stopped: Option<WallTime>,
    /// How it last ended.
    pub exit: Option<ExitStatus>,
    /// What went wrong last.
    pub failure: Option<Failure>,
    /// The keeper's last exit record that was taken for it.
    pub exit_sequence: ExitSequence,
    /// When the main log next says that a client waits for its stop.
    pub stop_report_at: Option<Instant>,
    /// See [`Service::vitals`].
    pub vitals: Option<Vitals>,
}

impl From<&Service> for ServiceRecord {
    fn from(service: &Service) -> Self {
        Self {
            id: service.id,
            role: service.role,
            goal: service.goal,
            state: service.state.recorded(),
            generation: service.generation,
            pid: service.pid,
            failures: service.failures,
            started: service.started,
            stopped: service.stopped,
            exit: service.exit,
            failure: service.failure,
            exit_sequence: service.exit_sequence,
            stop_report_at: service.stop_report_at,
            vitals: service.vitals.as_deref().copied(),
        }
    }
}

impl ServiceRecord {
    /// Brings a service to the recorded condition.
    pub(crate) fn restore(self, service: &mut Service) {
        service.role = self.role;
        service.goal = self.goal;
        service.state = self.state;
        service.generation = self.generation;
        service.pid = self.pid;
        service.failures = self.failures;
        service.started = self.started;
        service.stopped = self.stopped;
        service.exit = self.exit;
        service.failure = self.failure;
        service.exit_sequence = self.exit_sequence;
        if let Some(vitals) = self.vitals {
            service.vitals = Some(Box::new(vitals));
        }
        // Whoever waited is gone.
        service.stop_report_at = None;
    }
}

/// A place of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The last life that began here. It outlives the service, so that a place
    /// that is used again never gives two lives the same name.
    pub generation: Generation,
    /// Who is there; `None` for nobody.
    pub service: Option<ServiceRecord>,
}

/// The whole table, as records have left it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// What groups are added from.
    pub loaded: Configuration,
    /// The groups that are there, in the order in which they were added.
    pub groups: Vec<Group>,
    /// The places of the table.
    pub places: Vec<Place>,
    /// Whether the supervisor works or ends; `None` before anything was recorded.
    pub mood: Option<Mood>,
    /// What is begun when everything has stopped.
    pub replacement: Option<Configuration>,
    /// What the daemon ends with.
    pub exit_code: u8,
}

impl Snapshot {
    /// Takes in one record.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Loaded(configuration) => self.loaded = configuration,
            Record::GroupAdded(group) => {
                self.remove_group(&group.spec);
                for (spec, id) in group.spec.services.iter().zip(&group.members) {
                    self.occupy(*id, &group.spec.name, spec);
                }
                self.groups.push(group);
            }
            Record::GroupRemoved(name) => {
                if let Some(group) = self.groups.iter().find(|group| group.spec.name == name) {
                    let spec = Arc::clone(&group.spec);
                    self.remove_group(&spec);
                }
            }
            Record::MembersJoined { ref group, ref services, ref members } => {
                for (spec, id) in services.iter().zip(members) {
                    self.occupy(*id, group, spec);
                }
                member_change(&mut self.groups, &mut self.loaded, &record);
            }
            Record::MemberLeft { service, .. } => {
                member_change(&mut self.groups, &mut self.loaded, &record);
                if let Some(place) = self.places.get_mut(service.0 as usize) {
                    place.service = None;
                }
            }
            Record::Service(service) => {
                *self.place(service.id) =
                    Place { generation: service.generation, service: Some(service) };
            }
            Record::Edited { service, spec } => {
                edit_member(&mut self.groups, service, &spec);
                let place = self.places.get_mut(service.0 as usize);
                if let Some(there) = place.and_then(|place| place.service.as_mut()) {
                    there.vitals = Vitals::after_edit(there.vitals, &spec);
                }
            }
            Record::Mood(mood) => self.mood = Some(mood),
            Record::Ends(exit_code) => {
                self.mood = Some(Mood::Shutdown);
                self.exit_code = exit_code;
            }
            Record::Replacement(configuration) => self.replacement = configuration,
        }
    }

    /// Whether a record makes sense here. Every record of a supervisor does in the order in
    /// which it was given; one that does not is damaged, or follows one that is.
    #[must_use]
    pub fn admits(&self, record: &Record) -> bool {
        match record {
            Record::Loaded(_) | Record::Mood(_) | Record::Ends(_) | Record::Replacement(_) => true,
            Record::GroupAdded(group) => {
                let (name, services) = (&group.spec.name, &group.spec.services);
                // One that is there already is replaced.
                self.fits(self.group(name), services, &group.members)
            }
            Record::GroupRemoved(name) => self.group(name).is_some(),
            Record::MembersJoined { group, services, members } => {
                self.group(group).is_some() && self.fits(None, services, members)
            }
            Record::MemberLeft { group, service } => {
                self.group(group).is_some_and(|group| group.members.contains(service))
            }
            Record::Edited { service, .. } => {
                self.groups.iter().any(|group| group.members.contains(service))
            }
            Record::Service(service) => {
                let place = self.places.get(service.id.0 as usize);
                place.is_some_and(|place| {
                    place.service.is_some() && place.generation <= service.generation
                })
            }
        }
    }

    /// Takes out what contradicts itself, so that nobody has to reckon with it; how many
    /// groups and services these were. A table that a supervisor has handed out has none.
    pub fn mend(&mut self) -> usize {
        let (groups, mut mended) = (std::mem::take(&mut self.groups), 0);
        let mut owned = vec![false; self.places.len()];
        for group in groups {
            let mut members = group.members.iter().map(|member| member.0 as usize);
            let is_new = |place: usize| owned.get(place) == Some(&false);
            let fits = group.members.len() == group.spec.services.len()
                && are_distinct(&group.members)
                && members.all(is_new)
                && self.group(&group.spec.name).is_none();
            if !fits {
                mended += 1;
                continue;
            }
            for member in &group.members {
                owned[member.0 as usize] = true;
            }
            self.groups.push(group);
        }
        for ((id, place), owned) in (0..).map(ServiceId).zip(&mut self.places).zip(owned) {
            // Who is there is a member of some group, and knows its place.
            let fits = |service: &ServiceRecord| owned && service.id == id;
            if place.service.is_some_and(|service| !fits(&service)) {
                place.service = None;
                mended += 1;
            }
        }
        mended
    }

    fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| *group.spec.name == *name)
    }

    /// Whether new members can have these places, when those of `former` are free.
    fn fits(
        &self,
        former: Option<&Group>,
        services: &[Arc<ServiceSpec>],
        members: &[ServiceId],
    ) -> bool {
        let is_free = |member: &ServiceId| {
            let place = self.places.get(member.0 as usize);
            place.is_none_or(|place| place.service.is_none())
                || former.is_some_and(|group| group.members.contains(member))
        };
        services.len() == members.len() && are_distinct(members) && members.iter().all(is_free)
    }

    fn place(&mut self, id: ServiceId) -> &mut Place {
        let index = id.0 as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, Place::default());
        }
        &mut self.places[index]
    }

    /// Has a service that was never started at a place.
    fn occupy(&mut self, id: ServiceId, group: &Arc<str>, spec: &Arc<ServiceSpec>) {
        let place = self.place(id);
        let service = Service::new(id, place.generation, Arc::clone(group), Arc::clone(spec));
        place.service = Some(ServiceRecord::from(&service));
    }

    fn remove_group(&mut self, spec: &GroupSpec) {
        let Some(place) = self.groups.iter().position(|group| group.spec.name == spec.name) else {
            return;
        };
        for member in self.groups.remove(place).members {
            if let Some(place) = self.places.get_mut(member.0 as usize) {
                place.service = None;
            }
        }
    }
}

fn are_distinct(members: &[ServiceId]) -> bool {
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().all(|member| seen.insert(member))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::plain_group;

    fn added(name: &str, places: &[u32]) -> Record {
        let names = ["a", "b", "c"];
        let members = places.iter().map(|place| ServiceId(*place)).collect();
        Record::GroupAdded(Group { spec: plain_group(name, 1, &names[..places.len()]), members })
    }

    #[test]
    fn a_group_that_was_added_has_members_that_were_never_started() {
        let mut snapshot = Snapshot::default();

        snapshot.apply(added("g", &[1, 0]));

        assert_eq!(snapshot.places.len(), 2);
        for (place, id) in snapshot.places.iter().zip([0, 1]) {
            let service = place.service.expect("somebody is there");
            assert_eq!((service.id, service.state), (ServiceId(id), State::Stopped));
            assert_eq!(service.started, None);
        }
    }

    #[test]
    fn a_place_remembers_its_last_life_when_nobody_is_there() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(added("g", &[0]));
        let mut service = snapshot.places[0].service.expect("somebody is there");
        service.generation = Generation(9);

        snapshot.apply(Record::Service(service));
        snapshot.apply(Record::GroupRemoved(Arc::from("g")));
        assert_eq!(snapshot.places, [Place { generation: Generation(9), service: None }]);

        snapshot.apply(added("h", &[0]));
        let service = snapshot.places[0].service.expect("somebody is there");
        assert_eq!(service.generation, Generation(9));
    }

    #[test]
    fn a_record_of_something_that_is_not_there_makes_no_sense() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(added("g", &[0, 1]));
        snapshot.places[1].generation = Generation(7);
        let there = snapshot.places[1].service.expect("somebody is there");
        let service = |id, generation| {
            let (id, generation) = (ServiceId(id), Generation(generation));
            Record::Service(ServiceRecord { id, generation, ..there })
        };
        let joined = |group: &str, members: &[u32]| Record::MembersJoined {
            group: group.into(),
            services: plain_group("g", 1, &["c"]).services.clone(),
            members: members.iter().copied().map(ServiceId).collect(),
        };
        let left = |group: &str, member| Record::MemberLeft {
            group: group.into(),
            service: ServiceId(member),
        };

        let sense = [
            added("g", &[1, 2]),
            added("h", &[2]),
            Record::GroupRemoved("g".into()),
            joined("g", &[2]),
            left("g", 1),
            service(1, 7),
            service(1, 8),
        ];
        let nonsense = [
            added("h", &[1]),
            added("h", &[2, 2]),
            Record::GroupRemoved("h".into()),
            joined("h", &[2]),
            joined("g", &[0]),
            joined("g", &[2, 3]),
            left("h", 1),
            left("g", 2),
            service(2, 8),
            service(1, 6),
        ];

        assert!(sense.iter().all(|record| snapshot.admits(record)));
        assert!(nonsense.iter().all(|record| !snapshot.admits(record)));
    }

    #[test]
    fn what_contradicts_itself_is_taken_out() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(added("g", &[0, 2]));
        snapshot.apply(added("h", &[1]));
        let whole = snapshot.clone();
        assert_eq!(snapshot.mend(), 0);
        assert_eq!(snapshot, whole);

        // One has the places of another, one has the name, one has a place that is none.
        for (name, place) in [("i", 2), ("h", 3), ("j", 9)] {
            let Record::GroupAdded(group) = added(name, &[place]) else { unreachable!() };
            snapshot.groups.push(group);
        }
        // And one is there for nobody, another one in the wrong place.
        let service = snapshot.places[0].service;
        snapshot.places.push(Place { generation: Generation(4), service });
        snapshot.places[1].service = service;

        assert_eq!(snapshot.mend(), 5);
        assert_eq!(snapshot.groups, whole.groups);
        assert_eq!(snapshot.places[3], Place { generation: Generation(4), service: None });
        assert_eq!(snapshot.places[1].service, None);
    }

    #[test]
    fn a_service_is_brought_to_what_was_recorded_of_it() {
        let spec = plain_group("g", 1, &["a"]);
        let name = Arc::clone(&spec.name);
        let mut there = Service::new(ServiceId(0), Generation(3), name, spec.services[0].clone());
        there.state = State::Backoff { until: Instant(77) };
        there.goal = Goal::Up;
        there.failures = 2;
        there.pid = Some(Pid(9));
        there.exit = Some(ExitStatus::Code(7));
        there.exit_sequence = ExitSequence(5);
        let name = Arc::clone(&spec.name);
        let mut other = Service::new(ServiceId(0), Generation(0), name, spec.services[0].clone());

        ServiceRecord::from(&there).restore(&mut other);

        assert_eq!(other, there);
    }
}
