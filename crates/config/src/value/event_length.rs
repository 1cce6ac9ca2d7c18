//! `event_length`.

use bardo_core::spec::EventLength;

/// What the length of an event counts: `characters` or `bytes`; `None` for anything else.
#[must_use]
pub fn event_length(text: &str) -> Option<EventLength> {
    match text.to_lowercase().as_str() {
        "characters" => Some(EventLength::Characters),
        "bytes" => Some(EventLength::Bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_measured_in_characters_or_bytes() {
        assert_eq!(event_length("Characters"), Some(EventLength::Characters));
        assert_eq!(event_length("bytes"), Some(EventLength::Bytes));
        assert_eq!(event_length("lines"), None);
    }
}
