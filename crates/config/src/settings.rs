//! The settings of the daemon itself: `[supervisord]`, with the command line over
//! it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::ConfigError;
use crate::host::{Account, Host};
use crate::options::{RsDraft, ServerDraft};
use crate::path::{absolute, resolved};
use crate::value::{self, Compatibility, ExitOn, LogLevel};

/// What `[supervisord]` and the command line say, every path absolute. Supervisor
/// turns `logfile` and `pidfile` back into relative paths when it reads the file
/// again; these stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where the main log goes.
    pub logfile: MainLog,
    /// Size at which it is rotated; 0 is never.
    pub logfile_bytes_max: i64,
    /// How many rotated files are kept; 0 truncates instead.
    pub logfile_backups: i64,
    /// Whether they are compressed.
    pub logfile_compress: bool,
    /// How much is logged.
    pub loglevel: LogLevel,
    /// The file that holds the pid.
    pub pidfile: String,
    /// The file mode mask in the background.
    pub umask: u32,
    /// Whether it stays in the foreground.
    pub nodaemon: bool,
    /// Whether the log is not copied to standard output.
    pub silent: bool,
    /// Descriptors that must be allowed.
    pub minfds: i64,
    /// Processes that must be allowed.
    pub minprocs: i64,
    /// Whether automatic logs of former runs are kept.
    pub nocleanup: bool,
    /// The directory of automatic logs.
    pub childlogdir: String,
    /// The user to become.
    pub user: Option<ServerUser>,
    /// The directory to change to in the background.
    pub directory: Option<String>,
    /// Whether escape sequences are taken out of logs.
    pub strip_ansi: bool,
    /// Variables for every program, in order; the specs hold them already.
    pub environment: Vec<(Arc<str>, Arc<str>)>,
    /// The name of this supervisor.
    pub identifier: String,
    /// How long the control loop may leave work untaken.
    pub hang_timeout: Duration,
    /// How long programs have to end that are stopped without a supervisor.
    pub keeper_stop_wait: Duration,
    /// Whose rules services are kept by that are brought up.
    pub compatibility: Compatibility,
    /// With which programs everything ends; the specs hold it already.
    pub exit_on: ExitOn,
}

/// Where the main log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MainLog {
    /// To syslog.
    Syslog,
    /// To this file.
    File(String),
}

/// The user that the daemon becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUser {
    /// As the file or the command line has it.
    pub name: String,
    /// Who that is.
    pub account: Account,
}

impl ServerSettings {
    /// Completes what was read. The user is looked up here, last of all: so does
    /// Supervisor, and this decides which error is shown.
    pub(crate) fn new(
        host: &dyn Host,
        draft: ServerDraft,
        services: &RsDraft,
    ) -> Result<Self, ConfigError> {
        let user = match draft.user {
            None => None,
            Some(name) => {
                let account = value::account(host, &name)?;
                Some(ServerUser { name, account })
            }
        };
        let logfile = match draft.logfile.as_str() {
            "syslog" => MainLog::Syslog,
            path => MainLog::File(resolved(host, path)),
        };
        let variable = |(key, value): (String, String)| (key.into(), value.into());
        Ok(Self {
            logfile,
            logfile_bytes_max: draft.logfile_bytes_max,
            logfile_backups: draft.logfile_backups,
            logfile_compress: draft.logfile_compress,
            loglevel: draft.loglevel,
            pidfile: resolved(host, &draft.pidfile),
            umask: draft.umask,
            exit_on: draft.exit_on.clone(),
            nodaemon: draft.nodaemon,
            silent: draft.silent,
            minfds: draft.minfds,
            minprocs: draft.minprocs,
            nocleanup: draft.nocleanup,
            childlogdir: absolute(host, &draft.childlogdir),
            user,
            directory: draft.directory.map(|path| absolute(host, &path)),
            strip_ansi: draft.strip_ansi,
            environment: draft.environment.into_iter().map(variable).collect(),
            identifier: draft.identifier,
            hang_timeout: Duration::from_secs(u64::try_from(draft.hang_timeout).unwrap_or(0)),
            keeper_stop_wait: Duration::from_secs(
                u64::try_from(draft.keeper_stop_wait).unwrap_or(0),
            ),
            compatibility: services.compatibility,
        })
    }
}
