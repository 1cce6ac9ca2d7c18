//! Which limits our cgroups have, and what may be done with cgroups.

use std::fs;
use std::path::Path;

use bardo_sys::cgroup::{Controller, Places};

use super::facility::{Facility, Verdict, why};

/// What version 1 of cgroups says where there is no limit.
const NO_LIMIT: u64 = 1 << 60;

/// A limit, and how much of it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) limit: u64,
    pub(super) used: u64,
}

/// The smallest limit on something, from our cgroup up to the top of its tree.
pub(super) fn bound(
    places: &Places,
    controller: &str,
    new: [&str; 2],
    old: [&str; 2],
) -> Option<Bound> {
    let (place, [limit, used]) = match places.separate.get(controller) {
        Some(place) => (place, old),
        None => (places.unified.as_ref()?, new),
    };
    let within = place.directory.ancestors().take_while(|path| path.starts_with(&place.top));
    let bounds = within.filter_map(|directory| {
        let limit = number(&directory.join(limit)).filter(|limit| *limit < NO_LIMIT)?;
        Some(Bound { limit, used: number(&directory.join(used)).unwrap_or(0) })
    });
    bounds.min_by_key(|bound| bound.limit.saturating_sub(bound.used))
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A thing that is tried with a cgroup: its name, what follows where it is offered, and
/// where it is refused.
type Row = (&'static str, &'static str, &'static str);

const ROWS: [Row; 3] = [
    (
        "cgroup-v2",
        "Each life of a service has a cgroup of its own.",
        "What a service has started is found by its session; who leaves that is not found.",
    ),
    (
        "cgroup-kill",
        "All that a service has started ends at once.",
        "What a service has started is ended one by one.",
    ),
    (
        "cgroup-freeze",
        "Nobody begets children while they are ended one by one.",
        "Nothing, where cgroup-kill is offered.",
    ),
];

/// What may be done with cgroups of version 2: one is made, tried and removed.
pub(super) fn facilities(places: &Places) -> [Facility; 4] {
    let [v2, kill, freeze] = tried(places);
    [v2, kill, freeze, controllers(places)]
}

fn tried(places: &Places) -> [Facility; 3] {
    let refused = |reason: &str| {
        ROWS.map(|(name, _, follows)| Facility::useful(name, Verdict::Refused, reason, follows))
    };
    let Some(place) = &places.unified else { return refused("not mounted") };
    let mine = place.directory.join(format!("bardo-doctor-{}", std::process::id()));
    if let Err(error) = fs::create_dir(&mine) {
        return refused(&format!("{}: {}", place.directory.display(), why(&error)));
    }
    // Nobody is in it.
    let results = [
        Ok(()),
        fs::write(mine.join("cgroup.kill"), "1"),
        fs::write(mine.join("cgroup.freeze"), "1"),
    ];
    let _ = fs::remove_dir(&mine);
    let mut rows = ROWS.into_iter();
    results.map(|result| {
        let (name, offered, refused) = rows.next().unwrap_or(ROWS[0]);
        match result {
            Ok(()) => Facility::useful(name, Verdict::Offered, "", offered),
            Err(error) => Facility::useful(name, Verdict::Refused, why(&error), refused),
        }
    })
}

/// Which limits services can have.
fn controllers(places: &Places) -> Facility {
    const NAME: &str = "cgroup-controllers";
    let Some(place) = &places.unified else {
        let follows = "Limits on services have no effect.";
        return Facility::useful(NAME, Verdict::Refused, "not mounted", follows);
    };
    let text = fs::read_to_string(place.directory.join("cgroup.controllers")).unwrap_or_default();
    let given = |controller: &Controller| text.split_whitespace().any(|it| it == controller.name());
    let (there, missing): (Vec<_>, Vec<_>) = Controller::ALL.into_iter().partition(given);
    let list = |controllers: &[Controller]| {
        controllers.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ")
    };
    if missing.is_empty() {
        let follows = "Services can have limits of memory, processes, processors and disks.";
        return Facility::useful(NAME, Verdict::Offered, list(&there), follows);
    }
    let is_old = |it: &Controller| places.separate.contains_key(it.old_name());
    let whose = if missing.iter().all(is_old) { "of version 1" } else { "not given to us" };
    let reason = format!("{} {whose}", list(&missing));
    let follows = "Limits of these have no effect; `service show` tells of it.";
    let verdict = if there.is_empty() { Verdict::Refused } else { Verdict::Limited };
    Facility::useful(NAME, verdict, reason, follows)
}

#[cfg(test)]
mod tests {
    use bardo_sys::cgroup::Place;

    use super::*;

    #[test]
    fn the_limit_that_leaves_least_counts_wherever_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().to_owned();
        let own = top.join("a/b");
        fs::create_dir_all(&own).unwrap();
        let write = |path: &Path, max: &str, current: &str| {
            fs::write(path.join("pids.max"), max).unwrap();
            fs::write(path.join("pids.current"), current).unwrap();
        };
        write(&own, "max\n", "3\n");
        write(&top.join("a"), "100\n", "10\n");
        write(&top, "120\n", "110\n");
        let places = Places {
            unified: Some(Place {
                directory: own,
                top,
                path: String::new(),
                top_path: String::new(),
            }),
            ..Places::default()
        };
        let files = ["pids.max", "pids.current"];

        assert_eq!(bound(&places, "pids", files, files), Some(Bound { limit: 120, used: 110 }));
    }

    #[test]
    fn controllers_that_are_not_to_be_had_are_named_with_their_owner() {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().to_owned();
        fs::write(own.join("cgroup.controllers"), "cpu pids\n").unwrap();
        let place = Place {
            top: own.clone(),
            directory: own,
            path: String::new(),
            top_path: String::new(),
        };
        let old =
            |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), place.clone())).collect();
        let mut places =
            Places { unified: Some(place.clone()), separate: old(&["memory", "blkio"]) };

        let found = controllers(&places);
        assert_eq!((found.verdict, &*found.reason), (Verdict::Limited, "memory, io of version 1"));

        places.separate = old(&["memory"]);
        assert_eq!(controllers(&places).reason, "memory, io not given to us");
        assert_eq!(controllers(&Places::default()).verdict, Verdict::Refused);
    }
}
