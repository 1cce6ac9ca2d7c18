//! What is there against what was asked for.
//!
//! First start, `reread` and `update`, and SIGHUP all come through here: at the
//! first start nothing is there, so everything is new.

use std::sync::Arc;

use crate::spec::{Configuration, GroupKind, GroupSpec, LogSpec, LogTarget, ServiceSpec};

/// How a loaded configuration differs from what is there, by group names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Groups to add, in the order of the configuration.
    pub added: Vec<Arc<str>>,
    /// Groups to replace, in the order of the configuration.
    pub changed: Vec<Arc<str>>,
    /// Groups to remove, in the order in which they are there.
    pub removed: Vec<Arc<str>>,
}

impl Difference {
    /// Compares what was `loaded` with what is `present`.
    #[must_use]
    pub fn between<'a>(
        present: impl Iterator<Item = &'a Arc<GroupSpec>> + Clone,
        loaded: &Configuration,
    ) -> Self {
        let mut difference = Self::default();
        for group in &loaded.groups {
            match present.clone().find(|there| there.name == group.name) {
                None => difference.added.push(Arc::clone(&group.name)),
                Some(there) if !same_group(there, group) => {
                    difference.changed.push(Arc::clone(&group.name));
                }
                Some(_) => {}
            }
        }
        difference.removed = present
            .filter(|there| loaded.group(&there.name).is_none())
            .map(|there| Arc::clone(&there.name))
            .collect();
        difference
    }
}

/// Which part of a loaded configuration is made real.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One group is added.
    Add(Arc<str>),
    /// One group is removed.
    Remove(Arc<str>),
}

/// Whether two groups are the same to `reread`. Of a FastCGI socket only the
/// address counts, as in Supervisor.
fn same_group(one: &GroupSpec, other: &GroupSpec) -> bool {
    let kinds = match (&one.kind, &other.kind) {
        (GroupKind::FastCgi(one), GroupKind::FastCgi(other)) => one.address == other.address,
        (one, other) => one == other,
    };
    kinds
        && one.name == other.name
        && one.priority == other.priority
        && one.services.len() == other.services.len()
        && one.services.iter().zip(&other.services).all(|(one, other)| same_service(one, other))
}

fn same_service(one: &ServiceSpec, other: &ServiceSpec) -> bool {
    one.program == other.program
        && one.name == other.name
        && one.command == other.command
        && one.directory == other.directory
        && one.environment == other.environment
        && same_log(&one.stdout, &other.stdout)
        && same_log(&one.stderr, &other.stderr)
}

/// Whether two logs are the same to `reread`: a file that is automatic on either
/// side is not compared, because its name is made up anew each time.
fn same_log(one: &LogSpec, other: &LogSpec) -> bool {
    let targets = one.target == LogTarget::Auto
        || other.target == LogTarget::Auto
        || one.target == other.target;
    targets
        && one.bytes_max == other.bytes_max
        && one.backups == other.backups
        && one.capture_bytes_max == other.capture_bytes_max
        && one.events == other.events
        && one.syslog == other.syslog
}
