//! The URL of a server.

use super::ValueError;

/// A text that starts with a scheme and names something, as Python's `urlparse`
/// sees it.
///
/// # Errors
///
/// When it is none.
pub fn url(text: &str) -> Result<&str, ValueError> {
    let refused = || ValueError::Url(text.to_owned());
    // Python drops these before it looks, wherever they stand.
    let bare: String =
        text.chars().filter(|character| !matches!(character, '\t' | '\r' | '\n')).collect();
    let bare = bare.trim_start_matches(|character: char| character <= ' ');
    let (scheme, rest) = bare.split_once(':').ok_or_else(refused)?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|rest| rest.is_ascii_alphanumeric() || "+-.".contains(rest));
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let names_something = !rest.is_empty() && !rest.starts_with(['?', '#']);
    if is_scheme && names_something { Ok(text) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_more() {
        for text in ["http://localhost:9001", "unix:///tmp/s.sock", "x:y", "http:///"] {
            assert_eq!(url(text), Ok(text));
        }
        for text in ["foo", "http:", "http://", ":x", "1a:b", "http://#x", "/tmp/s.sock"] {
            let wanted = format!("value '{text}' is not a URL");
            assert_eq!(url(text).unwrap_err().to_string(), wanted);
        }
    }
}
