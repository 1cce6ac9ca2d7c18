//! The supervisor process: three threads around one core.
//!
//! `boot` makes the keeper out of the process that the user started; `supervisor`
//! is what the keeper starts, again and again if need be. `world` is the control
//! thread's side of the core; `pump` carries log bytes; the API thread lives in
//! [`crate::api`] and asks through `clients`.

mod adoption;
mod answers;
pub mod boot;
pub mod cache;
pub mod changes;
pub mod channels;
pub mod children;
pub mod clients;
mod debts;
pub mod decisions;
mod endings;
mod errands;
pub mod fastcgi;
mod following;
mod greeting;
pub mod handover;
mod helpers;
mod images;
pub mod journal;
pub mod keeping;
mod kinship;
pub mod last_words;
pub mod link;
pub mod listeners;
pub mod logs;
pub mod main_log;
pub mod managed;
pub mod metrics;
mod notices;
mod outlets;
pub mod owed;
pub mod plans;
pub mod pump;
mod renewal;
mod restart;
pub mod result_handler;
pub mod runtime;
pub mod settings;
pub mod sockets;
pub mod stage;
pub mod standing;
mod starts;
mod stdin;
pub mod supervisor;
pub mod trees;
pub mod troubles;
mod undrained;
mod variables;
pub mod views;
pub mod watching;
pub mod world;
