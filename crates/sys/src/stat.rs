//! What `/proc` tells of a process in one line: who its parent is, and which session and
//! group it belongs to.
//!
//! One thing surprises a newcomer: the name of a program stands in the middle of that line
//! in brackets, and may itself hold brackets, spaces and line ends.

use std::fs;
use std::iter;

/// Most ancestors that are looked at. A tree of processes is a few deep.
const ANCESTORS_MAX: usize = 256;

/// What is told of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its number.
    pub pid: u32,
    /// Whether it has ended and was not reaped yet.
    pub is_dead: bool,
    /// Whether somebody has stopped it (SIGSTOP). Of one with threads: its first one.
    pub is_stopped: bool,
    /// Its parent's number.
    pub parent: u32,
    /// The number of its process group.
    pub group: u32,
    /// The number of its session.
    pub session: u32,
    /// When it was started, in clock ticks since boot.
    pub started: u64,
}

impl Stat {
    /// That of a process now; `None` when there is none, or it is hidden from us.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads the line. It may be cut behind the field of the start.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let behind = line.iter().rposition(|byte| *byte == b')')? + 1;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let pid = text(line.split(|byte| *byte == b' ').next()?)?.parse().ok()?;
        let mut fields = text(&line[behind..])?.split_ascii_whitespace();
        let state = fields.next()?;
        let mut next = || fields.next()?.parse::<u32>().ok();
        let (parent, group, session) = (next()?, next()?, next()?);
        // The start is the 22nd field, and the session was the sixth.
        let started = fields.nth(15)?.parse().ok()?;
        let is_dead = matches!(state, "Z" | "X");
        let is_stopped = state == "T";
        Some(Self { pid, is_dead, is_stopped, parent, group, session, started })
    }

    /// A process and its ancestors, the nearest first, as far as they live and are seen.
    /// Nobody holds them: whoever needs to know that no number has passed to somebody else
    /// meanwhile reads the line once more afterwards.
    pub fn line_of(pid: u32) -> impl Iterator<Item = Self> {
        let parent = |stat: &Self| Some(stat.parent).filter(|parent| *parent > 1);
        iter::successors(Self::of(pid), move |stat| parent(stat).and_then(Self::of))
            .take(ANCESTORS_MAX)
    }

    /// Whether a process is another one, or its descendant, as far as its ancestors live.
    #[must_use]
    pub fn descends(pid: u32, ancestor: u32) -> bool {
        let mut at = pid;
        for _ in 0..ANCESTORS_MAX {
            if at == ancestor {
                return true;
            }
            match Self::of(at) {
                Some(stat) if stat.parent > 1 || ancestor == 1 => at = stat.parent,
                _ => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"42 (a) R (b\n) S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 999";

        let stat = Stat::parse(line).unwrap();

        assert_eq!((stat.pid, stat.parent, stat.group, stat.session), (42, 7, 8, 9));
        assert_eq!((stat.started, stat.is_dead), (12345, false));
        assert_eq!(Stat::parse(b"42 (a) Z 1"), None);
    }

    #[test]
    fn one_that_is_stopped_lives() {
        let told = |state: &str| {
            let line =
                format!("42 (a) {state} 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 999");
            Stat::parse(line.as_bytes()).map(|stat| (stat.is_stopped, stat.is_dead))
        };

        assert_eq!(told("T"), Some((true, false)));
        assert_eq!(told("S"), Some((false, false)));
        assert_eq!(told("Z"), Some((false, true)));
    }

    #[test]
    fn a_line_begins_with_the_process_and_goes_on_with_its_parent() {
        let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());

        let line: Vec<_> = Stat::line_of(own).take(2).collect();

        assert_eq!((line[0].pid, line[0].parent), (own, parent));
        assert!(parent <= 1 || line.get(1).is_none_or(|stat| stat.pid == parent));
    }

    #[test]
    fn we_descend_from_ourselves_and_our_parent() {
        let own = std::process::id();

        assert_eq!(Stat::of(own).unwrap().parent, std::os::unix::process::parent_id());
        assert!(Stat::descends(own, own));
        assert!(Stat::descends(own, std::os::unix::process::parent_id()));
        assert!(!Stat::descends(std::os::unix::process::parent_id(), own));
    }
}
