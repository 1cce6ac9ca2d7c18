//! The machine, as far as a configuration can ask about it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use bardo_config::{Account, Host, ReadError};
use bardo_sys::accounts;

/// This machine.
#[derive(Debug, Clone, Copy)]
pub struct Machine;

impl Host for Machine {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        fs::read(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => ReadError::Missing,
            _ => ReadError::Unreadable,
        })
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn is_directory(&self, path: &str) -> bool {
        Path::new(path).is_dir()
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        let options = glob::MatchOptions {
            require_literal_leading_dot: true,
            require_literal_separator: true,
            ..glob::MatchOptions::new()
        };
        // To Python's glob, two stars are one.
        let mut pattern = pattern.to_owned();
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        let found = glob::glob_with(&pattern, options).into_iter().flatten().flatten();
        found.map(|path| path.to_string_lossy().into_owned()).collect()
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        accounts::user_by_name(name).map(account)
    }

    fn user_by_id(&self, id: u32) -> Option<Account> {
        accounts::user_by_id(id).map(account)
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        accounts::group_by_name(name)
    }

    fn has_group(&self, id: u32) -> bool {
        accounts::has_group(id)
    }

    fn environment(&self) -> Vec<(String, String)> {
        std::env::vars_os()
            .map(|(name, value)| {
                (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
            })
            .collect()
    }

    fn name(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    fn current_directory(&self) -> String {
        std::env::current_dir().map_or_else(|_| "/".to_owned(), |path| path.display().to_string())
    }

    fn temporary_directory(&self) -> String {
        let named =
            ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(|name| std::env::var(name).ok());
        let usual = ["/tmp", "/var/tmp", "/usr/tmp"].map(str::to_owned);
        let writable = |path: &String| {
            !path.is_empty()
                && rustix::fs::access(path.as_str(), rustix::fs::Access::WRITE_OK).is_ok()
        };
        named.chain(usual).find(writable).unwrap_or_else(|| self.current_directory())
    }

    fn user_id(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

fn account(account: accounts::Account) -> Account {
    let groups = accounts::groups_of(&account);
    Account { uid: account.uid, gid: account.gid, groups, home: account.home }
}
