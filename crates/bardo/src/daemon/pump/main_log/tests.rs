//! Lines that are owed, and queues that are full.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use bardo_sys::memory::SharedMemory;

use super::super::MainLogSettings;
use super::super::record::words_for;
use super::*;

/// What outlives a pump: the words, and the log.
fn house() -> (tempfile::TempDir, Record) {
    let memory = SharedMemory::anonymous("cells").unwrap();
    let words = words_for(1);
    let memory = Arc::new(SharedMemory::map(memory, words).unwrap());
    (tempfile::tempdir().unwrap(), Record::open(memory, 0, words).0)
}

fn settings(directory: &tempfile::TempDir) -> MainLogSettings {
    let path = directory.path().join("main");
    MainLogSettings {
        path: Some(path.to_str().unwrap().into()),
        bytes_max: 0,
        backups: 0,
        compress: false,
        to_syslog: false,
        copy: None,
        copies_lines: false,
        format,
    }
}

/// A pump that is killed before it has written anything, after `bytes` of its batch, or
/// after it has recorded that.
fn pump(house: &(tempfile::TempDir, Record), owed: &[(u64, &str)], killed_after: Option<usize>) {
    let (directory, record) = house;
    let mut files = Files::new(Arc::default());
    let mut log = MainLog::new(settings(directory), &mut files).unwrap();
    let line = |(number, text): &(u64, &str)| OwedLine { number: *number, text: (*text).into() };
    log.settle(owed.iter().map(line).collect(), &mut files, record);
    let mut syslog = Syslog::new("/nonexistent/log".into());
    match killed_after {
        None => {
            while !matches!(
                log.flush(&mut files, &mut syslog, record, &mut Outlets::default()),
                Flushed::Idle
            ) {}
        }
        Some(bytes) => {
            let outlet = log.file.as_mut().unwrap();
            let place = files.prepare(outlet.file).unwrap();
            record.say_at(place.unwrap());
            outlet.queue.fill(&mut log.batch, u64::MAX);
            files.write(outlet.file, place, &log.batch[..bytes]).unwrap();
        }
    }
}

#[test]
fn a_line_that_is_owed_is_in_the_file_once_wherever_the_pump_was_killed() {
    let owed = [(3, "three\n"), (4, "same\n"), (5, "same\n"), (6, "six\n")];
    let batch: String = owed.iter().map(|(_, text)| *text).collect();
    for bytes in 0..=batch.len() {
        let house = house();
        fs::write(house.0.path().join("main"), "same\nbefore\n").unwrap();

        pump(&house, &owed, Some(bytes));
        pump(&house, &owed, Some(0));
        pump(&house, &owed, None);
        pump(&house, &owed, None);

        let text = fs::read_to_string(house.0.path().join("main")).unwrap();
        let whole: Vec<&str> =
            text.lines().filter(|line| batch.lines().any(|it| it == *line)).collect();
        assert_eq!(whole, ["same", "three", "same", "same", "six"], "{bytes}: {text:?}");
        assert_eq!(house.1.said(), 6);
    }
}

#[test]
fn a_line_that_has_only_begun_is_not_said() {
    let mut queue = Queue::default();
    queue.push(b"one\n", 7);
    queue.push(b"two\n", NOT_OWED);
    queue.push(b"three\n", 8);

    assert_eq!([queue.wrote(3), queue.wrote(6), queue.wrote(5)], [NOT_OWED, 7, 8]);
}

#[test]
fn a_line_that_is_owed_finds_room_where_others_are_lost() {
    let mut queue = Queue::default();
    queue.push(&[b'x'; QUEUE_BYTES_MAX], 7);
    queue.push(b"eight\n", 8);
    queue.push(b"lost\n", NOT_OWED);

    assert_eq!((queue.lines.len(), queue.lost), (2, 1));
}

#[test]
fn who_sees_a_copy_of_the_log_is_owed_nothing() {
    let (directory, _) = house();
    let settings = MainLogSettings {
        copy: Some(File::create(directory.path().join("copy")).unwrap().into()),
        copies_lines: true,
        ..settings(&directory)
    };
    let mut log = MainLog::new(settings, &mut Files::new(Arc::default())).unwrap();

    log.owed_line(b"one\n", 7);

    let numbers: Vec<u64> = log.queues().map(|queue| queue.lines[0].1).collect();
    assert_eq!(numbers, [7, NOT_OWED]);
}

#[test]
fn a_line_for_syslog_is_not_said_while_it_waits() {
    let (directory, record) = house();
    let collector = UnixDatagram::bind(directory.path().join("log")).unwrap();
    let settings = MainLogSettings { path: None, to_syslog: true, ..settings(&directory) };
    let mut files = Files::new(Arc::default());
    let mut log = MainLog::new(settings, &mut files).unwrap();
    let mut syslog = Syslog::new(directory.path().join("log"));

    let mut last = 0;
    while !syslog.is_full() {
        assert_eq!(record.said(), last);
        last += 1;
        log.owed_line(b"2026-11-01 07:05:09,001 INFO exited: cat\n", last);
        log.flush(&mut files, &mut syslog, &record, &mut Outlets::default());
    }
    assert_eq!(record.said(), last - 1);
    collector.recv(&mut [0; 1000]).unwrap();
    syslog.flush();
    log.flush(&mut files, &mut syslog, &record, &mut Outlets::default());

    assert_eq!(record.said(), last);
}

/// A disk that is full takes a few bytes at a time.
#[test]
fn a_line_that_was_begun_is_looked_for_where_it_begins() {
    let owed: Vec<(u64, String)> =
        (1..4).map(|number| (number, format!("{number}{}\n", "x".repeat(100_000)))).collect();
    let owed: Vec<(u64, &str)> =
        owed.iter().map(|(number, text)| (*number, text.as_str())).collect();
    let house = house();
    let (directory, record) = &house;
    let mut files = Files::new(Arc::default());
    let mut log = MainLog::new(settings(directory), &mut files).unwrap();
    for (number, text) in &owed {
        log.owed_line(text.as_bytes(), *number);
    }
    let outlet = log.file.as_mut().unwrap();
    for bytes in [90_000, 90_000, 90_000, 30_006] {
        let place = files.prepare(outlet.file).unwrap();
        record.say_at(outlet.queue.begins_at(place.unwrap()));
        outlet.queue.fill(&mut log.batch, u64::MAX);
        files.write(outlet.file, place, &log.batch[..bytes]).unwrap();
        outlet.queue.wrote(bytes);
    }

    pump(&house, &owed, None);

    let text = fs::read_to_string(directory.path().join("main")).unwrap();
    assert_eq!((text.lines().count(), record.said()), (3, 3));
}

fn format(_: Severity, text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn batch(queue: &Queue, room: u64) -> String {
    let mut batch = Vec::new();
    queue.fill(&mut batch, room);
    String::from_utf8(batch).unwrap()
}

#[test]
fn a_line_that_reaches_the_limit_is_the_last_of_its_file() {
    let mut queue = Queue::default();
    for line in ["one\n", "two\n", "three\n"] {
        queue.push(line.as_bytes(), NOT_OWED);
    }

    assert_eq!(batch(&queue, 5), "one\ntwo\n");
    assert_eq!(batch(&queue, 4), "one\n");
    assert_eq!(batch(&queue, u64::MAX), "one\ntwo\nthree\n");
}

#[test]
fn what_was_written_in_part_goes_on_where_it_stopped() {
    let mut queue = Queue::default();
    queue.push(b"one\n", NOT_OWED);
    queue.push(b"two\n", NOT_OWED);

    queue.wrote(2);
    assert_eq!(batch(&queue, u64::MAX), "e\ntwo\n");
    queue.wrote(3);
    assert_eq!(batch(&queue, u64::MAX), "wo\n");
    queue.wrote(3);

    assert!(queue.is_empty() && queue.bytes == 0);
}

#[test]
fn the_lines_that_were_lost_are_counted_when_there_is_room() {
    let mut queue = Queue::default();
    queue.push(&[b'x'; QUEUE_BYTES_MAX / 2], NOT_OWED);
    queue.push(&[b'x'; QUEUE_BYTES_MAX / 2], NOT_OWED);
    queue.lose(2);
    queue.confess(format);
    assert_eq!(queue.lines.len(), 1);

    queue.wrote(QUEUE_BYTES_MAX / 2);
    queue.confess(format);

    assert!(batch(&queue, u64::MAX).starts_with("3 lines of this log were lost"));
}
