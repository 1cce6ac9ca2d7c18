//! Signs of life, and what follows when there are none: rows 36 to 39, and 56.

use std::time::Duration;

use bardo::selftest::hearts::{Heart, Hearts};
use bardo::selftest::home::stays;
use bardo::selftest::{actors, procfs};

use super::programs::{SLACK, began, is_after};
use super::scene::{Scene, executable, scene, send};

const STOP: i32 = 19;
const CONTINUE: i32 = 18;

const SECOND: Duration = Duration::from_secs(1);

/// Programs of a test at most.
const HEARTS: usize = 4;

/// How a decision about one that was killed for want of signs of life ends.
const HUNG: &str = "it gave no sign of life in time";

impl Scene {
    fn hearts(&self) -> Hearts {
        Hearts::open(self.home.path(), HEARTS).unwrap()
    }

    /// Brings up a program of [`bardo::selftest::hearts`].
    #[track_caller]
    fn beats(&self, label: &str, number: usize, manner: &str, more: &[&str]) {
        let program = executable().display().to_string();
        let folder = self.home.path().display().to_string();
        let number = number.to_string();
        let words = ["up", &program, "-label", label];
        let behind = ["--", actors::WORD, &folder, "1", "heart", &number, manner];
        self.service(&[&words[..], more, &behind].concat()).ends_with(0);
    }

    /// One that says nothing and is examined by a command, which finds it well until it is
    /// stopped.
    #[track_caller]
    fn examined(&self, label: &str, more: &[&str]) {
        let program = self.program("quiet", "echo $$ >{here}/$1.pid; exec sleep 1000");
        let here = self.home.path().display().to_string();
        // Its first checks may come before it has written its number.
        let health = format!("! grep -q '^State:.[Tt]' /proc/$(cat {here}/{label}.pid)/status");
        let words = ["up", &program, "-label", label, "-args", label, "-health", &health];
        let words = [&words[..], &["-health-interval", "250ms", "-ready", "alive"], more].concat();
        self.service(&[&words[..], &["-alive", "0"]].concat()).ends_with(0);
    }

    /// Waits for more signs of life.
    #[track_caller]
    fn hear(&self, hearts: &Hearts, number: usize, more: u64) -> Heart {
        let until = hearts.get(number).signs + more;
        self.wait("signs of life", || hearts.get(number).signs >= until);
        hearts.get(number)
    }

    /// Stops one that beats and waits for the next; how long that was after its last sign.
    #[track_caller]
    fn hang(&self, hearts: &Hearts, number: usize) -> Duration {
        let heart = self.hear(hearts, number, 2);
        send(heart.pid, STOP).unwrap();
        self.wait("the next one", || hearts.get(number).lives > heart.lives);
        let next = hearts.get(number);
        Duration::from_nanos(next.began - next.alive_before)
    }

    /// The reason that its last end had, in words.
    #[track_caller]
    fn ended(&self, label: &str) -> String {
        self.said(label, "ended").pop().unwrap()
    }
}

/// Checks that one was killed when two periods were over, and not before.
#[track_caller]
fn is_two_periods(gap: Duration, period: Duration) {
    assert!(gap >= period * 2 && gap < period * 2 + SLACK, "{gap:?} is not twice {period:?}");
}

#[test]
fn row_36_who_hangs_is_replaced_two_periods_after_its_last_answer() {
    let scene = scene();
    let hearts = scene.hearts();
    scene.beats("foo", 0, "answers", &["-period", "1s"]);

    is_two_periods(scene.hang(&hearts, 0), SECOND);

    assert!(scene.ended("foo").ends_with(HUNG), "{}", scene.ended("foo"));
    let foo = scene.until("foo", "it is reborn", |it| it.restarts == 1);
    assert_eq!((foo.pid, foo.crashes), (hearts.get(0).pid, 1));
    // The new one owes its answers, too.
    scene.hear(&hearts, 0, 2);
}

#[test]
fn row_36_who_never_says_a_word_hangs_as_well() {
    let scene = scene();
    scene.counted("foo", &["-period", "1s"]);
    let first = scene.pid("foo");
    let began_at = began(first);

    let next = scene.until("foo", "the next one", |it| it.pid > 0 && it.pid != first).pid;

    is_after(began(next).saturating_sub(began_at), SECOND * 2);
    assert!(scene.ended("foo").ends_with(HUNG), "{}", scene.ended("foo"));
}

#[test]
fn row_37_an_answer_that_is_late_is_forgiven() {
    let period = SECOND * 3;
    let scene = scene();
    let hearts = scene.hearts();

    // It is asked one period after its last answer, or a 64th of one sooner.
    scene.beats("foo", 0, "late=2450", &["-period", "3s"]);
    let heart = scene.hear(&hearts, 0, 2);

    assert!(heart.apart >= period * 18 / 10, "it was not late: {:?}", heart.apart);
    let foo = scene.find("foo").unwrap();
    assert_eq!((foo.pid, foo.crashes, heart.lives), (heart.pid, 0, 1), "{}", scene.log());
}

#[test]
fn row_38_a_supervisor_that_was_held_up_kills_nobody() {
    held_up(SECOND * 3);
}

#[test]
fn row_38_a_supervisor_that_was_held_up_for_ten_seconds_kills_nobody() {
    held_up(SECOND * 10);
}

/// Holds the supervisor up for so long. It is let go on, or its keeper has replaced it.
fn held_up(span: Duration) {
    let scene = scene();
    let hearts = scene.hearts();
    let period = ["-period", "1s"];
    scene.beats("answers", 0, "answers", &period);
    scene.beats("watchdog", 1, "watchdog", &["-period", "1s", "-ready", "notify"]);
    scene.examined("examined", &["-period", "1s", "-health-retries", "3"]);
    scene.hear(&hearts, 0, 1);
    let before = scene.services();
    let alive = || {
        let is_alive = |pid| procfs::stat(pid).is_some_and(|stat| stat.is_alive());
        before.iter().all(|service| is_alive(service.pid))
    };

    let supervisor = scene.daemon.supervisor().unwrap().pid;
    send(supervisor, STOP).unwrap();
    assert!(stays(span, alive), "{}", scene.log());
    // One that was replaced is gone.
    let _ = send(supervisor, CONTINUE);

    scene.hear(&hearts, 0, 3);
    scene.hear(&hearts, 1, 6);
    let seen = scene.find("examined").unwrap().alive_at;
    scene.until("examined", "it is well", |it| it.alive_at > seen + 3000);
    for service in before {
        let now = scene.find(&service.label).unwrap();
        assert_eq!((now.pid, now.crashes), (service.pid, 0), "{}", scene.log());
    }
}

#[test]
fn row_39_who_does_not_say_that_it_lives_any_more_is_replaced() {
    let scene = scene();
    let hearts = scene.hearts();
    scene.beats("foo", 0, "watchdog", &["-period", "1s", "-ready", "notify"]);

    is_two_periods(scene.hang(&hearts, 0), SECOND);

    assert!(scene.ended("foo").ends_with(HUNG), "{}", scene.ended("foo"));
    scene.until("foo", "it is reborn", |it| it.restarts == 1);
}

#[test]
fn row_39_what_a_health_command_finds_is_a_sign_of_life() {
    let scene = scene();
    scene.examined("foo", &["-period", "1s", "-health-retries", "1000"]);
    let first = scene.pid("foo");
    let began_at = scene.find("foo").unwrap().alive_at;
    scene.until("foo", "it is well for three periods", |it| it.alive_at > began_at + 3000);

    send(first, STOP).unwrap();
    let mut last = 0;
    let next = scene.until("foo", "the next one", |it| {
        if it.pid == first {
            last = it.alive_at;
        }
        it.pid > 0 && it.pid != first
    });

    let gap = began(next.pid).saturating_sub(Duration::from_millis(last));
    is_after(gap, SECOND * 2);
    assert!(scene.ended("foo").ends_with(HUNG), "{}", scene.ended("foo"));
}

#[test]
fn row_39_a_health_command_that_fails_too_often_is_a_reason() {
    let scene = scene();
    scene.examined("foo", &["-health-retries", "2"]);
    let first = scene.pid("foo");

    send(first, STOP).unwrap();

    scene.until("foo", "the next one", |it| it.pid > 0 && it.pid != first);
    let ended = scene.ended("foo");
    assert!(ended.ends_with("its health check failed too often"), "{ended}");
}

#[test]
fn row_56_a_period_that_stays_is_still_watched_and_minixs_is_not() {
    let scene = scene();
    let hearts = scene.hearts();
    scene.beats("foo", 0, "answers", &["-period", "1s"]);
    let edit = ["edit", "self", "-label", "foo"];

    scene.service(&edit).ends_with(0);
    is_two_periods(scene.hang(&hearts, 0), SECOND);

    scene.until("foo", "it is reborn", |it| it.restarts == 1);
    scene.service(&[&["--minix"], &edit[..]].concat()).ends_with(0);
    let heart = hearts.get(0);
    send(heart.pid, STOP).unwrap();
    assert!(stays(SECOND * 4, || hearts.get(0).lives == heart.lives), "{}", scene.log());
    assert_eq!(scene.find("foo").unwrap().pid, heart.pid);
}
