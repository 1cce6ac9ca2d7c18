//! What the INI dialect takes without a word.

use super::code::Code;
use super::finding::{Findings, Place};
use super::sections::Kind;
use crate::ini::{Entry, Note, Oddity};
use crate::lexer::{Grammar, split};
use crate::load::Source;

/// Options in whose values quotes have a meaning, or may.
const QUOTED_OPTIONS: [&str; 4] =
    ["command", "environment", "stdout_logfile_prefix", "stderr_logfile_prefix"];

/// Turns the notes of the reader into findings, where they deserve it.
pub(super) fn examine(source: &Source<'_>, findings: &mut Findings) {
    for note in source.ini.notes() {
        match &note.oddity {
            Oddity::Comment { key, kept, comment } => {
                comment_in_value(note, key, kept, comment, findings);
            }
            Oddity::Continuation { key, text } => continuation(note, key, text, findings),
            Oddity::RepeatedKey { before } => repeated_key(source, note, before, findings),
            Oddity::RepeatedSection => repeated_section(source, note, findings),
            Oddity::TextBehindSection { text } => findings.add(
                place(note, None),
                Code::TextBehindSection,
                format!("`{text}` behind the last bracket is ignored"),
                "remove it, or put a blank and a `;` before it",
            ),
        }
    }
    literal_quotes(source, findings);
}

fn place(note: &Note, option: Option<&str>) -> Place {
    Place {
        file: note.file.clone(),
        line: Some(note.line),
        section: Some(note.section.clone().unwrap_or_else(|| "DEFAULT".to_owned())),
        option: option.map(str::to_owned),
    }
}

/// A comment behind a value is common and fine, unless a quote is open before it or
/// nothing is left of the value.
fn comment_in_value(note: &Note, key: &str, kept: &str, comment: &str, findings: &mut Findings) {
    let open = QUOTED_OPTIONS.contains(&key) && split(kept, Grammar::CommandLine).is_err();
    let message = if open {
        format!("the value ends in the middle of a quotation, because {comment:?} is a comment")
    } else if kept.is_empty() && !key.is_empty() {
        format!("nothing is left of the value, because {comment:?} is a comment")
    } else {
        return;
    };
    findings.add(
        place(note, Some(key).filter(|key| !key.is_empty())),
        Code::ValueCutShort,
        message,
        "a `;` or `#` behind a blank starts a comment, in quotes too, and cannot be escaped; \
         write it without the blank, or move the value into a script or a file",
    );
}

/// A deeper line that looks like something of its own.
fn continuation(note: &Note, key: &str, text: &str, findings: &mut Findings) {
    let section = note.section.as_deref().unwrap_or("DEFAULT");
    let header = text.strip_prefix('[').and_then(|text| text.split_once(']'));
    let looks_like = match header {
        Some((name, _)) if Kind::of_name(name) != Kind::Unknown => "a section",
        _ => {
            let option = text.split(['=', ':']).next().unwrap_or_default().trim().to_lowercase();
            let has_value = text.contains(['=', ':']);
            let known = Kind::of_name(section).options().unwrap_or_default();
            if !has_value || !known.contains(&option.as_str()) {
                return;
            }
            "an option"
        }
    };
    findings.add(
        place(note, Some(key)),
        Code::SwallowedLine,
        format!("`{text}` looks like {looks_like}, and belongs to the value of `{key}` above it"),
        "a line that is indented deeper continues the value above: take the blanks away",
    );
}

fn repeated_key(source: &Source<'_>, note: &Note, before: &Entry, findings: &mut Findings) {
    let now = note
        .section
        .as_deref()
        .and_then(|name| source.ini.section(name))
        .and_then(|section| source.ini.get(section, &before.key));
    if now.is_some_and(|now| now.value == before.value) {
        return;
    }
    let earlier = if before.file == note.file {
        format!("line {}", before.line)
    } else {
        format!("{}:{}", before.file, before.line)
    };
    findings.add(
        place(note, Some(&before.key)),
        Code::RepeatedOption,
        format!("`{}` is given in {earlier} too; this value counts", before.key),
        "remove one of them",
    );
}

/// That an included file adds to `[supervisord]` is common; two programs of one name
/// are hardly meant.
fn repeated_section(source: &Source<'_>, note: &Note, findings: &mut Findings) {
    let Some(section) = note.section.as_deref().and_then(|name| source.ini.section(name)) else {
        return;
    };
    match Kind::of(section) {
        kind if kind.is_process() || kind == Kind::Group => findings.add(
            place(note, None),
            Code::RepeatedSection,
            format!(
                "[{}] begins in {}:{}; the two are merged, and the later values count",
                section.name(),
                section.file(),
                section.line()
            ),
            "give one of them another name",
        ),
        Kind::Include if note.file.as_ref() != section.file() => nested(note, findings),
        _ => {}
    }
}

fn nested(note: &Note, findings: &mut Findings) {
    findings.add(
        place(note, None),
        Code::NestedInclude,
        "what an included file includes is ignored",
        "name the files in the [include] of the main file",
    );
}

/// Quotes that nobody takes away.
fn literal_quotes(source: &Source<'_>, findings: &mut Findings) {
    for section in source.ini.sections() {
        for entry in section.own_entries() {
            if QUOTED_OPTIONS.contains(&entry.key.as_str()) || !is_quoted(&entry.value) {
                continue;
            }
            findings.add(
                Place::entry(section, entry),
                Code::LiteralQuotes,
                format!("the quotes are part of the value of `{}`", entry.key),
                "take them away",
            );
        }
    }
}

/// Whether a value stands in quotes as a whole.
pub(super) fn is_quoted(value: &str) -> bool {
    let inside =
        |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).is_some();
    inside('"') || inside('\'')
}
