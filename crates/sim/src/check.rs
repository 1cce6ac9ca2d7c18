//! What must be true after every turn of the loop, whatever has happened.

use bardo_core::record::Snapshot;
use bardo_core::service::Order;
use bardo_core::{Instant, Launch, Service, State, Supervisor};

use crate::world::Machine;

/// Looks at everything after a turn that began at `began`.
///
/// # Errors
/// What is not as it must be.
pub fn turn(supervisor: &Supervisor, machine: &Machine, began: Instant) -> Result<(), String> {
    if supervisor.snapshot() != *machine.journal() {
        return Err(format!(
            "the journal is not the table:\n{}",
            difference(machine.journal(), &supervisor.snapshot())
        ));
    }
    if supervisor.deadline().is_some_and(|deadline| deadline < began) {
        return Err("a deadline is in the past".to_owned());
    }
    for service in supervisor.services() {
        place(service, supervisor, machine)
            .map_err(|wrong| format!("{}:{}: {wrong}", service.group, service.spec.name))?;
    }
    for process in machine.kernel.processes() {
        let is_known = supervisor
            .service(process.service)
            .is_some_and(|service| service.generation == process.generation);
        if !is_known && !process.untouchable {
            return Err(format!("nobody knows {:?} of {:?}", process.generation, process.service));
        }
    }
    machine.reference().check_waits(supervisor)?;
    machine.check_told(supervisor)?;
    machine.clients.check(supervisor, machine.reference())
}

/// The first lines in which two tables differ.
pub fn difference(one: &Snapshot, other: &Snapshot) -> String {
    let (one, other) = (format!("{one:#?}"), format!("{other:#?}"));
    let differing =
        one.lines().zip(other.lines()).enumerate().filter(|(_, (one, other))| one != other);
    differing
        .take(5)
        .map(|(line, (one, other))| format!("  {line}: {} | {}\n", one.trim(), other.trim()))
        .collect()
}

/// Nothing is forgotten: whatever a service waits for is on its way.
fn place(service: &Service, supervisor: &Supervisor, machine: &Machine) -> Result<(), String> {
    let (id, generation) = (service.id, service.generation);
    if let Some(deadline) = service.deadline()
        && supervisor.deadline().is_none_or(|first| first > deadline)
    {
        return Err("its deadline is not kept".to_owned());
    }
    let process = machine.kernel.process(id, generation);
    match service.state {
        State::Starting { launch: Launch::Held, .. } => {
            if service.pid.is_some() || machine.is_queued(id, generation) {
                return Err("it is held and is born".to_owned());
            }
        }
        State::Starting { launch: Launch::Requested, .. } => {
            if !machine.is_queued(id, generation) {
                return Err("its birth is forgotten".to_owned());
            }
        }
        State::Starting { .. } | State::Running | State::Stopping { .. } | State::Unknown => {
            if service.pid.is_none() || !machine.is_owed(id, generation) {
                return Err(format!("it is {:?} and has no process", service.state));
            }
        }
        State::Stopped
        | State::Backoff { .. }
        | State::Recovering { .. }
        | State::Exited
        | State::Fatal => {
            // What could not be signalled was given up, and its place may have a new owner.
            let lives = process.is_some_and(|process| !process.untouchable);
            if service.pid.is_some() || lives {
                return Err(format!("it is {:?} and has a process", service.state));
            }
            if machine.is_queued(id, generation) {
                return Err("its birth goes on though it is not wanted".to_owned());
            }
        }
    }
    if let (State::Stopping { order, .. }, Some(process)) = (service.state, process) {
        match order {
            // Why it waits is looked at with the whole table.
            Order::Held => {}
            Order::Stop | Order::Kill => {
                return Err("a signal that was decided is not sent".to_owned());
            }
            Order::StopSent if process.stops == 0 => {
                return Err("it was not told to stop".to_owned());
            }
            Order::KillSent if process.kills == 0 => {
                return Err("it was not killed".to_owned());
            }
            Order::StopSent | Order::KillSent => {}
        }
    }
    Ok(())
}
