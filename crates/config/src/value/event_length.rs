//! `event_length`.

use bardo_core::spec::EventLength;

use super::ValueError;

/// What the length of an event counts: `characters` or `bytes`.
///
/// # Errors
///
/// When it is neither.
pub fn event_length(text: &str) -> Result<EventLength, ValueError> {
    match text.to_lowercase().as_str() {
        "characters" => Ok(EventLength::Characters),
        "bytes" => Ok(EventLength::Bytes),
        _ => Err(ValueError::EventLength(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_measured_in_characters_or_bytes() {
        assert_eq!(event_length("Characters"), Ok(EventLength::Characters));
        assert_eq!(event_length("bytes"), Ok(EventLength::Bytes));
        assert_eq!(
            event_length("lines").unwrap_err().to_string(),
            "invalid 'event_length' value 'lines': use characters or bytes"
        );
    }
}
