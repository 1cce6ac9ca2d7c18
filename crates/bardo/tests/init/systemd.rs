//! Under systemd.

use std::fs;
use std::path::Path;

use bardo::selftest::home::send;
use bardo::selftest::procfs::{self, Stat};

use super::scene::{Init, Machine};
use super::service::CAT;

const KILL: i32 = 9;

/// A service that is no more than a shell script: it proves the scene.
const UNIT: &str = "[Service]
ExecStart=/bin/sh -c 'sleep 1000 & exec sleep 1001'
KillMode=process
Restart=on-failure
RestartSec=100ms
";

#[test]
fn a_machine_runs_a_unit_and_shows_its_processes() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    machine.write("/etc/systemd/system/plain.service", UNIT);

    machine.ok("systemctl daemon-reload && systemctl start plain");

    machine.until("both to run", |machine| machine.unit_processes("plain.service").len() == 2);
    let main: u32 = machine.property("plain", "MainPID").parse().unwrap();
    let outside = machine.outside(main).unwrap();
    assert!(machine.unit_processes("plain.service").contains(&outside));
    machine.ok(&format!("kill -9 {main}"));
    machine.until("a second start", |machine| machine.property("plain", "NRestarts") == "1");
    machine.ok("systemctl stop plain");
    let left = machine.unit_processes("plain.service");
    assert!(!left.is_empty(), "KillMode=process leaves them, and that is seen");
    assert_eq!(machine.with_words("sleep 1000").len(), left.len());
}

#[test]
fn a_machine_goes_down_and_comes_again_with_what_was_written() {
    let Some(mut machine) = Machine::boot(Init::Systemd) else { return };
    let before = machine.files();
    machine.write("/var/lib/note", "kept");
    machine.write("/run/note", "lost");
    let after = machine.files();
    let new: Vec<_> = after.keys().filter(|&path| !before.contains_key(path)).collect();
    assert_eq!(new, ["/run/note", "/var/lib/note"]);

    // It may be gone before it has answered.
    machine.run("systemctl poweroff");
    machine.await_end();
    machine.boot_again();

    assert_eq!((&*machine.read("/var/lib/note"), machine.has("/run/note")), ("kept", false));
}

#[test]
fn a_test_that_panics_leaves_no_process_and_no_cgroup() {
    let mut found = None;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let machine = Machine::boot(Init::Systemd)?;
        machine.ok("systemd-run --quiet sleep 54321");
        machine.until("a process of it", |machine| machine.with_words("sleep 54321").len() == 1);
        found = Some((machine.processes(), machine.stage_name()));
        std::panic::resume_unwind(Box::new("as a check that fails does"))
    }));
    let Ok(None::<()>) = panicked else {
        let (processes, stage) = found.unwrap();
        let is_left = |stat: &Stat| procfs::stat(stat.pid).is_some_and(|now| now == *stat);
        assert_eq!(processes.into_iter().filter(is_left).collect::<Vec<_>>(), []);
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let hierarchies = mounts.lines().filter(|line| line.contains(" - cgroup2 "));
        for mount in hierarchies.filter_map(|line| line.split(' ').nth(4)) {
            assert!(!Path::new(mount).join(&stage).exists(), "{mount} has {stage}");
        }
        return;
    };
}

#[test]
fn the_keeper_is_spared_when_memory_is_short_and_nobody_else() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("spared").configure(CAT).up(&[]);
    let score = |pid: u32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    let program = || machine.outside(service.programs().first()?.1);
    let keeper = service.keeper().unwrap();
    if score(keeper).trim() != "-900" {
        eprintln!("skipped: this machine may spare nobody when memory is short");
        return;
    }

    for _ in 0..2 {
        assert_eq!(score(service.supervisor().unwrap()).trim(), "0", "the supervisor");
        assert_eq!(score(program().unwrap()).trim(), "0", "a program");
        // And so it is with one that the next supervisor has begun.
        let (supervisor, programs) = (service.supervisor().unwrap(), service.programs());
        send(supervisor, KILL).unwrap();
        service.recovered(None, Some(supervisor), &programs);
        let former = program().unwrap();
        send(former, KILL).unwrap();
        machine.until("another process", |_| program().is_some_and(|next| next != former));
    }
}
