//! What must not happen at the very moment at which something is done.

use bardo_core::decision::Reason;
use bardo_core::{Generation, Input, ServiceId, Signal, State, Supervisor};

use super::Machine;

impl Machine {
    pub(super) fn check_birth(&mut self, service: ServiceId, generation: Generation) {
        let rival = self
            .kernel
            .processes()
            .iter()
            .find(|process| process.service == service && !process.untouchable)
            .map(|process| process.generation);
        if let Some(rival) = rival {
            self.violate(|| {
                format!("a second process for {service:?}: {generation:?} beside {rival:?}")
            });
        }
    }

    /// Who is signalled must be meant, and nobody is told to stop twice.
    pub(super) fn check_signal(
        &mut self,
        supervisor: &Supervisor,
        id: ServiceId,
        generation: Generation,
        signal: Signal,
    ) {
        let Some(service) =
            supervisor.service(id).filter(|service| service.generation == generation)
        else {
            return;
        };
        let stop = service.spec.program.stop.signal;
        let is_stopping = matches!(service.state, State::Stopping { .. });
        let Some(process) = self.kernel.process_mut(id, generation) else {
            return;
        };
        if signal == Signal::KILL {
            process.kills += 1;
        } else if signal == stop {
            process.stops += 1;
            self.mortal.stop_sent = Some((id, generation));
        }
        let twice = process.stops > 1 + process.stops_forgotten;
        // The kill may have been decided together with the stop that was refused.
        let is_meant = is_stopping
            || process.untouchable
            || signal == Signal::KILL && service.verdict().is_some();
        // It may well speak between the first kill and the next, which its stop may send.
        let is_first_kill = signal == Signal::KILL && process.kills == 1;
        if is_first_kill && service.verdict() == Some(Reason::NoHeartbeat) {
            self.check_silence(service);
        }
        if (signal == Signal::KILL || signal == stop) && !is_meant {
            self.violate(|| format!("{signal} to {id:?}, which nobody stops"));
        } else if signal == stop && twice {
            self.violate(|| format!("{id:?} is told to stop twice"));
        }
    }

    pub(super) fn finish(&mut self) {
        self.mortal.finishes += 1;
        if self.mortal.finishes > 1 {
            self.violate(|| "the end came twice".to_owned());
        }
        let survivor = self
            .kernel
            .processes()
            .iter()
            .find(|process| !process.untouchable)
            .map(|process| (process.service, process.generation));
        if let Some(survivor) = survivor {
            self.violate(|| format!("the end came while {survivor:?} lived"));
        }
    }

    /// Tells the rules what the core was told, and compares.
    pub(super) fn consult(&mut self, supervisor: &Supervisor) {
        for (now, input) in std::mem::take(&mut self.mortal.told) {
            if let Input::Command { ticket, command } = &input {
                self.clients.asked(*ticket, command, &self.reference);
            }
            self.note_signs(now.instant, &input);
            let answer = self.reference.step(now, &input);
            if let Input::Command { ticket, .. } = &input {
                self.clients.expect(*ticket, answer);
            }
            for (ticket, answer) in self.reference.take_answers() {
                self.clients.expect(ticket, Some(answer));
            }
        }
        if let Err(difference) = self.reference.compare(supervisor) {
            self.violate(|| difference);
        }
    }
}
