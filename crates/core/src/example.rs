//! Specs and moments for the tests of this crate.

use std::sync::Arc;

use crate::action::{Action, Actions};
use crate::event::Event;
use crate::service::StateName;
use crate::spec::{
    Configuration, GroupKind, GroupSpec, LogSpec, LogTarget, Origin, ProgramSpec, Reach, Seconds,
    ServiceSpec, StopPolicy,
};
use crate::time::{Instant, Now, WallTime};

/// A moment, so many milliseconds after the first one. Nothing begins at zero, so
/// that no test passes because a time was forgotten.
pub(crate) fn at(milliseconds: u64) -> Now {
    let instant = Instant(1_000_000_000_000 + milliseconds * 1_000_000);
    let wall = WallTime(i64::try_from(1000 + milliseconds / 1000).unwrap());
    Now { instant, wall }
}

/// Supervisor's defaults, but it waits two seconds before it kills.
pub(crate) fn program() -> ProgramSpec {
    let stop =
        StopPolicy { wait: Seconds(2), kill_reach: Reach::Group, ..ProgramSpec::default().stop };
    ProgramSpec { stop, ..ProgramSpec::default() }
}

pub(crate) fn service(name: &str, program: ProgramSpec) -> Arc<ServiceSpec> {
    let log = LogSpec { target: LogTarget::None, ..LogSpec::default() };
    Arc::new(ServiceSpec {
        program: Arc::new(program),
        name: Arc::from(name),
        command: Arc::from("/bin/true"),
        directory: None,
        environment: Arc::from([]),
        stdout: log.clone(),
        stderr: log,
    })
}

pub(crate) fn group(name: &str, priority: i64, services: Vec<Arc<ServiceSpec>>) -> Arc<GroupSpec> {
    let kind = GroupKind::Programs;
    Arc::new(GroupSpec { name: Arc::from(name), priority, kind, origin: Origin::File, services })
}

/// A group of ordinary programs of these names.
pub(crate) fn plain_group(name: &str, priority: i64, members: &[&str]) -> Arc<GroupSpec> {
    let services = members.iter().map(|member| service(member, program())).collect();
    group(name, priority, services)
}

pub(crate) fn configuration(groups: &[&Arc<GroupSpec>]) -> Configuration {
    let groups = groups.iter().map(|group| Arc::clone(group)).collect();
    Configuration { groups, ..Configuration::default() }
}

/// Takes everything that is to be done, and last what listeners are told.
pub(crate) fn drain(actions: &mut Actions) -> Vec<Action> {
    let mut all: Vec<Action> = std::iter::from_fn(|| actions.pop()).collect();
    all.extend(std::iter::from_fn(|| actions.pop_event()).map(Action::Event));
    all
}

/// The states that were entered, in order, as listeners are told.
pub(crate) fn entered(actions: &[Action]) -> Vec<StateName> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Event(Event::ProcessState { to, .. }) => Some(*to),
            _ => None,
        })
        .collect()
}
