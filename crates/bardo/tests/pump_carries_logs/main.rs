//! The log pump on real pipes and files: where bytes go, and what happens when
//! they cannot go there.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

#[cfg(test)]
mod compressed;
mod house;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod shown;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self};
use std::time::Instant;

use bardo::daemon::pump::{OwedLine, Sink, Stream};
use bardo_sys::pipe;

use crate::house::{House, LIMIT, SmallDisk, key, say, wait_for};

#[test]
fn a_log_is_created_at_once_and_what_it_held_is_kept() {
    let house = House::new();
    fs::write(house.path("old"), "kept\n").unwrap();

    let _new = house.attach(1, house.sink("new"));
    let mut old = house.attach(2, house.sink("old"));
    say(&mut old, "more\n");

    house.wait_for("old", "kept\nmore\n");
    house.wait_for("new", "");
    assert!(house.path("new").exists());
}

#[test]
fn two_programs_may_write_one_file() {
    let house = House::new();
    let mut one = house.attach(1, house.sink("log"));
    let mut two = house.attach(2, house.sink("log"));

    say(&mut one, "one\n");
    house.wait_for("log", "one\n");
    say(&mut two, "two\n");
    house.wait_for("log", "one\ntwo\n");
    say(&mut one, "three\n");

    house.wait_for("log", "one\ntwo\nthree\n");
}

#[test]
fn a_file_is_rotated_after_the_chunk_that_reaches_its_limit() {
    let house = House::new();
    let mut child = house.attach(1, Sink { bytes_max: 8, backups: 2, ..house.sink("log") });

    for chunk in ["first\n", "second\n", "third is long\n", "fourth\n", "5\n"] {
        say_and_wait(&house, chunk, &mut child);
    }

    house.wait_for("log", "");
    house.wait_for("log.1", "fourth\n5\n");
    house.wait_for("log.2", "third is long\n");
    assert!(!house.path("log.3").exists());
}

/// Writes a chunk and waits until the newest file, or the one before, ends with it.
fn say_and_wait(house: &House, chunk: &str, child: &mut File) {
    say(child, chunk);
    let holds = |name: &str| {
        let text = fs::read_to_string(house.path(name)).unwrap_or_default();
        text.ends_with(chunk)
    };
    let began = Instant::now();
    while !holds("log") && !holds("log.1") {
        assert!(began.elapsed() < LIMIT, "the chunk {chunk:?} never came");
        thread::yield_now();
    }
}

#[test]
fn without_backups_a_file_is_truncated_and_without_a_limit_it_grows() {
    let house = House::new();
    let mut short = house.attach(1, Sink { bytes_max: 4, ..house.sink("short") });
    let mut long = house.attach(2, Sink { backups: 3, ..house.sink("long") });

    say(&mut short, "12345");
    say(&mut long, "12345");

    house.wait_for("long", "12345");
    house.release(1);
    house.wait_drained(1);
    house.wait_for("short", "");
    assert!(!house.path("short.1").exists());
}

#[test]
fn a_file_that_somebody_truncates_goes_on_from_its_new_end() {
    for strip_ansi in [false, true] {
        let house = House::new();
        let mut child = house.attach(1, Sink { strip_ansi, ..house.sink("log") });
        say(&mut child, "before\n");
        house.wait_for("log", "before\n");

        File::options().write(true).open(house.path("log")).unwrap().set_len(0).unwrap();
        say(&mut child, "after\n");

        house.wait_for("log", "after\n");
    }
}

#[test]
fn a_file_that_somebody_appends_to_is_not_overwritten() {
    let house = House::new();
    let mut child = house.attach(1, house.sink("log"));
    say(&mut child, "ours\n");
    house.wait_for("log", "ours\n");

    let mut other = File::options().append(true).open(house.path("log")).unwrap();
    say(&mut other, "theirs\n");
    say(&mut child, "ours\n");

    house.wait_for("log", "ours\ntheirs\nours\n");
}

#[test]
fn a_file_that_was_removed_is_created_again() {
    let house = House::new();
    let mut child = house.attach(1, house.sink("log"));
    say(&mut child, "before\n");
    house.wait_for("log", "before\n");

    fs::remove_file(house.path("log")).unwrap();
    say(&mut child, "after\n");

    house.wait_for("log", "after\n");
}

#[test]
fn a_renamed_file_is_written_until_all_are_reopened() {
    let house = House::new();
    let mut child = house.attach(1, house.sink("log"));
    say(&mut child, "one\n");
    house.wait_for("log", "one\n");

    fs::rename(house.path("log"), house.path("moved")).unwrap();
    say(&mut child, "two\n");
    house.wait_for("moved", "one\ntwo\n");
    house.pump.reopen();
    wait_for(&house.path("log"), |_| house.path("log").exists());
    say(&mut child, "three\n");

    house.wait_for("log", "three\n");
    house.wait_for("moved", "one\ntwo\n");
}

#[test]
fn clearing_removes_a_log_and_begins_a_new_one() {
    let house = House::new();
    let mut child = house.attach(1, house.sink("log"));
    say(&mut child, "before\n");
    house.wait_for("log", "before\n");
    let old = File::open(house.path("log")).unwrap();

    house.pump.clear(house.sink("log").path.unwrap());
    house.wait_for("log", "");
    say(&mut child, "after\n");

    house.wait_for("log", "after\n");
    let mut kept = String::new();
    (&old).read_to_string(&mut kept).unwrap();
    assert_eq!(kept, "before\n", "the old file was removed, not emptied");
}

#[test]
fn while_a_file_cannot_be_had_its_bytes_wait_and_others_flow() {
    let house = House::new();
    let mut blocked = house.attach(1, house.sink("missing/log"));
    let mut other = house.attach(2, house.sink("other"));

    say(&mut blocked, "waits\n");
    house.wait_for_main("cannot write to");
    for number in 0..100 {
        say(&mut other, &format!("{number}\n"));
    }
    wait_for(&house.path("other"), |text| text.ends_with("99\n"));
    fs::create_dir(house.path("missing")).unwrap();

    house.wait_for("missing/log", "waits\n");
    house.wait_for_main("again");
    let main = fs::read_to_string(house.path("main")).unwrap();
    assert_eq!(main.matches("cannot write to").count(), 1, "{main}");
}

#[test]
fn the_bytes_of_an_ended_process_wait_for_their_file_too() {
    let house = House::new();
    let mut child = house.attach(1, house.sink("missing/log"));
    say(&mut child, "last words\n");
    drop(child);
    house.release(1);
    house.wait_for_main("cannot write to");

    fs::create_dir(house.path("missing")).unwrap();
    house.pump.reopen();

    house.wait_drained(1);
    house.wait_for("missing/log", "last words\n");
}

#[test]
fn a_device_that_refuses_disturbs_nobody() {
    for strip_ansi in [false, true] {
        let house = House::new();
        let full = Sink { path: Some("/dev/full".into()), strip_ansi, ..house.sink("") };
        let mut full = house.attach(1, full);
        let mut other = house.attach(2, Sink { strip_ansi, ..house.sink("other") });

        say(&mut full, "lost?\n");
        house.wait_for_main("cannot write to /dev/full");
        say(&mut other, "flows\n");

        house.wait_for("other", "flows\n");
    }
}

#[test]
fn on_a_full_disk_bytes_wait_until_there_is_room() {
    let house = House::new();
    let Some(_disk) = SmallDisk::mount(&house) else { return };
    let disk = house.path("disk");
    fs::write(disk.join("filler"), vec![0; 40 * 1024]).unwrap();

    for (service, strip_ansi) in [(1, false), (2, true)] {
        let name = format!("disk/log{service}");
        let mut child = house.attach(service, Sink { strip_ansi, ..house.sink(&name) });
        let text: String = (0..6000).map(|number| format!("{number}\n")).collect();
        let writer = {
            let text = text.clone();
            thread::spawn(move || say(&mut child, &text))
        };
        writer.join().unwrap();
        house.wait_for_main(&format!("{name}: No space left"));
        fs::write(disk.join("filler"), "").unwrap();
        house.pump.reopen();
        house.wait_for(&name, &text);
        fs::write(house.path(&name), "").unwrap();
        fs::write(disk.join("filler"), vec![0; 40 * 1024]).unwrap();
    }
}

#[test]
fn a_fifo_with_a_slow_reader_gets_all_and_disturbs_nobody() {
    for strip_ansi in [false, true] {
        let house = House::new();
        let fifo = house.path("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        let reader = File::options().read(true).write(true).open(&fifo).unwrap();
        let mut child = house.attach(1, Sink { strip_ansi, bytes_max: 1, ..house.sink("fifo") });
        let mut other = house.attach(2, Sink { strip_ansi, ..house.sink("other") });
        let text: String = (0..60_000).map(|number| format!("\x1b[1m{number}\n")).collect();
        let expected = if strip_ansi { text.replace("\x1b[1m", "") } else { text.clone() };

        let writer = thread::spawn(move || say(&mut child, &text));
        let full = || pipe::waiting(&reader).unwrap() > 60_000;
        let began = Instant::now();
        while !full() {
            assert!(began.elapsed() < LIMIT, "the fifo is never full");
            thread::yield_now();
        }
        say(&mut other, "flows\n");
        house.wait_for("other", "flows\n");
        let mut received = vec![0; expected.len()];
        (&reader).read_exact(&mut received).unwrap();

        writer.join().unwrap();
        assert_eq!(String::from_utf8(received).unwrap(), expected);
        assert!(fifo.exists(), "a fifo is not rotated");
    }
}

/// Writes without a pause until somebody reads no more.
fn chatter(mut child: File) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let text = "chatter\n".repeat(4096);
        while child.write_all(text.as_bytes()).is_ok() {}
    })
}

#[test]
fn a_stream_that_never_stops_leaves_others_their_turn_at_a_shared_target() {
    let mut house = House::new();
    let fifo = house.path("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    let mut reader = File::options().read(true).write(true).open(&fifo).unwrap();
    let mut quiet = Vec::new();
    let first = chatter(house.attach(1, house.sink("fifo")));
    for service in 2..5 {
        quiet.push(house.attach(service, house.sink("fifo")));
    }
    let mut buffer = [0; 8192];
    let mut missing = vec!["line 0", "line 1", "line 2"];
    let fill = |reader: &File| {
        let began = Instant::now();
        // Short lines take as much room in a pipe as long ones.
        while pipe::waiting(reader).unwrap() < 45_000 {
            assert!(began.elapsed() < LIMIT, "the fifo is never full");
            thread::yield_now();
        }
    };
    fill(&reader);
    for (child, line) in quiet.iter_mut().zip(&missing) {
        say(child, &format!("{line}\n"));
    }

    let mut tail = String::new();
    let mut read = 0;
    while !missing.is_empty() {
        // A reader that is slower than the one who never stops.
        fill(&reader);
        let count = reader.read(&mut buffer).unwrap();
        read += count;
        tail.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        missing.retain(|line| !tail.contains(line));
        tail = tail.split_off(tail.len().saturating_sub(16));
        assert!(read < 4 << 20, "{missing:?} never had a turn");
    }

    drop(reader);
    house.release(1);
    house.end();
    first.join().unwrap();
}

#[test]
fn without_a_file_bytes_are_dropped_and_the_writer_does_not_wait() {
    let house = House::new();
    let mut child = house.attach(1, Sink { path: None, ..house.sink("") });

    child.write_all(&vec![b'x'; 4 << 20]).unwrap();

    house.release(1);
    house.wait_drained(1);
}

#[test]
fn release_carries_what_is_there_and_does_not_wait_for_a_grandchild() {
    let house = House::new();
    let mut child = house.attach(1, house.sink("log"));
    say(&mut child, "last words\n");
    let stop = Arc::new(AtomicBool::new(false));
    let grandchild = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            // It ends with the pipe, or when the test does.
            while !stop.load(Ordering::Relaxed) && child.write_all(b"and on\n").is_ok() {}
        })
    };

    house.release(1);

    house.wait_drained(1);
    stop.store(true, Ordering::Relaxed);
    grandchild.join().unwrap();
    wait_for(&house.path("log"), |text| text.starts_with("last words\n"));
}

#[test]
fn a_stream_that_ends_by_itself_is_reported_once() {
    let house = House::new();
    let mut child = house.attach(1, house.sink("log"));
    let _other = house.attach(2, house.sink("log"));
    say(&mut child, "bye\n");

    drop(child);
    house.wait_drained(1);
    house.release(1);
    house.release(2);

    house.wait_drained(2);
    house.wait_for("log", "bye\n");
}

#[test]
fn a_stream_of_a_process_that_is_over_already_is_drained_after_go() {
    let house = House::gathering(None);
    let mut child = house.attach(1, house.sink("log"));
    say(&mut child, "left behind\n");

    house.release(1);
    house.pump.go();

    house.wait_drained(1);
    house.wait_for("log", "left behind\n");
}

#[test]
fn a_sequence_that_a_restart_has_cut_is_removed() {
    let house = House::new();
    let sink = Sink { strip_ansi: true, ..house.sink("log") };
    let (read, write) = pipe::pipe().unwrap();
    let mut child = File::from(write);
    let pipe = read.try_clone().unwrap();
    house.pump.attach(Stream { key: key(1), pipe, sink: sink.clone() });
    say(&mut child, "a\x1b[3");
    house.wait_for("log", "a");
    // All of it has been looked at when its bytes have left the pipe.
    let began = Instant::now();
    while pipe::waiting(&read).unwrap() > 0 {
        assert!(began.elapsed() < LIMIT, "the bytes stay in the pipe");
        thread::yield_now();
    }

    let house = house.restart();
    house.pump.attach(Stream { key: key(1), pipe: read, sink });
    house.pump.go();
    say(&mut child, "1mb\x1b");
    drop(child);

    house.wait_drained(1);
    house.wait_for("log", "ab\x1b");
}

#[test]
fn a_busy_stream_gets_a_larger_pipe() {
    let house = House::new();
    let mut child = house.attach(1, house.sink("log"));

    let began = Instant::now();
    while pipe::capacity(&child).unwrap() < 1 << 20 {
        assert!(began.elapsed() < LIMIT, "the pipe stays small");
        child.write_all(&vec![b'x'; 128 * 1024]).unwrap();
    }
}

#[test]
fn lines_of_the_main_log_are_written_in_order_and_copied() {
    let (far, near) = pipe::pipe().unwrap();
    let house = House::gathering(Some(near));

    for number in 0..1000 {
        house.pump.line(format!("{number}\n").into_bytes());
    }

    let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
    house.wait_for("main", &expected);
    let mut copied = vec![0; expected.len()];
    File::from(far).read_exact(&mut copied).unwrap();
    assert_eq!(String::from_utf8(copied).unwrap(), expected);
}

#[test]
fn lines_that_found_no_room_are_counted() {
    let (far, near) = pipe::pipe().unwrap();
    let house = House::gathering(Some(near));

    // Nobody reads the copy: the pipe fills, then the queue.
    for number in 0..100 {
        house.pump.line(vec![b'x'; 64 * 1024]);
        house.pump.line(format!("line {number}\n").into_bytes());
        house.wait_for_main(&format!("line {number}\n"));
    }
    let mut copy = File::from(far);
    let mut copied = String::new();
    while !copied.contains("lines of this log were lost") {
        let mut buffer = [0; 4096];
        let length = copy.read(&mut buffer).unwrap();
        copied.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }

    assert!(copied.contains("line 0\n"));
    assert!(copied.matches('x').count() < 100 * 64 * 1024);
}

#[test]
fn lines_that_are_owed_wait_for_their_log_however_many_they_are() {
    let house = House::new();
    house.pump.replace_main_log(house.main_log(Some("folder/main")));
    let line = |number: u64| format!("{number} {}\n", "x".repeat(100));

    // Twice what a queue has room for.
    for number in 1..=20_000 {
        house.pump.owed_line(OwedLine { number, text: line(number).into_bytes() });
    }
    assert_eq!(house.pump.said(), 0);
    fs::create_dir(house.path("folder")).unwrap();

    let until = Instant::now() + LIMIT;
    while house.pump.said() < 20_000 {
        assert!(Instant::now() < until, "{} are said", house.pump.said());
        thread::yield_now();
    }
    // The pump has told of the log that it could not have.
    let text = fs::read_to_string(house.path("folder/main")).unwrap();
    let owed: String = text.split_inclusive('\n').filter(|it| it.ends_with("x\n")).collect();
    assert!(owed == (1..=20_000).map(line).collect::<String>(), "{} lines", owed.lines().count());
}
