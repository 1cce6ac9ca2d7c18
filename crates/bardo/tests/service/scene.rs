//! A supervisor that was launched in a folder of its own, and the tool that asks it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use bardo::selftest::client::Client;
use bardo::selftest::home::{self, Daemon, Home};
use bardo::service::reply::Service;

pub(crate) use bardo::selftest::home::send;

/// The supervisor and its folder. The supervisor goes first when they are dropped.
pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) home: Home,
}

/// How the tool ended, and what it said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Checks the exit number.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: code(output.status),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// The exit code; 128 and the signal for one that was killed, as a shell has it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;

    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap()
}

/// The program that is tested.
pub(crate) fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bardo"))
}

/// Something where everybody may execute the program that is tested.
pub(crate) fn everybodys() -> Option<()> {
    let is_open =
        |part: &Path| fs::metadata(part).is_ok_and(|there| there.permissions().mode() & 0o001 != 0);
    executable().ancestors().all(is_open).then_some(())
}

/// `service`, where nothing says which supervisor to ask.
pub(crate) fn tool() -> Command {
    let mut command = Command::new(executable());
    command.arg("service").env_remove("BARDO_SOCKET");
    command
}

/// `service` with these words, where there is no supervisor.
pub(crate) fn alone(words: &[&str]) -> Output {
    let socket = Path::new("/nowhere/bardo.sock");
    Output::of(tool().args(words).env("BARDO_SOCKET", socket))
}

/// A supervisor without programs.
pub(crate) fn scene() -> Scene {
    open("")
}

/// A supervisor with these lines behind those of `[supervisord]`: more of them, or other
/// sections. `{here}` is its folder.
pub(crate) fn open(more: &str) -> Scene {
    open_with(more, |_| {})
}

/// Like [`open`], with something put into its folder before.
pub(crate) fn open_prepared(more: &str, prepare: impl FnOnce(&Home)) -> Scene {
    let home = Home::new("service").unwrap();
    prepare(&home);
    launch(home, more, |_| {})
}

/// Like [`open`], with something changed about how it is started.
pub(crate) fn open_with(more: &str, change: impl FnOnce(&mut Command)) -> Scene {
    launch(Home::new("service").unwrap(), more, change)
}

fn launch(home: Home, more: &str, change: impl FnOnce(&mut Command)) -> Scene {
    let here = home.path().display().to_string();
    home.configure("", &more.replace("{here}", &here)).unwrap();
    let daemon = Daemon::launch_with(executable(), &home, change).unwrap();
    Scene { daemon, home }
}

impl Scene {
    /// `service` with these words, asking this supervisor.
    pub(crate) fn command<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = tool();
        command.args(words).env("BARDO_SOCKET", self.home.file("s.sock"));
        command.current_dir(self.home.path());
        command
    }

    /// What comes of `service` with these words.
    pub(crate) fn service<W: AsRef<OsStr>>(&self, words: &[W]) -> Output {
        Output::of(&mut self.command(words))
    }

    /// Writes a script of the shell that can be executed, and returns its path.
    pub(crate) fn script(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.home.file(name);
        home::write_executable(&path, format!("#!/bin/sh\n{lines}\n").as_bytes()).unwrap();
        path
    }

    /// All services, as `list --json` has them.
    pub(crate) fn services(&self) -> Vec<Service> {
        let output = self.service(&["list", "--json"]).ends_with(0);
        serde_json::from_str(&output.stdout).unwrap()
    }

    /// The service of a label, if there is one.
    pub(crate) fn find(&self, label: &str) -> Option<Service> {
        self.services().into_iter().find(|service| service.label == label)
    }

    /// Waits until a service is there and something is so of it.
    #[track_caller]
    pub(crate) fn until(
        &self,
        label: &str,
        what: &str,
        mut is_so: impl FnMut(&Service) -> bool,
    ) -> Service {
        let mut seen = None;
        self.wait(&format!("{label}: {what}"), || {
            seen = self.find(label);
            seen.as_ref().is_some_and(&mut is_so)
        });
        seen.unwrap()
    }

    /// Waits until something is so, and says what is in the main log if it is not.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, condition: impl FnMut() -> bool) {
        if let Err(error) = home::wait_until(what, condition) {
            panic!("{error}\n{:?}\n{}", self.daemon.children(), self.log());
        }
    }

    /// The main log so far.
    pub(crate) fn log(&self) -> String {
        self.home.main_log()
    }

    /// XML-RPC.
    pub(crate) fn client(&self) -> &Client {
        self.daemon.client()
    }
}
