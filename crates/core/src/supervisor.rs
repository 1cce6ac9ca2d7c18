//! The whole table: groups, services, clients that wait, and the order of things.

mod brought;
mod calls;
mod clients;
mod depends;
mod ending;
mod groups;
mod members;
mod permission;

use std::sync::Arc;

use self::brought::Brought;
use self::calls::Call;
use self::depends::Dependencies;
use self::ending::Winding;
use crate::action::{Action, Actions};
use crate::group::Group;
use crate::id::{Generation, ServiceId};
use crate::input::{Input, Mood};
use crate::job::Job;
use crate::mutant::{self, Mutant};
use crate::record::{Place, Record, ServiceRecord, Snapshot};
use crate::service::{Service, Stimulus};
use crate::signal::Signal;
use crate::spec::{Configuration, Reach};
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
    calls: Vec<Call>,
    brought: Brought,
    depends: Dependencies,
    timers: Timers,
    death_report_at: Option<Instant>,
    winding: Option<Winding>,
    /// What the daemon ends with because of a service with which everything ends.
    lost: Option<u8>,
    exit_code: u8,
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
            calls: Vec::new(),
            brought: Brought::default(),
            depends: Dependencies::default(),
            timers: Timers::default(),
            death_report_at: None,
            winding: None,
            lost: None,
            exit_code: 0,
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
        supervisor.exit_code = snapshot.exit_code;
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
                supervisor.brought.set(*id, group.spec.origin);
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
            Input::Dead { service, generation } => {
                self.stir(now, service, Stimulus::Dead(generation), actions);
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
            Input::OutOfMemory { service, generation } => {
                self.stir(now, service, Stimulus::OutOfMemory(generation), actions);
            }
            Input::Said { service, generation, saying } => {
                self.stir(now, service, Stimulus::Said(generation, saying), actions);
            }
            Input::Swept { service, generation } => {
                self.stir(now, service, Stimulus::Swept(generation), actions);
            }
            Input::Checked { service, generation, check, finding } => {
                self.stir(now, service, Stimulus::Checked(generation, check, finding), actions);
            }
            Input::ScriptSpawned { service, script, pid } => {
                self.stir(now, service, Stimulus::ScriptSpawned(script, pid), actions);
            }
            Input::ScriptFailed { service, script, error } => {
                self.stir(now, service, Stimulus::ScriptFailed(script, error), actions);
            }
            Input::ScriptEnded { service, script } => {
                self.stir(now, service, Stimulus::ScriptEnded(script), actions);
            }
            Input::ScriptFound { service, script, pid } => {
                self.stir(now, service, Stimulus::ScriptFound(script, pid), actions);
            }
            Input::Replace(configuration) => self.replace(now, configuration, actions),
            Input::Shutdown => self.shut_down(now, actions),
            Input::Timeout => self.timeout(now, actions),
        }
        if let Some(exit_code) = self.lost.take() {
            self.end_for_lost(now, exit_code, actions);
        }
        if self.is_ending() && !self.recovering {
            self.wind_down(now, actions);
        }
        self.settle_all_held(now, actions);
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
            exit_code: self.exit_code,
        }
    }

    /// When [`Input::Timeout`] is due, if ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let first = self.timers.first().map(|(deadline, _)| deadline);
        [first, self.death_report_at, self.brought.leave_at].into_iter().flatten().min()
    }

    /// The lives that [`Input::Timeout`] at this moment takes for alive because nothing was heard
    /// of their end.
    pub fn presumed_alive(&self, now: Instant) -> impl Iterator<Item = (ServiceId, Generation)> {
        let due = self.timers.due(now).filter_map(|key| self.service(ServiceId(key)));
        due.filter(|service| service.presumes_alive())
            .map(|service| (service.id, service.generation))
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

    /// Whether everything is being stopped.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        matches!(self.mood, Mood::Restarting | Mood::Shutdown)
    }

    /// What the daemon ends with: 70 when a critical service could not be kept running, and
    /// the code of a program with which everything was to end.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code
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

    // One service.

    /// A birth: news of a place that is empty by now is news of a process that
    /// nobody owns, and it is killed.
    fn spawned(&mut self, now: Now, id: ServiceId, stimulus: Stimulus, actions: &mut Actions) {
        if self.service(id).is_some() {
            let had_stopped = self.is_stopped(id);
            self.stir(now, id, stimulus, actions);
            if had_stopped && !self.is_stopped(id) {
                // The end may have passed over its group already.
                self.winding = None;
            }
        } else if let Stimulus::Spawned(generation, _) = stimulus {
            let (signal, reach) = (Signal::KILL, Reach::Process);
            actions.push(Action::Signal { service: id, generation, signal, reach });
        }
    }

    fn stir(&mut self, now: Now, id: ServiceId, stimulus: Stimulus, actions: &mut Actions) {
        let rests = self.mood == Mood::Resting && mutant::on(Mutant::RestsAndRestarts);
        let mood = if rests { Mood::Running } else { self.mood_for(id) };
        let Some(Some(service)) = self.services.get_mut(id.0 as usize) else {
            return;
        };
        let ended = stimulus.exit();
        service.step(now, mood, stimulus, actions);
        let deadline = service.deadline();
        self.timers.set(id.0, deadline);
        self.mark(id);
        if !self.jobs.is_empty() {
            self.settle_jobs(id, actions);
        }
        self.settle_held(now, id, actions);
        self.consider_parting(now, id);
        if !self.calls.is_empty() {
            self.settle_calls(now, id, actions);
        }
        self.consider_end(now, id, ended, actions);
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
        if self.brought.leave_at.is_some_and(|leave_at| leave_at <= now.instant) {
            self.part(actions);
        }
    }

    fn resume(&mut self, now: Now, actions: &mut Actions) {
        if self.is_ending() {
            self.death_report_at = Some(now.instant);
        }
        for index in 0..self.services.len() {
            let id = ServiceId(u32::try_from(index).expect("places are numbered in u32"));
            self.stir(now, id, Stimulus::Resume, actions);
            self.resume_bringing(now, id, actions);
        }
        // Who is released before would do twice what it has not done. And who need not wait
        // goes on before anything ends, as it would have at the predecessor's.
        self.recovering = false;
        self.depends.unsettle();
        self.settle_all_held(now, actions);
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
        self.depends.come(&service);
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
