//! What a child is given for one life only.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use bardo_sys::spawn::{Extra, Extras, Room, Variable};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::scene::{Scene, alone, said, shell, strings};

#[test]
fn extras_arrive_under_their_numbers_and_nothing_else_is_open() {
    alone("extras::helper_numbers");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_numbers() {
    let mut scene = Scene::new();
    // Somebody has left this open for programs.
    let _left = left_open();
    for room in [Room::Fast, Room::Slow] {
        assert_eq!(scene.spawner.room(), room);
        // The last three are numbers that slots have for themselves.
        for numbers in [[3, 4, 5], [9, 3, 200], [64, 65, 16], [67, 68, 127]] {
            let pipes = numbers.map(|_| pipe_with(PipeFlags::CLOEXEC).unwrap());
            let files: Vec<Extra<'_>> = pipes
                .iter()
                .zip(numbers)
                .map(|((_, write), number)| Extra { file: write.as_fd(), number })
                .collect();
            let words = numbers.map(|it| format!("echo {it} > /proc/self/fd/{it}; ")).concat();
            // A shell may read its own directory through the lowest number.
            let words =
                format!("cd /proc/self/fd; for at in *; do [ -e $at ] && echo $at; done; {words}");

            let open = scene.run(shell(&words), &Extras { files: &files, ..Extras::default() });

            let mut expected = vec![0, 1, 2];
            expected.extend(numbers);
            let mut open: Vec<i32> = open.lines().map(|line| line.parse().unwrap()).collect();
            open.sort_unstable();
            expected.sort_unstable();
            assert_eq!(open, expected, "{room:?}");
            for ((read, write), number) in pipes.into_iter().zip(numbers) {
                drop(write);
                rustix::io::ioctl_fionbio(&read, true).unwrap();
                assert_eq!(said(read), format!("{number}\n"), "{room:?}");
            }
            let mut settled = Vec::new();
            if room == Room::Fast {
                scene.spawner.settle(&mut settled);
            }
        }
        scene.fill();
    }
}

fn left_open() -> std::os::fd::OwnedFd {
    let left = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 300).unwrap();
    rustix::io::fcntl_setfd(&left, rustix::io::FdFlags::empty()).unwrap();
    left
}

#[test]
fn descriptors_that_cannot_be_placed_are_refused() {
    alone("extras::helper_refusals");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_refusals() {
    let mut scene = Scene::new();
    let null = File::open("/dev/null").unwrap();
    let extra = |number| Extra { file: null.as_fd(), number };
    let files = [null.as_fd(); 3];
    let mut refused = |extras: &[Extra<'_>]| {
        let extras = Extras { files: extras, ..Extras::default() };
        let plan = shell("exit 0").into();
        scene.spawner.spawn(7, plan, files, &extras).unwrap_err().kind()
    };

    for extras in [&[extra(2)][..], &[extra(5), extra(5)], &[3, 4, 5, 6, 7].map(extra)] {
        assert_eq!(refused(extras), io::ErrorKind::InvalidInput, "{extras:?}");
    }
    assert_eq!(scene.spawner.busy(), 0);
}

#[test]
fn variables_of_one_life_replace_those_of_the_plan() {
    alone("extras::helper_variables");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_variables() {
    let mut scene = Scene::new();
    let mut plan = shell("cat /proc/$$/environ | tr '\\0' '\\n'; echo $$");
    plan.variables = strings(&["B=plan", "C=plan"]);
    let variables = [
        Variable::Text("A", "life"),
        Variable::OwnPid("PID"),
        Variable::Text("B", "a value with = in it"),
    ];

    let said = scene.run(plan, &Extras { variables: &variables, ..Extras::default() });

    let lines: Vec<&str> = said.lines().collect();
    let (pid, variables) = lines.split_last().unwrap();
    let pid = format!("PID={pid}");
    let expected = ["A=life", &pid, "B=a value with = in it", "C=plan", "PATH=/bin:/usr/bin"];
    assert_eq!(variables, expected);
}

#[test]
fn a_child_is_born_in_its_cgroup() {
    if let Some(leaf) = Leaf::make("clone") {
        alone_in(&leaf, "extras::helper_cgroup", |_| {});
    }
}

#[test]
fn a_child_joins_its_cgroup_where_a_clone_cannot() {
    if let Some(leaf) = Leaf::make("write") {
        alone_in(&leaf, "extras::helper_cgroup", crate::scene::refuse_clone3);
    }
}

/// The variable that names the cgroup to be joined.
const LEAF: &str = "BARDO_TEST_LEAF";

fn alone_in(leaf: &Leaf, test: &str, prepare: impl FnOnce(&mut std::process::Command)) {
    let (passed, said) = crate::scene::alone_after(test, |command| {
        command.env(LEAF, &leaf.0);
        prepare(command);
    });
    assert!(passed, "{said}");
}

#[test]
#[ignore = "it is run by the tests above, in a process of its own"]
fn helper_cgroup() {
    let mut scene = Scene::new();
    let path = PathBuf::from(std::env::var_os(LEAF).unwrap());
    let leaf = File::open(&path).unwrap();
    let cgroup: Option<BorrowedFd<'_>> = Some(leaf.as_fd());
    let null = File::open("/dev/null").unwrap();
    let files = [Extra { file: null.as_fd(), number: 3 }];
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();

    // The first may find out that a clone cannot do it, the second knows.
    for _ in 0..2 {
        let said = scene.run(
            shell("cat /proc/self/cgroup; echo /proc/self/fd/*"),
            &Extras { files: &files, cgroup, ..Extras::default() },
        );

        let own = said.lines().find(|line| line.starts_with("0::")).unwrap();
        assert!(own.ends_with(&name), "{said}");
        assert!(said.contains("/0 ") && !said.contains("/6"), "{said}");
    }
}

/// A cgroup that is gone when the test is over.
struct Leaf(PathBuf);

impl Leaf {
    /// None where no cgroup of version 2 can be made here.
    fn make(name: &str) -> Option<Self> {
        let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .map(Path::new)
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists())?;
        let path = root.join(format!("bardo-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).ok().map(|()| Self(path))
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
