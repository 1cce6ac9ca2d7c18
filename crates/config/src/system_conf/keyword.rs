//! The only list of keywords. Reading, the manual and what is shown of a service come
//! from it.

use super::interpret::{Draft, calls, devices, identity, limits, ours, schedule};
use super::{Line, Refusal};

/// A keyword that a line can begin with.
#[derive(Debug, Clone, Copy)]
pub struct Keyword {
    /// The word.
    pub name: &'static str,
    /// What stands behind it.
    pub arguments: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// What is done with it on Linux.
    pub on_linux: &'static str,
    /// Whether that is done already.
    pub standing: Standing,
    /// What becomes of it when a running service is edited.
    pub edit: Edit,
    /// Whose keyword it is.
    pub origin: Origin,
    /// What a second line of it does.
    pub repeat: Repeat,
    /// Reads a line of it.
    pub(super) apply: fn(&mut Draft<'_>, &Line) -> Result<Standing, Refusal>,
}

/// What is done with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Enforced,
    /// It is understood and kept, and nothing is done yet.
    NotYet,
    /// It is shown, and there is nothing to be done.
    Recorded,
}

impl Standing {
    /// As it is shown.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::NotYet => "not enforced yet",
            Self::Recorded => "recorded only",
        }
    }
}

/// What becomes of a line when a running service is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// It holds from then on.
    AtOnce,
    /// It holds from the next start on.
    NextStart,
    /// It cannot be changed.
    Never,
}

/// What a second line of a keyword does, in an entry or one of its classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It counts in place of the first.
    Replaces,
    /// It counts too.
    Adds,
    /// It counts too; in MINIX it counts in place of the first.
    AddsHere,
    /// It is refused.
    Refused,
}

/// Whose keyword it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// MINIX has it too.
    Minix,
    /// Only we have it.
    Bardo,
}

/// The keyword of that name.
#[must_use]
pub fn keyword(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

impl Keyword {
    /// How a line of it is written.
    #[must_use]
    pub fn form(&self) -> String {
        format!("{} {};", self.name, self.arguments)
    }
}

/// One that MINIX has, of which the last line counts, and that an edit changes at once:
/// most are.
const MINIX: Keyword = Keyword {
    name: "",
    arguments: "",
    default: "",
    meaning: "",
    on_linux: "",
    standing: Standing::Enforced,
    edit: Edit::AtOnce,
    origin: Origin::Minix,
    repeat: Repeat::Replaces,
    apply: identity::class,
};

/// The same, of our own.
const BARDO: Keyword = Keyword { origin: Origin::Bardo, ..MINIX };

/// All keywords, those of MINIX first.
pub const KEYWORDS: &[Keyword] = &[
    Keyword {
        name: "uid",
        arguments: "USER|NUMBER|SELF",
        default: "the user `service`; where there is none, or the supervisor is not root's, the user of \
                  the supervisor",
        meaning: "As whom it runs. `SELF` is whoever has called `service`.",
        on_linux: "The group is the primary one of the user and not MINIX's 0; all groups of the user \
                   are taken. A program that is not root's can gain no privileges by executing another.",
        edit: Edit::Never,
        apply: identity::uid,
        ..MINIX
    },
    Keyword {
        name: "class",
        arguments: "NAME...",
        default: "none",
        meaning: "The lines of these entries of the same file stand here. They may come later in the \
                  file, and may name classes themselves, at most 100 deep.",
        on_linux: "The same.",
        repeat: Repeat::Adds,
        apply: identity::class,
        ..MINIX
    },
    Keyword {
        name: "control",
        arguments: "NAME...",
        default: "nobody",
        meaning: "Whom it may control: it may call `service` for services of these program names or \
                  labels, with all verbs but `edit`. MINIX's manual says the reverse; its code \
                  does this.",
        on_linux: "The caller is known by its process. Root and the user of the supervisor may do \
                   everything: of a service that runs as one of them it restricts nothing, and \
                   `service` says so.",
        repeat: Repeat::AddsHere,
        apply: identity::control,
        ..MINIX
    },
    Keyword {
        name: "type",
        arguments: "net",
        default: "none",
        meaning: "What sort of service it is.",
        on_linux: "It is shown.",
        standing: Standing::Recorded,
        repeat: Repeat::Refused,
        apply: identity::kind,
        ..MINIX
    },
    Keyword {
        name: "descr",
        arguments: "\"TEXT\"",
        default: "none",
        meaning: "What people call it.",
        on_linux: "It is shown.",
        standing: Standing::Recorded,
        repeat: Repeat::Refused,
        apply: identity::description,
        ..MINIX
    },
    Keyword {
        name: "priority",
        arguments: "0..15",
        default: "7",
        meaning: "Its scheduling queue. 0 is served first.",
        on_linux: "Niceness: 7 is 0, 0 is -18, 15 is 19, and what lies between in proportion.",
        apply: schedule::priority,
        ..MINIX
    },
    Keyword {
        name: "quantum",
        arguments: "MILLISECONDS",
        default: "what the kernel gives",
        meaning: "How long it may compute at a stretch.",
        on_linux: "The time slice, from Linux 6.12 on; the kernel takes 0.1 to 100 ms and the nearest of \
                   them for more.",
        apply: schedule::quantum,
        ..MINIX
    },
    Keyword {
        name: "cpu",
        arguments: "NUMBER|FIRST-LAST[,...]...",
        default: "all",
        meaning: "The processors that it may run on, the first of which is 0.",
        on_linux: "Its affinity. MINIX takes one number, we take lists and ranges too.",
        apply: schedule::cpu,
        ..MINIX
    },
    Keyword {
        name: "scheduler",
        arguments: "KERNEL|LABEL|batch|idle|fifo:PRIORITY|rr:PRIORITY|deadline:RUNTIME/DEADLINE/PERIOD",
        default: "KERNEL",
        meaning: "Who schedules it.",
        on_linux: "`KERNEL` is the ordinary policy, and so is a label, as Linux has no schedulers that are \
                   processes. The other words are Linux's policies; priorities go from 1 to 99, the times \
                   of a deadline are milliseconds or have one of `us`, `ms` and `s` behind them.",
        apply: schedule::scheduler,
        ..MINIX
    },
    Keyword {
        name: "ipc",
        arguments: "ALL|ALL_SYS|NAME...",
        default: "ALL_SYS",
        meaning: "Whom it may talk to: program names, `SYSTEM` for the kernel, `USER` for whoever is no \
                  service. It stands only once. `NONE` is no keyword but a name that nothing has.",
        on_linux: "Whose sockets it may reach. `ALL` restricts nothing.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Refused,
        apply: calls::ipc,
        ..MINIX
    },
    Keyword {
        name: "system",
        arguments: "ALL|BASIC|NONE|CALL...",
        default: "BASIC",
        meaning: "The kernel calls that it may make. Names are added to the basic ones. An unknown name \
                  is a warning.",
        on_linux: "System calls: names of MINIX, groups like `@network-io`, and calls of Linux. `ALL` \
                   restricts nothing.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: calls::system,
        ..MINIX
    },
    Keyword {
        name: "vm",
        arguments: "ALL|BASIC|NONE|CALL...",
        default: "BASIC",
        meaning: "The calls to the server of memory that it may make.",
        on_linux: "`NONE` is no new memory that can be executed. Names mean nothing on Linux; they are \
                   taken with a warning.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: calls::vm,
        ..MINIX
    },
    Keyword {
        name: "io",
        arguments: "ALL|NONE|BASE[:LENGTH]...",
        default: "NONE",
        meaning: "The ports of input and output that it may use, in hexadecimal digits.",
        on_linux: "`NONE` keeps it from all ports.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: devices::io,
        ..MINIX
    },
    Keyword {
        name: "irq",
        arguments: "ALL|NONE|NUMBER...",
        default: "NONE",
        meaning: "The interrupts that it may handle.",
        on_linux: "Devices of `uio`.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: devices::irq,
        ..MINIX
    },
    Keyword {
        name: "pci",
        arguments: "device VENDOR:DEVICE[/VENDOR:DEVICE]...|class BASE[/SUB[/INTERFACE]]...",
        default: "none",
        meaning: "The devices on the bus that it drives, in hexadecimal digits.",
        on_linux: "Devices of `vfio` and `uio`.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: devices::pci,
        ..MINIX
    },
    Keyword {
        name: "sigmgr",
        arguments: "SELF|LABEL",
        default: "rs",
        meaning: "Who learns of its end and decides what follows. `SELF` is nobody.",
        on_linux: "`rs` is the supervisor.",
        standing: Standing::NotYet,
        apply: calls::signal_manager,
        ..MINIX
    },
    Keyword {
        name: "domain",
        arguments: "NAME|NUMBER...",
        default: "none",
        meaning: "The families of sockets that it serves, as `LOCAL`, `INET`, `INET6`, `ROUTE`.",
        on_linux: "The families of sockets that it may use.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::AddsHere,
        apply: calls::domain,
        ..MINIX
    },
    Keyword {
        name: "controlled-by",
        arguments: "NAME...",
        default: "nobody",
        meaning: "Who may control it, by program name or label: what MINIX's manual calls `control`.",
        on_linux: "As `control`, seen from the other side.",
        repeat: Repeat::Adds,
        apply: identity::controlled_by,
        ..BARDO
    },
    Keyword {
        name: "memory",
        arguments: "[max SIZE] [high SIZE] [swap SIZE]",
        default: "no limit",
        meaning: "How much memory it may take with all of its processes. Beyond `high` it is slowed down, \
                  at `max` processes of it are killed, which counts as a crash. `swap` is what may be \
                  swapped out besides.",
        on_linux: "`memory.max`, `memory.high` and `memory.swap.max` of its control group.",
        repeat: Repeat::Adds,
        apply: limits::memory,
        ..BARDO
    },
    Keyword {
        name: "pids",
        arguments: "NUMBER",
        default: "no limit",
        meaning: "How many processes and threads it may have.",
        on_linux: "`pids.max` of its control group.",
        apply: limits::pids,
        ..BARDO
    },
    Keyword {
        name: "cpu-max",
        arguments: "PERCENT%",
        default: "no limit",
        meaning: "How much of one processor it may take; 200% is two of them.",
        on_linux: "`cpu.max` of its control group.",
        apply: limits::cpu_max,
        ..BARDO
    },
    Keyword {
        name: "io-weight",
        arguments: "1..10000",
        default: "100",
        meaning: "Its share of input and output where several want it.",
        on_linux: "`io.weight` of its control group.",
        apply: limits::io_weight,
        ..BARDO
    },
    Keyword {
        name: "nofile",
        arguments: "NUMBER",
        default: "the limit of the supervisor",
        meaning: "How many descriptors a process of it may have open.",
        on_linux: "The resource limit `RLIMIT_NOFILE`.",
        apply: limits::descriptors,
        ..BARDO
    },
    Keyword {
        name: "core",
        arguments: "SIZE|unlimited",
        default: "the limit of the supervisor",
        meaning: "How large a core file of it may become; 0 is none.",
        on_linux: "The resource limit `RLIMIT_CORE`.",
        apply: limits::core,
        ..BARDO
    },
    Keyword {
        name: "health",
        arguments: "\"COMMAND\" [every TIME] [timeout TIME] [fails NUMBER]",
        default: "none; every 10s, timeout 5s, fails 3",
        meaning: "A command line that succeeds while the service works. When it fails so many times in a \
                  row, the service is killed and started again.",
        on_linux: "The same. `-health` of `service` counts more; what an entry said before \
                   stays when `edit` finds no such line any more, until `-health NONE`.",
        apply: ours::health,
        ..BARDO
    },
    Keyword {
        name: "critical",
        arguments: "exit|reboot|panic-script",
        default: "it is not",
        meaning: "What happens when it cannot be kept running.",
        on_linux: "The supervisor stops everything and ends with 70, whichever word it is; `reboot` and \
                   `panic-script` are not done yet beyond that, and are told as not enforced. What an \
                   entry said before stays when `edit` finds no such line any more, until `-critical no`.",
        apply: ours::critical,
        ..BARDO
    },
    Keyword {
        name: "path",
        arguments: "(ro|rw|exec PATH...)...",
        default: "all",
        meaning: "The files and folders that it may read, write or execute.",
        on_linux: "Landlock.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: ours::paths,
        ..BARDO
    },
    Keyword {
        name: "net",
        arguments: "(bind|connect PORT...)...",
        default: "all",
        meaning: "The ports of TCP that it may listen on and connect to.",
        on_linux: "Landlock.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: ours::net,
        ..BARDO
    },
    Keyword {
        name: "cap",
        arguments: "NAME...",
        default: "none but root's",
        meaning: "The capabilities that it keeps, as `net_bind_service`.",
        on_linux: "Its bounding and ambient sets.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: ours::capabilities,
        ..BARDO
    },
    Keyword {
        name: "ns",
        arguments: "(mount|pid|net|ipc|uts|user)...",
        default: "none",
        meaning: "What it has a world of its own of.",
        on_linux: "Namespaces.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: ours::namespaces,
        ..BARDO
    },
    Keyword {
        name: "fdstore",
        arguments: "NUMBER",
        default: "0",
        meaning: "How many descriptors it may leave with the supervisor for its next life.",
        on_linux: "The same.",
        standing: Standing::NotYet,
        apply: ours::descriptor_store,
        ..BARDO
    },
    Keyword {
        name: "listen",
        arguments: "NAME ADDRESS",
        default: "none",
        meaning: "A socket that is opened for it and outlives it: a path, `@` and an abstract name, \
                  `HOST:PORT` or a port.",
        on_linux: "The same.",
        standing: Standing::NotYet,
        edit: Edit::NextStart,
        repeat: Repeat::Adds,
        apply: ours::listen,
        ..BARDO
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_described_once() {
        for (place, keyword) in KEYWORDS.iter().enumerate() {
            let described = [
                keyword.name,
                keyword.arguments,
                keyword.default,
                keyword.meaning,
                keyword.on_linux,
            ];

            assert!(described.iter().all(|text| !text.is_empty()), "{}", keyword.name);
            assert!(KEYWORDS[..place].iter().all(|other| other.name != keyword.name));
        }
    }
}
