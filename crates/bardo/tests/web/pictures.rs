//! Every look of the page once. With `BARDO_SCREENSHOTS=FOLDER` they can be looked at.

use std::fmt::Write as _;

use crate::Scene;
use crate::browser::Browser;

/// Programs in many states.
const MANY: &str = "\
[program:api]\ncommand=/bin/sh -c 'i=0; while :; do i=$((i+1)); printf \"\\\\033[32mINFO\\\\033[0m  GET /orders/%%d \\\\033[1;33m200\\\\033[0m in 12 ms\\\\n\" $i; printf \"\\\\033[31mERROR\\\\033[0m upstream db-2 did not answer within 500 ms; trying \\\\033[36mdb-3\\\\033[0m instead\\\\n\"; [ $i -lt 30 ] || sleep 3; done'\nnumprocs=4\nprocess_name=%(program_name)s-%(process_num)d\nstartsecs=0\n
[program:cache]\ncommand=/bin/cat\nstartsecs=0\n
[program:mailer]\ncommand=/bin/cat\nstartsecs=0\nnumprocs=2\nprocess_name=queue-%(process_num)d\n
[program:nightly-backup]\ncommand=/bin/true\nstartsecs=0\nautorestart=false\n
[program:migrate]\ncommand=/bin/sh -c 'exit 3'\nstartsecs=0\nautorestart=false\n
[program:search]\ncommand=/usr/local/bin/opensearch --cluster prod\nstartretries=0\n
[program:thumbnails]\ncommand=/bin/cat\nautostart=false\n
[program:worker]\ncommand=/bin/cat\nstartsecs=3600\n";

#[test]
fn the_page_has_room_in_every_window() {
    let Some(mut browser) = Browser::start() else { return };
    let scene = Scene::open(MANY);
    browser.dark("light");
    scene.watch(&mut browser);
    browser.wait("document.querySelector('.badge.failed')");

    for (name, width, height) in [("desktop", 1280, 800), ("wide", 1680, 950), ("phone", 360, 740)]
    {
        browser.window(width, height);
        for colours in ["light", "dark"] {
            browser.dark(colours);
            fits(&mut browser, name);
            browser.picture(&format!("{name}-{colours}"));
            browser.click("tbody[data-group='api'] tr.process .button.log");
            browser.wait("document.querySelector('.log-box').textContent.includes('db-3')");
            fits(&mut browser, name);
            browser.picture(&format!("{name}-{colours}-log"));
            browser.press("Escape");
        }
    }
    browser.window(1280, 800);
    browser.click("tbody[data-group='api'] tr.group .button.log");
    browser.wait("document.querySelectorAll('.whose').length > 100");
    browser.picture("together");
    browser.press("Escape");
    browser.window(360, 740);
    browser.press("?");
    browser.picture("keys");
    browser.click("dialog[open] button");
    browser.click("tbody[data-group='search'] tr.process .button.start");
    browser.wait("document.querySelector('.toast.bad')");
    browser.picture("refusal");
    browser.window(1280, 800);
    for (name, path) in [("tail", "/tail.html?processname=cache"), ("docs", "/api/v1/docs")] {
        browser.go(&scene.address(path));
        fits(&mut browser, name);
        browser.picture(name);
    }
    browser.assert_content();
}

/// Nothing lies beyond the right edge.
fn fits(browser: &mut Browser, name: &str) {
    let beyond = browser.see("document.documentElement.scrollWidth - innerWidth");
    assert!(beyond.as_i64().is_some_and(|beyond| beyond <= 0), "{name}: {beyond}");
}

#[test]
fn a_thousand_processes_are_a_page_like_any_other() {
    let Some(mut browser) = Browser::start() else { return };
    let mut programs = String::new();
    for group in 0..50 {
        write!(
            programs,
            "[program:g{group}]\ncommand=/bin/cat\nautostart=false\nnumprocs=20\n\
             process_name=%(process_num)02d\n\n"
        )
        .unwrap();
    }
    let scene = Scene::open(&programs);
    scene.watch(&mut browser);

    assert_eq!(browser.see("document.querySelectorAll('tr.process').length"), 1000);
    browser.see("void (window.row = document.querySelector('tr.process'))");
    browser.click("tbody[data-group='g7'] .button.start");
    browser.wait("document.querySelector('.chip.running b').textContent === '20'");
    assert_eq!(browser.see("window.row.isConnected"), true, "rows are kept, not made anew");
    browser.assert_content();
}
