//! The world as the core meets it: time, births, exits, a journal, clients. And
//! the moment at which the supervisor is cut off.
//!
//! A supervisor that is cut off goes on in a void: what it does reaches nobody
//! and what it writes is not kept, until its successor takes its place. So the
//! loop of the core needs no exit for it.

mod audience;
mod births;
mod helpers;
mod recovery;
mod witness;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bardo_core::id::ExitSequence;
use bardo_core::record::{Record, Snapshot};
use bardo_core::service::StateName;
use bardo_core::spec::Reach;
use bardo_core::time::WallTime;
use bardo_core::{
    Action, Configuration, Decision, Event, Generation, Input, Instant, Launch, Notice, Now, Pid,
    ServiceId, Signal, State, Supervisor, World,
};

use crate::clients::Clients;
use crate::kernel::Kernel;
use crate::random::Random;
use crate::reference::Reference;
use crate::wishes::{self, Needs};

use self::helpers::Helpers;

const EPERM: i32 = 1;

/// The wall clock when the simulation begins: any moment will do.
const EPOCH: i64 = 1_790_000_000;

/// How unkind a seed is, in times in a thousand.
#[derive(Debug, Clone, Copy)]
struct Unkindness {
    clone_refused: u64,
    signal_refused: u64,
    late: u64,
    wall_stepped: u64,
    exits_held_back: u64,
    slots: usize,
}

/// A process that was born and whose end was not acknowledged, in order of birth:
/// what birth cells, the journal and the kernel's start times tell together.
#[derive(Debug, Clone, Copy)]
struct Life {
    service: ServiceId,
    generation: Generation,
    pid: Pid,
    cloned: Instant,
    /// Whether its exit record has been read.
    ended: bool,
}

/// A birth whose end is waited for.
#[derive(Debug, Clone, Copy)]
struct Birth {
    service: ServiceId,
    generation: Generation,
    /// Whether this supervisor began it, so that it holds one of its slots.
    ours: bool,
}

/// What dies with the supervisor.
#[derive(Debug, Default)]
struct Mortal {
    /// Births for which there was no slot.
    queue: VecDeque<(ServiceId, Generation)>,
    /// Births that are not known to be over.
    births: Vec<Birth>,
    /// The last exit record that was read.
    read: ExitSequence,
    /// What the core was told since the last record.
    told: Vec<(Now, Input)>,
    /// What listeners are to be told with the next record.
    events: Vec<Event>,
    /// The stop signal that was sent since the last record.
    stop_sent: Option<(ServiceId, Generation)>,
    /// How many more places are passed before the supervisor is cut off.
    cut_in: Option<u64>,
    cut: bool,
    finishes: u32,
}

/// The simulated world.
#[derive(Debug)]
pub struct Machine {
    seed: u64,
    random: Random,
    clock: Instant,
    /// How far the wall clock has been set, in seconds, and by what chance.
    wall_offset: i64,
    wall_chance: Random,
    /// By what chance the keeper is killed together with the supervisor.
    keeper_chance: Random,
    unkindness: Unkindness,
    /// Processes and exit records.
    pub kernel: Kernel,
    journal: Snapshot,
    /// Whether somebody listens: then a turn is written down all at once.
    has_listeners: bool,
    /// The state of each service, as listeners know it.
    told_states: BTreeMap<(Arc<str>, Arc<str>), StateName>,
    lives: Vec<Life>,
    mortal: Mortal,
    /// What the next inputs begin with.
    first: Vec<Input>,
    /// What clients have asked and were not answered.
    pub clients: Clients,
    /// What is asked next.
    pub mailbox: Vec<Input>,
    reference: Reference,
    helpers: Helpers,
    /// Whether programs ask for more than Supervisor's rules.
    pub needs: Needs,
    initial: Configuration,
    /// How often a supervisor was cut off.
    pub cuts: u64,
    /// How often it may still be cut off.
    pub cuts_left: u64,
    /// How many places have been passed at which it may be cut off.
    pub places: u64,
    /// The only place at which it is, where that is not left to chance.
    cut_at: Option<u64>,
    /// What was violated, once something was.
    pub fault: Option<String>,
    /// Whether everything is told to the reader.
    pub trace: bool,
}

impl Machine {
    /// The world of a seed, with a supervisor that was just started. It is cut off at this
    /// place only, or else as chance has it.
    #[must_use]
    pub fn new(seed: u64, cut_at: Option<u64>, trace: bool) -> (Self, Supervisor) {
        let mut random = Random::named(seed, "world");
        let unkindness = Unkindness {
            clone_refused: random.pick(&[0, 0, 20, 200]),
            signal_refused: random.pick(&[0, 0, 0, 0, 0, 0, 0, 20]),
            late: random.pick(&[0, 50, 200]),
            wall_stepped: Random::named(seed, "wall clock").pick(&[0, 0, 50, 500]),
            exits_held_back: random.pick(&[0, 50, 300]),
            slots: random.pick(&[1, 2, 4, 64]),
        };
        let pids = random.pick(&[12, 24, 24, 1000]);
        let needs = Needs::of(seed);
        let initial = wishes::configuration(&mut random, needs);
        let supervisor = Supervisor::new();
        let mut machine = Self {
            seed,
            clock: Instant(random.below(1_000_000_000_000)),
            wall_offset: 0,
            wall_chance: Random::named(seed, "steps of the wall clock"),
            keeper_chance: Random::named(seed, "deaths of the keeper"),
            unkindness,
            kernel: Kernel::new(Random::named(seed, "kernel"), pids),
            journal: Snapshot::default(),
            has_listeners: Random::named(seed, "listeners").happens(500),
            told_states: BTreeMap::new(),
            lives: Vec::new(),
            mortal: Mortal::default(),
            first: vec![Input::Begin(initial.clone())],
            clients: Clients::default(),
            mailbox: Vec::new(),
            reference: Reference::new(&supervisor, false),
            helpers: Helpers::new(seed),
            needs,
            initial,
            cuts: 0,
            cuts_left: random.pick(&[0, 3, 20, 100]),
            places: 0,
            cut_at,
            fault: None,
            trace,
            random,
        };
        machine.draw_cut();
        (machine, supervisor)
    }

    /// Whether the supervisor has been cut off.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.mortal.cut
    }

    /// How often this supervisor has said that all is over.
    #[must_use]
    pub fn finishes(&self) -> u32 {
        self.mortal.finishes
    }

    /// What is recorded.
    #[must_use]
    pub fn journal(&self) -> &Snapshot {
        &self.journal
    }

    /// The rules' idea of the table.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> Instant {
        self.clock
    }

    /// Whether the birth of this life waits for a slot.
    #[must_use]
    pub fn is_queued(&self, service: ServiceId, generation: Generation) -> bool {
        self.mortal.queue.contains(&(service, generation))
    }

    /// Whether this life has begun and its end was not yet told.
    #[must_use]
    pub fn is_owed(&self, service: ServiceId, generation: Generation) -> bool {
        self.lives
            .iter()
            .any(|life| (life.service, life.generation) == (service, generation) && !life.ended)
    }

    /// Notes the first violation.
    pub fn violate(&mut self, what: impl FnOnce() -> String) {
        if self.fault.is_none() {
            self.fault = Some(what());
        }
    }

    /// A place at which the supervisor may be cut off; whether it now is.
    fn cut(&mut self) -> bool {
        let place = self.places;
        self.places += 1;
        if let Some(cut_at) = self.cut_at {
            self.mortal.cut |= place == cut_at;
            return self.mortal.cut;
        }
        match &mut self.mortal.cut_in {
            Some(0) => self.mortal.cut = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.mortal.cut
    }

    /// Lets time pass until something happens, or a little longer.
    fn sleep(&mut self, deadline: Option<Instant>) {
        let events = [deadline, self.kernel.next_event(), self.helpers.next_event()];
        let mut moment = events.into_iter().flatten().min();
        if !self.mailbox.is_empty() || moment.is_none() {
            let range = self.random.pick(&[1000, 1_000_000, 3_000_000_000]);
            let client = self.clock + Duration::from_nanos(self.random.below(range));
            moment = Some(moment.map_or(client, |moment| moment.min(client)));
        }
        let earliest = self.clock + Duration::from_nanos(1);
        self.clock = moment.map_or(earliest, |moment| moment.max(earliest));
        if self.random.happens(self.unkindness.late) {
            let range = self.random.pick(&[1_000_000, 4_000_000_000, 15_000_000_000]);
            self.clock = self.clock + Duration::from_nanos(self.random.below(range));
        }
        self.kernel.advance(self.clock);
        self.step_wall_clock();
    }

    /// Somebody sets the wall clock, by up to a year, forward or back.
    fn step_wall_clock(&mut self) {
        if self.wall_chance.happens(self.unkindness.wall_stepped) {
            let range = self.wall_chance.pick(&[2, 3600, 365 * 86_400]);
            let step = i64::try_from(self.wall_chance.below(2 * range)).expect("two years");
            self.wall_offset += step - i64::try_from(range).expect("a year");
        }
    }

    fn signal(
        &mut self,
        supervisor: &Supervisor,
        service: ServiceId,
        generation: Generation,
        signal: Signal,
        reach: Reach,
    ) -> Option<Input> {
        self.kernel.advance(self.clock);
        self.kernel.process(service, generation)?;
        self.check_signal(supervisor, service, generation, signal);
        if self.random.happens(self.unkindness.signal_refused) {
            self.kernel.process_mut(service, generation)?.untouchable = true;
            return Some(Input::SignalFailed { service, generation, signal, errno: EPERM });
        }
        let pid = self.kernel.process(service, generation)?.pid;
        self.kernel.signal(self.clock, pid, signal);
        Some(Input::Signalled { service, generation, signal, reach })
    }

    fn spawn(
        &mut self,
        supervisor: &Supervisor,
        id: ServiceId,
        generation: Generation,
    ) -> Option<Input> {
        let service = supervisor.service(id);
        let is_wanted = service.is_some_and(|service| {
            let requested =
                matches!(service.state, State::Starting { launch: Launch::Requested, .. });
            requested && service.generation == generation
        });
        let next = self.reference.next_birth();
        if next != Some((id, generation)) {
            self.violate(|| format!("{generation:?} of {id:?} is born and {next:?} is next"));
        }
        if !is_wanted {
            self.violate(|| format!("a birth for {id:?} that nobody wants: {generation:?}"));
        }
        if !self.mortal.queue.is_empty() || !self.has_slot() {
            self.mortal.queue.push_back((id, generation));
            return None;
        }
        let program = self.journal_spec(id);
        Some(self.give_birth(id, generation, &program))
    }
}

impl World for Machine {
    fn now(&mut self) -> Now {
        Now {
            instant: self.clock,
            wall: WallTime(
                EPOCH
                    + self.wall_offset
                    + i64::try_from(self.clock.0 / 1_000_000_000).expect("a few hours"),
            ),
        }
    }

    fn wait(&mut self, deadline: Option<Instant>, inputs: &mut Vec<Input>) {
        if self.first.is_empty() {
            self.sleep(deadline);
            self.note_lateness(deadline);
            self.births(inputs);
            self.executions(inputs);
            self.news(inputs);
            let certain = inputs.len();
            self.exits(inputs);
            for asked in std::mem::take(&mut self.mailbox) {
                let place = certain + self.random.index(inputs.len() - certain + 1);
                inputs.insert(place, asked);
            }
        } else {
            inputs.append(&mut self.first);
        }
        self.cut();
        let now = self.now();
        if self.trace {
            println!("  at {}", now.instant.0);
            for input in inputs.iter() {
                println!("    told {input:?}");
            }
        }
        self.mortal.told = inputs.iter().map(|input| (now, input.clone())).collect();
        self.mortal.told.push((now, Input::Timeout));
    }

    fn is_dead(&mut self, service: ServiceId, generation: Generation) -> bool {
        let is_dead =
            self.is_owed(service, generation) && self.kernel.process(service, generation).is_none();
        if is_dead {
            let (now, input) = (self.now(), Input::Dead { service, generation });
            if self.trace {
                println!("    told {input:?}");
            }
            // The timeout comes after it.
            let last = self.mortal.told.len() - 1;
            self.mortal.told.insert(last, (now, input));
        }
        is_dead
    }

    fn publish(&mut self, _: &Supervisor, event: Event) {
        if self.has_listeners {
            self.mortal.events.push(event);
        }
    }

    fn decided(&mut self, _: Decision) {}

    fn owe(&mut self, _: &Supervisor, _: &Notice) {}

    fn record(&mut self, supervisor: &mut Supervisor) {
        if self.mortal.cut {
            return;
        }
        let somebody_leaves = self.somebody_leaves();
        let cleared = self.groups_of_the_file();
        self.consult(supervisor);
        let mut records: Vec<Record> = Vec::new();
        supervisor.take_records(|record| records.push(record));
        if self.has_listeners && self.cut() {
            return;
        }
        for record in records {
            if !self.has_listeners && self.cut() {
                return;
            }
            assert!(self.journal.admits(&record), "every record makes sense: {record:?}");
            self.disown_scripts(&record);
            self.journal.apply(record);
        }
        self.make_known(somebody_leaves, cleared);
        if self.cut() {
            return;
        }
        self.mortal.stop_sent = None;
        self.kernel.acknowledge(self.mortal.read);
        self.lives.retain(|life| !life.ended);
        self.scripts_recorded();
        if self.random.happens(20) {
            self.journal = supervisor.snapshot();
        }
    }

    fn perform(&mut self, supervisor: &Supervisor, action: Action) -> Option<Input> {
        if self.cut() {
            return None;
        }
        if self.trace {
            println!("    does {action:?}");
        }
        if self.random.happens(100) {
            self.clock = self.clock + Duration::from_nanos(self.random.below(3_000_000));
            self.kernel.advance(self.clock);
        }
        let outcome = match action {
            Action::Spawn { service, generation } => self.spawn(supervisor, service, generation),
            Action::Unspawn { service, generation } => {
                self.mortal.queue.retain(|queued| *queued != (service, generation));
                None
            }
            Action::Signal { service, generation, signal, reach } => {
                self.signal(supervisor, service, generation, signal, reach)
            }
            Action::Answer { ticket, answer } => {
                if let Err(wrong) = self.clients.answered(ticket, &answer, &self.reference) {
                    self.violate(|| wrong);
                }
                None
            }
            Action::Finish => {
                self.finish();
                None
            }
            Action::Sweep { service, generation } => {
                self.sweep(service, generation)
            }
            Action::Ping { service, generation, .. } => {
                self.ping(service, generation);
                None
            }
            Action::Check { service, generation, check } => {
                self.begin_check((service, generation), check);
                None
            }
            Action::EndCheck { service, check } => {
                self.end_check(service, check);
                None
            }
            Action::Edited(service) => {
                self.note_edit(supervisor, service);
                None
            }
            Action::EndScript { service, script } => {
                self.end_script(service, script);
                None
            }
            Action::RunScript { service, script, .. } => Some(self.run_script(service, script)),
            Action::Begin
            | Action::Begun
            | Action::Added(_)
            | Action::Removed(_)
            | Action::Notice(_)
            | Action::Commit { .. }
            // They are told, not performed.
            | Action::Event(_)
            | Action::Decided(_) => None,
        };
        self.cut();
        if let Some(input) = &outcome {
            if self.trace {
                println!("      so {input:?}");
            }
            let now = self.now();
            self.mortal.told.push((now, input.clone()));
        }
        outcome
    }
}
