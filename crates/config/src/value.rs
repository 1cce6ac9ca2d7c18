//! What the value of an option can be: one file per kind, and one list of what can
//! be wrong with it.

mod address;
mod amount;
mod boolean;
mod compatibility;
mod dependency;
mod duration;
mod environment;
mod event_length;
mod exit_codes;
mod exit_on;
mod level;
mod line_prefix;
mod log_file;
mod name;
mod number;
mod owner;
mod place;
mod readiness;
mod recovery;
mod restart;
mod signal;
mod url;

pub use address::{InetAddress, fastcgi_address, inet_address};
pub use amount::{count, memory_size, percent};
pub use boolean::boolean;
pub use compatibility::{Compatibility, compatibility};
pub use dependency::{dependencies, dependency_label};
pub use duration::{DURATION_MAX, duration};
pub use environment::environment;
pub use event_length::event_length;
pub use exit_codes::exit_codes;
pub use exit_on::{ExitOn, exit_on};
pub use level::{LogLevel, log_level};
pub use line_prefix::line_prefix;
pub use log_file::{LogFile, log_file};
pub use name::{list, name};
pub use number::{byte_size, integer, octal};
pub use owner::{Owner, account, owner};
pub use place::{directory, file_in_directory};
pub use readiness::{
    ReadyBy, absolute_path, health_command, health_http, health_tcp, optional_file, ready,
};
pub use recovery::{BackoffRule, backoff, backoff_reset, copying};
pub use restart::restart_on;
pub use signal::signal;
pub use url::url;

use crate::python::Repr;

/// Why a value was refused. The texts are Supervisor's, where it has the option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not a whole number.
    #[error("invalid literal for int() with base 10: {}", Repr(.0))]
    Integer(String),
    /// Not an octal number.
    #[error("{0} can not be converted to an octal type")]
    Octal(String),
    /// Neither true nor false.
    #[error("not a valid boolean value: {}", Repr(.0))]
    Boolean(String),
    /// No name of a signal.
    #[error("value {} is not a valid signal name", Repr(.0))]
    SignalName(String),
    /// No number of a signal.
    #[error("value {} is not a valid signal number", Repr(.0))]
    SignalNumber(String),
    /// Not a list of numbers from 0 to 255.
    #[error("not a valid list of exit codes: {}", Repr(.0))]
    ExitCodes(String),
    /// Neither a boolean nor `unexpected`.
    #[error("invalid 'autorestart' value {}", Repr(.0))]
    Restart(String),
    /// No log level.
    #[error("bad logging level name {}", Repr(.0))]
    LogLevel(String),
    /// No such directory.
    #[error("{0} is not an existing directory")]
    Directory(String),
    /// The file could not be made there.
    #[error("The directory named as part of the path {0} does not exist")]
    ParentDirectory(String),
    /// No user of that name.
    #[error("Invalid user name {0}")]
    UserName(String),
    /// No user of that number.
    #[error("Invalid user id {0}")]
    UserId(String),
    /// No such user, or no such group.
    #[error("Invalid user:group definition {0}")]
    Owner(String),
    /// The port alone, and it is none.
    #[error("not a valid port number: {} ", Repr(.0))]
    Port(String),
    /// Nothing follows the colon.
    #[error("no port number specified in {}", Repr(.0))]
    NoPort(String),
    /// Less than allowed.
    #[error("{value} is below lower bound ({bound})")]
    BelowBound {
        /// The number.
        value: i64,
        /// The least that is allowed.
        bound: i64,
    },
    /// More than allowed.
    #[error("{value} is above upper bound ({bound})")]
    AboveBound {
        /// The number.
        value: i64,
        /// The most that is allowed.
        bound: i64,
    },
    /// No URL.
    #[error("value {} is not a URL", Repr(.0))]
    Url(String),
    /// A name that could not be told from a command or a path.
    #[error("Invalid name: {} because of character: {}", Repr(.name), Repr(.character))]
    Name {
        /// The name.
        name: String,
        /// The first character that it may not hold.
        character: String,
    },
    /// Not a list of `KEY=value`.
    #[error("Unexpected end of key/value pairs in value '{0}'")]
    Environment(String),
    /// A quote in `environment` is not closed.
    #[error("No closing quotation")]
    NoClosingQuotation,
    /// A backslash ends `environment`.
    #[error("No escaped character")]
    NoEscapedCharacter,
    /// Neither `unix://` nor `tcp://`. Supervisor shows the unfinished message as a
    /// tuple, and scripts see it so.
    #[error("('Bad socket format %s', {})", Repr(.0))]
    SocketFormat(String),
    /// A socket path that depends on the current directory; shown as a tuple too.
    #[error("('Unix socket path %s is not an absolute path', {})", Repr(.0))]
    RelativeSocket(String),
    /// `socket_owner` or `socket_mode` without a socket file.
    #[error("socket_owner and socket_mode params should only be used with a Unix domain socket")]
    NoSocketFile,
    /// A mode of a FastCGI socket.
    #[error("Invalid socket_mode value {0}")]
    SocketMode(String),
    /// An owner of a FastCGI socket.
    #[error("Invalid socket_owner value {0}")]
    SocketOwner(String),
    /// A queue length of a FastCGI socket.
    #[error("Invalid socket_backlog value {0}")]
    SocketBacklog(i64),
    /// A mode of a server's socket.
    #[error("Invalid chmod value {0}")]
    Mode(String),
    /// Who may do everything through a server's socket.
    #[error("Invalid open_to value {0}: all or owner")]
    OpenTo(String),
    /// An owner of a server's socket.
    #[error("Invalid sockchown value {0}")]
    SocketChown(String),
    /// A time that must be longer.
    #[error("Invalid hang_timeout value {0}")]
    HangTimeout(i64),
    /// A time that must not be negative.
    #[error("Invalid keeper_stopwaitsecs value {0}")]
    KeeperStopWait(i64),
    /// No time.
    #[error("not a valid time: {}", Repr(.0))]
    Duration(String),
    /// A text that cannot stand before a line.
    #[error("not a prefix of 256 bytes at most within a line: {}", Repr(.0))]
    LinePrefix(String),
    /// A time that must be longer than none.
    #[error("must be longer than 0: {}", Repr(.0))]
    NoTime(String),
    /// No size of memory.
    #[error("not a valid size: {}", Repr(.0))]
    Size(String),
    /// No number of things, of which there is at least one.
    #[error("not a number of 1 or more: {}", Repr(.0))]
    Count(String),
    /// No percentage.
    #[error("not a valid percentage: {}", Repr(.0))]
    Percent(String),
    /// Not one of a few words.
    #[error("{} is not one of {choices}", Repr(.text))]
    Choice {
        /// What stands there.
        text: String,
        /// What could.
        choices: &'static str,
    },
    /// A command that says nothing.
    #[error("the command is empty")]
    NoHealthCommand,
    /// A URL that cannot be asked.
    #[error("not a URL that can be asked: {}", Repr(.0))]
    HealthUrl(String),
    /// No place to which a connection can go.
    #[error("neither host:port nor the path of a socket: {}", Repr(.0))]
    HealthAddress(String),
    /// A path that depends on a directory.
    #[error("not an absolute path: {}", Repr(.0))]
    NotAbsolute(String),
    /// Not what a program can depend on.
    #[error(
        "not a dependency: {}; one is NAME, GROUP:NAME or GROUP:*, with :started or :ready \
         behind it",
        Repr(.0)
    )]
    Dependency(String),
    /// The same dependency twice.
    #[error("{} stands there twice", Repr(.0))]
    RepeatedDependency(String),
}

impl ValueError {
    /// A text that is not one of a few.
    fn choice(text: &str, choices: &'static str) -> Self {
        Self::Choice { text: text.to_owned(), choices }
    }
}
