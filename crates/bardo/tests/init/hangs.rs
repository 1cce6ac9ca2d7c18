//! A service that hangs, and one that dies: who notices, and what follows, under each init
//! system, with and without another start.
//!
//! A hung supervisor is the keeper's affair everywhere. A hung keeper is noticed by systemd's
//! watchdog alone; elsewhere a stop still ends it.

use bardo::selftest::home::{SUPERVISOR_COMM, send};
use bardo::selftest::procfs;

use super::scene::{Init, Machine};
use super::service::Service;

const KILL: i32 = 9;
const SEGV: i32 = 11;
const STOP: i32 = 19;

const PROGRAMS: &str = "[program:one]\ncommand=/bin/sleep 100001\nstartsecs=0\n\n\
    [program:two]\ncommand=/bin/sleep 100002\nstartsecs=0\n";

/// Two programs, and a keeper that soon misses an answer.
fn configured(machine: &Machine) -> Service<'_> {
    let service = machine.service("hangs").configure(PROGRAMS);
    machine.ok("sed -i 's/^.supervisord.$/&\\nhang_timeout=1/' /etc/bardo/hangs.conf");
    service
}

/// The only service of a machine: its keeper and its supervisor, as we number them.
fn family(machine: &Machine) -> Option<(u32, u32)> {
    let all = machine.processes();
    let supervisor = all.iter().find(|stat| stat.comm == SUPERVISOR_COMM)?;
    let is_keeper = |stat: &&procfs::Stat| stat.pid == supervisor.parent;
    Some((all.iter().find(is_keeper)?.pid, supervisor.pid))
}

/// A supervisor that hangs is replaced by its keeper as soon as there is something for it to
/// do, whoever has started the keeper; the other program does not notice.
fn a_hung_supervisor_is_replaced(service: &Service<'_>) {
    let machine = service.machine;
    let before = service.all_running();
    let (keeper, supervisor) = family(machine).unwrap();
    let two = machine.with_words("sleep 100002")[0].pid;

    send(supervisor, STOP).unwrap();
    send(machine.with_words("sleep 100001")[0].pid, KILL).unwrap();

    machine.until("another supervisor", |machine| {
        family(machine).is_some_and(|(same, other)| same == keeper && other != supervisor)
    });
    machine.until("the other program", |_| {
        let now = service.client().infos().unwrap_or_default();
        now.iter().all(|info| info.state == "RUNNING") && now.len() == 2 && now != before
    });
    assert_eq!(machine.with_words("sleep 100002")[0].pid, two);
}

#[test]
fn what_hangs_under_systemd_is_noticed() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = configured(&machine);
    service.verb("install", &[]).ends_with(0);
    service.verb("start", &[]).ends_with(0);
    a_hung_supervisor_is_replaced(&service);
    assert_eq!(service.property("NRestarts"), "0");

    // Nobody starts it again: then nothing of it is left.
    service.verb("stop", &[]).ends_with(0);
    service.verb("install", &["--no-respawn"]).ends_with(0);
    service.verb("start", &[]).ends_with(0);
    a_hung_supervisor_is_replaced(&service);
    for (signal, result) in [(STOP, "watchdog"), (KILL, "signal"), (SEGV, "core-dump")] {
        service.verb("start", &[]).ends_with(0);
        service.all_running();
        if signal == STOP {
            service.is_missed_soon();
        }
        let keeper = service.keeper().unwrap();
        send(keeper, signal).unwrap();
        if signal == SEGV {
            // The first one is taken for a fault, which would happen again by itself.
            machine.until("its end", |_| send(keeper, signal).is_err());
        }
        service.until_state("failed");
        let seen = [service.property("Result"), service.property("NRestarts")];
        assert_eq!(seen, [result, "0"]);
        service.nothing_left();
        assert_eq!(service.verb("status", &[]).code, 3);
        service.drop_in("[Service]\n");
    }
}

#[test]
#[ignore = "twenty seconds: that long a supervisor may take to hand over; run by hand"]
fn a_keeper_and_a_supervisor_that_hang_at_once_lose_no_program_under_systemd() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = configured(&machine);
    service.verb("install", &[]).ends_with(0);
    service.verb("start", &[]).ends_with(0);
    service.is_missed_soon();
    let (keeper, supervisor) = (service.keeper().unwrap(), service.supervisor().unwrap());
    let programs = service.programs();

    send(supervisor, STOP).unwrap();
    send(keeper, STOP).unwrap();

    // They are taken over from the manager's store.
    service.recovered(Some(keeper), Some(supervisor), &programs);
    assert_eq!(service.property("NRestarts"), "1");
}

/// What systems do that start nothing again and watch nobody: what died is down, its programs
/// run on and are taken over by the next start; what hangs can be stopped.
fn nothing_is_started_again(service: &Service<'_>) {
    let machine = service.machine;
    for signal in [KILL, SEGV] {
        let (keeper, supervisor) = family(machine).unwrap();
        let programs = service.programs();
        machine.until("its end", |_| send(keeper, signal).is_err());
        assert_eq!(service.verb("status", &[]).code, 3, "{signal}");
        assert_eq!(service.programs(), programs, "their supervisor still tells of them");

        service.verb("start", &[]).ends_with(0);
        machine.until("another one", |machine| {
            family(machine).is_some_and(|(_, other)| other != supervisor)
        });
        service.all_running();
        assert_eq!(service.programs(), programs, "{signal}");
    }
    a_hung_supervisor_is_replaced(service);
    a_hung_keeper_can_be_stopped(service);

    // What a killed keeper has left is stopped too.
    service.verb("start", &[]).ends_with(0);
    service.all_running();
    send(family(machine).unwrap().0, KILL).unwrap();
    service.verb("stop", &[]).ends_with(0);
    assert!(machine.with_words("sleep 10000").is_empty(), "{}", machine.told());
}

fn a_hung_keeper_can_be_stopped(service: &Service<'_>) {
    let machine = service.machine;
    let (keeper, _) = family(machine).unwrap();
    send(keeper, STOP).unwrap();
    assert_eq!(service.verb("status", &[]).code, 0, "nobody has noticed");

    service.verb("stop", &[]).ends_with(0);

    assert_eq!(service.verb("status", &[]).code, 3);
    for words in ["--service-run hangs", "sleep 10000"] {
        assert!(machine.with_words(words).is_empty(), "{}", machine.told());
    }
}

#[test]
fn what_hangs_under_sysvinit_can_be_stopped() {
    let Some(machine) = Machine::boot(Init::Sysvinit) else { return };
    let service = configured(&machine);
    service.verb("install", &[]).ends_with(0);
    machine.ok("sed -i s/^STOP_SECONDS=.*/STOP_SECONDS=1/ /etc/init.d/hangs_service");
    service.verb("start", &[]).ends_with(0);

    nothing_is_started_again(&service);
}

#[test]
fn what_hangs_under_openrc_can_be_stopped() {
    let Some(machine) = Machine::boot(Init::Openrc) else { return };
    let service = configured(&machine);
    let budget = "sed -i 's|^retry=.*|retry=TERM/1/KILL/5|' /etc/init.d/hangs";
    for options in [&["--no-respawn"][..], &["--anew", "--force"]] {
        service.verb("install", options).ends_with(0);
        machine.ok(budget);
        service.verb("start", &[]).ends_with(0);
        if options.contains(&"--anew") {
            let (keeper, supervisor) = family(&machine).unwrap();
            let programs = service.programs();
            machine.until("its end", |_| send(keeper, SEGV).is_err());
            machine.until("another one", |machine| {
                family(machine).is_some_and(|(_, other)| other != supervisor)
            });
            service.all_running();
            assert_eq!(service.programs(), programs);
            a_hung_supervisor_is_replaced(&service);
            a_hung_keeper_can_be_stopped(&service);
        } else {
            nothing_is_started_again(&service);
        }
    }
}
