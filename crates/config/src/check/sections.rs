//! Which sections there are, and which options each may have.

use std::sync::Arc;

use super::code::Code;
use super::finding::{Findings, Place};
use super::suggest::{nearest, offer};
use crate::ini::{Entry, Section};
use crate::load::Source;
use crate::options::{
    CARE_OPTIONS, CONTROL_OPTIONS, FASTCGI_OPTIONS, GROUP_OPTIONS, INCLUDE_OPTIONS,
    INET_SERVER_OPTIONS, LISTENER_OPTIONS, OptionEntry, PROCESS_OPTIONS, PROGRAM_OPTIONS,
    RS_OPTIONS, SERVER_OPTIONS, UNIX_SERVER_OPTIONS,
};

/// What a section is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Control,
    Include,
    Program,
    Listener,
    FastCgi,
    Group,
    Services,
    Interface,
    Plugin,
    Inet,
    Unix,
    Unknown,
}

/// How the names of sections begin, and what such a section is; the first that fits
/// counts. A name that ends in a colon is followed by something else.
const NAMES: &[(&str, Kind)] = &[
    ("supervisord", Kind::Server),
    ("supervisorctl", Kind::Control),
    ("include", Kind::Include),
    ("program:", Kind::Program),
    ("eventlistener:", Kind::Listener),
    ("fcgi-program:", Kind::FastCgi),
    ("group:", Kind::Group),
    ("rs", Kind::Services),
    ("rpcinterface:", Kind::Interface),
    ("ctlplugin:", Kind::Plugin),
    ("inet_http_server", Kind::Inet),
    ("unix_http_server", Kind::Unix),
];

/// Options that Supervisor does not know, beside those of [`CARE_OPTIONS`].
const OWN_OPTIONS: &[(Kind, &str)] = &[
    (Kind::Server, "exit_on"),
    (Kind::Server, "hang_timeout"),
    (Kind::Server, "keeper_stopwaitsecs"),
    (Kind::Server, "logfile_compress"),
    (Kind::Server, "require_password"),
    (Kind::Server, "stdout_logfile_prefix"),
    (Kind::Server, "stderr_logfile_prefix"),
    (Kind::Program, "strip_ansi"),
    (Kind::Listener, "strip_ansi"),
    (Kind::FastCgi, "strip_ansi"),
    (Kind::Program, "stdout_logfile_compress"),
    (Kind::Listener, "stdout_logfile_compress"),
    (Kind::FastCgi, "stdout_logfile_compress"),
    (Kind::Program, "stderr_logfile_compress"),
    (Kind::Listener, "stderr_logfile_compress"),
    (Kind::FastCgi, "stderr_logfile_compress"),
    (Kind::Program, "stdout_logfile_prefix"),
    (Kind::Listener, "stdout_logfile_prefix"),
    (Kind::FastCgi, "stdout_logfile_prefix"),
    (Kind::Program, "stderr_logfile_prefix"),
    (Kind::Listener, "stderr_logfile_prefix"),
    (Kind::FastCgi, "stderr_logfile_prefix"),
    (Kind::Program, "ignore_sigpipe"),
    (Kind::Listener, "ignore_sigpipe"),
    (Kind::FastCgi, "ignore_sigpipe"),
    (Kind::Listener, "event_length"),
    (Kind::Services, "compat"),
];

impl Kind {
    /// What a section of that name is.
    pub(super) fn of(section: &Section) -> Self {
        Self::of_name(section.name())
    }

    /// What a section of that name is.
    pub(super) fn of_name(name: &str) -> Self {
        let fits = |known: &str, kind: Kind| {
            known == name
                || ((known.ends_with(':') || matches!(kind, Self::Inet | Self::Unix))
                    && name.starts_with(known))
        };
        let found = NAMES.iter().find(|(known, kind)| fits(known, *kind));
        found.map_or(Self::Unknown, |(_, kind)| *kind)
    }

    /// Whether its section is one of processes.
    pub(super) fn is_process(self) -> bool {
        matches!(self, Self::Program | Self::Listener | Self::FastCgi)
    }

    /// The options that it may have; none where it may have any.
    pub(super) fn options(self) -> Option<Vec<&'static str>> {
        let mut names = match self {
            Self::Server => names(SERVER_OPTIONS),
            Self::Control => names(CONTROL_OPTIONS),
            Self::Include => names(INCLUDE_OPTIONS),
            Self::Group => names(GROUP_OPTIONS),
            Self::Services => names(RS_OPTIONS),
            Self::Inet => names(INET_SERVER_OPTIONS),
            Self::Unix => names(UNIX_SERVER_OPTIONS),
            Self::Program => Vec::new(),
            Self::Listener => names(LISTENER_OPTIONS),
            Self::FastCgi => names(FASTCGI_OPTIONS),
            Self::Interface | Self::Plugin | Self::Unknown => return None,
        };
        if self.is_process() {
            names.extend(self::names(PROGRAM_OPTIONS));
            names.extend(self::names(PROCESS_OPTIONS));
            names.extend(self::names(CARE_OPTIONS));
        }
        Some(names)
    }

    /// Whether Supervisor does not know that option of such a section.
    fn is_own(self, option: &str) -> bool {
        OWN_OPTIONS.contains(&(self, option))
            || (self.is_process() && CARE_OPTIONS.iter().any(|entry| entry.name == option))
    }
}

fn names<D>(table: &[OptionEntry<D>]) -> Vec<&'static str> {
    table.iter().map(|entry| entry.name).collect()
}

/// The kind of section that has such an option, as it is written.
fn home_of(option: &str) -> Option<String> {
    let has = |kind: Kind| kind.options().is_some_and(|names| names.contains(&option));
    let (name, _) = NAMES.iter().find(|(_, kind)| has(*kind))?;
    let rest = if name.ends_with(':') { "x" } else { "" };
    Some(format!("[{name}{rest}]"))
}

/// Sections and options that nobody reads.
pub(super) fn examine(source: &Source<'_>, root: &Arc<str>, findings: &mut Findings) {
    for section in source.ini.sections() {
        let kind = Kind::of(section);
        let name = section.name();
        match kind {
            Kind::Unknown => unknown_section(section, findings),
            Kind::Inet | Kind::Unix if !name.ends_with("_server") && !name.contains("_server:") => {
                findings.add(
                    Place::section(section),
                    Code::SectionPrefix,
                    format!("[{name}] counts as one more server, because of how its name begins"),
                    "to switch it off, put a `;` before each of its lines",
                );
            }
            Kind::Control if section.file() != &**root => findings.add(
                Place::section(section),
                Code::ControlInInclude,
                "supervisorctl does not look into included files and will not find this section",
                format!("move it to {root}"),
            ),
            _ => {}
        }
        if let Some(known) = kind.options() {
            for entry in section.own_entries() {
                option(section, kind, entry, &known, findings);
            }
        }
    }
    examine_defaults(source, findings);
}

fn unknown_section(section: &Section, findings: &mut Findings) {
    let name = section.name();
    let (head, rest) = match name.split_once(':') {
        Some((head, rest)) => (format!("{}:", head.trim()), rest),
        None => (name.trim().to_owned(), ""),
    };
    let heads = NAMES.iter().map(|(known, _)| *known);
    let advice = match nearest(&head, heads) {
        Some(known) if known.ends_with(':') && rest.is_empty() => {
            format!("perhaps [{known}x] is meant, x being a name")
        }
        Some(known) => format!("perhaps [{known}{rest}] is meant"),
        None => String::new(),
    };
    let message = format!("no section is called [{name}]; it is ignored");
    findings.add(Place::section(section), Code::UnknownSection, message, advice);
}

fn option(
    section: &Section,
    kind: Kind,
    entry: &Entry,
    known: &[&'static str],
    findings: &mut Findings,
) {
    let (place, key) = (Place::entry(section, entry), entry.key.as_str());
    if kind.is_own(key) {
        let message = format!("`{key}` is Bardo's own; Supervisor ignores it");
        findings.add(place, Code::BardoOnly, message, "");
    } else if !known.contains(&key) {
        let advice = match (offer(key, known.iter().copied()), home_of(key)) {
            (near, Some(home)) if near.is_empty() => format!("it is an option of {home}"),
            (near, _) => near,
        };
        let message = format!("[{}] has no option `{key}`; it is ignored", section.name());
        findings.add(place, Code::UnknownOption, message, advice);
    }
}

/// Keys of `[DEFAULT]` that no section reads.
fn examine_defaults(source: &Source<'_>, findings: &mut Findings) {
    let all: Vec<&str> = NAMES.iter().filter_map(|(_, kind)| kind.options()).flatten().collect();
    for entry in source.ini.defaults().iter().filter(|entry| !all.contains(&entry.key.as_str())) {
        let place = Place {
            file: Arc::clone(&entry.file),
            line: Some(entry.line),
            section: Some("DEFAULT".to_owned()),
            option: Some(entry.key.clone()),
        };
        let message = format!("no section has an option `{}`; it is ignored", entry.key);
        findings.add(place, Code::UnknownOption, message, offer(&entry.key, all.iter().copied()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_known_by_its_name() {
        let cases = [
            ("supervisord", Kind::Server),
            ("supervisord2", Kind::Unknown),
            ("program:x", Kind::Program),
            ("program", Kind::Unknown),
            ("Program:x", Kind::Unknown),
            ("inet_http_server:two", Kind::Inet),
            ("inet_http_server_off", Kind::Inet),
        ];

        for (name, kind) in cases {
            assert_eq!(Kind::of_name(name), kind, "{name}");
        }
    }

    #[test]
    fn bardos_own_options_are_options() {
        for (kind, name) in OWN_OPTIONS {
            assert!(kind.options().is_some_and(|names| names.contains(name)), "{name}");
        }
    }
}
