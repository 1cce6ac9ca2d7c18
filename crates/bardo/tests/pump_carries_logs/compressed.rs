//! Rotated logs that are compressed.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use bardo::daemon::pump::{MainLogSettings, Sink};
use flate2::read::MultiGzDecoder;

use crate::house::{House, LIMIT, SmallDisk, say};

/// A log of which each chunk becomes a backup, and each backup is compressed.
fn sink(house: &House) -> Sink {
    Sink { bytes_max: 1, backups: 3, compress: true, ..house.sink("log") }
}

fn decompressed(path: &Path) -> String {
    text_of(File::open(path).unwrap())
}

fn text_of(compressed: File) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(compressed).read_to_string(&mut text).unwrap();
    text
}

fn wait_until(house: &House, what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        let names = || fs::read_dir(house.directory.path()).unwrap().map(|entry| entry.unwrap());
        let main = || fs::read_to_string(house.path("main")).unwrap_or_default();
        assert!(began.elapsed() < LIMIT, "{what}: {:?} {}", names().collect::<Vec<_>>(), main());
        thread::yield_now();
    }
}

fn exists(house: &House, name: &str) -> bool {
    fs::symlink_metadata(house.path(name)).is_ok()
}

/// Waits until a backup is compressed and nothing else is left of it.
fn wait_compressed(house: &House, name: &str) {
    wait_until(house, "it is compressed", || {
        exists(house, &format!("{name}.gz")) && !exists(house, name)
    });
}

/// Writes a chunk that becomes `log.1`, and waits until it is compressed.
fn say_and_wait(house: &House, chunk: &str, child: &mut File) {
    say(child, chunk);
    let newest = house.path("log.1.gz");
    wait_until(house, "the chunk is compressed", || {
        // The name is given on between two looks.
        let text = File::open(&newest).map(text_of);
        text.is_ok_and(|text| text == chunk) && !exists(house, "log.1")
    });
}

#[test]
fn a_backup_is_compressed_and_moves_on_like_any_other() {
    let house = House::new();
    let mut child = house.attach(1, sink(&house));

    for chunk in ["one\n", "two\n", "three\n", "four\n"] {
        say_and_wait(&house, chunk, &mut child);
    }

    let found = ["log.1.gz", "log.2.gz", "log.3.gz"].map(|name| decompressed(&house.path(name)));
    assert_eq!(found, ["four\n", "three\n", "two\n"]);
    let names = fs::read_dir(house.directory.path()).unwrap();
    assert_eq!(names.count(), 5, "the log, three backups and the main log");
}

#[test]
fn others_can_read_what_is_compressed_as_they_could_before() {
    let house = House::new();
    let mut child = house.attach(1, Sink { bytes_max: 8, ..sink(&house) });
    say(&mut child, "first\n");
    house.wait_for("log", "first\n");
    fs::set_permissions(house.path("log"), fs::Permissions::from_mode(0o604)).unwrap();

    say(&mut child, "second\n");
    wait_compressed(&house, "log.1");

    let compressed = house.path("log.1.gz");
    assert_eq!(fs::metadata(&compressed).unwrap().mode() & 0o7777, 0o604);
    match Command::new("zcat").arg(&compressed).stderr(Stdio::null()).output() {
        Ok(output) => assert_eq!(output.stdout, b"first\nsecond\n"),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            println!("there is no zcat here");
        }
    }
}

#[test]
fn rotations_while_a_backup_is_compressed_mix_nothing_up() {
    let house = House::new();
    let kept = Sink { bytes_max: 50_000, backups: 1_000, ..sink(&house) };
    let mut child = house.attach(1, kept);
    let mut text = String::new();

    for number in 0..20_000 {
        let line = format!("{number} {:x}\n", number * 2_654_435_761_u64);
        text.push_str(&line);
    }
    child.write_all(text.as_bytes()).unwrap();
    house.release(1);
    house.wait_drained(1);

    let plain = |number: &u32| exists(&house, &format!("log.{number}"));
    let compressed = |number: &u32| exists(&house, &format!("log.{number}.gz"));
    wait_until(&house, "all are compressed", || {
        (1..)
            .take_while(|number| plain(number) || compressed(number))
            .all(|number| compressed(&number) && !plain(&number))
    });
    let count = (1..).take_while(compressed).count();
    let names = (1..=count).rev().map(|number| house.path(&format!("log.{number}.gz")));
    let mut found: String = names.map(|name| decompressed(&name)).collect();
    found.push_str(&fs::read_to_string(house.path("log")).unwrap());
    assert!(count > 1 && found == text, "{count} backups, {} of {}", found.len(), text.len());
}

#[test]
fn what_a_dead_pump_has_left_is_finished_when_its_log_is_used_again() {
    let house = House::new();
    fs::write(house.path("log.1"), "newer\n").unwrap();
    fs::write(house.path("log.2"), "older\n").unwrap();
    fs::write(house.path(".log.gz.part"), "torn").unwrap();

    let _child = house.attach(1, sink(&house));

    wait_compressed(&house, "log.1");
    wait_compressed(&house, "log.2");
    let found = ["log.1.gz", "log.2.gz"].map(|name| decompressed(&house.path(name)));
    assert_eq!(found, ["newer\n", "older\n"]);
    assert!(!exists(&house, ".log.gz.part"));
}

#[test]
fn without_the_option_nothing_is_compressed_and_what_is_moves_on() {
    let house = House::new();
    fs::write(house.path("log.1.gz"), "compressed before").unwrap();
    let mut child = house.attach(1, Sink { compress: false, ..sink(&house) });

    say(&mut child, "new\n");

    house.wait_for("log.1", "new\n");
    house.wait_for("log.2.gz", "compressed before");
    assert!(!exists(&house, "log.1.gz"));
}

#[test]
fn a_backup_that_cannot_be_compressed_stays_and_is_told_of_once() {
    let house = House::new();
    let mut child = house.attach(1, sink(&house));
    // No file can be made under this name.
    fs::create_dir(house.path(".log.gz.part")).unwrap();

    say(&mut child, "one\n");
    house.wait_for("log.1", "one\n");
    house.wait_for_main("it stays as it is");
    say(&mut child, "two\n");
    house.wait_for("log.2", "one\n");
    house.wait_for("log.1", "two\n");
    // One is compressed at a time: this one when that has been tried in vain.
    let mut next =
        house.attach(2, Sink { bytes_max: 1, path: house.sink("next").path, ..sink(&house) });
    say(&mut next, "x\n");
    wait_compressed(&house, "next.1");
    fs::remove_dir(house.path(".log.gz.part")).unwrap();
    say(&mut child, "three\n");

    house.wait_for_main("are compressed again");
    let names = ["log.1.gz", "log.2.gz", "log.3.gz"];
    let found = names.map(|name| decompressed(&house.path(name)));
    assert_eq!(found, ["three\n", "two\n", "one\n"]);
    let main = fs::read_to_string(house.path("main")).unwrap();
    assert_eq!(main.matches("cannot compress").count(), 1, "{main}");
}

#[test]
fn on_a_full_disk_a_backup_stays_until_the_next_rotation() {
    let house = House::new();
    let Some(_disk) = SmallDisk::mount(&house) else { return };
    let mut random = String::new();
    // Letters of chance are halved at best: their copy does not fit beside the filler.
    let letters = std::iter::successors(Some(1_u64), |last| {
        Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
    });
    random.extend(letters.take(28 * 1024).map(|letter| char::from(b'@' + (letter >> 58) as u8)));
    let mut child = house.attach(1, Sink { path: house.sink("disk/log").path, ..sink(&house) });
    fs::write(house.path("disk/filler"), vec![0; 28 * 1024]).unwrap();

    say(&mut child, &random);
    house.wait_for_main("disk/log.1: No space left on device");
    let copies = ["disk/log.1.gz", "disk/.log.gz.part"].map(|name| exists(&house, name));
    assert_eq!(
        (fs::read_to_string(house.path("disk/log.1")).unwrap(), copies),
        (random, [false; 2])
    );
    fs::remove_file(house.path("disk/filler")).unwrap();
    say(&mut child, "more\n");

    wait_compressed(&house, "disk/log.1");
    wait_compressed(&house, "disk/log.2");
}

#[test]
fn backups_of_the_main_log_are_compressed_too() {
    let house = House::new();
    let settings = house.main_log(Some("other"));
    let limits = MainLogSettings { bytes_max: 1, backups: 2, compress: true, ..settings };
    house.pump.replace_main_log(limits);

    house.pump.line(b"a line\n".to_vec());

    wait_compressed(&house, "other.1");
    assert_eq!(decompressed(&house.path("other.1.gz")), "a line\n");
}
