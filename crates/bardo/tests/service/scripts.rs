//! Recovery scripts, and what is run once: rows 32 to 35.

use std::fs;
use std::time::{Duration, Instant};

use bardo::selftest::home::stays;

use super::programs::{KILL, is_after};
use super::scene::{Scene, executable, scene, send};

/// A script that writes down what it is told, and decides nothing.
const NOTES: &str = "echo \"$@\" >>{here}/script.log";

impl Scene {
    /// A script that writes down what it is told and does this.
    fn recovery(&self, then: &str) -> String {
        let tool = executable().display();
        let then = then.replace("service", &format!("'{tool}' service"));
        self.program("recovery.sh", &format!("{NOTES}\n{then}"))
    }

    /// What the scripts were told.
    fn told(&self) -> Vec<String> {
        let text = fs::read_to_string(self.home.file("script.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn row_32_a_script_is_told_who_and_why_and_how_often() {
    let scene = scene();
    let environment =
        "tr '\\0' '\\n' </proc/$$/environ >{here}/env.new; mv {here}/env.new {here}/env";
    let script = scene.recovery(&format!("{environment}\nservice restart \"$1\""));
    scene.counted("foo", &["-script", &script]);

    send(scene.pid("foo"), KILL).unwrap();
    scene.until("foo", "it was restarted", |it| it.restarts == 1);
    scene.service(&["refresh", "foo", "-wait"]).ends_with(0);
    // Nobody answers for it: it is as if it hung.
    scene.service(&["edit", "self", "-label", "foo", "-period", "200ms"]).ends_with(0);

    scene.wait("the script is told of it", || scene.told().len() >= 3);
    assert_eq!(scene.told()[..3], ["foo terminated 0", "foo restart 1", "foo no-heartbeat 1"]);
    let environment = fs::read_to_string(scene.home.file("env")).unwrap();
    let mut names: Vec<&str> =
        environment.lines().map(|line| line.split_once('=').unwrap().0).collect();
    names.sort_unstable();
    assert_eq!(names, ["BARDO_SOCKET", "PATH"], "{environment}");
}

#[test]
fn row_33_a_script_that_decides_nothing_is_spoken_of() {
    let scene = scene();
    let script = scene.recovery("");
    scene.counted("foo", &["-script", &script]);
    let began = Instant::now();

    send(scene.pid("foo"), KILL).unwrap();

    let text = "foo stays down: its recovery script has ended and has decided nothing";
    scene.wait("people are told", || scene.log().contains(text));
    assert!(began.elapsed() >= Duration::from_secs(5));
    let rest = Duration::from_secs(10).saturating_sub(began.elapsed());
    assert!(stays(rest, || scene.starts("foo") == 1 && scene.told().len() == 1));
    assert_eq!(scene.find("foo").unwrap().state, "BACKOFF");
    assert_eq!(scene.said("foo", "script-silent").len(), 1);
    scene.service(&["restart", "foo"]).ends_with(0);
    scene.pid("foo");
}

#[test]
fn row_33_how_a_script_ended_is_told_with_its_silence() {
    let scene = scene();
    let words = ["up", "/bin/sleep", "-label", "foo", "-script", "/no/such/script"];
    let more = ["-ready", "alive", "-alive", "0", "-args", "1000"];
    let output = scene.service(&[&words[..], &more].concat()).ends_with(0);
    assert!(
        output.stderr.contains("note: -script: there is no file /no/such/script"),
        "{output:?}"
    );

    send(scene.pid("foo"), KILL).unwrap();

    // Which code that is depends on the shell.
    let text = "its recovery script has ended and has decided nothing (exit status ";
    scene.wait("people are told", || scene.log().contains(text));
    let description = scene.find("foo").unwrap().description;
    let text = "its recovery script has ended (exit status ";
    assert!(description.starts_with(text), "{description}");
}

#[test]
fn row_33_the_patience_with_a_script_can_be_limited() {
    let scene = scene();
    let script = scene.recovery("");
    scene.counted("foo", &["-script", &script, "-script-timeout", "300ms"]);

    let gap = scene.gap("foo");

    is_after(gap, Duration::from_millis(300));
    assert_eq!(scene.told(), ["foo terminated 0"]);
    let last = "started again: its recovery script took too long";
    assert_eq!(scene.said("foo", "start").last().unwrap(), last);
}

#[test]
fn row_34_a_script_is_asked_once_for_each_crash() {
    let scene = scene();
    let script = scene.recovery("service restart \"$1\"");
    scene.counted("foo", &["-script", &script]);

    for wait in [0, 2] {
        is_after(scene.gap("foo"), Duration::from_secs(wait));
    }

    assert_eq!(scene.told(), ["foo terminated 0", "foo terminated 1"]);
    assert_eq!(scene.find("foo").unwrap().restarts, 2);
}

#[test]
fn row_34_who_restarts_asks_no_script_and_does_not_wait() {
    let scene = scene();
    let script = scene.recovery("");
    scene.counted("foo", &["-restarts", "5", "-script", &script]);
    scene.crash("foo");

    scene.service(&["restart", "foo"]).ends_with(0);

    let next = scene.until("foo", "it runs", |it| it.restarts == 6);
    assert_eq!((next.state.as_str(), scene.told()), ("RUNNING", vec![]));
}

#[test]
fn row_34_a_script_may_bring_it_down() {
    let scene = scene();
    let script = scene.recovery("service down \"$1\"");
    scene.counted("foo", &["-script", &script]);

    send(scene.pid("foo"), KILL).unwrap();

    scene.wait("it is gone", || scene.find("foo").is_none());
    assert_eq!((scene.starts("foo"), scene.told().len()), (1, 1));
}

#[test]
fn row_35_a_script_takes_the_place_of_the_one_that_brings_it_down() {
    let scene = scene();
    let script = scene.recovery("service restart \"$1\"");
    let program = scene.program("once", "echo $$ >>{here}/once.starts; exec sleep 1000");
    let words = ["run", &program, "-script", &script, "-ready", "alive", "-alive", "0"];
    scene.service(&words).ends_with(0);

    let gap = scene.gap("once");

    is_after(gap, Duration::ZERO);
    assert_eq!(scene.told(), ["once terminated 0"]);
}
