//! `[supervisord]`: the daemon itself.

use std::sync::Arc;

use super::code::Code;
use super::finding::{Findings, Place};
use super::refusals::{of_file, place_of, read_table, refuse};
use super::{Inspector, environment, logs};
use crate::error::ConfigError;
use crate::host::Account;
use crate::ini::Section;
use crate::load::{Source, check_ends};
use crate::options::{Expansion, Known, RS_OPTIONS, RsDraft, SERVER_OPTIONS, ServerDraft};
use crate::value;

/// What the rest needs to know of the daemon.
#[derive(Default)]
pub(super) struct Daemon {
    /// What it sets for every program.
    pub(super) environment: Vec<(String, String)>,
    /// The user that it becomes.
    pub(super) user: Option<Account>,
    /// Its log.
    pub(super) logfile: Option<String>,
    /// Whether a port without a password is refused.
    pub(super) require_password: bool,
}

/// Reads the section, and adds what is found in it.
pub(super) fn examine(
    inspector: &dyn Inspector,
    source: &Source<'_>,
    root: &Arc<str>,
    findings: &mut Findings,
) -> Daemon {
    let Some(section) = source.ini.section("supervisord") else {
        of_file(&ConfigError::NoServerSection, root, findings);
        return Daemon::default();
    };
    let reader = source.section_with_here(section);
    let mut draft = ServerDraft::default();
    read_table(&reader, SERVER_OPTIONS, &mut draft, findings, &|error| error);
    let mut daemon = Daemon::default();
    match draft.user.as_deref().map(|name| value::account(inspector, name)) {
        Some(Ok(account)) => daemon.user = Some(account),
        Some(Err(error)) => {
            refuse(source, findings, place_of(source, section, "user"), &error.into());
        }
        None => {}
    }
    let says = |option: &str| source.ini.get(section, option).is_some();
    if draft.nodaemon {
        for option in ["directory", "umask"].into_iter().filter(|option| says(option)) {
            findings.add(
                place_of(source, section, option),
                Code::BackgroundOnly,
                format!("`{option}` has no effect, because of nodaemon=true"),
                "set it where the daemon is started, or in each program",
            );
        }
    }
    examine_paths(source, section, &draft, findings);
    examine_limits(inspector, source, section, &draft, findings);
    if let Some(entry) = source.ini.get(section, "environment")
        && let Ok(text) =
            reader.expand("environment", Expansion::OnceWith(Known::Node), &entry.value)
    {
        environment::examine(inspector, &Place::entry(section, entry), &text, findings);
    }
    if let Err(error) = check_ends(source, &draft.exit_on) {
        refuse(source, findings, place_of(source, section, "exit_on"), &error);
    }
    daemon.logfile = Some(draft.logfile).filter(|file| file != "syslog");
    daemon.environment = draft.environment;
    daemon.require_password = draft.require_password;
    daemon
}

/// What would be refused of `[rs]`.
pub(super) fn examine_services(source: &Source<'_>, findings: &mut Findings) {
    if let Some(section) = source.ini.section("rs") {
        let reader = source.section_with_here(section);
        read_table(&reader, RS_OPTIONS, &mut RsDraft::default(), findings, &|error| error);
    }
}

fn examine_paths(
    source: &Source<'_>,
    section: &Section,
    draft: &ServerDraft,
    findings: &mut Findings,
) {
    let says = |option: &str| source.ini.get(section, option).is_some();
    let place = |option: &str| place_of(source, section, option);
    if says("logfile") && draft.logfile != "syslog" {
        let limits = (draft.logfile_bytes_max, draft.logfile_backups);
        let places = (place("logfile"), place("logfile_maxbytes"), place("logfile_backups"));
        logs::examine_file(&draft.logfile, limits, says("logfile_backups"), places, findings);
    }
    if draft.logfile_compress {
        let is_rotated = draft.logfile_bytes_max > 0 && draft.logfile_backups > 0;
        let has_backups = is_rotated && draft.logfile != "syslog";
        logs::examine_compression(has_backups, place("logfile_compress"), findings);
    }
    let childlogdir = draft.childlogdir.as_str();
    let directory = draft.directory.as_deref().unwrap_or("/");
    for (option, path) in [
        ("pidfile", draft.pidfile.as_str()),
        ("childlogdir", childlogdir),
        ("directory", directory),
    ] {
        if says(option) && !path.starts_with('/') {
            findings.add(
                place(option),
                Code::RelativePath,
                format!("{path} depends on where the daemon is started"),
                "an absolute path, or one that begins with %(here)s",
            );
        }
    }
}

fn examine_limits(
    inspector: &dyn Inspector,
    source: &Source<'_>,
    section: &Section,
    draft: &ServerDraft,
    findings: &mut Findings,
) {
    if inspector.user_id() == 0 {
        return;
    }
    for (option, wanted, limit) in [
        ("minfds", draft.minfds, inspector.descriptors_max()),
        ("minprocs", draft.minprocs, inspector.processes_max()),
    ] {
        if u64::try_from(wanted).is_ok_and(|wanted| wanted > limit) {
            findings.add(
                place_of(source, section, option),
                Code::LimitTooLow,
                format!("{option} is {wanted}, and this user may have {limit} at most"),
                format!("start the daemon as root, raise the hard limit, or lower {option}"),
            );
        }
    }
}
