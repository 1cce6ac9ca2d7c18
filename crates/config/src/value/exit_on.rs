//! `exit_on`.

use std::fmt;

use bardo_core::spec::EndsAll;

/// With which programs everything ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExitOn {
    /// Whether with every one of which no further start is tried.
    any_fatal: bool,
    /// Those with each of whose ends, by their names.
    programs: Vec<String>,
}

impl ExitOn {
    /// What it asks of a program.
    #[must_use]
    pub fn ends_all(&self, program: &str) -> EndsAll {
        if self.programs.iter().any(|name| name == program) {
            EndsAll::Down
        } else if self.any_fatal {
            EndsAll::Fatal
        } else {
            EndsAll::Never
        }
    }

    /// The programs that it names, as they were written.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        self.programs.iter().map(String::as_str)
    }
}

/// As it could be written, the same for what is the same.
impl fmt::Display for ExitOn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<&str> = self.programs().collect();
        words.extend(self.any_fatal.then_some("any_fatal"));
        words.sort_unstable();
        words.dedup();
        formatter.write_str(&if words.is_empty() { "none".to_owned() } else { words.join(",") })
    }
}

/// Reads `none`, or names of programs and `any_fatal` between commas or blanks.
#[must_use]
pub fn exit_on(text: &str) -> ExitOn {
    let words = text.split(|sign: char| sign == ',' || sign.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if words == ["none"] {
        return ExitOn::default();
    }
    let mut read = ExitOn::default();
    for word in words {
        if word == "any_fatal" {
            read.any_fatal = true;
        } else {
            read.programs.push(word.to_owned());
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_everything_where_nothing_is_asked() {
        for text in ["", "none", " none "] {
            assert_eq!(exit_on(text), ExitOn::default(), "{text:?}");
        }
        assert_eq!(ExitOn::default().ends_all("web"), EndsAll::Never);
    }

    #[test]
    fn what_is_the_same_is_written_the_same() {
        for (text, expected) in [
            ("", "none"),
            ("none", "none"),
            ("web, db", "db,web"),
            ("db web db", "db,web"),
            ("web any_fatal", "any_fatal,web"),
        ] {
            assert_eq!(exit_on(text).to_string(), expected);
        }
    }

    #[test]
    fn programs_stand_between_commas_or_blanks() {
        for text in ["web,db", "web db", " web ,\n db,"] {
            let read = exit_on(text);

            assert_eq!(read.programs().collect::<Vec<_>>(), ["web", "db"], "{text:?}");
            assert_eq!(read.ends_all("db"), EndsAll::Down);
            assert_eq!(read.ends_all("other"), EndsAll::Never);
        }
    }

    #[test]
    fn one_that_is_fatal_can_be_asked_for_beside_names() {
        let read = exit_on("any_fatal web");

        assert_eq!(read.ends_all("web"), EndsAll::Down);
        assert_eq!(read.ends_all("other"), EndsAll::Fatal);
    }
}
