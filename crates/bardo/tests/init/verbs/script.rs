//! The script for SysV init, run by the shells that are here, with a program in the place
//! of Bardo that does what one may.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use bardo::init::InitSystem as _;
use bardo::init::definition::Definition;
use bardo::init::sysv::Sysv;
use bardo::selftest::home::write_executable;
use tempfile::TempDir;

use super::stubs::{copy_executable, service};

/// What is started in the place of the keeper: it goes to the background, writes its pid
/// file when it is ready, has a child, and ends with it when it is told to.
const KEEPER: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static pid_t child;
static void on_term(int s) { (void)s; kill(child, SIGKILL); _exit(0); }
int main(int n, char **words) {
    const char *file = 0, *code = getenv("KEEPER_FAILS");
    for (int i = 1; i + 1 < n; i++) if (!strcmp(words[i], "--pidfile")) file = words[i + 1];
    if (code) return atoi(code);
    int ready[2]; char byte;
    if (pipe(ready)) return 70;
    if (fork()) { close(ready[1]); return read(ready[0], &byte, 1) == 1 ? 0 : 71; }
    setsid();
    child = fork();
    if (!child) { close(ready[0]); close(ready[1]); for (;;) pause(); }
    signal(SIGTERM, getenv("KEEPER_STAYS") ? SIG_IGN : on_term);
    signal(SIGHUP, SIG_IGN);
    FILE *out = fopen(file, "w");
    if (!out) return 72;
    fprintf(out, "%d\n", getpid());
    fclose(out);
    char name[512]; snprintf(name, sizeof name, "%s.child", file);
    out = fopen(name, "w"); fprintf(out, "%d\n", child); fclose(out);
    if (write(ready[1], "x", 1) != 1) return 73;
    close(0); close(1); close(2); close(ready[0]); close(ready[1]);
    for (;;) pause();
}
"#;

fn keeper() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Where it stays from run to run: nothing that is static is dropped.
        let room = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (path, place) = (room.path().join("keeper"), room.path().with_file_name("keeper"));
        let mut compiler = Command::new("cc")
            .args(["-x", "c", "-o"])
            .arg(&path)
            .arg("-")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        compiler.stdin.take().unwrap().write_all(KEEPER.as_bytes()).unwrap();
        assert!(compiler.wait().unwrap().success());
        fs::rename(path, &place).unwrap();
        place
    })
}

/// A script whose files are in a folder of its own.
struct Script {
    room: TempDir,
    shell: &'static str,
    name: &'static str,
}

impl Script {
    fn new(shell: &'static str, definition: Definition) -> Self {
        let name = "web";
        let room = tempfile::tempdir().unwrap();
        let here = room.path().display().to_string();
        let binary = room.path().join("bar do'");
        // Where the shell of the test is root, the answer is the same.
        write_executable(&room.path().join("id"), b"#!/bin/sh\necho 0\n").unwrap();
        if fs::hard_link(keeper(), &binary).is_err() {
            copy_executable(keeper(), &binary);
        }
        let definition = Definition { binary, ..definition };
        let text = Sysv.files(&definition).unwrap().remove(0).text;
        let text = text
            .replace("/run/web.pid", &format!("{here}/web.pid"))
            .replace("/etc/default/", &format!("{here}/default-"))
            .replace("/etc/sysconfig/", &format!("{here}/sysconfig-"))
            .replace("/var/lock/subsys", &format!("{here}/subsys"))
            .replace("\nPATH=", &format!("\nPATH={here}:"));
        fs::write(room.path().join("script"), text).unwrap();
        Self { room, shell, name }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    fn run(&self, words: &[&str]) -> (i32, String) {
        self.run_with(words, &[])
    }

    fn run_with(&self, words: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
        // A pipe that the keeper inherits would be read for as long as it lives.
        let said = self.at("said");
        let file = fs::File::create(&said).unwrap();
        let status = Command::new(self.shell)
            .arg("-eu")
            .arg(self.at("script"))
            .args(words)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .status()
            .unwrap();
        (status.code().unwrap(), fs::read_to_string(said).unwrap())
    }

    /// What commands say that may use the functions of the script.
    fn functions(&self, commands: &str) -> String {
        let script = fs::read_to_string(self.at("script")).unwrap();
        let (functions, _) = script.split_once("\n[ \"$#\" -eq 1 ]").unwrap();
        let text = format!("{functions}\n{commands}\n");
        let output = Command::new(self.shell).args(["-c", &text]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn pid(&self, name: &str) -> Option<u32> {
        fs::read_to_string(self.at(name)).ok()?.trim().parse().ok()
    }

    fn pidfile(&self) -> Option<u32> {
        self.pid(&format!("{}.pid", self.name))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        for name in ["web.pid", "web.pid.child"] {
            if let Some(pid) = self.pid(name).and_then(|pid| i32::try_from(pid).ok()) {
                let is_ours = fs::read_to_string(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|words| words.contains("--service-run"));
                let pid = rustix::process::Pid::from_raw(pid).filter(|_| is_ours);
                let _ = pid
                    .map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
            }
        }
    }
}

/// The shells that are here.
fn shells() -> Vec<&'static str> {
    let is_here = |shell: &&str| Path::new("/bin").join(shell).exists();
    ["dash", "bash"].into_iter().filter(is_here).collect()
}

fn is_alive(pid: u32) -> bool {
    // A zombie has no command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}

#[test]
fn it_starts_once_and_stops_and_both_may_be_repeated() {
    for shell in shells() {
        let script = Script::new(shell, service("web"));
        assert_eq!(script.run(&["status"]).0, 3);
        assert_eq!(script.run(&["stop"]).0, 0);

        let (code, said) = script.run(&["start"]);
        assert_eq!(code, 0, "{shell}: {said}");
        let pid = script.pidfile().unwrap();
        assert_eq!(script.run(&["status"]).0, 0);
        assert_eq!(script.run(&["start"]).0, 0);
        assert_eq!(script.pidfile(), Some(pid), "it was not started twice");

        assert_eq!(script.run(&["stop"]).0, 0);
        assert!(!is_alive(pid), "a stop waits");
        assert_eq!(script.pidfile(), None);
        assert_eq!(script.run(&["status"]).0, 3);
    }
}

#[test]
fn a_restart_makes_a_new_process_and_starts_what_does_not_run() {
    let script = Script::new("sh", service("web"));
    for action in ["try-restart", "condrestart"] {
        assert_eq!(script.run(&[action]).0, 0);
        assert_eq!(script.pidfile(), None, "{action} starts nothing");
    }
    assert_eq!(script.run(&["restart"]).0, 0);
    let first = script.pidfile().unwrap();
    for action in ["restart", "try-restart", "condrestart"] {
        assert_eq!(script.run(&[action]).0, 0);
    }
    assert_ne!(script.pidfile(), Some(first));
    assert!(!is_alive(first));
    assert_eq!(script.run(&["reload"]).0, 0);
    assert_eq!(script.run(&["force-reload"]).0, 0);
    script.run(&["stop"]);
    assert_eq!(script.run(&["reload"]).0, 7);
}

#[test]
fn nothing_and_nonsense_are_told_the_usage() {
    let script = Script::new("sh", service("web"));
    for words in [&[][..], &["begin"], &["start", "now"]] {
        let (code, said) = script.run(words);
        assert_eq!(code, 2);
        assert!(said.starts_with("Usage: ") && said.contains("{start|stop|"), "{said}");
    }
}

#[test]
fn a_pid_file_of_a_dead_or_foreign_process_counts_for_nothing() {
    let script = Script::new("sh", service("web"));
    let file = script.at("web.pid");
    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let own = std::process::id();
    for text in [dead.id().to_string(), own.to_string(), "1".into(), "x".into(), String::new()] {
        fs::write(&file, format!("{text}\n")).unwrap();
        assert_eq!(script.run(&["status"]).0, 3, "{text}");
    }
    // One of another name, and one of ours that is another program.
    let mut others =
        [other(keeper(), "--service-run", "mail"), other(Path::new("/bin/sh"), "-c", "")];
    for other in &others {
        fs::write(&file, format!("{}\n", other.id())).unwrap();
        assert_eq!(script.run(&["status"]).0, 3);
    }
    assert_eq!(script.run(&["stop"]).0, 0);
    for other in &mut others {
        assert!(other.try_wait().unwrap().is_none(), "it was left alone");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}

/// A process of somebody else.
fn other(program: &Path, first: &str, second: &str) -> Child {
    let mut command = Command::new(if first == "-c" { program } else { Path::new("/bin/sh") });
    // Its words are those of a service, or its program is; never both.
    let words = if first == "-c" { "web" } else { second };
    command.args(["-c", "read line", "sh", "--service-run", words]);
    command.stdin(Stdio::piped()).spawn().unwrap()
}

#[test]
fn one_that_does_not_end_is_killed_with_all_that_it_has_started() {
    let budget = Duration::from_secs(1);
    let script = Script::new("sh", Definition { stop_budget: budget, ..service("web") });
    let (code, said) = script.run_with(&["start"], &[("KEEPER_STAYS", "1")]);
    assert_eq!(code, 0, "{said}");
    let (keeper, child) = (script.pidfile().unwrap(), script.pid("web.pid.child").unwrap());

    let (code, said) = script.run(&["stop"]);

    assert_eq!(code, 0);
    assert!(said.contains("is killed"), "{said}");
    assert!(!is_alive(keeper) && !is_alive(child), "a stop waits for all of it");
    assert_eq!(script.run(&["status"]).0, 3);
}

#[test]
fn what_has_the_number_of_one_that_is_to_be_killed_is_left_alone() {
    for shell in shells() {
        let script = Script::new(shell, service("web"));
        // Its name says that it is another process, which ends and has started with the machine.
        let odd = script.at("a) Z 1 (b");
        copy_executable(Path::new("/bin/sh"), &odd);
        let mut process = Command::new(&odd)
            .args(["-c", "\"$0\" -c 'read line'; :"])
            .arg(&odd)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = process.id();
        let fields = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let start = fields.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
        let start: u64 = start.parse().unwrap();

        assert_eq!(script.functions(&format!("born {pid}")).trim(), format!("{pid}:{start}"));
        let child = loop {
            let family = script.functions(&format!("descendants {pid}"));
            if let Some((child, start)) = family.trim().split_once(':') {
                assert!(start.parse::<u64>().is_ok(), "{shell}: {family}");
                break child.parse::<u32>().unwrap();
            }
        };
        script.functions(&format!("kill_all {pid}:{} {pid}:", start + 1));
        assert!(process.try_wait().unwrap().is_none(), "{shell}: it is somebody else");
        script.functions(&format!("kill_all $(descendants {pid}) {pid}:{start}"));
        assert!(!is_alive(pid) && !is_alive(child), "{shell}: they are waited for");
        process.wait().unwrap();
        assert_eq!(script.functions(&format!("born {pid}; kill_all {pid}:{start}")), "");
    }
}

#[test]
fn a_start_that_fails_is_told_with_its_code() {
    let script = Script::new("sh", service("web"));
    let (code, said) = script.run_with(&["start"], &[("KEEPER_FAILS", "78")]);
    assert_eq!(code, 1);
    assert!(said.contains("exit code 78"), "{said}");

    fs::remove_file(script.at("bar do'")).unwrap();
    assert_eq!(script.run(&["start"]).0, 5);
    let configuration = Some("/etc/no such.conf".into());
    let script = Script::new("sh", Definition { configuration, ..service("web") });
    assert_eq!(script.run(&["start"]).0, 6);
}

#[test]
fn settings_of_the_administrator_win() {
    for name in ["default-web", "sysconfig-web"] {
        let script = Script::new("sh", service("web"));
        fs::write(script.at(name), "CONFIG=/etc/none.conf\n").unwrap();

        let (code, said) = script.run(&["start"]);

        assert_eq!(code, 6, "{said}");
        assert!(said.contains("/etc/none.conf"), "{said}");
    }
}

#[test]
fn settings_that_end_with_no_for_an_answer_or_lack_a_variable_stop_no_action() {
    for settings in
        ["[ -f /nowhere ] && . /nowhere\n", "export MORE=\"$LACKING/more\"\n", "set +eu\n"]
    {
        for shell in shells() {
            let script = Script::new(shell, service("web"));
            fs::write(script.at("default-web"), settings).unwrap();

            let codes = ["start", "status", "stop", "status"].map(|action| script.run(&[action]).0);

            assert_eq!(codes, [0, 0, 0, 3], "{shell}: {settings}");
        }
    }
}

#[test]
fn where_red_hat_looks_for_a_lock_there_is_one_while_it_runs() {
    let script = Script::new("sh", service("web"));
    fs::create_dir(script.at("subsys")).unwrap();

    script.run(&["start"]);
    assert!(script.at("subsys/web_service").exists());
    script.run(&["stop"]);
    assert!(!script.at("subsys/web_service").exists());
}

#[test]
fn whoever_is_not_root_may_only_look() {
    let script = Script::new("sh", service("web"));
    write_executable(&script.at("id"), b"#!/bin/sh\necho 1000\n").unwrap();

    for action in ["start", "stop", "restart", "try-restart", "reload", "force-reload"] {
        let (code, said) = script.run(&[action]);
        assert_eq!(code, 4, "{action}: {said}");
    }
    assert_eq!(script.run(&["status"]).0, 3);
}
