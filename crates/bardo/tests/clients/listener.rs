//! A listener that is made with Supervisor's own childutils.

use std::fs;

use crate::scene::{Scene, python};

/// Writes down what it is told, rejects its first event, and asks the daemon about the
/// process of each.
const LISTENER: &str = r#"
import os, sys
from supervisor import childutils

rejected = False
while True:
    headers, payload = childutils.listener.wait()
    if not rejected:
        rejected = True
        childutils.listener.fail()
        continue
    fields, data = childutils.eventdata(payload + "\n")
    rpc = childutils.getRPCInterface(os.environ)
    state = rpc.supervisor.getProcessInfo(fields["processname"])["statename"]
    with open(sys.argv[1], "a") as file:
        words = [headers[name] for name in ("ver", "server", "pool", "eventname")]
        if headers["eventname"].startswith("PROCESS_STATE"):
            words.append(state)
        file.write(" ".join(words + [fields["processname"], data.strip()]).strip() + "\n")
    childutils.listener.ok()
"#;

#[test]
fn childutils_hears_events_and_asks_the_daemon() {
    let Some(interpreter) = python("python") else { return };
    let scene = Scene::open(
        "clients-childutils",
        &format!(
            "[eventlistener:ear]\ncommand={} HERE/ear.py HERE/heard\n\
             events=PROCESS_STATE_EXITED,PROCESS_LOG_STDOUT\nautostart=false\n\
             [program:talk]\ncommand=/bin/echo hello\nautostart=false\nautorestart=false\n\
             startsecs=0\nstdout_events_enabled=true\n",
            interpreter.display()
        ),
    );
    fs::write(scene.home.file("ear.py"), LISTENER).unwrap();
    scene.daemon.client().about("startProcess", "ear").unwrap();

    scene.daemon.client().about("startProcess", "talk").unwrap();

    let all = || scene.read("heard").lines().count() == 2;
    scene.wait_until("both events were heard", all);
    let heard = scene.read("heard");
    let mut lines: Vec<&str> = heard.lines().collect();
    lines.sort_unstable();
    let log = "3.0 supervisor ear PROCESS_LOG_STDOUT talk hello";
    assert_eq!(lines, [log, "3.0 supervisor ear PROCESS_STATE_EXITED EXITED talk"]);
}
