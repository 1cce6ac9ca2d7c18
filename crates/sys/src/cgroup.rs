//! Cgroups of version 2 for services: a leaf for each life, with limits, an end for all
//! that is in it, and who is in which.
//!
//! It decides nothing: whoever asks is told what was done and what is not to be had, and
//! why. Nothing here waits for a disk, but a file of a cgroup can take milliseconds.
//!
//! Two things surprise a newcomer. A cgroup whose children have controllers must not have
//! processes of its own, so the daemon moves into a leaf of its own when the first limit
//! is asked for, and not before: who sets no limits changes nothing. And on a machine with
//! both versions the controllers mostly belong to version 1: then there are leaves, which
//! can be told apart and killed, and no limits.

mod leaf;
mod names;
mod places;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

pub use self::leaf::Leaf;
pub use self::places::{Place, Places};
use crate::stat::Stat;

/// The leaf that the daemon itself moves to. No label becomes this name.
const OWN_LEAF: &str = "_daemon";

/// What is to be had of the kernel's division of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// Memory.
    Memory,
    /// Numbers of processes.
    Pids,
    /// Processors.
    Cpu,
    /// Disks.
    Io,
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Pids, Self::Cpu, Self::Io];

    /// As the kernel writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Io => "io",
        }
    }

    /// As version 1 writes it.
    #[must_use]
    pub const fn old_name(self) -> &'static str {
        match self {
            Self::Io => "blkio",
            other => other.name(),
        }
    }
}

/// Something that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knob {
    /// Bytes of memory, beyond which somebody in it is killed.
    MemoryMax,
    /// Bytes of memory, beyond which it is slowed down.
    MemoryHigh,
    /// Bytes of swap.
    SwapMax,
    /// Processes and threads.
    PidsMax,
    /// Time of a processor in each period.
    CpuMax,
    /// Its share of the processors among its like: 1 to 10000.
    CpuWeight,
    /// The same, by the nice value that has it.
    CpuNice,
    /// Its share of the disks among its like: 1 to 10000.
    IoWeight,
}

impl Knob {
    /// Its file.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::MemoryMax => "memory.max",
            Self::MemoryHigh => "memory.high",
            Self::SwapMax => "memory.swap.max",
            Self::PidsMax => "pids.max",
            Self::CpuMax => "cpu.max",
            Self::CpuWeight => "cpu.weight",
            Self::CpuNice => "cpu.weight.nice",
            Self::IoWeight => "io.weight",
        }
    }

    /// Who has it.
    #[must_use]
    pub const fn controller(self) -> Controller {
        match self {
            Self::MemoryMax | Self::MemoryHigh | Self::SwapMax => Controller::Memory,
            Self::PidsMax => Controller::Pids,
            Self::CpuMax | Self::CpuWeight | Self::CpuNice => Controller::Cpu,
            Self::IoWeight => Controller::Io,
        }
    }
}

/// What something is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// No limit.
    Max,
    /// So many.
    Number(u64),
    /// So many microseconds in each period of so many.
    Share(u64, u64),
    /// As readily as this nice value: -20 to 19.
    Nice(i8),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Share(quota, period) => write!(f, "{quota} {period}"),
            Self::Nice(nice) => write!(f, "{nice}"),
        }
    }
}

/// Whose a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The life of this number of the service of this label.
    Life(String, u64),
    /// None of those that have leaves.
    Nobody,
    /// It cannot be told: there is no such process any more, or it is hidden from us.
    Unknown,
}

/// Whether an error is for want of something that there may be again in a moment.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    const SHORTAGES: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EINTR];
    error.raw_os_error().is_some_and(|number| SHORTAGES.contains(&number))
}

/// Why something of cgroups is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Absent {
    /// There is no hierarchy of version 2.
    #[error("no cgroups of version 2 are mounted")]
    NotMounted,
    /// No cgroup can be made.
    #[error("no cgroup can be made in {}", .0.display())]
    NotWritable(PathBuf, #[source] io::Error),
    /// It cannot be told whether there are any.
    #[error("it cannot be found out whether there are cgroups")]
    Unseen(#[source] io::Error),
    /// A controller belongs to version 1.
    #[error("the cgroup controller {0} belongs to version 1 on this machine")]
    HeldByVersion1(&'static str),
    /// The kernel has no such controller, or whoever gave us our cgroup has kept it.
    #[error("the cgroup controller {0} is not given to {path}", path = .1.display())]
    NotGiven(&'static str, PathBuf),
    /// A controller cannot be passed on, because somebody else is in our cgroup.
    #[error("{} has processes of others, so no limits can be set below it", .0.display())]
    Shared(PathBuf),
    /// The controller is there, and has no such file.
    #[error("this kernel has no {0}")]
    NoFile(&'static str),
    /// It was refused.
    #[error("{file} cannot be set", file = .0.display())]
    Refused(PathBuf, #[source] io::Error),
}

impl Absent {
    /// The error, where it is for want of something that there may be again in a moment.
    #[must_use]
    pub fn shortage(&self) -> Option<&io::Error> {
        match self {
            Self::NotWritable(_, error) | Self::Refused(_, error) | Self::Unseen(error) => {
                Some(error).filter(|error| is_shortage(error))
            }
            Self::NotMounted
            | Self::HeldByVersion1(_)
            | Self::NotGiven(..)
            | Self::Shared(_)
            | Self::NoFile(_) => None,
        }
    }
}

/// The cgroup below which all leaves are.
#[derive(Debug)]
pub struct Root {
    directory: PathBuf,
    /// Its path as `/proc` tells it of processes.
    path: String,
    /// Which controllers leaves have, a bit for each.
    passed_on: AtomicU8,
    /// Controllers of version 1.
    old: Vec<String>,
}

impl Root {
    /// Makes a cgroup of this name in our own, or where that cannot be, at the top of the
    /// hierarchy. It may be there already, and we may be in it.
    ///
    /// # Errors
    /// When there are no cgroups of version 2, or none can be made.
    pub fn open(name: &str) -> Result<Self, Absent> {
        Self::open_in(&Places::seen().map_err(Absent::Unseen)?, name)
    }

    /// The same, in these places.
    ///
    /// # Errors
    /// When there are no cgroups of version 2, or none can be made.
    pub fn open_in(places: &Places, name: &str) -> Result<Self, Absent> {
        let own = places.unified.as_ref().ok_or(Absent::NotMounted)?;
        let tail = format!("/{name}/{OWN_LEAF}");
        // We have moved to our own leaf already.
        let (above, path) = match own.path.strip_suffix(&*tail) {
            Some(path) if own.directory.ends_with(&tail[1..]) => {
                (own.directory.ancestors().nth(2), path)
            }
            _ => (Some(own.directory.as_path()), &*own.path),
        };
        let above = above.unwrap_or(&own.directory);
        let mut refused = None;
        for (parent, path) in [(above, path), (&*own.top, &*own.top_path)] {
            let directory = parent.join(name);
            match make(&directory) {
                Ok(()) => {
                    return Ok(Self {
                        path: format!("{path}/{name}"),
                        passed_on: AtomicU8::new(passed_by(&directory)),
                        directory,
                        old: places.separate.keys().cloned().collect(),
                    });
                }
                Err(error) => drop(refused.get_or_insert((parent.to_owned(), error))),
            }
        }
        let (parent, error) = refused.unwrap_or((above.to_owned(), io::ErrorKind::Other.into()));
        Err(Absent::NotWritable(parent, error))
    }

    /// Makes the leaf of a life, in place of one that is there already and has nobody in it.
    ///
    /// # Errors
    /// What `mkdir` says: ENAMETOOLONG for a label that is too long here, EEXIST where
    /// somebody is in it.
    pub fn leaf(&self, label: &str, number: u64) -> io::Result<Leaf> {
        let leaf = self.find(label, number);
        let passed_on = self.passed_on.load(Ordering::Relaxed);
        // A service that was started before has its folder, and nobody waits for a look.
        if passed_on == 0 && fs::create_dir(leaf.path()).is_ok() {
            return Ok(leaf);
        }
        if let Some(folder) = leaf.path().parent() {
            make(folder)?;
            pass_to(folder, passed_on)?;
        }
        match fs::create_dir(leaf.path()) {
            // Its limits, and what was counted in it, are somebody else's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                leaf.clear().map_err(|_| error)?;
                fs::create_dir(leaf.path())?;
            }
            made => made?,
        }
        Ok(leaf)
    }

    /// The leaf of a life, whether it is there or not.
    #[must_use]
    pub fn find(&self, label: &str, number: u64) -> Leaf {
        let folder = self.directory.join(names::from_label(label));
        Leaf::at(folder.join(number.to_string()))
    }

    /// All leaves that there are, with their labels and numbers.
    #[must_use]
    pub fn leaves(&self) -> Vec<(String, u64)> {
        let names = |path: &Path| {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok())
        };
        let labels = names(&self.directory).filter(|name| name != OWN_LEAF);
        labels
            .flat_map(|name| {
                let label = names::to_label(&name);
                names(&self.directory.join(name))
                    .filter_map(move |number| Some((label.clone(), number.parse().ok()?)))
            })
            .collect()
    }

    /// Which controllers leaves have, as a number that is another one when they have others.
    #[must_use]
    pub fn controllers(&self) -> u8 {
        self.passed_on.load(Ordering::Relaxed)
    }

    /// Whether leaves have a controller.
    #[must_use]
    pub fn has(&self, controller: Controller) -> bool {
        self.passed_on.load(Ordering::Relaxed) >> controller as u8 & 1 == 1
    }

    /// Sees to it that leaves can have a controller. When somebody is in our own cgroup, all
    /// of the daemon's move to a leaf of their own: the earlier this is done, the fewer.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn enable(&self, controller: Controller) -> Result<(), Absent> {
        if !self.has(controller) {
            let bit = 1 << controller as u8;
            self.take(self.directory.parent().unwrap_or(&self.directory), controller)?;
            let refused = |error| Absent::Refused(self.directory.clone(), error);
            pass_to(&self.directory, bit).map_err(refused)?;
            self.passed_on.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Sets something of a leaf.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn set(&self, leaf: &Leaf, knob: Knob, value: Value) -> Result<(), Absent> {
        self.enable(knob.controller())?;
        if let Some(folder) = leaf.path().parent() {
            let refused = |error| Absent::Refused(folder.to_owned(), error);
            pass_to(folder, 1 << knob.controller() as u8).map_err(refused)?;
        }
        let file = leaf.path().join(knob.file());
        match write(&file, &value.to_string()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Absent::NoFile(knob.file()))
            }
            Err(error) => Err(Absent::Refused(file, error)),
        }
    }

    /// Whose a process is, by the leaf that it is in. It must not end meanwhile, or the
    /// answer may be somebody else's.
    #[must_use]
    pub fn owner_of(&self, pid: u32) -> Owner {
        match fs::read_to_string(format!("/proc/{pid}/cgroup")) {
            Ok(text) => self.owner_in(&text).unwrap_or(Owner::Nobody),
            Err(_) => Owner::Unknown,
        }
    }

    fn owner_in(&self, cgroups: &str) -> Option<Owner> {
        let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let mut rest = path.strip_prefix(&*self.path)?.strip_prefix('/')?.split('/');
        Some(Owner::Life(names::to_label(rest.next()?), rest.next()?.parse().ok()?))
    }

    /// The directory of all leaves.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Removes it and all empty leaves; what has processes stays.
    pub fn remove(&self) {
        leaf::remove_below(&self.directory);
        let _ = fs::remove_dir(&self.directory);
    }

    /// Passes a controller from the cgroup above to ours, and moves ourselves out of its
    /// way when that is what it takes.
    fn take(&self, above: &Path, controller: Controller) -> Result<(), Absent> {
        let name = controller.name();
        let file = above.join("cgroup.controllers");
        let list = match fs::read_to_string(&file) {
            Err(error) if is_shortage(&error) => return Err(Absent::Refused(file, error)),
            list => list.unwrap_or_default(),
        };
        if !list.split_whitespace().any(|it| it == name) {
            return Err(if self.old.iter().any(|it| it == controller.old_name()) {
                Absent::HeldByVersion1(controller.old_name())
            } else {
                Absent::NotGiven(name, above.to_owned())
            });
        }
        let file = above.join("cgroup.subtree_control");
        let pass = || write(&file, &format!("+{name}"));
        match pass() {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(Absent::Refused(file, error)),
            Ok(()) => return Ok(()),
        }
        self.move_daemon(above)?;
        pass().map_err(|error| match is_shortage(&error) {
            true => Absent::Refused(file.clone(), error),
            false => Absent::Shared(above.to_owned()),
        })
    }

    /// Moves the daemon, which is this process, its parent and all that they have started,
    /// to a leaf of its own.
    fn move_daemon(&self, above: &Path) -> Result<(), Absent> {
        let own = self.directory.join(OWN_LEAF);
        let refused = |error| Absent::Refused(own.clone(), error);
        let keeper = std::os::unix::process::parent_id();
        let is_ours = |pid: &u32| Stat::descends(*pid, keeper);
        // Nobody is moved in vain.
        if !leaf::processes_of(above).iter().all(is_ours) {
            return Err(Absent::Shared(above.to_owned()));
        }
        make(&own).map_err(refused)?;
        let own = own.join("cgroup.procs");
        // Those who are born are born where we are.
        let daemon = [std::process::id(), keeper];
        for pid in daemon.into_iter().chain(leaf::processes_of(above)) {
            match write(&own, &pid.to_string()) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                    return Err(refused(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Passes controllers from a cgroup to its children. What does not work shows when something
/// is set, unless it is a shortage, which is over by then.
fn pass_to(folder: &Path, bits: u8) -> io::Result<()> {
    let file = folder.join("cgroup.subtree_control");
    for controller in Controller::ALL.into_iter().filter(|it| bits >> *it as u8 & 1 == 1) {
        match write(&file, &format!("+{}", controller.name())) {
            Err(error) if is_shortage(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The controllers that a cgroup passes on already, a bit for each.
fn passed_by(folder: &Path) -> u8 {
    let text = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
    let is_there = |it: &Controller| text.split_whitespace().any(|name| name == it.name());
    Controller::ALL.into_iter().filter(is_there).fold(0, |bits, it| bits | 1 << it as u8)
}

/// Makes a directory that may be there already.
fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Writes to a file that is there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests;
