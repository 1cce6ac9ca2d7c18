//! Who stands between OpenRC and the service, with a real service beneath.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bardo::selftest::home::write_executable;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::stubs::{configuration, copy_executable, skipped};

/// How long something that must happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that is attended.
struct Attended {
    room: TempDir,
    /// The folder of the service.
    place: PathBuf,
    name: String,
    account: Option<&'static str>,
    attendant: Child,
}

impl Attended {
    fn start() -> Self {
        Self::start_as(None)
    }

    /// The same, whose service runs as an account.
    fn start_as(account: Option<&'static str>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bardo-test-{}-{number}", std::process::id());
        let room = tempfile::tempdir_in("/tmp").unwrap();
        let place = match rustix::process::geteuid().is_root() {
            true => PathBuf::from("/run").join(&name),
            false => room.path().join("place"),
        };
        fs::create_dir_all(&place).unwrap();
        let here = room.path().display();
        fs::write(room.path().join("c.conf"), configuration(room.path())).unwrap();
        let tool = format!(
            "#!/bin/sh\necho \"$* as $(id -u)\" >'{here}/asked.new'\nmv '{here}/asked.new' '{here}/asked'\n"
        );
        write_executable(&room.path().join("rc-service"), tool.as_bytes()).unwrap();
        if let Some(account) = account {
            copy_executable(Path::new(env!("CARGO_BIN_EXE_bardo")), &room.path().join("bardo"));
            let mut owning = Command::new("chown");
            owning.arg("-R").arg(account).args([room.path(), &place]);
            assert!(owning.status().unwrap().success());
        }
        let attendant = Self::attend(&room, &place, &name, account);
        let mut attended = Self { room, place, name, account, attendant };
        attended.until_ready();
        attended
    }

    fn attend(room: &TempDir, place: &PathBuf, name: &str, account: Option<&str>) -> Child {
        let file = |name: &str| room.path().join(name);
        let said = File::create(file("said")).unwrap();
        let binary = match account {
            Some(_) => file("bardo"),
            None => PathBuf::from(env!("CARGO_BIN_EXE_bardo")),
        };
        Command::new(binary)
            .args(["--service-attend", name])
            .args(account.iter().flat_map(|account| ["--account", account]))
            .arg("--config")
            .arg(file("c.conf"))
            .arg("--pidfile")
            .arg(file("ready.pid"))
            .env("PATH", format!("{}:/usr/bin:/bin", room.path().display()))
            .env("RUNTIME_DIRECTORY", place)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap()
    }

    fn attend_again(&mut self) {
        self.attendant = Self::attend(&self.room, &self.place, &self.name, self.account);
    }

    /// Until the attendant says so, which it does once.
    fn until_it_says(&mut self, words: &str) {
        let begun = Instant::now();
        while !fs::read_to_string(self.file("said")).unwrap().contains(words) {
            let ended = self.attendant.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "{ended:?}: not {words}");
            std::thread::yield_now();
        }
    }

    fn notes(&self) -> PathBuf {
        PathBuf::from(format!("/run/{}.pauses", self.name))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.file("ready.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    /// The number of the service, which is the attendant's child.
    fn until_ready(&mut self) -> Pid {
        let begun = Instant::now();
        loop {
            if let Some(pid) = self.pid().filter(|pid| parent_of(*pid) == Some(self.attendant.id()))
            {
                return pid;
            }
            let ended = self.attendant.try_wait().unwrap();
            let said = fs::read_to_string(self.file("said")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "{ended:?}: {said}");
            std::thread::yield_now();
        }
    }

    /// Until the attendant reads signals.
    fn until_it_waits(&self) {
        let path = format!("/proc/{}/status", self.attendant.id());
        let begun = Instant::now();
        let blocks = |text: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            mask.is_some_and(|mask| mask & (1 << (Signal::TERM.as_raw() - 1)) != 0)
        };
        while !blocks(&fs::read_to_string(&path).unwrap()) {
            assert!(begun.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
    }

    /// Until it has read a signal that it was sent.
    fn until_it_has_read(&self, signal: Signal) {
        let path = format!("/proc/{}/status", self.attendant.id());
        let begun = Instant::now();
        let is_left = |text: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
            let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            mask.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
        };
        while is_left(&fs::read_to_string(&path).unwrap()) {
            assert!(begun.elapsed() < PATIENCE, "it has not read it");
            std::thread::yield_now();
        }
    }

    fn tell(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.attendant.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        self.attendant.wait().unwrap()
    }

    fn supervisorctl(&self, word: &str) {
        let url = format!("unix://{}", self.file("s.sock").display());
        let output = Command::new(env!("CARGO_BIN_EXE_bardo"))
            .args(["supervisorctl", "-s", &url, word])
            .output();
        assert!(output.unwrap().status.success());
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        // What a test has left when it failed.
        let service = self.pid().filter(|pid| parent_of(*pid).is_some());
        let is_service = |pid: &Pid| {
            let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            line.is_ok_and(|line| String::from_utf8_lossy(&line).contains(&self.name))
        };
        if let Some(pid) = service.filter(is_service) {
            let _ = kill_process(pid, Signal::TERM);
            until_gone(pid);
        }
        let _ = self.attendant.kill();
        let _ = self.attendant.wait();
        let _ = fs::remove_dir_all(&self.place);
        let _ = fs::remove_file(self.notes());
    }
}

fn parent_of(pid: Pid) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn until_gone(pid: Pid) {
    let begun = Instant::now();
    // A zombie has no command line.
    let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    while fs::read(&path).is_ok_and(|line| !line.is_empty()) && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
}

#[test]
fn a_stop_by_openrc_is_passed_on_and_waited_for() {
    let mut attended = Attended::start();
    let service = attended.until_ready();

    attended.tell(Signal::TERM);

    assert_eq!(attended.end().code(), Some(0));
    assert!(parent_of(service).is_none(), "the service has ended before its attendant");
    assert!(!attended.file("asked").exists());
    assert!(!attended.notes().exists(), "the next start has no pause");
}

#[test]
fn a_shutdown_that_was_asked_for_is_told_to_openrc() {
    is_told_of_a_shutdown(Attended::start());
}

#[test]
fn openrc_is_told_by_root_also_where_the_service_runs_as_an_account() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root becomes somebody else");
        return;
    }
    let mut attended = Attended::start_as(Some("daemon"));
    let service = attended.until_ready();
    let owner = |pid: u32| fs::metadata(format!("/proc/{pid}")).unwrap().uid();
    let daemon = fs::metadata(attended.room.path()).unwrap().uid();
    assert_ne!(daemon, 0);
    assert_eq!(owner(service.as_raw_nonzero().get().cast_unsigned()), daemon);
    assert_eq!(owner(attended.attendant.id()), 0);

    is_told_of_a_shutdown(attended);
}

fn is_told_of_a_shutdown(mut attended: Attended) {
    attended.supervisorctl("shutdown");

    let begun = Instant::now();
    while !attended.file("asked").exists() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    let asked = fs::read_to_string(attended.file("asked")).unwrap();
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(asked, format!("{} stop as {own}\n", attended.name));
    // It waits for the end that OpenRC prepares for it: one that ended now would be followed.
    assert!(attended.attendant.try_wait().unwrap().is_none());
    attended.tell(Signal::TERM);
    assert_eq!(attended.end().code(), Some(0));
}

#[test]
fn a_restart_that_was_asked_for_and_a_death_are_passed_on_as_they_are() {
    let mut attended = Attended::start();
    attended.supervisorctl("reload");
    assert_eq!(attended.end().code(), Some(1));

    let mut attended = Attended::start();
    let service = attended.until_ready();
    kill_process(service, Signal::KILL).unwrap();
    assert_eq!(attended.end().code(), Some(137));
    let notes = fs::read_to_string(attended.notes()).unwrap();
    assert!(notes.ends_with(" 0 0\n"), "the first pause is none: {notes}");

    // The next one takes over what is left, after a pause.
    attended.attend_again();
    attended.until_ready();
    let notes = fs::read_to_string(attended.notes()).unwrap();
    assert!(notes.ends_with(" 1 0\n"), "{notes}");
    attended.tell(Signal::TERM);
    assert_eq!(attended.end().code(), Some(0));
}

#[test]
fn a_killed_attendant_takes_the_keeper_with_it_so_that_the_next_one_can_start_another() {
    let mut attended = Attended::start();
    let service = attended.until_ready();

    attended.attendant.kill().unwrap();
    attended.end();
    until_gone(service);

    attended.attend_again();
    let next = attended.until_ready();
    assert_ne!(next, service);
    attended.tell(Signal::TERM);
    assert_eq!(attended.end().code(), Some(0));
}

#[test]
fn a_stop_in_the_pause_leaves_no_pause_for_the_next_start() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root writes in /run");
        return;
    }
    let mut attended = Attended::start();
    attended.tell(Signal::TERM);
    attended.end();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    fs::write(attended.notes(), format!("{} 30\n", now.as_secs())).unwrap();

    attended.attend_again();
    // A signal before it reads any would end it, and it would be none of the pause.
    attended.until_it_waits();
    attended.tell(Signal::TERM);

    assert_eq!(attended.end().code(), Some(0));
    assert!(!attended.notes().exists());
}

#[test]
fn fifty_starts_that_fail_have_pauses_that_grow_to_a_minute() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root writes in /run");
        return;
    }
    let mut attended = Attended::start();
    attended.tell(Signal::TERM);
    attended.end();
    let right = fs::read_to_string(attended.file("c.conf")).unwrap();
    fs::write(attended.file("c.conf"), format!("{right}[program:a]\n")).unwrap();
    let mut pause = 0;

    for _ in 0..50 {
        attended.attend_again();
        if pause > 0 {
            attended.until_it_says(&format!("the next start is in {pause}s"));
            attended.tell(Signal::HUP);
        }
        assert_eq!(attended.end().code(), Some(78));
        let notes = fs::read_to_string(attended.notes()).unwrap();
        assert!(notes.ends_with(&format!(" {pause} 0\n")), "{notes} is not {pause}");
        pause = (pause * 2).clamp(1, 60);
    }

    // What is mended runs at once on a reload.
    fs::write(attended.file("c.conf"), right).unwrap();
    attended.attend_again();
    attended.until_it_says("the next start is in 60s");
    attended.tell(Signal::HUP);
    attended.until_ready();
    attended.tell(Signal::TERM);
    assert_eq!(attended.end().code(), Some(0));
    assert!(!attended.notes().exists());
}

#[test]
fn an_account_that_is_none_starts_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_bardo"))
        .args(["--service-attended", &std::process::id().to_string()])
        .args(["--account", "no-such-account", "web"])
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(70));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot become no-such-account"), "{said}");
}

#[test]
fn a_reload_behind_a_shutdown_that_was_asked_for_starts_nothing_and_ends_nobody() {
    let mut attended = Attended::start();
    attended.supervisorctl("shutdown");
    let begun = Instant::now();
    while !attended.file("asked").exists() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }

    // One that ends on the first does not read the second.
    for _ in 0..2 {
        attended.tell(Signal::HUP);
        attended.until_it_has_read(Signal::HUP);
    }

    assert!(attended.attendant.try_wait().unwrap().is_none());
    attended.tell(Signal::TERM);
    assert_eq!(attended.end().code(), Some(0));
}
