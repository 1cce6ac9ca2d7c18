//! How a program is started again: `backoff`, `backoff_reset`, `binary_copy`.

use std::time::Duration;

use bardo_core::spec::care::{Copying, Reset};

use super::{ValueError, boolean, duration};

/// By which rule the wait after a crash is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackoffRule {
    /// Supervisor's.
    #[default]
    Supervisor,
    /// MINIX's, up to a limit that another option says.
    Binary,
    /// Nothing after the first crash, then always the same.
    Constant(Duration),
}

/// `supervisor`, `binary` or `constant:SECONDS`.
///
/// # Errors
///
/// When it is none of them.
pub fn backoff(text: &str) -> Result<BackoffRule, ValueError> {
    let bare = text.trim();
    match bare.split_once(':') {
        None if bare == "supervisor" => Ok(BackoffRule::Supervisor),
        None if bare == "binary" => Ok(BackoffRule::Binary),
        Some(("constant", wait)) => duration(wait).map(BackoffRule::Constant),
        _ => Err(ValueError::choice(text, "supervisor, binary, constant:SECONDS")),
    }
}

/// `never`, or a time.
///
/// # Errors
///
/// When it is neither.
pub fn backoff_reset(text: &str) -> Result<Reset, ValueError> {
    match text.trim() {
        "never" => Ok(Reset::Never),
        _ => duration(text)
            .map(Reset::Healthy)
            .map_err(|_| ValueError::choice(text, "never, SECONDS")),
    }
}

/// A truth value, or `shared`.
///
/// # Errors
///
/// When it is neither.
pub fn copying(text: &str) -> Result<Copying, ValueError> {
    match (text.trim(), boolean(text)) {
        ("shared", _) => Ok(Copying::Shared),
        (_, Ok(true)) => Ok(Copying::Own),
        (_, Ok(false)) => Ok(Copying::No),
        (_, Err(_)) => Err(ValueError::choice(text, "no, yes, shared")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_found_by_one_of_three_rules() {
        let constant = BackoffRule::Constant(Duration::from_millis(1500));
        assert_eq!(backoff("supervisor"), Ok(BackoffRule::Supervisor));
        assert_eq!(backoff(" binary "), Ok(BackoffRule::Binary));
        assert_eq!(backoff("constant:1.5"), Ok(constant));

        for text in ["", "Binary", "constant", "binary:5", "linear:1"] {
            let wanted = format!("'{text}' is not one of supervisor, binary, constant:SECONDS");
            assert_eq!(backoff(text).unwrap_err().to_string(), wanted);
        }
        let error = backoff("constant:soon").unwrap_err();
        assert_eq!(error.to_string(), "not a valid time: 'soon'");
    }

    #[test]
    fn a_counter_begins_anew_after_a_time_or_never() {
        assert_eq!(backoff_reset("never"), Ok(Reset::Never));
        assert_eq!(backoff_reset("2m"), Ok(Reset::Healthy(Duration::from_secs(120))));
        let error = backoff_reset("later").unwrap_err();
        assert_eq!(error.to_string(), "'later' is not one of never, SECONDS");
    }

    #[test]
    fn a_copy_is_made_or_not_or_shared() {
        assert_eq!(copying("no"), Ok(Copying::No));
        assert_eq!(copying("True"), Ok(Copying::Own));
        assert_eq!(copying("shared"), Ok(Copying::Shared));
        let error = copying("perhaps").unwrap_err();
        assert_eq!(error.to_string(), "'perhaps' is not one of no, yes, shared");
    }
}
