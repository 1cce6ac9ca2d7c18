//! `[program:x]`, and what `[eventlistener:x]` and `[fcgi-program:x]` share with it: what a
//! program asks for beyond Supervisor's rules. All of it is Bardo's own, and Supervisor
//! ignores it.
//!
//! One thing surprises a newcomer: a section that has none of these options is not given
//! their defaults, but nothing at all, and its program is kept exactly as Supervisor keeps it.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::spec::Care;
use bardo_core::spec::care::{
    Check, Confinement, Copying, Delay, Dependency, EarlyDeath, Health, Heartbeat, Initialisation,
    Ready, Recovery, Reset, Script,
};

use super::{Expansion, Fallback, OptionEntry, set};
use crate::error::ConfigError;
use crate::value::{self, BackoffRule, ReadyBy, ValueError};

/// What a section asks for beyond Supervisor's rules, for one of its processes.
#[derive(Debug)]
pub struct CareDraft {
    pub(crate) backoff: BackoffRule,
    pub(crate) backoff_max: Duration,
    pub(crate) backoff_reset: Reset,
    pub(crate) heartbeat_period: Duration,
    pub(crate) ready: Option<ReadyBy>,
    pub(crate) ready_timeout: Duration,
    pub(crate) health: HealthDraft,
    pub(crate) copy: Copying,
    pub(crate) script: Option<Arc<str>>,
    pub(crate) script_timeout: Duration,
    pub(crate) critical: bool,
    pub(crate) memory_max: Option<u64>,
    pub(crate) pids_max: Option<u64>,
    pub(crate) cpu_max: Option<u32>,
    pub(crate) environment_file: Option<Arc<str>>,
    pub(crate) depends_on: Vec<Dependency>,
}

/// How a section wants its program examined.
#[derive(Debug, Default)]
pub(crate) struct HealthDraft {
    /// The options that say what is tried, and what they say: there may be one.
    pub(crate) checks: Vec<(&'static str, Check)>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
}

impl Default for CareDraft {
    fn default() -> Self {
        Self {
            backoff: BackoffRule::Supervisor,
            backoff_max: Duration::ZERO,
            backoff_reset: Reset::Never,
            heartbeat_period: Duration::ZERO,
            ready: None,
            ready_timeout: Duration::ZERO,
            health: HealthDraft::default(),
            copy: Copying::No,
            script: None,
            script_timeout: Duration::ZERO,
            critical: false,
            memory_max: None,
            pids_max: None,
            cpu_max: None,
            environment_file: None,
            depends_on: Vec::new(),
        }
    }
}

impl CareDraft {
    /// Checks what two options say together.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self.health.checks[..] {
            [] if self.ready == Some(ReadyBy::Health) => Err(ConfigError::NoHealthCheck),
            [(first, _), (second, _), ..] => Err(ConfigError::TwoHealthChecks { first, second }),
            _ => Ok(()),
        }
    }

    /// What the core is told of it.
    pub(crate) fn care(&self, program_name: &Arc<str>) -> Result<Care, ConfigError> {
        self.check()?;
        let check = self.health.checks.first().map(|(_, check)| check);
        let (interval, timeout) = (self.health.interval, self.health.timeout);
        Ok(Care {
            recovery: Recovery {
                delay: match self.backoff {
                    BackoffRule::Supervisor => None,
                    BackoffRule::Binary => Some(Delay::Binary { max: self.backoff_max }),
                    BackoffRule::Constant(wait) => Some(Delay::Constant(wait)),
                },
                reset: self.backoff_reset,
                early_death: EarlyDeath::Retry,
                restarts: 0,
            },
            readiness: Initialisation {
                by: match (self.ready, check) {
                    (Some(ReadyBy::Says), _) => Ready::Says { descriptor: None },
                    (Some(ReadyBy::Descriptor(number)), _) => {
                        Ready::Says { descriptor: Some(number) }
                    }
                    (Some(ReadyBy::Health), Some(check)) => Ready::Checks(check.clone()),
                    (Some(ReadyBy::Health), None) => return Err(ConfigError::NoHealthCheck),
                    (Some(ReadyBy::Listen), _) => Ready::Checks(Check::Listening),
                    (Some(ReadyBy::Auto), _) => Ready::Auto,
                    (Some(ReadyBy::Alive), _) => Ready::Alive,
                    (None, _) if self.heartbeat_period.is_zero() => Ready::Alive,
                    (None, _) => Ready::Auto,
                },
                within: self.ready_timeout,
            },
            heartbeat: unless_zero(self.heartbeat_period).map(|period| Heartbeat { period }),
            health: check.map(|check| {
                let (check, retries) = (check.clone(), self.health.retries);
                Health { check, interval, timeout, retries }
            }),
            script: self.script.as_ref().map(|path| Script {
                path: Some(Arc::clone(path)),
                timeout: unless_zero(self.script_timeout),
            }),
            critical: self.critical,
            copy: self.copy,
            depends_on: self.depends_on.clone(),
            confinement: Arc::new(Confinement {
                memory_max: self.memory_max,
                pids_max: self.pids_max,
                cpu_max: self.cpu_max,
                ..Confinement::default()
            }),
            program_name: Arc::clone(program_name),
            device: None,
            environment_file: self.environment_file.clone(),
            description: Arc::from(""),
        })
    }
}

fn unless_zero(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

/// A time that is longer than none.
fn some_time(text: &str) -> Result<Duration, ValueError> {
    unless_zero(value::duration(text)?).ok_or_else(|| ValueError::NoTime(text.to_owned()))
}

/// What a program asks for beyond Supervisor's rules. Each may differ between its
/// processes, because `%(process_num)d` may stand in it.
pub const CARE_OPTIONS: &[OptionEntry<CareDraft>] = &[
    OptionEntry {
        name: "backoff",
        fallback: Fallback::Text("supervisor"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.backoff, value::backoff(text)?),
        help: "How long the wait before a restart is: `supervisor` has none after a crash; \
               `binary` has none after the first, then 2 seconds, doubled each time up to \
               backoff_max; constant:SECONDS has none after the first, then always that. \
               Seconds, here and below: a number, or one with ms, s, m or h behind it.",
    },
    OptionEntry {
        name: "backoff_max",
        fallback: Fallback::Text("30"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.backoff_max, some_time(text)?),
        help: "The longest wait of `backoff=binary`, in seconds.",
    },
    OptionEntry {
        name: "backoff_reset",
        fallback: Fallback::Text("60"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.backoff_reset, value::backoff_reset(text)?),
        help: "Seconds that the program must have been up, and ten times the last wait, for the \
               waits to begin anew; `never` has them grow for ever.",
    },
    OptionEntry {
        name: "heartbeat_period",
        fallback: Fallback::Text("0"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.heartbeat_period, value::duration(text)?),
        help: "Seconds between two signs of life: PONG on its control socket, WATCHDOG=1 to \
               NOTIFY_SOCKET, or a check of its health that succeeds. A program that is silent \
               for twice as long hangs; it is killed and started again. 0 is never.",
    },
    OptionEntry {
        name: "ready",
        fallback: Fallback::Missing("auto with heartbeat_period, else alive", |_, _| Ok(())),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.ready, Some(value::ready(text)?)),
        help: "What makes the program RUNNING: `ctl` or `notify` that it says READY=1, `fd:N` \
               that it writes a newline to descriptor N, `health` that the check of its health \
               succeeds, `listen` that it listens on a socket, `alive` that it stays up for \
               startsecs, `auto` that it says READY=1 if it says anything, and stays up if it \
               does not.",
    },
    OptionEntry {
        name: "ready_timeout",
        fallback: Fallback::Text("20"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.ready_timeout, some_time(text)?),
        help: "Seconds that it may take to be ready before it is killed; it may ask for more \
               with EXTEND_TIMEOUT_USEC.",
    },
    OptionEntry {
        name: "health_command",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| draft.add_check("health_command", value::health_command(text)?),
        help: "Command line for /bin/sh that ends with 0 while the program works.",
    },
    OptionEntry {
        name: "health_http",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| draft.add_check("health_http", value::health_http(text)?),
        help: "URL, http:// only, that is answered with a status below 400 while the program \
               works.",
    },
    OptionEntry {
        name: "health_tcp",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| draft.add_check("health_tcp", value::health_tcp(text)?),
        help: "HOST:PORT, or the path of a socket, that takes connections while the program \
               works.",
    },
    OptionEntry {
        name: "health_interval",
        fallback: Fallback::Text("10"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.health.interval, some_time(text)?),
        help: "Seconds from one check of its health to the next.",
    },
    OptionEntry {
        name: "health_timeout",
        fallback: Fallback::Text("5"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.health.timeout, some_time(text)?),
        help: "Seconds that a check may take before it has failed.",
    },
    OptionEntry {
        name: "health_retries",
        fallback: Fallback::Text("3"),
        expansion: Expansion::Once,
        apply: |draft, _, text| {
            let retries = u32::try_from(value::count(text)?);
            let refused = |_| ValueError::Count(text.to_owned());
            set(&mut draft.health.retries, retries.map_err(refused)?)
        },
        help: "How many failures in a row have the program killed and started again.",
    },
    OptionEntry {
        name: "binary_copy",
        fallback: Fallback::Text("no"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.copy, value::copying(text)?),
        help: "Start the program from a copy of its file that is kept in memory: `yes`, `no`, or \
               `shared` for one copy of all programs of that name and content.",
    },
    OptionEntry {
        name: "recovery_script",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.script, Some(value::absolute_path(text)?)),
        help: "Script for /bin/sh that decides after a crash, in place of a restart: it is given \
               the label, the reason and the number of restarts, and asks for `service restart` \
               or `service down`.",
    },
    OptionEntry {
        name: "script_timeout",
        fallback: Fallback::Text("0"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.script_timeout, value::duration(text)?),
        help: "Seconds that the recovery script may take to decide before the program is started \
               again as if there were none; 0 is for ever.",
    },
    OptionEntry {
        name: "critical",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.critical, value::boolean(text)?),
        help: "End everything, with exit code 70, when the program cannot be kept running: it \
               ends before it is ready, or cannot be started again.",
    },
    OptionEntry {
        name: "memory_max",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.memory_max, Some(value::memory_size(text)?)),
        help: "Most memory of the program and all that comes of it, in bytes or with K, M, G or \
               T behind; needs cgroup v2.",
    },
    OptionEntry {
        name: "pids_max",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.pids_max, Some(value::count(text)?)),
        help: "Most processes and threads of the program and all that comes of it; needs cgroup \
               v2.",
    },
    OptionEntry {
        name: "cpu_max",
        fallback: Fallback::Nothing,
        expansion: Expansion::Percentage,
        apply: |draft, _, text| set(&mut draft.cpu_max, Some(value::percent(text)?)),
        help: "Most processor time of the program and all that comes of it: 50% of one \
               processor, or 150% for one and a half; needs cgroup v2.",
    },
    OptionEntry {
        name: "env_file",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.environment_file, Some(value::optional_file(text)?)),
        help: "File with further variables, NAME=value in each line, read at each start; behind \
               a `-` it need not be there.",
    },
    OptionEntry {
        name: "depends_on",
        fallback: Fallback::Text(""),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.depends_on, value::dependencies(text)?),
        help: "What must be there before the program starts, and is stopped after it: NAME, \
               GROUP:NAME or GROUP:*, between blanks, each with `:ready` behind it, or \
               `:started`, which is the default. The last part is a condition when it is one of \
               these two words.",
    },
];

impl CareDraft {
    fn add_check(&mut self, option: &'static str, check: Check) -> Result<(), ConfigError> {
        self.health.checks.push((option, check));
        Ok(())
    }
}
