//! One face for each tool that Bardo takes the place of.

pub mod echo_conf;
pub mod errno;
pub mod getopt;
pub mod pidproxy;
pub mod supervisorctl;
pub mod supervisord;
pub mod words;
