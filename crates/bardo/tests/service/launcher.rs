//! `bardo run`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bardo::selftest::client::Client;
use bardo::selftest::home::{self, Home};
use bardo_sys::accounts;

use super::scene::{Output, code, everybodys, executable, scene, send};

const HUP: i32 = 1;
const INT: i32 = 2;

/// A supervisor on the embedded configuration, for somebody who is not root.
struct Launched {
    child: Child,
    home: Home,
}

impl Drop for Launched {
    fn drop(&mut self) {
        // It has no programs: the keeper takes its supervisor along.
        let _ = send(self.child.id(), INT);
        let _ = self.child.wait();
    }
}

/// Lets a command run as somebody who is not root, with a runtime folder of his own. None
/// where there is nobody, or he may not execute the program that is tested.
fn as_somebody(command: &mut Command, runtime: &Path) -> Option<()> {
    command.env("XDG_RUNTIME_DIR", runtime);
    if !rustix::process::geteuid().is_root() {
        return Some(());
    }
    let nobody = accounts::user_by_name("nobody")?;
    everybodys()?;
    chown(runtime, Some(nobody.uid), Some(nobody.gid)).unwrap();
    command.uid(nobody.uid).gid(nobody.gid);
    Some(())
}

fn launch() -> Option<Launched> {
    let home = Home::new("run").unwrap();
    let console = fs::File::create(home.file("console")).unwrap();
    let mut command = Command::new(executable());
    command.arg("run").stdin(Stdio::null()).stdout(console.try_clone().unwrap()).stderr(console);
    as_somebody(&mut command, home.path())?;
    command.process_group(0);
    let child = command.spawn().unwrap();
    let launched = Launched { child, home };
    let socket = launched.home.file("bardo/bardo.sock");
    let listens = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    if let Err(error) = home::wait_until("a supervisor that listens", listens) {
        panic!("{error}: {}", launched.said());
    }
    Some(launched)
}

impl Launched {
    fn said(&self) -> String {
        fs::read_to_string(self.home.file("console")).unwrap()
    }
}

#[test]
fn it_needs_no_configuration_and_says_how_to_go_on() {
    let Some(launched) = launch() else { return };

    let client = Client::new(&launched.home.file("bardo/bardo.sock"));
    assert!(client.infos().unwrap().is_empty());
    let said = launched.said();
    assert!(said.contains("service up /path/to/program"), "{said}");
}

#[test]
fn with_a_configuration_it_says_where_to_ask() {
    let scene = scene();

    let said = fs::read_to_string(scene.home.file("console")).unwrap();

    let socket = scene.home.file("s.sock");
    let command = format!("service --socket {} up /path/to/program", socket.display());
    assert!(said.contains(&command), "{said}");
}

#[test]
fn a_second_one_in_the_same_place_is_refused() {
    let Some(launched) = launch() else { return };

    let mut command = Command::new(executable());
    as_somebody(command.arg("run"), launched.home.path()).unwrap();
    let second = Output::of(&mut command).ends_with(2);

    let first = launched.child.id();
    assert!(second.stderr.contains(&format!("(process {first})")), "{second:?}");
    assert!(second.stderr.contains("bardo.sock"), "{second:?}");
}

#[test]
fn a_shutdown_ends_it_with_0_and_a_restart_with_1() {
    for (method, expected) in [("shutdown", 0), ("restart", 1)] {
        let mut scene = scene();

        scene.client().call(&format!("supervisor.{method}"), &[]).unwrap();

        let status = scene.daemon.wait().unwrap();
        assert_eq!(code(status), expected, "{method}\n{}", scene.log());
        assert!(!scene.home.file("s.sock").exists(), "{method}");
    }
}

#[test]
fn a_restart_is_remembered_by_the_supervisor_that_finishes_it() {
    let mut scene = super::scene::open(
        "[program:slow]\ncommand=/bin/sh -c \"trap 'read line <{here}/gate; exit' TERM; \
         echo >{here}/up; while :; do read line <{here}/never; done\"\n\
         startsecs=0\nstopwaitsecs=60\n",
    );
    for name in ["gate", "never"] {
        let made = Command::new("mkfifo").arg(scene.home.file(name)).status().unwrap();
        assert!(made.success());
    }
    scene.wait("the program", || scene.home.file("up").exists());
    scene.client().call("supervisor.restart", &[]).unwrap();

    scene.daemon.kill_supervisor().unwrap();
    // A fifo that is open for both never lets us wait.
    let mut gate = fs::File::options().read(true).write(true).open(scene.home.file("gate"));
    gate.as_mut().unwrap().write_all(b"go\n").unwrap();

    let status = scene.daemon.wait().unwrap();
    assert_eq!(code(status), 1, "{}", scene.log());
}

#[test]
fn sighup_begins_anew_without_an_end() {
    let scene = scene();

    scene.daemon.signal_keeper(HUP).unwrap();

    scene.wait("a second beginning", || {
        scene.log().matches("supervisord started with pid").count() == 2
    });
    scene.wait("an answer", || scene.client().state().is_ok());
}
