//! What a supervisor answers to `service`.

use serde::{Deserialize, Serialize};

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reply {
    /// With which number the tool ends: see [`super::errno::Errno`].
    pub errno: u8,
    /// What went wrong, in words of our own, where something did.
    #[serde(default)]
    pub message: Option<String>,
    /// What people should know although it is done: what takes effect at the next start,
    /// what is not enforced.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// By whose rules services are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rules {
    /// Whether they are MINIX's (`[rs]` `compat=minix`).
    pub minix: bool,
}

/// A service, as `list` and `show` have it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Service {
    /// Its label.
    pub label: String,
    /// Its place in the table and its life: a number that no other process has.
    pub endpoint: u64,
    /// Whether that process is the one that others are to talk to: it has been initialised.
    #[serde(default = "published")]
    pub published: bool,
    /// Its process; 0 for none.
    pub pid: u32,
    /// Supervisor's word for its state.
    pub state: String,
    /// What that means just now, in words.
    pub description: String,
    /// MINIX's flags that are set, out of `AUENCR`.
    pub flags: String,
    /// The major number of its device; 0 for none.
    pub device: u32,
    /// The heartbeat's period in milliseconds; 0 for none.
    pub period: u64,
    /// When its last sign of life came, in milliseconds since the machine started.
    pub alive_at: u64,
    /// The counter of restarts.
    pub restarts: u32,
    /// How often it has crashed since it was brought up.
    pub crashes: u64,
    /// Its command line.
    pub command: String,
    /// Its program's file.
    pub binary: String,
    /// What else there is to say, by name and in order: policies, copy, readiness, health,
    /// script, what is enforced and what is not.
    pub details: Vec<(String, String)>,
}

/// A supervisor that does not tell says so of every service.
fn published() -> bool {
    true
}

/// One decision, as `bardo why` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Its number: larger than that of every decision before it.
    pub number: u64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// In which life.
    pub generation: u32,
    /// What, as a word for programs.
    pub what: String,
    /// What and why, in words for people.
    pub text: String,
}

/// One decision and whom it is about, as `bardo events` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldDecision {
    /// The service, as people call it.
    pub name: String,
    /// Which of its lives, as [`Service::endpoint`] has it.
    pub endpoint: u64,
    /// The decision.
    #[serde(flatten)]
    pub decided: Decided,
}

/// Why a service is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Why {
    /// Its name, as people call it.
    pub name: String,
    /// Supervisor's word for its state; empty where it is not in the table any more.
    pub state: String,
    /// The reason for it, in words.
    pub reason: String,
    /// The last decisions, the latest last.
    pub decisions: Vec<Decided>,
}
