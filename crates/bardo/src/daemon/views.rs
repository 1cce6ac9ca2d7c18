//! The table as clients see it.

use std::sync::Arc;

use bardo_core::job::{Answer, Caller, Refusal};
use bardo_core::service::{ScriptRun, Service};
use bardo_core::spec::GroupSpec;
use bardo_core::{Group, Pid, ServiceId, Supervisor};

use super::clients::{Measured, ProcessView, Reply, Selection};
use super::journal::Surroundings;
use super::logs;
use super::metrics::Metrics;
use super::pump::Channel;
use super::troubles::TroubleKind;

/// The processes that a client asked for, sorted by group name, then process name.
#[must_use]
pub fn processes(supervisor: &Supervisor, around: &Surroundings, which: &Selection) -> Reply {
    let mut views = Vec::new();
    for group in supervisor.groups() {
        for service in members(supervisor, group) {
            let wanted = match which {
                Selection::All => true,
                Selection::Process(group, name) => {
                    service.group == *group && service.spec.name == *name
                }
                Selection::Group(group) => service.group == *group,
                Selection::Main => false,
            };
            if wanted {
                views.push(view(&group.spec, service, around));
            }
        }
    }
    if views.is_empty() && matches!(which, Selection::Process(..)) {
        return Reply::Answer(Answer::Refused(Refusal::NoSuchName));
    }
    views.sort_by(|one, other| {
        (&one.group.name, &one.spec.name).cmp(&(&other.group.name, &other.spec.name))
    });
    Reply::Processes(views)
}

/// On behalf of whom the first of these processes acts that is a service's or its script's.
#[must_use]
pub(super) fn caller(supervisor: &Supervisor, pids: &[Pid]) -> Caller {
    let place = |service: &Service| {
        let script = match service.vitals.as_ref().map(|vitals| vitals.script) {
            Some(ScriptRun::Running(_, pid)) => Some(pid),
            Some(ScriptRun::Idle | ScriptRun::Requested(_)) | None => None,
        };
        let found = |pid: Option<Pid>| pids.iter().position(|there| Some(*there) == pid);
        let own = found(service.pid).map(|place| (place, service.id, false));
        let script = found(script).map(|place| (place, service.id, true));
        own.into_iter().chain(script).min()
    };
    match supervisor.services().filter_map(place).min() {
        Some((_, service, true)) => Caller::Script(service),
        Some((_, service, false)) => Caller::Service(service),
        None => Caller::Nobody,
    }
}

/// All processes, and what was counted.
#[must_use]
pub(super) fn measured(
    supervisor: &Supervisor,
    around: &Surroundings,
    metrics: &Metrics,
    troubles: [usize; TroubleKind::ALL.len()],
) -> Reply {
    let mut processes = Vec::new();
    for group in supervisor.groups() {
        processes.extend(members(supervisor, group).map(|service| {
            let counts = metrics.counts(service.id);
            (service.id, view(&group.spec, service, around), counts)
        }));
    }
    processes.sort_by(|(_, one, _), (_, other, _)| {
        (&one.group.name, &one.spec.name).cmp(&(&other.group.name, &other.spec.name))
    });
    Reply::Measured(Box::new(Measured { processes, counted: metrics.counted().clone(), troubles }))
}

/// Those of the processes whose place is wanted, in no special order.
pub(super) fn those(
    supervisor: &Supervisor,
    around: &Surroundings,
    wanted: impl Fn(ServiceId) -> bool,
) -> Vec<ProcessView> {
    let groups = supervisor.groups().iter();
    let wanted = |service: &&Service| wanted(service.id);
    let of_group =
        |group| members(supervisor, group).filter(wanted).map(move |service| (group, service));
    groups.flat_map(of_group).map(|(group, service)| view(&group.spec, service, around)).collect()
}

/// The loaded groups in start order, and whether each is up.
#[must_use]
pub fn groups(supervisor: &Supervisor) -> Reply {
    let up = |name: &str| supervisor.groups().iter().any(|group| *group.spec.name == *name);
    let loaded = supervisor.loaded().groups.iter();
    Reply::Groups(loaded.map(|group| (Arc::clone(group), up(&group.name))).collect())
}

/// The service of that name.
#[must_use]
pub fn find<'a>(supervisor: &'a Supervisor, group: &str, name: &str) -> Option<&'a Service> {
    let group = supervisor.groups().iter().find(|there| *there.spec.name == *group)?;
    members(supervisor, group).find(|service| *service.spec.name == *name)
}

fn members<'a>(supervisor: &'a Supervisor, group: &'a Group) -> impl Iterator<Item = &'a Service> {
    group.members.iter().filter_map(|id| supervisor.service(*id))
}

fn view(group: &Arc<GroupSpec>, service: &Service, around: &Surroundings) -> ProcessView {
    ProcessView {
        group: Arc::clone(group),
        spec: Arc::clone(&service.spec),
        state: service.state_name(),
        pid: service.pid,
        started: service.started,
        stopped: service.stopped,
        exit: service.exit,
        failure: service.failure,
        stdout_log: logs::path(around, service, Channel::Stdout),
        stderr_log: logs::path(around, service, Channel::Stderr),
    }
}
