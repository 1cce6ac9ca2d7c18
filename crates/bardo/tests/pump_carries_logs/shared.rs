//! An output that programs share: whole lines, and what stands before them.

use std::io::Read as _;
use std::thread;

use bardo::daemon::pump::{OutletSettings, Sink};
use bardo_sys::pipe;
use proptest::prelude::*;

use crate::house::{House, say};

#[test]
fn lines_have_the_prefix_of_their_program_once() {
    let house = House::sharing(None);
    let mut one = house.attach(1, house.shared("one | "));
    let mut two = house.attach(2, house.shared(""));

    say(&mut one, "first\n\nthird\n");
    house.read_shared("one | first\none | \none | third\n");
    say(&mut two, "plain\n");
    house.read_shared("plain\n");
}

#[test]
fn a_line_in_pieces_waits_for_its_end_and_nobody_waits_for_it() {
    let house = House::sharing(None);
    let mut one = house.attach(1, house.shared("1>"));
    let mut two = house.attach(2, house.shared("2>"));

    say(&mut one, "be");
    say(&mut two, "whole\n");
    house.read_shared("2>whole\n");
    say(&mut one, "gin");
    say(&mut two, "again\nand");
    house.read_shared("2>again\n");
    say(&mut one, " end\nnext");
    house.read_shared("1>begin end\n");
    say(&mut two, " again\n");
    house.read_shared("2>and again\n");
    say(&mut one, "\n");
    house.read_shared("1>next\n");
}

#[test]
fn a_program_that_ends_within_a_line_has_said_it_and_the_next_one_begins_anew() {
    let house = House::sharing(None);
    let mut one = house.attach(1, house.shared("1>"));
    let mut two = house.attach(2, house.shared("2>"));
    let mut three = house.attach(3, house.shared("3>"));

    say(&mut one, "last words");
    drop(one);
    house.wait_drained(1);
    house.read_shared("1>last words");
    say(&mut two, "mine\nhalf");
    house.read_shared("\n2>mine\n");
    house.release(2);
    house.wait_drained(2);
    house.read_shared("2>half");
    say(&mut three, "\n");
    house.read_shared("\n3>\n");
}

#[test]
fn what_is_alone_in_an_output_comes_out_byte_for_byte() {
    let house = House::sharing(None);
    let one = house.attach(1, house.shared(""));
    let text = format!("{}\n\n\0\x1b[1m{}", "x".repeat(100_000), "y".repeat(100_000));
    let written = text.clone();

    let writer = thread::spawn(move || {
        let mut one = one;
        say(&mut one, &written);
    });

    house.read_shared(&text);
    writer.join().unwrap();
}

#[test]
fn a_line_of_a_whole_pipe_stays_whole_and_a_longer_one_is_continued_in_a_line_of_its_own() {
    let house = House::sharing(None);
    let mut one = house.attach(1, house.shared("1>"));
    let mut two = house.attach(2, house.shared("2>"));
    let long = "x".repeat(65_535);

    say(&mut one, &long[..30_000]);
    say(&mut two, "short\n");
    house.read_shared("2>short\n");
    say(&mut one, &long[30_000..]);
    say(&mut one, "\n");
    house.read_shared(&format!("1>{long}\n"));

    say(&mut one, &format!("{long}y"));
    house.read_shared(&format!("1>{long}y"));
    say(&mut one, "z");
    say(&mut two, "short\n");
    house.read_shared("\n2>short\n");
    say(&mut one, "\n");
    house.read_shared("1>z\n");
}

/// A byte that comes by `splice` takes a page's place in the pipe: it is full long before its
/// bytes are many, and its writer would wait for ever.
#[test]
fn a_pipe_that_is_full_of_little_is_no_reason_to_wait() {
    let house = House::sharing(None);
    let one = house.attach(1, house.shared("1>"));
    let (read, write) = pipe::pipe().unwrap();

    let writer = thread::spawn(move || {
        for _ in 0..200 {
            assert_eq!(rustix::io::write(&write, b"x").unwrap(), 1);
            let flags = rustix::pipe::SpliceFlags::empty();
            assert_eq!(rustix::pipe::splice(&read, None, &one, None, 1, flags).unwrap(), 1);
        }
        rustix::io::write(&one, b"\n").unwrap();
        one
    });

    house.read_shared(&format!("1>{}\n", "x".repeat(200)));
    drop(writer.join().unwrap());
}

#[test]
fn a_slow_reader_tears_no_line_and_holds_up_nobody_else() {
    let house = House::sharing(None);
    // It takes a page, so that lines go out in parts.
    pipe::set_capacity(&house.output.as_ref().unwrap().write, 4096).unwrap();
    let mut elsewhere = house.attach(3, house.sink("file"));
    let streams: Vec<_> =
        (1..=2).map(|it| house.attach(it, house.shared(&format!("{it}>")))).collect();
    let lines = |it: usize| (0..200).map(move |line| format!("{it}.{line}{}\n", "-".repeat(999)));
    let writers: Vec<_> = (1..)
        .zip(streams)
        .map(|(it, mut stream)| {
            thread::spawn(move || {
                for line in lines(it) {
                    let (begin, end) = line.split_at(500);
                    say(&mut stream, begin);
                    say(&mut stream, end);
                }
            })
        })
        .collect();

    say(&mut elsewhere, "flows\n");
    house.wait_for("file", "flows\n");

    let mut expected: Vec<Vec<String>> =
        (1..=2).map(|it| lines(it).map(|line| format!("{it}>{line}")).rev().collect()).collect();
    let total: usize = expected.iter().flatten().map(String::len).sum();
    let output = house.output.as_ref().unwrap();
    let mut text = Vec::new();
    while text.len() < total {
        let mut buffer = [0; 700];
        if let Ok(length) = (&output.read).read(&mut buffer) {
            text.extend_from_slice(&buffer[..length]);
        }
        thread::yield_now();
    }
    for line in String::from_utf8(text).unwrap().split_inclusive('\n') {
        let of = usize::from(line.starts_with('2'));
        assert_eq!(Some(line), expected[of].pop().as_deref());
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn lines_of_the_supervisor_are_whole_too_and_begin_in_a_line_of_their_own() {
    let house = House::sharing(Some(()));
    let mut one = house.attach(1, house.shared("1>"));

    say(&mut one, "half");
    house.pump.line(b"main\n".to_vec());
    house.read_shared("main\n");
    house.release(1);
    house.wait_drained(1);
    house.read_shared("1>half");
    house.pump.line(b"again\n".to_vec());
    house.read_shared("\nagain\n");
    let mut two = house.attach(2, house.shared("2>"));
    say(&mut two, "new\n");
    house.read_shared("2>new\n");
}

#[test]
fn a_pump_that_takes_over_goes_on_in_the_line_that_was_begun() {
    let house = House::sharing(None);
    let mut one = house.attach(1, house.shared("1>"));
    say(&mut one, &"x".repeat(65_536));
    house.read_shared(&format!("1>{}", "x".repeat(65_536)));
    let (again, write) = pipe::pipe().unwrap();

    let house = house.restart();
    let key = crate::house::key(1);
    let sink = house.shared("1>");
    house.pump.attach(bardo::daemon::pump::Stream { key, pipe: again, sink });
    house.pump.go();
    rustix::io::write(&write, b"y\nz\n").unwrap();

    house.read_shared("y\n1>z\n");
}

#[test]
fn where_nobody_sees_what_is_written_nothing_is_prepared() {
    let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
    let (read, write) = pipe::pipe().unwrap();

    assert!(!OutletSettings::is_seen(&null));
    assert!(OutletSettings::is_seen(&write));
    assert!(OutletSettings::is_same(&read, &write), "a pipe is one, from both sides");
    assert!(!OutletSettings::is_same(&null, &write));
}

#[test]
fn files_with_a_name_of_their_own_have_every_byte_at_once_and_no_prefix() {
    let house = House::sharing(None);
    let mut one = house.attach(1, Sink { prefix: "1>".into(), ..house.sink("log") });

    say(&mut one, "a pro");
    house.wait_for("log", "a pro");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the pieces are, and whoever writes in between: the lines are the same.
    #[test]
    fn however_lines_are_written_they_come_out_whole(
        strips in any::<bool>(),
        pieces in prop::collection::vec((0..2_usize, "[a-z]{0,12}\n?"), 1..60),
    ) {
        let house = House::sharing(None);
        let prefixes = ["1>", ""];
        let mut streams: Vec<_> = (1..)
            .zip(prefixes)
            .map(|(it, prefix)| {
                house.attach(it, Sink { strip_ansi: strips, ..house.shared(prefix) })
            })
            .collect();
        let mut said = [String::new(), String::new()];
        for (stream, piece) in &pieces {
            if strips {
                say(&mut streams[*stream], "\x1b[3");
                say(&mut streams[*stream], "1m");
            }
            say(&mut streams[*stream], piece);
            said[*stream].push_str(piece);
        }
        for stream in &mut streams {
            say(stream, "\n");
        }
        let expected = said.map(|text| format!("{text}\n"));
        drop(streams);
        let mut text = Vec::new();
        let output = house.output.as_ref().unwrap();
        let count = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
        let lines: usize = expected.iter().map(|text| count(text.as_bytes())).sum();
        while count(&text) < lines {
            let mut buffer = [0; 4096];
            if let Ok(length) = (&output.read).read(&mut buffer) {
                text.extend_from_slice(&buffer[..length]);
            }
            thread::yield_now();
        }
        let text = String::from_utf8(text).unwrap();
        let (marked, plain): (Vec<&str>, Vec<&str>) =
            text.split_inclusive('\n').partition(|line| line.starts_with("1>"));
        let marked: String = marked.into_iter().map(|line| &line[2..]).collect();
        prop_assert_eq!(&marked, &expected[0]);
        prop_assert_eq!(&plain.concat(), &expected[1]);
    }
}
