//! A journal that somebody has damaged while the daemon works.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bardo::daemon::journal::{Entry, Journal};
use bardo_core::record::Record;
use bardo_sys::memory::SharedMemory;

use crate::scene::{CAT, Scene, open};

/// The journal of a daemon, which its keeper holds.
fn journal(scene: &Scene) -> Arc<SharedMemory> {
    let descriptors = format!("/proc/{}/fd", scene.daemon.keeper());
    let is_journal = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|there| there.to_string_lossy().contains("bardo-journal"))
    };
    let paths = fs::read_dir(descriptors).unwrap().map(|entry| entry.unwrap().path());
    let path = paths.into_iter().find(is_journal).unwrap();
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    Arc::new(SharedMemory::map_whole(file.into()).unwrap())
}

/// Where the entry behind the last one goes: the word of the whole memory.
fn end(memory: &SharedMemory, journal: &Journal) -> usize {
    let word = |at: usize| usize::try_from(memory.words()[at].load(Ordering::Relaxed)).unwrap();
    // Behind the header's first four words comes the table; two regions are its last.
    let (live, areas) = (word(2), word(3) & 0xff);
    let region = word(4 + 2 * (areas - 2 + live));
    let (snapshot, behind) = journal.sizes();
    region + 1 + (snapshot + behind) / 8
}

#[test]
fn what_a_journal_has_lost_is_told_once_and_programs_go_on() {
    let scene = open("", CAT);
    let cat = scene.process("cat");
    scene.halt(scene.supervisor().pid);
    let memory = journal(&scene);
    let (mut there, _) = Journal::open(Arc::clone(&memory)).unwrap();
    let nonsense = Entry::Table(Record::GroupRemoved("nobody".into()));
    assert!(there.append(&nonsense));
    let last = end(&memory, &there);
    assert!(there.append(&nonsense));
    assert!(there.append(&nonsense));
    memory.words()[last + 1].fetch_xor(1 << 20, Ordering::Relaxed);

    scene.daemon.kill_supervisor().unwrap();

    let lost = "CRIT of the journal's entries 2 are lost";
    let senseless = "CRIT of the journal's entries 1 do not fit";
    scene.await_log(lost);
    scene.await_log(senseless);
    assert_eq!(scene.process("cat").identity(), cat.identity());

    // The snapshot that has taken their place has no flaw.
    scene.supervisor();
    scene.daemon.kill_supervisor().unwrap();
    scene.await_log("number 3");
    assert_eq!(scene.process("cat").identity(), cat.identity());
    for line in [lost, senseless] {
        assert_eq!(scene.log().matches(line).count(), 1, "{}", scene.log());
    }
}
