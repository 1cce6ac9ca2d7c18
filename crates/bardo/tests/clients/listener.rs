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

#[test]
fn supervisor_console_shows_what_programs_write() {
    let (Some(interpreter), Some(_)) = (python("python"), python("supervisor-console")) else {
        return;
    };
    let scene = Scene::open(
        "clients-console",
        &format!(
            "[eventlistener:console]\ncommand={} -m supervisor_console\nbuffer_size=100\n\
             events=PROCESS_LOG\nresult_handler=supervisor_console.events:event_handler\n\
             [program:talk]\ncommand=/bin/sh -c \"echo hello; echo alas >&2\"\n\
             autorestart=false\nstartsecs=0\n\
             stdout_events_enabled=true\nstderr_events_enabled=true\n",
            interpreter.display()
        ),
    );

    let shown = |line: &str| {
        let console = scene.read("console");
        console.lines().any(|said| said.starts_with("talk | 2") && said.ends_with(line))
    };
    scene.wait_until("both lines are shown", || shown(" | hello") && shown(" | alas"));
}
