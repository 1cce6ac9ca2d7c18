//! multivisor: a listener that offers the daemon's methods and events, and a web server
//! that asks it. (Its plugin for the server needs Python there, and is not needed.)

use std::fs;
use std::process::{Command, Stdio};

use bardo::selftest::home::Port;

use crate::scene::{Background, Scene, get, python};

#[test]
fn multivisor_shows_processes_and_what_becomes_of_them() {
    let (Some(listener), Some(web)) = (python("multivisor-rpc"), python("multivisor")) else {
        return;
    };
    let (own_port, own_web_port) = (Port::take().unwrap(), Port::take().unwrap());
    let (port, web_port) = (own_port.number(), own_web_port.number());
    let scene = Scene::open(
        "clients-multivisor",
        &format!(
            "[eventlistener:multivisor]\ncommand={} --bind 127.0.0.1:{port}\n\
             events=PROCESS_STATE,SUPERVISOR_STATE_CHANGE\nstderr_logfile=HERE/listener.log\n\
             [program:cat]\ncommand=/bin/cat\nstartsecs=0\n",
            listener.display()
        ),
    );
    scene.await_state("multivisor", "RUNNING");
    scene.await_state("cat", "RUNNING");
    let file = scene.home.file("multivisor.conf");
    let text = format!("[global]\nname=all\n[supervisor:here]\nurl=127.0.0.1:{port}\n");
    fs::write(&file, text).unwrap();
    let log = fs::File::create(scene.home.file("web.log")).unwrap();
    let _web = Background(
        Command::new(web)
            .arg("--bind")
            .arg(format!("127.0.0.1:{web_port}"))
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let state = || {
        let data: serde_json::Value = serde_json::from_str(&get(web_port, "/api/data")?).ok()?;
        let process = &data["supervisors"]["here"]["processes"]["here:cat:cat"];
        process["statename"].as_str().map(str::to_owned)
    };

    scene.wait_until("it shows a process", || state().as_deref() == Some("RUNNING"));
    scene.daemon.client().about("stopProcess", "cat").unwrap();
    scene.wait_until("it has heard of the stop", || state().as_deref() == Some("STOPPED"));
}
