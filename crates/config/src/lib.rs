//! Text to specs: what a Supervisor configuration means.
//!
//! [`load`] reads `supervisord.conf` and everything it includes and answers with
//! complete, resolved specs for the core, the settings of the daemon, its HTTP
//! servers and the messages that its log shall begin with. [`control`] does the
//! same for the client, and [`command`] splits command lines when programs are
//! started. The tables in [`options`] are the only place that knows the options.
//!
//! Nothing here opens a file or asks the system: the [`Host`] does. One thing
//! surprises a newcomer: the messages are Supervisor's, quoted as Python quotes,
//! because scripts read them.

#![forbid(unsafe_code)]

pub mod check;
pub mod command;
pub mod control;
pub mod environment_file;
mod error;
pub mod expand;
#[cfg(test)]
mod fake;
mod host;
pub mod info;
pub mod ini;
mod lexer;
mod load;
pub mod options;
mod path;
mod python;
mod search;
mod servers;
mod settings;
pub mod system_conf;
pub mod value;

pub use error::{BadLine, ConfigError};
pub use host::{Account, Host, ReadError};
pub use load::{
    Described, Loaded, Messages, Request, RpcInterface, Whereabouts, check_flag, load,
    load_program, whereabouts,
};
pub use options::{InterfaceKind, PluginKind, ResultHandler};
pub use search::{ROOT_SEARCH_WARNING, candidates, find};
pub use servers::{HttpServer, Listen, default_server_url};
pub use settings::{MainLog, ServerSettings, ServerUser};
