//! `environment`: `KEY=value`, separated by commas, quoted as in a shell.
//!
//! Supervisor 4.3 reads it with a lexer that knows no backslash and strips all
//! quotes around a value; its next version reads it as POSIX says, and so do we.
//! The two agree on ordinary files.

use super::ValueError;
use crate::lexer::{Grammar, LexError, split};

/// The variables in order. A variable that is given twice keeps its first place
/// and its last value.
///
/// # Errors
///
/// When the text is not made of key, `=`, value and a separator, whatever that is;
/// or when a quote or a backslash waits for more.
pub fn environment(text: &str) -> Result<Vec<(String, String)>, ValueError> {
    let tokens = split(text, Grammar::Environment).map_err(|error| match error {
        LexError::NoClosingQuotation => ValueError::NoClosingQuotation,
        LexError::NoEscapedCharacter => ValueError::NoEscapedCharacter,
    })?;
    let mut variables: Vec<(String, String)> = Vec::new();
    for group in tokens.chunks(4) {
        let [key, equals, value, ..] = group else {
            return Err(ValueError::Environment(text.to_owned()));
        };
        if equals != "=" {
            return Err(ValueError::Environment(text.to_owned()));
        }
        set(&mut variables, key, value);
    }
    Ok(variables)
}

/// Sets one variable of a list.
fn set(variables: &mut Vec<(String, String)>, key: &str, value: &str) {
    match variables.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => value.clone_into(old),
        None => variables.push((key.to_owned(), value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        environment(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn ordinary_variables_are_read() {
        let cases: [(&str, &[(&str, &str)]); 10] = [
            ("A=1,B=two", &[("A", "1"), ("B", "two")]),
            ("A=\"1,2\",B='x y'", &[("A", "1,2"), ("B", "x y")]),
            ("A = 1 , B = 2", &[("A", "1"), ("B", "2")]),
            ("A=/usr/bin:/x,B=a.b+c-d(e)", &[("A", "/usr/bin:/x"), ("B", "a.b+c-d(e)")]),
            ("A=1,\nB=2", &[("A", "1"), ("B", "2")]),
            ("A=1;B=2", &[("A", "1"), ("B", "2")]),
            ("A=1,", &[("A", "1")]),
            ("A=1,A=2", &[("A", "2")]),
            ("A=\"\"", &[("A", "")]),
            ("", &[]),
        ];

        for (text, wanted) in cases {
            assert_eq!(read(text), pairs(wanted), "{text}");
        }
    }

    #[test]
    fn quotes_and_backslashes_are_those_of_posix() {
        let cases = [
            ("A=a\"b\"c", "abc"),
            ("A='\"q\"'", "\"q\""),
            ("A=\"say \\\"hi\\\"\"", "say \"hi\""),
            ("A=a\\,b", "a,b"),
            ("A=\"x=y\"", "x=y"),
        ];

        for (text, value) in cases {
            assert_eq!(read(text), pairs(&[("A", value)]), "{text}");
        }
    }

    #[test]
    fn what_surprises_in_supervisor_surprises_here() {
        assert_eq!(read("A=foo bar"), pairs(&[("A", "foo")]));
        assert_eq!(read("A=~/x"), pairs(&[("A", "~")]));
        assert_eq!(read("A=$X"), pairs(&[("A", "$")]));
        assert_eq!(read("A=a#b"), pairs(&[("A", "a")]));
        assert_eq!(read("A=http://h:1/y?z=1"), pairs(&[("A", "http://h:1/y"), ("z", "1")]));
    }

    #[test]
    fn what_is_no_list_of_variables_is_refused() {
        for text in ["FOO", "FOO=", "A=1 B=2", "A=1,,B=2", "A=x@y", "A=a=b", "A=1,B"] {
            let wanted = format!("Unexpected end of key/value pairs in value '{text}'");
            assert_eq!(environment(text).unwrap_err().to_string(), wanted);
        }
        assert_eq!(environment("A='x").unwrap_err().to_string(), "No closing quotation");
        assert_eq!(environment("A=x\\").unwrap_err().to_string(), "No escaped character");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = environment(&text);
        }

        #[test]
        fn quoted_values_come_back(values in prop::collection::vec("[^']{0,8}", 1..5)) {
            let text: Vec<String> =
                values.iter().enumerate().map(|(n, value)| format!("K{n}='{value}'")).collect();
            let wanted: Vec<(String, String)> =
                values.into_iter().enumerate().map(|(n, value)| (format!("K{n}"), value)).collect();

            prop_assert_eq!(environment(&text.join(",")), Ok(wanted));
        }
    }
}
