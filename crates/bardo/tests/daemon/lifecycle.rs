//! How it starts, how it ends, and the signals in between.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use bardo::selftest::home::{self, Daemon, Home};
use bardo::selftest::procfs::{self, Stat};
use bardo_sys::process;

use crate::scene::{CAT, CONT, HUP, INT, STOP, Scene, TERM, USR2, executable, open};

/// A program that takes no notice of SIGTERM.
fn stubborn(seconds: u32) -> String {
    format!(
        "[program:stubborn]\n\
         command=/bin/sh -c 'trap \"\" TERM; echo deaf; exec cat'\n\
         startsecs=0\nstopwaitsecs={seconds}\nstdout_logfile={{here}}/stubborn.log\n"
    )
}

fn await_deaf(scene: &Scene) {
    let log = scene.home.file("stubborn.log");
    scene.wait("stubborn to be deaf", || {
        fs::read_to_string(&log).is_ok_and(|said| said == "deaf\n")
    });
}

#[test]
fn sigterm_ends_everything() {
    let scene = open("", CAT);
    let cat = scene.process("cat");

    scene.daemon.signal_keeper(TERM).unwrap();

    scene.wait("cat to end", || procfs::stat(cat.pid).is_none());
    scene.await_log("received SIGTERM indicating exit request");
    scene.await_log("stopped: cat (terminated by SIGTERM)");
    scene.expect_good_end();
}

#[test]
fn ctrl_c_reaches_both_processes_and_ends_everything() {
    let scene = open("", CAT);
    scene.process("cat");
    let supervisor = scene.supervisor();
    assert_eq!(supervisor.group, scene.daemon.keeper(), "a terminal signals both");

    assert!(process::signal_group(scene.daemon.keeper(), INT).unwrap());

    scene.await_log("received SIGINT indicating exit request");
    let log = scene.log();
    assert!(!log.contains("has taken over"), "{log}");
    scene.expect_good_end();
}

#[test]
fn sighup_restarts_everything() {
    let scene = open("", CAT);
    let before = scene.process("cat");

    scene.daemon.signal_keeper(HUP).unwrap();

    scene.wait("another cat", || {
        scene
            .client()
            .info("cat")
            .is_ok_and(|info| info.state == "RUNNING" && info.pid != before.pid)
    });
    scene.await_log("received SIGHUP indicating restart request");
}

#[test]
fn a_restart_outlives_the_supervisor_that_was_reading_the_configuration() {
    for ask in [
        |scene: &Scene| scene.daemon.signal_keeper(HUP).unwrap(),
        |scene: &Scene| drop(scene.client().call("supervisor.restart", &[]).unwrap()),
    ] {
        let scene = open("", CAT);
        let before = scene.process("cat");
        let path = scene.home.file("supervisord.conf");
        let kept = scene.home.file("kept.conf");
        fs::rename(&path, &kept).unwrap();
        // Whoever opens it waits for a writer that never comes.
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        let supervisor = scene.supervisor();

        ask(&scene);
        scene.wait("the configuration to be read", || {
            let threads = fs::read_dir(format!("/proc/{}/task", supervisor.pid)).unwrap();
            let names =
                threads.flatten().map(|thread| fs::read_to_string(thread.path().join("comm")));
            names.flatten().any(|name| name == "load\n")
        });
        fs::rename(&kept, &path).unwrap();
        scene.daemon.kill_supervisor().unwrap();

        scene.wait("another cat", || {
            scene
                .client()
                .info("cat")
                .is_ok_and(|info| info.state == "RUNNING" && info.pid != before.pid)
        });
        // It is not done a third time by the next supervisor.
        let again = scene.process("cat");
        scene.daemon.kill_supervisor().unwrap();
        scene.supervisor();
        assert_eq!(scene.process("cat").identity(), again.identity());
    }
}

#[test]
fn sigusr2_opens_logs_anew() {
    let scene = open("", CAT);
    scene.process("cat");
    let log = scene.home.file("main.log");
    fs::rename(&log, scene.home.file("old.log")).unwrap();

    scene.daemon.signal_keeper(USR2).unwrap();

    scene.wait("a new main log", || log.exists());
    let old = fs::read_to_string(scene.home.file("old.log")).unwrap();
    assert!(old.contains("received SIGUSR2 indicating log reopen request"), "{old}");
    assert!(old.ends_with("supervisord logreopen\n"), "{old}");
    scene.client().about("stopProcess", "cat").unwrap();
    scene.await_log("stopped: cat");
}

#[test]
fn a_signal_that_comes_while_the_supervisor_is_dead_is_not_lost() {
    let scene = open("", CAT);
    scene.process("cat");

    scene.daemon.signal_keeper(STOP).unwrap();
    scene.daemon.kill_supervisor().unwrap();
    scene.daemon.signal_keeper(TERM).unwrap();
    scene.daemon.signal_keeper(CONT).unwrap();

    scene.await_log("received SIGTERM indicating exit request");
    scene.expect_good_end();
}

#[test]
fn a_signal_that_comes_before_the_keeper_hears_that_the_last_one_was_taken_is_taken_too() {
    let scene = open("hang_timeout=3600", CAT);
    scene.process("cat");
    let (keeper, supervisor) = (scene.daemon.keeper(), scene.supervisor().pid);
    scene.halt(supervisor);
    scene.daemon.signal_keeper(USR2).unwrap();
    // It has nothing to do any more when it is seen twice to wait without the signal.
    let waits = || {
        let has = |name, value| procfs::status(keeper, name).is_some_and(|line| line == value);
        has("State", "S (sleeping)") && has("ShdPnd", "0000000000000000")
    };
    scene.wait("the keeper to have handed it on", || waits() && waits());
    scene.halt(keeper);
    home::send(supervisor, CONT).unwrap();
    let taken = || scene.log().matches("received SIGUSR2 indicating log reopen request").count();
    scene.wait("the signal to be taken", || taken() == 1);
    // What it has taken it tells the keeper before it looks for the next question.
    for _ in 0..2 {
        scene.client().state().unwrap();
    }

    scene.daemon.signal_keeper(USR2).unwrap();
    scene.daemon.signal_keeper(CONT).unwrap();

    scene.wait("the next one to be taken", || taken() == 2);
}

#[test]
fn a_shutdown_outlives_the_supervisor() {
    let scene = open("", &(stubborn(2) + CAT));
    scene.process("cat");
    await_deaf(&scene);

    scene.daemon.signal_keeper(TERM).unwrap();
    scene.await_log("stubborn to die");
    scene.daemon.kill_supervisor().unwrap();

    scene.await_log("has taken over");
    scene.await_log("with SIGKILL");
    scene.expect_good_end();
}

#[test]
fn one_group_ends_after_the_other_and_the_log_says_whom_the_end_waits_for() {
    let groups = format!(
        "[program:first]\ncommand=/bin/cat\nstartsecs=0\npriority=1\n\
         {}priority=2\n[program:last]\ncommand=/bin/cat\nstartsecs=0\npriority=3\n",
        stubborn(1)
    );
    let scene = open("loglevel=debug", &groups);
    scene.process("first");
    scene.process("last");
    await_deaf(&scene);

    scene.daemon.signal_keeper(TERM).unwrap();
    scene.await_log("killing 'stubborn'");

    let file = scene.home.file("main.log");
    scene.wait("the end", || fs::read_to_string(&file).unwrap().contains("stopped: first"));
    let log = scene.log();
    let expected = [
        "WARN received SIGTERM indicating exit request\n",
        "DEBG killing last (pid ",
        "WARN stopped: last (terminated by SIGTERM)\n",
        "DEBG killing stubborn (pid ",
        "WARN killing 'stubborn' (",
        "with signal SIGKILL\n",
        "WARN stopped: stubborn (terminated by SIGKILL)\n",
        "DEBG killing first (pid ",
        "WARN stopped: first (terminated by SIGTERM)\n",
    ];
    let places: Vec<_> = expected.iter().map(|words| log.find(words)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{log}");
    assert_eq!(log.matches("INFO waiting for first, stubborn, last to die\n").count(), 1, "{log}");
    scene.expect_good_end();
}

#[test]
fn whoever_has_seen_the_pid_file_can_end_the_daemon() {
    for _ in 0..20 {
        let home = Home::new("test").unwrap();
        home.configure("", CAT).unwrap();
        let mut daemon = Daemon::spawn(executable(), &home).unwrap();
        // As soon as can be: it is still becoming the keeper then.
        let began = std::time::Instant::now();
        while !fs::read_to_string(home.file("s.pid")).is_ok_and(|text| text.ends_with('\n')) {
            assert!(began.elapsed() < home::PATIENCE, "{}", home.main_log());
            std::thread::yield_now();
        }

        daemon.signal_keeper(TERM).unwrap();

        assert_eq!(daemon.wait().unwrap().code(), Some(0), "{}", home.main_log());
        assert!(!home.file("s.pid").exists() && !home.file("s.sock").exists());
    }
}

#[test]
fn a_second_signal_during_the_end_changes_nothing() {
    let scene = open("", &stubborn(4));
    await_deaf(&scene);

    scene.daemon.signal_keeper(TERM).unwrap();
    scene.await_log("received SIGTERM indicating exit request");
    scene.daemon.signal_keeper(HUP).unwrap();
    scene.await_log("WARN ignored SIGHUP indicating restart request (shutdown in progress)\n");
    scene.daemon.signal_keeper(INT).unwrap();
    scene.await_log("received SIGINT indicating exit request");

    assert!(!scene.log().contains("stopped: stubborn"), "it has its time: {}", scene.log());
    scene.await_log("stopped: stubborn (terminated by SIGKILL)");
    assert_eq!(scene.log().matches("spawned: ").count(), 1, "{}", scene.log());
    scene.expect_good_end();
}

#[test]
fn a_stop_that_is_waited_for_goes_on_when_the_supervisor_has_died() {
    let scene = open("", &stubborn(2));
    let before = scene.process("stubborn");
    await_deaf(&scene);
    let stop = [bardo_wire::xmlrpc::Value::from("stubborn"), false.into()];

    scene.client().call("supervisor.stopProcess", &stop).unwrap();
    scene.daemon.kill_supervisor().unwrap();

    let after = scene.until("stubborn", "STOPPED");
    assert_eq!(after.exit_status, -1);
    assert!(procfs::stat(before.pid).is_none());
}

/// Starts another daemon with the configuration that is there now: its exit code and
/// what it says.
fn start_again(home: &Home) -> (Option<i32>, String) {
    let output = Command::new(executable())
        .args(["supervisord", "-n", "-c"])
        .arg(home.file("supervisord.conf"))
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn expect_unhurt(scene: &Scene, before: &bardo::selftest::client::Info) {
    let after = scene.client().info("cat").unwrap();
    assert_eq!(after, *before);
    assert!(after.stdout_log.exists() && after.stderr_log.exists(), "automatic logs are there");
    let pid = fs::read_to_string(scene.home.file("s.pid")).unwrap();
    assert_eq!(pid, format!("{}\n", scene.daemon.keeper()));
    scene.client().about("stopProcess", "cat").unwrap();
}

#[test]
fn a_second_daemon_of_the_same_configuration_is_refused() {
    let scene = open("", CAT);
    scene.process("cat");
    let before = scene.client().info("cat").unwrap();

    let (code, said) = start_again(&scene.home);

    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("Another program is already listening on a port"), "{said}");
    expect_unhurt(&scene, &before);
}

#[test]
fn a_second_daemon_is_refused_by_the_lock_too_and_leaves_nothing_behind() {
    let scene = open("", CAT);
    scene.process("cat");
    let before = scene.client().info("cat").unwrap();
    let path = scene.home.file("supervisord.conf");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("/s.sock", "/other.sock")).unwrap();

    let (code, said) = start_again(&scene.home);

    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("Another program is already listening on a port"), "{said}");
    assert!(!scene.home.file("other.sock").exists(), "its socket is left");
    expect_unhurt(&scene, &before);
}

#[test]
fn what_a_killed_daemon_has_left_is_no_hindrance() {
    let mut scene = open("", CAT);
    scene.process("cat");
    let left = scene.daemon.children();
    home::send(scene.daemon.keeper(), crate::scene::KILL).unwrap();
    scene.daemon.wait().unwrap();
    // Without a keeper the supervisor ends, and cat when its standard input does.
    for child in left {
        scene.wait("the children's end", || {
            let now = procfs::stat(child.pid).filter(Stat::is_alive);
            now.is_none_or(|now| now.started != child.started)
        });
    }

    let again = Daemon::start(executable(), &scene.home).unwrap();

    assert_ne!(again.keeper(), scene.daemon.keeper());
    assert_eq!(again.client().state().unwrap(), "RUNNING");
}

#[test]
fn once_the_pid_file_is_gone_the_same_daemon_can_be_started() {
    let home = Home::new("again").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let more = format!("{CAT}[inet_http_server]\nport=127.0.0.1:{port}\n");
    home.configure("", &more).unwrap();
    let mut daemon = Daemon::start(executable(), &home).unwrap();
    for _ in 0..10 {
        // Somebody who is still connected does not hold the port.
        let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        daemon.signal_keeper(TERM).unwrap();
        home::wait_until("the end of the pid file", || !home.file("s.pid").exists()).unwrap();

        let next = Daemon::start(executable(), &home).unwrap();

        assert_eq!(daemon.wait().unwrap().code(), Some(0));
        daemon = next;
        let pid = fs::read_to_string(home.file("s.pid")).unwrap();
        assert_eq!(pid.trim(), daemon.keeper().to_string(), "the last one took its own file");
    }
}
