//! Name spaces with a root file system that forgets what is written to it, and what of
//! them is on this machine: processes, a cgroup, a lock.
//!
//! The first process in the name spaces waits for the end of its standard input, which is
//! ours: so nothing of a stage outlives a test, not even one that is killed. What a test
//! that was killed leaves is an empty cgroup, which the next stage removes.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use bardo::selftest::home::{Home, wait_until};
use bardo::selftest::procfs;

use super::rootfs::{self, Init};

/// Cgroups of stages, below the root of the hierarchy, begin with it.
const CGROUP_PREFIX: &str = "bardo-scene-";

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
    /// One machine at a time is enough for one that tests are run on.
    _lock: File,
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
        let lock = lock().map_err(|error| format!("the lock of stages: {error}"))?;
        let root = rootfs::of(init)?;
        let home = Home::new("scene").map_err(|error| format!("a folder: {error}"))?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{CGROUP_PREFIX}{}-{count}", std::process::id());
        let mut holder = raise(&root, &home, &name)?;
        match reach(&mut holder, &name) {
            Ok(cgroup) => Ok(Self { holder, home, cgroup, name, _lock: lock }),
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
fn reach(holder: &mut Child, name: &str) -> Result<File, String> {
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
    sweep(&cgroups, name);
    File::open(cgroups.join(name)).map_err(|error| format!("the cgroup of a stage: {error}"))
}

fn first(holder: &Child) -> Option<u32> {
    procfs::children(holder.id()).first().map(|stat| stat.pid)
}

/// Removes cgroups of stages that have been killed. We have the lock, so there is no
/// other that lives.
fn sweep(cgroups: &Path, ours: &str) {
    for entry in fs::read_dir(cgroups).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(CGROUP_PREFIX) && name != ours && remove_below(&entry.path()) {
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

/// Waits until nobody has a stage.
fn lock() -> io::Result<File> {
    let path = std::env::temp_dir().join("bardo-scene.lock");
    let file = File::options().create(true).append(true).open(path)?;
    file.lock()?;
    Ok(file)
}

fn is_on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}
