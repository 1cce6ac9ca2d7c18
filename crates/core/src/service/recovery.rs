//! What follows when a service that is cared for has crashed: a wait, then a fresh process,
//! or its recovery script in place of it.
//!
//! ```text
//!   crash --(no wait)--> next process, or script
//!     |                        ^
//!     +---> Backoff ---until---+
//!
//!   script: Asked --ended--> Silent --5 s--> people are told
//!             |                 |
//!             +-- RestartNow: next process; Stop: rest; its timeout: next process
//! ```
//!
//! A script that is still at work when its service crashes again is not disturbed: the next
//! one waits for its end, and people are told when that takes long. It ends with its service
//! when others bring that down.

use std::time::Duration;

use super::vitals::ScriptRun;
use super::{Failure, Goal, Inquiry, Service, State};
use crate::action::{Action, Actions, Notice};
use crate::decision::{Cause, Reason, Rule, What};
use crate::id::Pid;
use crate::input::Mood;
use crate::mutant::{self, Mutant};
use crate::spec::RestartOn;
use crate::spec::care::{Copying, DELAY_SHORT, Delay, EarlyDeath, Reset};
use crate::status::SpawnError;
use crate::time::{Instant, Now};

/// How long after the end of a script that has decided nothing people are told, and how
/// long the next one waits for the end of one that hangs before they are.
pub const SCRIPT_SILENT_AFTER: Duration = Duration::from_secs(5);

/// The shortest time between a start that has failed and the next, whatever was asked: a
/// program that ends at once must not keep the machine busy.
const RETRY_LEAST: Duration = Duration::from_secs(1);

/// How many times the last wait a service must have been up to count as healthy.
const HEALTHY_WAITS: u32 = 10;

impl Service {
    /// How long the wait after a crash is, and whose rule says so.
    fn delay(&self, count: u32) -> Option<(Duration, Rule)> {
        let (care, _) = self.cared()?;
        let delay = care.recovery.delay?;
        let wait = delay.after(count);
        Some(match delay {
            // What is in memory needs no disk: trying costs little.
            Delay::Binary { .. } if care.copy != Copying::No && wait > DELAY_SHORT => {
                (DELAY_SHORT, Rule::Constant)
            }
            Delay::Binary { .. } => (wait, Rule::Binary),
            Delay::Constant(_) => (wait, Rule::Constant),
        })
    }

    /// How long the wait after this many failed starts is, and whose rule says so.
    pub(super) fn retry_wait(&self) -> (Duration, Rule) {
        let supervisors = self.spec.program.restart.backoff.wait(self.failures);
        let Some((_, vitals)) = self.cared() else {
            return (supervisors, Rule::Retries);
        };
        let (wait, rule) = self
            .delay(vitals.restarts.saturating_add(self.failures))
            .unwrap_or((supervisors, Rule::Retries));
        (wait.max(RETRY_LEAST), rule)
    }

    /// Its recovery script, if it has one: `None` in place of its file is the one that is
    /// built in.
    pub(super) fn script_path(&self) -> Option<Option<&str>> {
        let (care, _) = self.cared()?;
        care.script.as_ref().map(|script| script.path.as_deref())
    }

    /// Whether it is brought down by a start that fails.
    pub(super) fn is_final(&self) -> bool {
        self.cared().is_some_and(|(care, _)| care.recovery.early_death == EarlyDeath::Down)
    }

    /// Whether a start that has failed is the last one.
    pub(super) fn is_exhausted(&self) -> bool {
        let more = i64::from(mutant::on(Mutant::RetriesOnceMore));
        let retries = self.spec.program.restart.start_retries;
        self.is_final()
            || retries
                .is_some_and(|retries| i64::from(self.failures) > retries.saturating_add(more))
    }

    /// When it has been up for long enough for its counter to begin anew.
    pub(super) fn healthy_at(&self) -> Option<Instant> {
        let (care, vitals) = self.cared()?;
        let Reset::Healthy(least) = care.recovery.reset else {
            return None;
        };
        if vitals.restarts == 0 || mutant::on(Mutant::NeverResets) {
            return None;
        }
        Some(vitals.life.ready_at? + least.max(vitals.waited * HEALTHY_WAITS))
    }

    pub(super) fn reset_counter(&mut self, now: Now, actions: &mut Actions) {
        if let Some(vitals) = &mut self.vitals {
            (vitals.restarts, vitals.waited) = (0, Duration::ZERO);
        }
        self.decide(now, What::CounterReset, actions);
    }

    /// Whether a process that ends now, though it had been initialised, counts as a start
    /// that has failed. Where no wait after a crash was asked for this is all that keeps one
    /// from the next that says that it is ready and then ends. One that hangs is out of this:
    /// it has had two periods, and is replaced at once.
    pub(super) fn ends_early(&self, ended: Instant) -> bool {
        let startsecs = self.spec.program.startsecs.duration();
        let hangs = self.verdict() == Some(Reason::NoHeartbeat);
        self.cared().is_some_and(|(care, vitals)| {
            let counts = care.recovery.delay.is_none() && care.script.is_none() && !hangs;
            let begun = vitals.life.begun.filter(|_| counts && !self.is_final());
            begun.is_some_and(|begun| ended.since(begun) < startsecs)
        })
    }

    /// It has crashed after it was initialised, or has ended and is to be started again.
    pub(super) fn crashed(
        &mut self,
        (now, ended): (Now, Now),
        reason: Reason,
        actions: &mut Actions,
    ) {
        let is_early = self.ends_early(ended.instant);
        let Some((care, vitals)) = self.cared_mut() else {
            self.spawn(now, Cause::Crash, actions);
            return;
        };
        let has_script = care.script.is_some();
        let restarts = vitals.restarts;
        vitals.crashes = vitals.crashes.saturating_add(1);
        vitals.recovers = true;
        vitals.asks = has_script.then_some(reason);
        if is_early {
            self.goal = Goal::Up;
            let failure = self.failure_of_end(Failure::ExitedTooQuickly);
            self.failed(ended, Mood::Running, failure, actions);
            return;
        }
        let (wait, rule) = self.delay(restarts).unwrap_or((Duration::ZERO, Rule::Retries));
        if let Some(vitals) = &mut self.vitals {
            vitals.waited = wait;
        }
        self.goal = Goal::Up;
        if wait.is_zero() || mutant::on(Mutant::WaitsForNothing) {
            self.recover(now, Cause::Crash, actions);
        } else {
            self.enter(State::Backoff { until: ended.instant + wait }, false, actions);
            self.decide(now, What::Waits { wait, count: restarts, rule }, actions);
        }
    }

    /// Its process has made room for a fresh one: there is no wait, and the counter stays.
    pub(super) fn refreshed(&mut self, now: Now, actions: &mut Actions) {
        if let Some((care, vitals)) = self.cared_mut()
            && care.script.is_some()
        {
            vitals.asks = Some(Reason::Restart);
        }
        if let Some(vitals) = &mut self.vitals {
            vitals.renews = true;
        }
        self.recover(now, Cause::Refresh, actions);
    }

    /// Whether it lives once, so that there is no fresh process in place of it.
    pub(super) fn is_single(&self) -> bool {
        self.script_path() == Some(None) || self.is_last() && self.is_final()
    }

    /// The wait is over: its script is asked, or it is started.
    pub(super) fn recover(&mut self, now: Now, cause: Cause, actions: &mut Actions) {
        if self.vitals.as_ref().is_some_and(|vitals| vitals.asks.is_some()) {
            self.ask_script(now, actions);
        } else {
            self.spawn(now, cause, actions);
        }
    }

    /// What a start that failed has in common with the one that was asked for a crash.
    pub(super) fn cause_of_next(&self) -> Cause {
        let recovers = self.vitals.as_ref().is_some_and(|vitals| vitals.recovers);
        if recovers && self.failures == 0 { Cause::Crash } else { Cause::Retry }
    }

    fn ask_script(&mut self, now: Now, actions: &mut Actions) {
        self.goal = Goal::Up;
        let is_busy = self.vitals.as_ref().is_some_and(|vitals| vitals.script != ScriptRun::Idle);
        let inquiry = if is_busy { Inquiry::Waits } else { Inquiry::Asked };
        self.enter(State::Recovering { since: now.instant, inquiry }, false, actions);
        if !is_busy {
            self.request_script(now, actions);
        }
    }

    /// Asks for the script, under the number of the life that has ended: there is one for
    /// each end.
    fn request_script(&mut self, now: Now, actions: &mut Actions) {
        let (service, script) = (self.id, self.generation.0);
        if let Some(vitals) = &mut self.vitals
            && let Some(reason) = vitals.asks
        {
            vitals.script = ScriptRun::Requested(script);
            let restarts = vitals.restarts;
            actions.push(Action::RunScript { service, script, reason, restarts });
            self.decide(now, What::AsksScript(reason), actions);
        }
    }

    pub(super) fn recovering_deadline(&self, since: Instant, inquiry: Inquiry) -> Option<Instant> {
        let warn_at = match inquiry {
            Inquiry::Silent { warn_at } => warn_at,
            Inquiry::Waits => Some(since + SCRIPT_SILENT_AFTER),
            Inquiry::Overdue | Inquiry::Asked => None,
        };
        match (self.decides_by(since), warn_at) {
            (Some(by), Some(warn_at)) => Some(by.min(warn_at)),
            (by, warn_at) => by.or(warn_at),
        }
    }

    /// Until when its script may decide.
    fn decides_by(&self, since: Instant) -> Option<Instant> {
        let (care, _) = self.cared()?;
        Some(since + care.script.as_ref()?.timeout?)
    }

    pub(super) fn recovering_timeout(
        &mut self,
        now: Now,
        mood: Mood,
        (since, inquiry): (Instant, Inquiry),
        actions: &mut Actions,
    ) {
        if self.decides_by(since).is_some_and(|by| by <= now.instant) {
            self.go_on_without_script(now, mood, actions);
            return;
        }
        let (inquiry, notice, what) = match inquiry {
            Inquiry::Silent { warn_at: Some(warn_at) } if warn_at <= now.instant => {
                let inquiry = Inquiry::Silent { warn_at: None };
                (inquiry, Notice::ScriptSilent(self.id), What::ScriptSilent)
            }
            Inquiry::Waits if since + SCRIPT_SILENT_AFTER <= now.instant => {
                (Inquiry::Overdue, Notice::ScriptBusy(self.id), What::ScriptBusy)
            }
            Inquiry::Silent { .. } | Inquiry::Waits | Inquiry::Overdue | Inquiry::Asked => return,
        };
        self.state = State::Recovering { since, inquiry };
        actions.push(Action::Notice(notice));
        self.decide(now, what, actions);
    }

    /// Others bring it down: its script has nothing more to decide.
    pub(crate) fn end_recovery(&mut self, actions: &mut Actions) {
        if let Some(vitals) = &mut self.vitals
            && let Some(script) = vitals.script.number()
        {
            vitals.ends_script = true;
            actions.push(Action::EndScript { service: self.id, script });
        }
    }

    /// The script does not decide: it goes on as if there were none.
    fn go_on_without_script(&mut self, now: Now, mood: Mood, actions: &mut Actions) {
        match mood {
            Mood::Running if self.is_last() => self.rest_for_good(now, actions),
            Mood::Running => self.spawn(now, Cause::Script, actions),
            Mood::Restarting | Mood::Shutdown | Mood::Resting => {
                self.decide(now, What::Rests, actions);
                self.give_up(actions);
            }
        }
    }

    /// Whether it is not to be started again after it has ended, whatever its script does.
    pub(super) fn is_last(&self) -> bool {
        self.spec.program.restart.on == RestartOn::Never
    }

    /// Whether what ends as it was told has nothing in its place, whatever its script does.
    #[must_use]
    pub fn lives_once(&self) -> bool {
        self.is_single() || self.is_last()
    }

    fn rest_for_good(&mut self, now: Now, actions: &mut Actions) {
        self.decide(now, What::Rests, actions);
        self.come_to_rest(now, State::Exited, actions);
    }

    pub(super) fn script_spawned(&mut self, script: u32, pid: Pid) {
        if let Some(vitals) = &mut self.vitals
            && vitals.script == ScriptRun::Requested(script)
        {
            vitals.script = ScriptRun::Running(script, pid);
        }
    }

    /// The script cannot be run. What the machine has not to give is waited for.
    pub(super) fn script_failed(
        &mut self,
        now: Now,
        mood: Mood,
        (script, error): (u32, SpawnError),
        actions: &mut Actions,
    ) {
        let Some(state) = self.end_script(script) else {
            return;
        };
        let State::Recovering { inquiry, .. } = state else {
            return;
        };
        if matches!(inquiry, Inquiry::Waits | Inquiry::Overdue) {
            self.ask_next_script(now, actions);
            return;
        }
        self.decide(now, What::ScriptFailed(error), actions);
        if error.is_shortage() {
            let until = now.instant + super::SHORTAGE_WAIT;
            self.state = State::Backoff { until };
            return;
        }
        if self.is_final() && mood == Mood::Running {
            self.failure = Some(Failure::Spawn(error));
            self.lose(now, mood, actions);
        } else {
            self.go_on_without_script(now, mood, actions);
        }
    }

    /// The script has ended; how does not matter.
    pub(super) fn script_ended(&mut self, now: Now, script: u32, actions: &mut Actions) {
        let Some(State::Recovering { since, inquiry }) = self.end_script(script) else {
            return;
        };
        match inquiry {
            Inquiry::Waits | Inquiry::Overdue => self.ask_next_script(now, actions),
            Inquiry::Asked if self.is_last() => self.rest_for_good(now, actions),
            Inquiry::Asked => {
                let warn_at = Some(now.instant + SCRIPT_SILENT_AFTER);
                self.state = State::Recovering { since, inquiry: Inquiry::Silent { warn_at } };
            }
            Inquiry::Silent { .. } => {}
        }
    }

    /// Takes note that a run of the script is over; the state, if it was the last one.
    fn end_script(&mut self, script: u32) -> Option<State> {
        let vitals = self.vitals.as_mut()?;
        if vitals.script.number() != Some(script) {
            return None;
        }
        (vitals.script, vitals.ends_script) = (ScriptRun::Idle, false);
        Some(self.state)
    }

    fn ask_next_script(&mut self, now: Now, actions: &mut Actions) {
        if let State::Recovering { since, .. } = self.state {
            self.state = State::Recovering { since, inquiry: Inquiry::Asked };
        }
        self.request_script(now, actions);
    }

    /// What became of a script that a predecessor asked for. One that never ran is asked for
    /// again, if its answer is still wanted.
    pub(super) fn script_found(
        &mut self,
        now: Now,
        (script, pid): (u32, Option<Pid>),
        actions: &mut Actions,
    ) {
        if let Some(pid) = pid
            && !mutant::on(Mutant::AsksTwice)
        {
            self.script_spawned(script, pid);
            // It may have been told to end by one who did not live to do it.
            if self.vitals.as_ref().is_some_and(|vitals| vitals.ends_script) {
                self.end_recovery(actions);
            }
            return;
        }
        let is_meant = self
            .vitals
            .as_ref()
            .is_some_and(|vitals| vitals.script == ScriptRun::Requested(script));
        if is_meant
            && !mutant::on(Mutant::ForgetsScript)
            && let Some(State::Recovering { since, .. }) = self.end_script(script)
        {
            self.state = State::Recovering { since, inquiry: Inquiry::Asked };
            self.request_script(now, actions);
        }
    }
}
