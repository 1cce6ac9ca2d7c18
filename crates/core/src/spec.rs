//! What the user asked for: specs, as a configuration yields them.
//!
//! A spec is complete and resolved: every expansion is done, every default is
//! filled in, every user name has become numbers. Text that many processes of
//! one program share is shared in memory too ([`Arc`]), because ten thousand
//! specs must stay small.

pub mod care;
pub mod device;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::signal::Signal;

pub use care::Care;

/// Whole seconds as the user wrote them. Negative ones are accepted and shown as
/// they are, as Supervisor does, and last no time at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(pub i64);

impl Seconds {
    /// The time they last.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::try_from(self.0).unwrap_or(0))
    }
}

/// Everything that was loaded and can be brought up, in start order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// The groups, by ascending (priority, name).
    pub groups: Vec<Arc<GroupSpec>>,
    /// What the shell wants to be kept with them: the core does not look into it, and
    /// records, replaces and recovers it in the same breath as the groups.
    pub attachment: Arc<str>,
}

impl Configuration {
    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<GroupSpec>> {
        self.groups.iter().find(|group| *group.name == *name)
    }
}

/// A named set of services that are brought up, stopped and compared together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSpec {
    /// The name before the colon of `group:process`.
    pub name: Arc<str>,
    /// Lower starts first and stops last.
    pub priority: i64,
    /// What sort of group it is.
    pub kind: GroupKind,
    /// Where it comes from.
    pub origin: Origin,
    /// Its members, in start order.
    pub services: Vec<Arc<ServiceSpec>>,
}

/// Where a group comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// The configuration file, which can be loaded again and compared.
    #[default]
    File,
    /// `service up` or `service run`: it is there until it is brought down.
    Brought,
}

/// What sort of group it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupKind {
    /// Ordinary programs.
    Programs,
    /// A pool of event listeners.
    Listeners(ListenerSpec),
    /// Programs that share a listening socket as their standard input.
    FastCgi(SocketSpec),
}

/// What a pool of event listeners adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// The subscribed event types, as named in the file, upper case.
    pub events: Vec<Arc<str>>,
    /// Most events that wait for a listener.
    pub buffer_size: u32,
    /// The Python import spec of the result handler, as written.
    pub result_handler: Arc<str>,
    /// What a header counts when it tells how long its event is.
    pub event_length: EventLength,
}

/// What the length of an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventLength {
    /// Characters, as Supervisor on Python 3 does.
    #[default]
    Characters,
    /// Bytes, as Supervisor's documentation says.
    Bytes,
}

/// The listening socket of FastCGI programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketSpec {
    /// Where it listens.
    pub address: SocketAddress,
    /// Length of the accept queue; `None` is the system's greatest.
    pub backlog: Option<u32>,
    /// Owner of the socket file: uid and, where given, gid.
    pub owner: Option<(u32, Option<u32>)>,
    /// Mode of the socket file; `None` is 0700.
    pub mode: Option<u32>,
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketAddress {
    /// A path in the file system.
    Unix(Arc<str>),
    /// A host and a port.
    Tcp {
        /// Host name or address.
        host: Arc<str>,
        /// Port.
        port: u16,
    },
}

impl fmt::Display for SocketAddress {
    /// Writes the URL that Supervisor shows and compares.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// One process to be: a member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// What all processes of one program share.
    pub program: Arc<ProgramSpec>,
    /// The name after the colon of `group:process`.
    pub name: Arc<str>,
    /// The command line, unsplit: Supervisor splits it when it starts the
    /// program, so a missing quote is an error of the start.
    pub command: Arc<str>,
    /// The working directory; `None` is the supervisor's own.
    pub directory: Option<Arc<str>>,
    /// Variables set over the base environment, in order.
    pub environment: Arc<[(Arc<str>, Arc<str>)]>,
    /// Where standard output goes.
    pub stdout: LogSpec,
    /// Where standard error goes.
    pub stderr: LogSpec,
}

/// What all processes of one program share: the options that no expansion can
/// make differ between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramSpec {
    /// Lower starts first and stops last, within a group of programs.
    pub priority: i64,
    /// Whether it is started when its group is added.
    pub autostart: bool,
    /// When and how it is started again.
    pub restart: RestartPolicy,
    /// Exit codes that count as expected.
    pub exit_codes: Vec<u8>,
    /// How long it must stay up for a start to succeed. Supervisor compares with `>`.
    pub startsecs: Seconds,
    /// How it is stopped.
    pub stop: StopPolicy,
    /// The user it runs as; `None` is the supervisor's own.
    pub user: Option<User>,
    /// Its file mode mask; `None` is the supervisor's own.
    pub umask: Option<u32>,
    /// Whether standard error goes where standard output goes.
    pub redirect_stderr: bool,
    /// Whether terminal escape sequences are taken out of its logs; `None` is what
    /// the supervisor does with all.
    pub strip_ansi: Option<bool>,
    /// Whether it begins with SIGPIPE and SIGXFSZ ignored, as under Supervisor.
    pub ignore_sigpipe: bool,
    /// `SUPERVISOR_SERVER_URL` of the process, where the file names one.
    pub server_url: Option<Arc<str>>,
    /// The listening socket that is the standard input of all its processes.
    pub socket: Option<Arc<SocketSpec>>,
    /// What it asks for beyond Supervisor's rules; `None` is nothing.
    pub care: Option<Arc<Care>>,
    /// With which of its ends everything ends.
    pub ends_all: EndsAll,
}

impl Default for ProgramSpec {
    /// What Supervisor takes where the file says nothing.
    fn default() -> Self {
        Self {
            priority: 999,
            autostart: true,
            restart: RestartPolicy {
                on: RestartOn::Unexpected,
                start_retries: Some(3),
                backoff: Backoff::Linear { step: Duration::from_secs(1) },
            },
            exit_codes: vec![0],
            startsecs: Seconds(1),
            stop: StopPolicy {
                signal: Signal::TERM,
                wait: Seconds(10),
                stop_reach: Reach::Process,
                kill_reach: Reach::Process,
            },
            user: None,
            umask: None,
            redirect_stderr: false,
            strip_ansi: None,
            ignore_sigpipe: false,
            server_url: None,
            socket: None,
            care: None,
            ends_all: EndsAll::Never,
        }
    }
}

/// With which end of a program everything ends, once nothing follows by its own policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum EndsAll {
    /// With none.
    #[default]
    Never,
    /// When no further start of it is tried.
    Fatal,
    /// When it is not started again, however it has ended.
    Down,
}

/// The user a process runs as, looked up when the file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User number.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, the primary one first.
    pub groups: Vec<u32>,
}

/// When and how a process is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// After which endings of a process that had run.
    pub on: RestartOn,
    /// How many failed starts in a row are followed by another try; `None` is
    /// no limit.
    pub start_retries: Option<i64>,
    /// How long to wait before the next try.
    pub backoff: Backoff,
}

/// After which endings a process that had run is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartOn {
    /// After every one.
    Always,
    /// When the exit code is not an expected one.
    Unexpected,
    /// After none.
    Never,
}

/// How long to wait before a start is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Supervisor's: one step more after each failure.
    Linear {
        /// The wait after the first failure, and what each further one adds.
        step: Duration,
    },
    /// MINIX's: the wait doubles, from nothing, up to a limit.
    Exponential {
        /// The wait after the second failure.
        first: Duration,
        /// The longest wait.
        max: Duration,
    },
    /// Always the same.
    Constant(Duration),
}

impl Backoff {
    /// The wait after the given number of failures in a row (at least one).
    #[must_use]
    pub fn wait(self, failures: u32) -> Duration {
        match self {
            Self::Linear { step } => step.saturating_mul(failures),
            Self::Exponential { first, max } => match failures {
                0 | 1 => Duration::ZERO,
                _ => first
                    .saturating_mul(1_u32.checked_shl(failures - 2).unwrap_or(u32::MAX))
                    .min(max),
            },
            Self::Constant(wait) => wait,
        }
    }
}

/// How a process is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopPolicy {
    /// The first signal.
    pub signal: Signal,
    /// How long it may take before SIGKILL, and between one SIGKILL and the next.
    pub wait: Seconds,
    /// Whom the first signal reaches.
    pub stop_reach: Reach,
    /// Whom SIGKILL reaches.
    pub kill_reach: Reach,
}

/// Whom a signal reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The process.
    Process,
    /// Its whole process group.
    Group,
    /// All that has come of it: its control group where there is one, its session otherwise.
    Tree,
}

/// Where one output stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSpec {
    /// The file.
    pub target: LogTarget,
    /// The file is rotated once it has reached this many bytes; 0 is never.
    pub bytes_max: i64,
    /// How many rotated files are kept; 0 truncates instead.
    pub backups: i64,
    /// Whether rotated files are compressed.
    pub compress: bool,
    /// Most bytes of a captured message; 0 is no capture.
    pub capture_bytes_max: i64,
    /// Whether listeners are told of each chunk.
    pub events: bool,
    /// Whether lines also go to syslog.
    pub syslog: bool,
    /// What stands before each line in an output that programs share.
    pub prefix: Arc<str>,
}

impl Default for LogSpec {
    /// What Supervisor takes where the file says nothing.
    fn default() -> Self {
        Self {
            target: LogTarget::Auto,
            bytes_max: 50 << 20,
            backups: 10,
            compress: false,
            capture_bytes_max: 0,
            events: false,
            syslog: false,
            prefix: "".into(),
        }
    }
}

/// The file of one output stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// No file: what is written is read and dropped.
    None,
    /// A file that the supervisor names itself, in the directory for child logs.
    Auto,
    /// This file.
    File(Arc<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisors_wait_grows_by_a_second_a_failure() {
        let backoff = Backoff::Linear { step: Duration::from_secs(1) };

        let waits: Vec<u64> = (1..=4).map(|n| backoff.wait(n).as_secs()).collect();

        assert_eq!(waits, [1, 2, 3, 4]);
    }

    #[test]
    fn minix_waits_nothing_then_doubles_up_to_its_limit() {
        let backoff =
            Backoff::Exponential { first: Duration::from_secs(2), max: Duration::from_secs(30) };

        let waits: Vec<u64> = (1..=8).map(|n| backoff.wait(n).as_secs()).collect();

        assert_eq!(waits, [0, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(backoff.wait(u32::MAX).as_secs(), 30);
    }
}
