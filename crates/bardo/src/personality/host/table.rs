//! The lists of verbs and options. The command line, help, the manual page and completion
//! are made of them.

use crate::init::definition::Start;

/// A verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// What is done.
    pub action: Action,
    /// Which options it takes.
    pub takes: Takes,
    /// What it does.
    pub help: &'static str,
}

/// What a verb does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Registers it, to start then.
    Install(Start),
    /// Takes it away.
    Uninstall,
    /// Starts it.
    Start,
    /// Stops it.
    Stop,
    /// Stops and starts it.
    Restart,
    /// The same, if it runs.
    TryRestart,
    /// Says how it stands.
    Status,
    /// Has it read its configuration again.
    Reload,
}

/// Which options a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// All of them.
    Everything,
    /// Those that say where, and not what.
    Place,
    /// Those that say which init system is asked.
    System,
}

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "install",
        action: Action::Install(Start::AtBoot),
        takes: Takes::Everything,
        help: "register the service, to start at boot; it is not started now. One that is there \
               is changed where something is different",
    },
    Verb {
        name: "install-auto",
        action: Action::Install(Start::AtBoot),
        takes: Takes::Everything,
        help: "the same",
    },
    Verb {
        name: "install-demand",
        action: Action::Install(Start::OnDemand),
        takes: Takes::Everything,
        help: "register the service, and do not start it at boot",
    },
    Verb {
        name: "uninstall",
        action: Action::Uninstall,
        takes: Takes::Place,
        help: "stop the service and remove its registration with every file of it; its \
               configuration, logs and state stay",
    },
    Verb {
        name: "start",
        action: Action::Start,
        takes: Takes::System,
        help: "start the service and wait until it runs",
    },
    Verb {
        name: "stop",
        action: Action::Stop,
        takes: Takes::System,
        help: "stop the service and wait until it and all its programs have ended",
    },
    Verb {
        name: "restart",
        action: Action::Restart,
        takes: Takes::System,
        help: "stop and start the service; one that does not run is started",
    },
    Verb {
        name: "status",
        action: Action::Status,
        takes: Takes::System,
        help: "say in one line how the service stands; needs no rights",
    },
    Verb {
        name: "try-restart",
        action: Action::TryRestart,
        takes: Takes::System,
        help: "restart the service if it runs",
    },
    Verb {
        name: "condrestart",
        action: Action::TryRestart,
        takes: Takes::System,
        help: "the same",
    },
    Verb {
        name: "reload",
        action: Action::Reload,
        takes: Takes::System,
        help: "have the service take up what has changed in its configuration",
    },
    Verb { name: "force-reload", action: Action::Reload, takes: Takes::System, help: "the same" },
];

/// The verb of that name.
#[must_use]
pub fn verb(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostOption {
    /// Its name, without dashes.
    pub name: &'static str,
    /// What is meant by it.
    pub meaning: Meaning,
    /// The least that a verb has to take.
    pub of: Takes,
    /// What it is for.
    pub help: &'static str,
}

/// What is meant by an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Its name says all.
    Alone(Flag),
    /// It has a value, for which this word stands.
    With(Setting, &'static str),
}

/// An option without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// A service of the user who calls.
    UserUnit,
    /// On demand only.
    NoStartOnBoot,
    /// Never again by itself.
    NoRespawn,
    /// When other machines can be reached.
    WaitNetwork,
    /// More is forbidden.
    Hardened,
    /// Nothing is taken from the definition that is there.
    Anew,
    /// All is told and nothing done.
    DryRun,
    /// What is in the way is replaced.
    Force,
    /// A line in another file.
    Inittab,
    /// Some time after the boot.
    Delayed,
}

/// An option with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The configuration.
    Configuration,
    /// The init system.
    Init,
    /// The account.
    Account,
    /// Something that stays allowed.
    Allow,
    /// The folder that stands for the root of a machine.
    Root,
}

impl HostOption {
    /// What stands for its value; `None` where it has none.
    #[must_use]
    pub fn value(&self) -> Option<&'static str> {
        match self.meaning {
            Meaning::Alone(_) => None,
            Meaning::With(_, value) => Some(value),
        }
    }

    /// Whether it may be given more than once, each time with another value.
    #[must_use]
    pub fn repeats(&self) -> bool {
        matches!(self.meaning, Meaning::With(Setting::Allow, _))
    }
}

/// The options.
pub const OPTIONS: &[HostOption] = &[
    HostOption {
        name: "config",
        meaning: Meaning::With(Setting::Configuration, "FILE"),
        of: Takes::Everything,
        help: "the configuration; without it /etc/bardo/NAME.conf is read if it is there at a \
               start, and else it runs with none, for what `service`(8) brings up",
    },
    HostOption {
        name: "init",
        meaning: Meaning::With(Setting::Init, "KIND"),
        of: Takes::System,
        help: "the init system: systemd, upstart, openrc, sysv, launchd or freebsd; without it \
               the one that runs is found out",
    },
    HostOption {
        name: "user",
        meaning: Meaning::With(Setting::Account, "ACCOUNT"),
        of: Takes::Everything,
        help: "the account that the service runs as, rather than root",
    },
    HostOption {
        name: "user-unit",
        meaning: Meaning::Alone(Flag::UserUnit),
        of: Takes::System,
        help: "a service of the user who calls, kept by that user's systemd; needs no rights",
    },
    HostOption {
        name: "no-start-on-boot",
        meaning: Meaning::Alone(Flag::NoStartOnBoot),
        of: Takes::Everything,
        help: "do not start at boot, as install-demand",
    },
    HostOption {
        name: "no-respawn",
        meaning: Meaning::Alone(Flag::NoRespawn),
        of: Takes::Everything,
        help: "start at boot, and never again by itself: not after a crash, nor when a restart \
               is asked for",
    },
    HostOption {
        name: "wait-network",
        meaning: Meaning::Alone(Flag::WaitNetwork),
        of: Takes::Everything,
        help: "start when other machines can be reached, not only when interfaces are there",
    },
    HostOption {
        name: "hardened",
        meaning: Meaning::Alone(Flag::Hardened),
        of: Takes::Everything,
        help: "for programs that all run as one user: forbid more to them (systemd; needs --user)",
    },
    HostOption {
        name: "allow",
        meaning: Meaning::With(Setting::Allow, "WHAT"),
        of: Takes::Everything,
        help: "allow programs something that is forbidden otherwise, or `all` (systemd); may be \
               repeated",
    },
    HostOption {
        name: "anew",
        meaning: Meaning::Alone(Flag::Anew),
        of: Takes::Everything,
        help: "take nothing from the definition that is there; without it, what is not named \
               stays as it was",
    },
    HostOption {
        name: "root",
        meaning: Meaning::With(Setting::Root, "DIR"),
        of: Takes::Place,
        help: "write files and links below this folder, and touch no running system; needs --init",
    },
    HostOption {
        name: "dry-run",
        meaning: Meaning::Alone(Flag::DryRun),
        of: Takes::System,
        help: "print files and commands, and do nothing",
    },
    HostOption {
        name: "force",
        meaning: Meaning::Alone(Flag::Force),
        of: Takes::Everything,
        help: "replace a file that somebody else has written or edited; it is kept as FILE.bak. \
               Take a folder of this name in /run, /var/lib or /var/log that was there before",
    },
    HostOption {
        name: "inittab",
        meaning: Meaning::Alone(Flag::Inittab),
        of: Takes::Everything,
        help: "a line in /etc/inittab: not offered",
    },
    HostOption {
        name: "delayed",
        meaning: Meaning::Alone(Flag::Delayed),
        of: Takes::Everything,
        help: "start some time after the boot: on Windows only",
    },
];

/// The option of that name.
#[must_use]
pub fn option(name: &str) -> Option<&'static HostOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

impl Takes {
    /// Whether a verb that takes this takes an option of that kind.
    #[must_use]
    pub fn includes(self, of: Self) -> bool {
        match self {
            Self::Everything => true,
            Self::Place => of != Self::Everything,
            Self::System => of == Self::System,
        }
    }
}
