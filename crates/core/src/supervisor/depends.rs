//! Who depends on whom: a start waits for what it needs, a stop for those who need it.
//!
//! Names are looked up once for each table, when somebody first asks; while nobody depends
//! on anything, nothing here costs anything. What goes down later stops nobody: a condition
//! counts when a start is about to be made. Services that need each other in a circle do not
//! wait for one another, because nobody would ever begin; the configuration refuses circles,
//! so people are told of one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Supervisor;
use crate::action::{Action, Actions, Notice};
use crate::decision::{Decision, What};
use crate::group::Group;
use crate::id::ServiceId;
use crate::input::Mood;
use crate::mutant::{self, Mutant};
use crate::service::{Launch, Service, State, StateName, Stimulus};
use crate::spec::care::{Condition, Dependency};
use crate::time::Now;

/// Who depends on whom, and who waits.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    /// How many services depend on something.
    dependents: usize,
    /// Whether the table has changed since names were looked up.
    is_stale: bool,
    /// Whether everybody who waits is to be looked at again.
    is_unsettled: bool,
    /// What each service needs.
    needs: BTreeMap<ServiceId, Vec<Need>>,
    /// Who needs each service. Circles are left out.
    needed_by: BTreeMap<ServiceId, Vec<ServiceId>>,
    /// Those whose start or stop waits.
    held: BTreeSet<ServiceId>,
}

/// Something that a service needs.
#[derive(Debug)]
struct Need {
    /// What it is called.
    label: Arc<str>,
    condition: Condition,
    /// What it is; empty when there is no such thing.
    services: Vec<ServiceId>,
    /// Whether some of it needs the service in turn. That is waited for by nobody.
    is_circular: bool,
}

impl Dependencies {
    /// Takes note of a service that comes.
    pub(super) fn come(&mut self, service: &Service) {
        self.is_stale = true;
        self.dependents += usize::from(!service.dependencies().is_empty());
        if service.is_start_held() || service.is_stop_held() {
            self.held.insert(service.id);
        }
    }

    /// Takes note of a service that goes.
    pub(super) fn go(&mut self, service: &Service) {
        self.is_stale = true;
        self.dependents -= usize::from(!service.dependencies().is_empty());
        self.held.remove(&service.id);
    }

    /// Has everybody who waits looked at again at the end of this step.
    pub(super) fn unsettle(&mut self) {
        self.is_unsettled = true;
    }

    /// Those whose start or stop waits.
    pub(super) fn held(&self) -> Vec<ServiceId> {
        self.held.iter().copied().collect()
    }

    fn is_idle(&self) -> bool {
        self.dependents == 0 && self.held.is_empty()
    }

    /// Looks up all names.
    fn look_up(&mut self, groups: &[Group], services: &[Option<Service>]) {
        let names = Names::of(groups);
        self.needs.clear();
        self.needed_by.clear();
        for service in services.iter().flatten() {
            if !service.dependencies().is_empty() {
                let needs = service.dependencies().iter().map(|dependency| names.need(dependency));
                self.needs.insert(service.id, needs.collect());
            }
        }
        self.cut_circles();
        for (id, needs) in &self.needs {
            for service in needs.iter().flat_map(|need| &need.services) {
                let users = self.needed_by.entry(*service).or_default();
                if users.last() != Some(id) {
                    users.push(*id);
                }
            }
        }
    }

    /// Takes out whatever needs whoever needs it.
    fn cut_circles(&mut self) {
        // All are found before any is taken out: one less could hide another.
        let mut circular: BTreeSet<(ServiceId, ServiceId)> = BTreeSet::new();
        for id in self.in_circles() {
            let needed = self.services_needed_by(id).filter(|needed| self.reaches(*needed, id));
            circular.extend(needed.map(|needed| (id, needed)));
        }
        if circular.is_empty() {
            return;
        }
        for (id, needs) in &mut self.needs {
            for need in needs {
                let before = need.services.len();
                need.services.retain(|service| !circular.contains(&(*id, *service)));
                need.is_circular |= need.services.len() < before;
            }
        }
    }

    /// All that are in a circle, and some that are between two: everybody else is taken
    /// away from the end that needs nobody.
    fn in_circles(&self) -> Vec<ServiceId> {
        let mut open: BTreeMap<ServiceId, usize> = BTreeMap::new();
        let mut users: BTreeMap<ServiceId, Vec<ServiceId>> = BTreeMap::new();
        for id in self.needs.keys() {
            let needed =
                self.services_needed_by(*id).filter(|needed| self.needs.contains_key(needed));
            for needed in needed {
                users.entry(needed).or_default().push(*id);
                *open.entry(*id).or_default() += 1;
            }
        }
        let mut free: Vec<ServiceId> =
            self.needs.keys().copied().filter(|id| !open.contains_key(id)).collect();
        while let Some(id) = free.pop() {
            for user in users.remove(&id).into_iter().flatten() {
                if let Some(left) = open.get_mut(&user) {
                    *left -= 1;
                    if *left == 0 {
                        open.remove(&user);
                        free.push(user);
                    }
                }
            }
        }
        open.into_keys().collect()
    }

    /// Whether one service needs another, directly or not.
    fn reaches(&self, from: ServiceId, to: ServiceId) -> bool {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(id) = next.pop() {
            if id == to {
                return true;
            }
            if seen.insert(id) {
                next.extend(self.services_needed_by(id));
            }
        }
        false
    }

    fn services_needed_by(&self, id: ServiceId) -> impl Iterator<Item = ServiceId> + '_ {
        let needs = self.needs.get(&id).into_iter().flatten();
        needs.flat_map(|need| need.services.iter().copied())
    }

    fn users(&self, id: ServiceId) -> &[ServiceId] {
        self.needed_by.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// The names of a table, for many questions.
struct Names<'a> {
    groups: HashMap<&'a str, &'a Group>,
    /// `None` for a name that several have.
    processes: HashMap<&'a str, Option<ServiceId>>,
}

impl<'a> Names<'a> {
    fn of(groups: &'a [Group]) -> Self {
        let mut processes = HashMap::new();
        for group in groups {
            for (spec, id) in group.spec.services.iter().zip(&group.members) {
                let known = processes.entry(&*spec.name);
                known.and_modify(|known| *known = None).or_insert(Some(*id));
            }
        }
        let groups = groups.iter().map(|group| (&*group.spec.name, group)).collect();
        Self { groups, processes }
    }

    fn need(&self, dependency: &Dependency) -> Need {
        let (group, name) = (&*dependency.group, &*dependency.name);
        let services = match (group, name) {
            ("", name) => self.anything(name),
            (group, "") => self.groups.get(group).map_or(Vec::new(), |group| group.members.clone()),
            (group, name) => self.process(group, name).into_iter().collect(),
        };
        let label = match (group, name) {
            ("", name) | (name, "") => Arc::from(name),
            (group, name) => Arc::from(format!("{group}:{name}")),
        };
        Need { label, condition: dependency.condition, services, is_circular: false }
    }

    /// What one word means: a process, or else all of a group.
    fn anything(&self, label: &str) -> Vec<ServiceId> {
        let process = self
            .process(label, label)
            .or_else(|| label.split_once(':').and_then(|(group, name)| self.process(group, name)))
            .or_else(|| self.processes.get(label).copied().flatten());
        let group = || self.groups.get(label).map_or(Vec::new(), |group| group.members.clone());
        process.map_or_else(group, |process| vec![process])
    }

    fn process(&self, group: &str, name: &str) -> Option<ServiceId> {
        let group = self.groups.get(group)?;
        let place = group.spec.services.iter().position(|service| *service.name == *name)?;
        Some(group.members[place])
    }
}

impl Supervisor {
    /// What follows for others, and for itself, when a service was stepped.
    pub(super) fn settle_held(&mut self, now: Now, id: ServiceId, actions: &mut Actions) {
        if self.depends.is_idle() && !self.is_held(id) {
            return;
        }
        self.know_dependencies();
        if self.is_held(id) {
            if !self.depends.held.contains(&id) {
                self.begin_to_wait(now, id, actions);
            }
        } else {
            self.depends.held.remove(&id);
        }
        if self.depends.held.is_empty() {
            return;
        }
        if self.depends.is_unsettled {
            return self.settle_all_held(now, actions);
        }
        let mut waiting = vec![id];
        waiting.extend(self.depends.users(id));
        waiting.extend(self.depends.services_needed_by(id));
        for other in waiting {
            self.release_in_time(now, other, actions);
        }
    }

    /// Looks at everybody who waits, when the table or the mood has changed.
    pub(super) fn settle_all_held(&mut self, now: Now, actions: &mut Actions) {
        if self.depends.is_idle() {
            return;
        }
        self.know_dependencies();
        if std::mem::take(&mut self.depends.is_unsettled) {
            for id in self.depends.held() {
                self.release_in_time(now, id, actions);
            }
        }
    }

    /// Puts those who depend on others before them: so they stop. Beside `ids` it may be
    /// others, as long as `more` says so.
    pub(super) fn in_stop_order(
        &mut self,
        ids: Vec<ServiceId>,
        more: impl Fn(&Self, ServiceId) -> bool,
    ) -> Vec<ServiceId> {
        if self.depends.dependents == 0 {
            return ids;
        }
        self.know_dependencies();
        let (mut order, mut seen) = (Vec::with_capacity(ids.len()), BTreeSet::new());
        let mut next: Vec<(ServiceId, bool)> =
            ids.into_iter().rev().map(|id| (id, false)).collect();
        while let Some((id, users_are_placed)) = next.pop() {
            if users_are_placed {
                order.push(id);
            } else if seen.insert(id) {
                next.push((id, true));
                let users = self.depends.users(id).iter().rev();
                next.extend(users.filter(|user| more(self, **user)).map(|user| (*user, false)));
            }
        }
        order
    }

    /// Whether somebody who depends on a service is just being stopped.
    pub(super) fn has_stopping_users(&mut self, id: ServiceId) -> bool {
        if self.depends.dependents == 0 || mutant::on(Mutant::StopsDependencyFirst) {
            return false;
        }
        self.know_dependencies();
        self.depends.users(id).iter().any(|user| {
            self.service(*user).is_some_and(|user| user.state_name() == StateName::Stopping)
        })
    }

    fn is_held(&self, id: ServiceId) -> bool {
        self.service(id).is_some_and(|service| service.is_start_held() || service.is_stop_held())
    }

    fn know_dependencies(&mut self) {
        if std::mem::take(&mut self.depends.is_stale) {
            self.depends.look_up(&self.groups, &self.services);
            self.depends.is_unsettled = true;
        }
    }

    /// Notes that a service waits, and says for what when it is not there already.
    fn begin_to_wait(&mut self, now: Now, id: ServiceId, actions: &mut Actions) {
        self.depends.held.insert(id);
        let Some(service) = self.service(id).filter(|service| service.is_start_held()) else {
            return;
        };
        let needs = self.depends.needs.get(&id).into_iter().flatten();
        for need in needs.clone().filter(|need| need.is_circular) {
            let on = Arc::clone(&need.label);
            actions.push(Action::Notice(Notice::NeedsItself { service: id, on }));
        }
        if let Some(need) = needs.clone().find(|need| !self.is_met(need)) {
            let (service, generation, at) = (id, service.generation, now.wall);
            let what = What::Holds { on: Arc::clone(&need.label) };
            actions.push(Action::Decided(Decision { service, generation, at, what }));
        }
    }

    /// Releases a service if it need not wait any longer. A supervisor that does not know yet
    /// what became of a predecessor's processes cannot tell.
    fn release_in_time(&mut self, now: Now, id: ServiceId, actions: &mut Actions) {
        let Some(service) = self.service(id).filter(|_| !self.recovering) else { return };
        let is_due = if service.is_start_held() {
            self.can_start(id)
        } else {
            service.is_stop_held() && !self.has_stopping_users(id)
        };
        if is_due {
            self.stir(now, id, Stimulus::Release, actions);
        }
    }

    /// Whether all that a service needs is there.
    fn can_start(&self, id: ServiceId) -> bool {
        let mut needs = self.depends.needs.get(&id).into_iter().flatten();
        let is_met =
            mutant::on(Mutant::StartsBeforeDependency) || needs.all(|need| self.is_met(need));
        self.mood_for(id) == Mood::Running && is_met
    }

    fn is_met(&self, need: &Need) -> bool {
        let met = |id: &ServiceId| {
            self.service(*id).is_some_and(|service| match (need.condition, service.state) {
                (_, State::Running)
                | (Condition::Started, State::Starting { launch: Launch::Executed, .. }) => true,
                (
                    Condition::Started | Condition::Ready,
                    State::Starting { .. }
                    | State::Stopped
                    | State::Backoff { .. }
                    | State::Recovering { .. }
                    | State::Stopping { .. }
                    | State::Exited
                    | State::Fatal
                    | State::Unknown,
                ) => false,
            })
        };
        (need.is_circular || !need.services.is_empty()) && need.services.iter().all(met)
    }
}
