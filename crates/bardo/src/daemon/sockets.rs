//! The listening sockets of the HTTP servers.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use bardo_config::{HttpServer, Listen};
use rustix::fs::{Gid, Uid};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

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
            format!("errno.{} ({errno})", crate::personality::words::errno_name(errno))
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
        Listen::Inet { host, port } => open_inet(host, *port).map_err(taken_or_other),
        Listen::Unix { path, mode, owner } => {
            let socket = open_unix(path, *mode)?;
            if let Some((uid, gid)) = *owner {
                let owner = Some(Uid::from_raw(uid));
                let group = gid.map(Gid::from_raw);
                rustix::fs::chown(path.as_str(), owner, group).map_err(|_| SocketError::Owner {
                    path: path.clone(),
                    uid: i64::from(uid),
                    gid: gid.map_or(-1, i64::from),
                    user: own_name(),
                })?;
            }
            Ok(socket)
        }
    }
}

fn own_name() -> String {
    let uid = rustix::process::geteuid().as_raw();
    bardo_sys::accounts::user_by_id(uid).map_or_else(|| uid.to_string(), |account| account.name)
}

fn open_inet(host: &str, port: u16) -> io::Result<OwnedFd> {
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
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
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
