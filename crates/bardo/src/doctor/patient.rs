//! What is wrong now with the daemon of a configuration, or of a socket.
//!
//! It is asked as `supervisorctl` would ask it. A daemon that does not answer is looked at
//! from the outside: its socket, its pid file, its processes.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bardo_config::control::{self, ControlSettings};
use bardo_config::{ConfigError, Request, Whereabouts};
use bardo_wire::xmlrpc::Value;
use serde::Deserialize;

use crate::client::{CallError, Client};
use crate::daemon::last_words;
use crate::daemon::stage::Stage;
use crate::host::Machine;
use crate::selftest::home::SUPERVISOR_COMM;
use crate::selftest::procfs;
use crate::tool_path;

/// How long the daemon may take to answer. It takes milliseconds; one that hangs is
/// replaced after ten seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The end of a URL's scheme for socket files.
const UNIX: &str = "unix://";

/// What the user has said of the daemon.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its configuration file.
    pub file: Option<String>,
    /// Its socket file.
    pub socket: Option<String>,
}

/// The daemon, as it was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patient {
    /// Where it was looked for.
    pub(super) url: String,
    pub(super) state: Presence,
    /// Its process, where that is known: the keeper.
    pub(super) pid: Option<u32>,
    /// What is wrong.
    pub(super) findings: Vec<Finding>,
}

/// What was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nobody.
    Absent,
    /// Somebody who does not answer.
    Silent,
    /// Bardo.
    Answers,
    /// Another supervisor, which has nothing to say of itself.
    Other,
}

impl Presence {
    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Silent => "silent",
            Self::Answers => "answers",
            Self::Other => "other",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// What kind of thing: a kind of trouble, or one of what is seen from the outside.
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) text: String,
    /// What to do.
    pub(super) advice: &'static str,
    /// Since when, in seconds since 1970, where that is known.
    pub(super) since: Option<i64>,
}

/// Looks at the daemon.
///
/// # Errors
/// When its configuration cannot be read.
pub(super) fn examine(wanted: &Wanted) -> Result<Patient, ConfigError> {
    let place = Place::of(wanted)?;
    let mut patient = Patient {
        url: place.settings.server_url.clone(),
        state: Presence::Absent,
        pid: None,
        findings: Vec::new(),
    };
    if let Some((file, error)) = place.refused {
        let advice = "The daemon could not start again with it; bardo check says more.";
        patient.find("configuration", &file, error.to_string(), advice);
    }
    patient.ask(&place.settings);
    if patient.state != Presence::Answers && patient.state != Presence::Other {
        patient.look(place.pidfile.as_deref());
    }
    Ok(patient)
}

/// What a client needs to call the daemon that is meant.
///
/// # Errors
/// When its configuration cannot be read.
pub(crate) fn whereabouts(wanted: &Wanted) -> Result<ControlSettings, ConfigError> {
    Place::of(wanted).map(|place| place.settings)
}

/// Where the daemon is to be found.
struct Place {
    settings: ControlSettings,
    pidfile: Option<String>,
    /// The file that a daemon would refuse, and why.
    refused: Option<(String, ConfigError)>,
}

impl Place {
    fn of(wanted: &Wanted) -> Result<Self, ConfigError> {
        if let Some(socket) = &wanted.socket {
            let url = ("serverurl".to_owned(), format!("{UNIX}{socket}"));
            let settings = control::load(&Machine, None, &[url])?;
            return Ok(Self { settings, pidfile: None, refused: None });
        }
        let found = || bardo_config::find(&Machine, &tool_path::of_this_tool("supervisorctl"));
        let file = wanted.file.clone().or_else(found);
        let Some(file) = file else {
            let settings = control::load(&Machine, None, &[])?;
            return Ok(Self { settings, pidfile: None, refused: None });
        };
        let there = match bardo_config::whereabouts(&Machine, &file) {
            // A file for clients alone.
            Err(ConfigError::NoServerSection) => None,
            there => Some(there?),
        };
        let settings = match (control::load(&Machine, Some(&file), &[]), &there) {
            // A file for the daemon alone says where it listens.
            (Err(ConfigError::NoControlSection), Some(there)) => settings_of(there)?,
            (settings, _) => settings?,
        };
        let request = Request { file: file.clone(), overrides: Vec::new() };
        let refused = there.as_ref().and_then(|_| bardo_config::load(&Machine, &request).err());
        let pidfile = there.and_then(|there| there.pidfile);
        Ok(Self { settings, pidfile, refused: refused.map(|error| (file, error)) })
    }
}

/// What a client needs to call the daemon: its socket file, or else its port.
fn settings_of(there: &Whereabouts) -> Result<ControlSettings, ConfigError> {
    let mut settings = control::load(&Machine, None, &[])?;
    let server = there.servers.iter().find(|server| server.is_file());
    let server = server.or(there.servers.first());
    let credentials = server.and_then(|server| server.credentials.clone());
    (settings.username, settings.password) = credentials.unzip();
    if let Some(url) = bardo_config::default_server_url(&there.servers) {
        settings.server_url = url;
    }
    Ok(settings)
}

/// What the daemon says of itself; see `api/rest/troubles.rs`.
#[derive(Deserialize)]
struct Troubles {
    counts: std::collections::BTreeMap<String, usize>,
    troubles: Vec<Trouble>,
}

#[derive(Deserialize)]
struct Trouble {
    kind: String,
    subject: String,
    text: String,
    since: i64,
}

impl Patient {
    fn find(&mut self, kind: &str, subject: &str, text: String, advice: &'static str) {
        let (kind, subject) = (kind.to_owned(), subject.to_owned());
        self.findings.push(Finding { kind, subject, text, advice, since: None });
    }

    fn ask(&mut self, settings: &ControlSettings) {
        let (username, password) = (settings.username.clone(), settings.password.clone());
        let answer = Client::new(&settings.server_url, username, password)
            .map_err(|error| CallError::Connection(error.into()))
            .and_then(|mut client| {
                let answer = client.get_within(ANSWER_WITHIN, "/api/v1/troubles");
                Ok((client, answer?))
            });
        match answer {
            Ok((client, bytes)) => {
                self.state = Presence::Answers;
                self.take(&bytes);
                self.ask_for_processes(client);
            }
            Err(error) => self.was_refused(settings, &error),
        }
    }

    /// What the daemon has to say of itself.
    fn take(&mut self, bytes: &[u8]) {
        let Ok(Troubles { counts, troubles }) = serde_json::from_slice(bytes) else {
            let text = "its answer makes no sense to this version".to_owned();
            let url = self.url.clone();
            return self.find("no-answer", &url, text, "Restart the daemon with this version.");
        };
        for (kind, count) in counts {
            let listed = troubles.iter().filter(|trouble| trouble.kind == kind).count();
            if count > listed {
                let text = format!("{} more are not listed", count - listed);
                self.find(&kind, "others", text, advice(&kind));
            }
        }
        self.findings.extend(troubles.into_iter().map(|trouble| Finding {
            advice: advice(&trouble.kind),
            kind: trouble.kind,
            subject: trouble.subject,
            text: trouble.text,
            since: Some(trouble.since),
        }));
    }

    fn ask_for_processes(&mut self, mut client: Client) {
        let wait = Some(ANSWER_WITHIN);
        if let Ok(Value::Int(pid)) = client.call_within(wait, "supervisor.getPID", Vec::new()) {
            self.pid = u32::try_from(pid).ok();
        }
        let processes = client.call_within(wait, "supervisor.getAllProcessInfo", Vec::new());
        let Ok(Value::Array(processes)) = processes else { return };
        for process in &processes {
            let (kind, advice) = match text(process, "statename") {
                "FATAL" => ("fatal", "Mend it, then: supervisorctl start."),
                "BACKOFF" => ("backoff", "It is tried again by itself."),
                _ => continue,
            };
            let subject = crate::names::namespec(text(process, "group"), text(process, "name"));
            let why = Some(text(process, "spawnerr")).filter(|why| !why.is_empty());
            let why = why.unwrap_or("it has ended too soon; its log may say why").to_owned();
            self.find(kind, &subject, why, advice);
        }
    }

    fn was_refused(&mut self, settings: &ControlSettings, error: &CallError) {
        let url = self.url.clone();
        let io_error = match error {
            CallError::Connection(error) => error,
            CallError::Status { status: 401, .. } => {
                self.state = Presence::Other;
                let text = "it asks for another user and password".to_owned();
                let advice = "Give them in [supervisorctl], or name its socket with --socket.";
                return self.find("refused", &url, text, advice);
            }
            CallError::Status { status: 404, .. } => {
                // Supervisor tells of its processes at least.
                self.state = Presence::Other;
                let (username, password) = (settings.username.clone(), settings.password.clone());
                if let Ok(client) = Client::new(&url, username, password) {
                    self.ask_for_processes(client);
                }
                return;
            }
            error => {
                self.state = Presence::Silent;
                let text = error.to_string();
                return self.find("no-answer", &url, text, "See whether the address is its own.");
            }
        };
        match (io_error.kind(), url.strip_prefix(UNIX)) {
            (io::ErrorKind::NotFound, _) | (io::ErrorKind::ConnectionRefused, None) => {}
            (io::ErrorKind::ConnectionRefused, Some(socket)) => {
                let text = "nobody listens at it: its daemon was killed".to_owned();
                self.find("stale-socket", socket, text, "Start the daemon; it is replaced.");
            }
            _ => {
                self.state = Presence::Silent;
                let text = format!("it does not answer: {io_error}");
                let advice = "A supervisor that hangs is replaced by itself; the main log says so.";
                self.find("no-answer", &url, text, advice);
            }
        }
    }

    /// Looks from the outside at a daemon that does not answer.
    fn look(&mut self, pidfile: Option<&str>) {
        let noted = pidfile.and_then(|path| {
            let pid: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
            Some((path, pid))
        });
        let is_there = |pid: &u32| procfs::stat(*pid).is_some_and(|stat| stat.is_alive());
        if let Some((path, pid)) = noted.filter(|(_, pid)| !is_there(pid)) {
            let text = format!("there is no process {pid}");
            self.find("stale-pid-file", path, text, "Start the daemon; it is replaced.");
        }
        let noted = noted.map(|(_, pid)| pid).filter(is_there);
        let Some(pid) = noted.or_else(|| self.listener()) else { return };
        self.pid = Some(pid);
        if !matches!(Stage::of_process(pid), Some(Stage::Keeper { .. })) {
            return;
        }
        self.state = Presence::Silent;
        let is_supervisor =
            |child: &procfs::Stat| child.is_alive() && child.comm == SUPERVISOR_COMM;
        if !procfs::children(pid).iter().any(is_supervisor) {
            let mut text =
                "it has no supervisor: programs run, and nobody decides about them".to_owned();
            if let Some(said) = last_words::of_keeper(pid) {
                text += &format!("; the last one said: {said}");
            }
            let advice = "It tries again by itself; the main log or standard error says why not.";
            self.find("no-supervisor", &format!("process {pid}"), text, advice);
        }
    }

    /// Who listens at the socket file: its keeper.
    fn listener(&self) -> Option<u32> {
        let socket = UnixStream::connect(self.url.strip_prefix(UNIX)?).ok()?;
        let peer = rustix::net::sockopt::socket_peercred(&socket).ok()?;
        u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
    }
}

/// A member of a process as `getAllProcessInfo` tells it.
fn text<'a>(process: &'a Value, name: &str) -> &'a str {
    let Value::Struct(members) = process else { return "" };
    let member = members.iter().find(|(key, _)| key == name);
    match member {
        Some((_, Value::String(text))) => text,
        _ => "",
    }
}

/// What to do about a trouble.
fn advice(kind: &str) -> &'static str {
    match kind {
        "log-target" => "Make room, or mend the path; it is tried again by itself.",
        "log-pump" => "See to the file system of that file; the pump goes on by itself.",
        "shortage" => "Raise the limit, or stop something; it is tried again by itself.",
        "stuck-birth" => "See to the file system of its program.",
        "journal-full" => "Remove programs from the configuration.",
        "listener" => "See why its listeners are slow, or raise buffer_size.",
        "keeper" => "Look into the main log for what ended it.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::troubles::TroubleKind;

    fn patient() -> Patient {
        let findings = Vec::new();
        Patient { url: String::new(), state: Presence::Answers, pid: None, findings }
    }

    #[test]
    fn there_is_advice_for_every_kind_of_trouble() {
        for kind in TroubleKind::ALL {
            assert_ne!(advice(kind.name()), "", "{}", kind.name());
        }
    }

    #[test]
    fn what_is_counted_and_not_listed_is_told_of() {
        let mut patient = patient();

        patient.take(
            br#"{"now":9,"counts":{"log-target":3,"keeper":0},
                 "troubles":[{"kind":"log-target","subject":"/a","text":"full","since":7}]}"#,
        );

        let told: Vec<_> =
            patient.findings.iter().map(|it| (&*it.kind, &*it.subject, &*it.text)).collect();
        assert_eq!(
            told,
            [("log-target", "others", "2 more are not listed"), ("log-target", "/a", "full")]
        );
        assert_eq!(patient.findings[1].since, Some(7));
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_a_finding() {
        let mut patient = patient();

        patient.take(b"<html>");

        assert_eq!(patient.findings[0].kind, "no-answer");
    }
}
