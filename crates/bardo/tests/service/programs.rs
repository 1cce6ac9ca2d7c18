//! Programs that the tests bring up, and what is seen of them.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bardo::selftest::procfs;
use bardo::service::reply::{Decided, Why};
use rustix::time::{ClockId, clock_gettime};

use super::scene::{Output, Scene, executable, send};

pub(super) const KILL: i32 = 9;

/// How exactly the kernel tells when a process began: to a hundredth of a second, cut off.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// How much later than it ought to something may be on a machine that has much to do. The
/// tests of the core are exact.
pub(super) const SLACK: Duration = Duration::from_secs(2);

/// A program that says that it has started, and then waits until it is told to go.
const COUNTS: &str = "echo $$ >>{here}/$1; exec sleep 1000";

impl Scene {
    /// A script whose `{here}` is the folder of the supervisor.
    pub(super) fn program(&self, name: &str, lines: &str) -> String {
        let lines = lines.replace("{here}", &self.home.path().display().to_string());
        self.script(name, &lines).display().to_string()
    }

    /// A service that counts its starts in a file of its label, and is initialised.
    #[track_caller]
    pub(super) fn counted(&self, label: &str, more: &[&str]) {
        let program = self.program("counts", COUNTS);
        let words = ["up", &program, "-label", label, "-args", label, "-ready", "alive"];
        let words = [&words[..], &["-alive", "0"], more].concat();
        self.service(&words).ends_with(0);
        self.wait("its first line", || self.starts(label) == 1);
    }

    /// How often it was started.
    pub(super) fn starts(&self, label: &str) -> usize {
        let text = fs::read_to_string(self.home.file(label)).unwrap_or_default();
        text.lines().count()
    }

    /// Its process.
    #[track_caller]
    pub(super) fn pid(&self, label: &str) -> u32 {
        self.until(label, "it runs", |it| it.state == "RUNNING" && it.pid > 0).pid
    }

    /// Lets it crash, and waits until it waits.
    #[track_caller]
    pub(super) fn crash(&self, label: &str) {
        send(self.pid(label), KILL).unwrap();
        self.until(label, "it waits", |it| it.state == "BACKOFF");
    }

    /// `service` with these words, while it is not waited for.
    pub(super) fn begin(&self, words: &[&str]) -> Child {
        self.command(words).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A program that is initialised when something is written into `gate`.
    pub(super) fn gated(&self) -> String {
        self.gate("gate");
        self.program("gated", "read line <{here}/gate; echo >&4; exec sleep 1000")
    }

    /// A fifo that holds up whoever reads a line of it.
    pub(super) fn gate(&self, name: &str) -> PathBuf {
        let gate = self.home.file(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, &gate, rustix::fs::Mode::RWXU).unwrap();
        gate
    }

    /// Kills it; how long after that its next process began, once that is initialised.
    #[track_caller]
    pub(super) fn gap(&self, label: &str) -> Duration {
        let before = self.pid(label);
        let killed_at = since_boot();
        send(before, KILL).unwrap();
        let is_next = |pid: u32| pid > 0 && pid != before;
        let next =
            self.until(label, "the next one runs", |it| it.state == "RUNNING" && is_next(it.pid));
        began(next.pid).saturating_sub(killed_at)
    }

    /// What was decided about it, the latest last.
    pub(super) fn decided(&self, label: &str) -> Vec<Decided> {
        let mut command = Command::new(executable());
        command.args(["why", label, "--json", "--socket"]).arg(self.home.file("s.sock"));
        let output = Output::of(&mut command).ends_with(0);
        serde_json::from_str::<Why>(&output.stdout).unwrap().decisions
    }

    /// Those of its decisions that are of this kind, in words.
    pub(super) fn said(&self, label: &str, what: &str) -> Vec<String> {
        let decided = self.decided(label).into_iter();
        decided.filter(|it| it.what == what).map(|it| it.text).collect()
    }
}

/// The time since the machine was started.
pub(super) fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap()
}

/// When a process began, on the clock of [`since_boot`]; up to a [`TICK`] more than it says.
pub(super) fn began(pid: u32) -> Duration {
    let ticks = procfs::stat(pid).unwrap().started;
    TICK * u32::try_from(ticks).unwrap()
}

/// Checks how long after something another thing was.
#[track_caller]
pub(super) fn is_after(gap: Duration, wait: Duration) {
    let most = wait + SLACK;
    assert!(gap + TICK >= wait && gap < most, "{gap:?} is not {wait:?} or a little more");
}
