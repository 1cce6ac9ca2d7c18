//! What a supervisor is given: what is held, batch by batch, then exits and signals.

use std::os::fd::AsFd as _;

use bardo_sys::channel::Wait;
use bardo_sys::clock;

use super::{Keeper, Phase};
use crate::protocol::{ENTRIES_MAX, Message, Predecessor, ToSupervisor};

impl Keeper {
    /// The supervisor has taken something: its time begins anew, if there is more.
    pub(super) fn paid(&mut self) {
        if let Some(supervisor) = &mut self.supervisor {
            let all = supervisor.handed == 0 && self.exits.is_empty();
            supervisor.owed_since = (!all).then(clock::monotonic);
        }
    }

    /// Gives the supervisor the next batch of what is held, or the word to begin.
    pub(super) fn give(&mut self) {
        let Some(supervisor) = &mut self.supervisor else { return };
        let Some(mut number) = supervisor.give_from else { return };
        let mut message = Message::to_supervisor(ToSupervisor::Held);
        // As long as the longest batch; what is behind `count` is not sent.
        let mut descriptors = [self.signals.as_fd(); ENTRIES_MAX];
        let mut count = 0;
        while count < ENTRIES_MAX
            && let Some((key, role, descriptor, next)) = self.vault.from(number)
        {
            message.push_held(key, role);
            descriptors[count] = descriptor;
            count += 1;
            number = next;
        }
        let mut signals = 0;
        if count == 0 {
            // With the word to begin, so that it is known which came before it: the last one
            // may have begun what they ask for. Who only watches does nothing of it.
            signals = if supervisor.phase == Phase::Watches { 0 } else { self.pending };
            let (failures, next_try) = (self.failures, self.start_at);
            let predecessor = Predecessor { failures, next_try, signals, ..self.predecessor };
            message = Message::to_supervisor(ToSupervisor::Begin(predecessor));
        }
        // One batch is in the channel at a time, so there is room; where there is
        // none, the supervisor does not take over in time and is started again.
        let sent = supervisor.channel.send(message.bytes(), &descriptors[..count], Wait::No);
        if sent.is_ok() {
            supervisor.give_from = (count > 0).then_some(number);
            supervisor.handed |= signals;
            if signals != 0 {
                supervisor.owed_since.get_or_insert_with(clock::monotonic);
            }
        }
    }

    /// Hands on what the supervisor has not been told.
    pub(super) fn hand_on(&mut self) {
        let Some(supervisor) = &mut self.supervisor else { return };
        if supervisor.give_from.is_some() || supervisor.phase == Phase::Watches {
            return;
        }
        supervisor.full = false;
        while let Some(first) = self.exits.from(supervisor.next_exit) {
            let mut message = Message::to_supervisor(ToSupervisor::Exits);
            let mut next = first.sequence;
            while next < first.sequence + ENTRIES_MAX as u64
                && let Some(exit) = self.exits.from(next)
            {
                message.push_exit(exit);
                next = exit.sequence + 1;
            }
            if supervisor.channel.send(message.bytes(), &[], Wait::No).is_err() {
                supervisor.full = true;
                break;
            }
            supervisor.next_exit = next;
            supervisor.owed_since.get_or_insert_with(clock::monotonic);
        }
        let fresh = self.pending & !supervisor.handed;
        if fresh != 0 && !supervisor.full {
            let message = Message::to_supervisor(ToSupervisor::Signals(fresh));
            if supervisor.channel.send(message.bytes(), &[], Wait::No).is_ok() {
                supervisor.handed |= fresh;
                supervisor.owed_since.get_or_insert_with(clock::monotonic);
            } else {
                supervisor.full = true;
            }
        }
    }
}
