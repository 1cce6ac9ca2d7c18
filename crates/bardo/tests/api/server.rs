//! The API thread, seen through its socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::scene::{PATIENCE, heard, open, scene};
use bardo::api::{Listener, ListenerKind};
use bardo::selftest::home::stays;
use bardo_wire::xmlrpc::{Request, Value};

fn fault(code: i32, text: &str) -> Result<Value, (i32, String)> {
    Err((code, text.to_owned()))
}

#[test]
fn the_supervisor_tells_who_it_is() {
    let scene = scene();

    assert_eq!(scene.supervisor("getAPIVersion", &[]), Ok(Value::from("3.0")));
    assert_eq!(scene.supervisor("getSupervisorVersion", &[]), Ok(Value::from("4.3.0")));
    assert_eq!(scene.supervisor("getIdentification", &[]), Ok(Value::from("supervisor")));
    let pid = Value::Int(std::process::id().into());
    assert_eq!(scene.supervisor("getPID", &[]), Ok(pid));
    let state = scene.supervisor("getState", &[]).unwrap();
    assert_eq!(state.member("statename"), Some(&Value::from("RUNNING")));
}

#[test]
fn a_good_answer_has_supervisors_headers() {
    let scene = scene();
    let request = Request { method: "supervisor.getAPIVersion".to_owned(), parameters: vec![] };

    let answer = scene.http("POST", "/RPC2", "", &request.to_xml());

    assert_eq!(answer.header("Server"), Some("Medusa/1.12"));
    assert_eq!(answer.header("Content-Type"), Some("text/xml"));
    let length = answer.body.len().to_string();
    assert_eq!(answer.header("Content-Length"), Some(&*length));
    assert!(answer.header("Date").is_some());
    assert_eq!(
        answer.body,
        "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n\
         <value><string>3.0</string></value>\n</param>\n</params>\n</methodResponse>\n"
    );
}

#[test]
fn calls_that_cannot_be_made_are_refused() {
    let scene = scene();

    for name in ["supervisor.nope", "other.getState", "getState", "supervisor._update"] {
        assert_eq!(scene.call(name, &[]), fault(1, "UNKNOWN_METHOD"), "{name}");
    }
    let incorrect = fault(2, "INCORRECT_PARAMETERS");
    assert_eq!(scene.supervisor("startProcess", &[]), incorrect);
    assert_eq!(scene.supervisor("getState", &["x"]), incorrect);
    let number = [Value::Int(5)];
    assert_eq!(scene.call("supervisor.getProcessInfo", &number), incorrect);
    let words = ["a".into(), Value::Int(0)];
    assert_eq!(scene.call("supervisor.readLog", &words), fault(3, "BAD_ARGUMENTS"));
}

#[test]
fn a_start_is_checked_in_supervisors_order() {
    let scene = scene();
    let start = |name| scene.supervisor("startProcess", &[name]);

    assert_eq!(start("q"), Ok(Value::Boolean(true)));
    assert_eq!(start("q"), fault(60, "ALREADY_STARTED: q"));
    assert_eq!(start("ghost"), fault(10, "BAD_NAME: ghost"));
    assert_eq!(start("g:ghost"), fault(10, "BAD_NAME: g:ghost"));
    assert_eq!(start("bad"), fault(20, "NO_FILE: can't find command '/no/such/file'"));
    assert!(
        !scene.play.world.lock().unwrap().heard.contains(&"Start bad".to_owned()),
        "a program that is not there is not even tried"
    );
}

#[test]
fn a_group_is_answered_for_each_process() {
    let scene = scene();

    let started = scene.supervisor("startProcess", &["g:*"]).unwrap();

    let rows: Vec<_> = started
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key| row.member(key).unwrap().as_str().unwrap().to_owned();
            (text("name"), row.member("status").unwrap().as_int(), text("description"))
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("g1".to_owned(), Some(80), "OK".to_owned()),
            ("g2".to_owned(), Some(80), "OK".to_owned())
        ]
    );
    let again = scene.supervisor("startProcessGroup", &["g"]);
    assert_eq!(again, Ok(Value::Array(vec![])));
    let ghost = scene.supervisor("startProcessGroup", &["ghost"]);
    assert_eq!(ghost, fault(10, "BAD_NAME: ghost"));
}

#[test]
fn of_all_programs_only_those_that_can_be_started_are() {
    let scene = scene();

    let started = scene.supervisor("startAllProcesses", &[]).unwrap();

    let statuses: Vec<_> = started
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.member("status").unwrap().as_int().unwrap())
        .collect();
    assert_eq!(statuses, [20, 80, 80, 80]);
}

#[test]
fn a_slow_start_delays_nobody_and_is_not_overdue() {
    // The longer waits are for a machine that has no time for us.
    let mut waits = [50, 500, 5000].map(Duration::from_millis).into_iter();
    assert!(waits.any(a_slow_start_is_taken_within));
}

/// Says whether the control thread has taken the start in time, and so could be watched for
/// longer than that.
fn a_slow_start_is_taken_within(wait: Duration) -> bool {
    let scene = scene();
    scene.play.world.lock().unwrap().slow.push("q".to_owned());
    scene.let_questions_wait(wait);
    let begun = Instant::now();

    std::thread::scope(|scope| {
        let start = scope.spawn(|| scene.supervisor("startProcess", &["q"]));
        scene.play.await_heard("Start q");
        let is_in_time = begun.elapsed() < wait;
        scene.let_questions_wait(PATIENCE);
        assert!(scene.supervisor("getState", &[]).is_ok());
        if is_in_time {
            assert!(stays(2 * wait, || scene.overdue.load(Ordering::SeqCst) == 0));
        }
        scene.play.finish_start("q");
        assert_eq!(start.join().unwrap(), Ok(Value::Boolean(true)));
        is_in_time
    })
}

#[test]
fn a_deaf_control_thread_is_reported_once() {
    let scene = scene();
    scene.let_questions_wait(Duration::from_millis(50));
    scene.play.deaf.store(true, Ordering::SeqCst);

    std::thread::scope(|scope| {
        let questions: Vec<_> =
            (0..3).map(|_| scope.spawn(|| scene.supervisor("getState", &[]))).collect();
        let begun = Instant::now();
        while scene.overdue.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed() < PATIENCE, "nobody was told");
            std::thread::yield_now();
        }
        // Who asks only now is answered, however long that takes.
        scene.let_questions_wait(PATIENCE);
        scene.play.listen();
        for question in questions {
            assert!(question.join().unwrap().is_ok());
        }
    });

    assert_eq!(scene.overdue.load(Ordering::SeqCst), 1);
}

#[test]
fn stops_and_signals_are_refused_where_supervisor_refuses_them() {
    let scene = scene();

    assert_eq!(scene.supervisor("stopProcess", &["q"]), fault(70, "NOT_RUNNING: q"));
    let signal = |name, signal| scene.supervisor("signalProcess", &[name, signal]);
    assert_eq!(signal("p", "HUP"), Ok(Value::Boolean(true)));
    assert_eq!(signal("p", "1"), Ok(Value::Boolean(true)));
    assert_eq!(signal("p", "BOGUS"), fault(11, "BAD_SIGNAL: BOGUS"));
    assert_eq!(signal("ghost", "BOGUS"), fault(10, "BAD_NAME: ghost"));
    assert_eq!(signal("q", "HUP"), fault(70, "NOT_RUNNING: q"));
    let all = scene.supervisor("signalAllProcesses", &["BOGUS"]).unwrap();
    assert_eq!(
        all.as_array().unwrap()[0].member("description"),
        Some(&Value::from("BAD_SIGNAL: BOGUS"))
    );
    assert_eq!(scene.supervisor("stopProcess", &["p"]), Ok(Value::Boolean(true)));
}

#[test]
fn processes_are_told_with_all_their_fields() {
    let scene = scene();

    let info = scene.supervisor("getProcessInfo", &["p"]).unwrap();
    assert_eq!(info.member("statename"), Some(&Value::from("RUNNING")));
    assert_eq!(info.member("pid"), Some(&Value::Int(4711)));
    let all = scene.supervisor("getAllProcessInfo", &[]).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 5);
    assert_eq!(scene.supervisor("getProcessInfo", &["g:*"]), fault(10, "BAD_NAME: g:*"));
}

#[test]
fn the_configuration_is_loaded_again() {
    let scene = scene();

    let same = scene.supervisor("reloadConfig", &[]).unwrap();
    let nothing = || Value::Array(vec![]);
    assert_eq!(same, Value::Array(vec![Value::Array(vec![nothing(), nothing(), nothing()])]));
    let rows = scene.supervisor("getAllConfigInfo", &[]).unwrap();
    let first = &rows.as_array().unwrap()[0];
    assert_eq!(first.member("name"), Some(&Value::from("bad")));
    let log = first.member("stdout_logfile").unwrap().as_str().unwrap();
    assert!(log.ends_with("bad.out"), "{log}");

    scene.play.world.lock().unwrap().loaded.clear();
    assert_eq!(scene.supervisor("reloadConfig", &[]), fault(92, "CANT_REREAD: nothing to load"));
    assert_eq!(scene.supervisor("removeProcessGroup", &["p"]), fault(91, "STILL_RUNNING: p"));
    assert_eq!(scene.supervisor("addProcessGroup", &["p"]), fault(90, "ALREADY_ADDED: p"));
    assert_eq!(scene.supervisor("removeProcessGroup", &["q"]), Ok(Value::Boolean(true)));
}

#[test]
fn logs_are_read_and_emptied() {
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), "one\ntwo\n").unwrap();
    let span = |name: &str, from, length| [Value::from(name), Value::Int(from), Value::Int(length)];

    let read = |parameters: &[Value]| scene.call("supervisor.readProcessLog", parameters);
    assert_eq!(read(&span("p", -4, 0)), Ok(Value::from("two\n")));
    assert_eq!(read(&span("p", 0, -1)), fault(3, "BAD_ARGUMENTS"));
    assert_eq!(read(&span("ghost", 0, 0)), fault(10, "BAD_NAME: ghost"));
    let missing = scene.room.path().join("q.out");
    assert_eq!(read(&span("q", 0, 0)), fault(20, &format!("NO_FILE: {}", missing.display())));
    let letters = [Value::from("p"), Value::from("a"), Value::Int(0)];
    assert_eq!(read(&letters), fault(3, "BAD_ARGUMENTS"));
    assert_eq!(
        scene.call("supervisor.readProcessStderrLog", &span("p", 0, 0)),
        fault(20, "NO_FILE")
    );
    assert_eq!(
        scene.call("supervisor.tailProcessLog", &span("p", 0, 3)),
        Ok(Value::Array(vec![Value::from("wo\n"), Value::Int(8), Value::Boolean(true)]))
    );
    assert_eq!(
        scene.call("supervisor.readLog", &[Value::Int(-4), Value::Int(0)]),
        Ok(Value::from("log\n"))
    );
    assert_eq!(scene.supervisor("clearLog", &[]), Ok(Value::Boolean(true)));
    assert_eq!(scene.supervisor("clearProcessLogs", &["p"]), Ok(Value::Boolean(true)));
    assert_eq!(scene.supervisor("clearProcessLogs", &["g:*"]), fault(10, "BAD_NAME: g:*"));
    let all = scene.supervisor("clearAllProcessLogs", &[]).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 5);
}

#[test]
fn a_log_that_xml_cannot_carry_is_carried_all_the_same() {
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), b"\x1b[31mred\xff\n").unwrap();

    let parameters = [Value::from("p"), Value::Int(0), Value::Int(0)];
    let text = scene.call("supervisor.readProcessLog", &parameters);

    assert_eq!(text, Ok(Value::from("\u{fffd}[31mred\u{fffd}\n")));
}

#[test]
fn text_reaches_standard_input() {
    let scene = scene();

    assert_eq!(scene.supervisor("sendProcessStdin", &["p", "é"]), Ok(Value::Boolean(true)));
    scene.play.await_heard("stdin p é");
    assert_eq!(scene.supervisor("sendProcessStdin", &["q", "x"]), fault(70, "NOT_RUNNING: q"));
    let number = [Value::from("p"), Value::Int(5)];
    assert_eq!(
        scene.call("supervisor.sendProcessStdin", &number),
        fault(2, "INCORRECT_PARAMETERS: 5")
    );
}

#[test]
fn while_all_is_being_stopped_everything_is_refused_but_events() {
    let scene = scene();

    assert_eq!(scene.supervisor("shutdown", &[]), Ok(Value::Boolean(true)));

    for method in ["getState", "getPID", "getAllProcessInfo", "reloadConfig", "shutdown"] {
        assert_eq!(scene.supervisor(method, &[]), fault(6, "SHUTDOWN_STATE"), "{method}");
    }
    assert_eq!(scene.supervisor("startProcess", &["ghost"]), fault(6, "SHUTDOWN_STATE"));
    assert_eq!(scene.supervisor("sendRemoteCommEvent", &["a", "b"]), Ok(Value::Boolean(true)));
    scene.play.await_heard("event a b");
    assert!(scene.call("system.listMethods", &[]).is_ok());
}

#[test]
fn many_calls_are_answered_bare_and_in_order() {
    let scene = scene();
    let call = |name: &str, parameters: Vec<Value>| {
        Value::Struct(vec![
            ("methodName".into(), Value::from(name)),
            ("params".into(), Value::Array(parameters)),
        ])
    };
    let calls = vec![
        call("supervisor.getAPIVersion", vec![]),
        call("supervisor.getProcessInfo", vec![Value::from("ghost")]),
        call("system.multicall", vec![]),
        Value::Struct(vec![("params".into(), Value::Array(vec![]))]),
    ];

    let results = scene.call("system.multicall", &[Value::Array(calls)]).unwrap();

    let results = results.as_array().unwrap();
    assert_eq!(results[0], Value::from("3.0"));
    let text = |place: usize| results[place].member("faultString").unwrap().as_str();
    assert_eq!(text(1), Some("BAD_NAME: ghost"));
    assert_eq!(text(2), Some("INCORRECT_PARAMETERS: Recursive system.multicall forbidden"));
    assert_eq!(text(3), Some("INCORRECT_PARAMETERS: No methodName"));
}

#[test]
fn methods_describe_themselves() {
    let scene = scene();

    let methods = scene.call("system.listMethods", &[]).unwrap();
    assert_eq!(methods.as_array().unwrap().len(), 41);
    let of = |name: &str| scene.call("system.methodSignature", &[Value::from(name)]);
    let types = ["boolean", "string", "boolean"].map(Value::from);
    assert_eq!(of("supervisor.startProcess"), Ok(Value::Array(types.into())));
    assert_eq!(of("supervisor.nope"), fault(4, "SIGNATURE_UNSUPPORTED"));
    let help = scene.call("system.methodHelp", &[Value::from("supervisor.getPID")]);
    assert!(help.unwrap().as_str().is_some_and(|text| !text.is_empty()));
}

#[test]
fn requests_that_are_none_get_supervisors_status() {
    let scene = scene();
    let status = |method, path, body| scene.http(method, path, "", body).status;

    assert_eq!(status("POST", "/RPC2", "<methodCall><oops>"), 400);
    assert_eq!(status("POST", "/RPC2", ""), 400);
    assert_eq!(status("GET", "/RPC2", ""), 400);
    assert_eq!(status("PUT", "/RPC2", "x"), 400);
    assert_eq!(status("POST", "/rpc", "x"), 400);
    assert_eq!(status("GET", "/nothing.html", ""), 404);
    assert_eq!(status("GET", "/ok.html", ""), 200);
    assert_eq!(status("GET", "/", ""), 200);
    assert_eq!(status("GET", "/logtail/ghost", ""), 404);
    assert_eq!(status("GET", "/logtail/", ""), 404);
    assert_eq!(status("GET", "/logtail", ""), 500);
    assert_eq!(status("GET", "/logtail/p/other", ""), 404);
    assert_eq!(status("POST", "/logtail/p", ""), 400);
    let unmeasured = scene.raw(b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(unmeasured.status, 411);
    assert_eq!(unmeasured.header("Content-Type"), Some("text/html"));
    assert!(unmeasured.body.contains("<p>Error code 411.\r\n<p>Message: Length Required.\r\n"));
}

#[test]
fn a_password_guards_every_path() {
    let scene = open(Some(("user", "123")));
    let good = "Authorization: Basic dXNlcjoxMjM=\r\n";
    let bad = "Authorization: Basic dXNlcjoxMjQ=\r\n";

    for path in ["/", "/ok.html", "/RPC2", "/logtail/p", "/mainlogtail", "/nothing"] {
        let answer = scene.http("GET", path, bad, "");
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("WWW-Authenticate"), Some("Basic realm=\"default\""));
        assert!(answer.body.contains("<p>Error code 401.\r\n<p>Message: Unauthorized."));
    }
    assert_eq!(scene.http("GET", "/ok.html", "", "").status, 401);
    assert_eq!(scene.http("GET", "/ok.html", good, "").status, 200);
    let garbage = "Authorization: Basic !!!\r\n";
    assert_eq!(scene.http("GET", "/ok.html", garbage, "").status, 400);
}

#[test]
fn who_may_not_come_in_is_shown_the_door() {
    let scene = open(Some(("user", "123")));

    // It reads until the connection ends, and has not asked for that.
    let answer = scene.raw(b"GET /ok.html HTTP/1.1\r\nHost: localhost\r\n\r\n");

    assert_eq!((answer.status, answer.header("Connection")), (401, Some("close")));
}

#[test]
fn one_connection_carries_many_requests() {
    let scene = scene();
    let mut stream = scene.connect();
    let request = "GET /ok.html HTTP/1.1\r\nHost: x\r\n\r\n";

    for _ in 0..3 {
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        while !text.ends_with("\r\n\r\nOK") {
            let mut piece = [0; 512];
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "the connection ended after {text:?}");
            text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        assert_eq!(heard(&text).status, 200);
    }
}

#[test]
fn an_old_client_is_answered_in_its_way() {
    let scene = scene();

    let closed = scene.raw(b"GET /ok.html HTTP/1.0\r\n\r\n");
    assert_eq!((closed.status, &*closed.body), (200, "OK"));

    let mut stream = scene.connect();
    stream.write_all(b"GET /ok.html HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    let mut piece = [0; 1024];
    let read = stream.read(&mut piece).unwrap();
    let answer = heard(std::str::from_utf8(&piece[..read]).unwrap());
    let kept = answer.header("Connection").unwrap_or_default();
    assert!(kept.eq_ignore_ascii_case("keep-alive"), "{answer:?}");
}

#[test]
fn a_request_that_is_too_long_is_refused() {
    let scene = scene();

    let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let mut stream = scene.connect();
    // The server need not read it all.
    let _ = stream.write_all(head.as_bytes());
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    assert_eq!(heard(&text).status, 431, "{text}");

    let length = bardo_wire::xmlrpc::REQUEST_BYTES_MAX + 1;
    let mut stream = scene.connect();
    let head = format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(&vec![b'x'; length]);
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    assert_eq!(heard(&text).status, 413, "{text}");
}

/// Reads a stream until it holds the text.
fn read_until(stream: &mut impl std::io::Read, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the stream ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    text
}

#[test]
fn a_log_is_followed_while_it_grows() {
    let scene = scene();
    let log = scene.room.path().join("p.out");
    std::fs::write(&log, "old\n").unwrap();
    let mut stream = scene.connect();
    stream.write_all(b"GET /logtail/p%3Ap/stdout HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();

    let begun = heard(&read_until(&mut stream, "old\n"));
    assert_eq!(begun.status, 200);
    assert_eq!(begun.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(begun.header("Content-Type"), Some("text/plain;charset=utf-8"));
    assert_eq!(begun.header("X-Accel-Buffering"), Some("no"));
    assert!(begun.header("Last-Modified").is_some());

    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(b"fresh\n").unwrap();
    read_until(&mut stream, "fresh\n");
    std::fs::write(&log, "").unwrap();
    read_until(&mut stream, "==> File truncated <==\n");
}

#[test]
fn the_main_log_is_followed_by_an_old_client() {
    let scene = scene();
    let mut stream = scene.connect();
    stream.write_all(b"GET /mainlogtail HTTP/1.0\r\n\r\n").unwrap();

    let begun = heard(&read_until(&mut stream, "the main log\n"));

    assert_eq!(begun.status, 200);
    assert_eq!(begun.header("Transfer-Encoding"), None);
}

#[test]
fn who_came_through_a_door_that_is_gone_is_shown_out() {
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), "old\n").unwrap();
    let mut idle = scene.connect();
    idle.write_all(b"GET /ok.html HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_until(&mut idle, "OK");
    let mut stream = scene.connect();
    stream.write_all(b"GET /logtail/p HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_until(&mut stream, "old\n");
    let other = scene.room.path().join("other.sock");
    let fd = UnixListener::bind(&other).unwrap().into();

    let auth = Some(("user".to_owned(), "123".to_owned()));
    scene.api.doors().replace(vec![Listener {
        fd,
        kind: ListenerKind::Unix,
        auth,
        owner_only: false,
    }]);

    for connection in [&mut idle, &mut stream] {
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest).unwrap();
    }
    let began = Instant::now();
    while UnixStream::connect(&scene.socket).is_ok() {
        assert!(began.elapsed() < PATIENCE, "somebody listens there still");
        std::thread::yield_now();
    }
    let mut there = UnixStream::connect(&other).unwrap();
    there.write_all(b"GET /ok.html HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(heard(&std::io::read_to_string(there).unwrap()).status, 401);
}

#[test]
fn the_end_waits_for_answers_and_for_nobody_else() {
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), "old\n").unwrap();
    scene.play.world.lock().unwrap().slow.push("q".to_owned());
    let mut idle = scene.connect();
    idle.write_all(b"GET /ok.html HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_until(&mut idle, "OK");
    let mut stream = scene.connect();
    stream.write_all(b"GET /logtail/p HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_until(&mut stream, "old\n");
    let mut start = scene.connect();
    let request = Request {
        method: "supervisor.startProcess".to_owned(),
        parameters: vec![Value::from("q")],
    };
    let body = request.to_xml();
    let head = format!("POST /RPC2 HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
    start.write_all((head + &body).as_bytes()).unwrap();
    scene.play.await_heard("Start q");

    scene.play.finish_start("q");
    scene.api.finish();

    let mut rest = String::new();
    start.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("<boolean>1</boolean>"), "{rest}");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream ends in good order: {rest}");
    let mut rest = String::new();
    idle.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}
