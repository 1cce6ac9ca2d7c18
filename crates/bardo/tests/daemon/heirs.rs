//! From one keeper to the next: whatever happens in between, what runs goes on.

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bardo::daemon::handover::{self, DOOR, FORMER_DOOR};
use bardo::selftest::client::{CallError, Client};
use bardo::selftest::home::{Daemon, Home, send, wait_until};
use bardo::selftest::procfs;
use bardo_keeper::protocol::Roles;

use crate::managed::{Managed, manage, new_name, place};
use crate::scene::{CAT, CONT, KILL, Scene, TERM, everybodys, executable};
use crate::watching::{keep_helpless, make_helpless};

/// The number of `nobody`.
const NOBODY: u32 = 65534;

/// A service whose keeper was killed, and its supervisor, which waits.
pub(crate) fn orphaned(programs: &str) -> (Managed, u32) {
    let mut managed = manage("", programs, |_, _| {});
    managed.scene.process("cat");
    let supervisor = managed.scene.supervisor().pid;
    kill(&mut managed);
    (managed, supervisor)
}

pub(crate) fn kill(managed: &mut Managed) {
    send(managed.scene.daemon.keeper(), KILL).unwrap();
    managed.scene.daemon.wait().unwrap();
}

/// What a manager starts again.
fn next(managed: &Managed) -> Command {
    let mut command = Command::new(executable());
    command
        .args(["--service-run", &managed.name, "--config"])
        .arg(managed.scene.home.file("supervisord.conf"))
        .env("XDG_RUNTIME_DIR", managed.scene.home.path())
        .env_remove("RUNTIME_DIRECTORY")
        .stdin(Stdio::null());
    command
}

/// Has the next keeper come, and waits until it does without this former supervisor.
pub(crate) fn go_on(managed: &mut Managed, former: u32) {
    let home = &managed.scene.home;
    let words = ["--service-run", &managed.name, "--config"];
    managed.scene.daemon = Daemon::start_as(&words, executable(), home, |command| {
        command.env("XDG_RUNTIME_DIR", home.path()).env_remove("RUNTIME_DIRECTORY");
    })
    .unwrap();
    let said = || fs::read_to_string(home.file("console")).unwrap_or_default();
    let found = wait_until("the next one", || managed.scene.daemon.supervisor().is_some());
    found.unwrap_or_else(|error| panic!("{error}: {}\n{}", said(), managed.scene.log()));
    await_end(former);
}

pub(crate) fn is_there(pid: u32) -> bool {
    procfs::stat(pid).is_some_and(|stat| stat.is_alive())
}

fn await_end(pid: u32) {
    wait_until("its end", || !is_there(pid)).unwrap();
}

/// The file of the lock of a daemon in its own folder.
fn lock_of(keeper: u32) -> PathBuf {
    let mut files = procfs::socket_files(keeper).into_iter();
    files.find(|path| path.ends_with("lock")).unwrap()
}

#[test]
fn who_asks_for_a_restart_while_there_is_no_keeper_gets_it_with_the_next_one() {
    for (methods, code) in [(&["restart"][..], 1), (&["restart", "shutdown"], 0)] {
        let (managed, supervisor) = orphaned(CAT);
        managed.scene.await_log("the keeper is gone: logs go on");
        for method in methods {
            managed.scene.client().call(&format!("supervisor.{method}"), &[]).unwrap();
        }

        let mut next = next(&managed).stdout(Stdio::null()).spawn().unwrap();

        assert_eq!(next.wait().unwrap().code(), Some(code), "{}", managed.scene.log());
        assert!(!is_there(supervisor) && !place(&managed.scene.home, &managed.name).exists());
    }
}

#[test]
fn a_restart_that_is_wished_during_the_end_is_refused_without_a_keeper_too() {
    let slow = "[program:cat]\nstopwaitsecs=60\nstartsecs=0\ncommand=/bin/sh -c 'trap : TERM; \
                : >{here}/deaf; while [ ! -e {here}/go ]; do sleep 0.01; done'\n";
    let mut managed = manage("", slow, |_, _| {});
    let deaf = managed.scene.home.file("deaf");
    managed.scene.wait("a program that does not heed the signal", || deaf.exists());
    managed.scene.client().call("supervisor.shutdown", &[]).unwrap();
    managed.scene.await_log("waiting for cat to die");
    kill(&mut managed);
    managed.scene.await_log("the keeper is gone: logs go on");

    for method in ["restart", "shutdown"] {
        let refused = managed.scene.client().call(&format!("supervisor.{method}"), &[]);
        assert!(matches!(refused, Err(CallError::Fault(..))), "{refused:?}");
    }
    fs::write(managed.scene.home.file("go"), "").unwrap();
    let mut next = next(&managed).stdout(Stdio::null()).spawn().unwrap();

    assert_eq!(next.wait().unwrap().code(), Some(0), "{}", managed.scene.log());
}

#[test]
fn of_two_wishes_the_later_one_counts_also_when_the_first_went_to_a_keeper_that_is_gone() {
    let (managed, supervisor) = orphaned(CAT);
    managed.scene.await_log("the keeper is gone: logs go on");
    managed.scene.client().call("supervisor.restart", &[]).unwrap();
    let folder = place(&managed.scene.home, &managed.name);
    let handed = handover::ask(&folder).unwrap();
    let door = handover::door_beside(&folder, handed.former.as_ref()).unwrap();
    drop((handed, door));
    managed.scene.await_log("the next keeper is gone as well");

    managed.scene.client().call("supervisor.shutdown", &[]).unwrap();

    let mut next = next(&managed).stdout(Stdio::null()).spawn().unwrap();
    assert_eq!(next.wait().unwrap().code(), Some(0), "{}", managed.scene.log());
    assert!(!is_there(supervisor));
}

#[test]
fn one_that_has_handed_over_all_goes_on_when_nobody_takes_its_place() {
    let (mut managed, supervisor) = orphaned(CAT);
    let folder = place(&managed.scene.home, &managed.name);
    let cat = procfs::with_words("/bin/cat");
    let state = || procfs::stat(supervisor).map(|stat| stat.state);

    // Twice, because the second one finds it elsewhere.
    for _ in 0..2 {
        let handed = handover::ask(&folder).unwrap();
        assert!(handed.journal.is_some() && handed.former.is_some());
        assert_eq!(state(), Some('T'), "it does nothing while somebody has all");
        let door = handover::door_beside(&folder, handed.former.as_ref()).unwrap();
        assert!(folder.join(DOOR).exists() && folder.join(FORMER_DOOR).exists());
        // As the kernel does it for one that is killed.
        drop((handed, door));
        wait_until("it to go on", || state().is_some_and(|state| state != 'T')).unwrap();
    }
    managed.scene.await_log("the next keeper is gone as well");
    let info = managed.scene.client().info("cat").unwrap();
    assert!(info.state == "RUNNING" && cat.iter().any(|cat| cat.pid == info.pid), "{cat:?}");

    go_on(&mut managed, supervisor);
    assert_eq!(managed.scene.process("cat").pid, info.pid, "{}", managed.scene.log());
}

#[test]
fn a_keeper_that_is_killed_at_any_step_of_its_beginning_is_followed_by_another_one() {
    let (mut managed, mut supervisor) = orphaned(CAT);
    let folder = place(&managed.scene.home, &managed.name);
    let info = managed.scene.client().info("cat").unwrap();
    let own = |pid: u32, comm: &str| {
        procfs::children(pid).iter().any(|it| it.is_alive() && it.comm.starts_with(comm))
    };
    let steps: [&dyn Fn(u32, u32) -> bool; 6] = [
        &|keeper, _| procfs::stat(keeper).is_some_and(|stat| stat.comm == "supervisord"),
        // What lasts for a moment only may be over when it is looked for.
        &|_, former| procfs::stat(former).is_none_or(|stat| stat.state == 'T' || !stat.is_alive()),
        &|_, former| folder.join(FORMER_DOOR).exists() || !is_there(former),
        &|keeper, _| own(keeper, "b"),
        &|keeper, _| own(keeper, "bardo-superv"),
        &|_, former| !is_there(former),
    ];

    for (number, has_come) in steps.iter().enumerate() {
        let mut next = next(&managed).stdout(Stdio::null()).spawn().unwrap();
        let keeper = next.id();
        let come = wait_until("the step", || has_come(keeper, supervisor));
        send(keeper, KILL).unwrap();
        next.wait().unwrap();
        come.unwrap_or_else(|error| panic!("step {number}: {error}: {}", managed.scene.log()));

        go_on(&mut managed, supervisor);
        let now = managed.scene.process("cat");
        assert_eq!(now.pid, info.pid, "step {number}: {}", managed.scene.log());
        supervisor = managed.scene.supervisor().pid;
        kill(&mut managed);
    }
    go_on(&mut managed, supervisor);
}

#[test]
fn one_that_cannot_be_reached_is_ended_however_long_its_name_is() {
    let mut managed = manage("", CAT, |_, _| {});
    let cat = managed.scene.process("cat");
    let short = place(&managed.scene.home, &managed.name);
    end_unreachable(&mut managed, cat.pid, &short);

    let long = format!("{}-{}", new_name(), "n".repeat(120));
    let home = Home::new("managed").unwrap();
    home.configure("", CAT).unwrap();
    let words = ["--service-run", &long, "--config"];
    let daemon = Daemon::start_as(&words, executable(), &home, |command| {
        command.env("XDG_RUNTIME_DIR", home.path()).env_remove("RUNTIME_DIRECTORY");
    });
    let folder = place(&home, &long);
    let scene = Scene { daemon: daemon.unwrap(), home };
    let mut managed = Managed { scene, name: long };
    let cat = managed.scene.process("cat");
    end_unreachable(&mut managed, cat.pid, &folder);
}

/// Whoever comes next finds no door any more: its programs cannot be had, and what would write
/// to their logs beside another one is ended.
fn end_unreachable(managed: &mut Managed, cat: u32, folder: &Path) {
    let supervisor = managed.scene.supervisor().pid;
    kill(managed);
    managed.scene.await_log("the keeper is gone: logs go on");
    fs::remove_file(folder.join(DOOR)).unwrap();

    go_on(managed, supervisor);

    assert_ne!(managed.scene.process("cat").pid, cat);
    // Nobody else ends what nobody has.
    let _ = send(cat, KILL);
}

#[test]
fn one_that_has_a_keeper_is_not_ended_by_another_one() {
    let managed = manage("", CAT, |_, _| {});
    managed.scene.process("cat");
    let supervisor = managed.scene.supervisor().pid;
    let folder = place(&managed.scene.home, &managed.name);
    fs::remove_file(folder.join(DOOR)).unwrap();

    assert!(handover::ask(&folder).unwrap().former.is_none());

    assert!(is_there(supervisor));
}

#[test]
#[ignore = "twenty seconds, for which it is waited for: run by hand"]
fn one_that_is_not_heard_is_ended() {
    let (mut managed, supervisor) = orphaned(CAT);
    let cat = managed.scene.client().info("cat").unwrap().pid;
    managed.scene.halt(supervisor);

    // It would write to logs that are somebody else's.
    go_on(&mut managed, supervisor);

    let _ = send(cat, KILL);
}

#[test]
fn who_is_refused_the_lock_leaves_the_former_one_where_it_is() {
    if !rustix::process::geteuid().is_root() || everybodys().is_none() {
        return;
    }
    let mut managed = manage("user=nobody", CAT, |home, _| {
        chown(home.path(), Some(NOBODY), None).unwrap();
    });
    let cat = managed.scene.process("cat");
    let supervisor = managed.scene.supervisor().pid;
    let folder = place(&managed.scene.home, &managed.name);
    let lock = lock_of(managed.scene.daemon.keeper());
    kill(&mut managed);
    managed.scene.await_log("the keeper is gone: logs go on");
    // Another daemon of the same configuration.
    fs::remove_file(&lock).unwrap();
    let other = UnixListener::bind(&lock).unwrap();
    chown(&lock, Some(NOBODY), None).unwrap();

    let refused = next(&managed).output().unwrap();

    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(70), "{said}");
    assert!(said.contains("is already run by process"), "{said}");
    assert!(!folder.join(FORMER_DOOR).exists(), "the door is not replaced");
    drop(other);
    go_on(&mut managed, supervisor);
    assert_eq!(managed.scene.process("cat").identity(), cat.identity(), "{}", managed.scene.log());
}

#[test]
fn who_only_watches_waits_for_the_next_keeper_as_well() {
    let mut managed = manage("", CAT, |_, _| {});
    let cat = managed.scene.process("cat");
    let supervisor = keep_helpless(&managed.scene).pid;

    kill(&mut managed);
    managed.scene.await_log("the keeper is gone: logs go on");
    go_on(&mut managed, supervisor);

    managed.scene.await_log("another one has come after it");
    assert_eq!(managed.scene.process("cat").identity(), cat.identity(), "{}", managed.scene.log());
    managed.scene.client().about("stopProcess", "cat").unwrap();
}

#[test]
fn a_stop_without_a_supervisor_ends_programs_of_a_former_keeper_too() {
    let deaf = "[program:deaf]\nstartsecs=0\n\
                command=/bin/sh -c \"trap '' TERM; echo; exec sleep 1000\"\n\
                stdout_logfile={here}/deaf.log\n";
    let programs = format!("{CAT}\n{deaf}");
    let mut managed = manage("keeper_stopwaitsecs=1", &programs, |_, _| {});
    let scene = &managed.scene;
    scene.wait("its line", || {
        fs::read(scene.home.file("deaf.log")).is_ok_and(|log| !log.is_empty())
    });
    let all = ["cat", "deaf"].map(|name| scene.process(name).pid);
    managed.kill_keeper();
    managed.scene.await_log("another one has come after it");
    make_helpless(&managed.scene);

    send(managed.scene.daemon.keeper(), TERM).unwrap();

    assert_eq!(managed.scene.daemon.wait().unwrap().code(), Some(0), "{}", managed.scene.log());
    assert!(!all.into_iter().any(is_there), "{}", managed.scene.log());
}

#[test]
fn what_is_asked_for_once_all_was_handed_over_is_not_promised() {
    let (managed, supervisor) = orphaned(CAT);
    let folder = place(&managed.scene.home, &managed.name);
    let handed = handover::ask(&folder).unwrap();
    // Somebody else has it go on, and it has given all away.
    send(supervisor, CONT).unwrap();
    let client = Client::new(&managed.scene.home.file("s.sock"));
    let asked = std::thread::spawn(move || client.call("supervisor.shutdown", &[]).is_ok());
    managed
        .scene
        .wait("it to go on", || procfs::stat(supervisor).is_some_and(|stat| stat.state != 'T'));

    handed.former.unwrap().end().unwrap();

    for held in handed.held.iter().filter(|held| held.role == Roles::PROCESS) {
        let _ = bardo_sys::process::signal(held.descriptor.as_fd(), KILL);
    }
    // Nobody listens for the client any more.
    drop((managed, handed.held));
    assert!(!asked.join().unwrap(), "a wish that nobody keeps is not granted");
}
