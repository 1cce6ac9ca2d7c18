//! A supervisor that dies while the tool waits for its answer: what the tool asks of the
//! next one. The supervisors are played.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, channel};

use super::scene::{Output, tool};

/// What comes to a request.
#[derive(Clone)]
enum Act {
    /// The supervisor dies.
    Dies,
    /// It answers.
    Says(u16, String),
}

fn reply(errno: u8) -> Act {
    Act::Says(200, format!(r#"{{"errno":{errno},"message":null,"notes":[]}}"#))
}

fn service(state: &str, pid: u32) -> Act {
    let service =
        bardo::service::reply::Service { state: state.to_owned(), pid, ..Default::default() };
    Act::Says(200, serde_json::to_string(&service).unwrap())
}

fn gone() -> Act {
    let fault = r#"{"code":10,"name":"BAD_NAME","text":"BAD_NAME: x"}"#;
    Act::Says(404, format!(r#"{{"detail":"BAD_NAME: x","fault":{fault}}}"#))
}

/// A request's first line; nothing for a connection on which none came.
fn heard(stream: &UnixStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let words: Vec<&str> = first.split(' ').take(2).collect();
    Some(words.join(" "))
}

/// Plays supervisors, one after the other.
fn play(listener: UnixListener, acts: Vec<Act>) -> Receiver<String> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut acts = acts.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some(request) = heard(&stream) {
                tell.send(request).unwrap();
                let Some(Act::Says(status, body)) = acts.next() else { break };
                let head = format!("HTTP/1.1 {status} It is\r\nContent-Length: {}\r\n", body.len());
                stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
            }
        }
    });
    told
}

/// What comes of the words, and what was asked meanwhile.
fn ask(words: &[&str], acts: Vec<Act>) -> (Output, Vec<String>) {
    let room = tempfile::tempdir().unwrap();
    let socket = room.path().join("s.sock");
    let asked = play(UnixListener::bind(&socket).unwrap(), acts);
    let output = Output::of(tool().args(words).env("BARDO_SOCKET", &socket));
    (output, asked.try_iter().collect())
}

/// What is answered before something is brought up: by which rules, and that nobody has the
/// label.
fn before(acts: Vec<Act>) -> Vec<Act> {
    [vec![Act::Says(200, r#"{"minix":false}"#.to_owned()), gone()], acts].concat()
}

const RULES: &str = "GET /api/v1/rules";
const POST: &str = "POST /api/v1/service";
const GET: &str = "GET /api/v1/services/true";

#[test]
fn a_start_that_was_begun_is_waited_for() {
    let acts = vec![Act::Dies, service("STARTING", 7), service("RUNNING", 7)];

    let (output, asked) = ask(&["up", "/bin/true"], before(acts));

    output.ends_with(0);
    assert_eq!(asked, [RULES, GET, POST, GET, GET]);
}

#[test]
fn who_had_the_label_before_is_not_what_was_brought_up() {
    let other = || service("RUNNING", 7);
    let rules = Act::Says(200, r#"{"minix":false}"#.to_owned());

    let (output, asked) =
        ask(&["up", "/bin/true"], vec![rules, other(), Act::Dies, other(), reply(16)]);

    output.ends_with(16);
    assert_eq!(asked, [RULES, GET, POST, GET, POST]);
}

#[test]
fn a_start_that_was_begun_is_not_waited_for_where_nobody_wants_that() {
    let acts = vec![Act::Dies, service("STARTING", 7)];

    let (output, asked) = ask(&["-n", "up", "/bin/true"], before(acts));

    output.ends_with(0);
    assert_eq!(asked, [RULES, GET, POST, GET]);
}

#[test]
fn a_service_that_goes_while_it_is_initialised_has_died() {
    let acts = vec![Act::Dies, service("STARTING", 7), gone()];

    let (output, _) = ask(&["up", "/bin/true"], before(acts));

    output.ends_with(215);
}

#[test]
fn what_never_arrived_is_asked_again() {
    let acts = vec![Act::Dies, gone(), reply(16)];

    let (output, asked) = ask(&["up", "/bin/true"], before(acts));

    output.ends_with(16);
    assert_eq!(asked, [RULES, GET, POST, GET, POST]);
}

#[test]
fn what_was_brought_down_is_down() {
    let acts = vec![Act::Dies, service("STOPPING", 7), gone()];

    let (output, asked) = ask(&["down", "true"], acts);

    output.ends_with(0);
    assert_eq!(asked, [POST, GET, GET]);
}

#[test]
fn a_stop_that_was_not_begun_is_asked_for_again() {
    let acts = vec![Act::Dies, service("RUNNING", 7), reply(0)];

    let (output, asked) = ask(&["down", "true"], acts);

    output.ends_with(0);
    assert_eq!(asked, [POST, GET, POST]);
}

#[test]
fn a_crash_is_never_asked_for_twice() {
    let (output, asked) = ask(&["fi", "true"], vec![Act::Dies]);

    let output = output.ends_with(5);
    assert_eq!(asked, [POST]);
    assert!(output.stderr.contains("service list"), "{output:?}");
}

#[test]
fn who_listens_and_knows_nothing_of_services_is_told_of() {
    let nothing = Act::Says(404, r#"{"detail":"there is nothing","fault":null}"#.to_owned());

    let (output, _) = ask(&["up", "/bin/true"], vec![nothing; 3]);

    let output = output.ends_with(78);
    assert!(output.stderr.contains("knows nothing of services"), "{output:?}");
}
