//! `[inet_http_server]` and `[unix_http_server]`.

use super::{Expansion, Fallback, Known, OptionEntry, Reading, set};
use crate::error::ConfigError;
use crate::path::resolved;
use crate::python::trim;
use crate::value::{self, InetAddress, Owner, ValueError};

/// What a section says of a server.
#[derive(Debug, Default)]
pub struct ServerDraft {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) address: Option<InetAddress>,
    pub(crate) file: String,
    pub(crate) chown: Option<Owner>,
    pub(crate) chmod: u32,
    pub(crate) owner_only: bool,
}

impl ServerDraft {
    fn check_authentication(&self, reading: &Reading<'_>) -> Result<(), ConfigError> {
        if self.username.is_some() == self.password.is_some() {
            Ok(())
        } else {
            Err(ConfigError::IncompleteAuthentication(reading.section.to_owned()))
        }
    }
}

/// The options of `[inet_http_server]`.
pub const INET_SERVER_OPTIONS: &[OptionEntry<ServerDraft>] = &[
    USERNAME,
    PASSWORD,
    OptionEntry {
        name: "port",
        fallback: Fallback::Missing("required", |_, reading| {
            Err(ConfigError::NoPort(reading.section.to_owned()))
        }),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.address, Some(value::inet_address(text)?)),
        help: "Where to listen: a port, or an address and a port; `*` is every address.",
    },
];

/// The options of `[unix_http_server]`.
pub const UNIX_SERVER_OPTIONS: &[OptionEntry<ServerDraft>] = &[
    OptionEntry {
        name: "file",
        fallback: Fallback::Missing("required", |_, reading| {
            Err(ConfigError::NoFile(reading.section.to_owned()))
        }),
        expansion: Expansion::OnceWith(Known::Here),
        apply: |draft, reading, text| set(&mut draft.file, resolved(reading.host, trim(text))),
        help: "Socket file to listen on.",
    },
    USERNAME,
    PASSWORD,
    OptionEntry {
        name: "chown",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            let refused = |_| ValueError::SocketChown(text.to_owned());
            set(&mut draft.chown, Some(value::owner(reading.host, text).map_err(refused)?))
        },
        help: "Owner of the socket file, as user or user:group.",
    },
    OptionEntry {
        name: "chmod",
        fallback: Fallback::Text("0700"),
        expansion: Expansion::Once,
        apply: |draft, _, text| {
            let refused = |_| ValueError::Mode(text.to_owned());
            set(&mut draft.chmod, value::octal(text).map_err(refused)?)
        },
        help: "Mode of the socket file, in octal.",
    },
    OptionEntry {
        name: "open_to",
        fallback: Fallback::Text("all"),
        expansion: Expansion::Once,
        apply: |draft, _, text| match trim(text) {
            "all" => set(&mut draft.owner_only, false),
            "owner" => set(&mut draft.owner_only, true),
            other => Err(ValueError::OpenTo(other.to_owned()).into()),
        },
        help: "Who may do everything through this socket: `all` who can open it, as in \
               Supervisor, or its `owner`: root and the daemon's own user. Others may then only \
               ask what service(8) permits to services that hold `control`.",
    },
];

const USERNAME: OptionEntry<ServerDraft> = OptionEntry {
    name: "username",
    fallback: Fallback::Nothing,
    expansion: Expansion::Once,
    apply: |draft, _, text| set(&mut draft.username, Some(text.to_owned())),
    help: "User name that clients must give.",
};

/// Stands behind the user name: with it, the pair is complete or wrong.
const PASSWORD: OptionEntry<ServerDraft> = OptionEntry {
    name: "password",
    fallback: Fallback::Missing("none", |draft, reading| draft.check_authentication(reading)),
    expansion: Expansion::Once,
    apply: |draft, reading, text| {
        draft.password = Some(text.to_owned());
        draft.check_authentication(reading)
    },
    help: "Password that clients must give; {SHA} and forty hexadecimal digits is its hash.",
};
