//! What is done to the server, attack by attack.

use super::crowd::Manner;

/// An attack.
#[derive(Debug, Clone)]
pub(super) struct Attack {
    /// What it is called.
    pub(super) name: &'static str,
    /// How its clients behave.
    pub(super) manner: Manner,
    /// How many they are.
    pub(super) clients: usize,
    /// Whether they come through the socket file, where the owner comes in too.
    pub(super) at_file: bool,
    /// Whether the supervisor has few descriptors meanwhile.
    pub(super) few_descriptors: bool,
}

/// Clients of an attack that is about what each of them does, not about their number.
const SOME: usize = 64;

/// A gigabyte.
const GIGABYTE: u64 = 1 << 30;

/// Levels of a value that is nested much too deeply.
const LEVELS: usize = 100_000;

/// Calls in one: the body is just below the longest that is taken.
const CALLS: usize = 30_000;

/// Calls in one that each ask for a whole log.
const LOGS: usize = 1_000;

/// All of them. `crowd` is the size of those that are about numbers; `shelf` is the name
/// of a program with a large log, and `talker` of one whose log grows.
pub(super) fn all(crowd: usize, shelf: &str, talker: &str) -> Vec<Attack> {
    let mut attacks = at_port(crowd, shelf, talker);
    attacks.extend(at_file(crowd, talker));
    attacks
}

fn attack(name: &'static str, clients: usize, manner: Manner) -> Attack {
    Attack { name, manner, clients, at_file: false, few_descriptors: false }
}

fn at_port(crowd: usize, shelf: &str, talker: &str) -> Vec<Attack> {
    let some = crowd.min(SOME);
    let read_log = call("supervisor.readProcessStdoutLog", &whole_log(shelf));
    vec![
        attack("silent connections", crowd, Manner::Silent),
        attack("busy connections", crowd, Manner::Ask(vec![get("/ok.html")])),
        attack("slow headers", crowd, slow_headers()),
        attack("slow bodies", crowd, slow_bodies()),
        attack("a gigabyte, announced", some, announced_gigabyte()),
        attack("a gigabyte in chunks", some, chunked_gigabyte()),
        attack("bodies that are no call", some, Manner::Ask(bad_bodies())),
        attack("requests that are none", some, Manner::Ask(bad_requests())),
        attack("many calls in one", some, Manner::Ask(bombs(shelf))),
        attack("slow readers of a large log", some, Manner::Sip(read_log.clone())),
        attack("many readers of a large log", some, Manner::Ask(vec![read_log])),
        attack("followers that do not read", crowd, followers(talker)),
        Attack {
            few_descriptors: true,
            ..attack("few descriptors", crowd, Manner::Ask(vec![get("/ok.html")]))
        },
    ]
}

/// Those that take something from the owner where he comes in too.
fn at_file(crowd: usize, talker: &str) -> Vec<Attack> {
    let some = crowd.min(SOME);
    let attacks = vec![
        attack("file: silent connections", crowd, Manner::Silent),
        attack("file: busy connections", crowd, Manner::Ask(vec![get("/ok.html")])),
        attack("file: slow headers", crowd, slow_headers()),
        attack("file: slow bodies", crowd, slow_bodies()),
        attack("file: gigabyte, announced", some, announced_gigabyte()),
        attack("file: gigabyte in chunks", some, chunked_gigabyte()),
        attack("file: followers", crowd, followers(talker)),
    ];
    attacks.into_iter().map(|attack| Attack { at_file: true, ..attack }).collect()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

fn slow_headers() -> Manner {
    Manner::Drip(b"GET / HTTP/1.1\r\n".to_vec(), b"X-Slow: slow\r\n".to_vec())
}

fn slow_bodies() -> Manner {
    Manner::Drip(post("Content-Length: 100000"), b"<".to_vec())
}

fn followers(talker: &str) -> Manner {
    Manner::Deaf(get(&format!("/logtail/{talker}")))
}

fn post(header: &str) -> Vec<u8> {
    format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n").into_bytes()
}

fn posted(body: &[u8]) -> Vec<u8> {
    [&post(&format!("Content-Length: {}", body.len())), body].concat()
}

fn call(method: &str, parameters: &str) -> Vec<u8> {
    let body = format!(
        "<methodCall><methodName>{method}</methodName><params>{parameters}</params></methodCall>"
    );
    posted(body.as_bytes())
}

fn whole_log(program: &str) -> String {
    let value = |value: &str| format!("<param><value>{value}</value></param>");
    value(program) + &value("<int>0</int>") + &value("<int>0</int>")
}

fn announced_gigabyte() -> Manner {
    Manner::Flood(post(&format!("Content-Length: {GIGABYTE}")), vec![b'x'; 64 << 10])
}

/// Chunks without end: nobody has said how much there will be.
fn chunked_gigabyte() -> Manner {
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    Manner::Flood(post("Transfer-Encoding: chunked"), chunk)
}

/// Bodies that are no XML, or no call, or no end.
fn bad_bodies() -> Vec<Vec<u8>> {
    let mut laughs = String::from("<!DOCTYPE l [<!ENTITY l0 \"ha\">");
    for level in 1..30 {
        let before = level - 1;
        laughs += &format!("<!ENTITY l{level} \"{}\">", format!("&l{before};").repeat(10));
    }
    laughs += "]><methodCall><methodName>&l29;</methodName></methodCall>";
    let deep = |name: &str| format!("<methodCall><params><param>{}", name.repeat(LEVELS));
    let names: String = (0..CALLS)
        .map(|number| format!("<member><name>{number}</name><value/></member>"))
        .collect();
    let begin = "<methodCall><methodName>supervisor.getState</methodName><params><param><value>";
    let texts = [
        "<methodCall><oops>".to_owned(),
        laughs,
        deep("<value><array><data>"),
        deep("<value><struct><member><value>"),
        "<".repeat(1 << 20),
        "&amp;".repeat(1 << 18),
        format!("{begin}<struct>{names}</struct></value></param></params></methodCall>"),
        format!("{begin}<int>{}</int></value></param></params></methodCall>", "9".repeat(1 << 20)),
        format!("{begin}<![CDATA[{}", "]".repeat(1 << 20)),
        format!("<!--{}", "-".repeat(1 << 20)),
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| posted(text.as_bytes())).collect();
    bodies.push(posted(&[0; 1 << 16]));
    bodies.push(posted(&[0xff; 1 << 16]));
    bodies
}

/// Bytes that are no request, or hardly one.
fn bad_requests() -> Vec<Vec<u8>> {
    let get = |headers: &str| format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n").into_bytes();
    vec![
        b"\r\n\r\n\r\n\r\n".to_vec(),
        vec![0; 4096],
        vec![0xff; 4096],
        b"GET\r\n\r\n".to_vec(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)).into_bytes(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "%00%ff%zz%".repeat(1000)).into_bytes(),
        format!("GET /logtail/{} HTTP/1.1\r\n\r\n", "../".repeat(1000)).into_bytes(),
        get(&format!("X: {}", "x".repeat(1 << 20))),
        get(&"X: y\r\n".repeat(100_000)),
        get(&format!("Authorization: Basic {}", "!".repeat(10_000))),
        post("Content-Length: -1"),
        post("Content-Length: 99999999999999999999999999"),
        post("Content-Length: 3\r\nContent-Length: 4"),
        post("Content-Length: 3\r\nTransfer-Encoding: chunked"),
        [post("Transfer-Encoding: chunked"), b"fffffffffffffffff\r\n".to_vec()].concat(),
        [post("Transfer-Encoding: chunked"), b"-1\r\n\r\n".to_vec()].concat(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(100),
    ]
}

/// Short requests whose answers would be large, or would take long.
fn bombs(shelf: &str) -> Vec<Vec<u8>> {
    let bomb = |method: &str, parameters: &str, calls: usize| {
        let one = format!(
            "<value><struct><member><name>methodName</name><value>{method}</value></member>\
             {parameters}</struct></value>"
        );
        let calls = one.repeat(calls);
        call(
            "system.multicall",
            &format!("<param><value><array><data>{calls}</data></array></value></param>"),
        )
    };
    let log = format!(
        "<member><name>params</name><value><array><data><value>{shelf}</value>\
         <value><int>0</int></value><value><int>0</int></value></data></array></value></member>"
    );
    vec![
        bomb("system.listMethods", "", CALLS),
        bomb("supervisor.getAllProcessInfo", "", CALLS),
        bomb("supervisor.getAllConfigInfo", "", CALLS),
        bomb("supervisor.readProcessStdoutLog", &log, LOGS),
        bomb("supervisor.tailProcessStdoutLog", &log, LOGS),
    ]
}

#[cfg(test)]
mod tests {
    use bardo_wire::xmlrpc::{REQUEST_BYTES_MAX, Request};

    use super::*;

    #[test]
    fn bombs_are_calls_that_the_server_takes() {
        for bomb in bombs("shelf") {
            let begin = bomb.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let body = &bomb[begin..];

            assert!(body.len() < REQUEST_BYTES_MAX, "{}", body.len());
            assert_eq!(Request::parse(body).unwrap().method, "system.multicall");
        }
    }

    #[test]
    fn what_is_no_call_is_none() {
        for request in bad_bodies() {
            let begin = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let body = &request[begin..];

            let is_call = Request::parse(body).is_ok();
            let is_honest = body.windows(8).any(|window| window == b"</struct");
            assert_eq!(is_call, is_honest, "{}", String::from_utf8_lossy(&body[..80]));
        }
    }
}
