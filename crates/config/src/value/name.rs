//! Names of processes and groups, and lists of names.

use super::ValueError;
use crate::python::trim;

/// Characters that no name may hold: they separate names in commands, in events
/// and in paths.
const FORBIDDEN: [char; 3] = [' ', ':', '/'];

/// The name of a process or group, without blanks around it.
///
/// # Errors
///
/// When it holds a blank, a colon or a slash.
pub fn name(text: &str) -> Result<&str, ValueError> {
    let trimmed = trim(text);
    match FORBIDDEN.iter().find(|character| trimmed.contains(**character)) {
        None => Ok(trimmed),
        Some(character) => {
            Err(ValueError::Name { name: text.to_owned(), character: character.to_string() })
        }
    }
}

/// The items between commas, without blanks around them. An empty text is an empty
/// list; a stray comma makes an empty item.
#[must_use]
pub fn list(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(trim).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_no_separator() {
        assert_eq!(name(" web\t"), Ok("web"));
        for (text, character) in [("a b", ' '), ("a:b", ':'), ("a/b", '/'), ("a/b: c", ' ')] {
            let wanted = format!("Invalid name: '{text}' because of character: '{character}'");
            assert_eq!(name(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn a_stray_comma_makes_an_empty_item() {
        assert_eq!(list("a, b"), ["a", "b"]);
        assert_eq!(list("a,"), ["a", ""]);
        assert!(list("").is_empty());
    }
}
