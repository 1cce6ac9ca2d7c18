//! Ten thousand processes end at once: programs and orphans of theirs.

use std::collections::BTreeSet;
use std::fs;

use bardo::selftest::client::Info;
use bardo::selftest::procfs::{self, Stat};
use bardo_sys::process;

use crate::others::OTHER;
use crate::scene::{KILL, Scene, open};

/// Programs, and children of each that outlive it.
const PROGRAMS: usize = 1_000;
const ORPHANS: usize = 9;

fn running(scene: &Scene) -> Vec<Info> {
    let mut infos = scene.client().infos().unwrap_or_default();
    infos.retain(|info| info.group == "crowd" && info.state == "RUNNING");
    infos
}

/// Waits until all programs run in one of their lives, each with all its children.
fn await_all(scene: &Scene, life: usize) {
    scene.wait("the crowd", || scene.said("success: crowd_") == PROGRAMS * life);
    let groups: BTreeSet<u32> = running(scene).iter().map(|info| info.pid).collect();
    assert_eq!(groups.len(), PROGRAMS);
    scene.wait("its children", || {
        let all = procfs::all();
        let there = all.iter().filter(|stat| stat.is_alive() && groups.contains(&stat.group));
        there.count() == PROGRAMS * (ORPHANS + 1)
    });
}

/// What the keeper and the supervisor take, in kibibytes: their own memory and the journal,
/// not the program, which they share with all who run it just then.
fn memory(scene: &Scene) -> u64 {
    let of = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let kinds = ["Pss_Anon:", "Pss_Shmem:"];
        let lines = kinds.map(|kind| text.lines().find_map(|line| line.strip_prefix(kind)));
        let number = |line: &str| line.split_ascii_whitespace().next()?.parse::<u64>().ok();
        lines.into_iter().flatten().filter_map(number).sum::<u64>()
    };
    of(scene.daemon.keeper()) + of(scene.supervisor().pid)
}

#[test]
fn all_of_ten_thousand_ends_are_taken_and_all_programs_are_there_again() {
    // Shells that wait for a line: no program has to be executed for each of them.
    let readers = "read line <&3 & ".repeat(ORPHANS);
    let programs = format!(
        "[program:crowd]\ncommand=/bin/sh -c 'exec 3<&0; {readers}wait'\nstartsecs=0\n\
         process_name=crowd_%(process_num)04d\nnumprocs={PROGRAMS}\n\
         stdout_logfile=NONE\nredirect_stderr=true\n\n{OTHER}"
    );
    let scene = open("", &programs);
    await_all(&scene, 1);
    let supervisor = scene.supervisor();
    let before = running(&scene);
    let memory_before = memory(&scene);

    for info in &before {
        process::signal_group(info.pid, KILL).unwrap();
    }

    // It answers while it takes them.
    assert_eq!(scene.client().infos().unwrap().len(), PROGRAMS + 1);
    await_all(&scene, 2);
    let pids: BTreeSet<u32> = before.iter().map(|info| info.pid).collect();
    assert!(running(&scene).iter().all(|info| !pids.contains(&info.pid)));
    scene.wait("the last of the ends", || scene.daemon.children().iter().all(Stat::is_alive));
    let exits = scene.said("exited: crowd_");
    assert_eq!(exits, PROGRAMS, "each of them once");
    assert_eq!(scene.supervisor().pid, supervisor.pid);
    let memory_after = memory(&scene);
    // How many ends were under way at once is up to the machine; 400 bytes that were kept of
    // each would be more.
    let most = memory_before + memory_before / 2;
    assert!(memory_after <= most, "{memory_before} KiB have become {memory_after}");
    scene.expect_supervision();
    for pid in running(&scene).iter().map(|info| info.pid) {
        let _ = process::signal_group(pid, KILL);
    }
}
