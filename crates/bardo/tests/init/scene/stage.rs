//! Name spaces with a root file system that forgets what is written to it, and what of
//! them is on this machine: processes, a cgroup, a lock.
//!
//! The first process in the name spaces waits for the end of its standard input, which is
//! ours: so nothing of a stage outlives a test, not even one that is killed. What a test
//! that was killed leaves is an empty cgroup, which the next stage in its place removes.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use bardo::selftest::home::{Home, wait_until};
use bardo::selftest::procfs;

use super::rootfs::{self, Init};

/// How many stages there are at a time on this machine. Most of what a test does is to wait for
/// init; with more of them it would be to wait for a processor.
const PLACES: usize = 2;

/// How often it is looked for a place that is free.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What must be on the `PATH`, each with the package that has it.
const TOOLS: [(&str, &str); 6] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("mount", "util-linux"),
    ("timeout", "coreutils"),
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
];

pub(crate) struct Stage {
    /// `unshare`, whose child is the first process.
    holder: Child,
    pub(super) home: Home,
    /// The cgroup of everything here. It can be reached when the mounts are gone.
    cgroup: File,
    name: String,
    _place: Place,
}

/// Where a stage may stand, until this is dropped.
struct Place {
    number: usize,
    _lock: File,
    /// OpenRC's cgroups are in a hierarchy that there is once on a machine, by the names of
    /// services: so there is one of it at a time.
    _only: Option<File>,
}

impl Stage {
    /// A stage with the root file system of that init system, as soon as nobody else has
    /// one. Or why there can be none.
    pub(super) fn open(init: Init) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("name spaces with mounts need root".to_owned());
        }
        for (tool, package) in TOOLS {
            if !is_on_path(tool) {
                return Err(format!("there is no {tool} (package {package})"));
            }
        }
        let place = Place::take(init).map_err(|error| format!("the lock of stages: {error}"))?;
        // Two may not make the same one.
        let making = lock_file("rootfs").and_then(|file| file.lock().map(|()| file));
        let making = making.map_err(|error| format!("the lock of root file systems: {error}"))?;
        let root = rootfs::of(init)?;
        drop(making);
        let home = Home::new("scene").map_err(|error| format!("a folder: {error}"))?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = place.prefix();
        let name = format!("{prefix}{}-{count}", std::process::id());
        let mut holder = raise(&root, &home, &name)?;
        match reach(&mut holder, &name, &prefix) {
            Ok(cgroup) => Ok(Self { holder, home, cgroup, name, _place: place }),
            Err(reason) => {
                // It has ended, or its standard input ends here.
                drop(holder.stdin.take());
                let _ = holder.wait();
                Err(reason)
            }
        }
    }

    /// The number of its first process.
    fn first(&self) -> u32 {
        first(&self.holder).expect("a stage has a first process")
    }

    /// A command in its name spaces, which is not yet in a root file system.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--pid", "--target", &self.first().to_string(), "--"]);
        command
    }

    /// The root file system as its processes name it.
    pub(super) fn inner_root(&self) -> PathBuf {
        self.home.file("root")
    }

    /// A file of the root file system as we name it: `path` is absolute.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        let root = self.inner_root();
        let outside = format!("/proc/{}/root{}{path}", self.first(), root.display());
        PathBuf::from(outside)
    }

    /// The name of a cgroup that is not there yet, as `boot_*.sh` wants it.
    pub(super) fn new_cgroup(&self) -> String {
        let below = |number: &u32| !self.cgroup().join(format!("boot-{number}")).exists();
        let number = (1..).find(below).expect("numbers do not end");
        format!("{}/boot-{number}", self.name)
    }

    /// The cgroup of everything here.
    pub(super) fn cgroup(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.cgroup.as_raw_fd()))
    }

    /// Its cgroup's path below the root of the hierarchy.
    pub(super) fn cgroup_name(&self) -> &str {
        &self.name
    }

    /// Ends everything that runs here. The kernel has the first process wait for all others.
    pub(super) fn end_processes(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.end_processes();
        // What ran in it has ended, though the cgroup may hear of it a moment later.
        let cgroup = self.cgroup();
        let removed = wait_until("the end of a cgroup", || remove_below(&cgroup));
        let itself = cgroup.join("..").join(&self.name);
        if let Err(error) = removed.and_then(|()| fs::remove_dir(&itself)) {
            eprintln!("the cgroup {} is left: {error}", self.name);
        }
    }
}

/// Starts the first process, and waits until it has mounted everything.
fn raise(root: &Path, home: &Home, name: &str) -> Result<Child, String> {
    Command::new("unshare")
        .args(["--mount", "--propagation=private", "--pid", "--fork", "--mount-proc"])
        .args(["--kill-child=KILL", "/bin/sh", "-c", include_str!("stage.sh"), "stage.sh"])
        .args([root, home.path()])
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("unshare: {error}"))
}

/// Waits until a stage stands, and opens its cgroup.
fn reach(holder: &mut Child, name: &str, prefix: &str) -> Result<File, String> {
    let mut line = String::new();
    let output = holder.stdout.take().expect("it is a pipe");
    let read = BufReader::new(output).read_line(&mut line);
    let first = first(holder).filter(|_| read.is_ok() && line == "ready\n");
    let Some(first) = first else {
        let mut said = String::new();
        drop(holder.stdin.take());
        if let Some(errors) = &mut holder.stderr {
            let _ = errors.read_to_string(&mut said);
        }
        return Err(format!("name spaces are refused here: {}", said.trim()));
    };
    let cgroups = PathBuf::from(format!("/proc/{first}/root/sys/fs/cgroup"));
    sweep(&cgroups, name, prefix);
    File::open(cgroups.join(name)).map_err(|error| format!("the cgroup of a stage: {error}"))
}

fn first(holder: &Child) -> Option<u32> {
    procfs::children(holder.id()).first().map(|stat| stat.pid)
}

/// Removes cgroups of stages in our place that have been killed. It is ours, so there is no
/// other that lives.
fn sweep(cgroups: &Path, ours: &str, prefix: &str) {
    for entry in fs::read_dir(cgroups).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) && name != ours && remove_below(&entry.path()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Removes the cgroups below one. False when one of them is in use.
fn remove_below(cgroup: &Path) -> bool {
    let Ok(entries) = fs::read_dir(cgroup) else { return false };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
    let mut all = true;
    for folder in folders {
        all &= remove_below(&folder.path()) && fs::remove_dir(folder.path()).is_ok();
    }
    all
}

impl Place {
    /// Waits for one.
    fn take(init: Init) -> io::Result<Self> {
        let only = match init {
            Init::Openrc => {
                let file = lock_file("openrc")?;
                file.lock()?;
                Some(file)
            }
            Init::Systemd | Init::Sysvinit => None,
        };
        let files: Vec<File> =
            (0..PLACES).map(|number| lock_file(&number.to_string())).collect::<Result<_, _>>()?;
        loop {
            for (number, file) in files.iter().enumerate() {
                match file.try_lock() {
                    Ok(()) => {
                        let lock = file.try_clone()?;
                        return Ok(Self { number, _lock: lock, _only: only });
                    }
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Cgroups of stages here, below the root of the hierarchy, begin with it.
    fn prefix(&self) -> String {
        format!("bardo-scene-{}-", self.number)
    }
}

fn lock_file(name: &str) -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("bardo-scene-{name}.lock"));
    File::options().create(true).append(true).open(path)
}

fn is_on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}
