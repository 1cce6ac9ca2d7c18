//! Bardo as the first process of a container: a root file system of its own with the program,
//! its configuration and the tools of this machine, in name spaces, and no init around it.
//!
//! Tests that need another user or a mount that only root may make say in one line that they
//! are skipped where name spaces are refused.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use bardo::selftest::home::{self, Home};
use bardo::selftest::procfs::{self, Stat};
use rustix::fs::OFlags;
use rustix::process::geteuid;

/// Makes the root file system `$1` around the program `$2`, with what `$3` says, and becomes
/// `$4 ...` in it. `$3` is a line of the shell, for mounts that a test is about.
const BUILD: &str = r#"
set -eu
root=$1 program=$2 more=$3
shift 3
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir dev etc proc run tmp usr
chmod 1777 tmp
mount --rbind /usr usr
for name in bin sbin lib lib32 lib64; do
  if [ -L "/$name" ]; then cp -P "/$name" .; elif [ -d "/$name" ]; then mkdir "$name"; mount --rbind "/$name" "$name"; fi
done
: > bardo
mount --bind "$program" bardo
printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' > etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' > etc/group
cat > etc/bardo.conf
for name in null zero urandom; do : > "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
ln -s /proc/self/fd dev/fd
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t proc proc proc
eval "$more"
exec chroot "$@"
"#;

const INT: i32 = 2;
const QUIT: i32 = 3;
const KILL: i32 = 9;
const TERM: i32 = 15;

/// What every configuration begins with.
const SERVER: &str = "[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\n\
    pidfile=/tmp/bardo.pid\n[unix_http_server]\nfile=/tmp/bardo.sock\n";

const SOCKET: &str = "/tmp/bardo.sock";

/// The keys of a log that goes where that of the container goes.
const TO_STDOUT: &str = "stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n";

/// A program that says when it is there and when it is told to stop.
fn speaker(name: &str, priority: u32) -> String {
    let trap = format!("trap \"echo {name} down; exit\" TERM; echo {name} up");
    format!(
        "[program:{name}]\ncommand=/bin/sh -c '{trap}; while :; do sleep 0.05; done'\n\
         priority={priority}\n{TO_STDOUT}"
    )
}

/// A program that ends by a line of the shell, and is not started again.
fn job(line: &str) -> String {
    format!(
        "[program:job]\ncommand=/bin/sh -c '{line}'\nstartsecs=0\nautorestart=false\n{TO_STDOUT}"
    )
}

/// A container that runs.
struct Container {
    outside: Child,
    home: Home,
}

/// What a container is made of beside a configuration.
#[derive(Default)]
struct Make<'a> {
    /// What `[supervisord]` says more.
    server: &'a str,
    programs: &'a str,
    /// A line of the shell about mounts, before the program is executed.
    mounts: &'a str,
    /// Whether its user is 65534.
    is_nobody: bool,
    /// Whether there is no configuration at all.
    is_bare: bool,
    /// Whether Supervisor's command line is called.
    is_supervisord: bool,
}

impl Make<'_> {
    /// Starts it. None, and one line that says why, where that is refused.
    fn start(self) -> Option<Container> {
        let is_root = geteuid().is_root();
        if let Some(reason) = refusal(is_root, self.is_nobody) {
            // Said to the terminal even where words of tests that pass are not shown.
            let _ = writeln!(std::io::stderr(), "skipped: {reason}");
            return None;
        }
        let home = Home::new("container").unwrap();
        let root = home.file("root");
        fs::create_dir(&root).unwrap();
        let file = home.file("bardo.conf");
        let server = SERVER.replacen("[unix_http", &format!("{}[unix_http", self.server), 1);
        fs::write(&file, server + self.programs).unwrap();
        let console = File::create(home.file("console")).unwrap();
        let mut command = name_spaces(is_root);
        command.args(["/bin/sh", "-c", BUILD, "sh"]).arg(&root);
        command.arg(env!("CARGO_BIN_EXE_bardo")).arg(self.mounts);
        if self.is_nobody {
            command.arg("--userspec=65534:65534");
        }
        command.arg(&root).arg("/bardo");
        command.args(if self.is_supervisord { ["supervisord", "-n"].as_slice() } else { &["run"] });
        if !self.is_bare {
            command.args(["-c", "/etc/bardo.conf"]);
        }
        command.env_remove("XDG_RUNTIME_DIR").env_remove("BARDO_SOCKET");
        command.stdin(File::open(&file).unwrap());
        command.stdout(console.try_clone().unwrap()).stderr(console);
        Some(Container { outside: command.spawn().unwrap(), home })
    }
}

/// What `unshare` is called with: its child is the first process of the container, and ends
/// with it.
fn name_spaces(is_root: bool) -> Command {
    let mut command = Command::new("unshare");
    if !is_root {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--pid", "--fork", "--kill-child"]);
    command
}

/// Why there can be no container here.
fn refusal(is_root: bool, is_nobody: bool) -> Option<String> {
    if is_nobody && !is_root {
        return Some("a container of another user needs root".to_owned());
    }
    let mut trial = name_spaces(is_root);
    let trial = trial.args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stdin(Stdio::null()).output();
    match trial {
        Ok(trial) if trial.status.success() => None,
        Ok(trial) => Some(format!(
            "name spaces are refused here: {}",
            String::from_utf8_lossy(&trial.stderr).trim()
        )),
        Err(error) => Some(format!("unshare cannot be run: {error}")),
    }
}

impl Container {
    /// What it has said.
    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.home.file("console")).unwrap()).into_owned()
    }

    fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        if let Err(error) = home::wait_until(what, condition) {
            panic!("{error}\n{}", self.said());
        }
    }

    fn until_said(&self, text: &str) {
        self.until(&format!("the words {text:?}"), || self.said().contains(text));
    }

    /// Its first process.
    fn first(&self) -> Stat {
        let mut first = None;
        self.until("the first process", || {
            first = procfs::children(self.outside.id()).pop();
            first.is_some()
        });
        first.unwrap()
    }

    /// A path in it, from outside.
    fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.first().pid))
    }

    fn listens(&self, socket: &str) -> bool {
        let first = procfs::children(self.outside.id()).pop();
        first.is_some_and(|first| {
            UnixStream::connect(format!("/proc/{}/root{socket}", first.pid)).is_ok()
        })
    }

    fn signal(&self, signal: i32) {
        home::send(self.first().pid, signal).unwrap();
    }

    /// What it ends with.
    fn wait(&mut self) -> i32 {
        let mut ended = None;
        let outside = &mut self.outside;
        let waited = home::wait_until("the end of the container", || {
            ended = outside.try_wait().unwrap();
            ended.is_some()
        });
        if let Err(error) = waited {
            panic!("{error}\n{}", self.said());
        }
        let status = ended.unwrap();
        status.code().unwrap_or_else(|| panic!("{:?}\n{}", status.signal(), self.said()))
    }

    /// What it ends with when it is told to.
    fn end(&mut self, signal: i32) -> i32 {
        self.signal(signal);
        self.wait()
    }

    /// Runs the program in it, as its user.
    fn bardo(&self, user: &str, words: &[&str]) -> String {
        let first = self.first().pid.to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &first, "--mount", "--pid", "--root", "--wd"]);
        if geteuid().is_root() {
            command.args(["--setuid", user, "--setgid", user]);
        } else {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.env_remove("XDG_RUNTIME_DIR").env_remove("BARDO_SOCKET");
        let output = command.arg("/bardo").args(words).output().unwrap();
        assert!(output.status.success(), "{output:?}\n{}", self.said());
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Everything in it goes with its first process. That would go with this one, had it
        // not taken on a user.
        for first in procfs::children(self.outside.id()) {
            let _ = home::send(first.pid, KILL);
        }
        let _ = self.outside.kill();
        let _ = self.outside.wait();
    }
}

/// The number of a process in its own name space.
fn number_inside(pid: u32) -> u32 {
    let numbers = procfs::status(pid, "NSpid").unwrap_or_default();
    numbers.split_whitespace().next_back().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[test]
fn the_first_process_is_the_keeper_and_all_others_are_its_children() {
    let programs = speaker("web", 1);
    let Some(mut container) = Make { programs: &programs, ..Make::default() }.start() else {
        return;
    };
    container.until_said("web up");
    let first = container.first();
    let children = procfs::children(first.pid);
    let supervisor = children.iter().find(|child| child.comm.contains("bardo")).unwrap();
    let web = children.iter().find(|child| child.comm == "sh").unwrap();

    assert_eq!(number_inside(first.pid), 1);
    assert_ne!(number_inside(supervisor.pid), 1);
    container.until_said("supervisord started with pid 1");

    home::send(supervisor.pid, KILL).unwrap();
    container.until("another supervisor", || {
        let children = procfs::children(first.pid);
        children.iter().any(|child| child.comm.contains("bardo") && child.pid != supervisor.pid)
    });
    container.until("a program that has stayed up", || {
        container.bardo("0", &["status", "--socket", SOCKET, "web"]).contains("RUNNING")
    });
    assert_eq!(procfs::stat(web.pid).unwrap().identity(), web.identity(), "it goes on");
    assert_eq!(container.end(TERM), 0, "{}", container.said());
}

#[test]
fn who_has_lost_its_parent_is_reaped() {
    let line = "mkfifo /tmp/word; sh -c \"cat /tmp/word & echo has begun\"; exec sleep 1000";
    let programs = job(line);
    let Some(mut container) = Make { programs: &programs, ..Make::default() }.start() else {
        return;
    };
    let first = || container.first().pid;
    let orphans = || {
        let children = procfs::children(first());
        children.into_iter().filter(|child| child.comm == "cat").count()
    };
    container.until_said("has begun");
    container.until("an orphan", || orphans() == 1);

    fs::write(container.path("/tmp/word"), "goes\n").unwrap();
    container.until("its end", || orphans() == 0);

    container.until("nobody who has ended and is still there", || {
        procfs::children(first()).iter().all(Stat::is_alive)
    });
    assert_eq!(container.end(TERM), 0, "{}", container.said());
}

#[test]
fn a_signal_ends_all_in_order() {
    for signal in [TERM, INT, QUIT] {
        let programs = speaker("db", 1) + &speaker("web", 2);
        let Some(mut container) = Make { programs: &programs, ..Make::default() }.start() else {
            return;
        };
        container.until_said("web up");
        container.until_said("db up");

        let code = container.end(signal);

        let said = container.said();
        let downs: Vec<&str> = said.lines().filter(|line| line.ends_with(" down")).collect();
        assert_eq!((code, downs), (0, vec!["web down", "db down"]), "{said}");
    }
}

#[test]
fn a_stop_that_comes_while_the_configuration_is_read_is_not_lost() {
    for is_supervisord in [false, true] {
        // Who reads it waits until somebody has written it.
        let mounts = "cat etc/bardo.conf > tmp/whole; rm etc/bardo.conf; mkfifo etc/bardo.conf";
        let programs = speaker("web", 1);
        let make = Make { mounts, programs: &programs, is_supervisord, ..Make::default() };
        let Some(mut container) = make.start() else { return };
        let mut unread = None;
        container.until("the load", || {
            let mut options = OpenOptions::new();
            options.write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
            // Before, there is nobody who reads, and before that no such file.
            unread = options.open(container.path("/etc/bardo.conf")).ok();
            unread.is_some()
        });

        container.signal(TERM);
        let whole = fs::read(container.path("/tmp/whole")).unwrap();
        let mut unread = unread.unwrap();
        unread.write_all(&whole).unwrap();
        drop(unread);

        assert_eq!(container.wait(), 0, "{}", container.said());
    }
}

#[test]
fn the_container_ends_with_the_code_of_its_program() {
    let cases = [
        ("exit_on=job\n", "exit 0", 0),
        ("exit_on=job\n", "exit 1", 1),
        ("exit_on=web, job\n", "exit 3", 3),
        ("exit_on=job\n", "kill -9 $$", 137),
        ("exit_on=any_fatal\n", "exit 0", 70),
    ];
    for (server, line, expected) in cases {
        let missing = "[program:missing]\ncommand=/no/such/program\nstartretries=0\n";
        let missing = if expected == 70 { missing } else { "" };
        let programs = speaker("web", 1) + &job(line) + missing;
        let make = Make { server, programs: &programs, ..Make::default() };
        let Some(mut container) = make.start() else { return };

        let code = container.wait();

        let said = container.said();
        assert_eq!(code, expected, "{server}{line}: {said}");
        assert!(said.contains("stopped: web"), "{said}");
    }
}

#[test]
fn it_finds_a_place_for_its_socket_where_most_is_read_only() {
    let read_only = "mount -o remount,bind,ro .";
    let run = "mount -t tmpfs -o mode=1777 tmpfs run";
    let tmp = "mount -t tmpfs -o mode=1777 tmpfs tmp";
    let cases = [
        (false, format!("{run}; {tmp}; {read_only}"), Some("/run/bardo")),
        (false, format!("{tmp}; {read_only}"), Some("/tmp/bardo-0")),
        (true, format!("{run}; {tmp}; {read_only}"), Some("/run/bardo-65534")),
        (true, format!("{tmp}; {read_only}"), Some("/tmp/bardo-65534")),
        (true, String::new(), Some("/tmp/bardo-65534")),
        (true, read_only.to_owned(), None),
    ];
    for (is_nobody, mounts, place) in cases {
        let make = Make { mounts: &mounts, is_nobody, is_bare: true, ..Make::default() };
        let Some(mut container) = make.start() else { continue };
        let Some(place) = place else {
            assert_eq!(container.wait(), 2, "{}", container.said());
            assert!(container.said().contains("there is no place for the socket"));
            continue;
        };
        let socket = format!("{place}/bardo.sock");
        container.until(&format!("a socket in {place}"), || container.listens(&socket));

        let user = if is_nobody { "65534" } else { "0" };
        container.bardo(user, &["service", "up", "/usr/bin/sleep", "-args", "1000"]);
        let listed = container.bardo(user, &["status"]);

        assert!(listed.contains("sleep") && listed.contains("RUNNING"), "{listed}");
        assert_eq!(container.end(TERM), 0, "{}", container.said());
    }
}

#[test]
fn a_configuration_works_as_another_user_on_a_read_only_root() {
    let programs = speaker("web", 1);
    let mounts = "mount -t tmpfs -o mode=1777 tmpfs tmp; sed -i /^user=/d etc/bardo.conf; \
                  mount -o remount,bind,ro .";
    let make = Make { programs: &programs, mounts, is_nobody: true, ..Make::default() };
    let Some(mut container) = make.start() else { return };
    container.until_said("web up");

    container.until("a program that has stayed up", || {
        container.bardo("65534", &["status", "--socket", SOCKET, "web"]).contains("RUNNING")
    });
    assert_eq!(container.end(TERM), 0, "{}", container.said());
}
