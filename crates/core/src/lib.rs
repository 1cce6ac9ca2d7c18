//! What a supervisor decides.
//!
//! The core is a pure state machine: it is told what happened ([`Input`]) and
//! answers with what to do ([`Action`]). It opens no file, reads no clock,
//! starts no thread, draws no random number and has no dependency. The daemon
//! and the simulator drive the same [`Supervisor::step`] through [`mod@run`].
//!
//! One thing surprises a newcomer: the core never *asks*. The time is an
//! argument, the result of an action comes back as another input, and what must
//! survive a crash is handed out as plain records ([`record`]) before any action
//! that depends on it is performed.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod action;
pub mod decision;
pub mod event;
#[cfg(test)]
mod example;
pub mod group;
pub mod id;
pub mod input;
pub mod job;
pub mod mutant;
pub mod reconcile;
pub mod record;
pub mod run;
pub mod service;
pub mod signal;
pub mod spec;
pub mod status;
pub mod supervisor;
pub mod time;
mod timers;

pub use action::{Action, Errand, Notice};
pub use decision::Decision;
pub use event::Event;
pub use group::Group;
pub use id::{Generation, Pid, ServiceId, Ticket};
pub use input::{Found, Input, Mood};
pub use job::{Command, Outcome, Refusal, Target, Verb, Wait};
pub use reconcile::{Difference, Scope};
pub use run::{World, run};
pub use service::{Launch, Service, State};
pub use signal::Signal;
pub use spec::{Configuration, GroupSpec, ServiceSpec};
pub use status::{ExitStatus, Preparation, SpawnError};
pub use supervisor::Supervisor;
pub use time::{Instant, Now};
