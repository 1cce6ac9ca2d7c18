//! The whole table: groups, services, clients that wait, and the order of things.

mod ending;
mod members;

use std::sync::Arc;

use self::ending::Winding;
use crate::action::{Action, Actions, Notice};
use crate::event::Event;
use crate::group::{Group, start_order};
use crate::id::{Generation, ServiceId, Ticket};
use crate::input::{Input, Mood};
use crate::job::{self, Answer, Command, Job, Outcome, Refusal, Target, Verb, Wait};
use crate::mutant::{self, Mutant};
use crate::reconcile::{Difference, Scope};
use crate::record::{Place, Record, ServiceRecord, Snapshot};
use crate::service::{Service, StateName, Stimulus};
use crate::signal::Signal;
use crate::spec::{Configuration, GroupSpec, Reach};
use crate::time::{Instant, Now};
use crate::timers::Timers;

/// Everything a supervisor knows and decides.
#[derive(Debug)]
pub struct Supervisor {
    mood: Mood,
    loaded: Configuration,
    replacement: Option<Configuration>,
    groups: Vec<Group>,
    services: Vec<Option<Service>>,
    /// The last life that began at each place, also when nobody is there now.
    generations: Vec<Generation>,
    jobs: Vec<Job>,
    timers: Timers,
    death_report_at: Option<Instant>,
    winding: Option<Winding>,
    /// Whether it is still being told what became of a predecessor's processes:
    /// nothing ends before that is known.
    recovering: bool,
    finished: bool,
    changes: Changes,
}

/// What has changed since the last time records were taken.
#[derive(Debug, Default)]
struct Changes {
    /// Changes of the table as a whole, in order.
    table: Vec<Record>,
    /// Services that were stepped, each once.
    services: Vec<ServiceId>,
    /// Whether a service is in `services`, by place.
    marked: Vec<bool>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// An empty table that works.
    #[must_use]
    pub fn new() -> Self {
        Self {
            mood: Mood::Running,
            loaded: Configuration::default(),
            replacement: None,
            groups: Vec::new(),
            services: Vec::new(),
            generations: Vec::new(),
            jobs: Vec::new(),
            timers: Timers::default(),
            death_report_at: None,
            winding: None,
            recovering: false,
            finished: false,
            changes: Changes::default(),
        }
    }

    /// The table that a predecessor's records describe. Nothing is decided yet:
    /// tell it what became of the processes, then [`Input::Resume`].
    #[must_use]
    pub fn recover(snapshot: Snapshot) -> Self {
        let mut supervisor = Self::new();
        supervisor.recovering = true;
        supervisor.mood = snapshot.mood.unwrap_or(Mood::Running);
        supervisor.loaded = snapshot.loaded;
        supervisor.replacement = snapshot.replacement;
        supervisor.services.resize_with(snapshot.places.len(), || None);
        supervisor.generations = snapshot.places.iter().map(|place| place.generation).collect();
        for group in snapshot.groups {
            for (spec, id) in group.spec.services.iter().zip(&group.members) {
                let place = snapshot.places.get(id.0 as usize).copied().unwrap_or_default();
                let name = Arc::clone(&group.spec.name);
                let mut service = Service::new(*id, place.generation, name, Arc::clone(spec));
                if let Some(record) = place.service {
                    record.restore(&mut service);
                }
                supervisor.place(service);
            }
            supervisor.groups.push(group);
        }
        supervisor
    }

    /// Takes in what has happened and says what to do.
    pub fn step(&mut self, now: Now, input: Input, actions: &mut Actions) {
        match input {
            Input::Begin(configuration) => self.begin(now, configuration, actions),
            Input::Resume => self.resume(now, actions),
            Input::Found { service, generation, found } => {
                self.stir(now, service, Stimulus::Found(generation, found), actions);
            }
            Input::Command { ticket, command } => self.command(now, ticket, command, actions),
            Input::Spawned { service, generation, pid } => {
                self.spawned(now, service, Stimulus::Spawned(generation, pid), actions);
            }
            Input::Executed { service, generation } => {
                self.stir(now, service, Stimulus::Executed(generation), actions);
            }
            Input::SpawnFailed { service, generation, error } => {
                self.stir(now, service, Stimulus::SpawnFailed(generation, error), actions);
            }
            Input::Exited { service, generation, status, sequence, at } => {
                let exited = Stimulus::Exited(generation, status, sequence, at);
                self.stir(now, service, exited, actions);
            }
            Input::Signalled { service, generation, signal, reach } => {
                self.stir(now, service, Stimulus::Signalled(generation, signal, reach), actions);
                self.signalled(service, generation, signal, actions);
            }
            Input::SignalFailed { service, generation, signal, errno } => {
                self.signal_failed(service, generation, signal, errno, actions);
                self.stir(now, service, Stimulus::SignalFailed(generation, signal, errno), actions);
            }
            Input::Replace(configuration) => self.replace(now, configuration, actions),
            Input::Shutdown => self.shut_down(now, actions),
            Input::Timeout => self.timeout(now, actions),
        }
        if self.mood != Mood::Running && !self.recovering {
            self.wind_down(now, actions);
        }
    }

    /// Hands out every change since the last call, in an order in which
    /// [`Snapshot::apply`] gives the same table. Whoever writes them down may be
    /// cut off after any of them: what is recovered then is a table from which the
    /// same is decided again.
    pub fn take_records(&mut self, mut write: impl FnMut(Record)) {
        self.changes.table.drain(..).for_each(&mut write);
        for id in self.changes.services.drain(..) {
            self.changes.marked[id.0 as usize] = false;
            if let Some(Some(service)) = self.services.get(id.0 as usize) {
                write(Record::Service(ServiceRecord::from(service)));
            }
        }
    }

    /// The whole table, for compaction: records taken before it add nothing.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            loaded: self.loaded.clone(),
            groups: self.groups.clone(),
            places: self.places().collect(),
            mood: Some(self.mood),
            replacement: self.replacement.clone(),
        }
    }

    /// When [`Input::Timeout`] is due, if ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let first = self.timers.first().map(|(deadline, _)| deadline);
        match (first, self.death_report_at) {
            (Some(first), Some(report)) => Some(first.min(report)),
            (first, report) => first.or(report),
        }
    }

    /// Whether everything has stopped and the loop may end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// What begins when everything has stopped.
    #[must_use]
    pub fn replacement(&self) -> Option<&Configuration> {
        self.replacement.as_ref()
    }

    /// Whether it works or ends.
    #[must_use]
    pub fn mood(&self) -> Mood {
        self.mood
    }

    /// What groups are added from.
    #[must_use]
    pub fn loaded(&self) -> &Configuration {
        &self.loaded
    }

    /// The groups that are there, in the order in which they were added.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The service at a place.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id.0 as usize)?.as_ref()
    }

    /// All services, by place.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().flatten()
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        self.services.iter().zip(&self.generations).map(|(service, generation)| Place {
            generation: service.as_ref().map_or(*generation, |service| service.generation),
            service: service.as_ref().map(ServiceRecord::from),
        })
    }

    // First start, reload and update.

    fn begin(&mut self, now: Now, configuration: Configuration, actions: &mut Actions) {
        let difference = self.load(configuration);
        actions.push(Action::Begin);
        for name in difference.added {
            if let Some(spec) = self.loaded.group(&name).cloned() {
                self.add_group(spec, actions);
            }
        }
        // Its record says that there is a whole table.
        self.changes.table.push(Record::Mood(self.mood));
        actions.push(Action::Event(Event::SupervisorRunning));
        actions.push(Action::Begun);
        for index in start_order(&self.groups) {
            self.autostart(now, index, actions);
        }
    }

    fn load(&mut self, configuration: Configuration) -> Difference {
        self.loaded = configuration;
        let record = Record::Loaded(self.loaded.clone());
        self.changes.table.push(record);
        Difference::between(self.groups.iter().map(|group| &group.spec), &self.loaded)
    }

    fn add_group(&mut self, spec: Arc<GroupSpec>, actions: &mut Actions) {
        let members = self.place_services(&spec.name, &spec.services, actions);
        let name = Arc::clone(&spec.name);
        let group = Group { spec, members };
        self.changes.table.push(Record::GroupAdded(group.clone()));
        self.groups.push(group);
        actions.push(Action::Event(Event::GroupAdded(name)));
    }

    fn autostart(&mut self, now: Now, group: usize, actions: &mut Actions) {
        for id in self.groups[group].members.clone() {
            if self.service(id).is_some_and(|service| service.spec.program.autostart) {
                self.stir(now, id, Stimulus::Start, actions);
            }
        }
    }

    fn remove_group(&mut self, index: usize, actions: &mut Actions) {
        let name = Arc::clone(&self.groups[index].spec.name);
        self.take_out_group(index, actions);
        actions.push(Action::Event(Event::GroupRemoved(name)));
    }

    fn take_out_group(&mut self, index: usize, actions: &mut Actions) {
        let group = self.groups.remove(index);
        for id in &group.members {
            self.vacate(*id, actions);
        }
        let record = Record::GroupRemoved(Arc::clone(&group.spec.name));
        self.changes.table.push(record);
    }

    fn reconcile(&mut self, now: Now, scope: &Scope, actions: &mut Actions) -> Answer {
        match scope {
            Scope::Add(name) => {
                // In this order: one that is there and in the file no more has a bad name.
                let Some(spec) = self.loaded.group(name).cloned() else {
                    return Answer::Refused(Refusal::NoSuchName);
                };
                if self.groups.iter().any(|group| group.spec.name == *name) {
                    return Answer::Refused(Refusal::AlreadyAdded);
                }
                self.add_group(spec, actions);
                self.autostart(now, self.groups.len() - 1, actions);
            }
            Scope::Remove(name) => {
                let found = self.groups.iter().position(|group| group.spec.name == *name);
                let Some(index) = found else {
                    return Answer::Refused(Refusal::NoSuchName);
                };
                if self.unstopped(&self.groups[index]).next().is_some() {
                    return Answer::Refused(Refusal::StillRunning);
                }
                self.remove_group(index, actions);
            }
        }
        Answer::Done
    }

    // Clients.

    fn command(&mut self, now: Now, ticket: Ticket, command: Command, actions: &mut Actions) {
        let answer = match command {
            _ if self.mood != Mood::Running => Some(Answer::Refused(Refusal::ShuttingDown)),
            Command::Act { verb, target, wait } => {
                self.act(now, ticket, verb, &target, wait, actions)
            }
            Command::Load(configuration) => Some(Answer::Difference(self.load(configuration))),
            Command::Reconcile(scope) => Some(self.reconcile(now, &scope, actions)),
            Command::Join { group, services } => Some(self.join(now, &group, services, actions)),
            Command::Leave { group, process } => Some(self.leave(&group, &process, actions)),
            Command::Look => Some(Answer::Table),
            Command::Shutdown => {
                self.shut_down(now, actions);
                Some(Answer::Done)
            }
            Command::Restart => Some(Answer::Done),
        };
        if let Some(answer) = answer {
            actions.push(Action::Answer { ticket, answer });
        }
    }

    fn act(
        &mut self,
        now: Now,
        ticket: Ticket,
        verb: Verb,
        target: &Target,
        wait: Wait,
        actions: &mut Actions,
    ) -> Option<Answer> {
        let Some(candidates) = self.select(target) else {
            return Some(Answer::Refused(Refusal::NoSuchName));
        };
        let single = matches!(target, Target::Process(..));
        let mut job = Job { ticket, verb, wait, single, waiting: Vec::new(), outcomes: Vec::new() };
        for id in candidates {
            let Some(service) = self.service(id) else {
                continue;
            };
            match job::refusal(service, verb) {
                // Supervisor passes over those that are up or down already, and finds out
                // that nothing is known of another one only when it tries.
                Some(result @ Refusal::UnknownState) if !single => {
                    let (group, name) =
                        (Arc::clone(&service.group), Arc::clone(&service.spec.name));
                    job.outcomes.push(Outcome { group, name, result: Err(result) });
                }
                Some(_) if !single => {}
                Some(refusal) => return Some(Answer::Refused(refusal)),
                None => {
                    job.waiting.push((id, job::meant(service, verb)));
                    self.apply(now, id, verb, wait, actions);
                }
            }
        }
        if job.waiting.is_empty() {
            return Some(job.answer());
        }
        let touched = job.waiting.clone();
        self.jobs.push(job);
        for (id, _) in touched {
            self.settle_jobs(id, actions);
        }
        None
    }

    fn apply(&mut self, now: Now, id: ServiceId, verb: Verb, wait: Wait, actions: &mut Actions) {
        match verb {
            Verb::Start => self.stir(now, id, Stimulus::Start, actions),
            Verb::Stop => {
                self.stir(now, id, Stimulus::Stop, actions);
                if wait == Wait::Done
                    && let Some(Some(service)) = self.services.get_mut(id.0 as usize)
                    && service.state_name() == StateName::Stopping
                {
                    service.report_stop(now, actions);
                    self.timers.set(id.0, self.deadline_of(id));
                }
            }
            Verb::Signal(signal) => self.signal(id, signal, actions),
        }
    }

    /// A client's signal goes to the process alone, never to its group.
    fn signal(&mut self, id: ServiceId, signal: Signal, actions: &mut Actions) {
        if let Some(service) = self.service(id)
            && let Some(pid) = service.pid
        {
            let generation = service.generation;
            actions.push(Action::Notice(Notice::Signalling { service: id, pid, signal }));
            let reach = Reach::Process;
            actions.push(Action::Signal { service: id, generation, signal, reach });
        }
    }

    /// The services a target names, in the order in which a command reaches them.
    fn select(&self, target: &Target) -> Option<Vec<ServiceId>> {
        match target {
            Target::Process(group, name) => {
                let group = self.groups.iter().find(|there| there.spec.name == *group)?;
                let member = group.spec.services.iter().position(|there| there.name == *name)?;
                Some(vec![group.members[member]])
            }
            Target::Group(name) => {
                let group = self.groups.iter().find(|group| group.spec.name == *name)?;
                Some(group.by_priority())
            }
            Target::All => Some(
                start_order(&self.groups)
                    .into_iter()
                    .flat_map(|index| self.groups[index].by_priority())
                    .collect(),
            ),
        }
    }

    /// Takes note of what has come of a service for the jobs that wait for it.
    fn settle_jobs(&mut self, id: ServiceId, actions: &mut Actions) {
        self.settle(id, actions, |service, job, meant| {
            job::outcome(service, meant, job.verb, job.wait)
        });
    }

    /// The first client who waits for this signal to be sent is answered.
    fn signalled(
        &mut self,
        id: ServiceId,
        generation: Generation,
        signal: Signal,
        actions: &mut Actions,
    ) {
        let mut is_first = true;
        self.settle(id, actions, |_, job, meant| {
            let is_meant = job.verb == Verb::Signal(signal) && meant == generation;
            (is_meant && std::mem::take(&mut is_first)).then_some(Ok(()))
        });
    }

    /// Clients who wait for a signal to be sent, or for a stop, are told why it failed.
    fn signal_failed(
        &mut self,
        id: ServiceId,
        generation: Generation,
        signal: Signal,
        errno: i32,
        actions: &mut Actions,
    ) {
        self.settle(id, actions, |service, job, meant| {
            let is_meant = service.state_name().is_signallable() && meant == generation;
            let (pid, errand) = (service.pid, service.errand(signal));
            let failed = Err(Refusal::SignalFailed { pid, errand, errno });
            (is_meant && job.verb != Verb::Start).then_some(failed)
        });
    }

    /// Notes the result that `decide` has for the service of each job that waits for it,
    /// and answers the jobs that wait for nothing more.
    fn settle(
        &mut self,
        id: ServiceId,
        actions: &mut Actions,
        mut decide: impl FnMut(&Service, &Job, Generation) -> Option<Result<(), Refusal>>,
    ) {
        let mut jobs = std::mem::take(&mut self.jobs);
        jobs.retain_mut(|job| {
            let Some(place) = job.waiting.iter().position(|(waited, _)| *waited == id) else {
                return true;
            };
            let (_, meant) = job.waiting[place];
            if let Some(service) = self.service(id) {
                if mutant::on(Mutant::LosesAnswer) && job.verb == Verb::Stop {
                    return true;
                }
                let Some(result) = decide(service, job, meant) else {
                    return true;
                };
                let (group, name) = (Arc::clone(&service.group), Arc::clone(&service.spec.name));
                job.outcomes.push(Outcome { group, name, result });
            }
            job.waiting.swap_remove(place);
            if job.waiting.is_empty() {
                actions.push(Action::Answer { ticket: job.ticket, answer: job.answer() });
            }
            !job.waiting.is_empty()
        });
        self.jobs = jobs;
    }

    // One service.

    /// A birth: news of a place that is empty by now is news of a process that
    /// nobody owns, and it is killed.
    fn spawned(&mut self, now: Now, id: ServiceId, stimulus: Stimulus, actions: &mut Actions) {
        if self.service(id).is_some() {
            self.stir(now, id, stimulus, actions);
        } else if let Stimulus::Spawned(generation, _) = stimulus {
            let (signal, reach) = (Signal::KILL, Reach::Process);
            actions.push(Action::Signal { service: id, generation, signal, reach });
        }
    }

    fn stir(&mut self, now: Now, id: ServiceId, stimulus: Stimulus, actions: &mut Actions) {
        let Some(Some(service)) = self.services.get_mut(id.0 as usize) else {
            return;
        };
        service.step(now, self.mood, stimulus, actions);
        let deadline = service.deadline();
        self.timers.set(id.0, deadline);
        self.mark(id);
        if !self.jobs.is_empty() {
            self.settle_jobs(id, actions);
        }
    }

    fn timeout(&mut self, now: Now, actions: &mut Actions) {
        while let Some((deadline, key)) = self.timers.first()
            && deadline <= now.instant
        {
            self.stir(now, ServiceId(key), Stimulus::Timeout, actions);
            assert!(
                self.timers.first() != Some((deadline, key)),
                "a deadline that has been acted upon must move"
            );
        }
    }

    fn resume(&mut self, now: Now, actions: &mut Actions) {
        self.recovering = false;
        if self.mood != Mood::Running {
            self.death_report_at = Some(now.instant);
        }
        for index in 0..self.services.len() {
            let id = ServiceId(u32::try_from(index).expect("places are numbered in u32"));
            self.stir(now, id, Stimulus::Resume, actions);
        }
    }

    fn unstopped<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = ServiceId> + 'a {
        group.members.iter().copied().filter(|id| !self.is_stopped(*id))
    }

    fn is_stopped(&self, id: ServiceId) -> bool {
        self.service(id).is_none_or(|service| service.state_name().is_stopped())
    }

    // The table.

    fn place(&mut self, service: Service) {
        let id = service.id;
        let index = id.0 as usize;
        if index >= self.services.len() {
            self.services.resize_with(index + 1, || None);
        }
        if index >= self.generations.len() {
            self.generations.resize(index + 1, Generation::default());
        }
        self.timers.set(id.0, service.deadline());
        self.services[index] = Some(service);
    }

    fn deadline_of(&self, id: ServiceId) -> Option<Instant> {
        self.service(id).and_then(Service::deadline)
    }

    fn mark(&mut self, id: ServiceId) {
        let index = id.0 as usize;
        if index >= self.changes.marked.len() {
            self.changes.marked.resize(index + 1, false);
        }
        if !self.changes.marked[index] {
            self.changes.marked[index] = true;
            self.changes.services.push(id);
        }
    }
}

#[cfg(test)]
mod tests;
