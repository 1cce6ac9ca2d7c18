//! Where a server is: `serverurl`.

use std::path::PathBuf;

use super::CallError;

/// The port of `http://host`.
const HTTP_PORT: u16 = 80;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// At a socket file.
    Unix(PathBuf),
    /// At a port.
    Tcp {
        /// Name or address of the machine.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is none of a server.
    pub fn parse(url: &str) -> Result<Self, CallError> {
        if let Some(path) = url.strip_prefix("unix://") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let rest = url.strip_prefix("http://");
        let rest = rest.ok_or_else(|| CallError::UnknownProtocol(url.to_owned()))?;
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = match port {
            None | Some("") => HTTP_PORT,
            Some(port) => port.parse().map_err(|_| CallError::BadPort(port.to_owned()))?,
        };
        Ok(Self::Tcp { host: host.to_ascii_lowercase(), port })
    }

    /// What a request says in its `Host` header.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let parsed = |url| Address::parse(url).map_err(|error| error.to_string());
        let tcp = |host: &str, port| Ok(Address::Tcp { host: host.to_owned(), port });

        assert_eq!(parsed("unix:///run/s.sock"), Ok(Address::Unix("/run/s.sock".into())));
        assert_eq!(parsed("http://localhost:9001"), tcp("localhost", 9001));
        assert_eq!(parsed("http://Host"), tcp("host", 80));
        assert_eq!(parsed("http://u:p@h:1/x"), tcp("h", 1));
        assert_eq!(parsed("http://[::1]:2/"), tcp("::1", 2));
        let unknown = "Unknown protocol for serverurl foo://x";
        assert_eq!(parsed("foo://x"), Err(unknown.to_owned()));
        let no_port = "Port could not be cast to integer value as 'port'";
        assert_eq!(parsed("http://h:port"), Err(no_port.to_owned()));
    }
}
