//! What a configuration will surprise its writer with: `bardo check`.
//!
//! Where [`load`](crate::load) stops at the first error, this goes on: it finds all
//! that would be refused, and all that is accepted and hardly meant. Nothing here
//! knows a list of options: what a section may say, and what its values mean, is read
//! through the tables in [`options`](crate::options).
//!
//! One thing surprises a newcomer: whether the file is refused is decided by loading
//! it, and the findings that this file makes by itself only say where and how to mend it.

mod care;
mod code;
mod commands;
mod environment;
mod finding;
mod groups;
mod logs;
mod notes;
mod programs;
mod refusals;
mod sections;
mod server;
mod servers;
pub(crate) mod suggest;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use code::{Code, Severity};
pub use finding::{Finding, Place};

use crate::error::ConfigError;
use crate::host::{Host, ReadError};
use crate::ini::Ini;
use crate::load::{Request, Source, include, load_with_errors};
use crate::path::{absolute, join, parent};
use finding::Findings;
use programs::Program;
use sections::Kind;

/// What is asked of the machine to judge a configuration, beside what loading asks.
pub trait Inspector: Host {
    /// What `stat` says of the kind and the permissions of a file, links followed.
    fn mode(&self, path: &str) -> Option<u32>;

    /// How many descriptors a process may have at most, as an ordinary user.
    fn descriptors_max(&self) -> u64;

    /// How many processes a user may have at most, as an ordinary user.
    fn processes_max(&self) -> u64;
}

/// In a mode: everybody may write.
const WRITABLE: u32 = 0o002;

/// In a mode: everybody may read.
const READABLE: u32 = 0o004;

/// Everything that deserves to be said of a server's configuration, in the order of
/// its files and their lines.
#[must_use]
pub fn check(inspector: &dyn Inspector, file: &str) -> Vec<Finding> {
    let mut findings = Findings::default();
    let mut files: Vec<Arc<str>> = vec![file.into()];
    let mut source = Source::new(inspector, file, Ini::observed());
    let read = source.read(file);
    let goes_on = matches!(read, Ok(()) | Err(ConfigError::BadLines { .. }));
    if let Err(error) = read {
        refusals::of_file(&error, &files[0], &mut findings);
    }
    if goes_on {
        read_included(&mut source, &mut files, &mut findings);
        examine(inspector, &mut source, &files, &mut findings);
        let request = Request { file: file.to_owned(), overrides: Vec::new() };
        match load_with_errors(inspector, &request) {
            Ok((_, errors)) => errors
                .iter()
                .for_each(|error| refusals::of_dependency(&source, &mut findings, error)),
            Err(error) if findings.has_error(&error.without_place()) => {}
            Err(error) => refusals::of_file(&error, &files[0], &mut findings),
        }
    }
    findings.finish(&files)
}

/// Reads what the file includes, as [`include::include`] does, and goes on where that
/// would stop.
fn read_included(source: &mut Source<'_>, files: &mut Vec<Arc<str>>, findings: &mut Findings) {
    let Some(section) = source.ini.section("include").cloned() else { return };
    source.ini.replace_here(&source.here);
    let place = source
        .ini
        .get(&section, "files")
        .map_or_else(|| Place::section(&section), |entry| Place::entry(&section, entry));
    let patterns = match include::patterns(source) {
        Ok(patterns) => patterns,
        Err(error) => return refusals::refuse(source, findings, place, &error),
    };
    for pattern in patterns {
        let pattern = join(&source.here, &pattern);
        let mut matched = source.host.glob(&pattern);
        matched.sort_unstable();
        if matched.is_empty() {
            findings.add(
                place.clone(),
                Code::IncludesNothing,
                format!("no file matches {pattern}"),
                "a folder that shall be empty for now is no fault; otherwise look at the path, \
                 which begins at the folder of this file",
            );
        }
        for file in matched {
            let name: Arc<str> = file.as_str().into();
            match source.host.read(&file) {
                Ok(bytes) => {
                    if let Err(error) = source.ini.read(&file, &bytes) {
                        refusals::of_file(&error, &name, findings);
                    }
                }
                Err(ReadError::Missing | ReadError::Unreadable) => findings.add(
                    Place::file(&name),
                    Code::IncludeUnreadable,
                    "this included file cannot be read and is skipped without a word",
                    "check as the user that the daemon is started by, or let that user read it",
                ),
            }
            source.ini.replace_here(&absolute(source.host, parent(&file)));
            files.push(name);
        }
    }
}

/// Everything that is found in what has been read.
fn examine(
    inspector: &dyn Inspector,
    source: &mut Source<'_>,
    files: &[Arc<str>],
    findings: &mut Findings,
) {
    notes::examine(source, findings);
    sections::examine(source, &files[0], findings);
    let daemon = server::examine(inspector, source, &files[0], findings);
    source.add_environment(&daemon.environment);
    server::examine_services(source, findings);
    let source = &*source;
    let memberships = groups::memberships(source, findings);
    let programs = programs::read(source, &memberships, findings);
    let context = Context { inspector, source };
    for program in &programs {
        programs::examine(&context, program, &daemon, findings);
        care::examine(&context, program, findings);
        commands::examine(&context, program, findings);
        logs::examine(&context, program, findings);
        let first = program.processes.first();
        if let Some(text) = first.and_then(|process| process.environment.as_ref()) {
            let place = context.place(program, "environment");
            environment::examine(inspector, &place, text, findings);
        }
    }
    logs::examine_sharing(&context, &programs, daemon.logfile.as_deref(), findings);
    groups::examine(source, &programs, &memberships, findings);
    servers::examine(&context, &daemon, &files[0], findings);
    examine_files(inspector, source, files, findings);
}

/// Who may read and write the files.
fn examine_files(
    inspector: &dyn Inspector,
    source: &Source<'_>,
    files: &[Arc<str>],
    findings: &mut Findings,
) {
    for file in files {
        let mode = inspector.mode(file).unwrap_or_default();
        if mode & WRITABLE != 0 {
            findings.add(
                Place::file(file),
                Code::WritableFile,
                format!("everybody may write to this file (mode {:04o})", mode & 0o7777),
                format!("whoever can change it can run any command: chmod o-w {file}"),
            );
        }
        if mode & READABLE == 0 {
            continue;
        }
        for section in source.ini.sections() {
            let is_server = matches!(Kind::of(section), Kind::Inet | Kind::Unix | Kind::Control);
            let entry = section.own_entries().iter().find(|entry| entry.key == "password");
            if let Some(entry) = entry
                && is_server
                && entry.file == *file
                && !entry.value.is_empty()
            {
                findings.add(
                    Place::entry(section, entry),
                    Code::ReadablePassword,
                    "everybody on this machine may read this password",
                    format!("chmod o-r {file}"),
                );
            }
        }
    }
}

/// What the examinations look at.
struct Context<'a> {
    inspector: &'a dyn Inspector,
    source: &'a Source<'a>,
}

impl Context<'_> {
    /// Where an option of a program stands; where it does not, its section.
    fn place(&self, program: &Program<'_>, option: &str) -> Place {
        self.source.ini.get(program.section, option).map_or_else(
            || Place::section(program.section),
            |entry| Place::entry(program.section, entry),
        )
    }

    /// Whether a program's section says something of that option.
    fn says(&self, program: &Program<'_>, option: &str) -> bool {
        self.source.ini.get(program.section, option).is_some()
    }
}
