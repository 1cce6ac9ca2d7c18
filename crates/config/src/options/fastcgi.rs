//! `[fcgi-program:x]`: what it adds to a program.

use bardo_core::spec::SocketSpec;

use super::{Expansion, Fallback, Known, OptionEntry, Reading, set};
use crate::error::ConfigError;
use crate::host::{Account, Host};
use crate::value::{self, Owner, ValueError};

/// The longest accept queue.
const BACKLOG_MAX: i64 = 65_535;

/// What a section says of a socket and the programs that share it.
#[derive(Debug, Default)]
pub struct FastCgiDraft {
    pub(crate) priority: i64,
    user: Option<Account>,
    backlog: Option<u32>,
    owner: Option<Owner>,
    mode: Option<u32>,
    socket: String,
}

impl FastCgiDraft {
    /// The socket. It belongs to the user of the programs where nothing else is
    /// said, unless that is the supervisor's own.
    pub(crate) fn socket(&self, reading: &Reading<'_>) -> Result<SocketSpec, ConfigError> {
        let Reading { host, section } = *reading;
        if self.socket.is_empty() {
            return Err(ConfigError::NoSocket(section.to_owned()));
        }
        let is_file = self.socket.starts_with("unix://");
        let address = if !is_file && (self.owner.is_some() || self.mode.is_some()) {
            Err(ValueError::NoSocketFile)
        } else {
            value::fastcgi_address(host, &self.socket)
        };
        let address =
            address.map_err(|error| ConfigError::Socket { error, section: section.to_owned() })?;
        let owner = self.owner.or_else(|| self.user_as_owner(host).filter(|_| is_file));
        Ok(SocketSpec { address, backlog: self.backlog, owner, mode: self.mode })
    }

    fn user_as_owner(&self, host: &dyn Host) -> Option<Owner> {
        let user = self.user.as_ref()?;
        (user.uid != host.user_id()).then_some((user.uid, Some(user.gid)))
    }
}

/// The options that `[fcgi-program:x]` adds.
pub const FASTCGI_OPTIONS: &[OptionEntry<FastCgiDraft>] = &[
    OptionEntry {
        name: "priority",
        fallback: Fallback::Text("999"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.priority, value::integer(text)?),
        help: "Lower starts first and stops last, among groups.",
    },
    OptionEntry {
        name: "user",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            set(&mut draft.user, Some(value::account(reading.host, text)?))
        },
        help: "User that the program runs as, who also gets the socket file.",
    },
    OptionEntry {
        name: "socket_backlog",
        fallback: Fallback::Missing("the system's greatest", |_, _| Ok(())),
        expansion: Expansion::Once,
        apply: |draft, _, text| match value::integer(text)? {
            number @ 1..=BACKLOG_MAX => set(&mut draft.backlog, u32::try_from(number).ok()),
            number => Err(ValueError::SocketBacklog(number).into()),
        },
        help: "How many connections may wait to be accepted.",
    },
    OptionEntry {
        name: "socket_owner",
        fallback: Fallback::Missing("user, where that is not the supervisor's own", |_, _| Ok(())),
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            let owner = value::owner(reading.host, text);
            let refused = |_| ValueError::SocketOwner(text.to_owned());
            set(&mut draft.owner, Some(owner.map_err(refused)?))
        },
        help: "Owner of the socket file, as user or user:group.",
    },
    OptionEntry {
        name: "socket_mode",
        fallback: Fallback::Missing("0700", |_, _| Ok(())),
        expansion: Expansion::Once,
        apply: |draft, _, text| {
            let refused = |_| ValueError::SocketMode(text.to_owned());
            set(&mut draft.mode, Some(value::octal(text).map_err(refused)?))
        },
        help: "Mode of the socket file, in octal.",
    },
    OptionEntry {
        name: "socket",
        fallback: Fallback::Missing("required", |_, reading| {
            Err(ConfigError::NoSocket(reading.section.to_owned()))
        }),
        expansion: Expansion::OnceWith(Known::Program),
        apply: |draft, _, text| set(&mut draft.socket, text.to_owned()),
        help: "Socket that the programs share: unix:///path or tcp://host:port.",
    },
];
