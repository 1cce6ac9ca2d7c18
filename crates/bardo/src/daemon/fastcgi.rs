//! Listening sockets that programs share as their standard input: FastCGI.
//!
//! One is opened when the first of its processes starts, and closed when the last one has
//! come to rest. Supervisor closes it with the last process, also where that is started
//! again at once; here it stays, and so does whoever waits in its queue. The keeper holds
//! it, so it outlives a supervisor.
//!
//! One thing surprises a newcomer: sockets are known by their URL. Two sections that name
//! the same one share it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;
use std::time::Duration;

use bardo_core::spec::{GroupSpec, SocketAddress, SocketSpec};
use bardo_core::{Event, SpawnError, Supervisor};
use bardo_keeper::protocol::{Key, Roles, ToKeeper};
use rustix::fs::{Gid, Mode, Uid};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::journal::Entry;
use super::main_log::Level;
use super::world::Machine;
use crate::words::system_error;

/// Mode of a socket file where nothing else is said, as Supervisor has it.
const MODE: u32 = 0o700;

/// The longest accept queue; the kernel shortens it to its own limit.
const BACKLOG_MAX: i32 = 4096;

/// How long a name may take to be looked up.
const RESOLVE_WITHIN: Duration = Duration::from_secs(1);

/// Why a socket cannot be had, in Supervisor's words.
#[derive(Debug, thiserror::Error)]
#[error("Could not create FastCGI socket {url}: {what}{}", system_error(.source))]
pub struct SharedSocketError {
    url: String,
    what: &'static str,
    source: io::Error,
}

impl SharedSocketError {
    fn errno(&self) -> i32 {
        self.source.raw_os_error().unwrap_or(0)
    }
}

/// Opens a socket and has it listen. What is in the way of a socket file is removed.
///
/// # Errors
/// What the system says of it.
pub fn open(spec: &SocketSpec) -> Result<OwnedFd, SharedSocketError> {
    let url = spec.address.to_string();
    let error = |what: &'static str| {
        let url = url.clone();
        move |source: io::Error| SharedSocketError { url, what, source }
    };
    let socket = match &spec.address {
        SocketAddress::Tcp { host, port } => bind_tcp(host, *port).map_err(error(""))?,
        SocketAddress::Unix(path) => {
            let socket = bind_unix(path).map_err(error(""))?;
            if let Some((uid, gid)) = spec.owner {
                let (owner, group) = (Some(Uid::from_raw(uid)), gid.map(Gid::from_raw));
                let changed = rustix::fs::chown(&**path, owner, group).map_err(Into::into);
                changed.map_err(error("Could not change ownership of socket file: "))?;
            }
            let mode = fs::Permissions::from_mode(spec.mode.unwrap_or(MODE));
            let changed = fs::set_permissions(&**path, mode);
            changed.map_err(error("Could not change permissions of socket file: "))?;
            socket
        }
    };
    let backlog = spec.backlog.and_then(|backlog| i32::try_from(backlog).ok());
    let listening = rustix::net::listen(&socket, backlog.unwrap_or(BACKLOG_MAX));
    listening.map_err(io::Error::from).map_err(error(""))?;
    Ok(socket)
}

fn bind_tcp(host: &str, port: u16) -> io::Result<OwnedFd> {
    let address = resolve(host, port)?;
    let socket = new_socket(AddressFamily::INET)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// The address of a host. A name is looked up on a thread beside this one, which waits
/// for a moment only: other programs must not wait for a name server.
fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let none = || io::Error::from_raw_os_error(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error());
    if host.is_empty() {
        return Ok((Ipv4Addr::UNSPECIFIED, port).into());
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok((address, port).into());
    }
    let (sender, found) = std::sync::mpsc::channel();
    let host = host.to_owned();
    std::thread::Builder::new().name("resolve".into()).spawn(move || {
        // Whoever asked may have given up.
        let _ = sender.send((host.as_str(), port).to_socket_addrs());
    })?;
    let late = |_| io::Error::from_raw_os_error(rustix::io::Errno::TIMEDOUT.raw_os_error());
    let mut addresses = found.recv_timeout(RESOLVE_WITHIN).map_err(late)??;
    addresses.find(SocketAddr::is_ipv4).ok_or_else(none)
}

fn bind_unix(path: &str) -> io::Result<OwnedFd> {
    // Something else than a socket is not ours to remove.
    if fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let socket = new_socket(AddressFamily::UNIX)?;
    // The file comes into the world with this mode, so nobody slips in before it has its
    // own.
    let _ = rustix::fs::fchmod(&socket, Mode::from_raw_mode(0));
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// A socket that programs find as they would make it: one that waits.
fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// The sockets that groups name, each once, in their order.
pub fn named<'a>(groups: impl IntoIterator<Item = &'a Arc<GroupSpec>>) -> Vec<Arc<SocketSpec>> {
    let mut sockets: Vec<Arc<SocketSpec>> = Vec::new();
    let services = groups.into_iter().flat_map(|group| &group.services);
    for socket in services.filter_map(|service| service.program.socket.as_ref()) {
        if sockets.iter().all(|known| known.address != socket.address) {
            sockets.push(Arc::clone(socket));
        }
    }
    sockets
}

/// Whether a socket can be had: opens and closes it, and adds what Supervisor says of that.
///
/// # Errors
/// Why it cannot.
pub fn probe(spec: &SocketSpec, lines: &mut Vec<String>) -> Result<(), SharedSocketError> {
    lines.push(format!("Creating socket {}", spec.address));
    open(spec)?;
    lines.push(format!("Closing socket {}", spec.address));
    Ok(())
}

/// The sockets that are open.
#[derive(Debug, Default)]
pub struct SharedSockets {
    open: BTreeMap<u32, OwnedFd>,
    /// Those that nobody uses any more.
    unused: Vec<Arc<str>>,
}

impl SharedSockets {
    /// Those that the keeper holds, by number.
    #[must_use]
    pub fn new(open: BTreeMap<u32, OwnedFd>) -> Self {
        Self { open, unused: Vec::new() }
    }
}

/// The key under which the keeper holds a socket.
fn key(number: u32) -> Key {
    Key { owner: Key::HOUSE, life: number }
}

impl Machine {
    /// The socket of a program that is to start, opened if it is not yet.
    pub(super) fn shared_socket(&mut self, spec: &SocketSpec) -> Result<OwnedFd, SpawnError> {
        let url: Arc<str> = spec.address.to_string().into();
        self.sockets.unused.retain(|unused| *unused != url);
        let known = self.surroundings.sockets.iter().find(|(_, known)| **known == url);
        let open = known.and_then(|(number, _)| self.sockets.open.get(number));
        let refused = |error: &io::Error| SpawnError::Socket(error.raw_os_error().unwrap_or(0));
        if let Some(socket) = open {
            return socket.try_clone().map_err(|error| refused(&error));
        }
        self.log(Level::Info, &format!("Creating socket {url}"));
        let socket = open_logged(self, spec)?;
        let used = self.surroundings.sockets.keys().chain(self.sockets.open.keys());
        let number = used.max().map_or(0, |last| last + 1);
        self.link
            .hold(key(number), Roles::SOCKET, &[socket.as_fd()])
            .map_err(|error| refused(&error))?;
        self.note(&Entry::Socket(number, Some(url)));
        let given = socket.try_clone().map_err(|error| refused(&error))?;
        self.sockets.open.insert(number, socket);
        Ok(given)
    }

    /// Notes whose sockets nobody uses any more, when a process has come to rest.
    pub(super) fn release_socket(&mut self, supervisor: &Supervisor, event: &Event) {
        if let Event::Cleared | Event::GroupRemoved(_) = event {
            return self.release_unknown_sockets(supervisor, event);
        }
        let Event::ProcessState { service, to, .. } = event else { return };
        let service = supervisor.service(*service);
        let socket = service.and_then(|service| service.spec.program.socket.as_ref());
        if let Some(socket) = socket.filter(|_| to.is_stopped())
            && !is_in_use(supervisor, socket)
        {
            self.sockets.unused.push(socket.address.to_string().into());
        }
    }

    /// Closes the sockets of services that are gone with their groups: what begins anew
    /// opens its own, as it is described now.
    fn release_unknown_sockets(&mut self, supervisor: &Supervisor, event: &Event) {
        let used = |url: &str| {
            supervisor.services().any(|service| {
                let socket = service.spec.program.socket.as_ref();
                socket.is_some_and(|socket| socket.address.to_string() == *url)
                    && (service.pid.is_some() || !service.state_name().is_stopped())
            })
        };
        let urls = self.surroundings.sockets.values();
        let unused: Vec<Arc<str>> =
            urls.filter(|url| *event == Event::Cleared || !used(url)).cloned().collect();
        self.sockets.unused.extend(unused);
        self.close_unused_sockets();
    }

    /// Closes the sockets that nobody uses any more. Their files stay, as in Supervisor.
    pub(super) fn close_unused_sockets(&mut self) {
        for url in std::mem::take(&mut self.sockets.unused) {
            let known = self.surroundings.sockets.iter().find(|(_, known)| **known == url);
            let Some(number) = known.map(|(number, _)| *number) else { continue };
            self.note(&Entry::Socket(number, None));
            self.tell(ToKeeper::Drop(key(number), Roles::SOCKET));
            self.sockets.open.remove(&number);
            self.log(Level::Info, &format!("Closing socket {url}"));
        }
    }

    /// Makes of the sockets that were held what the journal says of them: one that has no
    /// name is nobody's, and one that is not there is none.
    pub(super) fn mend_sockets(&mut self, supervisor: &Supervisor) {
        let known = self.surroundings.sockets.clone();
        let stray: Vec<u32> = self
            .sockets
            .open
            .keys()
            .filter(|number| !known.contains_key(number))
            .copied()
            .collect();
        for number in stray {
            self.sockets.open.remove(&number);
            self.tell(ToKeeper::Drop(key(number), Roles::SOCKET));
        }
        let used = supervisor
            .services()
            .filter(|service| service.pid.is_some() || !service.state_name().is_stopped());
        let used: Vec<String> = used
            .filter_map(|service| Some(service.spec.program.socket.as_ref()?.address.to_string()))
            .collect();
        for (number, url) in known {
            if !self.sockets.open.contains_key(&number) {
                self.note(&Entry::Socket(number, None));
            } else if !used.iter().any(|used| **used == *url) {
                self.sockets.unused.push(url);
            }
        }
    }
}

fn open_logged(machine: &Machine, spec: &SocketSpec) -> Result<OwnedFd, SpawnError> {
    open(spec).map_err(|error| {
        machine.log(Level::Error, &error.to_string());
        SpawnError::Socket(error.errno())
    })
}

/// Whether a process that uses a socket is up, or on its way.
fn is_in_use(supervisor: &Supervisor, socket: &SocketSpec) -> bool {
    supervisor.services().any(|service| {
        let is_user = service.spec.program.socket.as_ref();
        is_user.is_some_and(|own| own.address == socket.address)
            && (service.pid.is_some() || !service.state_name().is_stopped())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn unix(path: &std::path::Path) -> SocketSpec {
        let address = SocketAddress::Unix(path.to_str().unwrap().into());
        SocketSpec { address, backlog: None, owner: None, mode: None }
    }

    #[test]
    fn a_socket_file_takes_the_place_of_another_and_has_its_mode() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("s");
        let _first = open(&unix(&path)).unwrap();

        let _second = open(&SocketSpec { mode: Some(0o640), ..unix(&path) }).unwrap();

        let there = fs::metadata(&path).unwrap();
        assert_eq!(there.mode() & 0o777, 0o640);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("s");
        fs::write(&path, "precious").unwrap();

        let error = open(&unix(&path)).unwrap_err();

        assert_eq!(fs::read(&path).unwrap(), b"precious");
        let text = error.to_string();
        assert!(text.starts_with("Could not create FastCGI socket unix://"), "{text}");
        assert!(text.ends_with("[Errno 98] Address already in use"), "{text}");
    }

    #[test]
    fn a_port_that_is_taken_is_told_in_supervisors_words() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let address = SocketAddress::Tcp { host: "localhost".into(), port };

        let spec = SocketSpec { address, backlog: Some(3), owner: None, mode: None };
        let mut lines = Vec::new();
        let error = probe(&spec, &mut lines).unwrap_err();

        assert_eq!(lines, [format!("Creating socket tcp://localhost:{port}")]);
        assert_eq!(
            error.to_string(),
            format!(
                "Could not create FastCGI socket tcp://localhost:{port}: \
                 [Errno 98] Address already in use"
            )
        );
    }
}
