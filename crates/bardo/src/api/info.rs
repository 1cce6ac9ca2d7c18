//! One process as clients see it.

use std::ffi::OsStr;

use bardo_core::decision::Reason;
use bardo_core::service::{Failure, StateName};
use bardo_sys::clock::{self, LocalTime};
use bardo_wire::xmlrpc::Value;

use super::lookup;
use crate::daemon::clients::ProcessView;
use crate::words;

/// The seconds since 1970, now.
pub(super) fn now() -> i64 {
    clock::wall_seconds().max(0)
}

/// The answer of `getProcessInfo`. The order of its keys is Supervisor's.
///
/// It may ask the file system for a program that could not be started.
pub(super) fn process(view: &ProcessView, now: i64, own_path: Option<&OsStr>) -> Value {
    let (code, name) = words::state(view.state);
    let (start, stop) =
        (view.started.map_or(0, |time| time.0), view.stopped.map_or(0, |time| time.0));
    let spawnerr = spawn_error(view, own_path);
    let description = description(view, now, &spawnerr);
    let stdout = view.stdout_log.as_deref().unwrap_or_default();
    let stderr = view.stderr_log.as_deref().unwrap_or_default();
    let members = [
        ("name", Value::from(&*view.spec.name)),
        ("group", Value::from(&*view.group.name)),
        ("start", capped(start)),
        ("stop", capped(stop)),
        ("now", capped(now)),
        ("state", Value::from(code)),
        ("statename", Value::from(name)),
        ("spawnerr", Value::from(spawnerr)),
        ("exitstatus", Value::from(view.exit.map_or(0, bardo_core::ExitStatus::code))),
        ("logfile", Value::from(stdout)),
        ("stdout_logfile", Value::from(stdout)),
        ("stderr_logfile", Value::from(stderr)),
        ("pid", Value::from(view.pid.map_or(0, |pid| i64::from(pid.0)))),
        ("description", Value::from(description)),
    ];
    Value::Struct(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// The text that stands behind the state. `spawnerr` is what went wrong last.
pub(super) fn description(view: &ProcessView, now: i64, spawnerr: &str) -> String {
    match view.state {
        StateName::Running => {
            let pid = view.pid.map_or(0, |pid| pid.0);
            let start = view.started.map_or(now, |time| time.0);
            format!("pid {pid}, uptime {}", uptime(now - start))
        }
        StateName::Fatal | StateName::Backoff if spawnerr.is_empty() => {
            format!("unknown error (try \"tail {}\")", view.spec.name)
        }
        StateName::Fatal | StateName::Backoff => spawnerr.to_owned(),
        StateName::Stopped | StateName::Exited => match view.started {
            Some(_) => ended(LocalTime::at(view.stopped.map_or(0, |time| time.0))),
            None => "Not started".to_owned(),
        },
        StateName::Starting | StateName::Stopping | StateName::Unknown => String::new(),
    }
}

/// What went wrong last, in Supervisor's words; empty when nothing did.
pub(super) fn spawn_error(view: &ProcessView, own_path: Option<&OsStr>) -> String {
    match view.failure {
        None => String::new(),
        Some(Failure::Spawn(error)) => lookup::past_failure(error, &view.spec, own_path),
        Some(Failure::ExitedTooQuickly) => {
            "Exited too quickly (process log may have details)".to_owned()
        }
        Some(Failure::BadExitCode(code)) => format!("Bad exit code {code}"),
        Some(Failure::Condemned(reason)) => condemned(reason),
    }
}

/// Why it was killed, or its start given up.
fn condemned(reason: Reason) -> String {
    match reason {
        Reason::NoHeartbeat => "Killed: no sign of life (no-heartbeat)".to_owned(),
        Reason::Health => "Killed: its health check failed too often (health)".to_owned(),
        Reason::OutOfMemory => "Killed: out of memory (oom)".to_owned(),
        Reason::InitTimeout => "Killed: it was not initialised in time".to_owned(),
        Reason::InitFailed(number) => format!("It could not be initialised (error {number})"),
        Reason::CannotResume => "It could not resume".to_owned(),
        Reason::Terminated | Reason::Restart => "It ended".to_owned(),
    }
}

/// A time that fits the protocol's 32 bits: clients count on the clamp of 2038.
fn capped(seconds: i64) -> Value {
    Value::Int(seconds.clamp(i32::MIN.into(), i32::MAX.into()))
}

/// A span as Python shows one. A clock that was set back makes it nothing.
fn uptime(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let clock = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

/// When a process ended: `Nov 20 11:06 PM`.
fn ended(time: LocalTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS[usize::from(time.month.saturating_sub(1)) % 12];
    let half = if time.hour < 12 { "AM" } else { "PM" };
    let hour = match time.hour % 12 {
        0 => 12,
        hour => hour,
    };
    format!("{month} {:02} {hour:02}:{:02} {half}", time.day, time.minute)
}

#[cfg(test)]
mod tests {
    use bardo_core::time::WallTime;
    use bardo_core::{ExitStatus, Pid, SpawnError};

    use super::super::test_specs::view;
    use super::*;

    #[test]
    fn a_running_process_shows_pid_and_uptime() {
        let mut process = view("g", "p", StateName::Running);
        process.pid = Some(Pid(7));
        process.started = Some(WallTime(1000));

        assert_eq!(description(&process, 1000 + 3661, ""), "pid 7, uptime 1:01:01");
        assert_eq!(description(&process, 1000 + 86400, ""), "pid 7, uptime 1 day, 0:00:00");
        assert_eq!(
            description(&process, 1000 + 2 * 86400 + 59, ""),
            "pid 7, uptime 2 days, 0:00:59"
        );
        assert_eq!(description(&process, 0, ""), "pid 7, uptime 0:00:00");
    }

    #[test]
    fn a_process_that_ended_shows_when() {
        let at = |month, day, hour, minute| {
            ended(LocalTime {
                year: 2026,
                month,
                day,
                weekday: 0,
                hour,
                minute,
                second: 1,
                millisecond: 2,
            })
        };

        assert_eq!(at(1, 1, 0, 0), "Jan 01 12:00 AM");
        assert_eq!(at(11, 20, 23, 6), "Nov 20 11:06 PM");
        assert_eq!(at(12, 31, 12, 59), "Dec 31 12:59 PM");
        let never = view("g", "p", StateName::Stopped);
        assert_eq!(description(&never, 0, ""), "Not started");
    }

    #[test]
    fn a_failed_process_shows_why() {
        let mut process = view("g", "p", StateName::Fatal);
        assert_eq!(description(&process, 0, ""), "unknown error (try \"tail p\")");

        process.failure = Some(Failure::BadExitCode(-1));
        assert_eq!(spawn_error(&process, None), "Bad exit code -1");
        process.failure = Some(Failure::Spawn(SpawnError::Clone(12)));
        assert_eq!(spawn_error(&process, None), "unknown error during fork for 'p': ENOMEM");
    }

    #[test]
    fn every_field_is_there_in_supervisors_order() {
        let mut process_view = view("g", "p", StateName::Exited);
        process_view.exit = Some(ExitStatus::Code(3));
        process_view.started = Some(WallTime(5));
        process_view.stopped = Some(WallTime(i64::MAX));
        process_view.stdout_log = Some("/o".into());

        let Value::Struct(members) = process(&process_view, 9, None) else {
            panic!("an info is a struct");
        };

        let keys: Vec<&str> = members.iter().map(|(key, _)| &**key).collect();
        assert_eq!(
            keys.join(" "),
            "name group start stop now state statename spawnerr exitstatus logfile \
             stdout_logfile stderr_logfile pid description"
        );
        let info = Value::Struct(members);
        assert_eq!(info.member("stop"), Some(&Value::Int(i32::MAX.into())));
        assert_eq!(info.member("exitstatus"), Some(&Value::Int(3)));
        assert_eq!(info.member("logfile"), Some(&Value::from("/o")));
        assert_eq!(info.member("stderr_logfile"), Some(&Value::from("")));
    }
}
