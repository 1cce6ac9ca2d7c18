//! Loading the configuration again, for `reread` and for a restart.
//!
//! Whatever can stand in the way of a restart is tried here, on a thread of its own
//! and while everything runs: the file is read, the log is opened, the sockets are
//! bound. Supervisor finds out when everything has been stopped already, and ends. A
//! socket whose address has not changed stays the one that is open.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;

use bardo_config::{Described, HttpServer, Loaded, Request};
use bardo_core::{Configuration, ServiceSpec};

use super::boot::{check_interfaces, check_main_log};
use super::fastcgi;
use super::greeting::Greeting;
use super::main_log::Level;
use super::settings::{Address, Settings};
use super::sockets::{self, SocketError};
use super::{journal, runtime};
use crate::host::StartedHost;

/// What is there while the configuration is loaded again.
#[derive(Debug)]
pub(super) struct Present {
    /// The settings that count.
    pub(super) settings: Settings,
    /// All listening sockets that the keeper holds, by place. Those that no server of
    /// the settings has are left from a restart that was cut short.
    pub(super) listeners: Vec<(u32, OwnedFd)>,
    /// The sockets that programs share, by URL.
    pub(super) sockets: Vec<Arc<str>>,
}

/// What a service takes up of a configuration that nothing stands in the way of.
#[derive(Debug)]
pub(super) struct Changes {
    /// The groups, with the settings that are in the file.
    pub(super) configuration: Configuration,
    /// What else has changed, in words: that begins with a restart.
    pub(super) for_a_restart: Vec<String>,
}

/// A restart that nothing stands in the way of.
#[derive(Debug)]
pub(super) struct Renewal {
    /// What begins when everything has stopped, without its attachment.
    pub(super) configuration: Configuration,
    /// The settings to attach.
    pub(super) settings: Settings,
    /// Listening sockets that are new, by place.
    pub(super) opened: Vec<(u32, OwnedFd)>,
    /// Automatic logs that nobody owns, or nobody will when everything has stopped.
    pub(super) leftovers: Vec<Arc<str>>,
}

/// Loads the configuration for `reread`: its settings are attached as they are in the
/// file.
///
/// # Errors
/// Why the file is refused.
pub(super) fn reread(told: &Settings) -> Result<Configuration, String> {
    let loaded = load(told)?;
    let attachment = told.renewed(&loaded).to_text().into();
    Ok(Configuration { attachment, ..loaded.configuration })
}

/// Reads a program that a client describes, as if it stood in the file.
///
/// # Errors
/// Why it is refused.
pub(super) fn program(
    told: &Settings,
    described: Described,
) -> Result<Vec<Arc<ServiceSpec>>, String> {
    let host = StartedHost { directory: &told.start_directory, environment: &told.environment };
    let described = Described { file: told.configuration_file.clone(), ..described };
    bardo_config::load_program(&host, &described).map_err(|error| error.to_string())
}

/// Makes a restart ready.
///
/// # Errors
/// Why it cannot be. What was opened for it is gone again.
pub(super) fn restart(present: &Present) -> Result<Renewal, String> {
    let loaded = load(&present.settings)?;
    check_user(&loaded)?;
    check_interfaces(&loaded)?;
    check_main_log(&loaded.settings.logfile).map_err(|error| error.to_string())?;
    let mut settings = present.settings.renewed(&loaded);
    let opened = Opening::new(present).open(&loaded.servers, &mut settings)?;
    probe_new_sockets(present, &loaded)?;
    let mut greeting = Greeting::new(&loaded);
    greeting.user(&loaded);
    let leftovers = if loaded.settings.nocleanup {
        Vec::new()
    } else {
        let (directory, identifier) = (&settings.child_log_directory, &settings.identifier);
        runtime::automatic_logs(directory, identifier).unwrap_or_else(|line| {
            greeting.add(Level::Warn, line);
            Vec::new()
        })
    };
    greeting.servers(&loaded);
    let former = &present.settings;
    let has_moved = former.has_pidfile && former.pidfile != settings.pidfile;
    settings.former_pidfile = has_moved.then(|| former.pidfile.clone());
    settings.has_pidfile = greeting.write_pidfile(&settings.pidfile, settings.keeper_pid);
    settings.greeting = greeting.into_lines();
    let leftovers = leftovers.iter().map(|path| path.display().to_string().into()).collect();
    Ok(Renewal { configuration: loaded.configuration, settings, opened, leftovers })
}

/// Makes ready what a service takes up without a restart.
///
/// # Errors
/// Why the file is refused.
pub(super) fn changes(present: &Present) -> Result<Changes, String> {
    let loaded = load(&present.settings)?;
    check_interfaces(&loaded)?;
    probe_new_sockets(present, &loaded)?;
    let mut fresh = present.settings.renewed(&loaded);
    let mut for_a_restart = present.settings.for_a_restart(&fresh);
    let service = present.settings.service.as_ref();
    let had_user = service.is_some_and(|service| service.account.is_some());
    if check_user(&loaded).is_err() || (had_user && loaded.settings.user.is_none()) {
        for_a_restart.push("user".to_owned());
    }
    fresh.for_a_restart.clone_from(&for_a_restart);
    let attachment = fresh.to_text().into();
    let configuration = Configuration { attachment, ..loaded.configuration };
    Ok(Changes { configuration, for_a_restart })
}

/// Tries the sockets of programs that are not open now: those will be free then.
fn probe_new_sockets(present: &Present, loaded: &Loaded) -> Result<(), String> {
    for socket in fastcgi::named(&loaded.configuration.groups) {
        let url = socket.address.to_string();
        if !present.sockets.iter().any(|open| **open == *url) {
            // What Supervisor says of a probe is said at a start only.
            fastcgi::probe(&socket, &mut Vec::new()).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Loads the configuration as the daemon was told at its start to load it.
fn load(told: &Settings) -> Result<Loaded, String> {
    let request =
        Request { file: told.configuration_file.clone(), overrides: told.overrides.clone() };
    let host = StartedHost { directory: &told.start_directory, environment: &told.environment };
    let loaded = bardo_config::load(&host, &request).map_err(|error| error.to_string())?;
    journal::check_length(&loaded.configuration).map_err(|error| error.to_string())?;
    Ok(loaded)
}

/// A restart keeps its user: the keeper has its privileges, and hands them on.
fn check_user(loaded: &Loaded) -> Result<(), String> {
    let own = rustix::process::getuid();
    match &loaded.settings.user {
        Some(user) if user.account.uid != own.as_raw() => Err(if own.is_root() {
            let name = &user.name;
            format!("user={name} cannot be taken up by a restart; stop the daemon and start it")
        } else {
            "Can't drop privilege as nonroot user".to_owned()
        }),
        Some(_) | None => Ok(()),
    }
}

/// Finds or opens the sockets of servers, and takes back what it has opened unless
/// all went well.
struct Opening<'a> {
    present: &'a Present,
    opened: Vec<(u32, OwnedFd)>,
    is_done: bool,
}

impl<'a> Opening<'a> {
    fn new(present: &'a Present) -> Self {
        Self { present, opened: Vec::new(), is_done: false }
    }

    fn open(
        mut self,
        servers: &[HttpServer],
        settings: &mut Settings,
    ) -> Result<Vec<(u32, OwnedFd)>, String> {
        let mut taken = Vec::new();
        for (number, server) in servers.iter().enumerate() {
            let address = Address::of(server);
            let mut known = self.present.settings.servers.iter();
            // Its file would be open to all before its rules hold.
            if known.any(|known| known.address == address && known.owner_only != server.owner_only)
            {
                let section = &server.section;
                return Err(format!(
                    "open_to of [{section}] cannot be changed while the socket is in use: end the \
                     daemon and start it again"
                ));
            }
            if servers[..number].iter().any(|before| Address::of(before) == address) {
                return Err(SocketError::Taken.to_string());
            }
            let place = match self.find(server, &taken) {
                Some(place) => place,
                None => self.open_new(server)?,
            };
            taken.push(place);
            settings.servers[number].place = place;
        }
        // Last, because it changes what is in use.
        for server in servers {
            sockets::adjust(server).map_err(|error| error.to_string())?;
        }
        self.is_done = true;
        Ok(std::mem::take(&mut self.opened))
    }

    /// The socket that listens at this address already and that nobody else has.
    fn find(&self, server: &HttpServer, taken: &[u32]) -> Option<u32> {
        let address = Address::of(server);
        // A socket whose file was removed listens where nobody comes.
        if let Some(path) = address.file()
            && !fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket())
        {
            return None;
        }
        let settings = &self.present.settings;
        let known = settings.servers.iter().filter(|known| known.address == address);
        let is_held = |place: &u32| self.present.listeners.iter().any(|(held, _)| held == place);
        let is_free = |place: &u32| !taken.contains(place) && is_held(place);
        let spare = self.present.listeners.iter().filter(|(place, socket)| {
            settings.servers.iter().all(|server| server.place != *place)
                && sockets::address(socket.as_fd()).is_some_and(|bound| bound == address)
        });
        known.map(|known| known.place).chain(spare.map(|(place, _)| *place)).find(is_free)
    }

    fn open_new(&mut self, server: &HttpServer) -> Result<u32, String> {
        let neighbours: Vec<_> =
            self.present.listeners.iter().map(|(_, socket)| socket.as_fd()).collect();
        let socket =
            sockets::open_beside(server, &neighbours).map_err(|error| error.to_string())?;
        let places = self.present.listeners.iter().chain(&self.opened).map(|(place, _)| place + 1);
        let named = self.present.settings.servers.iter().map(|server| server.place + 1);
        let place = places.chain(named).max().unwrap_or(0);
        self.opened.push((place, socket));
        Ok(place)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        for (_, socket) in &self.opened {
            if let Some(Address::File(path)) = sockets::address(socket.as_fd()) {
                // It was made just now; if somebody has removed it already, so be it.
                let _ = fs::remove_file(path);
            }
        }
    }
}
