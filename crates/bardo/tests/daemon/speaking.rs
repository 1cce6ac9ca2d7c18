//! Programs that speak: what they are born with, and what becomes of what they say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use bardo::selftest::home;
use bardo::selftest::procfs;

use crate::scene::{KILL, Scene, open};

/// Says something on the notify socket of whoever starts it, with nothing but Python.
const SAY: &str = r#"import os, socket, sys
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect("\0" + os.environ["NOTIFY_SOCKET"][1:])
for message in sys.argv[1:]:
    notify.send(message.encode())
"#;

/// A scene with `say.py` in its folder; none where there is no Python.
fn open_with_python(programs: &str) -> Option<Scene> {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no python3");
        return None;
    }
    let programs = programs.replace("SAY", "python3 {here}/say.py");
    let scene =
        open("", &("[program:cat]\ncommand=/bin/cat\nstartsecs=0\n".to_owned() + &programs));
    fs::write(scene.home.file("say.py"), SAY).unwrap();
    fs::write(scene.home.file("go"), "").unwrap();
    Some(scene)
}

/// Waits, in a shell, until the test has made ready what it needs.
const WAIT: &str = "while [ ! -e {here}/go ]; do sleep 0.02; done";

fn descriptors(pid: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect()
}

/// The variables that a process was born with, of those that tell of channels.
fn variables(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let all = bytes.split(|byte| *byte == 0).map(|variable| String::from_utf8_lossy(variable));
    let names = ["BARDO_CTL=", "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID="];
    let of_channels = |variable: &str| names.iter().any(|name| variable.starts_with(name));
    let mut found: Vec<String> = all.filter(|it| of_channels(it)).map(Into::into).collect();
    found.sort();
    found
}

#[test]
fn only_who_asks_for_channels_is_born_with_them() {
    let scene = open(
        "",
        "[program:plain]\ncommand=/bin/cat\nstartsecs=0\n\
         [program:speaks]\ncommand=/bin/cat\nready=auto\nstartsecs=0\n\
         [program:beats]\ncommand=/bin/cat\nheartbeat_period=600\nready=alive\nstartsecs=0\n\
         [program:newline]\ncommand=/bin/sh -c 'echo >&3; exec cat'\nready=fd:3\n",
    );
    let [plain, speaks, beats, newline] =
        ["plain", "speaks", "beats", "newline"].map(|name| scene.process(name).pid);

    // The C library's loader has a file open for a moment.
    let await_descriptors = |pid, last| {
        scene.wait(&format!("descriptors up to {last}"), || {
            descriptors(pid) == (0..=last).collect()
        });
    };
    await_descriptors(plain, 2);
    assert_eq!(variables(plain), [""; 0]);
    await_descriptors(speaks, 3);
    let of_speaks = variables(speaks);
    assert_eq!(of_speaks.len(), 2);
    assert_eq!(of_speaks[0], "BARDO_CTL=3");
    assert!(of_speaks[1].starts_with("NOTIFY_SOCKET=@"), "{of_speaks:?}");
    let timed = [format!("WATCHDOG_PID={beats}"), "WATCHDOG_USEC=600000000".to_owned()];
    assert_eq!(variables(beats)[2..], timed);
    await_descriptors(newline, 4);
    assert_eq!(variables(newline)[0], "BARDO_CTL=4");
}

#[test]
fn who_owes_a_word_starts_until_it_is_said() {
    let programs = "[program:says]\nready=notify\nready_timeout=600\nstartsecs=0\n\
                    command=/bin/sh -c '{wait}; SAY STATUS=warm READY=1; exec sleep 600'\n\
                    [program:mute]\nready=notify\nready_timeout=600\nstartsecs=0\n\
                    command=/bin/cat\n";
    let Some(scene) = open_with_python(&programs.replace("{wait}", WAIT)) else { return };

    scene.until("says", "RUNNING");

    assert_eq!(scene.client().info("mute").unwrap().state, "STARTING");
}

#[test]
fn what_was_said_before_the_end_is_heard_before_the_end() {
    let programs = "[program:brief]\nready=notify\nready_timeout=600\nautorestart=false\n\
                    exitcodes=0\n\
                    command=/bin/sh -c '{wait}; SAY READY=1'\n";
    let Some(scene) = open_with_python(&programs.replace("{wait}", WAIT)) else { return };

    scene.until("brief", "EXITED");

    assert!(!scene.log().contains("exited too quickly"), "{}", scene.log());
}

#[test]
fn what_is_said_while_nobody_listens_waits_for_the_next_supervisor() {
    let programs = "[program:says]\nready=notify\nready_timeout=600\nstartsecs=0\n\
                    command=/bin/sh -c '{wait}; while [ ! -e {here}/speak ]; do sleep 0.02; done; \
                    SAY READY=1; touch {here}/spoken; exec sleep 600'\n";
    let Some(scene) = open_with_python(&programs.replace("{wait}", WAIT)) else { return };
    let before = scene.until("says", "STARTING").pid;
    let supervisor = scene.supervisor().pid;

    scene.halt(supervisor);
    fs::write(scene.home.file("speak"), "").unwrap();
    scene.wait("the program to have spoken", || scene.home.file("spoken").exists());
    home::send(supervisor, KILL).unwrap();

    assert_eq!(scene.until("says", "RUNNING").pid, before);
}

#[test]
fn a_stranger_cannot_speak_for_a_program() {
    let programs = "[program:mute]\nready=notify\nready_timeout=600\nstartsecs=0\n\
                    command=/bin/sh -c 'echo $NOTIFY_SOCKET > {here}/address; exec sleep 600'\n";
    let Some(scene) = open_with_python(programs) else { return };
    let address = scene.home.file("address");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    scene.wait("the address", || !read(&address).is_empty());

    // It waits for a while after that, so that it can be seen whose it is.
    let stranger = Command::new("python3")
        .args(["-c", &(SAY.to_owned() + "import time; time.sleep(600)"), "READY=1"])
        .env("NOTIFY_SOCKET", read(&address))
        .spawn()
        .unwrap();
    let _stranger = Stranger(stranger);
    scene.await_log("is none of those of 'mute': what it says is not heard");

    assert_eq!(scene.client().info("mute").unwrap().state, "STARTING");
}

/// A process of ours that would go on for long.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_program_that_speaks_without_end_holds_up_nobody() {
    let flood = "import os, socket\n\
                 notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                 notify.connect('\\0' + os.environ['NOTIFY_SOCKET'][1:])\n\
                 while True: notify.send(b'STATUS=busy')\n";
    let programs = "[program:flood]\nready=alive\nheartbeat_period=600\nstartsecs=0\n\
                    command=/bin/sh -c '{wait}; exec python3 {here}/flood.py'\n";
    let Some(scene) = open_with_python(&programs.replace("{wait}", WAIT)) else { return };
    fs::write(scene.home.file("flood.py"), flood).unwrap();
    scene.process("flood");

    for _ in 0..20 {
        let before = scene.process("cat").pid;
        home::send(before, KILL).unwrap();
        scene.wait("another cat", || scene.process("cat").pid != before);
    }

    assert!(procfs::stat(scene.process("flood").pid).is_some());
}
