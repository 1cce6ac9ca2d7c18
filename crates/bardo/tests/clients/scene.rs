//! A daemon for clients, and where they are found.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bardo::selftest::home::{Daemon, Home, Port, wait_until};

/// How long a client may think about an answer of its own.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A program of the virtual environment; says what is missing where it is not there.
pub(crate) fn python(tool: &str) -> Option<PathBuf> {
    found(&["python", "bin", tool])
}

/// The folder of npm's modules.
pub(crate) fn node_modules(module: &str) -> Option<PathBuf> {
    found(&["node", "node_modules", module]).and_then(|path| Some(path.parent()?.to_owned()))
}

/// What has this path in the folder of clients.
pub(crate) fn found(parts: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("BARDO_CLIENTS").map(PathBuf::from).map(|folder| {
        let parts: PathBuf = parts.iter().collect();
        folder.join(parts)
    });
    let path = path.filter(|path| path.exists());
    if path.is_none() {
        println!("skipped: {} is not in the folder that BARDO_CLIENTS names", parts.join("/"));
    }
    path
}

/// A program on the `PATH`.
pub(crate) fn on_path(tool: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let there = env::split_paths(&path).map(|folder| folder.join(tool)).find(|tool| tool.exists());
    if there.is_none() {
        println!("skipped: {tool} is not on the PATH");
    }
    there
}

/// A running daemon. It goes before its folder when they are dropped.
pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) home: Home,
    /// Where it listens too.
    pub(crate) port: u16,
    _port: Port,
}

impl Scene {
    /// A daemon with these sections; `HERE` in them is its folder.
    pub(crate) fn open(name: &str, sections: &str) -> Self {
        let home = Home::new(name).unwrap();
        let own_port = Port::take().unwrap();
        let port = own_port.number();
        let here = home.path().display().to_string();
        let mut text = sections.replace("HERE", &here);
        write!(text, "\n[inet_http_server]\nport=127.0.0.1:{port}\n").unwrap();
        home.configure("", &text).unwrap();
        let control = format!("[supervisorctl]\nserverurl=unix://{here}/s.sock\n");
        fs::write(home.file("ctl.conf"), control).unwrap();
        symlink(env!("CARGO_BIN_EXE_bardo"), home.file("supervisorctl")).unwrap();
        let daemon = Daemon::start(Path::new(env!("CARGO_BIN_EXE_bardo")), &home).unwrap();
        Self { home, daemon, port, _port: own_port }
    }

    pub(crate) fn await_state(&self, name: &str, state: &str) {
        let is_there = || self.daemon.client().info(name).is_ok_and(|info| info.state == state);
        self.wait_until(&format!("{name} is {state}"), is_there);
    }

    /// Waits until a process runs that is not the one of this number.
    pub(crate) fn await_another(&self, name: &str, before: u32) {
        let is_another = || {
            let info = self.daemon.client().info(name);
            info.is_ok_and(|info| info.state == "RUNNING" && info.pid != before)
        };
        self.wait_until(&format!("{name} runs again"), is_another);
    }

    /// Waits for a condition; says what the main log and the listeners' logs say where it
    /// does not come.
    pub(crate) fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        if let Err(error) = wait_until(what, condition) {
            let logs = fs::read_dir(self.home.path()).unwrap().filter_map(|entry| {
                let path = entry.ok()?.path();
                let is_log = path.extension().is_some_and(|extension| extension == "log");
                Some(format!("{}:\n{}", path.display(), fs::read_to_string(&path).ok()?))
                    .filter(|_| is_log)
            });
            panic!("{error}\n{}", logs.collect::<Vec<String>>().join("\n"));
        }
    }

    pub(crate) fn pid(&self, name: &str) -> u32 {
        self.daemon.client().info(name).unwrap().pid
    }

    /// What a file in the folder says so far.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.home.file(name)).unwrap_or_default()
    }
}

/// What a program printed on both outputs, and its exit code.
pub(crate) fn said(command: &mut Command) -> (String, i32) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code().unwrap_or(-1))
}

/// A program that is ended when it is dropped.
pub(crate) struct Background(pub(crate) Child);

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The body of an HTTP answer; `None` while nobody answers with 200.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
}
