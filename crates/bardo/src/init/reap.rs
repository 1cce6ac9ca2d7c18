//! `--service-reap NAME`: what a unit runs when its keeper has ended (`ExecStopPost=`).
//!
//! The unit leaves programs alone when its keeper ends, because the next one takes them over.
//! So somebody has to end what is left when there is no next one. If no restart follows, that is
//! done here. If one follows, a *guardian* is left behind for the pause: systemd does not run
//! this again when somebody stops the unit then. The guardian sees how the unit goes on, and
//! ends with the pause, or ends all.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use bardo_sys::cgroup::Places;
use bardo_sys::launch::go_to_background;
use rustix::process::{Pid, Signal, kill_process};

use super::definition::{USUAL_NAME, wrong_name};
use super::ground::Ground;
use super::{leftovers, run, tools};
use crate::daemon::managed::folder::{self, place};

/// The word that asks for it.
pub const WORD: &str = "--service-reap";

/// Results after which a unit with `Restart=on-failure` is not started again.
const NOT_RESTARTED: [&str; 3] = ["success", "exec-condition", "start-limit-hit"];

/// The exit code of a keeper that wants to be started again.
const RESTART_REQUESTED: &str = "1";

/// How often a guardian looks at the unit.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often in a row a unit must be down, or nobody must answer: a state between two others
/// is passed over.
const LOOKS: u32 = 2;
const SILENCES: u32 = 40;

/// How long killed processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_SOON: Duration = Duration::from_millis(5);

/// How deep below a unit's cgroup controllers are passed on by us: in it, in that of a daemon,
/// and in those of services. Below are the cgroups of programs.
const OURS_DEEP: usize = 2;

/// The cgroup in which systemd runs what belongs to a unit and is not its main process.
const CONTROL: &str = ".control";

const USAGE: u8 = 2;
const UNAVAILABLE: u8 = 69;
const BROKEN: u8 = 70;

/// Ends what is left, or sees to it that somebody does.
#[must_use]
pub fn main(words: &[OsString]) -> ExitCode {
    let name = words.first().map_or(USUAL_NAME.into(), |name| name.to_string_lossy());
    if words.len() > 1 || wrong_name(&name).is_some() {
        eprintln!("bardo: usage: bardo {WORD} [NAME]");
        return ExitCode::from(USAGE);
    }
    let variable = |name: &str| std::env::var(name).ok();
    let Some(result) = variable("SERVICE_RESULT") else {
        eprintln!("bardo: {WORD} {name}: it is for ExecStopPost= of {name}.service only");
        return ExitCode::from(USAGE);
    };
    let Some(unit) = Unit::of_this_process(&name) else {
        eprintln!("bardo: {WORD} {name}: this is no process of {name}.service");
        return ExitCode::from(UNAVAILABLE);
    };
    if !is_restarted(&result, variable("EXIT_STATUS").as_deref()) {
        run::pause::forget(&name);
        return match unit.end_others() {
            Ok(()) => ExitCode::SUCCESS,
            Err(left) => {
                eprintln!("bardo: {WORD} {name}: killed and still there: {left:?}");
                ExitCode::from(BROKEN)
            }
        };
    }
    unit.make_room();
    match go_to_background() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            unit.relieve();
            unit.guard(place(&name), variable("INVOCATION_ID").as_deref());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bardo: {WORD} {name}: nobody looks after the pause: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

/// Whether a unit is started again whose keeper has ended so.
fn is_restarted(result: &str, status: Option<&str>) -> bool {
    !NOT_RESTARTED.contains(&result) || status == Some(RESTART_REQUESTED)
}

/// A unit, and where its processes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    name: String,
    cgroup: PathBuf,
    of_user: bool,
}

impl Unit {
    /// The unit of this name, if this process is in it.
    pub(super) fn of_this_process(name: &str) -> Option<Self> {
        let places = Places::of_this_process();
        let old = places.separate.get("name=systemd");
        let all = places.unified.iter().chain(old);
        all.into_iter().find_map(|place| Self::around(name, &place.directory, &place.top))
    }

    /// The unit of this name in whose cgroup this directory is, up to the top of the tree.
    fn around(name: &str, directory: &Path, top: &Path) -> Option<Self> {
        let unit = format!("{name}.service");
        let inside = directory.ancestors().take_while(|place| place.starts_with(top));
        let cgroup = inside.into_iter().find(|place| place.ends_with(&unit))?;
        let of_user = cgroup.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part.starts_with("user@") && part.ends_with(".service")
        });
        Some(Self { name: unit, cgroup: cgroup.to_owned(), of_user })
    }

    /// Kills all of the unit but this process and what else systemd runs for it, and waits
    /// until all are gone.
    ///
    /// # Errors
    /// Those that are left.
    pub(super) fn end_others(&self) -> Result<(), Vec<i32>> {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let left = self.others();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= give_up_at {
                return Err(left);
            }
            for pid in left.into_iter().filter_map(Pid::from_raw) {
                // One that has ended meanwhile is what was wanted.
                let _ = kill_process(pid, Signal::KILL);
            }
            thread::sleep(LOOK_SOON);
        }
    }

    fn others(&self) -> Vec<i32> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let control = leftovers::processes(&self.cgroup.join(CONTROL));
        let mut all = leftovers::processes(&self.cgroup);
        all.retain(|pid| *pid != own && !control.contains(pid));
        all
    }

    /// Takes controllers back from the cgroups of programs: as long as they are passed on,
    /// the kernel lets systemd put no new keeper into the cgroup above them. The next
    /// supervisor passes them on again. What a program has done below its own cgroup is left
    /// alone, unless that is in the way.
    fn make_room(&self) {
        if !self.take_back(OURS_DEEP) {
            self.take_back(usize::MAX);
        }
    }

    /// Takes them back down to this depth; whether none is passed on by the unit any more.
    fn take_back(&self, deep: usize) -> bool {
        let mut folders = vec![(self.cgroup.clone(), 0)];
        let mut next = 0;
        while let Some((folder, depth)) = folders.get(next).cloned() {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            let inner = inner.filter(|_| depth < deep);
            folders.extend(inner.map(|entry| (entry.path(), depth + 1)));
            next += 1;
        }
        let mut is_free = true;
        // Those below come first: nobody takes back what is passed on further.
        for (folder, depth) in folders.iter().rev() {
            let file = folder.join("cgroup.subtree_control");
            let passed = fs::read_to_string(&file).unwrap_or_default();
            for controller in passed.split_ascii_whitespace() {
                let is_taken = fs::write(&file, format!("-{controller}")).is_ok();
                is_free &= is_taken || *depth > 0;
            }
        }
        is_free
    }

    /// Ends the guardians of former pauses: where the unit is never up they would come to be
    /// more and more.
    fn relieve(&self) {
        let name = self.name.strip_suffix(".service").unwrap_or(&self.name);
        let own = rustix::process::getpid();
        // It may not have ended yet that has left us behind.
        let parent = rustix::process::getppid();
        let all = leftovers::processes(&self.cgroup).into_iter().filter_map(Pid::from_raw);
        for pid in all.filter(|pid| *pid != own && Some(*pid) != parent) {
            if is_guardian(pid.as_raw_nonzero().get(), name) {
                // One that has ended meanwhile is what was wanted.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Looks at the unit until it is started again, or is down because somebody wants it to
    /// be: then all that is left of it is killed. `place` is the folder of the service, and
    /// `invocation` what systemd calls the run that has ended.
    fn guard(&self, place: Option<PathBuf>, invocation: Option<&str>) {
        let ground = Ground::here();
        let (mut down, mut silent) = (0, 0);
        while down < LOOKS {
            thread::sleep(LOOK_EVERY);
            match self.look(&ground, invocation) {
                Goes::Up => return,
                Goes::On => (down, silent) = (0, 0),
                Goes::Down => (down, silent) = (down + 1, 0),
                Goes::Unknown => silent += 1,
            }
            if silent >= SILENCES {
                return;
            }
        }
        // Nobody begins as long as we have the lock of a keeper. Where there is no folder for
        // it, and none can be made, nobody has.
        let lock = place.as_deref().map(run::lock::lock);
        let is_up = match &lock {
            Some(Err(_)) => place.as_ref().is_some_and(|place| place.exists()),
            Some(Ok(_)) | None => false,
        };
        if is_up || self.look(&ground, invocation) != Goes::Down {
            return;
        }
        if self.end_others().is_err() {
            // Nothing at all is left then, this process neither.
            let _ = fs::write(self.cgroup.join("cgroup.kill"), "1");
        }
        if let (Some(Ok(_)), Some(place)) = (&lock, &place) {
            folder::leave(place);
        }
    }

    fn look(&self, ground: &Ground, invocation: Option<&str>) -> Goes {
        let mut words = vec!["systemctl"];
        if self.of_user {
            words.push("--user");
        }
        words.extend(["show", &self.name, "--property=ActiveState,SubState,InvocationID"]);
        let answer = tools::ask(ground, &words).ok().filter(tools::Answer::is_good);
        answer.map_or(Goes::Unknown, |answer| Goes::read(&answer.said, invocation))
    }
}

/// How a unit goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    /// It runs again, or was started: whoever comes after that looks after it.
    Up,
    /// It is on its way.
    On,
    /// It is down, and nobody will start it by itself.
    Down,
    /// That is not told.
    Unknown,
}

impl Goes {
    fn read(shown: &str, invocation: Option<&str>) -> Self {
        let value = |key: &str| {
            let mut lines = shown.lines().filter_map(|line| line.split_once('='));
            lines.find(|(name, _)| *name == key).map(|(_, value)| value)
        };
        let run = value("InvocationID").filter(|run| !run.is_empty());
        if invocation.is_some_and(|own| run.is_some_and(|run| run != own)) {
            return Self::Up;
        }
        match (value("ActiveState"), value("SubState")) {
            (Some("active" | "reloading"), _) => Self::Up,
            // `dead-before-auto-restart` and `failed-before-auto-restart` of systemd 254.
            (Some("inactive" | "failed"), Some(sub)) if !sub.ends_with("auto-restart") => {
                Self::Down
            }
            (Some(_), _) => Self::On,
            (None, _) => Self::Unknown,
        }
    }
}

/// Whether a process looks after the pause of the service of this name.
pub(super) fn is_guardian(pid: i32, name: &str) -> bool {
    let words = format!("\0{WORD}\0{name}\0");
    let line = fs::read(format!("/proc/{pid}/cmdline"));
    line.is_ok_and(|line| String::from_utf8_lossy(&line).ends_with(&words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guardian_relieves_the_former_ones_and_nobody_else() {
        let room = tempfile::tempdir().unwrap();
        let unit =
            Unit { name: "web.service".into(), cgroup: room.path().to_owned(), of_user: false };
        let start = |words: [&str; 2]| {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "read line"]).args(words).stdin(std::process::Stdio::piped());
            let child = command.spawn().unwrap();
            let path = format!("/proc/{}/cmdline", child.id());
            // Until then it is a copy of this one.
            while !fs::read(&path).is_ok_and(|line| line.starts_with(b"sh\0")) {
                thread::yield_now();
            }
            child
        };
        let mut former = start([WORD, "web"]);
        let mut others = [start([WORD, "mail"]), start(["--service-run", "web"])];
        let all = [former.id(), others[0].id(), others[1].id(), std::process::id()];
        let text: String = all.iter().map(|pid| format!("{pid}\n")).collect();
        fs::write(room.path().join("cgroup.procs"), text).unwrap();

        unit.relieve();

        assert!(!former.wait().unwrap().success());
        for other in &mut others {
            assert!(other.try_wait().unwrap().is_none());
            other.kill().unwrap();
            other.wait().unwrap();
        }
    }

    #[test]
    fn a_restart_follows_what_systemd_takes_for_a_failure_and_a_wish() {
        for (result, status, expected) in [
            ("success", Some("0"), false),
            ("success", Some("1"), true),
            ("signal", Some("KILL"), true),
            ("core-dump", Some("ABRT"), true),
            ("watchdog", Some("ABRT"), true),
            ("exit-code", Some("70"), true),
            ("timeout", Some("KILL"), true),
            ("protocol", None, true),
            ("oom-kill", Some("KILL"), true),
            ("resources", None, true),
            ("exec-condition", Some("2"), false),
            ("start-limit-hit", None, false),
        ] {
            assert_eq!(is_restarted(result, status), expected, "{result} {status:?}");
        }
    }

    #[test]
    fn only_the_unit_of_the_name_is_meant() {
        let top = Path::new("/sys/fs/cgroup");
        let around = |directory: &str| Unit::around("web", &top.join(directory), top);

        let unit = around("system.slice/web.service/.control").unwrap();
        assert_eq!(unit.cgroup, top.join("system.slice/web.service"));
        assert!(!unit.of_user);
        assert!(around("user.slice/user@7.service/app.slice/web.service").unwrap().of_user);
        for other in ["system.slice/ssh.service", "system.slice/a-web.service", ""] {
            assert_eq!(around(other), None, "{other}");
        }
    }

    #[test]
    fn a_guardian_tells_a_pause_from_a_stop() {
        for (active, sub, expected) in [
            ("active", "running", Goes::Up),
            ("reloading", "reload", Goes::Up),
            ("activating", "auto-restart", Goes::On),
            ("activating", "start", Goes::On),
            ("deactivating", "stop-post", Goes::On),
            ("inactive", "dead-before-auto-restart", Goes::On),
            ("failed", "failed-before-auto-restart", Goes::On),
            ("inactive", "dead", Goes::Down),
            ("failed", "failed", Goes::Down),
        ] {
            let shown = format!("ActiveState={active}\nSubState={sub}\n");
            assert_eq!(Goes::read(&shown, None), expected, "{shown}");
        }
        assert_eq!(Goes::read("", Some("a")), Goes::Unknown);
        let shown = |run| format!("ActiveState=failed\nSubState=failed\nInvocationID={run}\n");
        let seen = ["a", "", "b"].map(|run| Goes::read(&shown(run), Some("a")));
        assert_eq!(seen, [Goes::Down, Goes::Down, Goes::Up], "only its own run is looked after");
    }

    #[test]
    fn controllers_are_taken_back_from_below_and_all_that_is_left_is_found() {
        let room = tempfile::tempdir().unwrap();
        let cgroup = room.path().join("web.service");
        let leaf = cgroup.join("bardo-1-1/web/1");
        fs::create_dir_all(&leaf).unwrap();
        fs::create_dir(cgroup.join(CONTROL)).unwrap();
        let own = std::process::id();
        fs::write(cgroup.join("cgroup.procs"), format!("{own}\n7\n")).unwrap();
        fs::write(cgroup.join(CONTROL).join("cgroup.procs"), "8\n").unwrap();
        fs::write(leaf.join("cgroup.procs"), "9\n").unwrap();
        fs::write(cgroup.join("cgroup.subtree_control"), "memory\n").unwrap();
        fs::create_dir(leaf.join("own")).unwrap();
        fs::write(leaf.join("cgroup.subtree_control"), "memory\n").unwrap();
        let unit = Unit { name: "web.service".to_owned(), cgroup: cgroup.clone(), of_user: false };

        let mut others = unit.others();
        unit.make_room();

        others.sort_unstable();
        assert_eq!(others, [7, 9]);
        let passed = |folder: &Path| fs::read_to_string(folder.join("cgroup.subtree_control"));
        assert_eq!(passed(&cgroup).unwrap(), "-memory");
        assert_eq!(passed(&leaf).unwrap(), "memory\n", "it is the program's own");
        unit.take_back(usize::MAX);
        assert_eq!(passed(&leaf).unwrap(), "-memory");
    }
}
