//! A daemon in a folder of its own, and what a test does to it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use bardo::selftest::client::{Client, Info};
pub(crate) use bardo::selftest::home::stays;
use bardo::selftest::home::{self, Daemon, Home};
use bardo::selftest::procfs::{self, Stat};
use bardo_sys::accounts;

pub(crate) const HUP: i32 = 1;
pub(crate) const INT: i32 = 2;
pub(crate) const KILL: i32 = 9;
pub(crate) const USR2: i32 = 12;
pub(crate) const TERM: i32 = 15;
pub(crate) const CONT: i32 = 18;
pub(crate) const STOP: i32 = 19;

/// A program that does nothing until its standard input ends.
pub(crate) const CAT: &str = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n";

/// The daemon and its folder. The daemon goes first when they are dropped.
pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) home: Home,
}

/// The program that is tested.
pub(crate) fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bardo"))
}

/// Whether a process has executed a program and /proc shows all of it: the kernel gives it the
/// name first, then the command line, then the environment.
fn has_its_program(process: &Stat) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", process.pid));
    process.comm != home::SUPERVISOR_COMM && environment.is_ok_and(|bytes| !bytes.is_empty())
}

/// A daemon with these lines of `[supervisord]` and these programs. `{here}` is its
/// folder.
pub(crate) fn open(more: &str, programs: &str) -> Scene {
    open_with(more, programs, |_| {})
}

/// Like [`open`], with something changed about how it is started.
pub(crate) fn open_with(more: &str, programs: &str, change: impl FnOnce(&mut Command)) -> Scene {
    let home = Home::new("test").unwrap();
    let here = home.path().display().to_string();
    home.configure(more, &programs.replace("{here}", &here)).unwrap();
    let daemon = Daemon::start_with(executable(), &home, change).unwrap();
    Scene { daemon, home }
}

/// Something where everybody may execute the program that is tested.
pub(crate) fn everybodys() -> Option<()> {
    let is_open =
        |part: &Path| fs::metadata(part).is_ok_and(|there| there.permissions().mode() & 0o001 != 0);
    executable().ancestors().all(is_open).then_some(())
}

/// A daemon that root has started and that runs as nobody; `prepare` is told its folder
/// beforehand. None where there is no such user, or it may not execute the program.
pub(crate) fn open_as_nobody(programs: &str, prepare: impl FnOnce(&Home)) -> Option<Scene> {
    let nobody = accounts::user_by_name("nobody")?;
    everybodys()?;
    let home = Home::new("test").unwrap();
    prepare(&home);
    chown(home.path(), Some(nobody.uid), Some(nobody.gid)).unwrap();
    let here = home.path().display().to_string();
    let path = home.configure("user=nobody", &programs.replace("{here}", &here)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let daemon = Daemon::start(executable(), &home).unwrap();
    Some(Scene { daemon, home })
}

impl Scene {
    pub(crate) fn client(&self) -> &Client {
        self.daemon.client()
    }

    /// Waits until something is so, and says what is in the main log if it is not.
    pub(crate) fn wait(&self, what: &str, condition: impl FnMut() -> bool) {
        if let Err(error) = home::wait_until(what, condition) {
            let programs = self.client().infos();
            panic!("{error}\n{programs:?}\n{:?}\n{}", self.daemon.children(), self.log());
        }
    }

    /// Waits until the main log has a line with these words.
    pub(crate) fn await_log(&self, words: &str) {
        self.wait(&format!("the words {words:?}"), || self.log().contains(words));
    }

    pub(crate) fn log(&self) -> String {
        self.home.main_log()
    }

    /// Waits until a process is in a state.
    pub(crate) fn until(&self, name: &str, state: &str) -> Info {
        let mut seen = None;
        self.wait(&format!("{name} {state}"), || {
            seen = self.client().info(name).ok();
            seen.as_ref().is_some_and(|info| info.state == state)
        });
        seen.unwrap()
    }

    /// A program that runs, as /proc shows it, with its command line and environment.
    pub(crate) fn process(&self, name: &str) -> Stat {
        let mut process = None;
        self.wait(&format!("{name} to have its program"), || {
            let info = self.client().info(name).ok().filter(|info| info.state == "RUNNING");
            process = info.and_then(|info| procfs::stat(info.pid));
            process.as_ref().is_some_and(has_its_program)
        });
        process.unwrap()
    }

    /// Stops a process, and waits until nothing of it is at work any more.
    pub(crate) fn halt(&self, pid: u32) {
        home::send(pid, STOP).unwrap();
        self.wait(&format!("{pid} to stop"), || {
            procfs::stat(pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'))
        });
    }

    /// The supervisor that is there now and answers.
    pub(crate) fn supervisor(&self) -> Stat {
        let mut found = None;
        self.wait("a supervisor that answers", || {
            found = self.daemon.supervisor();
            found.is_some() && self.client().state().is_ok()
        });
        found.unwrap()
    }

    /// Waits for the end of the daemon, and checks that it was a good one.
    pub(crate) fn expect_good_end(mut self) {
        let status = self.daemon.wait().unwrap_or_else(|error| panic!("{error}\n{}", self.log()));

        assert_eq!(status.code(), Some(0), "{}", self.log());
        let left = procfs::with_words(&self.home.path().display().to_string());
        assert_eq!(left, [], "{}", self.log());
        for name in ["s.sock", "s.pid"] {
            assert!(!self.home.file(name).exists(), "{name} is left");
        }
    }
}
