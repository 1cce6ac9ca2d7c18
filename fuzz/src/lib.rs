//! What several fuzz targets share: a machine for configurations, in memory.

use bardo_config::{Account, Host, ReadError};

/// The path of the one file there is.
pub const FILE: &str = "/etc/bardo.conf";

/// The path of the file that it may include.
pub const INCLUDED: &str = "/etc/more.conf";

/// A machine with two files, one user and a few directories.
pub struct TinyHost<'a> {
    /// What stands in [`FILE`].
    pub file: &'a [u8],
    /// What stands in [`INCLUDED`].
    pub included: &'a [u8],
}

impl TinyHost<'_> {
    fn user() -> Account {
        Account { uid: 1000, gid: 1000, groups: vec![1000], home: "/home/me".to_owned() }
    }
}

impl Host for TinyHost<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        match path {
            FILE => Ok(self.file.to_vec()),
            INCLUDED => Ok(self.included.to_vec()),
            "/etc/secret" => Err(ReadError::Unreadable),
            _ => Err(ReadError::Missing),
        }
    }

    fn exists(&self, path: &str) -> bool {
        matches!(path, FILE | INCLUDED) || self.is_directory(path)
    }

    fn is_directory(&self, path: &str) -> bool {
        matches!(path, "/" | "/etc" | "/tmp" | "/home/me" | "")
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        if pattern.ends_with("*.conf") { vec![INCLUDED.to_owned()] } else { Vec::new() }
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        (name == "me").then(Self::user)
    }

    fn user_by_id(&self, id: u32) -> Option<Account> {
        (id == 1000).then(Self::user)
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        (name == "me").then_some(1000)
    }

    fn has_group(&self, id: u32) -> bool {
        id == 1000
    }

    fn environment(&self) -> Vec<(String, String)> {
        vec![("HOME".to_owned(), "/home/me".to_owned())]
    }

    fn name(&self) -> String {
        "node".to_owned()
    }

    fn current_directory(&self) -> String {
        "/tmp".to_owned()
    }

    fn temporary_directory(&self) -> String {
        "/tmp".to_owned()
    }

    fn user_id(&self) -> u32 {
        1000
    }
}
