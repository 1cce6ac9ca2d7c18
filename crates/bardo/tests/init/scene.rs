//! Machines with a real init system, each in name spaces of its own.
//!
//! A machine has a root file system of Debian that forgets what is written, the program
//! that is tested as `/usr/bin/bardo`, with its link `bardo_service`, and nothing of ours
//! besides. Few are there at a time, whoever asks: see `stage`. Everything of it ends with its
//! value.

mod rootfs;
mod stage;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bardo::selftest::home::{self, PATIENCE};
use bardo::selftest::procfs::{self, Stat};

pub(crate) use rootfs::Init;
pub(crate) use stage::Stage;

/// How often a condition is looked at that nobody announces. Most of them start programs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the first machine with an init system may take to come up, where it is not yet known
/// that one can. It is long, because all tests of that init system hang on it.
const PROOF_MAX: Duration = Duration::from_secs(120);

/// The number of SIGTERM.
const TERM: u32 = 15;

/// The longest that a command in a machine may take.
const COMMAND_SECONDS: &str = "100";

/// And how long it is waited for.
const COMMAND_MAX: Duration = Duration::from_secs(120);

/// What commands in a machine find in their environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Set where all tests must be able to boot their machines.
const REQUIRED: &str = "BARDO_SCENES_REQUIRED";

/// A machine that has booted.
pub(crate) struct Machine {
    init: Init,
    /// Its first process, as we number it.
    leader: u32,
    /// What its name spaces were made by.
    boot: Child,
    stage: Stage,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    #[expect(dead_code, reason = "it is shown when a check fails")]
    words: Vec<String>,
}

impl Output {
    /// Checks how it ended.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

/// Whether machines with an init system boot here, as the first of each has shown: not
/// everywhere where there are name spaces for mounts may all be done that an init does.
static PROOFS: [Mutex<Option<Result<(), String>>>; 3] = [const { Mutex::new(None) }; 3];

impl Machine {
    /// Boots one. None, and one line that says why, where that cannot be done.
    pub(crate) fn boot(init: Init) -> Option<Self> {
        let mut proof = PROOFS[init as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let booted = match proof.clone() {
            None => {
                let first = Self::first(init);
                *proof = Some(first.as_ref().map(|_| ()).map_err(Clone::clone));
                first
            }
            Some(Ok(())) => {
                drop(proof);
                Self::begin(init).map(|mut machine| {
                    machine.come_up();
                    machine
                })
            }
            Some(Err(reason)) => Err(reason),
        };
        let reason = match booted {
            Ok(machine) => return Some(machine),
            Err(reason) => reason,
        };
        assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, but {reason}");
        // Said to the terminal even where words of tests that pass are not shown.
        let _ = writeln!(std::io::stderr(), "skipped: {reason}");
        None
    }

    /// Boots the first one with this init system, or says why that cannot be done.
    fn first(init: Init) -> Result<Self, String> {
        let tried = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut machine = Self::begin(init)?;
            Ok(machine.comes_up().then_some(machine))
        }));
        match tried {
            Ok(Ok(Some(machine))) => Ok(machine),
            Ok(Err(reason)) => Err(reason),
            Ok(Ok(None)) | Err(_) => {
                Err(format!("{} does not boot in name spaces here", init.name()))
            }
        }
    }

    /// Starts the init of one.
    fn begin(init: Init) -> Result<Self, String> {
        let stage = Stage::open(init)?;
        furnish(&stage, init);
        let boot = start(&stage, init);
        Ok(Self { init, leader: 0, boot, stage })
    }

    /// Waits until init has brought everything up.
    fn come_up(&mut self) {
        let mut leader = None;
        self.until("the first process of the machine", |machine| {
            leader = machine.find_leader();
            leader.is_some()
        });
        self.leader = leader.unwrap_or_default();
        self.until("the machine to be up", Self::is_up);
    }

    /// Whether init has brought everything up.
    fn is_up(&self) -> bool {
        match self.init {
            Init::Systemd => {
                let state = self.run("systemctl is-system-running").stdout;
                matches!(state.trim(), "running" | "degraded")
            }
            Init::Sysvinit | Init::Openrc => self.has("/run/up"),
        }
    }

    /// Whether it comes up at all.
    fn comes_up(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < PROOF_MAX {
            self.leader = self.find_leader().unwrap_or_default();
            if self.leader != 0 && self.is_up() {
                return true;
            }
            thread::sleep(LOOK_EVERY);
        }
        false
    }

    /// The first process of the innermost name space, when it is init already.
    fn find_leader(&self) -> Option<u32> {
        let mut family = procfs::children(self.boot.id());
        while let Some(stat) = family.pop() {
            if stat.comm == self.init.comm() && numbers(stat.pid).ends_with(&[1]) {
                return Some(stat.pid);
            }
            family.extend(procfs::children(stat.pid));
        }
        None
    }

    /// Boots it again, after it has gone down.
    pub(crate) fn boot_again(&mut self) {
        self.boot = start(&self.stage, self.init);
        self.come_up();
    }

    /// Waits until it has gone down, as somebody has told it to.
    pub(crate) fn await_end(&mut self) {
        let mut ended = None;
        let boot = &mut self.boot;
        let waited = home::wait_until("the end of the machine", || {
            ended = boot.try_wait().unwrap();
            ended.is_some()
        });
        if let Err(error) = waited {
            panic!("{error}\n{}", self.told());
        }
    }

    /// Runs a command line of a shell in it, as root.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(&["/bin/sh", "-c", line])
    }

    /// Runs a command line that must end well, and returns what it said.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        self.run(line).ends_with(0).stdout
    }

    /// Runs a command in it, as root. It is read from files, so what a daemon of it holds
    /// open holds nobody up.
    #[track_caller]
    pub(crate) fn command(&self, words: &[&str]) -> Output {
        let open = |name: &str| {
            let path = self.stage.home.file(name);
            (File::create(&path).unwrap(), path)
        };
        let (stdout, stdout_path) = open("stdout");
        let (stderr, stderr_path) = open("stderr");
        let status = Command::new("nsenter")
            .args(["--target", &self.leader.to_string()])
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"])
            .args(["--", "timeout", "--kill-after=5", COMMAND_SECONDS])
            .args(words)
            .env_clear()
            .envs([("PATH", PATH), ("HOME", "/root"), ("LANG", "C.UTF-8")])
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map(|child| self.ended(child, words))
            .unwrap();
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Output {
            code: status.code().unwrap_or(-1),
            stdout: read(&stdout_path),
            stderr: read(&stderr_path),
            words: words.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    /// Waits for the end of a command. Who is stopped in the machine, as all are for a moment
    /// when init ends everything, would be waited for forever.
    fn ended(&self, mut child: Child, words: &[&str]) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if began.elapsed() > COMMAND_MAX {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{words:?} has not ended");
            }
            thread::sleep(LOOK_EVERY / 10);
        }
    }

    /// A file of it, as we name it: `path` is absolute and goes through no link of the
    /// machine.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.leader))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.file(path).symlink_metadata().is_ok()
    }

    /// A file's text, empty when it is not there.
    pub(crate) fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.file(path)).unwrap_or_default()).into_owned()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        put(&self.file(path), text, 0o644);
    }

    /// Writes a file that can be executed.
    pub(crate) fn write_script(&self, path: &str, text: &str) {
        put(&self.file(path), text, 0o755);
    }

    /// Waits until something is so, and says what is known of the machine if it is not.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !condition(self) {
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}\n{}", self.told());
            thread::sleep(LOOK_EVERY);
        }
    }

    /// All processes of it, init too, as we number them.
    pub(crate) fn processes(&self) -> Vec<Stat> {
        let Ok(ours) = fs::read_link(format!("/proc/{}/ns/pid", self.leader)) else {
            return Vec::new();
        };
        let lives_here = |stat: &Stat| {
            fs::read_link(format!("/proc/{}/ns/pid", stat.pid)).is_ok_and(|space| space == ours)
        };
        procfs::all().into_iter().filter(|stat| stat.is_alive() && lives_here(stat)).collect()
    }

    /// Those of it whose command line holds these words.
    pub(crate) fn with_words(&self, words: &str) -> Vec<Stat> {
        let mut found = self.processes();
        found.retain(|stat| {
            let line = fs::read(format!("/proc/{}/cmdline", stat.pid)).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ").contains(words)
        });
        found
    }

    /// The number that a process has as we number them.
    pub(crate) fn outside(&self, inside: u32) -> Option<u32> {
        let is_it = |stat: &Stat| numbers(stat.pid).last() == Some(&inside);
        self.processes().into_iter().find(is_it).map(|stat| stat.pid)
    }

    /// The processes in the cgroup of a unit of systemd and in those below it, as we
    /// number them: none where there is no such cgroup.
    pub(crate) fn unit_processes(&self, unit: &str) -> Vec<u32> {
        let mut found = Vec::new();
        collect_processes(&self.cgroup_of("system.slice").join(unit), &mut found);
        found
    }

    /// A cgroup of it.
    pub(crate) fn cgroup_of(&self, name: &str) -> PathBuf {
        let text = fs::read_to_string(format!("/proc/{}/cgroup", self.leader)).unwrap_or_default();
        let path = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let below = path.strip_prefix(self.stage.cgroup_name()).unwrap_or_default();
        let below = below.trim_start_matches('/').trim_end_matches("/init.scope");
        self.stage.cgroup().join(below).join(name)
    }

    /// The name of the cgroup that everything of it is in.
    pub(crate) fn stage_name(&self) -> String {
        self.stage.cgroup_name().to_owned()
    }

    /// What `systemctl show` says of a unit's property.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        let output = self.command(&["systemctl", "show", "--value", "--property", name, unit]);
        output.stdout.trim().to_owned()
    }

    /// What the journal has, chosen by these options of `journalctl`: all that was said to it
    /// before this was asked.
    pub(crate) fn journal(&self, options: &str) -> String {
        self.ok(&format!("journalctl --sync && journalctl --no-pager {options}"))
    }

    /// Those with these words on their command line that do not heed SIGTERM: it has the words
    /// from its first moment, but may be about to say so.
    pub(crate) fn deaf(&self, words: &str) -> Vec<Stat> {
        let mut found = self.with_words(words);
        found.retain(|stat| {
            let mask = procfs::status(stat.pid, "SigIgn").unwrap_or_default();
            u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & (1 << (TERM - 1)) != 0)
        });
        found
    }

    /// All files that are not of the kernel, each with what tells a change of it: kind,
    /// mode, owner, target, and the sum of what is in it.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let places = "/ /run /tmp -xdev";
        let list = format!("find {places} -printf '%p\\t%y %m %u:%g %l\\n'");
        let sums = format!("find {places} -type f -exec cksum {{}} +");
        let mut files: BTreeMap<String, String> = self
            .run(&list)
            .stdout
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(path, rest)| (path.to_owned(), rest.to_owned()))
            .collect();
        for line in self.run(&sums).stdout.lines() {
            let mut fields = line.splitn(3, ' ');
            let sum = fields.next().unwrap_or_default();
            if let Some(file) = fields.nth(1).and_then(|path| files.get_mut(path)) {
                let _ = write!(file, " {sum}");
            }
        }
        files
    }

    /// What is known of the machine, for somebody who looks for a fault.
    pub(crate) fn told(&self) -> String {
        let mut text = self.read("/run/console");
        text += &fs::read_to_string(self.stage.home.file("console")).unwrap_or_default();
        if self.leader != 0 {
            let _ = writeln!(text, "{}", self.run("ps -ef --forest").stdout);
            if self.init == Init::Systemd {
                text +=
                    &self.run("journalctl --no-pager --lines=80 --output=short-monotonic").stdout;
            }
        }
        text
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stage.end_processes();
        let _ = self.boot.wait();
    }
}

/// The numbers of a process in all name spaces that it is in, from the outermost.
fn numbers(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    line.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn collect_processes(cgroup: &Path, found: &mut Vec<u32>) {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_processes(&entry.path(), found);
        }
    }
}

/// Starts init on a stage.
fn start(stage: &Stage, init: Init) -> Child {
    let console = File::create(stage.home.file("console")).unwrap();
    let mut command = stage.command();
    let script = match init {
        Init::Systemd => include_str!("scene/boot_systemd.sh"),
        Init::Sysvinit | Init::Openrc => {
            command.args(["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net"]);
            include_str!("scene/boot_chroot.sh")
        }
    };
    command
        .args(["setsid", "/bin/sh", "-c", script, "boot"])
        .arg(stage.inner_root())
        .arg(stage.new_cgroup())
        .stdin(Stdio::null())
        .stdout(console.try_clone().unwrap())
        .stderr(console)
        .spawn()
        .unwrap()
}

/// The first lines of what init runs where it reads a table: it has no terminals.
const TABLE_OF_SYSVINIT: &str = "id:2:initdefault:
l0:0:wait:/etc/init.d/rc 0 >>/run/console 2>&1
l1:1:wait:/etc/init.d/rc 1 >>/run/console 2>&1
l2:2:wait:/etc/init.d/rc 2 >>/run/console 2>&1
l3:3:wait:/etc/init.d/rc 3 >>/run/console 2>&1
l6:6:wait:/etc/init.d/rc 6 >>/run/console 2>&1
w1:1:wait:/bin/echo 1 >/run/level
w2:2:wait:/bin/echo 2 >/run/level
w3:3:wait:/bin/echo 3 >/run/level
up:23:wait:/bin/touch /run/up
";

/// The same for init where OpenRC does the rest.
const TABLE_OF_OPENRC: &str = "id:2:initdefault:
si::sysinit:/sbin/openrc sysinit >>/run/console 2>&1
bo::bootwait:/sbin/openrc boot >>/run/console 2>&1
l0:0:wait:/sbin/openrc shutdown >>/run/console 2>&1
l2:2:wait:/sbin/openrc default >>/run/console 2>&1
l6:6:wait:/sbin/openrc shutdown >>/run/console 2>&1
rb:6:wait:/sbin/reboot -f
up:2:wait:/bin/touch /run/up
";

/// What OpenRC starts in a machine.
const NEEDED_BY_OPENRC: [&str; 3] = ["mountkernfs.sh", "mountdevsubfs.sh", "cgroups"];

/// Puts into a root file system what a machine in name spaces needs, and the program.
fn furnish(stage: &Stage, init: Init) {
    let program = stage.file("/usr/bin/bardo");
    fs::copy(env!("CARGO_BIN_EXE_bardo"), &program).unwrap();
    symlink("bardo", stage.file("/usr/bin/bardo_service")).unwrap();
    match init {
        Init::Systemd => fs::write(stage.file("/etc/machine-id"), "").unwrap(),
        Init::Sysvinit => {
            fs::write(stage.file("/etc/inittab"), TABLE_OF_SYSVINIT).unwrap();
            // It would ask for a password on a terminal.
            fs::remove_file(stage.file("/etc/rc1.d/S02single")).unwrap();
        }
        Init::Openrc => {
            fs::write(stage.file("/etc/inittab"), TABLE_OF_OPENRC).unwrap();
            let text = fs::read_to_string(stage.file("/etc/rc.conf")).unwrap();
            fs::write(stage.file("/etc/rc.conf"), text + "\nrc_sys=\"lxc\"\n").unwrap();
            // What else Debian starts is about disks, clocks and consoles, which are not here.
            for level in ["sysinit", "default"] {
                let level = stage.file(&format!("/etc/runlevels/{level}"));
                for entry in fs::read_dir(level).unwrap().map(Result::unwrap) {
                    if !NEEDED_BY_OPENRC.iter().any(|name| entry.file_name() == *name) {
                        fs::remove_file(entry.path()).unwrap();
                    }
                }
            }
        }
    }
}

/// Writes a file with that mode; its folder comes into being when it is not there.
fn put(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
