//! What Supervisor would do: the rules of its documentation written down a second
//! time, as plainly as possible and without a look at the core's own way.
//!
//! It is told the same things as the core, and both tables must be the same
//! whenever something is recorded. It knows no actions, no events and no crash: a
//! recovered table is taken over, because another check says that it is the
//! recorded one.

mod calls;
mod depends;
mod groups;
mod member;
mod scripts;
mod ward;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bardo_core::id::ExitSequence;
use bardo_core::input::Mood;
use bardo_core::job::{Answer, Refusal};
use bardo_core::reconcile::Scope;
use bardo_core::service::Inquiry;
use bardo_core::spec::Origin;
use bardo_core::{
    Command, Configuration, ExitStatus, Generation, GroupSpec, Input, Instant, Now, Pid, ServiceId,
    ServiceSpec, SpawnError, Supervisor, Target, Ticket, Verb,
};

use self::calls::Call;
use self::scripts::SCRIPT_PATIENCE;

/// What a service is doing, as far as it can be said beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Stopped,
    StartHeld,
    Requested,
    Cloned { since: Instant },
    Executed { since: Instant },
    Running,
    Backoff { until: Instant },
    StopHeld,
    Recovering { since: Instant, inquiry: Inquiry },
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
    /// Whether it leaves the table when it is down.
    dismissed: bool,
    generation: Generation,
    pid: Option<Pid>,
    failures: u32,
    started: bool,
    exit_sequence: ExitSequence,
    /// How often a start has succeeded.
    successes: u32,
    /// Why there was no process for the last start.
    spawn_failure: Option<SpawnError>,
    /// When its process was found dead whose start was about to count as a success.
    seen_dead: Option<Instant>,
    /// Whether anything has gone wrong since it was last started.
    has_failed: bool,
    /// Whether the signal that its stop begins with was sent.
    is_told: bool,
    /// How its last process has ended, since it was last started.
    exit: Option<ExitStatus>,
    /// What there is to know of one that asks for more than Supervisor's rules.
    ward: Option<ward::Ward>,
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
    /// What the daemon ends with.
    exit_code: u8,
    /// The same, of the first service of this step with which everything ends.
    last_word: Option<u8>,
    calls: Vec<Call>,
    /// What has come of calls.
    answers: Vec<(Ticket, Answer)>,
    /// When those leave the table that have ended for good.
    leave_at: Option<Instant>,
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
            exit_code: snapshot.exit_code,
            last_word: None,
            calls: Vec::new(),
            answers: Vec::new(),
            leave_at: None,
            births: VecDeque::new(),
        }
    }

    /// Takes in what the core was told. The answer to a command, where it can be
    /// said at once.
    pub fn step(&mut self, now: Now, input: &Input) -> Option<Answer> {
        let mut answer = None;
        match input {
            Input::Begin(configuration) => self.begin(now, configuration.clone()),
            Input::Resume => self.resume(now),
            Input::Command { ticket, command } => answer = self.command(now, *ticket, command),
            Input::Shutdown => self.shut_down(),
            Input::Replace(configuration) => {
                if self.mood != Mood::Shutdown {
                    self.mood = Mood::Restarting;
                    self.replacement = Some(configuration.clone());
                }
            }
            Input::Timeout => {
                let mood = self.mood;
                for id in self.by_deadline() {
                    let mood = self.mood_for(id, mood);
                    self.change(now, id, |member| member.timeout(now, mood));
                }
                if self.leave_at.is_some_and(|leave_at| leave_at <= now.instant) {
                    self.part();
                }
            }
            Input::Found { service, .. }
            | Input::Spawned { service, .. }
            | Input::Executed { service, .. }
            | Input::SpawnFailed { service, .. }
            | Input::Exited { service, .. }
            | Input::Signalled { service, .. }
            | Input::SignalFailed { service, .. }
            | Input::OutOfMemory { service, .. }
            | Input::Dead { service, .. }
            | Input::Said { service, .. }
            | Input::Swept { service, .. }
            | Input::Checked { service, .. }
            | Input::ScriptSpawned { service, .. }
            | Input::ScriptFailed { service, .. }
            | Input::ScriptEnded { service, .. }
            | Input::ScriptFound { service, .. } => {
                let mood = self.mood_for(*service, self.mood);
                self.change(now, *service, |member| member.news(now, mood, input));
            }
        }
        self.release(now);
        self.note_leavers(now);
        self.end_with_one();
        if matches!(self.mood, Mood::Restarting | Mood::Shutdown) && !self.recovering {
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
        if supervisor.exit_code() != self.exit_code {
            return Err(format!("the exit code is {}", supervisor.exit_code()));
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

    /// Whether this life has a process, of a service that asks for more than Supervisor's
    /// rules.
    #[must_use]
    pub fn tends(&self, id: ServiceId, generation: Generation) -> bool {
        let member = self.members.get(id.0 as usize).and_then(Option::as_ref);
        member.is_some_and(|member| {
            member.generation == generation && member.pid.is_some() && member.ward.is_some()
        })
    }

    /// The birth that must come next.
    pub fn next_birth(&mut self) -> Option<(ServiceId, Generation)> {
        self.births.pop_front()
    }

    /// Changes a member, and notes the births that this decides or takes back.
    fn change<T>(
        &mut self,
        now: Now,
        id: ServiceId,
        change: impl FnOnce(&mut Member) -> T,
    ) -> Option<T> {
        let member = self.members.get_mut(id.0 as usize)?.as_mut()?;
        let requested =
            |member: &Member| (member.doing == Doing::Requested).then_some((id, member.generation));
        let before = requested(member);
        let result = change(member);
        let after = requested(member);
        if before != after {
            self.births.retain(|birth| Some(*birth) != before);
            self.births.extend(after);
        }
        self.note_end(id);
        self.release(now);
        self.settle_calls(id);
        Some(result)
    }

    /// All places, those first whose next try is due first, or whose start has succeeded
    /// first, for which others may wait.
    fn by_deadline(&self) -> Vec<ServiceId> {
        let mut ids: Vec<ServiceId> = (0..self.members.len()).map(id).collect();
        ids.sort_by_key(|id| match &self.members[id.0 as usize] {
            Some(Member { doing: Doing::Backoff { until }, .. }) => *until,
            Some(member @ Member { doing: Doing::Executed { since }, spec, .. })
                if !member.owes_readiness() =>
            {
                *since + spec.program.startsecs.duration() + Duration::from_nanos(1)
            }
            Some(member @ Member { doing: Doing::Recovering { since, inquiry }, .. }) => {
                let never = Instant(u64::MAX);
                let limit = member.script_limit(*since).unwrap_or(never);
                match inquiry {
                    Inquiry::Silent { warn_at: Some(warn_at) } => limit.min(*warn_at),
                    Inquiry::Waits => limit.min(*since + SCRIPT_PATIENCE),
                    _ => limit,
                }
            }
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

    /// A supervisor that was cut off between adding a group and starting it finds
    /// services that were never started and should have been.
    fn resume(&mut self, now: Now) {
        for member in self.members.iter_mut().flatten() {
            member.resume_ward(now.instant);
        }
        for place in 0..self.members.len() {
            let is_brought = self.is_brought(id(place));
            if self.mood_for(id(place), self.mood) == Mood::Running {
                self.change(now, id(place), |member| {
                    if !member.started && (is_brought || member.spec.program.autostart) {
                        member.start();
                    }
                });
            }
        }
        self.recovering = false;
    }

    /// A reload does not concern what was brought up.
    fn mood_for(&self, id: ServiceId, mood: Mood) -> Mood {
        if mood == Mood::Restarting && self.is_brought(id) { Mood::Running } else { mood }
    }

    /// The group of this name, if it is one of the configuration file.
    fn of_the_file(&self, name: &str) -> Option<usize> {
        let is_meant = |spec: &GroupSpec| *spec.name == *name && spec.origin == Origin::File;
        self.groups.iter().position(|(spec, _)| is_meant(spec))
    }

    fn command(&mut self, now: Now, ticket: Ticket, command: &Command) -> Option<Answer> {
        match command {
            Command::Bring { group, wait, by } => {
                return self.bring(now, ticket, group, (*wait, *by));
            }
            Command::Manage { deed, label, wait, by } => {
                return self.manage(now, ticket, deed, label, (*wait, *by));
            }
            Command::Rest { by } => return Some(self.lie_down(now, *by)),
            _ => {}
        }
        let is_a_beginning = matches!(
            command,
            Command::Act { verb: Verb::Start, .. }
                | Command::Load(_)
                | Command::Reconcile(_)
                | Command::Join { .. }
                | Command::Leave { .. }
        );
        match self.mood {
            Mood::Running => {}
            Mood::Resting if !is_a_beginning => {}
            Mood::Resting | Mood::Restarting | Mood::Shutdown => {
                return Some(Answer::Refused(Refusal::ShuttingDown));
            }
        }
        match command {
            Command::Act { verb, target, .. } => self.act(now, *verb, target),
            Command::Load(configuration) => {
                self.loaded = configuration.clone();
                None
            }
            Command::Reconcile(scope) => Some(self.reconcile(now, scope)),
            Command::Join { group, services } => Some(self.join(now, group, services)),
            Command::Leave { group, process } => Some(self.leave(group, process)),
            Command::Bring { .. } | Command::Manage { .. } | Command::Rest { .. } => None,
            Command::Look => Some(Answer::Table),
            Command::Shutdown => {
                self.shut_down();
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
        let ids = if verb == Verb::Stop { self.users_first(ids) } else { ids };
        for id in ids {
            let refusal = self.members[id.0 as usize].as_ref().map(|there| there.refusal(verb));
            match (refusal, verb) {
                (Some(Some(refusal)), _) if single => return Some(Answer::Refused(refusal)),
                (Some(None), Verb::Start) => {
                    self.change(now, id, Member::start);
                }
                (Some(None), Verb::Stop) => self.tell_to_stop(now, id, Member::stop),
                _ => {}
            }
        }
        None
    }

    fn reconcile(&mut self, now: Now, scope: &Scope) -> Answer {
        match scope {
            Scope::Add(name) => {
                let Some(spec) = self.loaded.group(name).cloned() else {
                    return Answer::Refused(Refusal::NoSuchName);
                };
                if self.groups.iter().any(|(there, _)| there.name == *name) {
                    return Answer::Refused(Refusal::AlreadyAdded);
                }
                self.add(spec);
                self.autostart(now, self.groups.len() - 1);
            }
            Scope::Remove(name) => {
                let Some(group) = self.of_the_file(name) else {
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
            let is_left_alone =
                self.mood == Mood::Restarting && self.groups[group].0.origin == Origin::Brought;
            if is_left_alone {
                continue;
            }
            for id in self.groups[group].1.clone() {
                self.end_users_first(now, id);
            }
            if !self.is_all_stopped(group) {
                return;
            }
        }
        let replacement = self.replacement.take();
        if self.mood == Mood::Restarting
            && let Some(configuration) = replacement
        {
            for group in (0..self.groups.len()).rev() {
                if self.groups[group].0.origin == Origin::File {
                    self.remove(group);
                }
            }
            self.mood = Mood::Running;
            self.begin(now, configuration);
        }
    }
}

fn id(place: usize) -> ServiceId {
    ServiceId(u32::try_from(place).expect("a small table"))
}
