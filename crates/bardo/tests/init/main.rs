//! Service mode of the operating system: with tools that only record what they are told,
//! and under real init systems.
//!
//! Every test of the second kind boots a machine of its own in name spaces: see `scene`.
//! They need root, and tools that `.ci/run` installs; where these are missing a test says
//! in one line that it is skipped.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

mod again;
mod bare;
mod container;
mod ends;
mod hangs;
mod kills;
mod names;
mod openrc;
mod package;
mod reloading;
mod scene;
mod service;
mod shutdown;
mod standing;
mod stopping;
mod stores;
mod storms;
mod systemd;
mod sysvinit;
mod users;
mod verbs;
