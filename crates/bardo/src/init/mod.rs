//! Bardo as a service of the operating system: what is written and run so that an init
//! system starts it, keeps it and stops it.
//!
//! Each init system has a file of its own behind [`InitSystem`], which says what a
//! definition consists of and how the tools of that system are called; in which order
//! things happen, and what is undone when one of them fails, is the same for all
//! (`installation.rs`, `removal.rs`, `verbs.rs`). The running side is elsewhere: here nothing
//! supervises, and the daemon knows nothing of what is here.

pub mod attendant;
pub mod beforehand;
pub mod budget;
pub mod choice;
pub mod claim;
pub mod definition;
pub mod difference;
pub mod escape;
pub mod files;
pub mod freebsd;
pub mod ground;
pub mod inside;
pub mod installation;
pub mod kinds;
pub mod launchd;
pub mod leftovers;
pub mod openrc;
pub mod options;
pub mod pauses;
pub mod readiness;
pub mod reap;
pub mod registered;
pub mod reload;
pub mod removal;
pub mod run;
pub mod sandbox;
pub mod systemd;
pub mod sysv;
pub mod tools;
pub mod upstart;
pub mod verbs;
pub mod wanted;

use std::io;
use std::path::{Path, PathBuf};

use definition::{Definition, Start};
use files::{DefinitionFile, Link};
use ground::Ground;

/// Why a verb was not carried out. Each has the exit code that LSB gives to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// It cannot be had on this system.
    #[error("{0}")]
    Unavailable(String),
    /// The user may not do it.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such service.
    #[error("no service of this name is installed; install it with: bardo /install {0}")]
    NotInstalled(String),
    /// Something has to be set up first.
    #[error("{0}")]
    NotConfigured(String),
    /// It does not run.
    #[error("it does not run; start it with: bardo /start {0}")]
    NotRunning(String),
    /// A file of that name is there that was written by somebody else.
    #[error(
        "{} was not written by bardo: remove it, choose another name, or replace it with --force \
         (it is kept beside it)", .0.display()
    )]
    Foreign(PathBuf),
    /// What is to be removed was written by somebody else.
    #[error(
        "{} was not written by bardo and is left: remove it by what has made it", .0.display()
    )]
    Left(PathBuf),
    /// What is to be steered was written by somebody else.
    #[error(
        "{} was not written by bardo, so it is no service of bardo's: steer it with the tools of \
         the init system", .0.display()
    )]
    NotOurs(PathBuf),
    /// The administrator has forbidden a unit of that name.
    #[error("it is masked; allow it with: systemctl unmask {0}")]
    Masked(String),
    /// A folder that the service would have is somebody else's.
    #[error(
        "{} is there and was not made for a service of bardo's: one of this name takes it for its \
         own, gives it to its account, or removes it when it ends. Choose another name; --force if \
         it is meant for it", .0.display()
    )]
    Taken(PathBuf),
    /// It is the other name of a service of ours.
    #[error("that is only another name of the service {0}: say {0}")]
    OtherName(String),
    /// A definition of that name is there that ours would hide.
    #[error(
        "{} defines a service of this name and was not written by bardo: choose another name, or \
         hide it with --force", .0.display()
    )]
    Hidden(PathBuf),
    /// A file could not be read or written.
    #[error("cannot {what} {}: {source}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A tool of the system has failed.
    #[error("`{command}` failed ({how}): {said}")]
    Tool {
        /// The command line.
        command: String,
        /// How it ended.
        how: String,
        /// The last line of what it said.
        said: String,
    },
    /// Something else went wrong.
    #[error("{0}")]
    Failed(String),
}

impl InitError {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => 4,
            Self::Foreign(_)
            | Self::Left(_)
            | Self::OtherName(_)
            | Self::Hidden(_)
            | Self::Taken(_)
            | Self::File { .. }
            | Self::Tool { .. }
            | Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Unavailable(_) => 3,
            Self::Forbidden(_) => 4,
            Self::NotInstalled(_) | Self::NotOurs(_) => 5,
            Self::NotConfigured(_) | Self::Masked(_) => 6,
            Self::NotRunning(_) => 7,
        }
    }
}

/// How a service stands, with the words of its init system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It runs.
    Running(String),
    /// It is installed, and in any other state.
    Down(String),
    /// It is not installed.
    Absent,
    /// Nobody could be asked.
    Unclear(String),
}

/// What a stop has ended of a service that did not run before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing.
    Nothing,
    /// A start that was under way.
    Start,
    /// What was being stopped already, or has come up meanwhile.
    Run,
    /// What a run had left: a keeper that was killed leaves its programs.
    Leftovers,
}

/// Commands, each a tool and its arguments.
pub type Commands = Vec<Vec<String>>;

/// An init system: what it reads, and how it is told.
pub trait InitSystem {
    /// Its name, as `--init` takes it.
    fn name(&self) -> &'static str;

    /// The version of it, where that decides what a definition says.
    fn version(&self, _: &Ground) -> Option<u32> {
        None
    }

    /// Whether it can forbid programs anything.
    fn forbids(&self) -> bool {
        false
    }

    /// Why it cannot wait until other machines can be reached.
    fn knows_no_network(&self) -> Option<&'static str> {
        None
    }

    /// What a definition consists of.
    ///
    /// # Errors
    /// When this system has no word for something that is asked for.
    fn files(&self, definition: &Definition) -> Result<Vec<DefinitionFile>, InitError>;

    /// Links that a tool of the system would make: for `--root`, where none is run.
    fn links(&self, ground: &Ground, definition: &Definition) -> Vec<Link>;

    /// Every file that a definition of that name may consist of.
    fn paths(&self, ground: &Ground, name: &str) -> Vec<PathBuf>;

    /// The file that defines a service of that name, whoever has written it.
    fn definition(&self, ground: &Ground, name: &str) -> Option<PathBuf> {
        self.paths(ground, name).into_iter().next()
    }

    /// The folders that a service has for its own: first the one for as long as it runs.
    fn folders(&self, name: &str) -> Vec<PathBuf> {
        vec![Path::new("/run").join(name)]
    }

    /// Where an administrator may have settings that count for any definition of that name.
    fn settings(&self, _: &Ground, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    /// A definition of the same name elsewhere, which ours would hide.
    fn hidden(&self, _: &Ground, _: &Definition) -> Option<PathBuf> {
        None
    }

    /// Why a service of this name cannot be had beside what is there.
    ///
    /// # Errors
    /// When something is in the way that no force helps against.
    fn may_be(&self, _: &Ground, _: &str) -> Result<(), InitError> {
        Ok(())
    }

    /// Whether what others have written in the place of a file does what the file is for.
    fn is_served(&self, _: &Ground, _: &DefinitionFile) -> bool {
        false
    }

    /// Who else has decided whether it starts at boot, in words.
    fn overruled(&self, _: &Ground, _: &Definition) -> Option<String> {
        None
    }

    /// What is run once the files are there.
    fn register(&self, ground: &Ground, name: &str, start: Start) -> Commands;

    /// What is run before the files are removed, and after that. Failures of the latter
    /// count for nothing.
    fn unregister(&self, ground: &Ground, name: &str) -> (Commands, Commands);

    /// Whether it starts at boot; `None` where that cannot be told, or where the manager
    /// has not read the files yet.
    fn starts_at_boot(&self, ground: &Ground, name: &str) -> Option<bool>;

    /// How it stands.
    fn standing(&self, ground: &Ground, name: &str) -> Standing;

    /// Starts it and waits until it runs.
    ///
    /// # Errors
    /// When it does not.
    fn start(&self, ground: &Ground, name: &str) -> Result<(), InitError>;

    /// Stops it and waits until it has ended, with all that belongs to it. Returns what there was
    /// to be ended of one that did not run.
    ///
    /// # Errors
    /// When it does not.
    fn stop(&self, ground: &Ground, name: &str) -> Result<Ended, InitError>;

    /// Stops and starts it.
    ///
    /// # Errors
    /// When it does not run afterwards, or when that would end whoever asks for it.
    fn restart(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        if ground.is_live() && inside::is_below(name) {
            return Err(InitError::Failed(
                "this is one of its own programs, which would be stopped before anything is \
                 started: ask for it from elsewhere, as from at(1)"
                    .to_owned(),
            ));
        }
        self.stop(ground, name)?;
        self.start(ground, name)
    }

    /// Those of these settings of a service that is up by which it may lose programs before it is
    /// started again: they count for the next keeper, should this one be killed.
    fn counting_at_once(&self, _: &Ground, _: &str, _: &[String]) -> Vec<String> {
        Vec::new()
    }

    /// The room for descriptors that a service that is up may have filled.
    fn room_in_use(&self, _: &Ground, _: &str) -> usize {
        0
    }

    /// Has it read its configuration again.
    ///
    /// # Errors
    /// When it cannot be told so.
    fn reload(&self, ground: &Ground, name: &str) -> Result<(), InitError>;
}

/// A command of its own strings.
#[must_use]
pub fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
