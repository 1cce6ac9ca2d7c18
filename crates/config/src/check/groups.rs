//! Groups, and who hears which events.

use std::collections::BTreeMap;

use super::code::Code;
use super::finding::{Findings, Place};
use super::programs::{Memberships, Program};
use super::refusals::{place_of, read_table, refuse};
use super::sections::Kind;
use crate::error::ConfigError;
use crate::ini::Section;
use crate::load::Source;
use crate::options::{GROUP_OPTIONS, GroupDraft, ListenerDraft};
use crate::value;

/// Which groups list which sections; adds what would be refused.
pub(super) fn memberships<'a>(source: &'a Source<'a>, findings: &mut Findings) -> Memberships<'a> {
    let mut memberships = Memberships::new();
    for section in source.ini.sections().filter(|section| Kind::of(section) == Kind::Group) {
        if let Err(error) = value::name(section.suffix().unwrap_or_default()) {
            refuse(source, findings, Place::section(section), &error.into());
        }
        let mut draft = GroupDraft::default();
        let reader = source.section_with_here(section);
        read_table(&reader, GROUP_OPTIONS, &mut draft, findings, &|error| error);
        let place = place_of(source, section, "programs");
        if draft.programs.is_empty() {
            let message = format!("[{}] has no programs", section.name());
            findings.add(place.clone(), Code::EmptyGroup, message, "list them in `programs`");
        }
        // Supervisor blames the section that it looked at last.
        let mut blamed = section.name().to_owned();
        for program in &draft.programs {
            match member(source, &blamed, program) {
                Ok(member) => {
                    blamed = member.name().to_owned();
                    memberships.entry(blamed.clone()).or_default().push(section);
                }
                Err(error) => refuse(source, findings, place.clone(), &error),
            }
        }
    }
    memberships
}

fn member<'a>(
    source: &'a Source<'a>,
    blamed: &str,
    program: &str,
) -> Result<&'a Section, ConfigError> {
    let ordinary = source.ini.section(&format!("program:{program}"));
    let fastcgi = source.ini.section(&format!("fcgi-program:{program}"));
    let (section, program) = (blamed.to_owned(), program.to_owned());
    match (ordinary, fastcgi) {
        (None, None) => Err(ConfigError::UnknownProgram { section, program }),
        (Some(_), Some(_)) => Err(ConfigError::AmbiguousProgram { section, program }),
        (Some(found), None) | (None, Some(found)) => Ok(found),
    }
}

/// What deserves attention about groups and events.
pub(super) fn examine(
    source: &Source<'_>,
    programs: &[Program<'_>],
    memberships: &Memberships<'_>,
    findings: &mut Findings,
) {
    for program in programs {
        let groups = memberships.get(program.section.name()).map_or(&[][..], Vec::as_slice);
        examine_membership(source, program, groups, findings);
    }
    same_groups(source, programs, memberships, findings);
    same_processes(source, programs, memberships, findings);
    let listeners: Vec<&ListenerDraft> =
        programs.iter().filter_map(|program| program.listener.as_ref()).collect();
    for program in programs {
        hearing(source, program, programs, findings);
        unheard(source, program, &listeners, findings);
    }
}

fn examine_membership(
    source: &Source<'_>,
    program: &Program<'_>,
    groups: &[&Section],
    findings: &mut Findings,
) {
    if let [first, .., last] = groups {
        let message = if first.name() == last.name() {
            format!("{} is listed twice", program.name)
        } else {
            format!("{} is in [{}] too, and runs once in each", program.name, first.name())
        };
        let advice = "leave it in one of them";
        findings.add(place_of(source, last, "programs"), Code::TwoGroups, message, advice);
    }
    if let (Kind::FastCgi, Some(group)) = (program.kind, groups.first()) {
        findings.add(
            place_of(source, group, "programs"),
            Code::FastCgiInGroup,
            format!(
                "{} is a FastCGI program; Supervisor gives it no socket when a group lists it",
                program.name
            ),
            "leave it out of the group: it forms one of its own name",
        );
    }
}

/// Groups of one name: those that are written down, and those that programs form.
fn same_groups(
    source: &Source<'_>,
    programs: &[Program<'_>],
    memberships: &Memberships<'_>,
    findings: &mut Findings,
) {
    let written = source.ini.sections().filter(|section| Kind::of(section) == Kind::Group);
    let alone = programs
        .iter()
        .map(|program| program.section)
        .filter(|section| !memberships.contains_key(section.name()));
    let mut seen: BTreeMap<&str, &Section> = BTreeMap::new();
    for section in written.chain(alone) {
        let name = section.suffix().unwrap_or_default().trim();
        if let Some(first) = seen.insert(name, section) {
            findings.add(
                Place::section(section),
                Code::SameName,
                format!("[{}] forms a group of the same name; one of them is lost", first.name()),
                "give one of them another name",
            );
        }
    }
}

/// Processes of one name in one group.
fn same_processes(
    source: &Source<'_>,
    programs: &[Program<'_>],
    memberships: &Memberships<'_>,
    findings: &mut Findings,
) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for program in programs {
        let alone = [program.section];
        let groups = memberships.get(program.section.name()).map_or(&alone[..], Vec::as_slice);
        for (group, process) in
            groups.iter().flat_map(|group| program.processes.iter().map(move |it| (group, it)))
        {
            let key = (group.name(), process.name.as_str());
            match seen.insert(key, program.section.name()) {
                Some(first) if first != program.section.name() => findings.add(
                    place_of(source, program.section, "process_name"),
                    Code::SameName,
                    format!(
                        "[{first}] has a process {} in [{}] too; one of them is lost",
                        process.name,
                        group.name()
                    ),
                    "give one of them another process_name",
                ),
                _ => {}
            }
        }
    }
}

/// Whether one of these is subscribed to, by its name or by that of its family.
fn hears(listener: &ListenerDraft, family: &str, stream: &str) -> bool {
    let one = format!("{family}_{stream}");
    listener.events.iter().any(|event| *event == "EVENT" || *event == family || *event == one)
}

/// What a listener is told of, and whether there is anything.
fn hearing(
    source: &Source<'_>,
    program: &Program<'_>,
    programs: &[Program<'_>],
    findings: &mut Findings,
) {
    let Some(listener) = &program.listener else { return };
    if program.draft.stderr.events && hears(listener, "PROCESS_LOG", "STDERR") {
        findings.add(
            place_of(source, program.section, "stderr_events_enabled"),
            Code::ListenerHearsItself,
            "the listener is told of what it writes itself; if it writes then, it never ends",
            "remove stderr_events_enabled",
        );
    }
    let others = || programs.iter().filter(|other| other.section.name() != program.section.name());
    let logs = others().any(|other| other.draft.stdout.events || other.draft.stderr.events);
    let captures = others().any(|other| {
        other.draft.stdout.capture_bytes_max > 0 || other.draft.stderr.capture_bytes_max > 0
    });
    for (family, made, option) in [
        ("PROCESS_LOG", logs, "stdout_events_enabled=true"),
        ("PROCESS_COMMUNICATION", captures, "stdout_capture_maxbytes=1MB"),
    ] {
        if !made && listener.events.iter().any(|event| event.starts_with(family)) {
            findings.add(
                place_of(source, program.section, "events"),
                Code::NothingToHear,
                format!("no program makes {family} events"),
                format!("the programs that it shall hear of need {option}"),
            );
        }
    }
}

/// Events that nobody hears.
fn unheard(
    source: &Source<'_>,
    program: &Program<'_>,
    listeners: &[&ListenerDraft],
    findings: &mut Findings,
) {
    let streams = [("stdout", &program.draft.stdout), ("stderr", &program.draft.stderr)];
    for (name, stream) in streams {
        let is_heard =
            listeners.iter().any(|listener| hears(listener, "PROCESS_LOG", &name.to_uppercase()));
        if stream.events && !is_heard {
            findings.add(
                place_of(source, program.section, &format!("{name}_events_enabled")),
                Code::NobodyListens,
                "events of this output are made, and no listener subscribes to them",
                "",
            );
        }
    }
}
