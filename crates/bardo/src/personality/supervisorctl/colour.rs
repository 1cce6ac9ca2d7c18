//! Colours, on a terminal only. The columns are the same with and without them.

use std::ffi::OsStr;

/// Whether words are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// They are.
    Shown,
    /// They are not.
    Plain,
}

impl Colour {
    /// What suits an output that is a terminal or not, for a user with these
    /// variables. `NO_COLOR` counts when it says anything, as <https://no-color.org>
    /// has it.
    pub(super) fn suiting(
        is_terminal: bool,
        no_color: Option<&OsStr>,
        term: Option<&OsStr>,
    ) -> Self {
        let is_capable = term.is_some_and(|term| !term.is_empty() && term != "dumb");
        let is_wanted = no_color.is_none_or(OsStr::is_empty);
        if is_terminal && is_capable && is_wanted { Self::Shown } else { Self::Plain }
    }

    /// The name of a state in a column of this width; the colour ends with the name.
    pub(super) fn state(self, name: &str, width: usize) -> String {
        let code = match (self, name) {
            (Self::Plain, _) => None,
            (Self::Shown, "RUNNING") => Some(GREEN),
            (Self::Shown, "STARTING" | "STOPPING" | "BACKOFF") => Some(YELLOW),
            (Self::Shown, "FATAL" | "UNKNOWN") => Some(RED),
            (Self::Shown, _) => None,
        };
        match code {
            None => format!("{name:width$}"),
            Some(code) => {
                let pad = width.saturating_sub(name.chars().count());
                format!("\x1b[{code}m{name}\x1b[0m{:pad$}", "")
            }
        }
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
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
    fn a_coloured_column_is_as_wide_as_a_plain_one() {
        assert_eq!(Colour::Plain.state("RUNNING", 10), "RUNNING   ");
        assert_eq!(Colour::Shown.state("RUNNING", 10), "\x1b[32mRUNNING\x1b[0m   ");
        assert_eq!(Colour::Shown.state("STOPPED", 10), "STOPPED   ");
        assert_eq!(Colour::Shown.state("FATAL", 2), "\x1b[31mFATAL\x1b[0m");
    }
}
