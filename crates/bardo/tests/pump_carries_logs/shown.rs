//! What programs write, shown in syslog and in the main log.

use std::os::unix::net::UnixDatagram;

use bardo::daemon::pump::{Echo, Sink, Tells};

use crate::house::{House, LIMIT, say};

const TO_SYSLOG: Echo = Echo {
    process: String::new(),
    group: String::new(),
    pid: 7,
    to_syslog: true,
    to_main_log: false,
    tells: Tells::Nothing,
};

fn collector(house: &House) -> UnixDatagram {
    let collector = UnixDatagram::bind(house.path("syslog")).unwrap();
    collector.set_read_timeout(Some(LIMIT)).unwrap();
    collector
}

/// The text of the next message.
fn receive(collector: &UnixDatagram) -> String {
    let mut buffer = [0; 10_000];
    let length = collector.recv(&mut buffer).unwrap();
    let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
    text.split_once("supervisord: ").unwrap().1.to_owned()
}

fn echo(process: &str) -> Option<Box<Echo>> {
    Some(Box::new(Echo { process: process.to_owned(), ..TO_SYSLOG }))
}

#[test]
fn lines_go_to_syslog_with_and_without_a_log() {
    for strip_ansi in [false, true] {
        let house = House::new();
        let collector = collector(&house);
        let sink = house.sink("log");
        let mut kept = house.attach(1, Sink { echo: echo("kept"), strip_ansi, ..sink.clone() });
        let nowhere = Sink { path: None, strip_ansi, ..sink };
        let mut shown = house.attach(2, Sink { echo: echo("shown"), ..nowhere });

        say(&mut kept, "one\ntwo\n");
        let messages = [receive(&collector), receive(&collector)];
        say(&mut shown, "\x1b[1mthree");
        let last = receive(&collector);

        assert_eq!(messages, ["kept one", "kept two"]);
        assert_eq!(last, if strip_ansi { "shown three" } else { "shown \x1b[1mthree" });
        house.wait_for("log", "one\ntwo\n");
    }
}

#[test]
fn a_syslog_that_is_slow_gets_all_and_disturbs_nobody() {
    let house = House::new();
    let collector = collector(&house);
    let mut child = house.attach(1, Sink { echo: echo("child"), ..house.sink("log") });
    let mut other = house.attach(2, house.sink("other"));
    let lines = 50_000;

    let writer = std::thread::spawn(move || {
        for number in 0..lines {
            say(&mut child, &format!("{number}\n"));
        }
    });
    say(&mut other, "flows\n");
    house.wait_for("other", "flows\n");

    for number in 0..lines {
        assert_eq!(receive(&collector), format!("child {number}"));
    }
    writer.join().unwrap();
    house.release(1);
    house.wait_drained(1);
}

#[test]
fn without_a_collector_the_log_is_written_and_the_main_log_says_what_is_missing() {
    let house = House::new();
    let mut child = house.attach(1, Sink { echo: echo("child"), ..house.sink("log") });

    say(&mut child, "one\n");

    house.wait_for("log", "one\n");
    house.wait_for_main("Warning cannot log to syslog: No such file or directory");
}

#[test]
fn chunks_are_copied_into_a_talkative_main_log() {
    let house = House::new();
    let echo = Echo { process: "child".into(), to_syslog: false, to_main_log: true, ..TO_SYSLOG };
    let mut child = house.attach(1, Sink { echo: Some(Box::new(echo)), ..house.sink("log") });

    say(&mut child, "one\ntwo\n");
    house.wait_for_main("Debug 'child' stdout output:\none\ntwo\n\n");
    std::io::Write::write_all(&mut child, b"\xff\n").unwrap();

    house.wait_for_main("Debug 'child' stdout output:\nUndecodable: b'\\xff\\n'\n");
}

#[test]
fn the_main_log_can_go_to_syslog() {
    let house = House::new();
    let collector = collector(&house);
    let settings = house.main_log(None);

    house.pump.replace_main_log(settings);
    let header = "2026-01-02 03:04:05,678 INFO ";
    house.pump.line(format!("{header}a line\n").into_bytes());
    house.pump.line(format!("{header}two\nlines\n\n").into_bytes());

    for expected in ["a line", "two", "lines"] {
        assert_eq!(receive(&collector), format!("{header}{expected}"));
    }
}

#[test]
fn a_program_that_never_stops_leaves_others_their_turn_at_syslog() {
    let mut house = House::new();
    let collector = collector(&house);
    let nowhere = |name| Sink { path: None, echo: echo(name), ..house.sink("") };
    let mut chatter = house.attach(1, nowhere("chatter"));
    let mut quiet = house.attach(2, nowhere("quiet"));
    let writer = std::thread::spawn(move || {
        let text = "x\n".repeat(4096);
        while std::io::Write::write_all(&mut chatter, text.as_bytes()).is_ok() {}
    });
    // The collector is full all the time from here on.
    receive(&collector);

    say(&mut quiet, "heard\n");

    let mut count = 0;
    while receive(&collector) != "quiet heard" {
        count += 1;
        assert!(count < 1 << 20, "it never had a turn");
    }
    drop(collector);
    house.end();
    writer.join().unwrap();
}
