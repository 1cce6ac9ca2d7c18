//! The options: one table for each kind of section, and nothing but the tables
//! knows an option's name, default, meaning or help.
//!
//! The order of a table is the order in which Supervisor reads the options, and so
//! decides which of several errors is shown.

mod care;
mod control;
mod fastcgi;
mod group;
mod http;
mod include;
mod interface;
mod listener;
mod process;
mod program;
mod rs;
mod server;

pub use care::{CARE_OPTIONS, CareDraft};
pub(crate) use control::check as check_control_flag;
pub use control::{CONTROL_FLAGS, CONTROL_OPTIONS, ControlDraft};
pub use fastcgi::{FASTCGI_OPTIONS, FastCgiDraft};
pub use group::{GROUP_OPTIONS, GroupDraft, PROGRAM_GROUP_OPTIONS};
pub use http::{INET_SERVER_OPTIONS, ServerDraft as HttpDraft, UNIX_SERVER_OPTIONS};
pub use include::{INCLUDE_OPTIONS, IncludeDraft};
pub use interface::{
    CONTROL_PLUGIN_OPTIONS, FACTORY_KEY, INTERFACE_OPTIONS, InterfaceDraft, InterfaceKind,
    PLUGIN_FACTORY_KEY, PluginDraft, PluginKind,
};
pub use listener::{EVENT_TYPES, LISTENER_OPTIONS, ListenerDraft, ResultHandler};
pub use process::{LogDraft, PROCESS_OPTIONS, ProcessDraft};
pub use program::{PROGRAM_OPTIONS, ProgramDraft, StreamDraft};
pub use rs::{RS_OPTIONS, RsDraft};
pub use server::{SERVER_FLAGS, SERVER_OPTIONS, ServerDraft};

use crate::error::ConfigError;
use crate::host::Host;

/// One option of a section that is read into a `D`.
pub struct OptionEntry<D: 'static> {
    /// The key, lower case.
    pub name: &'static str,
    /// What stands where the file says nothing.
    pub fallback: Fallback<D>,
    /// What becomes of `%(name)s` in its value.
    pub expansion: Expansion,
    /// Takes the value in.
    pub apply: fn(&mut D, &Reading<'_>, &str) -> Result<(), ConfigError>,
    /// What it is for.
    pub help: &'static str,
}

/// What stands where the file says nothing.
pub enum Fallback<D: 'static> {
    /// This text, as if it stood in the file.
    Text(&'static str),
    /// Nothing.
    Nothing,
    /// What `[supervisord]` says under the same name, as if it stood here.
    Server,
    /// What the function makes of it, or the error that it is missing; the text
    /// says so in the manual.
    Missing(&'static str, fn(&mut D, &Reading<'_>) -> Result<(), ConfigError>),
}

/// What becomes of `%(name)s` in a value. The label is what a message calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expansion {
    /// It is expanded, labelled `section.option`.
    Once,
    /// The same, and one more name is known than elsewhere in the section.
    OnceWith(Known),
    /// It is expanded and the result is expanded again, the second time labelled
    /// with the option alone. So Supervisor does with log files.
    Twice,
    /// It is expanded, labelled with the option alone.
    Unlabelled,
    /// It is expanded as `Once` does, unless it is a percentage, whose sign means itself.
    Percentage,
    /// It is taken in as it is.
    Later,
}

/// What a single option may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// `here`: the directory of the file.
    Here,
    /// `host_node_name`: the name of the machine.
    Node,
    /// `program_name`: what follows the colon of the section's name.
    Program,
}

/// Where a value stands.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The machine.
    pub host: &'a dyn Host,
    /// The section.
    pub section: &'a str,
}

/// A command line flag that stands for an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// The option, which is also the long flag.
    pub option: &'static str,
    /// The letter.
    pub short: Option<char>,
    /// Whether a value follows.
    pub takes: Takes,
}

/// Whether a value follows a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A value follows.
    Value,
    /// The flag alone means true.
    Nothing,
}

impl Flag {
    /// Whether a word of a command line, dashes included, is this flag.
    #[must_use]
    pub fn is_written(&self, word: &str) -> bool {
        match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(long), _) => long == self.option,
            (None, Some(short)) => self.short.is_some_and(|letter| short.chars().eq([letter])),
            (None, None) => false,
        }
    }
}

/// What a manual says of one option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The section, as a heading shows it.
    pub section: &'static str,
    /// The option.
    pub name: &'static str,
    /// What stands where the file says nothing.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
}

/// Every option of every section, for the manual.
#[must_use]
pub fn descriptions() -> Vec<Description> {
    let mut all = Vec::new();
    describe(&mut all, "[supervisord]", SERVER_OPTIONS);
    describe(&mut all, "[program:x]", PROGRAM_OPTIONS);
    describe(&mut all, "[program:x]", PROCESS_OPTIONS);
    describe(&mut all, "[program:x]", CARE_OPTIONS);
    describe(&mut all, "[group:x]", GROUP_OPTIONS);
    describe(&mut all, "[eventlistener:x]", LISTENER_OPTIONS);
    describe(&mut all, "[fcgi-program:x]", FASTCGI_OPTIONS);
    describe(&mut all, "[unix_http_server]", UNIX_SERVER_OPTIONS);
    describe(&mut all, "[inet_http_server]", INET_SERVER_OPTIONS);
    describe(&mut all, "[supervisorctl]", CONTROL_OPTIONS);
    describe(&mut all, "[rs]", RS_OPTIONS);
    describe(&mut all, "[include]", INCLUDE_OPTIONS);
    describe(&mut all, "[rpcinterface:x]", INTERFACE_OPTIONS);
    describe(&mut all, "[ctlplugin:x]", CONTROL_PLUGIN_OPTIONS);
    all
}

fn describe<D>(all: &mut Vec<Description>, section: &'static str, table: &[OptionEntry<D>]) {
    all.extend(table.iter().map(|entry| Description {
        section,
        name: entry.name,
        default: match entry.fallback {
            Fallback::Text(text) | Fallback::Missing(text, _) => text,
            Fallback::Nothing => "none",
            Fallback::Server => "that of [supervisord]",
        },
        help: entry.help,
    }));
}

/// Takes a value in.
fn set<T>(slot: &mut T, value: T) -> Result<(), ConfigError> {
    *slot = value;
    Ok(())
}

/// Checks one value of a command line flag, as it is written there.
pub(crate) fn check_flag<D: Default>(
    table: &[OptionEntry<D>],
    flags: &[Flag],
    host: &dyn Host,
    flag: &str,
    text: &str,
) -> Result<(), ConfigError> {
    let option = flags.iter().find(|known| known.is_written(flag)).map(|known| known.option);
    let Some(entry) = table.iter().find(|entry| Some(entry.name) == option) else {
        return Ok(());
    };
    let reading = Reading { host, section: "" };
    (entry.apply)(&mut D::default(), &reading, text).map_err(|error| ConfigError::Flag {
        flag: flag.to_owned(),
        text: text.to_owned(),
        error: Box::new(error),
    })
}

/// Takes in what the command line says, over what was read from the file.
pub(crate) fn apply_overrides<D>(
    table: &[OptionEntry<D>],
    host: &dyn Host,
    overrides: &[(String, String)],
    draft: &mut D,
) -> Result<(), ConfigError> {
    let reading = Reading { host, section: "" };
    for entry in table {
        for (_, text) in overrides.iter().filter(|(option, _)| option == entry.name) {
            (entry.apply)(draft, &reading, text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_described_once() {
        let mut seen = std::collections::BTreeSet::new();

        for option in descriptions() {
            assert!(seen.insert((option.section, option.name)), "{option:?}");
            assert!(option.help.ends_with('.'), "{option:?}");
        }
    }

    #[test]
    fn every_flag_has_its_option() {
        for flag in SERVER_FLAGS {
            assert!(SERVER_OPTIONS.iter().any(|entry| entry.name == flag.option), "{flag:?}");
        }
        for flag in CONTROL_FLAGS {
            assert!(CONTROL_OPTIONS.iter().any(|entry| entry.name == flag.option), "{flag:?}");
        }
    }

    #[test]
    fn a_flag_is_its_letter_or_its_whole_name() {
        let flag = Flag { option: "umask", short: Some('m'), takes: Takes::Value };

        assert!(flag.is_written("-m"));
        assert!(flag.is_written("--umask"));
        assert!(!flag.is_written("-umask"));
        assert!(!flag.is_written("--m"));
    }
}
