//! One section, read through an option table.

use super::Source;
use crate::error::ConfigError;
use crate::expand::Names;
use crate::ini::Section;
use crate::options::{Expansion, Fallback, Known, OptionEntry, Reading};
use crate::value;

/// A section with the names that may stand in its values.
pub(crate) struct SectionReader<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) section: &'a Section,
    pub(crate) names: Names<'a>,
}

impl SectionReader<'_> {
    /// Reads all options of a table.
    pub(crate) fn read<D: Default>(&self, table: &[OptionEntry<D>]) -> Result<D, ConfigError> {
        let mut draft = D::default();
        for entry in table {
            self.read_one(entry, &mut draft)?;
        }
        Ok(draft)
    }

    /// Reads one option.
    pub(crate) fn read_one<D>(
        &self,
        entry: &OptionEntry<D>,
        draft: &mut D,
    ) -> Result<(), ConfigError> {
        let reading = self.reading();
        match (self.source.ini.get(self.section, entry.name), &entry.fallback) {
            (Some(found), _) => {
                let text = self.expand(entry.name, entry.expansion, &found.value)?;
                (entry.apply)(draft, &reading, &text)
            }
            (None, Fallback::Text(text)) => (entry.apply)(draft, &reading, text),
            (None, Fallback::Nothing) => Ok(()),
            (None, Fallback::Server) => self.read_from_server(entry, draft),
            (None, Fallback::Missing(_, missing)) => missing(draft, &reading),
        }
    }

    /// Reads an option of `[supervisord]` as if it stood in this section.
    fn read_from_server<D>(
        &self,
        entry: &OptionEntry<D>,
        draft: &mut D,
    ) -> Result<(), ConfigError> {
        let server = self.source.ini.section("supervisord");
        let found = server.and_then(|server| self.source.ini.get(server, entry.name));
        let Some(found) = found else { return Ok(()) };
        let text = self.names.expand(&found.value, &format!("supervisord.{}", entry.name))?;
        (entry.apply)(draft, &self.reading(), &text)
    }

    /// What follows the colon of the section's name.
    pub(crate) fn program_name(&self) -> Result<&str, ConfigError> {
        Ok(value::name(self.section.suffix().unwrap_or_default())?)
    }

    /// Where the values stand.
    pub(crate) fn reading(&self) -> Reading<'_> {
        Reading { host: self.source.host, section: self.section.name() }
    }

    /// Expands a value as its option wants it.
    pub(crate) fn expand(
        &self,
        option: &str,
        expansion: Expansion,
        text: &str,
    ) -> Result<String, ConfigError> {
        let label = || format!("{}.{option}", self.section.name());
        Ok(match expansion {
            Expansion::Percentage if value::percent(text).is_ok() => text.to_owned(),
            Expansion::Once | Expansion::Percentage => self.names.expand(text, &label())?,
            Expansion::OnceWith(known) => {
                let (name, meaning) = match known {
                    Known::Here => ("here", self.source.here.as_str()),
                    Known::Node => ("host_node_name", self.source.node.as_str()),
                    Known::Program => ("program_name", self.program_name()?),
                };
                self.names.clone().with(name, meaning).expand(text, &label())?
            }
            Expansion::Twice => {
                let once = self.names.expand(text, &label())?;
                self.names.expand(&once, option)?
            }
            Expansion::Unlabelled => self.names.expand(text, option)?,
            Expansion::Later => text.to_owned(),
        })
    }
}
