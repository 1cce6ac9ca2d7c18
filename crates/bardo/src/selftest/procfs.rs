//! Processes as /proc shows them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// The letter of its state: `T` is stopped, `Z` has ended.
    pub state: char,
    /// Its parent.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// When it started, in clock ticks since boot: with the number, its identity.
    pub started: u64,
}

impl Stat {
    /// What tells it from every other process since the boot.
    #[must_use]
    pub fn identity(&self) -> (u32, u64) {
        (self.pid, self.started)
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// The process of that number; `None` when there is none.
#[must_use]
pub fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    Some(Stat {
        pid,
        comm: head.split_once('(')?.1.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// All processes.
#[must_use]
pub fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The children of a process, those that have ended and are not reaped too.
#[must_use]
pub fn children(parent: u32) -> Vec<Stat> {
    // The kernel's own list is not there on every machine.
    match fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")) {
        Ok(list) => {
            let pids = list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
            pids.filter_map(stat).collect()
        }
        Err(_) => all().into_iter().filter(|stat| stat.parent == parent).collect(),
    }
}

/// The processes whose command line holds this text.
#[must_use]
pub fn with_words(text: &str) -> Vec<Stat> {
    let named = |stat: &Stat| {
        let line = fs::read(format!("/proc/{}/cmdline", stat.pid)).unwrap_or_default();
        line.windows(text.len()).any(|window| window == text.as_bytes())
    };
    all().into_iter().filter(|stat| stat.is_alive() && named(stat)).collect()
}

/// How many descriptors a process has open.
#[must_use]
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// How often the threads of a process have given up the processor, by themselves or
/// not.
#[must_use]
pub fn switches(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
        .map(|status| {
            let counts = status.lines().filter(|line| line.contains("ctxt_switches:"));
            let numbers = counts.filter_map(|line| line.split_ascii_whitespace().last());
            numbers.filter_map(|number| number.parse::<u64>().ok()).sum::<u64>()
        })
        .sum()
}

/// Memory of a process: its own, and its part of what it shares with others.
#[must_use]
pub fn proportional_bytes(pid: u32) -> u64 {
    rollup(pid, "Pss:")
}

/// The part of it that is shared memory, without files.
#[must_use]
pub fn shared_bytes(pid: u32) -> u64 {
    rollup(pid, "Pss_Shmem:")
}

fn rollup(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    kibibytes.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0) << 10
}

/// How long the threads of a process have had a processor.
#[must_use]
pub fn processor_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_ascii_whitespace().next()?.parse().ok())
        .map(Duration::from_nanos)
        .sum()
}

/// A line of `/proc/PID/status`.
#[must_use]
pub fn status(pid: u32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The files of the Unix sockets that a process has.
#[must_use]
pub fn socket_files(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    let inodes: Vec<String> = links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.into()))
        .collect();
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let rows = table.lines().map(|row| row.split_ascii_whitespace().skip(6));
    let named = rows.filter_map(|mut columns| Some((columns.next()?, columns.next()?)));
    named
        .filter(|(inode, _)| inodes.iter().any(|own| own == inode))
        .map(|(_, path)| path.into())
        .collect()
}
