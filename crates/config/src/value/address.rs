//! Where a server listens: host and port, or the socket of FastCGI programs.

use bardo_core::spec::SocketAddress;

use super::{ValueError, integer};
use crate::host::Host;
use crate::path::resolved;

/// The greatest port.
const PORT_MAX: i64 = 0xffff;

/// Host and port; an empty host is every address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InetAddress {
    /// Host name or address, lower case.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// `PORT`, `:PORT`, `*:PORT` or `HOST:PORT`.
///
/// # Errors
///
/// When the port is none. The port alone has a message of its own.
pub fn inet_address(text: &str) -> Result<InetAddress, ValueError> {
    let Some((host, digits)) = text.rsplit_once(':') else {
        let port = port(text).map_err(|_| ValueError::Port(text.to_owned()))?;
        return Ok(InetAddress { host: String::new(), port });
    };
    if digits.is_empty() {
        return Err(ValueError::NoPort(digits.to_owned()));
    }
    let port = port(digits)?;
    let host = if host == "*" { String::new() } else { host.to_lowercase() };
    Ok(InetAddress { host, port })
}

/// `unix:///absolute/path` or `tcp://host:port`.
///
/// # Errors
///
/// When it is neither, or the path is relative, or the port is none.
pub fn fastcgi_address(host: &dyn Host, text: &str) -> Result<SocketAddress, ValueError> {
    if let Some(path) = text.strip_prefix("unix://") {
        if !path.starts_with('/') {
            return Err(ValueError::RelativeSocket(path.to_owned()));
        }
        return Ok(SocketAddress::Unix(resolved(host, path).into()));
    }
    let bad_format = || ValueError::SocketFormat(text.to_owned());
    let address = text.strip_prefix("tcp://").ok_or_else(bad_format)?;
    // The end of Python's pattern also matches before a last newline.
    let address = address.strip_suffix('\n').unwrap_or(address);
    let (name, digits) = address.split_once(':').ok_or_else(bad_format)?;
    let named = !name.is_empty() && !name.contains(crate::python::is_blank);
    let numbered = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !named || !numbered {
        return Err(bad_format());
    }
    Ok(SocketAddress::Tcp { host: name.to_lowercase().into(), port: port(digits)? })
}

fn port(text: &str) -> Result<u16, ValueError> {
    let value = integer(text)?;
    if value < 1 {
        return Err(ValueError::BelowBound { value, bound: 1 });
    }
    u16::try_from(value).map_err(|_| ValueError::AboveBound { value, bound: PORT_MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    #[test]
    fn an_inet_address_ends_in_a_port() {
        let cases = [
            ("9001", "", 9001),
            (":9001", "", 9001),
            ("*:9001", "", 9001),
            ("LocalHost:9001", "localhost", 9001),
            ("a:b:1", "a:b", 1),
        ];

        for (text, host, port) in cases {
            let wanted = InetAddress { host: host.to_owned(), port };
            assert_eq!(inet_address(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn a_bad_port_is_refused() {
        let cases = [
            ("http", "not a valid port number: 'http' "),
            ("0", "not a valid port number: '0' "),
            ("h:", "no port number specified in ''"),
            ("h:0", "0 is below lower bound (1)"),
            ("h:99999", "99999 is above upper bound (65535)"),
            ("h:http", "invalid literal for int() with base 10: 'http'"),
        ];

        for (text, wanted) in cases {
            assert_eq!(inet_address(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn a_fastcgi_socket_is_a_path_or_an_address() {
        let host = FakeHost::new();

        let unix = fastcgi_address(&host, "unix:///tmp/../x.sock").unwrap();
        let tcp = fastcgi_address(&host, "tcp://LocalHost:9000").unwrap();

        assert_eq!(unix.to_string(), "unix:///x.sock");
        assert_eq!(tcp.to_string(), "tcp://localhost:9000");
    }

    #[test]
    fn a_bad_fastcgi_socket_is_refused() {
        let host = FakeHost::new();
        let cases = [
            ("foo", "('Bad socket format %s', 'foo')"),
            ("tcp://h:1x", "('Bad socket format %s', 'tcp://h:1x')"),
            ("tcp://:1", "('Bad socket format %s', 'tcp://:1')"),
            ("unix://foo", "('Unix socket path %s is not an absolute path', 'foo')"),
            ("tcp://h:0", "0 is below lower bound (1)"),
            ("tcp://h:65536", "65536 is above upper bound (65535)"),
        ];

        for (text, wanted) in cases {
            assert_eq!(fastcgi_address(&host, text).unwrap_err().to_string(), wanted);
        }
    }
}
