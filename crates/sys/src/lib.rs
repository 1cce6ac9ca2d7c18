//! The operating system, and the only `unsafe` of the house.
//!
//! It speaks of pids, descriptors and plans, not of programs and states.

#![deny(clippy::undocumented_unsafe_blocks)]

pub mod accounts;
pub mod channel;
pub mod child;
pub mod clock;
#[cfg(feature = "faults")]
pub mod faults;
pub mod launch;
pub mod lease;
pub mod limits;
pub mod memory;
pub mod pipe;
pub mod plan;
pub mod poll;
pub mod poller;
pub mod probe;
pub mod process;
mod raw;
pub mod signals;
pub mod spawn;
pub mod waker;
