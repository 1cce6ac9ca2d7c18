//! One manual page: headings, paragraphs, lists and examples, written as roff.
//!
//! In texts, what stands between two `` ` `` is set in bold.

use roff::{Inline, Roff, bold, roman};

use crate::personality::DescribedFlag;

/// The day on which the texts were last looked through.
const REVISED: &str = "2026-11-21";

/// How long a line of the source is: `mandoc -T lint` asks for at most 80 letters.
const WIDTH: usize = 76;

/// A page that is being written.
pub(super) struct Page {
    roff: Roff,
    /// Whether a heading was the last thing, after which no paragraph has to begin.
    is_fresh: bool,
}

impl Page {
    /// A page with its first two headings.
    pub(super) fn new(name: &str, section: u8, about: &str) -> Self {
        let mut roff = Roff::new();
        let version = format!("Bardo {}", env!("CARGO_PKG_VERSION"));
        let title = name.to_uppercase();
        roff.control("TH", [&title, &section.to_string(), REVISED, &version, "Bardo"]);
        roff.control("SH", ["NAME"]);
        roff.text([roman(format!("{name} - {about}"))]);
        Self { roff, is_fresh: false }
    }

    /// A heading.
    pub(super) fn heading(&mut self, text: &str) -> &mut Self {
        self.roff.control("SH", [text]);
        self.is_fresh = true;
        self
    }

    /// A paragraph.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.paragraph();
        self.roff.text(inlines(&wrapped(text)));
        self
    }

    /// A term and what it means.
    pub(super) fn item(&mut self, term: &str, text: &str) -> &mut Self {
        self.is_fresh = false;
        self.roff.control("TP", []);
        self.roff.text(inlines(term));
        self.roff.text(inlines(&wrapped(text)));
        self
    }

    /// Lines that are shown as they are.
    pub(super) fn example(&mut self, lines: &str) -> &mut Self {
        self.paragraph();
        self.roff.control("EX", []);
        for line in lines.lines() {
            self.roff.text([roman(line)]);
        }
        self.roff.control("EE", []);
        self
    }

    /// The flags of a tool.
    pub(super) fn flags(&mut self, flags: impl Iterator<Item = DescribedFlag>) -> &mut Self {
        for flag in flags {
            let short = flag.short.map(|letter| format!("`-{letter}`, ")).unwrap_or_default();
            let argument = flag.argument.map(|name| format!(" {name}")).unwrap_or_default();
            self.item(&format!("{short}`--{}`{argument}", flag.long), &sentence(flag.help));
        }
        self
    }

    fn paragraph(&mut self) {
        if !std::mem::take(&mut self.is_fresh) {
            self.roff.control("PP", []);
        }
    }

    /// The text of the page.
    pub(super) fn render(&self) -> String {
        self.roff.render()
    }
}

/// A help text as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    // What is typed as it stands here is not a word of the sentence.
    let is_typed = text.split(' ').next().is_some_and(|word| word.contains('_'));
    let first = letters.next().map_or_else(String::new, |letter| match is_typed {
        true => letter.to_string(),
        false => letter.to_uppercase().to_string(),
    });
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// A text in lines that are not long, so that a change shows where it is.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut room = WIDTH;
    for word in text.split_whitespace() {
        // In the source a tick becomes three letters, a dash or a backslash two, an
        // apostrophe five.
        let marks = 2 * word.matches('`').count() + 4 * word.matches('\'').count();
        let length = word.len() + marks + word.matches(['-', '\\']).count();
        if !lines.is_empty() && length < room {
            lines.push(' ');
            room -= 1;
        } else if !lines.is_empty() {
            lines.push('\n');
            room = WIDTH;
        }
        lines.push_str(word);
        room = room.saturating_sub(length);
    }
    lines
}

fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(place, part)| if place % 2 == 0 { roman(part) } else { bold(part) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_ticks_is_bold() {
        assert_eq!(inlines("a `b` c"), [roman("a "), bold("b"), roman(" c")]);
        assert_eq!(inlines("`b`"), [bold("b")]);
    }

    #[test]
    fn a_help_text_becomes_a_sentence() {
        assert_eq!(sentence("print this text"), "Print this text.");
        assert_eq!(sentence("the mask (022)"), "The mask (022).");
        assert_eq!(sentence("srv_status prints"), "srv_status prints.");
    }
}
