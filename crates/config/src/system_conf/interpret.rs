//! Lines to typed values: what a service is given.
//!
//! A line is read by the function that its keyword has in the table. A later line of a
//! keyword with one value replaces an earlier one, so that an entry can change what a
//! class says; lists of several lines add up.

use std::sync::Arc;

use bardo_core::spec::User;
use bardo_core::spec::care::{Care, Confinement, Health};

use super::entry::header;
use super::keyword::{KEYWORDS, Keyword, Repeat, Standing, keyword};
use super::value::{any_texts, texts};
use super::{Line, Mode, Note, Place, Refusal};
use crate::check::suggest::nearest;
use crate::host::Host;

pub(super) mod calls;
pub(super) mod devices;
pub(super) mod identity;
pub(super) mod limits;
pub(super) mod ours;
pub(super) mod schedule;

/// The user that services run as, where there is one.
const SERVICE_USER: &str = "service";

/// What the lines of an entry say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interpreted {
    /// As whom it runs; `None` is as the supervisor does.
    pub user: Option<User>,
    /// What it may use.
    pub confinement: Confinement,
    /// What people call it.
    pub description: Option<Arc<str>>,
    /// How it is examined while it runs.
    pub health: Option<Health>,
    /// Whether everything ends when it cannot be kept running.
    pub critical: bool,
    /// What is done with each line that counts, in their order.
    pub standings: Vec<(Line, Standing)>,
    /// What there is to say about the lines.
    pub notes: Vec<Note>,
}

impl Interpreted {
    /// Puts all but the user into what a service asks for. What its own options say of its
    /// health counts more.
    pub fn apply_to(&self, care: &mut Care) {
        care.confinement = Arc::new(self.confinement.clone());
        care.critical |= self.critical;
        if let Some(description) = &self.description {
            care.description = Arc::clone(description);
        }
        if care.health.is_none() {
            care.health.clone_from(&self.health);
        }
    }
}

/// Makes typed values of the lines of an entry, as
/// [`Document::entry`](super::Document::entry) has spliced them. No line at all is no entry:
/// nothing is restricted and the user stays.
///
/// # Errors
///
/// When a keyword is unknown, or what stands behind one cannot be taken; in the mode of
/// MINIX also when a list is longer than there, or nobody is called `service`.
pub fn interpret(lines: &[Line], host: &dyn Host, mode: Mode) -> Result<Interpreted, Refusal> {
    let mut draft = Draft {
        host,
        mode,
        result: Interpreted::default(),
        has_user: false,
        counts: devices::Counts::default(),
    };
    let mut entry = None;
    for line in lines {
        match header(line) {
            Some(place) => entry = Some(place),
            None => draft.line(line)?,
        }
    }
    if let Some(place) = entry.or(lines.first().map(|line| &line.at)) {
        draft.default_user(place)?;
    }
    let mut result = draft.result;
    let waiting = result.standings.iter().filter(|(_, standing)| *standing == Standing::NotYet);
    result.confinement.unenforced = waiting.map(|(line, _)| line.text().into()).collect();
    Ok(result)
}

/// What has been read so far.
pub(super) struct Draft<'a> {
    host: &'a dyn Host,
    mode: Mode,
    result: Interpreted,
    /// Whether a line has said who the user is.
    has_user: bool,
    counts: devices::Counts,
}

impl Draft<'_> {
    fn line(&mut self, line: &Line) -> Result<(), Refusal> {
        let Some(keyword) = keyword(line.name()) else { return self.unknown(line) };
        let replaces = match keyword.repeat {
            Repeat::Adds => false,
            Repeat::Replaces => true,
            Repeat::AddsHere => self.mode == Mode::Minix,
            Repeat::Refused => {
                self.only_one(keyword, line)?;
                false
            }
        };
        let standing = (keyword.apply)(self, line)?;
        if replaces {
            self.result.standings.retain(|(earlier, _)| earlier.name() != keyword.name);
        }
        self.result.standings.push((line.clone(), standing));
        Ok(())
    }

    /// Refuses a second line of a keyword.
    fn only_one(&self, keyword: &Keyword, line: &Line) -> Result<(), Refusal> {
        let mut earlier = self.result.standings.iter().map(|(earlier, _)| earlier);
        match earlier.find(|earlier| earlier.name() == keyword.name) {
            None => Ok(()),
            Some(Line { at, .. }) => {
                let what = format!("`{}` stands at {at} already", keyword.name);
                let advice = "write it once in a service and its classes";
                Err(Refusal::at(&line.at, what, advice))
            }
        }
    }

    fn unknown(&mut self, line: &Line) -> Result<(), Refusal> {
        if line.keyword == "?" && self.mode == Mode::Strict {
            let advice = "write the keyword right behind the `?`, or take the line out";
            return Err(Refusal::at(&line.at, "a `?` without a keyword", advice));
        }
        if line.may_be_unknown() {
            let text = format!("`{}` is not known here, and the line is passed over", line.name());
            self.result.notes.push(Note::at(&line.at, text));
            return Ok(());
        }
        if self.mode == Mode::Minix {
            return Ok(());
        }
        let advice = match nearest(line.name(), KEYWORDS.iter().map(|known| known.name)) {
            Some(meant) => {
                format!("perhaps `{meant}` is meant; a line that may be unknown begins with `?`")
            }
            None => {
                format!("take the line out, or write `?{}` to have it passed over", line.name())
            }
        };
        Err(Refusal::at(&line.at, format!("unknown keyword `{}`", line.name()), advice))
    }

    /// Who runs it where no line says so.
    fn default_user(&mut self, entry: &Place) -> Result<(), Refusal> {
        if self.has_user {
            return Ok(());
        }
        let account = self.host.user_by_name(SERVICE_USER);
        match account {
            None if self.mode == Mode::Minix => {
                let what = format!("no line `uid`, and nobody is called `{SERVICE_USER}`");
                let advice = format!("add the user `{SERVICE_USER}`, or write: uid USER;");
                Err(Refusal::at(entry, what, advice))
            }
            Some(account) if self.host.user_id() == 0 => {
                self.take_user(account);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, place: &Place, text: impl Into<String>) {
        self.result.notes.push(Note::at(place, text));
    }
}

/// A line with what is known about its keyword, and the refusals that follow from it.
pub(super) struct Reading<'a> {
    line: &'a Line,
    form: String,
}

impl<'a> Reading<'a> {
    pub(super) fn of(line: &'a Line) -> Self {
        let form = keyword(line.name()).map(Keyword::form).unwrap_or_default();
        Self { line, form: format!("write: {form}") }
    }

    /// All words; there is nothing else.
    pub(super) fn words(&self) -> Result<Vec<(&'a str, Place)>, Refusal> {
        texts(self.line, &self.form)
    }

    /// All words and strings; there is no list.
    pub(super) fn texts(&self) -> Result<Vec<(&'a str, Place)>, Refusal> {
        any_texts(self.line, &self.form)
    }

    /// All words, of which there is at least one.
    pub(super) fn some_words(&self) -> Result<Vec<(&'a str, Place)>, Refusal> {
        let words = self.words()?;
        if words.is_empty() { Err(self.nothing()) } else { Ok(words) }
    }

    /// The one word.
    pub(super) fn word(&self) -> Result<(&'a str, Place), Refusal> {
        let mut words = self.words()?.into_iter();
        match (words.next(), words.next()) {
            (Some(word), None) => Ok(word),
            (None, _) => Err(self.nothing()),
            (_, Some((more, place))) => {
                let what =
                    format!("`{}` takes one word, and `{more}` follows it", self.line.name());
                Err(self.refuse(&place, what))
            }
        }
    }

    /// The one word, as a value.
    pub(super) fn value<T>(
        &self,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Refusal> {
        let (text, place) = self.word()?;
        parse(text).ok_or_else(|| self.bad(&place, text, what))
    }

    /// A part that is not what it should be.
    pub(super) fn bad(&self, place: &Place, text: &str, what: &str) -> Refusal {
        self.refuse(place, format!("`{text}` is not {what}"))
    }

    /// Nothing stands behind the keyword.
    pub(super) fn nothing(&self) -> Refusal {
        self.refuse(&self.line.at, format!("nothing stands behind `{}`", self.line.name()))
    }

    pub(super) fn refuse(&self, place: &Place, what: impl Into<String>) -> Refusal {
        Refusal::at(place, what, self.form.clone())
    }
}
