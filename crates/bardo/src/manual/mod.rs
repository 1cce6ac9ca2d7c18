//! Manual pages and shell completions, made from the same tables as the tools themselves.
//!
//! They are checked in below `share/`, where packages find them, and a test says when they
//! are stale.

pub mod completions;
mod host;
mod page;
pub mod pages;
mod service;
mod service_words;
pub mod system_conf;

use std::fs;
use std::io;
use std::path::Path;

/// A file of the manual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it belongs below a folder like `/usr/local/share`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// All pages and completions.
#[must_use]
pub fn documents() -> Vec<Document> {
    let mut all = pages::all();
    all.extend(completions::all());
    all
}

/// Writes all of them below a folder.
///
/// # Errors
/// When a folder or file cannot be made.
pub fn write(folder: &Path) -> io::Result<()> {
    for document in documents() {
        let path = folder.join(&document.path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, document.text)?;
    }
    Ok(())
}
