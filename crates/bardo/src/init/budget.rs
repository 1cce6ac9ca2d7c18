//! What a configuration needs of the init system: time for its end, and room for its descriptors.
//!
//! Groups stop one after the other, the members of a group together; who depends on a
//! service stops before it. So the longest wait of each group counts, with those of its
//! members' dependents before it.

use std::collections::BTreeSet;
use std::time::Duration;

use bardo_core::spec::care::Dependency;
use bardo_core::spec::{Configuration, ServiceSpec};

/// What is added for our own part of the end.
const MARGIN: Duration = Duration::from_secs(10);

/// The budget where a configuration cannot be read yet: what systemd gives by itself.
pub const UNKNOWN: Duration = Duration::from_secs(90);

/// The budget where nothing is configured: programs that `service` brings up have the
/// usual wait.
pub const LEAST: Duration = Duration::from_secs(20);

/// The longest budget: a week. Beyond that somebody has meant never.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many descriptors a manager keeps at least: programs come that are not configured yet, and
/// room costs nothing.
pub const KEPT_LEAST: usize = 4096;

/// Descriptors that are held for one program: its three streams, the sockets by which it speaks
/// and is told, the pipe by which it says that it is ready, its process; and one for a program
/// that is replaced, of which two lives overlap.
const KEPT_EACH: usize = 8;

/// Descriptors that belong to no program: journal, pipes of the log pump, servers' sockets.
const KEPT_OWN: usize = 64;

/// No process has more.
const KEPT_MOST: usize = 1 << 20;

/// How many descriptors the manager is to keep: room for up to twice as many programs.
#[must_use]
pub fn kept(configuration: &Configuration) -> usize {
    let programs: usize = configuration.groups.iter().map(|group| group.services.len()).sum();
    // Programs of a group may share a socket.
    let all = programs * KEPT_EACH + configuration.groups.len() + KEPT_OWN;
    all.checked_next_power_of_two().unwrap_or(KEPT_MOST).clamp(KEPT_LEAST, KEPT_MOST)
}

/// A service, by the places of its group and of itself in it.
type Place = (usize, usize);

/// The budget of a configuration.
#[must_use]
pub fn of(configuration: &Configuration) -> Duration {
    let dependents = Dependents::of(configuration);
    let mut sum = MARGIN;
    for (group, spec) in configuration.groups.iter().enumerate() {
        let members = 0..spec.services.len();
        let chains = members.map(|member| dependents.chain((group, member), &mut BTreeSet::new()));
        sum = sum.saturating_add(chains.max().unwrap_or_default());
    }
    sum.clamp(LEAST, LONGEST)
}

/// Those who depend on others.
struct Dependents<'a> {
    configuration: &'a Configuration,
    places: Vec<Place>,
}

impl<'a> Dependents<'a> {
    fn of(configuration: &'a Configuration) -> Self {
        let mut places = Vec::new();
        for (group, spec) in configuration.groups.iter().enumerate() {
            for (member, service) in spec.services.iter().enumerate() {
                if !dependencies(service).is_empty() {
                    places.push((group, member));
                }
            }
        }
        Self { configuration, places }
    }

    /// How long it may take at most until a service has stopped: the waits of all who stop
    /// before it, as if each waited for the one before.
    fn chain(&self, place: Place, seen: &mut BTreeSet<Place>) -> Duration {
        if !seen.insert(place) {
            return Duration::ZERO;
        }
        let before = self.places.iter().filter(|other| self.needs(**other, place));
        let before: Vec<Place> = before.copied().collect();
        let waits = before.into_iter().map(|other| self.chain(other, seen));
        let own = self.service(place).program.stop.wait.duration();
        waits.fold(own, Duration::saturating_add)
    }

    fn needs(&self, user: Place, place: Place) -> bool {
        let group = &*self.configuration.groups[place.0].name;
        let name = &*self.service(place).name;
        dependencies(self.service(user)).iter().any(|needed| {
            match (&*needed.group, &*needed.name) {
                // One word may mean a process or a group.
                ("", word) => word == group || word == name,
                (of, "") => of == group,
                (of, word) => of == group && word == name,
            }
        })
    }

    fn service(&self, (group, member): Place) -> &ServiceSpec {
        &self.configuration.groups[group].services[member]
    }
}

fn dependencies(service: &ServiceSpec) -> &[Dependency] {
    service.program.care.as_ref().map_or(&[], |care| &care.depends_on)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bardo_config::Request;

    use super::*;
    use crate::host::Machine;

    fn seconds(programs: &str) -> u64 {
        of(&configuration(programs)).as_secs()
    }

    fn configuration(programs: &str) -> Configuration {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("c.conf");
        fs::write(&path, format!("[supervisord]\n{programs}")).unwrap();
        let request = Request { file: path.display().to_string(), overrides: Vec::new() };
        bardo_config::load(&Machine, &request).unwrap().configuration
    }

    #[test]
    fn there_is_room_for_the_descriptors_of_all_programs_and_more() {
        let of = |programs: u32| {
            let name = "process_name=%(process_num)d";
            let text = format!("[program:a]\ncommand=x\n{name}\nnumprocs={programs}\n");
            kept(&configuration(&text))
        };

        assert_eq!([1, 500, 1000, 5000].map(of), [4096, 4096, 8192, 65536]);
    }

    #[test]
    fn groups_stop_one_after_the_other_and_members_together() {
        let programs = "[program:a]\ncommand=x\nstopwaitsecs=30\n\
                        [program:b]\ncommand=x\nstopwaitsecs=40\n\
                        [program:c]\ncommand=x\nstopwaitsecs=5\n";

        assert_eq!(seconds(programs), 85);
        assert_eq!(seconds(&format!("{programs}[group:g]\nprograms=a,b\n")), 55);
    }

    #[test]
    fn whoever_depends_on_a_member_stops_before_it() {
        let programs = "[program:a]\ncommand=x\nstopwaitsecs=30\n\
                        [program:b]\ncommand=x\nstopwaitsecs=40\ndepends_on=a\n\
                        [program:c]\ncommand=x\nstopwaitsecs=5\ndepends_on=b\n\
                        [group:g]\nprograms=a,b,c\n";

        assert_eq!(seconds(programs), 85);
    }

    #[test]
    fn a_configuration_of_nothing_has_time_for_what_is_brought_up() {
        assert_eq!(seconds(""), LEAST.as_secs());
        assert_eq!(seconds("[program:a]\ncommand=x\nstopwaitsecs=999999999999\n"), 604_800);
    }
}
