//! Logs of programs that are no files of their own: the daemon's standard output, and the
//! main log.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use bardo::selftest::home::PATIENCE;
use bardo_wire::xmlrpc::Value;
use flate2::read::MultiGzDecoder;

use crate::scene::{Scene, open, open_with};

/// A program that writes back what it is sent, to the daemon's standard output.
const ONWARD: &str = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n\
                      stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n";

fn send(scene: &Scene, text: &str) {
    let parameters = [Value::from("cat"), Value::from(text)];
    scene.client().call("supervisor.sendProcessStdin", &parameters).unwrap();
}

/// Reads until this text has come.
fn await_text(reader: &mut impl std::io::Read, wanted: &str) {
    let mut text = String::new();
    let mut byte = [0];
    while !text.contains(wanted) {
        let count = reader.read(&mut byte).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(count, 1, "it ended after {text}");
        text.push(char::from(byte[0]));
    }
}

#[test]
fn a_socket_as_standard_output_is_logged_to_also_by_the_next_supervisor() {
    let (mut near, far) = UnixStream::pair().unwrap();
    near.set_read_timeout(Some(PATIENCE)).unwrap();
    let scene = open_with("silent=true", ONWARD, |command| {
        command.stdout(OwnedFd::from(far));
    });

    send(&scene, "one\n");
    await_text(&mut near, "one\n");
    scene.daemon.kill_supervisor().unwrap();
    scene.await_log("taken over");
    send(&scene, "two\n");

    await_text(&mut near, "two\n");
}

#[test]
fn a_few_bytes_are_in_the_log_although_messages_are_captured() {
    let programs = "[program:short]\ncommand=/usr/bin/printf tiny\nstartsecs=0\n\
                    autorestart=false\nstdout_logfile={here}/short.log\n\
                    stdout_capture_maxbytes=1KB\n";
    let scene = open("", programs);

    scene.until("short", "EXITED");

    let log = || std::fs::read_to_string(scene.home.file("short.log"));
    scene.wait("its four bytes", || log().is_ok_and(|text| text == "tiny"));
}

#[test]
fn a_program_in_two_groups_has_an_automatic_log_in_each() {
    let programs = "[program:say]\ncommand=/bin/sh -c 'echo $SUPERVISOR_GROUP_NAME; exec cat'\n\
                    startsecs=0\n[group:one]\nprograms=say\n[group:two]\nprograms=say\n";
    let scene = open("", programs);

    for group in ["one", "two"] {
        let info = scene.until(&format!("{group}:say"), "RUNNING");

        let log = || std::fs::read_to_string(&info.stdout_log);
        scene.wait("its own line and no other", || {
            log().is_ok_and(|text| text == format!("{group}\n"))
        });
    }
}

#[test]
fn two_groups_write_the_file_that_their_program_names() {
    let programs = "[program:say]\ncommand=/bin/sh -c 'for i in 1 2 3; do echo \
                    $SUPERVISOR_GROUP_NAME $i; done; exec cat'\nstartsecs=0\n\
                    stdout_logfile={here}/say.log\nstdout_logfile_maxbytes=0\n\
                    [group:one]\nprograms=say\n[group:two]\nprograms=say\n";
    let scene = open("", programs);

    scene.wait("every line of both, whole", || {
        let text = std::fs::read_to_string(scene.home.file("say.log")).unwrap_or_default();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines == ["one 1", "one 2", "one 3", "two 1", "two 2", "two 3"]
    });
}

#[test]
fn backups_are_compressed_by_whichever_supervisor_is_there() {
    let program = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n\
                   stdout_logfile={here}/cat.log\nstdout_logfile_maxbytes=1\n\
                   stdout_logfile_backups=3\nstdout_logfile_compress=true\n";
    let scene = open("", program);
    let text_of = |name: &str| {
        let mut text = String::new();
        let file = std::fs::File::open(scene.home.file(name)).ok()?;
        MultiGzDecoder::new(file).read_to_string(&mut text).ok()?;
        Some(text)
    };
    let is_plain = || scene.home.file("cat.log.1").exists();

    send(&scene, "one\n");
    let newest = || text_of("cat.log.1.gz");
    scene.wait("the first backup", || newest().as_deref() == Some("one\n") && !is_plain());
    // What a supervisor that is killed may have begun.
    std::fs::write(scene.home.file(".cat.log.gz.part"), "torn").unwrap();
    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();
    send(&scene, "two\n");

    scene.wait("the second backup", || newest().as_deref() == Some("two\n") && !is_plain());
    assert_eq!(text_of("cat.log.2.gz").as_deref(), Some("one\n"));
    assert!(!scene.home.file(".cat.log.gz.part").exists());
}

#[test]
fn a_pipe_as_standard_output_takes_the_main_log_and_a_programs_lines() {
    let (mut near, far) = std::io::pipe().unwrap();
    let scene = open_with("", ONWARD, |command| {
        command.stdout(far);
    });

    send(&scene, "one\n");

    await_text(&mut near, "one\n");
    let parameters = [Value::from("cat"), Value::Int(0), Value::Int(0)];
    let read = scene.client().call("supervisor.readProcessStdoutLog", &parameters);
    assert_eq!(read.unwrap_err().to_string(), "fault 30: FAILED", "nobody can read it again");
}

#[test]
fn at_level_debug_the_main_log_has_what_programs_write() {
    let program = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=NONE\n\
                   redirect_stderr=true\n";
    let scene = open("loglevel=debug", program);

    send(&scene, "one\ntwo\n");

    scene.await_log(" DEBG 'cat' stdout output:\none\ntwo\n\n");
}

#[test]
fn a_standard_output_that_nobody_reads_any_more_stops_no_program() {
    let (mut near, far) = std::io::pipe().unwrap();
    let program = "[program:ticker]\nstartsecs=0\nstdout_logfile=/dev/stdout\n\
                   stdout_logfile_maxbytes=0\n\
                   command=/bin/sh -c 'line=$(head -c 1000 /dev/zero | tr \\\\0 -); \
                   while :; do echo tick $line; echo tock $line >> {here}/tocks; done'\n";
    let scene = open_with("silent=true", program, |command| {
        command.stdout(far);
    });
    await_text(&mut near, "tick");

    drop(near);

    scene.await_log("nobody reads /dev/stdout any more: what is for it is dropped");
    let tocks = || std::fs::metadata(scene.home.file("tocks")).map_or(0, |file| file.len());
    // What its pipe and ours hold is far less than this.
    let enough = tocks() + (2 << 20);
    scene.wait("the program to go on", || tocks() > enough);
}

#[test]
fn a_file_as_standard_output_holds_the_main_log_and_a_programs_lines() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("output");
    let output = std::fs::File::create(&path).unwrap();
    let scene = open_with("", ONWARD, |command| {
        command.stdout(output);
    });
    let text = || std::fs::read_to_string(&path).unwrap();

    for round in ["one\n", "two\n"] {
        send(&scene, round);
        scene.wait("the line", || text().contains(round));
        scene.client().about("stopProcess", "cat").unwrap();
        scene.client().about("startProcess", "cat").unwrap();
    }

    scene.wait("the main log's lines", || text().matches("spawned: 'cat'").count() == 3);
    let text = text();
    assert!(text.contains("one\n") && text.contains("two\n"), "{text}");
    assert!(text.lines().all(|line| !line.contains('\0')), "{text}");
}
