//! What programs ask for beyond Supervisor's rules.

use std::time::Duration;

use bardo_core::spec::Care;
use bardo_core::spec::care::{
    Check, Condition, Copying, DELAY_MAX, Delay, EarlyDeath, Health, INITIALISED_WITHIN, Ready,
    Reset,
};

use super::*;
use crate::options::CARE_OPTIONS;

fn care(options: &str) -> Care {
    let care = process(options).program.care.clone();
    Care::clone(&care.expect("the program asks for something"))
}

/// What the processes of a group depend on, as the core looks for it.
fn depends(loaded: &Loaded, group: &str) -> Vec<(String, String, Condition)> {
    let group = loaded.configuration.group(group).expect("the group is there");
    let cares = group.services.iter().filter_map(|service| service.program.care.clone());
    let all = cares.flat_map(|care| care.depends_on.clone());
    all.map(|it| (it.group.to_string(), it.name.to_string(), it.condition)).collect()
}

#[test]
fn a_program_that_asks_for_nothing_is_kept_as_supervisor_keeps_it() {
    assert_eq!(process("").program.care, None);
}

#[test]
fn one_option_brings_the_defaults_of_the_others() {
    let care = care("backoff=supervisor");

    assert_eq!(care.recovery.delay, None);
    assert_eq!(care.recovery.reset, Reset::Healthy(Duration::from_secs(60)));
    assert_eq!((care.recovery.early_death, care.recovery.restarts), (EarlyDeath::Retry, 0));
    assert_eq!((&care.readiness.by, care.readiness.within), (&Ready::Alive, INITIALISED_WITHIN));
    assert_eq!((care.heartbeat, &care.health, &care.script), (None, &None, &None));
    assert_eq!((care.critical, care.copy, care.device), (false, Copying::No, None));
    assert!(care.depends_on.is_empty());
    assert_eq!(*care.confinement, bardo_core::spec::care::Confinement::default());
    assert_eq!((&*care.program_name, &care.environment_file), ("p", &None));
    assert!(!care.speaks(), "nobody asks it to say anything");
}

#[test]
fn the_defaults_of_the_options_are_those_of_minix_where_it_has_them() {
    let care = care("backoff=binary\nhealth_command=true");

    assert_eq!(care.recovery.delay, Some(Delay::Binary { max: DELAY_MAX }));
    let minix = Care::minix("p".into());
    assert_eq!(care.recovery.delay, minix.recovery.delay);
    assert_eq!(care.recovery.reset, minix.recovery.reset);
    assert_eq!(care.readiness.within, minix.readiness.within);
    use bardo_core::spec::care::{HEALTH_INTERVAL, HEALTH_RETRIES, HEALTH_TIMEOUT};
    let health = care.health.unwrap();
    assert_eq!((health.interval, health.timeout), (HEALTH_INTERVAL, HEALTH_TIMEOUT));
    assert_eq!(health.retries, HEALTH_RETRIES);
}

#[test]
fn every_option_is_taken_in() {
    let care = care(
        "backoff=constant:1.5\nbackoff_reset=never\nheartbeat_period=100ms\nready=fd:7\n\
         ready_timeout=1m\nhealth_http=http://localhost:8080/x%%20y\nhealth_interval=2\n\
         health_timeout=1\nhealth_retries=5\nbinary_copy=shared\nrecovery_script=%(here)s/r.sh\n\
         script_timeout=30\ncritical=true\nmemory_max=256M\npids_max=64\ncpu_max=50%\n\
         env_file=-/etc/p.env",
    );

    assert_eq!(care.recovery.delay, Some(Delay::Constant(Duration::from_millis(1500))));
    assert_eq!(care.recovery.reset, Reset::Never);
    assert_eq!(care.heartbeat.unwrap().period, Duration::from_millis(100));
    assert_eq!(care.readiness.by, Ready::Says { descriptor: Some(7) });
    assert_eq!(care.readiness.within, Duration::from_secs(60));
    let health = Health {
        check: Check::Http("http://localhost:8080/x%20y".into()),
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        retries: 5,
    };
    assert_eq!(care.health, Some(health));
    assert_eq!(care.copy, Copying::Shared);
    let script = care.script.unwrap();
    assert_eq!(script.path.as_deref(), Some("/etc/r.sh"));
    assert_eq!(script.timeout, Some(Duration::from_secs(30)));
    assert!(care.critical);
    let limits = (care.confinement.memory_max, care.confinement.pids_max);
    assert_eq!(limits, (Some(256 << 20), Some(64)));
    assert_eq!(care.confinement.cpu_max, Some(50));
    assert_eq!(care.environment_file.as_deref(), Some("-/etc/p.env"));
}

#[test]
fn whoever_owes_signs_of_life_may_say_that_it_is_ready() {
    let by = |options: &str| care(options).readiness.by;

    assert_eq!(by("heartbeat_period=1"), Ready::Auto);
    assert_eq!(by("heartbeat_period=1\nready=alive"), Ready::Alive);
    assert_eq!(by("ready=auto"), Ready::Auto);
    assert_eq!(by("ready=ctl"), Ready::Says { descriptor: None });
    assert_eq!(by("ready=notify"), Ready::Says { descriptor: None });
    assert_eq!(by("ready=listen"), Ready::Checks(Check::Listening));
    let place = "localhost:80";
    let check = Check::Connect(place.into());
    assert_eq!(by(&format!("ready=health\nhealth_tcp={place}")), Ready::Checks(check));
}

#[test]
fn each_process_may_ask_for_something_else() {
    let group = program(
        "numprocs=3\nprocess_name=p%(process_num)d\nenvironment=PORT=\"80%(process_num)d\"\n\
         health_tcp=localhost:%(ENV_PORT)s",
    );

    let checks: Vec<Check> = group
        .services
        .iter()
        .filter_map(|service| service.program.care.as_ref()?.health.clone())
        .map(|health| health.check)
        .collect();
    let wanted = ["localhost:800", "localhost:801", "localhost:802"];
    assert_eq!(checks, wanted.map(|place| Check::Connect(place.into())));
}

#[test]
fn processes_that_ask_for_the_same_share_it() {
    let group = program("numprocs=3\nprocess_name=p%(process_num)d\nbackoff=binary");

    let first = &group.services[0].program;
    assert!(group.services.iter().all(|service| Arc::ptr_eq(first, &service.program)));
}

#[test]
fn a_percentage_may_be_written_as_it_is_or_expanded() {
    let cpu_max = |options: &str| care(options).confinement.cpu_max;

    assert_eq!(cpu_max("cpu_max=50%"), Some(50));
    assert_eq!(cpu_max("cpu_max=50%%"), Some(50));
    assert_eq!(cpu_max("environment=SHARE=\"150\"\ncpu_max=%(ENV_SHARE)s%%"), Some(150));
}

#[test]
fn a_bad_value_of_any_option_says_what_where_and_in_which_section() {
    let cases = [
        ("backoff", "never", "'never' is not one of supervisor, binary, constant:SECONDS"),
        ("backoff_max", "0", "must be longer than 0: '0'"),
        ("backoff_reset", "no", "'no' is not one of never, SECONDS"),
        ("heartbeat_period", "-1", "not a valid time: '-1'"),
        (
            "ready",
            "soon",
            "'soon' is not one of auto, ctl, notify, fd:N (N from 3 to 255), health, listen, alive",
        ),
        ("ready_timeout", "x", "not a valid time: 'x'"),
        ("health_command", "", "the command is empty"),
        ("health_http", "https://x/", "not a URL that can be asked: 'https://x/'"),
        ("health_tcp", "x", "neither host:port nor the path of a socket: 'x'"),
        ("health_interval", "0s", "must be longer than 0: '0s'"),
        ("health_timeout", "0", "must be longer than 0: '0'"),
        ("health_retries", "0", "not a number of 1 or more: '0'"),
        ("binary_copy", "maybe", "'maybe' is not one of no, yes, shared"),
        ("recovery_script", "r.sh", "not an absolute path: 'r.sh'"),
        ("script_timeout", "1d", "not a valid time: '1d'"),
        ("critical", "very", "not a valid boolean value: 'very'"),
        ("memory_max", "lots", "not a valid size: 'lots'"),
        ("pids_max", "-1", "not a number of 1 or more: '-1'"),
        ("cpu_max", "1.5", "not a valid percentage: '1.5'"),
        ("env_file", "p.env", "not an absolute path: 'p.env'"),
        (
            "depends_on",
            ":",
            "not a dependency: ':'; one is NAME, GROUP:NAME or GROUP:*, with :started or :ready \
             behind it",
        ),
    ];

    for (option, value, wanted) in cases {
        let text = format!("[program:p]\ncommand=/bin/cat\n{option}={value}\n");
        let wanted = format!("{wanted} in section 'program:p' (file: '/etc/s.conf', line: 4)");
        assert_eq!(refused(&text), wanted);
    }
    let tried: Vec<&str> = cases.iter().map(|(option, ..)| *option).collect();
    let known: Vec<&str> = CARE_OPTIONS.iter().map(|entry| entry.name).collect();
    assert_eq!(tried, known);
}

#[test]
fn a_program_has_one_check_of_its_health() {
    let refused = |options: &str| refused(&format!("[program:p]\ncommand=/bin/cat\n{options}\n"));

    assert_eq!(
        refused("health_tcp=a:1\nhealth_command=true"),
        "health_command and health_tcp cannot both be set: a program has one check of its health \
         in section 'program:p' (file: '/etc/s.conf')"
    );
    assert_eq!(
        refused("ready=health"),
        "ready=health needs one of health_command, health_http and health_tcp in section \
         'program:p' (file: '/etc/s.conf')"
    );
}

const OTHERS: &str = "[program:db]\ncommand=x\n[program:w]\ncommand=x\nnumprocs=2\n\
                      process_name=w_%(process_num)d\n[program:api]\ncommand=x\n\
                      [group:web]\nprograms=api\n";

#[test]
fn a_dependency_is_written_down_as_the_core_looks_for_it() {
    use Condition::{Ready, Started};
    let cases = [
        ("db:ready", vec![("", "db", Ready)]),
        ("db:db", vec![("", "db", Started)]),
        ("db:*", vec![("", "db", Started)]),
        ("api:ready", vec![("web", "api", Ready)]),
        ("web", vec![("web", "api", Started)]),
        ("w:ready", vec![("w", "", Ready)]),
        ("w:w_1 w_0", vec![("w", "w_1", Started), ("w", "w_0", Started)]),
    ];

    for (text, wanted) in cases {
        let loaded = loaded(&format!("{OTHERS}[program:p]\ncommand=x\ndepends_on={text}\n"));
        let wanted: Vec<(String, String, Condition)> = wanted
            .iter()
            .map(|(group, name, condition)| ((*group).to_owned(), (*name).to_owned(), *condition))
            .collect();
        assert_eq!(depends(&loaded, "p"), wanted, "{text}");
    }
}

#[test]
fn processes_may_depend_on_each_their_own() {
    let text = "[program:p]\ncommand=x\nnumprocs=2\nprocess_name=p_%(process_num)d\n\
                depends_on=w_%(process_num)d:ready\n";

    let loaded = loaded(&format!("{OTHERS}{text}"));

    let ready = |name: &str| ("w".to_owned(), name.to_owned(), Condition::Ready);
    assert_eq!(depends(&loaded, "p"), [ready("w_0"), ready("w_1")]);
}

#[test]
fn processes_that_depend_on_the_same_go_on_sharing_it() {
    let text = "[program:p]\ncommand=x\nnumprocs=3\nprocess_name=p_%(process_num)d\n\
                depends_on=api:ready\n";

    let loaded = loaded(&format!("{OTHERS}{text}"));

    let group = loaded.configuration.group("p").unwrap();
    let first = &group.services[0].program;
    assert!(group.services.iter().all(|service| Arc::ptr_eq(first, &service.program)));
}

#[test]
fn a_dependency_on_nothing_is_refused_with_its_line() {
    let refused =
        |text: &str| refused(&format!("{OTHERS}[program:p]\ncommand=x\ndepends_on={text}\n"));

    for name in ["nobody", "nobody:x", "nobody:*"] {
        assert_eq!(
            refused(name),
            format!("/etc/s.conf:14: [program:p] depends on {name}, and no program is called that")
        );
    }
    for (group, name) in [("db", "x"), ("web", "db")] {
        assert_eq!(
            refused(&format!("{group}:{name}")),
            format!(
                "/etc/s.conf:14: [program:p] depends on {group}:{name}, and {group} has no process \
                 {name}; a condition is ready or started"
            )
        );
    }
    let twice = "db\n[group:more]\nprograms=api";
    assert_eq!(
        refused(&format!("api{}", twice.strip_prefix("db").unwrap())),
        "/etc/s.conf:14: [program:p] depends on api, and several groups have a process of that \
         name: more:api, web:api"
    );
}

#[test]
fn a_circle_is_refused_with_a_line_of_it() {
    let circle = |text: &str| refused(text);

    assert_eq!(
        circle("[program:a]\ncommand=x\ndepends_on=a"),
        "/etc/s.conf:4: depends_on goes in a circle: a -> a"
    );
    assert_eq!(
        circle(
            "[program:start]\ncommand=x\ndepends_on=a\n[program:a]\ncommand=x\ndepends_on=b:ready\n\
             [program:b]\ncommand=x\ndepends_on=g:c\n[program:c]\ncommand=x\ndepends_on=a\n\
             [group:g]\nprograms=c"
        ),
        "/etc/s.conf:7: depends_on goes in a circle: a -> b -> g:c -> a"
    );
}

#[test]
fn a_long_chain_of_dependencies_is_no_circle() {
    let mut text = String::from("[program:p0]\ncommand=x\n");
    for number in 1..5000 {
        let before = number - 1;
        text += &format!("[program:p{number}]\ncommand=x\ndepends_on=p{before}:ready\n");
    }

    let loaded = loaded(&text);

    assert_eq!(loaded.configuration.groups.len(), 5000);
}

#[test]
fn services_are_kept_by_our_rules_unless_the_file_says_minix() {
    use crate::value::Compatibility::{Bardo, Minix};
    let rules = |text: &str| loaded(text).settings.compatibility;

    assert_eq!((rules(""), rules("[rs]\n")), (Bardo, Bardo));
    assert_eq!((rules("[rs]\ncompat=bardo\n"), rules("[rs]\ncompat=minix\n")), (Bardo, Minix));
    assert_eq!(refused("[rs]\ncompat=unix\n"), "'unix' is not one of bardo, minix");
}
