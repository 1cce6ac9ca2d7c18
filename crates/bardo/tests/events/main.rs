//! Event listeners, end to end: the real program, with listeners that behave and others.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

mod groups;
mod idle;
mod output;
mod pools;
mod protocol;
mod scene;
mod types;
