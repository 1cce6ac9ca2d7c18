//! How long it takes from a clone to the end of `/bin/true`, with few and with many
//! descriptors open, and with all that a birth can have.
//!
//!     cargo bench -p bardo-sys --bench births
//!
//! The children of a spawner are its siblings, so the measuring is done by a child of this
//! program.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use bardo_sys::limits::{Limit, Limited};
use bardo_sys::memory::SharedMemory;
use bardo_sys::plan::{Plan, Strings};
use bardo_sys::setup::Setup;
use bardo_sys::spawn::{BIRTH_WORDS, Extra, Extras, Spawner, Variable};
use bardo_sys::{limits, poll, process};

/// Births of each kind that are measured.
const TURNS: usize = 1_000;

/// Descriptors that are open beside when there are many.
const MANY: usize = 15_000;

const INNER: &str = "BARDO_BENCH_BIRTHS";

fn main() {
    if std::env::var_os(INNER).is_some() {
        return measure();
    }
    let own = std::env::current_exe().expect("this program has a file");
    let mut inner = Command::new(own).env(INNER, "1").spawn().expect("it can be run again");
    inner.wait().expect("it was just started");
    // What failed before its end would have been quick.
    while let Some(ended) = process::reap() {
        assert_eq!(ended.status, 0, "every program ended well");
    }
}

fn measure() {
    let words = BIRTH_WORDS.next_multiple_of(1024);
    let memory = SharedMemory::anonymous("bench").expect("there is memory");
    let memory = SharedMemory::map(memory, words).expect("there is memory");
    let _ = limits::set(Limited::Descriptors, Limit { soft: 1 << 16, hard: 1 << 16 });
    let mut spawner =
        Spawner::new(Arc::new(memory), 0..BIRTH_WORDS, None).expect("there are descriptors");
    let strings = |words: &[&str]| {
        Strings::new(words.iter().map(|word| word.as_bytes())).expect("there is no NUL")
    };
    let words = || strings(&["/bin/true"]);
    let plain = Arc::new(Plan { words: words(), ..Plan::default() });
    let setup = Setup { new_session: true, nice: Some(0), ..Setup::default() };
    let set_up = Arc::new(Plan { words: words(), setup: Some(Arc::new(setup)), ..Plan::default() });
    let null = File::open("/dev/null").expect("there is /dev/null");
    let files = [3, 4].map(|number| Extra { file: null.as_fd(), number });
    let variables = [
        Variable::Text("NOTIFY_SOCKET", "@00001"),
        Variable::Text("BARDO_CTL", "3"),
        Variable::OwnPid("WATCHDOG_PID"),
    ];
    let leaf = Leaf::make();
    let given = Extras { files: &files, variables: &variables, cgroup: None };
    let placed = Extras { cgroup: leaf.as_ref().map(|leaf| leaf.directory.as_fd()), ..given };
    let mut kinds = vec![
        ("plain", &plain, Extras::default()),
        ("two descriptors, three variables", &plain, given),
        ("the same, a session and a nice value", &set_up, given),
    ];
    if leaf.is_some() {
        kinds.push(("the same, in a cgroup", &set_up, placed));
    }
    let mut held: Vec<OwnedFd> = Vec::new();
    for open in [0, MANY] {
        held.extend(
            (held.len()..open).map(|_| null.as_fd().try_clone_to_owned().expect("one more")),
        );
        let mut took: Vec<Vec<u64>> = vec![Vec::with_capacity(TURNS); kinds.len()];
        // In turn, so that whatever else the machine does falls on all alike.
        for _ in 0..TURNS {
            for ((_, plan, extras), took) in kinds.iter().zip(&mut took) {
                let begin = Instant::now();
                let born = spawner
                    .spawn(7, Arc::clone(plan), [null.as_fd(); 3], extras)
                    .expect("there is room");
                let _ = poll::many(born.pidfd.as_fd(), [], None);
                took.push(begin.elapsed().as_nanos() as u64);
                let mut settled = Vec::new();
                spawner.settle(&mut settled);
                let failed = settled.iter().find_map(|settled| settled.error);
                assert_eq!(failed, None, "the program was executed");
            }
        }
        println!("{open} descriptors open beside");
        for ((name, ..), took) in kinds.iter().zip(&mut took) {
            took.sort_unstable();
            let at = |share: usize| took[TURNS * share / 100] / 1000;
            println!(
                "  {name:40} median {:5} us, p90 {:5} us, p99 {:5} us",
                at(50),
                at(90),
                at(99)
            );
        }
    }
}

/// A cgroup that is gone at the end.
struct Leaf {
    directory: File,
    path: std::path::PathBuf,
}

impl Leaf {
    fn make() -> Option<Self> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists())?;
        let path = root.join(format!("bardo-bench-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        Some(Self { directory: File::open(&path).ok()?, path })
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}
