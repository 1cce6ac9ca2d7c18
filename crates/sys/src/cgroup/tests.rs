use std::os::fd::AsFd as _;
use std::process::{Child, Command};

use tempfile::TempDir;

use super::*;
use crate::poller::{Events, Interest, Poller};

/// A hierarchy that is a plain directory: nothing happens when something is written.
struct Fake {
    folder: TempDir,
    places: Places,
}

impl Fake {
    fn new(controllers: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_owned();
        fs::write(directory.join("cgroup.controllers"), controllers).unwrap();
        fs::write(directory.join("cgroup.subtree_control"), "").unwrap();
        let place = Place {
            top: directory.clone(),
            directory,
            path: "/a".to_owned(),
            top_path: String::new(),
        };
        let old = [("blkio".to_owned(), place.clone())];
        let places = Places { unified: Some(place), separate: old.into() };
        Self { folder, places }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    fn touch(&self, path: &str) {
        fs::write(self.folder.path().join(path), "").unwrap();
    }
}

#[test]
fn what_is_set_is_written_where_the_kernel_reads_it() {
    let fake = Fake::new("memory pids cpu");
    let root = Root::open_in(&fake.places, "bardo-1").unwrap();
    let leaf = root.leaf("web", 3).unwrap();
    fake.touch("bardo-1/cgroup.subtree_control");
    fake.touch("bardo-1/web/cgroup.subtree_control");
    fake.touch("bardo-1/web/3/memory.max");
    fake.touch("bardo-1/web/3/cpu.max");

    root.set(&leaf, Knob::MemoryMax, Value::Number(1 << 28)).unwrap();
    assert_eq!(fake.read("bardo-1/web/3/memory.max"), "268435456");
    for folder in ["", "bardo-1/", "bardo-1/web/"] {
        assert_eq!(fake.read(&format!("{folder}cgroup.subtree_control")), "+memory");
    }

    root.set(&leaf, Knob::CpuMax, Value::Share(50_000, 100_000)).unwrap();
    assert_eq!(fake.read("bardo-1/web/3/cpu.max"), "50000 100000");
    root.set(&leaf, Knob::CpuMax, Value::Max).unwrap();
    assert_eq!(&fake.read("bardo-1/web/3/cpu.max")[..3], "max");
}

#[test]
fn a_leaf_is_made_anew_unless_somebody_is_in_it() {
    let fake = Fake::new("memory");
    let root = Root::open_in(&fake.places, "bardo-1").unwrap();
    let leaf = root.leaf("web", 3).unwrap();
    fs::create_dir(leaf.path().join("below")).unwrap();

    assert_eq!(root.leaf("web", 3).unwrap(), leaf);
    assert!(!leaf.path().join("below").exists());

    // The kernel refuses to remove it then; a plain directory that has a file is the same.
    fake.touch("bardo-1/web/3/somebody");
    let error = root.leaf("web", 3).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_shortage_is_told_from_what_is_not_to_be_had() {
    let refused = |number| Absent::Refused("x".into(), io::Error::from_raw_os_error(number));

    for number in [libc::EMFILE, libc::ENFILE, libc::ENOMEM] {
        assert_eq!(refused(number).shortage().unwrap().raw_os_error(), Some(number));
        let unseen = Absent::Unseen(io::Error::from_raw_os_error(number));
        assert!(unseen.shortage().is_some());
    }
    assert!(refused(libc::EACCES).shortage().is_none());
    assert!(Absent::NotMounted.shortage().is_none());
}

#[test]
fn what_is_not_to_be_had_is_told_with_its_reason() {
    let fake = Fake::new("memory cpuset");
    let root = Root::open_in(&fake.places, "bardo-1").unwrap();
    let leaf = root.leaf("web", 3).unwrap();
    let why = |knob| root.set(&leaf, knob, Value::Max).unwrap_err();

    assert!(matches!(why(Knob::SwapMax), Absent::NoFile("memory.swap.max")));
    assert!(matches!(why(Knob::IoWeight), Absent::HeldByVersion1("blkio")));
    let pids = why(Knob::PidsMax);
    assert!(matches!(pids, Absent::NotGiven("pids", _)));
    let path = fake.folder.path().display();
    assert_eq!(pids.to_string(), format!("the cgroup controller pids is not given to {path}"));
    assert!(matches!(Root::open_in(&Places::default(), "x"), Err(Absent::NotMounted)));
    let mut nowhere = fake.places.clone();
    let gone = PathBuf::from("/nowhere");
    nowhere.unified = nowhere.unified.map(|place| Place { directory: gone.clone(), ..place });
    assert!(Root::open_in(&nowhere, "x").is_ok(), "the top serves as well");
    nowhere.unified = nowhere.unified.map(|place| Place { top: gone, ..place });
    assert!(matches!(Root::open_in(&nowhere, "x"), Err(Absent::NotWritable(..))));
}

#[test]
fn a_daemon_that_has_moved_finds_its_root_again() {
    let fake = Fake::new("");
    let before = Root::open_in(&fake.places, "bardo-1").unwrap();
    let mut places = fake.places.clone();
    let own = before.directory.join(OWN_LEAF);
    places.unified = places.unified.map(|place| Place {
        directory: own,
        path: format!("/a/bardo-1/{OWN_LEAF}"),
        ..place
    });

    let after = Root::open_in(&places, "bardo-1").unwrap();

    assert_eq!((after.directory, after.path), (before.directory, before.path));
}

#[test]
fn a_path_tells_whose_a_process_is() {
    let fake = Fake::new("");
    let root = Root::open_in(&fake.places, "bardo-1").unwrap();
    let owner = |path: &str| root.owner_in(&format!("4:memory:/x\n0::{path}\n"));

    assert_eq!(owner("/a/bardo-1/g:p/7"), Some(Owner::Life("g:p".to_owned(), 7)));
    assert_eq!(
        owner("/a/bardo-1/_memory.max/7/below/it"),
        Some(Owner::Life("memory.max".to_owned(), 7))
    );
    for other in ["/a/bardo-1", "/a/bardo-1/_daemon", "/a/bardo-12/g/7", "/b/bardo-1/g/7", "/"] {
        assert_eq!(owner(other), None, "{other}");
    }
}

#[test]
fn leaves_are_listed_by_label_and_go_when_they_are_empty() {
    let fake = Fake::new("");
    let root = Root::open_in(&fake.places, "bardo-1").unwrap();
    let leaves = [("a", 1), ("a", 2), ("memory.max", 1)]
        .map(|(label, number)| root.leaf(label, number).unwrap());
    fs::create_dir(root.directory.join(OWN_LEAF)).unwrap();

    let mut listed = root.leaves();
    listed.sort();
    let expected = [("a", 1), ("a", 2), ("memory.max", 1)];
    assert_eq!(listed, expected.map(|(label, number)| (label.to_owned(), number)));

    fs::create_dir(leaves[0].path().join("below")).unwrap();
    leaves[0].remove().unwrap();
    leaves[0].remove().unwrap();
    assert_eq!(root.leaves().len(), 2);
    root.remove();
    assert!(!root.directory.exists());
}

/// A root of the real hierarchy, where one can be made here.
struct Real(Root);

impl Real {
    fn open(name: &str) -> Option<Self> {
        Root::open(&format!("bardo-unit-{name}-{}", std::process::id())).ok().map(Self)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for (label, number) in self.0.leaves() {
            let _ = self.0.find(&label, number).kill();
        }
        self.0.remove();
    }
}

/// A shell with a child, both in the leaf.
fn shell_in(leaf: &Leaf) -> Child {
    let line = "echo $$ > \"$0\"/cgroup.procs; sleep 1000 & wait";
    let mut command = Command::new("/bin/sh");
    let child = command.args(["-c", line]).arg(leaf.path()).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while leaf.processes().unwrap().len() < 2 {
        assert!(std::time::Instant::now() < deadline, "{:?}", leaf.processes().unwrap());
        std::thread::yield_now();
    }
    child
}

/// Waits until nobody is in a leaf, as a daemon does.
fn wait_until_empty(leaf: &Leaf) {
    let poller = Poller::new().unwrap();
    let events = leaf.events().unwrap();
    poller.add(&events, 1, Interest::Changed).unwrap();
    let mut ready = Events::new();
    while !Leaf::is_empty_in(&events) {
        poller.wait(&mut ready, Some(std::time::Duration::from_secs(60))).unwrap();
        assert_eq!(ready.iter().count(), 1, "the leaf becomes empty");
    }
}

#[test]
fn everybody_in_a_leaf_can_be_killed_at_once_and_it_says_when_it_is_empty() {
    let Some(real) = Real::open("kill") else { return };
    for by_hand in [false, true] {
        let leaf = real.0.leaf("web", 1).unwrap();
        assert!(!leaf.is_populated().unwrap());
        let mut child = shell_in(&leaf);
        assert!(leaf.is_populated().unwrap());
        assert_eq!(real.0.owner_of(child.id()), Owner::Life("web".to_owned(), 1));
        assert_eq!(real.0.owner_of(std::process::id()), Owner::Nobody);
        assert!(leaf.remove().is_err(), "somebody is in it");
        assert!(leaf.open().unwrap().as_fd().try_clone_to_owned().is_ok());

        if by_hand { leaf.kill_each() } else { leaf.kill() }.unwrap();

        child.wait().unwrap();
        assert_eq!(real.0.owner_of(child.id()), Owner::Unknown);
        wait_until_empty(&leaf);
        leaf.remove().unwrap();
        assert!(real.0.leaves().is_empty());
    }
}
