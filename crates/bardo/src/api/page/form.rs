//! What a browser sends along: the query of an address, and the fields of a form.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a part of an address. Python's `quote` has the same set.
const QUOTED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b'/');

/// Fields by name.
#[derive(Debug, Default)]
pub(in crate::api) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the fields of a query and of a body. What the body says counts more; of
    /// several values in the query the first one does, and in the body the last one.
    pub(in crate::api) fn read(query: &str, body: &[u8]) -> Self {
        let posted: Vec<_> = form_urlencoded::parse(body).into_owned().collect();
        let asked = form_urlencoded::parse(query.as_bytes()).into_owned();
        let fields = posted.into_iter().rev().chain(asked);
        // An empty field is none, as in Supervisor.
        Self(fields.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a field.
    pub(in crate::api) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// A text as it may stand in an address.
pub(super) fn quoted(text: &str) -> String {
    utf8_percent_encode(text, QUOTED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_counts_more_than_the_query() {
        let form = Form::read("action=stop&action=start&processname=a%3Ab+c", b"action=restart");

        assert_eq!(form.get("action"), Some("restart"));
        assert_eq!(form.get("processname"), Some("a:b c"));
        assert_eq!(Form::read("action=stop&action=start", b"").get("action"), Some("stop"));
    }

    #[test]
    fn an_empty_field_is_none() {
        assert_eq!(Form::read("processname=", b"").get("processname"), None);
    }

    #[test]
    fn what_is_special_in_an_address_is_quoted() {
        assert_eq!(quoted("g:p<é>/~_.-'\"&"), "g%3Ap%3C%C3%A9%3E/~_.-%27%22%26");
    }
}
