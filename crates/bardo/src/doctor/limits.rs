//! Limits that this process meets, and for how many programs they are enough.

use std::fs;
use std::path::{Path, PathBuf};

use bardo_sys::limits::{self, Limit, Limited};
use bardo_sys::probe;

use bardo_sys::cgroup::Places;

use super::cgroup::bound;
use super::facility::{Facility, Verdict, why};
use crate::daemon::journal;
use crate::daemon::runtime::Runtime;

/// Programs for which limits should be enough: more than most files name.
const PROGRAMS: u64 = 500;

/// Descriptors that a program takes while it runs and is started, and what the daemon
/// takes for itself and for its clients.
const DESCRIPTORS_EACH: u64 = 6;
const DESCRIPTORS_OWN: u64 = 256;

/// Pipes of a program: standard input, output and error.
const PIPES_EACH: u64 = 3;

/// Pages of a pipe as the kernel makes it while a user has few.
const PIPE_PAGES: u64 = 16;

/// Bytes of memory below which little can be run beside the daemon.
const MEMORY_LOW: u64 = 256 << 20;

/// Bytes that the runtime directory needs: it holds a socket, and nothing grows in it.
const ROOM_LOW: u64 = 1 << 20;

/// All of them.
pub(super) fn all(places: &Places) -> Vec<Facility> {
    // Whoever may raise limits is free of several.
    let is_free = probe::raise_limits().is_ok();
    vec![
        descriptors(limits::get(Limited::Descriptors), is_free),
        processes(limits::get(Limited::Processes), is_free),
        pids(places),
        memory(places),
        pipes(is_free),
        overcommit(&read("/proc/sys/vm/overcommit_memory")),
        runtime_directory(&Runtime::usual()),
    ]
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// A number, or the word for none.
fn shown(limit: u64) -> String {
    if limit == u64::MAX { "no limit".to_owned() } else { limit.to_string() }
}

/// What is enough for so many programs.
fn enough_for(programs: u64) -> (Verdict, String) {
    let verdict = if programs < PROGRAMS { Verdict::Limited } else { Verdict::Offered };
    (verdict, format!("Enough for about {programs} programs."))
}

fn descriptors(limit: Limit, is_free: bool) -> Facility {
    let reason = format!("{}, at most {}", shown(limit.soft), shown(limit.hard));
    let (verdict, follows) = if is_free || limit.hard == u64::MAX {
        (Verdict::Offered, "The daemon raises its own limit as programs need it.".to_owned())
    } else {
        // The daemon raises it as far as it goes.
        enough_for(limit.hard.saturating_sub(DESCRIPTORS_OWN) / DESCRIPTORS_EACH)
    };
    Facility::useful("descriptors", verdict, reason, follows)
}

fn processes(limit: Limit, is_free: bool) -> Facility {
    let reason = shown(limit.soft);
    let (verdict, follows) = match limit.soft {
        _ if is_free => (Verdict::Offered, "It does not hold for this user.".to_owned()),
        u64::MAX => (Verdict::Offered, "It ends no start of a program.".to_owned()),
        soft if soft < PROGRAMS => {
            (Verdict::Limited, "All processes of this user together; further starts wait.".into())
        }
        _ => (Verdict::Offered, "All processes of this user together.".to_owned()),
    };
    Facility::useful("processes", verdict, reason, follows)
}

fn pids(places: &Places) -> Facility {
    let files = ["pids.max", "pids.current"];
    let Some(bound) = bound(places, "pids", files, files) else {
        let follows = "This cgroup ends no start of a program.";
        return Facility::useful("cgroup-pids", Verdict::Offered, "no limit", follows);
    };
    let left = bound.limit.saturating_sub(bound.used);
    let (verdict, follows) = match left {
        0 => (Verdict::Limited, "No program can be started until another process ends.".into()),
        left => enough_for(left),
    };
    let reason = format!("{} of {}", bound.used, bound.limit);
    Facility::useful("cgroup-pids", verdict, reason, follows)
}

fn memory(places: &Places) -> Facility {
    let new = ["memory.max", "memory.current"];
    let old = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
    let Some(bound) = bound(places, "memory", new, old) else {
        let follows = "Programs may use what the machine has.";
        return Facility::useful("cgroup-memory", Verdict::Offered, "no limit", follows);
    };
    let mebibytes = |bytes: u64| bytes >> 20;
    let low = bound.limit.saturating_sub(bound.used) < MEMORY_LOW;
    let verdict = if low { Verdict::Limited } else { Verdict::Offered };
    let reason = format!("{} of {} MiB", mebibytes(bound.used), mebibytes(bound.limit));
    let follows = "Who needs more is killed by the kernel; the daemon and its programs share it.";
    Facility::useful("cgroup-memory", verdict, reason, follows)
}

fn pipes(is_free: bool) -> Facility {
    let name = "pipe-memory";
    let bytes = match probe::pipe_bytes() {
        Ok(bytes) => bytes,
        Err(error) => {
            let follows = "No program can be started.";
            return Facility::useful(name, Verdict::Refused, why(&error), follows);
        }
    };
    let reason = format!("{} KiB a pipe", bytes >> 10);
    let page = rustix::param::page_size();
    if bytes < PIPE_PAGES as usize * page {
        let follows = "This user has many pipes: programs that write much wait more often.";
        return Facility::useful(name, Verdict::Limited, reason, follows);
    }
    let pages = read("/proc/sys/fs/pipe-user-pages-soft").parse().unwrap_or(0_u64);
    if is_free || pages == 0 {
        let follows = "Pipes keep their size, however many there are.";
        return Facility::useful(name, Verdict::Offered, reason, follows);
    }
    let (verdict, follows) = enough_for(pages / PIPE_PAGES / PIPES_EACH);
    let follows = format!("{follows} Pipes of further ones are smaller.");
    Facility::useful(name, verdict, format!("{reason}, {pages} pages a user"), follows)
}

fn overcommit(mode: &str) -> Facility {
    let journal = (journal::WORDS * 8) >> 20;
    let (verdict, follows) = match mode {
        "2" => (
            Verdict::Limited,
            format!(
                "Memory counts as used when it is reserved; the journal reserves {journal} MiB."
            ),
        ),
        _ => (Verdict::Offered, "Memory counts when it is used.".to_owned()),
    };
    Facility::useful("overcommit", verdict, mode, follows)
}

/// Whether there is room where the daemon's lock will be. Nothing is made there.
fn runtime_directory(directory: &Path) -> Facility {
    let name = "runtime-directory";
    let mut there: Option<PathBuf> = None;
    for path in directory.ancestors() {
        if path.exists() {
            there = Some(path.to_owned());
            break;
        }
    }
    let there = there.unwrap_or_else(|| PathBuf::from("/"));
    let shown = directory.display().to_string();
    let writable = rustix::fs::access(&there, rustix::fs::Access::WRITE_OK);
    let system = rustix::fs::statvfs(&there);
    let (verdict, reason, follows) = match (writable, system) {
        (Err(error), _) | (_, Err(error)) => {
            let reason = format!("{shown}: {}", why(&error.into()));
            (Verdict::Limited, reason, "The daemon's lock goes to /tmp instead.")
        }
        (Ok(()), Ok(system)) => {
            let room = system.f_bavail.saturating_mul(system.f_frsize);
            let reason = format!("{shown}, {} MiB free", room >> 20);
            // Some file systems count no files.
            let is_full = room < ROOM_LOW || (system.f_files > 0 && system.f_favail == 0);
            if is_full {
                (Verdict::Limited, reason, "The daemon may not be able to make its lock.")
            } else {
                (Verdict::Offered, reason, "It holds a lock; the journal is not on a disk.")
            }
        }
    };
    Facility::useful(name, verdict, reason, follows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_told_in_programs() {
        let limit = |hard| Limit { soft: 1024, hard };

        let few = descriptors(limit(1024), false);
        assert_eq!(
            (few.verdict, &*few.follows),
            (Verdict::Limited, "Enough for about 128 programs.")
        );
        assert_eq!(descriptors(limit(4096), false).verdict, Verdict::Offered);
        assert_eq!(descriptors(limit(1024), true).verdict, Verdict::Offered);
        assert_eq!(descriptors(limit(u64::MAX), false).reason, "1024, at most no limit");
    }

    #[test]
    fn strict_overcommit_is_told_of() {
        assert_eq!(overcommit("2").verdict, Verdict::Limited);
        assert_eq!(overcommit("0").verdict, Verdict::Offered);
    }

    #[test]
    fn a_runtime_directory_that_cannot_be_is_told_of_and_none_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let wanted = directory.path().join("run/bardo");

        assert_eq!(runtime_directory(&wanted).verdict, Verdict::Offered);
        assert!(!wanted.exists());
        assert_eq!(runtime_directory(Path::new("/proc/none/bardo")).verdict, Verdict::Limited);
    }
}
