//! The groups: those that are written down, and one for every program that is in
//! none of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bardo_core::spec::{GroupKind, ListenerSpec, Origin, SocketSpec};
use bardo_core::{Configuration, GroupSpec, ServiceSpec};

use super::dependencies::{self, Places, Written};
use super::programs::{Given, services, without_doubles};
use super::{Messages, Source};
use crate::error::ConfigError;
use crate::ini::Section;
use crate::options::{FASTCGI_OPTIONS, GROUP_OPTIONS, LISTENER_OPTIONS, PROGRAM_GROUP_OPTIONS};
use crate::value::{self, ExitOn};

/// Collects the groups of a configuration.
pub(super) struct Groups<'a> {
    source: &'a Source<'a>,
    /// What `[supervisord]` sets for every program.
    environment: Vec<(Arc<str>, Arc<str>)>,
    /// With which programs everything ends.
    exit_on: &'a ExitOn,
    messages: &'a mut Messages,
    /// Sections that are in a `[group:x]` and form no group of their own.
    taken: BTreeSet<&'a str>,
    groups: Vec<Arc<GroupSpec>>,
    /// Where it is written what processes depend on.
    depending: Places,
}

impl<'a> Groups<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        environment: &[(String, String)],
        exit_on: &'a ExitOn,
        messages: &'a mut Messages,
    ) -> Self {
        let variable = |(key, text): &(String, String)| (key.as_str().into(), text.as_str().into());
        Self {
            source,
            environment: environment.iter().map(variable).collect(),
            exit_on,
            messages,
            taken: BTreeSet::new(),
            groups: Vec::new(),
            depending: Places::new(),
        }
    }

    /// Reads all groups, kind by kind.
    pub(super) fn read(&mut self) -> Result<(), ConfigError> {
        for section in self.sections("group:") {
            self.group(section)?;
        }
        for section in self.sections("program:") {
            self.program(section)?;
        }
        for section in self.sections("eventlistener:") {
            self.listener(section)?;
        }
        for section in self.sections("fcgi-program:") {
            self.fastcgi(section)?;
        }
        Ok(())
    }

    /// The groups in start order. Supervisor starts the first of two groups that
    /// have the same name and says nothing of the other. With them comes what is wrong
    /// with dependencies.
    pub(super) fn finish(mut self) -> (Configuration, Vec<ConfigError>) {
        self.groups
            .sort_by(|one, other| (one.priority, &one.name).cmp(&(other.priority, &other.name)));
        let mut names = BTreeSet::new();
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in self.groups {
            if names.insert(Arc::clone(&group.name)) {
                groups.push(group);
            } else {
                self.messages.warnings.push(format!(
                    "More than one group is named {}; only the first one is used",
                    group.name
                ));
            }
        }
        let errors = dependencies::resolve(&mut groups, &self.depending);
        (Configuration { groups, ..Configuration::default() }, errors)
    }

    fn sections(&self, prefix: &str) -> Vec<&'a Section> {
        let sections = self.source.ini.sections();
        sections.filter(|section| section.name().starts_with(prefix)).collect()
    }

    fn group(&mut self, section: &'a Section) -> Result<(), ConfigError> {
        let name = value::name(section.suffix().unwrap_or_default())?;
        let draft = self.source.section_with_here(section).read(GROUP_OPTIONS)?;
        let mut members = Vec::new();
        // Supervisor blames the section that it looked at last, which is that of
        // the member before.
        let mut blamed = section;
        for program in &draft.programs {
            let member = self.member(blamed, program)?;
            self.taken.insert(member.name());
            let socket = self.socket_in_group(member, name);
            members.extend(self.services(member, name, socket)?);
            blamed = member;
        }
        self.add(name, draft.priority, GroupKind::Programs, members);
        Ok(())
    }

    /// The section of a program that a group names.
    fn member(&self, blamed: &Section, program: &str) -> Result<&'a Section, ConfigError> {
        let ini = &self.source.ini;
        let (section, program) = (blamed.name().to_owned(), program.to_owned());
        let ordinary = ini.section(&format!("program:{program}"));
        let fastcgi = ini.section(&format!("fcgi-program:{program}"));
        match (ordinary, fastcgi) {
            (None, None) => Err(ConfigError::UnknownProgram { section, program }),
            (Some(_), Some(_)) => Err(ConfigError::AmbiguousProgram { section, program }),
            (Some(found), None) | (None, Some(found)) => Ok(found),
        }
    }

    fn program(&mut self, section: &'a Section) -> Result<(), ConfigError> {
        if self.taken.contains(section.name()) {
            return Ok(());
        }
        let name = value::name(section.suffix().unwrap_or_default())?;
        let draft = self.source.section_with_here(section).read(PROGRAM_GROUP_OPTIONS)?;
        let members = self.services(section, name, None)?;
        self.add(name, draft.priority, GroupKind::Programs, members);
        Ok(())
    }

    fn listener(&mut self, section: &'a Section) -> Result<(), ConfigError> {
        let name = section.suffix().unwrap_or_default();
        let draft = self.source.section_with_here(section).read(LISTENER_OPTIONS)?;
        let members = self.services(section, name, None)?;
        let listener = ListenerSpec {
            events: draft.events.into_iter().map(Into::into).collect(),
            buffer_size: draft.buffer_size,
            result_handler: draft.result_handler.into(),
            event_length: draft.event_length,
        };
        self.add(name, draft.priority, GroupKind::Listeners(listener), members);
        Ok(())
    }

    fn fastcgi(&mut self, section: &'a Section) -> Result<(), ConfigError> {
        if self.taken.contains(section.name()) {
            return Ok(());
        }
        let name = value::name(section.suffix().unwrap_or_default())?;
        let reader = self.source.section_with_here(section);
        let draft = reader.read(FASTCGI_OPTIONS)?;
        let socket = draft.socket(&reader.reading())?;
        let members = self.services(section, name, Some(Arc::new(socket.clone())))?;
        self.add(name, draft.priority, GroupKind::FastCgi(socket), members);
        Ok(())
    }

    /// The socket of a FastCGI program that is in a group. Supervisor does not look at it
    /// there, and its processes have none; so one that makes no sense is no error.
    fn socket_in_group(&mut self, section: &Section, group: &str) -> Option<Arc<SocketSpec>> {
        if !section.name().starts_with("fcgi-program:") {
            return None;
        }
        let reader = self.source.section_with_here(section);
        let draft = reader.read(FASTCGI_OPTIONS);
        let socket = draft.and_then(|draft| draft.socket(&reader.reading()));
        let refused = |error: ConfigError| {
            let name = section.name();
            self.messages.warnings.push(format!(
                "[{name}] has no socket in [group:{group}], as in Supervisor: {error}"
            ));
        };
        socket.map(Arc::new).map_err(refused).ok()
    }

    fn services(
        &mut self,
        section: &Section,
        group: &str,
        socket: Option<Arc<SocketSpec>>,
    ) -> Result<Vec<Arc<ServiceSpec>>, ConfigError> {
        let ends_all = self.exit_on.ends_all(section.suffix().unwrap_or_default());
        let given = Given { environment: &self.environment, socket, bytes_max: None, ends_all };
        let services = services(self.source, section, group, &given, self.messages)?;
        self.note_dependencies(section, group, &services);
        Ok(services)
    }

    fn note_dependencies(&mut self, section: &Section, group: &str, services: &[Arc<ServiceSpec>]) {
        let depends = |service: &&Arc<ServiceSpec>| {
            service.program.care.as_ref().is_some_and(|care| !care.depends_on.is_empty())
        };
        let Some(entry) = self.source.ini.get(section, "depends_on") else { return };
        let place = format!("{}:{}", entry.file, entry.line);
        for service in services.iter().filter(depends) {
            let written = Written { section: section.name().to_owned(), place: place.clone() };
            self.depending.insert((group.into(), Arc::clone(&service.name)), written);
        }
    }

    fn add(&mut self, name: &str, priority: i64, kind: GroupKind, members: Vec<Arc<ServiceSpec>>) {
        let services = without_doubles(name, members, self.messages);
        self.groups.push(Arc::new(GroupSpec {
            name: name.into(),
            priority,
            kind,
            origin: Origin::File,
            services,
        }));
    }
}
