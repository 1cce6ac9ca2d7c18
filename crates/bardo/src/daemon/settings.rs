//! What the daemon was told at its start or at its last restart, as the journal keeps
//! it.
//!
//! It is text that is attached to the loaded configuration, and so the two are
//! replaced in one record. It is written by the process that becomes the keeper and
//! by whoever loads the configuration again, and read by every supervisor: nothing
//! in it is looked up a second time.
//!
//! Like the journal it may be read by another version: a field that is not known is passed
//! over, and one that is not there has its default. A field that comes to a structure
//! without `#[serde(default)]` needs that itself.

use std::time::Duration;

use bardo_config::value::Compatibility;
use bardo_config::{
    HttpServer, InterfaceKind, Listen, Loaded, MainLog as ConfiguredLog, RpcInterface,
    ServerSettings,
};
use bardo_keeper::protocol::ToKeeper;
use serde::{Deserialize, Serialize};

use super::main_log::Level;

/// The exit code that asks whoever has started us to start us again.
pub const RESTART_REQUESTED: u8 = 1;

/// The settings of one daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `ARGV0` as it was called.
    pub program: String,
    /// The name of this supervisor.
    pub identifier: String,
    /// The configuration file, as it was given.
    pub configuration_file: String,
    /// What the command line said over the file.
    pub overrides: Vec<(String, String)>,
    /// Where it was started. Relative paths of the file lead on from here, wherever
    /// `directory=` has led since.
    pub start_directory: String,
    /// How often everything has begun: 1 is the start, each restart is one more.
    pub beginning: u64,
    /// Whether a client that asks for a restart is given an end with
    /// [`RESTART_REQUESTED`]: whoever has started us begins anew.
    pub ends_at_restart: bool,
    /// The keeper's process number: what `getPID` answers.
    pub keeper_pid: u32,
    /// The main log.
    pub main_log: MainLog,
    /// The pid file.
    pub pidfile: String,
    /// Whether it could be written, and so is to be removed.
    pub has_pidfile: bool,
    /// The one before the last restart, where it was another one.
    pub former_pidfile: Option<String>,
    /// The directory of the journal and the lock socket.
    pub runtime_directory: String,
    /// Where automatic logs are put.
    pub child_log_directory: String,
    /// Whether automatic logs of former runs are kept.
    pub nocleanup: bool,
    /// Whether escape sequences are taken out of programs' logs.
    pub strip_ansi: bool,
    /// The limit on descriptors that programs inherit: soft and hard.
    pub descriptor_limit: (u64, u64),
    /// The environment that programs inherit, as `NAME=value` in the form of
    /// [`bytes_to_text`](crate::host::bytes_to_text).
    pub environment: Vec<String>,
    /// What programs are told as `SUPERVISOR_SERVER_URL`.
    pub server_url: Option<String>,
    /// The HTTP servers: ports first, then socket files.
    pub servers: Vec<Server>,
    /// The namespaces under which the API offers methods.
    pub namespaces: Vec<Namespace>,
    /// What `environment=` of `[supervisord]` sets: a program that a client describes
    /// may name it.
    pub variables: Vec<(String, String)>,
    /// Lines that the main log begins with.
    pub greeting: Vec<(Level, String)>,
    /// How long the control loop may leave work untaken, in milliseconds.
    pub hang_timeout_ms: u64,
    /// How long programs have to end that the keeper itself tells to, in milliseconds.
    #[serde(default = "keeper_stop_wait")]
    pub keeper_stop_wait_ms: u64,
    /// Whether services are kept by MINIX's rules that are brought up.
    #[serde(default)]
    pub is_minix: bool,
    /// Options that only the beginning of the process takes up, with their values. One that
    /// a former version has not noted is not compared.
    #[serde(default)]
    pub for_the_process: Vec<(String, String)>,
    /// What the last reload of a service has found to be changed that only a restart takes up.
    #[serde(default)]
    pub for_a_restart: Vec<String>,
    /// The service that it is, where a service manager has started it.
    #[serde(default)]
    pub service: Option<Service>,
}

/// A service of a service manager.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The folder of what there is once for each name.
    pub place: String,
    /// The file that says by which process it is ready.
    pub pidfile: Option<String>,
    /// Whether somebody waits until it is ready, and writes that file.
    pub is_awaited: bool,
    /// Whether its manager is told how it is.
    pub is_told: bool,
    /// The user that it has become, if any: number, group, all groups.
    pub account: Option<(u32, u32, Vec<u32>)>,
    /// The name of the cgroup with programs' leaves: that of its first keeper.
    pub cgroup: String,
}

/// The main log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MainLog {
    /// Its file; `None` is syslog.
    pub path: Option<String>,
    /// Size at which it is rotated.
    pub bytes_max: i64,
    /// Rotated files that are kept.
    pub backups: i64,
    /// Whether they are compressed.
    pub compress: bool,
    /// What is logged.
    pub level: Level,
    /// Whether lines are copied to standard output.
    pub to_stdout: bool,
}

/// An HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its section.
    pub section: String,
    /// Which of the listening sockets that the keeper holds is its own.
    pub place: u32,
    /// Where it listens.
    pub address: Address,
    /// User name and password, where they are asked for.
    pub credentials: Option<(String, String)>,
    /// Whether only root and our own user may do everything through it.
    #[serde(default)]
    pub owner_only: bool,
}

/// A namespace of the API: what a section `[rpcinterface:x]` offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Whose methods there are.
    pub methods: Methods,
    /// The only ones of them that may be called; none for all.
    pub allowed: Vec<String>,
}

/// Whose methods a namespace offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Methods {
    /// Supervisor's.
    Supervisor,
    /// Those of `supervisor_twiddler`.
    Twiddler,
    /// Those of `supervisor_cache`.
    Cache,
    /// Those of `mr.laforge`.
    Laforge,
}

impl Namespace {
    /// Supervisor's methods under a name.
    #[must_use]
    pub fn supervisor(name: &str) -> Self {
        Self { name: name.to_owned(), methods: Methods::Supervisor, allowed: Vec::new() }
    }

    fn of(interface: &RpcInterface) -> Self {
        let methods = match interface.kind {
            InterfaceKind::Main => Methods::Supervisor,
            InterfaceKind::Twiddler => Methods::Twiddler,
            InterfaceKind::Cache => Methods::Cache,
            InterfaceKind::Laforge => Methods::Laforge,
        };
        Self { name: interface.name.clone(), methods, allowed: interface.allowed() }
    }
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// On a socket file.
    File(String),
    /// On a host and a port; an empty host is every address.
    Port(String, u16),
}

impl Address {
    /// The address of a configured server.
    #[must_use]
    pub fn of(server: &HttpServer) -> Self {
        match &server.listen {
            Listen::Unix { path, .. } => Self::File(path.clone()),
            Listen::Inet { host, port } => Self::Port(host.clone(), *port),
        }
    }

    /// The socket file, where it is one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::File(path) => Some(path),
            Self::Port(..) => None,
        }
    }
}

impl Settings {
    /// What a configuration says, for the same daemon: what a restart takes up. The
    /// servers' places and the greeting are still to be filled in.
    #[must_use]
    pub fn renewed(&self, loaded: &Loaded) -> Self {
        let configured = &loaded.settings;
        let server = |server: &HttpServer| Server {
            section: server.section.clone(),
            place: 0,
            address: Address::of(server),
            credentials: server.credentials.clone(),
            owner_only: server.owner_only,
        };
        Self {
            identifier: configured.identifier.clone(),
            main_log: MainLog {
                path: match &configured.logfile {
                    ConfiguredLog::Syslog => None,
                    ConfiguredLog::File(path) => Some(path.clone()),
                },
                bytes_max: configured.logfile_bytes_max,
                backups: configured.logfile_backups,
                compress: configured.logfile_compress,
                level: configured.loglevel.into(),
                to_stdout: configured.nodaemon && !configured.silent,
            },
            pidfile: configured.pidfile.clone(),
            child_log_directory: configured.childlogdir.clone(),
            nocleanup: configured.nocleanup,
            strip_ansi: configured.strip_ansi,
            server_url: loaded.server_url.clone(),
            servers: loaded.servers.iter().map(server).collect(),
            namespaces: loaded.interfaces.iter().map(Namespace::of).collect(),
            variables: configured
                .environment
                .iter()
                .map(|(name, text)| (name.to_string(), text.to_string()))
                .collect(),
            greeting: Vec::new(),
            hang_timeout_ms: milliseconds(configured.hang_timeout),
            keeper_stop_wait_ms: milliseconds(configured.keeper_stop_wait),
            is_minix: configured.compatibility == Compatibility::Minix,
            for_the_process: for_the_process(configured),
            ..self.clone()
        }
    }

    /// What `reread` takes up at once of a configuration that was loaded again: as
    /// under Supervisor, the name and what becomes of programs' logs. The main log,
    /// the pid file and the servers stay what they are until a restart.
    #[must_use]
    pub fn reread(&self, fresh: &Self) -> Self {
        Self {
            identifier: fresh.identifier.clone(),
            child_log_directory: fresh.child_log_directory.clone(),
            strip_ansi: fresh.strip_ansi,
            variables: fresh.variables.clone(),
            for_a_restart: fresh.for_a_restart.clone(),
            ..self.clone()
        }
    }

    /// What `fresh` says otherwise and [`Self::reread`] does not take up, as the file calls it.
    #[must_use]
    pub fn for_a_restart(&self, fresh: &Self) -> Vec<String> {
        let (log, fresh_log) = (&self.main_log, &fresh.main_log);
        let options = [
            ("logfile", log.path != fresh_log.path),
            ("logfile_maxbytes", log.bytes_max != fresh_log.bytes_max),
            ("logfile_backups", log.backups != fresh_log.backups),
            ("logfile_compress", log.compress != fresh_log.compress),
            ("loglevel", log.level != fresh_log.level),
            ("silent", log.to_stdout != fresh_log.to_stdout),
            ("pidfile", self.pidfile != fresh.pidfile),
            ("nocleanup", self.nocleanup != fresh.nocleanup),
            ("hang_timeout", self.hang_timeout_ms != fresh.hang_timeout_ms),
            ("keeper_stopwaitsecs", self.keeper_stop_wait_ms != fresh.keeper_stop_wait_ms),
            ("compat", self.is_minix != fresh.is_minix),
        ];
        let changed = options.into_iter().filter(|(_, has_changed)| *has_changed);
        let mut all: Vec<String> = changed.map(|(option, _)| option.to_owned()).collect();
        for (option, value) in &self.for_the_process {
            let mut fresh_values = fresh.for_the_process.iter();
            if fresh_values.any(|(other, fresh)| other == option && fresh != value) {
                all.push(option.clone());
            }
        }
        let without_place = |server: &Server| Server { place: 0, ..server.clone() };
        let servers = |of: &Self| of.servers.iter().map(without_place).collect::<Vec<_>>();
        let (known, new) = (servers(self), servers(fresh));
        let only_in = |one: &[Server], other: &[Server]| -> Vec<String> {
            let missing = one.iter().filter(|server| !other.contains(server));
            missing.map(|server| format!("[{}]", server.section)).collect()
        };
        for section in only_in(&known, &new).into_iter().chain(only_in(&new, &known)) {
            if !all.contains(&section) {
                all.push(section);
            }
        }
        if self.namespaces != fresh.namespaces {
            all.push("the [rpcinterface:x] sections".to_owned());
        }
        all
    }

    /// The same for a keeper that has come after the one that they were made for: its number
    /// is that of this supervisor's parent.
    #[must_use]
    pub fn of_this_keeper(self) -> Self {
        let keeper_pid = match &self.service {
            Some(_) => std::os::unix::process::parent_id(),
            None => self.keeper_pid,
        };
        Self { keeper_pid, ..self }
    }

    /// What the keeper is told of it.
    #[must_use]
    pub fn patience(&self) -> ToKeeper {
        ToKeeper::Patience { hang: self.hang_timeout_ms, stop: self.keeper_stop_wait_ms }
    }

    /// As text for the journal.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("settings hold nothing that JSON cannot")
    }

    /// From the journal's text.
    ///
    /// # Errors
    /// When it was not written by [`Self::to_text`].
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Supervisor's own wait for a program, where settings say nothing.
fn keeper_stop_wait() -> u64 {
    10_000
}

/// The options that only the beginning of the process takes up. `exit_on` is among them
/// because a program that goes on keeps what it was told of it.
fn for_the_process(configured: &ServerSettings) -> Vec<(String, String)> {
    let values = [
        ("umask", format!("{:03o}", configured.umask)),
        ("minfds", configured.minfds.to_string()),
        ("minprocs", configured.minprocs.to_string()),
        ("directory", configured.directory.clone().unwrap_or_default()),
        ("exit_on", configured.exit_on.to_string()),
    ];
    values.map(|(option, value)| (option.to_owned(), value)).into()
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the first version whose journal others can read has written, for ever.
    const SAMPLE: &str = r#"{"program":"supervisord","identifier":"supervisor",
        "configuration_file":"/etc/s.conf","overrides":[["logfile","x"]],"start_directory":"/",
        "beginning":2,"keeper_pid":7,"main_log":{"path":"/log","bytes_max":50,"backups":3,
        "level":"Info","to_stdout":true},"pidfile":"/run/s.pid","has_pidfile":true,
        "former_pidfile":null,"runtime_directory":"/run/s","child_log_directory":"/tmp",
        "nocleanup":true,"strip_ansi":false,"descriptor_limit":[1024,4096],
        "environment":["A=b"],"server_url":"unix:///s","servers":[{"section":"unix_http_server",
        "place":1,"address":{"File":"/s"},"credentials":["user","password"]},{"section":
        "inet_http_server","place":2,"address":{"Port":["",9001]},"credentials":null}],
        "namespaces":[{"name":"supervisor","methods":"Supervisor","allowed":["a"]}],
        "variables":[["C","d"]],"greeting":[["Warn","line"]],"hang_timeout_ms":10000}"#;

    fn sample() -> Settings {
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        let server = |section: &str, place, address, credentials| Server {
            section: section.to_owned(),
            place,
            address,
            credentials,
            owner_only: false,
        };
        let file = Address::File("/s".to_owned());
        let credentials = Some(pair("user", "password"));
        let allowed = vec!["a".to_owned()];
        Settings {
            program: "supervisord".to_owned(),
            identifier: "supervisor".to_owned(),
            configuration_file: "/etc/s.conf".to_owned(),
            overrides: vec![pair("logfile", "x")],
            start_directory: "/".to_owned(),
            beginning: 2,
            ends_at_restart: false,
            keeper_pid: 7,
            main_log: MainLog {
                path: Some("/log".to_owned()),
                bytes_max: 50,
                backups: 3,
                compress: false,
                level: Level::Info,
                to_stdout: true,
            },
            pidfile: "/run/s.pid".to_owned(),
            has_pidfile: true,
            former_pidfile: None,
            runtime_directory: "/run/s".to_owned(),
            child_log_directory: "/tmp".to_owned(),
            nocleanup: true,
            strip_ansi: false,
            descriptor_limit: (1024, 4096),
            environment: vec!["A=b".to_owned()],
            server_url: Some("unix:///s".to_owned()),
            servers: vec![
                server("unix_http_server", 1, file, credentials),
                server("inet_http_server", 2, Address::Port(String::new(), 9001), None),
            ],
            namespaces: vec![Namespace { allowed, ..Namespace::supervisor("supervisor") }],
            variables: vec![pair("C", "d")],
            greeting: vec![(Level::Warn, "line".to_owned())],
            hang_timeout_ms: 10_000,
            keeper_stop_wait_ms: 10_000,
            is_minix: false,
            for_the_process: Vec::new(),
            for_a_restart: Vec::new(),
            service: None,
        }
    }

    #[test]
    fn what_former_versions_wrote_is_read() {
        assert_eq!(Settings::parse(SAMPLE).unwrap(), sample());
    }

    #[test]
    fn what_a_former_version_has_not_noted_is_not_compared() {
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        let with =
            |values: &[(String, String)]| Settings { for_the_process: values.to_vec(), ..sample() };
        let fresh = with(&[pair("umask", "077"), pair("minfds", "2"), pair("minprocs", "3")]);

        assert_eq!(sample().for_a_restart(&fresh), [""; 0]);
        let present = with(&[pair("umask", "022"), pair("minfds", "2"), pair("later", "")]);
        assert_eq!(present.for_a_restart(&fresh), ["umask"]);
        assert_eq!(present.reread(&fresh).for_the_process, present.for_the_process);
    }

    #[test]
    fn fields_of_later_versions_are_passed_over() {
        fn add_fields(value: &mut serde_json::Value) {
            if let Some(list) = value.as_array_mut() {
                list.iter_mut().for_each(add_fields);
            }
            // An object with a single field is a variant.
            if let Some(fields) = value.as_object_mut().filter(|fields| fields.len() > 1) {
                fields.values_mut().for_each(add_fields);
                fields.insert("later".to_owned(), 1.into());
            }
        }
        let mut text = serde_json::from_str(&sample().to_text()).unwrap();
        add_fields(&mut text);
        let text = text.to_string();
        assert_eq!(text.matches("later").count(), 5, "each structure has one more: {text}");

        assert_eq!(Settings::parse(&text).unwrap(), sample());
    }

    #[test]
    fn a_field_that_is_not_there_has_its_default() {
        let text = SAMPLE.replace(r#""level":"Info","#, "").replace(r#""keeper_pid":7,"#, "");

        let settings = Settings::parse(&text).unwrap();

        assert_eq!(settings, Settings { keeper_pid: 0, ..sample() });
    }
}
