//! What is told: every type of event, its payload and its header.

use bardo::selftest::listener::Heard;
use bardo_sys::clock;

use crate::scene::{CAT, Scene, ears, open, script};

/// What was told of the states of a process, each as type and payload without what
/// differs from run to run.
fn states(scene: &Scene, process: &str, last: &str) -> Vec<String> {
    let of = |event: &Heard| event.about("processname") == process;
    let heard = scene.heard_until("ears", last, |heard| {
        heard.iter().any(|event| of(event) && event.event() == format!("PROCESS_STATE_{last}"))
    });
    let own = heard.iter().filter(|event| of(event));
    own.map(|event| {
        let name = event.event().strip_prefix("PROCESS_STATE_").unwrap();
        let start = format!("processname:{process} groupname:{process} ");
        let rest = event.payload.strip_prefix(&start).unwrap_or(&event.payload);
        let pid = event.about("pid");
        let is_pid = pid.parse::<u32>().is_ok_and(|pid| pid > 1);
        let rest = if is_pid { rest.replace(&format!("pid:{pid}"), "pid:N") } else { rest.into() };
        format!("{name} {rest}")
    })
    .collect()
}

#[test]
fn a_process_that_ends_well_is_told_of() {
    let scene = open(&[&ears("ears", "PROCESS_STATE", "", ""), &script("quick", "exit 0", "")]);

    scene.run("quick");

    assert_eq!(
        states(&scene, "quick", "EXITED"),
        [
            "STARTING from_state:STOPPED tries:0",
            "RUNNING from_state:STARTING pid:N",
            "EXITED from_state:RUNNING expected:1 pid:N",
        ]
    );
}

#[test]
fn a_process_that_ends_unexpectedly_and_is_started_again_is_told_of() {
    let scene = open(&[&ears("ears", "PROCESS_STATE", "", ""), &script("ill", "exit 3", "")]);

    scene.run("ill");
    let first = states(&scene, "ill", "EXITED");
    scene.run("ill");
    let all = scene.heard_until("ears", "two lives", |heard| {
        heard.iter().filter(|event| event.event().ends_with("EXITED")).count() == 2
    });

    assert_eq!(first.last().unwrap(), "EXITED from_state:RUNNING expected:0 pid:N");
    let again = all.iter().rfind(|event| event.event().ends_with("STARTING")).unwrap();
    assert_eq!(again.payload, "processname:ill groupname:ill from_state:EXITED tries:0");
}

#[test]
fn a_process_that_is_stopped_is_told_of() {
    let scene = open(&[&ears("ears", "PROCESS_STATE", "", ""), CAT]);

    scene.start("cat");
    scene.until("cat", "RUNNING");
    scene.call("stopProcess", "cat");

    assert_eq!(
        states(&scene, "cat", "STOPPED"),
        [
            "STARTING from_state:STOPPED tries:0",
            "RUNNING from_state:STARTING pid:N",
            "STOPPING from_state:RUNNING pid:N",
            "STOPPED from_state:STOPPING pid:N",
        ]
    );
}

#[test]
fn a_process_that_cannot_start_is_told_of_with_its_tries() {
    let failing =
        script("failing", "exit 1", "").replace("startsecs=0", "startsecs=60\nstartretries=1");
    let scene = open(&[&ears("ears", "PROCESS_STATE", "", ""), &failing]);

    scene.start("failing");

    assert_eq!(
        states(&scene, "failing", "FATAL"),
        [
            "STARTING from_state:STOPPED tries:0",
            "BACKOFF from_state:STARTING tries:1",
            "STARTING from_state:BACKOFF tries:1",
            "BACKOFF from_state:STARTING tries:2",
            "FATAL from_state:BACKOFF",
        ]
    );
}

#[test]
fn a_process_that_is_stopped_while_it_waits_for_its_next_try_has_no_pid() {
    // It waits an hour after each failure.
    let options = "startsecs=60\nstartretries=1000\nbackoff=constant:3600";
    let failing = script("failing", "exit 1", "").replace("startsecs=0", options);
    let scene = open(&[&ears("ears", "PROCESS_STATE", "", ""), &failing]);

    scene.start("failing");
    scene.heard_until("ears", "a failure", |heard| {
        heard.iter().any(|event| event.payload.contains("from_state:STARTING tries:1"))
    });
    scene.call("stopProcess", "failing");

    assert_eq!(
        states(&scene, "failing", "STOPPED").last().unwrap(),
        "STOPPED from_state:BACKOFF pid:0"
    );
}

#[test]
fn the_header_has_all_its_fields_and_counts_characters() {
    let scene = open(&[&ears("ears", "REMOTE_COMMUNICATION", "", "")]);

    scene.send("Grüße 😀");
    scene.send("");
    scene.send("two\nlines\n");

    let heard = scene.heard_of("ears", 3);
    let header = "ver:3.0 server:house serial:0 pool:ears poolserial:0 \
                  eventname:REMOTE_COMMUNICATION len:17";
    assert_eq!(heard[0].header, header);
    assert_eq!(heard[0].payload, "type:test\nGrüße 😀");
    assert_eq!((heard[1].payload.as_str(), heard[1].field("len")), ("type:test\n", "10"));
    assert_eq!(heard[2].payload, "type:test\ntwo\nlines\n");
    assert_eq!((heard[2].serial(), heard[2].field("poolserial")), (2, "2"));
}

#[test]
fn an_event_that_nobody_wants_has_no_number_and_each_pool_counts_its_own() {
    let scene =
        open(&[&ears("all", "EVENT", "", ""), &ears("remote", "REMOTE_COMMUNICATION", "", "")]);

    scene.send("one");
    scene.send("two");

    let all = scene.heard_until("all", "both", |heard| {
        heard.iter().filter(|event| event.event() == "REMOTE_COMMUNICATION").count() == 2
    });
    let remote = scene.heard_of("remote", 2);
    let serials: Vec<u64> = all.iter().map(Heard::serial).collect();
    assert_eq!(serials, (0..all.len() as u64).collect::<Vec<_>>(), "{all:?}");
    let own: Vec<&str> = remote.iter().map(|event| event.field("poolserial")).collect();
    assert_eq!(own, ["0", "1"]);
    let of_remote = |event: &&Heard| event.event() == "REMOTE_COMMUNICATION";
    let to_all: Vec<u64> = all.iter().filter(of_remote).map(Heard::serial).collect();
    let to_remote: Vec<u64> = remote.iter().map(Heard::serial).collect();
    assert_eq!(to_remote, to_all, "an event has one number");
}

#[test]
fn a_start_is_told_of_in_its_order() {
    let cat = CAT.replace("autostart=false", "autostart=true");
    let scene = open(&[&cat, &ears("ears", "EVENT", "", "")]);

    let heard = scene.heard_until("ears", "the cat", |heard| {
        heard.iter().any(|event| {
            event.event() == "PROCESS_STATE_RUNNING" && event.about("processname") == "cat"
        })
    });

    let told: Vec<(&str, &str)> =
        heard.iter().map(|event| (event.event(), event.payload.as_str())).take(3).collect();
    assert_eq!(
        told,
        [
            ("PROCESS_GROUP_ADDED", "groupname:ears\n"),
            ("PROCESS_GROUP_ADDED", "groupname:cat\n"),
            ("SUPERVISOR_STATE_CHANGE_RUNNING", ""),
        ]
    );
    assert_eq!(heard[2].field("len"), "0");
    // A slice of time may begin just then.
    let mut others = heard[3..].iter().filter(|event| !event.event().starts_with("TICK_"));
    assert!(others.all(|event| event.event().starts_with("PROCESS_STATE_")));
}

#[test]
fn a_tick_tells_the_beginning_of_its_slice() {
    let began = clock::wall_seconds();
    let scene = open(&[&ears("ears", "TICK_5", "", "")]);

    let heard = scene.heard_of("ears", 2);

    let ended = clock::wall_seconds();
    let when: Vec<i64> = heard.iter().map(|event| event.about("when").parse().unwrap()).collect();
    assert_eq!(heard[0].payload, format!("when:{}", when[0]));
    assert_eq!((when[0] % 5, when[1] - when[0]), (0, 5));
    assert!((began - 5..=ended).contains(&when[0]), "{began} {when:?} {ended}");
    assert!(when[1] <= ended, "{when:?} {ended}");
}

#[test]
fn an_abstract_type_stands_for_all_below_it() {
    let text = "echo one; echo two >&2";
    let options = "stdout_events_enabled=true\nstderr_events_enabled=true";
    let scene = open(&[
        &ears("logs", "PROCESS_LOG", "", ""),
        &ears("one", "PROCESS_LOG_STDERR", "", ""),
        &script("talker", text, options),
    ]);

    scene.run("talker");

    let mut logs: Vec<String> =
        scene.heard_of("logs", 2).iter().map(|event| event.event().to_owned()).collect();
    logs.sort();
    assert_eq!(logs, ["PROCESS_LOG_STDERR", "PROCESS_LOG_STDOUT"]);
    assert_eq!(scene.heard_of("one", 1)[0].data(), "two\n");
}

#[test]
fn a_trouble_is_told_to_those_who_name_it_and_to_no_others() {
    let scene = open(&[&ears("ears", "BARDO_TROUBLE", "", ""), &ears("all", "EVENT", "", "")]);
    scene.until("ears", "RUNNING");

    scene.daemon.kill_supervisor().unwrap();

    let heard = scene.heard_until("ears", "the trouble", |heard| !heard.is_empty());
    assert_eq!(heard[0].event(), "BARDO_TROUBLE");
    let (header, text) = heard[0].payload.split_once('\n').unwrap();
    assert_eq!(header, "kind:keeper subject:supervisor state:BEGAN");
    let expected = "the keeper had to start another supervisor once: the last one ended";
    assert!(text.starts_with(expected), "{text}");
    scene.wait("an answer", || scene.client().state().is_ok());
    scene.send("later");
    let of_all = scene.heard_until("all", "what came later", |heard| {
        heard.iter().any(|event| event.event() == "REMOTE_COMMUNICATION")
    });
    assert!(of_all.iter().all(|event| event.event() != "BARDO_TROUBLE"));
}
