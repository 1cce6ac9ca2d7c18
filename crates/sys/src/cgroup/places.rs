//! Where in the trees of cgroups this process is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A cgroup of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its directory.
    pub directory: PathBuf,
    /// The top of what can be seen of its tree.
    pub top: PathBuf,
    /// Its path as `/proc` tells it of processes, without a slash at the end.
    pub path: String,
    /// That of the top.
    pub top_path: String,
}

/// The cgroups of this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// In the tree of version 2.
    pub unified: Option<Place>,
    /// In trees of version 1, by controller.
    pub separate: BTreeMap<String, Place>,
}

impl Places {
    /// Those of this process, as far as /proc tells.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::seen().unwrap_or_default()
    }

    /// The same.
    ///
    /// # Errors
    /// When it cannot be read for want of descriptors or memory.
    pub(super) fn seen() -> io::Result<Self> {
        let read = |path| match fs::read_to_string(path) {
            Err(error) if super::is_shortage(&error) => Err(error),
            text => Ok(text.unwrap_or_default()),
        };
        Ok(Self::read(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?))
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
        let below = Path::new(path).strip_prefix(self.root).ok();
        let below = below.filter(|_| !path.contains("/.."));
        let trimmed = |path: &str| path.trim_end_matches('/').to_owned();
        let top = PathBuf::from(self.point);
        let top_path = if below.is_some() { trimmed(self.root) } else { String::new() };
        match below.filter(|below| !below.as_os_str().is_empty()) {
            Some(below) => Place { directory: top.join(below), top, path: trimmed(path), top_path },
            None => Place { directory: top.clone(), top, path: top_path.clone(), top_path },
        }
    }
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
        for (path, expected, told) in [
            ("/docker/x/y", "/sys/fs/cgroup/y", "/docker/x/y"),
            ("/docker/x", "/sys/fs/cgroup", "/docker/x"),
            ("/../other", "/sys/fs/cgroup", ""),
        ] {
            let place = Places::read(&format!("0::{path}\n"), mounts).unified.unwrap();

            assert_eq!((place.directory, &*place.path), (PathBuf::from(expected), told), "{path}");
        }
    }
}
