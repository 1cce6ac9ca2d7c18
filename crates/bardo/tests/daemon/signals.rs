//! Signals that cannot be sent: what clients are told, and what becomes of the process.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bardo::selftest::client::CallError;
use bardo::selftest::{home, procfs};
use bardo_wire::xmlrpc::Value;

use crate::scene::{KILL, Scene, open_as_nobody};

/// What becomes another user, where it may.
const SETPRIV: &str = "/usr/bin/setpriv";

/// A program that has become root, which its supervisor is not.
const ROOTS: &str = "[program:p]\ncommand={here}/setpriv --reuid=0 /bin/sleep 1000\nstartsecs=0\n\
                     [program:q]\ncommand=/bin/cat\nstartsecs=0\nautostart=false\n";

/// A daemon with a program that it may not signal.
fn open() -> Option<Scene> {
    if !rustix::process::geteuid().is_root() || !Path::new(SETPRIV).exists() {
        return None;
    }
    let scene = open_as_nobody(ROOTS, |home| {
        let copy = home.file("setpriv");
        home::copy_executable(Path::new(SETPRIV), &copy).unwrap();
        fs::set_permissions(copy, fs::Permissions::from_mode(0o4755)).unwrap();
    })?;
    let pid = scene.until("p", "RUNNING").pid;
    scene.wait("p to be root's", || {
        procfs::status(pid, "Uid").is_some_and(|ids| ids.starts_with("0\t0\t"))
    });
    Some(scene)
}

fn fault<T: std::fmt::Debug>(answer: Result<T, CallError>) -> (i32, String) {
    match answer {
        Err(CallError::Fault(code, text)) => (code, text),
        other => panic!("{other:?}"),
    }
}

/// The fault of a client who is told that nothing is known of the process, and of one
/// for whom it could not be signalled.
fn failed(text: &str) -> (i32, String) {
    (30, format!("FAILED: {text}"))
}

#[test]
fn a_process_that_cannot_be_signalled_is_unknown() {
    let hang_up = [Value::from("p"), Value::from("HUP")];
    let asked: [(&str, &[Value], &str); 3] = [
        ("signalProcess", &hang_up, "sending sig"),
        ("stopProcess", &[Value::from("p")], "killing"),
        ("stopProcess", &[Value::from("p"), Value::from(false)], "killing"),
    ];
    for (method, parameters, what) in asked {
        let Some(scene) = open() else {
            return eprintln!("skipped: there is no process that cannot be signalled");
        };
        let client = scene.client();
        let pid = client.info("p").unwrap().pid;

        let answer = fault(client.call(&format!("supervisor.{method}"), parameters));

        let words = format!("unknown problem {what} p ({pid}): [Errno 1] Operation not permitted");
        assert_eq!(answer, failed(&words));
        scene.await_log(&format!("CRIT {words}\n"));
        let info = client.info("p").unwrap();
        assert_eq!((&*info.state, info.pid), ("UNKNOWN", pid));
        assert_eq!(
            fault(client.about("startProcess", "p")),
            failed("p is in an unknown process state")
        );
        assert_eq!(fault(client.about("stopProcess", "p")).0, 70);
        let all = client.call("supervisor.startAllProcesses", &[]).unwrap();
        let codes: Vec<_> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row.member("name").and_then(Value::as_str), row.member("status").cloned()))
            .collect();
        let expected = [(Some("p"), Some(Value::Int(30))), (Some("q"), Some(Value::Int(80)))];
        assert_eq!(codes, expected);
        home::send(pid, KILL).unwrap();
        scene.until("p", "STOPPED");
    }
}
