//! The real program with real processes, from the outside.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

mod anew;
mod background;
mod burst;
mod children;
mod crossing;
mod damage;
mod dependencies;
mod fastcgi;
mod following;
mod handing;
mod handlers;
mod hang;
mod heirs;
mod holder;
mod idle;
mod lifecycle;
mod listeners;
mod logs;
mod managed;
mod metrics;
mod openmetrics;
mod owed;
mod reload;
mod scene;
mod shared;
mod signals;
mod spawning;
mod speaking;
mod start;
mod stuck;
mod troubles;
mod variables;
mod watch;
mod watching;
mod why;
