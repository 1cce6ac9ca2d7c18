//! node-supervisord, a client for JavaScript.

use std::process::Command;

use serde_json::{Value as Json, json};

use crate::scene::{Scene, node_modules, on_path, said};

const SCRIPT: &str = r#"
const { SupervisordClient } = require("node-supervisord");
const client = new SupervisordClient(`http://127.0.0.1:${process.argv[1]}`);
(async () => {
  const all = async () => (await client.getAllProcessInfo()).map((one) => one.statename);
  const said = { version: await client.getSupervisorVersion(), before: await all() };
  said.stopped = await client.stopProcess("cat");
  said.after = await all();
  said.started = await client.startProcess("cat", true);
  said.signalled = await client.signalProcess("cat", "CONT");
  said.log = await client.readProcessStdoutLog("talk", 0, 100);
  said.config = (await client.getAllConfigInfo()).map((one) => one.name);
  said.fault = await client.startProcess("nobody").catch((error) => error.faultCode);
  said.methods = (await client.listMethods()).includes("supervisor.getState");
  console.log(JSON.stringify(said));
})();
"#;

#[test]
fn node_supervisord_steers_the_daemon() {
    let (Some(node), Some(modules)) = (on_path("node"), node_modules("node-supervisord")) else {
        return;
    };
    let scene = Scene::open(
        "clients-node",
        "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n\
         [program:talk]\ncommand=/bin/echo hello\nstartsecs=0\nautorestart=false\n",
    );
    scene.await_state("cat", "RUNNING");
    scene.await_state("talk", "EXITED");

    let mut command = Command::new(node);
    command.env("NODE_PATH", modules).arg("-e").arg(SCRIPT).arg(scene.port.to_string());
    let (text, code) = said(&mut command);

    assert_eq!(code, 0, "{text}");
    let json = text.lines().find(|line| line.starts_with('{')).unwrap_or(&text);
    let said: Json = serde_json::from_str(json).unwrap();
    let wanted = json!({
        "version": "4.3.0",
        "before": ["RUNNING", "EXITED"],
        "stopped": true,
        "after": ["STOPPED", "EXITED"],
        "started": true,
        "signalled": true,
        "log": "hello\n",
        "config": ["cat", "talk"],
        "fault": 10,
        "methods": true,
    });
    assert_eq!(said, wanted);
}
