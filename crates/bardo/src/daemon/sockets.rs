//! The listening sockets of the HTTP servers.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};

use bardo_config::{HttpServer, Listen};
use rustix::fs::{Gid, Uid};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::settings::Address;

/// Length of the accept queue, as Supervisor sets it.
const BACKLOG: i32 = 1024;

/// Why a server cannot listen, in Supervisor's words.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens there already.
    #[error(
        "Another program is already listening on a port that one of our HTTP servers is \
         configured to use.  Shut this program down first before starting supervisord."
    )]
    Taken,
    /// Its owner cannot be set.
    #[error(
        "Not permitted to chown {path} to uid/gid ({uid}, {gid}); adjust \"sockchown\" value in \
         config file or on command line to values that the current user ({user}) can \
         successfully chown"
    )]
    Owner {
        /// The socket file.
        path: String,
        /// The owner that was asked for.
        uid: i64,
        /// The group that was asked for; -1 is none.
        gid: i64,
        /// Who we are.
        user: String,
    },
    /// Something else.
    #[error("Cannot open an HTTP server: socket.error reported {}", name(.0))]
    Other(io::Error),
}

fn name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => {
            format!("errno.{} ({errno})", crate::words::errno::name(errno))
        }
        None => error.to_string(),
    }
}

/// Opens the listening socket of a server.
///
/// # Errors
/// When somebody listens there already, or the system refuses.
pub fn open(server: &HttpServer) -> Result<OwnedFd, SocketError> {
    match &server.listen {
        Listen::Inet { host, port } => open_inet(host, *port, Sharing::No).map_err(taken_or_other),
        Listen::Unix { path, mode, owner } => {
            let socket = open_unix(path, *mode)?;
            if let Some(owner) = *owner
                && let Err(error) = change_owner(path, owner)
            {
                // It was made just now.
                let _ = fs::remove_file(path);
                return Err(error);
            }
            Ok(socket)
        }
    }
}

/// Opens the listening socket of a server while others of ours are open. One of them
/// may have the same port at another address, which the kernel allows only where both
/// agree to it.
///
/// # Errors
/// As [`open`].
pub fn open_beside(server: &HttpServer, ours: &[BorrowedFd<'_>]) -> Result<OwnedFd, SocketError> {
    let Listen::Inet { host, port } = &server.listen else { return open(server) };
    match open_inet(host, *port, Sharing::No).map_err(taken_or_other) {
        Err(SocketError::Taken) => {}
        other => return other,
    }
    let same_port = |socket: &&BorrowedFd<'_>| matches!(address(**socket), Some(Address::Port(_, bound)) if bound == *port);
    let neighbours: Vec<_> = ours.iter().filter(same_port).collect();
    let agree = |shared: bool| {
        for neighbour in &neighbours {
            // Where it does not agree, the port is taken.
            let _ = sockopt::set_socket_reuseport(neighbour, shared);
        }
    };
    agree(true);
    let opened = open_inet(host, *port, Sharing::WithOurs);
    agree(false);
    opened.map_err(taken_or_other)
}

/// Gives the socket file of a server that listens already the mode and the owner that
/// are asked for now.
///
/// # Errors
/// When the system refuses.
pub fn adjust(server: &HttpServer) -> Result<(), SocketError> {
    let Listen::Unix { path, mode, owner } = &server.listen else { return Ok(()) };
    let there = fs::symlink_metadata(path).map_err(SocketError::Other)?;
    if there.mode() & 0o7777 != *mode {
        let wanted = fs::Permissions::from_mode(*mode);
        fs::set_permissions(path, wanted).map_err(SocketError::Other)?;
    }
    let is_owner = |(uid, gid): (u32, Option<u32>)| {
        there.uid() == uid && gid.is_none_or(|gid| there.gid() == gid)
    };
    match *owner {
        Some(owner) if !is_owner(owner) => change_owner(path, owner),
        Some(_) | None => Ok(()),
    }
}

fn change_owner(path: &str, (uid, gid): (u32, Option<u32>)) -> Result<(), SocketError> {
    let (owner, group) = (Some(Uid::from_raw(uid)), gid.map(Gid::from_raw));
    rustix::fs::chown(path, owner, group).map_err(|_| SocketError::Owner {
        path: path.to_owned(),
        uid: i64::from(uid),
        gid: gid.map_or(-1, i64::from),
        user: own_name(),
    })
}

/// Where a socket of ours listens. A socket file has been linked from the name under
/// which it was bound, and that name is what the kernel remembers.
#[must_use]
pub fn address(socket: BorrowedFd<'_>) -> Option<Address> {
    let socket = socket.try_clone_to_owned().ok()?;
    let file = UnixListener::from(socket.try_clone().ok()?).local_addr();
    if let Some(path) = file.as_ref().ok().and_then(|address| address.as_pathname()) {
        let (path, pid) = path.to_str()?.rsplit_once('.')?;
        return pid.parse::<u32>().is_ok().then(|| Address::File(path.to_owned()));
    }
    match TcpListener::from(socket).local_addr().ok()? {
        SocketAddr::V4(there) if there.ip().is_unspecified() => {
            Some(Address::Port(String::new(), there.port()))
        }
        there => Some(Address::Port(there.ip().to_string(), there.port())),
    }
}

fn own_name() -> String {
    let uid = rustix::process::geteuid().as_raw();
    bardo_sys::accounts::user_by_id(uid).map_or_else(|| uid.to_string(), |account| account.name)
}

/// Whether a port may be had beside another socket of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    No,
    WithOurs,
}

fn open_inet(host: &str, port: u16, sharing: Sharing) -> io::Result<OwnedFd> {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    let mut addresses = (host, port).to_socket_addrs()?;
    let address = addresses.find(SocketAddr::is_ipv4).ok_or_else(|| {
        io::Error::from_raw_os_error(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error())
    })?;
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, sharing == Sharing::WithOurs)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    // Nobody else shall have it.
    sockopt::set_socket_reuseport(&socket, false)?;
    Ok(socket)
}

/// A socket file appears under its name only when it is complete: it is bound under
/// another one, given its mode, and then linked.
fn open_unix(path: &str, mode: u32) -> Result<OwnedFd, SocketError> {
    let temporary = format!("{path}.{}", std::process::id());
    let made = || -> io::Result<OwnedFd> {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(temporary.as_str())?)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))?;
        link(&temporary, path)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(socket)
    };
    let result = made().map_err(taken_or_other);
    let _ = fs::remove_file(&temporary);
    result
}

fn link(temporary: &str, path: &str) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            eprintln!("Unlinking stale socket {path}");
            fs::remove_file(path)?;
            fs::hard_link(temporary, path)
        }
        other => other,
    }
}

fn taken_or_other(error: io::Error) -> SocketError {
    if error.kind() == io::ErrorKind::AddrInUse {
        SocketError::Taken
    } else {
        SocketError::Other(error)
    }
}
