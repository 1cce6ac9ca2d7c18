//! Groups that come and go, restarts and the end.

use bardo::selftest::actors;
use bardo::selftest::home;
use bardo::selftest::listener::Heard;

use crate::scene::{CAT, Scene, data, ears, open, payloads};

const REMOTE: &str = "REMOTE_COMMUNICATION";
const HUP: i32 = 1;
const KILL: i32 = 9;

/// A program that stops when the test kills it. As in Supervisor, listeners are stopped after
/// all others, and the last ones are told what they can be told until then.
fn stubborn() -> String {
    ears("stubborn", "", "", "stopwaitsecs=3600")
        .replace("[eventlistener:", "[program:")
        .replace("events=\n", "")
        .replace("listener stubborn ", "stubborn")
}

/// The number of that program, once it heeds no signal any more.
fn deaf(scene: &Scene) -> u32 {
    let mut life = None;
    scene.wait("a program that heeds no signal", || {
        life = actors::last_run(scene.home.path(), "stubborn");
        life.is_some()
    });
    life.unwrap().pid
}

fn of_type<'a>(heard: &'a [Heard], event: &str) -> Vec<&'a Heard> {
    heard.iter().filter(|heard| heard.event() == event).collect()
}

#[test]
fn groups_that_are_added_and_removed_are_told_of() {
    let scene = open(&[&ears("ears", "PROCESS_GROUP", "", "")]);

    scene.add_groups(CAT, &["cat"]);
    scene.call("removeProcessGroup", "cat");

    let heard = scene.heard_of("ears", 3);
    assert_eq!(payloads(&heard), ["groupname:ears\n", "groupname:cat\n", "groupname:cat\n"]);
    assert_eq!(
        (heard[1].event(), heard[2].event()),
        ("PROCESS_GROUP_ADDED", "PROCESS_GROUP_REMOVED")
    );
}

#[test]
fn a_pool_that_is_added_hears_from_then_on_and_one_that_is_removed_no_more() {
    let scene = open(&[&ears("first", REMOTE, "", "")]);
    scene.send("before");
    scene.add_groups(&ears("second", "PROCESS_GROUP,REMOTE_COMMUNICATION", "", ""), &["second"]);
    scene.send("both");

    let second = scene.heard_of("second", 2);
    assert_eq!(payloads(&second), ["groupname:second\n", "type:test\nboth"]);
    assert_eq!(second[0].field("poolserial"), "0");
    scene.call("stopProcessGroup", "second");
    scene.call("removeProcessGroup", "second");
    scene.send("after");
    assert_eq!(data(&scene.heard_of("first", 3)), ["before", "both", "after"]);
    assert_eq!(scene.heard("second").len(), 2);

    // What waits for a pool that is removed is lost, and its count begins anew.
    scene.call("addProcessGroup", "second");
    scene.send("again");
    let heard = scene.heard_of("second", 4);
    assert_eq!(payloads(&heard[2..]), ["groupname:second\n", "type:test\nagain"]);
    assert_eq!(heard[3].field("poolserial"), "1");
    assert_eq!(scene.heard_of("first", 4)[3].serial(), heard[3].serial());
}

#[test]
fn a_restart_is_told_of_and_numbers_go_on() {
    let scene =
        open(&[&ears("ears", "SUPERVISOR_STATE_CHANGE,REMOTE_COMMUNICATION", "", ""), &stubborn()]);
    let pid = deaf(&scene);
    scene.send("one");
    scene.heard_of("ears", 2);

    scene.daemon.signal_keeper(HUP).unwrap();
    scene.heard_of("ears", 3);
    home::send(pid, KILL).unwrap();

    let heard = scene.heard_of("ears", 4);
    let events: Vec<&str> = heard.iter().map(Heard::event).collect();
    assert_eq!(
        events,
        [
            "SUPERVISOR_STATE_CHANGE_RUNNING",
            REMOTE,
            "SUPERVISOR_STATE_CHANGE_STOPPING",
            "SUPERVISOR_STATE_CHANGE_RUNNING",
        ]
    );
    let serials: Vec<u64> = heard.iter().map(Heard::serial).collect();
    assert_eq!(serials, [0, 1, 2, 3]);
    let own: Vec<&str> = heard.iter().map(|event| event.field("poolserial")).collect();
    assert_eq!(own, ["0", "1", "2", "0"]);
}

#[test]
fn the_end_is_told_of_before_listeners_are_stopped() {
    let mut scene =
        open(&[&ears("ears", "SUPERVISOR_STATE_CHANGE,PROCESS_STATE", "", ""), &stubborn()]);
    let pid = deaf(&scene);

    scene.client().call("supervisor.shutdown", &[]).unwrap();
    scene.heard_until("ears", "the program to be stopped", |heard| {
        heard.iter().any(|heard| {
            heard.event() == "PROCESS_STATE_STOPPING" && heard.about("processname") == "stubborn"
        })
    });
    home::send(pid, KILL).unwrap();
    scene.daemon.wait().unwrap();

    let heard = scene.heard("ears");
    let stopping = of_type(&heard, "SUPERVISOR_STATE_CHANGE_STOPPING");
    assert_eq!(stopping.len(), 1, "{}", scene.log());
    assert_eq!(stopping[0].payload, "");
    let place = |event: &str, process: &str| {
        heard
            .iter()
            .position(|heard| heard.event() == event && heard.about("processname") == process)
    };
    let begin = place("SUPERVISOR_STATE_CHANGE_STOPPING", "").unwrap();
    assert!(begin < place("PROCESS_STATE_STOPPING", "stubborn").unwrap());
}

#[test]
fn a_kill_of_the_supervisor_is_not_noticed_by_listeners() {
    let scene = open(&[&ears("ears", REMOTE, "", ""), &ears("gated", REMOTE, "gated", "")]);
    let before = [scene.until("ears", "RUNNING").pid, scene.until("gated", "RUNNING").pid];
    scene.send("one");
    scene.heard_of("ears", 1);

    scene.daemon.kill_supervisor().unwrap();
    scene.wait("an answer", || scene.client().state().is_ok());
    scene.send("two");
    scene.let_go("gated");

    assert_eq!(data(&scene.heard_of("ears", 2)), ["one", "two"]);
    let gated = scene.heard_of("gated", 2);
    assert_eq!(data(&gated), ["one", "two"]);
    assert_eq!((gated[1].serial(), gated[1].field("poolserial")), (1, "1"));
    let after = [scene.until("ears", "RUNNING").pid, scene.until("gated", "RUNNING").pid];
    assert_eq!(before, after);
}
