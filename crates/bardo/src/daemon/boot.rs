//! From a loaded configuration to a keeper.
//!
//! The process that the user started prepares everything that can fail, and says so
//! while somebody looks: sockets, lock, log, limits. Then it becomes the keeper by
//! executing itself, so that nothing of all this stays in its memory; the pid stays.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use bardo_config::{HttpServer, Listen, Loaded, MainLog as ConfiguredLog, Request};
use bardo_sys::launch::{self, FILES_MAX, Launch, c_string, go_to_background, own_executable};
use bardo_sys::limits::{self, Limit, Limited};
use bardo_sys::memory::SharedMemory;
use bardo_sys::{accounts, process, signals};
use rustix::pipe::{PipeFlags, pipe_with};

use super::journal::{self, Journal};
use super::main_log::Level;
use super::runtime::{self, Runtime};
use super::settings::{MainLog, Server, Settings, bytes_to_text};
use super::sockets::{self, SocketError};
use super::stage::{KEEPER_FILES, Stage};
use super::world::Loader;
use crate::host::Machine;

/// Why the daemon does not start. The text is Supervisor's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Something that the user can mend, as a usage error: exit code 2.
    #[error("{0}")]
    Refused(String),
    /// Something that is broken: exit code 1.
    #[error("cannot {what}: {source}")]
    Broken {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// What is to be started.
#[derive(Debug)]
pub struct Start<'a> {
    /// `ARGV0`.
    pub program: &'a str,
    /// Where the configuration came from, and what the command line said.
    pub request: Request,
    /// What it says.
    pub loaded: Loaded,
}

type Result<T> = std::result::Result<T, BootError>;

/// Becomes the keeper. Returns only when that failed, or `Ok` in the parent of a
/// daemon that has gone to the background.
///
/// # Errors
/// Everything that keeps a daemon from starting.
pub fn boot(start: Start<'_>) -> Result<()> {
    let Start { program, request, loaded } = start;
    let mut greeting = Greeting::new(&loaded);
    let configured = &loaded.settings;
    become_user(&loaded, &mut greeting)?;
    raise_limits(configured.minfds, configured.minprocs, &mut greeting)?;
    let children_limit = limits::get(Limited::Descriptors);
    check_main_log(&configured.logfile)?;
    // The lock comes first: a second instance must not touch what the first one has.
    let runtime = Runtime::claim(&request.file, &configured.pidfile, &configured.identifier)
        .map_err(|error| refused_runtime(error, &loaded))?;
    let mut undo = Undo::new(&runtime);
    let listeners = open_servers(&loaded.servers, &mut undo)?;
    if !configured.nocleanup {
        runtime::clear_automatic_logs(&configured.childlogdir, &configured.identifier)
            .into_iter()
            .for_each(|line| greeting.add(Level::Warn, line));
    }
    greeting.servers(&loaded);
    if !configured.nodaemon {
        greeting.add(Level::Info, "daemonizing the supervisord process".to_owned());
        if go_to_background().map_err(broken("go to the background"))? {
            undo.disarm();
            return Ok(());
        }
        settle_in_background(&loaded, &mut greeting);
    }
    greeting.write_pidfile(&configured.pidfile);
    undo.files.push(configured.pidfile.clone());
    raise_own_limit(&loaded);
    let settings = settings(program, &request, &loaded, children_limit, &runtime, greeting);
    let journal = make_journal(&loaded, &settings)?;
    Err(become_keeper(&settings, &journal, runtime, listeners))
}

/// Lines for the main log, in Supervisor's order.
struct Greeting {
    criticals: Vec<String>,
    warnings: Vec<String>,
    infos: Vec<String>,
    later: Vec<(Level, String)>,
}

impl Greeting {
    fn new(loaded: &Loaded) -> Self {
        let messages = &loaded.messages;
        Self {
            criticals: messages.criticals.clone(),
            warnings: messages.warnings.clone(),
            infos: messages.infos.clone(),
            later: Vec::new(),
        }
    }

    fn add(&mut self, level: Level, line: String) {
        self.later.push((level, line));
    }

    fn servers(&mut self, loaded: &Loaded) {
        for server in &loaded.servers {
            for interface in &loaded.interfaces {
                let line = format!("RPC interface '{}' initialized", interface.name);
                self.add(Level::Info, line);
            }
            if server.credentials.is_none() {
                let text = "running without any HTTP authentication checking";
                self.add(Level::Critical, format!("Server '{}' {text}", server.section));
            }
        }
    }

    fn write_pidfile(&mut self, path: &str) {
        let line = match fs::write(path, format!("{}\n", std::process::id())) {
            Ok(()) => (Level::Info, format!("supervisord started with pid {}", std::process::id())),
            Err(_) => (Level::Critical, format!("could not write pidfile {path}")),
        };
        let failed = line.0 == Level::Critical;
        self.later.push(line);
        if failed {
            let line = format!("supervisord started with pid {}", std::process::id());
            self.add(Level::Info, line);
        }
    }

    fn into_lines(self) -> Vec<(Level, String)> {
        let named = |level: Level| move |line| (level, line);
        let criticals = self.criticals.into_iter().map(named(Level::Critical));
        let warnings = self.warnings.into_iter().map(named(Level::Warn));
        let infos = self.infos.into_iter().map(named(Level::Info));
        criticals.chain(warnings).chain(infos).chain(self.later).collect()
    }
}

fn become_user(loaded: &Loaded, greeting: &mut Greeting) -> Result<()> {
    let own = rustix::process::getuid();
    let Some(user) = &loaded.settings.user else {
        if own.is_root() {
            greeting.criticals.push(ROOT_WITHOUT_USER.to_owned());
        }
        return Ok(());
    };
    let account = &user.account;
    if own.as_raw() != account.uid {
        if !own.is_root() {
            return Err(refused("Can't drop privilege as nonroot user"));
        }
        accounts::become_user(account.uid, account.gid, &account.groups)
            .map_err(|_| refused("Could not set groups of effective user"))?;
    }
    greeting.infos.push(format!("Set uid to user {} succeeded", account.uid));
    Ok(())
}

/// What the main log says when root has not said that it wants to be root.
const ROOT_WITHOUT_USER: &str = "Supervisor is running as root.  Privileges were not dropped \
     because no user is specified in the config file.  If you intend to run as root, you can \
     set user=root in the config file to avoid this message.";

/// Raises limits that are below what the configuration asks for; never lowers one.
fn raise_limits(descriptors: i64, processes: i64, greeting: &mut Greeting) -> Result<()> {
    let asked = [
        (Limited::Descriptors, descriptors, "RLIMIT_NOFILE", "minfds", "file descriptors"),
        (Limited::Processes, processes, "RLIMIT_NPROC", "minprocs", "processes"),
    ];
    for (what, least, name, option, noun) in asked {
        let least = u64::try_from(least).unwrap_or(0);
        let limit = limits::get(what);
        if limit.soft >= least {
            continue;
        }
        let raised = Limit { soft: least, hard: limit.hard.max(least) };
        limits::set(what, raised).map_err(|_| {
            let hard = limit.hard;
            refused(format!(
                "{least} {noun} are required as per the \"{option}\" command-line argument or \
                 config file setting, and the current environment allows {hard} at most. \
                 Either raise the limit in your environment or lower {option}."
            ))
        })?;
        greeting.infos.push(format!("Increased {name} limit to {least}"));
    }
    Ok(())
}

/// Raises the limit on our own descriptors as far as it goes, and further where root
/// needs more: a child takes up to six of them.
fn raise_own_limit(loaded: &Loaded) {
    let services: usize =
        loaded.configuration.groups.iter().map(|group| group.services.len()).sum();
    let needed = services as u64 * 8 + 1024;
    let limit = limits::get(Limited::Descriptors);
    let hard = limit.hard.max(needed.min(NR_OPEN));
    // Who may not raise it lives with what there is.
    if limits::set(Limited::Descriptors, Limit { soft: hard, hard }).is_err() {
        let _ = limits::set(Limited::Descriptors, Limit { soft: limit.hard, hard: limit.hard });
    }
}

/// SIGXFSZ: a file would grow beyond its limit.
const FILE_TOO_LONG: i32 = 25;

/// The kernel's own limit, unless somebody has changed it.
const NR_OPEN: u64 = 1 << 20;

fn check_main_log(log: &ConfiguredLog) -> Result<()> {
    match log {
        ConfiguredLog::Syslog => Ok(()),
        ConfiguredLog::File(path) => fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o666)
            .open(path)
            .map(drop)
            .map_err(broken(&format!("open the main log {path}"))),
    }
}

fn open_servers(servers: &[HttpServer], undo: &mut Undo) -> Result<Vec<OwnedFd>> {
    if servers.len() > FILES_MAX - KEEPER_FILES {
        return Err(refused(format!("{} HTTP servers are more than can be held", servers.len())));
    }
    let mut listeners: Vec<OwnedFd> = Vec::new();
    for server in servers {
        let opened = sockets::open(server);
        listeners.push(opened.map_err(|error| BootError::Refused(error.to_string()))?);
        if let Listen::Unix { path, .. } = &server.listen {
            undo.files.push(path.clone());
        }
    }
    Ok(listeners)
}

/// What was made in the file system, to be removed if the start fails.
struct Undo {
    directory: Option<String>,
    files: Vec<String>,
}

impl Undo {
    fn new(runtime: &Runtime) -> Self {
        Self { directory: Some(runtime.directory().display().to_string()), files: Vec::new() }
    }

    /// Somebody else looks after it from now on.
    fn disarm(&mut self) {
        self.directory = None;
        self.files.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for file in &self.files {
            // It was made just now; if somebody has removed it already, so be it.
            let _ = fs::remove_file(file);
        }
        if let Some(directory) = &self.directory {
            Runtime::remove(directory);
        }
    }
}

/// That the same daemon runs already is what Supervisor sees by its sockets, where it
/// has any, and says in these words.
fn refused_runtime(error: runtime::ClaimError, loaded: &Loaded) -> BootError {
    match error {
        runtime::ClaimError::Taken { .. } if !loaded.servers.is_empty() => {
            BootError::Refused(SocketError::Taken.to_string())
        }
        runtime::ClaimError::Taken { .. } => BootError::Refused(error.to_string()),
        runtime::ClaimError::System { what, source } => BootError::Broken { what, source },
    }
}

/// What Supervisor does only in the background.
fn settle_in_background(loaded: &Loaded, greeting: &mut Greeting) {
    if let Some(directory) = &loaded.settings.directory {
        match std::env::set_current_dir(directory) {
            Ok(()) => greeting.add(Level::Info, format!("set current directory: '{directory}'")),
            Err(error) => {
                let line = format!("can't chdir into '{directory}': {error}");
                greeting.add(Level::Critical, line);
            }
        }
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(loaded.settings.umask));
}

fn settings(
    program: &str,
    request: &Request,
    loaded: &Loaded,
    limit: Limit,
    runtime: &Runtime,
    greeting: Greeting,
) -> Settings {
    let configured = &loaded.settings;
    let environment = std::env::vars_os().map(|(name, value)| {
        let mut variable = name.into_vec();
        variable.push(b'=');
        variable.extend(value.into_vec());
        bytes_to_text(&variable)
    });
    Settings {
        program: program.to_owned(),
        identifier: configured.identifier.clone(),
        configuration_file: request.file.clone(),
        overrides: request.overrides.clone(),
        keeper_pid: std::process::id(),
        main_log: MainLog {
            path: match &configured.logfile {
                ConfiguredLog::Syslog => None,
                ConfiguredLog::File(path) => Some(path.clone()),
            },
            bytes_max: configured.logfile_bytes_max,
            backups: configured.logfile_backups,
            level: configured.loglevel.into(),
            to_stdout: configured.nodaemon && !configured.silent,
        },
        pidfile: configured.pidfile.clone(),
        runtime_directory: runtime.directory().display().to_string(),
        child_log_directory: configured.childlogdir.clone(),
        strip_ansi: configured.strip_ansi,
        descriptor_limit: (limit.soft, limit.hard),
        environment: environment.collect(),
        server_url: loaded.server_url.clone(),
        servers: loaded.servers.iter().map(server).collect(),
        offers_supervisor_namespace: loaded
            .interfaces
            .iter()
            .any(|interface| interface.name == "supervisor"),
        greeting: greeting.into_lines(),
        hang_timeout_ms: u64::try_from(configured.hang_timeout.as_millis()).unwrap_or(u64::MAX),
    }
}

fn server(server: &HttpServer) -> Server {
    Server {
        section: server.section.clone(),
        socket_file: match &server.listen {
            Listen::Unix { path, .. } => Some(path.clone()),
            Listen::Inet { .. } => None,
        },
        credentials: server.credentials.clone(),
    }
}

fn make_journal(loaded: &Loaded, settings: &Settings) -> Result<OwnedFd> {
    // The journal is long and sparse; a limit on the size of files is meant for others.
    signals::ignore(&[FILE_TOO_LONG]);
    let limit = limits::get(Limited::FileSize);
    let _ = limits::set(Limited::FileSize, Limit { soft: limit.hard, hard: limit.hard });
    let make = || -> io::Result<OwnedFd> {
        let file = Runtime::journal()?;
        let memory = Arc::new(SharedMemory::map(file.try_clone()?, journal::WORDS)?);
        Journal::create(memory, loaded.configuration.clone(), settings.to_text().into())?;
        Ok(file)
    };
    let made = make().map_err(broken("make the journal"));
    let _ = limits::set(Limited::FileSize, limit);
    made
}

/// Executes itself as the keeper; returns why that failed.
fn become_keeper(
    settings: &Settings,
    journal: &OwnedFd,
    runtime: Runtime,
    listeners: Vec<OwnedFd>,
) -> BootError {
    let prepare = || -> io::Result<io::Error> {
        let staging = pipe_with(PipeFlags::CLOEXEC)?;
        let lock = runtime.into_lock();
        let mut files: Vec<BorrowedFd<'_>> =
            vec![journal.as_fd(), staging.0.as_fd(), staging.1.as_fd(), lock.as_fd()];
        files.extend(listeners.iter().map(AsFd::as_fd));
        let stage =
            Stage::Keeper { listeners: listeners.len(), hang_timeout_ms: settings.hang_timeout_ms };
        let arguments =
            std::env::args_os().map(|word| c_string(&word.into_vec())).collect::<Vec<_>>();
        let launch = Launch::new(own_executable()?, arguments, stage.environment());
        process::set_name("supervisord");
        Ok(launch.replace_with(&files))
    };
    let source = prepare().unwrap_or_else(|error| error);
    BootError::Broken { what: "execute the keeper".to_owned(), source }
}

/// Loads the configuration anew, as the daemon was told at its start to load it.
#[must_use]
pub fn loader(settings: &Settings) -> Loader {
    let request = Request {
        file: settings.configuration_file.clone(),
        overrides: settings.overrides.clone(),
    };
    Arc::new(move || {
        bardo_config::load(&Machine, &request)
            .map(|loaded| loaded.configuration)
            .map_err(|error| error.to_string())
    })
}

/// Removes what a daemon leaves in the file system: pid file, sockets, journal.
pub fn remove_files(settings: &Settings) {
    let sockets = settings.servers.iter().filter_map(|server| server.socket_file.as_deref());
    for path in sockets.chain([settings.pidfile.as_str()]) {
        // Somebody else may have tidied up.
        let _ = fs::remove_file(path);
    }
    Runtime::remove(&settings.runtime_directory);
}

fn refused(text: impl Into<String>) -> BootError {
    BootError::Refused(text.into())
}

fn broken(what: &str) -> impl FnOnce(io::Error) -> BootError {
    let what = what.to_owned();
    move |source| BootError::Broken { what, source }
}

/// Descriptors that the keeper gets from the process it was.
pub use launch::inherited;
