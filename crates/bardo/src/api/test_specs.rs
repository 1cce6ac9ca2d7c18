//! Specs and views for tests.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::service::StateName;
use bardo_core::spec::{
    Backoff, GroupKind, LogSpec, LogTarget, ProgramSpec, Reach, Readiness, RestartOn,
    RestartPolicy, Seconds, StopPolicy,
};
use bardo_core::{GroupSpec, ServiceSpec, Signal};

use crate::daemon::clients::ProcessView;

pub(crate) fn service(name: &str, command: &str) -> ServiceSpec {
    let log = LogSpec {
        target: LogTarget::Auto,
        bytes_max: 50 << 20,
        backups: 10,
        compress: false,
        capture_bytes_max: 0,
        events: false,
        syslog: false,
    };
    ServiceSpec {
        program: Arc::new(ProgramSpec {
            priority: 999,
            autostart: true,
            restart: RestartPolicy {
                on: RestartOn::Unexpected,
                start_retries: Some(3),
                backoff: Backoff::Linear { step: Duration::from_secs(1) },
            },
            exit_codes: vec![0],
            readiness: Readiness::StaysUp(Seconds(1)),
            heartbeat: None,
            stop: StopPolicy {
                signal: Signal::TERM,
                wait: Seconds(10),
                stop_reach: Reach::Process,
                kill_reach: Reach::Process,
            },
            user: None,
            umask: None,
            strip_ansi: None,
            ignore_sigpipe: false,
            redirect_stderr: false,
            server_url: None,
            socket: None,
        }),
        name: name.into(),
        command: command.into(),
        directory: None,
        environment: Arc::new([]),
        stdout: log.clone(),
        stderr: log,
    }
}

pub(super) fn group(name: &str, services: Vec<ServiceSpec>) -> Arc<GroupSpec> {
    Arc::new(GroupSpec {
        name: name.into(),
        priority: 999,
        kind: GroupKind::Programs,
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
