//! Pools and their buffers: who gets what, what waits, and what is given up.

use std::collections::BTreeSet;
use std::fs;

use bardo::selftest::listener::Heard;

use crate::scene::{data, ears, open, script};

const REMOTE: &str = "REMOTE_COMMUNICATION";

/// More than any pipe holds, and less than a request may have.
const LARGE: usize = 900_000;

#[test]
fn each_event_goes_to_one_listener_of_a_pool_and_to_every_pool() {
    let three = ears("pool", REMOTE, "gated", "numprocs=3\nprocess_name=ear%(process_num)d");
    let three = three.replace("listener pool", "listener pool%(process_num)d");
    let scene = open(&[&three, &ears("other", REMOTE, "", "")]);
    for number in 0..3 {
        scene.await_log(&format!("DEBG ear{number}: ACKNOWLEDGED -> READY"));
    }

    for text in ["a", "b", "c", "d"] {
        scene.send(text);
    }

    scene.await_log("DEBG event 0 sent to listener ear0");
    scene.await_log("DEBG event 1 sent to listener ear1");
    scene.await_log("DEBG event 2 sent to listener ear2");
    assert_eq!(data(&scene.heard_of("other", 4)), ["a", "b", "c", "d"]);
    assert!(!scene.log().contains("event 3 sent to listener ear"), "all are at work");

    scene.let_go("pool2");
    let heard = scene.heard_of("pool2", 2);
    assert_eq!(data(&heard), ["c", "d"]);
    assert_eq!(heard[1].field("pool"), "pool");
    scene.let_go("pool0");
    scene.let_go("pool1");
    assert_eq!(data(&scene.heard_of("pool0", 1)), ["a"]);
    assert_eq!(data(&scene.heard_of("pool1", 1)), ["b"]);
}

#[test]
fn a_full_buffer_gives_up_its_oldest_and_says_which() {
    let scene = open(&[&ears("pool", REMOTE, "gated", "buffer_size=2")]);
    scene.await_log("DEBG pool: ACKNOWLEDGED -> READY");
    scene.send("a");
    scene.await_log("DEBG event 0 sent to listener pool");

    for text in ["b", "c", "d", "e"] {
        scene.send(text);
    }

    scene.await_log("ERRO pool pool event buffer overflowed, discarding event 1");
    scene.await_log("ERRO pool pool event buffer overflowed, discarding event 2");
    scene.let_go("pool");
    assert_eq!(data(&scene.heard_of("pool", 3)), ["a", "d", "e"]);
}

#[test]
fn one_that_has_closed_its_standard_input_is_passed_over() {
    let pool = ears("pool", REMOTE, "deaf", "numprocs=2\nprocess_name=ear%(process_num)d");
    // One command for both: the second one is content, by the mark of a former life.
    let pool = pool.replace("listener pool deaf", "listener pool%(process_num)d %(ENV_MANNER)s");
    let first = pool.replace("%(ENV_MANNER)s", "deaf").replace("numprocs=2", "numprocs=1");
    let second = ears("spare", REMOTE, "", "");
    let scene = open(&[&first, &second]);
    scene.await_log("DEBG ear0: ACKNOWLEDGED -> READY");
    // It closes it a moment after it was ready.
    scene.wait("a closed standard input", || scene.home.file("pool0.deaf").exists());

    scene.send("one");
    scene.send("two");

    scene.await_log(
        "DEBG epipe occurred while sending event 0 to listener ear0, listener state unchanged",
    );
    assert_eq!(data(&scene.heard_of("spare", 2)), ["one", "two"]);
    assert_eq!(scene.heard("pool0"), []);
    // What it was to be told waits: its next life gets it.
    let path = scene.home.file("pool0.died");
    fs::write(path, "").unwrap();
    scene.call("stopProcess", "pool:ear0");
    scene.call("startProcess", "pool:ear0");
    assert_eq!(data(&scene.heard_of("pool0", 2)), ["one", "two"]);
}

#[test]
fn an_event_larger_than_a_pipe_comes_whole_also_to_one_that_reads_slowly() {
    let scene = open(&[
        &ears("slow", REMOTE, "slow 1", ""),
        &ears("quick", REMOTE, "", ""),
        &ears("hanging", REMOTE, "hanging", ""),
    ]);
    let large: String = ('a'..='z').chain(['ß', '€']).cycle().take(LARGE / 2).collect();

    scene.send(&large);
    scene.send("small");

    for name in ["quick", "slow"] {
        let heard = scene.heard_of(name, 2);
        assert!(heard[0].data() == large, "{name}: {} bytes", heard[0].payload.len());
        assert_eq!(heard[1].data(), "small");
    }
    // One that never reads has what its pipe holds, and nobody waits for it.
    assert_eq!(scene.heard("hanging"), []);
    scene.call("stopProcess", "hanging");
}

#[test]
fn what_was_half_sent_to_one_that_dies_comes_whole_to_its_next_life() {
    let scene = open(&[&ears("pool", REMOTE, "hanging", "autorestart=true")]);
    scene.await_log("DEBG pool: ACKNOWLEDGED -> READY");
    let large = "x".repeat(LARGE);
    scene.send(&large);
    scene.await_log("DEBG event 0 sent to listener pool");

    fs::write(scene.home.file("pool.died"), "").unwrap();
    // Its last life hung; the next one finds the mark and is content.
    scene.call("stopProcess", "pool");
    scene.call("startProcess", "pool");

    let heard = scene.heard_of("pool", 1);
    assert!(heard[0].data() == large);
}

#[test]
fn a_captured_message_of_a_megabyte_comes_whole() {
    let text = "printf '<!--XSUPERVISOR:BEGIN-->'\n\
                i=0; while [ $i -lt 8192 ]; do printf '%0128d' $i; i=$((i+1)); done\n\
                printf '<!--XSUPERVISOR:END-->after\\n'";
    let scene = open(&[
        &ears("ears", "PROCESS_COMMUNICATION", "", ""),
        &script("large", text, "stdout_capture_maxbytes=1MB"),
    ]);

    scene.run("large");

    let heard = scene.heard_of("ears", 1);
    let expected: String = (0..8192).map(|number| format!("{number:0128}")).collect();
    assert!(heard[0].data() == expected, "{} bytes", heard[0].data().len());
    scene.wait("the log", || scene.file("large.log") == "after\n");
}

#[test]
fn many_events_come_in_their_order_to_a_pool_of_three() {
    let three =
        ears("pool", REMOTE, "", "numprocs=3\nprocess_name=ear%(process_num)d\nbuffer_size=1000");
    let three = three.replace("listener pool", "listener pool%(process_num)d");
    let scene = open(&[&three]);

    for number in 0..200 {
        scene.send(&number.to_string());
    }

    let names = ["pool0", "pool1", "pool2"];
    scene.wait("all events", || {
        names.iter().map(|name| scene.heard(name).len()).sum::<usize>() >= 200
    });
    let all: Vec<Vec<Heard>> = names.iter().map(|name| scene.heard(name)).collect();
    let serials: Vec<u64> = all.iter().flatten().map(Heard::serial).collect();
    assert_eq!(serials.iter().collect::<BTreeSet<_>>().len(), 200);
    assert_eq!(serials.len(), 200, "none is told twice");
    for heard in all {
        assert!(heard.is_sorted_by_key(Heard::serial));
    }
}

#[test]
fn a_pool_that_loses_events_is_in_trouble_until_it_has_caught_up() {
    let told = ears("told", "BARDO_TROUBLE", "", "");
    let scene = open(&[&ears("pool", REMOTE, "gated", "buffer_size=2"), &told]);
    scene.until("told", "RUNNING");
    // One that is ready later would take an event from what waits, and catch up by that.
    scene.await_log("DEBG pool: ACKNOWLEDGED -> READY");

    scene.send("0");
    scene.await_log("DEBG event 0 sent to listener pool");
    for number in 1..5 {
        scene.send(&number.to_string());
    }

    let states = |heard: &[Heard]| -> Vec<String> {
        let headers = heard.iter().filter_map(|event| event.payload.lines().next());
        headers.map(str::to_owned).collect()
    };
    let began = "kind:listener subject:pool state:BEGAN";
    let ended = "kind:listener subject:pool state:ENDED";
    scene.heard_until("told", "the trouble", |heard| states(heard) == [began]);
    fs::write(scene.home.file("pool.go"), "").unwrap();
    scene.heard_until("told", "its end", |heard| states(heard) == [began, ended]);
    scene.await_log("pool pool has caught up");
}
