//! The whole of a server's configuration, from the path of a file to specs.
//!
//! The order of everything here is Supervisor's, because it decides which of
//! several errors is shown: `[supervisord]`, interfaces, groups, programs, event
//! listeners, FastCGI programs, servers, and the user last.

mod alone;
mod dependencies;
mod groups;
pub(crate) mod include;
pub(crate) mod programs;
mod section;

use std::collections::BTreeMap;
use std::sync::Arc;

use bardo_core::Configuration;

use crate::error::ConfigError;
use crate::expand::{Names, Value};
use crate::host::{Host, ReadError};
use crate::ini::{Ini, Section};
use crate::options::{
    Expansion, FACTORY_KEY, INET_SERVER_OPTIONS, INTERFACE_OPTIONS, InterfaceDraft, InterfaceKind,
    RS_OPTIONS, RsDraft, SERVER_FLAGS, SERVER_OPTIONS, ServerDraft, UNIX_SERVER_OPTIONS,
    apply_overrides,
};
use crate::path::{absolute, parent, resolved};
use crate::servers::{HttpServer, default_server_url};
use crate::settings::ServerSettings;
use crate::value::ExitOn;
pub use alone::{Described, load_program};
use groups::Groups;
pub(crate) use section::SectionReader;

/// What to load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The path of the file, as it was given.
    pub file: String,
    /// What the command line says, as option and text; a flag alone says `true`.
    /// It counts more than the file.
    pub overrides: Vec<(String, String)>,
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What can be brought up.
    pub configuration: Configuration,
    /// The settings of the daemon itself.
    pub settings: ServerSettings,
    /// The HTTP servers: ports first, then socket files.
    pub servers: Vec<HttpServer>,
    /// The XML-RPC interfaces, in the order of the file.
    pub interfaces: Vec<RpcInterface>,
    /// What the log shall begin with.
    pub messages: Messages,
    /// `SUPERVISOR_SERVER_URL` of programs that have none of their own.
    pub server_url: Option<String>,
}

/// An XML-RPC interface that is to be offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcInterface {
    /// The namespace: what follows the colon of the section's name.
    pub name: String,
    /// The import path of what makes it.
    pub factory: String,
    /// What that is.
    pub kind: InterfaceKind,
    /// Every other key of the section. Supervisor hands them to the factory.
    pub arguments: Vec<(String, String)>,
}

/// What the log shall begin with: all critical messages, then the warnings, then
/// the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    /// At level critical. Loading has none; the daemon adds its own.
    pub criticals: Vec<String>,
    /// At level warn.
    pub warnings: Vec<String>,
    /// At level info.
    pub infos: Vec<String>,
}

/// The key of a twiddler's methods that are allowed.
const ALLOWED_KEY: &str = "whitelist";

impl RpcInterface {
    /// Whether its factory takes the arguments: Supervisor's own takes none, that of
    /// the twiddler the methods that are allowed, and the others any.
    #[must_use]
    pub fn can_be_made(&self) -> bool {
        match self.kind {
            InterfaceKind::Main => self.arguments.is_empty(),
            InterfaceKind::Twiddler => self.arguments.iter().all(|(key, _)| key == ALLOWED_KEY),
            InterfaceKind::Cache | InterfaceKind::Laforge => true,
        }
    }

    /// The only methods that may be called; none for all.
    #[must_use]
    pub fn allowed(&self) -> Vec<String> {
        let text = self.arguments.iter().find(|(key, _)| key == ALLOWED_KEY);
        match (self.kind, text) {
            (InterfaceKind::Twiddler, Some((_, text))) if !text.is_empty() => {
                text.split(',').map(|name| name.trim().to_owned()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Loads a server's configuration.
///
/// # Errors
///
/// Everything that Supervisor refuses, in its words.
pub fn load(host: &dyn Host, request: &Request) -> Result<Loaded, ConfigError> {
    let (loaded, errors) = load_with_errors(host, request)?;
    errors.into_iter().next().map_or(Ok(loaded), Err)
}

/// The same, with everything that is wrong with dependencies: whoever looks for errors
/// wants all of them.
pub(crate) fn load_with_errors(
    host: &dyn Host,
    request: &Request,
) -> Result<(Loaded, Vec<ConfigError>), ConfigError> {
    let mut messages = Messages::default();
    let mut source = Source::open(host, &request.file)?;
    include::include(&mut source, &mut messages)?;
    let section = source.ini.section("supervisord").ok_or(ConfigError::NoServerSection)?;

    let mut draft = source.section_with_here(section).read(SERVER_OPTIONS)?;
    let environment = std::mem::take(&mut draft.environment);
    source.add_environment(&environment);
    let interfaces = source.interfaces()?;
    let services = match source.ini.section("rs") {
        Some(section) => source.section_with_here(section).read(RS_OPTIONS)?,
        None => RsDraft::default(),
    };
    let mut groups = Groups::new(&source, &environment, &draft.exit_on, &mut messages);
    groups.read()?;
    check_ends(&source, &draft.exit_on)?;
    let (configuration, errors) = groups.finish();
    let servers = source.servers()?;
    if draft.require_password {
        servers.iter().try_for_each(HttpServer::check_password)?;
    }

    apply_overrides(SERVER_OPTIONS, host, &request.overrides, &mut draft)?;
    draft.environment = environment;
    let settings = ServerSettings::new(host, draft, &services)?;
    let server_url = default_server_url(&servers);
    let loaded = Loaded { configuration, settings, servers, interfaces, messages, server_url };
    Ok((loaded, errors))
}

/// Refuses the first program with which everything is to end and that is not there.
pub(crate) fn check_ends(source: &Source<'_>, exit_on: &ExitOn) -> Result<(), ConfigError> {
    let is_there = |program: &str| {
        ["program", "fcgi-program", "eventlistener"]
            .iter()
            .any(|kind| source.ini.section(&format!("{kind}:{program}")).is_some())
    };
    let missing = exit_on.programs().find(|program| !is_there(program));
    let section = source.ini.section("supervisord");
    match (missing, section.and_then(|section| source.ini.get(section, "exit_on"))) {
        (Some(program), Some(entry)) => Err(ConfigError::UnknownEnd {
            place: format!("{}:{}", entry.file, entry.line),
            program: program.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Where the daemon of a file is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its HTTP servers.
    pub servers: Vec<HttpServer>,
    /// Its pid file, if what the file says of it can be read.
    pub pidfile: Option<String>,
}

/// Reads where the daemon of a file is to be found. Programs are not looked at: a file that
/// would be refused now may be that of a daemon that runs.
///
/// # Errors
///
/// What keeps the file or one of its servers from being read.
pub fn whereabouts(host: &dyn Host, file: &str) -> Result<Whereabouts, ConfigError> {
    let mut source = Source::open(host, file)?;
    // What is not included cannot be looked at either.
    let _ = include::include(&mut source, &mut Messages::default());
    let section = source.ini.section("supervisord").ok_or(ConfigError::NoServerSection)?;
    let draft: Result<ServerDraft, ConfigError> =
        source.section_with_here(section).read(SERVER_OPTIONS);
    let pidfile = draft.as_ref().ok().map(|draft| resolved(host, &draft.pidfile));
    if let Ok(draft) = draft {
        source.add_environment(&draft.environment);
    }
    Ok(Whereabouts { servers: source.servers()?, pidfile })
}

/// Checks the value of a flag of the daemon's command line, `-m` or `--umask`.
///
/// # Errors
///
/// That it is invalid, and why.
pub fn check_flag(host: &dyn Host, flag: &str, text: &str) -> Result<(), ConfigError> {
    crate::options::check_flag(SERVER_OPTIONS, SERVER_FLAGS, host, flag, text)
}

/// What has been read so far, and what may be named in values.
pub(crate) struct Source<'a> {
    pub(crate) host: &'a dyn Host,
    /// Its directory, absolute.
    pub(crate) here: String,
    /// The name of the machine.
    pub(crate) node: String,
    pub(crate) ini: Ini,
    /// The environment, as `ENV_X`.
    pub(crate) variables: BTreeMap<String, Value>,
}

impl<'a> Source<'a> {
    /// Reads the file itself.
    pub(crate) fn open(host: &'a dyn Host, file: &str) -> Result<Self, ConfigError> {
        let mut source = Self::new(host, file, Ini::default());
        source.read(file)?;
        Ok(source)
    }

    /// With what has been read so far, for a root file of that path.
    pub(crate) fn new(host: &'a dyn Host, file: &str, ini: Ini) -> Self {
        let variables = host.environment().into_iter();
        Self {
            host,
            here: absolute(host, parent(file)),
            node: host.name(),
            ini,
            variables: variables.map(|(name, text)| variable(&name, text)).collect(),
        }
    }

    /// Reads the root file.
    pub(crate) fn read(&mut self, file: &str) -> Result<(), ConfigError> {
        let bytes = self.host.read(file).map_err(|error| match error {
            ReadError::Missing => ConfigError::Missing(file.to_owned()),
            ReadError::Unreadable => ConfigError::Unreadable(file.to_owned()),
        })?;
        self.ini.read(file, &bytes)
    }

    /// A section in which the environment may be named.
    pub(crate) fn section<'s>(&'s self, section: &'s Section) -> SectionReader<'s> {
        let names = Names::new(&self.variables);
        SectionReader { source: self, section, names }
    }

    /// A section in which the directory of the file may be named too.
    pub(crate) fn section_with_here<'s>(&'s self, section: &'s Section) -> SectionReader<'s> {
        let mut reader = self.section(section);
        reader.names.set("here", Value::Text(self.here.clone()));
        reader
    }

    /// Lets `ENV_X` name what `[supervisord]` sets.
    pub(crate) fn add_environment(&mut self, environment: &[(String, String)]) {
        let variables = environment.iter().map(|(name, text)| variable(name, text.clone()));
        self.variables.extend(variables);
    }

    fn interfaces(&self) -> Result<Vec<RpcInterface>, ConfigError> {
        let sections =
            self.ini.sections().filter(|section| section.name().starts_with("rpcinterface:"));
        sections.map(|section| self.interface(section)).collect()
    }

    fn interface(&self, section: &Section) -> Result<RpcInterface, ConfigError> {
        let reader = self.section(section);
        let InterfaceDraft { factory, kind } = reader.read(INTERFACE_OPTIONS)?;
        let others = self.ini.entries(section).filter(|entry| entry.key != FACTORY_KEY);
        let arguments = others.map(|entry| {
            let text = reader.expand(&entry.key, Expansion::Once, &entry.value)?;
            Ok((entry.key.clone(), text))
        });
        Ok(RpcInterface {
            name: section.suffix().unwrap_or_default().to_owned(),
            factory,
            kind,
            arguments: arguments.collect::<Result<_, ConfigError>>()?,
        })
    }

    fn servers(&self) -> Result<Vec<HttpServer>, ConfigError> {
        let mut servers = Vec::new();
        for (prefix, table) in
            [("inet_http_server", INET_SERVER_OPTIONS), ("unix_http_server", UNIX_SERVER_OPTIONS)]
        {
            for section in self.ini.sections().filter(|section| section.name().starts_with(prefix))
            {
                let draft = self.section(section).read(table)?;
                servers.push(HttpServer::new(section.name(), draft));
            }
        }
        Ok(servers)
    }
}

fn variable(name: &str, text: String) -> (String, Value) {
    (format!("ENV_{name}"), Value::Text(text))
}

/// A text that is shared with another where the two are equal.
pub(crate) fn shared(text: &str, other: Option<&Arc<str>>) -> Arc<str> {
    match other {
        Some(other) if **other == *text => Arc::clone(other),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests;
