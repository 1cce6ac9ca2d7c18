//! Programs that are not the keeper's children: those of a keeper that was killed.
//!
//! Whoever adopts them reaps them, and no status of theirs comes here. Each is held as a
//! pidfd, which says when it has ended; and the kernel tells how, from Linux 6.15 on, to whom
//! held it before the end. Where it does not, the status is one that nobody has: unknown.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use bardo_sys::poller::{Events, Interest, Poller};
use bardo_sys::process::{self, Ended};

use crate::exits::Exits;
use crate::protocol::{Key, Roles};
use crate::vault::Vault;

/// A wait status that no process has.
pub const UNKNOWN: i32 = 0x7f;

/// How long, in nanoseconds, one rests that has looked in vain: between the end of a process
/// and the word how it was lies the moment in which its parent reaps it.
const REST: u64 = 5_000_000;

/// How often one looks in vain. Whoever reaps orphans does nothing else.
const LOOKS_MAX: u8 = 200;

/// What is noted for one whose number nobody has said.
const NUMBERLESS: u32 = u32::MAX;

/// Those that are watched.
#[derive(Debug)]
pub(crate) struct Foreign {
    poller: Option<Poller>,
    events: Events,
    /// The number of each by the place of its pidfd; 0 where none is watched.
    pids: Box<[u32]>,
    /// How often one has looked in vain, by place.
    looks: Box<[u8]>,
    count: usize,
    rest_until: Option<u64>,
}

impl Foreign {
    /// For descriptors below `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            poller: Poller::new().ok(),
            events: Events::new(),
            pids: vec![0; limit].into(),
            looks: vec![0; limit].into(),
            count: 0,
            rest_until: None,
        }
    }

    /// Watches a process that a supervisor knows by this number, until it has ended. One
    /// whose pidfd is not held has ended without a word.
    pub(crate) fn watch(&mut self, key: Key, pid: u32, vault: &Vault, exits: &mut Exits, now: u64) {
        // It was told already, and is not done with.
        if exits.has(pid) {
            return;
        }
        let Some((place, pidfd)) = vault.find(key, Roles::PROCESS) else {
            // The next supervisor asks again.
            if exits.has_room() {
                exits.push(pid, UNKNOWN, now);
            }
            return;
        };
        if self.pids[place] != 0 {
            return;
        }
        let added = self.poller.as_ref().map(|poller| {
            // Its number may have been that of another one.
            let _ = poller.delete(pidfd);
            poller.add(pidfd, place as u64, Interest::Readable)
        });
        // There is no memory for it just now. It may live, so there is no record; the next
        // supervisor asks again.
        if !matches!(added, Some(Ok(()))) {
            return;
        }
        (self.pids[place], self.looks[place]) = (pid, 0);
        self.count += 1;
    }

    /// Forgets a pidfd that is closed now.
    pub(crate) fn forget(&mut self, place: usize, pidfd: BorrowedFd<'_>) {
        if self.pids.get(place).is_some_and(|pid| *pid != 0) {
            self.pids[place] = 0;
            self.count -= 1;
            if let Some(poller) = &self.poller {
                // The kernel does it by itself where nobody else holds it.
                let _ = poller.delete(pidfd);
            }
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What is readable when one has ended, unless one has just looked in vain.
    pub(crate) fn news(&self, now: u64) -> Option<BorrowedFd<'_>> {
        let rests = self.rest_until.is_some_and(|until| now < until);
        let poller = self.poller.as_ref().filter(|_| self.count > 0 && !rests);
        poller.map(|poller| poller.as_fd())
    }

    /// When one looks again.
    pub(crate) fn look_at(&self) -> Option<u64> {
        self.rest_until
    }

    /// Makes exit records of those that have ended.
    pub(crate) fn reap(&mut self, vault: &Vault, exits: &mut Exits, now: u64) {
        self.rest_until = None;
        let Some(poller) = &self.poller else { return };
        if self.count == 0 || poller.wait(&mut self.events, Some(Duration::ZERO)).is_err() {
            return;
        }
        for event in self.events.iter() {
            let place = usize::try_from(event.token()).unwrap_or(usize::MAX);
            let pid = self.pids.get(place).copied().unwrap_or(0);
            let Some(pidfd) = vault.at_place(place).filter(|_| pid != 0) else { continue };
            if !exits.has_room() {
                return;
            }
            let status = match process::how_ended(pidfd) {
                Ended::With(status) => status,
                Ended::NotReaped if self.looks[place] < LOOKS_MAX => {
                    self.looks[place] += 1;
                    self.rest_until = Some(now + REST);
                    continue;
                }
                Ended::NotReaped | Ended::NotTold => UNKNOWN,
            };
            let _ = poller.delete(pidfd);
            self.pids[place] = 0;
            self.count -= 1;
            exits.push(pid, status, now);
        }
    }

    /// Watches all that are held and that no supervisor has come to name. To be called at the
    /// end, when nobody reads records any more.
    pub(crate) fn watch_all(&mut self, vault: &Vault) {
        let mut number = 0;
        while let Some((_, role, pidfd, next)) = vault.from(number) {
            let place = next - 1;
            number = next;
            let is_new = role == Roles::PROCESS && self.pids[place] == 0;
            let is_there = is_new
                && !process::is_own_child(pidfd)
                && process::signal(pidfd, 0).unwrap_or(false);
            if is_there
                && let Some(poller) = &self.poller
                && poller.add(pidfd, place as u64, Interest::Readable).is_ok()
            {
                (self.pids[place], self.looks[place]) = (NUMBERLESS, 0);
                self.count += 1;
            }
        }
    }

    /// Sends a signal to all of them.
    pub(crate) fn signal(&self, vault: &Vault, signal: i32) {
        let places = self.pids.iter().enumerate().filter(|(_, pid)| **pid != 0);
        for pidfd in places.filter_map(|(place, _)| vault.at_place(place)) {
            // It may have ended just now.
            let _ = process::signal(pidfd, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::process::{Command, Stdio};

    const KEY: Key = Key { owner: 1, life: 1 };

    fn exits(exits: &Exits) -> Vec<(u32, i32)> {
        let mut all = Vec::new();
        let mut next = 0;
        while let Some(exit) = exits.from(next) {
            all.push((exit.pid, exit.status));
            next = exit.sequence + 1;
        }
        all
    }

    #[test]
    fn the_end_of_a_process_is_recorded_once_and_not_before_it() {
        use std::os::fd::AsRawFd as _;
        let mut command = Command::new("sh");
        let command = command.args(["-c", "read x; exit 7"]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = child.id();
        let pidfd = process::open(pid).unwrap();
        let place = pidfd.as_raw_fd() as usize;
        let (mut vault, mut records) = (Vault::new(1024), Exits::new(1));
        let mut foreign = Foreign::new(1024);
        vault.hold(KEY, Roles::PROCESS, pidfd);

        (0..2).for_each(|_| foreign.watch(KEY, pid, &vault, &mut records, 0));
        foreign.reap(&vault, &mut records, 0);
        assert_eq!((foreign.count(), exits(&records)), (1, vec![]), "it lives");
        drop(child.stdin.take());
        child.wait().unwrap();
        foreign.reap(&vault, &mut records, 0);
        foreign.watch(KEY, pid, &vault, &mut records, 0);

        let [(ended, status)] = exits(&records)[..] else { panic!("{records:?}") };
        assert_eq!((ended, foreign.count()), (pid, 0));
        assert!([7 << 8, UNKNOWN].contains(&status), "{status}");
        assert!(vault.at_place(place).is_some(), "whoever is told closes it");
    }

    #[test]
    fn one_that_nobody_holds_has_ended_without_a_word() {
        let (vault, mut records) = (Vault::new(1024), Exits::new(5));
        let mut foreign = Foreign::new(1024);

        (0..2).for_each(|_| foreign.watch(KEY, 99, &vault, &mut records, 0));

        assert_eq!(exits(&records), [(99, UNKNOWN)]);
    }
}
