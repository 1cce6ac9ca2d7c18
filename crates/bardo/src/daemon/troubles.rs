//! What is wrong at present, and since when.
//!
//! Whoever notices a fault of the environment says when it begins and when it ends; whoever
//! asks is told what is wrong now. Nothing here repairs anything, and nothing is in the
//! journal: a new supervisor meets what is still wrong by itself.
//!
//! One thing surprises a newcomer: that the keeper had to start another supervisor counts
//! as wrong for a minute, and nothing wakes up when the minute is over. It is looked at
//! when somebody asks.

pub(super) mod noticing;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

/// Most subjects of a kind that are listed with their texts. A disk that is full meets
/// every program at once; people read the first few, and the number.
pub const LISTED_MAX: usize = 256;

/// How long, in seconds, a supervisor that took another one's place has to be well before
/// that is history.
pub const WELL_AFTER: i64 = 60;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TroubleKind {
    /// A log file, or another target of a log, takes nothing. Its subject is the path.
    LogTarget,
    /// The log pump waits in a system call. Its subject is what that is about.
    LogPump,
    /// A start failed for want of descriptors, processes or memory. Its subject is the
    /// process.
    Shortage,
    /// A process has not executed its program yet. Its subject is the process.
    StuckBirth,
    /// The journal has no room.
    JournalFull,
    /// A pool of event listeners loses events. Its subject is the pool.
    Listener,
    /// The keeper had to start another supervisor.
    Keeper,
}

impl TroubleKind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 7] = [
        Self::LogTarget,
        Self::LogPump,
        Self::Shortage,
        Self::StuckBirth,
        Self::JournalFull,
        Self::Listener,
        Self::Keeper,
    ];

    /// As programs know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogTarget => "log-target",
            Self::LogPump => "log-pump",
            Self::Shortage => "shortage",
            Self::StuckBirth => "stuck-birth",
            Self::JournalFull => "journal-full",
            Self::Listener => "listener",
            Self::Keeper => "keeper",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of thing.
    pub kind: TroubleKind,
    /// What it is wrong with.
    pub subject: Arc<str>,
    /// What is wrong, for people.
    pub text: Arc<str>,
    /// Since when, in seconds since 1970.
    pub since: i64,
}

/// All that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// By kind, then by subject.
    pub listed: Vec<Trouble>,
    /// How many there are of each kind, also of those that are not listed, in the order of
    /// [`TroubleKind::ALL`].
    pub counts: [usize; TroubleKind::ALL.len()],
}

/// What the control thread knows to be wrong.
#[derive(Debug, Default)]
pub struct Troubles {
    listed: BTreeMap<(TroubleKind, Arc<str>), Said>,
    /// Subjects for which there was no room, each as a number, so that none counts twice.
    unlisted: [HashSet<u64>; TroubleKind::ALL.len()],
}

#[derive(Debug)]
struct Said {
    text: Arc<str>,
    since: i64,
}

impl Troubles {
    /// Something is wrong. True when that is news and has been listed: then people are to
    /// be told, once. What was known keeps its beginning and gets the new text.
    pub fn begin(&mut self, kind: TroubleKind, subject: &str, text: &str, now: i64) -> bool {
        let key = (kind, Arc::from(subject));
        if let Some(said) = self.listed.get_mut(&key) {
            if *said.text != *text {
                said.text = text.into();
            }
            return false;
        }
        if self.of(kind).count() >= LISTED_MAX {
            self.unlisted[kind as usize].insert(number(subject));
            return false;
        }
        self.unlisted[kind as usize].remove(&number(subject));
        self.listed.insert(key, Said { text: text.into(), since: now });
        true
    }

    /// It is not wrong any more. What it was, if it was listed.
    pub fn end(&mut self, kind: TroubleKind, subject: &str) -> Option<Trouble> {
        if self.is_free_of(kind) {
            return None;
        }
        self.unlisted[kind as usize].remove(&number(subject));
        let ((kind, subject), Said { text, since }) =
            self.listed.remove_entry(&(kind, Arc::from(subject)))?;
        Some(Trouble { kind, subject, text, since })
    }

    /// Whether nothing of a kind is wrong.
    #[must_use]
    pub fn is_free_of(&self, kind: TroubleKind) -> bool {
        self.of(kind).next().is_none() && self.unlisted[kind as usize].is_empty()
    }

    /// The listed subjects of a kind of which something is true.
    #[must_use]
    pub fn subjects(&self, kind: TroubleKind, wanted: impl Fn(&str, i64) -> bool) -> Vec<Arc<str>> {
        let wanted = self.of(kind).filter(|(subject, said)| wanted(subject, said.since));
        wanted.map(|(subject, _)| Arc::clone(subject)).collect()
    }

    /// All that is wrong.
    #[must_use]
    pub fn account(&self) -> Account {
        let listed = self.listed.iter().map(|((kind, subject), said)| Trouble {
            kind: *kind,
            subject: Arc::clone(subject),
            text: Arc::clone(&said.text),
            since: said.since,
        });
        let count = |kind| self.of(kind).count() + self.unlisted[kind as usize].len();
        Account { listed: listed.collect(), counts: TroubleKind::ALL.map(count) }
    }

    fn of(&self, kind: TroubleKind) -> impl Iterator<Item = (&Arc<str>, &Said)> {
        let range = self.listed.range((kind, Arc::from(""))..);
        range
            .take_while(move |((of, _), _)| *of == kind)
            .map(|((_, subject), said)| (subject, said))
    }
}

/// What a subject is known by that is not listed.
fn number(subject: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_already_is_no_news_and_keeps_its_beginning() {
        let mut troubles = Troubles::default();

        assert!(troubles.begin(TroubleKind::LogTarget, "/a", "full", 7));
        assert!(!troubles.begin(TroubleKind::LogTarget, "/a", "gone", 9));

        let account = troubles.account();
        assert_eq!(account.listed.len(), 1);
        assert_eq!((&*account.listed[0].text, account.listed[0].since), ("gone", 7));
    }

    #[test]
    fn what_has_ended_is_news_once_and_can_begin_again() {
        let mut troubles = Troubles::default();
        troubles.begin(TroubleKind::Shortage, "cat", "no descriptors", 1);

        assert!(troubles.end(TroubleKind::Shortage, "cat").is_some());
        assert!(troubles.end(TroubleKind::Shortage, "cat").is_none());
        assert!(troubles.begin(TroubleKind::Shortage, "cat", "no descriptors", 2));
    }

    #[test]
    fn kinds_do_not_end_each_other() {
        let mut troubles = Troubles::default();
        troubles.begin(TroubleKind::Shortage, "cat", "no descriptors", 1);

        assert!(troubles.end(TroubleKind::StuckBirth, "cat").is_none());
        assert!(troubles.is_free_of(TroubleKind::StuckBirth));
        assert!(!troubles.is_free_of(TroubleKind::Shortage));
    }

    #[test]
    fn subjects_beyond_the_limit_are_counted_once_each_until_they_end() {
        let mut troubles = Troubles::default();
        let name = |number: usize| format!("/log/{number}");
        for number in 0..LISTED_MAX {
            assert!(troubles.begin(TroubleKind::LogTarget, &name(number), "full", 1));
        }

        for _ in 0..2 {
            assert!(!troubles.begin(TroubleKind::LogTarget, &name(LISTED_MAX), "full", 1));
        }
        assert!(troubles.begin(TroubleKind::LogPump, "/a", "stuck", 1));

        let account = troubles.account();
        assert_eq!(account.counts[..2], [LISTED_MAX + 1, 1]);
        assert_eq!(account.listed.len(), LISTED_MAX + 1);
        troubles.end(TroubleKind::LogTarget, &name(LISTED_MAX));
        assert_eq!(troubles.account().counts[0], LISTED_MAX);
    }

    #[test]
    fn what_was_only_counted_can_be_listed_later_and_is_not_counted_twice() {
        let mut troubles = Troubles::default();
        for number in 0..=LISTED_MAX {
            troubles.begin(TroubleKind::Shortage, &number.to_string(), "none", 1);
        }
        troubles.end(TroubleKind::Shortage, "0");

        assert!(troubles.begin(TroubleKind::Shortage, &LISTED_MAX.to_string(), "none", 1));
        assert_eq!(troubles.account().counts[TroubleKind::Shortage as usize], LISTED_MAX);
    }

    #[test]
    fn a_kind_has_the_place_of_its_number() {
        for (place, kind) in TroubleKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{}", kind.name());
        }
    }
}
