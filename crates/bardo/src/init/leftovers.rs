//! What is left of a service that has stopped, and how it is ended.
//!
//! A unit of systemd has a cgroup, which is looked at and emptied: the unit says that only
//! the keeper is ended by systemd, so that programs outlive a crash; a stop in the pause
//! before a restart finds no keeper, and systemd then leaves the programs where they are.
//! Elsewhere a new keeper is started, which finds out by itself what there is.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bardo_sys::channel::Reach;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::managed::folder::{DOOR, FORMER_DOOR};

use super::ground::Ground;
use super::pauses::Notes;
use super::reap;
use super::{Ended, InitError, InitSystem};

/// Where the tree is that systemd keeps its units in: version 2 alone, version 2 beside
/// version 1, version 1.
const TREES: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];

/// How long killed processes may take to be gone: one in a system call that cannot be
/// interrupted stays for as long as that lasts.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Ends all that is left in a unit's cgroup, and waits until it is gone.
///
/// # Errors
/// When something is left.
pub fn end(ground: &Ground, cgroup: &str) -> Result<(), InitError> {
    for directory in &directories(ground, cgroup) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = processes(directory);
            if left.is_empty() {
                break;
            }
            if Instant::now() >= deadline {
                let pids: Vec<String> = left.iter().map(ToString::to_string).collect();
                let text = format!(
                    "processes {} of its cgroup {} are left although they were killed",
                    pids.join(", "),
                    directory.display()
                );
                return Err(InitError::Failed(text));
            }
            kill(directory, &left);
            thread::sleep(LOOK_EVERY);
        }
    }
    Ok(())
}

/// Whether there are processes in a unit's cgroup beside those that only look after it.
pub fn are_there(ground: &Ground, cgroup: &str, name: &str) -> bool {
    let all = directories(ground, cgroup);
    all.iter().flat_map(|directory| processes(directory)).any(|pid| !reap::is_guardian(pid, name))
}

/// The directories of a cgroup in all trees.
fn directories(ground: &Ground, cgroup: &str) -> Vec<PathBuf> {
    let inside = cgroup.trim_start_matches('/');
    // The root of a tree is everybody's.
    if inside.is_empty() || inside.split('/').any(|part| part == "..") {
        return Vec::new();
    }
    let trees = TREES.iter().map(|tree| ground.at(tree).join(inside));
    trees.filter(|directory| directory.is_dir()).collect()
}

/// Has what a killed keeper has left taken over by a new one, and stops that: where there is
/// no cgroup, nobody else knows what belongs to the service.
///
/// # Errors
/// When that fails.
pub fn take_over(
    system: &dyn InitSystem,
    ground: &Ground,
    name: &str,
    stop: impl Fn(&Ground) -> Result<(), InitError>,
) -> Result<Ended, InitError> {
    if !ground.is_live() || !is_waiting(ground, name) {
        return Ok(Ended::Nothing);
    }
    if ground.is_this_machine() {
        // Nobody is to wait for that keeper, however often one has failed before.
        Notes::of(name).remove();
    }
    system.start(ground, name)?;
    stop(ground).map(|()| Ended::Leftovers)
}

/// Whether a supervisor waits for a keeper. It listens for one; what else is there was left.
fn is_waiting(ground: &Ground, name: &str) -> bool {
    let place = ground.at("/run").join(name);
    [DOOR, FORMER_DOOR].into_iter().any(|door| {
        let door = place.join(door);
        let connected = Reach::of(&door).and_then(|reach| UnixStream::connect(reach.path()));
        match connected {
            Ok(_) => true,
            // It is there, and is spoken to in another way.
            Err(error) => error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()),
        }
    })
}

/// Kills all of a cgroup at once, or one by one where the kernel has no word for that.
fn kill(directory: &Path, left: &[i32]) {
    let file = directory.join("cgroup.kill");
    if file.exists() && fs::write(&file, "1").is_ok() {
        return;
    }
    for pid in left.iter().copied().filter_map(Pid::from_raw) {
        // One that has ended meanwhile is what was wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// The processes of a cgroup and of those in it.
pub(super) fn processes(directory: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        // A process outside our name space has the number 0.
        let numbers = text.lines().filter_map(|line| line.parse::<i32>().ok());
        found.extend(numbers.filter(|pid| *pid > 0));
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(inner.map(|entry| entry.path()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_inner_cgroups_count_too() {
        let room = tempfile::tempdir().unwrap();
        let inner = room.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(room.path().join("cgroup.procs"), "7\n0\n").unwrap();
        fs::write(inner.join("cgroup.procs"), "8\n9\n").unwrap();

        let mut found = processes(room.path());
        found.sort_unstable();

        assert_eq!(found, [7, 8, 9]);
    }

    #[test]
    fn the_root_of_a_tree_is_never_emptied() {
        let room = tempfile::tempdir().unwrap();
        let ground = Ground::of(room.path(), room.path());
        let tree = ground.at("/sys/fs/cgroup");
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join("cgroup.procs"), "1\n").unwrap();
        fs::write(tree.join("cgroup.kill"), "").unwrap();

        for cgroup in ["", "/", "//", "/../..", "/a/../.."] {
            end(&ground, cgroup).unwrap();
        }

        assert_eq!(fs::read_to_string(tree.join("cgroup.kill")).unwrap(), "");
    }
}
