//! The reason for a state, from the state and the last decisions.

use std::time::Duration;

use bardo_core::decision::{Cause, Reason, Rule, What};
use bardo_core::service::{Failure, StateName};

use super::{
    because, decision, ending, failure, moment, of_rule_alone, of_wish, ordinal, short_ending, span,
};
use crate::daemon::decisions::{History, Kept};
use crate::daemon::standing::Standing;
use crate::words;

/// What state a service is in and why, in one sentence without its name.
#[must_use]
pub fn reason(standing: &Standing, now: i64) -> String {
    let facts = Facts { standing, now };
    match standing.state {
        StateName::Stopped => facts.stopped(),
        StateName::Starting => facts.starting(),
        StateName::Running => facts.running(),
        StateName::Backoff => facts.waiting(),
        StateName::Stopping => facts.stopping(),
        StateName::Exited => facts.exited(),
        StateName::Fatal => facts.given_up(),
        StateName::Unknown => "a signal could not be sent to it: nothing is known of it".to_owned(),
    }
}

/// Why a service is not in the table any more.
#[must_use]
pub fn gone(history: &History, now: i64) -> String {
    let told = |kept: &Kept| format!("; at {}: {}", moment(kept.at, now), decision(&kept.what));
    // That nothing more is tried says less than what came before it.
    let says = |kept: &&Kept| !matches!(kept.what, What::GaveUp | What::Rests);
    let last = history.kept.iter().rev().find(says).or(history.kept.last());
    format!("is not in the table any more{}", last.map(told).unwrap_or_default())
}

/// What a reason is made of.
struct Facts<'a> {
    standing: &'a Standing,
    now: i64,
}

impl Facts<'_> {
    /// The latest decision for which there is something to tell, and what.
    fn last<T>(&self, tell: impl Fn(&What) -> Option<T>) -> Option<(&Kept, T)> {
        let kept = self.standing.kept.iter().rev();
        kept.filter_map(|kept| Some((kept, tell(&kept.what)?))).next()
    }

    /// The latest decision.
    fn latest(&self) -> Option<&What> {
        self.standing.kept.last().map(|kept| &kept.what)
    }

    fn at(&self, kept: &Kept) -> String {
        moment(kept.at, self.now)
    }

    fn stopped(&self) -> String {
        let wish = self.last(|what| match what {
            What::Stop(wish) => Some(*wish),
            _ => None,
        });
        let ended = self.standing.exit.map(|exit| format!(", {}", ending(exit)));
        match (wish, self.standing.started) {
            (Some((kept, wish)), _) => {
                let ended = ended.unwrap_or_default();
                format!("stopped at {}: {}{ended}", self.at(kept), of_wish(wish))
            }
            (None, None) => "not started yet: nobody has asked for it".to_owned(),
            (None, Some(_)) => format!("stopped{}", ended.unwrap_or_default()),
        }
    }

    fn starting(&self) -> String {
        if let Some(What::Holds { on }) = self.latest() {
            return match self.standing.held {
                Some(state) => {
                    format!("not started: depends on {on}, which is {}", words::state(state).1)
                }
                None => format!("not started: depends on {on}, which is not there"),
            };
        }
        let since = self.since().unwrap_or_default();
        let executed = self.this_life().any(|kept| kept.what == What::Executed);
        let how_far = if executed { "not ready yet" } else { "its program is not executed yet" };
        format!("starts{since}: {how_far}{}", self.before())
    }

    fn running(&self) -> String {
        if let Some(What::Kills(why)) = self.latest() {
            return format!("is being killed: {}", because(*why));
        }
        let since = self.since().unwrap_or_default();
        let begun = self.this_life().find(|kept| matches!(kept.what, What::Start(_)));
        let ready = self.this_life().find(|kept| matches!(kept.what, What::Ready(_)));
        let after = begun.zip(ready).map(|(begun, ready)| {
            // Their numbers are microseconds, and at least one apart.
            span(Duration::from_micros(ready.number.saturating_sub(begun.number)))
        });
        let after = after.map(|after| format!(", ready after {after}")).unwrap_or_default();
        format!("runs{since}{after}{}", self.before())
    }

    /// Since when it is up.
    fn since(&self) -> Option<String> {
        self.standing.started.map(|since| format!(" since {}", moment(since, self.now)))
    }

    /// The decisions about its present life.
    fn this_life(&self) -> impl Iterator<Item = &Kept> {
        let generation = self.standing.generation;
        self.standing.kept.iter().filter(move |kept| kept.generation == generation)
    }

    /// What became of the life before, where this one followed from it.
    fn before(&self) -> String {
        let follows = self
            .this_life()
            .any(|kept| matches!(kept.what, What::Start(Cause::Crash | Cause::Retry | Cause::Now)));
        match self.trouble().filter(|_| follows) {
            Some((kept, trouble)) => {
                format!("; the one before: {trouble} at {}", self.at(kept))
            }
            None => String::new(),
        }
    }

    /// What went wrong last.
    fn trouble(&self) -> Option<(&Kept, String)> {
        self.last(|what| match what {
            What::Ended(status, Reason::Terminated) => Some(short_ending(*status)),
            What::Ended(_, reason) => Some(because(*reason)),
            What::SpawnFailed(error) => Some(failure(*error)),
            _ => None,
        })
    }

    fn waiting(&self) -> String {
        let trouble = self.trouble().map(|(kept, text)| format!("{text} at {}", self.at(kept)));
        match self.latest() {
            Some(What::AsksScript(_)) => {
                let since = self.standing.kept.last().map(|kept| self.at(kept)).unwrap_or_default();
                let trouble = trouble.map(|text| format!("; {text}")).unwrap_or_default();
                format!("is asked: recovery script since {since}{trouble}")
            }
            Some(What::ScriptBusy) => {
                "its recovery script still runs for the crash before: end it, or bring it down"
                    .to_owned()
            }
            Some(What::ScriptSilent) => {
                let ended = self.standing.script.map(|status| format!(" ({})", ending(status)));
                format!(
                    "its recovery script has ended{} and decided nothing: restart it or bring it \
                     down",
                    ended.unwrap_or_default()
                )
            }
            Some(What::Waits { wait, count, rule }) => {
                let left = self
                    .standing
                    .left
                    .map_or_else(String::new, |left| format!(" ({} left)", span(left)));
                let trouble = trouble.map(|text| format!("{text}, ")).unwrap_or_default();
                let (nth, rule) = (self.nth(*rule, *count), of_rule_alone(*rule));
                format!("waits {}{left}: {nth}{trouble}{rule}", span(*wait))
            }
            _ => match self.standing.left {
                Some(left) => format!("waits {} for its next start", span(left)),
                None => "waits for its next start".to_owned(),
            },
        }
    }

    /// Which crash or failed start it was. Of crashes the restarts before are counted, of
    /// failed starts the last one, too.
    fn nth(&self, rule: Rule, count: u32) -> String {
        let was_ready = self.this_life().any(|kept| matches!(kept.what, What::Ready(_)));
        match rule {
            Rule::Shortage => String::new(),
            Rule::Binary | Rule::Constant if was_ready => {
                format!("{} crash, ", ordinal(count.saturating_add(1)))
            }
            Rule::Binary | Rule::Constant | Rule::Retries => {
                format!("{} failed start, ", ordinal(count))
            }
        }
    }

    fn stopping(&self) -> String {
        let wish = self.last(|what| match what {
            What::Stop(wish) => Some(*wish),
            _ => None,
        });
        match wish {
            Some((kept, wish)) => format!("is to stop since {}: {}", self.at(kept), of_wish(wish)),
            None => "is to stop".to_owned(),
        }
    }

    fn exited(&self) -> String {
        let exit = self.standing.exit.map_or_else(|| "it ended".to_owned(), ending);
        let at = self.standing.stopped.map(|at| format!(" at {}", moment(at, self.now)));
        let at = at.unwrap_or_default();
        match self.standing.failure {
            None => format!("stays down: {exit}{at} was expected"),
            Some(_) => format!("stays down: {exit}{at}, and it is not to be started again"),
        }
    }

    fn given_up(&self) -> String {
        let gave_up = self.last(|what| matches!(what, What::GaveUp).then_some(()));
        let at = gave_up.map(|(kept, ())| format!(" at {}", self.at(kept))).unwrap_or_default();
        let trouble = self.trouble().map(|(_, text)| text);
        let trouble = trouble.or(self.standing.failure.map(|failed| match failed {
            Failure::Spawn(error) => failure(error),
            Failure::ExitedTooQuickly => "it ended too soon".to_owned(),
            Failure::BadExitCode(code) => format!("exit status {code}"),
            Failure::Condemned(reason) => because(reason),
        }));
        let starts = match self.standing.failures {
            0 | 1 => String::new(),
            count => format!(" after {count} failed starts"),
        };
        let trouble = trouble.map(|text| format!(": {text}")).unwrap_or_default();
        format!("given up{at}{starts}{trouble}; start it when that is mended")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bardo_core::decision::{Sign, Wish};
    use bardo_core::time::WallTime;
    use bardo_core::{ExitStatus, Generation, Pid, ServiceId, Signal, SpawnError};

    use super::*;
    use crate::api::test_specs::service;

    /// Some moment of some day.
    const NOON: i64 = 1_700_000_000;

    fn at(seconds: i64) -> String {
        moment(WallTime(NOON + seconds), NOON)
    }

    fn killed(signal: Signal) -> ExitStatus {
        ExitStatus::Signal { signal, core: false }
    }

    /// A service in a state after these decisions, the first one made at noon in the first
    /// life and each of the others half a second after the one before.
    fn standing(state: StateName, decisions: &[(u32, What)]) -> Standing {
        let numbered = (0..).zip(decisions);
        let kept = numbered.map(|(number, (generation, what))| Kept {
            number: 1_000_000 + number * 500_000,
            generation: Generation(*generation),
            at: WallTime(NOON + i64::try_from(number / 2).unwrap()),
            what: what.clone(),
        });
        Standing {
            service: ServiceId(3),
            group: Arc::from("web"),
            spec: Arc::new(service("web", "/bin/cat")),
            state,
            is_published: state == StateName::Running,
            is_exiting: state == StateName::Stopping,
            generation: Generation(decisions.last().map_or(0, |(generation, _)| *generation)),
            pid: Some(Pid(12)),
            started: Some(WallTime(NOON)),
            stopped: None,
            exit: None,
            failure: None,
            failures: 0,
            vitals: None,
            told: None,
            script: None,
            left: None,
            held: None,
            kept: kept.collect(),
            further: Vec::new(),
        }
    }

    #[test]
    fn what_runs_is_told_with_how_long_it_took_and_what_went_before() {
        let first = [
            (1, What::Start(Cause::Automatic)),
            (1, What::Executed),
            (1, What::Ready(Sign::StayedUp)),
        ];
        let again = [
            (1, What::Ended(killed(Signal::KILL), Reason::Terminated)),
            (2, What::Start(Cause::Crash)),
            (2, What::Executed),
            (2, What::Ready(Sign::Said)),
        ];
        let hung = [(1, What::Ready(Sign::Said)), (1, What::Kills(Reason::NoHeartbeat))];
        let told = |decisions: &[_]| reason(&standing(StateName::Running, decisions), NOON);

        assert_eq!(told(&first), format!("runs since {}, ready after 1 s", at(0)));
        assert_eq!(
            told(&again),
            format!("runs since {}, ready after 1 s; the one before: SIGKILL at {}", at(0), at(0))
        );
        assert_eq!(told(&hung), "is being killed: it gave no sign of life in time");
        assert_eq!(told(&[]), format!("runs since {}", at(0)));
    }

    #[test]
    fn what_waits_is_told_with_the_crash_and_the_rule() {
        let waits = |count, rule| What::Waits { wait: Duration::from_secs(8), count, rule };
        let crashed = (1, What::Ended(killed(Signal::QUIT), Reason::Terminated));
        let ready = (1, What::Ready(Sign::Said));
        let decisions = [ready, crashed.clone(), (1, waits(3, Rule::Binary))];
        let mut crash = standing(StateName::Backoff, &decisions);
        crash.left = Some(Duration::from_millis(5400));
        let failed = (1, What::SpawnFailed(SpawnError::NotFound));
        let retry = standing(StateName::Backoff, &[failed, (1, waits(1, Rule::Retries))]);
        let asked =
            standing(StateName::Backoff, &[crashed, (1, What::AsksScript(Reason::Terminated))]);

        assert_eq!(
            reason(&crash, NOON),
            format!("waits 8 s (5.4 s left): 4th crash, SIGQUIT at {}, back-off binary", at(0))
        );
        assert_eq!(
            reason(&retry, NOON),
            format!(
                "waits 8 s: 1st failed start, its program is not there at {}, as startretries has \
                 it",
                at(0)
            )
        );
        assert_eq!(
            reason(&asked, NOON),
            format!("is asked: recovery script since {}; SIGQUIT at {}", at(0), at(0))
        );
    }

    #[test]
    fn what_is_not_started_is_told_with_what_it_depends_on() {
        let mut held = standing(StateName::Starting, &[(1, What::Holds { on: "db".into() })]);
        assert_eq!(reason(&held, NOON), "not started: depends on db, which is not there");

        held.held = Some(StateName::Backoff);

        assert_eq!(reason(&held, NOON), "not started: depends on db, which is BACKOFF");
        let starts = standing(StateName::Starting, &[(1, What::Start(Cause::Asked))]);
        let expected = format!("starts since {}: its program is not executed yet", at(0));
        assert_eq!(reason(&starts, NOON), expected);
        let executed = standing(StateName::Starting, &[(1, What::Executed)]);
        assert_eq!(reason(&executed, NOON), format!("starts since {}: not ready yet", at(0)));
    }

    #[test]
    fn what_is_down_is_told_with_who_or_what_has_ended_it() {
        let mut exited = standing(StateName::Exited, &[]);
        (exited.exit, exited.stopped) = (Some(ExitStatus::Code(0)), Some(WallTime(NOON + 9)));
        let expected = format!("stays down: exit status 0 at {} was expected", at(9));
        assert_eq!(reason(&exited, NOON), expected);
        exited.failure = Some(Failure::BadExitCode(0));
        let expected =
            format!("stays down: exit status 0 at {}, and it is not to be started again", at(9));
        assert_eq!(reason(&exited, NOON), expected);

        let mut stopped = standing(StateName::Stopped, &[(1, What::Stop(Wish::Client))]);
        stopped.exit = Some(ExitStatus::Code(1));
        let expected = format!("stopped at {}: a client asked, exit status 1", at(0));
        assert_eq!(reason(&stopped, NOON), expected);
        let mut never = standing(StateName::Stopped, &[]);
        never.started = None;
        assert_eq!(reason(&never, NOON), "not started yet: nobody has asked for it");

        let failed = What::Ended(ExitStatus::Code(7), Reason::Terminated);
        let mut fatal = standing(StateName::Fatal, &[(4, failed), (4, What::GaveUp)]);
        fatal.failures = 4;
        let expected = format!(
            "given up at {} after 4 failed starts: exit status 7; start it when that is mended",
            at(0)
        );
        assert_eq!(reason(&fatal, NOON), expected);

        let stopping = standing(StateName::Stopping, &[(1, What::Stop(Wish::End))]);
        let expected = format!("is to stop since {}: everything ends", at(0));
        assert_eq!(reason(&stopping, NOON), expected);
    }

    #[test]
    fn what_was_given_up_is_told_with_what_went_wrong() {
        let ended = What::Ended(ExitStatus::Code(7), Reason::Terminated);
        let Standing { service, group, spec, kept, .. } =
            standing(StateName::Fatal, &[(1, ended), (1, What::GaveUp)]);
        let history = History { service, group, name: Arc::clone(&spec.name), kept };

        let expected = format!("is not in the table any more; at {}: ended: exit status 7", at(0));
        assert_eq!(gone(&history, NOON), expected);
    }

    #[test]
    fn what_is_gone_is_told_with_the_last_that_was_decided() {
        let Standing { service, group, spec, kept, .. } =
            standing(StateName::Stopped, &[(1, What::Stopped(ExitStatus::Code(0)))]);
        let history = History { service, group, name: Arc::clone(&spec.name), kept };

        let expected = format!(
            "is not in the table any more; at {}: stopped as it was told: exit status 0",
            at(0)
        );
        assert_eq!(gone(&history, NOON), expected);
    }
}
