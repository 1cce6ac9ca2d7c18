//! Descriptors, held for whoever comes after this supervisor.
//!
//! A descriptor's number is its place, so nothing is searched or allocated; those
//! of one owner hang together in a chain.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::protocol::{Key, Roles};

/// Chains, a power of two. With ten thousand owners a chain is a few links long.
const CHAINS: usize = 1 << 12;

/// Everything that is held.
#[derive(Debug)]
pub(crate) struct Vault {
    /// By number; as long as the highest number that was ever held, in memory that
    /// was reserved at the start.
    held: Vec<Option<OwnedFd>>,
    owners: Box<[u32]>,
    lives: Box<[u32]>,
    roles: Box<[u32]>,
    /// The next link of the chain, as number + 1; 0 is the end.
    next: Box<[u32]>,
    /// The first link of each chain, as number + 1; 0 is none.
    first: Box<[u32]>,
}

impl Vault {
    /// A vault for descriptors below `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            held: Vec::with_capacity(limit),
            owners: vec![0; limit].into(),
            lives: vec![0; limit].into(),
            roles: vec![0; limit].into(),
            next: vec![0; limit].into(),
            first: vec![0; CHAINS].into(),
        }
    }

    /// Holds a descriptor. One whose number is beyond the limit is closed.
    pub(crate) fn hold(&mut self, key: Key, role: Roles, descriptor: OwnedFd) {
        let place = descriptor.as_raw_fd() as usize;
        if place >= self.owners.len() {
            return;
        }
        if place >= self.held.len() {
            self.held.resize_with(place + 1, || None);
        }
        let chain = Self::chain(key.owner);
        self.owners[place] = key.owner;
        self.lives[place] = key.life;
        self.roles[place] = role.0;
        self.next[place] = self.first[chain];
        self.first[chain] = place as u32 + 1;
        self.held[place] = Some(descriptor);
    }

    /// Closes the descriptors of `key` that have one of these roles; `closing` is told of
    /// each, and of its place, before.
    pub(crate) fn close(
        &mut self,
        key: Key,
        roles: Roles,
        mut closing: impl FnMut(Roles, usize, BorrowedFd<'_>),
    ) {
        let chain = Self::chain(key.owner);
        let mut before = None;
        let mut link = self.first[chain];
        while link != 0 {
            let place = link as usize - 1;
            link = self.next[place];
            let named = self.owners[place] == key.owner
                && self.lives[place] == key.life
                && roles.meets(Roles(self.roles[place]));
            if named {
                match before {
                    None => self.first[chain] = link,
                    Some(before) => self.next[before as usize] = link,
                }
                if let Some(descriptor) = self.held[place].take() {
                    closing(Roles(self.roles[place]), place, descriptor.as_fd());
                }
            } else {
                before = Some(place as u32);
            }
        }
    }

    /// The first descriptor from this number on, and the number to go on from.
    pub(crate) fn from(&self, number: usize) -> Option<(Key, Roles, BorrowedFd<'_>, usize)> {
        (number..self.held.len()).find_map(|place| {
            let descriptor = self.held[place].as_ref()?;
            let key = Key { owner: self.owners[place], life: self.lives[place] };
            Some((key, Roles(self.roles[place]), descriptor.as_fd(), place + 1))
        })
    }

    /// The descriptor at this place, if it is that one.
    pub(crate) fn at(&self, place: usize, key: Key, role: Roles) -> Option<BorrowedFd<'_>> {
        self.at_place(place).filter(|_| self.is(place, key, role))
    }

    /// The descriptor at this place.
    pub(crate) fn at_place(&self, place: usize) -> Option<BorrowedFd<'_>> {
        self.held.get(place)?.as_ref().map(OwnedFd::as_fd)
    }

    /// The descriptor of this name, with its place.
    pub(crate) fn find(&self, key: Key, role: Roles) -> Option<(usize, BorrowedFd<'_>)> {
        let mut link = self.first[Self::chain(key.owner)];
        while link != 0 {
            let place = link as usize - 1;
            if self.is(place, key, role) {
                return Some((place, self.at_place(place)?));
            }
            link = self.next[place];
        }
        None
    }

    fn is(&self, place: usize, key: Key, role: Roles) -> bool {
        let there = Key { owner: self.owners[place], life: self.lives[place] };
        there == key && self.roles[place] == role.0
    }

    fn chain(owner: u32) -> usize {
        owner as usize % CHAINS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    fn keys(vault: &Vault) -> Vec<(u32, u32, u32)> {
        let mut found = Vec::new();
        let mut number = 0;
        while let Some((key, roles, _, next)) = vault.from(number) {
            found.push((key.owner, key.life, roles.0));
            number = next;
        }
        found.sort_unstable();
        found
    }

    #[test]
    fn only_what_is_named_is_closed() {
        let mut vault = Vault::new(1024);
        // The second owner falls into the first one's chain.
        for (owner, life) in [(1, 1), (1, 2), (1 + CHAINS as u32, 1)] {
            for role in [Roles::STDIN, Roles::STDOUT] {
                vault.hold(Key { owner, life }, role, file());
            }
        }

        let mut closed = 0;
        for (owner, life, roles) in [(1, 1, Roles::ALL), (1, 2, Roles::STDIN), (2, 1, Roles::ALL)] {
            vault.close(Key { owner, life }, roles, |_, _, _| closed += 1);
        }

        assert_eq!(closed, 3);
        assert!(vault.find(Key { owner: 1, life: 2 }, Roles::STDIN).is_none());
        let (place, _) = vault.find(Key { owner: 1, life: 2 }, Roles::STDOUT).unwrap();
        assert!(vault.at(place, Key { owner: 1, life: 2 }, Roles::STDOUT).is_some());
        assert!(vault.at(place, Key { owner: 1, life: 1 }, Roles::STDOUT).is_none());
        let other = 1 + CHAINS as u32;
        assert_eq!(keys(&vault), [(1, 2, 2), (other, 1, 1), (other, 1, 2)]);
    }
}
