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
use std::path::Path;
use std::sync::Arc;

use bardo_config::{Host, HttpServer, Listen, Loaded, MainLog as ConfiguredLog, Request};
use bardo_core::Configuration;
use bardo_keeper::FORWARDED;
use bardo_sys::launch::{
    self, FILES_MAX, Launch, c_string, go_to_background, leave_session, own_executable,
};
use bardo_sys::limits::{self, Limit, Limited};
use bardo_sys::memory::SharedMemory;
use bardo_sys::{accounts, process, signals};
use rustix::pipe::{PipeFlags, pipe_with};

use super::fastcgi;
use super::greeting::Greeting;
use super::journal::{self, Journal};
use super::main_log::Level;
use super::managed::folder;
use super::runtime::{self, Runtime};
use super::settings::{Service, Settings};
use super::sockets::{self, SocketError};
use super::stage::{KEEPER_FILES, MANAGERS, SERVICE_FILES, Stage, Waiter};
use super::trees;
use crate::host::{Machine, bytes_to_text};
use crate::words::{python_error, quoted};

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
    /// Whether a restart that a client asks for is left to whoever has started us.
    pub ends_at_restart: bool,
    /// The service that it is, where a service manager has started it.
    pub service: Option<StartedService>,
}

/// A service that begins.
#[derive(Debug)]
pub struct StartedService {
    /// What supervisors are told of it.
    pub told: Service,
    /// What keeps others of its name from beginning.
    pub lock: OwnedFd,
    /// Where its supervisor waits for the next keeper when its own is gone.
    pub door: OwnedFd,
    /// Somebody waits at the other end of this pipe. He is told the keeper's number, and then
    /// that all is ready.
    pub waiter: Option<OwnedFd>,
}

type Result<T> = std::result::Result<T, BootError>;

/// The process that others of its container have no other parent than.
const FIRST_PROCESS: u32 = 1;

/// Has a stop wait that comes while a configuration is read, where it would be lost: the kernel
/// drops what the first process of a container has not asked for. Any other process is ended by
/// it, as whoever presses Ctrl-C expects.
pub fn hold_back_what_is_dropped() {
    if std::process::id() == FIRST_PROCESS {
        signals::hold_back(&FORWARDED);
    }
}

/// Becomes the keeper. Returns only when that failed, or `Ok` in the parent of a
/// daemon that has gone to the background.
///
/// # Errors
/// Everything that keeps a daemon from starting.
pub fn boot(start: Start<'_>) -> Result<()> {
    let Start { program, request, loaded, ends_at_restart, service } = start;
    let mut greeting = Greeting::new(&loaded);
    let configured = &loaded.settings;
    let start_directory = Machine.current_directory();
    check_user(&loaded)?;
    // Before privileges are dropped: only root raises hard limits. Supervisor drops
    // them first.
    let raised = raise_limits(configured.minfds, configured.minprocs)?;
    let children_limit = limits::get(Limited::Descriptors);
    raise_own_limit(&loaded.configuration);
    if let Some(service) = &service {
        let account = loaded.settings.user.as_ref().map(|user| &user.account);
        let account = account.filter(|_| rustix::process::geteuid().is_root());
        let owner = account.map(|account| (account.uid, account.gid));
        let made = folder::make_told(Path::new(&service.told.place), owner);
        made.map_err(broken("make a folder for what the supervisor notes"))?;
    }
    become_user(&loaded)?;
    greeting.user(&loaded);
    raised.into_iter().for_each(|line| greeting.info(line));
    check_main_log(&configured.logfile)?;
    // The lock comes first: a second instance must not touch what the first one has.
    let (runtime, mut undo, listeners) = match claim(&request, &loaded) {
        Ok(claimed) => claimed,
        Err(error) => {
            greeting.say(configured);
            return Err(error);
        }
    };
    if !configured.nocleanup {
        runtime::clear_automatic_logs(&configured.childlogdir, &configured.identifier)
            .into_iter()
            .for_each(|line| greeting.add(Level::Warn, line));
    }
    for socket in fastcgi::named(&loaded.configuration.groups) {
        let mut lines = Vec::new();
        let probed = fastcgi::probe(&socket, &mut lines);
        lines.into_iter().for_each(|line| greeting.add(Level::Info, line));
        if let Err(error) = probed {
            greeting.say(configured);
            return Err(refused(error.to_string()));
        }
    }
    greeting.servers(&loaded);
    // The pid file invites to signal a process that is not the keeper yet.
    signals::hold_back(&FORWARDED);
    if !configured.nodaemon {
        greeting.add(Level::Info, "daemonizing the supervisord process".to_owned());
        if go_to_background().map_err(broken("go to the background"))? {
            undo.disarm();
            return Ok(());
        }
        if let Some(waiter) = service.as_ref().and_then(|service| service.waiter.as_ref()) {
            leave_session().map_err(broken("leave the session"))?;
            let pid = format!("{}\n", std::process::id());
            // Who waits no more does not want to know.
            let _ = rustix::io::write(waiter, pid.as_bytes());
        }
        settle_in_background(&loaded, &mut greeting);
    }
    let has_pidfile = greeting.write_pidfile(&configured.pidfile, std::process::id());
    undo.files.extend(has_pidfile.then(|| configured.pidfile.clone()));
    let told = told(program, &request, &runtime, start_directory, children_limit);
    let mut settings = told.renewed(&loaded);
    for (place, server) in (0..).zip(&mut settings.servers) {
        server.place = place;
    }
    settings.ends_at_restart = ends_at_restart;
    if let Some(service) = &service {
        settings.environment.retain(|variable| !is_of_manager(variable));
        let account = loaded.settings.user.as_ref().map(|user| &user.account);
        let account = account.map(|user| (user.uid, user.gid, user.groups.clone()));
        let cgroup = trees::name_of(settings.keeper_pid);
        settings.service = Some(Service { account, cgroup, ..service.told.clone() });
    }
    settings.has_pidfile = has_pidfile;
    settings.greeting = greeting.into_lines();
    let journal = make_journal(&loaded, &settings)?;
    Err(become_keeper(&settings, &journal, (runtime, service), listeners))
}

/// Whether a service manager has said this to the keeper.
fn is_of_manager(variable: &str) -> bool {
    let name = variable.split('=').next().unwrap_or_default();
    MANAGERS.contains(&name)
}

/// Takes what only one daemon can have: the lock, and the addresses of its servers.
fn claim(request: &Request, loaded: &Loaded) -> Result<(Runtime, Undo, Vec<OwnedFd>)> {
    let configured = &loaded.settings;
    let runtime = Runtime::claim(&request.file, &configured.pidfile, &configured.identifier)
        .map_err(|error| refused_runtime(error, loaded))?;
    let mut undo = Undo::new(&runtime);
    check_interfaces(loaded).map_err(BootError::Refused)?;
    let listeners = open_servers(&loaded.servers, &mut undo)?;
    Ok((runtime, undo, listeners))
}

/// Supervisor says this before anything else.
fn check_user(loaded: &Loaded) -> Result<()> {
    let own = rustix::process::getuid();
    match &loaded.settings.user {
        Some(user) if own.as_raw() != user.account.uid && !own.is_root() => {
            Err(refused("Can't drop privilege as nonroot user"))
        }
        Some(_) | None => Ok(()),
    }
}

fn become_user(loaded: &Loaded) -> Result<()> {
    let Some(user) = &loaded.settings.user else { return Ok(()) };
    let account = &user.account;
    if rustix::process::getuid().as_raw() == account.uid {
        return Ok(());
    }
    accounts::become_user(account.uid, account.gid, &account.groups)
        .map_err(|_| refused("Could not set groups of effective user"))
}

/// Raises limits that are below what the configuration asks for; never lowers one.
/// Returns a line for each.
fn raise_limits(descriptors: i64, processes: i64) -> Result<Vec<String>> {
    let mut lines = Vec::new();
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
        lines.push(format!("Increased {name} limit to {least}"));
    }
    Ok(lines)
}

/// Raises the limit on our own descriptors as far as it goes, and further where root
/// needs more: a child takes up to six of them.
pub(super) fn raise_own_limit(configuration: &Configuration) {
    let services: usize = configuration.groups.iter().map(|group| group.services.len()).sum();
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

/// Whether the main log can be opened; it is created where there is none.
///
/// # Errors
/// When it cannot.
pub(super) fn check_main_log(log: &ConfiguredLog) -> Result<()> {
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

/// Supervisor makes its interfaces for each server, and not every factory takes
/// arguments.
///
/// # Errors
/// Which one cannot be made.
pub(super) fn check_interfaces(loaded: &Loaded) -> std::result::Result<(), String> {
    let refused = loaded.interfaces.iter().find(|interface| !interface.can_be_made());
    match refused {
        Some(interface) if !loaded.servers.is_empty() => {
            Err(format!("Could not make {} rpc interface", interface.name))
        }
        Some(_) | None => Ok(()),
    }
}

fn open_servers(servers: &[HttpServer], undo: &mut Undo) -> Result<Vec<OwnedFd>> {
    if servers.len() > FILES_MAX - KEEPER_FILES - SERVICE_FILES {
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
            Ok(()) => {
                greeting.add(Level::Info, format!("set current directory: {}", quoted(directory)));
            }
            Err(error) => {
                let why = python_error(&error, directory);
                let line = format!("can't chdir into {}: {why}", quoted(directory));
                greeting.add(Level::Critical, line);
            }
        }
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(loaded.settings.umask));
}

/// What the daemon is told at its start and what no restart changes. The rest is still
/// to come.
fn told(
    program: &str,
    request: &Request,
    runtime: &Runtime,
    start_directory: String,
    limit: Limit,
) -> Settings {
    let environment = std::env::vars_os().map(|(name, value)| {
        let mut variable = name.into_vec();
        variable.push(b'=');
        variable.extend(value.into_vec());
        bytes_to_text(&variable)
    });
    Settings {
        program: program.to_owned(),
        configuration_file: request.file.clone(),
        overrides: request.overrides.clone(),
        start_directory,
        beginning: 1,
        keeper_pid: std::process::id(),
        runtime_directory: runtime.directory().display().to_string(),
        descriptor_limit: (limit.soft, limit.hard),
        environment: environment.collect(),
        ..Settings::default()
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
        let attachment = settings.to_text().into();
        Journal::create(memory, Configuration { attachment, ..loaded.configuration.clone() })?;
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
    (runtime, service): (Runtime, Option<StartedService>),
    listeners: Vec<OwnedFd>,
) -> BootError {
    let prepare = || -> io::Result<io::Error> {
        let staging = pipe_with(PipeFlags::CLOEXEC)?;
        let lock = runtime.into_lock();
        let mut files: Vec<BorrowedFd<'_>> =
            vec![journal.as_fd(), staging.0.as_fd(), staging.1.as_fd(), lock.as_fd()];
        let waiter = service.as_ref().and_then(|service| service.waiter.as_ref());
        files.extend(service.iter().flat_map(|one| [one.lock.as_fd(), one.door.as_fd()]));
        files.extend(waiter.map(AsFd::as_fd));
        files.extend(listeners.iter().map(AsFd::as_fd));
        let stage = Stage::Keeper {
            listeners: listeners.len(),
            hang_timeout_ms: settings.hang_timeout_ms,
            service: service.as_ref().map(|_| Waiter(waiter.is_some())),
        };
        let arguments =
            std::env::args_os().map(|word| c_string(&word.into_vec())).collect::<Vec<_>>();
        let launch = Launch::new(own_executable()?, arguments, stage.environment());
        process::set_name("supervisord");
        Ok(launch.replace_with(&files))
    };
    let source = prepare().unwrap_or_else(|error| error);
    BootError::Broken { what: "execute the keeper".to_owned(), source }
}

/// Removes the sockets that a daemon leaves in the file system, and the files of a
/// restart that did not come to its end.
pub fn remove_sockets(settings: &Settings, others: &[String]) {
    let sockets = settings.servers.iter().filter_map(|server| server.address.file());
    for path in sockets.chain(others.iter().map(String::as_str)) {
        // Somebody else may have tidied up.
        let _ = fs::remove_file(path);
    }
}

/// Removes the rest: the runtime directory and the pid file. To be done last: whoever waits
/// for the pid file to go reads the main log next, or starts anew.
pub fn remove_pidfile(settings: &Settings) {
    Runtime::remove(&settings.runtime_directory);
    if let Some(service) = &settings.service {
        folder::leave(service.place.as_ref());
    }
    // Whoever was quicker and has started anew has a file of his own.
    let own = format!("{}\n", settings.keeper_pid);
    let of_service = settings.service.as_ref().and_then(|service| service.pidfile.as_ref());
    let files = settings.has_pidfile.then_some(&settings.pidfile).into_iter().chain(of_service);
    for file in files.filter(|file| fs::read(file).is_ok_and(|text| text == own.as_bytes())) {
        let _ = fs::remove_file(file);
    }
    if let Some(service) = &settings.service {
        // The pid file may have been what was left in it.
        let _ = fs::remove_dir(&service.place);
    }
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
