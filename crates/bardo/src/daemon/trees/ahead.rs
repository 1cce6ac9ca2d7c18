//! What is made for the next life of a service while the present one runs, so that one that
//! crashes does not wait for it: the leaf of the next life, with its limits, and what tells
//! at once that nobody is left in that of the present one.
//!
//! Nobody needs any of this. What is not there, or does not fit any more, is made when it is
//! wanted; so a supervisor that has just begun has nothing here, and descriptors that are
//! short are had from here first. It is made once for each life, when nothing else is to be
//! done, and stays as it is until that life is over.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;

use bardo_core::spec::care::Confinement;
use bardo_core::{Generation, ServiceId};
use bardo_sys::cgroup::{Leaf, Root};

use super::super::children::Life;
use super::limits;

/// For how many lives it is made at a time: who crashes meanwhile waits for less than a
/// millisecond.
const AT_A_TIME: usize = 8;

/// How many leaves are open before anybody is born in them. That is quicker than to open one
/// then, and more of them do not end at a time that anybody could tell.
const OPEN_MAX: usize = 64;

/// The part of all descriptors that is left to others, and at most so many.
const LEFT_PART: u64 = 4;
const LEFT_MOST: u64 = 256;

/// What is made ahead, and what is to be.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    wishes: BTreeMap<ServiceId, Wish>,
    spares: HashMap<ServiceId, Spare>,
    watched: HashMap<ServiceId, Watched>,
    /// How many spares are open.
    open: usize,
    /// What has told that, and is closed when nobody waits.
    over: Vec<File>,
}

/// What the present life of a service was born to.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) life: Life,
    pub(super) label: Box<str>,
    pub(super) confinement: Arc<Confinement>,
    /// Its leaf, until it is watched.
    pub(super) leaf: Option<Leaf>,
    /// Whether another life may follow.
    pub(super) returns: bool,
}

/// The leaf of a life that may follow.
#[derive(Debug)]
struct Spare {
    wish: Wish,
    leaf: Leaf,
    /// Its directory, where it is open already. Whoever removes the leaf does not close that:
    /// who is to be born in it then cannot be.
    directory: Option<OwnedFd>,
    /// What of its limits is not enforced.
    refused: Vec<String>,
    /// Which controllers leaves had when it was made.
    controllers: u8,
}

/// What tells whether anybody is left of a life.
#[derive(Debug)]
struct Watched {
    life: Life,
    leaf: Leaf,
    events: File,
}

impl Ahead {
    /// A life was born: what belongs to it, and to the one that may follow, is made later.
    pub(super) fn want(&mut self, wish: Wish) {
        self.watched.remove(&wish.life.service);
        self.wishes.insert(wish.life.service, wish);
        if self.over.len() > OPEN_MAX {
            self.over.clear();
        }
    }

    /// Takes the leaf of a life that was made ahead, with its directory and what of its
    /// limits is not enforced. Nothing where none was made or what it was made for is not
    /// so any more.
    ///
    /// # Errors
    /// What opening it says: ENOENT when somebody has removed it.
    pub(super) fn take(
        &mut self,
        (life, label): (Life, &str),
        confinement: &Confinement,
        root: &Root,
    ) -> Option<io::Result<(Leaf, OwnedFd, Vec<String>)>> {
        let spare = self.spares.remove(&life.service)?;
        let Spare { wish, leaf, directory, refused, controllers } = spare;
        self.open -= usize::from(directory.is_some());
        let is_meant = next(wish.life) == life && *wish.label == *label;
        if is_meant && *wish.confinement == *confinement && controllers == root.controllers() {
            let opened = directory.map_or_else(|| leaf.open(), Ok);
            return Some(opened.map(|directory| (leaf, directory, refused)));
        }
        // One that cannot be removed goes with the daemon.
        let _ = leaf.remove_if_empty();
        None
    }

    /// The leaf of a life that was watched, if nobody is left in it.
    pub(super) fn empty_leaf(&mut self, life: Life) -> Option<Leaf> {
        let watched = self.watched.remove(&life.service)?;
        let is_over = watched.life == life && Leaf::is_empty_in(&watched.events);
        self.over.push(watched.events);
        is_over.then_some(watched.leaf)
    }

    /// A service was edited: what was made for it as it was is made anew. Returns what is
    /// not wanted any more.
    pub(super) fn edited(
        &mut self,
        service: ServiceId,
        label: &str,
        confinement: &Arc<Confinement>,
        returns: bool,
    ) -> Option<Leaf> {
        let spare = self.spares.get(&service).map(|spare| &spare.wish);
        let mut wish = self.wishes.get(&service).or(spare)?.clone();
        let is_same = *wish.label == *label && wish.confinement == *confinement;
        if is_same && wish.returns == returns {
            return None;
        }
        (wish.label, wish.confinement, wish.returns) =
            (label.into(), Arc::clone(confinement), returns);
        self.wishes.insert(service, wish);
        self.drop_spare(service)
    }

    /// Forgets what follows a life, because nothing does. Returns what is not wanted any more.
    pub(super) fn forget_next(&mut self, service: ServiceId) -> Option<Leaf> {
        self.wishes.remove(&service);
        self.drop_spare(service)
    }

    fn drop_spare(&mut self, service: ServiceId) -> Option<Leaf> {
        let spare = self.spares.remove(&service)?;
        self.open -= usize::from(spare.directory.is_some());
        Some(spare.leaf)
    }

    /// Forgets a service. Returns what is not wanted any more.
    pub(super) fn forget(&mut self, service: ServiceId) -> Option<Leaf> {
        self.watched.remove(&service);
        self.forget_next(service)
    }

    /// Closes what is open of it; whether anything was.
    pub(super) fn give_up(&mut self) -> bool {
        let had = self.open > 0 || !self.watched.is_empty();
        self.watched.clear();
        self.over.clear();
        self.spares.values_mut().for_each(|spare| spare.directory = None);
        self.open = 0;
        had
    }

    /// Closes what has told of lives that are over.
    pub(super) fn close_over(&mut self) {
        self.over.clear();
    }

    /// Whether something is to be made.
    pub(super) fn has_wishes(&self) -> bool {
        !self.wishes.is_empty()
    }

    /// Makes what is to be made, a part of it where that is much, with descriptors below this
    /// number.
    pub(super) fn make(&mut self, root: &Root, below: RawFd) {
        for _ in 0..AT_A_TIME {
            let Some((service, mut wish)) = self.wishes.pop_first() else { return };
            if let Some(leaf) = wish.leaf.take()
                && let Ok(events) = leaf.events()
                && events.as_raw_fd() < below
            {
                self.watched.insert(service, Watched { life: wish.life, leaf, events });
            }
            if wish.returns
                && let Some(mut spare) = Spare::new(wish, root)
            {
                let directory = spare.leaf.open().ok().filter(|_| self.open < OPEN_MAX);
                spare.directory = directory.filter(|file| file.as_raw_fd() < below);
                self.open += usize::from(spare.directory.is_some());
                self.drop_spare(service);
                self.spares.insert(service, spare);
            }
        }
    }
}

impl Spare {
    /// Makes the leaf of the life that follows. Where that cannot be had it is made when it
    /// is needed, and then people read why.
    fn new(wish: Wish, root: &Root) -> Option<Self> {
        let leaf = root.leaf(&wish.label, next(wish.life).to_number()).ok()?;
        let Ok(refused) = limits::set(root, &leaf, &limits::asked(&wish.confinement)) else {
            let _ = leaf.remove_if_empty();
            return None;
        };
        limits::weigh(root, &leaf, wish.confinement.nice);
        let controllers = root.controllers();
        Some(Self { wish, leaf, directory: None, refused, controllers })
    }
}

/// The life that follows.
fn next(Life { service, generation: Generation(number) }: Life) -> Life {
    Life { service, generation: Generation(number.wrapping_add(1)) }
}

/// The number from which on descriptors are left to others, where there are at most so many.
pub(in crate::daemon) fn left_from(descriptors: u64) -> RawFd {
    let left = (descriptors / LEFT_PART).min(LEFT_MOST);
    RawFd::try_from(descriptors - left).unwrap_or(RawFd::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: ServiceId = ServiceId(7);
    const FIRST: Life = Life { service: SERVICE, generation: Generation(3) };
    const SECOND: Life = Life { service: SERVICE, generation: Generation(4) };

    /// A place for leaves, what was made there after the first life was born, and the leaf
    /// of that. Not everybody may make cgroups, and not everywhere.
    fn scene(name: &str, returns: bool) -> Option<(Root, Ahead, Leaf)> {
        let root = Root::open(&format!("bardo-ahead-{name}-{}", std::process::id())).ok()?;
        let leaf = root.leaf("web", FIRST.to_number()).unwrap();
        let mut ahead = Ahead::default();
        let (label, confinement) = ("web".into(), Arc::default());
        let wish = Wish { life: FIRST, label, confinement, leaf: Some(leaf.clone()), returns };
        ahead.want(wish);
        assert!(ahead.has_wishes());
        ahead.make(&root, RawFd::MAX);
        assert!(!ahead.has_wishes());
        Some((root, ahead, leaf))
    }

    fn of_second(root: &Root) -> Leaf {
        root.find("web", SECOND.to_number())
    }

    fn limited() -> Confinement {
        Confinement { pids_max: Some(7), ..Confinement::default() }
    }

    #[test]
    fn the_next_life_is_born_in_the_leaf_that_was_made_ahead() {
        let Some((root, mut ahead, _)) = scene("next", true) else { return };
        assert!(of_second(&root).path().is_dir());

        let taken = ahead.take((SECOND, "web"), &Confinement::default(), &root);

        let (leaf, ..) = taken.unwrap().unwrap();
        assert_eq!(leaf, of_second(&root));
        assert!(ahead.take((SECOND, "web"), &Confinement::default(), &root).is_none(), "once");
        root.remove();
    }

    #[test]
    fn a_leaf_that_was_made_for_something_else_is_removed_and_not_used() {
        let third = Life { generation: Generation(5), ..SECOND };
        let other = limited();
        let cases = [
            (third, "web", &Confinement::default()),
            (SECOND, "gauge", &Confinement::default()),
            (SECOND, "web", &other),
        ];
        for (life, label, confinement) in cases {
            let Some((root, mut ahead, _)) = scene("else", true) else { return };

            assert!(ahead.take((life, label), confinement, &root).is_none(), "{label}");

            assert!(!of_second(&root).path().exists());
            root.remove();
        }
    }

    #[test]
    fn a_leaf_that_somebody_has_removed_is_made_by_whoever_wants_it() {
        let Some((root, mut ahead, _)) = scene("gone", true) else { return };
        of_second(&root).remove().unwrap();
        ahead.give_up();

        let taken = ahead.take((SECOND, "web"), &Confinement::default(), &root).unwrap();

        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::NotFound);
        root.remove();
    }

    #[test]
    fn nothing_is_made_for_what_does_not_return() {
        let Some((root, mut ahead, leaf)) = scene("once", false) else { return };

        assert!(!of_second(&root).path().exists());
        assert_eq!(ahead.empty_leaf(FIRST), Some(leaf), "its end is watched all the same");
        root.remove();
    }

    #[test]
    fn what_is_edited_is_made_anew_and_what_is_not_stays() {
        let Some((root, mut ahead, _)) = scene("edited", true) else { return };

        assert_eq!(ahead.edited(SERVICE, "web", &Arc::default(), true), None);
        assert!(!ahead.has_wishes());
        let former = ahead.edited(SERVICE, "web", &Arc::new(limited()), true);

        assert_eq!(former, Some(of_second(&root)));
        assert!(ahead.has_wishes());
        ahead.make(&root, RawFd::MAX);
        assert!(ahead.take((SECOND, "web"), &limited(), &root).is_some());
        root.remove();
    }

    #[test]
    fn a_life_is_known_to_be_over_while_its_leaf_is_watched() {
        let Some((root, mut ahead, leaf)) = scene("over", true) else { return };

        assert_eq!(ahead.empty_leaf(SECOND), None, "another one");
        assert_eq!(ahead.empty_leaf(FIRST), None, "it is watched no more");
        ahead.want(Wish {
            life: FIRST,
            label: "web".into(),
            confinement: Arc::default(),
            leaf: Some(leaf.clone()),
            returns: true,
        });
        ahead.make(&root, RawFd::MAX);
        assert_eq!(ahead.empty_leaf(FIRST), Some(leaf));
        root.remove();
    }

    #[test]
    fn somebody_who_is_left_is_seen() {
        let Some((root, mut ahead, leaf)) = scene("left", true) else { return };
        let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
        std::fs::write(leaf.path().join("cgroup.procs"), child.id().to_string()).unwrap();

        assert_eq!(ahead.empty_leaf(FIRST), None);

        child.kill().unwrap();
        child.wait().unwrap();
        assert!(leaf.becomes_empty(std::time::Duration::from_secs(60)));
        root.remove();
    }

    #[test]
    fn short_descriptors_are_left_to_others() {
        let Some((root, mut ahead, leaf)) = scene("short", true) else { return };

        assert!(ahead.give_up());
        assert!(!ahead.give_up());
        assert!(of_second(&root).path().is_dir(), "that needs none");
        let (label, confinement) = ("web".into(), Arc::default());
        ahead.want(Wish { life: FIRST, label, confinement, leaf: Some(leaf), returns: true });
        ahead.make(&root, 0);
        assert!(!ahead.give_up());
        root.remove();
        assert_eq!([left_from(1024), left_from(100), left_from(20_000)], [768, 75, 19_744]);
    }
}
