//! `/api/v1/services`, `/why` and `/decisions`, and decisions as they are made.

use std::sync::Arc;

use bardo::daemon::decisions::{Kept, Told};
use bardo::daemon::standing::Standing;
use bardo_core::decision::{Cause, Reason, Rule, What};
use bardo_core::service::StateName;
use bardo_core::time::WallTime;
use bardo_core::{ExitStatus, Generation, Pid, ServiceId};
use serde_json::{Value, json};

use crate::rest::{Events, get};
use crate::scene::{Scene, scene};

fn kept(number: u64, what: What) -> Kept {
    Kept { number, generation: Generation(2), at: WallTime(1_700_000_000), what }
}

fn told(number: u64, what: What) -> Told {
    let (group, name) = (Arc::from("g"), Arc::from("g1"));
    Told { service: ServiceId(3), group, name, kept: kept(number, what) }
}

/// Has `p` wait after a crash.
fn crash(scene: &Scene) {
    let mut world = scene.play.world.lock().unwrap();
    let view = world.processes.iter().find(|view| *view.spec.name == *"p").unwrap();
    let wait = std::time::Duration::from_secs(4);
    let standing = Standing {
        service: ServiceId(3),
        group: Arc::clone(&view.group.name),
        spec: Arc::clone(&view.spec),
        state: StateName::Backoff,
        is_exiting: false,
        is_published: false,
        generation: Generation(2),
        pid: None,
        started: Some(WallTime(1_700_000_000)),
        stopped: None,
        exit: Some(ExitStatus::Code(7)),
        failure: None,
        failures: 0,
        vitals: None,
        told: None,
        script: None,
        left: Some(wait),
        held: None,
        kept: vec![
            kept(5, What::Ready(bardo_core::decision::Sign::Said)),
            kept(6, What::Ended(ExitStatus::Code(7), Reason::Terminated)),
            kept(7, What::Waits { wait, count: 2, rule: Rule::Binary }),
        ],
        further: Vec::new(),
    };
    let mut other = standing.clone();
    (other.group, other.state, other.pid) = ("g".into(), StateName::Running, Some(Pid(77)));
    world.standings = vec![other, standing];
}

#[test]
fn services_are_told_with_the_reason_for_their_state() {
    let scene = scene();
    crash(&scene);

    let all = get(&scene, "/services");
    let one = get(&scene, "/services/p");

    let labels: Vec<&Value> =
        all.as_array().unwrap().iter().map(|service| &service["label"]).collect();
    assert_eq!(labels, ["g:p", "p"]);
    assert_eq!(all[1], one);
    assert_eq!(all[0]["pid"], 77);
    assert_eq!((&one["state"], &one["endpoint"]), (&json!("BACKOFF"), &json!((2 << 20) + 3)));
    let description = one["description"].as_str().unwrap();
    assert!(description.starts_with("waits 4 s (4 s left): 3rd crash, exit status 7 at "));
    assert_eq!(scene.http("GET", "/api/v1/services/nobody", "", "").status, 404);
}

#[test]
fn why_a_service_is_as_it_is_is_told_with_every_decision() {
    let scene = scene();
    crash(&scene);

    let why = get(&scene, "/why/p");

    assert_eq!((&why["name"], &why["state"]), (&json!("p"), &json!("BACKOFF")));
    let words: Vec<&Value> =
        why["decisions"].as_array().unwrap().iter().map(|decided| &decided["what"]).collect();
    assert_eq!(words, ["ready", "ended", "waits"]);
    let expected = json!({
        "number": 6, "at": 1_700_000_000, "generation": 2, "what": "ended",
        "text": "ended: exit status 7",
    });
    assert_eq!(why["decisions"][1], expected);
    let unknown = scene.http("GET", "/api/v1/why/nobody", "", "");
    assert!(unknown.status == 404 && unknown.body.contains("BAD_NAME"), "{unknown:?}");
}

#[test]
fn decisions_are_told_from_a_number_on() {
    let scene = scene();
    let decisions = [5, 6, 9].map(|number| told(number, What::Start(Cause::Crash)));
    scene.play.world.lock().unwrap().kept = decisions.to_vec();

    let all = get(&scene, "/decisions");
    let later = get(&scene, "/decisions?after=5");

    let numbers = |answer: &Value| -> Vec<u64> {
        let decisions = answer["decisions"].as_array().unwrap().iter();
        decisions.map(|decided| decided["number"].as_u64().unwrap()).collect()
    };
    assert_eq!((numbers(&all), numbers(&later)), (vec![5, 6, 9], vec![6, 9]));
    assert_eq!((&later["last"], &later["decisions"][0]["name"]), (&json!(9), &json!("g:g1")));
    assert_eq!(scene.http("GET", "/api/v1/decisions?after=x", "", "").status, 400);
}

#[test]
fn those_who_watch_are_told_each_decision_once_and_in_order() {
    let scene = scene();
    let mut events = Events::open(&scene, "/events", "");
    assert_eq!(events.next().1, "snapshot");

    scene.play.change(|world| {
        world.told = vec![told(5, What::GaveUp), told(6, What::Rests)];
        world.processes[3].state = StateName::Fatal;
    });

    // This control thread tells the whole table each time.
    let mut next = || loop {
        let (_, name, data) = events.next();
        if name != "snapshot" {
            return (name, data["number"].as_u64());
        }
    };
    let names = [next(), next()];
    let decision = |number| ("decision".to_owned(), Some(number));
    assert_eq!(names, [decision(5), decision(6)]);

    scene.play.change(|world| {
        world.missed = true;
        world.told = vec![told(8, What::Executed)];
    });
    assert_eq!([next().0, next().0], ["missed", "decision"]);
}
