//! What is shown of services: rows 62 to 64, and `sysctl srv_status`.

use std::fs;

use super::scene::{Scene, open};

/// A supervisor with two programs of its configuration, which run.
fn running() -> Scene {
    let scene = open(
        "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nheartbeat_period=900s\nready=alive\n\n\
         [program:two]\ncommand=/bin/cat\nstartsecs=0\nnumprocs=2\n\
         process_name=%(program_name)s%(process_num)d\n",
    );
    for label in ["cat", "two:two0", "two:two1"] {
        scene.until(label, "it runs", |service| service.state == "RUNNING");
    }
    scene
}

#[test]
fn row_62_a_label_that_nobody_has_is_told_by_its_number() {
    let scene = running();

    for words in [["show", "nobody"], ["lookup", "nobody"]] {
        let output = scene.service(&words).ends_with(3);
        assert!(output.stderr.contains("(error 3)"), "{output:?}");
    }
}

#[test]
fn row_63_a_list_is_minixs() {
    let scene = running();
    let cat = scene.find("cat").unwrap();

    let output = scene.service(&["list"]).ends_with(0);

    let mut lines = output.stdout.lines();
    assert_eq!(
        lines.next().unwrap(),
        "----label---- endpoint- -pid- flags- -dev- -T- alive_tm starts command"
    );
    let row: Vec<&str> = lines.next().unwrap().split_ascii_whitespace().collect();
    let (endpoint, pid) = (cat.endpoint.to_string(), cat.pid.to_string());
    assert_eq!(row[..6], ["cat", &endpoint, &pid, "A-----", "0", "90000"], "{output:?}");
    assert_eq!(row[7..], ["0x", "/bin/cat"], "{output:?}");
    assert_eq!(lines.count(), 2, "{output:?}");
    let one = scene.service(&["list", "two1"]).ends_with(0);
    assert_eq!(one.stdout.lines().count(), 2, "{one:?}");
}

#[test]
fn row_64_the_seven_fields_come_first() {
    let scene = running();
    let service = scene.find("two:two1").unwrap();

    // One name is enough where only one group has it.
    for label in ["two:two1", "two1"] {
        let output = scene.service(&["show", label]).ends_with(0);
        let begin = format!(
            "filename: /bin/cat\nendpoint: {}\npid: {}\nrestarts: 0\nflags: A\n\
             policies: reset\nASRcount: 0\n",
            service.endpoint, service.pid
        );
        assert!(output.stdout.starts_with(&begin), "{output:?}");
    }
    let all = scene.service(&["show"]).ends_with(0);
    assert_eq!(all.stdout.matches("filename: ").count(), 3, "{all:?}");
}

#[test]
fn an_endpoint_is_looked_up() {
    let scene = running();

    let output = scene.service(&["lookup", "cat"]).ends_with(0);

    assert_eq!(output.stdout, format!("{}\n", scene.find("cat").unwrap().endpoint));
}

#[test]
fn only_who_is_initialised_is_looked_up_unless_nobody_waits_for_that() {
    let scene = open(
        "[program:db]\ncommand=/bin/cat\nautostart=false\n\n\
         [program:web]\ncommand=/bin/cat\ndepends_on=db:ready\n",
    );
    let mute = scene.program("mute", "exec sleep 1000");
    let slow = scene.gated();
    let lookup = |label: &str| scene.service(&["lookup", label]);

    let held = lookup("web").ends_with(3);
    assert!(held.stderr.contains("depends on db"), "{held:?}");

    let waits = scene.begin(&["up", &slow, "-label", "slow", "-ready", "fd:4"]);
    scene.until("slow", "it has a process", |it| it.pid > 0);
    lookup("slow").ends_with(3);
    scene.service(&["-n", "up", &mute, "-label", "mute", "-ready", "ctl"]).ends_with(0);
    lookup("mute").ends_with(0);

    fs::write(scene.home.file("gate"), "go\n").unwrap();
    assert!(waits.wait_with_output().unwrap().status.success());
    let told = lookup("slow").ends_with(0).stdout;
    assert_eq!(told, format!("{}\n", scene.find("slow").unwrap().endpoint));
}

#[test]
fn the_status_has_a_line_for_each() {
    let scene = running();

    let output = scene.service(&["sysctl", "srv_status"]).ends_with(0);

    assert!(output.stdout.starts_with("service 'cat'* slot 0, ep "), "{output:?}");
    assert!(output.stdout.ends_with("3 services, 3 of them active\n"), "{output:?}");
}

#[test]
fn one_service_is_one_document() {
    let scene = running();

    let output = scene.service(&["show", "cat", "--json"]).ends_with(0);

    let shown: bardo::service::reply::Service = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&*shown.label, &*shown.binary, shown.period), ("cat", "/bin/cat", 900_000));
    assert_eq!(output.stdout.lines().count(), 1);
}

#[test]
fn what_was_asked_of_its_end_is_shown() {
    let scene = running();
    let shown = |label: &str| scene.service(&["show", label]).ends_with(0).stdout;
    let has = |label: &str, line: &str| {
        let text = shown(label);
        assert!(text.lines().any(|there| there == line), "{label}: {line}\n{text}");
    };
    let options = ["-label", "last", "-alive", "0", "-stop-signal", "USR1", "-grace", "7s"];
    scene.service(&[&["-f", "up", "/bin/cat"], &options[..]].concat()).ends_with(0);
    let options = ["-label", "fine", "-alive", "0", "-ok-exit", "0,3"];
    scene.service(&[&["up", "/bin/cat"], &options[..]].concat()).ends_with(0);

    for line in ["restart: never (-f)", "stop-signal: SIGUSR1", "grace: 7 s"] {
        has("last", line);
    }
    for line in ["ok-exit: 0,3", "stop-signal: SIGTERM", "grace: 2 s"] {
        has("fine", line);
    }
    // What edit does not repeat of -f is cleared, and shown so.
    scene.service(&["edit", "self", "-label", "last"]).ends_with(0);
    assert!(shown("last").contains("\nrestart: back-off binary up to 30 s;"), "{}", shown("last"));
    let output = scene.service(&["show", "fine", "--json"]).ends_with(0);
    assert!(output.stdout.contains(r#"["ok-exit","0,3"]"#), "{output:?}");
}
