//! What comes before a service is initialised: rows 12, 13, 16, 17 and 18.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bardo::selftest::home::write_executable;
use bardo::selftest::procfs;

use super::programs::{KILL, SLACK, TICK, since_boot};
use super::scene::{Output, Scene, code, executable, scene, send};

/// Files below `/etc` that may have the entry of a program, in the order in which they count.
const FILES: [&str; 4] =
    ["bardo/system.conf.d/foo", "system.conf.d/foo", "bardo/system.conf", "system.conf"];

const STOP: i32 = 19;

const CONT: i32 = 18;

/// A supervisor, and a folder that is `/etc` for the tool that asks it.
struct Elsewhere {
    scene: Scene,
    /// How to be somewhere else.
    unshare: &'static [&'static str],
}

/// `None` where nobody may mount anything.
fn elsewhere() -> Option<Elsewhere> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    let may = |way: &&&[&str]| {
        let mut command = Command::new("unshare");
        command.args(**way).args(["mount", "--bind", "/tmp", "/etc"]);
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let Some(unshare) = ways.iter().find(may).copied() else {
        println!("skipped: nobody may mount anything here");
        return None;
    };
    let scene = scene();
    for folder in ["bardo/system.conf.d", "system.conf.d"] {
        fs::create_dir_all(scene.home.file("etc").join(folder)).unwrap();
    }
    // Who there is stays known.
    for file in ["passwd", "group"] {
        fs::copy(Path::new("/etc").join(file), scene.home.file("etc").join(file)).unwrap();
    }
    scene.script("foo", "exec sleep 1000");
    Some(Elsewhere { scene, unshare })
}

impl Elsewhere {
    /// Writes an entry of a program into a file.
    fn write(&self, file: &str, program: &str, description: &str) {
        // SELF would be whoever it is that may mount something.
        let user = rustix::process::getuid().as_raw();
        let text = format!("service {program} {{ descr \"{description}\"; uid {user}; }};\n");
        fs::write(self.scene.home.file("etc").join(file), text).unwrap();
    }

    /// Brings it up under a label.
    fn up(&self, label: &str, more: &[&str]) -> Output {
        let mut command = Command::new("unshare");
        command.args(self.unshare).args(["sh", "-c", "mount --bind \"$0\" /etc && exec \"$@\""]);
        command.arg(self.scene.home.file("etc")).arg(executable()).arg("service").args(more);
        command.args(["-n", "up"]).arg(self.scene.home.file("foo")).args(["-label", label]);
        Output::of(command.env("BARDO_SOCKET", self.scene.home.file("s.sock")))
    }

    fn shown(&self, label: &str) -> String {
        self.scene.service(&["show", label]).ends_with(0).stdout
    }
}

#[test]
fn row_12_no_entry_is_needed_unless_it_is_minix() {
    let Some(elsewhere) = elsewhere() else { return };

    elsewhere.up("ours", &[]).ends_with(0);
    let output = elsewhere.up("minix", &["--minix"]).ends_with(1);

    assert!(output.stderr.contains("minix-service: fatal error: "), "{output:?}");
    for file in FILES {
        assert!(output.stderr.contains(&format!("/etc/{file}")), "{output:?}");
    }
    elsewhere.scene.pid("ours");
    assert!(elsewhere.scene.find("minix").is_none());
}

#[test]
fn row_13_the_own_file_counts_before_the_one_for_all() {
    let Some(elsewhere) = elsewhere() else { return };
    for file in FILES {
        elsewhere.write(file, "foo", &format!("of {file}"));
    }

    for (number, file) in FILES.into_iter().enumerate() {
        let label = format!("the-{number}");
        elsewhere.up(&label, &[]).ends_with(0);

        let shown = elsewhere.shown(&label);
        assert!(shown.contains(&format!("of {file}")), "{shown}");
        // A file without an entry for it is passed over, but not in MINIX.
        elsewhere.write(file, "other", "of nobody");
        elsewhere.up("minix", &["--minix"]).ends_with(1);
        fs::remove_file(elsewhere.scene.home.file("etc").join(file)).unwrap();
    }
}

#[test]
fn row_13_a_file_without_an_entry_is_passed_over_unless_it_is_minix() {
    let Some(elsewhere) = elsewhere() else { return };
    elsewhere.write(FILES[1], "other", "of nobody");
    elsewhere.write(FILES[3], "foo", "for all");

    elsewhere.up("ours", &[]).ends_with(0);
    let output = elsewhere.up("minix", &["--minix"]).ends_with(1);

    assert!(elsewhere.shown("ours").contains("for all"));
    assert!(output.stderr.contains("'foo' not found in '/etc/system.conf.d/foo'"), "{output:?}");
}

#[test]
fn row_13_a_file_that_cannot_be_read_is_passed_over() {
    let Some(elsewhere) = elsewhere() else { return };
    // To root every file can be read, but no folder.
    fs::create_dir(elsewhere.scene.home.file("etc").join(FILES[1])).unwrap();
    elsewhere.write(FILES[3], "foo", "for all");

    let output = elsewhere.up("ours", &[]).ends_with(0);
    elsewhere.up("minix", &["--minix"]).ends_with(0);

    let note = "/etc/system.conf.d/foo is there and cannot be read; it is passed over";
    assert!(output.stderr.contains(note), "{output:?}");
    for label in ["ours", "minix"] {
        assert!(elsewhere.shown(label).contains("for all"));
    }
}

#[test]
fn row_16_whoever_cannot_be_initialised_again_is_gone_unless_it_may_try() {
    // Of its starts the second one fails.
    let lines = "echo $$ >>{here}/$1; test $(wc -l <{here}/$1) = 2 && exit 1\n\
                 echo >&4; exec sleep 1000";
    let scene = scene();
    let program = scene.program("fails", lines);
    let up = |switch: &str, label: &str| {
        let words = [switch, "up", &program, "-label", label, "-args", label, "-ready", "fd:4"];
        scene.service(&words).ends_with(0);
        let pid = scene.pid(label);
        send(pid, KILL).unwrap();
        pid
    };

    up("-u", "once");
    let before = up("-b", "tries");

    scene.wait("it is gone", || scene.find("once").is_none());
    let tries = scene.until("tries", "its third start succeeds", |it| it.restarts == 1);
    assert_eq!((scene.starts("once"), scene.starts("tries")), (2, 3));
    assert_ne!(tries.pid, before);
}

#[test]
fn row_16_who_has_died_has_not_stayed_up_however_late_the_keeper_tells() {
    let scene = scene();
    let dead = scene.begin(&["up", "/bin/sleep", "-label", "dead", "-args", "1000"]);
    let pid = scene.until("dead", "its process is there", |it| it.pid > 0).pid;
    scene.wait("it runs its program", || procfs::stat(pid).is_some_and(|it| it.comm == "sleep"));

    scene.daemon.signal_keeper(STOP).unwrap();
    send(pid, KILL).unwrap();
    // What is begun later has stayed up later.
    scene.service(&["up", "/bin/sleep", "-label", "later", "-args", "1000"]).ends_with(0);
    let state = scene.find("dead").unwrap().state;
    scene.daemon.signal_keeper(CONT).unwrap();

    assert_eq!(state, "STARTING");
    assert_eq!(code(dead.wait_with_output().unwrap().status), 215);
    scene.wait("it is gone", || scene.find("dead").is_none());
    assert_eq!(scene.said("dead", "ready"), [""; 0]);
    assert_eq!(scene.said("dead", "start").len(), 1);
}

#[test]
fn with_no_time_to_stay_up_whoever_waits_is_answered_when_it_is_executed() {
    let scene = scene();
    let program = scene.program("soon", "exit 0");

    for _ in 0..10 {
        scene.service(&["up", &program, "-ok-exit", "0", "-alive", "0"]).ends_with(0);

        scene.wait("it is gone", || scene.find("soon").is_none());
    }
}

#[test]
fn row_16_with_b_up_answers_when_a_later_start_succeeds() {
    let lines = "echo $$ >>{here}/late.starts; test $(wc -l <{here}/late.starts) = 1 && exit 1\n\
                 echo >&4; exec sleep 1000";
    let scene = scene();
    let program = scene.program("late", lines);

    scene.service(&["-b", "up", &program, "-ready", "fd:4"]).ends_with(0);

    let service = scene.find("late").unwrap();
    assert_eq!((service.state.as_str(), service.restarts), ("RUNNING", 0));
    assert_eq!(scene.starts("late.starts"), 2);
}

/// Brings up what never says that it is initialised: for how long it lived after its start,
/// until the tool said so.
fn never_ready(scene: &Scene, more: &[&str]) -> Duration {
    // When a process began stands behind its name in brackets. It says so itself: whoever asks
    // may come too late.
    let lines = "read -r line </proc/$$/stat; set -- ${line##*) }; shift 19\n\
                 echo $$ $1 >>{here}/mute.starts; exec sleep 1000";
    let program = scene.program("mute", lines);
    let up = scene.begin(&[&["up", &program, "-ready", "ctl"], more].concat());

    let output = up.wait_with_output().unwrap();

    let ended = since_boot();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(code(output.status), 215, "{said}");
    assert!(said.contains("(error 215)"), "{said}");
    let text = fs::read_to_string(scene.home.file("mute.starts")).unwrap();
    let words: Vec<u32> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [pid, began] = words[..] else { panic!("it was started once: {text}") };
    assert!(procfs::stat(pid).is_none_or(|stat| !stat.is_alive()));
    assert!(scene.find("mute").is_none());
    assert_eq!(scene.said("mute", "kills"), ["killed: it was not ready in time"]);
    ended.saturating_sub(TICK * began)
}

#[test]
fn row_17_who_is_never_initialised_is_killed() {
    let limit = Duration::from_millis(1500);

    let lived = never_ready(&scene(), &["-ready-timeout", "1500ms"]);

    assert!(lived >= limit && lived < limit + SLACK, "{lived:?}");
}

#[test]
#[ignore = "takes twenty seconds"]
fn row_17_twenty_seconds_are_the_limit() {
    let limit = Duration::from_secs(20);

    let lived = never_ready(&scene(), &[]);

    println!("killed after {lived:?}");
    assert!(lived >= limit && lived < limit + Duration::from_millis(100), "{lived:?}");
}

#[test]
fn row_18_what_cannot_be_executed_says_why() {
    let scene = scene();
    let cases = [
        ("text", "nothing to execute\n", 0o755, 8),
        ("closed", "#!/bin/sh\n", 0o644, 13),
        ("orphan", "#!/nowhere/sh\n", 0o755, 2),
    ];
    for (name, text, mode, number) in cases {
        let path = scene.home.file(name);
        write_executable(&path, text.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for switch in ["-u", "-n", "-b"] {
            let output = scene.service(&[switch, "up", path.to_str().unwrap()]).ends_with(number);

            assert!(output.stderr.contains(&format!("(error {number})")), "{output:?}");
            assert!(scene.find(name).is_none(), "{switch} {name}");
        }
    }
}

#[test]
fn row_18_the_step_that_failed_is_named() {
    let scene = scene();
    let orphan = scene.home.file("orphan");
    write_executable(&orphan, b"#!/nowhere/sh\n").unwrap();
    let orphan = orphan.to_str().unwrap();

    let no_folder = ["up", "/bin/sleep", "-dir", "/nowhere", "-args", "1000"];
    let output = scene.service(&no_folder).ends_with(2);
    let text = "could not be started: its directory cannot be entered: No such file or directory";
    assert!(output.stderr.contains(text), "{output:?}");
    let text = "can't enter directory '/nowhere': ENOENT";
    assert!(scene.log().contains(text), "{}", scene.log());

    let output = scene.service(&["up", orphan]).ends_with(2);
    assert!(output.stderr.contains("what interprets its file is not there"), "{output:?}");
    let text = format!("what interprets command '{orphan}' is not there");
    assert!(scene.log().contains(&text), "{}", scene.log());
}
