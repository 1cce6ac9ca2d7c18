//! Births and deaths, as the supervisor learns of them.

use std::time::Duration;

use bardo_core::{Generation, Input, Pid, ServiceId, SpawnError};

use super::{Birth, Life, Machine};
use crate::kernel::ExitRecord;
use crate::program::Nature;

const EAGAIN: i32 = 11;
const EMFILE: i32 = 24;

impl Machine {
    pub(super) fn births(&mut self, inputs: &mut Vec<Input>) {
        while self.has_slot()
            && let Some((service, generation)) = self.mortal.queue.pop_front()
        {
            let program = self.journal_spec(service);
            inputs.push(self.give_birth(service, generation, &program));
            if self.cut() {
                return;
            }
        }
    }

    pub(super) fn has_slot(&self) -> bool {
        let busy = self
            .mortal
            .births
            .iter()
            .filter(|birth| {
                birth.ours
                    && self
                        .kernel
                        .process(birth.service, birth.generation)
                        .is_some_and(|process| !process.executed)
            })
            .count();
        busy < self.unkindness.slots
    }

    /// The name and the span of a start of a service, as recorded.
    pub(super) fn journal_spec(&self, id: ServiceId) -> (String, Duration) {
        for group in &self.journal.groups {
            for (spec, member) in group.spec.services.iter().zip(&group.members) {
                if *member == id {
                    let name = format!("{}:{}", group.spec.name, spec.name);
                    return (name, spec.program.startsecs.duration());
                }
            }
        }
        (String::new(), Duration::ZERO)
    }

    pub(super) fn give_birth(
        &mut self,
        service: ServiceId,
        generation: Generation,
        (name, span): &(String, Duration),
    ) -> Input {
        if self.random.happens(self.unkindness.clone_refused) {
            let error = self.random.pick(&[
                SpawnError::Clone(EAGAIN),
                SpawnError::Pipes(EMFILE),
                SpawnError::NoClosingQuotation,
                SpawnError::NoEscapedCharacter,
                SpawnError::Empty,
                SpawnError::NotFound,
                SpawnError::IsDirectory,
                SpawnError::NotExecutable,
                SpawnError::NotPermitted,
            ]);
            return Input::SpawnFailed { service, generation, error };
        }
        self.check_birth(service, generation);
        let script = Nature::of(self.seed, name).live(&mut self.random, *span);
        let clock = self.clock;
        match self.kernel.clone_process(clock, service, generation, script) {
            Ok(pid) => {
                let cloned = clock;
                self.lives.push(Life { service, generation, pid, cloned, ended: false });
                let ours = true;
                self.mortal.births.push(Birth { service, generation, ours });
                self.give_voice(service, generation);
                Input::Spawned { service, generation, pid }
            }
            Err(errno) => {
                Input::SpawnFailed { service, generation, error: SpawnError::Clone(errno) }
            }
        }
    }

    /// News of births that are over.
    pub(super) fn executions(&mut self, inputs: &mut Vec<Input>) {
        let mut births = std::mem::take(&mut self.mortal.births);
        births.retain(|birth| {
            let (service, generation) = (birth.service, birth.generation);
            let over = match self.kernel.process(service, generation) {
                Some(process) => process.executed,
                // The slot is free: nobody can say whether it had come to its program.
                None => true,
            };
            let known = over && !self.random.happens(200);
            let ended = self.kernel.process(service, generation).is_none();
            if known && !(ended && self.random.happens(500)) {
                inputs.push(Input::Executed { service, generation });
            }
            !known
        });
        self.mortal.births = births;
    }

    pub(super) fn exits(&mut self, inputs: &mut Vec<Input>) {
        let read = self.mortal.read;
        let records: Vec<ExitRecord> =
            self.kernel.records().filter(|record| record.sequence > read).collect();
        for record in records {
            if self.random.happens(self.unkindness.exits_held_back) {
                return;
            }
            if let Some(life) = self.end_life(record.pid) {
                let ours = self.mortal.births.iter().any(|birth| {
                    birth.ours
                        && (birth.service, birth.generation) == (life.service, life.generation)
                });
                let input = match record.birth_error {
                    // The slot says which step failed; a dead supervisor's slots are gone.
                    Some(errno) if ours && self.random.happens(500) => Input::SpawnFailed {
                        service: life.service,
                        generation: life.generation,
                        error: SpawnError::Clone(errno),
                    },
                    _ => exited(life, record),
                };
                self.last_words(life.service, life.generation, inputs);
                inputs.push(input);
            }
            self.mortal.read = record.sequence;
        }
    }

    /// Whose end a record tells: a number that is used again belongs to the
    /// eldest whose end is not known.
    pub(super) fn end_life(&mut self, pid: Pid) -> Option<Life> {
        let life = self.lives.iter_mut().find(|life| life.pid == pid && !life.ended)?;
        life.ended = true;
        Some(*life)
    }
}

pub(super) fn exited(life: Life, record: ExitRecord) -> Input {
    Input::Exited {
        service: life.service,
        generation: life.generation,
        status: record.status,
        sequence: record.sequence,
        at: record.at,
    }
}
