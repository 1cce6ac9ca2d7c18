//! What a service asks for beyond Supervisor's rules: MINIX's recovery, and ours.

use std::sync::Arc;
use std::time::Duration;

/// What a service asks for beyond Supervisor's rules. A program without it is kept
/// exactly as Supervisor keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Care {
    /// When and how it is started again after a crash.
    pub recovery: Recovery,
    /// When it counts as initialised.
    pub readiness: Initialisation,
    /// Whether it owes signs of life, and how often; `None` is never.
    pub heartbeat: Option<Heartbeat>,
    /// How it is examined from outside while it runs.
    pub health: Option<Health>,
    /// What decides in place of a restart.
    pub script: Option<Script>,
    /// Whether everything ends when it cannot be kept running.
    pub critical: bool,
    /// Whether its program is started from a copy in memory.
    pub copy: Copying,
    /// What must be there before it starts.
    pub depends_on: Vec<Dependency>,
    /// What it may use, and as whom it runs.
    pub confinement: Arc<Confinement>,
    /// The key of shared copies and of `control` lists: its program's own name.
    pub program_name: Arc<str>,
    /// The device that only one service may have, as [`device`](super::device) has it.
    pub device: Option<u64>,
    /// A file with further variables, read at each start.
    pub environment_file: Option<Arc<str>>,
    /// What it is called for people.
    pub description: Arc<str>,
}

/// When and how it is started again after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// How long the wait is; `None` is Supervisor's rule: none after a crash, and that of
    /// [`super::RestartPolicy::backoff`] after a failed start.
    pub delay: Option<Delay>,
    /// When the counter of restarts begins anew.
    pub reset: Reset,
    /// What follows when it ends before it is initialised.
    pub early_death: EarlyDeath,
    /// What the counter begins with.
    pub restarts: u32,
}

/// How long the wait after a crash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// MINIX's: nothing after the first crash, then two seconds, doubled up to a limit.
    Binary {
        /// The longest wait.
        max: Duration,
    },
    /// Nothing after the first crash, then always the same: MINIX's `-b`.
    Constant(Duration),
}

/// MINIX's longest wait.
pub const DELAY_MAX: Duration = Duration::from_secs(30);

/// MINIX's wait where the binary one is switched off, or the program is in memory.
pub const DELAY_SHORT: Duration = Duration::from_secs(1);

impl Delay {
    /// The wait after a crash that this many restarts have gone before.
    #[must_use]
    pub fn after(self, restarts: u32) -> Duration {
        match self {
            _ if restarts == 0 => Duration::ZERO,
            Self::Binary { max } => {
                Duration::from_secs(1_u64.checked_shl(restarts).unwrap_or(u64::MAX)).min(max)
            }
            Self::Constant(wait) => wait,
        }
    }
}

/// When the counter of restarts begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Never: MINIX's.
    Never,
    /// When it has been up for this long and for ten times the last wait.
    Healthy(Duration),
}

/// What follows when a service ends before it is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyDeath {
    /// It is brought down.
    Down,
    /// It is started again, `startretries` times, at least a second later each time.
    Retry,
}

/// When a service counts as initialised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialisation {
    /// By what.
    pub by: Ready,
    /// How long it may take.
    pub within: Duration,
}

/// MINIX's limit as it really is: twice ten seconds.
pub const INITIALISED_WITHIN: Duration = Duration::from_secs(20);

/// By what a service counts as initialised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// One that speaks on either channel before says so; one that is silent counts when it
    /// has stayed up for `startsecs`.
    Auto,
    /// It says so: on its control socket, with sd_notify, or on the descriptor of this
    /// number by a newline.
    Says {
        /// The descriptor, where it is that.
        descriptor: Option<u32>,
    },
    /// It has stayed up for `startsecs`.
    Alive,
    /// A check has succeeded.
    Checks(Check),
}

/// How often a service owes a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// It is asked this long after the last one, and hung after twice as long.
    pub period: Duration,
}

/// How a running service is examined from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is tried.
    pub check: Check,
    /// How long after one try the next one is made.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// How many failures in a row are too many.
    pub retries: u32,
}

/// The time from one check to the next, where nothing else is asked for: seldom enough to
/// cost nothing, and a service that does not work is found in half a minute.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(10);

/// How long a check may take, where nothing else is asked for.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// How many failures in a row are too many, where nothing else is asked for.
pub const HEALTH_RETRIES: u32 = 3;

/// How long a service has to be up for its counter to begin anew, where nothing else is
/// asked for.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// What is tried to find out whether a service works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A command line for the shell succeeds.
    Command(Arc<str>),
    /// A URL is answered with a status below 400.
    Http(Arc<str>),
    /// A connection to `host:port` or a socket file is taken.
    Connect(Arc<str>),
    /// One of its processes listens on a socket.
    Listening,
}

/// A recovery script: it decides in place of a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The file, run by `/bin/sh`; `None` is built in and brings the service down.
    pub path: Option<Arc<str>>,
    /// How long it may take to decide before the service is restarted as if there were
    /// none.
    pub timeout: Option<Duration>,
}

/// Whether a program is started from a copy in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copying {
    /// It is started from its file.
    No,
    /// It has a copy.
    Own,
    /// Services of one program name and content share a copy.
    Shared,
}

/// Something that must be there before a service starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The group of what it needs; empty where one name does for both.
    pub group: Arc<str>,
    /// The name of what it needs; empty for all of the group.
    pub name: Arc<str>,
    /// How far that must have come.
    pub condition: Condition,
}

/// How far a dependency must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It has executed its program.
    Started,
    /// It is initialised.
    Ready,
}

/// What a service may use, and what else `system.conf` says of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confinement {
    /// Its niceness.
    pub nice: Option<i32>,
    /// Its time slice.
    pub slice: Option<Duration>,
    /// The processors it may run on.
    pub cpus: Option<Vec<u32>>,
    /// Its scheduling policy.
    pub scheduler: Option<Scheduler>,
    /// Most bytes of memory.
    pub memory_max: Option<u64>,
    /// Bytes of memory from which on it is slowed down.
    pub memory_high: Option<u64>,
    /// Most bytes of swap.
    pub swap_max: Option<u64>,
    /// Most processes.
    pub pids_max: Option<u64>,
    /// Most processor time, in hundredths of one processor.
    pub cpu_max: Option<u32>,
    /// Its share of input and output.
    pub io_weight: Option<u32>,
    /// Most descriptors.
    pub descriptors_max: Option<u64>,
    /// Most bytes of a core file.
    pub core_max: Option<u64>,
    /// Whether privileges are given up for good with the user.
    pub gives_up_privileges: bool,
    /// Whom it may control, by program name or label.
    pub control: Vec<Arc<str>>,
    /// Who may control it, by program name or label.
    pub controlled_by: Vec<Arc<str>>,
    /// What sort of service it is, as it says itself.
    pub kind: Option<Arc<str>>,
    /// Lines of `system.conf` that nobody enforces yet, as written.
    pub unenforced: Vec<Arc<str>>,
}

/// A scheduling policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduler {
    /// The ordinary one.
    Other,
    /// For work that nobody waits for.
    Batch,
    /// For work when there is no other.
    Idle,
    /// Real time, first come first served, with this priority.
    Fifo(u32),
    /// Real time, in turns, with this priority.
    RoundRobin(u32),
    /// By deadline: run time, deadline and period.
    Deadline {
        /// How long it may run in each period.
        runtime: Duration,
        /// By when.
        deadline: Duration,
        /// How often.
        period: Duration,
    },
}

impl Care {
    /// What a service is given that `service up` brings up without a word more.
    #[must_use]
    pub fn minix(program_name: Arc<str>) -> Self {
        Self {
            recovery: Recovery {
                delay: Some(Delay::Binary { max: DELAY_MAX }),
                reset: Reset::Healthy(HEALTHY_AFTER),
                early_death: EarlyDeath::Down,
                restarts: 0,
            },
            readiness: Initialisation { by: Ready::Auto, within: INITIALISED_WITHIN },
            heartbeat: None,
            health: None,
            script: None,
            critical: false,
            copy: Copying::No,
            depends_on: Vec::new(),
            confinement: Arc::default(),
            program_name,
            device: None,
            environment_file: None,
            description: Arc::from(""),
        }
    }

    /// Whether it asks for the channels on which its processes can say something. What
    /// `service up` brings up is given them whatever it asks for.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.heartbeat.is_some() || matches!(self.readiness.by, Ready::Auto | Ready::Says { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_two_seconds_to_half_a_minute() {
        let delay = Delay::Binary { max: DELAY_MAX };

        let waits: Vec<u64> = (0..8).map(|n| delay.after(n).as_secs()).collect();

        assert_eq!(waits, [0, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(delay.after(u32::MAX), DELAY_MAX);
    }

    #[test]
    fn a_constant_wait_follows_the_second_crash() {
        let delay = Delay::Constant(DELAY_SHORT);

        let waits: Vec<u64> = (0..4).map(|n| delay.after(n).as_secs()).collect();

        assert_eq!(waits, [0, 1, 1, 1]);
    }
}
