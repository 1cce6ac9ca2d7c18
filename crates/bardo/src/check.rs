//! `bardo check`: what a configuration will surprise its writer with, said on standard
//! output for people or for programs.
//!
//! What is found is decided in [`bardo_config::check`]; here stand the words around it,
//! the JSON document and the exit code.

use std::fmt::{self, Write};
use std::process::ExitCode;

use bardo_config::ConfigError;
use bardo_config::check::{Code, Finding, Severity, check};
use serde::Serialize;

use crate::host::Machine;
use crate::output::say;
use crate::tool_path;

/// Exit code when something deserves attention.
const ATTENTION: u8 = 1;

/// Exit code when the file would be refused, or cannot be read.
const REFUSED: u8 = 2;

/// The version of the JSON document. Keys may be added without a new one.
const VERSION: u32 = 1;

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// Checks a file, or the one that `supervisord` would find.
#[must_use]
pub fn main(file: Option<&str>, form: Form) -> ExitCode {
    let report = match file.map(str::to_owned).map_or_else(find, Ok) {
        Ok(file) => Report { findings: check(&Machine, &file), file: Some(file) },
        Err(error) => Report { findings: Vec::new(), file: None }.with_error(error),
    };
    say(&match form {
        Form::Text => report.to_string(),
        Form::Json => report.to_json(),
    });
    report.exit_code()
}

fn find() -> Result<String, ConfigError> {
    let place = tool_path::of_this_tool("supervisord");
    bardo_config::find(&Machine, &place)
        .ok_or_else(|| ConfigError::NotFound(bardo_config::candidates(&place)))
}

/// What was found in which file.
#[derive(Debug)]
struct Report {
    /// The root file; none where no file was found.
    file: Option<String>,
    findings: Vec<Finding>,
}

impl Report {
    fn with_error(mut self, error: ConfigError) -> Self {
        self.findings.push(Finding::nowhere(Code::Unreadable, error.to_string()));
        self
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity() == severity).count()
    }

    fn exit_code(&self) -> ExitCode {
        match self.findings.iter().map(Finding::severity).max() {
            Some(Severity::Error) => ExitCode::from(REFUSED),
            Some(Severity::Warning) => ExitCode::from(ATTENTION),
            Some(Severity::Remark) | None => ExitCode::SUCCESS,
        }
    }

    /// One document on one line, as [`crate::personality::supervisorctl`] has them.
    fn to_json(&self) -> String {
        let document = Document {
            version: VERSION,
            file: self.file.as_deref(),
            errors: self.count(Severity::Error),
            warnings: self.count(Severity::Warning),
            remarks: self.count(Severity::Remark),
            findings: self.findings.iter().map(Item::from).collect(),
        };
        let mut text = serde_json::to_string(&document).expect("texts and numbers are JSON");
        text.push('\n');
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let place = &finding.place;
            f.write_str(&place.file)?;
            if let Some(line) = place.line {
                write!(f, ":{line}")?;
            }
            let lead = if place.file.is_empty() { "" } else { ": " };
            let severity = finding.severity();
            writeln!(f, "{lead}{severity}: {} ({})", finding.message, finding.code.name())?;
            if let Some(advice) = &finding.advice {
                writeln!(f, "    {advice}")?;
            }
        }
        let file = self.file.as_deref().unwrap_or("no file");
        if self.findings.is_empty() {
            return writeln!(f, "{file}: nothing to say");
        }
        let mut counts = String::new();
        for severity in [Severity::Error, Severity::Warning, Severity::Remark] {
            let count = self.count(severity);
            if count > 0 {
                let comma = if counts.is_empty() { "" } else { ", " };
                let plural = if count == 1 { "" } else { "s" };
                write!(counts, "{comma}{count} {severity}{plural}")?;
            }
        }
        writeln!(f, "{file}: {counts}")
    }
}

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    file: Option<&'a str>,
    errors: usize,
    warnings: usize,
    remarks: usize,
    findings: Vec<Item<'a>>,
}

/// A finding in it.
#[derive(Serialize)]
struct Item<'a> {
    file: &'a str,
    line: Option<usize>,
    section: Option<&'a str>,
    option: Option<&'a str>,
    severity: String,
    code: &'static str,
    message: &'a str,
    advice: Option<&'a str>,
}

impl<'a> From<&'a Finding> for Item<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            file: &finding.place.file,
            line: finding.place.line,
            section: finding.place.section.as_deref(),
            option: finding.place.option.as_deref(),
            severity: finding.severity().to_string(),
            code: finding.code.name(),
            message: &finding.message,
            advice: finding.advice.as_deref(),
        }
    }
}
