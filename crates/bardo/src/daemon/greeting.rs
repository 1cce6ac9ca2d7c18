//! What the main log begins with, at the start and at each restart: the lines of
//! what happens before it is open, in Supervisor's order.

use std::fs;
use std::io::Write;

use bardo_config::{Loaded, MainLog, ServerSettings};
use bardo_sys::clock::LocalTime;

use super::main_log::{self, Level};

/// What the main log says when root has not said that it wants to be root.
const ROOT_WITHOUT_USER: &str = "Supervisor is running as root.  Privileges were not dropped \
     because no user is specified in the config file.  If you intend to run as root, you can \
     set user=root in the config file to avoid this message.";

/// The lines so far. Those that are known before the log is open come first, the most
/// important ones before all others.
#[derive(Debug)]
pub(super) struct Greeting {
    criticals: Vec<String>,
    warnings: Vec<String>,
    infos: Vec<String>,
    later: Vec<(Level, String)>,
}

impl Greeting {
    /// Begins with what was noticed when the file was read.
    pub(super) fn new(loaded: &Loaded) -> Self {
        let messages = &loaded.messages;
        Self {
            criticals: messages.criticals.clone(),
            warnings: messages.warnings.clone(),
            infos: messages.infos.clone(),
            later: Vec::new(),
        }
    }

    /// Who the daemon is: it has become the user that was asked for, if any.
    pub(super) fn user(&mut self, loaded: &Loaded) {
        match &loaded.settings.user {
            Some(user) => {
                self.infos.push(format!("Set uid to user {} succeeded", user.account.uid));
            }
            None if rustix::process::getuid().is_root() => {
                self.criticals.push(ROOT_WITHOUT_USER.to_owned());
            }
            None => {}
        }
    }

    /// A line from before the log was open.
    pub(super) fn info(&mut self, line: String) {
        self.infos.push(line);
    }

    /// A line from after that.
    pub(super) fn add(&mut self, level: Level, line: String) {
        self.later.push((level, line));
    }

    /// What is said about each HTTP server.
    pub(super) fn servers(&mut self, loaded: &Loaded) {
        for server in &loaded.servers {
            for interface in &loaded.interfaces {
                let line = format!("RPC interface '{}' initialized", interface.name);
                self.add(Level::Info, line);
            }
            if server.credentials.is_none() && !server.owner_only {
                let text = "running without any HTTP authentication checking";
                self.add(Level::Critical, format!("Server '{}' {text}", server.section));
            }
        }
    }

    /// Writes the pid file where it does not say the same already. A start ends with the
    /// line that says so, or with the one that says that it could not be written; true
    /// when it is ours.
    pub(super) fn write_pidfile(&mut self, path: &str, pid: u32) -> bool {
        let text = format!("{pid}\n");
        let there = fs::read(path).is_ok_and(|there| there == text.as_bytes());
        let written = there || fs::write(path, text).is_ok();
        if written {
            self.add(Level::Info, format!("supervisord started with pid {pid}"));
        } else {
            self.add(Level::Critical, format!("could not write pidfile {path}"));
        }
        written
    }

    /// Writes the lines where they belong at once: nobody will do it later, because the
    /// start has failed. What cannot be written is not missed then.
    pub(super) fn say(self, settings: &ServerSettings) {
        let level = settings.loglevel.into();
        let lines = self.into_lines().into_iter().filter(|(of, _)| *of >= level);
        let lines: Vec<u8> =
            lines.flat_map(|(of, text)| main_log::line(LocalTime::now(), of, &text)).collect();
        if let MainLog::File(path) = &settings.logfile
            && let Ok(mut log) = fs::OpenOptions::new().append(true).open(path)
        {
            let _ = log.write_all(&lines);
        }
        if settings.nodaemon && !settings.silent {
            let _ = std::io::stdout().write_all(&lines);
        }
    }

    /// All lines, in order.
    pub(super) fn into_lines(self) -> Vec<(Level, String)> {
        let named = |level: Level| move |line| (level, line);
        let criticals = self.criticals.into_iter().map(named(Level::Critical));
        let warnings = self.warnings.into_iter().map(named(Level::Warn));
        let infos = self.infos.into_iter().map(named(Level::Info));
        criticals.chain(warnings).chain(infos).chain(self.later).collect()
    }
}
