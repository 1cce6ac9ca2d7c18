//! What a process uses, as /proc shows it.

use std::fs;

/// What a process has used, and uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    /// CPU time, its own and the kernel's for it.
    pub(super) cpu_seconds: f64,
    /// Memory that is resident.
    pub(super) resident_bytes: u64,
}

/// Where the fields of `/proc/PID/stat` stand behind the name, which ends in the last
/// closing parenthesis.
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const RESIDENT_PAGES: usize = 21;

impl Usage {
    /// What the process of that number uses; `None` when there is none any more. It may
    /// block.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn read(stat: &str) -> Option<Self> {
        let (_, tail) = stat.rsplit_once(')')?;
        let mut fields = tail.split_ascii_whitespace().skip(USER_TICKS);
        let mut number = |skip: usize| fields.nth(skip)?.parse::<u64>().ok();
        let ticks = number(0)? + number(SYSTEM_TICKS - USER_TICKS - 1)?;
        let pages = number(RESIDENT_PAGES - SYSTEM_TICKS - 1)?;
        Some(Self {
            cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            resident_bytes: pages * rustix::param::page_size() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 121 0 1 0 250 50 3 4 20 0 1 0 900 5 300 18\n";

        let usage = Usage::read(stat).unwrap();

        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let bytes = 300 * rustix::param::page_size() as u64;
        assert_eq!(usage, Usage { cpu_seconds: 300.0 / ticks, resident_bytes: bytes });
    }

    #[test]
    fn this_process_uses_memory_and_one_that_is_not_there_uses_none() {
        assert!(Usage::of(std::process::id()).unwrap().resident_bytes > 0);
        assert_eq!(Usage::of(u32::MAX), None);
        assert_eq!(Usage::read("7 (a) S 1"), None);
    }
}
