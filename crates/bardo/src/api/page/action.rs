//! What the links of the first page do, and what is said of it.

use std::sync::Arc;

use bardo_sys::clock::LocalTime;
use bardo_wire::xmlrpc::Value;

use crate::api::faults::{Code, Fault};
use crate::api::{Context, rpc};

/// What can be done to one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Restart,
    ClearLog,
}

/// What can be done to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sweep {
    Refresh,
    Stop,
    Restart,
    /// The supervisor itself ends, and whoever has started it starts it again.
    RestartSelf,
}

impl Action {
    const ALL: [Self; 4] = [Self::Start, Self::Stop, Self::Restart, Self::ClearLog];

    /// The action of that word in an address.
    pub(super) fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }

    /// Its word in an address.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::ClearLog => "clearlog",
        }
    }

    /// What its link says.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Stop => "Stop",
            Self::Restart => "Restart",
            Self::ClearLog => "Clear Log",
        }
    }

    /// Does it to a process, and says what came of it.
    pub(super) async fn run(self, context: &Arc<Context>, name: &str) -> String {
        if let Err(fault) = call(context, "supervisor.getProcessInfo", name).await {
            return match fault.code {
                Code::BadName => format!("No such process named {name}"),
                _ => unexpected(&fault),
            };
        }
        match self {
            Self::Start => match call(context, "supervisor.startProcess", name).await {
                Ok(_) => format!("Process {name} started"),
                Err(fault) => format!("ERROR: Process {name}: {}", not_started(&fault)),
            },
            Self::Stop => match call(context, "supervisor.stopProcess", name).await {
                Ok(_) => format!("Process {name} stopped"),
                Err(fault) => unexpected(&fault),
            },
            Self::Restart => {
                // Supervisor says so whatever comes of it; the table tells the rest.
                let _ = call(context, "supervisor.stopProcess", name).await;
                let _ = call(context, "supervisor.startProcess", name).await;
                format!("Process {name} restarted")
            }
            Self::ClearLog => match call(context, "supervisor.clearProcessLogs", name).await {
                Ok(_) => format!("Log for {name} cleared"),
                Err(fault) => unexpected(&fault),
            },
        }
    }
}

impl Sweep {
    /// The one of that word in an address. Where nobody starts the supervisor again it has no
    /// restart of itself, as Supervisor's page has none.
    pub(super) fn find(word: &str, ends_at_restart: bool) -> Option<Self> {
        match word {
            "refresh" => Some(Self::Refresh),
            "stopall" => Some(Self::Stop),
            "restartall" => Some(Self::Restart),
            "restartself" if ends_at_restart => Some(Self::RestartSelf),
            _ => None,
        }
    }

    /// Does it, and says so.
    pub(super) async fn run(self, context: &Arc<Context>) -> String {
        let (what, methods): (_, &[&str]) = match self {
            Self::Refresh => ("Page refreshed", &[]),
            Self::Stop => ("All stopped", &["supervisor.stopAllProcesses"]),
            Self::Restart => {
                ("All restarted", &["supervisor.stopAllProcesses", "supervisor.startAllProcesses"])
            }
            Self::RestartSelf => ("Restart of the supervisor begun", &["supervisor.restart"]),
        };
        for method in methods {
            let _ = call_all(context, method).await;
        }
        format!("{what} at {}", calendar_time(LocalTime::now()))
    }
}

/// Calls a method about one process, and waits until it is done.
async fn call(context: &Arc<Context>, method: &str, name: &str) -> Result<Value, Fault> {
    rpc::call_for_page(context, method, vec![Value::from(name)], &context.room.share()).await
}

async fn call_all(context: &Arc<Context>, method: &str) -> Result<Value, Fault> {
    rpc::call_for_page(context, method, Vec::new(), &context.room.share()).await
}

fn not_started(fault: &Fault) -> String {
    match fault.code {
        Code::NoFile => "no such file".to_owned(),
        Code::NotExecutable => "file not executable".to_owned(),
        Code::AlreadyStarted => "already started".to_owned(),
        Code::SpawnError => "spawn error".to_owned(),
        Code::AbnormalTermination => "abnormal termination".to_owned(),
        _ => unexpected(fault),
    }
}

/// A fault that a page has no words for.
pub(super) fn unexpected(fault: &Fault) -> String {
    format!("unexpected rpc fault [{}] {}", fault.code as i32, fault.text)
}

/// A moment as C's `ctime` writes it: `Sat Nov 21 07:05:00 2026`.
fn calendar_time(time: LocalTime) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let LocalTime { year, month, day, weekday, hour, minute, second, millisecond: _ } = time;
    let name = DAYS[usize::from(weekday) % 7];
    let month = MONTHS[usize::from(month).saturating_sub(1) % 12];
    format!("{name} {month} {day:>2} {hour:02}:{minute:02}:{second:02} {year}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_c_does() {
        let time = LocalTime {
            year: 2026,
            month: 11,
            day: 1,
            weekday: 0,
            hour: 7,
            minute: 5,
            second: 9,
            millisecond: 999,
        };

        assert_eq!(calendar_time(time), "Sun Nov  1 07:05:09 2026");
    }

    #[test]
    fn every_action_is_found_by_its_word() {
        for action in Action::ALL {
            assert_eq!(Action::find(action.word()), Some(action));
        }
        assert_eq!(Action::find("refresh"), None);
    }
}
