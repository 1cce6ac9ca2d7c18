//! How answers are laid out: lines that a terminal shows whole, and one line for each thing
//! where a program reads them.

use std::io::{self, IsTerminal as _};

use bardo_core::time::WallTime;
use bardo_sys::clock;
use serde::Serialize;

use crate::personality::supervisorctl::colour::Colour;
use crate::service::reply::{Service, ToldDecision, Why};
use crate::words::why;

/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

/// Fewest columns for which lines are broken: below that nothing is readable.
const COLUMNS_LEAST: usize = 40;

/// Widest name that others are lined up with.
const NAME_WIDEST: usize = 24;

/// What suits the output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    colour: Colour,
    /// Where lines are broken; `None` where they are not.
    columns: Option<usize>,
    /// What time it is.
    now: i64,
}

impl Layout {
    /// What suits standard output.
    pub(super) fn of_output() -> Self {
        let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        let output = io::stdout();
        let is_terminal = output.is_terminal();
        let columns = is_terminal.then(|| {
            let size = rustix::termios::tcgetwinsize(&output);
            let columns = size.map_or(0, |size| usize::from(size.ws_col));
            if columns == 0 { COLUMNS } else { columns.max(COLUMNS_LEAST) }
        });
        let colour = Colour::suiting(is_terminal, no_color.as_deref(), term.as_deref());
        Self { colour, columns, now: clock::wall_seconds() }
    }

    /// The same at another time.
    pub(super) fn at(self, now: i64) -> Self {
        Self { now, ..self }
    }

    /// A moment, with its day where that is not today.
    fn moment(&self, at: i64) -> String {
        why::moment(WallTime(at), self.now)
    }

    /// A line with a head before its text; what has no room goes below the text.
    fn line(&self, head: &str, width: usize, text: &str) -> String {
        let Some(columns) = self.columns.filter(|columns| width + COLUMNS_LEAST / 2 <= *columns)
        else {
            return format!("{head}{text}\n");
        };
        let mut lines = head.to_owned();
        let mut used = width;
        for (place, word) in text.split(' ').enumerate() {
            let length = word.chars().count();
            if place > 0 && used + 1 + length > columns {
                lines.push('\n');
                lines.push_str(&" ".repeat(width));
                used = width;
            } else if place > 0 {
                lines.push(' ');
                used += 1;
            }
            lines.push_str(word);
            used += length;
        }
        lines.push('\n');
        lines
    }

    fn state(&self, state: &str) -> String {
        match state {
            "FATAL" | "UNKNOWN" => self.colour.alarm(state),
            "BACKOFF" | "STARTING" | "STOPPING" => self.colour.warning(state),
            _ => state.to_owned(),
        }
    }
}

/// Services, one below the other.
pub(super) fn status(services: &[Service], layout: &Layout) -> String {
    let widest = services.iter().map(|service| service.label.chars().count()).max().unwrap_or(0);
    let width = widest.min(NAME_WIDEST);
    let line = |service: &Service| {
        let Service { label, state, description, .. } = service;
        let space = " ".repeat("STARTING".len().saturating_sub(state.len()));
        let head = format!("{label:width$}  {}{space}  ", layout.state(state));
        let columns = label.chars().count().max(width) + 2 + "STARTING".len() + 2;
        layout.line(&head, columns, description)
    };
    services.iter().map(line).collect()
}

/// Why a service is as it is, and what was decided about it.
pub(super) fn why(why: &Why, layout: &Layout) -> String {
    let Why { name, state, reason, decisions } = why;
    let head = if state.is_empty() {
        format!("{name} ")
    } else {
        format!("{name} is {}: ", layout.state(state))
    };
    let mut text = layout.line(&head, name.chars().count() + 1, reason);
    if !decisions.is_empty() {
        text.push('\n');
    }
    let moments: Vec<String> = decisions.iter().map(|one| layout.moment(one.at)).collect();
    let width = moments.iter().map(String::len).max().unwrap_or(0);
    for (moment, decided) in moments.iter().zip(decisions) {
        let head = format!("  {moment:>width$}  life {:<3} ", decided.generation);
        text += &layout.line(&head, head.len(), &decided.text);
    }
    text
}

/// A decision, as it is made.
pub(super) fn decision(told: &ToldDecision, layout: &Layout) -> String {
    event(&told.name, told.decided.at, &told.decided.text, layout)
}

/// That a process is in another state.
pub(super) fn state(name: &str, state: &str, pid: u32, at: i64, layout: &Layout) -> String {
    let process = if pid == 0 { String::new() } else { format!(", process {pid}") };
    event(name, at, &format!("is {}{process}", layout.state(state)), layout)
}

/// Something that happened to a service.
pub(super) fn event(name: &str, at: i64, text: &str, layout: &Layout) -> String {
    let head = format!("{}  {name:16}  ", layout.moment(at));
    layout.line(&head, head.chars().count(), text)
}

/// One document on one line.
pub(super) fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("texts and numbers are JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::reply::Decided;

    const PLAIN: Layout = Layout { colour: Colour::Plain, columns: None, now: 1_700_000_000 };

    fn narrow(columns: usize) -> Layout {
        Layout { columns: Some(columns), ..PLAIN }
    }

    fn service(label: &str, state: &str, description: &str) -> Service {
        let (label, state) = (label.to_owned(), state.to_owned());
        Service { label, state, description: description.to_owned(), ..Service::default() }
    }

    #[test]
    fn a_program_reads_one_line_for_each_service() {
        let services = [
            service("web", "RUNNING", "runs since 12:03:14"),
            service("worker:a", "BACKOFF", "waits 8 s: 4th crash"),
        ];

        let expected = "web       RUNNING   runs since 12:03:14\n\
                        worker:a  BACKOFF   waits 8 s: 4th crash\n";
        assert_eq!(status(&services, &PLAIN), expected);
    }

    #[test]
    fn on_a_terminal_no_line_is_longer_than_it_is_wide() {
        let long = "waits 8 s (5 s left): 4th crash, terminated by SIGSEGV (core dumped) at \
                    2026-11-21 12:03:14, back-off binary";
        let services = [service("web", "BACKOFF", long)];
        let decided = Decided {
            number: 1,
            at: 1_600_000_000,
            generation: 3,
            what: String::new(),
            text: long.to_owned(),
        };
        let decided = ToldDecision { name: "web".to_owned(), endpoint: 0, decided };

        for text in [status(&services, &narrow(80)), decision(&decided, &narrow(80))] {
            let lengths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
            assert!(lengths.len() > 1 && lengths.iter().all(|length| *length <= 80), "{text}");
            let words: Vec<&str> = text.split_whitespace().collect();
            assert!(words.join(" ").ends_with(long), "nothing is lost: {text}");
        }
    }

    #[test]
    fn colours_change_nothing_about_where_lines_are_broken() {
        let services = [service("web", "FATAL", &"word ".repeat(30))];
        let coloured = Layout { colour: Colour::Shown, ..narrow(60) };

        let text = status(&services, &coloured);

        assert!(text.contains("\x1b[31mFATAL\x1b[0m"), "{text}");
        let bare = text.replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(bare, status(&services, &narrow(60)));
    }

    #[test]
    fn decisions_stand_below_the_reason() {
        let decided = |generation, text: &str| Decided {
            number: 1,
            at: PLAIN.now,
            generation,
            what: String::new(),
            text: text.to_owned(),
        };
        let decisions = vec![decided(1, "started: a client asked"), decided(12, "stays down")];
        let (name, state, reason) = ("web".to_owned(), "EXITED".to_owned(), "stays".to_owned());

        let text = why(&Why { name, state, reason, decisions }, &PLAIN);

        let at = PLAIN.moment(PLAIN.now);
        let expected = format!(
            "web is EXITED: stays\n\n  {at}  life 1   started: a client asked\n  {at}  life 12  \
             stays down\n"
        );
        assert_eq!(text, expected);
    }
}
