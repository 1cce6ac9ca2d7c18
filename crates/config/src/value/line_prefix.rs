//! What stands before each line of an output that programs share.

use super::ValueError;

/// Most bytes of one. The longest line that is kept whole shares its room with it.
const PREFIX_BYTES_MAX: usize = 256;

/// The text of a prefix. It may stand in double quotes, for blanks at its end.
///
/// # Errors
///
/// When it would break a line, or is very long.
pub fn line_prefix(text: &str) -> Result<String, ValueError> {
    let inside = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let prefix = inside.unwrap_or(text);
    let breaks = |character: char| matches!(character, '\n' | '\r' | '\0');
    if prefix.len() > PREFIX_BYTES_MAX || prefix.contains(breaks) {
        return Err(ValueError::LinePrefix(text.to_owned()));
    }
    Ok(prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_may_stand_in_quotes() {
        for (text, prefix) in
            [("", ""), ("a |", "a |"), ("\"a | \"", "a | "), ("\"", "\""), ("\"\"", ""), ("'", "'")]
        {
            assert_eq!(line_prefix(text).as_deref(), Ok(prefix), "{text}");
        }
    }

    #[test]
    fn a_prefix_is_a_part_of_a_line() {
        let longest = "x".repeat(PREFIX_BYTES_MAX);

        assert!(line_prefix(&longest).is_ok());
        assert!(line_prefix(&format!("{longest}x")).is_err());
        let error = line_prefix("a\nb").unwrap_err();
        assert_eq!(error.to_string(), "not a prefix of 256 bytes at most within a line: 'a\\nb'");
    }
}
