//! What the keeper has handed on: processes that have ended, and signals to the daemon.

use bardo_core::id::ExitSequence;
use bardo_core::{ExitStatus, Input, Instant, Signal};
use bardo_keeper::protocol::Exit;

use super::children::Life;
use super::main_log::Level;
use super::notices::{spawn_error, start_error};
use super::world::Machine;
use crate::words;

impl Machine {
    /// Processes have ended: the core is told of each, after all that it has said.
    pub(super) fn exits(&mut self, inputs: &mut Vec<Input>) {
        for Exit { sequence, pid, status, at } in std::mem::take(&mut self.news.exits) {
            self.taken.exits = Some(sequence);
            let sequence = ExitSequence(sequence);
            if self.was_taken(pid, sequence) {
                continue;
            }
            let status = ExitStatus::from_wait_status(status);
            let Some(child) = self.children.remove(pid) else {
                if let Some(input) = self.helper_ended(pid, status) {
                    inputs.push(input);
                    continue;
                }
                let ending = words::ending(status);
                self.log(Level::Debug, &format!("reaped unknown pid {pid} ({ending})"));
                continue;
            };
            self.backlog.forget(pid, child.stdin.as_ref());
            self.listening.unwatch(child.life, child.stdin.as_ref());
            let Life { service, generation } = child.life;
            self.is_unstuck(service);
            self.hear_last_words(child.life, inputs);
            if self.was_short_of_memory(&child, status) {
                inputs.push(Input::OutOfMemory { service, generation });
            }
            let wrong = self.stillborn.remove(&pid);
            let wrong = if self.trees.has(service) {
                wrong.map(start_error)
            } else {
                wrong.and_then(spawn_error)
            };
            inputs.push(match wrong {
                Some((error, entry)) => {
                    self.note_file(service, entry);
                    self.trees.leave(child.leaf);
                    Input::SpawnFailed { service, generation, error }
                }
                None => {
                    let at = Instant(at);
                    Input::Exited { service, generation, status, sequence, at }
                }
            });
            self.metrics.exited(service, at);
            self.over.push(child.life);
        }
    }

    /// Whether a predecessor took this record and had no time to say so. The number of
    /// its process may belong to another one by now.
    fn was_taken(&self, pid: u32, sequence: ExitSequence) -> bool {
        let service = self.children.child(pid).map(|child| child.life.service.0 as usize);
        let known = service.and_then(|place| self.exits_known.get(place));
        known.is_some_and(|known| sequence <= *known)
    }

    /// What the daemon itself was sent.
    pub(super) fn signals(&mut self, inputs: &mut Vec<Input>) {
        let signals = std::mem::take(&mut self.news.signals);
        self.taken.signals |= signals;
        for signal in (1..64).filter(|number| signals >> number & 1 == 1) {
            match Signal::from_number(signal) {
                Some(signal @ (Signal::TERM | Signal::INT | Signal::QUIT)) => {
                    let text = format!("received {signal} indicating exit request");
                    self.log(Level::Warn, &text);
                    inputs.push(Input::Shutdown);
                }
                Some(Signal::HUP) => self.hang_up(),
                Some(Signal::USR2) => {
                    self.log(Level::Info, "received SIGUSR2 indicating log reopen request");
                    self.log(Level::Info, "supervisord logreopen");
                    self.pump.reopen();
                }
                Some(_) | None => {}
            }
        }
    }
}
