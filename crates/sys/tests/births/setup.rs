//! What a child does to itself before its program.

use std::sync::Arc;
use std::time::Duration;

use bardo_sys::child::{ChildError, Step};
use bardo_sys::limits::{Limit, Limited};
use bardo_sys::plan::{Identity, Plan};
use bardo_sys::process;
use bardo_sys::setup::{Policy, Setup};
use bardo_sys::spawn::Extras;

use crate::scene::{Scene, alone, shell};

fn with(setup: Setup, words: &str) -> Plan {
    Plan { setup: Some(Arc::new(setup)), ..shell(words) }
}

#[test]
fn a_child_is_set_up_as_its_plan_says() {
    alone("setup::helper_setup");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_setup() {
    let mut scene = Scene::new();
    let setup = Setup {
        new_session: true,
        nice: Some(7),
        policy: Some(Policy::Batch),
        processors: Box::new([1]),
        limits: Box::new([
            (Limited::Descriptors, Limit { soft: 77, hard: 99 }),
            (Limited::Core, Limit { soft: 0, hard: 0 }),
        ]),
        confined: false,
    };
    let words = "cat /proc/$$/stat; grep Cpus_allowed_list /proc/$$/status; ulimit -n; ulimit -Hn";

    let said = scene.run(with(setup, words), &Extras::default());

    let lines: Vec<&str> = said.lines().collect();
    let pid = lines[0].split(' ').next().unwrap();
    let fields: Vec<&str> = lines[0].rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!((fields[2], fields[3]), (pid, pid), "group and session");
    assert_eq!((fields[16], fields[38]), ("7", "3"), "nice value and policy");
    assert_eq!(lines[1..], ["Cpus_allowed_list:\t0", "77", "99"]);
}

#[test]
fn a_plain_child_stays_in_our_session() {
    alone("setup::helper_plain");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_plain() {
    let mut scene = Scene::new();
    // Zero where whoever leads it is outside our namespace.
    let [own, _] = process::session_and_group(std::process::id()).unwrap();

    let said = scene.run(shell("cat /proc/$$/stat"), &Extras::default());

    let fields: Vec<&str> = said.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[2], said.split(' ').next().unwrap(), "its group");
    assert_eq!(fields[3], own.to_string(), "its session");
}

#[test]
fn a_step_that_fails_has_its_name() {
    alone("setup::helper_failures");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_failures() {
    let mut scene = Scene::new();
    let nowhere = Setup { processors: Box::new([0]), ..Setup::default() };
    let beyond = Setup { policy: Some(Policy::Fifo(200)), ..Setup::default() };
    let soft = Limit { soft: 9, hard: 5 };
    let upside = Setup { limits: Box::new([(Limited::Core, soft)]), ..Setup::default() };

    for (setup, step) in
        [(nowhere, Step::Affinity), (beyond, Step::Scheduling), (upside, Step::Limits)]
    {
        let settled = scene.fail(with(setup, "exit 0"), &Extras::default());

        assert_eq!(settled.error, Some(ChildError::Failed(step, libc::EINVAL)));
    }
    let dead = std::fs::File::open("/").unwrap();
    let extras = Extras { cgroup: Some(std::os::fd::AsFd::as_fd(&dead)), ..Extras::default() };
    let files = [std::os::fd::AsFd::as_fd(&dead); 3];
    let error = scene.spawner.spawn(7, shell("exit 0").into(), files, &extras).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF), "a directory that is no cgroup");
}

#[test]
fn who_is_confined_has_no_right_and_gains_none() {
    if rustix::process::geteuid().is_root() {
        alone("setup::helper_confined");
    }
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_confined() {
    let mut scene = Scene::new();
    let identity = |uid| Some(Arc::new(Identity { uid, gid: uid, groups: Box::new([uid]) }));
    let words = "grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Groups)' /proc/$$/status";
    let run = |scene: &mut Scene, uid, confined| {
        let setup = Setup { confined, ..Setup::default() };
        let plan = Plan { identity: identity(uid), ..with(setup, words) };
        let said = scene.run(plan, &Extras::default());
        scene.spawner.settle(&mut Vec::new());
        said
    };

    let confined = run(&mut scene, 65534, true);
    assert_eq!(confined.matches("0000000000000000").count(), 5, "{confined}");
    assert!(confined.contains("NoNewPrivs:\t1") && confined.contains("Groups:\t65534"));
    for plain in [run(&mut scene, 65534, false), run(&mut scene, 0, true)] {
        assert!(plain.contains("NoNewPrivs:\t0"), "{plain}");
    }
}

#[test]
fn a_slice_is_as_long_as_it_was_asked_for() {
    alone("setup::helper_slice");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_slice() {
    let mut scene = Scene::new();
    let slice =
        |length| Setup { policy: Some(Policy::Other(length)), nice: Some(3), ..Setup::default() };
    let words = "grep -E '^se.slice' /proc/$$/sched || echo none";

    let asked = scene.run(with(slice(Some(Duration::from_millis(20))), words), &Extras::default());

    // Older kernels pass over it, and this file is not there on every machine.
    let told: Option<u64> =
        asked.split(':').nth(1).and_then(|number| number.trim().replace('.', "").parse().ok());
    if bardo_sys::probe::scheduler_slice().is_ok()
        && let Some(told) = told
    {
        assert_eq!(told, 20_000_000, "{asked}");
    }
}
