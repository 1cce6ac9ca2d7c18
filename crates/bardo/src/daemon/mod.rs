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
pub mod children;
pub mod clients;
pub mod fastcgi;
mod greeting;
pub mod journal;
pub mod keeping;
pub mod last_words;
pub mod link;
pub mod listeners;
pub mod logs;
pub mod main_log;
pub mod metrics;
mod notices;
mod noticing;
pub mod plans;
pub mod pump;
mod renewal;
mod restart;
pub mod result_handler;
pub mod runtime;
pub mod settings;
pub mod sockets;
pub mod stage;
mod starts;
mod stdin;
pub mod supervisor;
pub mod troubles;
mod undrained;
pub mod views;
pub mod watching;
pub mod world;
