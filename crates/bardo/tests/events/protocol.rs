//! What listeners say, and what follows from it.

use std::fs;

use bardo::selftest::listener::Heard;

use crate::scene::{data, ears, open};

const REMOTE: &str = "REMOTE_COMMUNICATION";

#[test]
fn a_rejected_event_comes_again_before_others_and_only_in_its_own_pool() {
    let scene = open(&[&ears("picky", REMOTE, "picky 2", ""), &ears("other", REMOTE, "", "")]);

    for text in ["a", "b", "c", "d"] {
        scene.send(text);
    }

    // What is rejected is told once more, with the number that it had.
    let heard = scene.heard_until("picky", "the last one to be accepted", |heard| {
        heard.iter().any(|event| event.data() == "d" && event.is_accepted)
    });
    assert_eq!(data(&heard), ["a", "b", "b", "c", "c", "d", "d"]);
    assert_eq!((heard[1].serial(), heard[2].serial()), (1, 1));
    assert_eq!((heard[1].field("poolserial"), heard[2].field("poolserial")), ("1", "1"));
    assert_eq!(data(&scene.heard_of("other", 4)), ["a", "b", "c", "d"]);
    scene.await_log("WARN picky: event was rejected");
    scene.await_log("DEBG rebuffering event 1 for pool picky (buf size=");
    assert_eq!(scene.heard("other").len(), 4);
}

#[test]
fn an_empty_result_is_a_rejection_and_holds_up_nothing() {
    let scene = open(&[&ears("mute", REMOTE, "says", "")]);

    scene.send("a");

    let heard = scene.heard_of("mute", 3);
    assert!(heard.iter().all(|event| event.serial() == 0));
    scene.await_log("WARN mute: event was rejected");
}

#[test]
fn one_that_announces_no_result_gets_no_event_any_more_and_another_gets_its() {
    // The first one in the order of names is asked first.
    let scene = open(&[
        &ears("pool", REMOTE, "rude", "process_name=a\nnumprocs=1"),
        &ears("spare", REMOTE, "", ""),
        "[eventlistener:x]\ncommand=/bin/cat\nevents=TICK_3600\nautostart=false\n",
    ]);

    scene.send("one");

    scene.await_log("WARN a: bad result line: 'RESULT two'");
    scene.await_log(
        "WARN a: has entered the UNKNOWN state and will no longer receive events, this usually \
         indicates the process violated the eventlistener protocol",
    );
    scene.send("two");
    assert_eq!(data(&scene.heard_of("spare", 2)), ["one", "two"]);
    assert_eq!(scene.heard("pool").len(), 1);
    // Its next life begins anew, and what was rejected is first.
    scene.call("stopProcess", "pool:a");
    scene.call("startProcess", "pool:a");
    let heard = scene.heard_of("pool", 2);
    assert_eq!(data(&heard), ["one", "one"]);
}

#[test]
fn one_that_speaks_out_of_turn_gets_no_event() {
    let scene = open(&[&ears("eager", REMOTE, "eager", ""), &ears("other", REMOTE, "", "")]);
    scene.await_log("WARN eager: has entered the UNKNOWN state");

    scene.send("one");

    scene.heard_of("other", 1);
    assert_eq!(scene.heard("eager"), []);
    scene.until("eager", "RUNNING");
}

#[test]
fn what_one_was_at_work_on_when_it_died_comes_again() {
    let scene = open(&[&ears("mortal", REMOTE, "mortal", "autorestart=true")]);

    scene.send("one");
    scene.send("two");

    let heard = scene.heard_of("mortal", 2);
    assert_eq!(data(&heard), ["one", "two"]);
    assert!(scene.home.file("mortal.died").exists());
    assert_eq!(scene.file("mortal.lives").lines().count(), 2);
}

#[test]
fn one_that_answers_and_ends_is_not_told_the_same_again() {
    let scene = open(&[&ears("brief", REMOTE, "brief", "autorestart=true\nbuffer_size=100")]);

    let texts: Vec<String> = (0..30).map(|number| format!("event {number}")).collect();
    for text in &texts {
        scene.send(text);
    }

    let heard = scene.heard_of("brief", 30);
    assert_eq!(data(&heard), texts);
    let serials: Vec<u64> = heard.iter().map(Heard::serial).collect();
    assert_eq!(serials, (0..30).collect::<Vec<_>>());
}

#[test]
fn one_that_is_ready_early_waits_until_it_is_running() {
    // The longer time is for a machine that has no time for us.
    assert!([2, 30].into_iter().any(waits_until_it_is_running));
}

/// Says whether one that is RUNNING after so many seconds could be looked at before that.
fn waits_until_it_is_running(startsecs: u32) -> bool {
    let startsecs = format!("startsecs={startsecs}");
    let scene = open(&[&ears("ears", REMOTE, "", "").replace("startsecs=0", &startsecs)]);
    scene.wait("READY in its log", || {
        let log = scene.client().info("ears").unwrap().stdout_log;
        fs::read(log).unwrap_or_default() == b"READY\n"
    });

    scene.send("one");

    let mut looks = 0;
    loop {
        let has_heard = !scene.heard("ears").is_empty();
        let state = scene.client().info("ears").unwrap().state;
        if state != "STARTING" {
            break;
        }
        assert!(!has_heard, "it was told something in state {state}");
        looks += 1;
    }
    assert_eq!(data(&scene.heard_of("ears", 1)), ["one"]);
    looks > 0
}

#[test]
fn what_a_listener_says_is_in_its_log() {
    let scene = open(&[&ears("ears", REMOTE, "", "stdout_logfile={here}/ears.log")]);

    scene.send("one");
    scene.heard_of("ears", 1);

    let expected = "READY\nRESULT 2\nOKREADY\n";
    scene.wait("the log", || scene.file("ears.log") == expected);
}

#[test]
fn one_without_a_log_is_understood_and_its_standard_error_is_kept() {
    let options = "stdout_logfile=NONE\nstderr_logfile={here}/ears.err";
    let sections = ears("ears", REMOTE, "", options);
    // A shell says something on standard error before it becomes the listener.
    let sections = sections.replace("command=", "command=/bin/sh \"{here}/wrap.sh\" ");
    let wrap = "[program:wrap]\ncommand=/bin/true\nautostart=false\n\n\
                ;script wrap echo READY or not >&2; exec \"$@\"\n\n";
    let scene = open(&[&sections, wrap]);

    scene.send("one");
    scene.send("two");

    assert_eq!(data(&scene.heard_of("ears", 2)), ["one", "two"]);
    scene.wait("its standard error", || scene.file("ears.err") == "READY or not\n");
}

#[test]
fn each_step_of_the_talk_is_in_the_main_log_at_level_debug() {
    let scene = open(&[&ears("ears", REMOTE, "", "")]);

    scene.send("one");
    scene.heard_of("ears", 1);

    for words in [
        "DEBG ears: ACKNOWLEDGED -> READY",
        "DEBG event 0 sent to listener ears",
        "DEBG ears: event was processed",
    ] {
        scene.await_log(words);
    }
}
