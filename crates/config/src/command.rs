//! Command lines, split into words when a program is started.
//!
//! A configuration accepts any command line: a quote that is not closed is an
//! error of the start, as in Supervisor.

use bardo_core::SpawnError;

use crate::lexer::{Grammar, LexError, split as split_words};

/// Splits a command line as a POSIX shell would, without comments, patterns,
/// variables or `~`.
///
/// # Errors
///
/// A quote or a backslash that waits for more, or no word at all.
pub fn split(command: &str) -> Result<Vec<String>, SpawnError> {
    match split_words(command, Grammar::CommandLine) {
        Ok(words) if words.is_empty() => Err(SpawnError::Empty),
        Ok(words) => Ok(words),
        Err(LexError::NoClosingQuotation) => Err(SpawnError::NoClosingQuotation),
        Err(LexError::NoEscapedCharacter) => Err(SpawnError::NoEscapedCharacter),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_quoted_as_in_a_shell() {
        let cases: [(&str, &[&str]); 8] = [
            ("/bin/echo \"a b\" c", &["/bin/echo", "a b", "c"]),
            ("x 'a \"b\"' c", &["x", "a \"b\"", "c"]),
            ("x a\\ b", &["x", "a b"]),
            ("x \"a\\\"b\\\\c\\d\"", &["x", "a\"b\\c\\d"]),
            ("x '' y", &["x", "", "y"]),
            ("x a'b'\"c\"", &["x", "abc"]),
            ("x #no ;comment *", &["x", "#no", ";comment", "*"]),
            ("x\n\ty", &["x", "y"]),
        ];

        for (command, words) in cases {
            assert_eq!(split(command).unwrap(), words, "{command}");
        }
    }

    #[test]
    fn an_open_quote_is_an_error_of_the_start() {
        assert_eq!(split("x 'y"), Err(SpawnError::NoClosingQuotation));
        assert_eq!(split("x \"y"), Err(SpawnError::NoClosingQuotation));
        assert_eq!(split("x \\"), Err(SpawnError::NoEscapedCharacter));
        assert_eq!(split("x \"y\\"), Err(SpawnError::NoEscapedCharacter));
    }

    #[test]
    fn a_command_line_without_a_word_is_empty() {
        assert_eq!(split(""), Err(SpawnError::Empty));
        assert_eq!(split(" \n "), Err(SpawnError::Empty));
        assert_eq!(split("''").unwrap(), [""]);
    }

    proptest! {
        #[test]
        fn any_text_is_split_or_refused(command: String) {
            let _ = split(&command);
        }

        #[test]
        fn quoted_words_come_back(words in prop::collection::vec("[^']{0,8}", 1..5)) {
            let command: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();

            prop_assert_eq!(split(&command.join(" ")), Ok(words));
        }
    }
}
