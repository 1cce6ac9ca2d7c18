//! Which part a process plays that was executed by another one of ours.
//!
//! One variable of the environment says it; programs never see it, because their
//! environment comes from the journal.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use bardo_sys::launch::c_string;

use super::keeping;

/// The variable.
const VARIABLE: &str = "BARDO_STAGE";

/// The word with which a service manager starts one that becomes the keeper of a service.
pub const RUN: &str = "--service-run";

/// Descriptors that a keeper is given before the listening sockets: journal, both
/// ends of the staging pipe, lock socket.
pub const KEEPER_FILES: usize = 4;

/// Most descriptors that one has beside them that is a service.
pub const SERVICE_FILES: usize = 3;

/// What a service manager says to whom it starts. It is said to the keeper and nobody else:
/// a program that took it for its own would speak in our name.
pub const MANAGERS: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "FDSTORE",
];

/// Whether somebody waits until all is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter(pub bool);

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The keeper.
    Keeper {
        /// How many listening sockets it is given.
        listeners: usize,
        /// How long a supervisor may leave untaken what it is handed.
        hang_timeout_ms: u64,
        /// Whether a service manager has started it, and so how many descriptors more it is
        /// given: the lock of the service, its door, and a pipe on which somebody waits until all is
        /// ready.
        service: Option<Waiter>,
    },
    /// The supervisor.
    Supervisor,
    /// One that only watches.
    Watcher,
}

impl Stage {
    /// The part of this process, if it was given one.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        Self::parse(&std::env::var(VARIABLE).ok()?)
    }

    /// The part of another process, as far as we may look at it.
    #[must_use]
    pub fn of_process(pid: u32) -> Option<Self> {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        let text = variables.find_map(|variable| {
            str::from_utf8(variable).ok()?.strip_prefix(VARIABLE)?.strip_prefix('=')
        });
        match text {
            Some(text) => Self::parse(text),
            None => Self::of_service(pid),
        }
    }

    /// A keeper that comes after another one was never executed by one of ours.
    fn of_service(pid: u32) -> Option<Self> {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
        let is_keeper = words.split(|byte| *byte == 0).nth(1) == Some(RUN.as_bytes())
            && name.starts_with(keeping::NAME.as_bytes());
        let (listeners, hang_timeout_ms, service) = (0, 0, Some(Waiter(false)));
        is_keeper.then_some(Self::Keeper { listeners, hang_timeout_ms, service })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(':');
        match words.next()? {
            "keeper" => Some(Self::Keeper {
                listeners: words.next()?.parse().ok()?,
                hang_timeout_ms: words.next()?.parse().ok()?,
                service: match words.next()? {
                    "service" => Some(Waiter(false)),
                    "awaited" => Some(Waiter(true)),
                    _ => None,
                },
            }),
            "supervisor" => Some(Self::Supervisor),
            "watcher" => Some(Self::Watcher),
            _ => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Keeper { listeners, hang_timeout_ms, service } => {
                let service = match service {
                    None => "alone",
                    Some(Waiter(false)) => "service",
                    Some(Waiter(true)) => "awaited",
                };
                format!("keeper:{listeners}:{hang_timeout_ms}:{service}")
            }
            Self::Supervisor => "supervisor".to_owned(),
            Self::Watcher => "watcher".to_owned(),
        }
    }

    /// The environment of a process that is to play this part.
    #[must_use]
    pub fn environment(self) -> Vec<CString> {
        let is_keeper = matches!(self, Self::Keeper { .. });
        let is_passed_on = |name: &OsString| {
            name != VARIABLE && (is_keeper || !MANAGERS.iter().any(|of_manager| name == of_manager))
        };
        let inherited = std::env::vars_os().filter(|(name, _)| is_passed_on(name));
        let mut environment: Vec<CString> = inherited
            .map(|(name, value)| {
                let mut variable = name.into_vec();
                variable.push(b'=');
                variable.extend(value.into_vec());
                c_string(&variable)
            })
            .collect();
        environment.push(c_string(format!("{VARIABLE}={}", self.text()).as_bytes()));
        environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_it_was_written() {
        let keeper = |service| Stage::Keeper { listeners: 3, hang_timeout_ms: 10_000, service };
        let keepers = [None, Some(Waiter(false)), Some(Waiter(true))].map(keeper);
        for stage in keepers.into_iter().chain([Stage::Supervisor, Stage::Watcher]) {
            assert_eq!(Stage::parse(&stage.text()), Some(stage));
        }
        assert_eq!(Stage::parse("anything"), None);
    }
}
