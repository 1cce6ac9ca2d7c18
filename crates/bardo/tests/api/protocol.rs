//! HTTP itself: versions, lengths, connections that are kept, what is no request.

use std::io::{Read as _, Write as _};

use crate::scene::{Heard, Scene, heard, scene};

const CALL: &str = "<methodCall><methodName>supervisor.getAPIVersion</methodName></methodCall>";

/// Sends bytes and reads until the text has come.
fn until(scene: &Scene, bytes: &[u8], wanted: &str) -> String {
    let mut stream = scene.connect();
    stream.write_all(bytes).unwrap();
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the connection ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    text
}

/// What becomes of a call with these header lines.
fn call(scene: &Scene, headers: &str, body: &str) -> Heard {
    scene.raw(
        format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n{body}")
            .as_bytes(),
    )
}

#[test]
fn requests_that_are_sent_together_are_answered_in_order() {
    let scene = scene();
    let requests = "GET /ok.html HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /ok.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    let mut stream = scene.connect();
    stream.write_all(requests.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();

    let codes: Vec<&str> =
        text.split("HTTP/1.1 ").skip(1).map(|answer| answer.split(' ').next().unwrap()).collect();
    assert_eq!(codes, ["200", "404", "200"]);
}

#[test]
fn a_body_without_a_length_is_refused_and_the_connection_kept() {
    let scene = scene();
    let length = CALL.len();
    let chunked = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         {length:x}\r\n{CALL}\r\n0\r\n\r\n\
         POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{CALL}"
    );

    let text = until(&scene, chunked.as_bytes(), "</methodResponse>");

    assert!(text.starts_with("HTTP/1.1 411 "), "{text}");
    assert!(text.contains("HTTP/1.1 200 OK"), "{text}");
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let scene = scene();
    let length = CALL.len();
    let mut stream = scene.connect();
    let head = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );

    stream.write_all(head.as_bytes()).unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(CALL.as_bytes()).unwrap();

    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(heard(&text).status, 200);
}

#[test]
fn a_header_needs_no_blank_behind_its_colon() {
    let scene = scene();

    let answer = call(&scene, &format!("Content-Length:{}\r\n", CALL.len()), CALL);

    assert_eq!(answer.status, 200);
}

#[test]
fn lengths_that_are_none_are_refused() {
    let scene = scene();

    for lengths in [
        "Content-Length: -1\r\n",
        "Content-Length: 1e3\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
    ] {
        assert_eq!(call(&scene, lengths, "abc").status, 400, "{lengths}");
    }
    let chunk = call(&scene, "Transfer-Encoding: chunked\r\n", "fffffffffffffffff1\r\nabc");
    assert_eq!(chunk.status, 400);
}

#[test]
fn a_call_of_no_bytes_is_answered() {
    let scene = scene();

    // Supervisor waits for ever for the body that it has already.
    assert_eq!(call(&scene, "Content-Length: 0\r\n", "").status, 400);
}

#[test]
fn a_head_is_answered_without_a_body() {
    let scene = scene();

    let answer = scene.raw(b"HEAD /ok.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

    assert_eq!((answer.status, &*answer.body), (200, ""));
    assert_eq!(answer.header("Content-Length"), Some("2"));
}

#[test]
fn what_is_no_request_ends_the_connection() {
    let scene = scene();

    for bytes in [
        b"hello\r\n\r\n".as_slice(),
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nX\0Y: z\r\n\r\n",
    ] {
        let answer = scene.raw(bytes);
        assert!([0, 400].contains(&answer.status), "{bytes:?}: {answer:?}");
    }
    let headers = "A: b\r\n".repeat(500);
    assert_eq!(call(&scene, &headers, "").status, 431);
    assert_eq!(scene.http("GET", "/ok.html", "", "").status, 200);
}

#[test]
fn a_bad_request_line_is_answered() {
    let scene = scene();

    for bytes in [b"hello\r\n\r\n".as_slice(), b"GET\r\n\r\n", b"GET /ok.html\r\n\r\n"] {
        let answer = scene.raw(bytes);
        assert_eq!(answer.status, 400, "{bytes:?}: {answer:?}");
    }
}

#[test]
fn who_has_the_connection_closed_follows_a_log_without_chunks() {
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), "first\n").unwrap();

    let request = b"GET /logtail/p HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let text = until(&scene, request, "first\n");

    let answer = heard(&text);
    assert_eq!((answer.status, &*answer.body), (200, "first\n"));
    assert_eq!(answer.header("Transfer-Encoding"), None);
}

#[test]
fn a_log_that_is_not_there_or_not_asked_for_by_get_is_not_followed() {
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), "first\n").unwrap();
    let status = |method, path| scene.http(method, path, "", "").status;

    for path in ["/logtail/p", "/logtail/p/stdout", "/mainlogtail"] {
        assert_eq!(status("HEAD", path), 400, "{path}");
        assert_eq!(status("PUT", path), 400, "{path}");
    }
    assert_eq!(status("GET", "/logtail/p/stderr"), 404, "it has no file");
    assert_eq!(status("GET", "/logtail/q"), 404, "its file is not there");
    assert_eq!(status("GET", "/logtail/g:*"), 404);
}

#[test]
fn so_many_may_follow_a_log_that_others_can_ask_how_things_are() {
    let scene = scene();
    let request = b"GET /mainlogtail HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut followers = Vec::new();

    let refused = loop {
        let mut stream = scene.connect();
        stream.write_all(request).unwrap();
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap();
        let answer = heard(&String::from_utf8_lossy(&piece[..read]));
        if answer.status != 200 {
            break answer;
        }
        followers.push(stream);
    };

    assert_eq!((refused.status, followers.len()), (503, 128));
    assert_eq!(scene.http("GET", "/ok.html", "", "").status, 200);
}

#[test]
fn silent_connections_keep_nobody_out() {
    let scene = scene();
    let silent: Vec<_> = (0..600).map(|_| scene.connect()).collect();

    let answer = scene.http("GET", "/ok.html", "", "");

    assert_eq!(answer.status, 200);
    drop(silent);
}

#[test]
fn clients_that_never_stop_asking_keep_nobody_out() {
    let scene = scene();
    let request = b"GET /ok.html HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut busy: Vec<_> = (0..256).map(|_| scene.connect()).collect();

    for stream in &mut busy {
        stream.write_all(request).unwrap();
    }
    let answer = std::thread::scope(|scope| {
        let honest = scope.spawn(|| scene.http("GET", "/ok.html", "", ""));
        let mut piece = [0; 4096];
        while !honest.is_finished() {
            // Who has been shown out is content with that.
            busy.retain_mut(|stream| {
                stream.read(&mut piece).is_ok_and(|read| read > 0)
                    && stream.write_all(request).is_ok()
            });
        }
        honest.join().unwrap()
    });

    assert_eq!(answer.status, 200);
}

#[test]
fn a_call_that_a_page_elsewhere_sends_is_refused() {
    let scene = scene();
    let body = "<methodCall><methodName>supervisor.getPID</methodName></methodCall>";

    let foreign = scene.http("POST", "/RPC2", "Sec-Fetch-Site: cross-site\r\n", body);
    let elsewhere = scene.http("POST", "/RPC2", "Origin: http://evil.example\r\n", body);
    let script = scene.http("POST", "/RPC2", "", body);

    assert_eq!((foreign.status, elsewhere.status, script.status), (403, 403, 200));
}
