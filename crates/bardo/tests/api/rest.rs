//! `/api/v1`: routes, problems, and events as they happen.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::scene::{Heard, Scene, Start as _, open, scene};

const JSON: &str = "Content-Type: application/json\r\n";

pub(crate) fn get(scene: &Scene, path: &str) -> Value {
    let answer = scene.http("GET", &format!("/api/v1{path}"), "", "");
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    parsed(&answer)
}

fn post(scene: &Scene, path: &str, body: &str) -> (u16, Value) {
    let answer = scene.http("POST", &format!("/api/v1{path}"), JSON, body);
    (answer.status, parsed(&answer))
}

fn parsed(answer: &Heard) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn told(scene: &Scene) -> Vec<String> {
    scene.play.world.lock().unwrap().heard.clone()
}

/// Server-sent events as they come.
pub(crate) struct Events(BufReader<UnixStream>);

impl Events {
    pub(crate) fn open(scene: &Scene, path: &str, headers: &str) -> Self {
        let mut stream = scene.connect();
        let request = format!("GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut events = Self(BufReader::new(stream));
        assert!(events.line().starts_with("HTTP/1.1 200"));
        while !events.line().is_empty() {}
        events
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the stream goes on");
        line.trim_end().to_owned()
    }

    /// The next event: its id, its name, and its data.
    pub(crate) fn next(&mut self) -> (String, String, Value) {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            // Lines that tell the length of a chunk lie between those of events.
            let line = self.line();
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.to_owned();
            } else if let Some(text) = line.strip_prefix("event: ") {
                name = text.to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                return (id, name, serde_json::from_str(text).expect("data is JSON"));
            }
        }
    }
}

#[test]
fn it_says_who_it_is_also_during_the_end() {
    let scene = scene();

    assert_eq!(get(&scene, "")["state"], "RUNNING");
    assert_eq!(get(&scene, "")["identifier"], "supervisor");
    assert_eq!(get(&scene, "")["bardo"], env!("CARGO_PKG_VERSION"));
    assert_eq!(get(&scene, "")["supervisor"], "4.3.0");
    assert_eq!(post(&scene, "/shutdown", "").1["state"], "SHUTDOWN");
    let (status, problem) = post(&scene, "/processes/p/stop", "");
    assert_eq!((status, &problem["fault"]["code"]), (503, &json!(6)));
}

#[test]
fn processes_and_groups_are_listed() {
    let scene = scene();

    let all = get(&scene, "/processes");
    let names: Vec<_> =
        all["processes"].as_array().unwrap().iter().map(|p| &p["namespec"]).collect();
    assert_eq!(names, ["bad", "g:g1", "g:g2", "p", "q"]);
    let one = get(&scene, "/processes/p:p");
    assert_eq!(
        (&one["state"], &one["pid"], &one["start"]),
        (&json!("RUNNING"), &json!(4711), &json!(1))
    );
    assert_eq!(one["exitstatus"], Value::Null);
    assert_eq!(get(&scene, "/groups").as_array().unwrap().len(), 4);
    assert_eq!(get(&scene, "/groups/g")["processes"][1]["name"], "g2");
}

#[test]
fn actions_reach_a_process_a_group_and_all() {
    let scene = scene();

    let (status, process) = post(&scene, "/processes/q/start", "");
    assert_eq!((status, &process["state"]), (200, &json!("RUNNING")));
    let (_, outcomes) = post(&scene, "/groups/g/start", r#"{"wait":false}"#);
    assert_eq!(outcomes["failed"], 0);
    assert_eq!(outcomes["results"][0]["namespec"], "g:g1");
    post(&scene, "/processes/g:g1/restart", "");
    post(&scene, "/processes/p/signal", r#"{"signal":"HUP"}"#);
    post(&scene, "/processes/p/stdin", r#"{"chars":"one\n"}"#);
    scene.http("POST", "/api/v1/processes/p/stdin", "Content-Type: text/plain\r\n", "two");
    post(&scene, "/groups/g/clear", "");
    let (_, outcomes) = post(&scene, "/processes/start", "");

    let failed = &outcomes["results"].as_array().unwrap().iter().find(|row| row["ok"] == false);
    assert_eq!(failed.unwrap()["fault"]["code"], 20, "the file of `bad` is not there");
    let heard = told(&scene);
    for words in ["Start q", "Start g:*", "Stop g:g1", "Start g:g1", "stdin p one\n", "stdin p two"]
    {
        assert!(heard.iter().any(|there| there == words), "{words:?}: {heard:?}");
    }
    assert!(heard.iter().any(|there| there.starts_with("Signal")), "{heard:?}");
    assert_eq!(heard.iter().filter(|there| there.starts_with("clear ")).count(), 2);
}

#[test]
fn what_was_not_done_is_told_with_what_why_and_what_to_do() {
    let scene = scene();
    let cases = [
        ("/processes/ghost/start", "", 404, Some(10)),
        ("/processes/p/start", "", 409, Some(60)),
        ("/processes/q/stop", "", 409, Some(70)),
        ("/processes/bad/start", "", 422, Some(20)),
        ("/processes/p/signal", r#"{"signal":"BOGUS"}"#, 400, Some(11)),
        ("/processes/p/signal", "", 400, None),
        ("/processes/p/start", r#"{"wait":"perhaps"}"#, 400, None),
        ("/processes/p/start", "{", 400, None),
        ("/processes/g:*/start", "", 400, None),
        ("/groups/ghost/stop", "", 404, Some(10)),
        ("/config/reread", "", 200, None),
        ("/nowhere", "", 404, None),
    ];

    for (path, body, status, fault) in cases {
        let (answered, problem) = post(&scene, path, body);
        assert_eq!(answered, status, "{path} {body}: {problem}");
        assert_eq!(problem["fault"]["code"].as_i64(), fault, "{path}");
        for part in ["title", "detail", "remedy"].iter().filter(|_| status != 200) {
            assert!(problem[part].as_str().is_some_and(|text| !text.is_empty()), "{path}: {part}");
        }
    }
    let answer = scene.http("DELETE", "/api/v1/processes", "", "");
    assert_eq!((answer.status, answer.header("Allow")), (405, Some("GET")));
}

#[test]
fn a_page_of_another_server_changes_nothing() {
    let scene = scene();

    for stolen in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        let answer = scene.http("POST", "/api/v1/processes/stop", stolen, "");
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    assert!(told(&scene).is_empty());
    let own = "Origin: http://localhost\r\n";
    assert_eq!(scene.http("POST", "/api/v1/processes/p/stop", own, "").status, 200);
}

#[test]
fn it_asks_for_the_password() {
    let scene = open(Some(("user", "123")));

    for path in ["", "/processes", "/events", "/openapi.json", "/docs"] {
        assert_eq!(scene.http("GET", &format!("/api/v1{path}"), "", "").status, 401, "{path}");
    }
}

#[test]
fn whom_the_kernel_names_needs_no_password_for_what_service_asks() {
    let scene = open(Some(("user", "123")));
    let json = "Content-Type: application/json\r\n";
    let body = r#"{"verb":"sysctl","label":"srv_status"}"#;

    let answer = scene.http("POST", "/api/v1/service", json, body);

    assert_eq!(answer.status, 200, "{answer:?}");
    let reply: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(reply, json!({ "errno": 0, "message": null, "notes": [] }));
    assert_ne!(scene.http("GET", "/api/v1/services", "", "").status, 401);
    assert_eq!(scene.http("POST", "/api/v1/shutdown", json, "{}").status, 401);
}

#[test]
fn a_log_is_read_in_parts() {
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), "one\ntwo\nthree\n").unwrap();

    assert_eq!(get(&scene, "/processes/p/log/stdout")["text"], "one\ntwo\nthree\n");
    let part = get(&scene, "/processes/p/log/stdout?offset=4&length=4");
    assert_eq!(part, json!({ "from": 4, "to": 8, "size": 14, "text": "two\n" }));
    assert_eq!(get(&scene, "/processes/p/log/stdout?tail=6")["text"], "three\n");
    assert_eq!(get(&scene, "/log")["text"], "the main log\n");
    for path in ["p/log/stderr", "q/log/stdout", "p/log/stdin", "ghost/log/stdout"] {
        let path = format!("/api/v1/processes/{path}");
        assert_eq!(scene.http("GET", &path, "", "").status, 404, "{path}");
    }
    let answer = scene.http("GET", "/api/v1/log?tail=-5", "", "");
    assert_eq!(answer.status, 400);
}

#[test]
fn a_snapshot_comes_first_and_changes_follow() {
    let scene = scene();
    let mut events = Events::open(&scene, "/events", "");

    let (first, name, data) = events.next();
    assert_eq!(name, "snapshot");
    assert_eq!(data["processes"].as_array().unwrap().len(), 5);
    scene.play.change(|world| world.processes[3].stop());

    let (second, _, data) = events.next();
    assert_ne!(first, second);
    let p = data["processes"].as_array().unwrap().iter().find(|p| p["name"] == "p").unwrap();
    assert_eq!((&p["state"], &p["pid"], &p["stop"]), (&json!("STOPPED"), &Value::Null, &json!(2)));
}

#[test]
fn whoever_comes_back_is_told_what_he_has_missed() {
    let scene = scene();
    let mut stays = Events::open(&scene, "/events", "");
    let (id, ..) = stays.next();

    let known = format!("Last-Event-ID: {id}\r\n");
    let mut back = Events::open(&scene, "/events", &known);
    let mut stranger = Events::open(&scene, "/events", "Last-Event-ID: 1-1\r\n");
    assert_eq!(stranger.next().1, "snapshot");
    scene.play.change(|world| world.processes[4].start());

    assert_eq!(back.next().0, stays.next().0, "nothing was missed, so nothing came before");
}

#[test]
fn the_end_is_told_and_ends_the_stream() {
    let scene = scene();
    let mut events = Events::open(&scene, "/events", "");
    events.next();

    scene.play.change(|world| world.shutting_down = true);
    assert_eq!(events.next().2["state"], "SHUTDOWN");

    scene.api.finish();
    let mut rest = String::new();
    while events.0.read_line(&mut rest).is_ok_and(|read| read > 0) {}
    assert!(rest.trim_end().ends_with('0'), "the last chunk is empty: {rest:?}");
}

#[test]
fn a_log_is_followed() {
    let scene = scene();
    let log = scene.room.path().join("p.out");
    std::fs::write(&log, "before\n\u{e9}\n").unwrap();
    let mut events = Events::open(&scene, "/processes/p/log/stdout/events?tail=4", "");

    assert_eq!(events.next().2["from"], 6);
    assert_eq!(events.next().2["text"], "\n\u{e9}\n");
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(b"\xffmore\n").unwrap();
    assert_eq!(events.next().2["text"], "\u{fffd}more\n");
    std::fs::write(&log, "").unwrap();
    assert_eq!(events.next().1, "truncated");
    std::fs::rename(&log, scene.room.path().join("p.out.1")).unwrap();
    std::fs::write(&log, "new\n").unwrap();
    assert_eq!(events.next().1, "replaced");
    assert_eq!(events.next().2["text"], "new\n");
}

#[test]
fn the_logs_of_a_group_come_as_one() {
    let scene = scene();
    for name in ["g1", "g2"] {
        std::fs::write(scene.room.path().join(format!("{name}.out")), name).unwrap();
    }

    let mut events = Events::open(&scene, "/groups/g/log/stdout/events", "");

    let first =
        [events.next(), events.next()].map(|(_, name, data)| (name, data["process"].clone()));
    assert_eq!(
        first.map(|(name, whose)| format!("{name} {whose}")),
        ["begin \"g:g1\"", "begin \"g:g2\""]
    );
    let texts = [events.next().2, events.next().2];
    assert_eq!(texts[0], json!({ "process": "g:g1", "text": "g1" }));
    assert_eq!(texts[1], json!({ "process": "g:g2", "text": "g2" }));
    let answer = scene.http("GET", "/api/v1/processes/log/stderr/events", "", "");
    assert_eq!(answer.status, 404, "nobody has such a log");
}

#[test]
fn the_interface_describes_itself() {
    let scene = scene();

    let file = get(&scene, "/openapi.json");
    let docs = scene.http("GET", "/api/v1/docs", "", "").body;

    assert_eq!(file["openapi"], "3.1.0");
    for path in file["paths"].as_object().unwrap().keys() {
        assert!(docs.contains(path.as_str()), "{path}");
    }
}
