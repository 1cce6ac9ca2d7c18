//! Where in the trees of cgroups this process is, and what may be done there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::facility::{Facility, Verdict, why};

/// What version 1 of cgroups says where there is no limit.
const NO_LIMIT: u64 = 1 << 60;

/// A cgroup of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    /// The top of what can be seen of its tree.
    top: PathBuf,
}

/// The cgroups of this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Places {
    /// In the tree of version 2.
    unified: Option<Place>,
    /// In trees of version 1, by controller.
    separate: BTreeMap<String, Place>,
}

/// A limit, and how much of it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) limit: u64,
    pub(super) used: u64,
}

impl Places {
    /// Those of this process, as far as /proc tells.
    pub(super) fn of_this_process() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::read(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
    }

    fn read(cgroups: &str, mounts: &str) -> Self {
        let mut places = Self::default();
        let paths: BTreeMap<&str, &str> = cgroups
            .lines()
            .filter_map(|line| line.split_once(':')?.1.split_once(':'))
            .flat_map(|(names, path)| names.split(',').map(move |name| (name, path)))
            .collect();
        for line in mounts.lines() {
            let Some(mount) = Mount::read(line) else { continue };
            if mount.kind == "cgroup2"
                && let Some(path) = paths.get("")
            {
                places.unified = Some(mount.place(path));
            }
            for name in mount.options.split(',').filter(|_| mount.kind == "cgroup") {
                if let Some(path) = paths.get(name) {
                    places.separate.insert(name.to_owned(), mount.place(path));
                }
            }
        }
        places
    }

    /// The smallest limit on something, from our cgroup up to the top of its tree.
    pub(super) fn bound(&self, controller: &str, new: [&str; 2], old: [&str; 2]) -> Option<Bound> {
        let (place, [limit, used]) = match self.separate.get(controller) {
            Some(place) => (place, old),
            None => (self.unified.as_ref()?, new),
        };
        let within = place.directory.ancestors().take_while(|path| path.starts_with(&place.top));
        let bounds = within.filter_map(|directory| {
            let limit = number(&directory.join(limit)).filter(|limit| *limit < NO_LIMIT)?;
            Some(Bound { limit, used: number(&directory.join(used)).unwrap_or(0) })
        });
        bounds.min_by_key(|bound| bound.limit.saturating_sub(bound.used))
    }
}

/// A line of `mountinfo`.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (head, tail) = line.split_once(" - ")?;
        let mut head = head.split(' ').skip(3);
        let mut tail = tail.split(' ');
        let (root, point) = (head.next()?, head.next()?);
        Some(Self { root, point, kind: tail.next()?, options: tail.nth(1)? })
    }

    /// Where a cgroup lies. What lies outside of what is mounted is its top.
    fn place(&self, path: &str) -> Place {
        let below = Path::new(path).strip_prefix(self.root).unwrap_or(Path::new(""));
        let top = PathBuf::from(self.point);
        let is_top = path.contains("/..") || below.as_os_str().is_empty();
        let directory = if is_top { top.clone() } else { top.join(below) };
        Place { directory, top }
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

const UNUSED: &str =
    "Nothing: this version ends programs by signals to their process groups, not by cgroups.";

/// What may be done with cgroups of version 2: one is made, tried and removed.
pub(super) fn facilities(places: &Places) -> [Facility; 3] {
    const NAMES: [&str; 3] = ["cgroup-v2", "cgroup-kill", "cgroup-freeze"];
    let Some(place) = &places.unified else {
        return NAMES.map(|name| Facility::useful(name, Verdict::Refused, "not mounted", UNUSED));
    };
    let mine = place.directory.join(format!("bardo-doctor-{}", std::process::id()));
    if let Err(error) = fs::create_dir(&mine) {
        let shown = format!("{}: {}", place.directory.display(), why(&error));
        return NAMES.map(|name| Facility::useful(name, Verdict::Refused, &*shown, UNUSED));
    }
    let of = |name, tried: io::Result<()>| match tried {
        Ok(()) => Facility::useful(name, Verdict::Offered, "", UNUSED),
        Err(error) => Facility::useful(name, Verdict::Refused, why(&error), UNUSED),
    };
    // Nobody is in it.
    let tried = [
        of(NAMES[0], Ok(())),
        of(NAMES[1], fs::write(mine.join("cgroup.kill"), "1")),
        of(NAMES[2], fs::write(mine.join("cgroup.freeze"), "1")),
    ];
    let _ = fs::remove_dir(&mine);
    tried
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
23 1 0:21 / /proc rw - proc proc rw
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn controllers_of_both_versions_are_found() {
        let places = Places::read("4:memory:/a/b\n0::/c\n", MOUNTS);

        let directory = |place: &Place| place.directory.display().to_string();
        assert_eq!(places.unified.as_ref().map(directory).unwrap(), "/sys/fs/cgroup/unified/c");
        assert_eq!(directory(&places.separate["memory"]), "/sys/fs/cgroup/memory/a/b");
    }

    #[test]
    fn a_container_sees_the_top_of_its_own_tree() {
        let mounts = "41 31 0:38 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        for (path, expected) in
            [("/docker/x/y", "/sys/fs/cgroup/y"), ("/../other", "/sys/fs/cgroup")]
        {
            let places = Places::read(&format!("0::{path}\n"), mounts);

            assert_eq!(places.unified.unwrap().directory, PathBuf::from(expected), "{path}");
        }
    }

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
        let places = Places { unified: Some(Place { directory: own, top }), ..Places::default() };
        let files = ["pids.max", "pids.current"];

        assert_eq!(places.bound("pids", files, files), Some(Bound { limit: 120, used: 110 }));
    }
}
