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

/// A program that has put something into its /tmp, of a service that may write little else.
const KEEPING: &str = "[unix_http_server]
file=/run/hard/s.sock
[supervisord]
logfile=/var/log/hard/main.log
pidfile=/run/hard/s.pid
childlogdir=/var/log/hard
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:keeps]
command=/bin/sh -c 'echo kept >/tmp/mine; echo kept >/var/tmp/mine; exec sleep 100000'
startsecs=0
";

#[test]
fn a_hardened_program_has_its_files_in_tmp_when_its_keeper_was_killed() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("hard");
    machine.write("/etc/bardo/hard.conf", KEEPING);
    service.up(&["--hardened", "--user", "daemon"]);
    let programs = service.programs();
    let seen = |path: &str| {
        let pid = machine.outside(programs[0].1).unwrap();
        std::path::PathBuf::from(format!("/proc/{pid}/root{path}"))
    };
    let files = ["/tmp/mine", "/var/tmp/mine"];
    machine.until("its files", |_| {
        files.iter().all(|file| std::fs::read_to_string(seen(file)).is_ok_and(|it| it == "kept\n"))
    });
    assert!(!machine.has("/tmp/mine"), "it is nobody else's");

    for victim in [Victim::Keeper, Victim::Both, Victim::Supervisor] {
        kill(&service, victim, &programs);

        for file in files {
            assert_eq!(std::fs::read_to_string(seen(file)).unwrap(), "kept\n", "{victim:?}");
            std::fs::write(seen(&format!("{file}.again")), "").unwrap();
        }
    }

    // What would part the next keeper from them is not changed meanwhile.
    let refused = service.verb("install", &["--user", "nobody"]).ends_with(1);
    assert!(refused.stderr.contains("bardo /stop hard"), "{refused:?}");
    kill(&service, Victim::Keeper, &programs);
    machine.ok("systemctl stop hard");
    service.nothing_left();
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
