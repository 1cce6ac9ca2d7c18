//! Whether this process is itself one of a service's programs, which a stop of it ends.

use std::fs;

use super::ground::Ground;
use super::readiness;

/// Most processes between a program and its keeper that are looked at.
const ANCESTORS_MAX: usize = 1000;

/// Whether this process is in the cgroup of a unit of systemd.
#[must_use]
pub fn is_in_unit(ground: &Ground, unit: &str) -> bool {
    let text = fs::read_to_string(ground.behind("/proc/self/cgroup")).unwrap_or_default();
    let mut places = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    places.any(|place| place.split('/').any(|part| part == unit))
}

/// Whether a service of this name is among the processes that this one descends from.
#[must_use]
pub fn is_below(name: &str) -> bool {
    let words = readiness::words(name);
    let mut pid = std::process::id();
    for _ in 0..ANCESTORS_MAX {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name of a program may have blanks and parentheses in it.
        let behind = stat.rsplit_once(')').map(|(_, behind)| behind);
        let parent = behind.and_then(|behind| behind.split_whitespace().nth(1)?.parse().ok());
        let Some(parent) = parent.filter(|parent| *parent > 1) else { return false };
        let line = fs::read(format!("/proc/{parent}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(&words) {
            return true;
        }
        pid = parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_in_the_unit_whose_cgroup_it_is_in() {
        let room = tempfile::tempdir().unwrap();
        let ground = Ground::of(room.path(), room.path());
        fs::create_dir_all(ground.at("/proc/self")).unwrap();
        assert!(!is_in_unit(&ground, "web.service"));
        for (text, is_inside) in [
            ("0::/system.slice/web.service/bardo.7\n", true),
            ("12:pids:/x\n1:name=systemd:/system.slice/web.service\n", true),
            ("0::/system.slice/my-web.service\n", false),
        ] {
            fs::write(ground.at("/proc/self/cgroup"), text).unwrap();
            assert_eq!(is_in_unit(&ground, "web.service"), is_inside, "{text}");
        }
    }

    #[test]
    fn a_service_is_known_among_the_ancestors() {
        assert!(!is_below("web"));
    }
}
