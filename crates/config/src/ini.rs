//! The dialect of Python's `RawConfigParser`, as Supervisor sets it up: repeated
//! sections and keys are merged, `;` and `#` start a comment behind a blank.
//!
//! A value remembers the file and the line of its key. One thing surprises a
//! newcomer: a line that is indented deeper than the key above it belongs to that
//! key's value, whatever it looks like.

use std::sync::Arc;

use crate::error::{BadLine, ConfigError};
use crate::python::{is_blank, trim, trim_end};

/// The section whose keys every other section has too.
const DEFAULT_SECTION: &str = "DEFAULT";

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
struct Reader<'a> {
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
    fn new(ini: &'a mut Ini, file: &str) -> Self {
        Self {
            ini,
            file: file.into(),
            place: Place::Nowhere,
            open: None,
            indent: 0,
            bad: Vec::new(),
        }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), ConfigError> {
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

    fn finish(self) -> Result<(), ConfigError> {
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
fn describe(bytes: &[u8], error: std::str::Utf8Error) -> String {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Ini {
        let mut ini = Ini::default();
        ini.read("FILE", text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        ini
    }

    fn refused(text: impl AsRef<[u8]>) -> String {
        Ini::default().read("FILE", text.as_ref()).unwrap_err().to_string()
    }

    fn value(text: &str, key: &str) -> Option<String> {
        let ini = read(&format!("[s]\n{text}"));
        let section = ini.section("s").unwrap();
        ini.get(section, key).map(|entry| entry.value.clone())
    }

    fn values(cases: &[(&str, &str, &str)]) {
        for (text, key, wanted) in cases {
            assert_eq!(value(text, key).as_deref(), Some(*wanted), "{text:?}");
        }
    }

    #[test]
    fn a_section_ends_at_the_last_bracket() {
        let ini = read("[c]junk\n  [ a ]\n[x]y]\n[Case]\n[case]\n");

        let names: Vec<&str> = ini.sections().map(Section::name).collect();

        assert_eq!(names, ["c", " a ", "x]y", "Case", "case"]);
    }

    #[test]
    fn repeated_sections_and_keys_are_merged() {
        let ini = read("[b]\nk=1\n[a]\n[b]\nj=2\nk=3\n");

        let section = ini.section("b").unwrap();
        let pairs: Vec<_> = ini
            .entries(section)
            .map(|entry| (entry.key.as_str(), entry.value.as_str(), entry.line))
            .collect();

        assert_eq!(ini.sections().map(Section::name).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(pairs, [("k", "3", 6), ("j", "2", 5)]);
    }

    #[test]
    fn a_key_is_lower_case_and_ends_at_the_first_delimiter() {
        values(&[
            ("KeY = v", "key", "v"),
            ("rem foo=1", "rem foo", "1"),
            ("a:b=c", "a", "b=c"),
            ("a=b:c", "a", "b:c"),
        ]);
    }

    #[test]
    fn a_value_is_trimmed_and_keeps_its_quotes() {
        values(&[("k =  \"a b\"  ", "k", "\"a b\""), ("k=", "k", ""), ("k= ", "k", "")]);
    }

    #[test]
    fn a_comment_needs_a_blank_before_it() {
        values(&[
            ("k=bash -c 'a ; b'", "k", "bash -c 'a"),
            ("k=v;c", "k", "v;c"),
            ("k=v#c", "k", "v#c"),
            ("k=;c", "k", ";c"),
            ("k= ;c", "k", ""),
            ("k=v\t# c", "k", "v"),
            ("k=a\n  b ; c\n  d", "k", "a\nb\nd"),
        ]);
        assert_eq!(value("  ; k=1\n# k=2\n", "k"), None);
    }

    #[test]
    fn a_comment_is_found_in_rounds_as_python_finds_it() {
        // The first round finds the semicolon, so that the second hash, which
        // stands further left, is never looked at.
        values(&[("k=a#b #c ;d", "k", "a#b #c")]);
    }

    #[test]
    fn a_deeper_line_continues_a_value() {
        values(&[
            ("k=a\n  b\n\tc", "k", "a\nb\nc"),
            ("k=a\n k2=2", "k", "a\nk2=2"),
            ("k=a\n [b]", "k", "a\n[b]"),
            ("k=\n  a", "k", "\na"),
        ]);
        assert_eq!(value("  k=a\n  j=b", "j").as_deref(), Some("b"));
    }

    #[test]
    fn blank_lines_stay_inside_a_value_and_comments_vanish() {
        values(&[
            ("k=a\n\n  b\n; c\n  # d\n  e\n\n\n", "k", "a\n\nb\ne"),
            ("k=a\n\nj=b", "k", "a"),
        ]);
    }

    #[test]
    fn rem_is_no_comment() {
        assert!(refused("[s]\nrem this\n").contains("'rem this\\n'"));
    }

    #[test]
    fn defaults_stand_in_every_section() {
        let ini = read("[DEFAULT]\nk=1\nj=2\n[a]\nk=3\n");
        let section = ini.section("a").unwrap();

        assert_eq!(ini.sections().count(), 1);
        assert_eq!(ini.get(section, "k").unwrap().value, "3");
        assert_eq!(ini.get(section, "j").unwrap().value, "2");
        assert_eq!(ini.entries(section).count(), 2);
    }

    #[test]
    fn a_byte_order_mark_is_not_stripped() {
        assert_eq!(
            refused("\u{feff}[s]\n"),
            "File contains no section headers.\nfile: 'FILE', line: 1\n'\\ufeff[s]\\n'"
        );
    }

    #[test]
    fn carriage_returns_are_newlines() {
        values(&[("k=1\r\nj=2\r\n", "j", "2"), ("k=1\rj=2", "j", "2")]);
    }

    #[test]
    fn all_bad_lines_are_collected() {
        assert_eq!(
            refused("[s]\nok=1\ngarbage line\n=v\nok2=2\n[]\n"),
            "Source contains parsing errors: 'FILE'\n\t[line  3]: 'garbage line\\n'\
             \n\t[line  4]: '=v\\n'\n\t[line  6]: '[]\\n'"
        );
    }

    #[test]
    fn a_line_before_all_sections_is_refused_at_once() {
        assert_eq!(
            refused("; comment\nfoo=bar\n[s]\n"),
            "File contains no section headers.\nfile: 'FILE', line: 2\n'foo=bar\\n'"
        );
    }

    #[test]
    fn an_observed_file_has_notes_of_what_is_taken_silently() {
        let mut ini = Ini::observed();
        ini.read("FILE", b"[a]junk\nk=1 ; c\n  j=2\nk=3\n[b]\n[a]\n").unwrap();

        let notes: Vec<(usize, &Oddity)> =
            ini.notes().map(|note| (note.line, &note.oddity)).collect();

        let text = |text: &str| text.to_owned();
        assert_eq!(notes[0], (1, &Oddity::TextBehindSection { text: text("junk") }));
        let (key, kept, comment) = (text("k"), text("1"), text("; c"));
        assert_eq!(notes[1], (2, &Oddity::Comment { key, kept, comment }));
        assert_eq!(notes[2], (3, &Oddity::Continuation { key: text("k"), text: text("j=2") }));
        assert!(matches!(notes[3], (4, Oddity::RepeatedKey { before }) if before.line == 2));
        assert_eq!(notes[4..], [(6, &Oddity::RepeatedSection)]);
        assert_eq!(read("[a]junk\n").notes().count(), 0, "nobody has asked");
    }

    #[test]
    fn bytes_must_be_utf_8() {
        let cases: [(&[u8], &str); 5] = [
            (b"[a]\n\xff", "byte 0xff in position 4: invalid start byte"),
            (b"\xc3(", "byte 0xc3 in position 0: invalid continuation byte"),
            (b"\xe2\x82(", "bytes in position 0-1: invalid continuation byte"),
            (b"\xc3", "byte 0xc3 in position 0: unexpected end of data"),
            (b"a\xe2\x82", "bytes in position 0-1: unexpected end of data"),
        ];

        for (bytes, wanted) in cases {
            assert_eq!(refused(bytes), format!("'utf-8' codec can't decode {wanted}"));
        }
    }

    #[test]
    fn here_is_replaced_once_for_each_file() {
        let mut ini = read("[DEFAULT]\nd=%(here)s\n[a]\nk=%(here)s/x\n");

        ini.replace_here("/one");
        ini.read("OTHER", b"[b]\nk=%(here)s/y\n").unwrap();
        ini.replace_here("/two");

        let get = |section: &str, key: &str| {
            let section = ini.section(section).unwrap();
            (ini.get(section, key).unwrap().value.clone(), section.file().to_owned())
        };
        assert_eq!(get("a", "k"), ("/one/x".to_owned(), "FILE".to_owned()));
        assert_eq!(get("a", "d"), ("/one".to_owned(), "FILE".to_owned()));
        assert_eq!(get("b", "k"), ("/two/y".to_owned(), "OTHER".to_owned()));
        assert_eq!(get("b", "d"), ("/two".to_owned(), "OTHER".to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Ini::default().read("FILE", &bytes);
        }

        #[test]
        fn any_lines_are_read_or_refused(text in "([ \t]{0,3}[\\[\\]a=:;# \r%\u{1c}é]{0,8}\n){0,12}") {
            let _ = Ini::default().read("FILE", text.as_bytes());
        }

        #[test]
        fn plain_values_come_back(values in prop::collection::vec("[a-z/\"'=:.%()-]{1,12}", 1..6)) {
            let lines: String =
                values.iter().enumerate().map(|(n, value)| format!("k{n} = {value}\n")).collect();
            let ini = read(&format!("[s]\n{lines}"));
            let section = ini.section("s").unwrap();

            for (n, value) in values.iter().enumerate() {
                prop_assert_eq!(&ini.get(section, &format!("k{n}")).unwrap().value, value);
            }
        }
    }
}
