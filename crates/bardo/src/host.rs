//! The machine, as far as a configuration can ask about it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bardo_config::check::Inspector;
use bardo_config::{Account, Host, ReadError};
use bardo_sys::accounts;
use bardo_sys::limits::{self, Limited};

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

impl Inspector for Machine {
    fn mode(&self, path: &str) -> Option<u32> {
        fs::metadata(path).ok().map(|file| file.mode())
    }

    fn descriptors_max(&self) -> u64 {
        limits::get(Limited::Descriptors).hard
    }

    fn processes_max(&self) -> u64 {
        limits::get(Limited::Processes).hard
    }
}

/// The machine as the daemon found it at its start: relative paths lead on from where it
/// was started, and the environment is the one it was given.
#[derive(Debug, Clone, Copy)]
pub struct StartedHost<'a> {
    /// Where it was started.
    pub directory: &'a str,
    /// Its environment, as [`crate::daemon::settings`] keeps it.
    pub environment: &'a [String],
}

impl StartedHost<'_> {
    fn path(&self, path: &str) -> String {
        Path::new(self.directory).join(path).display().to_string()
    }
}

impl Host for StartedHost<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        Machine.read(&self.path(path))
    }

    fn exists(&self, path: &str) -> bool {
        Machine.exists(&self.path(path))
    }

    fn is_directory(&self, path: &str) -> bool {
        Machine.is_directory(&self.path(path))
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        Machine.glob(&self.path(pattern))
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        Machine.user_by_name(name)
    }

    fn user_by_id(&self, id: u32) -> Option<Account> {
        Machine.user_by_id(id)
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        Machine.group_by_name(name)
    }

    fn has_group(&self, id: u32) -> bool {
        Machine.has_group(id)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let text = |variable: &String| {
            let bytes = text_to_bytes(variable);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        self.environment.iter().filter_map(text).collect()
    }

    fn name(&self) -> String {
        Machine.name()
    }

    fn current_directory(&self) -> String {
        self.directory.to_owned()
    }

    fn temporary_directory(&self) -> String {
        Machine.temporary_directory()
    }

    fn user_id(&self) -> u32 {
        Machine.user_id()
    }
}

/// Bytes as text, one character each: an environment need not be UTF-8.
#[must_use]
pub fn bytes_to_text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The bytes of [`bytes_to_text`].
#[must_use]
pub fn text_to_bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}

fn account(account: accounts::Account) -> Account {
    let groups = accounts::groups_of(&account);
    Account { uid: account.uid, gid: account.gid, groups, home: account.home }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_as_text() {
        let bytes: Vec<u8> = (0..=255).collect();

        assert_eq!(text_to_bytes(&bytes_to_text(&bytes)), bytes);
    }
}
