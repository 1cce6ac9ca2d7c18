//! What of a service is killed loses no program and no byte of a log.

use std::time::Duration;

use bardo::selftest::home::send;

use super::scene::{Init, Machine};
use super::service::{CAT, Service};

const KILL: i32 = 9;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Supervisor,
    Keeper,
    Both,
}

/// Programs that write lines meanwhile.
const PROGRAMS: u32 = 50;

fn kill_all(victims: impl Iterator<Item = Victim>) {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("herd");
    service.configure(&service.counting(PROGRAMS)).up(&[]);
    service.until_counted(PROGRAMS);
    let programs = service.programs();
    let mut longest = Duration::ZERO;

    for victim in victims {
        let took = kill(&service, victim, &programs);
        println!("{victim:?}: active after {took:?}");
        longest = longest.max(took);
    }

    println!("the longest took {longest:?}");
    machine.ok("systemctl stop herd");
    service.nothing_left();
    service.check_counts(PROGRAMS);
}

fn kill(service: &Service<'_>, victim: Victim, programs: &[(String, u32)]) -> Duration {
    let (keeper, supervisor) = (service.keeper().unwrap(), service.supervisor().unwrap());
    if victim != Victim::Supervisor {
        send(keeper, KILL).unwrap();
    }
    if victim != Victim::Keeper {
        send(supervisor, KILL).unwrap();
    }
    let old_keeper = (victim != Victim::Supervisor).then_some(keeper);
    service.recovered(old_keeper, Some(supervisor), programs)
}

#[test]
fn fifty_programs_survive_three_kills_with_their_logs() {
    kill_all([Victim::Supervisor, Victim::Keeper, Victim::Both].into_iter());
}

#[test]
#[ignore = "ten seconds: the long form, which .ci/run runs"]
fn fifty_programs_survive_twenty_kills_of_each_with_their_logs() {
    let round = [Victim::Supervisor, Victim::Keeper];
    kill_all(round.into_iter().cycle().take(40));
}

#[test]
#[ignore = "ten seconds: the long form, which .ci/run runs"]
fn fifty_programs_survive_twenty_kills_of_both_at_once_with_their_logs() {
    kill_all([Victim::Both; 20].into_iter());
}

#[test]
fn a_keeper_of_another_account_says_so_and_costs_no_program() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("lent").configure(CAT).up(&[]);
    let sleepers = || {
        let found = machine.with_words("sleep 100000").into_iter();
        found.map(|stat| (stat.pid, stat.started)).collect::<Vec<_>>()
    };
    let programs = sleepers();
    service.drop_in("[Service]\nUser=daemon\n");

    send(service.keeper().unwrap(), KILL).unwrap();

    machine.until("what is wrong", |machine| {
        machine.journal("--unit lent").contains("it was started by user 0, and this is user 1")
    });
    assert_eq!(sleepers(), programs, "{}", machine.told());
    // With the former account it is taken over.
    service.drop_in("");
    let mut after = Vec::new();
    machine.until("the service to be back", |_| {
        after = service.programs();
        after.len() == programs.len() && service.property("ActiveState") == "active"
    });
    assert_eq!(sleepers(), programs);
    service.verb("stop", &[]).ends_with(0);
    service.nothing_left();
}
