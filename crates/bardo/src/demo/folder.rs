//! The folder that holds all that the demo writes, and what is in it.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Folders of former demos that were killed, at most: then somebody should look.
const ATTEMPTS: u32 = 100;

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    configuration: PathBuf,
    socket: PathBuf,
    executable: PathBuf,
    port: u16,
}

impl Folder {
    /// Makes it and writes the configuration.
    pub(super) fn make() -> io::Result<Self> {
        let path = make_directory()?;
        let folder = Self {
            configuration: path.join("supervisord.conf"),
            socket: path.join("supervisor.sock"),
            executable: std::env::current_exe()?,
            port: free_port()?,
            path,
        };
        fs::write(&folder.configuration, folder.text())?;
        Ok(folder)
    }

    /// Removes it with all that is in it.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn configuration(&self) -> &Path {
        &self.configuration
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// This binary.
    pub(super) fn executable(&self) -> &Path {
        &self.executable
    }

    /// Where the web server is.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// An ordinary configuration: Supervisor could run it too.
    fn text(&self) -> String {
        let executable = self.executable.display().to_string();
        // Quoted for the command line, then doubled for the expansion.
        let executable = executable.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
        let port = self.port;
        format!(
            "\
[unix_http_server]
file=%(here)s/supervisor.sock

[supervisord]
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
nodaemon=true
silent=true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%(here)s/supervisor.sock

[program:web]
command=\"{executable}\" demo web {port}
stdout_logfile=%(here)s/web.log
redirect_stderr=true

[program:crasher]
command=\"{executable}\" demo crasher
autorestart=true
stdout_logfile=%(here)s/crasher.log
redirect_stderr=true

[program:ticker]
command=\"{executable}\" demo ticker
stdout_logfile=%(here)s/ticker.log
redirect_stderr=true
"
        )
    }
}

fn make_directory() -> io::Result<PathBuf> {
    let own = std::process::id();
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for attempt in 0..ATTEMPTS {
        let path = std::env::temp_dir().join(format!("bardo-demo-{own}-{attempt}"));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// A port that nobody listens on just now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
