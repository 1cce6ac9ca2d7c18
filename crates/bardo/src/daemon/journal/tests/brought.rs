//! A service of the sample that has everything that can be asked for.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::spec::care::{
    Check, Condition, Confinement, Copying, Delay, Dependency, EarlyDeath, Health, Heartbeat,
    Initialisation, Ready, Recovery, Reset, Scheduler, Script,
};
use bardo_core::spec::{
    Care, EndsAll, GroupKind, GroupSpec, LogSpec, Origin, ProgramSpec, Reach, ServiceSpec,
    StopPolicy,
};

/// Something that `service up` has brought up, with everything that can be asked for.
pub(super) fn group(version: u16) -> Arc<GroupSpec> {
    let program = ProgramSpec {
        ends_all: if version >= 7 { EndsAll::Down } else { EndsAll::Never },
        stop: StopPolicy {
            stop_reach: Reach::Tree,
            kill_reach: Reach::Tree,
            ..ProgramSpec::default().stop
        },
        care: Some(Arc::new(care())),
        ..ProgramSpec::default()
    };
    let prefix = if version >= 8 { "driver | " } else { "" };
    let service = ServiceSpec {
        program: Arc::new(program),
        name: "driver".into(),
        command: "/sbin/driver".into(),
        directory: None,
        environment: Arc::from([]),
        stdout: LogSpec { prefix: prefix.into(), ..LogSpec::default() },
        stderr: LogSpec::default(),
    };
    Arc::new(GroupSpec {
        name: "driver".into(),
        priority: 999,
        kind: GroupKind::Programs,
        origin: Origin::Brought,
        services: vec![Arc::new(service)],
    })
}

fn care() -> Care {
    let seconds = Duration::from_secs;
    let dependency = |group: &str, name: &str, condition| Dependency {
        group: group.into(),
        name: name.into(),
        condition,
    };
    Care {
        recovery: Recovery {
            delay: Some(Delay::Binary { max: seconds(30) }),
            reset: Reset::Healthy(seconds(60)),
            early_death: EarlyDeath::Retry,
            restarts: 4,
        },
        readiness: Initialisation { by: Ready::Says { descriptor: Some(7) }, within: seconds(20) },
        heartbeat: Some(Heartbeat { period: Duration::from_millis(100) }),
        health: Some(Health {
            check: Check::Command("test -e /run/driver".into()),
            interval: seconds(5),
            timeout: seconds(1),
            retries: 3,
        }),
        script: Some(Script { path: Some("/etc/recover".into()), timeout: Some(seconds(10)) }),
        critical: true,
        copy: Copying::Shared,
        depends_on: vec![
            dependency("", "web", Condition::Ready),
            dependency("ears", "more", Condition::Started),
        ],
        confinement: Arc::new(confinement()),
        program_name: "driver".into(),
        device: Some(0x103),
        environment_file: Some("-/etc/driver.env".into()),
        description: "drives".into(),
    }
}

fn confinement() -> Confinement {
    let milliseconds = Duration::from_millis;
    Confinement {
        nice: Some(-5),
        slice: Some(milliseconds(3)),
        cpus: Some(vec![0, 1]),
        scheduler: Some(Scheduler::Deadline {
            runtime: milliseconds(1),
            deadline: milliseconds(2),
            period: milliseconds(4),
        }),
        memory_max: Some(256 << 20),
        memory_high: Some(200 << 20),
        swap_max: Some(0),
        pids_max: Some(64),
        cpu_max: Some(50),
        io_weight: Some(100),
        descriptors_max: Some(1024),
        core_max: Some(1),
        gives_up_privileges: true,
        control: vec!["at_wini".into()],
        controlled_by: vec!["filter".into()],
        kind: Some("net".into()),
        unenforced: vec!["irq 14;".into()],
    }
}
