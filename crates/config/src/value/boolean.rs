//! True and false.

use super::ValueError;

/// Words for true.
const TRUE: [&str; 4] = ["yes", "true", "on", "1"];

/// Words for false.
const FALSE: [&str; 4] = ["no", "false", "off", "0"];

/// True or false, in any case.
///
/// # Errors
///
/// When it is neither.
pub fn boolean(text: &str) -> Result<bool, ValueError> {
    let lower = text.to_lowercase();
    if TRUE.contains(&lower.as_str()) {
        Ok(true)
    } else if FALSE.contains(&lower.as_str()) {
        Ok(false)
    } else {
        Err(ValueError::Boolean(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_true_and_false_in_any_case() {
        for text in ["yes", "True", "ON", "1"] {
            assert_eq!(boolean(text), Ok(true));
        }
        for text in ["no", "False", "OFF", "0"] {
            assert_eq!(boolean(text), Ok(false));
        }
    }

    #[test]
    fn another_word_is_neither() {
        let error = boolean("Maybe").unwrap_err();
        assert_eq!(error.to_string(), "not a valid boolean value: 'Maybe'");
        assert!(boolean("").is_err());
        assert!(boolean(" yes").is_err());
    }
}
