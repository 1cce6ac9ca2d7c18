//! What a configuration needs to know of the machine it is read on.
//!
//! The crate opens no file and asks no database itself: whoever loads a
//! configuration hands it a [`Host`].

/// The machine, as far as a configuration can ask about it.
pub trait Host {
    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// Whether it is not there, or there and cannot be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError>;

    /// Whether something is there, as `stat` sees it.
    fn exists(&self, path: &str) -> bool;

    /// Whether a directory is there, links followed.
    fn is_directory(&self, path: &str) -> bool;

    /// The paths that a shell pattern matches, in any order: `*`, `?` and `[..]`,
    /// `**` is `*`, and a leading dot is matched by a dot only. A pattern without
    /// any of these matches what it names, if that is there. A relative pattern is
    /// seen from the current directory, and so are the paths.
    fn glob(&self, pattern: &str) -> Vec<String>;

    /// The user of that name.
    fn user_by_name(&self, name: &str) -> Option<Account>;

    /// The user of that number.
    fn user_by_id(&self, id: u32) -> Option<Account>;

    /// The number of the group of that name.
    fn group_by_name(&self, name: &str) -> Option<u32>;

    /// Whether there is a group of that number.
    fn has_group(&self, id: u32) -> bool;

    /// The environment of this process.
    fn environment(&self) -> Vec<(String, String)>;

    /// The name of the machine, as `uname -n` prints it.
    fn name(&self) -> String;

    /// The current directory, absolute.
    fn current_directory(&self) -> String;

    /// Where temporary files go: the first of `TMPDIR`, `TEMP`, `TMP`, `/tmp`,
    /// `/var/tmp`, `/usr/tmp` and the current directory that can be written to.
    fn temporary_directory(&self) -> String;

    /// The user that this process runs as.
    fn user_id(&self) -> u32;
}

/// A user of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User number.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups, the primary one first.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
}

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// Nothing of that name.
    Missing,
    /// Something is there, and it cannot be opened or read.
    Unreadable,
}
