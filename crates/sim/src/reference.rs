//! What Supervisor would do: the rules of its documentation written down a second
//! time, as plainly as possible and without a look at the core's own way.
//!
//! It is told the same things as the core, and both tables must be the same
//! whenever something is recorded. It knows no actions, no events and no crash: a
//! recovered table is taken over, because another check says that it is the
//! recorded one.

mod member;

use std::collections::VecDeque;
use std::sync::Arc;

use bardo_core::id::ExitSequence;
use bardo_core::input::Mood;
use bardo_core::job::{Answer, Refusal};
use bardo_core::reconcile::Scope;
use bardo_core::{
    Command, Configuration, Generation, GroupSpec, Input, Instant, Now, Pid, ServiceId,
    ServiceSpec, Supervisor, Target, Verb,
};

/// What a service is doing, as far as it can be said beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Stopped,
    Requested,
    Cloned { since: Instant },
    Executed { since: Instant },
    Running,
    Backoff { until: Instant },
    Stopping { kill_at: Instant, killing: bool },
    Exited,
    Fatal,
    Unknown,
}

/// One service.
#[derive(Debug, Clone)]
struct Member {
    spec: Arc<ServiceSpec>,
    doing: Doing,
    wanted: bool,
    generation: Generation,
    pid: Option<Pid>,
    failures: u32,
    started: bool,
    exit_sequence: ExitSequence,
    /// How often a start has succeeded.
    successes: u32,
}

/// A life that a command of a client concerns.
#[derive(Debug, Clone, Copy)]
pub struct Concerned {
    /// Whose.
    pub id: ServiceId,
    /// Which life: for a start the one that begins.
    pub generation: Generation,
    /// How often starts of the service had succeeded before.
    pub successes: u32,
}

/// The whole table.
#[derive(Debug, Clone)]
pub struct Reference {
    mood: Mood,
    loaded: Configuration,
    replacement: Option<Configuration>,
    groups: Vec<(Arc<GroupSpec>, Vec<ServiceId>)>,
    members: Vec<Option<Member>>,
    /// What each place remembers of who was there: the last life, and `successes`.
    past: Vec<(Generation, u32)>,
    recovering: bool,
    /// Births that were decided, in the order in which they must come.
    births: VecDeque<(ServiceId, Generation)>,
}

impl Reference {
    /// The rules, from a table on: an empty one, or a recovered one.
    #[must_use]
    pub fn new(supervisor: &Supervisor, recovering: bool) -> Self {
        let snapshot = supervisor.snapshot();
        let places = snapshot.places.len();
        Self {
            mood: supervisor.mood(),
            loaded: snapshot.loaded,
            replacement: snapshot.replacement,
            groups: snapshot
                .groups
                .iter()
                .map(|group| (Arc::clone(&group.spec), group.members.clone()))
                .collect(),
            members: (0..places)
                .map(|place| supervisor.service(id(place)).map(Member::of))
                .collect(),
            past: snapshot.places.iter().map(|place| (place.generation, 0)).collect(),
            recovering,
            births: VecDeque::new(),
        }
    }

    /// Takes in what the core was told. The answer to a command, where it can be
    /// said at once.
    pub fn step(&mut self, now: Now, input: &Input) -> Option<Answer> {
        let mut answer = None;
        match input {
            Input::Begin(configuration) => self.begin(configuration.clone()),
            Input::Resume => self.resume(),
            Input::Command { command, .. } => answer = self.command(now, command),
            Input::Shutdown => self.mood = Mood::Shutdown,
            Input::Replace(configuration) => {
                if self.mood != Mood::Shutdown {
                    self.mood = Mood::Restarting;
                    self.replacement = Some(configuration.clone());
                }
            }
            Input::Timeout => {
                let mood = self.mood;
                for id in self.by_deadline() {
                    self.change(id, |member| member.timeout(now, mood));
                }
            }
            Input::Found { service, .. }
            | Input::Spawned { service, .. }
            | Input::Executed { service, .. }
            | Input::SpawnFailed { service, .. }
            | Input::Exited { service, .. }
            | Input::Signalled { service, .. }
            | Input::SignalFailed { service, .. } => {
                let mood = self.mood;
                self.change(*service, |member| member.news(now, mood, input));
            }
        }
        if self.mood != Mood::Running && !self.recovering {
            self.wind_down(now);
        }
        answer
    }

    /// What differs from the core's table, in words.
    ///
    /// # Errors
    /// What differs.
    pub fn compare(&self, supervisor: &Supervisor) -> Result<(), String> {
        if self.mood != supervisor.mood() {
            return Err(format!(
                "the mood is {:?} and should be {:?}",
                supervisor.mood(),
                self.mood
            ));
        }
        let names = |groups: &mut dyn Iterator<Item = &Arc<GroupSpec>>| -> Vec<Arc<str>> {
            groups.map(|spec| Arc::clone(&spec.name)).collect()
        };
        let present = names(&mut supervisor.groups().iter().map(|group| &group.spec));
        let expected = names(&mut self.groups.iter().map(|(spec, _)| spec));
        if present != expected {
            return Err(format!("the groups are {present:?} and should be {expected:?}"));
        }
        if *supervisor.loaded() != self.loaded {
            return Err("the loaded configuration is another one".to_owned());
        }
        for (place, expected) in self.members.iter().enumerate() {
            match (supervisor.service(id(place)), expected) {
                (None, None) => {}
                (Some(service), Some(expected)) => expected.compare(service)?,
                (service, expected) => {
                    return Err(format!(
                        "place {place} has {:?} and should have {:?}",
                        service.map(|service| &service.spec.name),
                        expected.as_ref().map(|expected| &expected.spec.name)
                    ));
                }
            }
        }
        Ok(())
    }

    /// The lives that a command of a client concerns.
    #[must_use]
    pub fn concerned(&self, verb: Verb, target: &Target) -> Vec<Concerned> {
        self.select(target)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|id| {
                let member = self.members[id.0 as usize].as_ref()?;
                let generation = match verb {
                    Verb::Start => member.generation.next(),
                    Verb::Stop | Verb::Signal(_) => member.generation,
                };
                let successes = member.successes;
                let concerned = Concerned { id, generation, successes };
                member.refusal(verb).is_none().then_some(concerned)
            })
            .collect()
    }

    /// How many services of a target a command fails for, because nothing is known of
    /// them.
    #[must_use]
    pub fn unknown(&self, verb: Verb, target: &Target) -> usize {
        let ids = self.select(target).unwrap_or_default().into_iter();
        let members = ids.filter_map(|id| self.members[id.0 as usize].as_ref());
        members.filter(|there| there.refusal(verb) == Some(Refusal::UnknownState)).count()
    }

    /// How often the starts of a service have succeeded.
    #[must_use]
    pub fn successes(&self, id: ServiceId) -> Option<u32> {
        Some(self.members.get(id.0 as usize)?.as_ref()?.successes)
    }

    /// The birth that must come next.
    pub fn next_birth(&mut self) -> Option<(ServiceId, Generation)> {
        self.births.pop_front()
    }

    /// Changes a member, and notes the births that this decides or takes back.
    fn change<T>(&mut self, id: ServiceId, change: impl FnOnce(&mut Member) -> T) -> Option<T> {
        let member = self.members.get_mut(id.0 as usize)?.as_mut()?;
        let before = member.generation;
        let result = change(member);
        let (after, is_requested) = (member.generation, member.doing == Doing::Requested);
        if !is_requested {
            self.births.retain(|birth| *birth != (id, before));
        }
        if after != before {
            self.births.push_back((id, after));
        }
        Some(result)
    }

    /// All places, those first whose next try is due first.
    fn by_deadline(&self) -> Vec<ServiceId> {
        let mut ids: Vec<ServiceId> = (0..self.members.len()).map(id).collect();
        ids.sort_by_key(|id| match &self.members[id.0 as usize] {
            Some(Member { doing: Doing::Backoff { until }, .. }) => *until,
            _ => Instant(u64::MAX),
        });
        ids
    }

    /// The groups by ascending priority.
    fn by_priority(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.sort_by_key(|group| self.groups[*group].0.priority);
        order
    }

    fn begin(&mut self, configuration: Configuration) {
        self.loaded = configuration;
        for spec in self.loaded.groups.clone() {
            if !self.groups.iter().any(|(there, _)| there.name == spec.name) {
                self.add(spec);
            }
        }
        for group in self.by_priority() {
            self.autostart(group);
        }
    }

    fn add(&mut self, spec: Arc<GroupSpec>) {
        let ids = self.settle(&spec.services);
        self.groups.push((spec, ids));
    }

    /// Finds places for services.
    fn settle(&mut self, services: &[Arc<ServiceSpec>]) -> Vec<ServiceId> {
        let mut ids = Vec::new();
        for service in services {
            let free = self.members.iter().position(Option::is_none);
            let place = free.unwrap_or_else(|| {
                self.members.push(None);
                self.past.push((Generation::default(), 0));
                self.members.len() - 1
            });
            self.members[place] = Some(Member::new(Arc::clone(service), self.past[place]));
            ids.push(id(place));
        }
        ids
    }

    fn autostart(&mut self, group: usize) {
        self.start_by_themselves(&self.groups[group].1.clone());
    }

    fn start_by_themselves(&mut self, ids: &[ServiceId]) {
        for id in ids {
            self.change(*id, |member| {
                if member.spec.program.autostart {
                    member.start();
                }
            });
        }
    }

    fn join(&mut self, group: &Arc<str>, services: &[Arc<ServiceSpec>]) -> Answer {
        let found = self.groups.iter().position(|(spec, _)| spec.name == *group);
        let Some(group) = found else {
            return Answer::Refused(Refusal::NoSuchGroup);
        };
        let spec = Arc::clone(&self.groups[group].0);
        for service in services {
            if spec.services.iter().any(|there| there.name == service.name) {
                return Answer::Refused(Refusal::NameTaken(Arc::clone(&service.name)));
            }
        }
        let ids = self.settle(services);
        let with_them = [&spec.services, services].concat();
        self.groups[group].1.extend(&ids);
        self.remember(group, with_them);
        self.start_by_themselves(&ids);
        Answer::Done
    }

    fn leave(&mut self, group: &Arc<str>, process: &Arc<str>) -> Answer {
        let found = self.groups.iter().position(|(spec, _)| spec.name == *group);
        let Some(group) = found else {
            return Answer::Refused(Refusal::NoSuchGroup);
        };
        let (spec, ids) = self.groups[group].clone();
        let Some(place) = spec.services.iter().position(|there| there.name == *process) else {
            return Answer::Refused(Refusal::NoSuchName);
        };
        let id = ids[place];
        let member = self.members[id.0 as usize].as_ref();
        if !member.is_none_or(Member::is_stopped) {
            return Answer::Refused(Refusal::StillRunning);
        }
        self.forget(id);
        self.groups[group].1.retain(|other| *other != id);
        let others = spec.services.iter().filter(|there| there.name != *process);
        self.remember(group, others.cloned().collect());
        Answer::Done
    }

    /// A group has other members, and so has its loaded description where that was the
    /// same.
    fn remember(&mut self, group: usize, services: Vec<Arc<ServiceSpec>>) {
        let before = Arc::clone(&self.groups[group].0);
        let after = Arc::new(GroupSpec { services, ..(*before).clone() });
        for loaded in &mut self.loaded.groups {
            if **loaded == *before {
                *loaded = Arc::clone(&after);
            }
        }
        self.groups[group].0 = after;
    }

    fn remove(&mut self, group: usize) {
        for id in self.groups.remove(group).1 {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ServiceId) {
        if let Some(member) = self.members[id.0 as usize].take() {
            self.past[id.0 as usize] = (member.generation, member.successes);
        }
    }

    /// A supervisor that was cut off between adding a group and starting it finds
    /// services that were never started and should have been.
    fn resume(&mut self) {
        self.recovering = false;
        if self.mood == Mood::Running {
            for place in 0..self.members.len() {
                self.change(id(place), |member| {
                    if !member.started && member.spec.program.autostart {
                        member.start();
                    }
                });
            }
        }
    }

    fn command(&mut self, now: Now, command: &Command) -> Option<Answer> {
        if self.mood != Mood::Running {
            return Some(Answer::Refused(Refusal::ShuttingDown));
        }
        match command {
            Command::Act { verb, target, .. } => self.act(now, *verb, target),
            Command::Load(configuration) => {
                self.loaded = configuration.clone();
                None
            }
            Command::Reconcile(scope) => Some(self.reconcile(scope)),
            Command::Join { group, services } => Some(self.join(group, services)),
            Command::Leave { group, process } => Some(self.leave(group, process)),
            Command::Look => Some(Answer::Table),
            Command::Shutdown => {
                self.mood = Mood::Shutdown;
                Some(Answer::Done)
            }
            Command::Restart => Some(Answer::Done),
        }
    }

    fn act(&mut self, now: Now, verb: Verb, target: &Target) -> Option<Answer> {
        let Some(ids) = self.select(target) else {
            return Some(Answer::Refused(Refusal::NoSuchName));
        };
        let single = matches!(target, Target::Process(..));
        for id in ids {
            let refusal = self.change(id, |member| {
                let refusal = member.refusal(verb);
                match (&refusal, verb) {
                    (None, Verb::Start) => member.start(),
                    (None, Verb::Stop) => member.stop(now),
                    (Some(_), _) | (None, Verb::Signal(_)) => {}
                }
                refusal
            });
            if let (Some(Some(refusal)), true) = (refusal, single) {
                return Some(Answer::Refused(refusal));
            }
        }
        None
    }

    fn reconcile(&mut self, scope: &Scope) -> Answer {
        match scope {
            Scope::Add(name) => {
                let Some(spec) = self.loaded.group(name).cloned() else {
                    return Answer::Refused(Refusal::NoSuchName);
                };
                if self.groups.iter().any(|(there, _)| there.name == *name) {
                    return Answer::Refused(Refusal::AlreadyAdded);
                }
                self.add(spec);
                self.autostart(self.groups.len() - 1);
            }
            Scope::Remove(name) => {
                let found = self.groups.iter().position(|(spec, _)| spec.name == *name);
                let Some(group) = found else {
                    return Answer::Refused(Refusal::NoSuchName);
                };
                if !self.is_all_stopped(group) {
                    return Answer::Refused(Refusal::StillRunning);
                }
                self.remove(group);
            }
        }
        Answer::Done
    }

    fn select(&self, target: &Target) -> Option<Vec<ServiceId>> {
        match target {
            Target::All => {
                let groups = self.by_priority().into_iter();
                Some(groups.flat_map(|group| self.ranked(group)).collect())
            }
            Target::Group(name) => {
                let group = self.groups.iter().position(|(spec, _)| spec.name == *name)?;
                Some(self.ranked(group))
            }
            Target::Process(group, name) => {
                let (spec, ids) = self.groups.iter().find(|(spec, _)| spec.name == *group)?;
                let place = spec.services.iter().position(|there| there.name == *name)?;
                Some(vec![ids[place]])
            }
        }
    }

    /// The members of a group by ascending priority.
    fn ranked(&self, group: usize) -> Vec<ServiceId> {
        let (spec, ids) = &self.groups[group];
        let mut places: Vec<usize> = (0..ids.len()).collect();
        places.sort_by_key(|place| spec.services[*place].program.priority);
        places.into_iter().map(|place| ids[place]).collect()
    }

    fn is_all_stopped(&self, group: usize) -> bool {
        self.groups[group]
            .1
            .iter()
            .all(|id| self.members[id.0 as usize].as_ref().is_none_or(Member::is_stopped))
    }

    fn wind_down(&mut self, now: Now) {
        for group in self.by_priority().into_iter().rev() {
            for id in self.groups[group].1.clone() {
                self.change(id, |member| member.shut_down(now));
            }
            if !self.is_all_stopped(group) {
                return;
            }
        }
        let replacement = self.replacement.take();
        if self.mood == Mood::Restarting
            && let Some(configuration) = replacement
        {
            while !self.groups.is_empty() {
                self.remove(0);
            }
            self.mood = Mood::Running;
            self.begin(configuration);
        }
    }
}

fn id(place: usize) -> ServiceId {
    ServiceId(u32::try_from(place).expect("a small table"))
}
