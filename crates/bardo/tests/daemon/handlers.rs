//! Results that are more than `OK`: the handlers of packages that many files name.

use std::fs;

use bardo::selftest::home::write_executable;
use bardo_wire::xmlrpc::Value;

use crate::scene::{Scene, open_with};

/// A listener that answers each event with what `$1` makes of its payload.
const LISTENER: &str = r#"#!/bin/sh
while echo READY && read -r header; do
  payload=$(head -c "${header##*len:}"; echo .)
  payload=${payload%.}
  eval "answer=$1"
  printf 'RESULT %d\n%s' "${#answer}" "$answer"
done
"#;

/// A daemon whose standard output goes to the file `out`, with this listener.
fn open(listener: &str) -> Scene {
    let programs = format!(
        "[program:hello]\ncommand=/bin/sh -c 'echo hello; exec cat'\nautostart=false\nstartsecs=0\n\
         stdout_events_enabled=true\n[eventlistener:l]\nstartsecs=0\n{listener}\n"
    );
    let scene = open_with("", &programs, |command| {
        let here = command.get_args().last().unwrap().to_owned();
        let here = std::path::Path::new(&here).parent().unwrap().to_owned();
        let script = here.join("listener");
        write_executable(&script, LISTENER.as_bytes()).unwrap();
        command.stdout(fs::File::create(here.join("out")).unwrap());
    });
    scene.until("l", "RUNNING");
    scene
}

#[test]
fn what_programs_write_comes_out_of_the_supervisor() {
    let scene = open(
        "command={here}/listener \\$payload\nevents=PROCESS_LOG\n\
         result_handler=supervisor_stdout:event_handler",
    );

    scene.client().call("supervisor.startProcess", &["hello".into()]).unwrap();

    let out = || fs::read_to_string(scene.home.file("out")).unwrap();
    scene.wait("the line on standard output", || out().contains("hello stdout | hello\n"));
}

#[test]
fn a_result_can_be_written_to_the_process_that_its_event_is_about() {
    let scene = open(
        "command={here}/listener STDIN:answer\nevents=PROCESS_LOG\n\
         result_handler=supervisor_twiddler.resulthandler:stdin_write_handler",
    );

    scene.client().call("supervisor.startProcess", &["hello".into()]).unwrap();

    let log = || {
        let tail = ["hello".into(), Value::Int(0), Value::Int(100)];
        scene.client().call("supervisor.readProcessStdoutLog", &tail)
    };
    scene.wait("the answer in its log", || {
        log().is_ok_and(|text| matches!(text, Value::String(text) if text.contains("answer")))
    });
}

#[test]
fn a_result_that_its_handler_cannot_read_ends_the_listener() {
    let scene = open(
        "command={here}/listener OK\nevents=PROCESS_LOG\n\
         result_handler=supervisor_stdout:event_handler",
    );

    scene.client().call("supervisor.startProcess", &["hello".into()]).unwrap();

    scene.await_log("l: event caused an error");
    scene.await_log("l: has entered the UNKNOWN state");
}
