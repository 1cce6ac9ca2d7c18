//! What a supervisor finds when it begins: descriptors that the keeper holds, births that
//! were under way, processes that the table knows. Each is matched with the others.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use bardo_core::record::Snapshot;
use bardo_core::service::{Launch, State};
use bardo_core::{Found, Generation, Input, Instant, Pid, ServiceId, Supervisor};
use bardo_keeper::protocol::{Key, Roles, ToKeeper};
use bardo_sys::control::Port;
use bardo_sys::memory::SharedMemory;
use bardo_sys::spawn::{Birth, Spawner};
use bardo_sys::{clock, process};
use rustix::io::Errno;

use super::channels::{self, Asks, Ends};
use super::children::{Child, Life};
use super::helpers;
use super::journal::{Areas, Process};
use super::kinship::{Trace, is_in_unit};
use super::link::Held;
use super::main_log::Level;
use super::outlets;
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
    /// The ends of the pipes before shared outputs, by the number of the output.
    pub(super) shared: BTreeMap<u32, outlets::Ends>,
    pub(super) listeners: Vec<(u32, OwnedFd)>,
    pub(super) sockets: BTreeMap<u32, OwnedFd>,
    pub(super) images: BTreeMap<u32, OwnedFd>,
    pub(super) stdins: HashMap<Key, OwnedFd>,
    pub(super) channels: HashMap<Key, Ends>,
    pub(super) outputs: Vec<(Life, Channel, OwnedFd)>,
    pub(super) processes: HashMap<Key, OwnedFd>,
    pub(super) door: Option<OwnedFd>,
    /// The supervisor of a keeper that was killed, and the talk with it.
    pub(super) former: (Option<OwnedFd>, Option<OwnedFd>),
}

impl Inheritance {
    /// The number of the supervisor of a keeper that was killed.
    pub(super) fn former_pid(&self) -> Option<u32> {
        let former = self.former.0.as_ref()?;
        u32::try_from(process::number(former.as_fd())?).ok()
    }
}

/// The births that a predecessor left. One that has no number was either never
/// cloned, or its child has not had the time for its first act, which is to say it:
/// such a child is seen among the keeper's, and is waited for.
pub(super) fn births(
    memory: &SharedMemory,
    areas: &Areas,
    (stepparents, service): (&[u32], &str),
    former: Option<u32>,
) -> Vec<Birth> {
    let give_up_at = clock::monotonic() + BIRTH_WITHIN;
    loop {
        let keeper = std::os::unix::process::parent_id();
        // Supervisors that have no keeper have the same name: the former one, and those of
        // other services.
        let is_ours = |pid: u32| Some(pid) != former && is_in_unit(service, pid);
        let mut stepparents = stepparents.iter();
        let unborn = process::has_unborn_child(keeper, |_| true)
            || stepparents.any(|parent| process::has_unborn_child(*parent, is_ours));
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
            Roles::SHARED_READ => {
                inheritance.shared.entry(key.life).or_default().0 = Some(descriptor);
            }
            Roles::SHARED_WRITE => {
                inheritance.shared.entry(key.life).or_default().1 = Some(descriptor);
            }
            Roles::LISTENER => inheritance.listeners.push((key.life, descriptor)),
            Roles::SOCKET => {
                inheritance.sockets.insert(key.life, descriptor);
            }
            Roles::IMAGE => {
                inheritance.images.insert(key.life, descriptor);
            }
            Roles::STDIN => {
                inheritance.stdins.insert(key, descriptor);
            }
            Roles::CONTROL => {
                ends(&mut inheritance, key).control = Some(Port::from_kept(descriptor));
            }
            Roles::NOTIFY => ends(&mut inheritance, key).notify = Some(Port::from_kept(descriptor)),
            Roles::PROCESS => {
                inheritance.processes.insert(key, descriptor);
            }
            Roles::HANDOVER => inheritance.door = Some(descriptor),
            Roles::SUPERVISOR => inheritance.former.0 = Some(descriptor),
            Roles::TALK => inheritance.former.1 = Some(descriptor),
            Roles::READY => ends(&mut inheritance, key).ready = Some(descriptor),
            Roles::STDOUT => inheritance.outputs.push((life, Channel::Stdout, descriptor)),
            Roles::STDERR => inheritance.outputs.push((life, Channel::Stderr, descriptor)),
            _ => {}
        }
    }
    inheritance
}

fn ends(inheritance: &mut Inheritance, key: Key) -> &mut Ends {
    inheritance.channels.entry(key).or_default()
}

/// A predecessor's processes by their numbers, as far as they are there.
pub(super) type Opened = HashMap<u32, OwnedFd>;

/// Opens every process that the table knows, or was about to. Who takes over without that would
/// take one for gone that is there, and could never stop it.
///
/// # Errors
/// When one cannot be opened although it may be there.
pub(super) fn open_all(table: &Snapshot, births: &[Birth]) -> io::Result<Opened> {
    let known = table.places.iter().filter_map(|place| place.service.as_ref()?.pid);
    let born = births.iter().filter(|birth| !helpers::is_helper(birth.identity));
    let mut opened = Opened::new();
    for pid in known.map(|pid| pid.0).chain(born.filter_map(|birth| birth.pid)) {
        match process::open(pid) {
            Ok(pidfd) => drop(opened.insert(pid, pidfd)),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {}
            Err(error) => return Err(error),
        }
    }
    // What is asked of /proc about them takes one more.
    File::open("/dev/null")?;
    Ok(opened)
}

/// Finds out what became of each process that the table knows, or was about to.
pub(super) fn adopt(
    machine: &mut Machine,
    supervisor: &Supervisor,
    births: &[Birth],
    inheritance: &mut Inheritance,
    mut opened: Opened,
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
        let mut has_run = true;
        if let Some(error) = born.and_then(|birth| birth.error) {
            machine.stillborn.insert(pid, error);
        } else if is_on_its_way {
            // Whether it has executed its program is seen by its name.
            machine.children.adopt(pid, life);
            has_run = false;
        }
        let stdin = inheritance.stdins.remove(&life.key());
        let leaf = machine.find_leaf(there);
        if let Some(ends) = inheritance.channels.remove(&life.key()) {
            if let Some(asks) = Asks::resumed(supervisor, there) {
                let told = machine.surroundings.told.get(&service).cloned().unwrap_or_default();
                let root = machine.trees.root_of(leaf.as_deref());
                machine.channels.adopt(life, &asks, (pid, root, told), ends);
            }
            if has_run {
                machine.channels.listen(life, clock::monotonic());
            }
        }
        let kept = inheritance.processes.remove(&life.key());
        let trace = Trace { kept: kept.as_ref(), at: born.map(|birth| birth.at) };
        // Its number may have passed from one that has ended to another one in the table.
        let is_there = opened.get(&pid).is_some_and(|it| is_known(machine, life, (pid, it), trace));
        let pidfd = if is_there { opened.remove(&pid) } else { None };
        machine.watch(life.key(), pid, (pidfd.as_ref(), kept.is_some()));
        if known_by(machine, life).is_none() && pidfd.is_some() {
            // The predecessor did not live to note it.
            machine.newborn.push((life, pid));
        }
        machine.children.add(pid, Child { life, pidfd, stdin, leaf });
        machine.count_kills(life);
    }
    end_strangers(machine, births, inheritance);
    inputs
}

impl Machine {
    /// Has the keeper watch a process that is not its child, because a keeper that was killed
    /// was its parent. It is open as `pidfd`, where it is there still; where it is not, its
    /// number may be that of a child of the keeper by now.
    pub(super) fn watch(&self, key: Key, pid: u32, (pidfd, is_kept): (Option<&OwnedFd>, bool)) {
        if self.stepparents.is_empty() || pidfd.is_some() && process::is_sibling(pid) {
            return;
        }
        if let Some(pidfd) = pidfd.filter(|_| !is_kept)
            && let Err(error) = self.link.hold(key, Roles::PROCESS, &[pidfd.as_fd()])
        {
            // Of one that is not held the keeper would make an exit record, although it lives.
            let text = format!("process {pid} is not watched until a keeper holds it: {error}");
            return self.log(Level::Error, &text);
        }
        self.tell(ToKeeper::Watch(key, pid));
    }
}

/// A birth that the table knows nothing of, because the journal has lost what was written
/// down of it, would be a second process soon: it is ended.
fn end_strangers(machine: &mut Machine, births: &[Birth], inheritance: &Inheritance) {
    for birth in births.iter().filter(|birth| !helpers::is_helper(birth.identity)) {
        let Some(pid) = birth.pid.filter(|pid| machine.children.child(*pid).is_none()) else {
            continue;
        };
        let kept = inheritance.processes.get(&Life::from_number(birth.identity).key());
        let trace = Trace { kept, at: Some(birth.at) };
        let Some(process) = process::open(pid).ok().filter(|_| machine.is_ours(pid, trace)) else {
            continue;
        };
        // It may have ended just now.
        if process::signal(process.as_fd(), KILL).is_ok_and(|sent| sent) {
            let text = format!("process {pid} was born for nobody that is known and is killed");
            machine.log(Level::Critical, &text);
        }
    }
}

/// Whether this is still that process of a predecessor's. One that has ended is not: its exit
/// record is on the way, and finds it by its number all the same.
fn is_known(
    machine: &Machine,
    life: Life,
    (pid, pidfd): (u32, &OwnedFd),
    trace: Trace<'_>,
) -> bool {
    match known_by(machine, life) {
        Some(known) => {
            process::identity(pidfd.as_fd(), pid).is_ok_and(|identity| identity == known.identity)
        }
        None => machine.is_ours(pid, trace),
    }
}

/// What the process of a life is known by.
fn known_by(machine: &Machine, life: Life) -> Option<Process> {
    let known = machine.surroundings.processes.get(&life.service).copied();
    known.filter(|known| known.generation == life.generation)
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
    for key in inheritance.processes.keys() {
        machine.tell(ToKeeper::Drop(*key, Roles::PROCESS));
    }
    for key in inheritance.channels.keys() {
        machine.tell(ToKeeper::Drop(*key, channels::roles()));
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
