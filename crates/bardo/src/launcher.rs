//! `bardo run`: a supervisor in the foreground that needs no configuration.
//!
//! The configuration that it begins with is written where its socket is, so that a look
//! at it, `supervisorctl -c` and SIGHUP work as with any other.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bardo_config::{ConfigError, Listen, Loaded, Request};
use rustix::net::sockopt::socket_peercred;

use crate::daemon::boot::{self, BootError};
use crate::daemon::managed::folder;
use crate::daemon::runtime::{self, places};
use crate::host::Machine;
use crate::output::say;

/// Exit code of a supervisor that did not start.
const NOT_STARTED: u8 = 2;

/// The name of the socket in its folder: where `service` looks for it.
pub const SOCKET: &str = "bardo.sock";

/// The folder of root's socket, where root can write there.
pub const ROOTS_PLACE: &str = "/run/bardo";

/// The name of the configuration in the same folder.
const CONFIGURATION: &str = "bardo.conf";

/// The folder of logs in the same folder, which is nobody else's to look at.
pub const LOGS: &str = "log";

/// The main log in that folder.
const MAIN_LOG: &str = "bardo.log";

/// What that begins with.
pub const HEAD: &str = "; Written by";

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Nowhere to put a socket.
    #[error(
        "there is no place for the socket ({0}): set XDG_RUNTIME_DIR to a folder that only you \
         can write, have /run or /tmp writable, or name a configuration with -c"
    )]
    NoPlace(String),
    /// Somebody listens there already.
    #[error(
        "a supervisor (process {pid}) listens on {} already; bring services up in it with: \
         service up /path/to/program", .socket.display()
    )]
    Taken {
        /// Its socket.
        socket: PathBuf,
        /// Its process.
        pid: i32,
    },
    /// A file cannot be made.
    #[error("cannot make {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration is refused.
    #[error("{0}")]
    Configuration(#[from] ConfigError),
    /// It says nothing of the daemon. Supervisor's words for that do not tell where.
    #[error("{0} has no [supervisord] section; it may be empty, but it has to be there")]
    NoSection(String),
    /// It does not start.
    #[error("{0}")]
    Boot(#[from] BootError),
}

/// Becomes the supervisor of a configuration, or of none. Returns only when that failed.
#[must_use]
pub fn main(configuration: Option<&str>) -> ExitCode {
    boot::hold_back_what_is_dropped();
    let error = match launch(configuration) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    eprintln!("bardo: run: {error}");
    ExitCode::from(NOT_STARTED)
}

fn launch(configuration: Option<&str>) -> Result<(), LaunchError> {
    let file = match configuration {
        Some(file) => file.to_owned(),
        None => prepare_first(&places())?,
    };
    // An absolute path is the same from wherever `directory=` leads to.
    let file = fs::canonicalize(&file).map_or(file, |path| path.display().to_string());
    let request = Request { file, overrides: vec![("nodaemon".into(), "true".into())] };
    let loaded = load(&request)?;
    say(&greeting(&request.file, &loaded));
    let start =
        boot::Start { program: "bardo run", request, loaded, ends_at_restart: true, service: None };
    Ok(boot::boot(start)?)
}

/// Reads a configuration.
///
/// # Errors
/// When it is refused.
pub fn load(request: &Request) -> Result<Loaded, LaunchError> {
    bardo_config::load(&Machine, request).map_err(|error| match error {
        ConfigError::NoServerSection => LaunchError::NoSection(request.file.clone()),
        error => error.into(),
    })
}

/// What it says at its start: what it is, and how to bring something up in it.
fn greeting(file: &str, loaded: &Loaded) -> String {
    let mut text = format!(
        "bardo {}: a supervisor in the foreground, of {file}. Ctrl-C stops all and ends it.\n",
        env!("CARGO_PKG_VERSION")
    );
    let sockets = loaded.servers.iter().find_map(|server| match &server.listen {
        Listen::Unix { path, .. } => Some(path),
        Listen::Inet { .. } => None,
    });
    let usual = places().into_iter().map(|place| place.join(SOCKET));
    text += &match sockets {
        None => "Without [unix_http_server] service(8) cannot reach it.\n".to_owned(),
        Some(path) => {
            let is_found = usual.into_iter().any(|usual| usual == Path::new(path));
            let option = if is_found { String::new() } else { format!("--socket {path} ") };
            format!("Bring something up with:\n  service {option}up /path/to/program\n")
        }
    };
    text
}

/// The first of these folders that can be had is made the supervisor's; the path of its
/// configuration.
fn prepare_first(places: &[PathBuf]) -> Result<String, LaunchError> {
    let mut refusals = Vec::new();
    for place in places {
        match runtime::make_private(place) {
            Ok(()) => return prepare(place),
            Err(error) => refusals.push(format!("{}: {error}", place.display())),
        }
    }
    Err(LaunchError::NoPlace(refusals.join("; ")))
}

/// Makes the folder and the configuration in it; returns the path of that.
///
/// # Errors
/// When it cannot be made, or somebody listens there already.
pub fn prepare(place: &Path) -> Result<String, LaunchError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LaunchError::File { path, source }
    };
    let socket = place.join(SOCKET);
    if let Ok(stream) = UnixStream::connect(&socket) {
        let pid = socket_peercred(&stream).map_or(0, |peer| peer.pid.as_raw_nonzero().get());
        return Err(LaunchError::Taken { socket, pid });
    }
    let logs = place.join(LOGS);
    // What root writes there nobody may lead elsewhere.
    folder::make_own(place).map_err(failed(place))?;
    folder::make_own(&logs).map_err(failed(&logs))?;
    // What lies there from when the folder was somebody else's is not followed either.
    let log = logs.join(MAIN_LOG);
    folder::open_plain(&log).map_err(failed(&log))?;
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        open_to_services(place).map_err(failed(place))?;
    }
    let path = place.join(CONFIGURATION);
    // Never half of it is there, whoever reads it just now.
    let fresh = place.join(format!("{CONFIGURATION}.{}", std::process::id()));
    folder::write_private(&fresh, &text(place, is_root)).map_err(failed(&fresh))?;
    fs::rename(&fresh, &path).map_err(failed(&path))?;
    Ok(path.display().to_string())
}

/// Lets services of other users through to the socket: the kernel tells who they are, and
/// what they may do is asked there.
fn open_to_services(place: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(place)?.permissions();
    permissions.set_mode(permissions.mode() | 0o711);
    fs::set_permissions(place, permissions)
}

/// The configuration that needs none.
fn text(place: &Path, is_root: bool) -> String {
    let here = escaped(place);
    // Without it Supervisor warns that privileges were not dropped.
    let user = if is_root { "user=root\n" } else { "" };
    // Services of other users that hold `control` come through the same socket.
    let doors = if is_root { "chmod=0777\nopen_to=owner\n" } else { "" };
    format!(
        "{HEAD} `bardo run` at each start: what you change here is lost.\n\
         ; A configuration of your own: bardo run -c FILE\n\
         [unix_http_server]\nfile={here}/{SOCKET}\n{doors}\n\
         [supervisord]\nnodaemon=true\n{user}logfile={here}/{LOGS}/{MAIN_LOG}\n\
         logfile_maxbytes=1MB\nlogfile_backups=1\npidfile={here}/bardo.pid\n\
         childlogdir={here}/{LOGS}\n\n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n\
         [supervisorctl]\nserverurl=unix://{here}/{SOCKET}\n"
    )
}

/// A path as a value of the configuration, where a percent sign begins an expansion.
#[must_use]
pub fn escaped(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_that_needs_none_is_read_without_a_word() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("bardo.conf");
        fs::create_dir(room.path().join(LOGS)).unwrap();
        fs::write(&path, text(room.path(), false)).unwrap();
        let request = Request { file: path.display().to_string(), overrides: Vec::new() };

        let loaded = bardo_config::load(&Machine, &request).unwrap();

        assert!(loaded.settings.nodaemon);
        assert!(loaded.configuration.groups.is_empty());
        assert_eq!(loaded.servers.len(), 1);
    }

    #[test]
    fn a_link_in_the_place_of_the_main_log_is_not_followed() {
        let room = tempfile::tempdir().unwrap();
        let (place, victim) = (room.path().join("place"), room.path().join("victim"));
        folder::make_own(&place).unwrap();
        folder::make_own(&place.join(LOGS)).unwrap();
        std::os::unix::fs::symlink(&victim, place.join(LOGS).join(MAIN_LOG)).unwrap();

        let refused = prepare(&place).unwrap_err();

        assert!(refused.to_string().contains(MAIN_LOG), "{refused}");
        assert!(!victim.exists(), "it would be made by whoever follows");
        fs::remove_file(place.join(LOGS).join(MAIN_LOG)).unwrap();
        prepare(&place).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(place.join(LOGS), Some(65534), None).unwrap();
            let refused = prepare(&place).unwrap_err().to_string();
            assert!(refused.contains("it belongs to user 65534"), "{refused}");
        }
    }

    #[test]
    fn the_first_place_that_can_be_had_is_taken() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join("file"), "").unwrap();
        let (hopeless, good) = (room.path().join("file/bardo"), room.path().join("good/bardo"));

        let file = prepare_first(&[hopeless.clone(), good.clone()]).unwrap();
        let error = prepare_first(std::slice::from_ref(&hopeless)).unwrap_err().to_string();

        assert_eq!(Path::new(&file), good.join(CONFIGURATION));
        assert!(error.contains("file/bardo: Not a directory"), "{error}");
        assert!(error.contains("set XDG_RUNTIME_DIR"), "{error}");
    }

    #[test]
    fn roots_socket_is_reached_by_all_and_commanded_by_its_owner() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("bardo.conf");
        fs::create_dir(room.path().join(LOGS)).unwrap();
        fs::write(&path, text(room.path(), true)).unwrap();
        let request = Request { file: path.display().to_string(), overrides: Vec::new() };

        let loaded = bardo_config::load(&Machine, &request).unwrap();

        let [server] = &loaded.servers[..] else { panic!("{:?}", loaded.servers) };
        assert!(server.owner_only);
        assert!(matches!(server.listen, Listen::Unix { mode: 0o777, .. }), "{server:?}");
    }

    #[test]
    fn what_is_made_is_nobody_elses_to_read() {
        let room = tempfile::tempdir().unwrap();
        let place = room.path().join("place");

        let file = prepare(&place).unwrap();

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(mode(&place), if is_root { 0o711 } else { 0o700 });
        assert_eq!((mode(&place.join(LOGS)), mode(Path::new(&file))), (0o700, 0o600));
    }

    #[test]
    fn what_is_taken_is_told_with_who_has_it() {
        let room = tempfile::tempdir().unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(room.path().join(SOCKET)).unwrap();

        let error = prepare(room.path()).unwrap_err().to_string();

        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    }

    #[test]
    fn a_file_that_says_nothing_of_the_daemon_is_named() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("c.conf");
        fs::write(&path, "[program:web]\ncommand=/bin/cat\n").unwrap();
        let request = Request { file: path.display().to_string(), overrides: Vec::new() };

        let refused = load(&request).unwrap_err().to_string();

        assert!(refused.starts_with(&format!("{} has no [supervisord]", path.display())));
    }
}
