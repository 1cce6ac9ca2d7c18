//! One face for each tool that Bardo takes the place of.

pub mod bardo;
pub mod echo_conf;
pub mod getopt;
pub mod host;
pub mod pidproxy;
pub mod service;
pub mod shells;
pub mod supervisorctl;
pub mod supervisord;

/// A flag of a tool, as manuals and completions show it.
#[derive(Debug, Clone, Copy)]
pub struct DescribedFlag {
    /// Its letter, where it has one.
    pub short: Option<char>,
    /// Its long name, without dashes.
    pub long: &'static str,
    /// What stands for its argument; `None` where it takes none.
    pub argument: Option<&'static str>,
    /// What it is for.
    pub help: &'static str,
}
