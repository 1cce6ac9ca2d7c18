//! A log that takes nothing without refusing: a FIFO that nobody reads, a file system that
//! is frozen.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bardo::selftest::home::Home;
use bardo_sys::faults::mounts;
use rustix::fs::Mode;

use crate::others::{OTHER, all_lines, looper, try_open, writer};
use crate::scene::Scene;

#[test]
fn a_fifo_that_nobody_reads_holds_up_its_writer_only() {
    let programs = writer("writer", "{here}/fifo", "") + &writer("free", "{here}/free.log", "");
    let fifo = |home: &Home| home.file("fifo");
    let make = |home: &Home| {
        rustix::fs::mkfifoat(rustix::fs::CWD, fifo(home), Mode::RWXU).unwrap();
    };
    let scene = try_open("", &(programs + OTHER), make, |_, _| {}).unwrap();
    let path = fifo(&scene.home).display().to_string();

    scene.await_troubles(&[("log-target", &path)]);
    scene.await_all_lines(&scene.home.file("free.log"));
    scene.expect_supervision();

    // Whoever reads it reads everything, however long he rests between.
    let mut reader = File::open(fifo(&scene.home)).unwrap();
    let mut seen = vec![0; all_lines().len()];
    let (first, rest) = seen.split_at_mut(1000);
    reader.read_exact(first).unwrap();
    scene.await_troubles(&[]);
    scene.expect_supervision();
    reader.read_exact(rest).unwrap();
    assert!(seen == all_lines().as_bytes(), "a line is missing, double or torn");
}

/// A file system in a file, mounted where only the daemon sees it. It comes free with the
/// daemon's last process.
struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Makes one; where that cannot be had, says why.
    fn of(scene: &Scene) -> Result<Self, String> {
        let (image, place) = (scene.home.file("image"), scene.home.file("disk"));
        let file = File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(16 << 20).map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").arg("-q").arg(&image))?;
        let target = scene.daemon.keeper().to_string();
        let mut mount = Command::new("nsenter");
        mount.args(["-t", &target, "-m", "--", "mount", "-o", "loop"]);
        run(mount.arg(&image).arg(&place))?;
        Ok(Self { place: scene.seen("disk") })
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// A frozen file system. It thaws when this is dropped, and also when the test is killed:
/// a shell waits for the end of its standard input.
struct Frozen {
    place: File,
    watchdog: Child,
}

impl Frozen {
    fn new(disk: &Disk) -> io::Result<Self> {
        let watchdog = Command::new("/bin/sh")
            .args(["-c", "read line; fsfreeze --unfreeze ."])
            .current_dir(&disk.place)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let place = File::open(&disk.place)?;
        mounts::freeze(place.as_fd())?;
        Ok(Self { place, watchdog })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = mounts::thaw(self.place.as_fd());
        // It thaws what is thawed already, which is refused.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

#[test]
fn a_frozen_file_system_holds_up_logs_and_nothing_else() {
    let programs = writer("writer", "{here}/disk/writer.log", "autostart=false")
        + &writer("free", "{here}/free.log", "autostart=false")
        + &looper("{here}/disk/loop.log");
    let make = |home: &Home| fs::create_dir(home.file("disk")).unwrap();
    let change = |_: &Home, command: &mut Command| mounts::before(command, Vec::new());
    let Some(scene) = try_open("", &(programs + OTHER), make, change) else { return };
    let disk = match Disk::of(&scene) {
        Ok(disk) => disk,
        Err(error) => return eprintln!("skipped: no file system can be mounted: {error}"),
    };
    let log = disk.place.join("writer.log");
    let frozen = match Frozen::new(&disk) {
        Ok(frozen) => frozen,
        Err(error) => return eprintln!("skipped: no file system can be frozen: {error}"),
    };

    scene.client().about("startProcess", "writer").unwrap();
    scene.expect_supervision();
    scene.client().about("startProcess", "free").unwrap();
    scene.client().about("startProcess", "loop").unwrap();
    scene.expect_supervision();
    scene.await_troubles(&[("log-pump", "log-pump"), ("shortage", "loop")]);
    scene.expect_supervision();
    drop(frozen);

    scene.await_all_lines(&log);
    scene.await_all_lines(&scene.home.file("free.log"));
    scene.wait("more lives", || scene.said("spawned: 'loop'") > 200);
    scene.client().about("stopProcess", "loop").unwrap();
    scene.await_all_loops(&disk.place.join("loop.log"));
    scene.await_troubles(&[]);
    assert_eq!(scene.said("the log pump does not move"), 1, "{}", scene.log());
}

#[test]
fn a_supervisor_that_is_killed_while_its_disk_is_frozen_loses_no_line() {
    let programs = writer("writer", "{here}/disk/writer.log", "autostart=false");
    let make = |home: &Home| fs::create_dir(home.file("disk")).unwrap();
    let change = |_: &Home, command: &mut Command| mounts::before(command, Vec::new());
    let Some(scene) = try_open("", &(programs + OTHER), make, change) else { return };
    let disk = match Disk::of(&scene) {
        Ok(disk) => disk,
        Err(error) => return eprintln!("skipped: no file system can be mounted: {error}"),
    };
    let log: &Path = &disk.place.join("writer.log");
    let other = scene.process("other");
    let frozen = match Frozen::new(&disk) {
        Ok(frozen) => frozen,
        Err(error) => return eprintln!("skipped: no file system can be frozen: {error}"),
    };
    scene.client().about("startProcess", "writer").unwrap();
    let supervisor = scene.supervisor();
    scene.wait("the log pump in its write", || is_held_up(supervisor.pid));

    // It ends with the thaw, whoever kills it.
    bardo::selftest::home::send(supervisor.pid, crate::scene::KILL).unwrap();
    drop(frozen);

    scene.wait("another supervisor", || {
        scene.daemon.supervisor().is_some_and(|now| now.pid != supervisor.pid)
    });
    scene.await_all_lines(log);
    assert_eq!(scene.process("other").identity(), other.identity());
    scene.expect_supervision();
}

/// Whether a thread of a process waits where no signal reaches it.
fn is_held_up(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stat = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("stat")).ok();
    threads
        .filter_map(stat)
        .any(|stat| stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('D')))
}
