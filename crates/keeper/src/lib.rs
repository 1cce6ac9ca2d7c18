//! The keeper: the process that is there from the first moment to the last.
//!
//! It is the parent of the supervisor and of every child, and does as little as
//! can be done: it reaps, keeps exit statuses until they are taken, holds
//! duplicates of every descriptor that must outlive a supervisor, forwards
//! signals, and starts the supervisor again when it has died or hangs. It parses
//! nothing, decides nothing about services, and allocates nothing after its start:
//! what has no parts that can fail does not fail.
//!
//! What surprises a newcomer: it never starts a child. The supervisor does, with
//! CLONE_PARENT, so that the keeper is the parent from the child's birth.

#![forbid(unsafe_code)]

mod ending;
mod exits;
mod foreign;
mod keeper;
mod notify;
pub mod protocol;
pub mod store;
mod vault;

pub use foreign::UNKNOWN;
pub use keeper::{FORWARDED, Held, Resumed, Settings, run};
pub use notify::Listener;
