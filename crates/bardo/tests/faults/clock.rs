//! The wall clock is stepped, an hour back and a year on. No deadline is a moment on it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bardo::selftest::home::{self, Home};
use bardo_sys::faults::clock::Hand;
use bardo_wire::xmlrpc::Value;

use crate::others::{OTHER, all_lines, try_open, writer};
use crate::scene::{KILL, Scene};

/// An hour back, and a year on.
const STEPS: [i64; 2] = [-3600, 365 * 86400];

/// How long a start and a stop take here.
const SPAN: Duration = Duration::from_secs(2);

fn open(more: &str, programs: &str) -> (Scene, Hand) {
    let mut hand = None;
    let change = |home: &Home, command: &mut _| {
        hand = Some(Hand::before(command, &home.file("clock")).unwrap());
    };
    let scene = try_open(more, programs, |_| {}, change).unwrap();
    (scene, hand.unwrap())
}

/// Does something that takes a while, and steps the clock as soon as it has begun, or is over
/// where the machine has had no time for us. It must take its time, and no longer than a test
/// waits.
fn expect_span(scene: &Scene, hand: &Hand, step: i64, (begin, state): (&str, &str), end: &str) {
    hand.set(0);
    let began = Instant::now();
    let parameters = [Value::from("slow"), Value::Boolean(false)];
    scene.client().call(&format!("supervisor.{begin}"), &parameters).unwrap();
    scene.wait("it to begin", || {
        scene.client().info("slow").is_ok_and(|info| [state, end].contains(&&*info.state))
    });

    hand.set(step);

    scene.until("slow", end);
    assert!(began.elapsed() >= SPAN, "{end} came too early:\n{}", scene.log());
}

#[test]
fn a_start_and_a_stop_take_their_time() {
    let slow = "[program:slow]\ncommand=/bin/sh -c 'trap : TERM; while :; do sleep 1; done'\n\
                autostart=false\nstartsecs=2\nstopwaitsecs=2\n\n";
    let (scene, hand) = open("", &(slow.to_owned() + OTHER));
    for step in STEPS {
        expect_span(&scene, &hand, step, ("startProcess", "STARTING"), "RUNNING");
        expect_span(&scene, &hand, step, ("stopProcess", "STOPPING"), "STOPPED");
        scene.expect_supervision();
    }
}

#[test]
fn a_program_that_fails_is_tried_as_often_as_it_may_be() {
    let bad = "[program:bad]\ncommand=/bin/false\nautostart=false\nstartretries=2\n\
               startsecs=600\n\n";
    let (scene, hand) = open("", &(bad.to_owned() + OTHER));
    for (round, step) in STEPS.into_iter().enumerate() {
        hand.set(0);
        let client = scene.client().clone();
        let started = std::thread::spawn(move || client.about("startProcess", "bad"));
        scene.until("bad", "BACKOFF");
        hand.set(step);

        scene.until("bad", "FATAL");
        started.join().unwrap().unwrap_err();
        scene.expect_supervision();
        scene.wait("all tries", || scene.said("spawned: 'bad'") == 3 * (round + 1));
    }
}

#[test]
fn how_long_a_program_runs_is_never_negative() {
    let (scene, hand) = open("", OTHER);
    let description = || {
        let info = scene.client().about("getProcessInfo", "other").unwrap();
        info.member("description").unwrap().as_str().unwrap().to_owned()
    };
    let pid = scene.process("other").pid;

    hand.set(STEPS[0]);
    assert_eq!(description(), format!("pid {pid}, uptime 0:00:00"));
    hand.set(STEPS[1]);
    let year = description();
    assert!(year.starts_with(&format!("pid {pid}, uptime 365 days, ")), "{year}");
}

#[test]
fn those_who_watch_are_told_of_each_change() {
    let (scene, hand) = open("", OTHER);
    scene.process("other");
    let mut stream = UnixStream::connect(scene.home.file("s.sock")).unwrap();
    stream.set_read_timeout(Some(home::PATIENCE)).unwrap();
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);

    for step in STEPS {
        hand.set(step);
        scene.expect_supervision();

        let pid = format!("\"pid\":{}", scene.process("other").pid);
        assert!(lines.any(|line| line.contains(&pid)), "{pid} was not told");
    }
}

#[test]
fn logs_are_carried_and_rotated() {
    let log = "{here}/writer.log";
    let more = "autostart=false\nstdout_logfile_backups=20";
    let programs = writer("writer", log, more)
        .replace("stdout_logfile_maxbytes=0", "stdout_logfile_maxbytes=16KB");
    let (scene, hand) = open("", &(programs + OTHER));
    for step in STEPS {
        hand.set(step);
        scene.client().about("startProcess", "writer").unwrap();

        let file = |number: usize| match number {
            0 => scene.home.file("writer.log"),
            number => scene.home.file(&format!("writer.log.{number}")),
        };
        let parts = || (0..=20).rev().filter_map(|number| fs::read_to_string(file(number)).ok());
        let all = all_lines();
        let mut whole = String::new();
        scene.wait("all lines", || {
            whole = parts().collect();
            whole.len() >= all.len()
        });
        assert!(whole == all, "a line is missing, double or torn");
        scene.client().about("stopProcess", "writer").unwrap();
        (0..=20).for_each(|number| {
            let _ = fs::remove_file(file(number));
        });
    }
}

#[test]
fn a_supervisor_is_neither_thought_hung_nor_left_alone_for_an_hour() {
    let (scene, hand) = open("hang_timeout=2", OTHER);
    for step in STEPS {
        hand.set(step);
        let (other, supervisor) = (scene.process("other"), scene.supervisor());
        scene.expect_supervision();
        assert_eq!(scene.supervisor().pid, supervisor.pid);
        assert_ne!(scene.process("other").pid, other.pid);

        let other = scene.process("other");
        scene.halt(supervisor.pid);
        home::send(other.pid, KILL).unwrap();

        scene.wait("another supervisor", || {
            scene.daemon.supervisor().is_some_and(|now| now.pid != supervisor.pid)
        });
        scene.until("other", "RUNNING");
    }
}
