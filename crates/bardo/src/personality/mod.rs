//! One face for each tool that Bardo takes the place of.

pub mod errno;
pub mod getopt;
mod place;
pub mod supervisorctl;
pub mod supervisord;
pub mod words;
