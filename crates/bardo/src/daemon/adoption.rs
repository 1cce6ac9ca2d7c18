//! What a supervisor finds when it begins: descriptors that the keeper holds, births that
//! were under way, processes that the table knows. Each is matched with the others.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use bardo_core::service::{Launch, State};
use bardo_core::{Found, Generation, Input, Instant, Pid, ServiceId, Supervisor};
use bardo_keeper::protocol::{Key, Roles, ToKeeper};
use bardo_sys::memory::SharedMemory;
use bardo_sys::spawn::{Birth, Spawner};
use bardo_sys::{clock, process};

use super::children::{Child, Life};
use super::journal::Areas;
use super::link::Held;
use super::main_log::Level;
use super::pump::{Channel, Sink, StreamKey};
use super::world::Machine;

/// SIGKILL.
const KILL: i32 = 9;

/// How long, in nanoseconds, a new child may take to its first system call. Nothing
/// but a frozen machine comes near it.
const BIRTH_WITHIN: u64 = 5_000_000_000;

/// What the keeper held, sorted.
#[derive(Default)]
pub(super) struct Inheritance {
    pub(super) staging: (Option<OwnedFd>, Option<OwnedFd>),
    pub(super) outbox: (Option<OwnedFd>, Option<OwnedFd>),
    pub(super) listeners: Vec<(u32, OwnedFd)>,
    pub(super) sockets: BTreeMap<u32, OwnedFd>,
    pub(super) stdins: HashMap<Key, OwnedFd>,
    pub(super) outputs: Vec<(Life, Channel, OwnedFd)>,
}

/// The births that a predecessor left. One that has no number was either never
/// cloned, or its child has not had the time for its first act, which is to say it:
/// such a child is seen among the keeper's, and is waited for.
pub(super) fn births(memory: &SharedMemory, areas: &Areas) -> Vec<Birth> {
    let give_up_at = clock::monotonic() + BIRTH_WITHIN;
    loop {
        let unborn = process::has_unborn_sibling();
        // Read after that: a child that is on its way no more has said its number.
        let births = Spawner::births(memory, areas.births.clone());
        let all_known = births.iter().all(|birth| birth.pid.is_some());
        if all_known || !unborn || clock::monotonic() > give_up_at {
            return births;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

pub(super) fn sort(held: Vec<Held>) -> Inheritance {
    let mut inheritance = Inheritance::default();
    for Held { key, role, descriptor } in held {
        let life = Life { service: ServiceId(key.owner), generation: Generation(key.life) };
        match role {
            Roles::STAGING_READ => inheritance.staging.0 = Some(descriptor),
            Roles::STAGING_WRITE => inheritance.staging.1 = Some(descriptor),
            Roles::OUTBOX_READ => inheritance.outbox.0 = Some(descriptor),
            Roles::OUTBOX_WRITE => inheritance.outbox.1 = Some(descriptor),
            Roles::LISTENER => inheritance.listeners.push((key.life, descriptor)),
            Roles::SOCKET => {
                inheritance.sockets.insert(key.life, descriptor);
            }
            Roles::STDIN => {
                inheritance.stdins.insert(key, descriptor);
            }
            Roles::STDOUT => inheritance.outputs.push((life, Channel::Stdout, descriptor)),
            Roles::STDERR => inheritance.outputs.push((life, Channel::Stderr, descriptor)),
            _ => {}
        }
    }
    inheritance
}

/// Finds out what became of each process that the table knows, or was about to.
pub(super) fn adopt(
    machine: &mut Machine,
    supervisor: &Supervisor,
    births: &[Birth],
    inheritance: &mut Inheritance,
) -> Vec<Input> {
    let mut inputs = Vec::new();
    for there in supervisor.services() {
        let life = Life { service: there.id, generation: there.generation };
        let (service, generation) = (life.service, life.generation);
        let requested = matches!(there.state, State::Starting { launch: Launch::Requested, .. });
        let born = births.iter().find(|birth| birth.identity == life.to_number());
        let pid = there.pid.map(|pid| pid.0).or_else(|| born.and_then(|birth| birth.pid));
        let Some(pid) = pid else {
            if requested {
                inputs.push(Input::Found { service, generation, found: Found::NeverCloned });
            }
            continue;
        };
        if there.pid.is_none() {
            let at = born.map_or_else(clock::monotonic, |birth| birth.at);
            let found = Found::Alive(Pid(pid), Instant(at));
            inputs.push(Input::Found { service, generation, found });
        }
        let is_on_its_way = matches!(
            there.state,
            State::Starting { launch: Launch::Requested | Launch::Cloned { .. }, .. }
        );
        if let Some(error) = born.and_then(|birth| birth.error) {
            machine.stillborn.insert(pid, error);
        } else if is_on_its_way {
            // Whether it has executed its program is seen by its name.
            machine.children.adopt(pid, life);
        }
        let stdin = inheritance.stdins.remove(&life.key());
        let pidfd = open_known(machine, life, pid);
        machine.children.add(pid, Child { life, pidfd, stdin });
    }
    end_strangers(machine, births);
    inputs
}

/// A birth that the table knows nothing of, because the journal has lost what was written
/// down of it, would be a second process soon: it is ended.
fn end_strangers(machine: &mut Machine, births: &[Birth]) {
    for birth in births {
        let Some(pid) = birth.pid.filter(|pid| machine.children.child(*pid).is_none()) else {
            continue;
        };
        let Some(process) = process::open(pid).ok().filter(|_| process::is_sibling(pid)) else {
            continue;
        };
        // It may have ended just now.
        if process::signal(process.as_fd(), KILL).is_ok_and(|sent| sent) {
            let text = format!("process {pid} was born for nobody that is known and is killed");
            machine.log(Level::Critical, &text);
        }
    }
}

/// Opens a predecessor's process, if it is still that process. One that has ended is
/// not: its exit record is on the way, and finds it by its number all the same.
fn open_known(machine: &Machine, life: Life, pid: u32) -> Option<OwnedFd> {
    let pidfd = process::open(pid).ok()?;
    let known = machine.surroundings.processes.get(&life.service);
    let known = known.filter(|known| known.generation == life.generation);
    let same = known.is_none_or(|known| {
        process::identity(pidfd.as_fd(), pid).is_ok_and(|identity| identity == known.identity)
    });
    same.then_some(pidfd)
}

/// Gives the pump every stream that is there; those of lives that are over are read
/// to their end and closed.
pub(super) fn attach_all(
    machine: &mut Machine,
    supervisor: &Supervisor,
    inheritance: Inheritance,
) -> Vec<StreamKey> {
    for key in inheritance.stdins.keys() {
        machine.tell(ToKeeper::Drop(*key, Roles::STDIN));
    }
    let mut over = Vec::new();
    let mut streams = Vec::new();
    for (life, channel, pipe) in inheritance.outputs {
        let Life { service, generation } = life;
        streams.push(StreamKey { service, generation, channel });
        let service = supervisor.service(life.service);
        let sink = |service| machine.sink(service, channel);
        let sink = service.map_or_else(Sink::nowhere, sink);
        let pid = machine.pid_of(life);
        machine.attach(life, pid, (channel, pipe, sink));
        if machine.children.get(life).is_none() && !over.contains(&life) {
            over.push(life);
        }
    }
    for life in over {
        machine.release(life);
    }
    streams
}
