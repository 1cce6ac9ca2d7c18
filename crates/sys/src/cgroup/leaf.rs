//! A leaf: the cgroup of one life.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::is_shortage;
use crate::process;

/// How often the processes of a leaf are looked for when the kernel does not kill them all
/// at once. The leaf is frozen meanwhile, so the second look is mostly the last one.
const LOOKS_MAX: usize = 64;

/// The cgroup of one life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    path: PathBuf,
}

impl Leaf {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Opens its directory, for somebody to be born in it.
    ///
    /// # Errors
    /// What `open` says: ENOENT when it is not there.
    pub fn open(&self) -> io::Result<OwnedFd> {
        Ok(File::open(&self.path)?.into())
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Kills everybody in it and below it. Does not wait until they are gone.
    ///
    /// # Errors
    /// When they cannot be killed; the kernel's word for it.
    pub fn kill(&self) -> io::Result<()> {
        match super::write(&self.path.join("cgroup.kill"), "1") {
            Ok(()) => Ok(()),
            // Linux 5.14 has brought it.
            Err(_) => self.kill_each(),
        }
    }

    pub(super) fn kill_each(&self) -> io::Result<()> {
        // Who is frozen begets nobody, and dies of this signal all the same.
        let freeze = self.path.join("cgroup.freeze");
        let _ = super::write(&freeze, "1");
        let mut killed = BTreeSet::new();
        let mut result = Ok(());
        for _ in 0..LOOKS_MAX {
            let there = match self.processes() {
                Ok(there) => there,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            let new: Vec<u32> = there.into_iter().filter(|pid| killed.insert(*pid)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                if let Err(error) = self.kill_one(pid) {
                    result = Err(error);
                }
            }
        }
        let _ = super::write(&freeze, "0");
        result
    }

    /// Kills a process if it is here: its number may have become another one's.
    fn kill_one(&self, pid: u32) -> io::Result<()> {
        let pidfd = match process::open(pid) {
            Ok(pidfd) => pidfd,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.processes()?.contains(&pid) {
            process::signal(pidfd.as_fd(), libc::SIGKILL)?;
        }
        Ok(())
    }

    /// The processes in it and below it.
    ///
    /// # Errors
    /// For want of descriptors or memory: then there may be others.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        collect(&self.path, &mut found)?;
        Ok(found)
    }

    /// Whether anybody is in it or below it.
    ///
    /// # Errors
    /// What reading says; `InvalidData` when it is not told.
    pub fn is_populated(&self) -> io::Result<bool> {
        let text = fs::read_to_string(self.path.join("cgroup.events"))?;
        Ok(value_of(&text, "populated").ok_or(io::ErrorKind::InvalidData)? != 0)
    }

    /// A descriptor that is ready ([`crate::poller::Interest::Changed`]) when it may have
    /// become empty. It must be read before it is waited for again: [`Self::is_empty_in`].
    ///
    /// # Errors
    /// What `open` says.
    pub fn events(&self) -> io::Result<File> {
        File::open(self.path.join("cgroup.events"))
    }

    /// Whether the cgroup behind such a descriptor is empty, or gone.
    #[must_use]
    pub fn is_empty_in(events: &File) -> bool {
        let mut bytes = [0; 256];
        match rustix::io::pread(events, &mut bytes, 0) {
            Ok(length) => {
                let text = std::str::from_utf8(&bytes[..length]).unwrap_or("");
                value_of(text, "populated") == Some(0)
            }
            Err(errno) => errno == Errno::NODEV,
        }
    }

    /// Waits until nobody is in it or below it, this long at most; whether that is so.
    /// Blocks.
    #[must_use]
    pub fn becomes_empty(&self, within: Duration) -> bool {
        let Ok(events) = self.events() else { return true };
        let until = Instant::now() + within;
        while !Self::is_empty_in(&events) {
            let left = until.saturating_duration_since(Instant::now());
            let mut changed = [PollFd::new(&events, PollFlags::PRI)];
            let span = Timespec::try_from(left).unwrap_or_default();
            if left.is_zero() || poll(&mut changed, Some(&span)) == Err(Errno::INVAL) {
                return Self::is_empty_in(&events);
            }
        }
        true
    }

    /// How many in it were killed because its memory was used up; `None` where the
    /// kernel does not count.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        value_of(&fs::read_to_string(self.path.join("memory.events")).ok()?, "oom_kill")
    }

    /// Removes it if nobody is in it and nothing was made below it; whether it was. What
    /// is left of its label goes with [`Self::remove`].
    #[must_use]
    pub fn remove_if_empty(&self) -> bool {
        fs::remove_dir(&self.path).is_ok()
    }

    /// Removes it, and what was made below it; that of its label stays.
    pub(super) fn clear(&self) -> io::Result<()> {
        remove_below(&self.path);
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes it, and what was made below it. That of its label goes with the last leaf.
    ///
    /// # Errors
    /// EBUSY when somebody is in it.
    pub fn remove(&self) -> io::Result<()> {
        self.clear()?;
        if let Some(folder) = self.path.parent() {
            // Another life may have its leaf there.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

/// The processes of a cgroup, without those below.
pub(super) fn processes_of(folder: &Path) -> Vec<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    numbers(&text).collect()
}

fn numbers(text: &str) -> impl Iterator<Item = u32> {
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid != 0)
}

/// Finds the processes of a cgroup and of those below it. One that is removed meanwhile has
/// none.
fn collect(folder: &Path, found: &mut Vec<u32>) -> io::Result<()> {
    let unless_gone = |error: io::Error| if is_shortage(&error) { Err(error) } else { Ok(()) };
    match fs::read_dir(folder) {
        Ok(entries) => {
            let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|it| it.is_dir());
            for entry in entries.flatten().filter(is_folder) {
                collect(&entry.path(), found)?;
            }
        }
        Err(error) => unless_gone(error)?,
    }
    match fs::read_to_string(folder.join("cgroup.procs")) {
        Ok(text) => found.extend(numbers(&text)),
        Err(error) => unless_gone(error)?,
    }
    Ok(())
}

/// Calls `each` with every cgroup below this one, and with this one, the lowest first.
fn each_below(folder: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            each_below(&entry.path(), each);
        }
    }
    each(folder);
}

/// Removes all empty cgroups below this one.
pub(super) fn remove_below(folder: &Path) {
    each_below(folder, &mut |path| {
        if path != folder {
            let _ = fs::remove_dir(path);
        }
    });
}

fn value_of(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == key)?.1.parse().ok()
}
