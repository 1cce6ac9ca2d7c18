//! What a service is to be, whatever the init system.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sandbox::Allowed;
use crate::daemon::stage::RUN;

/// The name of a service when none is given.
pub const USUAL_NAME: &str = "bardo";

/// Most letters of a name: systemd takes 255 with its suffix, and ours is `_service.service`.
const NAME_MAX: usize = 200;

/// When a service starts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the machine.
    AtBoot,
    /// Never.
    OnDemand,
}

/// What follows when it ends although nobody has asked for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Respawn {
    /// It is started again, however often.
    Always,
    /// Nothing.
    Never,
}

/// What it waits for at boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// That there are interfaces.
    Configured,
    /// That other machines can be reached.
    Online,
}

/// Who keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The manager of the machine.
    Machine,
    /// The manager of one user, without rights.
    User,
}

/// A service.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Our own executable, as the machine sees it that the service is for.
    pub binary: PathBuf,
    /// Its configuration, where one was named.
    pub configuration: Option<PathBuf>,
    /// The user that it runs as, where that is not root.
    pub account: Option<String>,
    /// When it starts by itself.
    pub start: Start,
    /// What follows when it ends.
    pub respawn: Respawn,
    /// What it waits for at boot.
    pub network: Network,
    /// Who keeps it.
    pub scope: Scope,
    /// What it and its programs may do.
    pub allowed: Allowed,
    /// How long a stop may take before it is ended by force.
    pub stop_budget: Duration,
    /// How many descriptors its manager is to keep for it.
    pub kept: usize,
    /// The version of systemd, where it is known.
    pub systemd_version: Option<u32>,
    /// The folder of init scripts.
    pub scripts: PathBuf,
    /// The folder of a user's units.
    pub units_of_user: PathBuf,
}

impl Definition {
    /// The words behind the executable with which a manager starts it in the foreground.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        self.arguments_of(RUN)
    }

    /// The same with another first word.
    #[must_use]
    pub fn arguments_of(&self, word: &str) -> Vec<String> {
        let mut words = vec![word.to_owned(), self.name.clone()];
        if let Some(file) = &self.configuration {
            words.extend(["--config".to_owned(), file.display().to_string()]);
        }
        words
    }

    /// The executable as text.
    #[must_use]
    pub fn binary(&self) -> String {
        self.binary.display().to_string()
    }

    /// The line that says what it is.
    #[must_use]
    pub fn description(&self) -> String {
        format!("Bardo process supervisor ({})", self.name)
    }

    /// How long a stop may take, in whole seconds.
    #[must_use]
    pub fn stop_seconds(&self) -> u64 {
        self.stop_budget.as_secs()
    }
}

/// Where the configuration of a service is looked for that has none of its own.
#[must_use]
pub fn usual_configuration(name: &str) -> PathBuf {
    Path::new("/etc/bardo").join(format!("{name}.conf"))
}

/// What is wrong with a name.
#[must_use]
pub fn wrong_name(name: &str) -> Option<&'static str> {
    let is_word = |letter: u8| letter.is_ascii_alphanumeric();
    if name.is_empty() || name.len() > NAME_MAX {
        return Some("a name has 1 to 200 letters");
    }
    if !name.bytes().all(|letter| is_word(letter) || b"_.-".contains(&letter)) {
        return Some("a name consists of A-Z a-z 0-9 _ . -");
    }
    (!is_word(name.as_bytes()[0])).then_some("a name begins with a letter or digit")
}

/// What is wrong with the name of an account.
#[must_use]
pub fn wrong_account(name: &str) -> Option<&'static str> {
    let is_good = |letter: u8| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter);
    let is_account = !name.is_empty() && !name.starts_with('-') && name.bytes().all(is_good);
    (!is_account).then_some("the name of an account consists of A-Z a-z 0-9 _ . -")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_every_init_system_takes() {
        for good in ["bardo", "a", "9", "web-1.x_y", &"n".repeat(200)] {
            assert_eq!(wrong_name(good), None, "{good}");
        }
        for bad in
            ["", ".a", "-a", "_a", "a b", "a/b", "a%b", "a$", "a\"", "\u{e4}", &"n".repeat(201)]
        {
            assert!(wrong_name(bad).is_some(), "{bad}");
        }
    }
}
