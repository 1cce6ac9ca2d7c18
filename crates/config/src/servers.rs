//! The HTTP servers that a configuration asks for.

use crate::error::ConfigError;
use crate::options::HttpDraft;
use crate::value::Owner;

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpServer {
    /// The section, which log lines name.
    pub section: String,
    /// Where it listens.
    pub listen: Listen,
    /// User name and password that clients must give.
    pub credentials: Option<(String, String)>,
    /// Whether only root and the daemon's own user may do everything through it.
    pub owner_only: bool,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// On a host and a port; an empty host is every address.
    Inet {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// On a socket file.
    Unix {
        /// Its path, absolute.
        path: String,
        /// Its mode.
        mode: u32,
        /// Its owner, where one is named.
        owner: Option<Owner>,
    },
}

impl HttpServer {
    pub(crate) fn new(section: &str, draft: HttpDraft) -> Self {
        let owner_only = draft.owner_only;
        let listen = match draft.address {
            Some(address) => Listen::Inet { host: address.host, port: address.port },
            None => Listen::Unix { path: draft.file, mode: draft.chmod, owner: draft.chown },
        };
        let credentials = draft.username.zip(draft.password);
        Self { section: section.to_owned(), listen, credentials, owner_only }
    }

    /// Whether it listens on a socket file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.listen, Listen::Unix { .. })
    }

    /// Whether `require_password` lets it be: a socket file has an owner and a mode
    /// instead, and an empty password is none.
    pub(crate) fn check_password(&self) -> Result<(), ConfigError> {
        let is_guarded = match &self.listen {
            Listen::Unix { .. } => true,
            Listen::Inet { .. } => {
                self.credentials.as_ref().is_some_and(|(_, password)| !password.is_empty())
            }
        };
        if is_guarded { Ok(()) } else { Err(ConfigError::NoPassword(self.section.clone())) }
    }
}

/// The URL that programs are told where they have none of their own: the first
/// socket file, or else the first port.
#[must_use]
pub fn default_server_url(servers: &[HttpServer]) -> Option<String> {
    let unix = servers.iter().find_map(|server| match &server.listen {
        Listen::Unix { path, .. } => Some(format!("unix://{path}")),
        Listen::Inet { .. } => None,
    });
    let inet = || {
        servers.iter().find_map(|server| match &server.listen {
            Listen::Inet { host, port } if host.is_empty() => {
                Some(format!("http://localhost:{port}"))
            }
            Listen::Inet { host, port } => Some(format!("http://{host}:{port}")),
            Listen::Unix { .. } => None,
        })
    };
    unix.or_else(inet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(listen: Listen) -> HttpServer {
        HttpServer { section: String::new(), listen, credentials: None, owner_only: false }
    }

    #[test]
    fn a_socket_file_is_preferred_to_a_port() {
        let any = server(Listen::Inet { host: String::new(), port: 9001 });
        let named = server(Listen::Inet { host: "h".to_owned(), port: 9002 });
        let unix = server(Listen::Unix { path: "/s".to_owned(), mode: 0o700, owner: None });

        assert_eq!(default_server_url(&[]), None);
        assert_eq!(
            default_server_url(&[any.clone(), named.clone()]).as_deref(),
            Some("http://localhost:9001")
        );
        assert_eq!(
            default_server_url(std::slice::from_ref(&named)).as_deref(),
            Some("http://h:9002")
        );
        assert_eq!(default_server_url(&[any, named, unix]).as_deref(), Some("unix:///s"));
    }
}
