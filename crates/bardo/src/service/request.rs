//! What `service` asks of a supervisor: the body of `POST /api/v1/service`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is to be done.
    pub verb: Verb,
    /// To which service; for `up` and `run` the name it is given.
    pub label: String,
    /// Whether all is done and refused as MINIX does (`--minix`).
    #[serde(default)]
    pub minix: bool,
    /// When to answer.
    #[serde(default)]
    pub wait: Wait,
    /// For `shutdown`: whether everything is stopped too.
    #[serde(default)]
    pub stop: bool,
    /// For `up`, `run`, `edit` and `update`: what is asked for.
    #[serde(default)]
    pub asked: Option<Asked>,
}

/// A verb that needs a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Bring up a service that is restarted.
    Up,
    /// Bring up a service that is not.
    Run,
    /// Change what is asked for.
    Edit,
    /// Put a new version in its place.
    Update,
    /// Bring it down.
    Down,
    /// Replace its process.
    Refresh,
    /// Do not wait any longer.
    Restart,
    /// Have a replica.
    Clone,
    /// Have none.
    Unclone,
    /// Make it crash.
    Fi,
    /// Tell of all services, or of updates: the label says which.
    Sysctl,
    /// Start nothing again.
    Shutdown,
}

/// When to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// As the verb does: `up` when it is initialised, `refresh` when the process is there.
    #[default]
    Usual,
    /// As soon as it has begun (`-n`).
    Begun,
    /// When it is initialised (`-wait`).
    Ready,
}

/// What is asked for. What is absent is left as it is by `edit`, and as it is by default
/// by `up` and `run`. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// The program: an absolute path.
    pub binary: String,
    /// Its arguments; `None` where `edit` says nothing of them.
    pub arguments: Option<Vec<String>>,
    /// Its name in `system.conf`, in `control` lists and for shared copies.
    pub program_name: Option<String>,
    /// `-b`: no binary back-off.
    pub constant_delay: bool,
    /// `-c`: a copy in memory.
    pub copy: bool,
    /// `-r`: a copy that others share.
    pub shared_copy: bool,
    /// `-f`: no restart; `edit` sets or clears it each time.
    pub no_restart: bool,
    /// The number of the device (`rdev`) that only one service may have.
    pub device: Option<u64>,
    /// The heartbeat's period; 0 is none.
    pub period: Option<u64>,
    /// The recovery script.
    pub script: Option<String>,
    /// How long the script may take to decide; 0 is for ever.
    pub script_timeout: Option<u64>,
    /// The counter of restarts begins with this.
    pub restarts: Option<u32>,
    /// By what it counts as initialised: `auto ctl notify fd:N health listen alive`.
    pub ready: Option<String>,
    /// How long it may take to be initialised.
    pub ready_timeout: Option<u64>,
    /// How long a silent program stays up to count as initialised.
    pub alive: Option<u64>,
    /// The check of its health: a command line.
    pub health_command: Option<String>,
    /// The check of its health: a URL.
    pub health_http: Option<String>,
    /// The check of its health: `host:port`, or the path of a socket.
    pub health_tcp: Option<String>,
    /// Time from one check to the next.
    pub health_interval: Option<u64>,
    /// How long a check may take.
    pub health_timeout: Option<u64>,
    /// How many failures in a row are too many.
    pub health_retries: Option<u32>,
    /// The signal that stops it, by name or number.
    pub stop_signal: Option<String>,
    /// How long it may take to stop before it is killed.
    pub grace: Option<u64>,
    /// Exit codes that are no crash.
    pub ok_exit: Option<Vec<u8>>,
    /// Everything ends when it cannot be kept running.
    pub critical: Option<bool>,
    /// Where it works.
    pub directory: Option<String>,
    /// Variables of its own.
    pub environment: BTreeMap<String, String>,
    /// Where its standard output goes; standard error goes there too where that is not said.
    pub stdout_logfile: Option<String>,
    /// Where its standard error goes.
    pub stderr_logfile: Option<String>,
    /// What it needs, as in the configuration: `a:ready b:started`.
    pub depends_on: Option<String>,
    /// Its lines of `system.conf`, classes spliced in; `None` where there is no entry.
    pub settings: Option<Vec<Line>>,
}

/// A line of `system.conf`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The word that it begins with, with its `?` if it has one.
    pub keyword: String,
    /// What stands behind it.
    pub arguments: Vec<Argument>,
    /// `file:line`.
    pub at: String,
}

/// A part of such a line, and the number of the line on which it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Argument {
    /// Text without quotes.
    Word(String, u32),
    /// Text in quotes.
    Text(String, u32),
    /// Lines in braces.
    List(Vec<Line>, u32),
}
