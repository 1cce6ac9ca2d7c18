//! The lines that hold for a program: those of its entry, with the lines of classes in
//! the place of each `class`.
//!
//! The first line is always `service NAME`. It tells whoever gets the lines that there is
//! an entry, and where, even if nothing else stands in it.

use super::document::{Document, Service};
use super::value::texts;
use super::{Argument, Line, Place, Refusal, Value};

/// How deep classes may name each other, as in MINIX.
const CLASS_DEPTH_MAX: usize = 100;

/// Most classes that one entry brings in, each counted as often as it is named: a hundred
/// that name the next one twice would never end.
const CLASSES_MAX: usize = 1_000;

/// The line that an entry begins with.
const HEADER: &str = "service";

/// The line that brings classes in.
const CLASS: &str = "class";

/// What holds for a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `service NAME`, and behind it all lines, classes spliced in.
    pub lines: Vec<Line>,
    /// Where the entry begins.
    pub at: Place,
}

impl Document {
    /// The entry for a program, if there is one.
    ///
    /// # Errors
    ///
    /// When a class is not in the file, or brings itself in.
    pub fn entry(&self, program: &str) -> Result<Option<Entry>, Refusal> {
        let Some(service) = self.service(program) else { return Ok(None) };
        let name = Argument { value: Value::Word(program.to_owned()), line: service.at.line };
        let header =
            Line { keyword: HEADER.to_owned(), arguments: vec![name], at: service.at.clone() };
        let mut splicer =
            Splicer { document: self, open: Vec::new(), classes: 0, lines: vec![header] };
        splicer.service(service)?;
        Ok(Some(Entry { lines: splicer.lines, at: service.at.clone() }))
    }
}

/// The program that lines of an entry are for, and where the entry begins.
pub(super) fn header(line: &Line) -> Option<&Place> {
    (line.keyword == HEADER).then_some(&line.at)
}

struct Splicer<'a> {
    document: &'a Document,
    /// The entries that are being spliced, each named as a class by the one before.
    open: Vec<&'a str>,
    classes: usize,
    lines: Vec<Line>,
}

impl<'a> Splicer<'a> {
    fn service(&mut self, service: &'a Service) -> Result<(), Refusal> {
        self.open.push(&service.name);
        for line in &service.lines {
            if line.name() == CLASS {
                self.classes(line)?;
            } else {
                self.lines.push(line.clone());
            }
        }
        self.open.pop();
        Ok(())
    }

    fn classes(&mut self, line: &'a Line) -> Result<(), Refusal> {
        let names = texts(line, "a class is a word").and_then(|names| match names.is_empty() {
            true => Err(Refusal::at(&line.at, "`class` names no class", "write: class NAME...;")),
            false => Ok(names),
        })?;
        for (name, at) in names {
            let Some(service) = self.document.service(name) else {
                let what = format!("no class `{name}`");
                let advice = format!("write a `service {name} {{ ... }};` into the same file");
                return Err(Refusal::at(&at, what, advice));
            };
            self.classes += 1;
            if self.open.contains(&name) {
                let what = format!("class `{name}` brings itself in");
                return Err(Refusal::at(&at, what, "take one of the class lines out"));
            }
            if self.open.len() > CLASS_DEPTH_MAX || self.classes > CLASSES_MAX {
                let what = format!(
                    "classes name each other more than {CLASS_DEPTH_MAX} deep, or more than \
                     {CLASSES_MAX} times"
                );
                return Err(Refusal::at(&at, what, "put their lines into fewer classes"));
            }
            self.service(service)?;
        }
        Ok(())
    }
}
