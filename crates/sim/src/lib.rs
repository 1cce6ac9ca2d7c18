//! The same core in a world that can be unkind.
//!
//! A seed decides everything: which programs there are and how they behave, what
//! clients ask and when, what the kernel refuses, and at which instants the
//! supervisor is cut off, to be recovered from what it had recorded. The core is
//! driven by its own loop ([`bardo_core::run::turn`]); nothing in here decides
//! what a supervisor should do, except [`mod@reference`], which holds the rules a
//! second time to compare with.
//!
//! One thing surprises a newcomer: a failure is nothing but two numbers. The same
//! seed and number of steps show it again, on every machine.

#![forbid(unsafe_code)]

pub mod check;
pub mod clients;
pub mod kernel;
pub mod mutants;
pub mod program;
pub mod random;
pub mod reference;
pub mod simulation;
pub mod sweep;
pub mod voice;
pub mod wishes;
pub mod world;
