//! Recovery scripts: who has one, what becomes of a service while it is asked, and after it.

use std::time::Duration;

use bardo_core::input::Mood;
use bardo_core::service::{Inquiry, ScriptRun};
use bardo_core::spec::care::Script;
use bardo_core::{Instant, SpawnError};

use super::{Doing, Member};

/// How long a script may keep silent, or the next one waiting, before people are told.
pub(super) const SCRIPT_PATIENCE: Duration = Duration::from_secs(5);

impl Member {
    pub(super) fn script(&self) -> Option<&Script> {
        self.care()?.script.as_ref()
    }

    pub(super) fn has_script_file(&self) -> bool {
        self.script().is_some_and(|script| script.path.is_some())
    }

    /// When its script has had its time.
    pub(super) fn script_limit(&self, since: Instant) -> Option<Instant> {
        Some(since + self.script()?.timeout?)
    }

    pub(super) fn recovering_timeout(&mut self, now: Instant, mood: Mood) {
        let Doing::Recovering { since, inquiry } = self.doing else {
            return;
        };
        if self.script_limit(since).is_some_and(|limit| limit <= now) {
            self.go_on_alone(mood);
        } else if let Inquiry::Silent { warn_at: Some(at) } = inquiry
            && at <= now
        {
            self.doing = Doing::Recovering { since, inquiry: Inquiry::Silent { warn_at: None } };
        } else if inquiry == Inquiry::Waits && since + SCRIPT_PATIENCE <= now {
            self.doing = Doing::Recovering { since, inquiry: Inquiry::Overdue };
        }
    }

    fn go_on_alone(&mut self, mood: Mood) {
        if mood != Mood::Running {
            self.rest(Doing::Fatal);
        } else if self.is_never_restarted() {
            self.rest(Doing::Exited);
        } else {
            self.launch();
        }
    }

    pub(super) fn script_runs(&mut self, number: u32, pid: bardo_core::Pid) {
        if let Some(ward) = &mut self.ward
            && ward.script == ScriptRun::Requested(number)
        {
            ward.script = ScriptRun::Running(number, pid);
        }
    }

    /// A run of the script is over, or there was none for this reason.
    pub(super) fn script_over(
        &mut self,
        now: Instant,
        mood: Mood,
        number: u32,
        error: Option<SpawnError>,
    ) {
        let generation = self.generation.0;
        let Some(ward) = self.ward.as_mut().filter(|ward| ward.script.number() == Some(number))
        else {
            return;
        };
        ward.script = ScriptRun::Idle;
        let Doing::Recovering { since, inquiry } = self.doing else {
            return;
        };
        if [Inquiry::Waits, Inquiry::Overdue].contains(&inquiry) {
            ward.script = ScriptRun::Requested(generation);
            self.doing = Doing::Recovering { since, inquiry: Inquiry::Asked };
            return;
        }
        match error {
            None if inquiry != Inquiry::Asked => {}
            None if self.is_never_restarted() => self.rest(Doing::Exited),
            None => {
                let warn_at = Some(now + SCRIPT_PATIENCE);
                self.doing = Doing::Recovering { since, inquiry: Inquiry::Silent { warn_at } };
            }
            Some(SpawnError::Clone(11)) => {
                self.doing = Doing::Backoff { until: now + Duration::from_secs(1) };
            }
            Some(error) if self.dies_for_good() && mood == Mood::Running => {
                self.spawn_failure = Some(error);
                self.has_failed = true;
                self.rest(Doing::Fatal);
            }
            Some(_) => self.go_on_alone(mood),
        }
    }

    /// A script that was asked for has never been there.
    pub(super) fn script_never_was(&mut self, number: u32) {
        let generation = self.generation.0;
        if let Some(ward) = &mut self.ward
            && ward.script == ScriptRun::Requested(number)
        {
            ward.script = ScriptRun::Idle;
            if let Doing::Recovering { since, .. } = self.doing {
                ward.script = ScriptRun::Requested(generation);
                self.doing = Doing::Recovering { since, inquiry: Inquiry::Asked };
            }
        }
    }
}
