//! `autorestart`.

use bardo_core::spec::RestartOn;

use super::{ValueError, boolean};

/// After which endings a process is started again: a boolean or `unexpected`.
///
/// # Errors
///
/// When it is neither; the message shows the text in lower case.
pub fn restart_on(text: &str) -> Result<RestartOn, ValueError> {
    let lower = text.to_lowercase();
    match boolean(&lower) {
        Ok(true) => Ok(RestartOn::Always),
        Ok(false) => Ok(RestartOn::Never),
        Err(_) if lower == "unexpected" => Ok(RestartOn::Unexpected),
        Err(_) => Err(ValueError::Restart(lower)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unexpected_is_a_third_truth() {
        assert_eq!(restart_on("1"), Ok(RestartOn::Always));
        assert_eq!(restart_on("False"), Ok(RestartOn::Never));
        assert_eq!(restart_on("UNEXPECTED"), Ok(RestartOn::Unexpected));
        let error = restart_on("Sometimes").unwrap_err();
        assert_eq!(error.to_string(), "invalid 'autorestart' value 'sometimes'");
    }
}
