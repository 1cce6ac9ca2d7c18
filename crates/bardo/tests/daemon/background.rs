//! A daemon that goes to the background: what whoever started it is told, and what it is
//! then.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use bardo::selftest::client::Client;
use bardo::selftest::home::{self, Home};
use bardo::selftest::procfs::{self, Stat};

use crate::scene::{CAT, KILL, STOP, TERM, executable};

/// A daemon in the background. Nothing of it is left when it is dropped.
pub(crate) struct Background {
    pub(crate) home: Home,
    pub(crate) keeper: Stat,
}

fn start(home: &Home) -> Output {
    Command::new(executable())
        .args(["supervisord", "-c"])
        .arg(home.file("supervisord.conf"))
        .current_dir(home.path())
        .output()
        .unwrap()
}

fn open(more: &str) -> Background {
    let home = Home::new("background").unwrap();
    home.configure(more, CAT).unwrap();

    let output = start(&home);

    let said = (output.status.code(), &*output.stdout, &*output.stderr);
    assert_eq!(said, (Some(0), b"".as_slice(), b"".as_slice()));
    Background::of(home)
}

impl Background {
    /// The one that answers in this folder.
    pub(crate) fn of(home: Home) -> Self {
        let client = Client::new(&home.file("s.sock"));
        let pid = client.call("supervisor.getPID", &[]).unwrap().as_int().unwrap();
        let keeper = procfs::stat(u32::try_from(pid).unwrap()).unwrap();
        Self { home, keeper }
    }

    fn link(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.keeper.pid);
        fs::read_link(path).unwrap().display().to_string()
    }

    fn is_there(&self) -> bool {
        let now = procfs::stat(self.keeper.pid).filter(Stat::is_alive);
        now.is_some_and(|now| now.started == self.keeper.started)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !self.is_there() {
            return;
        }
        // While the keeper is stopped none of its children is reaped, and none is born
        // once the supervisor is gone: the second list is complete.
        let _ = home::send(self.keeper.pid, STOP);
        for child in [(); 2].into_iter().flat_map(|()| procfs::children(self.keeper.pid)) {
            let _ = home::send(child.pid, KILL);
        }
        let _ = home::send(self.keeper.pid, KILL);
    }
}

#[test]
fn it_answers_once_whoever_started_it_is_told_that_all_is_well() {
    // Asked once, and at once, in there.
    let daemon = open("directory=/\numask=027");

    assert_eq!(daemon.keeper.session, daemon.keeper.pid, "it leads a session");
    assert_eq!(daemon.link("cwd"), "/");
    assert_eq!(procfs::status(daemon.keeper.pid, "Umask").as_deref(), Some("0027"));
    for number in 0..3 {
        assert_eq!(daemon.link(&format!("fd/{number}")), "/dev/null");
    }
    let pid = fs::read_to_string(daemon.home.file("s.pid")).unwrap();
    assert_eq!(pid, format!("{}\n", daemon.keeper.pid));
    let lines = ["INFO daemonizing the supervisord process\n", "INFO set current directory: '/'\n"];
    home::wait_until("the lines of the start", || {
        let log = daemon.home.main_log();
        let places = lines.map(|line| log.find(line));
        places.iter().all(Option::is_some) && places.is_sorted()
    })
    .unwrap();

    home::send(daemon.keeper.pid, TERM).unwrap();

    let pidfile = daemon.home.file("s.pid");
    home::wait_until("the pid file to go", || !pidfile.exists()).unwrap();
    let log = daemon.home.main_log();
    assert!(log.contains("stopped: cat"), "who waits for that finds all in the log: {log}");
    home::wait_until("its end", || !daemon.is_there()).unwrap();
    assert!(!daemon.home.file("s.sock").exists());
}

#[test]
fn whoever_starts_it_is_told_when_an_address_cannot_be_had() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let home = Home::new("background").unwrap();
    home.configure("", &format!("{CAT}[inet_http_server]\nport=127.0.0.1:{port}\n")).unwrap();

    let output = start(&home);

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("Error: Another program is already listening on a port"), "{said}");
    assert!(!home.main_log().contains("daemonizing"), "{}", home.main_log());
    assert!(!Path::new(&home.file("s.pid")).exists());
}
