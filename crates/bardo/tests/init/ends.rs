//! How a service ends decides whether systemd starts it again.

use bardo::selftest::home::send;
use bardo::selftest::procfs;

use super::scene::{Init, Machine};
use super::service::{CAT, Service};

const ABRT: i32 = 6;
const KILL: i32 = 9;
const SEGV: i32 = 11;
const CONT: i32 = 18;
const STOP: i32 = 19;

fn machine_with<'a>(machine: &'a Machine, options: &[&str]) -> Service<'a> {
    machine.service("ends").configure(CAT).up(options)
}

/// A stand-in for the program of the unit, which ends as `/run/code` says.
const STAND_IN: &str = "[Service]
Type=exec
WatchdogSec=0
ExecStart=
ExecStart=/bin/sh -c 'test -e /run/code && exit $(cat /run/code); exec sleep 100000'
";

#[test]
fn a_shutdown_stays_down_and_a_restart_comes_back_without_a_failure() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine_with(&machine, &[]);
    let keeper = service.keeper();

    service.client().call("supervisor.restart", &[]).unwrap();

    machine.until("another keeper", |_| service.keeper().is_some_and(|it| Some(it) != keeper));
    service.all_running();
    assert_eq!(service.property("Result"), "success");
    let journal = machine.journal("-u ends");
    assert!(!journal.contains("Failed with result"), "{journal}");

    service.client().call("supervisor.shutdown", &[]).unwrap();

    service.until_state("inactive");
    assert_eq!(service.property("NRestarts"), "1");
    assert_eq!(service.verb("status", &[]).code, 3);
    service.nothing_left();
}

/// A program that ends when it is killed.
const DEAF: &str = "[program:deaf]\nstartsecs=0\nstopwaitsecs=600\n\
    command=/usr/bin/perl -e '$SIG{TERM} = \"IGNORE\"; sleep 1 while 1'\n";

#[test]
fn a_keeper_that_is_killed_when_all_has_stopped_begins_nothing_anew() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("ends").configure(DEAF).up(&[]);
    let (keeper, supervisor) = (service.keeper().unwrap(), service.supervisor().unwrap());
    let state = |pid: u32| procfs::stat(pid).map(|stat| stat.state);
    machine.until("the program", |machine| machine.deaf("IGNORE").len() == 1);
    let deaf = machine.deaf("IGNORE")[0].pid;
    service.client().call("supervisor.shutdown", &[]).unwrap();
    machine.until("the end to begin", |machine| {
        machine.read("/srv/ends/main.log").contains("waiting for deaf to die")
    });

    // The last exit is on its way to the supervisor, which then says that all is over, and the
    // keeper does not hear that.
    send(supervisor, STOP).unwrap();
    machine.until("it to stop", |_| state(supervisor) == Some('T'));
    send(deaf, KILL).unwrap();
    machine
        .until("its exit to be handed on", |_| state(deaf).is_none() && state(keeper) == Some('S'));
    send(keeper, STOP).unwrap();
    machine.until("it to stop", |_| state(keeper) == Some('T'));
    send(supervisor, CONT).unwrap();
    machine.until("its end", |_| state(supervisor) == Some('Z'));
    send(keeper, KILL).unwrap();

    machine.until("another start", |_| service.property("NRestarts") == "1");
    service.until_state("inactive");
    assert_eq!(service.property("Result"), "success");
    service.nothing_left();
}

#[test]
fn who_begins_anew_in_a_unit_ends_what_another_run_has_left_there() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    // Nobody can go on where both are killed.
    let service = machine_with(&machine, &[]).drop_in("[Service]\nFileDescriptorStoreMax=0\n");
    service.verb("restart", &[]).ends_with(0);
    service.all_running();
    let programs = machine.with_words("sleep 100000");
    let keeper = service.keeper().unwrap();
    assert_eq!(programs.len(), 1);

    for process in [service.supervisor().unwrap(), keeper] {
        send(process, KILL).unwrap();
    }

    machine.until("another keeper", |_| service.keeper().is_some_and(|it| it != keeper));
    service.all_running();
    let now = machine.with_words("sleep 100000");
    assert!(now.len() == 1 && now != programs, "it would be there twice: {}", machine.told());
}

#[test]
fn a_crash_or_a_hang_is_followed_by_another_start() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine_with(&machine, &[]);
    for (signal, result) in
        [(KILL, "signal"), (SEGV, "core-dump"), (ABRT, "core-dump"), (STOP, "watchdog")]
    {
        if signal == STOP {
            service.is_missed_soon();
        }
        let programs = service.programs();
        let keeper = service.keeper().unwrap();

        send(keeper, signal).unwrap();
        if signal == SEGV {
            // The first one is taken for a fault, which would happen again by itself.
            machine.until("its end", |_| send(keeper, signal).is_err());
        }

        service.recovered(Some(keeper), None, &programs);
        let journal = machine.journal("-u ends");
        assert!(journal.contains(&format!("Failed with result '{result}'")), "{signal}: {journal}");
    }
    machine.ok("systemctl stop ends");
    service.nothing_left();
}

#[test]
fn without_respawn_nothing_is_started_again_and_nothing_is_left() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine_with(&machine, &["--no-respawn"]);

    service.client().call("supervisor.restart", &[]).unwrap();
    service.until_state("inactive");
    service.nothing_left();
    service.verb("start", &[]).ends_with(0);
    service.all_running();
    send(service.keeper().unwrap(), KILL).unwrap();

    service.until_state("failed");
    assert_eq!(service.property("NRestarts"), "0");
    machine
        .until("nothing to be left", |machine| machine.unit_processes(&service.unit()).is_empty());
}

#[test]
fn every_code_has_its_consequence() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("codes").configure(CAT);
    service.verb("install", &[]).ends_with(0);
    service.drop_in(STAND_IN);
    let restarts = || service.property("NRestarts").parse::<u32>().unwrap();

    machine.write("/run/code", "0");
    machine.ok("systemctl start codes");
    service.until_state("inactive");
    assert_eq!((restarts(), &*service.property("Result")), (0, "success"));

    for code in [1, 2, 78, 101] {
        let before = restarts();
        machine.write("/run/code", &code.to_string());
        // It may have failed already when somebody looks.
        machine.run("systemctl start codes");
        machine.until(&format!("a start after {code}"), |_| restarts() > before);
        if code == 1 {
            assert!(!machine.journal("-u codes").contains("Failed with result"));
        }
        machine.ok("systemctl stop codes");
    }

    service.verb("install", &["--no-respawn"]).ends_with(0);
    // A stop that came between two starts has left the count of the starts before it.
    machine.run("systemctl reset-failed codes");
    for code in [0, 1, 2, 101] {
        machine.write("/run/code", &code.to_string());
        machine.run("systemctl start codes");
        let state = if code > 1 { "failed" } else { "inactive" };
        service.until_state(state);
        assert_eq!((restarts(), service.property("ExecMainStatus")), (0, code.to_string()));
        service.nothing_left();
    }
}

#[test]
fn a_configuration_that_is_wrong_is_a_failure_that_is_told_and_tried_again() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("wrong").configure("[program:x]\nstartsecs=many\n");
    service.verb("install", &[]).ends_with(0);

    let said = service.verb("start", &[]);

    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    let journal = machine.journal("-u wrong");
    assert!(journal.contains("'many'") && journal.contains("status=78"), "{journal}");
    service.configure(CAT);
    service.all_running();
}
