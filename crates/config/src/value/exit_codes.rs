//! `exitcodes`.

use super::{ValueError, integer};

/// Exit codes between commas; an empty text is none.
///
/// # Errors
///
/// When one of them is no number from 0 to 255.
pub fn exit_codes(text: &str) -> Result<Vec<u8>, ValueError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let code = |item| integer(item).ok().and_then(|number| u8::try_from(number).ok());
    let codes: Option<Vec<u8>> = text.split(',').map(code).collect();
    codes.ok_or_else(|| ValueError::ExitCodes(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_stand_between_commas() {
        assert_eq!(exit_codes("0, 2 ,255"), Ok(vec![0, 2, 255]));
        assert_eq!(exit_codes(""), Ok(vec![]));
    }

    #[test]
    fn one_bad_code_spoils_the_list() {
        for text in ["0,two", "0,300", "-1", "0,", ","] {
            let wanted = format!("not a valid list of exit codes: '{text}'");
            assert_eq!(exit_codes(text).unwrap_err().to_string(), wanted);
        }
    }
}
