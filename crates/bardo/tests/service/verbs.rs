//! What the verbs do: rows 5 to 11, 14 to 16, 26 to 31, 35, 56 to 60 and 72.

use std::fs;

use super::programs::KILL;
use super::scene::{Output, Scene, code, open, scene, send};

#[test]
fn row_5_switches_mean_the_same_wherever_they_stand() {
    let scene = scene();

    scene.service(&["-nb", "up", "/bin/sleep", "-label", "one", "-args", "1000"]).ends_with(0);
    scene.service(&["up", "-n", "-b", "/bin/sleep", "-label", "two", "-args", "1000"]).ends_with(0);
    scene.service(&["up", "/bin/sleep", "-label", "three", "-nb", "-args", "1000"]).ends_with(0);

    // Where its processes are, for one, is different for each.
    let details = |label: &str| {
        let mut details = scene.find(label).unwrap().details;
        details.retain(|(name, _)| matches!(&**name, "restart" | "copy" | "readiness"));
        details
    };
    assert_eq!(details("one").len(), 3);
    assert_eq!(details("one"), details("two"));
    assert_eq!(details("one"), details("three"));
}

#[test]
fn row_6_five_seconds_are_listed_alike() {
    let scene = scene();
    for (label, period) in [("a", "5HZ"), ("b", "500"), ("c", "5s"), ("d", "5000ms")] {
        let words = ["-n", "up", "/bin/sleep", "-label", label, "-args", "1000", "-period", period];
        scene.service(&words).ends_with(0);

        assert_eq!(scene.find(label).unwrap().period, 5000, "{period}");
    }
}

#[test]
fn row_7_a_service_is_called_by_its_program() {
    let scene = scene();
    let program = scene.program("foo", "exec sleep 1000");

    scene.service(&["-n", "up", &program]).ends_with(0);

    assert_eq!(scene.find("foo").unwrap().binary, program);
}

#[test]
fn row_8_minix_knows_fifteen_bytes_of_a_label() {
    let scene = scene();
    let up = |label: &str, more: &[&str]| {
        let words = ["-n", "up", "/bin/sleep", "-label", label, "-args", "1000"];
        scene.service(&[more, &words].concat())
    };
    let file = scene.home.file("system.conf");
    fs::write(&file, "service sleep { uid SELF; };\n").unwrap();
    let file = file.display().to_string();

    up("fifteen-letters-one", &[]).ends_with(0);
    up("fifteen-letters-two", &[]).ends_with(0);
    let words = |label| {
        vec![
            "--minix",
            "-n",
            "up",
            "/bin/sleep",
            "-label",
            label,
            "-config",
            &file,
            "-args",
            "1000",
        ]
    };
    scene.service(&words("another-long-label-one")).ends_with(0);
    scene.service(&words("another-long-label-two")).ends_with(16);
    scene.pid("another-long-la");
    scene.service(&["--minix", "down", "another-long-label-two"]).ends_with(0);
}

#[test]
fn row_9_a_label_is_taken_once() {
    let scene = scene();
    scene.counted("foo", &[]);
    let pid = scene.pid("foo");

    let output = scene.service(&["up", "/bin/sleep", "-label", "foo"]).ends_with(16);

    assert!(output.stderr.contains("Device busy (error 16)"), "{output:?}");
    assert_eq!(scene.pid("foo"), pid);
}

#[test]
fn row_10_a_device_is_taken_once() {
    let scene = scene();
    scene.counted("one", &["-dev", "/dev/null"]);

    scene.service(&["up", "/bin/sleep", "-label", "two", "-dev", "/dev/null"]).ends_with(16);
    scene.service(&["up", "/bin/sleep", "-label", "two", "-major", "1"]).ends_with(16);
    scene.counted("three", &["-dev", "/dev/zero"]);
}

#[test]
fn row_11_arguments_arrive_as_they_were_parted() {
    let scene = scene();
    let program = scene.program(
        "dump",
        "for word in \"$@\"; do echo \"<$word>\"; done >{here}/$1; exec sleep 1000",
    );
    let dumped = |file: &str| {
        let file = scene.home.file(file);
        scene.wait("the arguments", || {
            fs::read_to_string(&file).is_ok_and(|it| it.ends_with("end>\n"))
        });
        fs::read_to_string(&file).unwrap()
    };

    scene.service(&["-n", "up", &program, "-label", "a", "-args", "a 'b  c' end"]).ends_with(0);
    scene
        .service(&["-n", "up", &program, "-label", "b", "--", "b", "c  d \"%", "", "end"])
        .ends_with(0);

    assert_eq!(dumped("a"), "<a>\n<'b>\n<c'>\n<end>\n");
    assert_eq!(dumped("b"), "<b>\n<c  d \"%>\n<>\n<end>\n");
}

#[test]
fn row_14_up_answers_when_the_service_is_initialised() {
    let scene = scene();
    let program = scene.gated();

    let mut up = scene.begin(&["up", &program, "-label", "foo", "-ready", "fd:4"]);
    scene.until("foo", "it starts", |it| it.state == "STARTING" && it.pid > 0);
    let before = up.try_wait().unwrap();
    fs::write(scene.home.file("gate"), "go\n").unwrap();

    assert_eq!(code(up.wait().unwrap()), 0);
    assert_eq!(before, None, "it did not wait");
    assert_eq!(scene.find("foo").unwrap().state, "RUNNING");
}

#[test]
fn row_15_with_n_up_answers_at_once() {
    let scene = scene();
    let program = scene.gated();

    scene.service(&["-n", "up", &program, "-label", "foo", "-ready", "fd:4"]).ends_with(0);

    assert_eq!(scene.find("foo").unwrap().state, "STARTING");
}

#[test]
fn the_caller_who_goes_away_cancels_nothing() {
    let scene = scene();
    let program = scene.gated();
    let mut up = scene.begin(&["up", &program, "-label", "foo", "-ready", "fd:4"]);
    scene.until("foo", "it starts", |it| it.state == "STARTING" && it.pid > 0);

    up.kill().unwrap();
    up.wait().unwrap();
    fs::write(scene.home.file("gate"), "go\n").unwrap();

    scene.pid("foo");
}

#[test]
fn a_supervisor_that_dies_while_up_waits_is_not_seen() {
    let scene = scene();
    let program = scene.gated();
    let mut up = scene.begin(&["up", &program, "-label", "foo", "-ready", "fd:4"]);
    let pid = scene.until("foo", "it starts", |it| it.state == "STARTING" && it.pid > 0).pid;

    scene.daemon.kill_supervisor().unwrap();
    scene.until("foo", "it is still there", |it| it.pid == pid);
    let before = up.try_wait().unwrap();
    fs::write(scene.home.file("gate"), "go\n").unwrap();

    let output = up.wait_with_output().unwrap();
    assert_eq!((before, code(output.status)), (None, 0), "{output:?}");
    assert_eq!(scene.pid("foo"), pid);
}

#[test]
fn row_16_who_ends_before_it_is_initialised_is_gone() {
    let scene = scene();
    let program = scene.program("fails", "echo $$ >>{here}/$1; exit 1");
    for ready in ["auto", "ctl", "notify", "fd:4", "alive", "listen"] {
        let words = ["up", &program, "-label", "fails", "-ready", ready, "-args", ready];

        let output = scene.service(&words).ends_with(215);

        assert!(output.stderr.contains("(error 215)"), "{output:?}");
        assert!(output.stderr.contains("fails ended: exit status 1"), "{output:?}");
        assert!(scene.find("fails").is_none());
        assert_eq!(scene.starts(ready), 1);
    }
}

#[test]
fn a_label_is_no_word_that_means_something_else() {
    let scene = scene();

    for label in ["all", "-x", "--json"] {
        scene.service(&["-n", "up", "/bin/sleep", "-label", label]).ends_with(22);
    }
    assert_eq!(scene.services(), []);
}

#[test]
fn who_is_waited_for_and_not_there_is_told() {
    let scene = scene();
    let words = ["-n", "up", "/bin/sleep", "-label", "waits", "-args", "1000", "-depends", "ghost"];

    let output = scene.service(&words).ends_with(0);

    assert!(output.stderr.contains("there is no service ghost"), "{output:?}");
    scene.service(&["down", "waits"]).ends_with(0);
    assert_eq!(scene.services(), []);
}

#[test]
fn row_26_restart_does_not_wait_any_longer() {
    let scene = scene();
    scene.counted("foo", &["-restarts", "5"]);
    let before = scene.pid("foo");
    scene.crash("foo");

    scene.service(&["restart", "foo"]).ends_with(0);

    assert_ne!(scene.pid("foo"), before);
}

#[test]
fn row_27_who_runs_is_not_restarted() {
    let scene = scene();
    scene.counted("foo", &[]);
    let pid = scene.pid("foo");

    scene.service(&["restart", "foo"]).ends_with(16);

    assert_eq!(scene.pid("foo"), pid);
}

#[test]
fn row_28_who_waits_after_a_crash_is_left_alone() {
    let scene = scene();
    scene.counted("foo", &["-restarts", "5"]);
    scene.crash("foo");

    for words in [
        &["refresh", "foo"][..],
        &["edit", "self", "-label", "foo"],
        &["clone", "foo"],
        &["update", "/bin/sleep", "-label", "foo"],
    ] {
        scene.service(words).ends_with(1);
    }
    assert_eq!(scene.starts("foo"), 1);
}

#[test]
fn row_28_who_is_down_is_told_why() {
    let scene = open("[program:base]\ncommand=/bin/cat\nstartsecs=0\n");
    scene.until("base", "it runs", |service| service.state == "RUNNING");
    let refused = |label: &str| scene.service(&["refresh", label]).ends_with(1).stderr;
    scene.service(&["down", "base"]).ends_with(0);

    let text = refused("base");
    assert!(text.contains("base is stopped: service restart base starts it"), "{text}");

    // One that leaves the decision open.
    let script = scene.program("script", "true");
    scene.counted("asked", &["-script", &script]);
    scene.service(&["refresh", "asked"]).ends_with(0);
    let text = refused("asked");
    assert!(text.contains("asked is down and its recovery script decides"), "{text}");

    scene.counted("crashed", &["-restarts", "5"]);
    scene.crash("crashed");
    let text = refused("crashed");
    assert!(text.contains("crashed has crashed and waits"), "{text}");
}

#[test]
fn row_29_who_waits_is_forgotten_at_once() {
    let scene = scene();
    scene.counted("foo", &["-restarts", "5"]);
    scene.crash("foo");

    scene.service(&["down", "foo"]).ends_with(0);

    assert!(scene.find("foo").is_none());
    assert_eq!(scene.starts("foo"), 1);
}

#[test]
fn row_30_who_is_brought_down_is_gone() {
    let scene = scene();
    scene.counted("foo", &[]);
    let pid = scene.pid("foo");

    scene.service(&["down", "foo"]).ends_with(0);

    assert!(scene.find("foo").is_none());
    assert!(bardo::selftest::procfs::stat(pid).is_none_or(|stat| !stat.is_alive()));
    scene.service(&["down", "foo"]).ends_with(3);
}

#[test]
fn row_31_refresh_replaces_the_process_without_a_wait() {
    let scene = scene();
    scene.counted("foo", &["-restarts", "4"]);
    let before = scene.pid("foo");

    scene.service(&["refresh", "foo", "-wait"]).ends_with(0);

    let after = scene.find("foo").unwrap();
    assert_eq!(after.state, "RUNNING");
    assert_ne!(after.pid, before);
    scene.wait("its second start", || scene.starts("foo") == 2);
}

#[test]
fn row_35_what_is_run_is_not_started_again() {
    let scene = scene();
    let program = scene.program("once", "echo $$ >>{here}/once.starts; read line <{here}/end");
    let end = scene.home.file("end");
    rustix::fs::mkfifoat(rustix::fs::CWD, &end, rustix::fs::Mode::RWXU).unwrap();
    scene.service(&["run", &program, "-ready", "alive", "-alive", "0"]).ends_with(0);

    fs::write(end, "now\n").unwrap();

    scene.wait("its end", || scene.find("once").is_none());
    assert_eq!(scene.starts("once.starts"), 1);
}

#[test]
fn row_56_a_period_that_is_not_repeated_stays_save_in_minix() {
    let scene = scene();
    scene.counted("foo", &["-period", "300s"]);

    scene.service(&["edit", "self", "-label", "foo", "-grace", "1s"]).ends_with(0);
    let kept = scene.find("foo").unwrap().period;
    scene.service(&["--minix", "edit", "self", "-label", "foo"]).ends_with(0);

    assert_eq!((kept, scene.find("foo").unwrap().period), (300_000, 0));
}

#[test]
fn row_55_what_is_edited_by_its_label_has_the_entry_of_its_program() {
    let scene = scene();
    let file = scene.home.file("system.conf");
    let file = file.display().to_string();
    fs::write(&file, "service counts { descr \"before\"; };\n").unwrap();
    scene.counted("foo", &["-config", &file]);
    let pid = scene.pid("foo");
    let shown = || scene.service(&["show", "foo"]).ends_with(0).stdout;
    assert!(shown().contains("before"), "{}", shown());

    fs::write(&file, "service counts { descr \"after\"; };\n").unwrap();
    scene.service(&["edit", "self", "-label", "foo", "-config", &file]).ends_with(0);

    assert!(shown().contains("after"), "{}", shown());
    assert_eq!(scene.pid("foo"), pid);
    fs::write(&file, "service other { descr \"after\"; };\n").unwrap();
    scene.service(&["edit", "self", "-label", "foo", "-config", &file]).ends_with(1);
}

#[test]
fn row_58_everything_ends_when_a_critical_service_cannot_be_initialised() {
    let mut scene = scene();
    let program = scene.program("fails", "exit 1");

    scene.service(&["up", &program, "-critical", "-ready", "ctl"]).ends_with(215);

    assert_eq!(code(scene.daemon.wait().unwrap()), 70, "{}", scene.log());
    assert_eq!(lost(&scene), [("fails".to_owned(), "exit status 1".to_owned())]);
}

/// The critical services that everything ends with, and why, as the main log has them.
fn lost(scene: &Scene) -> Vec<(String, String)> {
    let read = |line: &str| {
        let text =
            line.split_once(" CRIT ")?.1.strip_suffix("; everything ends, with exit code 70")?;
        let (name, why) = text.split_once(" is critical and cannot be kept running: ")?;
        Some((name.to_owned(), why.to_owned()))
    };
    scene.log().lines().filter_map(read).collect()
}

#[test]
fn row_58_everything_ends_when_a_critical_service_cannot_be_started_again() {
    let mut scene = scene();
    let program = scene.program("goes", "exec sleep 1000");
    scene.service(&["up", &program, "-critical", "-ready", "alive", "-alive", "0"]).ends_with(0);
    let pid = scene.pid("goes");

    fs::remove_file(&program).unwrap();
    send(pid, KILL).unwrap();

    assert_eq!(code(scene.daemon.wait().unwrap()), 70, "{}", scene.log());
    assert_eq!(lost(&scene), [("goes".to_owned(), "its program is not there".to_owned())]);
}

#[test]
fn row_59_a_critical_service_is_not_brought_down() {
    let scene = scene();
    scene.counted("foo", &["-critical"]);
    let pid = scene.pid("foo");

    scene.service(&["down", "foo"]).ends_with(1);

    assert_eq!(scene.pid("foo"), pid);
}

#[test]
fn row_60_after_a_shutdown_nothing_stops_and_nothing_is_started() {
    let scene = scene();
    scene.counted("one", &[]);
    scene.counted("two", &[]);
    let (one, two) = (scene.pid("one"), scene.pid("two"));

    scene.service(&["shutdown"]).ends_with(0);
    let marked = || scene.services().into_iter().all(|service| service.flags == "AE");
    assert!(marked(), "nothing follows their end: {:?}", scene.services());
    send(one, KILL).unwrap();

    scene.until("one", "its end is known", |it| it.pid == 0);
    assert_eq!((scene.starts("one"), scene.pid("two")), (1, two));
    assert!(marked(), "{:?}", scene.services());
    let output = scene.service(&["up", "/bin/sleep", "-label", "three"]).ends_with(1);
    assert!(output.stderr.contains("service shutdown"), "{output:?}");
}

#[test]
fn what_edit_gives_a_service_can_be_taken_away() {
    let scene = scene();
    scene.counted("foo", &["-health", "true", "-critical"]);
    let has = |name: &str| {
        let service = scene.find("foo").unwrap();
        service.details.iter().any(|(detail, _)| detail == name)
    };
    assert!(has("health") && has("critical"));

    let words = ["edit", "self", "-label", "foo", "-health", "NONE", "-critical", "no"];
    scene.service(&words).ends_with(0);

    assert!(!has("health") && !has("critical"));
}

#[test]
fn row_60_with_stop_everything_ends() {
    let mut scene = scene();
    scene.counted("foo", &[]);

    scene.service(&["shutdown", "-stop"]).ends_with(0);

    assert_eq!(code(scene.daemon.wait().unwrap()), 0, "{}", scene.log());
}

#[test]
fn row_72_a_fault_is_a_crash() {
    let scene = scene();
    scene.counted("foo", &[]);
    let before = scene.pid("foo");

    scene.service(&["fi", "foo"]).ends_with(0);

    let after = scene.until("foo", "it is reborn", |it| it.restarts == 1);
    assert_ne!(after.pid, before);
}

#[test]
fn what_the_file_names_is_edited_there() {
    let scene = open("[program:cat]\ncommand=/bin/cat\nstartsecs=0\n");

    let output = scene.service(&["edit", "self", "-label", "cat"]).ends_with(1);

    assert!(output.stderr.contains("configuration file"), "{output:?}");
}

#[test]
fn supervisorctl_shows_what_was_brought_up() {
    let scene = scene();
    scene.counted("foo", &[]);

    let pid = scene.pid("foo");

    assert_eq!(scene.client().info("foo").unwrap().pid, pid);
    let mut command = std::process::Command::new(super::scene::executable());
    let file = scene.home.file("supervisord.conf");
    let output = Output::of(command.arg("supervisorctl").arg("-c").arg(file).arg("reread"));
    assert!(!output.stdout.contains("foo"), "{output:?}");
}

#[test]
fn whatever_is_brought_up_can_speak() {
    let scene = scene();
    let lines = "echo $BARDO_CTL ${NOTIFY_SOCKET:+heard} >{here}/$1; exec sleep 1000";
    let program = scene.program("tells", lines);

    for (label, more) in [("silent", [].as_slice()), ("alive", &["-ready", "alive"])] {
        let words = ["up", &program, "-label", label, "-args", label];
        scene.service(&[&words[..], more].concat()).ends_with(0);

        // That it is initialised says no more than that it was executed.
        let told = || fs::read_to_string(scene.home.file(label)).unwrap_or_default();
        scene.wait("a line", || told().ends_with('\n'));
        assert_eq!(told(), "3 heard\n", "{label}");
    }
}
