//! The kernel has no process and no thread to give.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bardo::selftest::home;
use bardo_sys::faults::Call;
use bardo_wire::xmlrpc::Value;
use rustix::io::Errno;

use crate::others::{OTHER, behind_gate};
use crate::scene::{KILL, open};

/// A program that has no second try: that there is no process is not its fault.
const CAT: &str = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nstartretries=0\n";

#[test]
fn a_program_for_which_there_is_no_process_is_started_when_there_is_one() {
    for errno in [Errno::AGAIN, Errno::NOMEM] {
        let programs = CAT.to_owned() + OTHER;
        let Some((scene, gate)) = behind_gate("", &programs, &[Call::Clone]) else { return };
        let (cat, other) = (scene.process("cat"), scene.process("other"));
        let supervisor = scene.supervisor();
        gate.refuse(supervisor.pid, Call::Clone, errno.raw_os_error());

        home::send(cat.pid, KILL).unwrap();

        let info = scene.until("cat", "BACKOFF");
        assert!(!info.spawn_error.is_empty());
        scene.await_troubles(&[("shortage", "cat")]);
        scene.wait("three tries", || gate.refused() >= 3);
        scene.await_log("spawnerr");
        assert_eq!(scene.said("spawnerr"), 1, "it is told once: {}", scene.log());
        assert_eq!(scene.process("other").identity(), other.identity());
        gate.let_pass();
        scene.until("cat", "RUNNING");
        scene.await_troubles(&[]);
        assert_eq!(scene.supervisor().pid, supervisor.pid);
        scene.expect_supervision();
    }
}

/// A control group of our own that limits the number of processes; removed when it is
/// dropped, behind its last process.
struct Group(PathBuf);

impl Group {
    /// Makes one; `None` where there is no such controller, or it is not ours to use.
    fn new() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = |line: &str| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let mounts = match controllers {
                "pids" => ["/sys/fs/cgroup/pids"].as_slice(),
                "" => &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
                _ => &[],
            };
            let folders = mounts.iter().map(|mount| format!("{mount}{path}"));
            Some(folders.collect::<Vec<_>>())
        };
        let name = format!("bardo-faults-{}", std::process::id());
        own.lines().filter_map(path).flatten().find_map(|folder| {
            let group = Self(Path::new(&folder).join(&name));
            fs::create_dir(&group.0).ok()?;
            // Another controller's folder goes away again.
            group.0.join("pids.max").exists().then_some(group)
        })
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.0.join(file), text)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = home::wait_until("the end of its processes", || {
            fs::remove_dir(&self.0).is_ok() || !self.0.exists()
        });
    }
}

#[test]
fn a_group_that_is_full_is_waited_for() {
    let Some(group) = Group::new() else {
        return eprintln!("skipped: there is no control group for processes that is ours to use");
    };
    let scene = open("", &(CAT.to_owned() + OTHER));
    let (cat, other) = (scene.process("cat"), scene.process("other"));
    let supervisor = scene.supervisor();
    for process in [scene.daemon.keeper(), supervisor.pid, cat.pid, other.pid] {
        if let Err(error) = group.write("cgroup.procs", &process.to_string()) {
            return eprintln!("skipped: nobody can be moved into a control group: {error}");
        }
    }
    // Fewer than there are: what is there stays.
    group.write("pids.max", "1").unwrap();

    home::send(cat.pid, KILL).unwrap();

    let error = scene.until("cat", "BACKOFF").spawn_error;
    assert_eq!(error, "Too many processes in process table to spawn 'cat'");
    scene.await_troubles(&[("shortage", "cat")]);
    assert_eq!(scene.process("other").identity(), other.identity());
    group.write("pids.max", "max").unwrap();
    scene.until("cat", "RUNNING");
    scene.await_troubles(&[]);
    assert_eq!(scene.supervisor().pid, supervisor.pid);
    scene.expect_supervision();
}

#[test]
fn what_needs_a_thread_is_refused_and_the_supervisor_goes_on() {
    let Some((scene, gate)) = behind_gate("", OTHER, &[Call::Clone]) else { return };
    scene.process("other");
    let supervisor = scene.supervisor();
    gate.refuse(supervisor.pid, Call::Clone, Errno::AGAIN.raw_os_error());

    let client = scene.client();
    for _ in 0..3 {
        let range = [Value::from("other"), Value::Int(0), Value::Int(100)];
        // Whether they are answered or refused: they are not left without a word.
        for (method, parameters) in [
            ("supervisor.reloadConfig", &[][..]),
            ("supervisor.readLog", &range[1..]),
            ("supervisor.tailProcessStdoutLog", &range[..]),
            ("supervisor.clearProcessLogs", &range[..1]),
        ] {
            let answer = client.call(method, parameters);
            let unanswered =
                matches!(answer, Err(bardo::selftest::client::CallError::Unanswered(_)));
            assert!(!unanswered, "{method}: {answer:?}\n{}", scene.log());
        }
    }

    assert_eq!(scene.supervisor().pid, supervisor.pid, "{}", scene.log());
    gate.let_pass();
    client.call("supervisor.reloadConfig", &[]).unwrap();
    scene.expect_supervision();
}

#[test]
fn a_supervisor_for_which_there_is_no_process_comes_when_there_is_one() {
    let Some((scene, gate)) = behind_gate("", OTHER, &[Call::Clone]) else { return };
    let other = scene.process("other");
    gate.refuse(scene.daemon.keeper(), Call::Clone, Errno::AGAIN.raw_os_error());

    scene.daemon.kill_supervisor().unwrap();

    scene.wait("a refusal", || gate.refused() > 1);
    gate.let_pass();
    scene.supervisor();
    scene.await_troubles(&[("keeper", "supervisor")]);
    assert_eq!(scene.process("other").identity(), other.identity());
    scene.expect_supervision();
}
