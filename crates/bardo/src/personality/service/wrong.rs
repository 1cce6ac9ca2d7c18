//! What can be wrong with a command line, and the exit code of each.

use std::io;

use crate::service::errno::Errno;

/// The exit code of what is wrong with `system.conf`, as in MINIX.
const CONFIGURATION: Errno = Errno(1);

/// Something is wrong before anybody is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// With which number the tool ends.
    pub(super) errno: Errno,
    /// What is told.
    pub(super) text: String,
    /// Whether the usage is told too.
    pub(super) shows_usage: bool,
}

impl Wrong {
    /// The command line makes no sense.
    #[must_use]
    pub(super) fn usage(text: String) -> Self {
        Self { errno: Errno::EINVAL, text: format!("Warning, {text}"), shows_usage: true }
    }

    /// There is no such verb.
    #[must_use]
    pub(super) fn verb(word: &str) -> Self {
        let text = format!("Warning, illegal request type: {word}");
        Self { errno: Errno::ENOSYS, text, shows_usage: true }
    }

    /// There is more of something than there may be.
    #[must_use]
    pub(super) fn too_many(text: String) -> Self {
        Self { errno: Errno::ENOMEM, text: format!("Warning, {text}"), shows_usage: false }
    }

    /// Something is longer than it may be.
    #[must_use]
    pub(super) fn too_long(text: String) -> Self {
        Self { errno: Errno::E2BIG, text: format!("Warning, {text}"), shows_usage: false }
    }

    /// A file cannot be looked at.
    #[must_use]
    pub(super) fn stat(path: &str, error: &io::Error) -> Self {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_linux);
        let text = format!("service: couldn't get stat of {path}: {}", errno.text());
        Self { errno, text, shows_usage: false }
    }

    /// It cannot be done yet.
    #[must_use]
    pub(super) fn not_yet(what: &str) -> Self {
        let text = format!("service: {what}: this version cannot do that yet");
        Self { errno: Errno::ENOSYS, text, shows_usage: false }
    }

    /// `system.conf` is refused, or has no entry.
    #[must_use]
    pub(super) fn configuration(text: &str) -> Self {
        let text = format!("minix-service: fatal error: {text}");
        Self { errno: CONFIGURATION, text, shows_usage: false }
    }
}
