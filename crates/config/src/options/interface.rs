//! `[rpcinterface:x]` and `[ctlplugin:x]`, which name Python objects. Python cannot be
//! loaded, so the factories of widely used extensions are known by name and built in.

use super::{Expansion, Fallback, OptionEntry, Reading, set};
use crate::error::ConfigError;
use crate::python::{trim, trim_end};

/// The key that names the factory of an XML-RPC interface.
pub const FACTORY_KEY: &str = "supervisor.rpcinterface_factory";

/// The key that names the factory of a client's plugin.
pub const PLUGIN_FACTORY_KEY: &str = "supervisor.ctl_factory";

/// An XML-RPC interface that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InterfaceKind {
    /// Supervisor's own.
    #[default]
    Main,
    /// That of `supervisor_twiddler`.
    Twiddler,
    /// That of `supervisor_cache`.
    Cache,
    /// That of `mr.laforge`.
    Laforge,
}

/// A plugin of `supervisorctl` that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PluginKind {
    /// That of `supervisor_cache`.
    #[default]
    Cache,
    /// That of `mr.laforge`.
    Laforge,
}

/// The factories that are built in: module, function, and what it makes.
const INTERFACES: [(&str, &str, InterfaceKind); 4] = [
    ("supervisor.rpcinterface", "make_main_rpcinterface", InterfaceKind::Main),
    ("supervisor_twiddler.rpcinterface", "make_twiddler_rpcinterface", InterfaceKind::Twiddler),
    ("supervisor_cache.rpcinterface", "make_cache_rpcinterface", InterfaceKind::Cache),
    ("mr.laforge.rpcinterface", "make_laforge_rpcinterface", InterfaceKind::Laforge),
];

/// The factories of plugins that are built in.
const PLUGINS: [(&str, &str, PluginKind); 2] = [
    ("supervisor_cache.controllerplugin", "make_cache_controllerplugin", PluginKind::Cache),
    ("mr.laforge.controllerplugin", "make_laforge_controllerplugin", PluginKind::Laforge),
];

/// What a section says of its factory.
#[derive(Debug, Default)]
pub struct InterfaceDraft {
    pub(crate) factory: String,
    pub(crate) kind: InterfaceKind,
}

/// What a section says of a plugin's factory.
#[derive(Debug, Default)]
pub struct PluginDraft {
    pub(crate) kind: PluginKind,
}

/// The options of `[rpcinterface:x]`. Every other key goes to the factory.
pub const INTERFACE_OPTIONS: &[OptionEntry<InterfaceDraft>] = &[OptionEntry {
    name: FACTORY_KEY,
    fallback: Fallback::Missing("required", |_, reading| missing(reading, FACTORY_KEY)),
    expansion: Expansion::Once,
    apply: |draft, reading, text| {
        draft.kind = built_in(&INTERFACES, text).ok_or_else(|| unresolved(reading, text))?;
        set(&mut draft.factory, text.to_owned())
    },
    help: "What makes the interface: supervisor.rpcinterface:make_main_rpcinterface, or that \
           of supervisor_twiddler, supervisor_cache or mr.laforge, which are built in too.",
}];

/// The options of `[ctlplugin:x]`.
pub const CONTROL_PLUGIN_OPTIONS: &[OptionEntry<PluginDraft>] = &[OptionEntry {
    name: PLUGIN_FACTORY_KEY,
    fallback: Fallback::Missing("required", |_, reading| missing(reading, PLUGIN_FACTORY_KEY)),
    expansion: Expansion::Once,
    apply: |draft, reading, text| {
        let kind = built_in(&PLUGINS, text).ok_or_else(|| unresolved(reading, text))?;
        set(&mut draft.kind, kind)
    },
    help: "What makes the plugin, which is a Python object: those of supervisor_cache and \
           mr.laforge are built in.",
}];

/// What an import path leads to.
fn built_in<K: Copy>(known: &[(&str, &str, K)], text: &str) -> Option<K> {
    // An import path may end in a list of extras, which mean nothing here.
    let path = text.strip_suffix(']').and_then(|rest| rest.split_once('['));
    let path = path.map_or(text, |(path, _)| path);
    let (module, function) = path.split_once(':').unwrap_or((path, ""));
    let wanted = (trim_end(module), trim(function));
    known.iter().find(|(module, function, _)| (*module, *function) == wanted).map(|there| there.2)
}

fn missing(reading: &Reading<'_>, key: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError::NoFactory { section: reading.section.to_owned(), key })
}

fn unresolved(reading: &Reading<'_>, object: &str) -> ConfigError {
    let section = reading.section.to_owned();
    ConfigError::Unresolved { object: object.to_owned(), section }
}
