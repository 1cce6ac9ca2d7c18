//! Specs and views for tests.

use std::sync::Arc;

use bardo_core::service::StateName;
use bardo_core::spec::{GroupKind, LogSpec, Origin};
use bardo_core::{GroupSpec, ServiceSpec};

use crate::daemon::clients::ProcessView;

pub(crate) fn service(name: &str, command: &str) -> ServiceSpec {
    ServiceSpec {
        program: Arc::default(),
        name: name.into(),
        command: command.into(),
        directory: None,
        environment: Arc::new([]),
        stdout: LogSpec::default(),
        stderr: LogSpec::default(),
    }
}

pub(crate) fn group(name: &str, services: Vec<ServiceSpec>) -> Arc<GroupSpec> {
    Arc::new(GroupSpec {
        name: name.into(),
        priority: 999,
        kind: GroupKind::Programs,
        origin: Origin::File,
        services: services.into_iter().map(Arc::new).collect(),
    })
}

/// A process that runs `/bin/cat`, alone in its group.
pub(super) fn view(group_name: &str, name: &str, state: StateName) -> ProcessView {
    let group = group(group_name, vec![service(name, "/bin/cat")]);
    ProcessView {
        spec: Arc::clone(&group.services[0]),
        group,
        state,
        pid: None,
        started: None,
        stopped: None,
        exit: None,
        failure: None,
        stdout_log: None,
        stderr_log: None,
    }
}
