//! Whether a process whose number is known is still the one that was meant.
//!
//! The children of this supervisor's keeper are: the kernel gives no number away before its
//! process was reaped, and the keeper tells of that. Those of a keeper that was killed are
//! children of whoever adopts orphans, as are those of the whole machine, and in the pause
//! without a keeper numbers have gone to others. So more is asked of them.

use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};

use bardo_sys::stat::Stat;
use bardo_sys::{clock, process};

use super::world::Machine;

/// How long, in nanoseconds, after the time that is noted for its birth a process may have been
/// started: the clone itself may have had to wait.
const CLONED_WITHIN: u64 = 5_000_000_000;

/// As much earlier its start may seem to be: it is told in clock ticks.
const COARSE: u64 = 50_000_000;

/// What is known of a process beside its number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trace<'a> {
    /// The process itself, as the keeper has kept it.
    pub(super) kept: Option<&'a OwnedFd>,
    /// When it was to be born.
    pub(super) at: Option<u64>,
}

impl Machine {
    /// Whether a process was born to the keeper of this supervisor, or is the one that was born
    /// to the keeper before.
    pub(super) fn is_ours(&self, pid: u32, trace: Trace<'_>) -> bool {
        if process::is_sibling(pid) {
            return true;
        }
        let Some(stat) = Stat::of(pid).filter(|stat| self.stepparents.contains(&stat.parent))
        else {
            return false;
        };
        if let Some(kept) = trace.kept {
            return process::number(kept.as_fd()) == i32::try_from(pid).ok();
        }
        let name = self.settings.service.as_ref().map_or("", |service| &service.name);
        trace.at.is_some_and(|at| is_near(at, stat.started)) && is_in_unit(name, pid)
    }
}

/// Whether a process that was started in this clock tick since boot may be the one that was to
/// be born at this time of the monotonic clock, which stands still while a machine sleeps.
fn is_near(at: u64, started: u64) -> bool {
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    let slept = clock::since_boot().saturating_sub(clock::monotonic());
    let started = started.saturating_mul(tick);
    let earliest = at.saturating_sub(COARSE);
    (earliest..=at.saturating_add(slept + CLONED_WITHIN)).contains(&started)
}

/// Whether a process is in the unit of the service of this name, as far as we are in it.
pub(super) fn is_in_unit(name: &str, pid: u32) -> bool {
    let of = |pid: u32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    is_below(&format!("{name}.service"), &of(std::process::id()), &of(pid))
}

/// Whether what is told of the cgroups of a process is inside the unit in which we are.
fn is_below(unit: &str, own: &str, other: &str) -> bool {
    // Of each tree its number, its controllers and the path in it are told.
    let parts = |line: &str| -> Option<(String, Vec<String>)> {
        let (tree, path) = line.split_at(line.match_indices(':').nth(1)?.0);
        Some((tree.to_owned(), path.split('/').map(str::to_owned).collect()))
    };
    own.lines().filter_map(parts).all(|(tree, own)| {
        let Some(place) = own.iter().position(|part| part == unit) else { return true };
        let mut others = other.lines().filter_map(parts);
        others.any(|(theirs, path)| theirs == tree && path.starts_with(&own[..=place]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_the_unit_is_seen_in_each_tree_in_which_we_are_in_it() {
        let own = "1:name=systemd:/system.slice/web.service\n0::/system.slice/web.service/lead\n";
        for (other, expected) in [
            (own, true),
            ("1:name=systemd:/system.slice/web.service/a/b\n0::/system.slice/web.service\n", true),
            ("1:name=systemd:/system.slice/web.service\n0::/\n", false),
            ("1:name=systemd:/system.slice/ssh.service\n0::/system.slice/web.service\n", false),
            ("0::/system.slice/web.service\n", false),
            ("0::/other.slice/web.service\n1:name=systemd:/system.slice/web.service\n", false),
            ("", false),
        ] {
            assert_eq!(is_below("web.service", own, other), expected, "{other}");
        }
        assert!(is_below("web.service", "0::/\n", "0::/user.slice\n"), "we are in no unit");
    }

    #[test]
    fn a_process_is_near_its_birth_and_not_near_an_earlier_or_later_one() {
        let own = Stat::of(std::process::id()).unwrap().started;
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        let slept = clock::since_boot().saturating_sub(clock::monotonic());
        let born = (own * tick).saturating_sub(slept);

        assert!(is_near(born, own));
        assert!(!is_near(born + 2 * COARSE + slept, own));
        assert!(!is_near(born.saturating_sub(slept + 2 * CLONED_WITHIN), own));
    }
}
