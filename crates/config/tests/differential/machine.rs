//! The machine that `reference.py` sees too.

use std::collections::BTreeMap;

use bardo_config::{Account, Host, ReadError};

const ENVIRONMENT: [(&str, &str); 5] =
    [("HOME", "/home/me"), ("A", "1"), ("EMPTY", ""), ("PATH", "/bin:/usr/bin"), ("U", "\u{e9}")];
const DIRECTORIES: [&str; 7] = ["/", "/tmp", "/work", "/work/sub", "/etc", "/home/me", "/etc/more"];
const USERS: [(&str, u32, u32, &str); 3] =
    [("root", 0, 0, "/root"), ("me", 1000, 1000, "/home/me"), ("web", 33, 34, "/srv")];
const GROUPS: [(&str, u32); 3] = [("root", 0), ("me", 1000), ("www", 34)];

/// Holds the files of one question.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) files: BTreeMap<String, String>,
}

impl Host for Machine {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        self.files.get(path).map(|text| text.clone().into_bytes()).ok_or(ReadError::Missing)
    }

    fn exists(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.is_directory(path)
    }

    fn is_directory(&self, path: &str) -> bool {
        let bare = path.trim_end_matches('/');
        DIRECTORIES.contains(if bare.is_empty() { &"/" } else { &bare })
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        self.files.keys().filter(|path| matches(pattern, path)).cloned().collect()
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        USERS.iter().find(|user| user.0 == name).map(account)
    }

    fn user_by_id(&self, id: u32) -> Option<Account> {
        USERS.iter().find(|user| user.1 == id).map(account)
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        GROUPS.iter().find(|group| group.0 == name).map(|group| group.1)
    }

    fn has_group(&self, id: u32) -> bool {
        GROUPS.iter().any(|group| group.1 == id)
    }

    fn environment(&self) -> Vec<(String, String)> {
        ENVIRONMENT.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
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
        1000
    }
}

fn account((_, uid, gid, home): &(&str, u32, u32, &str)) -> Account {
    Account { uid: *uid, gid: *gid, groups: vec![*gid], home: (*home).to_owned() }
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
                    && (pattern.starts_with('.') || !part.starts_with('.'))
            }
        })
}
