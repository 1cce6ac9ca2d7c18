//! What the daemon was told at its start, as the journal keeps it.
//!
//! It is written by the process that becomes the keeper and read by every
//! supervisor: nothing in it is looked up a second time.

use serde::{Deserialize, Serialize};

use super::main_log::Level;

/// The settings of one daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `ARGV0` as it was called.
    pub program: String,
    /// The name of this supervisor.
    pub identifier: String,
    /// The configuration file, as it was given.
    pub configuration_file: String,
    /// What the command line said over the file.
    pub overrides: Vec<(String, String)>,
    /// The keeper's process number: what `getPID` answers.
    pub keeper_pid: u32,
    /// The main log.
    pub main_log: MainLog,
    /// The pid file.
    pub pidfile: String,
    /// The directory of the journal and the lock socket.
    pub runtime_directory: String,
    /// Where automatic logs are put.
    pub child_log_directory: String,
    /// Whether escape sequences are taken out of programs' logs.
    pub strip_ansi: bool,
    /// The limit on descriptors that programs inherit: soft and hard.
    pub descriptor_limit: (u64, u64),
    /// The environment that programs inherit, as `NAME=value` in [`bytes_to_text`]'s
    /// form.
    pub environment: Vec<String>,
    /// What programs are told as `SUPERVISOR_SERVER_URL`.
    pub server_url: Option<String>,
    /// The HTTP servers, in the order of the sockets that the keeper holds.
    pub servers: Vec<Server>,
    /// Whether the `supervisor` namespace of the API was asked for.
    pub offers_supervisor_namespace: bool,
    /// Lines for the main log from before it was open.
    pub greeting: Vec<(Level, String)>,
    /// How long the control loop may leave work untaken, in milliseconds.
    pub hang_timeout_ms: u64,
}

/// The main log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainLog {
    /// Its file; `None` is syslog.
    pub path: Option<String>,
    /// Size at which it is rotated.
    pub bytes_max: i64,
    /// Rotated files that are kept.
    pub backups: i64,
    /// What is logged.
    pub level: Level,
    /// Whether lines are copied to standard output.
    pub to_stdout: bool,
}

/// An HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its section.
    pub section: String,
    /// Its socket file, where it has one.
    pub socket_file: Option<String>,
    /// User name and password, where they are asked for.
    pub credentials: Option<(String, String)>,
}

impl Settings {
    /// As text for the journal.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("settings hold nothing that JSON cannot")
    }

    /// From the journal's text.
    ///
    /// # Errors
    /// When it was not written by [`Self::to_text`].
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_as_text() {
        let bytes: Vec<u8> = (0..=255).collect();

        assert_eq!(text_to_bytes(&bytes_to_text(&bytes)), bytes);
    }
}
