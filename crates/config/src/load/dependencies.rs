//! What programs depend on: names are looked up among all groups, and circles are refused.
//!
//! A name alone is that of a group, or else that of the one process that is called so. It
//! is written down as the core looks for it: the group and the name, the name alone where
//! both are the same, and the group alone for all of its processes.

use std::collections::HashMap;
use std::sync::Arc;

use bardo_core::spec::ProgramSpec;
use bardo_core::spec::care::{Care, Dependency};
use bardo_core::{GroupSpec, ServiceSpec};

use crate::error::ConfigError;
use crate::value::dependency_label;

/// Where the dependencies of a section are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// The section.
    pub(super) section: String,
    /// `file:line`.
    pub(super) place: String,
}

/// Where the dependencies of a group's processes are written, by the group and the process.
pub(super) type Places = HashMap<(Arc<str>, Arc<str>), Written>;

/// Every process by where it stands: its group's place and its own.
type Node = (usize, usize);

/// Looks up what the processes of all groups depend on, and answers with all that is wrong
/// with it. A circle is looked for where all names are known.
pub(super) fn resolve(groups: &mut [Arc<GroupSpec>], places: &Places) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    if places.is_empty() {
        return errors;
    }
    let names = Names::new(groups);
    let mut edges: HashMap<Node, Vec<Node>> = HashMap::new();
    let mut changed = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        for (member, service) in group.services.iter().enumerate() {
            let Some(care) = caring(service) else { continue };
            let key = (Arc::clone(&group.name), Arc::clone(&service.name));
            let written = places.get(&key).expect("whoever depends on something says where");
            let mut resolved = Vec::with_capacity(care.depends_on.len());
            for dependency in &care.depends_on {
                match names.find(groups, dependency, written) {
                    Ok((dependency, nodes)) => {
                        edges.entry((place, member)).or_default().extend(nodes);
                        resolved.push(dependency);
                    }
                    // The processes of a section often say the same.
                    Err(error) if errors.contains(&error) => {}
                    Err(error) => errors.push(error),
                }
            }
            if resolved != care.depends_on {
                changed.push(((place, member), resolved));
            }
        }
    }
    if errors.is_empty() {
        match refuse_circles(groups, &edges, places) {
            Ok(()) => replace(groups, changed),
            Err(error) => errors.push(error),
        }
    }
    errors
}

/// What a service asks for, where it depends on anything.
fn caring(service: &ServiceSpec) -> Option<&Arc<Care>> {
    service.program.care.as_ref().filter(|care| !care.depends_on.is_empty())
}

/// Groups by name, and the groups that have a process of a name.
struct Names {
    groups: HashMap<Arc<str>, usize>,
    processes: HashMap<Arc<str>, Vec<Node>>,
}

impl Names {
    fn new(groups: &[Arc<GroupSpec>]) -> Self {
        let mut processes: HashMap<Arc<str>, Vec<Node>> = HashMap::new();
        for (place, group) in groups.iter().enumerate() {
            for (member, service) in group.services.iter().enumerate() {
                processes.entry(Arc::clone(&service.name)).or_default().push((place, member));
            }
        }
        let named = |(place, group): (usize, &Arc<GroupSpec>)| (Arc::clone(&group.name), place);
        Self { groups: groups.iter().enumerate().map(named).collect(), processes }
    }

    /// What a dependency means, and the processes that it names.
    fn find(
        &self,
        groups: &[Arc<GroupSpec>],
        asked: &Dependency,
        written: &Written,
    ) -> Result<(Dependency, Vec<Node>), ConfigError> {
        let unknown = || ConfigError::UnknownDependency {
            place: written.place.clone(),
            section: written.section.clone(),
            dependency: dependency_label(asked),
        };
        let whole = |place: usize| (0..groups[place].services.len()).map(move |it| (place, it));
        let nodes: Vec<Node> = if asked.group.is_empty() {
            match (self.groups.get(&asked.name), self.processes.get(&asked.name)) {
                (Some(place), _) => whole(*place).collect(),
                (None, Some(found)) if found.len() == 1 => found.clone(),
                (None, Some(found)) => return Err(ambiguous(groups, asked, found, written)),
                (None, None) => return Err(unknown()),
            }
        } else {
            let place = *self.groups.get(&asked.group).ok_or_else(unknown)?;
            let fits = |name: &str| asked.name.is_empty() || *asked.name == *name;
            whole(place).filter(|(_, it)| fits(&groups[place].services[*it].name)).collect()
        };
        let Some((place, member)) = nodes.first().copied() else {
            return Err(ConfigError::UnknownMember {
                place: written.place.clone(),
                section: written.section.clone(),
                group: asked.group.to_string(),
                name: asked.name.to_string(),
            });
        };
        let group = &groups[place];
        let is_whole = if asked.group.is_empty() {
            self.groups.contains_key(&asked.name)
        } else {
            asked.name.is_empty()
        };
        let name = &group.services[member].name;
        let (group, name) = match (is_whole, group.services.len()) {
            (true, 2..) => (Arc::clone(&group.name), Arc::from("")),
            _ if *group.name == **name => (Arc::from(""), Arc::clone(name)),
            _ => (Arc::clone(&group.name), Arc::clone(name)),
        };
        Ok((Dependency { group, name, condition: asked.condition }, nodes))
    }
}

fn ambiguous(
    groups: &[Arc<GroupSpec>],
    asked: &Dependency,
    found: &[Node],
    written: &Written,
) -> ConfigError {
    ConfigError::AmbiguousDependency {
        place: written.place.clone(),
        section: written.section.clone(),
        dependency: dependency_label(asked),
        candidates: found.iter().map(|node| label(groups, *node)).collect(),
    }
}

/// What a process is called for people.
fn label(groups: &[Arc<GroupSpec>], (place, member): Node) -> String {
    let group = &groups[place];
    let name = &group.services[member].name;
    if group.name == *name { name.to_string() } else { format!("{}:{name}", group.name) }
}

/// How far the walk has come with a process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It is on the way that is being walked.
    OnTheWay,
    /// No circle leads through it.
    Free,
}

/// Refuses the first circle, in the order of the groups. The way is kept by hand: a chain
/// of dependencies may be as long as the table.
fn refuse_circles(
    groups: &[Arc<GroupSpec>],
    edges: &HashMap<Node, Vec<Node>>,
    places: &Places,
) -> Result<(), ConfigError> {
    let mut seen: HashMap<Node, Seen> = HashMap::new();
    let mut starts: Vec<Node> = edges.keys().copied().collect();
    starts.sort_unstable();
    for start in starts {
        if seen.contains_key(&start) {
            continue;
        }
        // Each process of the way with how many of its dependencies have been followed.
        let mut way = vec![(start, 0)];
        seen.insert(start, Seen::OnTheWay);
        while let Some((node, followed)) = way.last_mut() {
            let next = edges.get(node).and_then(|nodes| nodes.get(*followed)).copied();
            *followed += 1;
            match next.map(|next| (next, seen.get(&next))) {
                None => {
                    seen.insert(*node, Seen::Free);
                    way.pop();
                }
                Some((_, Some(Seen::Free))) => {}
                Some((next, Some(Seen::OnTheWay))) => {
                    let circle = way.iter().map(|(node, _)| *node).skip_while(|it| *it != next);
                    return Err(circular(groups, &circle.collect::<Vec<_>>(), places));
                }
                Some((next, None)) => {
                    seen.insert(next, Seen::OnTheWay);
                    way.push((next, 0));
                }
            }
        }
    }
    Ok(())
}

fn circular(groups: &[Arc<GroupSpec>], circle: &[Node], places: &Places) -> ConfigError {
    let (place, member) = circle[0];
    let group = &groups[place];
    let key = (Arc::clone(&group.name), Arc::clone(&group.services[member].name));
    let written = places.get(&key).expect("whoever depends on something says where");
    let around = circle.iter().chain(&circle[..1]);
    ConfigError::CircularDependency {
        place: written.place.clone(),
        section: written.section.clone(),
        circle: around.map(|node| label(groups, *node)).collect(),
    }
}

/// Puts what the dependencies mean in the place of what was written. Processes that shared
/// a program and depend on the same go on sharing it.
fn replace(groups: &mut [Arc<GroupSpec>], changed: Vec<(Node, Vec<Dependency>)>) {
    let mut last: Option<(Arc<ProgramSpec>, Arc<ProgramSpec>)> = None;
    for ((place, member), resolved) in changed {
        let group = Arc::make_mut(&mut groups[place]);
        let service = Arc::make_mut(&mut group.services[member]);
        let program = match &last {
            Some((before, after)) if Arc::ptr_eq(before, &service.program) => Arc::clone(after),
            _ => {
                let mut program = ProgramSpec::clone(&service.program);
                let care = program.care.as_deref().expect("it depends on something").clone();
                program.care = Some(Arc::new(Care { depends_on: resolved, ..care }));
                Arc::new(program)
            }
        };
        last = Some((std::mem::replace(&mut service.program, Arc::clone(&program)), program));
    }
}
