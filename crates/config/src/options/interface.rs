//! `[rpcinterface:x]` and `[ctlplugin:x]`, which name Python objects.

use super::{Expansion, Fallback, OptionEntry, Reading, set};
use crate::error::ConfigError;
use crate::python::{trim, trim_end};

/// The key that names the factory of an XML-RPC interface.
pub const FACTORY_KEY: &str = "supervisor.rpcinterface_factory";

/// The key that names the factory of a client's plugin.
pub const PLUGIN_FACTORY_KEY: &str = "supervisor.ctl_factory";

/// The factory that is built in: module and function.
const BUILT_IN: (&str, &str) = ("supervisor.rpcinterface", "make_main_rpcinterface");

/// What a section says of its factory.
#[derive(Debug, Default)]
pub struct InterfaceDraft {
    pub(crate) factory: String,
}

/// The options of `[rpcinterface:x]`. Every other key goes to the factory.
pub const INTERFACE_OPTIONS: &[OptionEntry<InterfaceDraft>] = &[OptionEntry {
    name: FACTORY_KEY,
    fallback: Fallback::Missing("required", |_, reading| missing(reading, FACTORY_KEY)),
    expansion: Expansion::Once,
    apply: |draft, reading, text| {
        // An import path may end in a list of extras, which mean nothing here.
        let path = text.strip_suffix(']').and_then(|rest| rest.split_once('['));
        let path = path.map_or(text, |(path, _)| path);
        let (module, function) = path.split_once(':').unwrap_or((path, ""));
        if (trim_end(module), trim(function)) != BUILT_IN {
            return unresolved(reading, text);
        }
        set(&mut draft.factory, text.to_owned())
    },
    help: "What makes the interface. Only supervisor.rpcinterface:make_main_rpcinterface is \
           built in.",
}];

/// The options of `[ctlplugin:x]`.
pub const CONTROL_PLUGIN_OPTIONS: &[OptionEntry<InterfaceDraft>] = &[OptionEntry {
    name: PLUGIN_FACTORY_KEY,
    fallback: Fallback::Missing("required", |_, reading| missing(reading, PLUGIN_FACTORY_KEY)),
    expansion: Expansion::Once,
    apply: |_, reading, text| unresolved(reading, text),
    help: "What makes the plugin, which is a Python object: there is none that we could load.",
}];

fn missing(reading: &Reading<'_>, key: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError::NoFactory { section: reading.section.to_owned(), key })
}

fn unresolved(reading: &Reading<'_>, object: &str) -> Result<(), ConfigError> {
    let section = reading.section.to_owned();
    Err(ConfigError::Unresolved { object: object.to_owned(), section })
}
