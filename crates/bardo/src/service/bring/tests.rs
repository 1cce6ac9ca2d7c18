//! What requests come to.

use std::collections::BTreeMap;
use std::time::Duration;

use bardo_core::spec::care::{
    Check, Condition, Copying, Delay, EarlyDeath, Heartbeat, Ready, Reset,
};
use bardo_core::spec::{Care, LogTarget, Reach, RestartOn, Seconds};
use bardo_core::{ServiceSpec, Signal};

use super::*;
use crate::host::Machine;
use crate::service::errno::Errno;
use crate::service::request::{Argument, Line, Wait};

const BINARY: &str = "/bin/sh";

pub(in crate::service) fn request(verb: Verb, asked: Asked) -> Request {
    let label = "sh".to_owned();
    Request { verb, label, minix: false, wait: Wait::Usual, stop: false, asked: Some(asked) }
}

/// Asked for a program and no more.
pub(in crate::service) fn plain() -> Asked {
    Asked { binary: BINARY.to_owned(), ..Asked::default() }
}

pub(in crate::service) fn line(keyword: &str, arguments: &[&str]) -> Line {
    let word = |text: &&str| match text.strip_prefix('"') {
        Some(text) => Argument::Text(text.trim_end_matches('"').to_owned(), 3),
        None => Argument::Word((*text).to_owned(), 3),
    };
    Line {
        keyword: keyword.to_owned(),
        arguments: arguments.iter().map(word).collect(),
        at: "/etc/system.conf:3".to_owned(),
    }
}

/// The least that MINIX wants to know.
pub(in crate::service) fn entry() -> Option<Vec<Line>> {
    Some(vec![line("service", &["sh"]), line("uid", &["root"])])
}

fn up(asked: Asked) -> (ServiceSpec, Vec<String>) {
    brought(&request(Verb::Up, asked))
}

fn brought(request: &Request) -> (ServiceSpec, Vec<String>) {
    let Brought { group, notes } = bring(&Machine, request).unwrap();
    (ServiceSpec::clone(&group.services[0]), notes)
}

fn care(asked: Asked) -> Care {
    Care::clone(up(asked).0.program.care.as_ref().unwrap())
}

fn refused(asked: Asked) -> (u8, String) {
    refusal(&request(Verb::Up, asked))
}

fn refusal(request: &Request) -> (u8, String) {
    let Refusal { errno: Errno(number), text } = bring(&Machine, request).unwrap_err();
    (number, text)
}

#[test]
fn up_without_a_word_more_is_minixs() {
    let Brought { group, notes } = bring(&Machine, &request(Verb::Up, plain())).unwrap();

    assert_eq!(notes, Vec::<String>::new());
    assert_eq!((&*group.name, group.origin, group.services.len()), ("sh", Origin::Brought, 1));
    let service = &group.services[0];
    assert_eq!((&*service.name, &*service.command), ("sh", BINARY));
    assert_eq!((&service.directory, service.environment.len()), (&None, 0));
    assert_eq!(
        (&service.stdout.target, &service.stderr.target),
        (&LogTarget::Auto, &LogTarget::Auto)
    );
    let program = &service.program;
    assert_eq!((program.restart.on, program.restart.start_retries), (RestartOn::Always, None));
    assert!(program.exit_codes.is_empty(), "an exit with 0 is a crash");
    assert_eq!((program.startsecs, &program.user), (Seconds(1), &None));
    assert_eq!((program.stop.signal, program.stop.wait), (Signal::TERM, Seconds(2)));
    assert_eq!(program.stop.kill_reach, Reach::Tree);
    assert_eq!(program.care.as_deref(), Some(&Care::minix("sh".into())));
}

#[test]
fn run_is_brought_down_by_a_script_that_is_built_in() {
    let (service, _) = brought(&request(Verb::Run, plain()));

    assert_eq!(service.program.restart.on, RestartOn::Never);
    let care = service.program.care.as_ref().unwrap();
    assert_eq!(care.script, Some(Script { path: None, timeout: None }));
}

#[test]
fn another_script_takes_the_place_of_the_one_of_run() {
    let asked = Asked { script: Some("/etc/r".to_owned()), ..plain() };

    let (service, _) = brought(&request(Verb::Run, asked.clone()));

    let (up, _) = up(asked);
    assert_eq!(service, up);
}

#[test]
fn arguments_come_to_the_program_as_they_are() {
    let words = ["a b", "it's", "", "$HOME", "\\", "#x"].map(str::to_owned).to_vec();

    let (service, _) = up(Asked { arguments: Some(words.clone()), ..plain() });

    let split = bardo_config::command::split(&service.command).unwrap();
    assert_eq!((split[0].as_str(), &split[1..]), (BINARY, words.as_slice()));
}

#[test]
fn switches_are_minixs() {
    let constant = care(Asked { constant_delay: true, ..plain() });
    assert_eq!(constant.recovery.delay, Some(Delay::Constant(Duration::from_secs(1))));
    assert_eq!(constant.recovery.early_death, EarlyDeath::Retry);
    assert_eq!(care(Asked { copy: true, ..plain() }).copy, Copying::Own);
    assert_eq!(care(Asked { copy: true, shared_copy: true, ..plain() }).copy, Copying::Shared);
    let (service, _) = up(Asked { no_restart: true, ..plain() });
    assert_eq!(service.program.restart.on, RestartOn::Never);
}

#[test]
fn options_are_taken_in() {
    let asked = Asked {
        program_name: Some("driver".to_owned()),
        device: Some(0x103),
        period: Some(100),
        script: Some("/etc/r.sh".to_owned()),
        script_timeout: Some(5000),
        restarts: Some(4),
        ready: Some("fd:7".to_owned()),
        ready_timeout: Some(1500),
        health_tcp: Some("localhost:80".to_owned()),
        health_interval: Some(2000),
        health_timeout: Some(500),
        health_retries: Some(9),
        critical: Some(true),
        depends_on: Some("db:ready web:web web:api".to_owned()),
        ..plain()
    };

    let care = care(asked);

    assert_eq!((&*care.program_name, care.device), ("driver", Some(0x103)));
    assert_eq!(care.heartbeat, Some(Heartbeat { period: Duration::from_millis(100) }));
    let script = care.script.unwrap();
    assert_eq!(script.path.as_deref(), Some("/etc/r.sh"));
    assert_eq!(script.timeout, Some(Duration::from_secs(5)));
    assert_eq!((care.recovery.restarts, care.critical), (4, true));
    assert_eq!(care.readiness.by, Ready::Says { descriptor: Some(7) });
    assert_eq!(care.readiness.within, Duration::from_millis(1500));
    let health = care.health.unwrap();
    assert_eq!(health.check, Check::Connect("localhost:80".into()));
    assert_eq!((health.interval, health.retries), (Duration::from_secs(2), 9));
    assert_eq!(health.timeout, Duration::from_millis(500));
    let names: Vec<(&str, &str, Condition)> =
        care.depends_on.iter().map(|it| (&*it.group, &*it.name, it.condition)).collect();
    let started = Condition::Started;
    assert_eq!(
        names,
        [("", "db", Condition::Ready), ("", "web", started), ("web", "api", started)]
    );
}

#[test]
fn stops_and_ends_are_as_asked() {
    let asked = Asked {
        stop_signal: Some("INT".to_owned()),
        grace: Some(1500),
        ok_exit: Some(vec![0, 7]),
        alive: Some(0),
        ..plain()
    };

    let (service, notes) = up(asked);

    let program = &service.program;
    assert_eq!((program.stop.signal, program.stop.wait), (Signal::INT, Seconds(2)));
    assert_eq!((program.restart.on, &program.exit_codes[..]), (RestartOn::Unexpected, &[0, 7][..]));
    assert_eq!(program.startsecs, Seconds(0));
    assert_eq!(notes, ["-grace is taken in whole seconds: 2"]);
}

#[test]
fn standard_error_goes_along_where_nothing_is_said_of_it() {
    let log = |stdout: Option<&str>, stderr: Option<&str>| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let (stdout_logfile, stderr_logfile) = (own(stdout), own(stderr));
        let (service, _) = up(Asked { stdout_logfile, stderr_logfile, ..plain() });
        (service.stdout.target, service.stderr.target, service.program.redirect_stderr)
    };
    let file = LogTarget::File("/tmp/x".into());

    assert_eq!(log(Some("/tmp/x"), None), (file.clone(), LogTarget::None, true));
    assert_eq!(log(Some("/tmp/x"), Some("NONE")), (file.clone(), LogTarget::None, false));
    assert_eq!(log(None, Some("/tmp/x")), (LogTarget::Auto, file, false));
    assert_eq!(log(Some("none"), None), (LogTarget::None, LogTarget::None, true));
    let (service, _) = up(Asked { stdout_logfile: Some("syslog".to_owned()), ..plain() });
    assert!(service.stdout.syslog);
}

#[test]
fn variables_and_the_directory_are_its_own() {
    let environment = BTreeMap::from([("A".to_owned(), "x=y".to_owned())]);

    let (service, _) = up(Asked { environment, directory: Some("/tmp".to_owned()), ..plain() });

    assert_eq!(service.directory.as_deref(), Some("/tmp"));
    assert_eq!(*service.environment, [(Arc::from("A"), Arc::from("x=y"))]);
}

#[test]
fn settings_say_who_it_is_and_what_it_may_use() {
    let settings = vec![
        line("service", &["sh"]),
        line("uid", &["root"]),
        line("pids", &["64"]),
        line("descr", &["\"a shell\""]),
        line("critical", &["exit"]),
        line("health", &["\"true\"", "every", "5s"]),
        line("irq", &["14"]),
        line("control", &["net"]),
    ];

    let asked = Asked {
        settings: Some(settings),
        ready: Some("health".to_owned()),
        health_retries: Some(2),
        critical: Some(false),
        ..plain()
    };
    let (service, notes) = up(asked);

    assert_eq!(service.program.user.as_ref().map(|user| user.uid), Some(0));
    let care = service.program.care.as_ref().unwrap();
    assert_eq!(care.confinement.pids_max, Some(64));
    assert_eq!(*care.confinement.control, [Arc::from("net")]);
    assert_eq!((&*care.description, care.critical), ("a shell", false));
    let health = care.health.as_ref().unwrap();
    assert_eq!((health.interval, health.retries), (Duration::from_secs(5), 2));
    assert_eq!(care.readiness.by, Ready::Checks(Check::Command("true".into())));
    let unbound = "control restricts nothing: it runs as root, who may do everything";
    assert_eq!(notes, ["not enforced yet: irq (/etc/system.conf:3)", unbound]);
}

#[test]
fn a_list_binds_who_may_not_do_everything() {
    let mut care = Care::minix("x".into());
    let user = |uid| User { uid, gid: uid, groups: Vec::new() };
    let own = rustix::process::geteuid().as_raw();

    assert_eq!(unbound(Some(&user(0)), &care), None, "there is no list");
    Arc::make_mut(&mut care.confinement).control = vec!["net".into()];

    assert!(unbound(Some(&user(0)), &care).unwrap().contains("runs as root"));
    assert!(unbound(None, &care).is_some(), "it runs as we do");
    assert_eq!(unbound(Some(&user(own + 1)), &care), None);
}

#[test]
fn a_script_that_is_not_there_is_told_of_and_taken() {
    let (service, notes) = up(Asked { script: Some("/no/such/script".to_owned()), ..plain() });

    assert!(service.program.care.as_ref().unwrap().script.is_some());
    let text = "-script: there is no file /no/such/script; it is run after a crash";
    assert_eq!(notes, [text]);
}

#[test]
fn a_line_that_makes_no_sense_is_told_with_its_place() {
    let settings = Some(vec![line("service", &["sh"]), line("pids", &["many"])]);

    let (number, text) = refused(Asked { settings, ..plain() });

    assert_eq!(number, 22);
    assert!(text.starts_with("/etc/system.conf:3: "), "{text}");
}

#[test]
fn what_is_not_to_be_taken_has_minixs_number() {
    let text = |text: &str| Some(text.to_owned());
    let environment = |name: &str| BTreeMap::from([(name.to_owned(), String::new())]);
    let year = 367 * 24 * 3_600_000;
    let cases: Vec<(u8, Asked)> = vec![
        (22, Asked::default()),
        (22, Asked { binary: "bin/sh".to_owned(), ..Asked::default() }),
        (22, Asked { binary: "/bin".to_owned(), ..Asked::default() }),
        (22, Asked { binary: "/bin/".to_owned(), ..Asked::default() }),
        (2, Asked { binary: "/bin/not-there".to_owned(), ..Asked::default() }),
        (7, Asked { binary: format!("/{}", "x".repeat(5000)), ..Asked::default() }),
        (22, Asked { arguments: Some(vec!["\0".to_owned()]), ..plain() }),
        (7, Asked { arguments: Some(vec!["x".repeat(1 << 20)]), ..plain() }),
        (22, Asked { program_name: text("a b"), ..plain() }),
        (7, Asked { program_name: Some("x".repeat(256)), ..plain() }),
        (22, Asked { period: Some(year * 11), ..plain() }),
        (22, Asked { script: text("r.sh"), ..plain() }),
        (7, Asked { script: Some(format!("/{}", "x".repeat(4096))), ..plain() }),
        (22, Asked { script: text("/a\0"), ..plain() }),
        (22, Asked { script_timeout: Some(5), ..plain() }),
        (22, Asked { ready: text("soon"), ..plain() }),
        (22, Asked { ready: text("health"), ..plain() }),
        (22, Asked { ready_timeout: Some(0), ..plain() }),
        (22, Asked { health_command: text(" "), ..plain() }),
        (22, Asked { health_http: text("https://x"), ..plain() }),
        (22, Asked { health_tcp: text("x"), ..plain() }),
        (22, Asked { health_tcp: text("x:1"), health_command: text("true"), ..plain() }),
        (22, Asked { health_interval: Some(5), ..plain() }),
        (22, Asked { health_tcp: text("x:1"), health_interval: Some(0), ..plain() }),
        (22, Asked { health_tcp: text("x:1"), health_timeout: Some(0), ..plain() }),
        (22, Asked { health_tcp: text("x:1"), health_retries: Some(0), ..plain() }),
        (22, Asked { stop_signal: text("BOO"), ..plain() }),
        (22, Asked { stop_signal: text("0"), ..plain() }),
        (22, Asked { directory: text("tmp"), ..plain() }),
        (22, Asked { environment: environment(""), ..plain() }),
        (22, Asked { environment: environment("A=B"), ..plain() }),
        (22, Asked { stdout_logfile: text("x.log"), ..plain() }),
        (22, Asked { stderr_logfile: text("/not/there/x.log"), ..plain() }),
        (22, Asked { depends_on: text("a:b:c"), ..plain() }),
        (22, Asked { depends_on: text("sh"), ..plain() }),
        (22, Asked { depends_on: text("sh:*"), ..plain() }),
    ];

    for (wanted, asked) in cases {
        let (number, text) = refused(asked.clone());
        assert_eq!(number, wanted, "{text}: {asked:?}");
        assert!(!text.is_empty());
    }
    assert_eq!(refusal(&Request { asked: None, ..request(Verb::Up, plain()) }).0, 22);
}

#[test]
fn labels_are_names_of_up_to_255_bytes() {
    let labelled = |label: &str| Request { label: label.to_owned(), ..request(Verb::Up, plain()) };

    let long = "x".repeat(255);
    assert_eq!(*bring(&Machine, &labelled(&long)).unwrap().group.name, *long);
    assert_eq!(refusal(&labelled(&"x".repeat(256))).0, 7);
    for label in ["", "a b", "a:b", "a/b", "..", "*"] {
        assert_eq!(refusal(&labelled(label)).0, 22, "{label}");
    }
}

#[test]
fn minix_has_limits_and_never_forgets() {
    let minix =
        |asked| Request { minix: true, ..request(Verb::Up, Asked { settings: entry(), ..asked }) };
    let many = (0..12).map(|number| number.to_string()).collect();

    let (service, notes) = brought(&minix(Asked { arguments: Some(many), ..plain() }));

    assert_eq!(&*service.command, "/bin/sh 0 1 2 3 4 5 6 7 8 9");
    assert_eq!(notes, ["arguments beyond the first 10 are dropped"]);
    assert_eq!(service.program.care.as_ref().unwrap().recovery.reset, Reset::Never);
    let long = Some(vec!["x".repeat(504)]);
    assert_eq!(refusal(&minix(Asked { arguments: long, ..plain() })).0, 7);
    let fits = Some(vec!["x".repeat(503)]);
    assert!(bring(&Machine, &minix(Asked { arguments: fits, ..plain() })).is_ok());
    let script = Some(format!("/{}", "x".repeat(255)));
    assert_eq!(refusal(&minix(Asked { script, ..plain() })).0, 7);
    let program_name = Some("x".repeat(16));
    assert_eq!(refusal(&minix(Asked { program_name, ..plain() })).0, 7);
}

#[test]
fn minix_cuts_labels_and_looks_at_major_numbers() {
    let label = "sixteen-letters-".to_owned();
    let device = Some(rustix::fs::makedev(8, 3));
    let asked = Asked { device, settings: entry(), ..plain() };
    let request = Request { label, minix: true, ..request(Verb::Up, asked) };

    let Brought { group, .. } = bring(&Machine, &request).unwrap();

    assert_eq!(&*group.name, "sixteen-letters");
    let care = group.services[0].program.care.as_ref().unwrap();
    assert_eq!(care.device, Some(device::of_major(8)));
    let label = "fourteen-lettä".to_owned();
    assert_eq!(super::label(&Request { label: label + "ä", ..request }), "fourteen-lettä");
}

#[test]
fn minix_brings_up_nothing_without_an_entry() {
    let (number, text) = refusal(&Request { minix: true, ..request(Verb::Up, plain()) });

    assert_eq!(number, 1);
    assert_eq!(
        text,
        "there is no entry `service sh` in /etc/bardo/system.conf.d/sh, /etc/system.conf.d/sh, \
         /etc/bardo/system.conf, /etc/system.conf"
    );
}
