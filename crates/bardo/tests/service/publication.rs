//! Who wants to know of restarts is told of each of them, in their order: row 65.

use std::fs;

use super::programs::KILL;
use super::scene::{Scene, open, send};

/// A listener that writes down what it hears: the name of each event, and what it is about.
const EAR: &str = "while printf 'READY\\n' && read line; do\n\
    name=${line##*eventname:} length=${line##*len:}\n\
    echo \"${name%% *} $(head -c \"$length\")\" >>{here}/heard\n\
    printf 'RESULT 2\\nOK'\n\
    done";

/// How often a service is killed.
const CRASHES: usize = 3;

/// What was told of a service: the states that it came to, and the process that each event
/// is about.
fn heard(scene: &Scene, label: &str) -> Vec<(String, u32)> {
    let text = fs::read_to_string(scene.home.file("heard")).unwrap_or_default();
    let about = format!(" processname:{label} groupname:{label} ");
    let told = text.lines().filter(|line| line.contains(&about)).filter_map(|line| {
        let state = line.split(' ').next()?.strip_prefix("PROCESS_STATE_")?;
        let pid = line.split(' ').find_map(|word| word.strip_prefix("pid:")?.parse().ok());
        Some((state.to_owned(), pid.unwrap_or(0)))
    });
    told.collect()
}

#[test]
fn row_65_a_listener_is_told_of_each_end_and_of_each_process_after_it() {
    let scene =
        open("[eventlistener:ear]\ncommand={here}/ear\nevents=PROCESS_STATE\nautostart=false\n");
    scene.program("ear", EAR);
    scene.client().about("startProcess", "ear").unwrap();
    scene.counted("foo", &["-b"]);

    let mut pids = vec![scene.pid("foo")];
    for crash in 0..CRASHES {
        send(pids[crash], KILL).unwrap();
        let is_next = |pid: u32| pid > 0 && pid != pids[crash];
        let next =
            scene.until("foo", "the next one", |it| it.state == "RUNNING" && is_next(it.pid));
        pids.push(next.pid);
    }

    let ups = || heard(&scene, "foo").into_iter().filter(|(state, _)| state == "RUNNING").count();
    scene.wait("all to be heard", || ups() == CRASHES + 1);
    let told = heard(&scene, "foo");
    let ups = pids.iter().map(|pid| [("STARTING", 0), ("RUNNING", *pid)]);
    // Only the first crash is not waited after.
    let waits = |crash: usize| if crash == 0 { &[][..] } else { &[("BACKOFF", 0)] };
    let downs = (0..CRASHES).map(|crash| [&[("EXITED", pids[crash])][..], waits(crash)].concat());
    let downs = downs.chain([Vec::new()]);
    let expected = ups.zip(downs).flat_map(|(up, down)| [&up[..], &down].concat());
    let expected: Vec<_> = expected.map(|(state, pid)| (state.to_owned(), pid)).collect();
    assert_eq!(told, expected);
}
