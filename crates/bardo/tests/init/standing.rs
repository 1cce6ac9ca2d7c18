//! What `status` says of a service in each of its states, and to whom.

use bardo::selftest::home::send;

use super::scene::{Init, Machine};
use super::service::CAT;

const KILL: i32 = 9;

/// Somebody without any right, who runs a command.
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// A program that takes its time to end.
const SLOW: &str = "[program:slow]\ncommand=/usr/bin/perl -e '$SIG{TERM} = q(IGNORE); sleep 1 while 1'\n\
                    stopwaitsecs=1000\nstartsecs=0\n";

#[test]
fn status_of_systemd_is_0_3_or_1() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("status").configure(SLOW);
    let code = || service.verb("status", &[]).code;
    assert_eq!(code(), 1, "it is not installed");
    service.verb("install", &[]).ends_with(0);
    assert_eq!(code(), 3, "it is stopped");

    service.drop_in("[Service]\nExecStartPre=/bin/sleep 1000\nRestartSec=1000\n");
    machine.ok("systemctl start --no-block status");
    service.until_state("activating");
    assert_eq!(code(), 3, "it starts");
    machine.ok("systemctl kill status && systemctl stop status");

    service.drop_in("[Service]\nRestartSec=1000\n");
    service.verb("start", &[]).ends_with(0);
    service.all_running();
    assert_eq!(code(), 0, "it runs");
    send(service.keeper().unwrap(), KILL).unwrap();
    machine.until("the pause", |_| service.property("SubState") == "auto-restart");
    assert_eq!(code(), 3, "it has crashed");
    service.verb("restart", &[]).ends_with(0);
    machine.until("the program", |machine| machine.deaf("IGNORE").len() == 1);

    machine.ok("systemctl stop --no-block status");
    service.until_state("deactivating");
    assert_eq!(code(), 3, "it stops");
}

#[test]
fn status_of_sysvinit_is_not_deceived_by_a_pid_file() {
    let Some(machine) = Machine::boot(Init::Sysvinit) else { return };
    let service = machine.service("status").configure(CAT);
    let code = || service.verb("status", &[]).code;
    let script = || machine.run("/etc/init.d/status_service status").code;
    assert_eq!(code(), 1, "it is not installed");
    service.verb("install", &[]).ends_with(0);
    assert_eq!((code(), script()), (3, 3), "it is stopped");
    service.verb("start", &[]).ends_with(0);
    assert_eq!((code(), script()), (0, 0), "it runs");
    let pid_file = "/run/status.pid";
    let pid: u32 = machine.read(pid_file).trim().parse().unwrap();

    machine.until("a stale pid file", |machine| {
        let left = machine.with_words("--service-run");
        for process in &left {
            let _ = send(process.pid, KILL);
        }
        left.is_empty()
    });
    machine.write(pid_file, &format!("{pid}\n"));
    assert_eq!((code(), script()), (3, 3), "nobody has its number");

    machine.run("setsid sleep 2000 </dev/null >/dev/null 2>&1 &");
    let others = || machine.ok("pgrep -f '^sleep 2000' || true");
    machine.until("somebody else", |_| !others().is_empty());
    let other = others();
    machine.write(pid_file, &other);
    assert_eq!((code(), script()), (3, 3), "somebody else has its number");
    service.verb("stop", &[]).ends_with(0);
    assert_eq!(others(), other, "and he is left alone");
    service.verb("start", &[]).ends_with(0);
    assert_eq!((code(), script()), (0, 0), "it runs again");
}

fn unprivileged(init: Init) {
    let Some(machine) = Machine::boot(init) else { return };
    let service = machine.service("theirs").configure(CAT).up(&[]);
    let before = service.programs();

    for verb in ["install", "install-demand", "uninstall", "start", "stop", "restart"] {
        let said = machine.run(&format!("{NOBODY} bardo_service {verb} theirs"));
        assert_eq!(said.code, 4, "{verb}: {said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{verb}: {said:?}");
        assert!(said.stderr.contains("theirs"), "{verb}: {said:?}");
    }

    assert_eq!(service.programs(), before);
    for (code, verb) in [(0, "start"), (3, "stop"), (1, "uninstall")] {
        service.verb(verb, &[]).ends_with(0);
        let said = machine.run(&format!("{NOBODY} bardo_service status theirs"));
        assert_eq!(said.code, code, "after {verb}: {said:?}");
    }
}

#[test]
fn others_may_only_ask_systemd() {
    unprivileged(Init::Systemd);
}

#[test]
fn others_may_only_ask_sysvinit() {
    unprivileged(Init::Sysvinit);
}

#[test]
fn others_may_only_ask_openrc() {
    unprivileged(Init::Openrc);
}

#[test]
fn a_start_that_fails_names_section_and_file_under_every_init_system() {
    for init in [Init::Systemd, Init::Sysvinit, Init::Openrc] {
        let Some(machine) = Machine::boot(init) else { return };
        machine.write("/etc/bardo/bad.conf", "[supervisord]\n[program:cat]\n");
        machine.ok("bardo /install bad");

        let start = machine.run("bardo /start bad");

        assert_eq!(start.code, 1, "{start:?}");
        let line = start.stderr.lines().last().unwrap_or_default();
        assert!(line.contains("in section 'program:cat'"), "{init:?}: {line}");
        let told = line.matches("(file: '/etc/bardo/bad.conf')").count();
        assert_eq!(told, 1, "{init:?}: {line}");
    }
}
