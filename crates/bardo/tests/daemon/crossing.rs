//! A reload that is asked for while one supervisor or keeper takes the place of another: it is
//! carried out once.

use std::fs;

use bardo::init::pauses::Unit;
use bardo::selftest::home::{Daemon, send, wait_until};
use bardo::selftest::procfs;

use crate::following::{cat, configure, outcome, pid_of, told, with_slow};
use crate::managed::{Managed, Manager, place};
use crate::scene::{CONT, HUP, KILL, STOP, executable};

/// Stops the supervisor and asks for a reload; the keeper has heard it when this returns.
fn ask_a_stopped_one(managed: &Managed) -> u32 {
    let supervisor = managed.scene.supervisor().pid;
    send(supervisor, STOP).unwrap();
    let has_stopped = || procfs::stat(supervisor).is_some_and(|it| it.state == 'T');
    wait_until("it to stop", has_stopped).unwrap();
    ask(managed);
    supervisor
}

/// Asks for a reload; the keeper has heard it when this returns, and waits again.
fn ask(managed: &Managed) {
    let keeper = managed.scene.daemon.keeper();
    send(keeper, HUP).unwrap();
    let is_unheard = || {
        let bits = procfs::status(keeper, "ShdPnd").unwrap();
        u64::from_str_radix(&bits, 16).unwrap() & 1 == 1
    };
    let waits = || procfs::stat(keeper).is_some_and(|it| it.state == 'S');
    wait_until("the keeper to hear it", || !is_unheard() && waits()).unwrap();
}

/// Waits until a reload is over that is told of from now on.
fn await_reload(manager: &Manager) {
    manager.until("RELOADING=1");
    manager.until("READY=1");
}

/// Has the next keeper come, with the same configuration.
fn start_next(managed: &mut Managed) {
    let words = ["--service-run", &managed.name, "--config"];
    let home = &managed.scene.home;
    managed.scene.daemon = Daemon::start_as(&words, executable(), home, |command| {
        command.env("XDG_RUNTIME_DIR", home.path()).env_remove("RUNTIME_DIRECTORY");
        command.env("NOTIFY_SOCKET", home.file("notify"));
    })
    .unwrap();
}

#[test]
fn one_that_a_killed_supervisor_has_not_taken_is_carried_out_once_by_the_next() {
    let (managed, manager) = told(&cat("same", ""));
    let same = pid_of(&managed, "same");
    manager.until("READY=1");
    configure(&managed.scene.home, "", &[cat("same", ""), cat("fresh", "")].concat());

    let supervisor = ask_a_stopped_one(&managed);
    send(supervisor, KILL).unwrap();

    await_reload(&manager);
    assert_eq!(outcome(&managed), "1\n1\n\n\n", "{}", managed.scene.log());
    pid_of(&managed, "fresh");
    assert_eq!(pid_of(&managed, "same"), same);
}

#[test]
fn one_that_the_supervisor_of_a_killed_keeper_has_not_taken_is_carried_out_once_by_the_next() {
    let (mut managed, manager) = told(&cat("same", ""));
    let same = pid_of(&managed, "same");
    manager.until("READY=1");
    configure(&managed.scene.home, "", &[cat("same", ""), cat("fresh", "")].concat());

    let supervisor = ask_a_stopped_one(&managed);
    send(managed.scene.daemon.keeper(), KILL).unwrap();
    managed.scene.daemon.wait().unwrap();
    send(supervisor, CONT).unwrap();
    start_next(&mut managed);

    await_reload(&manager);
    assert_eq!(outcome(&managed), "1\n1\n\n\n", "{}", managed.scene.log());
    pid_of(&managed, "fresh");
    assert_eq!(pid_of(&managed, "same"), same);
}

#[test]
fn one_that_crosses_the_end_of_who_takes_up_another_one_is_carried_out_after_it() {
    let (managed, manager) = with_slow();
    let home = &managed.scene.home;
    configure(home, "", &cat("same", ""));
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    manager.until("RELOADING=1");
    managed.scene.wait("slow to be told", || home.file("told").exists());

    configure(home, "", &[cat("same", ""), cat("other", "")].concat());
    let supervisor = ask_a_stopped_one(&managed);
    send(supervisor, KILL).unwrap();
    managed.scene.await_log("this one has taken over");
    fs::write(home.file("go"), "").unwrap();

    await_reload(&manager);
    assert_eq!(outcome(&managed), "2\n2\n\n\n", "{}", managed.scene.log());
    pid_of(&managed, "other");
    assert!(managed.scene.client().info("slow").is_err());
}

#[test]
fn one_that_crosses_the_end_of_who_loads_for_another_one_is_carried_out_with_it() {
    let (managed, manager) = told(&cat("same", ""));
    manager.until("READY=1");
    let home = &managed.scene.home;
    let file = home.file("supervisord.conf");
    fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).unwrap();
    send(managed.scene.daemon.keeper(), HUP).unwrap();
    managed.scene.wait("the first one to be begun", || outcome(&managed) == "0\n1\n\n\n");

    let supervisor = ask_a_stopped_one(&managed);
    fs::remove_file(&file).unwrap();
    configure(home, "", &[cat("same", ""), cat("fresh", "")].concat());
    send(supervisor, KILL).unwrap();
    managed.scene.await_log("this one has taken over");

    manager.until("RELOADING=1");
    await_reload(&manager);
    assert_eq!(outcome(&managed), "2\n2\n\n\n", "{}", managed.scene.log());
    pid_of(&managed, "fresh");
}

#[test]
fn one_in_the_pause_before_a_keeper_goes_on_is_carried_out_by_it() {
    let (mut managed, manager) = told(&cat("same", ""));
    let same = pid_of(&managed, "same");
    manager.until("READY=1");
    send(managed.scene.daemon.keeper(), KILL).unwrap();
    managed.scene.daemon.wait().unwrap();
    let home = &managed.scene.home;
    configure(home, "", &[cat("same", ""), cat("fresh", "")].concat());
    // It was ready often, and the last pause was long.
    let folder = place(home, &managed.name);
    let now = Unit::Tenths.now();
    fs::write(folder.join("pauses"), format!("{now} 300 25\n")).unwrap();

    let words = ["--service-run", &managed.name, "--pauses", "--config"];
    managed.scene.daemon = Daemon::spawn_as(&words, executable(), home, |command| {
        command.env("XDG_RUNTIME_DIR", home.path()).env_remove("RUNTIME_DIRECTORY");
        command.env("NOTIFY_SOCKET", home.file("notify"));
    })
    .unwrap();
    manager.until("EXTEND_TIMEOUT_USEC=");
    send(managed.scene.daemon.keeper(), HUP).unwrap();

    await_reload(&manager);
    assert_eq!(outcome(&managed), "1\n1\n\n\n", "{}", managed.scene.log());
    pid_of(&managed, "fresh");
    assert_eq!(pid_of(&managed, "same"), same);
}
