//! A daemon that a service manager has started: the folder that it has for itself, and what is
//! told in there and to the manager.
//!
//! Which managers there are and how each of them starts one is not known here, but in
//! [`crate::init`], which looks into the same folder.

pub mod folder;
pub mod reloads;
pub(super) mod telling;

pub use telling::write_pidfile;
