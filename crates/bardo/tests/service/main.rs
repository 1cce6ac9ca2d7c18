//! `service` and what it brings up: the real tool, a real supervisor, real programs.
//!
//! Tests are named by the rows of the contract's table of what `service` must do.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod confined;
mod copies;
mod crashes;
mod health;
mod launcher;
mod listing;
mod permission;
mod programs;
mod publication;
mod recovery;
mod scene;
mod scripts;
mod signs;
mod starting;
mod successor;
mod tool;
mod trees;
mod verbs;
