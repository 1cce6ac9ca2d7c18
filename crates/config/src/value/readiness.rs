//! When a program counts as initialised, and what is tried to find out whether it works.

use std::sync::Arc;

use bardo_core::spec::care::Check;

use super::ValueError;

/// By what a program counts as initialised, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyBy {
    /// One that speaks says so; one that is silent is when it has stayed up.
    Auto,
    /// It says so, on either channel.
    Says,
    /// It writes a newline to the descriptor of this number.
    Descriptor(u32),
    /// The check of its health succeeds.
    Health,
    /// It listens on a socket.
    Listen,
    /// It has stayed up for `startsecs`.
    Alive,
}

/// The descriptors on which a program can say that it is ready: the first that is none of
/// the standard ones, and the last below the least limit that is in use.
const DESCRIPTORS: std::ops::RangeInclusive<u32> = 3..=255;

/// What [`ready`] takes.
const READY: &str = "auto, ctl, notify, fd:N (N from 3 to 255), health, listen, alive";

/// `auto`, `ctl`, `notify`, `fd:N`, `health`, `listen` or `alive`.
///
/// # Errors
///
/// When it is none of them.
pub fn ready(text: &str) -> Result<ReadyBy, ValueError> {
    let refused = || ValueError::choice(text, READY);
    Ok(match text.trim() {
        "auto" => ReadyBy::Auto,
        "ctl" | "notify" => ReadyBy::Says,
        "health" => ReadyBy::Health,
        "listen" => ReadyBy::Listen,
        "alive" => ReadyBy::Alive,
        other => {
            let digits = other.strip_prefix("fd:").ok_or_else(refused)?;
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse().ok().filter(|number| DESCRIPTORS.contains(number));
            ReadyBy::Descriptor(number.filter(|_| is_plain).ok_or_else(refused)?)
        }
    })
}

/// A command line that says whether a program works.
///
/// # Errors
///
/// When it is empty.
pub fn health_command(text: &str) -> Result<Check, ValueError> {
    match text.trim() {
        "" => Err(ValueError::NoHealthCommand),
        line => Ok(Check::Command(line.into())),
    }
}

/// A URL whose answer says whether a program works: `http://HOST[:PORT][/PATH]`.
///
/// # Errors
///
/// When it is none. There is no TLS here, so `https` is none either.
pub fn health_http(text: &str) -> Result<Check, ValueError> {
    let refused = || ValueError::HealthUrl(text.to_owned());
    let url = text.trim();
    let rest = url.strip_prefix("http://").ok_or_else(refused)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match port_behind(authority) {
        Some((host, port)) => port.map(|_| host),
        None => Some(authority),
    };
    let is_host = host.is_some_and(is_host);
    let is_clean = url.chars().all(|character| character.is_ascii_graphic()) && !rest.contains('#');
    if is_host && is_clean { Ok(Check::Http(url.into())) } else { Err(refused()) }
}

/// Where a connection says whether a program works: `HOST:PORT`, or the path of a socket.
///
/// # Errors
///
/// When it is neither.
pub fn health_tcp(text: &str) -> Result<Check, ValueError> {
    let place = text.trim();
    let is_place = match port_behind(place) {
        _ if place.starts_with('/') => place.len() > 1,
        Some((host, port)) => port.is_some() && is_host(host),
        None => false,
    };
    if is_place {
        Ok(Check::Connect(place.into()))
    } else {
        Err(ValueError::HealthAddress(text.to_owned()))
    }
}

/// What stands before the last colon and the port behind it, where that is one; a colon
/// within brackets is part of an address.
fn port_behind(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, digits) = text.rsplit_once(':')?;
    if digits.contains(']') {
        return None;
    }
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| is_plain && *port > 0);
    Some((host, port))
}

/// Whether it can be the name or the address of a machine.
fn is_host(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let fits =
                |character: char| character.is_ascii_alphanumeric() || "-._".contains(character);
            !text.is_empty() && text.chars().all(fits)
        }
    }
}

/// The path of a file that is looked for from no directory.
///
/// # Errors
///
/// When it does not begin with a slash.
pub fn absolute_path(text: &str) -> Result<Arc<str>, ValueError> {
    match text.trim() {
        path if path.starts_with('/') && path.len() > 1 => Ok(path.into()),
        _ => Err(ValueError::NotAbsolute(text.to_owned())),
    }
}

/// The path of a file with variables; one behind a `-` need not be there.
///
/// # Errors
///
/// When the path does not begin with a slash.
pub fn optional_file(text: &str) -> Result<Arc<str>, ValueError> {
    let bare = text.trim();
    let path = bare.strip_prefix('-').unwrap_or(bare);
    absolute_path(path).map_err(|_| ValueError::NotAbsolute(text.to_owned()))?;
    Ok(bare.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_program_ready_has_a_word() {
        let cases = [
            ("auto", ReadyBy::Auto),
            ("ctl", ReadyBy::Says),
            ("notify", ReadyBy::Says),
            (" fd:7 ", ReadyBy::Descriptor(7)),
            ("health", ReadyBy::Health),
            ("listen", ReadyBy::Listen),
            ("alive", ReadyBy::Alive),
        ];

        for (text, by) in cases {
            assert_eq!(ready(text), Ok(by), "{text}");
        }
        for text in ["", "fd", "fd:", "fd:2", "fd:256", "fd:-3", "fd:+3", "Auto", "true"] {
            let wanted = format!("'{text}' is not one of {READY}");
            assert_eq!(ready(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn a_url_is_one_that_can_be_asked_without_tls() {
        for text in [
            "http://localhost",
            "http://127.0.0.1:8080/health?deep=1",
            "http://[::1]:80/",
            "http://a_b.c/x",
        ] {
            assert_eq!(health_http(text), Ok(Check::Http(text.into())), "{text}");
        }
        for text in [
            "",
            "localhost",
            "https://localhost/",
            "http://",
            "http://:80/",
            "http://a:b/",
            "http://a:0/",
            "http://a b/",
            "http://a/ b",
            "http://a/#x",
            "http://[::g]/",
            "http://user@a/",
            "http://a:80:80/",
        ] {
            let wanted = format!("not a URL that can be asked: '{text}'");
            assert_eq!(health_http(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn a_connection_goes_to_a_port_or_a_socket() {
        for text in ["localhost:80", "[::1]:80", "10.0.0.1:65535", "/run/db.sock"] {
            assert_eq!(health_tcp(text), Ok(Check::Connect(text.into())), "{text}");
        }
        for text in
            ["", "80", "localhost", ":80", "a:b", "a:0", "a:65536", "/", "db.sock", "::1:80"]
        {
            let wanted = format!("neither host:port nor the path of a socket: '{text}'");
            assert_eq!(health_tcp(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn a_file_is_named_from_the_root() {
        assert_eq!(&*absolute_path(" /etc/x ").unwrap(), "/etc/x");
        assert_eq!(&*optional_file("-/etc/x").unwrap(), "-/etc/x");
        for text in ["", "x", "./x", "/", "-x", "~/x"] {
            let wanted = format!("not an absolute path: '{text}'");
            assert_eq!(absolute_path(text).unwrap_err().to_string(), wanted);
            assert_eq!(optional_file(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn a_command_says_something() {
        assert_eq!(health_command(" true "), Ok(Check::Command("true".into())));
        assert!(health_command(" ").is_err());
    }
}
