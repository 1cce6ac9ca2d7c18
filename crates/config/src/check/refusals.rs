//! What would be refused: the words of the refusal, where it is, and how to mend it.

use std::sync::Arc;

use super::code::Code;
use super::finding::{Findings, Place};
use super::notes::is_quoted;
use super::suggest::{nearest, offer};
use crate::error::ConfigError;
use crate::expand::ExpandError;
use crate::ini::Section;
use crate::load::{SectionReader, Source};
use crate::options::{EVENT_TYPES, Fallback, OptionEntry};
use crate::value::ValueError;

/// What to do about Python objects.
const PYTHON_ADVICE: &str = "Bardo loads no Python. What the object does can usually be done by an \
    ordinary program or an event listener that asks the daemon by XML-RPC; without it, remove \
    the section or the option";

/// Reads all options of a table into the draft, and goes on behind those that are
/// refused: their default stands in for them.
pub(super) fn read_table<D>(
    reader: &SectionReader<'_>,
    table: &[OptionEntry<D>],
    draft: &mut D,
    findings: &mut Findings,
    wrap: &dyn Fn(ConfigError) -> ConfigError,
) {
    for entry in table {
        read_option(reader, entry, draft, findings, wrap);
    }
}

/// Reads one option of a table, as [`read_table`] does.
pub(super) fn read_option<D>(
    reader: &SectionReader<'_>,
    entry: &OptionEntry<D>,
    draft: &mut D,
    findings: &mut Findings,
    wrap: &dyn Fn(ConfigError) -> ConfigError,
) {
    let Err(error) = reader.read_one(entry, draft) else { return };
    let option = match error {
        ConfigError::IncompleteAuthentication(_)
            if reader.source.ini.get(reader.section, entry.name).is_none() =>
        {
            "username"
        }
        _ => entry.name,
    };
    let place = place_of(reader.source, reader.section, option);
    refuse(reader.source, findings, place, &wrap(error));
    if let Fallback::Text(text) = entry.fallback {
        // A default may be refused as well, and then there is nothing to say of it.
        let _ = (entry.apply)(draft, &reader.reading(), text);
    }
}

/// Where an option stands, or the section that lacks it.
pub(super) fn place_of(source: &Source<'_>, section: &Section, option: &str) -> Place {
    source
        .ini
        .get(section, option)
        .map_or_else(|| Place::section(section), |entry| Place::entry(section, entry))
}

/// Adds an error at its place, unless something is refused there already: several
/// tables may read one option.
pub(super) fn refuse(
    source: &Source<'_>,
    findings: &mut Findings,
    place: Place,
    error: &ConfigError,
) {
    if place.option.is_some() && findings.is_refused(&place) {
        return;
    }
    let code = code_of(error);
    let value = place.section.as_deref().zip(place.option.as_deref()).and_then(|(name, option)| {
        let section = source.ini.section(name)?;
        source.ini.get(section, option)
    });
    let advice = match value {
        Some(entry) if is_quoted(&entry.value) => {
            "the quotes are part of the value: take them away".to_owned()
        }
        Some(entry) if code == Code::BadValue && entry.value.contains('$') => {
            "no shell reads this file: %(ENV_NAME)s is the variable NAME of the daemon".to_owned()
        }
        _ => advice(source, error),
    };
    findings.add(place, code, error.without_place(), advice);
}

/// Adds an error of a whole file, with its line where it has one.
pub(super) fn of_file(error: &ConfigError, file: &Arc<str>, findings: &mut Findings) {
    let mut place = Place::file(file);
    let mut advice = "";
    match error {
        ConfigError::NoSectionHeaders { line, text, .. } => {
            place.line = Some(*line);
            advice = if text.starts_with('\u{feff}') {
                "the file begins with a byte order mark: save it without one"
            } else {
                "a file begins with a section, like [supervisord]"
            };
        }
        ConfigError::BadLines { lines, .. } => {
            place.line = lines.first().map(|line| line.number);
            advice = "every line is a section, `option = value`, a comment that begins with `;`, \
                      or the indented rest of a value";
        }
        ConfigError::NotUtf8 { .. } => advice = "save it as UTF-8",
        _ => {}
    }
    findings.add(place, code_of(error), error.to_string(), advice);
}

fn code_of(error: &ConfigError) -> Code {
    match error {
        ConfigError::Process { error, .. }
        | ConfigError::OwnOption { error, .. }
        | ConfigError::Flag { error, .. } => code_of(error),
        ConfigError::NotFound(_)
        | ConfigError::Missing(_)
        | ConfigError::Unreadable(_)
        | ConfigError::NotUtf8 { .. } => Code::Unreadable,
        ConfigError::NoSectionHeaders { .. } | ConfigError::BadLines { .. } => Code::Syntax,
        ConfigError::NoServerSection | ConfigError::NoControlSection => Code::MissingSection,
        ConfigError::IncludesNothing
        | ConfigError::NoCommand(_)
        | ConfigError::NoEvents(_)
        | ConfigError::NoSocket(_)
        | ConfigError::NoFactory { .. }
        | ConfigError::NoPort(_)
        | ConfigError::NoFile(_)
        | ConfigError::NoPassword(_)
        | ConfigError::NoHealthCheck => Code::MissingOption,
        ConfigError::UnknownProgram { .. }
        | ConfigError::AmbiguousProgram { .. }
        | ConfigError::UnknownEnd { .. } => Code::UnknownProgram,
        ConfigError::UnknownEvent { .. } => Code::UnknownEvent,
        ConfigError::UnknownDependency { .. }
        | ConfigError::UnknownMember { .. }
        | ConfigError::AmbiguousDependency { .. } => Code::UnknownDependency,
        ConfigError::CircularDependency { .. } => Code::CircularDependency,
        ConfigError::Unresolved { .. } => Code::PythonPlugin,
        ConfigError::IncompleteAuthentication(_) => Code::IncompleteAuthentication,
        ConfigError::Expand(ExpandError::UnknownName { .. }) => Code::UnknownName,
        ConfigError::Expand(ExpandError::BadFormat { .. }) => Code::BadFormat,
        ConfigError::Value(error) | ConfigError::Socket { error, .. } => code_of_value(error),
        _ => Code::BadValue,
    }
}

fn code_of_value(error: &ValueError) -> Code {
    match error {
        ValueError::UserName(_)
        | ValueError::UserId(_)
        | ValueError::Owner(_)
        | ValueError::SocketOwner(_)
        | ValueError::SocketChown(_) => Code::UnknownUser,
        ValueError::Directory(_) | ValueError::ParentDirectory(_) => Code::MissingDirectory,
        ValueError::Environment(_)
        | ValueError::NoClosingQuotation
        | ValueError::NoEscapedCharacter => Code::BadEnvironment,
        _ => Code::BadValue,
    }
}

fn advice(source: &Source<'_>, error: &ConfigError) -> String {
    match error {
        ConfigError::Process { error, .. }
        | ConfigError::OwnOption { error, .. }
        | ConfigError::Flag { error, .. } => advice(source, error),
        ConfigError::Expand(ExpandError::UnknownName { name, available, .. }) => {
            match name.strip_prefix("ENV_") {
                Some(variable) => format!(
                    "the daemon must be started with {variable} in its environment, or \
                     [supervisord] must set it in `environment`"
                ),
                None => offer(name, available.iter().map(String::as_str)),
            }
        }
        ConfigError::Expand(ExpandError::BadFormat { .. }) => {
            "a per cent sign that means itself is written twice: %%".to_owned()
        }
        ConfigError::UnknownProgram { program, .. } => unknown_program(source, program),
        ConfigError::UnknownEvent { event, .. } => offer(event, EVENT_TYPES.iter().copied()),
        ConfigError::Unresolved { .. } => PYTHON_ADVICE.to_owned(),
        ConfigError::Value(error) | ConfigError::Socket { error, .. } => {
            advice_of_value(error).to_owned()
        }
        ConfigError::IncompleteAuthentication(_) => "set both, or neither".to_owned(),
        ConfigError::NoPassword(_) => {
            "set username and password, or listen on a socket file instead".to_owned()
        }
        ConfigError::NoProcessNumber => {
            "for example: process_name = %(program_name)s_%(process_num)02d".to_owned()
        }
        ConfigError::UnknownEnd { program, .. } => unknown_program(source, program),
        ConfigError::AmbiguousDependency { .. } => {
            "write the group before it, with a colon between them".to_owned()
        }
        ConfigError::UnknownDependency { dependency, .. } => unknown_dependency(source, dependency),
        ConfigError::UnknownMember { group, .. } => {
            format!("{group}:ready waits until it is ready, {group}:started until it is started")
        }
        ConfigError::CircularDependency { .. } => {
            "take one dependency of the circle away".to_owned()
        }
        ConfigError::StopsGroupKillsProcess => {
            "remove `killasgroup`: what is asked to stop as a group is killed as one".to_owned()
        }
        _ => String::new(),
    }
}

fn advice_of_value(error: &ValueError) -> &'static str {
    match error {
        ValueError::Environment(_) => {
            "separate variables by commas, and put values with other characters than letters, \
             digits and `_/.+-():` in double quotes"
        }
        ValueError::NoClosingQuotation => {
            "close the quotation; no blank may stand before a `;` in it"
        }
        ValueError::Directory(_) | ValueError::ParentDirectory(_) => {
            "make it before the daemon starts; it is not made by itself"
        }
        ValueError::Integer(_) => {
            "a whole number; sizes may end in KB, MB or GB, and times are seconds without a unit"
        }
        ValueError::Duration(_) | ValueError::NoTime(_) => {
            "seconds, as 5 or 0.5, or a number with ms, s, m or h behind it, as 500ms"
        }
        ValueError::LinePrefix(_) => "a short text, as \"%(program_name)s | \"",
        ValueError::Size(_) => "a number of bytes, or one with K, M, G or T behind it, as 256M",
        ValueError::Percent(_) => "a whole number of percent of one processor, as 50%",
        ValueError::NotAbsolute(_) => "begin it with a slash, or with %(here)s",
        ValueError::HealthUrl(_) => "as http://localhost:8080/health; there is no TLS here",
        ValueError::HealthAddress(_) => "as localhost:5432, or /run/postgresql/.s.PGSQL.5432",
        ValueError::Boolean(_) => "true or false",
        ValueError::Restart(_) => "true, false or unexpected",
        ValueError::LogLevel(_) => "critical, error, warn, info, debug, trace or blather",
        ValueError::ExitCodes(_) => "numbers from 0 to 255, between commas",
        _ => "",
    }
}

fn unknown_dependency(source: &Source<'_>, dependency: &str) -> String {
    let name = dependency.rsplit(':').next().unwrap_or(dependency);
    let known = source.ini.sections().filter_map(|section| section.name().split_once(':'));
    let known = known.filter(|(head, _)| {
        matches!(*head, "program" | "fcgi-program" | "group" | "eventlistener")
    });
    match nearest(name, known.map(|(_, name)| name).filter(|known| *known != name)) {
        Some(known) => format!("perhaps `{known}` is meant"),
        None => "a name is that of a group, or of a process that only one group has".to_owned(),
    }
}

/// Adds what is wrong with a dependency, where it is written.
pub(super) fn of_dependency(source: &Source<'_>, findings: &mut Findings, error: &ConfigError) {
    let (ConfigError::UnknownDependency { section, .. }
    | ConfigError::UnknownMember { section, .. }
    | ConfigError::AmbiguousDependency { section, .. }
    | ConfigError::CircularDependency { section, .. }) = error
    else {
        return;
    };
    if let Some(section) = source.ini.section(section) {
        let place = place_of(source, section, "depends_on");
        findings.add(place, code_of(error), error.without_place(), advice(source, error));
    }
}

fn unknown_program(source: &Source<'_>, program: &str) -> String {
    if program.contains(char::is_whitespace) {
        return "separate the programs by commas".to_owned();
    }
    let known: Vec<&str> = source
        .ini
        .sections()
        .filter_map(|section| section.name().split_once(':'))
        .filter(|(head, _)| matches!(*head, "program" | "fcgi-program"))
        .map(|(_, name)| name)
        .collect();
    match nearest(program, known.iter().copied()) {
        Some(known) => format!("perhaps `{known}` is meant"),
        None => format!("there is no [program:{program}]; is the file with it included?"),
    }
}
