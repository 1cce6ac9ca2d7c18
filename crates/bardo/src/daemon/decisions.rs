//! What was decided last about every service: what `bardo why` and `bardo events` tell.
//!
//! It is one more thing that the journal keeps, so that whoever asks a new supervisor hears
//! what the one before it has decided. Every decision has a number, and no other has it:
//! whoever has heard one of them can ask for those after it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bardo_core::decision::What;
use bardo_core::record::Record;
use bardo_core::time::WallTime;
use bardo_core::{Decision, Generation, Group, ServiceId};
use bardo_sys::clock;

use super::changes::Changes;
use super::journal::Entry;

/// Most decisions that are kept of one service: the whole story of several restarts.
pub const KEPT_MAX: usize = 20;

/// Most services that have left the table and of which is known why. An operator looks for
/// the last few; whoever wants more follows the events.
pub const GONE_MAX: usize = 32;

/// For so many decisions of a service room is made at a time.
const ROOM_STEP: usize = 4;

/// A decision that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number: larger than that of every decision before it.
    pub number: u64,
    /// In which life.
    pub generation: Generation,
    /// When.
    pub at: WallTime,
    /// What.
    pub what: What,
}

/// The decisions about one service, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The service's place in the table.
    pub service: ServiceId,
    /// Its group.
    pub group: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The last decisions, the latest last.
    pub kept: Vec<Kept>,
}

/// A decision, and whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The service's place in the table.
    pub service: ServiceId,
    /// Its group.
    pub group: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The decision.
    pub kept: Kept,
}

/// The last decisions about all services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decisions {
    /// Those of the services that are in the table, by place.
    places: Vec<Option<History>>,
    /// Those of services that have left it; the latest last.
    gone: VecDeque<History>,
    /// The groups that are in the table.
    groups: HashSet<Arc<str>>,
    /// Groups that have left the table and are looked for all at once.
    leaving: HashSet<Arc<str>>,
    /// The number of the latest.
    last: u64,
}

impl Decisions {
    /// The number of the latest decision; 0 before the first one.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The number that the next decision gets. They begin with the time, so that those of a
    /// daemon that is started anew are larger than those of the one before.
    #[must_use]
    pub fn next(&self, microseconds: u64) -> u64 {
        microseconds.max(self.last + 1)
    }

    /// The decisions about the service at a place.
    #[must_use]
    pub fn of(&self, service: ServiceId) -> &[Kept] {
        self.history(service).map_or(&[], |history| &history.kept)
    }

    /// The service at a place and the decisions about it.
    #[must_use]
    pub fn history(&self, service: ServiceId) -> Option<&History> {
        self.places.get(service.0 as usize)?.as_ref()
    }

    /// The services that are in the table, by place.
    pub fn present(&self) -> impl Iterator<Item = &History> {
        self.places.iter().flatten()
    }

    /// All decisions that are kept and come after the one of this number, in order.
    #[must_use]
    pub fn after(&self, number: u64) -> Vec<Told> {
        let histories = self.present().chain(&self.gone);
        let mut all: Vec<Told> = histories
            .flat_map(|history| {
                let later = history.kept.iter().filter(|kept| kept.number > number);
                later.map(|kept| history.told(kept))
            })
            .collect();
        all.sort_unstable_by_key(|told| told.kept.number);
        all
    }

    /// The services that have left the table; the latest last.
    pub fn gone(&self) -> impl Iterator<Item = &History> {
        self.gone.iter()
    }

    /// Takes in whom a snapshot of the table has at which place.
    pub fn inhabit(&mut self, groups: &[Group]) {
        for group in groups {
            self.groups.insert(Arc::clone(&group.spec.name));
            for (service, spec) in group.members.iter().zip(&group.spec.services) {
                self.settle_at(*service, &group.spec.name, &spec.name);
            }
        }
    }

    /// Takes in a change of the table. What has left it stays where it was until
    /// [`Self::settle`]: many go at once.
    pub fn note(&mut self, record: &Record) {
        match record {
            Record::GroupAdded(group) => {
                // Whoever was cut off while it began adds what is there once more.
                if self.groups.contains(&group.spec.name) {
                    self.leaving.insert(Arc::clone(&group.spec.name));
                }
                self.settle();
                self.inhabit(std::slice::from_ref(group));
            }
            Record::MembersJoined { group, services, members } => {
                self.settle();
                for (service, spec) in members.iter().zip(services) {
                    self.settle_at(*service, group, &spec.name);
                }
            }
            Record::GroupRemoved(name) => {
                self.leaving.insert(Arc::clone(name));
            }
            Record::MemberLeft { service, .. } => self.retire(service.0 as usize),
            Record::Loaded(_)
            | Record::Edited { .. }
            | Record::Service(_)
            | Record::Mood(_)
            | Record::Ends(_)
            | Record::Replacement(_) => {}
        }
    }

    /// Brings the services of groups that have left the table to those that are gone.
    pub fn settle(&mut self) {
        let leaving = std::mem::take(&mut self.leaving);
        if leaving.is_empty() {
            return;
        }
        self.groups.retain(|group| !leaving.contains(group));
        for place in 0..self.places.len() {
            let history = self.places[place].as_ref();
            if history.is_some_and(|history| leaving.contains(&history.group)) {
                self.retire(place);
            }
        }
        while self.places.pop_if(|last| last.is_none()).is_some() {}
    }

    /// Keeps what was decided, behind the changes of the table that were decided with it, and
    /// hands it on to be written down and told.
    pub(super) fn keep_all(
        &mut self,
        decided: &mut Vec<Decision>,
        changes: &mut Changes,
        mut write: impl FnMut(&Entry),
    ) {
        if decided.is_empty() {
            return;
        }
        self.settle();
        let now = u64::try_from(clock::wall_nanoseconds() / 1000).unwrap_or(0);
        for decision in decided.drain(..) {
            let number = self.next(now);
            if let Some(history) = self.keep(number, &decision) {
                changes.note_decision(history);
            }
            write(&Entry::Decided(number, decision));
        }
    }

    /// Keeps a decision, and says about whom it is. One about a place that somebody has just
    /// left is about him.
    pub fn keep(&mut self, number: u64, decision: &Decision) -> Option<&History> {
        self.last = self.last.max(number);
        let present = self.places.get_mut(decision.service.0 as usize).and_then(Option::as_mut);
        let mut gone = self.gone.iter_mut().rev();
        let history = present.or_else(|| gone.find(|gone| gone.service == decision.service));
        let history = history?;
        let Decision { generation, at, ref what, .. } = *decision;
        history.push(Kept { number, generation, at, what: what.clone() });
        Some(history)
    }

    /// Takes back what a snapshot says of a service that is in the table.
    pub(super) fn restore(&mut self, service: ServiceId, kept: Vec<Kept>) {
        if let Some(Some(history)) = self.places.get_mut(service.0 as usize) {
            history.kept = kept;
        }
    }

    /// Takes back what a snapshot says beside that.
    pub(super) fn restore_rest(&mut self, last: u64, gone: Vec<History>) {
        self.last = last;
        self.gone = gone.into();
    }

    /// Somebody takes a place. Nothing of a former service of that name counts any more.
    fn settle_at(&mut self, service: ServiceId, group: &Arc<str>, name: &Arc<str>) {
        self.gone.retain(|gone| (&gone.group, &gone.name) != (group, name));
        let place = service.0 as usize;
        if self.places.len() <= place {
            self.places.resize_with(place + 1, || None);
        }
        let (group, name) = (Arc::clone(group), Arc::clone(name));
        self.places[place] = Some(History { service, group, name, kept: Vec::new() });
    }

    fn retire(&mut self, place: usize) {
        let Some(history) = self.places.get_mut(place).and_then(Option::take) else { return };
        if self.gone.len() == GONE_MAX {
            self.gone.pop_front();
        }
        self.gone.push_back(history);
        while self.places.pop_if(|last| last.is_none()).is_some() {}
    }
}

impl History {
    /// What the service is called.
    #[must_use]
    pub fn label(&self) -> String {
        crate::names::namespec(&self.group, &self.name)
    }

    /// The latest decision.
    #[must_use]
    pub fn latest(&self) -> Option<Told> {
        self.kept.last().map(|kept| self.told(kept))
    }

    /// One of the decisions.
    fn told(&self, kept: &Kept) -> Told {
        let (group, name) = (Arc::clone(&self.group), Arc::clone(&self.name));
        Told { service: self.service, group, name, kept: kept.clone() }
    }

    /// Most services have decided nothing since they were started, and few have crashed
    /// more than once: room is made for a little at a time.
    fn push(&mut self, kept: Kept) {
        let length = self.kept.len();
        if length >= KEPT_MAX {
            self.kept.drain(..=length - KEPT_MAX);
        } else if length == self.kept.capacity() {
            self.kept.reserve_exact(ROOM_STEP);
        }
        self.kept.push(kept);
    }
}

#[cfg(test)]
mod tests {
    use bardo_core::ExitStatus;
    use bardo_core::decision::{Cause, Wish};

    use super::*;
    use crate::api::test_specs::{group, service};

    fn added(name: &str, members: &[u32]) -> Record {
        let names = ["a", "b", "c"].into_iter().take(members.len());
        let spec = group(name, names.map(|name| service(name, "/bin/cat")).collect());
        let members = members.iter().copied().map(ServiceId).collect();
        Record::GroupAdded(Group { spec, members })
    }

    fn decision(service: u32, generation: u32, what: What) -> Decision {
        let (service, generation) = (ServiceId(service), Generation(generation));
        Decision { service, generation, at: WallTime(7), what }
    }

    fn start(service: u32, generation: u32) -> Decision {
        decision(service, generation, What::Start(Cause::Crash))
    }

    fn remove(decisions: &mut Decisions, name: &str) {
        decisions.note(&Record::GroupRemoved(name.into()));
        decisions.settle();
    }

    fn labels<'a>(histories: impl Iterator<Item = &'a History>) -> Vec<String> {
        histories.map(History::label).collect()
    }

    #[test]
    fn the_last_twenty_of_each_service_are_kept_in_order() {
        let mut decisions = Decisions::default();
        decisions.note(&added("g", &[0, 1]));

        for number in 1..=50 {
            decisions.keep(number, &start(0, u32::try_from(number).unwrap()));
        }
        decisions.keep(51, &start(1, 1));

        let numbers: Vec<u64> = decisions.of(ServiceId(0)).iter().map(|kept| kept.number).collect();
        assert_eq!(numbers, (31..=50).collect::<Vec<_>>());
        assert_eq!(decisions.of(ServiceId(1)).len(), 1);
        assert_eq!(decisions.places[0].as_ref().unwrap().kept.capacity(), KEPT_MAX);
        assert_eq!(decisions.places[1].as_ref().unwrap().kept.capacity(), 4);
    }

    #[test]
    fn a_service_that_was_started_once_costs_a_quarter_of_a_kilobyte() {
        let mut decisions = Decisions::default();
        decisions.note(&added("g", &[0]));
        decisions.keep(1, &start(0, 1));
        decisions.keep(2, &decision(0, 1, What::Executed));

        let kept = decisions.history(ServiceId(0)).unwrap().kept.capacity() * size_of::<Kept>();
        let cost = kept + size_of::<Option<History>>();
        assert!(cost <= 256, "{cost} bytes, of which {kept} are decisions");
    }

    #[test]
    fn numbers_follow_the_time_and_never_repeat() {
        let mut decisions = Decisions::default();
        decisions.note(&added("g", &[0]));
        assert_eq!(decisions.next(1000), 1000);

        decisions.keep(1000, &start(0, 1));

        assert_eq!(decisions.next(1000), 1001);
        assert_eq!(decisions.next(5), 1001, "the clock was set back");
        assert_eq!(decisions.next(2000), 2000);
    }

    #[test]
    fn what_has_left_the_table_is_known_until_its_name_is_used_again() {
        let mut decisions = Decisions::default();
        decisions.note(&added("g", &[0, 1]));
        decisions.keep(1, &start(0, 1));

        // It is decided in one breath with the end of the group.
        decisions.note(&Record::GroupRemoved("g".into()));
        decisions.settle();
        decisions.keep(2, &decision(0, 1, What::Stopped(ExitStatus::Code(0))));
        decisions.note(&added("h", &[0]));
        decisions.keep(3, &decision(0, 2, What::Stop(Wish::Client)));

        assert_eq!(labels(decisions.present()), ["h:a"]);
        assert_eq!(labels(decisions.gone()), ["g:a", "g:b"]);
        let numbers = |history: &History| history.kept.iter().map(|kept| kept.number).collect();
        let told: Vec<Vec<u64>> = decisions.gone().map(numbers).collect();
        assert_eq!(told, [vec![1, 2], vec![]]);

        decisions.note(&added("g", &[5]));

        assert_eq!(labels(decisions.gone()), ["g:b"]);
        assert_eq!(decisions.of(ServiceId(5)), []);
    }

    #[test]
    fn of_those_that_are_gone_the_last_are_known() {
        let mut decisions = Decisions::default();
        for place in 0..40 {
            decisions.note(&added(&format!("g{place}"), &[place]));
        }

        for place in 0..40 {
            remove(&mut decisions, &format!("g{place}"));
        }

        let known = labels(decisions.gone());
        assert_eq!((known.len(), &*known[0], &*known[31]), (GONE_MAX, "g8:a", "g39:a"));
        assert_eq!(decisions.places.len(), 0);
    }

    #[test]
    fn a_group_that_is_added_once_more_is_there_once() {
        let mut decisions = Decisions::default();
        decisions.note(&added("g", &[0, 1]));

        decisions.note(&added("g", &[2]));

        assert_eq!(labels(decisions.present()), ["g:a"]);
        assert_eq!(labels(decisions.gone()), ["g:b"]);
        assert_eq!(decisions.history(ServiceId(0)), None);
    }

    #[test]
    fn a_member_leaves_alone() {
        let mut decisions = Decisions::default();
        decisions.note(&added("g", &[0, 1]));
        decisions.keep(1, &start(1, 1));

        decisions.note(&Record::MemberLeft { group: "g".into(), service: ServiceId(1) });

        assert_eq!(labels(decisions.present()), ["g:a"]);
        assert_eq!(labels(decisions.gone()), ["g:b"]);
    }

    #[test]
    fn a_decision_about_nobody_is_not_kept() {
        let mut decisions = Decisions::default();

        decisions.keep(9, &start(3, 1));

        assert_eq!((decisions.last(), decisions.of(ServiceId(3))), (9, &[][..]));
    }
}
