//! `%(name)s` and its relatives: Python's formatting of a text with a mapping.
//!
//! The messages for a bad format are Python's. We differ in one point: a bare `%s`
//! is refused, where Python writes the whole mapping, with the value of every
//! environment variable, into the text.

mod format;

use std::collections::BTreeMap;

pub use format::Value;

use crate::python::Repr;

/// The names that may stand between `%(` and `)`, in two layers: those known
/// everywhere, and those of one place, which win.
#[derive(Debug, Clone)]
pub struct Names<'a> {
    everywhere: &'a BTreeMap<String, Value>,
    here: BTreeMap<String, Value>,
}

/// Why a text was not expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// It names something that is not known there.
    #[error(
        "Format string {} for {} contains names ({}) which cannot be expanded. Available names: {}",
        Repr(.text), Repr(.label), Repr(.name), .available.join(", ")
    )]
    UnknownName {
        /// The text.
        text: String,
        /// Which option it belongs to.
        label: String,
        /// The name.
        name: String,
        /// The names that are known, in order.
        available: Vec<String>,
    },
    /// It is not a format.
    #[error("Format string {} for {} is badly formatted: {reason}", Repr(.text), Repr(.label))]
    BadFormat {
        /// The text.
        text: String,
        /// Which option it belongs to.
        label: String,
        /// Python's words.
        reason: String,
    },
}

impl<'a> Names<'a> {
    /// The names known everywhere, and no others.
    #[must_use]
    pub fn new(everywhere: &'a BTreeMap<String, Value>) -> Self {
        Self { everywhere, here: BTreeMap::new() }
    }

    /// The same with one more text known here.
    #[must_use]
    pub fn with(mut self, name: &str, text: &str) -> Self {
        self.set(name, Value::Text(text.to_owned()));
        self
    }

    /// Makes a name known here.
    pub fn set(&mut self, name: &str, value: Value) {
        self.here.insert(name.to_owned(), value);
    }

    /// Makes every name known everywhere mean here what it means there.
    pub fn reset(&mut self) {
        self.here.retain(|name, _| !self.everywhere.contains_key(name));
    }

    /// Expands a text. The label says in messages whose text it is.
    ///
    /// # Errors
    ///
    /// An unknown name or a bad format.
    pub fn expand(&self, text: &str, label: &str) -> Result<String, ExpandError> {
        if !text.contains('%') {
            return Ok(text.to_owned());
        }
        format::format(text, |name| self.get(name)).map_err(|failure| match failure {
            format::Failure::UnknownName(name) => ExpandError::UnknownName {
                text: text.to_owned(),
                label: label.to_owned(),
                name,
                available: self.available(),
            },
            format::Failure::BadFormat(reason) => {
                ExpandError::BadFormat { text: text.to_owned(), label: label.to_owned(), reason }
            }
        })
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.here.get(name).or_else(|| self.everywhere.get(name))
    }

    fn available(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.here.keys().chain(self.everywhere.keys()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn everywhere() -> BTreeMap<String, Value> {
        BTreeMap::from([("ENV_HOME".to_owned(), Value::Text("/root".to_owned()))])
    }

    #[test]
    fn names_of_the_place_win() {
        let everywhere = everywhere();
        let names = Names::new(&everywhere).with("ENV_HOME", "/else").with("here", "/etc");

        assert_eq!(names.expand("%(here)s:%(ENV_HOME)s", "x").unwrap(), "/etc:/else");
    }

    #[test]
    fn reset_gives_the_names_known_everywhere_back_their_meaning() {
        let everywhere = everywhere();
        let mut names = Names::new(&everywhere).with("ENV_HOME", "/else").with("ENV_A", "a");

        names.reset();

        assert_eq!(names.expand("%(ENV_A)s:%(ENV_HOME)s", "x").unwrap(), "a:/root");
    }

    #[test]
    fn an_unknown_name_is_told_with_all_that_are_known() {
        let everywhere = everywhere();
        let names = Names::new(&everywhere).with("here", "/etc").with("ENV_HOME", "/else");

        let error = names.expand("/%(nothing)s", "program:p.directory").unwrap_err();

        assert_eq!(
            error.to_string(),
            "Format string '/%(nothing)s' for 'program:p.directory' contains names ('nothing') \
             which cannot be expanded. Available names: ENV_HOME, here"
        );
    }

    #[test]
    fn a_bad_format_is_told_in_pythons_words() {
        let everywhere = everywhere();
        let names = Names::new(&everywhere);

        let error = names.expand("/tmp/%(here", "program:p.directory").unwrap_err();

        assert_eq!(
            error.to_string(),
            "Format string '/tmp/%(here' for 'program:p.directory' is badly formatted: \
             incomplete format key"
        );
    }

    #[test]
    fn a_bare_conversion_does_not_leak_the_mapping() {
        let everywhere = everywhere();

        let error = Names::new(&everywhere).expand("date +%s", "environment").unwrap_err();

        assert_eq!(
            error.to_string(),
            "Format string 'date +%s' for 'environment' is badly formatted: \
             not enough arguments for format string"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_expanded_or_refused(text in "[%()a-z0-9.*#+\\- é]{0,24}") {
            let everywhere = everywhere();
            let _ = Names::new(&everywhere).with("a", "x").expand(&text, "x");
        }

        #[test]
        fn doubled_percent_signs_come_back(text: String) {
            let everywhere = everywhere();
            let names = Names::new(&everywhere);

            let expanded = names.expand(&text.replace('%', "%%"), "x");

            prop_assert_eq!(expanded, Ok(text));
        }

        #[test]
        fn a_value_is_not_expanded_again(value: String) {
            let everywhere = everywhere();
            let names = Names::new(&everywhere).with("a", &value);

            prop_assert_eq!(names.expand("%(a)s", "x"), Ok(value));
        }
    }
}
