//! Findings, and where they are.

use std::sync::Arc;

use super::code::{Code, Severity};
use crate::ini::{Entry, Section};

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What.
    pub code: Code,
    /// What it is, in plain words; of an error, the words of the refusal.
    pub message: String,
    /// What can be done.
    pub advice: Option<String>,
}

impl Finding {
    /// One that is in no file.
    #[must_use]
    pub fn nowhere(code: Code, message: String) -> Self {
        Self { place: Place::file(&"".into()), code, message, advice: None }
    }

    /// How much it matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// The line, counted from 1; none where the whole file is meant.
    pub line: Option<usize>,
    /// The section.
    pub section: Option<String>,
    /// The option.
    pub option: Option<String>,
}

impl Place {
    /// A whole file.
    pub(super) fn file(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), line: None, section: None, option: None }
    }

    /// The name of a section.
    pub(super) fn section(section: &Section) -> Self {
        Self {
            file: section.file().into(),
            line: Some(section.line()),
            section: Some(section.name().to_owned()),
            option: None,
        }
    }

    /// An option of a section; the key may be that of `[DEFAULT]`.
    pub(super) fn entry(section: &Section, entry: &Entry) -> Self {
        Self {
            file: Arc::clone(&entry.file),
            line: Some(entry.line),
            section: Some(section.name().to_owned()),
            option: Some(entry.key.clone()),
        }
    }
}

/// Collects findings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    /// Adds one, and what can be done about it.
    pub(super) fn add(
        &mut self,
        place: Place,
        code: Code,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let advice = Some(advice.into()).filter(|advice| !advice.is_empty());
        self.list.push(Finding { place, code, message: message.into(), advice });
    }

    /// Whether something stands against this option already.
    pub(super) fn is_refused(&self, place: &Place) -> bool {
        self.list
            .iter()
            .any(|finding| finding.severity() == Severity::Error && finding.place == *place)
    }

    /// Whether an error of those words is there.
    pub(super) fn has_error(&self, message: &str) -> bool {
        self.list
            .iter()
            .any(|finding| finding.severity() == Severity::Error && finding.message == message)
    }

    /// All of them in file order: files as they were read, lines from the top.
    /// Where a value is refused, nothing else is said of it.
    pub(super) fn finish(mut self, files: &[Arc<str>]) -> Vec<Finding> {
        let refused: Vec<Place> = self
            .list
            .iter()
            .filter(|finding| finding.severity() == Severity::Error)
            .map(|finding| finding.place.clone())
            .collect();
        self.list.retain(|finding| {
            finding.severity() == Severity::Error
                || EXPLAINS.contains(&finding.code)
                || !(finding.place.option.is_some() && refused.contains(&finding.place))
        });
        self.list.sort_by_key(|finding| {
            let file = files.iter().position(|file| *file == finding.place.file);
            (file, finding.place.line, finding.code)
        });
        self.list.dedup();
        self.list
    }
}

/// Findings that say why a value is refused.
const EXPLAINS: &[Code] = &[Code::ValueCutShort, Code::SwallowedLine, Code::RepeatedOption];
