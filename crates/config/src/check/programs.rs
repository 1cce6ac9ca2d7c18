//! What a program is, how often it is started, and who it is.

use std::collections::BTreeMap;

use bardo_core::spec::RestartOn;

use super::Context;
use super::code::Code;
use super::finding::{Findings, Place};
use super::refusals::{place_of, read_option, read_table, refuse};
use super::sections::Kind;
use super::server::Daemon;
use crate::error::ConfigError;
use crate::expand::Value;
use crate::ini::Section;
use crate::load::{SectionReader, Source, programs};
use crate::options::{
    CARE_OPTIONS, CareDraft, Expansion, FASTCGI_OPTIONS, FastCgiDraft, GroupDraft,
    LISTENER_OPTIONS, ListenerDraft, PROCESS_OPTIONS, PROGRAM_GROUP_OPTIONS, PROGRAM_OPTIONS,
    ProcessDraft, ProgramDraft,
};
use crate::path::{join, with_home};
use crate::value;

/// How many processes of a program are looked at: what differs between two of them
/// differs between all.
const PROCESSES_MAX: i64 = 2;

/// A section of processes, as far as it can be read.
pub(super) struct Program<'a> {
    pub(super) section: &'a Section,
    pub(super) kind: Kind,
    /// Its name.
    pub(super) name: &'a str,
    pub(super) draft: ProgramDraft,
    /// The first processes.
    pub(super) processes: Vec<Process>,
    /// What a listener subscribes to.
    pub(super) listener: Option<ListenerDraft>,
}

/// One process of a program.
#[derive(Default)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) draft: ProcessDraft,
    /// `environment`, its names replaced.
    pub(super) environment: Option<String>,
    /// What it asks for beyond Supervisor's rules.
    pub(super) care: Option<CareDraft>,
}

/// The groups that list a section of processes, by the section's name.
pub(super) type Memberships<'a> = BTreeMap<String, Vec<&'a Section>>;

/// Reads every section of processes, and adds what would be refused.
pub(super) fn read<'a>(
    source: &'a Source<'a>,
    memberships: &Memberships<'_>,
    findings: &mut Findings,
) -> Vec<Program<'a>> {
    let sections = source.ini.sections().map(|section| (section, Kind::of(section)));
    sections
        .filter(|(_, kind)| kind.is_process())
        .filter_map(|(section, kind)| {
            let group = memberships.get(section.name()).and_then(|groups| groups.first());
            read_one(source, section, kind, group.copied(), findings)
        })
        .collect()
}

fn read_one<'a>(
    source: &'a Source<'a>,
    section: &'a Section,
    kind: Kind,
    group: Option<&Section>,
    findings: &mut Findings,
) -> Option<Program<'a>> {
    let wrap = |error| ConfigError::Process {
        error: Box::new(error),
        section: section.name().to_owned(),
        file: section.file().to_owned(),
    };
    let plain = |error| error;
    let name = match value::name(section.suffix().unwrap_or_default()) {
        Ok(name) => name,
        Err(error) => {
            let is_plain = group.is_none() && kind != Kind::Listener;
            let error = if is_plain { error.into() } else { wrap(error.into()) };
            refuse(source, findings, Place::section(section), &error);
            return None;
        }
    };
    let head = source.section_with_here(section);
    let mut listener = None;
    match kind {
        Kind::Listener => {
            let mut draft = ListenerDraft::default();
            read_table(&head, LISTENER_OPTIONS, &mut draft, findings, &plain);
            listener = Some(draft);
        }
        Kind::FastCgi if group.is_none() => {
            let mut draft = FastCgiDraft::default();
            read_table(&head, FASTCGI_OPTIONS, &mut draft, findings, &plain);
            if let Err(error) = draft.socket(&head.reading()) {
                refuse(source, findings, place_of(source, section, "socket"), &error);
            }
        }
        _ if group.is_none() => {
            let mut draft = GroupDraft::default();
            read_table(&head, PROGRAM_GROUP_OPTIONS, &mut draft, findings, &plain);
        }
        _ => {}
    }
    let group = group.and_then(Section::suffix).unwrap_or(name);
    let mut reader = programs::reader(source, section, name, group);
    let mut draft = ProgramDraft::default();
    read_table(&reader, PROGRAM_OPTIONS, &mut draft, findings, &wrap);
    if let Err(error) = draft.check() {
        let option = match error {
            ConfigError::NoProcessNumber => "process_name",
            ConfigError::StopsGroupKillsProcess => "killasgroup",
            _ => "numprocs",
        };
        refuse(source, findings, place_of(source, section, option), &wrap(error));
    }
    let processes = read_processes(&mut reader, &draft, findings, &wrap);
    Some(Program { section, kind, name, draft, processes, listener })
}

fn read_processes(
    reader: &mut SectionReader<'_>,
    draft: &ProgramDraft,
    findings: &mut Findings,
    wrap: &dyn Fn(ConfigError) -> ConfigError,
) -> Vec<Process> {
    let mut processes = Vec::new();
    for offset in 0..draft.numprocs.min(PROCESSES_MAX) {
        let number = draft.numprocs_start.saturating_add(offset);
        reader.names.set("process_num", Value::Integer(number));
        reader.names.set("numprocs", Value::Integer(draft.numprocs));
        reader.names.reset();
        let mut process = Process::default();
        for entry in PROCESS_OPTIONS {
            read_option(reader, entry, &mut process.draft, findings, wrap);
            if entry.name == "environment" {
                let raw = reader.source.ini.get(reader.section, entry.name);
                process.environment =
                    raw.and_then(|raw| reader.expand(entry.name, entry.expansion, &raw.value).ok());
                for (key, text) in &process.draft.environment {
                    reader.names.set(&format!("ENV_{key}"), Value::Text(text.clone()));
                }
            }
        }
        match reader.expand("process_name", Expansion::Unlabelled, &draft.process_name) {
            Ok(name) => process.name = name,
            Err(error) => {
                let place = place_of(reader.source, reader.section, "process_name");
                refuse(reader.source, findings, place, &wrap(error));
            }
        }
        if programs::has_care(reader.source, reader.section) {
            process.care = Some(read_care(reader, findings, wrap));
        }
        processes.push(process);
    }
    processes
}

fn read_care(
    reader: &SectionReader<'_>,
    findings: &mut Findings,
    wrap: &dyn Fn(ConfigError) -> ConfigError,
) -> CareDraft {
    let mut draft = CareDraft::default();
    read_table(reader, CARE_OPTIONS, &mut draft, findings, wrap);
    if let Err(error) = draft.check() {
        let option = match error {
            ConfigError::TwoHealthChecks { second, .. } => second,
            _ => "ready",
        };
        let place = place_of(reader.source, reader.section, option);
        refuse(reader.source, findings, place, &wrap(error));
    }
    draft
}

/// What deserves attention about a program.
pub(super) fn examine(
    context: &Context<'_>,
    program: &Program<'_>,
    daemon: &Daemon,
    findings: &mut Findings,
) {
    let draft = &program.draft;
    if draft.numprocs <= 0 {
        findings.add(
            context.place(program, "numprocs"),
            Code::NoProcesses,
            format!("numprocs={} is a program without processes", draft.numprocs),
            "a program that shall not start by itself has autostart=false",
        );
    }
    if draft.stopsignal.number() == 0 {
        findings.add(
            context.place(program, "stopsignal"),
            Code::StopsignalZero,
            "signal 0 asks nothing of a program: every stop waits for stopwaitsecs and ends in \
             SIGKILL",
            "name the signal, TERM for example",
        );
    }
    restarts(context, program, findings);
    working_directory(context, program, findings);
    if let (Some(daemon), Some(user)) = (&daemon.user, &draft.user)
        && daemon.uid != 0
        && daemon.uid != user.uid
    {
        findings.add(
            context.place(program, "user"),
            Code::UserCannotSwitch,
            "the daemon becomes an ordinary user, who may not start a program as another one",
            "take `user` out of [supervisord], or out of this program",
        );
    }
    if program.kind == Kind::Listener {
        for option in ["stdout_capture_maxbytes", "stdout_events_enabled"] {
            if context.says(program, option) {
                findings.add(
                    context.place(program, option),
                    Code::IgnoredOption,
                    format!(
                        "`{option}` has no effect: a listener's standard output speaks to the \
                         daemon"
                    ),
                    "",
                );
            }
        }
    }
}

/// How often a program is started again.
fn restarts(context: &Context<'_>, program: &Program<'_>, findings: &mut Findings) {
    let draft = &program.draft;
    let when = match draft.restart_on {
        RestartOn::Always => "ends",
        RestartOn::Unexpected => "fails",
        RestartOn::Never => {
            if draft.startsecs > 0 && !context.says(program, "startsecs") {
                findings.add(
                    context.place(program, "autorestart"),
                    Code::StartCountsFirst,
                    format!(
                        "a start counts after {} s (startsecs); a program that ends sooner is \
                         started again whatever autorestart says, and is FATAL in the end",
                        draft.startsecs
                    ),
                    "for a program that does its work and ends: startsecs=0",
                );
            }
            return;
        }
    };
    if draft.startsecs <= 0 {
        findings.add(
            context.place(program, "startsecs"),
            Code::RestartLoop,
            format!(
                "with startsecs={} a start always counts, so a program that {when} at once is \
                 started again at once, without a pause and without end",
                draft.startsecs
            ),
            "startsecs=1 or more; for a program that does its work and ends, autorestart=false",
        );
    }
}

fn working_directory(context: &Context<'_>, program: &Program<'_>, findings: &mut Findings) {
    let Some(directory) = program.processes.first().and_then(|it| it.draft.directory.as_ref())
    else {
        return;
    };
    let place = context.place(program, "directory");
    if !directory.starts_with('/') {
        let advice = if directory.starts_with('~') {
            format!("a `~` is not replaced here: {}", with_home(context.inspector, directory))
        } else {
            "an absolute path, or one that begins with %(here)s".to_owned()
        };
        let message = format!("{directory} depends on where the daemon is started");
        return findings.add(place, Code::RelativePath, message, advice);
    }
    let path = join("/", directory);
    if !context.inspector.is_directory(&path) {
        findings.add(
            place,
            Code::MissingWorkingDirectory,
            format!("{directory} is not there, and every start will fail"),
            "make it before the program is started",
        );
    }
}
