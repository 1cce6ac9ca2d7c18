//! The mode that only watches.
//!
//! When one supervisor after the other could not take over, something in what they do is
//! broken, and doing it again does not help. Then this one comes between two tries: it
//! carries programs' output to their logs and lets clients see the table as it was last
//! written down, and why nothing else is done. It starts, stops and records nothing. The
//! keeper ends it when the next try is due; a client that asks for a restart has it tried
//! at once, and one that asks for the end gets it from the keeper.

use std::os::fd::AsFd as _;
use std::sync::PoisonError;

use bardo_core::Supervisor;
use bardo_core::job::{Answer, Command};
use bardo_keeper::protocol::Predecessor;
use bardo_sys::{clock, poll, process};

use super::adoption::Inheritance;
use super::clients::{Question, Reply, Request};
use super::handover;
use super::journal::Memory;
use super::main_log::Level;
use super::troubles::TroubleKind;
use super::troubles::noticing::SUPERVISOR;
use super::world::Machine;

/// SIGTERM.
const TERMINATE: i32 = 15;

/// What a supervisor that works is known by.
pub const SUPERVISOR_COMM: &str = "bardo-superv";

/// What it is known by, in `ps` and to the keeper's other children.
pub const COMM: &str = "bardo-watch";

/// What a client wants of whoever only watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The next supervisor is to try at once.
    TryAgain,
    /// Everything is to end.
    End,
}

impl Wish {
    /// Does what is left to do once the client has its answer. A keeper that is our parent
    /// is there; one that is not has gone, and its number may be somebody else's.
    pub(super) fn fulfil(self, keeper: u32) {
        if self == Self::End && std::os::unix::process::parent_id() == keeper {
            process::kill_child(keeper, TERMINATE);
        }
    }
}

/// Watches until the keeper ends it, or a client has a wish. `why` says what became of
/// the last supervisor.
pub(super) fn watch(
    mut machine: Machine,
    known: Memory,
    inheritance: Inheritance,
    predecessor: Predecessor,
    why: &str,
) -> Wish {
    let reason = reason(predecessor, why);
    machine.log(Level::Critical, &reason);
    machine.troubles.begin(TroubleKind::Keeper, SUPERVISOR, &reason, clock::wall_seconds());
    let mut shown = machine.shown.write().unwrap_or_else(PoisonError::into_inner);
    shown.watching = Some(reason.into());
    drop(shown);
    let supervisor = Supervisor::recover(known.table);
    for (life, channel, pipe) in inheritance.outputs {
        // Whose place is empty: the next one knows what to do with it.
        if let Some(service) = supervisor.service(life.service) {
            let sink = machine.sink(service, channel);
            machine.attach(life, machine.pid_of(life), (channel, pipe, sink));
        }
    }
    machine.pump.go();
    loop {
        let (_, [woken]) = poll::many(machine.link.as_fd(), [Some(machine.waker.as_fd())], None);
        if woken {
            machine.waker.clear();
            machine.hear_of_logs();
        }
        while let Some(request) = machine.next_question() {
            if let Some(wish) = answer(&mut machine, &supervisor, request) {
                return wish;
            }
        }
        machine.listen(&mut Vec::new());
        if machine.decides_nothing() {
            handover::wait_for_heir(&mut machine, &supervisor, &inheritance.processes);
        }
        if machine.keeper_lost {
            return Wish::TryAgain;
        }
    }
}

/// Answers a client, who may have a wish.
fn answer(machine: &mut Machine, supervisor: &Supervisor, request: Request) -> Option<Wish> {
    let Request { question, reply } = request;
    match question {
        Question::Command(Command::Restart) => {
            machine.log(Level::Warn, "a client has the next supervisor tried now");
            let _ = reply.send(Reply::Answer(Answer::Done));
            return Some(Wish::TryAgain);
        }
        Question::Command(Command::Shutdown) => {
            machine.log(Level::Warn, "a client asks for the end: the keeper ends all programs");
            let _ = reply.send(Reply::Answer(Answer::Done));
            return Some(Wish::End);
        }
        Question::Command(Command::Look) => {
            let _ = reply.send(Reply::Answer(Answer::Table));
        }
        // The API lets nothing through but looks.
        question => machine.look(supervisor, question, reply),
    }
    None
}

fn reason(predecessor: Predecessor, why: &str) -> String {
    let seconds = predecessor.next_try.saturating_sub(clock::monotonic()).div_ceil(1_000_000_000);
    format!(
        "{} supervisors in a row could not take over; the last one {why}. Until the next one is \
         tried, in {seconds} s or with 'reload', this one only watches: programs go on and their \
         output goes to their logs, but nothing is started, stopped or restarted",
        predecessor.failures
    )
}
