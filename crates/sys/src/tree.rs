//! What belongs to a process where there are no cgroups: its session, its process group,
//! and what it and they have started.
//!
//! It takes a look at every process of the machine, some microseconds for each, so whoever
//! must not be late has it done by somebody else.
//!
//! What surprises a newcomer: this can be escaped. Who begins a session of its own and
//! whose parent has ended belongs to nobody any more. And a number is only that of our
//! leader's session while somebody is in it, or the leader has not been reaped: after
//! that, it may be given to a stranger. So a tree knows when its leader was started. One
//! whose leader has ended knows also who is the parent of all orphans in it, and only who
//! descends from there belongs to it. Every process is held by a descriptor and looked at
//! once more before it is signalled.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use crate::poll::{self, Room};
use crate::process::{self, Processes};
use crate::stat::Stat;

/// How often is looked for processes that were not there before. A killed process begets
/// nobody, so that who outlives this many looks was begotten by what we may not kill.
const LOOKS_MAX: usize = 32;

/// What belongs to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    leader: u32,
    started: u64,
    /// Who becomes the parent of its orphans, where the leader has ended.
    reaper: Option<u32>,
}

/// What came of killing trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Killed {
    /// Processes that were killed.
    pub killed: usize,
    /// Processes that we may not kill.
    pub refused: usize,
    /// Whether some may be left, because not all could be looked at.
    pub is_partial: bool,
}

impl Tree {
    /// That of a process, which leads a session of its own and was not reaped.
    ///
    /// # Errors
    /// `NotFound` when there is no such process.
    pub fn of(leader: u32) -> io::Result<Self> {
        let stat = Stat::of(leader).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { leader, started: stat.started, reaper: None })
    }

    /// What a process has left that led a session of its own, has ended and was reaped. It
    /// was not started before `started`, in clock ticks since boot, and `reaper` becomes the
    /// parent of its orphans. It is nothing while anybody has the number of the leader.
    #[must_use]
    pub fn left_by(leader: u32, started: u64, reaper: u32) -> Self {
        Self { leader, started, reaper: Some(reaper) }
    }

    /// The number of its leader.
    #[must_use]
    pub fn leader(&self) -> u32 {
        self.leader
    }

    /// When its leader was started, in clock ticks since boot.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started
    }

    /// The processes that belong to it and live.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn members(&self) -> io::Result<Vec<Stat>> {
        look(&[*self], &Processes::open()?, &mut false)
    }

    /// Those of many of which there may be somebody, found by one look at the numbers of all
    /// processes. All are taken for such when nothing can be looked at.
    #[must_use]
    pub fn inhabited(trees: Vec<Self>) -> Vec<Self> {
        if trees.is_empty() {
            return trees;
        }
        let mut near: HashMap<u32, bool> = trees.iter().map(|tree| (tree.leader, false)).collect();
        let mut is_whole = true;
        let look = |processes: Processes| {
            processes.each_number(|pid| match process::session_and_group(pid) {
                Ok(numbers) => numbers.iter().for_each(|number| {
                    near.entry(*number).and_modify(|is_near| *is_near = true);
                }),
                // It has ended just now.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(_) => is_whole = false,
            })
        };
        match Processes::open().map(look) {
            Ok(true) if is_whole => {
                trees.into_iter().filter(|tree| near.get(&tree.leader) == Some(&true)).collect()
            }
            _ => trees,
        }
    }

    /// Waits until nobody of it lives, this long at most; whether that is so. Blocks.
    #[must_use]
    pub fn becomes_empty(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while let Ok(members) = self.members()
            && let Some(member) = members.first()
        {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            if let Ok(pidfd) = process::open(member.pid)
                && Stat::of(member.pid).is_some_and(|now| now.started == member.started)
            {
                let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
                let _ = poll::two(pidfd.as_fd(), None, Room(false), Some(left));
            }
        }
        true
    }

    /// Kills all of it, the leader too.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn kill(&self) -> io::Result<Killed> {
        Self::kill_all(&[*self])
    }

    /// Kills all of many, which are looked for together.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn kill_all(trees: &[Self]) -> io::Result<Killed> {
        let processes = Processes::open()?;
        let (mut killed, mut seen) = (Killed::default(), BTreeSet::new());
        for _ in 0..LOOKS_MAX {
            let members = look(trees, &processes, &mut killed.is_partial)?;
            let mut is_new = false;
            for member in members.iter().filter(|it| seen.insert((it.pid, it.started))) {
                is_new = true;
                match kill_one(member) {
                    Ok(true) => killed.killed += 1,
                    Ok(false) => {}
                    Err(_) => killed.refused += 1,
                }
            }
            if !is_new {
                return Ok(killed);
            }
        }
        killed.is_partial = true;
        Ok(killed)
    }

    /// Whether its leader is there, or was not reaped.
    #[must_use]
    pub fn is_led(&self) -> bool {
        Stat::of(self.leader).is_some_and(|stat| stat.started == self.started)
    }

    /// Whether the number of the leader is not somebody else's by now.
    fn is_valid(&self) -> bool {
        match (Stat::of(self.leader), self.reaper) {
            (None, _) => true,
            (Some(stat), None) => stat.started == self.started,
            (Some(_), Some(_)) => false,
        }
    }
}

/// The processes that belong to any of these and live.
fn look(trees: &[Tree], processes: &Processes, is_partial: &mut bool) -> io::Result<Vec<Stat>> {
    let mut all = Vec::new();
    *is_partial |= !processes.each(|stat| all.push(*stat));
    if all.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let valid = trees.iter().filter(|tree| tree.is_valid());
    let trees: HashMap<u32, &Tree> = valid.map(|tree| (tree.leader, tree)).collect();
    let parents: HashMap<u32, u32> = all.iter().map(|stat| (stat.pid, stat.parent)).collect();
    let mut children: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, stat) in all.iter().enumerate() {
        children.entry(stat.parent).or_default().push(place);
    }
    // The leader itself, or who is of its session or group.
    let is_near = |stat: &Stat| {
        let tree = [stat.pid, stat.group, stat.session].iter().find_map(|it| trees.get(it));
        tree.is_some_and(|tree| {
            let is_ours = tree.reaper.is_none_or(|reaper| descends(&parents, stat.pid, reaper));
            stat.started >= tree.started && is_ours
        })
    };
    let mut ours: BTreeSet<usize> =
        all.iter().enumerate().filter(|(_, it)| is_near(it)).map(|(it, _)| it).collect();
    let mut rest: Vec<usize> = ours.iter().copied().collect();
    while let Some(place) = rest.pop() {
        for child in children.get(&all[place].pid).into_iter().flatten() {
            if ours.insert(*child) {
                rest.push(*child);
            }
        }
    }
    let lives = |place: usize| Some(all[place]).filter(|stat| !stat.is_dead);
    Ok(ours.into_iter().filter_map(lives).collect())
}

/// Whether a process has this ancestor, by the parents of all.
fn descends(parents: &HashMap<u32, u32>, pid: u32, ancestor: u32) -> bool {
    let mut at = pid;
    // No line of ancestors is longer than there are processes; a circle ends here too,
    // which a look that takes its time may see.
    for _ in 0..parents.len() {
        match parents.get(&at) {
            Some(parent) if *parent == ancestor => return true,
            Some(parent) => at = *parent,
            None => return false,
        }
    }
    false
}

/// Kills a process if it is still the one that was seen. False when it has ended.
fn kill_one(seen: &Stat) -> io::Result<bool> {
    let pidfd = match process::open(seen.pid) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(false),
        other => other?,
    };
    match Stat::of(seen.pid) {
        Some(now) if now.started == seen.started => process::signal(pidfd.as_fd(), libc::SIGKILL),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    /// A session whose leader does this, and says a line when all is there.
    fn session(line: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]).stdout(Stdio::piped());
        // SAFETY: a system call, and nothing else.
        unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?)) };
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "there\n");
        child
    }

    fn wait_until_nobody_lives(tree: Tree) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let left = tree.members().unwrap()
            && !left.is_empty()
        {
            assert!(Instant::now() < deadline, "{left:?}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn descendants_are_killed_even_in_groups_and_sessions_of_their_own() {
        let line = "sleep 1000 & setsid sh -c 'sleep 1000 & echo there; wait' & wait";
        let mut leader = session(line);
        let tree = Tree::of(leader.id()).unwrap();
        let members = tree.members().unwrap();
        assert!(members.len() >= 4, "{members:?}");
        assert!(members.iter().all(|member| member.pid != std::process::id()));

        let killed = tree.kill().unwrap();

        assert!(killed.killed >= 4 && killed.refused == 0 && !killed.is_partial, "{killed:?}");
        leader.wait().unwrap();
        wait_until_nobody_lives(tree);
    }

    #[test]
    fn a_session_is_killed_when_its_leader_has_ended() {
        let mut leader = session("sleep 1000 & sleep 1000 & echo there");
        let tree = Tree::of(leader.id()).unwrap();
        leader.wait().unwrap();
        assert_eq!(tree.members().unwrap().len(), 2);

        let left = Tree::left_by(leader.id(), tree.started(), reaper_of(tree));
        let nobody = Tree::left_by(u32::MAX, 0, 1);
        assert_eq!(Tree::inhabited(vec![left, nobody]), [left]);
        assert!(!left.becomes_empty(Duration::from_millis(1)));

        assert_eq!(left.kill().unwrap(), Killed { killed: 2, ..Killed::default() });
        assert!(left.becomes_empty(Duration::from_secs(60)));
        assert_eq!(left.members().unwrap(), []);
    }

    /// Who has become the parent of what a leader has left.
    fn reaper_of(tree: Tree) -> u32 {
        tree.members().unwrap()[0].parent
    }

    #[test]
    fn a_session_that_is_not_below_ours_is_a_strangers() {
        let mut leader = session("sleep 1000 & echo there");
        let tree = Tree::of(leader.id()).unwrap();
        leader.wait().unwrap();
        let (number, reaper) = (leader.id(), reaper_of(tree));

        let another_ones = Tree::left_by(number, tree.started(), number);
        let older = Tree::left_by(number, u64::MAX, reaper);
        for strangers in [another_ones, older] {
            assert_eq!(strangers.kill().unwrap(), Killed::default());
            assert!(strangers.becomes_empty(Duration::ZERO));
        }
        assert_eq!(tree.members().unwrap().len(), 1);

        let left = Tree::left_by(number, tree.started(), reaper);
        assert_eq!(left.kill().unwrap().killed, 1);
        wait_until_nobody_lives(left);
    }

    #[test]
    fn a_number_that_is_another_ones_now_is_left_alone() {
        let mut leader = session("sleep 1000 & echo there; wait");
        let tree = Tree::of(leader.id()).unwrap();
        let older = Tree { started: tree.started() - 1, ..tree };
        let ended = Tree::left_by(leader.id(), tree.started(), std::process::id());

        for other in [older, ended] {
            assert_eq!(other.kill().unwrap(), Killed::default());
        }
        assert!(leader.try_wait().unwrap().is_none());

        tree.kill().unwrap();
        leader.wait().unwrap();
        wait_until_nobody_lives(tree);
    }
}
