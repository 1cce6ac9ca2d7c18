//! A kernel that is not on our side, and the keeper that reaps for us.
//!
//! It makes processes, lets them live by their scripts, delivers signals, and
//! uses a number again as soon as it is free: the number space is small. A process
//! that ends is reaped at once by the keeper, which keeps a record until it is
//! acknowledged. All of this survives the supervisor.

use std::collections::VecDeque;
use std::time::Duration;

use bardo_core::id::ExitSequence;
use bardo_core::input::Saying;
use bardo_core::{ExitStatus, Generation, Instant, Pid, ServiceId, Signal};

use crate::program::{Birth, Reaction, Script};
use crate::random::Random;
use crate::voice::Voice;

const EAGAIN: i32 = 11;

/// The exit code of a child that could not execute its program.
const NOT_EXECUTED: u8 = 127;

/// A process that lives.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number: used again after its death.
    pub pid: Pid,
    /// Whose it is. The kernel does not know; the checkers do.
    pub service: ServiceId,
    /// Which life of that service it is.
    pub generation: Generation,
    /// When it was cloned.
    pub cloned: Instant,
    /// Whether it has executed its program.
    pub executed: bool,
    /// How often it was sent its stop signal because the core wanted it.
    pub stops: u32,
    /// How many of those the supervisor may not remember.
    pub stops_forgotten: u32,
    /// How often it was sent SIGKILL.
    pub kills: u32,
    /// Whether a signal to it was refused: the supervisor gives it up then.
    pub untouchable: bool,
    /// What it says of itself.
    pub voice: Voice,
    /// What will be known of its end, because its keeper was killed.
    statuses: Statuses,
    script: Script,
    /// When it executes its program, or fails to.
    executes_at: Option<Instant>,
    /// Signals that wait until it has executed its program.
    pending: Vec<Signal>,
    /// When and how it ends, as things are.
    end: Option<(Instant, ExitStatus)>,
}

/// What the keeper writes down of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitRecord {
    /// The number of the record.
    pub sequence: ExitSequence,
    /// The number the process had.
    pub pid: Pid,
    /// How it ended.
    pub status: ExitStatus,
    /// When it was reaped.
    pub at: Instant,
    /// What the child wrote into its slot: the errno of the step that failed.
    pub birth_error: Option<i32>,
    /// Whose it was. The keeper does not know; whoever comes after a killed one finds out by
    /// the table.
    pub life: (ServiceId, Generation),
}

/// What the kernel keeps of the end of a process for those who are not its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    /// How it ended.
    Kept,
    /// Nothing.
    Forgotten,
}

/// Kernel and keeper.
#[derive(Debug)]
pub struct Kernel {
    processes: Vec<Process>,
    records: VecDeque<ExitRecord>,
    /// What processes have said and nobody has read.
    said: Vec<(ServiceId, Generation, Saying)>,
    last_sequence: u64,
    last_pid: u32,
    pids: u32,
    random: Random,
}

impl Kernel {
    /// A kernel with room for `pids` process numbers.
    #[must_use]
    pub fn new(random: Random, pids: u32) -> Self {
        Self {
            processes: Vec::new(),
            records: VecDeque::new(),
            said: Vec::new(),
            last_sequence: 0,
            last_pid: 0,
            pids,
            random,
        }
    }

    /// Makes a process.
    ///
    /// # Errors
    /// The errno, when no number is free.
    pub fn clone_process(
        &mut self,
        now: Instant,
        service: ServiceId,
        generation: Generation,
        script: Script,
    ) -> Result<Pid, i32> {
        let pid = (0..self.pids)
            .map(|step| Pid((self.last_pid + step) % self.pids + 1))
            .find(|pid| self.processes.iter().all(|there| there.pid != *pid))
            .ok_or(EAGAIN)?;
        self.last_pid = pid.0;
        let executes_at = match script.birth {
            Birth::Executes(after) | Birth::Fails(after, _) => Some(now + after),
            Birth::Stuck => None,
        };
        self.processes.push(Process {
            pid,
            service,
            generation,
            cloned: now,
            executed: false,
            stops: 0,
            stops_forgotten: 0,
            kills: 0,
            untouchable: false,
            voice: Voice::default(),
            statuses: Statuses::Kept,
            script,
            executes_at,
            pending: Vec::new(),
            end: None,
        });
        Ok(pid)
    }

    /// Lets time pass until `now`.
    pub fn advance(&mut self, now: Instant) {
        while let Some((moment, place)) = self.next()
            && moment <= now
        {
            self.happen(moment, place);
        }
    }

    /// Sends a signal to a process that lives.
    pub fn signal(&mut self, now: Instant, pid: Pid, signal: Signal) {
        let delay = Duration::from_nanos(1 + self.random.below(3_000_000));
        let gentle = self.random.happens(900);
        let Some(process) = self.processes.iter_mut().find(|there| there.pid == pid) else {
            return;
        };
        if signal == Signal::KILL {
            let core = false;
            process.end_at(now + delay, ExitStatus::Signal { signal, core });
        } else if !process.executed {
            process.pending.push(signal);
        } else if [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal) {
            process.react(now, delay, signal);
        } else if signal.number() != 0 && !gentle {
            let core = false;
            process.end_at(now + delay, ExitStatus::Signal { signal, core });
        }
    }

    /// Hands out what processes have said, in order; what is read is there no more.
    pub fn hear(&mut self, mut read: impl FnMut(ServiceId, Generation, Saying) -> bool) {
        self.said.retain(|(service, generation, saying)| !read(*service, *generation, *saying));
    }

    /// Forgets the exit records up to this one.
    pub fn acknowledge(&mut self, sequence: ExitSequence) {
        while self.records.front().is_some_and(|record| record.sequence <= sequence) {
            self.records.pop_front();
        }
    }

    /// The exit records that were not acknowledged, in rising order.
    pub fn records(&self) -> impl Iterator<Item = ExitRecord> + '_ {
        self.records.iter().copied()
    }

    /// The keeper is killed, and another one comes. What was recorded is lost, save that a
    /// process is gone of which the table knows; all records after this have higher numbers
    /// than any before.
    pub fn lose_keeper(
        &mut self,
        now: Instant,
        statuses: Statuses,
        is_known: impl Fn(&ExitRecord) -> bool,
    ) {
        self.records.retain(is_known);
        self.last_sequence += 1000;
        for record in &mut self.records {
            self.last_sequence += 1;
            record.sequence = ExitSequence(self.last_sequence);
            record.at = now;
            if statuses == Statuses::Forgotten {
                record.status = ExitStatus::Unknown;
            }
        }
        for process in &mut self.processes {
            process.statuses = statuses;
        }
    }

    /// The processes that live.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The process of this life, if it lives.
    #[must_use]
    pub fn process(&self, service: ServiceId, generation: Generation) -> Option<&Process> {
        self.processes
            .iter()
            .find(|there| (there.service, there.generation) == (service, generation))
    }

    /// As [`Self::process`], for the checkers to note things at it.
    pub fn process_mut(
        &mut self,
        service: ServiceId,
        generation: Generation,
    ) -> Option<&mut Process> {
        self.processes
            .iter_mut()
            .find(|there| (there.service, there.generation) == (service, generation))
    }

    /// When something happens by itself next.
    #[must_use]
    pub fn next_event(&self) -> Option<Instant> {
        self.next().map(|(moment, _)| moment)
    }

    fn next(&self) -> Option<(Instant, usize)> {
        self.processes
            .iter()
            .enumerate()
            .filter_map(|(place, process)| Some((process.next()?, place)))
            .min()
    }

    fn happen(&mut self, moment: Instant, place: usize) {
        let process = &mut self.processes[place];
        if process.end.is_some_and(|(end, _)| end <= moment) {
            let process = self.processes.remove(place);
            let status = process.end.map_or(ExitStatus::Unknown, |(_, status)| status);
            let birth_error = match (process.executed, process.script.birth, status) {
                (false, Birth::Fails(_, errno), ExitStatus::Code(NOT_EXECUTED)) => Some(errno),
                _ => None,
            };
            self.last_sequence += 1;
            let is_kept = process.statuses == Statuses::Kept;
            self.records.push_back(ExitRecord {
                sequence: ExitSequence(self.last_sequence),
                pid: process.pid,
                status: if is_kept { status } else { ExitStatus::Unknown },
                at: moment,
                birth_error,
                life: (process.service, process.generation),
            });
            return;
        }
        if let Some(saying) = process.voice.speak(moment) {
            self.said.push((process.service, process.generation, saying));
            return;
        }
        process.executes_at = None;
        if let Birth::Fails(..) = process.script.birth {
            process.end_at(moment, ExitStatus::Code(NOT_EXECUTED));
            return;
        }
        process.executed = true;
        process.voice.begin(moment);
        if let Some((after, status)) = process.script.end {
            process.end_at(moment + after, status);
        }
        let pid = process.pid;
        for signal in std::mem::take(&mut process.pending) {
            self.signal(moment, pid, signal);
        }
    }
}

impl Process {
    fn next(&self) -> Option<Instant> {
        let end = self.end.map(|(end, _)| end);
        [self.executes_at, end, self.voice.next()].into_iter().flatten().min()
    }

    /// It ends then, if nothing ends it earlier.
    fn end_at(&mut self, moment: Instant, status: ExitStatus) {
        if self.end.is_none_or(|(end, _)| moment < end) {
            self.end = Some((moment, status));
        }
    }

    fn react(&mut self, now: Instant, delay: Duration, signal: Signal) {
        match self.script.stop {
            Reaction::Ignores => {}
            Reaction::Dies => {
                let core = false;
                self.end_at(now + delay, ExitStatus::Signal { signal, core });
            }
            Reaction::Exits(after, code) => {
                self.end_at(now + delay + after, ExitStatus::Code(code));
            }
        }
    }
}
