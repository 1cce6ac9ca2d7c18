//! Which part a process plays that was executed by another one of ours.
//!
//! One variable of the environment says it; programs never see it, because their
//! environment comes from the journal.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;

use bardo_sys::launch::c_string;

/// The variable.
const VARIABLE: &str = "BARDO_STAGE";

/// Descriptors that a keeper is given before the listening sockets: journal, both
/// ends of the staging pipe, lock socket.
pub const KEEPER_FILES: usize = 4;

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The keeper.
    Keeper {
        /// How many listening sockets it is given.
        listeners: usize,
        /// How long a supervisor may leave untaken what it is handed.
        hang_timeout_ms: u64,
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
        Self::parse(text?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(':');
        match words.next()? {
            "keeper" => Some(Self::Keeper {
                listeners: words.next()?.parse().ok()?,
                hang_timeout_ms: words.next()?.parse().ok()?,
            }),
            "supervisor" => Some(Self::Supervisor),
            "watcher" => Some(Self::Watcher),
            _ => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Keeper { listeners, hang_timeout_ms } => {
                format!("keeper:{listeners}:{hang_timeout_ms}")
            }
            Self::Supervisor => "supervisor".to_owned(),
            Self::Watcher => "watcher".to_owned(),
        }
    }

    /// The environment of a process that is to play this part.
    #[must_use]
    pub fn environment(self) -> Vec<CString> {
        let inherited = std::env::vars_os().filter(|(name, _)| name != VARIABLE);
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
        let keeper = Stage::Keeper { listeners: 3, hang_timeout_ms: 10_000 };
        for stage in [keeper, Stage::Supervisor, Stage::Watcher] {
            assert_eq!(Stage::parse(&stage.text()), Some(stage));
        }
        assert_eq!(Stage::parse("anything"), None);
    }
}
