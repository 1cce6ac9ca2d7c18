//! A service that asks for more than Supervisor's rules: how it comes to count as
//! initialised, what it says of itself, and how it is condemned.
//!
//! A service is condemned when it owes something that it does not give. Its state stays;
//! its whole tree is killed, and what follows is decided when it has ended.

use std::sync::Arc;
use std::time::Duration;

use super::vitals::{Checking, Life};
use super::{Failure, Launch, Order, Service, State, Vitals};
use crate::action::{Action, Actions, Notice};
use crate::decision::{Decision, Reason, Sign, What};
use crate::id::Generation;
use crate::input::{Mood, Saying};
use crate::mutant::{self, Mutant};
use crate::signal::Signal;
use crate::spec::care::{Care, Ready};
use crate::spec::{Reach, ServiceSpec};
use crate::time::{Instant, Now};

/// How long a service that is being initialised has at least after a takeover, or when the
/// supervisor was late by more than half of this: what it said meanwhile is read in that
/// time.
pub const READ_WITHIN: Duration = Duration::from_secs(1);

impl Service {
    /// What it asks for beyond Supervisor's rules, and what is kept for that.
    pub(super) fn cared(&self) -> Option<(&Care, &Vitals)> {
        Some((self.spec.program.care.as_deref()?, self.vitals.as_deref()?))
    }

    /// The same, to be changed.
    pub(super) fn cared_mut(&mut self) -> Option<(&Care, &mut Vitals)> {
        Some((self.spec.program.care.as_deref()?, self.vitals.as_deref_mut()?))
    }

    /// Why its present process is being killed, or was.
    #[must_use]
    pub fn verdict(&self) -> Option<Reason> {
        self.vitals.as_ref().and_then(|vitals| vitals.life.verdict)
    }

    /// Whether everything must end because it is critical and cannot be kept running.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let is_critical = self.spec.program.care.as_ref().is_some_and(|care| care.critical);
        is_critical && self.state == State::Fatal && self.failure.is_some()
    }

    /// Takes what is asked for it from now on, and its counter where that is said. What
    /// runs is kept; how it is examined changes at once.
    pub fn edit(
        &mut self,
        now: Now,
        spec: Arc<ServiceSpec>,
        restarts: Option<u32>,
        actions: &mut Actions,
    ) {
        self.end_check(actions);
        self.spec = spec;
        let known = self.vitals.as_deref().copied();
        self.vitals = Vitals::after_edit(known, &self.spec).map(Box::new);
        if let Some(vitals) = &mut self.vitals {
            vitals.restarts = restarts.unwrap_or(vitals.restarts);
        }
        if self.state == State::Running && self.verdict().is_none() {
            self.arm_heartbeat(now.instant);
            self.arm_health(now.instant);
        }
        self.decide(now, What::Edited, actions);
    }

    /// Writes down what was decided.
    pub(crate) fn decide(&self, at: Now, what: What, actions: &mut Actions) {
        let (service, generation) = (self.id, self.generation);
        actions.push(Action::Decided(Decision { service, generation, at: at.wall, what }));
    }

    /// A life begins: nothing is known of it.
    pub(super) fn begin_life(&mut self) {
        if let Some(vitals) = &mut self.vitals {
            vitals.asks = None;
            vitals.refreshing = false;
            vitals.life = Life::default();
        }
    }

    /// Its process has ended: what is left of its tree must not live beside the next one.
    pub(super) fn sweep(&mut self, actions: &mut Actions) {
        if let Some(vitals) = &mut self.vitals {
            vitals.former = Some(self.generation);
            self.sweep_former(actions);
        }
    }

    /// Orders that again.
    pub(super) fn sweep_former(&self, actions: &mut Actions) {
        if let Some(generation) = self.vitals.as_ref().and_then(|vitals| vitals.former)
            && !mutant::on(Mutant::LeavesTree)
        {
            actions.push(Action::Sweep { service: self.id, generation });
        }
    }

    /// That has been done, or given up: it is not ordered again.
    pub(super) fn swept(&mut self, generation: Generation) {
        if let Some(vitals) = &mut self.vitals
            && vitals.former == Some(generation)
            && !mutant::on(Mutant::SweepsAgain)
        {
            vitals.former = None;
        }
    }

    /// It has executed its program: what tells that it is initialised begins.
    pub(super) fn begin_initialising(&mut self, now: Now) {
        if let Some((care, vitals)) = self.cared_mut()
            && matches!(care.readiness.by, Ready::Checks(_))
        {
            vitals.life.check = Checking::Due(now.instant);
        }
    }

    /// Whether staying up is all that it owes to count as initialised.
    pub(super) fn is_silent(&self) -> bool {
        self.cared().is_none_or(|(care, vitals)| match care.readiness.by {
            Ready::Auto => !vitals.life.spoke,
            Ready::Alive => true,
            Ready::Says { .. } | Ready::Checks(_) => false,
        })
    }

    /// Whether its start is to count as a success when nothing is heard of its end until then.
    /// That it lives has to be known by then. With no time to stay up nothing has: its program
    /// was executed.
    #[must_use]
    pub fn presumes_alive(&self) -> bool {
        let is_executed = matches!(self.state, State::Starting { launch: Launch::Executed, .. });
        is_executed
            && self.is_silent()
            && self.verdict().is_none()
            && !self.spec.program.startsecs.duration().is_zero()
    }

    /// When a start that began at `since` is decided: it has succeeded then, or taken too
    /// long.
    pub(super) fn start_decided(&self, since: Instant) -> Instant {
        match self.cared() {
            Some((care, vitals)) if !self.is_silent() => {
                let within = since + care.readiness.within;
                vitals.life.ready_by.map_or(within, |extended| extended.max(within))
            }
            _ => self.start_succeeds(since),
        }
    }

    /// When something is due while it starts.
    pub(super) fn starting_deadline(&self, since: Instant) -> Option<Instant> {
        let decided = self.start_decided(since);
        match self.verdict() {
            Some(_) => None,
            None => Some(self.check_deadline().map_or(decided, |check| check.min(decided))),
        }
    }

    /// When something is due while it runs.
    pub(super) fn running_deadline(&self) -> Option<Instant> {
        let (_, vitals) = self.cared()?;
        if vitals.life.verdict.is_some() {
            return None;
        }
        let Life { ping_at, hung_at, .. } = vitals.life;
        [self.check_deadline(), self.healthy_at(), ping_at, hung_at].into_iter().flatten().min()
    }

    pub(super) fn starting_timeout(&mut self, now: Now, since: Instant, actions: &mut Actions) {
        if self.verdict().is_some() {
            return;
        }
        let decided = self.start_decided(since);
        if decided <= now.instant {
            if self.is_silent() {
                self.ready(now, Sign::StayedUp, actions);
                return;
            }
            if now.instant.since(decided) <= READ_WITHIN / 2 {
                self.condemn(now, Reason::InitTimeout, actions);
                return;
            }
            // It is the supervisor that was late: what was said meanwhile is read first.
            if let Some(vitals) = &mut self.vitals {
                vitals.life.ready_by = Some(now.instant + READ_WITHIN);
            }
        }
        self.check_timeout(now, actions);
    }

    pub(super) fn running_timeout(&mut self, now: Now, actions: &mut Actions) {
        if self.vitals.is_none() || self.verdict().is_some() {
            return;
        }
        if self.healthy_at().is_some_and(|healthy_at| healthy_at <= now.instant) {
            self.reset_counter(now, actions);
        }
        self.check_timeout(now, actions);
        if self.verdict().is_none() {
            self.heartbeat_timeout(now, actions);
        }
    }

    /// Its start has succeeded.
    pub(super) fn ready(&mut self, now: Now, sign: Sign, actions: &mut Actions) {
        self.initialised(now, actions);
        self.enter(State::Running, false, actions);
        let service = self.id;
        actions.push(Action::Notice(match sign {
            Sign::StayedUp => Notice::StayedUp(service),
            Sign::Said | Sign::Checked => Notice::Ready { service, sign },
        }));
        self.decide(now, What::Ready(sign), actions);
        if self.cared().is_some() {
            let (service, generation) = (self.id, self.generation);
            actions.push(Action::Commit { service, generation });
        }
    }

    /// What is counted, and begins, when a start has succeeded.
    pub(super) fn initialised(&mut self, now: Now, actions: &mut Actions) {
        self.end_check(actions);
        if let (State::Starting { since, .. }, Some(vitals)) = (self.state, &mut self.vitals) {
            vitals.life.begun = Some(since);
        }
        // Those before it still count until it has stayed up, where it is judged by that.
        if !self.ends_early(now.instant) {
            self.failures = 0;
        }
        let Some((_, vitals)) = self.cared_mut() else {
            return;
        };
        if vitals.recovers && !mutant::on(Mutant::CountsNoRestart) {
            vitals.restarts = vitals.restarts.saturating_add(1);
        }
        (vitals.recovers, vitals.renews) = (false, false);
        vitals.life.ready_at = Some(now.instant);
        vitals.life.unhealthy = 0;
        self.arm_heartbeat(now.instant);
        self.arm_health(now.instant);
    }

    /// It has said something of itself.
    pub(super) fn said(&mut self, now: Now, mood: Mood, saying: Saying, actions: &mut Actions) {
        if self.vitals.is_none() || self.verdict().is_some() {
            return;
        }
        match self.state {
            // Only a program can speak: it is heard before its slot is looked at.
            State::Starting { since, launch: Launch::Cloned { .. } } => {
                self.executed(now, since, actions);
                self.said(now, mood, saying, actions);
            }
            State::Starting { launch: Launch::Executed | Launch::Dead { .. }, .. } => {
                self.said_while_starting(now, saying, actions);
            }
            State::Running => self.said_while_running(now, saying, actions),
            State::Stopping { kill_at, order: order @ (Order::Stop | Order::StopSent) } => {
                let ends = matches!(mood, Mood::Restarting | Mood::Shutdown);
                if let (Saying::Extend(span), false) = (saying, ends) {
                    let stop_by = self.cared().and_then(|(_, vitals)| vitals.life.stop_by);
                    let until = (now.instant + span).min(stop_by.unwrap_or(kill_at));
                    self.state = State::Stopping { kill_at: kill_at.max(until), order };
                }
            }
            State::Starting { launch: Launch::Held | Launch::Requested, .. }
            | State::Stopping { .. }
            | State::Stopped
            | State::Backoff { .. }
            | State::Recovering { .. }
            | State::Exited
            | State::Fatal
            | State::Unknown => {}
        }
    }

    fn said_while_starting(&mut self, now: Now, saying: Saying, actions: &mut Actions) {
        let Some((care, vitals)) = self.cared_mut() else {
            return;
        };
        vitals.life.spoke = true;
        let resumes = vitals.recovers || vitals.renews;
        let heeds = matches!(care.readiness.by, Ready::Auto | Ready::Says { .. });
        match saying {
            Saying::Ready if heeds => self.ready(now, Sign::Said, actions),
            Saying::Failed(number) => {
                self.condemn(now, Reason::InitFailed(number), actions);
            }
            Saying::Reset if resumes => self.condemn(now, Reason::CannotResume, actions),
            // There is nothing that it was to go on with.
            Saying::Reset => self.condemn(now, Reason::InitFailed(CANNOT_RESUME), actions),
            Saying::Extend(span) => {
                let until = now.instant + span;
                vitals.life.ready_by = Some(vitals.life.ready_by.map_or(until, |by| by.max(until)));
            }
            Saying::Period(period) => vitals.life.period = Some(period),
            Saying::Trigger => self.condemn(now, Reason::NoHeartbeat, actions),
            Saying::Hello | Saying::Ready | Saying::Alive => {}
        }
    }

    fn said_while_running(&mut self, now: Now, saying: Saying, actions: &mut Actions) {
        match saying {
            Saying::Alive => self.lives(now.instant),
            Saying::Period(period) => {
                if let Some(vitals) = &mut self.vitals {
                    vitals.life.period = Some(period);
                }
                self.arm_heartbeat(now.instant);
            }
            Saying::Trigger => self.condemn(now, Reason::NoHeartbeat, actions),
            Saying::Hello
            | Saying::Ready
            | Saying::Failed(_)
            | Saying::Reset
            | Saying::Extend(_) => {}
        }
    }

    /// There was no memory for it: its end is on the way.
    pub(super) fn out_of_memory(&mut self) {
        if self.pid.is_some()
            && let Some(vitals) = &mut self.vitals
        {
            vitals.life.verdict.get_or_insert(Reason::OutOfMemory);
        }
    }

    /// It is killed with its tree: what follows is decided when it has ended.
    pub(super) fn condemn(&mut self, now: Now, reason: Reason, actions: &mut Actions) {
        self.end_check(actions);
        if let Some(vitals) = &mut self.vitals {
            let life = &mut vitals.life;
            (life.ping_at, life.hung_at, life.verdict) = (None, None, Some(reason));
        }
        self.decide(now, What::Kills(reason), actions);
        if let Some(pid) = self.pid {
            let service = self.id;
            actions.push(Action::Notice(Notice::Condemned { service, pid, reason }));
        }
        self.carry_out(actions);
    }

    /// Kills what is condemned.
    pub(super) fn carry_out(&self, actions: &mut Actions) {
        self.order(Signal::KILL, Reach::Tree, actions);
    }

    /// What a supervisor that has taken over does for a service that is cared for: what was
    /// decided and perhaps not done is done again.
    pub(super) fn resume_care(&mut self, now: Now, state: State, actions: &mut Actions) {
        if self.vitals.is_none() {
            return;
        }
        match state {
            State::Starting { launch: Launch::Executed | Launch::Dead { .. }, .. }
            | State::Running
                if self.verdict().is_some_and(|verdict| verdict != Reason::OutOfMemory) =>
            {
                if !mutant::on(Mutant::ForgetsVerdict) {
                    self.carry_out(actions);
                }
            }
            State::Starting { launch, .. } => {
                if launch == Launch::Held {
                    self.sweep_former(actions);
                }
                self.resume_check(now.instant);
                if let Some(vitals) = &mut self.vitals {
                    let least = now.instant + READ_WITHIN;
                    let by = vitals.life.ready_by.map_or(least, |by| by.max(least));
                    vitals.life.ready_by = Some(by);
                }
            }
            State::Running => {
                self.resume_health(now.instant);
                self.resume_heartbeat(now.instant);
            }
            State::Backoff { .. }
            | State::Recovering { .. }
            | State::Stopped
            | State::Exited
            | State::Fatal => {
                self.sweep_former(actions);
            }
            State::Stopping { .. } | State::Unknown => {}
        }
    }

    /// What is said to have gone wrong when it has ended.
    pub(super) fn failure_of_end(&self, otherwise: Failure) -> Failure {
        self.verdict().map_or(otherwise, Failure::Condemned)
    }
}

/// MINIX's number for a service that cannot go on where the one before it ended.
const CANNOT_RESUME: i32 = 200;
