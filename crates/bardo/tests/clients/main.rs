//! Clients of Supervisor that others have written, each from its registry and unmodified,
//! against a real daemon.
//!
//! They are looked for in the folder that `BARDO_CLIENTS` names: virtual environments
//! `python` and `supervisor`, and an npm prefix `node` (`.ci/run` makes them); node itself and the node
//! exporter on the `PATH`. A test whose client is not there says that it is skipped.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

mod ansible;
mod checks;
mod end_to_end;
mod exporter;
mod listener;
mod multivisor;
mod node;
mod scene;
mod superlance;
mod supervisorctl;
