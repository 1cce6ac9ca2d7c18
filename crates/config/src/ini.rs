//! The dialect of Python's `RawConfigParser`, as Supervisor sets it up: repeated
//! sections and keys are merged, `;` and `#` start a comment behind a blank.
//!
//! A value remembers the file and the line of its key. One thing surprises a
//! newcomer: a line that is indented deeper than the key above it belongs to that
//! key's value, whatever it looks like.

mod reader;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::error::ConfigError;
use reader::{Reader, describe};

/// The mark of a file's own directory. Where files are included it is replaced as
/// soon as a file has been read.
const HERE: &str = "%(here)s";

/// Everything that was read, from one file or from several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ini {
    sections: Vec<Section>,
    defaults: Vec<Entry>,
    /// What the dialect takes without a word, where somebody wants to know.
    notes: Option<Vec<Note>>,
}

/// Something that the dialect takes without a word, and that its writer may have
/// meant otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub file: Arc<str>,
    /// The line in that file, counted from 1.
    pub line: usize,
    /// The section; none where the keys are those of `[DEFAULT]`.
    pub section: Option<String>,
    /// What it is.
    pub oddity: Oddity,
}

/// What the dialect takes without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// A value ends where a comment starts.
    Comment {
        /// The key.
        key: String,
        /// What is left of this line of the value.
        kept: String,
        /// The comment.
        comment: String,
    },
    /// A line belongs to the value above it, because it is indented deeper.
    Continuation {
        /// The key.
        key: String,
        /// The line.
        text: String,
    },
    /// A key that the section has already.
    RepeatedKey {
        /// What it was so far.
        before: Entry,
    },
    /// A section that is there already; the keys of both are merged.
    RepeatedSection,
    /// What follows the last bracket of a section's name is not looked at.
    TextBehindSection {
        /// What follows.
        text: String,
    },
}

/// One section: what all `[name]` blocks of that name say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    name: String,
    file: Arc<str>,
    line: usize,
    entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, lower case.
    pub key: String,
    /// The value, its lines joined by newlines.
    pub value: String,
    /// The file it was read from.
    pub file: Arc<str>,
    /// The line of the key in that file, counted from 1.
    pub line: usize,
}

impl Ini {
    /// One that takes notes of what the dialect takes without a word.
    #[must_use]
    pub fn observed() -> Self {
        Self { notes: Some(Vec::new()), ..Self::default() }
    }

    /// The notes, in the order of reading.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().flatten()
    }

    /// The keys of `[DEFAULT]`.
    #[must_use]
    pub fn defaults(&self) -> &[Entry] {
        &self.defaults
    }

    /// Reads one more file over what was read before.
    ///
    /// # Errors
    ///
    /// Bytes that are not UTF-8, a line before the first section, or all lines
    /// that are neither a section nor a key.
    pub fn read(&mut self, file: &str, bytes: &[u8]) -> Result<(), ConfigError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| ConfigError::NotUtf8 { reason: describe(bytes, error) })?;
        // Python opens files with universal newlines.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut reader = Reader::new(self, file);
        for (index, line) in text.split_inclusive('\n').enumerate() {
            reader.line(index + 1, line)?;
        }
        reader.finish()
    }

    /// Adds a section that stands in no line of a file, as if it stood there.
    pub(crate) fn add(&mut self, file: &str, name: &str, options: &[(String, String)]) {
        let file: Arc<str> = file.into();
        let entry = |(key, value): &(String, String)| Entry {
            key: key.to_lowercase(),
            value: value.clone(),
            file: Arc::clone(&file),
            line: 0,
        };
        // The last of equal keys counts.
        let mut entries: Vec<Entry> = Vec::new();
        for entry in options.iter().map(entry) {
            entries.retain(|other| other.key != entry.key);
            entries.push(entry);
        }
        self.sections.push(Section {
            name: name.to_owned(),
            file: Arc::clone(&file),
            line: 0,
            entries,
        });
    }

    /// The sections in order of their first appearance.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    /// The section of that name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The value of a key in a section, or else in `[DEFAULT]`.
    #[must_use]
    pub fn get<'a>(&'a self, section: &'a Section, key: &str) -> Option<&'a Entry> {
        find(&section.entries, key).or_else(|| find(&self.defaults, key))
    }

    /// All keys of a section with their values: its own, then those of `[DEFAULT]`
    /// that it does not have.
    pub fn entries<'a>(&'a self, section: &'a Section) -> impl Iterator<Item = &'a Entry> {
        let inherited =
            self.defaults.iter().filter(|entry| find(&section.entries, &entry.key).is_none());
        section.entries.iter().chain(inherited)
    }

    /// Replaces `%(here)s` in every value of every section, also those inherited
    /// from `[DEFAULT]`, which thereby become the section's own.
    pub fn replace_here(&mut self, directory: &str) {
        for section in &mut self.sections {
            for entry in &self.defaults {
                if entry.value.contains(HERE) && find(&section.entries, &entry.key).is_none() {
                    section.entries.push(entry.clone());
                }
            }
            for entry in &mut section.entries {
                if entry.value.contains(HERE) {
                    entry.value = entry.value.replace(HERE, directory);
                }
            }
        }
    }
}

impl Section {
    /// The text between the brackets.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file in which the section appeared first.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line of its name in that file, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The keys that it has itself.
    #[must_use]
    pub fn own_entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What follows the first colon of the name.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        self.name.split_once(':').map(|(_, suffix)| suffix)
    }
}

fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}
