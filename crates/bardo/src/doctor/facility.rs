//! What the kernel offers and refuses, each tried, with what follows from it.

use std::io;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

use bardo_sys::probe;

use crate::daemon::pump::SYSLOG;
use crate::words::errno;
use bardo_sys::cgroup::Places;

/// Whether something can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It can.
    Offered,
    /// It can, and less than may be wanted.
    Limited,
    /// It cannot.
    Refused,
}

impl Verdict {
    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Limited => "limited",
            Self::Refused => "refused",
        }
    }
}

/// Whether anything goes without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// No program could be run.
    Needed,
    /// Programs run all the same.
    Useful,
}

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facility {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) need: Need,
    /// What was seen: a number, or why it was refused.
    pub(super) reason: String,
    /// What that means for programs.
    pub(super) follows: String,
}

impl Facility {
    /// Something whose loss no program feels.
    pub(super) fn useful(
        name: &'static str,
        verdict: Verdict,
        reason: impl Into<String>,
        follows: impl Into<String>,
    ) -> Self {
        let (reason, follows) = (reason.into(), follows.into());
        Self { name, verdict, need: Need::Useful, reason, follows }
    }

    /// Whether nothing can be run for want of it.
    pub(super) fn is_missed(&self) -> bool {
        self.verdict == Verdict::Refused && self.need == Need::Needed
    }
}

/// One thing that is tried.
struct Trial {
    name: &'static str,
    need: Need,
    attempt: fn() -> io::Result<()>,
    offered: &'static str,
    refused: &'static str,
}

const UNUSED: &str = "Nothing: this version does not use it.";

/// Everything that is tried in one call.
const TRIALS: &[Trial] = &[
    Trial {
        name: "clone",
        need: Need::Needed,
        attempt: probe::clone_sharing_memory,
        offered: "Programs are started without copying the supervisor.",
        refused: "No program can be started.",
    },
    Trial {
        name: "clone-parent",
        need: Need::Needed,
        attempt: probe::clone_sibling,
        offered: "Programs are the keeper's children, and outlive the supervisor.",
        refused: "No program can be started.",
    },
    Trial {
        name: "close_range",
        need: Need::Useful,
        attempt: probe::close_range_unshare,
        offered: "What it costs to start a program does not grow with the number of programs.",
        refused: "Each start copies the supervisor's table of descriptors and takes longer.",
    },
    Trial {
        name: "pidfd_open",
        need: Need::Useful,
        attempt: probe::pidfd_open,
        offered: "Programs of a supervisor that was killed are known for what they are.",
        refused: "Programs of a supervisor that was killed run on, and cannot be signalled.",
    },
    Trial {
        name: "pidfd_send_signal",
        need: Need::Useful,
        attempt: probe::pidfd_send_signal,
        offered: "Signals reach the process that is meant, and never another.",
        refused: "Signals are sent by number, once it was looked whose that is.",
    },
    Trial {
        name: "subreaper",
        need: Need::Needed,
        attempt: probe::subreaper,
        offered: "What programs leave behind becomes the keeper's.",
        refused: "The daemon cannot start.",
    },
    Trial {
        name: "memfd",
        need: Need::Needed,
        attempt: probe::memfd,
        offered: "The journal lies in memory that outlives a supervisor.",
        refused: "The daemon cannot start.",
    },
    Trial {
        name: "splice",
        need: Need::Needed,
        attempt: probe::splice_pipes,
        offered: "Logs go from pipe to file without passing through memory.",
        refused: "Nothing of what programs write can be kept.",
    },
    Trial {
        name: "clone3",
        need: Need::Useful,
        attempt: probe::clone3,
        offered: "Services are born in their cgroups, where clone-into-cgroup is offered too.",
        refused: "Services join their cgroups themselves, which may take milliseconds.",
    },
    Trial {
        name: "clone-into-cgroup",
        need: Need::Useful,
        attempt: probe::clone_into_cgroup,
        offered: "Services are born in their cgroups.",
        refused: "Services join their cgroups themselves, which may take milliseconds.",
    },
    Trial {
        name: "execveat",
        need: Need::Useful,
        attempt: probe::execveat,
        offered: "Programs that are kept in memory can be started.",
        refused: "No program can be started from memory.",
    },
    Trial {
        name: "memfd-exec",
        need: Need::Useful,
        attempt: probe::exec_from_memory,
        offered: "Programs can be kept in memory, sealed.",
        refused: "Programs that are kept in memory lie in a file system in memory, if one allows to execute them.",
    },
    Trial {
        name: "scheduler-slice",
        need: Need::Useful,
        attempt: probe::scheduler_slice,
        offered: "The length of a service's turn on a processor can be set.",
        refused: "The length of a service's turn on a processor is what the kernel makes it.",
    },
    Trial {
        name: "pidfd-info",
        need: Need::Useful,
        attempt: probe::pidfd_info,
        offered: UNUSED,
        refused: UNUSED,
    },
    Trial {
        name: "pidfd-exit-info",
        need: Need::Useful,
        attempt: exit_info,
        offered: "How programs end that have outlived their keeper is known.",
        refused: "Of a program that has outlived its keeper it is not known how it ends.",
    },
    Trial {
        name: "seccomp",
        need: Need::Useful,
        attempt: probe::seccomp_filter,
        offered: UNUSED,
        refused: UNUSED,
    },
    Trial {
        name: "time-namespace",
        need: Need::Useful,
        attempt: probe::time_namespace,
        offered: UNUSED,
        refused: UNUSED,
    },
];

fn exit_info() -> io::Result<()> {
    match probe::pidfd_exit_info()? {
        true => Ok(()),
        false => Err(io::Error::other("the kernel does not keep it")),
    }
}

/// Tries everything.
pub(super) fn all(places: &Places) -> Vec<Facility> {
    let mut found = vec![kernel(&release())];
    found.extend(TRIALS.iter().map(tried));
    found.push(landlock());
    found.push(proc());
    found.extend(super::cgroup::facilities(places));
    found.push(syslog());
    found
}

fn tried(trial: &Trial) -> Facility {
    let (verdict, reason, follows) = match (trial.attempt)() {
        Ok(()) => (Verdict::Offered, String::new(), trial.offered),
        Err(error) => (Verdict::Refused, why(&error), trial.refused),
    };
    Facility { name: trial.name, verdict, need: trial.need, reason, follows: follows.to_owned() }
}

/// The name of an errno, or the text of an error that has none.
pub(super) fn why(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno::name)
}

/// The release of the kernel that runs.
pub(super) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The oldest kernel that Bardo is made for.
const KERNEL_MIN: (u32, u32) = (5, 10);

fn kernel(release: &str) -> Facility {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut next = || numbers.next().and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0);
    let version = (next(), next());
    let (verdict, follows) = if version >= KERNEL_MIN {
        (Verdict::Offered, "Bardo is made for this kernel, if what follows is offered.")
    } else {
        (Verdict::Limited, "Bardo is made for Linux 5.10 and later; older ones are not tried.")
    };
    Facility::useful("kernel", verdict, release, follows)
}

fn landlock() -> Facility {
    match probe::landlock() {
        Ok(version) => {
            Facility::useful("landlock", Verdict::Offered, format!("version {version}"), UNUSED)
        }
        Err(error) => Facility::useful("landlock", Verdict::Refused, why(&error), UNUSED),
    }
}

/// Whether processes can be looked at: own ones, and those of others.
fn proc() -> Facility {
    let of = |verdict, reason: String, follows| Facility::useful("proc", verdict, reason, follows);
    if let Err(error) = std::fs::read("/proc/self/stat") {
        let follows = "Memory and CPU time of programs are not told, and a process of a supervisor \
                       that was killed may be taken for another one.";
        return of(Verdict::Refused, why(&error), follows);
    }
    if let Err(error) = std::fs::read("/proc/1/stat") {
        let follows = "Memory and CPU time of programs of other users are not told.";
        return of(Verdict::Limited, format!("hidepid, {}", why(&error)), follows);
    }
    of(Verdict::Offered, String::new(), "Memory and CPU time of programs are told.")
}

/// Whether somebody collects the system's log.
fn syslog() -> Facility {
    let reached = UnixDatagram::unbound().and_then(|socket| socket.connect(SYSLOG));
    // Some collect a stream.
    let reached = reached.or_else(|_| UnixStream::connect(Path::new(SYSLOG)).map(drop));
    match reached {
        Ok(()) => Facility::useful("dev-log", Verdict::Offered, "", "Logs can go to syslog."),
        Err(error) => {
            let follows = "What is to be logged to syslog is lost; logs in files are not.";
            Facility::useful("dev-log", Verdict::Refused, why(&error), follows)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_before_5_10_is_told_of() {
        for (release, expected) in [
            ("5.9.16-generic", Verdict::Limited),
            ("4.19.0", Verdict::Limited),
            ("5.10.0-8-amd64", Verdict::Offered),
            ("6.18.44-fc", Verdict::Offered),
            ("nonsense", Verdict::Limited),
        ] {
            assert_eq!(kernel(release).verdict, expected, "{release}");
        }
    }

    #[test]
    fn a_refusal_has_the_name_of_its_errno_and_what_follows() {
        fn refuse() -> io::Result<()> {
            Err(io::Error::from_raw_os_error(38))
        }
        let trial = Trial {
            name: "x",
            need: Need::Needed,
            attempt: refuse,
            offered: "good",
            refused: "bad",
        };

        let found = tried(&trial);

        assert_eq!(
            (found.verdict, &*found.reason, &*found.follows),
            (Verdict::Refused, "ENOSYS", "bad")
        );
        assert!(found.is_missed());
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = all(&Places::default()).iter().map(|it| it.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();

        assert_eq!(names.len(), count);
    }
}
