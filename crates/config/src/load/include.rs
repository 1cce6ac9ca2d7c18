//! `[include]`: other files, read into the same sections.

use super::{Messages, Source};
use crate::error::ConfigError;
use crate::host::ReadError;
use crate::options::INCLUDE_OPTIONS;
use crate::path::{absolute, join, parent};

/// Reads what the file includes, if it does. What an included file includes is
/// ignored, so there is no recursion to limit. A file that cannot be read is
/// skipped without a word, as in Supervisor.
pub(super) fn include(source: &mut Source<'_>, messages: &mut Messages) -> Result<(), ConfigError> {
    if source.ini.section("include").is_none() {
        return Ok(());
    }
    source.ini.replace_here(&source.here);
    for pattern in patterns(source)? {
        let pattern = join(&source.here, &pattern);
        let mut files = source.host.glob(&pattern);
        if files.is_empty() {
            messages.warnings.push(format!("No file matches via include \"{pattern}\""));
        }
        files.sort_unstable();
        for file in files {
            messages.infos.push(format!("Included extra file \"{file}\" during parsing"));
            match source.host.read(&file) {
                Ok(bytes) => source.ini.read(&file, &bytes)?,
                Err(ReadError::Missing | ReadError::Unreadable) => {}
            }
            source.ini.replace_here(&absolute(source.host, parent(&file)));
        }
    }
    Ok(())
}

/// The patterns of `files`, as they are written.
pub(crate) fn patterns(source: &Source<'_>) -> Result<Vec<String>, ConfigError> {
    let Some(section) = source.ini.section("include") else {
        return Ok(Vec::new());
    };
    Ok(source.section_with_here(section).read(INCLUDE_OPTIONS)?.patterns)
}
