//! A browser that runs no scripts.

use serde_json::json;

use crate::browser::Browser;
use crate::{CAST, Scene};

#[test]
fn links_work_without_a_script() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    browser.ask("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.go(&scene.address("/"));

    browser.picture("plain");
    assert_eq!(browser.see("document.querySelectorAll('tbody tr').length"), 4);
    browser.see("document.querySelector('a[href*=\"processname=cat&action=stop\"]').click()");

    scene.wait("the cat to be stopped", || scene.info("cat").state == "STOPPED");
}

#[test]
fn the_tail_page_goes_on_by_itself() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(CAST);
    let log = scene.info("cat").stdout_log;
    std::fs::write(&log, "before\n").unwrap();

    browser.go(&scene.address("/tail.html?processname=cat"));
    browser.wait("document.querySelector('.log-box')?.textContent.includes('before')");
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut file, b"after\n").unwrap();

    browser.wait("document.querySelector('.log-box').textContent.includes('after')");
    browser.assert_content();
}
