//! What happens is seen without a reload, and what is pressed happens.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use bardo::selftest::home;

use crate::browser::Browser;
use crate::{CAST, Scene, row, says};

#[test]
fn a_crash_is_seen_without_a_reload() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    scene.watch(&mut browser);
    let pid = scene.info("cat").pid;
    browser.wait(&says("cat", ".pid", &pid.to_string()));

    home::send(pid, 9).unwrap();

    scene.wait("another cat", || ![0, pid].contains(&scene.info("cat").pid));
    browser.wait(&says("cat", ".pid", &scene.info("cat").pid.to_string()));
    assert_eq!(browser.see("window.same_page"), true);
    browser.assert_content();
}

#[test]
fn processes_and_groups_are_stopped_and_started_by_their_buttons() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    scene.watch(&mut browser);

    browser.click(&row("cat", ".button.stop"));
    browser.wait(&says("cat", ".badge", "stopped"));
    assert_eq!(scene.info("cat").state, "STOPPED");
    browser.click(&row("cat", ".button.start"));
    browser.wait(&says("cat", ".badge", "running"));
    let pid = scene.info("cat").pid;
    browser.click(&row("cat", ".button.restart"));
    browser.wait(&format!("{} && {}", says("cat", ".badge", "running"), not_pid(pid)));

    browser.click("tbody[data-group='pair'] tr.group .button.stop");
    browser.wait(&says("pair", ".badge", "stopped"));
    browser.wait("document.querySelector(\"tbody[data-group='pair'] .count\").textContent === '0 of 2 running'");
    browser.click(".deeds.all .button.start");
    browser.wait(&says("pair", ".badge", "running"));
    browser.assert_content();
}

fn not_pid(pid: u32) -> String {
    format!("!({})", says("cat", ".pid", &pid.to_string()))
}

#[test]
fn all_are_stopped_only_by_somebody_who_is_sure() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    scene.watch(&mut browser);

    browser.click(".deeds.all .button.stop");
    browser.click("dialog[open] button[value=no]");
    browser.click(".deeds.all .button.stop");
    assert_eq!(scene.info("cat").state, "RUNNING");
    browser.click("dialog[open] button[value=yes]");

    browser.wait(&says("cat", ".badge", "stopped"));
    browser.wait(&says("pair", ".badge", "stopped"));
}

#[test]
fn what_is_not_done_is_told_with_what_to_do() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    scene.watch(&mut browser);

    browser.click(&row("bad", ".button.start"));

    browser.wait("document.querySelector('.toast.bad')");
    let said = browser.see("document.querySelector('.toast.bad').textContent");
    let said = said.as_str().unwrap();
    assert!(said.contains("Start bad") && said.contains("NO_FILE"), "{said}");
    assert!(said.contains("What to do"), "{said}");
}

#[test]
fn a_log_is_followed_and_cleared() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    scene.watch(&mut browser);
    let info = scene.info("cat");
    let shows =
        |text: &str| format!("document.querySelector('.log-box').textContent.includes({text:?})");

    browser.click(&row("cat", ".button.log"));
    for text in ["first <b>line</b>", "\\u001b[31mred\\u001b[0m"] {
        let fields = format!(
            "{{method: 'POST', body: '{{\"chars\": \"{text}\\\\n\"}}', \
             headers: {{'Content-Type': 'application/json'}}}}"
        );
        browser.see(&format!(
            "fetch('api/v1/processes/cat/stdin', {}).then((answer) => answer.status)",
            fields.replace("\\u", "\\\\u")
        ));
    }

    browser.wait(&shows("first <b>line</b>"));
    browser.wait("document.querySelector('.log-box .ink-1')?.textContent === 'red'");
    assert_eq!(browser.see("document.querySelector('.log-box b')"), serde_json::Value::Null);

    browser.click(".drawer .button.clear");
    scene.wait("the log to be empty", || {
        std::fs::metadata(&info.stdout_log).is_ok_and(|there| there.len() == 0)
    });
    assert_eq!(browser.see("window.same_page"), true);
    browser.assert_content();
}

#[test]
fn keys_do_what_buttons_do() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    scene.watch(&mut browser);

    browser.press("/");
    browser.wait("document.activeElement.type === 'search'");
    for key in ["c", "a", "t"] {
        browser.press(key);
    }
    browser.wait("document.querySelector(\"tbody[data-group='pair']\").hidden");
    browser.press("Enter");
    browser.press("x");
    browser.wait(&says("cat", ".badge", "stopped"));
    browser.press("s");
    browser.wait(&says("cat", ".badge", "running"));
    browser.press("l");
    browser.wait("!document.querySelector('.drawer').hidden");
    browser.press("Escape");
    browser.wait("document.querySelector('.drawer').hidden");
    browser.press("Escape");
    browser.wait("!document.querySelector(\"tbody[data-group='pair']\").hidden");
    browser.assert_content();
}

#[test]
fn a_page_of_another_server_stops_nothing() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    let pid = scene.info("cat").pid;
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", elsewhere.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in elsewhere.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\
                        Connection: close\r\n\r\nevil";
            let _ = stream.write_all(page.as_bytes());
        }
    });

    browser.go(&address);
    for (path, method) in [
        ("/api/v1/processes/stop", "POST"),
        ("/index.html?action=stopall", "POST"),
        ("/index.html?processname=cat&action=stop", "GET"),
    ] {
        let target = scene.address(path);
        browser.see(&format!(
            "fetch('{target}', {{method: '{method}', mode: 'no-cors'}}).then(() => 1)"
        ));
    }

    assert_eq!(scene.info("cat").pid, pid);
    let read = browser.see(&format!(
        "fetch('{}').then(() => 'read', () => 'refused')",
        scene.address("/api/v1/processes")
    ));
    assert_eq!(read, "refused");
}

#[test]
fn the_supervisor_itself_is_restarted_where_somebody_starts_it_again() {
    let Some(mut browser) = Browser::start() else { return };
    let button = ".set button[aria-label='Restart the supervisor itself']";
    let scene = Scene::open(CAST);
    scene.watch(&mut browser);
    assert_eq!(browser.see(&format!("document.querySelector(\"{button}\") === null")), true);

    let mut scene = scene.run_instead();
    scene.watch(&mut browser);
    browser.click(button);
    browser.click("dialog[open] button[value=yes]");

    assert_eq!(scene.daemon.wait().unwrap().code(), Some(1));
}

#[test]
fn a_page_outlives_the_supervisor() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    scene.watch(&mut browser);

    scene.daemon.kill_supervisor().unwrap();
    scene.wait("the cat to be known again", || {
        scene.daemon.client().infos().is_ok_and(|infos| !infos.is_empty())
    });
    browser.click(&row("cat", ".button.stop"));

    browser.wait(&says("cat", ".badge", "stopped"));
    browser.wait("document.querySelector('.line.is-live')");
    // It says why, too.
    browser.wait("document.querySelector('.troubles:not([hidden]) li').textContent.includes('terminated by SIGKILL')");
    assert_eq!(browser.see("window.same_page"), true);
    browser.assert_content();
}

#[test]
fn a_page_behind_a_password_is_alive_too() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open_with("username=user\npassword=123", CAST);

    browser.go(&scene.address("/").replace("http://", "http://user:123@"));
    browser.wait("document.querySelector('.line.is-live')");
    browser.click(&row("cat", ".button.stop"));

    browser.wait(&says("cat", ".badge", "stopped"));
    browser.assert_content();
}

#[test]
fn the_end_is_seen_and_said() {
    let Some(mut browser) = Browser::start() else { return };
    // It heeds no signal, and ends when it is killed.
    let mut scene = Scene::open(
        "[program:slow]\ncommand=/bin/sh -c 'trap \"\" TERM; echo deaf; while :; do sleep 0.1; done'\n\
         startsecs=0\nstopwaitsecs=3600\n",
    );
    scene.watch(&mut browser);
    let slow = scene.info("slow");
    scene.wait("it to heed no signal", || {
        std::fs::read_to_string(&slow.stdout_log).is_ok_and(|said| said == "deaf\n")
    });

    scene.daemon.signal_keeper(15).unwrap();
    browser.wait("document.querySelector('.line').textContent === 'shutting down'");
    home::send(slow.pid, 9).unwrap();
    scene.daemon.wait().unwrap();

    browser.wait("document.querySelector('.line').textContent === 'connection lost'");
    browser.picture("lost");
    assert_eq!(browser.see("window.same_page"), true);
}
