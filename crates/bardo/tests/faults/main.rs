//! Faults of the environment, each made to happen: the others are looked after all the
//! while, the state can be seen, and when the fault has gone nobody has to help.
//!
//! What needs rights that are not there says so in a line that begins with `skipped`.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

mod blocked;
mod clock;
mod clone;
mod crowd;
mod descriptors;
mod disk;
mod flood;
#[path = "../daemon/holder.rs"]
mod holder;
mod others;
#[expect(dead_code, reason = "the tests of the daemon need more of it")]
#[path = "../daemon/scene.rs"]
mod scene;
mod start;
mod stopped;
mod stuck;
