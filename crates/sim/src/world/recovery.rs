//! The supervisor is cut off, and a successor takes over.

use std::time::Duration;

use bardo_core::input::Found;
use bardo_core::record::Snapshot;
use bardo_core::{Input, Launch, State, Supervisor};

use super::births::exited;
use super::{Birth, Machine, Mortal};
use crate::check;
use crate::kernel::{ExitRecord, Statuses};
use crate::reference::Reference;

/// How often in a thousand the keeper dies with a supervisor that is cut off.
const KEEPER_KILLED: u64 = 150;

impl Machine {
    /// Puts a successor in the place of a supervisor that was cut off.
    pub fn recover(&mut self) -> Supervisor {
        self.cuts += 1;
        if let Some((service, generation)) = self.mortal.stop_sent
            && let Some(process) = self.kernel.process_mut(service, generation)
        {
            process.stops_forgotten += 1;
        }
        let outage = match self.random.below(20) {
            0 => self.random.below(40_000_000_000),
            1..5 => self.random.below(5_000_000_000),
            _ => self.random.below(20_000_000),
        };
        self.clock = self.clock + Duration::from_nanos(outage);
        self.kernel.advance(self.clock);
        if self.keeper_chance.happens(KEEPER_KILLED) {
            self.lose_keeper();
        }
        self.mortal = Mortal::default();
        self.clients.forget();
        self.mailbox.clear();
        self.draw_cut();
        for life in &mut self.lives {
            life.ended = false;
        }
        self.helpers_recover();
        if self.journal.mood.is_none() {
            // Nothing was begun, so nothing can have been started.
            self.journal = Snapshot::default();
            self.first = vec![Input::Begin(self.initial.clone())];
            let supervisor = Supervisor::new();
            self.reference = Reference::new(&supervisor, false);
            return supervisor;
        }
        let supervisor = Supervisor::recover(self.journal.clone());
        self.check_recovered(&supervisor);
        self.reference = Reference::new(&supervisor, true);
        for service in supervisor.services() {
            // An edit may have been written down and not told.
            self.note_edit(&supervisor, service.id);
        }
        self.find(&supervisor);
        if self.trace {
            println!("    -- cut off; a successor takes over at {}", self.clock.0);
        }
        supervisor
    }

    /// The keeper was killed too, at the same moment.
    fn lose_keeper(&mut self) {
        let knows = self.keeper_chance.happens(500);
        let statuses = if knows { Statuses::Kept } else { Statuses::Forgotten };
        let places = &self.journal.places;
        let is_known = |record: &ExitRecord| {
            let (id, generation) = record.life;
            let service = places.get(id.0 as usize).and_then(|place| place.service.as_ref());
            service.is_some_and(|service| {
                service.generation == generation && service.exit_sequence < record.sequence
            })
        };
        self.kernel.lose_keeper(self.clock, statuses, is_known);
        // Those of whom nothing will come any more.
        let kernel = &self.kernel;
        self.lives.retain(|life| {
            kernel.process(life.service, life.generation).is_some()
                || kernel.records().any(|record| record.life == (life.service, life.generation))
        });
    }

    pub(super) fn check_recovered(&mut self, supervisor: &Supervisor) {
        let mut expected = self.journal.clone();
        for place in &mut expected.places {
            if let Some(service) = &mut place.service {
                service.stop_report_at = None;
            }
        }
        if supervisor.snapshot() != expected {
            let difference = check::difference(&expected, &supervisor.snapshot());
            self.violate(|| format!("the recovered table is not the journal:\n{difference}"));
        }
    }

    /// What became of the processes of a predecessor.
    pub(super) fn find(&mut self, supervisor: &Supervisor) {
        self.first.clear();
        for service in supervisor.services() {
            let (id, generation) = (service.id, service.generation);
            let State::Starting { launch, .. } = service.state else {
                continue;
            };
            let life =
                self.lives.iter().find(|life| (life.service, life.generation) == (id, generation));
            if launch == Launch::Requested {
                let found =
                    life.map_or(Found::NeverCloned, |life| Found::Alive(life.pid, life.cloned));
                self.first.push(Input::Found { service: id, generation, found });
            }
            if launch != Launch::Executed && life.is_some() {
                if self.random.happens(300) {
                    // Nobody can tell whether it has; if not, it is about to.
                    self.first.push(Input::Executed { service: id, generation });
                    continue;
                }
                let ours = false;
                self.mortal.births.push(Birth { service: id, generation, ours });
            }
        }
        self.find_scripts(supervisor);
        // The keeper hands on its records at once, or a little later.
        let at_once = self.random.happens(600);
        let records: Vec<ExitRecord> = self.kernel.records().filter(|_| at_once).collect();
        for record in records {
            if let Some(life) = self.end_life(record.pid)
                && let Some(service) = supervisor.service(life.service)
                && record.sequence > service.exit_sequence
            {
                let mut words = Vec::new();
                self.last_words(life.service, life.generation, &mut words);
                self.first.append(&mut words);
                self.first.push(exited(life, record));
            }
            self.mortal.read = record.sequence;
        }
        self.first.push(Input::Resume);
    }

    pub(super) fn draw_cut(&mut self) {
        self.mortal.cut_in = None;
        if self.cuts_left > 0 {
            self.cuts_left -= 1;
            let range = self.random.pick(&[8, 60, 400]);
            self.mortal.cut_in = Some(self.random.below(range));
        }
    }
}
