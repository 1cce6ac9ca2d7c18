//! What is done beside the processes of services: checks, recovery scripts, questions for a
//! sign of life, and what is left of trees.
//!
//! Scripts and what programs have said outlive the supervisor; checks are broken off with
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bardo_core::input::{Finding, Saying};
use bardo_core::job::{Caller, Deed};
use bardo_core::record::Record;
use bardo_core::service::{ScriptRun, Service};
use bardo_core::spec::Care;
use bardo_core::{
    Command, Generation, Input, Instant, Pid, ServiceId, SpawnError, State, Supervisor, Target,
    Verb, Wait,
};

use super::Machine;
use crate::random::Random;

/// The first number of a script: no process of a service has it.
const SCRIPT_PIDS: u32 = 100_000;

/// A turn that is later than this may be one that a service is forgiven for: half of the
/// shortest period that is wished for, and a little less.
const LATE: Duration = Duration::from_millis(90);

/// One life of one service.
type LifeKey = (ServiceId, Generation);

/// A recovery script.
#[derive(Debug, Clone)]
struct Run {
    service: ServiceId,
    script: u32,
    pid: Pid,
    ends_at: Instant,
    decides: Option<(Instant, Deed)>,
    /// Whether its end has been told since the last record.
    told: bool,
}

/// A check that is under way.
#[derive(Debug, Clone, Copy)]
struct Pending {
    life: LifeKey,
    check: u32,
    at: Instant,
}

/// What is known of a life from outside, to judge whether it may be killed.
#[derive(Debug, Clone, Copy, Default)]
struct Witnessed {
    sign: Option<Instant>,
    period: Option<Duration>,
    asked: bool,
    triggered: bool,
    /// Whether it was heard since the last record.
    fresh: bool,
    /// Whether it was heard by a supervisor that could not write that down.
    lost: bool,
}

/// All that helps.
#[derive(Debug)]
pub(super) struct Helpers {
    random: Random,
    runs: Vec<Run>,
    ran: BTreeSet<(ServiceId, u32)>,
    checks: Vec<Pending>,
    /// Lives that are over and might still be heard.
    ghosts: Vec<LifeKey>,
    /// Ended lives whose trees were not swept.
    unswept: BTreeSet<LifeKey>,
    /// Those whose trees were.
    swept: BTreeSet<LifeKey>,
    /// Those that are being swept, and until when.
    sweeps: BTreeMap<LifeKey, Instant>,
    /// Those of which the supervisor was told that they were, those of these that it has
    /// written down, and those that a successor knows of.
    over: BTreeSet<LifeKey>,
    recorded_over: BTreeSet<LifeKey>,
    known_over: BTreeSet<LifeKey>,
    witnessed: BTreeMap<LifeKey, Witnessed>,
    /// When the supervisor was last late, or another one took over.
    late_at: Instant,
}

impl Helpers {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::named(seed, "helpers"),
            runs: Vec::new(),
            ran: BTreeSet::new(),
            checks: Vec::new(),
            ghosts: Vec::new(),
            unswept: BTreeSet::new(),
            swept: BTreeSet::new(),
            sweeps: BTreeMap::new(),
            over: BTreeSet::new(),
            recorded_over: BTreeSet::new(),
            known_over: BTreeSet::new(),
            witnessed: BTreeMap::new(),
            late_at: Instant::default(),
        }
    }

    /// When something happens by itself next.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let checks = self.checks.iter().map(|pending| pending.at);
        let ends = self.runs.iter().filter(|run| !run.told).map(|run| run.ends_at);
        let decisions = self.runs.iter().filter_map(|run| Some(run.decides.as_ref()?.0));
        checks.chain(ends).chain(decisions).chain(self.sweeps.values().copied()).min()
    }
}

impl Machine {
    /// What a program of this life says is drawn from what its service asks for.
    pub(super) fn give_voice(&mut self, id: ServiceId, generation: Generation) {
        let Some(care) = self.journal_care(id) else {
            return;
        };
        let voice = crate::voice::Voice::draw(&mut self.helpers.random, &care);
        if let Some(process) = self.kernel.process_mut(id, generation) {
            process.voice = voice;
        }
        let unswept = self.helpers.unswept.iter().find(|(service, _)| *service == id).copied();
        if let Some(unswept) = unswept {
            self.violate(|| {
                format!("{generation:?} of {id:?} is born into the tree of {unswept:?}")
            });
        }
    }

    fn journal_care(&self, id: ServiceId) -> Option<Arc<Care>> {
        let groups = self.journal.groups.iter();
        let mut specs = groups.flat_map(|group| group.spec.services.iter().zip(&group.members));
        let (spec, _) = specs.find(|(_, member)| **member == id)?;
        spec.program.care.clone()
    }

    /// What programs have said, and what came of checks and scripts.
    pub(super) fn news(&mut self, inputs: &mut Vec<Input>) {
        if self.helpers.random.happens(100) && !self.helpers.ghosts.is_empty() {
            let ghost = self.helpers.random.index(self.helpers.ghosts.len());
            let (service, generation) = self.helpers.ghosts[ghost];
            let saying = self.helpers.random.pick(&[
                Saying::Ready,
                Saying::Alive,
                Saying::Failed(5),
                Saying::Trigger,
            ]);
            inputs.push(Input::Said { service, generation, saying });
        }
        let mut silent: BTreeSet<LifeKey> = BTreeSet::new();
        let random = &mut self.helpers.random;
        self.kernel.hear(|service, generation, saying| {
            let key = (service, generation);
            if silent.contains(&key) || random.happens(50) {
                silent.insert(key);
                return false;
            }
            inputs.push(Input::Said { service, generation, saying });
            true
        });
        self.sweeps_end(inputs);
        self.checks_end(inputs);
        self.scripts_end(inputs);
    }

    /// All that a process has said is read before its end is told.
    pub(super) fn last_words(
        &mut self,
        service: ServiceId,
        generation: Generation,
        inputs: &mut Vec<Input>,
    ) {
        self.kernel.hear(|whose, which, saying| {
            let is_meant = (whose, which) == (service, generation);
            if is_meant {
                inputs.push(Input::Said { service, generation, saying });
            }
            is_meant
        });
        if self.journal_care(service).is_some() {
            self.helpers.ghosts.push((service, generation));
            if self.helpers.random.happens(50) {
                inputs.push(Input::OutOfMemory { service, generation });
            }
        }
    }

    fn sweeps_end(&mut self, inputs: &mut Vec<Input>) {
        let clock = self.clock;
        self.helpers.sweeps.retain(|(service, generation), at| {
            let is_over = *at <= clock;
            if is_over {
                inputs.push(Input::Swept { service: *service, generation: *generation });
            }
            !is_over
        });
    }

    fn checks_end(&mut self, inputs: &mut Vec<Input>) {
        let clock = self.clock;
        let (over, under_way): (Vec<Pending>, Vec<Pending>) =
            self.helpers.checks.iter().partition(|pending| pending.at <= clock);
        self.helpers.checks = under_way;
        for Pending { life: (service, generation), check, at } in over {
            let process = self.kernel.process(service, generation);
            let finding = if self.helpers.random.happens(100) {
                Finding::Nothing
            } else {
                Finding::of(process.is_some_and(|process| process.voice.is_well(at)))
            };
            inputs.push(Input::Checked { service, generation, check, finding });
        }
    }

    fn scripts_end(&mut self, inputs: &mut Vec<Input>) {
        let clock = self.clock;
        let mut decided = Vec::new();
        for run in &mut self.helpers.runs {
            if let Some((_, deed)) = run.decides.take_if(|(at, _)| *at <= clock) {
                decided.push((run.service, deed));
            }
            if !run.told && run.ends_at <= clock && !self.helpers.random.happens(50) {
                run.told = true;
                inputs.push(Input::ScriptEnded { service: run.service, script: run.script });
            }
        }
        for (service, deed) in decided {
            if let Some(command) = self.decision(service, deed) {
                let ticket = self.clients.ticket();
                self.mailbox.push(Input::Command { ticket, command });
            }
        }
    }

    /// What a script asks of its supervisor.
    fn decision(&self, id: ServiceId, deed: Deed) -> Option<Command> {
        let groups = self.journal.groups.iter();
        let group = groups.into_iter().find(|group| group.members.contains(&id))?;
        let place = group.members.iter().position(|member| *member == id)?;
        let (group, name) = (&group.spec.name, &group.spec.services[place].name);
        if deed == Deed::Down {
            let target = Target::Process(Arc::clone(group), Arc::clone(name));
            return Some(Command::Act { verb: Verb::Stop, target, wait: Wait::Done });
        }
        let label = Arc::from(format!("{group}:{name}"));
        Some(Command::Manage { deed, label, wait: Wait::Begun, by: Caller::Script(id) })
    }

    pub(super) fn ping(&mut self, service: ServiceId, generation: Generation) {
        let key = (service, generation);
        let seen = self.helpers.witnessed.entry(key).or_default();
        if std::mem::replace(&mut seen.asked, true) {
            self.violate(|| format!("{key:?} is asked again before it has answered"));
        }
        let clock = self.clock;
        if let Some(process) = self.kernel.process_mut(service, generation) {
            process.voice.ask(clock);
        }
    }

    pub(super) fn begin_check(&mut self, life: LifeKey, check: u32) {
        if self.helpers.checks.iter().any(|pending| pending.life.0 == life.0) {
            self.violate(|| format!("{life:?} is checked twice at a time"));
        }
        let range = self.helpers.random.pick(&[2000, 100_000, 4_000_000]);
        let span = Duration::from_micros(1 + self.helpers.random.below(range));
        self.helpers.checks.push(Pending { life, check, at: self.clock + span });
    }

    pub(super) fn end_check(&mut self, service: ServiceId, check: u32) {
        self.helpers.checks.retain(|pending| (pending.life.0, pending.check) != (service, check));
    }

    pub(super) fn sweep(&mut self, service: ServiceId, generation: Generation) -> Option<Input> {
        let key = (service, generation);
        if self.helpers.known_over.contains(&key) {
            self.violate(|| format!("{key:?} is swept again although nothing is left"));
        }
        self.helpers.unswept.remove(&(service, generation));
        self.helpers.swept.insert((service, generation));
        if self.kernel.process(service, generation).is_some_and(|process| !process.untouchable) {
            self.violate(|| format!("{generation:?} of {service:?} is swept and lives"));
        }
        if self.helpers.random.happens(500) {
            return Some(Input::Swept { service, generation });
        }
        let range = self.helpers.random.pick(&[5000, 5_000_000]);
        let span = Duration::from_micros(1 + self.helpers.random.below(range));
        self.helpers.sweeps.insert(key, self.clock + span);
        None
    }

    pub(super) fn run_script(&mut self, service: ServiceId, script: u32) -> Input {
        if self.helpers.random.happens(self.unkindness.clone_refused) {
            let error = self.helpers.random.pick(&[SpawnError::Clone(11), SpawnError::NotFound]);
            return Input::ScriptFailed { service, script, error };
        }
        let clock = self.clock;
        if self.helpers.runs.iter().any(|run| run.service == service && run.ends_at > clock) {
            self.violate(|| format!("{service:?} has two scripts at a time"));
        }
        if !self.helpers.ran.insert((service, script)) {
            self.violate(|| format!("script {script} of {service:?} runs twice"));
        }
        let random = &mut self.helpers.random;
        let range = random.pick(&[5, 2000, 12_000]);
        let ends_at = self.clock + Duration::from_millis(1 + random.below(range));
        let decides = match random.below(10) {
            0..4 => Some(Deed::RestartNow),
            4..6 => Some(Deed::Down),
            _ => None,
        };
        let wait = Duration::from_micros(random.below(1000 * range));
        let decides = decides.map(|deed| (self.clock + wait, deed));
        let number = u32::try_from(self.helpers.ran.len()).expect("a few scripts");
        let pid = Pid(SCRIPT_PIDS + number);
        self.helpers.runs.push(Run { service, script, pid, ends_at, decides, told: false });
        Input::ScriptSpawned { service, script, pid }
    }

    /// A script is ended: that is heard in the next turn, and it decides nothing any more.
    pub(super) fn end_script(&mut self, service: ServiceId, script: u32) {
        let mut runs = self.helpers.runs.iter_mut();
        if let Some(run) = runs.find(|run| (run.service, run.script) == (service, script)) {
            run.ends_at = run.ends_at.min(self.clock);
            run.decides = None;
        }
    }

    /// The script of a service that leaves the table goes on, and is nobody's: it decides
    /// nothing any more, and whoever comes to that place may have one of its own.
    pub(super) fn disown_scripts(&mut self, record: &Record) {
        let gone: Vec<ServiceId> = match record {
            Record::MemberLeft { service, .. } => vec![*service],
            Record::GroupRemoved(name) => {
                let groups = self.journal.groups.iter();
                let gone = groups.filter(|group| group.spec.name == *name);
                gone.flat_map(|group| group.members.iter().copied()).collect()
            }
            Record::Loaded(_)
            | Record::GroupAdded(_)
            | Record::MembersJoined { .. }
            | Record::Edited { .. }
            | Record::Service(_)
            | Record::Mood(_)
            | Record::Ends(_)
            | Record::Replacement(_) => return,
        };
        self.helpers.runs.retain(|run| !gone.contains(&run.service));
    }

    /// What was told has been recorded.
    pub(super) fn scripts_recorded(&mut self) {
        self.helpers.runs.retain(|run| !run.told || run.decides.is_some());
        self.helpers.recorded_over.append(&mut self.helpers.over);
        for seen in self.helpers.witnessed.values_mut() {
            seen.fresh = false;
        }
    }

    /// The supervisor is gone, and its checks with it.
    pub(super) fn helpers_recover(&mut self) {
        self.helpers.checks.clear();
        self.helpers.sweeps.clear();
        self.helpers.over.clear();
        self.helpers.known_over.append(&mut self.helpers.recorded_over);
        self.helpers.late_at = self.clock;
        // The tree of a service that has left the table is nobody's.
        let places = &self.journal.places;
        self.helpers.unswept.retain(|(service, generation)| {
            let there = places.get(service.0 as usize).and_then(|place| place.service);
            there.is_some_and(|there| {
                let former = there.vitals.and_then(|vitals| vitals.former);
                former == Some(*generation) || there.pid.is_some()
            })
        });
        for run in &mut self.helpers.runs {
            run.told = false;
        }
        for seen in self.helpers.witnessed.values_mut() {
            seen.asked = false;
            seen.lost |= seen.fresh;
        }
    }

    /// What became of the scripts of a predecessor.
    pub(super) fn find_scripts(&mut self, supervisor: &Supervisor) {
        for service in supervisor.services() {
            let run = service.vitals.as_ref().map(|vitals| vitals.script);
            if let Some(ScriptRun::Requested(script)) = run {
                let service = service.id;
                let runs = self.helpers.runs.iter();
                let mut meant = runs.filter(|run| (run.service, run.script) == (service, script));
                let pid = meant.next().map(|run| run.pid);
                self.first.push(Input::ScriptFound { service, script, pid });
            }
        }
    }

    /// Takes note of how late the supervisor looks.
    pub(super) fn note_lateness(&mut self, deadline: Option<Instant>) {
        if deadline.is_some_and(|deadline| self.clock.since(deadline) > LATE) {
            self.helpers.late_at = self.clock;
        }
    }

    /// Takes note of what the core is told of a life.
    pub(super) fn note_signs(&mut self, now: Instant, input: &Input) {
        match input {
            Input::Said { service, generation, saying } => {
                let seen = self.helpers.witnessed.entry((*service, *generation)).or_default();
                seen.fresh = true;
                match saying {
                    Saying::Alive => (seen.sign, seen.asked) = (Some(now), false),
                    Saying::Period(period) => {
                        (seen.sign, seen.asked) = (Some(now), false);
                        seen.period = Some(*period);
                    }
                    Saying::Trigger => seen.triggered = true,
                    Saying::Hello
                    | Saying::Ready
                    | Saying::Failed(_)
                    | Saying::Reset
                    | Saying::Extend(_) => {}
                }
            }
            Input::Checked { service, generation, finding: Finding::Works, .. } => {
                let seen = self.helpers.witnessed.entry((*service, *generation)).or_default();
                (seen.sign, seen.asked, seen.fresh) = (Some(now), false, true);
            }
            Input::Swept { service, generation } => {
                self.helpers.over.insert((*service, *generation));
            }
            Input::Exited { service, generation, .. }
                if self.reference.tends(*service, *generation) =>
            {
                let key = (*service, *generation);
                if !self.helpers.swept.contains(&key) {
                    self.helpers.unswept.insert(key);
                }
            }
            _ => {}
        }
    }

    /// What is asked of a life is different from now on: its silence counts from now. What it
    /// has said of itself is forgotten where it was asked for nothing meanwhile.
    pub(super) fn note_edit(&mut self, supervisor: &Supervisor, id: ServiceId) {
        let Some(service) = supervisor.service(id) else { return };
        let life = service.vitals.as_ref().map(|vitals| vitals.life).unwrap_or_default();
        let seen = self.helpers.witnessed.entry((id, service.generation)).or_default();
        (seen.sign, seen.asked) = (seen.sign.max(life.alive_at), false);
        seen.period = life.period;
    }

    /// Whether a life may be killed for silence just now.
    pub(super) fn check_silence(&mut self, service: &Service) {
        let key = (service.id, service.generation);
        let seen = self.helpers.witnessed.get(&key).copied().unwrap_or_default();
        let asked_for = service.spec.program.care.as_ref().and_then(|care| care.heartbeat);
        let period = seen.period.or(asked_for.map(|heartbeat| heartbeat.period));
        let sign = seen.sign.max(ready_at(service));
        let is_excused = seen.triggered || seen.lost;
        let (Some(period), Some(sign), false) = (period, sign, is_excused) else {
            return;
        };
        let silence = self.clock.since(sign);
        if silence < period * 2 {
            self.violate(|| format!("{key:?} is killed after {silence:?}, with {period:?}"));
        }
    }

    /// After each turn: whoever is silent for too long is killed, and whoever is to decide
    /// something is at it.
    pub(crate) fn check_helped(&mut self, supervisor: &Supervisor, began: Instant) {
        for service in supervisor.services() {
            let key = (service.id, service.generation);
            let Some(vitals) = service.vitals.as_deref() else {
                continue;
            };
            if let State::Recovering { .. } = service.state {
                let number = vitals.script.number();
                let runs = self.helpers.runs.iter();
                let is_at_it = number.is_none_or(|number| {
                    runs.into_iter().any(|run| (run.service, run.script) == (key.0, number))
                });
                if !is_at_it {
                    self.violate(|| format!("the script of {key:?} is forgotten"));
                }
            }
            let process = self.kernel.process(key.0, key.1);
            let is_killed = process.is_none_or(|there| there.kills > 0 || there.untouchable);
            let condemned = service
                .verdict()
                .is_some_and(|verdict| verdict != bardo_core::decision::Reason::OutOfMemory);
            let lives = matches!(service.state, State::Running | State::Starting { .. });
            if condemned && lives && !is_killed {
                self.violate(|| format!("{key:?} is condemned and not killed"));
            }
            if service.state == State::Running && service.verdict().is_none() {
                self.check_patience(service, began);
            }
        }
    }

    fn check_patience(&mut self, service: &Service, began: Instant) {
        let key = (service.id, service.generation);
        let late_at = self.helpers.late_at;
        let seen = self.helpers.witnessed.entry(key).or_default();
        let Some(sign) = seen.sign.max(ready_at(service)).filter(|_| !seen.lost) else {
            return;
        };
        let asked_for = service.spec.program.care.as_ref().and_then(|care| care.heartbeat);
        let period = seen.period.or(asked_for.map(|heartbeat| heartbeat.period));
        let Some(period) = period.filter(|period| !period.is_zero()) else {
            return;
        };
        let limit = (sign + period * 2).max(late_at + period);
        if began > limit {
            self.violate(|| format!("{key:?} is silent since {sign:?} and is not killed"));
        }
    }
}

fn ready_at(service: &Service) -> Option<Instant> {
    service.vitals.as_ref()?.life.ready_at
}
