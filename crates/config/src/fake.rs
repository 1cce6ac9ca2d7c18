//! A machine that exists only in memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::Inspector;
use crate::host::{Account, Host, ReadError};

/// A machine with a few users, directories and files.
#[derive(Debug, Clone)]
pub(crate) struct FakeHost {
    files: BTreeMap<String, Vec<u8>>,
    unreadable: BTreeSet<String>,
    directories: BTreeSet<String>,
    users: Vec<(String, Account)>,
    groups: Vec<(String, u32)>,
    environment: Vec<(String, String)>,
    modes: BTreeMap<String, u32>,
    user_id: u32,
}

impl FakeHost {
    /// A machine named `node`, whose current directory is `/work` and whose user is
    /// number 1000.
    pub(crate) fn new() -> Self {
        let host = Self {
            files: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            directories: BTreeSet::new(),
            users: Vec::new(),
            groups: Vec::new(),
            environment: vec![("HOME".to_owned(), "/home/me".to_owned())],
            modes: BTreeMap::new(),
            user_id: 1000,
        };
        host.user("root", 0, "/root")
            .user("me", 1000, "/home/me")
            .directory("/")
            .directory("/tmp")
            .directory("/work")
            .directory("/etc")
            .directory("/home/me")
    }

    /// With a file.
    pub(crate) fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), text.as_ref().to_vec());
        self
    }

    /// As somebody else.
    pub(crate) fn with_user_id(mut self, id: u32) -> Self {
        self.user_id = id;
        self
    }

    /// With something that cannot be read.
    pub(crate) fn unreadable(mut self, path: &str) -> Self {
        self.unreadable.insert(path.to_owned());
        self
    }

    /// With a file of that mode.
    pub(crate) fn mode(mut self, path: &str, mode: u32) -> Self {
        self.modes.insert(path.to_owned(), mode);
        self
    }

    /// With a directory.
    pub(crate) fn directory(mut self, path: &str) -> Self {
        self.directories.insert(path.to_owned());
        self
    }

    /// With a user and a group of that name and number.
    pub(crate) fn user(mut self, name: &str, id: u32, home: &str) -> Self {
        let account = Account { uid: id, gid: id, groups: vec![id], home: home.to_owned() };
        self.users.push((name.to_owned(), account));
        self.groups.push((name.to_owned(), id));
        self
    }
}

impl Host for FakeHost {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        if self.unreadable.contains(path) {
            return Err(ReadError::Unreadable);
        }
        self.files.get(path).cloned().ok_or(ReadError::Missing)
    }

    fn exists(&self, path: &str) -> bool {
        self.files.contains_key(path)
            || self.modes.contains_key(path)
            || self.unreadable.contains(path)
            || self.directories.contains(path)
    }

    fn is_directory(&self, path: &str) -> bool {
        let bare = path.trim_end_matches('/');
        self.directories.contains(if bare.is_empty() { "/" } else { bare })
    }

    /// Knows only `*`, and only within one part of a path.
    fn glob(&self, pattern: &str) -> Vec<String> {
        let paths = self.files.keys().chain(&self.unreadable);
        paths.filter(|path| matches(pattern, path)).cloned().collect()
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        self.users.iter().find(|(known, _)| known == name).map(|(_, account)| account.clone())
    }

    fn user_by_id(&self, id: u32) -> Option<Account> {
        self.users.iter().find(|(_, account)| account.uid == id).map(|(_, account)| account.clone())
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|(known, _)| known == name).map(|(_, id)| *id)
    }

    fn has_group(&self, id: u32) -> bool {
        self.groups.iter().any(|(_, known)| *known == id)
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    fn name(&self) -> String {
        "node".to_owned()
    }

    fn current_directory(&self) -> String {
        "/work".to_owned()
    }

    fn temporary_directory(&self) -> String {
        "/tmp".to_owned()
    }

    fn user_id(&self) -> u32 {
        self.user_id
    }
}

impl Inspector for FakeHost {
    fn mode(&self, path: &str) -> Option<u32> {
        self.modes.get(path).copied()
    }

    fn descriptors_max(&self) -> u64 {
        4096
    }

    fn processes_max(&self) -> u64 {
        1000
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), path.split('/'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(pattern, part)| match pattern.split_once('*') {
            None => pattern == part,
            Some((start, end)) => {
                part.len() >= start.len() + end.len()
                    && part.starts_with(start)
                    && part.ends_with(end)
                    && !(start.is_empty() && part.starts_with('.'))
            }
        })
}
