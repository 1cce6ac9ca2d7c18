//! The extensions that are built in, against what the real ones have answered
//! (`extensions/answers.json`, recorded by `extensions/record.py`).

use std::path::Path;

use bardo::selftest::client::CallError;
use bardo::selftest::home::{Daemon, Home, wait_until};
use bardo_wire::xmlrpc::Value;
use serde_json::{Value as Json, json};

/// A daemon with all extensions, and where it lives. The daemon goes first when they are
/// dropped.
struct Extended {
    daemon: Daemon,
    home: Home,
}

impl Extended {
    fn new(name: &str) -> Self {
        let home = Home::new(name).unwrap();
        let text = include_str!("extensions/extensions.conf");
        std::fs::write(home.file("supervisord.conf"), text).unwrap();
        let daemon = Daemon::start(Path::new(env!("CARGO_BIN_EXE_bardo")), &home).unwrap();
        Self { home, daemon }
    }

    /// What a call comes to, as the recording has it.
    fn said(&self, method: &str, parameters: &Json) -> Json {
        if method == "@" {
            let text = |place: usize| parameters[place].as_str().unwrap().to_owned();
            self.await_state(&text(0), &text(1));
            return json!({"result": true});
        }
        let parameters: Vec<Value> = parameters.as_array().unwrap().iter().map(value).collect();
        match self.daemon.client().call(method, &parameters) {
            Ok(result) => json!({"result": plain(&result)}),
            Err(CallError::Fault(code, text)) => {
                let here = self.home.path().display().to_string();
                json!({"fault": [code, text.replace(&here, "HERE")]})
            }
            Err(error) => panic!("{method}: {error}"),
        }
    }

    fn result(&self, method: &str, parameters: &Json) -> Json {
        self.said(method, parameters)["result"].clone()
    }

    fn await_state(&self, name: &str, state: &str) {
        let is_there = || self.daemon.client().info(name).is_ok_and(|info| info.state == state);
        wait_until(&format!("{name} is {state}"), is_there).unwrap();
    }

    /// Ends the supervisor and waits for the next one.
    fn cut_off(&self) {
        let before = self.daemon.kill_supervisor().unwrap();
        let another = || self.daemon.supervisor().is_some_and(|there| there.pid != before);
        wait_until("there is another supervisor", another).unwrap();
        let answers = || self.daemon.client().state().is_ok();
        wait_until("it answers", answers).unwrap();
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Double(number.as_f64().unwrap()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(values) => Value::Array(values.iter().map(value).collect()),
        Json::Object(members) => Value::Struct(
            members.iter().map(|(name, member)| (name.clone().into(), value(member))).collect(),
        ),
        Json::Null => panic!("XML-RPC has no null"),
    }
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Int(number) => json!(number),
        Value::Boolean(truth) => json!(truth),
        Value::Double(number) => json!(number),
        Value::String(text) | Value::DateTime(text) => json!(text),
        Value::Array(values) => Json::Array(values.iter().map(plain).collect()),
        Value::Struct(members) => Json::Object(
            members.iter().map(|(name, member)| (name.to_string(), plain(member))).collect(),
        ),
    }
}

#[test]
fn every_call_is_answered_as_by_the_real_extensions() {
    let scene = Extended::new("extensions");
    let rows: Vec<Json> = serde_json::from_str(include_str!("extensions/answers.json")).unwrap();

    let mut different = Vec::new();
    for row in &rows {
        let (method, parameters) = (row["call"][0].as_str().unwrap(), &row["call"][1]);
        let said = scene.said(method, parameters);
        let wanted = match (&row["ours"], &row["result"], &row["fault"]) {
            (Json::Null, Json::Null, fault) => json!({"fault": fault}),
            (Json::Null, result, _) => json!({"result": result}),
            (ours, ..) => ours.clone(),
        };
        if said != wanted {
            different.push(format!("{method} {parameters}: {said} and should be {wanted}"));
        }
    }

    assert!(rows.len() > 100);
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_method_is_listed_and_described() {
    let scene = Extended::new("extension-methods");

    let methods = scene.result("system.listMethods", &json!([]));

    let names: Vec<&str> =
        methods.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let of = |prefix: &str| names.iter().filter(|name| name.starts_with(prefix)).count();
    let counts = ["cache.", "laforge.", "limited.", "supervisor.", "system.", "twiddler."].map(of);
    assert_eq!(counts, [7, 4, 5, 37, 4, 5]);
    assert_eq!(names.len(), counts.iter().sum::<usize>());
    for name in names {
        let help = scene.result("system.methodHelp", &json!([name]));
        assert!(help.as_str().is_some_and(|help| help.ends_with('.')), "{name}: {help}");
    }
}

#[test]
fn what_was_twiddled_and_stored_outlives_a_supervisor() {
    let scene = Extended::new("extensions-cut-off");
    let program = json!({"command": "/bin/cat", "startsecs": "0"});
    scene.await_state("web:cat", "RUNNING");
    for (method, parameters) in [
        ("twiddler.addProgramToGroup", json!(["web", "guest", program])),
        ("supervisor.stopProcess", json!(["web:cat"])),
        ("twiddler.removeProcessFromGroup", json!(["web", "cat"])),
    ] {
        assert_eq!(scene.result(method, &parameters), json!(true), "{method}");
    }
    scene.result("cache.store", &json!(["k", {"a": [1, "ü"]}]));
    scene.await_state("web:guest", "RUNNING");
    let pid = scene.daemon.client().info("web:guest").unwrap().pid;

    scene.cut_off();

    assert_eq!(scene.daemon.client().info("web:guest").unwrap().pid, pid);
    let gone = json!({"fault": [10, "BAD_NAME: web:cat"]});
    assert_eq!(scene.said("supervisor.getProcessInfo", &json!(["web:cat"])), gone);
    assert_eq!(scene.result("cache.fetch", &json!(["k"])), json!({"a": [1, "ü"]}));
    let shown = scene.result("supervisor.getAllConfigInfo", &json!([]));
    let names: Vec<&Json> = shown.as_array().unwrap().iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["down", "guest"]);
}

#[test]
fn a_restart_begins_with_the_file_and_an_empty_cache() {
    let scene = Extended::new("extensions-restart");
    scene.result("twiddler.addProgramToGroup", &json!(["web", "guest", {"command": "/bin/cat"}]));
    scene.result("cache.store", &json!(["k", "v"]));
    scene.await_state("web:cat", "RUNNING");

    scene.result("supervisor.restart", &json!([]));

    let gone = || scene.daemon.client().info("web:guest").is_err();
    wait_until("the guest is gone", gone).unwrap();
    scene.await_state("web:cat", "RUNNING");
    assert_eq!(scene.result("cache.getCount", &json!([])), json!(0));
}

#[test]
fn no_more_is_stored_than_there_is_room_for() {
    let scene = Extended::new("extensions-full");
    let half = "x".repeat(600 << 10);
    assert_eq!(scene.result("cache.store", &json!(["a", half])), json!(true));

    let refused = scene.said("cache.store", &json!(["b", half]));

    let text = "FAILED: no more than 1048576 bytes are stored; delete something first";
    assert_eq!(refused, json!({"fault": [30, text]}));
    assert_eq!(scene.result("cache.store", &json!(["a", "y"])), json!(true));
    assert_eq!(scene.result("cache.store", &json!(["b", half])), json!(true));
    assert_eq!(scene.result("cache.fetch", &json!(["b"])), json!(half));
}

#[test]
fn a_clients_line_is_in_the_main_log_at_its_level() {
    let scene = Extended::new("extensions-log");

    for (text, level) in [("one", "WARN"), ("two", "DEBG"), ("50% of %s", "CRIT")] {
        scene.result("twiddler.log", &json!([text, level]));
    }

    // It was the last one.
    let is_there = || scene.home.main_log().contains(" CRIT 50% of %s\n");
    wait_until("the line is in the log", is_there).unwrap();
    let log = scene.home.main_log();
    assert!(log.contains(" WARN one\n"), "{log}");
    assert!(!log.contains("two"), "its level is not logged: {log}");
}

/// What `supervisorctl` says with the plugins that the file names, and its exit code.
fn control(scene: &Extended, words: &[&str]) -> (String, i32) {
    let file = scene.home.file("ctl.conf");
    let socket = scene.home.file("s.sock");
    let text = format!(
        "[supervisorctl]\nserverurl=unix://{}\n\
         [ctlplugin:cache]\nsupervisor.ctl_factory=\
         supervisor_cache.controllerplugin:make_cache_controllerplugin\n\
         [ctlplugin:laforge]\nsupervisor.ctl_factory=\
         mr.laforge.controllerplugin:make_laforge_controllerplugin\n",
        socket.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bardo"));
    let output = command.arg("supervisorctl").arg("-c").arg(file).args(words).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

#[test]
fn the_tools_plugins_say_what_the_real_ones_say() {
    let scene = Extended::new("extension-plugins");
    scene.await_state("web:cat", "RUNNING");
    let store = "cache_store <key> <value>\tStore <value> in the cache at <key>.\n";
    let spoilt = "error: <class 'xmlrpc.client.Fault'>, <Fault 10: 'BAD_NAME'>: file: bardo \
                  line: 0\n";

    for (line, said, code) in [
        ("cache_keys", "[]\n", 0),
        ("cache_store a", store, 0),
        ("cache_store a 'b c'", "", 0),
        ("cache_fetch a", "'b c'\n", 0),
        ("cache_keys", "['a']\n", 0),
        ("cache_fetch b", spoilt, 1),
        ("cache_count x", "cache_count\tGet a count of all items in the cache.\n", 0),
        ("cache_count", "1\n", 0),
        ("cache_delete a", "", 0),
        ("cache_clear", "", 0),
        ("cache_count", "0\n", 0),
        ("help cache_store", store, 0),
        (
            "kill CONT web:cat web:down nope",
            "web:cat: signal sent\nweb:down: ERROR (not running)\nnope: ERROR (no such process)\n",
            0,
        ),
        ("kill NOPE web:cat", "web:cat: ERROR (signal not defined)\n", 0),
        ("kill CONT web:*", "cat: signal sent\n", 0),
    ] {
        assert_eq!(control(&scene, &[line]), (said.to_owned(), code), "{line}");
    }
}

#[test]
fn a_factory_that_is_not_built_in_is_refused_as_one_that_is_not_installed() {
    let home = Home::new("extensions-unknown").unwrap();
    let section = "[rpcinterface:x]\nsupervisor.rpcinterface_factory=some.package:make\n";
    home.configure("", section).unwrap();

    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bardo"))
        .args(["supervisord", "-n", "-c"])
        .arg(home.file("supervisord.conf"))
        .output()
        .unwrap();

    let said = String::from_utf8(output.stderr).unwrap();
    let wanted = "Error: some.package:make cannot be resolved within [rpcinterface:x]\n";
    assert!(said.starts_with(wanted), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

/// Sends back what it is told, as the listener of supervisor_stdout does.
const ECHO: &str = r#"
while :; do
  printf 'READY\n'
  read -r header || exit
  data=$(head -c "${header##*len:}"; printf x)
  data=${data%x}
  printf 'RESULT %d\n%s' "${#data}" "$data"
done
"#;

/// Answers every event with something for the standard input of its process.
const TYPIST: &str = r#"
while :; do
  printf 'READY\n'
  read -r header || exit
  head -c "${header##*len:}" >/dev/null
  printf 'RESULT 12\nSTDIN:typed\n'
done
"#;

#[test]
fn what_listeners_send_back_is_shown_as_the_handlers_of_packages_do() {
    let home = Home::new("extensions-handlers").unwrap();
    std::fs::write(home.file("echo.sh"), ECHO).unwrap();
    let echo = format!("/bin/sh {}", home.file("echo.sh").display());
    std::fs::write(home.file("typist.sh"), TYPIST).unwrap();
    let typist = format!("/bin/sh {}", home.file("typist.sh").display());
    let programs = format!(
        "[eventlistener:typist]\ncommand={typist}\nevents=PROCESS_LOG_STDERR\n\
         result_handler=supervisor_twiddler.resulthandler:stdin_write_handler\n\
         [program:asks]\ncommand=/bin/sh -c \"echo who? >&2; exec cat\"\nstartsecs=0\n\
         stdout_events_enabled=true\nstderr_events_enabled=true\n\
         [eventlistener:plain]\ncommand={echo}\nevents=PROCESS_LOG_STDOUT\n\
         result_handler=supervisor_stdout:event_handler\n\
         [eventlistener:stamped]\ncommand={echo}\nevents=PROCESS_LOG_STDERR\n\
         result_handler=supervisor_console.events:event_handler\n\
         [program:talk]\ncommand=/bin/sh -c \"echo hello; echo alas >&2\"\nautorestart=false\n\
         startsecs=0\nstdout_events_enabled=true\nstderr_events_enabled=true\n"
    );
    home.configure("silent=true", &programs).unwrap();

    let _daemon = Daemon::start(Path::new(env!("CARGO_BIN_EXE_bardo")), &home).unwrap();

    let shown = || std::fs::read_to_string(home.file("console")).unwrap_or_default();
    let all = || {
        let shown = shown();
        let lines = ["talk stdout | hello\n", " | alas\n", "asks stdout | typed\n"];
        lines.iter().all(|line| shown.contains(line))
    };
    if let Err(error) = wait_until("all lines are shown", all) {
        panic!("{error}: {}\n{}", shown(), home.main_log());
    }
    assert!(!shown().contains(" INFO "), "silent: the main log is not shown: {}", shown());
}
