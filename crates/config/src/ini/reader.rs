//! How a file is read, line by line: what is a section, a key, a comment or a line that
//! continues a value.

use std::sync::Arc;

use super::{Entry, Ini, Note, Oddity, Section};
use crate::error::{BadLine, ConfigError};
use crate::python::{is_blank, trim, trim_end};

/// The section whose keys every other section has too.
const DEFAULT_SECTION: &str = "DEFAULT";

/// Where the lines of a file go.
#[derive(Clone, Copy)]
enum Place {
    /// No section has begun.
    Nowhere,
    /// The keys that every section has too.
    Defaults,
    /// The section of that index.
    Section(usize),
}

/// Reads a file line by line.
pub(super) struct Reader<'a> {
    ini: &'a mut Ini,
    file: Arc<str>,
    place: Place,
    /// The entry that a deeper line continues, by its index.
    open: Option<usize>,
    /// Indentation of the last line that was not a continuation.
    indent: usize,
    bad: Vec<BadLine>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(ini: &'a mut Ini, file: &str) -> Self {
        Self {
            ini,
            file: file.into(),
            place: Place::Nowhere,
            open: None,
            indent: 0,
            bad: Vec::new(),
        }
    }

    pub(super) fn line(&mut self, number: usize, line: &str) -> Result<(), ConfigError> {
        let comment = comment_start(line);
        let value = trim(&line[..comment.unwrap_or(line.len())]);
        if value.is_empty() {
            // A blank line may be part of a value; a line of comment vanishes.
            if comment.is_none() {
                self.continue_value("");
            }
            return Ok(());
        }
        let indent = line.chars().take_while(|character| is_blank(*character)).count();
        if self.open.is_some() && indent > self.indent {
            self.continue_value(value);
            self.note_continuation(number, value);
            self.note_comment(number, value, comment.map(|start| &line[start..]));
            return Ok(());
        }
        self.indent = indent;
        if let Some(name) = section_name(value) {
            self.enter(name, number);
            let text = &value[name.len() + 2..];
            if !text.is_empty() {
                self.note(number, Oddity::TextBehindSection { text: text.to_owned() });
            }
            Ok(())
        } else if matches!(self.place, Place::Nowhere) {
            let file = self.file.to_string();
            Err(ConfigError::NoSectionHeaders { file, line: number, text: line.to_owned() })
        } else {
            self.key(number, line, value);
            let kept = value.find(['=', ':']).map_or("", |delimiter| trim(&value[delimiter + 1..]));
            self.note_comment(number, kept, comment.map(|start| &line[start..]));
            Ok(())
        }
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        for entry in self
            .ini
            .sections
            .iter_mut()
            .flat_map(|section| &mut section.entries)
            .chain(&mut self.ini.defaults)
        {
            entry.value.truncate(trim_end(&entry.value).len());
        }
        if self.bad.is_empty() {
            return Ok(());
        }
        Err(ConfigError::BadLines { file: self.file.to_string(), lines: self.bad })
    }

    fn entries(&mut self) -> Option<&mut Vec<Entry>> {
        match self.place {
            Place::Nowhere => None,
            Place::Defaults => Some(&mut self.ini.defaults),
            Place::Section(index) => Some(&mut self.ini.sections[index].entries),
        }
    }

    fn continue_value(&mut self, line: &str) {
        let Some(open) = self.open else { return };
        if let Some(entries) = self.entries() {
            let value = &mut entries[open].value;
            value.push('\n');
            value.push_str(line);
        }
    }

    /// The key whose value is being read; an empty text where there is none.
    fn open_key(&self) -> String {
        let entries = match self.place {
            Place::Nowhere => return String::new(),
            Place::Defaults => &self.ini.defaults,
            Place::Section(index) => &self.ini.sections[index].entries,
        };
        self.open.map(|open| entries[open].key.clone()).unwrap_or_default()
    }

    fn note_continuation(&mut self, line: usize, text: &str) {
        if self.ini.notes.is_some() {
            let (key, text) = (self.open_key(), text.to_owned());
            self.note(line, Oddity::Continuation { key, text });
        }
    }

    fn note_comment(&mut self, line: usize, kept: &str, comment: Option<&str>) {
        let Some(comment) = comment.filter(|_| self.ini.notes.is_some()) else { return };
        let key = self.open_key();
        let (kept, comment) = (kept.to_owned(), trim(comment).to_owned());
        self.note(line, Oddity::Comment { key, kept, comment });
    }

    fn note(&mut self, line: usize, oddity: Oddity) {
        if self.ini.notes.is_none() {
            return;
        }
        let section = match self.place {
            Place::Nowhere | Place::Defaults => None,
            Place::Section(index) => Some(self.ini.sections[index].name.clone()),
        };
        let file = Arc::clone(&self.file);
        self.ini.notes.get_or_insert_default().push(Note { file, line, section, oddity });
    }

    fn enter(&mut self, name: &str, number: usize) {
        self.open = None;
        let known = self.ini.sections.iter().position(|section| section.name == name);
        if let Some(index) = known {
            self.place = Place::Section(index);
            self.note(number, Oddity::RepeatedSection);
        } else if name == DEFAULT_SECTION {
            self.place = Place::Defaults;
        } else {
            self.ini.sections.push(Section {
                name: name.to_owned(),
                file: Arc::clone(&self.file),
                line: number,
                entries: Vec::new(),
            });
            self.place = Place::Section(self.ini.sections.len() - 1);
        }
    }

    fn key(&mut self, number: usize, line: &str, text: &str) {
        let Some(delimiter) = text.find(['=', ':']) else {
            self.bad.push(BadLine { number, text: line.to_owned() });
            return;
        };
        let key = trim_end(&text[..delimiter]).to_lowercase();
        if key.is_empty() {
            self.open = None;
            self.bad.push(BadLine { number, text: line.to_owned() });
            return;
        }
        let value = trim(&text[delimiter + 1..]).to_owned();
        let entry = Entry { key, value, file: Arc::clone(&self.file), line: number };
        let Some(entries) = self.entries() else {
            return;
        };
        let open = entries.iter().position(|known| known.key == entry.key);
        let before = match open {
            Some(index) => Some(std::mem::replace(&mut entries[index], entry)),
            None => {
                entries.push(entry);
                None
            }
        };
        self.open = open.or_else(|| self.entries().map(|entries| entries.len() - 1));
        if let Some(before) = before {
            self.note(number, Oddity::RepeatedKey { before });
        }
    }
}

/// The text up to the last closing bracket; what follows that is ignored.
fn section_name(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let name = &inside[..inside.rfind(']')?];
    (!name.is_empty()).then_some(name)
}

/// Where the comment of a line starts, if there is one.
///
/// Python looks at the first `;` and the first `#`, then at the second ones and so
/// on, and is content with the first round that finds a comment, although a later
/// round might find one further left. We do the same.
fn comment_start(line: &str) -> Option<usize> {
    if trim(line).starts_with([';', '#']) {
        return Some(0);
    }
    let mut semicolons = line.match_indices(';').map(|(index, _)| index);
    let mut hashes = line.match_indices('#').map(|(index, _)| index);
    loop {
        let round = [semicolons.next(), hashes.next()];
        if round == [None, None] {
            return None;
        }
        let after_blank = |index: &usize| line[..*index].chars().next_back().is_none_or(is_blank);
        if let Some(start) = round.into_iter().flatten().filter(after_blank).min() {
            return Some(start);
        }
    }
}

/// Python's words for bytes that are not UTF-8. It notices a character that the
/// end of the file cuts off only then, and counts its bytes from there.
pub(super) fn describe(bytes: &[u8], error: std::str::Utf8Error) -> String {
    let start = error.valid_up_to();
    let byte = bytes[start];
    let (first, length, reason) = match error.error_len() {
        None => (0, bytes.len() - start, "unexpected end of data"),
        Some(1) if !matches!(byte, 0xc2..=0xf4) => (start, 1, "invalid start byte"),
        Some(length) => (start, length, "invalid continuation byte"),
    };
    if length == 1 {
        format!("'utf-8' codec can't decode byte {byte:#04x} in position {first}: {reason}")
    } else {
        let last = first + length - 1;
        format!("'utf-8' codec can't decode bytes in position {first}-{last}: {reason}")
    }
}
