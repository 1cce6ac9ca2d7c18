//! Paths as Python's `posixpath` splits, joins and tidies them, textually.
//!
//! Nothing here looks at a file system; the home directories and the current
//! directory come from the [`Host`].

use crate::host::Host;

/// The part before the last slash, without trailing slashes; empty where there
/// is no slash.
pub(crate) fn parent(path: &str) -> &str {
    let head = path.rfind('/').map_or("", |slash| &path[..=slash]);
    match head.trim_end_matches('/') {
        "" => head,
        trimmed => trimmed,
    }
}

/// A path seen from a directory; an absolute one stands for itself.
pub(crate) fn join(directory: &str, path: &str) -> String {
    if path.starts_with('/') || directory.is_empty() {
        path.to_owned()
    } else if directory.ends_with('/') {
        format!("{directory}{path}")
    } else {
        format!("{directory}/{path}")
    }
}

/// The path without `.`, `..` and doubled slashes, by its text alone. POSIX gives
/// two leading slashes a meaning of their own, so exactly two are kept.
pub(crate) fn normalized(path: &str) -> String {
    let root = match path.len() - path.trim_start_matches('/').len() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        let climbs = root.is_empty() && parts.last().is_none_or(|last| *last == "..");
        match part {
            "" | "." => {}
            ".." if !climbs => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    match format!("{root}{}", parts.join("/")) {
        path if path.is_empty() => ".".to_owned(),
        path => path,
    }
}

/// The path made absolute against the current directory, and normalized.
pub(crate) fn absolute(host: &dyn Host, path: &str) -> String {
    normalized(&join(&host.current_directory(), path))
}

/// The path with a leading `~` or `~user` replaced by that home; as it is where
/// there is no such user.
pub(crate) fn with_home(host: &dyn Host, path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else {
        return path.to_owned();
    };
    let (name, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = match name {
        "" => {
            let own = || host.user_by_id(host.user_id()).map(|user| user.home);
            host.environment()
                .iter()
                .find(|(name, _)| name == "HOME")
                .map(|(_, home)| home.clone())
                .or_else(own)
        }
        _ => host.user_by_name(name).map(|user| user.home),
    };
    match home {
        None => path.to_owned(),
        Some(home) => match format!("{}{tail}", home.trim_end_matches('/')) {
            path if path.is_empty() => "/".to_owned(),
            path => path,
        },
    }
}

/// The path with its home replaced, absolute and normalized.
pub(crate) fn resolved(host: &dyn Host, path: &str) -> String {
    absolute(host, &with_home(host, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    #[test]
    fn the_parent_ends_before_the_last_slash() {
        let cases =
            [("a", ""), ("a/b", "a"), ("/a", "/"), ("/a/b/", "/a/b"), ("a//b", "a"), ("//a", "//")];

        for (path, head) in cases {
            assert_eq!(parent(path), head, "{path}");
        }
    }

    #[test]
    fn normalizing_resolves_dots_by_text() {
        let cases = [
            ("", "."),
            ("a/./b//c", "a/b/c"),
            ("a/../..", ".."),
            ("/..", "/"),
            ("/../a", "/a"),
            ("//a", "//a"),
            ("///a", "/a"),
            ("../a/..", ".."),
        ];

        for (path, tidy) in cases {
            assert_eq!(normalized(path), tidy, "{path}");
        }
    }

    #[test]
    fn a_tilde_is_a_home_only_at_the_start() {
        let host = FakeHost::new();

        assert_eq!(with_home(&host, "~/x"), "/home/me/x");
        assert_eq!(with_home(&host, "~"), "/home/me");
        assert_eq!(with_home(&host, "~root/x"), "/root/x");
        assert_eq!(with_home(&host, "~nobody-here/x"), "~nobody-here/x");
        assert_eq!(with_home(&host, "a~"), "a~");
    }

    #[test]
    fn a_relative_path_is_resolved_against_the_current_directory() {
        let host = FakeHost::new();

        assert_eq!(resolved(&host, "x/../y"), "/work/y");
        assert_eq!(resolved(&host, "~/../y"), "/home/y");
    }
}
