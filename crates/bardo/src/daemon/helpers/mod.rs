//! Processes of ours that are no services: recovery scripts, and commands that find out
//! whether a service works.
//!
//! They are born as services are, so that the keeper is their parent and a birth that a
//! supervisor did not live to see is found again by its number. They have no pipes and no
//! logs. What they are for the core decides; it hears of a script that it runs and that it
//! has ended, and of a check what came of it.

mod listening;
mod orders;
mod probes;

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bardo_core::decision::Reason;
use bardo_core::input::Finding;
use bardo_core::service::{ScriptRun, Service, State};
use bardo_core::spec::care::{Check, Ready};
use bardo_core::{ExitStatus, Generation, Input, Pid, ServiceId, SpawnError, Supervisor};
use bardo_keeper::protocol::{Key, Roles, ToKeeper};
use bardo_sys::cgroup::Leaf;
use bardo_sys::extras::Extras;
use bardo_sys::plan::Plan;
use bardo_sys::process;
use bardo_sys::spawn::{Birth, ChildError};
use bardo_sys::waker::Waker;
use rustix::io::Errno;

use self::probes::{Probe, Prober};
use super::adoption::Inheritance;
use super::children::Life;
use super::journal::{Entry, Process};
use super::kinship::Trace;
use super::main_log::Level;
use super::notices::start_error;
use super::standing::CHECKS;
use super::variables;
use super::world::Machine;
use crate::words::errno;

/// What a shell ends with that finds no such command, and with one that it cannot execute.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// What words about such a command begin with.
const CHECKING_COMMAND: &str = "the command that checks it";

/// SIGKILL.
const KILL: i32 = 9;

/// Of the number that is noted with a birth: that it is no service's.
const HELPER: u64 = 1 << 63;

/// Of that number: that it is a command that checks something.
const CHECK: u64 = 1 << 62;

/// What a process of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Task {
    /// It decides what becomes of a service.
    Script {
        /// Of which.
        service: ServiceId,
        /// Which run of it.
        script: u32,
    },
    /// It finds out whether a service works.
    Check {
        /// Which.
        service: ServiceId,
        /// In which life.
        generation: Generation,
        /// Which check.
        check: u32,
    },
}

/// A process of ours.
#[derive(Debug)]
struct Helper {
    task: Task,
    /// `None` for one of a predecessor's that has ended.
    pidfd: Option<OwnedFd>,
    /// The cgroup that it was born in, where it has one of its own.
    leaf: Option<Leaf>,
    /// Why it has not become its program.
    error: Option<ChildError>,
}

/// All of them, and those to come.
pub(super) struct Helpers {
    by_pid: HashMap<u32, Helper>,
    waiting: VecDeque<(Task, Arc<Plan>)>,
    /// Why the commands that check services cannot be started, of which people know.
    unstartable: HashMap<ServiceId, String>,
    /// How the last recovery script of each has ended, while none runs. A successor does not
    /// know it.
    script_ends: HashMap<ServiceId, ExitStatus>,
    prober: Prober,
}

impl Task {
    /// The number that is noted with its birth.
    fn to_number(self) -> u64 {
        match self {
            Self::Script { service, script } => {
                HELPER | u64::from(service.0) << 32 | u64::from(script)
            }
            Self::Check { service, check, .. } => {
                HELPER | CHECK | u64::from(service.0) << 32 | u64::from(check)
            }
        }
    }

    /// The keeper's name for its process, which no service has.
    fn key(self) -> Key {
        let (Self::Script { script: number, .. } | Self::Check { check: number, .. }) = self;
        Key { owner: self.service().0 | 1 << 31, life: number }
    }

    fn service(self) -> ServiceId {
        match self {
            Self::Script { service, .. } | Self::Check { service, .. } => service,
        }
    }

    /// What is told when it cannot be done.
    fn failed(self, error: SpawnError) -> Input {
        match self {
            Self::Script { service, script } => Input::ScriptFailed { service, script, error },
            Self::Check { service, generation, check } => {
                Input::Checked { service, generation, check, finding: Finding::Nothing }
            }
        }
    }
}

/// Whether a birth is that of a process of ours.
pub(super) fn is_helper(identity: u64) -> bool {
    identity & HELPER != 0
}

impl Helpers {
    /// None yet. Whoever waits is woken when something was found out.
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            by_pid: HashMap::new(),
            waiting: VecDeque::new(),
            unstartable: HashMap::new(),
            script_ends: HashMap::new(),
            prober: Prober::new(waker),
        }
    }

    /// Takes note of a birth that is over.
    pub(super) fn settled(&mut self, pid: u32, error: Option<ChildError>) {
        if let Some(helper) = self.by_pid.get_mut(&pid) {
            helper.error = error;
        }
    }

    /// A process has ended: what is known of it, if it is one of ours.
    fn ended(&mut self, pid: u32) -> Option<Helper> {
        self.by_pid.remove(&pid)
    }

    /// What the checks over the network have found.
    pub(super) fn probed(&mut self, inputs: &mut Vec<Input>) {
        while let Some(input) = self.prober.found() {
            inputs.push(input);
        }
    }

    /// The scripts that run.
    pub(super) fn scripts(&self) -> impl Iterator<Item = (Key, BorrowedFd<'_>)> {
        let scripts = self.by_pid.values().filter(|it| matches!(it.task, Task::Script { .. }));
        scripts.filter_map(|helper| Some((helper.task.key(), helper.pidfd.as_ref()?.as_fd())))
    }

    fn end_all(&mut self, is_meant: impl Fn(Task) -> bool) {
        self.waiting.retain(|(task, _)| !is_meant(*task));
        for (pid, helper) in &self.by_pid {
            if is_meant(helper.task) {
                end(*pid, helper.pidfd.as_ref());
                let _ = helper.leaf.as_ref().map(Leaf::kill);
            }
        }
    }
}

/// Ends a process of ours and all of its group, which it leads.
fn end(pid: u32, pidfd: Option<&OwnedFd>) {
    // While it was not reaped its number is its own, and so is its group's.
    if let Some(pidfd) = pidfd
        && process::signal(pidfd.as_fd(), 0).is_ok_and(|is_there| is_there)
    {
        let _ = process::signal_group(pid, KILL);
        let _ = process::signal(pidfd.as_fd(), KILL);
    }
}

impl Machine {
    /// Runs a recovery script.
    pub(super) fn run_script(
        &mut self,
        supervisor: &Supervisor,
        (service, script): (ServiceId, u32),
        (reason, restarts): (Reason, u32),
    ) -> Option<Input> {
        let task = Task::Script { service, script };
        self.helpers.script_ends.remove(&service);
        let there = supervisor.service(service)?;
        let path = there.spec.program.care.as_ref()?.script.as_ref()?.path.clone()?;
        let socket = self.settings.servers.iter().find_map(orders::socket_path);
        match orders::script(there, &path, (reason, restarts), socket) {
            Ok(plan) => self.help(task, plan),
            Err(error) => Some(task.failed(error)),
        }
    }

    /// Ends a recovery script and all that it has started. What is known of that at once.
    pub(super) fn end_script(&mut self, service: ServiceId, script: u32) -> Option<Input> {
        let task = Task::Script { service, script };
        let waiting = self.helpers.waiting.len();
        self.helpers.waiting.retain(|(there, _)| *there != task);
        if self.helpers.waiting.len() < waiting {
            return Some(Input::ScriptEnded { service, script });
        }
        let mut all = self.helpers.by_pid.iter();
        let (pid, helper) = all.find(|(_, helper)| helper.task == task)?;
        let pidfd = helper.pidfd.as_ref()?;
        // While it was not reaped its number is its own.
        if process::signal(pidfd.as_fd(), 0).is_ok_and(|is_there| is_there)
            && !self.kill_session(*pid)
        {
            self.helpers.end_all(|there| there == task);
        }
        None
    }

    /// Finds out whether a service works.
    pub(super) fn check(
        &mut self,
        supervisor: &Supervisor,
        (service, generation): (ServiceId, Generation),
        check: u32,
    ) -> Option<Input> {
        let task = Task::Check { service, generation, check };
        let there = supervisor.service(service)?;
        let probe = match wanted(there)? {
            Check::Command(command) => {
                return self.check_by_command(supervisor, there, (task, check), &command);
            }
            Check::Http(url) => Probe::Http(url),
            Check::Connect(address) => Probe::Connect(address),
            Check::Listening => Probe::Listening(there.pid?),
        };
        let asked = self.helpers.prober.ask((service, generation, check), probe);
        if let Err(error) = asked {
            self.log(Level::Warn, &format!("no thread for checks: {error}"));
            return Some(task.failed(SpawnError::Clone(error.raw_os_error().unwrap_or(0))));
        }
        None
    }

    /// Runs a command that finds out whether a service works, as what the service is.
    fn check_by_command(
        &mut self,
        supervisor: &Supervisor,
        service: &Service,
        (task, check): (Task, u32),
        command: &str,
    ) -> Option<Input> {
        // One that waited for its turn might be over before it began.
        if !self.children.has_room() {
            return Some(task.failed(SpawnError::Clone(Errno::AGAIN.raw_os_error())));
        }
        let own = match self.plan_of_life(supervisor, service) {
            Ok(Some(own)) => own,
            Ok(None) => return Some(task.failed(SpawnError::Variables(0))),
            Err(error) => return Some(task.failed(error)),
        };
        let plan = match orders::command(command, &own) {
            Ok(plan) => plan,
            Err(error) => return Some(task.failed(error)),
        };
        match self.leaf_for_check(service, check) {
            Ok(leaf) => self.start_helper(task, plan, leaf),
            Err(error) => {
                let error = SpawnError::Pipes(error.raw_os_error().unwrap_or(0));
                if error.is_shortage() {
                    return Some(task.failed(error));
                }
                // Its service has none either, and people know.
                self.start_helper(task, plan, None)
            }
        }
    }

    /// The plan of a service's present life; `None` while a file is read that belongs to it.
    fn plan_of_life(
        &mut self,
        supervisor: &Supervisor,
        service: &Service,
    ) -> Result<Option<Arc<Plan>>, SpawnError> {
        let has_file = variables::file_of(service).is_some();
        if let Some(plan) = self.variable_files.plan(service.id).filter(|_| has_file) {
            return Ok(Some(Arc::clone(plan)));
        }
        // After a takeover nothing was started yet.
        let plan = match self.plans.get(service.id.0 as usize) {
            Some(Some(plan)) => Arc::clone(plan),
            _ => self.plan(supervisor, service.id)?,
        };
        if !has_file {
            return Ok(Some(plan));
        }
        let life = Life { service: service.id, generation: service.generation };
        self.want_variables(service, life, &plan);
        Ok(None)
    }

    /// Breaks off a check.
    pub(super) fn end_check(&mut self, service: ServiceId, check: u32) {
        self.helpers.prober.end(service, Some(check));
        self.helpers.end_all(|task| match task {
            Task::Check { service: whose, check: number, .. } => {
                (whose, number) == (service, check)
            }
            Task::Script { .. } => false,
        });
    }

    /// Whoever leaves the table needs nothing found out any more. A script may have decided
    /// just that, and goes on.
    pub(super) fn forget_checks(&mut self, service: ServiceId) {
        self.helpers.prober.end(service, None);
        self.helpers.unstartable.remove(&service);
        self.helpers
            .end_all(|task| matches!(task, Task::Check { .. }) && task.service() == service);
    }

    /// Starts a process of ours, or puts that off where there is no room for it.
    fn help(&mut self, task: Task, plan: Arc<Plan>) -> Option<Input> {
        if self.decides_nothing() || !self.children.has_room() {
            self.helpers.waiting.push_back((task, plan));
            return None;
        }
        self.start_helper(task, plan, None)
    }

    /// Starts those that were put off.
    pub(super) fn start_helpers(&mut self, inputs: &mut Vec<Input>) {
        while self.children.has_room()
            && let Some((task, plan)) = self.helpers.waiting.pop_front()
        {
            inputs.extend(self.start_helper(task, plan, None));
        }
    }

    fn start_helper(
        &mut self,
        task: Task,
        plan: Arc<Plan>,
        leaf: Option<(Leaf, OwnedFd)>,
    ) -> Option<Input> {
        let null = match orders::null() {
            Ok(null) => null,
            Err(error) => return Some(task.failed(SpawnError::Pipes(error.raw_os_error()))),
        };
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let files = match task {
            Task::Script { .. } => [null.as_fd(), stdout.as_fd(), stderr.as_fd()],
            Task::Check { .. } => [null.as_fd(); 3],
        };
        let cgroup = leaf.as_ref().map(|(_, directory)| directory.as_fd());
        let extras = Extras { cgroup, ..Extras::default() };
        let born = self.children.spawner().spawn(task.to_number(), plan, files, &extras);
        let leaf = leaf.map(|(leaf, _)| leaf);
        match born {
            Ok(born) => {
                let pid = born.pid;
                if let Task::Check { service, generation, .. } = task {
                    let identity = process::identity(born.pidfd.as_fd(), pid).unwrap_or(0);
                    let process = Process { generation, pid: Pid(pid), identity, session: None };
                    self.note(&Entry::Check(service, Some(process)));
                }
                if matches!(task, Task::Script { .. }) && self.link.is_of_service() {
                    // Checks are ended by whoever comes next, and scripts are waited for.
                    let _ = self.link.hold(task.key(), Roles::PROCESS, &[born.pidfd.as_fd()]);
                }
                let helper = Helper { task, pidfd: Some(born.pidfd), leaf, error: None };
                self.helpers.by_pid.insert(pid, helper);
                match task {
                    Task::Script { service, script } => {
                        Some(Input::ScriptSpawned { service, script, pid: Pid(pid) })
                    }
                    Task::Check { .. } => None,
                }
            }
            Err(error) => {
                // What it was to be born in stays empty.
                let _ = leaf.map(|leaf| leaf.remove());
                Some(task.failed(match Errno::from_io_error(&error) {
                    Some(none @ (Errno::MFILE | Errno::NFILE)) => {
                        SpawnError::Pipes(none.raw_os_error())
                    }
                    _ => SpawnError::Clone(error.raw_os_error().unwrap_or(0)),
                }))
            }
        }
    }

    /// A process has ended that is no service's: what that tells, if it was one of ours.
    pub(super) fn helper_ended(&mut self, pid: u32, status: ExitStatus) -> Option<Input> {
        let Helper { task, pidfd: _, leaf, error } = self.helpers.ended(pid)?;
        if !self.stepparents.is_empty() || self.link.is_of_service() {
            self.tell(ToKeeper::Drop(task.key(), Roles::PROCESS));
        }
        if let Task::Check { service, .. } = task {
            self.sweep_check(pid, leaf);
            self.note(&Entry::Check(service, None));
            self.note_unstartable(service, (error, status));
        }
        Some(match (task, error) {
            (Task::Script { .. }, Some(error)) => {
                let (error, _) = start_error(error);
                task.failed(error)
            }
            (Task::Script { service, script }, None) => {
                self.helpers.script_ends.insert(service, status);
                Input::ScriptEnded { service, script }
            }
            (Task::Check { service, generation, check }, error) => {
                let finding = match error {
                    // It was never made, which says nothing of the service.
                    Some(_) => Finding::Nothing,
                    None => Finding::of(status == ExitStatus::Code(0)),
                };
                Input::Checked { service, generation, check, finding }
            }
        })
    }

    /// Says once that the command that checks a service cannot be started, and why. Until it
    /// has succeeded that is known.
    fn note_unstartable(&mut self, service: ServiceId, end: (Option<ChildError>, ExitStatus)) {
        if end == (None, ExitStatus::Code(0)) {
            self.helpers.unstartable.remove(&service);
        }
        let Some(text) = unstartable(end) else { return };
        if self.helpers.unstartable.get(&service) == Some(&text) {
            return;
        }
        if let Some(history) = self.surroundings.decisions.history(service) {
            self.log(Level::Warn, &format!("{}: {text}", history.label()));
        }
        self.helpers.unstartable.insert(service, text);
    }

    /// What there is to say of the checks of a service.
    pub(super) fn told_of_checks(&self, service: ServiceId) -> Option<(&'static str, String)> {
        let text = self.helpers.unstartable.get(&service)?;
        Some((CHECKS, text.clone()))
    }

    /// How the recovery script of a service has ended, where that is not what is wanted.
    pub(super) fn failure_of_script(&self, service: ServiceId) -> Option<ExitStatus> {
        let status = self.helpers.script_ends.get(&service).copied();
        status.filter(|status| *status != ExitStatus::Code(0))
    }

    /// A service has left the table.
    pub(super) fn forget_script(&mut self, service: ServiceId) {
        self.helpers.script_ends.remove(&service);
    }

    /// What is asked for a service is different: whether that can be started is not known.
    pub(super) fn forget_unstartable(&mut self, service: ServiceId) {
        self.helpers.unstartable.remove(&service);
    }

    /// Finds the scripts that a predecessor ran or was about to, and ends its checks: they
    /// are made again.
    pub(super) fn adopt_helpers(
        &mut self,
        supervisor: &Supervisor,
        births: &[Birth],
        inheritance: &mut Inheritance,
    ) -> Vec<Input> {
        let mut inputs = Vec::new();
        for there in supervisor.services() {
            let run = there.vitals.as_ref().map_or(ScriptRun::Idle, |vitals| vitals.script);
            let Some(script) = run.number() else { continue };
            let task = Task::Script { service: there.id, script };
            let born = births.iter().find(|birth| birth.identity == task.to_number());
            let pid = match run {
                ScriptRun::Running(_, pid) => Some(pid),
                ScriptRun::Idle | ScriptRun::Requested(_) => {
                    born.and_then(|birth| birth.pid).map(Pid)
                }
            };
            if let Some(pid) = pid {
                // What stays there is not a script's, and is let go.
                let kept = inheritance.processes.remove(&task.key());
                let trace = Trace { kept: kept.as_ref(), at: born.map(|birth| birth.at) };
                let pidfd = process::open(pid.0).ok().filter(|_| self.is_ours(pid.0, trace));
                self.watch(task.key(), pid.0, (pidfd.as_ref(), kept.is_some()));
                let error = born.and_then(|birth| birth.error);
                self.helpers.by_pid.insert(pid.0, Helper { task, pidfd, leaf: None, error });
            }
            inputs.push(Input::ScriptFound { service: there.id, script, pid });
        }
        self.end_former_checks(births);
        inputs
    }

    /// Ends a predecessor's check, if it is still that process.
    fn end_group(&self, pid: u32, known: Result<u64, Trace<'_>>) {
        let Ok(pidfd) = process::open(pid) else { return };
        let is_same = match known {
            Ok(identity) => {
                process::identity(pidfd.as_fd(), pid).is_ok_and(|found| found == identity)
            }
            Err(trace) => self.is_ours(pid, trace),
        };
        if is_same {
            end(pid, Some(&pidfd));
        }
    }

    fn end_former_checks(&mut self, births: &[Birth]) {
        let born =
            births.iter().filter(|birth| birth.identity & (HELPER | CHECK) == HELPER | CHECK);
        for (pid, at) in born.filter_map(|birth| Some((birth.pid?, birth.at))) {
            self.end_group(pid, Err(Trace { kept: None, at: Some(at) }));
        }
        let known: Vec<_> = self.surroundings.checks.iter().map(|(id, it)| (*id, *it)).collect();
        for (service, Process { pid, identity, .. }) in known {
            self.end_group(pid.0, Ok(identity));
            self.note(&Entry::Check(service, None));
        }
    }
}

/// What there is to say of a command that has ended, if it was none that could be started. A
/// shell says that by two exit codes; so may others that pass them on, or have a meaning of
/// their own for them.
fn unstartable((error, status): (Option<ChildError>, ExitStatus)) -> Option<String> {
    let cannot = |why: &str| Some(format!("{CHECKING_COMMAND} cannot be started: {why}"));
    let ended = |code: u8, meaning: &str| {
        Some(format!(
            "{CHECKING_COMMAND} ended with {code}, by which a shell says that it {meaning}"
        ))
    };
    match (error, status) {
        // It can be had another time.
        (Some(error), _) if start_error(error).0.is_shortage() => None,
        (Some(ChildError::Failed(_, number)), _) => cannot(&errno::name(number)),
        (Some(_), _) => cannot(&format!("there is no {}", orders::SHELL)),
        (None, ExitStatus::Code(NOT_FOUND)) => ended(NOT_FOUND, "cannot find the command"),
        (None, ExitStatus::Code(NOT_EXECUTABLE)) => {
            ended(NOT_EXECUTABLE, "may not execute the command")
        }
        (None, _) => None,
    }
}

/// The check that tells that a service is initialised while it starts, and that of its
/// health otherwise.
fn wanted(service: &Service) -> Option<Check> {
    let care = service.spec.program.care.as_ref()?;
    match (service.state, &care.readiness.by) {
        (State::Starting { .. }, Ready::Checks(check)) => Some(check.clone()),
        _ => care.health.as_ref().map(|health| health.check.clone()),
    }
}

#[cfg(test)]
mod tests {
    use bardo_sys::spawn::Step;

    use super::*;

    #[test]
    fn a_command_that_fails_is_told_from_one_that_cannot_be_started() {
        let of = |error, code| unstartable((error, ExitStatus::Code(code)));
        let failed = |errno: Errno| Some(ChildError::Failed(Step::Exec, errno.raw_os_error()));

        assert_eq!([of(None, 0), of(None, 1), of(failed(Errno::NOMEM), 127)], [None, None, None]);
        assert!(of(None, 127).unwrap().contains("ended with 127, by which a shell says"));
        assert!(of(None, 126).unwrap().ends_with("may not execute the command"));
        assert!(of(failed(Errno::ACCESS), 127).unwrap().ends_with("started: EACCES"));
        assert!(of(Some(ChildError::NotFound), 127).unwrap().ends_with("there is no /bin/sh"));
    }

    #[test]
    fn the_births_of_helpers_have_numbers_of_their_own() {
        let (service, generation) = (ServiceId(7), Generation(3));
        let script = Task::Script { service, script: 3 };
        let check = Task::Check { service, generation, check: 3 };
        let life = Life { service, generation };

        let numbers = [script.to_number(), check.to_number(), life.to_number()];

        assert_eq!(numbers.map(is_helper), [true, true, false]);
        assert!(numbers[0] != numbers[1]);
    }
}
