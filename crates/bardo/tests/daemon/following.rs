//! A service reads its configuration again: what has changed is taken up, and nothing else.

use std::fs;

use bardo::selftest::home::{Home, send};
use bardo::selftest::procfs;

use crate::managed::{Managed, Manager, manage, place};
use crate::scene::{HUP, KILL};

pub(crate) fn cat(name: &str, more: &str) -> String {
    format!("[program:{name}]\ncommand=/bin/cat\nstartsecs=0\n{more}\n")
}

/// A service that tells a manager how it is.
pub(crate) fn told(programs: &str) -> (Managed, Manager) {
    let mut manager = None;
    let managed = manage("", programs, |home, command| {
        manager = Some(Manager::new(home));
        command.env("NOTIFY_SOCKET", home.file("notify"));
    });
    (managed, manager.unwrap())
}

pub(crate) fn outcome(managed: &Managed) -> String {
    let file = place(&managed.scene.home, &managed.name).join("told/reload");
    fs::read_to_string(file).unwrap_or_default()
}

pub(crate) fn configure(home: &Home, more: &str, programs: &str) {
    home.configure(more, programs).unwrap();
}

pub(crate) fn pid_of(managed: &Managed, name: &str) -> u32 {
    managed.scene.until(name, "RUNNING").pid
}

#[test]
fn a_reload_takes_up_what_has_changed_and_leaves_the_rest_alone() {
    let before = [cat("same", ""), cat("changed", ""), cat("gone", "")].concat();
    let (managed, manager) = told(&before);
    let [same, changed, gone] = ["same", "changed", "gone"].map(|name| pid_of(&managed, name));
    let supervisor = managed.scene.supervisor();
    let manual = "[program:manual]\ncommand=/bin/cat\nautostart=false\n";
    let after = [cat("same", ""), cat("changed", "stopsignal=INT"), cat("fresh", "")].concat();
    configure(&managed.scene.home, "loglevel=debug\npidfile=%(here)s/other.pid", &(after + manual));

    send(managed.scene.daemon.keeper(), HUP).unwrap();

    manager.until("RELOADING=1\nMONOTONIC_USEC=");
    manager.until("READY=1");
    assert_eq!(pid_of(&managed, "same"), same);
    assert_ne!(pid_of(&managed, "changed"), changed);
    pid_of(&managed, "fresh");
    managed.scene.until("manual", "STOPPED");
    assert!(managed.scene.client().info("gone").is_err());
    assert!([changed, gone].iter().all(|pid| procfs::stat(*pid).is_none()));
    assert_eq!(managed.scene.supervisor().pid, supervisor.pid);
    assert_eq!(outcome(&managed), "1\n1\n\nloglevel, pidfile\n");
    for line in [
        "the configuration was read again: added fresh, manual; changed changed; removed gone",
        "only a restart takes up what else has changed: loglevel, pidfile\n",
    ] {
        managed.scene.await_log(line);
    }
    let log = managed.scene.log();
    assert!(!log.contains("DEBG"), "{log}");
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing_and_is_told() {
    let (managed, manager) = told(&cat("same", ""));
    let same = pid_of(&managed, "same");
    configure(&managed.scene.home, "", "[program:same]\nautostart=perhaps\n");

    send(managed.scene.daemon.keeper(), HUP).unwrap();

    manager.until("RELOADING=1");
    let said = manager.until("READY=1");
    let last = said.last().unwrap();
    assert!(last.contains("STATUS=not reloaded: ") && last.contains("perhaps"), "{last}");
    assert!(outcome(&managed).starts_with("1\n1\nnot reloaded: "), "{}", outcome(&managed));
    managed.scene.await_log("not reloaded, everything goes on as it was: ");
    assert_eq!(pid_of(&managed, "same"), same);
    // It is told until one has gone well.
    manager.until("STATUS=1 of 1 run; not reloaded: ");
    configure(&managed.scene.home, "", &cat("same", ""));
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    manager.until("RELOADING=1");
    let said = manager.until("STATUS=1 of 1 run");
    assert_eq!(said.last().unwrap(), "STATUS=1 of 1 run");
    assert_eq!(outcome(&managed), "2\n2\n\n\n");
    assert_eq!(pid_of(&managed, "same"), same);
}

/// A program that says that it was told to stop and goes on until it is let go.
const SLOW: &str = "[program:slow]
command=/bin/sh -c 'trap \"echo >>{here}/told\" TERM; : >{here}/deaf; while [ ! -e {here}/go ]; do /bin/sleep 0.02; done'
startsecs=0
stopwaitsecs=600
autorestart=false
";

/// A daemon with [`SLOW`], which heeds no signal any more, and `same`.
pub(crate) fn with_slow() -> (Managed, Manager) {
    let (managed, manager) = told(&(cat("same", "") + SLOW));
    let deaf = managed.scene.home.file("deaf");
    managed.scene.wait("a program that does not heed the signal", || deaf.exists());
    (managed, manager)
}

#[test]
fn a_supervisor_that_is_killed_while_a_change_is_taken_up_has_it_done_once() {
    let (managed, manager) = with_slow();
    let same = pid_of(&managed, "same");
    let slow = pid_of(&managed, "slow");
    let home = &managed.scene.home;
    let here = home.path().display().to_string();
    configure(home, "", &[cat("same", ""), cat("slow", ""), cat("fresh", "")].concat());
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    manager.until("RELOADING=1");
    let told = home.file("told");
    managed.scene.wait("slow to be told", || told.exists());
    // What is there by now is none of the business of the one that is under way.
    fs::write(home.file("supervisord.conf"), "[nonsense").unwrap();

    send(managed.scene.supervisor().pid, KILL).unwrap();
    managed.scene.await_log("this one has taken over");
    fs::write(format!("{here}/go"), "").unwrap();

    pid_of(&managed, "fresh");
    assert_ne!(pid_of(&managed, "slow"), slow);
    assert_eq!(pid_of(&managed, "same"), same);
    managed.scene.wait("the end of the reload", || outcome(&managed) == "1\n1\n\n\n");
    let log = managed.scene.log();
    assert!(!log.contains("not reloaded"), "{log}");
}

#[test]
fn a_second_wish_is_heard_while_the_first_one_is_carried_out() {
    let (managed, manager) = with_slow();
    let slow = pid_of(&managed, "slow");
    let home = &managed.scene.home;
    configure(home, "", &cat("same", ""));
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    manager.until("RELOADING=1");
    managed.scene.wait("slow to be told", || home.file("told").exists());
    // While that is under way somebody wants something else.
    configure(home, "", &[cat("same", ""), cat("other", "")].concat());
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    managed.scene.wait("the second wish to be there", || {
        managed.scene.log().matches("received SIGHUP").count() == 2
    });
    fs::write(home.file("go"), "").unwrap();

    pid_of(&managed, "other");
    assert!(managed.scene.client().info("slow").is_err());
    assert!(procfs::stat(slow).is_none());
    managed.scene.wait("the end of both", || outcome(&managed) == "2\n2\n\n\n");
}

#[test]
fn a_keeper_that_is_killed_while_a_change_is_taken_up_has_it_done_by_the_next_one() {
    let (mut managed, manager) = with_slow();
    let same = pid_of(&managed, "same");
    configure(&managed.scene.home, "", &[cat("same", ""), cat("fresh", "")].concat());
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    manager.until("RELOADING=1");
    let told = managed.scene.home.file("told");
    managed.scene.wait("slow to be told", || told.exists());

    managed.kill_keeper();
    fs::write(managed.scene.home.file("go"), "").unwrap();

    pid_of(&managed, "fresh");
    assert_eq!(pid_of(&managed, "same"), same);
    assert!(managed.scene.client().info("slow").is_err());
    managed.scene.wait("the end of the reload", || outcome(&managed) == "1\n1\n\n\n");
}

#[test]
fn what_only_a_restart_takes_up_is_named_and_no_program_is_restarted_for_it() {
    let (managed, manager) = told(&cat("same", ""));
    let same = pid_of(&managed, "same");
    let home = &managed.scene.home;
    let more = "umask=077\nminfds=64\nminprocs=3\ndirectory=/tmp\nexit_on=same";
    configure(home, more, &cat("same", ""));

    send(managed.scene.daemon.keeper(), HUP).unwrap();

    manager.until("RELOADING=1");
    manager.until("READY=1");
    let expected = "umask, minfds, minprocs, directory, exit_on";
    assert_eq!(outcome(&managed), format!("1\n1\n\n{expected}\n"));
    for line in ["no program has changed\n", &format!("has changed: {expected}\n")] {
        managed.scene.await_log(line);
    }
    assert_eq!(pid_of(&managed, "same"), same);
    // It is so until that restart, whoever reads it.
    send(managed.scene.supervisor().pid, KILL).unwrap();
    managed.scene.await_log("this one has taken over");
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    managed.scene.wait("the end of another one", || !outcome(&managed).starts_with("1\n"));
    let noted = outcome(&managed);
    assert!(noted.ends_with(&format!("\n\n{expected}\n")), "{noted}");
}

#[test]
fn a_second_wish_is_heard_by_the_successor_of_who_has_heard_it() {
    let (managed, manager) = with_slow();
    let home = &managed.scene.home;
    configure(home, "", &cat("same", ""));
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    manager.until("RELOADING=1");
    managed.scene.wait("slow to be told", || home.file("told").exists());
    configure(home, "", &[cat("same", ""), cat("other", "")].concat());
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    managed.scene.wait("the second wish to be there", || {
        managed.scene.log().matches("received SIGHUP").count() == 2
    });

    send(managed.scene.supervisor().pid, KILL).unwrap();
    managed.scene.await_log("this one has taken over");
    assert!(outcome(&managed).starts_with("0\n1\n"), "{}", outcome(&managed));
    fs::write(home.file("go"), "").unwrap();

    pid_of(&managed, "other");
    managed.scene.wait("the end of both", || outcome(&managed) == "2\n2\n\n\n");
}
