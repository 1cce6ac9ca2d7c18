//! A daemon that a service manager has started.

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use bardo::daemon::handover;
use bardo::daemon::managed::folder;
use bardo::selftest::home::{self, Daemon, Home, send, wait_until, write_executable};
use bardo::selftest::procfs;

use bardo_keeper::protocol::Roles;

use crate::background::Background;
use crate::scene::{CAT, HUP, KILL, Scene, TERM, executable};

/// A service of a name of its own.
pub(crate) struct Managed {
    pub(crate) scene: Scene,
    pub(crate) name: String,
}

/// What is there once for each name.
pub(crate) fn place(home: &Home, name: &str) -> PathBuf {
    if rustix::process::geteuid().is_root() {
        PathBuf::from("/run").join(name)
    } else {
        home.path().join(name)
    }
}

pub(crate) fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("bardo-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A service with this configuration, with something changed about how it is started.
pub(crate) fn manage(
    more: &str,
    programs: &str,
    change: impl FnOnce(&Home, &mut Command),
) -> Managed {
    let home = Home::new("managed").unwrap();
    let here = home.path().display().to_string();
    home.configure(more, &programs.replace("{here}", &here)).unwrap();
    let name = new_name();
    let words = ["--service-run", &name, "--config"];
    let daemon = Daemon::start_as(&words, executable(), &home, |command| {
        command.env("XDG_RUNTIME_DIR", home.path()).env_remove("RUNTIME_DIRECTORY");
        change(&home, command);
    });
    Managed { scene: Scene { daemon: daemon.unwrap(), home }, name }
}

impl Managed {
    /// Kills the keeper and has another one come, as a manager without a store does.
    pub(crate) fn kill_keeper(&mut self) {
        let former = self.scene.daemon.supervisor().map_or(0, |stat| stat.pid);
        let home = &self.scene.home;
        send(self.scene.daemon.keeper(), KILL).unwrap();
        self.scene.daemon.wait().unwrap();
        let words = ["--service-run", &self.name, "--config"];
        // It needs no configuration any more.
        let _ = fs::write(home.file("supervisord.conf"), "[nonsense");
        self.scene.daemon = Daemon::start_as(&words, executable(), home, |command| {
            command.env("XDG_RUNTIME_DIR", home.path()).env_remove("RUNTIME_DIRECTORY");
        })
        .unwrap();
        // The former one answers until it has handed over all.
        let said = || fs::read_to_string(home.file("console")).unwrap_or_default();
        let found = wait_until("the next one", || self.scene.daemon.supervisor().is_some());
        found.unwrap_or_else(|error| panic!("{error}: {}\n{}", said(), self.scene.log()));
        // Who has handed over all goes on where the next one is ended too early.
        let is_over = || procfs::stat(former).is_none_or(|stat| !stat.is_alive());
        wait_until("the end of the former one", is_over).unwrap();
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let place = place(&self.scene.home, &self.name);
        if procfs::stat(self.scene.daemon.keeper()).is_none_or(|keeper| !keeper.is_alive()) {
            // Nobody else ends what a killed keeper has left.
            let handed = handover::ask(&place).unwrap_or_default();
            for process in handed.held.iter().filter(|held| held.role == Roles::PROCESS) {
                let _ = bardo_sys::process::signal(process.descriptor.as_fd(), KILL);
            }
            let _ = handed.former.map(handover::Former::end);
        }
        let _ = fs::remove_dir_all(place);
    }
}

/// A service manager that listens.
pub(crate) struct Manager {
    pub(crate) socket: UnixDatagram,
}

impl Manager {
    pub(crate) fn new(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.file("notify")).unwrap();
        socket.set_read_timeout(Some(home::PATIENCE)).unwrap();
        Self { socket }
    }

    pub(crate) fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// Waits for a message with these words; all until then.
    pub(crate) fn until(&self, words: &str) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        while !all.last().is_some_and(|last| last.contains(words)) {
            all.push(self.next());
        }
        all
    }
}

#[test]
fn a_manager_is_told_when_all_is_ready_and_programs_cannot_speak_for_it() {
    let mut manager = None;
    let programs = "[program:env]\ncommand=/bin/sh -c 'env > {here}/new; mv {here}/new {here}/env; \
                    exec cat'\nstartsecs=0\n";
    let managed = manage("", programs, |home, command| {
        manager = Some(Manager::new(home));
        for name in ["WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "FDSTORE"] {
            command.env(name, "0");
        }
        command.env("WATCHDOG_PID", "1").env("NOTIFY_SOCKET", home.file("notify"));
    });
    let scene = &managed.scene;

    manager.unwrap().until("READY=1");

    let file = scene.home.file("env");
    scene.wait("its environment", || file.exists());
    let environment = fs::read_to_string(&file).unwrap();
    assert!(environment.contains("PWD="), "{environment}");
    let forbidden = ["NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "FDSTORE", "BARDO_STAGE"];
    for name in forbidden {
        assert!(!environment.contains(name), "{environment}");
    }
    let supervisor = scene.supervisor().pid;
    let inner = fs::read(format!("/proc/{supervisor}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&inner).contains("NOTIFY_SOCKET"));
}

#[test]
fn a_manager_is_told_how_all_is_and_that_the_keeper_works() {
    let mut manager = None;
    let programs = format!("{CAT}\n[program:gone]\ncommand=/nowhere/gone\nstartretries=0\n");
    let mut managed = manage("", &programs, |home, command| {
        manager = Some(Manager::new(home));
        command.env("NOTIFY_SOCKET", home.file("notify")).env("WATCHDOG_USEC", "60000");
    });
    let manager = manager.unwrap();

    let started = manager.until("STATUS=1 of 2 run; failed: gone");
    let has = |words: &str| started.iter().any(|said| said.starts_with(words));
    assert!(has("READY=1") && has("FDSTORE=1\nFDPOLL=0\nFDNAME=bardo-journal"), "{started:?}");
    manager.until("WATCHDOG=1");

    send(managed.scene.daemon.keeper(), HUP).unwrap();
    manager.until("RELOADING=1\nMONOTONIC_USEC=");
    manager.until("READY=1");

    send(managed.scene.daemon.keeper(), TERM).unwrap();
    let stopping = manager.until("FDSTOREREMOVE=1\nFDNAME=bardo-journal");
    let has = |words: &str| stopping.iter().any(|said| said.starts_with(words));
    assert!(has("STOPPING=1") && has("EXTEND_TIMEOUT_USEC="), "{stopping:?}");
    assert_eq!(managed.scene.daemon.wait().unwrap().code(), Some(0));
}

#[test]
fn it_ends_with_0_where_the_end_was_asked_for_and_with_1_where_a_restart_was() {
    for (signal, method, code) in [(Some(TERM), "", 0), (None, "shutdown", 0), (None, "restart", 1)]
    {
        let mut managed = manage("", CAT, |_, _| {});
        let place = place(&managed.scene.home, &managed.name);
        assert!(place.join("keeper.lock").exists());

        match signal {
            Some(signal) => send(managed.scene.daemon.keeper(), signal).unwrap(),
            None => {
                managed.scene.client().call(&format!("supervisor.{method}"), &[]).unwrap();
            }
        }

        let status = managed.scene.daemon.wait().unwrap();
        assert_eq!(status.code(), Some(code), "{method}");
        assert!(!place.exists(), "nothing is left");
    }
}

#[test]
fn of_one_name_there_is_one() {
    let managed = manage("", CAT, |_, _| {});
    let home = Home::new("managed").unwrap();
    home.configure("", CAT).unwrap();

    let second = Command::new(executable())
        .args(["--service-run", &managed.name, "--config"])
        .arg(home.file("supervisord.conf"))
        .env("XDG_RUNTIME_DIR", managed.scene.home.path())
        .env_remove("RUNTIME_DIRECTORY")
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(75), "{said}");
    assert!(said.contains("it runs already"), "{said}");
}

#[test]
fn in_the_background_it_is_ready_when_the_command_returns() {
    let home = Home::new("managed").unwrap();
    home.configure("", CAT).unwrap();
    let (name, pidfile) = (new_name(), home.file("service.pid"));
    let folder = home.path().to_owned();
    let start = |configuration: &str| {
        let mut command = Command::new(executable());
        command
            .args(["--service-run", &name, "--background", "--pidfile"])
            .arg(&pidfile)
            .arg("--config")
            .arg(folder.join(configuration))
            .env("XDG_RUNTIME_DIR", &folder)
            .env_remove("RUNTIME_DIRECTORY")
            .stdin(Stdio::null());
        command.output().unwrap()
    };
    fs::write(home.file("wrong.conf"), "[program:x]\n").unwrap();

    let refused = start("wrong.conf");
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert!(!refused.stderr.is_empty() && !pidfile.exists());

    let started = start("supervisord.conf");
    assert_eq!(started.status.code(), Some(0), "{started:?} {}", home.main_log());
    let service = Background::of(home);
    let home = &service.home;
    let keeper: u32 = fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
    let stat = procfs::stat(keeper).unwrap();
    assert!(stat.is_alive() && stat.pid != stat.group, "it leads no session: {stat:?}");
    let client = bardo::selftest::client::Client::new(&home.file("s.sock"));
    let state = client.info("cat").unwrap().state;
    assert!(["STARTING", "RUNNING"].contains(&&*state), "{state}");
    let again = start("supervisord.conf");
    assert_eq!(again.status.code(), Some(0), "it runs already, which is what was asked for");

    send(keeper, TERM).unwrap();
    wait_until("its end", || procfs::stat(keeper).is_none_or(|stat| !stat.is_alive())).unwrap();
    assert!(!pidfile.exists());
    let _ = fs::remove_dir_all(place(home, &name));
}

/// Writes numbered lines as fast as a shell does, until it is told to stop.
const LINES: &str = "[program:lines]\ncommand=/bin/sh -c 'i=0; while :; do i=$((i+1)); echo $i; \
                     done'\nstdout_logfile={here}/lines.log\nstdout_logfile_maxbytes=0\n\
                     startsecs=0\n";

#[test]
fn a_keeper_that_is_killed_takes_nobody_along_and_no_byte() {
    let mut managed = manage("", &format!("{CAT}\n{LINES}"), |_, _| {});
    let programs = ["cat", "lines"].map(|name| managed.scene.process(name).identity());
    let log = managed.scene.home.file("lines.log");
    let size = || fs::metadata(&log).map_or(0, |log| log.len());

    for _ in 0..3 {
        let before = size();
        managed.kill_keeper();
        managed.scene.wait("more lines", || size() > before);
        let now = ["cat", "lines"].map(|name| managed.scene.process(name).identity());
        assert_eq!(now, programs, "{}", managed.scene.log());
    }

    send(managed.scene.daemon.keeper(), TERM).unwrap();
    assert_eq!(managed.scene.daemon.wait().unwrap().code(), Some(0), "{}", managed.scene.log());
    assert_eq!(procfs::with_words(&managed.name), []);
    let lines = fs::read_to_string(&log).unwrap();
    let numbers = lines.lines().map(|line| line.parse::<usize>().unwrap());
    assert!(numbers.eq(1..=lines.lines().count()), "each line is there once");
}

#[test]
fn a_program_that_is_not_the_keepers_child_ends_like_any_other() {
    let programs = format!(
        "{CAT}\n[program:seven]\ncommand=/bin/sh -c 'read x; exit 7'\nstartsecs=0\n\
         autorestart=unexpected\nexitcodes=7\n"
    );
    let mut managed = manage("", &programs, |_, _| {});
    let before = managed.scene.process("cat");
    managed.scene.process("seven");

    managed.kill_keeper();

    let scene = &managed.scene;
    send(before.pid, KILL).unwrap();
    scene.wait("another cat", || {
        let now = scene.client().info("cat").ok().filter(|cat| cat.state == "RUNNING");
        now.is_some_and(|now| now.pid != before.pid && now.pid != 0)
    });
    scene.client().call("supervisor.sendProcessStdin", &["seven".into(), "\n".into()]).unwrap();
    // A kernel that does not tell how it has ended has it tried again.
    scene.wait("its end", || {
        let log = scene.log();
        log.contains("exited: seven (exit status 7; expected)")
            || log.contains("exited: seven (exit status unknown; not expected)")
    });
    // One that has been born since is the new keeper's.
    assert_eq!(scene.process("cat").parent, scene.daemon.keeper());
}

#[test]
fn who_asks_for_the_end_while_there_is_no_keeper_gets_it_with_the_next_one() {
    let mut managed = manage("", CAT, |_, _| {});
    let cat = managed.scene.process("cat");
    send(managed.scene.daemon.keeper(), KILL).unwrap();
    managed.scene.daemon.wait().unwrap();
    managed.scene.await_log("the keeper is gone: logs go on");
    assert!(procfs::stat(cat.pid).is_some_and(|stat| stat.is_alive()));

    managed.scene.client().call("supervisor.shutdown", &[]).unwrap();
    let words = ["--service-run", &managed.name, "--config"];
    let home = &managed.scene.home;
    managed.scene.daemon = Daemon::spawn_as(&words, executable(), home, |command| {
        command.env("XDG_RUNTIME_DIR", home.path()).env_remove("RUNTIME_DIRECTORY");
    })
    .unwrap();

    let code = managed.scene.daemon.wait().unwrap().code();
    assert_eq!(code, Some(0), "{}", managed.scene.log());
    assert!(procfs::stat(cat.pid).is_none_or(|stat| !stat.is_alive()));
}

#[test]
fn who_is_started_by_root_has_no_more_rights_than_whom_it_takes_over_from() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let more = "user=nobody";
    let mut manager = None;
    let mut managed = manage(more, CAT, |home, command| {
        std::os::unix::fs::chown(home.path(), Some(NOBODY), None).unwrap();
        manager = Some(Manager::new(home));
        fs::set_permissions(home.file("notify"), fs::Permissions::from_mode(0o777)).unwrap();
        command.env("NOTIFY_SOCKET", home.file("notify"));
    });
    manager.unwrap().until("READY=1");
    let told = folder::told(&place(&managed.scene.home, &managed.name));
    let is_noted = |file: &str| told.join(file).exists();
    assert!(is_noted(folder::READY) && is_noted(folder::RELOAD), "{}", managed.scene.log());
    fs::remove_dir_all(&told).unwrap();
    let cat = managed.scene.process("cat").identity();
    let user = |pid: u32| fs::metadata(format!("/proc/{pid}")).unwrap().uid();
    assert_eq!(user(managed.scene.daemon.keeper()), NOBODY);

    managed.kill_keeper();

    managed.scene.wait("the notes", || is_noted(folder::RELOAD));
    let scene = &managed.scene;
    assert_eq!(scene.process("cat").identity(), cat, "{}", scene.log());
    assert_eq!([scene.daemon.keeper(), scene.supervisor().pid].map(user), [NOBODY; 2]);
}

#[test]
fn a_folder_that_others_write_to_is_not_used() {
    let home = Home::new("managed").unwrap();
    home.configure("", CAT).unwrap();
    let name = new_name();
    let place = place(&home, &name);
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
    let run = |name: &str| {
        let mut command = Command::new(executable());
        command.args(["--service-run", name, "--config"]).arg(home.file("supervisord.conf"));
        command.env("XDG_RUNTIME_DIR", home.path()).env_remove("RUNTIME_DIRECTORY");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };

    let (code, said) = run(&name);

    let left: Vec<_> = fs::read_dir(&place).unwrap().flatten().collect();
    fs::remove_dir_all(&place).unwrap();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("others may write to it"), "{said}");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_end_that_crosses_the_kill_of_a_keeper_is_one_after_a_start() {
    let slow = "[program:slow]\nstopwaitsecs=60\nstartsecs=0\ncommand=/bin/sh -c 'trap : TERM; \
                : >{here}/deaf; while [ ! -e {here}/go ]; do sleep 0.01; done'\n";
    let mut manager = None;
    let mut managed = manage("", slow, |home, command| {
        manager = Some(Manager::new(home));
        command.env("NOTIFY_SOCKET", home.file("notify"));
    });
    let manager = manager.unwrap();
    let deaf = managed.scene.home.file("deaf");
    managed.scene.wait("a program that does not heed the signal", || deaf.exists());
    managed.scene.client().call("supervisor.shutdown", &[]).unwrap();
    manager.until("STOPPING=1");
    send(managed.scene.daemon.keeper(), KILL).unwrap();
    managed.scene.daemon.wait().unwrap();

    let words = ["--service-run", &managed.name, "--config"];
    let home = &managed.scene.home;
    managed.scene.daemon = Daemon::spawn_as(&words, executable(), home, |command| {
        command.env("XDG_RUNTIME_DIR", home.path()).env_remove("RUNTIME_DIRECTORY");
        command.env("NOTIFY_SOCKET", home.file("notify"));
    })
    .unwrap();

    let told = manager.until("STOPPING=1");
    assert!(told.iter().any(|told| told == "READY=1"), "{told:?}");
    fs::write(managed.scene.home.file("go"), "").unwrap();
    let code = managed.scene.daemon.wait().unwrap().code();
    assert_eq!(code, Some(0), "{}", managed.scene.log());
}

#[test]
fn the_end_of_a_script_is_heard_when_keeper_and_supervisor_were_killed_in_turn() {
    let programs = "[program:one]\ncommand=/bin/sh -c 'read x; exit 1'\nstartsecs=0\n\
                    autorestart=true\nrecovery_script={here}/script\nscript_timeout=1h\n";
    let script = "#!/bin/sh\necho $$ >${0%/*}/pid.new; mv ${0%/*}/pid.new ${0%/*}/pid\n\
                  while [ ! -e ${0%/*}/go ]; do sleep 0.01; done\n";
    let mut managed = manage("", programs, |home, _| {
        write_executable(&home.file("script"), script.as_bytes()).unwrap();
    });
    let file = managed.scene.home.file("pid");
    managed.scene.until("one", "RUNNING");
    let input = ["one".into(), "\n".into()];
    managed.scene.client().call("supervisor.sendProcessStdin", &input).unwrap();
    managed.scene.wait("the script", || file.exists());

    managed.kill_keeper();
    let scene = &managed.scene;
    scene.await_log("another one has come after it");
    let former = scene.supervisor();
    send(former.pid, KILL).unwrap();
    scene.wait("the next one", || scene.daemon.supervisor().is_some_and(|it| it.pid != former.pid));
    scene.await_log("this one has taken over");
    fs::write(scene.home.file("go"), "").unwrap();

    scene.await_log("its recovery script has ended and has decided nothing");
}
