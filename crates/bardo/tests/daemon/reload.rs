//! What a restart and a reread take up of a file that has changed, and what they do
//! not do to those that go on.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bardo::selftest::client::Client;
use bardo::selftest::home;
use bardo_wire::xmlrpc::Value;

use crate::background::Background;
use crate::scene::{CAT, HUP, Scene, TERM, open};

/// Changes the configuration file.
fn edit(scene: &Scene, change: impl FnOnce(String) -> String) {
    let path = scene.home.file("supervisord.conf");
    let text = change(fs::read_to_string(&path).unwrap());
    fs::write(&path, text).unwrap();
}

fn replace(scene: &Scene, from: &str, to: &str) {
    edit(scene, |text| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text.replace(from, to)
    });
}

fn add(scene: &Scene, more: &str) {
    edit(scene, |text| text + "\n" + more);
}

/// Restarts, and waits until the programs are there again.
fn restart(scene: &Scene) {
    let before = scene.process("cat");
    scene.daemon.signal_keeper(HUP).unwrap();
    scene.wait("another cat", || {
        let info = scene.client().info("cat");
        info.is_ok_and(|info| info.state == "RUNNING" && info.pid != before.pid)
    });
}

fn identifier(client: &Client) -> Option<String> {
    let answer = client.call("supervisor.getIdentification", &[]).ok()?;
    answer.as_str().map(str::to_owned)
}

fn listens(path: &PathBuf) -> bool {
    UnixStream::connect(path).is_ok()
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn http_status(port: u16, authorization: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let request =
        format!("GET /ok.html HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let answer = std::io::read_to_string(stream).ok()?;
    answer.split(' ').nth(1).map(str::to_owned)
}

#[test]
fn a_restart_takes_up_the_section_of_the_daemon() {
    let scene = open("", CAT);
    scene.process("cat");
    let logs = scene.home.file("logs");
    fs::create_dir(&logs).unwrap();
    let leftover = logs.join("old-stdout---renamed-abcdefgh.log");
    fs::write(&leftover, "old").unwrap();
    let here = scene.home.path().display().to_string();
    replace(&scene, &format!("childlogdir={here}"), &format!("childlogdir={here}/logs"));
    replace(&scene, "s.pid", "t.pid");
    replace(
        &scene,
        "[rpcinterface",
        "identifier=renamed\nloglevel=debug\nenvironment=SEEN=\"yes\"\n[rpcinterface",
    );

    restart(&scene);

    assert_eq!(identifier(scene.client()).as_deref(), Some("renamed"));
    let pid = fs::read_to_string(scene.home.file("t.pid")).unwrap();
    assert_eq!(pid, format!("{}\n", scene.daemon.keeper()));
    scene.wait("the old pid file to go", || !scene.home.file("s.pid").exists());
    scene.process("cat");
    let info = scene.client().info("cat").unwrap();
    assert!(info.stdout_log.starts_with(&logs), "{info:?}");
    assert!(info.stdout_log.to_string_lossy().contains("---renamed-"), "{info:?}");
    scene.wait("what former runs have left to go", || !leftover.exists());
    let environment = fs::read(format!("/proc/{}/environ", info.pid)).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("SEEN=yes\0"), "{environment}");
    scene.client().about("stopProcess", "cat").unwrap();
    scene.await_log("DEBG killing cat");
    let log = scene.log();
    let started = format!("supervisord started with pid {}", scene.daemon.keeper());
    assert_eq!(log.matches(&started).count(), 2, "{log}");
    assert!(log.find("stopped: cat") < log.rfind(&started), "{log}");
    scene.daemon.signal_keeper(TERM).unwrap();
    let files = ["t.pid"].map(|name| scene.home.file(name));
    scene.expect_good_end();
    assert!(files.iter().all(|file| !file.exists()));
}

#[test]
fn a_restart_begins_another_main_log() {
    let scene = open("", CAT);
    scene.process("cat");
    replace(&scene, "main.log", "other.log");
    replace(&scene, "logfile_maxbytes=0", "logfile_maxbytes=600\nlogfile_backups=1\nloglevel=warn");

    scene.daemon.signal_keeper(HUP).unwrap();

    let other = || fs::read_to_string(scene.home.file("other.log")).unwrap_or_default();
    scene.wait("the other log", || other().contains("running without any HTTP authentication"));
    let log = scene.log();
    assert!(log.ends_with("WARN stopped: cat (terminated by SIGTERM)\n"), "{log}");
    assert!(!other().contains("INFO"), "{}", other());
    let read = || scene.client().call("supervisor.readLog", &[Value::Int(0), Value::Int(0)]);
    assert!(read().unwrap().as_str().unwrap().contains("running without any"));
    // It rotates as it is told now, and the next supervisor writes on there.
    for _ in 0..8 {
        let cat = scene.process("cat");
        home::send(cat.pid, crate::scene::KILL).unwrap();
        scene.wait("another cat", || scene.client().info("cat").is_ok_and(|i| i.pid != cat.pid));
    }
    scene.wait("a backup", || scene.home.file("other.log.1").exists());
    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();
    scene.wait("the next supervisor's words", || other().contains("has taken over"));
    assert_eq!(scene.log(), log);
}

#[test]
fn the_command_line_counts_more_than_the_file_after_a_restart_too() {
    let scene = crate::scene::open_with("", CAT, |command| {
        command.args(["-i", "told"]);
    });
    scene.process("cat");
    replace(&scene, "[rpcinterface", "identifier=written\n[rpcinterface");

    restart(&scene);

    assert_eq!(identifier(scene.client()).as_deref(), Some("told"));
}

#[test]
fn a_restart_opens_and_closes_servers() {
    let scene = open("", CAT);
    scene.process("cat");
    let (first, second) = (free_port(), scene.home.file("second.sock"));
    let server = format!("[unix_http_server:second]\nfile={}\nchmod=0770\n", second.display());
    add(&scene, &format!("[inet_http_server]\nport=127.0.0.1:{first}\n{server}"));

    restart(&scene);
    assert_eq!(http_status(first, "").as_deref(), Some("200"));
    assert_eq!(identifier(&Client::new(&second)).as_deref(), Some("supervisor"));
    assert_eq!(fs::metadata(&second).unwrap().permissions().mode() & 0o777, 0o770);

    // Another password, another mode, and the same port at every address.
    replace(&scene, "chmod=0770", "chmod=0700");
    let all = format!("port=*:{first}\nusername=u\npassword=p");
    replace(&scene, &format!("port=127.0.0.1:{first}"), &all);
    restart(&scene);
    scene.wait("the password to be asked for", || http_status(first, "").as_deref() == Some("401"));
    let known = "Authorization: Basic dTpw\r\n";
    assert_eq!(http_status(first, known).as_deref(), Some("200"));
    assert_eq!(fs::metadata(&second).unwrap().permissions().mode() & 0o777, 0o700);

    replace(&scene, &server.replace("0770", "0700"), "");
    replace(&scene, &format!("[inet_http_server]\n{all}"), "");
    restart(&scene);
    scene.wait("the servers to be closed", || {
        !second.exists() && TcpStream::connect(("127.0.0.1", first)).is_err()
    });

    scene.daemon.signal_keeper(TERM).unwrap();
    scene.expect_good_end();
}

#[test]
fn a_password_counts_at_once_for_those_who_are_in() {
    let scene = open("", CAT);
    scene.process("cat");
    let mut there = UnixStream::connect(scene.home.file("s.sock")).unwrap();
    let request = "GET /ok.html HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut ask = || {
        use std::io::Read as _;
        there.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            there.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.split_once("content-length: ").unwrap().1.lines().next().unwrap();
        there.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
        head[.."http/1.1 200".len()].to_owned()
    };
    assert_eq!(ask(), "http/1.1 200");
    replace(&scene, "s.sock\n", "s.sock\nusername=u\npassword=p\n");

    scene.daemon.signal_keeper(HUP).unwrap();
    scene.wait("the restart", || scene.log().matches("supervisord started").count() == 2);

    assert_eq!(ask(), "http/1.1 401");
}

#[test]
fn a_server_that_stays_is_never_away() {
    let scene = open("", CAT);
    scene.process("cat");
    let over = Arc::new(AtomicBool::new(false));
    let (path, end) = (scene.home.file("s.sock"), Arc::clone(&over));
    let knocking = std::thread::spawn(move || {
        let mut refused = 0;
        while !end.load(Ordering::Relaxed) {
            refused += u32::from(!listens(&path));
        }
        refused
    });

    for _ in 0..3 {
        restart(&scene);
    }

    over.store(true, Ordering::Relaxed);
    assert_eq!(knocking.join().unwrap(), 0);
}

#[test]
fn a_socket_file_that_somebody_has_removed_is_there_again() {
    let scene = open("", CAT);
    let before = scene.process("cat");
    fs::remove_file(scene.home.file("s.sock")).unwrap();

    scene.daemon.signal_keeper(HUP).unwrap();

    scene.wait("another cat", || {
        scene.client().info("cat").is_ok_and(|info| info.pid != before.pid && info.pid != 0)
    });
}

/// Restarts with a file that cannot be taken up: nothing happens, and the log says why.
fn expect_refusal(scene: &Scene, words: &str) {
    let before = scene.process("cat");
    let said = scene.log().matches(words).count();

    scene.daemon.signal_keeper(HUP).unwrap();

    let refusal = "ERRO not restarted, everything goes on as it was: ";
    scene.wait("the refusal", || {
        let log = scene.log();
        log.contains(refusal) && log.matches(words).count() > said
    });
    assert_eq!(scene.process("cat").identity(), before.identity());
    assert_eq!(scene.client().state().unwrap(), "RUNNING");
}

#[test]
fn a_socket_in_use_is_not_opened_to_all_before_its_rules_hold() {
    let scene = open("", CAT);
    scene.process("cat");
    let socket = scene.home.file("s.sock");
    let file = format!("file={}", socket.display());

    replace(&scene, &file, &format!("{file}\nchmod=0777\nopen_to=owner"));
    expect_refusal(&scene, "open_to of [unix_http_server] cannot be changed");

    assert_eq!(fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_restart_that_cannot_be_is_refused_before_anything_stops() {
    let scene = open("", CAT);
    scene.process("cat");
    let good = fs::read_to_string(scene.home.file("supervisord.conf")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let extra = scene.home.file("extra.sock");
    let server = format!("[unix_http_server:extra]\nfile={}\n", extra.display());

    for (more, words) in [
        ("[program:x]\nautostart=true\n".to_owned(), "does not specify a command"),
        (format!("[inet_http_server]\nport=127.0.0.1:{port}\n{server}"), "already listening"),
        (format!("{server}[unix_http_server:zz]\nfile=/no/such/x.sock\n"), "errno.ENOENT (2)"),
        (
            format!("{server}[unix_http_server:twice]\nfile={}\n", extra.display()),
            "already listening",
        ),
        ("[supervisord]\nlogfile=/proc/nothing\n".to_owned(), "open the main log"),
        (
            "[supervisord]\nrequire_password=true\n[inet_http_server]\nport=1\n".to_owned(),
            "section [inet_http_server] has no user name and password",
        ),
        (
            "[rpcinterface:supervisor]\nfoo=bar\n".to_owned(),
            "Could not make supervisor rpc interface",
        ),
    ] {
        edit(&scene, |_| good.clone() + "\n" + &more);
        expect_refusal(&scene, words);
        assert!(!extra.exists(), "what was opened for {more} is left");
    }

    edit(&scene, |_| good.clone());
    restart(&scene);
}

#[test]
fn a_restart_outlives_the_supervisor_at_any_instant() {
    let scene = open("", CAT);
    let mut before = scene.process("cat");
    for round in 0..12_u32 {
        // Two take turns, so that each restart opens one and closes the other. So do two
        // pid files.
        let socket = |round: u32| scene.home.file(&format!("{}.sock", round % 2));
        let pidfile = |round: u32| if round.is_multiple_of(2) { "t.pid" } else { "s.pid" };
        edit(&scene, |text| {
            let kept = text.split("\n[unix_http_server:turn").next().unwrap().to_owned();
            let kept = kept.replace(&format!("identifier=round{}\n", round.wrapping_sub(1)), "");
            let kept = kept.replace(pidfile(round + 1), pidfile(round));
            kept.replace("[supervisord]\n", &format!("[supervisord]\nidentifier=round{round}\n"))
                + &format!("\n[unix_http_server:turn]\nfile={}\n", socket(round).display())
        });

        scene.daemon.signal_keeper(HUP).unwrap();
        // Each time at another instant; on some machine at every one that matters.
        (0..round * 150).for_each(|_| std::thread::yield_now());
        scene.daemon.kill_supervisor().unwrap();

        let expected = format!("round{round}");
        scene.wait("the new settings", || identifier(scene.client()).as_deref() == Some(&expected));
        scene.wait("the new server alone", || {
            listens(&socket(round)) && !socket(round + 1).exists()
        });
        scene.wait("the new pid file alone", || {
            let exists = |round| scene.home.file(pidfile(round)).exists();
            exists(round) && !exists(round + 1)
        });
        let after = scene.process("cat");
        assert_ne!(after.identity(), before.identity());
        before = after;
    }
    scene.daemon.signal_keeper(TERM).unwrap();
    let sockets = ["0.sock", "1.sock"].map(|name| scene.home.file(name));
    scene.expect_good_end();
    assert!(sockets.iter().all(|path| !path.exists()), "a socket file is left");
}

/// The supervisor that is loading the configuration and is not `former`.
fn loading(scene: &Scene, former: Option<u32>) -> u32 {
    let mut found = None;
    scene.wait("a supervisor that loads", || {
        found = scene.daemon.supervisor().map(|supervisor| supervisor.pid);
        found.is_some_and(|pid| found != former && has_thread(pid, "load"))
    });
    found.unwrap()
}

fn has_thread(pid: u32, name: &str) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let names = tasks.flatten().map(|task| fs::read_to_string(task.path().join("comm")));
    names.flatten().any(|comm| comm.trim_end() == name)
}

#[test]
fn a_restart_that_two_supervisors_have_died_of_is_given_up() {
    let scene = open("", CAT);
    let cat = scene.process("cat");
    // Whoever reads this waits for ever.
    let included = scene.home.file("included.conf");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &included, kind, 0o600.into(), 0).unwrap();
    add(&scene, &format!("[include]\nfiles={}\n", included.display()));

    scene.daemon.signal_keeper(HUP).unwrap();
    let first = loading(&scene, None);
    scene.daemon.kill_supervisor().unwrap();
    let second = loading(&scene, Some(first));
    scene.daemon.kill_supervisor().unwrap();

    scene.await_log("CRIT not restarted, everything goes on as it was: 2 supervisors have ended");
    let third = scene.supervisor().pid;
    assert!(![first, second].contains(&third));
    assert!(!has_thread(third, "load"));
    // It is not tried by the next one, and somebody who asks anew is heard.
    scene.daemon.kill_supervisor().unwrap();
    assert!(!has_thread(scene.supervisor().pid, "load"));
    assert_eq!(scene.process("cat").identity(), cat.identity());
    assert_eq!(scene.log().matches("CRIT not restarted").count(), 1);
    fs::remove_file(&included).unwrap();
    restart(&scene);
}

/// A program that takes no notice of the signal and ends when it is let go.
const STUBBORN: &str = "[program:stubborn]\ncommand=/bin/sh -c 'trap \"\" TERM; : >{here}/deaf; \
                        while [ ! -e {here}/go ]; do sleep 0.02; done'\nstartsecs=0\n\
                        stopwaitsecs=600\npriority=1\n";

#[test]
fn a_shutdown_wins_over_a_restart_and_leaves_nothing_of_it() {
    let scene = open("", &(STUBBORN.to_owned() + CAT));
    let deaf = scene.home.file("deaf");
    scene.wait("a program that does not heed the signal", || deaf.exists());
    let extra = scene.home.file("extra.sock");
    add(&scene, &format!("[unix_http_server:extra]\nfile={}\n", extra.display()));
    replace(&scene, "s.pid", "t.pid");
    scene.daemon.signal_keeper(HUP).unwrap();
    scene.await_log("waiting for ");
    assert!(extra.exists(), "it is opened before anything stops");

    scene.daemon.signal_keeper(TERM).unwrap();
    scene.await_log("received SIGTERM");
    scene.daemon.signal_keeper(HUP).unwrap();

    scene.await_log("ignored SIGHUP indicating restart request (shutdown in progress)");
    fs::write(scene.home.file("go"), "").unwrap();
    let pidfile = scene.home.file("t.pid");
    scene.expect_good_end();
    assert!(!extra.exists() && !pidfile.exists(), "something of the restart is left");
}

#[test]
fn automatic_logs_go_with_their_group() {
    let scene = open("", &(CAT.to_owned() + "stderr_logfile={here}/kept.log\n"));
    scene.process("cat");
    let info = scene.client().info("cat").unwrap();
    assert!(info.stdout_log.exists());
    scene.client().about("stopProcess", "cat").unwrap();

    scene.client().about("removeProcessGroup", "cat").unwrap();

    scene.wait("the end of its automatic log", || !info.stdout_log.exists());
    assert!(info.stderr_log.exists(), "a log that the file names stays");
}

#[test]
fn a_reread_takes_up_names_and_logs_at_once_and_no_servers() {
    let scene = open("", CAT);
    scene.process("cat");
    let extra = scene.home.file("extra.sock");
    let logs = scene.home.file("logs");
    fs::create_dir(&logs).unwrap();
    let here = scene.home.path().display().to_string();
    add(&scene, &format!("[unix_http_server:extra]\nfile={}\n", extra.display()));
    add(&scene, "[program:more]\ncommand=/bin/cat\n");
    replace(&scene, &format!("childlogdir={here}"), &format!("childlogdir={here}/logs"));
    replace(&scene, "[supervisord]\n", "[supervisord]\nidentifier=renamed\n");

    let answer = scene.client().call("supervisor.reloadConfig", &[]).unwrap();

    let added = answer.as_array().and_then(|all| all[0].as_array()?[0].as_array()?.first());
    assert_eq!(added.and_then(Value::as_str), Some("more"));
    assert_eq!(identifier(scene.client()).as_deref(), Some("renamed"));
    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();
    assert_eq!(identifier(scene.client()).as_deref(), Some("renamed"));
    scene.client().about("addProcessGroup", "more").unwrap();
    let info = scene.client().info("more").unwrap();
    assert!(info.stdout_log.starts_with(&logs), "{info:?}");
    assert!(info.stdout_log.to_string_lossy().contains("---renamed-"), "{info:?}");
    assert!(!extra.exists());
}

#[test]
fn a_reread_decides_about_escape_sequences_of_those_that_run() {
    let red = "[program:cat]\nstartsecs=0\nstdout_logfile={here}/cat.log\n\
               command=/bin/sh -c 'while read line; do printf \"\\033[31mred\\n\"; done'\n";
    let scene = open("", red);
    let before = scene.process("cat");
    let log = || fs::read_to_string(scene.home.file("cat.log")).unwrap_or_default();
    for (from, to, said) in [
        ("[supervisord]\n", "[supervisord]\nstrip_ansi=true\n", "red"),
        ("strip_ansi=true", "strip_ansi=false", "\x1b[31mred"),
    ] {
        replace(&scene, from, to);
        scene.client().call("supervisor.reloadConfig", &[]).unwrap();

        // What is on its way already may come as it was.
        scene.wait("a line in its new shape", || {
            let text = [Value::from("cat"), Value::from("a line\n")];
            scene.client().call("supervisor.sendProcessStdin", &text).unwrap();
            log().lines().last() == Some(said)
        });
    }
    assert_eq!(scene.process("cat").identity(), before.identity());
}

#[test]
fn relative_paths_of_the_file_lead_on_from_where_the_daemon_was_started() {
    let home = home::Home::new("relative").unwrap();
    let here = home.path().display().to_string();
    home.configure("directory=/", CAT).unwrap();
    let path = home.file("supervisord.conf");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&format!("={here}/main.log"), "=main.log")).unwrap();
    let started = std::process::Command::new(crate::scene::executable())
        .args(["supervisord", "-c", "supervisord.conf", "-j", "s.pid"])
        .current_dir(home.path())
        .status()
        .unwrap();
    assert_eq!(started.code(), Some(0), "the sockets are open when it returns");
    let daemon = Background::of(home);
    let home = &daemon.home;
    let client = Client::new(&home.file("s.sock"));
    assert_eq!(client.state().unwrap(), "RUNNING");

    client.call("supervisor.reloadConfig", &[]).unwrap();
    let log = || client.call("supervisor.readLog", &[Value::Int(0), Value::Int(0)]).unwrap();
    assert!(log().as_str().unwrap().contains("daemonizing"));
    client.call("supervisor.restart", &[]).unwrap();

    let starts = || home.main_log().matches("started with").count();
    home::wait_until("the restart", || starts() == 2).unwrap();
    assert!(log().as_str().unwrap().contains("daemonizing"));
    client.call("supervisor.shutdown", &[]).unwrap();
    home::wait_until("the end", || !home.file("s.pid").exists()).unwrap();
}
