//! Why services are as they are, in words: decisions, and the reason for a state.

mod reasons;

use std::time::Duration;

use bardo_core::decision::{Cause, Reason, Rule, Sign, What, Wish};
use bardo_core::service::Failure;
use bardo_core::time::WallTime;
use bardo_core::{ExitStatus, SpawnError};
use bardo_sys::clock::LocalTime;

pub use self::reasons::{gone, reason};
use crate::words::{self, errno};

/// Of what is there, but not what interprets it.
const ENOENT: i32 = 2;

/// The word for a decision, for programs.
#[must_use]
pub fn word(what: &What) -> &'static str {
    match what {
        What::Start(_) => "start",
        What::Holds { .. } => "holds",
        What::Executed => "executed",
        What::Ready(_) => "ready",
        What::Ended(..) => "ended",
        What::SpawnFailed(_) => "spawn-failed",
        What::Waits { .. } => "waits",
        What::Kills(_) => "kills",
        What::AsksScript(_) => "asks-script",
        What::ScriptSilent => "script-silent",
        What::ScriptBusy => "script-busy",
        What::ScriptFailed(_) => "script-failed",
        What::GaveUp => "gave-up",
        What::Stop(_) => "stop",
        What::Stopped(_) => "stopped",
        What::CounterReset => "counter-reset",
        What::Edited => "edited",
        What::Rests => "rests",
        What::Ends => "ends",
        What::EndsAll(_) => "ends-all",
    }
}

/// A decision and its cause.
#[must_use]
pub fn decision(what: &What) -> String {
    match what {
        What::Start(cause) => start(*cause).to_owned(),
        What::Holds { on } => format!("not started yet: depends on {on}"),
        What::Executed => "its program is executed".to_owned(),
        What::Ready(sign) => format!("ready: {}", of_sign(*sign)),
        What::Ended(status, Reason::Terminated) => format!("ended: {}", ending(*status)),
        What::Ended(status, reason) => {
            format!("ended: {}, because {}", ending(*status), because(*reason))
        }
        What::SpawnFailed(error) => format!("no process: {}", failure(*error)),
        What::Waits { wait, count, rule } => {
            format!("waits {} for the next start: {}", span(*wait), of_rule(*rule, *count))
        }
        What::Kills(reason) => format!("killed: {}", because(*reason)),
        What::AsksScript(reason) => {
            format!("its recovery script is asked what to do: {}", because(*reason))
        }
        What::ScriptSilent => "its recovery script has ended and decided nothing".to_owned(),
        What::ScriptBusy => "its recovery script still runs for the crash before".to_owned(),
        What::ScriptFailed(error) => {
            format!("its recovery script could not be started: {}", failure(*error))
        }
        What::GaveUp => "given up: no further start is tried".to_owned(),
        What::Stop(wish) => format!("told to stop: {}", of_wish(*wish)),
        What::Stopped(status) => format!("stopped as it was told: {}", ending(*status)),
        What::CounterReset => "healthy for long enough: its restarts count anew".to_owned(),
        What::Edited => "edited: what is asked for it is different".to_owned(),
        What::Rests => "stays down".to_owned(),
        What::Ends => "everything ends: it is critical, and cannot be kept running".to_owned(),
        What::EndsAll(exit_code) => {
            format!("everything ends: exit_on says so of its end; exit code {exit_code}")
        }
    }
}

fn start(cause: Cause) -> &'static str {
    match cause {
        Cause::Automatic => "started: it starts by itself",
        Cause::Asked => "started: a client asked",
        Cause::Crash => "started again: the one before crashed",
        Cause::Retry => "started again: the start before failed",
        Cause::Refresh => "started again: a client asked for a fresh one",
        Cause::Now => "started again: a client or its script asked",
        Cause::Script => "started again: its recovery script took too long",
    }
}

fn of_sign(sign: Sign) -> &'static str {
    match sign {
        Sign::Said => "it said so",
        Sign::Checked => "a check succeeded",
        Sign::StayedUp => "it stayed up",
    }
}

fn of_wish(wish: Wish) -> &'static str {
    match wish {
        Wish::Client => "a client asked",
        Wish::Refresh => "a client asked for a fresh one",
        Wish::End => "everything ends",
    }
}

/// What a reason is, behind a colon or "because".
pub(super) fn because(reason: Reason) -> String {
    match reason {
        // How it ended is told where it ended.
        Reason::Terminated => "it crashed".to_owned(),
        Reason::NoHeartbeat => "it gave no sign of life in time".to_owned(),
        Reason::Restart => "a client asked for a fresh one".to_owned(),
        Reason::Health => "its health check failed too often".to_owned(),
        Reason::OutOfMemory => "there was no memory for it".to_owned(),
        Reason::InitTimeout => "it was not ready in time".to_owned(),
        Reason::InitFailed(number) => {
            format!("it said that it cannot be initialised (error {number})")
        }
        Reason::CannotResume => {
            "it said that it cannot go on where the one before ended".to_owned()
        }
    }
}

/// Whose rule a wait follows, after so many restarts or failed starts.
fn of_rule(rule: Rule, count: u32) -> String {
    let alone = of_rule_alone(rule);
    match rule {
        Rule::Retries => format!("{} failed start, {alone}", ordinal(count)),
        Rule::Binary => format!("{alone}, step {count}"),
        Rule::Constant | Rule::Shortage => alone.to_owned(),
    }
}

fn of_rule_alone(rule: Rule) -> &'static str {
    match rule {
        Rule::Retries => "as startretries has it",
        Rule::Binary => "back-off binary",
        Rule::Constant => "back-off constant",
        Rule::Shortage => "the machine has no room for a process",
    }
}

fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn ending(status: ExitStatus) -> String {
    words::ending(status)
}

/// How a process ended, where there is little room.
fn short_ending(status: ExitStatus) -> String {
    match status {
        ExitStatus::Signal { signal, .. } => signal.to_string(),
        ExitStatus::Code(_) | ExitStatus::Unknown => words::ending(status),
    }
}

/// Why something that is needed cannot be kept running, from what went wrong last and how its
/// process ended.
#[must_use]
pub fn lost(what: Failure, ended: Option<ExitStatus>) -> String {
    match (what, ended) {
        (Failure::Spawn(error), _) => failure(error),
        (Failure::Condemned(reason), _) => because(reason),
        (Failure::ExitedTooQuickly | Failure::BadExitCode(_), Some(status)) => ending(status),
        (Failure::ExitedTooQuickly, None) => "it ended before it was ready".to_owned(),
        (Failure::BadExitCode(code), None) => format!("exit status {code}"),
    }
}

/// Why there is no process.
fn failure(error: SpawnError) -> String {
    match error {
        SpawnError::NoClosingQuotation => "its command has an opening quotation mark only".into(),
        SpawnError::NoEscapedCharacter => "its command ends with a backslash".into(),
        SpawnError::Empty => "its command is empty".into(),
        SpawnError::NotFound => "its program is not there".into(),
        SpawnError::IsDirectory => "its program is a directory".into(),
        SpawnError::NotExecutable => "its program is not executable".into(),
        SpawnError::NotPermitted => "no permission to run its program".into(),
        SpawnError::Pipes(number) => format!("no pipes for it ({})", errno::name(number)),
        SpawnError::Clone(number) => format!("the kernel refuses it ({})", errno::name(number)),
        SpawnError::Exec(ENOENT) => "what interprets its program is not there".into(),
        SpawnError::Prepare(what, number) => {
            format!("{} ({})", words::preparation(what), errno::name(number))
        }
        SpawnError::Exec(number) => {
            format!("its program cannot be executed ({})", errno::name(number))
        }
        SpawnError::Socket(number) => {
            format!("its socket could not be opened ({})", errno::name(number))
        }
        SpawnError::Variables(number) => {
            format!("its file of variables cannot be used ({})", errno::name(number))
        }
    }
}

/// A time, as short as it can be said: `0.7 s`, `45 s`, `2 min 5 s`, `3 h 4 min`, `5 d 2 h`.
#[must_use]
pub fn span(span: Duration) -> String {
    let (seconds, milliseconds) = (span.as_secs(), span.as_millis());
    let tenths = (milliseconds + 50) / 100;
    let two = |large: u64, one: &str, small: u64, other: &str| match small {
        0 => format!("{large} {one}"),
        small => format!("{large} {one} {small} {other}"),
    };
    match seconds {
        0 if span.is_zero() => "0 s".to_owned(),
        0 if milliseconds == 0 => "less than 1 ms".to_owned(),
        0 if milliseconds < 50 => format!("{milliseconds} ms"),
        0..10 if tenths % 10 != 0 => format!("{}.{} s", tenths / 10, tenths % 10),
        0..10 => format!("{} s", tenths / 10),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// A moment on the clock on the wall, with the day where that is not today.
#[must_use]
pub fn moment(at: WallTime, now: i64) -> String {
    let today = LocalTime::at(now);
    let LocalTime { year, month, day, hour, minute, second, .. } = LocalTime::at(at.0);
    if (year, month, day) == (today.year, today.month, today.day) {
        format!("{hour:02}:{minute:02}:{second:02}")
    } else {
        format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bardo_core::Signal;

    use super::*;

    /// Noon of some day, on the clock on the wall of whoever runs this.
    const NOON: i64 = 1_700_000_000;

    fn killed(signal: Signal) -> ExitStatus {
        ExitStatus::Signal { signal, core: false }
    }

    fn every_decision() -> Vec<(What, &'static str)> {
        let ended = |status, reason| What::Ended(status, reason);
        let waits =
            |wait, count, rule| What::Waits { wait: Duration::from_secs(wait), count, rule };
        vec![
            (What::Start(Cause::Automatic), "started: it starts by itself"),
            (What::Start(Cause::Asked), "started: a client asked"),
            (What::Start(Cause::Crash), "started again: the one before crashed"),
            (What::Start(Cause::Retry), "started again: the start before failed"),
            (What::Start(Cause::Refresh), "started again: a client asked for a fresh one"),
            (What::Start(Cause::Now), "started again: a client or its script asked"),
            (What::Start(Cause::Script), "started again: its recovery script took too long"),
            (What::Holds { on: "db".into() }, "not started yet: depends on db"),
            (What::Executed, "its program is executed"),
            (What::Ready(Sign::Said), "ready: it said so"),
            (What::Ready(Sign::Checked), "ready: a check succeeded"),
            (What::Ready(Sign::StayedUp), "ready: it stayed up"),
            (ended(ExitStatus::Code(3), Reason::Terminated), "ended: exit status 3"),
            (
                ended(killed(Signal::KILL), Reason::NoHeartbeat),
                "ended: terminated by SIGKILL, because it gave no sign of life in time",
            ),
            (
                What::SpawnFailed(SpawnError::Clone(11)),
                "no process: the kernel refuses it (EAGAIN)",
            ),
            (waits(8, 2, Rule::Binary), "waits 8 s for the next start: back-off binary, step 2"),
            (waits(1, 11, Rule::Constant), "waits 1 s for the next start: back-off constant"),
            (
                waits(2, 2, Rule::Retries),
                "waits 2 s for the next start: 2nd failed start, as startretries has it",
            ),
            (
                waits(1, 0, Rule::Shortage),
                "waits 1 s for the next start: the machine has no room for a process",
            ),
            (What::Kills(Reason::Health), "killed: its health check failed too often"),
            (What::Kills(Reason::InitTimeout), "killed: it was not ready in time"),
            (
                What::Kills(Reason::InitFailed(-5)),
                "killed: it said that it cannot be initialised (error -5)",
            ),
            (
                What::Kills(Reason::CannotResume),
                "killed: it said that it cannot go on where the one before ended",
            ),
            (
                What::AsksScript(Reason::OutOfMemory),
                "its recovery script is asked what to do: there was no memory for it",
            ),
            (What::ScriptSilent, "its recovery script has ended and decided nothing"),
            (What::ScriptBusy, "its recovery script still runs for the crash before"),
            (
                What::ScriptFailed(SpawnError::NotFound),
                "its recovery script could not be started: its program is not there",
            ),
            (What::GaveUp, "given up: no further start is tried"),
            (What::Stop(Wish::Client), "told to stop: a client asked"),
            (What::Stop(Wish::Refresh), "told to stop: a client asked for a fresh one"),
            (What::Stop(Wish::End), "told to stop: everything ends"),
            (What::Stopped(killed(Signal::TERM)), "stopped as it was told: terminated by SIGTERM"),
            (What::CounterReset, "healthy for long enough: its restarts count anew"),
            (What::Edited, "edited: what is asked for it is different"),
            (What::Rests, "stays down"),
            (What::Ends, "everything ends: it is critical, and cannot be kept running"),
            (What::EndsAll(7), "everything ends: exit_on says so of its end; exit code 7"),
        ]
    }

    #[test]
    fn every_decision_is_told_with_its_cause() {
        for (what, expected) in every_decision() {
            assert_eq!(decision(&what), expected);
        }
    }

    #[test]
    fn why_something_is_lost_is_told_from_what_is_known_of_it() {
        let code = Some(ExitStatus::Code(3));
        let cases = [
            (Failure::ExitedTooQuickly, code, "exit status 3"),
            (Failure::ExitedTooQuickly, Some(killed(Signal::KILL)), "terminated by SIGKILL"),
            (Failure::ExitedTooQuickly, None, "it ended before it was ready"),
            (Failure::BadExitCode(4), None, "exit status 4"),
            (Failure::Spawn(SpawnError::NotFound), None, "its program is not there"),
            (Failure::Condemned(Reason::InitTimeout), code, "it was not ready in time"),
        ];
        for (failure, ended, expected) in cases {
            assert_eq!(lost(failure, ended), expected);
        }
    }

    #[test]
    fn every_kind_of_decision_has_a_word_of_its_own() {
        let kinds = every_decision().into_iter();
        let words: HashSet<_> =
            kinds.map(|(what, _)| (std::mem::discriminant(&what), word(&what))).collect();
        let alone: HashSet<&str> = words.iter().map(|(_, word)| *word).collect();

        assert_eq!((words.len(), alone.len()), (20, 20));
    }

    #[test]
    fn a_time_is_as_short_as_it_can_be_said() {
        let cases = [
            (0, "0 s"),
            (3, "3 ms"),
            (50, "0.1 s"),
            (700, "0.7 s"),
            (2000, "2 s"),
            (2500, "2.5 s"),
            (1960, "2 s"),
            (9960, "10 s"),
            (45_900, "45 s"),
            (125_000, "2 min 5 s"),
            (3_600_000, "1 h"),
            (11_040_000, "3 h 4 min"),
            (439_200_000, "5 d 2 h"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(span(Duration::from_millis(milliseconds)), expected);
        }
        assert_eq!(span(Duration::from_micros(999)), "less than 1 ms");
    }

    #[test]
    fn a_moment_of_another_day_has_its_day() {
        let day = 24 * 60 * 60;

        assert_eq!(moment(WallTime(NOON), NOON).len(), "12:00:00".len());
        assert_eq!(moment(WallTime(NOON - 2 * day), NOON).len(), "2026-01-01 12:00:00".len());
    }
}
