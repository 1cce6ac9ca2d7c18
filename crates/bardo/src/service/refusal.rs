//! Why what `service` asks for cannot be: one of MINIX's numbers, and words of ours.

use std::fmt;
use std::time::Duration;

use bardo_config::value::DURATION_MAX;

use super::errno::Errno;

/// Why something that was asked for cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// MINIX's number.
    pub errno: Errno,
    /// What is wrong with what, and what would be right.
    pub text: String,
}

impl Refusal {
    /// A value that makes no sense.
    #[must_use]
    pub fn invalid(text: impl Into<String>) -> Self {
        Self { errno: Errno::EINVAL, text: text.into() }
    }

    /// A text that is longer than it may be.
    #[must_use]
    pub fn too_long(what: &str, most: usize) -> Self {
        let text = format!("{what} is longer than {most} bytes");
        Self { errno: Errno::E2BIG, text }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

/// What can go wrong.
pub(super) type Checked<T> = Result<T, Refusal>;

/// A value that the configuration would refuse too, with the option that has it.
pub(super) fn of_option<T>(
    option: &str,
    value: Result<T, bardo_config::value::ValueError>,
) -> Checked<T> {
    value.map_err(|error| Refusal::invalid(format!("-{option}: {error}")))
}

/// A time that was sent in milliseconds.
pub(super) fn time(option: &str, milliseconds: u64) -> Checked<Duration> {
    let time = Duration::from_millis(milliseconds);
    if time > DURATION_MAX {
        let most = DURATION_MAX.as_secs();
        return Err(Refusal::invalid(format!("-{option} is longer than {most} seconds")));
    }
    Ok(time)
}

/// The same of one that cannot be none at all.
pub(super) fn some_time(option: &str, milliseconds: u64) -> Checked<Duration> {
    match time(option, milliseconds)? {
        Duration::ZERO => Err(Refusal::invalid(format!("-{option} must be longer than 0"))),
        time => Ok(time),
    }
}
