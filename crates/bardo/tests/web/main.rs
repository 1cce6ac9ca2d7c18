//! The pages in a real browser, in front of the real program with real processes.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

mod browser;
mod live;
mod pictures;
mod plain;

use std::path::Path;

use bardo::selftest::client::Info;
use bardo::selftest::home::{self, Daemon, Home, Port};

use crate::browser::Browser;

/// The daemon and its folder. The daemon goes first when they are dropped.
pub(crate) struct Scene {
    daemon: Daemon,
    home: Home,
    port: Port,
}

/// Two groups: `cat`, and `pair` with two processes.
pub(crate) const CAST: &str = "\
[program:cat]\ncommand=/bin/cat\nstartsecs=0\n
[program:pair]\ncommand=/bin/cat\nstartsecs=0\nnumprocs=2\nprocess_name=%(process_num)d\n
[program:bad]\ncommand=/no/such/program\nautostart=false\n";

impl Scene {
    /// A daemon with these programs, on a port of its own.
    pub(crate) fn open(programs: &str) -> Self {
        Self::open_with("", programs)
    }

    /// The same, with more lines about the server.
    pub(crate) fn open_with(more: &str, programs: &str) -> Self {
        let home = Home::new("web").unwrap();
        let port = Port::take().unwrap();
        let number = port.number();
        let server = format!("[inet_http_server]\nport=127.0.0.1:{number}\n{more}\n{programs}");
        home.configure("identifier=web-01", &server).unwrap();
        let daemon = Daemon::start(Path::new(env!("CARGO_BIN_EXE_bardo")), &home).unwrap();
        Self { daemon, home, port }
    }

    /// The same as `bardo run`, and with the same programs.
    pub(crate) fn run_instead(self) -> Self {
        let Self { daemon, home, port } = self;
        drop(daemon);
        let words = ["run", "--configuration"];
        let executable = Path::new(env!("CARGO_BIN_EXE_bardo"));
        let daemon = Daemon::start_as(&words, executable, &home, |_| {}).unwrap();
        Self { daemon, home, port }
    }

    /// The address of a page.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port.number())
    }

    /// How a process is, by the name of its group.
    pub(crate) fn info(&self, group: &str) -> Info {
        let infos = self.daemon.client().infos().unwrap();
        infos.into_iter().find(|info| info.group == group).unwrap()
    }

    /// Waits until something is so.
    pub(crate) fn wait(&self, what: &str, condition: impl FnMut() -> bool) {
        let waited = home::wait_until(what, condition);
        waited.unwrap_or_else(|error| panic!("{error}\n{}", self.home.main_log()));
    }

    /// Opens the live page and waits until it is alive.
    pub(crate) fn watch(&self, browser: &mut Browser) {
        browser.go(&self.address("/"));
        browser.wait("document.querySelector('.line.is-live')");
        browser.see("window.same_page = true");
    }
}

/// The row of a process.
pub(crate) fn row(name: &str, part: &str) -> String {
    format!("tbody[data-group='{name}'] tr.process {part}")
}

/// Whether a row says so, as an expression.
pub(crate) fn says(name: &str, part: &str, text: &str) -> String {
    format!("document.querySelector(\"{}\")?.textContent === '{text}'", row(name, part))
}
