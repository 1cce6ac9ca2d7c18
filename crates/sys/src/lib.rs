//! The operating system, and the only `unsafe` of the house.
//!
//! It speaks of pids, descriptors and plans, not of programs and states.

#![deny(clippy::undocumented_unsafe_blocks)]

pub mod accounts;
pub mod cgroup;
pub mod channel;
pub mod child;
pub mod clock;
pub mod control;
pub mod descriptors;
pub mod elf;
pub mod extras;
#[cfg(feature = "faults")]
pub mod faults;
pub mod image;
pub mod launch;
pub mod lease;
pub mod limits;
pub mod memory;
pub mod peer;
pub mod pipe;
pub mod plan;
pub mod poll;
pub mod poller;
pub mod probe;
pub mod process;
mod raw;
pub mod setup;
pub mod signals;
mod slot;
pub mod spawn;
pub mod stat;
pub mod tree;
pub mod waker;
