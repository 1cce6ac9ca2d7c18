//! Stops of a service: its signal, SIGKILL after it, and rest.

use super::{Goal, KILL_AGAIN_LEAST, Order, STOP_REPORT_EVERY, STOP_WAITS_MAX, Service, State};
use crate::action::{Action, Actions, Notice};
use crate::decision::{What, Wish};
use crate::input::Mood;
use crate::mutant::{self, Mutant};
use crate::signal::Signal;
use crate::spec::Reach;
use crate::time::{Instant, Now};

impl Service {
    pub(super) fn stop_timeout(&mut self, now: Now, kill_at: Instant, actions: &mut Actions) {
        if self.stop_report_at.is_some_and(|report_at| report_at <= now.instant) {
            self.report_stop(now, actions);
        }
        if kill_at <= now.instant && !self.is_stop_held() {
            let wait = self.spec.program.stop.wait.duration().max(KILL_AGAIN_LEAST);
            let stale = mutant::on(Mutant::KeepsPastDeadline);
            self.state = State::Stopping {
                kill_at: if stale { kill_at } else { now.instant + wait },
                order: Order::Kill,
            };
            if let Some(pid) = self.pid {
                let (service, signal) = (self.id, Signal::KILL);
                let reach = self.spec.program.stop.kill_reach;
                actions.push(Action::Notice(Notice::Killing { service, pid, reach }));
                actions.push(Action::Notice(Notice::Stopping { service, pid, signal, reach }));
            }
            self.order_kill(actions);
        }
    }

    /// Says in the main log that a client waits for the stop, and when to say it
    /// again.
    pub(crate) fn report_stop(&mut self, now: Now, actions: &mut Actions) {
        actions.push(Action::Notice(Notice::WaitingToStop(self.id)));
        self.stop_report_at = Some(now.instant + STOP_REPORT_EVERY);
    }

    /// Tells a process to stop.
    pub(super) fn stop(&mut self, now: Now, wish: Wish, actions: &mut Actions) {
        self.goal = self.goal.lowered();
        self.end_check(actions);
        self.decide(now, What::Stop(wish), actions);
        let stop = &self.spec.program.stop;
        let (signal, reach) = (stop.signal, stop.stop_reach);
        let kill_at = now.instant + stop.wait.duration();
        let stop_by = now.instant + stop.wait.duration().saturating_mul(STOP_WAITS_MAX);
        if let Some(vitals) = &mut self.vitals {
            vitals.life.stop_by = Some(stop_by);
        }
        if let Some(pid) = self.pid {
            let service = self.id;
            actions.push(Action::Notice(Notice::Stopping { service, pid, signal, reach }));
        }
        self.enter(State::Stopping { kill_at, order: Order::Stop }, false, actions);
        self.order_stop(actions);
    }

    /// Tells a process to stop, to be replaced by a fresh one.
    pub(super) fn refresh(&mut self, now: Now, actions: &mut Actions) {
        self.stop(now, Wish::Refresh, actions);
        self.goal = Goal::Up;
        if let Some(vitals) = &mut self.vitals {
            vitals.refreshing = true;
        }
    }

    /// It is no longer wanted, or only as what it is.
    pub(super) fn wants(&mut self, goal: Goal) {
        self.goal = goal;
        if let Some(vitals) = &mut self.vitals {
            vitals.refreshing = false;
        }
    }

    /// What is still to be sent once `signal` was: a client's own signal does not
    /// do for the one that is on order.
    pub(super) fn sent(&self, order: Order, signal: Signal, reach: Reach) -> Order {
        let stop = &self.spec.program.stop;
        match order {
            Order::Stop if (signal, reach) == (stop.signal, stop.stop_reach) => Order::StopSent,
            Order::Kill if (signal, reach) == (Signal::KILL, stop.kill_reach) => Order::KillSent,
            Order::Held | Order::Stop | Order::StopSent | Order::Kill | Order::KillSent => order,
        }
    }

    pub(super) fn order_stop(&self, actions: &mut Actions) {
        let stop = &self.spec.program.stop;
        self.order(stop.signal, stop.stop_reach, actions);
    }

    pub(super) fn order_kill(&self, actions: &mut Actions) {
        if mutant::on(Mutant::NeverKills) {
            return;
        }
        self.order(Signal::KILL, self.spec.program.stop.kill_reach, actions);
    }

    pub(super) fn order(&self, signal: Signal, reach: Reach, actions: &mut Actions) {
        let (service, generation) = (self.id, self.generation);
        actions.push(Action::Signal { service, generation, signal, reach });
    }

    /// The process that was told to stop is gone: a client may have asked for a
    /// new one meanwhile.
    pub(super) fn after_stop(
        &mut self,
        (now, ended): (Now, Now),
        mood: Mood,
        actions: &mut Actions,
    ) {
        let goal = self.goal;
        let refreshing = self.vitals.as_ref().is_some_and(|vitals| vitals.refreshing);
        if refreshing && self.is_single() && (goal, mood) == (Goal::Up, Mood::Running) {
            // It has ended for good, though nobody has asked for that.
            self.come_to_rest(ended, State::Exited, actions);
            self.decide(now, What::Rests, actions);
            return;
        }
        self.come_to_rest(ended, State::Stopped, actions);
        match (goal, mood) {
            (Goal::Up, Mood::Running) if refreshing => self.refreshed(now, actions),
            (Goal::Up, Mood::Running) => self.start(now, actions),
            (Goal::Up, Mood::Restarting | Mood::Shutdown | Mood::Resting)
            | (Goal::Down | Goal::Gone, _) => {}
        }
    }

    pub(super) fn come_to_rest(&mut self, now: Now, state: State, actions: &mut Actions) {
        self.wants(self.goal.lowered());
        self.failures = 0;
        self.stop_report_at = None;
        if self.pid.is_some() {
            self.stopped = Some(now.wall);
        }
        self.enter(state, false, actions);
        self.pid = None;
    }
}
