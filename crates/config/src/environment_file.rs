//! `env_file`: variables that a program is given at each start, in the words of systemd's
//! `EnvironmentFile`.
//!
//! ```text
//! # A comment; a line that begins with `;` is one too.
//! NAME=value
//! WORDS=all of this, without blanks at its end
//! SINGLE='as it is, \ and " too'
//! DOUBLE="a \" and a \\; a line break stays"
//! LONG=this goes on \
//! in the next line
//! ```
//!
//! Nothing is expanded. One thing surprises a newcomer: where systemd passes over a line that
//! is neither, it is an error here, because a variable that is silently missing costs an
//! evening.

use crate::host::{Host, ReadError};

/// Most bytes of a file: a program that is given as much cannot be executed any more,
/// because the kernel takes less.
pub const ENVIRONMENT_FILE_BYTES_MAX: usize = 1 << 20;

/// Variables in order.
pub type Variables = Vec<(String, String)>;

/// Why a file of variables was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentFileError {
    /// It is not there.
    #[error("{path} is not there; write `-` before its path if it need not be")]
    Missing {
        /// The file.
        path: String,
    },
    /// It is there and cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: String,
    },
    /// It is too long.
    #[error("{path} is longer than {ENVIRONMENT_FILE_BYTES_MAX} bytes")]
    TooLong {
        /// The file.
        path: String,
    },
    /// It is not UTF-8.
    #[error("{path} is not UTF-8")]
    NotUtf8 {
        /// The file.
        path: String,
    },
    /// One of its lines makes no sense.
    #[error("{path}:{line}: {reason}")]
    Line {
        /// The file.
        path: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: Reason,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It has no `=`.
    #[error("neither NAME=value nor a comment, which begins with #")]
    NoEquals,
    /// What stands before the `=` is no name.
    #[error("`{0}` is no name of a variable: letters, digits and _, and no digit first")]
    Name(String),
    /// A quotation has no end.
    #[error("the {0} is not closed")]
    OpenQuote(char),
    /// No variable can hold it.
    #[error("a variable cannot hold a null character")]
    Null,
}

/// Reads the file that `env_file` names; one behind a `-` need not be there.
///
/// # Errors
///
/// When it is not there, cannot be read, or one of its lines makes no sense.
pub fn environment_file(host: &dyn Host, named: &str) -> Result<Variables, EnvironmentFileError> {
    let (path, _) = path(named);
    parse(named, host.read(path))
}

/// The path of the file that `env_file` names, and whether it need not be there.
#[must_use]
pub fn path(named: &str) -> (&str, bool) {
    match named.strip_prefix('-') {
        Some(path) => (path, true),
        None => (named, false),
    }
}

/// The variables of the file that `env_file` names, from what came of reading it: for those
/// who read it themselves.
///
/// # Errors
///
/// When it is not there, cannot be read, or one of its lines makes no sense.
pub fn parse(
    named: &str,
    read: Result<Vec<u8>, ReadError>,
) -> Result<Variables, EnvironmentFileError> {
    let (path, is_optional) = path(named);
    let at = || path.to_owned();
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) if is_optional => return Ok(Variables::new()),
        Err(ReadError::Missing) => return Err(EnvironmentFileError::Missing { path: at() }),
        Err(ReadError::Unreadable) => return Err(EnvironmentFileError::Unreadable { path: at() }),
    };
    if bytes.len() > ENVIRONMENT_FILE_BYTES_MAX {
        return Err(EnvironmentFileError::TooLong { path: at() });
    }
    let text =
        std::str::from_utf8(&bytes).map_err(|_| EnvironmentFileError::NotUtf8 { path: at() })?;
    variables(text).map_err(|(line, reason)| EnvironmentFileError::Line {
        path: at(),
        line,
        reason,
    })
}

/// The variables of a text. One that is set twice keeps its first place and its last value.
///
/// # Errors
///
/// The first line that makes no sense, and why.
pub fn variables(text: &str) -> Result<Variables, (usize, Reason)> {
    let mut reader = Reader { rest: text, line: 1 };
    let mut variables = Variables::new();
    while let Some(first) = reader.rest.trim_start_matches([' ', '\t', '\r']).chars().next() {
        match first {
            '\n' | '#' | ';' => reader.skip_line(),
            _ => {
                let (name, value) = reader.variable()?;
                match variables.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, old)) => *old = value,
                    None => variables.push((name, value)),
                }
            }
        }
    }
    Ok(variables)
}

/// What is left of the text.
struct Reader<'a> {
    rest: &'a str,
    /// The line in which it begins.
    line: usize,
}

impl Reader<'_> {
    fn variable(&mut self) -> Result<(String, String), (usize, Reason)> {
        let line = self.line;
        let of_line = self.rest.split('\n').next().unwrap_or_default();
        let (name, _) = of_line.split_once('=').ok_or((line, Reason::NoEquals))?;
        let bytes = name.len() + 1;
        let name = name.trim();
        let is_name = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
        if !is_name {
            return Err((line, Reason::Name(name.to_owned())));
        }
        let name = name.to_owned();
        self.rest = &self.rest[bytes..];
        let value = self.value()?;
        if value.contains('\0') { Err((line, Reason::Null)) } else { Ok((name, value)) }
    }

    /// Reads up to the end of the line that is neither quoted nor behind a backslash.
    fn value(&mut self) -> Result<String, (usize, Reason)> {
        let mut value = String::new();
        // What stands behind it is blank so far, and is not part of the value if it stays so.
        let mut kept = 0;
        while let Some(character) = self.next() {
            match character {
                '\n' => break,
                '\'' | '"' => {
                    self.quoted(character, &mut value)?;
                    kept = value.len();
                }
                '\\' => match self.next() {
                    None | Some('\n') => {}
                    Some(meant) => {
                        value.push(meant);
                        kept = value.len();
                    }
                },
                ' ' | '\t' | '\r' if value.is_empty() && kept == 0 => {}
                ' ' | '\t' | '\r' => value.push(character),
                _ => {
                    value.push(character);
                    kept = value.len();
                }
            }
        }
        value.truncate(kept);
        Ok(value)
    }

    fn quoted(&mut self, quote: char, value: &mut String) -> Result<(), (usize, Reason)> {
        let begun = self.line;
        while let Some(character) = self.next() {
            match character {
                _ if character == quote => return Ok(()),
                '\\' if quote == '"' => match self.next() {
                    None | Some('\n') => {}
                    Some(meant @ ('"' | '\\' | '$' | '`')) => value.push(meant),
                    Some(other) => value.extend(['\\', other]),
                },
                _ => value.push(character),
            }
        }
        Err((begun, Reason::OpenQuote(quote)))
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        self.line += usize::from(character == '\n');
        Some(character)
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|character| character != '\n') {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fake::FakeHost;

    fn read(text: &str) -> Vec<(String, String)> {
        variables(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    fn value(text: &str) -> String {
        let variables = read(&format!("A={text}"));
        assert_eq!(variables.len(), 1, "{text}");
        variables[0].1.clone()
    }

    #[test]
    fn variables_stand_in_lines_and_the_last_value_counts() {
        let text = "# one\n\n  ; two\nA=1\r\n\tB = two words \nA=3\nC=";

        let pairs = read(text);

        let wanted = [("A", "3"), ("B", "two words"), ("C", "")];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs, wanted);
    }

    #[test]
    fn quotes_and_backslashes_are_those_of_systemd() {
        let cases = [
            ("'a \\ \" b '", "a \\ \" b "),
            ("\"a \\\" \\\\ \\$ \\x '\"", "a \" \\ $ \\x '"),
            ("\"two\nlines\"", "two\nlines"),
            ("\"joined \\\nlines\"", "joined lines"),
            ("goes \\\non", "goes on"),
            ("a\\ b\\\\\\\"", "a b\\\""),
            ("\"a\"'b'c", "abc"),
            ("\"\"", ""),
            ("\" \" ", " "),
            ("$HOME # no comment", "$HOME # no comment"),
            ("x=y", "x=y"),
        ];

        for (text, wanted) in cases {
            assert_eq!(value(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_is_told_with_its_number() {
        let cases = [
            ("A=1\nnonsense\n", (2, Reason::NoEquals)),
            ("\n\nexport A=1", (3, Reason::Name("export A".to_owned()))),
            ("1A=2", (1, Reason::Name("1A".to_owned()))),
            ("=2", (1, Reason::Name(String::new()))),
            ("A=1\nB='x\ny\n", (2, Reason::OpenQuote('\''))),
            ("A=\"x\nB=1", (1, Reason::OpenQuote('"'))),
            ("A=\0", (1, Reason::Null)),
        ];

        for (text, wanted) in cases {
            assert_eq!(variables(text), Err(wanted), "{text}");
        }
    }

    #[test]
    fn a_file_that_need_not_be_there_may_be_missing() {
        let host = FakeHost::new().file("/etc/x.env", "A=1\n").file("/etc/bad.env", "A\n");

        let error = |path| environment_file(&host, path).unwrap_err().to_string();
        assert_eq!(environment_file(&host, "/etc/x.env").unwrap().len(), 1);
        assert_eq!(environment_file(&host, "-/etc/x.env").unwrap().len(), 1);
        assert_eq!(environment_file(&host, "-/etc/y.env"), Ok(Variables::new()));
        assert_eq!(
            error("/etc/y.env"),
            "/etc/y.env is not there; write `-` before its path if it need not be"
        );
        assert_eq!(
            error("-/etc/bad.env"),
            "/etc/bad.env:1: neither NAME=value nor a comment, which begins with #"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = variables(&text);
        }

        #[test]
        fn quoted_values_come_back(values in prop::collection::vec("[^']{0,8}", 0..5)) {
            let values: Vec<String> =
                values.into_iter().map(|value| value.replace('\0', "0")).collect();
            let lines: Vec<String> =
                values.iter().enumerate().map(|(n, value)| format!("K{n}='{value}'\n")).collect();

            let read = variables(&lines.concat()).unwrap();

            let read: Vec<String> = read.into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(read, values);
        }
    }
}
