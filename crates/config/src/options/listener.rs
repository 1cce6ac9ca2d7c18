//! `[eventlistener:x]`: what it adds to a program.

use bardo_core::spec::EventLength;

use super::{Expansion, Fallback, OptionEntry, Reading, set};
use crate::error::ConfigError;
use crate::value;

/// The result handler that is taken where none is named.
const DEFAULT_HANDLER: &str = "supervisor.dispatchers:default_handler";

/// What judges a listener's result: Python objects, of which these are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultHandler {
    /// Supervisor's own.
    Default,
    /// That of `supervisor_stdout`.
    Stdout,
    /// That of `supervisor_console`.
    Console,
    /// That of `supervisor_twiddler`, which writes to standard input.
    Stdin,
}

impl ResultHandler {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::Stdout, Self::Console, Self::Stdin];

    /// What an import path leads to; `None` for what only Python could load.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|handler| handler.path() == path)
    }

    /// Its import path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Default => DEFAULT_HANDLER,
            Self::Stdout => "supervisor_stdout:event_handler",
            Self::Console => "supervisor_console.events:event_handler",
            Self::Stdin => "supervisor_twiddler.resulthandler:stdin_write_handler",
        }
    }
}

/// Every event type that can be subscribed to.
pub const EVENT_TYPES: &[&str] = &[
    "EVENT",
    "PROCESS_STATE",
    "PROCESS_STATE_STOPPED",
    "PROCESS_STATE_EXITED",
    "PROCESS_STATE_STARTING",
    "PROCESS_STATE_STOPPING",
    "PROCESS_STATE_BACKOFF",
    "PROCESS_STATE_FATAL",
    "PROCESS_STATE_RUNNING",
    "PROCESS_STATE_UNKNOWN",
    "PROCESS_COMMUNICATION",
    "PROCESS_COMMUNICATION_STDOUT",
    "PROCESS_COMMUNICATION_STDERR",
    "PROCESS_LOG",
    "PROCESS_LOG_STDOUT",
    "PROCESS_LOG_STDERR",
    "REMOTE_COMMUNICATION",
    "SUPERVISOR_STATE_CHANGE",
    "SUPERVISOR_STATE_CHANGE_RUNNING",
    "SUPERVISOR_STATE_CHANGE_STOPPING",
    "TICK",
    "TICK_5",
    "TICK_60",
    "TICK_3600",
    "PROCESS_GROUP",
    "PROCESS_GROUP_ADDED",
    "PROCESS_GROUP_REMOVED",
    "BARDO_TROUBLE",
];

/// What a section says of a pool of listeners.
#[derive(Debug, Default)]
pub struct ListenerDraft {
    pub(crate) priority: i64,
    pub(crate) buffer_size: u32,
    pub(crate) result_handler: String,
    pub(crate) event_length: EventLength,
    /// In the order of the table of event types, so that the order in which the
    /// file names them makes no difference.
    pub(crate) events: Vec<&'static str>,
}

/// The options that `[eventlistener:x]` adds.
pub const LISTENER_OPTIONS: &[OptionEntry<ListenerDraft>] = &[
    OptionEntry {
        name: "priority",
        fallback: Fallback::Text("-1"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.priority, value::integer(text)?),
        help: "Lower starts first and stops last, among groups: by default before all programs.",
    },
    OptionEntry {
        name: "buffer_size",
        fallback: Fallback::Text("10"),
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            let size = value::integer(text)?;
            if size < 1 {
                return Err(ConfigError::BufferSize { section: reading.section.to_owned(), size });
            }
            set(&mut draft.buffer_size, u32::try_from(size).unwrap_or(u32::MAX))
        },
        help: "Most events that wait for the pool; the oldest is dropped for a new one.",
    },
    OptionEntry {
        name: "result_handler",
        fallback: Fallback::Text(DEFAULT_HANDLER),
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            if ResultHandler::parse(text).is_none() {
                let (object, section) = (text.to_owned(), reading.section.to_owned());
                return Err(ConfigError::Unresolved { object, section });
            }
            set(&mut draft.result_handler, text.to_owned())
        },
        help: "What judges a listener's result: Supervisor's own, or that of supervisor_stdout, \
               supervisor_console or supervisor_twiddler, which are built in too.",
    },
    OptionEntry {
        name: "event_length",
        fallback: Fallback::Text("characters"),
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            let length = value::event_length(text).ok_or_else(|| ConfigError::EventLength {
                section: reading.section.to_owned(),
                text: text.to_owned(),
            })?;
            set(&mut draft.event_length, length)
        },
        help: "What len: counts before an event: characters, as Supervisor does, or bytes, for \
               listeners that read bytes; Bardo's own.",
    },
    OptionEntry {
        name: "events",
        fallback: Fallback::Missing("required", |_, reading| {
            Err(ConfigError::NoEvents(reading.section.to_owned()))
        }),
        expansion: Expansion::Once,
        apply: |draft, reading, text| set(&mut draft.events, events(reading, text)?),
        help: "Event types that are sent to the pool, between commas.",
    },
    OptionEntry {
        name: "redirect_stderr",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |_, reading, text| match value::boolean(text)? {
            true => Err(ConfigError::ListenerRedirects(reading.section.to_owned())),
            false => Ok(()),
        },
        help: "Must be false: standard output of a listener speaks the protocol.",
    },
];

fn events(reading: &Reading<'_>, text: &str) -> Result<Vec<&'static str>, ConfigError> {
    let section = || reading.section.to_owned();
    let wanted: Vec<String> = value::list(text).iter().map(|name| name.to_uppercase()).collect();
    if wanted.is_empty() {
        return Err(ConfigError::NoEvents(section()));
    }
    if let Some(unknown) = wanted.iter().find(|name| !EVENT_TYPES.contains(&name.as_str())) {
        return Err(ConfigError::UnknownEvent { section: section(), event: unknown.clone() });
    }
    let is_wanted = |name: &&&str| wanted.iter().any(|wanted| wanted == **name);
    Ok(EVENT_TYPES.iter().filter(is_wanted).copied().collect())
}
