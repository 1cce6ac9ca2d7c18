//! system.conf(5): what a service brought up by `service` may do and may use.
//!
//! [`find`] looks for the file that has an entry for a program, reads it with all that
//! it includes, splices classes in and answers with the lines that hold; [`interpret`]
//! makes typed values of them. Both run in the tool, which reads the files with the
//! rights of its caller, and the second once more in the supervisor, which is sent the
//! lines. [`KEYWORDS`] is the only list of keywords: whoever describes them reads it.
//!
//! One thing surprises a newcomer: the grammar knows nested lists, and the format uses
//! them on the top level only. They are read whole nevertheless, because a line that
//! begins with `?` may hold anything.

mod document;
mod entry;
mod interpret;
mod keyword;
mod lexer;
mod print;
mod search;
mod value;

use std::fmt;
use std::sync::Arc;

pub use document::Document;
pub use entry::Entry;
pub use interpret::{Interpreted, interpret};
pub use keyword::{Edit, KEYWORDS, Keyword, Origin, Repeat, Standing, keyword};
pub use print::print;
pub use search::{Found, Wanted, candidates, find};

/// How strictly a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// An unknown keyword is an error unless the line begins with `?`; names and lists
    /// may be of any length; a file without an entry is passed over.
    #[default]
    Strict,
    /// As MINIX does it: unknown keywords pass silently, its limits hold, the first file
    /// that can be read counts, and the user `service` must exist.
    Minix,
}

/// A line of a file: a keyword and what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The word that it begins with, with its `?` if it has one.
    pub keyword: String,
    /// What follows, up to the semicolon.
    pub arguments: Vec<Argument>,
    /// Where the keyword stands.
    pub at: Place,
}

impl Line {
    /// The keyword without the mark that lets it be unknown.
    #[must_use]
    pub fn name(&self) -> &str {
        self.keyword.strip_prefix('?').unwrap_or(&self.keyword)
    }

    /// Whether the line may be passed over where nobody knows its keyword.
    #[must_use]
    pub fn may_be_unknown(&self) -> bool {
        self.keyword.starts_with('?')
    }
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// What it is.
    pub value: Value,
    /// The line of the file on which it stands.
    pub line: u32,
}

/// What a part of a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text without quotes.
    Word(String),
    /// Text in quotes.
    Text(String),
    /// Lines in braces.
    List(Vec<Line>),
}

/// A line of a file, written `file:line`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: u32,
}

impl Place {
    /// Reads what `Display` writes; a text without a number is a file without a line.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let split = text.rsplit_once(':');
        let parsed = split.and_then(|(file, line)| Some((file, line.parse().ok()?)));
        let (file, line) = parsed.unwrap_or((text, 0));
        Self { file: file.into(), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Why a file or a line of it was not taken: where, what is wrong, what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}; {advice}", Before(.at.as_ref()))]
pub struct Refusal {
    /// The line, if it is about one.
    pub at: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: String,
}

impl Refusal {
    fn at(place: &Place, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { at: Some(place.clone()), what: what.into(), advice: advice.into() }
    }
}

/// Something worth saying about a file that was taken all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line, if it is about one.
    pub at: Option<Place>,
    /// What there is to say.
    pub text: String,
}

impl Note {
    fn at(place: &Place, text: impl Into<String>) -> Self {
        Self { at: Some(place.clone()), text: text.into() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Before(self.at.as_ref()), self.text)
    }
}

/// A place and a colon, or nothing.
struct Before<'a>(Option<&'a Place>);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |place| write!(f, "{place}: "))
    }
}

#[cfg(test)]
mod tests;
