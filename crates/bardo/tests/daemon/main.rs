//! The real program with real processes, from the outside.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

mod background;
mod burst;
mod children;
mod damage;
mod fastcgi;
mod handlers;
mod hang;
mod holder;
mod idle;
mod lifecycle;
mod listeners;
mod logs;
mod metrics;
mod openmetrics;
mod reload;
mod scene;
mod signals;
mod spawning;
mod start;
mod stuck;
mod troubles;
mod watch;
mod watching;
