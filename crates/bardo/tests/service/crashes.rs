//! What follows a crash, and when: rows 19 to 25, and 29.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use bardo::selftest::home::stays;

use super::programs::{KILL, TICK, is_after};
use super::scene::{Scene, code, open, scene, send};

const SECOND: Duration = Duration::from_secs(1);

/// How far from its due time something may be on a machine that has nothing else to do.
const TOLERANCE: Duration = Duration::from_millis(100);

/// A program that says that it has started and is initialised, and ends when it is let go.
const ENDS: &str =
    "exec 5<>{here}/$1.gate; echo $$ >>{here}/$1; echo >&4; read code <&5; exit $code";

impl Scene {
    /// Kills it as often as there are seconds, and checks for how long each next process was
    /// waited for.
    #[track_caller]
    fn waits(&self, label: &str, seconds: &[u32]) {
        for seconds in seconds {
            is_after(self.gap(label), SECOND * *seconds);
        }
    }

    /// A service that ends with the exit code that [`Self::end`] says.
    fn ending(&self, label: &str, more: &[&str]) {
        let program = self.program("ends", ENDS);
        self.gate(&format!("{label}.gate"));
        let words = ["up", &program, "-label", label, "-args", label, "-ready", "fd:4"];
        self.service(&[&words[..], more].concat()).ends_with(0);
    }

    fn end(&self, label: &str, code: &str) {
        fs::write(self.home.file(&format!("{label}.gate")), format!("{code}\n")).unwrap();
    }
}

#[test]
fn row_19_who_ends_with_0_has_crashed() {
    let scene = scene();
    scene.ending("foo", &[]);

    scene.end("foo", "0");

    scene.until("foo", "it is started again", |it| it.crashes == 1 && it.state == "RUNNING");
    assert_eq!(scene.starts("foo"), 2);
}

#[test]
fn row_19_exit_codes_can_be_allowed() {
    let scene = scene();
    scene.ending("foo", &["-ok-exit", "0,7"]);
    scene.end("foo", "3");
    scene.until("foo", "it is started again", |it| it.crashes == 1 && it.state == "RUNNING");

    scene.end("foo", "7");

    scene.wait("it rests", || scene.find("foo").is_none_or(|it| it.state == "EXITED"));
    assert_eq!(scene.starts("foo"), 2);
}

#[test]
fn row_20_the_first_crash_is_not_waited_after() {
    let scene = scene();
    scene.counted("foo", &[]);

    scene.waits("foo", &[0]);

    assert_eq!(scene.said("foo", "waits"), [""; 0]);
    assert_eq!(scene.starts("foo"), 2);
}

#[test]
#[ignore = "measures, which says something on an idle machine only"]
fn row_20_the_next_process_is_there_within_milliseconds() {
    const ROUNDS: usize = 200;
    let scene = scene();
    let program = scene.program("tells", "exec 5<>{here}/born; echo $$ >&5; exec sleep 1000");
    let fifo = fs::OpenOptions::new().read(true).write(true).open(scene.gate("born")).unwrap();
    let mut born = BufReader::new(fifo).lines();
    let mut next = || born.next().unwrap().unwrap().parse::<u32>().unwrap();

    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        // Brought up anew, because the second crash would be waited after.
        let words = ["up", &program, "-label", "foo", "-ready", "alive", "-alive", "0"];
        scene.service(&words).ends_with(0);
        let first = next();
        let began = Instant::now();
        send(first, KILL).unwrap();
        assert_ne!(next(), first);
        took.push(began.elapsed());
        scene.pid("foo");
        scene.service(&["down", "foo"]).ends_with(0);
    }

    took.sort_unstable();
    let (median, late) = (took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
    println!("from SIGKILL to the first words of the next: median {median:?}, p99 {late:?}");
    assert!(median < Duration::from_millis(5), "{took:?}");
    assert!(late < Duration::from_millis(20), "{took:?}");
}

#[test]
fn row_21_the_wait_doubles_with_each_crash() {
    let scene = scene();
    scene.counted("foo", &[]);

    scene.waits("foo", &[0, 2, 4]);

    let expected = [
        "2 s for the next start: back-off binary, step 1",
        "4 s for the next start: back-off binary, step 2",
    ];
    assert_eq!(scene.said("foo", "waits"), expected.map(|wait| format!("waits {wait}")));
    assert_eq!(scene.find("foo").unwrap().restarts, 3);
}

#[test]
fn row_21_the_wait_goes_by_the_counter_and_ends_at_half_a_minute() {
    let scene = scene();
    for (restarts, wait) in [("3", 8), ("4", 16), ("5", 30), ("6", 30), ("4000000000", 30)] {
        let label = format!("from-{restarts}");
        scene.counted(&label, &["-restarts", restarts]);

        scene.crash(&label);

        let text = format!("waits {wait} s for the next start: back-off binary, step {restarts}");
        assert_eq!(scene.said(&label, "waits"), [text]);
        assert_eq!(scene.starts(&label), 1);
    }
}

#[test]
#[ignore = "takes a minute"]
fn row_21_six_crashes_in_full_length() {
    let scene = scene();
    scene.counted("foo", &[]);

    for wait in [0, 2, 4, 8, 16, 30] {
        let gap = scene.gap("foo");
        println!("{wait} s: {gap:?}");
        let due = SECOND * wait;
        assert!(gap + TICK >= due && gap < due + TOLERANCE, "{gap:?} is not {due:?}");
    }
}

#[test]
fn row_22_with_b_the_wait_is_a_second() {
    let scene = scene();
    scene.counted("foo", &["-b"]);

    scene.waits("foo", &[0, 1, 1, 1]);

    let text = "waits 1 s for the next start: back-off constant";
    assert_eq!(scene.said("foo", "waits"), [text; 3]);
}

#[test]
fn row_23_with_a_copy_the_wait_is_a_second() {
    let scene = scene();
    scene.counted("foo", &["-c"]);

    scene.waits("foo", &[0, 1, 1, 1]);

    let text = "waits 1 s for the next start: back-off constant";
    assert_eq!(scene.said("foo", "waits"), [text; 3]);
}

#[test]
fn row_24_the_counter_begins_anew_unless_nobody_wants_that() {
    let program = "command=/bin/sleep 1000\nstartsecs=0\nready=alive\nbackoff=binary\n";
    let scene = open(&format!(
        "[program:resets]\n{program}backoff_reset=1\n[program:keeps]\n{program}backoff_reset=never\n"
    ));
    for label in ["keeps", "resets"] {
        scene.waits(label, &[0]);
    }

    // The one that keeps its counter has run for as long as the other one, and longer.
    scene.until("resets", "its counter begins anew", |it| it.restarts == 0);
    assert_eq!(scene.said("resets", "counter-reset").len(), 1);
    scene.waits("resets", &[0]);
    scene.crash("keeps");

    assert_eq!(scene.said("resets", "waits"), [""; 0]);
    let text = "waits 2 s for the next start: back-off binary, step 1";
    assert_eq!(scene.said("keeps", "waits"), [text]);
}

#[test]
fn row_24_minix_never_forgets_a_crash() {
    let counts = |scene: &Scene, label: &str| {
        let details = scene.find(label).unwrap().details;
        details.into_iter().find(|(name, _)| name == "restart").unwrap().1
    };
    let file = "service sleep { uid SELF; };\n";
    let up = |scene: &Scene, label: &str, switches: &[&str]| {
        fs::write(scene.home.file("system.conf"), file).unwrap();
        let words = ["-n", "up", "/bin/sleep", "-label", label, "-config", "system.conf"];
        let words = [switches, &words, &["-args", "1000"]].concat();
        scene.service(&words).ends_with(0);
        counts(scene, label)
    };
    let (ours, minix) = (scene(), open("[rs]\ncompat=minix\n"));

    let ours = [up(&ours, "ours", &[]), up(&ours, "minix", &["--minix"])];
    let minix = up(&minix, "minix", &[]);

    assert!(ours[0].contains("counted anew after 1 min of health"), "{ours:?}");
    assert!(ours[1].contains("counted for ever"), "{ours:?}");
    assert_eq!(minix, ours[1]);
}

#[test]
#[ignore = "takes a minute"]
fn row_24_a_minute_is_healthy_unless_it_is_minix() {
    let scene = scene();
    let file = scene.home.file("system.conf");
    fs::write(&file, "service counts { uid SELF; };\n").unwrap();
    scene.counted("ours", &[]);
    scene.counted("minix", &["--minix", "-config", file.to_str().unwrap()]);
    for label in ["minix", "ours"] {
        scene.waits(label, &[0]);
    }
    let began = Instant::now();

    let is_counted = || scene.find("ours").is_some_and(|it| it.restarts == 1);
    assert!(stays(SECOND * 60 - SECOND, is_counted));
    scene.until("ours", "its counter begins anew", |it| it.restarts == 0);
    println!("healthy after {:?}", began.elapsed());
    scene.waits("ours", &[0]);
    scene.waits("minix", &[2]);
}

#[test]
fn row_25_with_b_a_second_lies_between_starts_that_fail() {
    let scene = scene();
    // When a process began stands behind its name in brackets.
    let lines = "read -r line </proc/$$/stat; set -- ${line##*) }; shift 19\n\
                 echo $1 >>{here}/fails.starts; exit 1";
    let program = scene.program("fails", lines);

    scene.service(&["-nb", "up", &program, "-ready", "ctl"]).ends_with(0);

    // More often than Supervisor would try.
    scene.wait("five starts", || scene.starts("fails.starts") >= 5);
    let text = fs::read_to_string(scene.home.file("fails.starts")).unwrap();
    let starts: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    for pair in starts.windows(2) {
        let gap = TICK * (pair[1] - pair[0]);
        assert!(gap + TICK >= SECOND, "{starts:?}");
    }
    scene.until("fails", "it waits", |it| it.state == "BACKOFF");
    scene.wait("it is let go", || scene.service(&["down", "fails"]).code == 0);
    assert!(scene.find("fails").is_none());
}

#[test]
fn row_29_who_waits_for_a_start_that_always_fails_keeps_nobody_from_ending_it() {
    let scene = scene();
    let program = scene.program("fails", "echo $$ >>{here}/fails.starts; exit 1");
    let up = scene.begin(&["-b", "up", &program, "-ready", "ctl"]);
    scene.wait("a second start", || scene.starts("fails.starts") >= 2);

    // While it is being started it is busy.
    scene.wait("it is let go", || scene.service(&["down", "fails"]).code == 0);

    assert_eq!(code(up.wait_with_output().unwrap().status), 215);
    assert!(scene.find("fails").is_none());
}
