//! The process or the machine is out of descriptors.

use std::collections::BTreeSet;
use std::fs;

use bardo::selftest::home;
use bardo::selftest::procfs::{self, Stat};
use bardo_sys::faults::Call;
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::others::{OTHER, behind_gate};
use crate::scene::{KILL, Scene, open};

/// A program that has no log, so that no descriptor of one comes free with its end.
const CAT: &str = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nstartretries=0\n\
                   stdout_logfile=NONE\nstderr_logfile=NONE\n\n";

/// A process that may have no more descriptors than it has, and gets its limit back when
/// this is dropped.
pub(crate) struct Limited {
    process: Pid,
    before: [Option<u64>; 2],
}

impl Limited {
    /// Leaves the supervisor so many free numbers below its limit.
    fn to(scene: &Scene, free: usize) -> Self {
        let process = scene.supervisor().pid;
        // What clients have left behind is still counted until it is closed.
        scene.wait("the clients to be gone", || {
            let sockets = procfs::socket_files(process).into_iter();
            sockets.filter(|path| path.starts_with(scene.home.path())).count() == 1
        });
        let taken: BTreeSet<u64> = fs::read_dir(format!("/proc/{process}/fd"))
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .collect();
        let lowest = (0..).filter(|number| !taken.contains(number)).nth(free);
        Self::to_number(process, lowest.unwrap())
    }

    /// Sets the soft limit of a process.
    pub(crate) fn to_number(process: u32, current: u64) -> Self {
        let before = limits(process);
        let limited = Self { process: Pid::from_raw(process.cast_signed()).unwrap(), before };
        limited.set([Some(current), before[1]]);
        limited
    }

    fn set(&self, [current, maximum]: [Option<u64>; 2]) {
        prlimit(Some(self.process), Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.set(self.before);
    }
}

/// Whether a process is not there any more.
fn is_gone(process: &Stat) -> bool {
    procfs::stat(process.pid).is_none_or(|now| now.identity() != process.identity())
}

/// The soft and the hard limit on descriptors of a process.
fn limits(process: u32) -> [Option<u64>; 2] {
    let text = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut words = line.split_ascii_whitespace();
    [(); 2].map(|()| words.next().unwrap().parse().ok())
}

#[test]
fn a_program_without_descriptors_is_started_when_there_are_some() {
    let scene = open("", &(CAT.to_owned() + OTHER));
    let (cat, other) = (scene.process("cat"), scene.process("other"));
    let supervisor = scene.supervisor();
    // Enough for a client; with what its end leaves too few for the pipes of a program.
    let limited = Limited::to(&scene, 2);

    home::send(cat.pid, KILL).unwrap();

    let info = scene.until("cat", "BACKOFF");
    assert_eq!(info.spawn_error, "too many open files to spawn 'cat'");
    assert_eq!(scene.process("other").identity(), other.identity());
    scene.await_troubles(&[("shortage", "cat")]);
    drop(limited);
    scene.until("cat", "RUNNING");
    scene.await_troubles(&[]);
    assert_eq!(scene.supervisor().pid, supervisor.pid);
    scene.expect_supervision();
}

#[test]
fn with_not_one_descriptor_left_clients_are_answered_one_after_the_other() {
    let scene = open("", &(CAT.to_owned() + OTHER));
    let (cat, other) = (scene.process("cat"), scene.process("other"));
    let supervisor = scene.supervisor();
    let limited = Limited::to(&scene, 0);

    home::send(cat.pid, KILL).unwrap();

    scene.until("cat", "BACKOFF");
    assert_eq!(scene.client().info("other").unwrap().pid, other.pid);
    scene.await_troubles(&[("shortage", "cat")]);
    drop(limited);
    scene.until("cat", "RUNNING");
    scene.await_troubles(&[]);
    assert_eq!(scene.supervisor().pid, supervisor.pid, "{}", scene.log());
    scene.expect_supervision();
}

#[test]
fn a_machine_without_files_holds_up_nobody_else() {
    let programs = CAT.to_owned() + OTHER;
    let calls = [Call::Pipe, Call::Open, Call::Accept];
    let Some((scene, gate)) = behind_gate("", &programs, &calls) else { return };
    let (cat, other) = (scene.process("cat"), scene.process("other"));
    let supervisor = scene.supervisor();
    for call in [Call::Pipe, Call::Open] {
        gate.refuse(supervisor.pid, call, Errno::NFILE.raw_os_error());
    }

    home::send(cat.pid, KILL).unwrap();

    assert!(!scene.until("cat", "BACKOFF").spawn_error.is_empty());
    assert_eq!(scene.process("other").identity(), other.identity());
    scene.await_troubles(&[("shortage", "cat")]);
    gate.refuse(supervisor.pid, Call::Accept, Errno::NFILE.raw_os_error());
    let client = scene.client().clone();
    let asked = std::thread::spawn(move || client.info("other"));
    let before = gate.refused();
    scene.wait("a refusal", || gate.refused() > before + 1);
    gate.let_pass();
    asked.join().unwrap().unwrap();
    scene.until("cat", "RUNNING");
    scene.await_troubles(&[]);
    assert_eq!(scene.supervisor().pid, supervisor.pid, "{}", scene.log());
    scene.expect_supervision();
}

#[test]
fn a_supervisor_that_cannot_open_every_process_takes_over_none() {
    let Some((scene, gate)) = behind_gate("", OTHER, &[Call::Process]) else { return };
    let other = scene.process("other");
    gate.refuse_everybody(Call::Process, Errno::MFILE.raw_os_error());

    scene.daemon.kill_supervisor().unwrap();

    scene.wait("a refusal", || gate.refused() > 0);
    gate.let_pass();
    scene.supervisor();
    assert_eq!(scene.process("other").identity(), other.identity());
    let console = fs::read_to_string(scene.home.file("console")).unwrap();
    assert!(console.contains("cannot open a predecessor's processes: Too many open"), "{console}");
    // Who is taken for gone could not be stopped any more.
    scene.client().about("stopProcess", "other").unwrap();
}

#[test]
fn a_supervisor_that_is_not_given_every_pipe_takes_over_none() {
    const MANY: usize = 30;
    let programs = format!(
        "[program:many]\ncommand=/bin/cat\nstartsecs=0\nnumprocs={MANY}\n\
         process_name=many_%(process_num)02d\nstdout_logfile={{here}}/%(process_num)02d.log\n\n"
    );
    let scene = open("", &(programs + OTHER));
    let name = |number: usize| format!("many:many_{number:02}");
    let before: Vec<_> = (0..MANY).map(|number| scene.process(&name(number))).collect();
    let supervisor = scene.supervisor();
    // Enough for what a supervisor needs itself, but not with what it is given.
    let held = procfs::descriptors(scene.daemon.keeper());
    let limited = Limited::to_number(scene.daemon.keeper(), held as u64 + 30);

    scene.daemon.kill_supervisor().unwrap();

    scene.wait("one that could not take over", || {
        let own = scene
            .daemon
            .children()
            .into_iter()
            .find(|child| child.group == supervisor.group && child.pid != supervisor.pid);
        own.is_some_and(|own| home::wait_until("its end", || is_gone(&own)).is_ok())
    });
    drop(limited);
    scene.supervisor();
    // Whoever watches meanwhile may have been told, and ended before it was written.
    let console = fs::read_to_string(scene.home.file("console")).unwrap();
    assert!(console.contains("cannot take over what the keeper holds: Too many open"), "{console}");
    for (number, before) in before.iter().enumerate() {
        assert_eq!(scene.process(&name(number)).identity(), before.identity());
        fs::write(format!("/proc/{}/fd/0", before.pid), "somebody is there\n").unwrap();
        scene.wait("the line", || {
            let log = fs::read_to_string(scene.home.file(&format!("{number:02}.log")));
            log.is_ok_and(|log| log == "somebody is there\n")
        });
    }
    scene.expect_supervision();
}
