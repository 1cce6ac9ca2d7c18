//! Programs are born as their plan and their extras say.
//!
//! A spawner owns the low descriptor numbers of its process, and its children are its
//! siblings. So each test here runs in a process of its own, whose parent is the test:
//! this program once more, with one test that is run in no other way.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

mod extras;
mod image;
mod scene;
mod setup;
