//! The only list of verbs, and of the switches before them.

/// What stands behind a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// The path of a program, then options in pairs.
    Binary,
    /// The label of a service.
    Label,
    /// The label of a service, or nothing.
    AnyLabel,
    /// What `sysctl` is to do.
    Control,
    /// Nothing.
    None,
}

/// A verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verb {
    /// As it is typed.
    pub name: &'static str,
    /// What stands behind it.
    pub operand: Operand,
    /// The number of the request, as MINIX counts them: errors name it.
    pub request: u16,
    /// What it does, for people.
    pub help: &'static str,
}

const fn verb(name: &'static str, operand: Operand, request: u16, help: &'static str) -> Verb {
    Verb { name, operand, request: 0x700 + request, help }
}

/// Every verb.
#[rustfmt::skip]
pub const VERBS: &[Verb] = &[
    verb("up", Operand::Binary, 0,
        "bring a service up and wait until it is initialised; it is started again whenever it ends"),
    verb("run", Operand::Binary, 0,
        "bring a service up that is not started again: when it ends it is gone"),
    verb("edit", Operand::Binary, 22,
        "change what is asked for a service that is up; the program `self` is the one that it has"),
    verb("update", Operand::Binary, 5,
        "put a new version in the place of a service; this cannot be done yet (78)"),
    verb("down", Operand::Label, 1,
        "bring a service down: SIGTERM, and SIGKILL after two seconds; it is gone then"),
    verb("refresh", Operand::Label, 2,
        "replace the process of a service by a fresh one at once"),
    verb("restart", Operand::Label, 3,
        "start a service now that has crashed and waits, or whose recovery script decides"),
    verb("clone", Operand::Label, 6,
        "keep a replica of a service; this cannot be done yet (78)"),
    verb("unclone", Operand::Label, 7,
        "keep no replica any more; this cannot be done yet (78)"),
    verb("fi", Operand::Label, 24,
        "make a service crash, to see what becomes of it"),
    verb("sysctl", Operand::Control, 23,
        "srv_status prints all services as the reincarnation server sees them; upd_start, upd_run, \
         upd_stop and upd_status are about updates and cannot be done yet (78)"),
    verb("shutdown", Operand::None, 4,
        "start nothing again from now on, and stop nothing; with -stop everything is stopped and \
         the supervisor ends"),
    verb("list", Operand::AnyLabel, 9,
        "print all services, one in a line, or one of them"),
    verb("show", Operand::AnyLabel, 9,
        "print all there is to say of a service, or of all of them"),
    verb("lookup", Operand::Label, 8,
        "print the endpoint of a service: a number that no other process has; 3 while there is no \
         process that is initialised (with -n: that runs its program)"),
];

/// What `sysctl` can be told.
pub const CONTROLS: [&str; 5] = ["srv_status", "upd_start", "upd_run", "upd_stop", "upd_status"];

impl Verb {
    /// The verb of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        VERBS.iter().find(|verb| verb.name == name)
    }

    /// Whether it is `name`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

/// A switch.
#[derive(Debug, Clone, Copy)]
pub struct Switch {
    /// Its letter.
    pub letter: char,
    /// What it does, for people.
    pub help: &'static str,
}

/// Every switch but `-?`.
#[rustfmt::skip]
pub const SWITCHES: &[Switch] = &[
    Switch { letter: 'b', help: "no binary back-off: wait one second before each restart but the first, \
        and start a service again that ends before it is initialised" },
    Switch { letter: 'c', help: "keep a copy of the program in memory, and start it from that" },
    Switch { letter: 'r', help: "the same, with a copy that services of one program name and content share" },
    Switch { letter: 'n', help: "answer as soon as the process is there, not when it is initialised" },
    Switch { letter: 'f', help: "do not start it again when it ends; run its recovery script once" },
    Switch { letter: 'p', help: "keep a replica that takes over (not yet: 78)" },
    Switch { letter: 'e', help: "keep the old process of a restart under another label (not yet: 78)" },
    Switch { letter: 'q', help: "put an update into a queue (not yet: 78)" },
    Switch { letter: 'a', help: "the update moves the program's parts in memory (not yet: 78)" },
    Switch { letter: 'o', help: "only prepare the update (not yet: 78)" },
    Switch { letter: 's', help: "update to the program that runs already (not yet: 78)" },
    Switch { letter: 'x', help: "the new process crashes while it is initialised (not yet: 78)" },
    Switch { letter: 'y', help: "the new process fails to be initialised (not yet: 78)" },
    Switch { letter: 'z', help: "the new process is never initialised (not yet: 78)" },
    Switch { letter: 't', help: "the update hands state over in any case (not yet: 78)" },
    Switch { letter: 'm', help: "the update does not hand mapped memory over (not yet: 78)" },
    Switch { letter: 'd', help: "accepted; means nothing here" },
    Switch { letter: 'u', help: "accepted; means nothing here" },
];

/// The switches that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switches(String);

impl Switches {
    /// Takes a word like `-cn`; `false` when it is none of switches.
    pub fn take(&mut self, word: &str) -> bool {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            return false;
        };
        let is_known = |letter| SWITCHES.iter().any(|switch| switch.letter == letter);
        let all = letters.chars().all(is_known);
        if all {
            self.0.push_str(letters);
        }
        all
    }

    /// Whether that one is set.
    #[must_use]
    pub fn has(&self, letter: char) -> bool {
        self.0.contains(letter)
    }

    /// The first of these letters that is set.
    #[must_use]
    pub fn first_of(&self, letters: &str) -> Option<char> {
        letters.chars().find(|letter| self.has(*letter))
    }
}
