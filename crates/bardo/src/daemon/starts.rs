//! How a process is started, and what a service needs before it can be: a plan, logs with
//! names, a place in the log pump.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bardo_core::service::Service;
use bardo_core::spec::LogTarget;
use bardo_core::{Input, Pid, ServiceId, SpawnError, Supervisor};
use bardo_sys::cgroup::Root;
use bardo_sys::clock;
use bardo_sys::plan::Plan;
use rustix::io::Errno;

use super::channels::Asks;
use super::children::{Life, Newborn, Start};
use super::journal::Entry;
use super::logs;
use super::pump::{Channel, Echo, Sink, Stream, StreamKey};
use super::variables;
use super::world::Machine;

impl Machine {
    /// Starts a process, or puts that off where there is no room for it now. What is known
    /// of it at once.
    pub(super) fn spawn(&mut self, supervisor: &Supervisor, life: Life) -> Option<Input> {
        if self.decides_nothing() {
            // It stays asked for: whoever comes next does it.
            return None;
        }
        let start = match self.prepare(supervisor, life) {
            Ok(start) => start,
            Err(error) => return self.not_started(life, error),
        };
        let service = supervisor.service(life.service)?;
        let lacks_copy = Self::lacks_copy(service, &start);
        let lacks_variables = variables::file_of(service).is_some();
        if lacks_copy || lacks_variables || self.is_held_up(life.service) {
            let plan = Arc::clone(&start.plan);
            self.trees.held.push(start);
            if lacks_copy && let Some(failed) = self.want_copy(service, &plan) {
                return Some(failed);
            }
            return self.want_variables(service, life, &plan);
        }
        if self.children.is_crowded(&start) || !self.children.has_room() {
            self.children.put_off(start);
            return None;
        }
        self.start(start)
    }

    /// What is told of a start that failed: nothing where that is because the keeper is gone,
    /// and another one is to come.
    fn not_started(&mut self, life: Life, error: SpawnError) -> Option<Input> {
        self.keeper_lost |= self.link.is_of_service() && self.link.is_lost();
        let Life { service, generation } = life;
        (!self.decides_nothing()).then_some(Input::SpawnFailed { service, generation, error })
    }

    /// Starts a process now.
    pub(super) fn start(&mut self, start: Start) -> Option<Input> {
        let Life { service, generation } = start.life;
        if !self.undrained.may_begin(service, self.children.count()) {
            let error = SpawnError::Pipes(Errno::MFILE.raw_os_error());
            return Some(Input::SpawnFailed { service, generation, error });
        }
        let mut born = self.bear(&start);
        if let Err(error) = &born
            && self.may_succeed_now(*error)
        {
            born = self.bear(&start);
        }
        match born {
            Ok((newborn, root)) => {
                self.metrics.started(service, start.cause, clock::monotonic());
                let [stdout, stderr] = start.sinks;
                let (life, pid) = (start.life, newborn.pid);
                self.attach(life, pid, (Channel::Stdout, newborn.stdout, stdout));
                if let Some(pipe) = newborn.stderr {
                    self.attach(life, pid, (Channel::Stderr, pipe, stderr));
                }
                self.newborn.push((life, pid));
                if let Some(asks) = &start.asks {
                    self.forget_told(service);
                    self.channels.add(life, asks, (pid, root), newborn.ends);
                }
                Some(Input::Spawned { service, generation, pid: Pid(newborn.pid) })
            }
            Err(error) => self.not_started(start.life, error),
        }
    }

    /// Makes a process in its leaf, and tells what that is below.
    fn bear(&mut self, start: &Start) -> Result<(Newborn, Option<Arc<Root>>), SpawnError> {
        let made = self.leaf_for(start)?;
        let root = self.trees.root_of(made.as_ref().map(|(leaf, _)| leaf));
        Ok((self.children.spawn(&self.link, start, made)?, root))
    }

    /// Whether a start that has failed is tried again at once, without what was made ahead.
    fn may_succeed_now(&mut self, error: SpawnError) -> bool {
        let is = |number: i32, errno: Errno| number == errno.raw_os_error();
        match error {
            // What was made before anybody wanted it is the first to go.
            SpawnError::Pipes(number) if is(number, Errno::MFILE) || is(number, Errno::NFILE) => {
                self.give_up_ahead()
            }
            // Somebody has removed the leaf that was made ahead.
            SpawnError::Clone(number) => is(number, Errno::NODEV),
            _ => false,
        }
    }

    /// Puts together what a start needs, so that it can wait for its turn.
    fn prepare(&mut self, supervisor: &Supervisor, life: Life) -> Result<Start, SpawnError> {
        let service = supervisor.service(life.service).ok_or(SpawnError::Empty)?;
        let plan = match self.plans.get(life.service.0 as usize) {
            Some(Some(plan)) => Arc::clone(plan),
            _ => self.plan(supervisor, life.service)?,
        };
        let socket = service.spec.program.socket.as_ref();
        let stdin = socket.map(|socket| self.shared_socket(socket)).transpose()?;
        Ok(Start {
            life,
            plan,
            redirect_stderr: service.spec.program.redirect_stderr,
            sinks: Channel::BOTH.map(|channel| self.sink(service, channel)),
            stdin,
            asks: Asks::of(supervisor, service),
            nest: self.nest(service),
            cause: self.metrics.cause(service),
        })
    }

    /// Makes the plan of a service and keeps it.
    pub(super) fn plan(
        &mut self,
        supervisor: &Supervisor,
        id: ServiceId,
    ) -> Result<Arc<Plan>, SpawnError> {
        let service = supervisor.service(id).ok_or(SpawnError::Empty)?;
        let plan = self.planner.plan(&service.group, &service.spec)?;
        let plan = self.with_copy(service, plan);
        let place = id.0 as usize;
        if place >= self.plans.len() {
            self.plans.resize(place + 1, None);
        }
        self.plans[place] = Some(Arc::clone(&plan));
        Ok(plan)
    }

    /// Where a stream goes.
    pub(super) fn sink(&self, service: &Service, channel: Channel) -> Sink {
        let log = logs::spec(&service.spec, channel);
        let echo = logs::echo(&self.settings, &self.surroundings, service, channel);
        Sink {
            path: logs::path(&self.surroundings, service, channel),
            bytes_max: log.bytes_max,
            backups: log.backups,
            compress: log.compress,
            strip_ansi: service.spec.program.strip_ansi.unwrap_or(self.settings.strip_ansi),
            captures: echo.as_ref().is_some_and(Echo::captures),
            prefix: Arc::clone(&log.prefix),
            echo: echo.map(Box::new),
        }
    }

    /// Gives a stream of a process to the pump.
    pub(super) fn attach(
        &mut self,
        life: Life,
        pid: u32,
        (channel, pipe, mut sink): (Channel, OwnedFd, Sink),
    ) {
        let Life { service, generation } = life;
        if let Some(echo) = &mut sink.echo {
            echo.pid = pid;
        }
        self.undrained.attached(service);
        self.pump.attach(Stream { key: StreamKey { service, generation, channel }, pipe, sink });
    }

    /// The number that the process of a life has or had; 0 where it is not known any more.
    pub(super) fn pid_of(&self, life: Life) -> u32 {
        if let Some((pid, _)) = self.children.get(life) {
            return pid;
        }
        let known = self.surroundings.processes.get(&life.service);
        let known = known.filter(|known| known.generation == life.generation);
        known.map_or(0, |known| known.pid.0)
    }

    /// Makes ready what a service needs before it can start: its plan, and the files
    /// of its automatic logs.
    pub(super) fn added(&mut self, supervisor: &Supervisor, id: ServiceId) {
        // A command that cannot be split is an error of the start.
        let _ = self.plan(supervisor, id);
        let Some(service) = supervisor.service(id) else { return };
        for channel in Channel::BOTH {
            let redirected = channel == Channel::Stderr && service.spec.program.redirect_stderr;
            let number = logs::channel_number(channel);
            let named = self.surroundings.auto_logs.contains_key(&(id, number));
            let automatic = logs::spec(&service.spec, channel).target == LogTarget::Auto;
            if automatic && !redirected && !named {
                let path = logs::automatic_name(&self.settings, &service.spec.name, channel);
                self.note(&Entry::AutoLog(id, number, Some(Arc::clone(&path))));
                self.pump.create(path);
            }
        }
    }

    /// Does what was cut off between the record of a service and what is made ready
    /// for it, or taken away with it.
    pub(super) fn mend_auto_logs(&mut self, supervisor: &Supervisor) {
        let stale: Vec<ServiceId> = self
            .surroundings
            .auto_logs
            .iter()
            .filter(|((id, _), path)| {
                let service = supervisor.service(*id);
                !service.is_some_and(|service| logs::is_automatic_name(path, &service.spec.name))
            })
            .map(|((id, _), _)| *id)
            .collect();
        for id in stale {
            self.removed(id);
        }
        // Whether the pump had the time to create them is not known.
        for path in self.surroundings.auto_logs.values() {
            self.pump.create(Arc::clone(path));
        }
        let unready: Vec<ServiceId> = supervisor
            .services()
            .filter(|service| logs::wants_automatic_name(&self.surroundings, service))
            .map(|service| service.id)
            .collect();
        for id in unready {
            self.added(supervisor, id);
        }
    }

    /// Takes away what was made ready for a service.
    pub(super) fn removed(&mut self, id: ServiceId) {
        if let Some(plan) = self.plans.get_mut(id.0 as usize) {
            *plan = None;
        }
        self.forget_copy(id);
        for channel in Channel::BOTH {
            let key = (id, logs::channel_number(channel));
            if let Some(path) = self.surroundings.auto_logs.get(&key).cloned() {
                if !self.keeps_automatic_logs() {
                    self.pump.remove(path);
                }
                self.note(&Entry::AutoLog(id, logs::channel_number(channel), None));
            }
        }
        self.surroundings.processes.remove(&id);
        self.channels.forget(id);
        self.trees.forget(id);
        self.forget_told(id);
        self.variable_files.forget(id);
    }
}
