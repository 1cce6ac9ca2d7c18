//! The listeners of `supervisor_checks`.

use bardo::selftest::home::Port;

use crate::scene::{Scene, python};

#[test]
fn a_check_that_fails_starts_its_process_again() {
    let Some(tool) = python("supervisor_http_check") else { return };
    let nobodys = Port::take().unwrap();
    let scene = Scene::open(
        "clients-checks",
        &format!(
            "[eventlistener:check]\n\
             command={} -n web -g web -u / -p {} -t 1 -r 1\nevents=TICK_5\n\
             stderr_logfile=HERE/check.log\n\
             [program:cat]\ncommand=/bin/cat\nstartsecs=0\n[group:web]\nprograms=cat\n",
            tool.display(),
            nobodys.number()
        ),
    );
    scene.await_state("web:cat", "RUNNING");

    scene.await_another("web:cat", scene.pid("web:cat"));

    let says_why = || scene.read("check.log").contains("check failed for process cat");
    scene.wait_until("it says why", says_why);
}
