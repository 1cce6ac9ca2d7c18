//! What is left of a life that is over is killed, and its leaf is removed.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bardo_core::service::Service;
use bardo_core::spec::Reach;
use bardo_core::{Generation, Input, ServiceId, Signal, Supervisor};
use bardo_sys::cgroup::Leaf;
use bardo_sys::limits::{self as limits_of_process, Limited};
use bardo_sys::process;
use bardo_sys::stat::Stat;
use bardo_sys::tree::Tree;

use super::super::children::{Life, Start};
use super::super::errands::{Done, Teller};
use super::super::main_log::Level;
use super::super::world::Machine;
use super::{EMPTY_MAX, GONE_WITHIN, PAUSE_LEAST, PAUSE_MAX, SWEEPERS_MAX, Trees, left_from};
use crate::names::namespec;

/// What may be left of a life.
#[derive(Debug)]
pub(in crate::daemon) struct Left {
    /// Whose life; that of none that is in the table where nobody waits for it.
    life: Life,
    label: Box<str>,
    remains: Remains,
    /// Whether it was killed and is not gone.
    stays: bool,
}

#[derive(Debug)]
enum Remains {
    /// Whoever is in its leaf. All of them have been killed.
    Leaf(Leaf),
    /// Whoever is of its session.
    Session(Tree),
}

/// That of what no service waits for.
const NOBODY: Life = Life { service: ServiceId(u32::MAX), generation: Generation(0) };

impl Left {
    fn new(life: Life, label: &str, remains: Remains) -> Self {
        Self { life, label: label.into(), remains, stays: false }
    }
}

impl Machine {
    /// Kills what is left of a life that is over. The next one waits until it is gone.
    pub(in crate::daemon) fn sweep(
        &mut self,
        supervisor: &Supervisor,
        life: Life,
    ) -> Option<Input> {
        let service = supervisor.service(life.service)?;
        if service.state_name().is_stopped() {
            self.trees.empty.extend(self.trees.ahead.forget_next(life.service));
        }
        if let Some(leaf) = self.trees.ahead.empty_leaf(life) {
            // The next life is not kept waiting for the rest.
            self.trees.empty.push(leaf);
            return Some(over(life));
        }
        let label = namespec(&service.group, &service.spec.name);
        if let Some(leaf) = self.trees.leaf(&label, life) {
            self.sweep_leaf(life, &label, leaf)
        } else if let Some(tree) = self.session_of(life).filter(|_| self.has_orphans()) {
            self.trees.add(Left::new(life, &label, Remains::Session(tree)));
            self.send_sweepers();
            None
        } else {
            // Nobody is left, or it is not known by what to find them.
            Some(over(life))
        }
    }

    /// What a life has left in its session, where it never had a leaf: the number of one
    /// that had may be a stranger's when its leaf is gone.
    fn session_of(&self, life: Life) -> Option<Tree> {
        let known = self.surroundings.processes.get(&life.service);
        let known = known.filter(|known| known.generation == life.generation)?;
        let keeper = std::os::unix::process::parent_id();
        Some(Tree::left_by(known.pid.0, known.session?, keeper))
    }

    /// Whether there may be a process that was left by another one: the keeper becomes its
    /// parent, and it is none that the keeper was given by us.
    fn has_orphans(&self) -> bool {
        let keeper = std::os::unix::process::parent_id();
        let own = std::process::id();
        let is_known = |pid: &u32| *pid == own || self.children.child(*pid).is_some();
        // One that the first look has passed over, because others ended, is seen by the next.
        let looks = [process::few_children(keeper), process::few_children(keeper)];
        looks.into_iter().any(|few| few.is_none_or(|few| !few.iter().all(is_known)))
    }

    fn sweep_leaf(&mut self, life: Life, label: &str, leaf: Leaf) -> Option<Input> {
        // To remove it is the quickest way to learn that nobody is left in it.
        if leaf.remove_if_empty() || !leaf.is_populated().unwrap_or(true) {
            // The next life is not kept waiting for the rest.
            self.trees.empty.push(leaf);
            return Some(over(life));
        }
        if let Err(error) = leaf.kill() {
            let text = format!("{label}: what is left in {} stays: {error}", leaf.path().display());
            self.log(Level::Warn, &text);
        }
        self.trees.add(Left::new(life, label, Remains::Leaf(leaf)));
        self.send_sweepers();
        None
    }

    /// Kills what a check has left that has ended. Nobody waits until it is gone.
    pub(in crate::daemon) fn sweep_check(&mut self, leader: u32, leaf: Option<Leaf>) {
        const LABEL: &str = "a check";
        if let Some(leaf) = leaf {
            let _ = self.sweep_leaf(NOBODY, LABEL, leaf);
        } else if process::signal_group(leader, 0).unwrap_or(true) {
            // The number is another one's by now, unless somebody is left in its group. Who
            // that is can only be told by a look at all.
            let keeper = std::os::unix::process::parent_id();
            // It was born later than we were.
            let Some(own) = Stat::of(std::process::id()) else { return };
            let remains = Remains::Session(Tree::left_by(leader, own.started, keeper));
            self.trees.add(Left::new(NOBODY, LABEL, remains));
            self.send_sweepers();
        }
    }

    /// Sends threads to see to it that what is left is gone.
    fn send_sweepers(&mut self) {
        if self.trees.left.is_empty() || self.trees.sweepers == SWEEPERS_MAX {
            return;
        }
        let left = std::mem::take(&mut self.trees.left);
        let services: Vec<ServiceId> = left.iter().map(|left| left.life.service).collect();
        let work = move |teller: &Teller| {
            clear(left, |left| teller.tell(Done::Gone(left)));
            Done::Swept
        };
        match self.errands.begin_telling("sweep", work) {
            Ok(()) => self.trees.sweepers += 1,
            Err(error) => {
                let text = format!("what ended services have left is not looked for: {error}");
                self.log(Level::Warn, &text);
                services.into_iter().for_each(|service| self.trees.swept(service));
                self.let_go();
            }
        }
    }

    /// What was left of a life is gone, or will not be.
    pub(in crate::daemon) fn gone(&mut self, left: &Left) -> Option<Input> {
        self.trees.swept(left.life.service);
        if left.stays {
            let seconds = GONE_WITHIN.as_secs();
            let text = format!(
                "{}: what its last process has left was killed and is not gone after {seconds} \
                 seconds",
                left.label
            );
            self.log(Level::Warn, &text);
        }
        (left.life != NOBODY).then(|| over(left.life))
    }

    /// A thread that saw to that has ended.
    pub(in crate::daemon) fn swept(&mut self) {
        self.trees.sweepers -= 1;
        self.send_sweepers();
    }

    /// Whether a start has to wait for something that is done beside this thread.
    pub(in crate::daemon) fn is_held_up(&self, service: ServiceId) -> bool {
        self.trees.sweeping.contains_key(&service)
            || self.images.is_loading(service)
            || self.variable_files.is_reading(service)
    }

    /// Lets starts go on that do not have to wait any more.
    pub(in crate::daemon) fn let_go(&mut self) {
        let held = std::mem::take(&mut self.trees.held);
        let is_held_up = |start: &Start| self.is_held_up(start.life.service);
        let (held, free): (Vec<Start>, Vec<Start>) = held.into_iter().partition(is_held_up);
        self.trees.held = held;
        free.into_iter().for_each(|start| self.children.put_off(start));
    }

    /// Kills the tree of a process that leads a session and was not reaped. False when that
    /// cannot be begun.
    pub(in crate::daemon) fn kill_session(&mut self, leader: u32) -> bool {
        let Ok(tree) = Tree::of(leader) else { return false };
        self.trees.doomed.push(tree);
        self.send_killer().unwrap_or(false)
    }

    /// Sends a signal to all that a life has started, and to itself. Nothing is told when
    /// it is gone: its exit is on the way.
    pub(in crate::daemon) fn signal_tree(&mut self, life: Life, signal: Signal) -> Option<Input> {
        let Life { service, generation } = life;
        let (pid, child) = self.children.get(life)?;
        let pidfd = child.pidfd.as_ref()?.as_fd();
        let sent = match (&child.leaf, signal) {
            (Some(leaf), Signal::KILL) => {
                let all = leaf.kill();
                // It may have been moved elsewhere.
                match process::signal(pidfd, signal.number()) {
                    Err(error) => all.map(|()| true).map_err(|_| error),
                    sent => sent,
                }
            }
            (None, Signal::KILL) => {
                // While its leader is there, those that have left its session are found too.
                self.trees.doomed.push(Tree::of(pid).ok()?);
                self.send_killer()
            }
            _ => {
                return match self.children.signal(life, signal, Reach::Group) {
                    Ok(sent) => sent.map(|()| told(life, signal)),
                    Err(errno) => Some(Input::SignalFailed { service, generation, signal, errno }),
                };
            }
        };
        match sent {
            Ok(is_sent) => is_sent.then(|| told(life, signal)),
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                Some(Input::SignalFailed { service, generation, signal, errno })
            }
        }
    }

    /// Sends a thread to kill what is to be killed, unless there is one: it looks at all
    /// processes, and those that come meanwhile are looked for together.
    fn send_killer(&mut self) -> io::Result<bool> {
        if self.trees.doomed.is_empty() || self.trees.is_killing {
            return Ok(true);
        }
        let doomed = std::mem::take(&mut self.trees.doomed);
        let trees = doomed.clone();
        match self.errands.begin("kill", move || Done::Killed(kill(&trees))) {
            Ok(()) => {
                self.trees.is_killing = true;
                Ok(true)
            }
            Err(_) => {
                // One whose leader has ended is swept.
                let mut sent = Ok(false);
                for tree in doomed.iter().filter(|tree| tree.is_led()) {
                    sent = process::signal_group(tree.leader(), Signal::KILL.number());
                }
                sent
            }
        }
    }

    /// What was to be killed was. What of it cannot be is said.
    pub(in crate::daemon) fn killed(&mut self, refusal: Option<&str>) {
        if let Some(text) = refusal {
            self.log(Level::Warn, text);
        }
        self.trees.is_killing = false;
        // Whoever ordered it was told that it is on the way.
        let _ = self.send_killer();
    }

    /// Takes over the trees of a predecessor: what was confined stays so, and leaves of no
    /// present life are cleared away.
    pub(in crate::daemon) fn adopt_trees(&mut self, supervisor: &Supervisor) {
        let mut present: HashSet<(String, u64)> = HashSet::new();
        for service in supervisor.services() {
            let Some(care) = &service.spec.program.care else { continue };
            self.trees.confined.insert(service.id, Arc::clone(&care.confinement));
            self.expect_shortcomings(service.id, &care.confinement);
            let label = namespec(&service.group, &service.spec.name);
            // That of the life before is swept by those who know of it.
            let Generation(now) = service.generation;
            for number in [now, now.wrapping_sub(1)] {
                let life = Life { service: service.id, generation: Generation(number) };
                present.insert((label.clone(), life.to_number()));
            }
        }
        // The last one that was cared for may have gone with its leaf still there.
        let is_wanted = !present.is_empty() || super::is_there(&self.trees.name);
        let root = if is_wanted { self.trees.root().ok() } else { None };
        let Some(root) = root.map(Arc::clone) else { return };
        for (label, number) in root.leaves() {
            if !present.contains(&(label.clone(), number)) {
                let leaf = root.find(&label, number);
                self.sweep_leaf(NOBODY, &label, leaf);
            }
        }
    }

    /// The leaf of a life that a predecessor has begun.
    pub(in crate::daemon) fn find_leaf(&mut self, service: &Service) -> Option<Box<Leaf>> {
        service.spec.program.care.as_ref()?;
        let label = namespec(&service.group, &service.spec.name);
        let life = Life { service: service.id, generation: service.generation };
        self.trees.leaf(&label, life).map(Box::new)
    }
}

fn over(Life { service, generation }: Life) -> Input {
    Input::Swept { service, generation }
}

fn told(Life { service, generation }: Life, signal: Signal) -> Input {
    Input::Signalled { service, generation, signal, reach: Reach::Tree }
}

/// Kills all of these trees. What of them cannot be, in words.
fn kill(trees: &[Tree]) -> Option<String> {
    match Tree::kill_all(trees) {
        Ok(killed) if killed.refused == 0 && !killed.is_partial => None,
        Ok(killed) if killed.refused > 0 => {
            Some(format!("{} processes of a service may not be killed", killed.refused))
        }
        Ok(_) => Some("not all processes of a service could be looked at".to_owned()),
        Err(error) => Some(format!("the processes of a service cannot be looked at: {error}")),
    }
}

/// Sees to it that all of this is gone, within the time there is for it, and tells of each
/// as soon as it is.
fn clear(mut rest: Vec<Left>, tell: impl Fn(Left)) {
    let until = Instant::now() + GONE_WITHIN;
    let mut living = inhabited(&rest);
    if !living.is_empty() {
        let _ = Tree::kill_all(&living);
    }
    let mut pause = PAUSE_LEAST;
    loop {
        let is_gone = |left: &mut Left| match &left.remains {
            Remains::Leaf(leaf) => leaf.becomes_empty(Duration::ZERO),
            Remains::Session(tree) => !living.contains(tree),
        };
        rest.extract_if(.., is_gone).for_each(|left| left.gone(&tell));
        let within = until.saturating_duration_since(Instant::now());
        let Some(first) = rest.first() else { return };
        if within.is_zero() {
            break;
        }
        // One is waited for. When that takes its time, the others are looked at.
        let within = if rest.len() == 1 { within } else { within.min(pause) };
        if first.remains.become_empty(within) {
            rest.swap_remove(0).gone(&tell);
        }
        pause = (pause * 2).min(PAUSE_MAX);
        living = inhabited(&rest);
    }
    rest.into_iter().for_each(|left| tell(Left { stays: true, ..left }));
}

/// The sessions among all that is left of which there may be somebody.
fn inhabited(rest: &[Left]) -> Vec<Tree> {
    let trees = rest.iter().filter_map(|left| match left.remains {
        Remains::Session(tree) => Some(tree),
        Remains::Leaf(_) => None,
    });
    Tree::inhabited(trees.collect())
}

impl Left {
    fn gone(self, tell: &impl Fn(Self)) {
        if let Remains::Leaf(leaf) = &self.remains {
            // One that cannot be removed goes with the daemon.
            let _ = leaf.remove();
        }
        tell(self);
    }
}

impl Remains {
    fn become_empty(&self, within: Duration) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.becomes_empty(within),
            Self::Session(tree) => tree.becomes_empty(within),
        }
    }
}

impl Trees {
    fn add(&mut self, left: Left) {
        *self.sweeping.entry(left.life.service).or_default() += 1;
        self.left.push(left);
    }

    fn swept(&mut self, service: ServiceId) {
        if let Some(count) = self.sweeping.get_mut(&service) {
            *count -= 1;
            if *count == 0 {
                self.sweeping.remove(&service);
            }
        }
    }

    /// The leaf of a process that has executed nothing is left.
    pub(in crate::daemon) fn leave(&mut self, leaf: Option<Box<Leaf>>) {
        self.empty.extend(leaf.map(|leaf| *leaf));
    }

    /// Removes the leaves of lives that have left nothing, and makes what lives that may
    /// follow will want; whether more of that is to be made. A process that is being born
    /// may need the processor more.
    pub(in crate::daemon) fn tidy(&mut self, is_busy: bool) -> bool {
        if !is_busy || self.empty.len() > EMPTY_MAX {
            // One that has come to hold somebody goes with the daemon.
            self.empty.drain(..).for_each(|leaf| drop(leaf.remove()));
        }
        if is_busy {
            return false;
        }
        self.ahead.close_over();
        if !self.ahead.has_wishes() {
            return false;
        }
        // It is remade by the next birth, if it can be.
        let Some(Ok(root)) = &self.root else { return false };
        self.ahead.make(root, left_from(limits_of_process::get(Limited::Descriptors).soft));
        self.ahead.has_wishes()
    }
}
