//! Whoever stops a service leaves no process of it, whatever its programs do.

use bardo::selftest::home::send;

use super::scene::{Init, Machine};
use super::service::{CAT, Service};

const KILL: i32 = 9;
const STOP: i32 = 19;

/// Programs that do not end by themselves: one that hears nothing, with a child of the same
/// kind in another session, and one whose child has left it.
const STUBBORN: &str = "[program:deaf]
command=/usr/bin/perl -e '$SIG{TERM} = \"IGNORE\"; fork || do { setpgrp; sleep 1 while 1 }; sleep 1 while 1'
stopwaitsecs=1
startsecs=0

[program:parting]
command=/usr/bin/perl -e 'fork || do { setpgrp; fork && exit; $SIG{TERM} = \"IGNORE\"; sleep 1 while 1 }; sleep 1 while 1'
startsecs=0
";

/// Ways to stop a service.
const WAYS: [&str; 2] = ["systemctl stop NAME", "bardo_service /stop NAME"];

/// What our own way says where a run had left something, and where there was one.
const LEFT: &str = "it did not run; what a former run had left was ended";
const STOPPED: &str = "stopped";

/// Stops it in each of the ways, each time from its beginning. Ours says what is expected.
fn each_way(programs: &str, drop_in: &str, expected: &str, before: impl Fn(&Service<'_>)) {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("stubborn").configure(programs);
    service.verb("install", &[]).ends_with(0);
    service.drop_in(drop_in);
    for way in WAYS {
        machine.ok("systemctl start stubborn");
        service.all_running();
        before(&service);

        let said = machine.ok(&way.replace("NAME", "stubborn"));

        if way.starts_with("bardo") {
            assert!(said.contains(expected), "{said}");
        }
        service.nothing_left();
        let state = service.property("ActiveState");
        assert!(matches!(&*state, "inactive" | "failed"), "{way}: {state} {}", machine.told());
    }
}

#[test]
fn programs_that_hear_nothing_end_with_their_children() {
    each_way(STUBBORN, "", STOPPED, |service| {
        let machine = service.machine;
        machine.until("all of them", |_| machine.deaf("IGNORE").len() == 3);
    });
}

#[test]
fn a_pause_before_the_next_start_is_no_place_to_hide() {
    each_way(&format!("{CAT}{STUBBORN}"), "[Service]\nRestartSec=100\n", LEFT, |service| {
        for process in [service.supervisor(), service.keeper()] {
            send(process.unwrap(), KILL).unwrap();
        }
        let machine = service.machine;
        machine.until("the pause", |_| service.property("SubState") == "auto-restart");
        assert!(!machine.unit_processes(&service.unit()).is_empty(), "{}", machine.told());
    });
}

#[test]
fn a_supervisor_without_keeper_is_stopped_in_the_pause() {
    each_way(CAT, "[Service]\nRestartSec=100\n", LEFT, |service| {
        send(service.keeper().unwrap(), KILL).unwrap();
        let machine = service.machine;
        machine.until("the pause", |_| service.property("SubState") == "auto-restart");
    });
}

#[test]
fn what_hangs_is_stopped_within_its_budget() {
    each_way(CAT, "[Service]\nTimeoutStopSec=2\n", STOPPED, |service| {
        send(service.supervisor().unwrap(), STOP).unwrap();
        send(service.keeper().unwrap(), STOP).unwrap();
    });
}

#[test]
fn a_start_that_is_stopped_is_called_a_start() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("slow").configure(CAT);
    service.verb("install", &[]).ends_with(0);
    service.drop_in("[Service]\nExecStartPre=/bin/sleep 10000\n");
    machine.ok("systemctl start slow --no-block");
    machine.until("a start under way", |machine| machine.with_words("sleep 10000").len() == 1);

    let said = service.verb("stop", &[]).ends_with(0).stdout;

    assert!(said.contains("its start was broken off"), "{said}");
    service.nothing_left();
    let said = service.verb("stop", &[]).ends_with(0).stdout;
    assert!(said.contains("it does not run"), "{said}");
}
