//! One standard output that several programs share: whole lines with their prefix, whatever
//! becomes of the supervisor.

use std::fs::{self, File};
use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use bardo::selftest::procfs;
use bardo_sys::pipe;

use crate::scene::{Scene, open_with, stays};

/// How many lines each program writes.
const LINES: usize = 600;

/// How often the supervisor is killed meanwhile.
const KILLS: usize = 12;

/// A line in pieces, each of them a write: many are longer than what a pipe keeps whole.
const TALKER: &str = r#"
long=$(head -c 6000 /dev/zero | tr '\0' x)
i=0
while [ $i -lt "$1" ]; do
    i=$((i + 1))
    printf '%s' "$i "
    if [ $((i % 3)) = 0 ]; then printf '%s' "$long" | head -c $((i * 10)); fi
    printf '%s\n' end
done
printf 'no newline'
exec sleep 1000
"#;

/// A scene whose standard output is a pipe, and that pipe's other end.
fn piped(more: &str, programs: &str) -> (Scene, File) {
    let (read, write) = pipe::pipe().unwrap();
    let scene = open_with(more, programs, |command| {
        command.stdout(Stdio::from(write));
    });
    (scene, read.into())
}

/// Programs that share the output.
fn talkers(names: &[&str], script: &str) -> String {
    let program = |name: &&str| {
        format!(
            "[program:{name}]\ncommand=/bin/sh {script} {LINES}\nstartsecs=0\n\
             redirect_stderr=true\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n"
        )
    };
    names.iter().map(program).collect()
}

fn script() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("talker");
    fs::write(&path, TALKER).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

/// What a talker's lines are.
fn expected(name: &str) -> Vec<String> {
    let filling = |line: usize| if line.is_multiple_of(3) { (line * 10).min(6000) } else { 0 };
    let line = |line| format!("{name} | {line} {}end", "x".repeat(filling(line)));
    (1..=LINES).map(line).collect()
}

#[test]
fn lines_in_pieces_are_whole_however_often_the_supervisor_is_killed() {
    let (_directory, script) = script();
    let names = ["one", "two", "three"];
    let more = "silent=true\nstdout_logfile_prefix=\"%(program_name)s | \"";
    let (scene, mut output) = piped(more, &talkers(&names, &script));
    let total = names.len() * LINES;
    let mut text = Vec::new();
    let mut lines = 0;
    let mut kills = 0;

    while lines < total {
        let mut buffer = [0; 5000];
        let length = output.read(&mut buffer).unwrap();
        assert!(length > 0, "{}", scene.log());
        text.extend_from_slice(&buffer[..length]);
        lines += buffer[..length].iter().filter(|byte| **byte == b'\n').count();
        if kills < KILLS && lines > (kills + 1) * total / (KILLS + 2) {
            kills += usize::from(scene.daemon.kill_supervisor().is_ok());
        }
    }

    assert_eq!(kills, KILLS);
    check(&String::from_utf8(text).unwrap(), &names);
}

#[test]
fn an_output_that_is_a_file_has_every_line_once_too() {
    let (directory, script) = script();
    let names = ["one", "two"];
    let path = directory.path().join("output");
    let file = File::create(&path).unwrap();
    let more = "silent=true\nstdout_logfile_prefix=\"%(program_name)s | \"";
    let scene = open_with(more, &talkers(&names, &script), |command| {
        command.stdout(Stdio::from(file));
    });
    let lines = || fs::read(&path).unwrap().iter().filter(|byte| **byte == b'\n').count();
    let total = names.len() * LINES;

    for kill in 1..=3 {
        scene.wait("the programs to get on", || lines() >= kill * total / 4);
        scene.supervisor();
        scene.daemon.kill_supervisor().unwrap();
    }
    scene.wait("all lines", || lines() >= total);

    check(&fs::read_to_string(&path).unwrap(), &names);
}

/// Each line is there once, whole, in order, with its prefix, and nothing else is.
fn check(text: &str, names: &[&str]) {
    for name in names {
        let prefix = format!("{name} | ");
        let own: Vec<&str> = text.lines().filter(|line| line.starts_with(&prefix)).collect();
        let first = own.iter().zip(expected(name)).find(|(line, wanted)| **line != wanted);
        assert_eq!(first, None);
        assert_eq!(own.len(), LINES);
    }
    assert_eq!(text.lines().count(), names.len() * LINES);
}

#[test]
fn the_last_line_of_a_program_is_ended_before_another_ones() {
    let more = "stdout_logfile_prefix=%(program_name)s:\nsilent=true";
    let programs = "[program:asks]\ncommand=/usr/bin/printf 'name? '\nstartsecs=0\n\
                    autorestart=false\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n\
                    [program:cat]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=/dev/stdout\n\
                    stdout_logfile_maxbytes=0\nstdout_logfile_prefix=\"%(group_name)s > \"\n";
    let (scene, mut output) = piped(more, programs);
    let mut first = [0; 11];

    output.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"asks:name? ");
    scene.until("cat", "RUNNING");
    let say = [bardo_wire::xmlrpc::Value::from("cat"), "42\n".into()];
    scene.client().call("supervisor.sendProcessStdin", &say).unwrap();

    let mut rest = [0; 10];
    output.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"\ncat > 42\n");
}

#[test]
fn half_a_line_costs_nothing_while_it_waits() {
    let programs = "[program:half]\ncommand=/bin/sh -c 'printf half; exec sleep 1000'\n\
                    startsecs=0\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n";
    let (scene, _output) = piped("silent=true", programs);
    scene.until("half", "RUNNING");
    scene.wait("half a line", || scene.process("half").comm == "sleep");
    let pair = [scene.daemon.keeper(), scene.supervisor().pid];
    let switches = || pair.map(procfs::switches);
    scene.wait("the pair to come to rest", || {
        let before = switches();
        stays(Duration::from_millis(500), || switches() == before)
    });

    let before = switches();
    let idle = stays(Duration::from_secs(1), || switches() == before);

    assert!(idle, "switches of keeper and supervisor: {before:?}, then {:?}", switches());
}

#[test]
fn a_prefix_that_has_changed_is_taken_up_by_an_update() {
    let programs = "[program:cat]\ncommand=/bin/sh -c 'echo $$; exec cat'\nstartsecs=0\n\
                    stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n";
    let (scene, output) = piped("silent=true\nstdout_logfile_prefix=old>", programs);
    let mut output = std::io::BufReader::new(output);
    let mut next = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        line
    };
    assert!(next().starts_with("old>"));
    let path = scene.home.file("supervisord.conf");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("=old>", "=new>")).unwrap();

    let found = scene.client().call("supervisor.reloadConfig", &[]).unwrap();

    assert!(format!("{found:?}").contains("cat"), "{found:?}");
    let group = ["cat".into()];
    scene.client().call("supervisor.stopProcessGroup", &group).unwrap();
    scene.client().call("supervisor.removeProcessGroup", &group).unwrap();
    scene.client().call("supervisor.addProcessGroup", &group).unwrap();
    assert!(next().starts_with("new>"));
}
