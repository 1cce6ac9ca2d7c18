//! What each keyword means, and what is refused behind it.

use std::time::Duration;

use bardo_core::spec::care::{Care, Check, Scheduler};

use super::*;

/// Each text is refused, with a message that begins with the second one.
fn all_refused(cases: &[(&str, &str)]) {
    for (lines, wanted) in cases {
        let said = refused(lines);
        assert!(said.starts_with(&format!("/etc/system.conf:2: {wanted}")), "{lines}: {said}");
        assert!(said.contains("; "), "{said} says what to do");
    }
}

#[test]
fn row_66_an_unknown_keyword_is_refused_with_its_place_unless_it_is_marked() {
    assert_eq!(
        refused("pids 3;\nfoo;"),
        "/etc/system.conf:3: unknown keyword `foo`; take the line out, or write `?foo` to have it \
         passed over"
    );
    assert_eq!(
        refused("memry max 3M;"),
        "/etc/system.conf:2: unknown keyword `memry`; perhaps `memory` is meant; a line that may be \
         unknown begins with `?`"
    );
    let marked = meant("?foo 1 'two' { three; }; ?pids 3;");
    assert_eq!(
        notes(&marked),
        ["/etc/system.conf:2: `foo` is not known here, and the line is passed over"]
    );
    assert_eq!(marked.confinement.pids_max, Some(3));
    assert!(refused("? foo;").starts_with("/etc/system.conf:2: a `?` without a keyword; write"));
}

#[test]
fn minix_passes_unknown_keywords_over_in_silence() {
    let interpreted = tried("foo; memry max 3M; uid 0;", Mode::Minix).unwrap();

    assert_eq!(interpreted.user.map(|user| user.uid), Some(0));
    assert!(interpreted.notes.is_empty());
}

#[test]
fn a_user_has_a_name_or_a_number_of_any_base() {
    for text in ["uid me;", "uid 1000;", "uid 0x3e8;", "uid 01750;", "uid SELF;"] {
        let interpreted = meant(text);
        let user = interpreted.user.expect("it is somebody");
        assert_eq!((user.uid, user.gid, user.groups), (1000, 1000, vec![1000]), "{text}");
        assert!(interpreted.confinement.gives_up_privileges);
    }
    assert!(!meant("uid root;").confinement.gives_up_privileges);
    all_refused(&[
        ("uid nobody-here;", "nobody is called `nobody-here`; add such a user, or name"),
        ("uid 54321;", "nobody has the user number 54321; add such a user, or name"),
        ("uid -1;", "nobody has the user number -1"),
        ("uid;", "nothing stands behind `uid`; write: uid USER|NUMBER|SELF;"),
        ("uid 0 0;", "`uid` takes one word, and `0` follows it; write: uid USER"),
        ("uid 'root';", "`uid` takes no string like \"root\"; write: uid USER"),
        ("uid { root; };", "`uid` takes no list in braces; write: uid USER"),
    ]);
}

#[test]
fn row_67_without_a_line_it_is_the_user_service_if_root_can_choose() {
    let host = |uid| FakeHost::new().file(FILE, "service x { };").with_user_id(uid);
    let user = |host: &FakeHost, mode| {
        let entry = find(host, &wanted("x", mode)).unwrap().entry.unwrap();
        let outcome = interpret(&entry.lines, host, mode).map(|all| all.user.map(|user| user.uid));
        outcome.map_err(|refusal| refusal.to_string())
    };
    let with_service = |uid| host(uid).user("service", 999, "/");

    assert_eq!(user(&with_service(0), Mode::Strict), Ok(Some(999)));
    assert_eq!(user(&with_service(0), Mode::Minix), Ok(Some(999)));
    assert_eq!(user(&with_service(1000), Mode::Strict), Ok(None));
    assert_eq!(user(&host(0), Mode::Strict), Ok(None));
    let said = user(&host(0), Mode::Minix).unwrap_err();
    assert_eq!(
        said,
        "/etc/system.conf:1: no line `uid`, and nobody is called `service`; add the user `service`, \
         or write: uid USER;"
    );
}

#[test]
fn lists_of_control_add_up_and_in_minix_the_last_counts() {
    let lines = "control a b; controlled-by c; control d;";
    let control = |mode| tried(lines, mode).unwrap().confinement.control;

    assert_eq!(control(Mode::Strict), ["a".into(), "b".into(), "d".into()]);
    assert_eq!(control(Mode::Minix), ["d".into()]);
    assert_eq!(meant(lines).confinement.controlled_by, ["c".into()]);
    all_refused(&[("control 'a b';", "`control` takes no string like \"a b\"; write: control")]);
}

#[test]
fn row_70_priority_quantum_and_cpu() {
    let confinement = meant("priority 0xf; quantum 50; cpu 3 0-1;").confinement;

    assert_eq!(confinement.nice, Some(19));
    assert_eq!(confinement.slice, Some(Duration::from_millis(50)));
    assert_eq!(confinement.cpus, Some(vec![0, 1, 3]));
    assert_eq!(meant("priority 7;").confinement.nice, Some(0));
    assert_eq!(meant("").confinement.nice, None);
    assert_eq!(notes(&meant("quantum 500;")).len(), 1);
    all_refused(&[
        ("priority 16;", "`16` is not a number from 0 to 15; write: priority 0..15;"),
        ("priority -1;", "`-1` is not a number from 0 to 15"),
        ("priority 08;", "`08` is not a number from 0 to 15"),
        ("priority high;", "`high` is not a number from 0 to 15"),
        ("quantum 0;", "`0` is not a number of milliseconds above 0; write: quantum"),
        ("quantum 5ms;", "`5ms` is not a number of milliseconds above 0"),
        ("cpu;", "nothing stands behind `cpu`; write: cpu NUMBER"),
        ("cpu -1;", "`-1` is not a processor's number or a range of them"),
        ("cpu 0-99999;", "`0-99999` is not a processor's number or a range of them"),
    ]);
}

#[test]
fn schedulers_are_the_kernel_and_its_policies() {
    let milliseconds = Duration::from_millis;
    let cases = [
        ("KERNEL", Scheduler::Other),
        ("batch", Scheduler::Batch),
        ("idle", Scheduler::Idle),
        ("fifo:1", Scheduler::Fifo(1)),
        ("rr:99", Scheduler::RoundRobin(99)),
        (
            "deadline:500us/10/1s",
            Scheduler::Deadline {
                runtime: Duration::from_micros(500),
                deadline: milliseconds(10),
                period: milliseconds(1000),
            },
        ),
    ];
    for (text, wanted) in cases {
        let interpreted = meant(&format!("scheduler {text};"));
        assert_eq!(interpreted.confinement.scheduler, Some(wanted), "{text}");
        assert_eq!(interpreted.standings[0].1, Standing::Enforced);
    }
    let label = meant("scheduler sched;");
    assert_eq!(label.standings[0].1, Standing::Recorded);
    assert!(notes(&label)[0].contains("`sched` schedules nothing on Linux"));
    all_refused(&[
        ("scheduler fifo;", "`fifo` has no priority from 1 to 99 behind a colon; write: sche"),
        ("scheduler rr:100;", "`rr:100` has no priority from 1 to 99 behind a colon"),
        ("scheduler deadline:3/2/1;", "`deadline:3/2/1` has no run time, deadline and period"),
        ("scheduler deadline:1/2;", "`deadline:1/2` has no run time, deadline and period"),
        ("scheduler deadline:0/2/3;", "`deadline:0/2/3` has no run time, deadline and period"),
        ("scheduler idle:3;", "`idle:3` is not a scheduler; write: scheduler KERNEL|LABEL"),
    ]);
}

#[test]
fn row_71_limits_have_sizes_and_numbers() {
    let lines = "memory max 0x100M high 200M; memory swap 0; pids 64; cpu-max 150%; io-weight 100; \
                 nofile 1024; core unlimited;";

    let confinement = meant(lines).confinement;

    assert_eq!(confinement.memory_max, Some(256 << 20));
    assert_eq!(confinement.memory_high, Some(200 << 20));
    assert_eq!(confinement.swap_max, Some(0));
    assert_eq!(confinement.pids_max, Some(64));
    assert_eq!(confinement.cpu_max, Some(150));
    assert_eq!(confinement.io_weight, Some(100));
    assert_eq!(confinement.descriptors_max, Some(1024));
    assert_eq!(confinement.core_max, Some(u64::MAX));
    assert_eq!(notes(&meant("memory max 1M high 1M;")).len(), 1);
    all_refused(&[
        ("memory;", "nothing stands behind `memory`; write: memory [max SIZE]"),
        ("memory 256M;", "`256M` is not `max`, `high` or `swap`"),
        ("memory max;", "no size stands behind `max`"),
        ("memory max 1X;", "`1X` is not a size like 256M"),
        ("memory max 0;", "`max 0` leaves no memory to run in"),
        ("memory max 1M max 2M;", "`max` stands twice"),
        ("pids 0;", "`0` is not a number above 0; write: pids NUMBER;"),
        ("cpu-max 50;", "`50` is not a per cent number above 0, like 50%"),
        ("cpu-max 0%;", "`0%` is not a per cent number above 0, like 50%"),
        ("io-weight 10001;", "`10001` is not a number from 1 to 10000"),
        ("nofile -1;", "`-1` is not a number above 0"),
        ("core much;", "`much` is not a size like 256M, or `unlimited`"),
    ]);
}

#[test]
fn what_may_stand_once_stands_once_also_with_classes() {
    let cases = [("ipc a;", "ipc"), ("type net;", "type"), ("descr 'a';", "descr")];

    for (line, name) in cases {
        let said = refused(&format!("{line}\n{line}"));
        let wanted = format!(
            "/etc/system.conf:3: `{name}` stands at /etc/system.conf:2 already; write it once in"
        );
        assert!(said.starts_with(&wanted), "{said}");
    }
    let said = refused("ipc a; class y; }; service y { ipc b;");
    assert!(said.contains("`ipc` stands at /etc/system.conf:2 already"), "{said}");
    assert!(tried("ipc a; ipc a;", Mode::Minix).is_err());
}

#[test]
fn what_is_said_of_people_is_recorded() {
    let interpreted = meant("type net; descr \"two words\";");

    assert_eq!(interpreted.confinement.kind.as_deref(), Some("net"));
    assert_eq!(interpreted.description.as_deref(), Some("two words"));
    assert!(interpreted.standings.iter().all(|(_, standing)| *standing == Standing::Recorded));
    all_refused(&[
        ("type block;", "`block` is not a type of service; write: type net;"),
        ("descr word;", "`descr` takes a string in quotes; write: descr \"TEXT\";"),
        ("descr 'a' 'b';", "`descr` takes one string in quotes"),
    ]);
}

#[test]
fn what_is_not_enforced_yet_is_kept_as_it_is_written() {
    let interpreted =
        meant("ipc a  b; system KILL\n @process open; path ro '/a b'; pids 3; vm NONE;");

    assert_eq!(
        interpreted.confinement.unenforced,
        [
            "ipc a b".into(),
            "system KILL @process open".into(),
            "path ro \"/a b\"".into(),
            "vm NONE".into()
        ]
    );
    assert!(meant("ipc ALL; system ALL; vm ALL; sigmgr rs;").confinement.unenforced.is_empty());
}

#[test]
fn calls_are_names_and_unknown_ones_a_warning() {
    assert!(notes(&meant("system KILL @network-io clock_settime;")).is_empty());
    assert_eq!(
        notes(&meant("system KILL\n FLY;")),
        ["/etc/system.conf:3: `FLY` is no call, and is ignored"]
    );
    assert_eq!(
        notes(&meant("vm INFO FLY;")),
        [
            "/etc/system.conf:2: `vm INFO` means nothing on Linux",
            "/etc/system.conf:2: `FLY` is no call, and is ignored"
        ]
    );
    assert!(notes(&meant("ipc NONE;"))[0].contains("`NONE` is a name like others here"));
    all_refused(&[
        ("system NONE KILL;", "`NONE` stands among other words; write: system ALL|BASIC|NONE"),
        ("vm INFO BASIC;", "`BASIC` stands among other words"),
        ("ipc pm ALL;", "`ALL` stands among other words"),
        ("ipc ALL_SYS ALL;", "`ALL_SYS` stands among other words"),
        ("io NONE 3f0;", "`NONE` stands among other words"),
        ("irq 3 ALL;", "`ALL` stands among other words"),
    ]);
}

#[test]
fn devices_and_families_are_checked_in_form() {
    meant("io 3f0:8 0 81; irq 6 0x7; pci device 10ec/8139 1186:4300/1186:4b10; pci class 1/6/1 4;");
    meant("pci; io; irq; domain LOCAL INET6 16; sigmgr SELF;");
    all_refused(&[
        ("io 3g0;", "`3g0` is not a range of ports in hexadecimal digits; write: io ALL|NONE"),
        ("io 3f0:;", "`3f0:` is not a range of ports in hexadecimal digits"),
        ("irq x;", "`x` is not the number of an interrupt"),
        ("pci bus 1;", "`bus` is not `device` or `class`"),
        ("pci device 10ec;", "`10ec` is not one of the devices in hexadecimal digits"),
        ("pci device 1:2/3/4;", "`1:2/3/4` is not one of the devices in hexadecimal digits"),
        ("pci device 1:12345;", "`1:12345` is not one of the devices in hexadecimal digits"),
        ("pci class 1/2/3/4;", "`1/2/3/4` is not one of the classes in hexadecimal digits"),
        ("pci class 100;", "`100` is not one of the classes in hexadecimal digits"),
        ("domain MOON;", "`MOON` is not a family of sockets"),
        ("domain 0;", "`0` is not a family of sockets"),
        ("sigmgr a b;", "`sigmgr` takes one word, and `b` follows it"),
    ]);
}

#[test]
fn a_wrong_word_on_a_later_line_is_told_there() {
    let said = refused("io\n 3f0:8\n 0:xx\n;");

    assert!(said.starts_with("/etc/system.conf:4: `0:xx` is not a range"), "{said}");
}

#[test]
fn only_minix_has_its_limits() {
    let many = |word: &str, count: usize| format!("{} ;", vec![word; count].join(" "));
    let cases = [
        (format!("control {}", many("a", 9)), "more than 8 names behind `control`"),
        (format!("domain {}", many("INET", 9)), "more than 8 families behind `domain`"),
        (format!("irq {} irq 3;", many("3", 16)), "more than 16 interrupts behind `irq`"),
        (format!("io {} io 1;", many("3f0", 16)), "more than 16 ranges behind `io`"),
        (format!("pci device {}", many("1:2", 33)), "more than 32 devices behind `pci`"),
        (format!("pci class {}", many("1/2", 5)), "more than 4 classes behind `pci`"),
        (format!("ipc {}", many("four", 52)), "names of more than 255 bytes behind `ipc`"),
    ];

    for (lines, wanted) in cases {
        meant(&lines);
        let said = tried(&lines, Mode::Minix).unwrap_err();
        assert!(said.contains(wanted), "{said}");
    }
    assert!(tried(&format!("ipc {}", many("four", 51)), Mode::Minix).is_ok());
}

#[test]
fn health_and_critical_go_into_what_the_service_asks_for() {
    let interpreted =
        meant("health \"check me\" every 5s timeout 500ms fails 7; critical exit; descr 'd';");
    let mut care = Care::minix("x".into());

    interpreted.apply_to(&mut care);

    let health = care.health.clone().unwrap();
    assert_eq!(health.check, Check::Command("check me".into()));
    assert_eq!(
        (health.interval, health.timeout),
        (Duration::from_secs(5), Duration::from_millis(500))
    );
    assert_eq!(health.retries, 7);
    assert!(care.critical);
    assert_eq!(&*care.description, "d");
    meant("health 'x';").apply_to(&mut care);
    assert_eq!(care.health, Some(health), "what it has counts more");
    assert!(notes(&meant("critical reboot;"))[0].contains("not done yet"));
    all_refused(&[
        ("health;", "nothing stands behind `health`"),
        ("health check;", "`check` is not a command line in quotes; write: health \"COMMAND\""),
        ("health ' ';", "` ` is not a command line in quotes"),
        ("health 'a' each 5s;", "`each` is not `every`, `timeout` or `fails`"),
        ("health 'a' every;", "nothing stands behind `every`"),
        ("health 'a' every 5;", "`5` is not a time like 5s or 500ms"),
        ("health 'a' every 0s;", "`0s` is not a time like 5s or 500ms"),
        ("health 'a' fails 0;", "`0` is not a number above 0"),
        ("critical never;", "`never` is not `exit`, `reboot` or `panic-script`"),
    ]);
}

#[test]
fn the_rest_of_ours_is_checked_in_form() {
    meant("path ro /a '/b c' exec /usr; net bind 80 443; net connect 5432; cap CAP_CHOWN kill;");
    meant("ns mount user; fdstore 64; listen a 80; listen b [::1]:80; listen 'c' @x; listen d /s;");
    all_refused(&[
        ("path;", "nothing stands behind `path`; write: path (ro|rw|exec PATH...)...;"),
        ("path /a;", "`/a` is not one of: ro rw exec"),
        ("path ro;", "nothing stands behind `ro`"),
        ("path ro rw /a;", "nothing stands behind `ro`"),
        ("path ro a;", "`a` is not an absolute path"),
        ("net bind 0;", "`0` is not a port from 1 to 65535"),
        ("net bind http;", "`http` is not a port from 1 to 65535"),
        ("cap fly;", "`fly` is not a capability"),
        ("ns moon;", "`moon` is not a namespace"),
        ("fdstore many;", "`many` is not a number"),
        ("listen a;", "`listen` takes a name and an address"),
        ("listen a b;", "`b` is not an address"),
        ("listen a @;", "`@` is not an address"),
    ]);
}

#[test]
fn lines_that_were_not_spliced_are_refused() {
    let line =
        Line { keyword: "class".to_owned(), arguments: Vec::new(), at: Place::from_text("F:1") };

    let said = interpret(&[line], &FakeHost::new(), Mode::Strict).unwrap_err().to_string();

    assert!(said.starts_with("F:1: a class whose lines are not here; send the lines"), "{said}");
}

#[test]
fn a_line_that_another_one_replaces_is_not_shown_as_enforced() {
    let shown = |lines: &str, mode| {
        let standings = tried(lines, mode).unwrap().standings;
        standings.iter().map(|(line, _)| line.text()).collect::<Vec<_>>()
    };

    assert_eq!(shown("pids 3; cpu 0; pids 4;", Mode::Strict), ["cpu 0", "pids 4"]);
    assert_eq!(shown("control a; control b;", Mode::Strict), ["control a", "control b"]);
    assert_eq!(shown("control a; control b;", Mode::Minix), ["control b"]);
    let replaced = meant("sigmgr pm; sigmgr rs;");
    assert!(replaced.confinement.unenforced.is_empty());
    assert_eq!(meant("critical exit; uid me; uid root;").user.map(|user| user.uid), Some(0));
}
