//! `[include]`.

use super::{Expansion, Fallback, Known, OptionEntry, set};
use crate::error::ConfigError;
use crate::python::words;

/// What `[include]` says.
#[derive(Debug, Default)]
pub struct IncludeDraft {
    pub(crate) patterns: Vec<String>,
}

/// The options of `[include]`.
pub const INCLUDE_OPTIONS: &[OptionEntry<IncludeDraft>] = &[OptionEntry {
    name: "files",
    fallback: Fallback::Missing("required", |_, _| Err(ConfigError::IncludesNothing)),
    expansion: Expansion::OnceWith(Known::Node),
    apply: |draft, _, text| set(&mut draft.patterns, words(text).map(str::to_owned).collect()),
    help: "Files to read too: shell patterns between blanks, seen from this file's directory.",
}];
