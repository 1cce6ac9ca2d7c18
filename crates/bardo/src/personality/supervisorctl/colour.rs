//! Colours, on a terminal only. The text is the same with and without them.

use std::ffi::OsStr;

/// Whether words are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// They are.
    Shown,
    /// They are not.
    Plain,
}

impl Colour {
    /// What suits an output that is a terminal or not, for a user with these
    /// variables. `NO_COLOR` counts when it says anything, as <https://no-color.org>
    /// has it.
    pub(crate) fn suiting(
        is_terminal: bool,
        no_color: Option<&OsStr>,
        term: Option<&OsStr>,
    ) -> Self {
        let is_capable = term.is_some_and(|term| !term.is_empty() && term != "dumb");
        let is_wanted = no_color.is_none_or(OsStr::is_empty);
        if is_terminal && is_capable && is_wanted { Self::Shown } else { Self::Plain }
    }

    /// A line about a process in a state. All of it is coloured or nothing, so that whoever
    /// reads the terminal like a pipe finds name, state and description as they are there;
    /// what runs needs no attention.
    pub(super) fn line(self, state: &str, line: &str) -> String {
        let code = match (self, state) {
            (Self::Shown, "STARTING" | "STOPPING" | "BACKOFF") => YELLOW,
            (Self::Shown, "FATAL" | "UNKNOWN") => RED,
            (Self::Plain | Self::Shown, _) => return line.to_owned(),
        };
        in_colour(code, line)
    }

    /// Words that deserve a look.
    pub(crate) fn warning(self, words: &str) -> String {
        if self == Self::Shown { in_colour(YELLOW, words) } else { words.to_owned() }
    }

    /// Words that need one.
    pub(crate) fn alarm(self, words: &str) -> String {
        if self == Self::Shown { in_colour(RED, words) } else { words.to_owned() }
    }
}

fn in_colour(code: u8, words: &str) -> String {
    format!("\x1b[{code}m{words}\x1b[0m")
}

const RED: u8 = 31;
const YELLOW: u8 = 33;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_that_has_them_and_a_user_who_wants_them() {
        let of = |is_terminal, no_color: Option<&str>, term: Option<&str>| {
            Colour::suiting(is_terminal, no_color.map(OsStr::new), term.map(OsStr::new))
        };

        assert_eq!(of(true, None, Some("xterm")), Colour::Shown);
        assert_eq!(of(true, Some(""), Some("xterm")), Colour::Shown);
        assert_eq!(of(false, None, Some("xterm")), Colour::Plain);
        assert_eq!(of(true, Some("1"), Some("xterm")), Colour::Plain);
        assert_eq!(of(true, None, Some("dumb")), Colour::Plain);
        assert_eq!(of(true, None, None), Colour::Plain);
    }

    #[test]
    fn a_line_is_coloured_as_a_whole_where_it_needs_attention() {
        assert_eq!(Colour::Plain.line("FATAL", "p  FATAL  gone"), "p  FATAL  gone");
        assert_eq!(Colour::Shown.line("FATAL", "p  FATAL  gone"), "\x1b[31mp  FATAL  gone\x1b[0m");
        assert_eq!(Colour::Shown.line("BACKOFF", "p"), "\x1b[33mp\x1b[0m");
        for quiet in ["RUNNING", "STOPPED", "EXITED"] {
            assert_eq!(Colour::Shown.line(quiet, "p"), "p");
        }
    }
}
