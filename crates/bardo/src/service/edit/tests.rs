//! What edits come to.

use bardo_core::spec::care::{Copying, Delay, EarlyDeath, Heartbeat, Script};
use bardo_core::spec::{RestartOn, Seconds};

use super::*;
use crate::host::Machine;
use crate::service::bring::bring;
use crate::service::bring::tests::{entry, line, plain, request};
use crate::service::request::{Line, Verb};

/// Something that was brought up.
fn brought(verb: Verb, asked: Asked) -> Arc<ServiceSpec> {
    Arc::clone(&bring(&Machine, &request(verb, asked)).unwrap().group.services[0])
}

fn edited(present: &ServiceSpec, asked: Asked) -> (ServiceSpec, Vec<String>) {
    let Edited { spec, notes, .. } = edit(&Machine, present, &request(Verb::Edit, asked)).unwrap();
    (ServiceSpec::clone(&spec), notes)
}

fn care(spec: &ServiceSpec) -> &Care {
    spec.program.care.as_deref().unwrap()
}

#[test]
fn an_edit_that_says_nothing_changes_nothing() {
    let asked = Asked {
        arguments: Some(vec!["a b".to_owned()]),
        period: Some(1000),
        script: Some("/etc/r".to_owned()),
        script_timeout: Some(5000),
        restarts: Some(3),
        health_command: Some("true".to_owned()),
        ready: Some("health".to_owned()),
        copy: true,
        constant_delay: true,
        ok_exit: Some(vec![0]),
        stdout_logfile: Some("/tmp/x".to_owned()),
        settings: Some(vec![line("service", &["sh"]), line("pids", &["9"])]),
        ..plain()
    };
    let present = brought(Verb::Up, asked);

    let (spec, notes) = edited(&present, Asked::default());

    assert_eq!((&spec, notes), (&*present, Vec::new()));
    let run = brought(Verb::Run, plain());
    assert_eq!(edited(&run, plain()), (ServiceSpec::clone(&run), Vec::new()));
}

#[test]
fn what_is_said_is_changed_and_told_with_its_time() {
    // An entry that says nothing may make it the user `service`, where there is one.
    let entry = Some(vec![line("service", &["sh"])]);
    let present = brought(Verb::Up, Asked { settings: entry, ..plain() });
    let asked = Asked {
        arguments: Some(vec!["-x".to_owned()]),
        period: Some(500),
        grace: Some(9000),
        settings: Some(vec![
            line("service", &["sh"]),
            line("pids", &["9"]),
            line("system", &["NONE"]),
        ]),
        ..plain()
    };

    let (spec, notes) = edited(&present, asked);

    assert_eq!(&*spec.command, "/bin/sh -x");
    assert_eq!(care(&spec).heartbeat.map(|it| it.period), Some(Duration::from_millis(500)));
    assert_eq!((spec.program.stop.wait, care(&spec).confinement.pids_max), (Seconds(9), Some(9)));
    assert_eq!(
        notes,
        [
            "at once: period, stop, limits",
            "at next start: system, program and arguments",
            "service show sh tells what of it the kernel has refused",
        ]
    );
}

#[test]
fn a_period_stays_under_our_rules_and_is_off_under_minixs() {
    let present = brought(Verb::Up, Asked { period: Some(1000), ..plain() });
    let with = |minix, period| {
        let asked = Asked { period, ..Asked::default() };
        let request = Request { minix, ..request(Verb::Edit, asked) };
        care(&edit(&Machine, &present, &request).unwrap().spec).heartbeat
    };

    let second = Some(Heartbeat { period: Duration::from_secs(1) });
    assert_eq!(with(false, None), second);
    assert_eq!(with(false, Some(0)), None);
    assert_eq!(with(true, None), None);
    assert_eq!(with(true, Some(1000)), second);
}

#[test]
fn whether_it_is_started_again_is_said_anew_by_each_edit() {
    let present = brought(Verb::Up, Asked { no_restart: true, ..plain() });

    let (again, notes) = edited(&present, Asked::default());
    let (never, _) = edited(&again, Asked { no_restart: true, ..Asked::default() });

    assert_eq!(again.program.restart.on, RestartOn::Always);
    assert_eq!(notes, ["at once: what is a crash"]);
    assert_eq!(never.program.restart.on, RestartOn::Never);
}

#[test]
fn what_was_run_stays_so_until_it_is_given_a_script() {
    let present = brought(Verb::Run, plain());

    let (same, _) = edited(&present, Asked::default());
    let asked = Asked { script: Some("/etc/r".to_owned()), ..Asked::default() };
    let (scripted, _) = edited(&present, asked);

    assert_eq!(same.program.restart.on, RestartOn::Never);
    assert_eq!(scripted.program.restart.on, RestartOn::Always);
    let script = Script { path: Some("/etc/r".into()), timeout: None };
    assert_eq!(care(&scripted).script, Some(script));
}

#[test]
fn copies_and_short_waits_are_never_taken_back() {
    let asked = Asked { copy: true, shared_copy: true, constant_delay: true, ..plain() };
    let present = brought(Verb::Up, asked);

    let (spec, _) = edited(&present, Asked { copy: true, ..Asked::default() });

    assert_eq!(care(&spec).copy, Copying::Shared);
    assert!(matches!(care(&spec).recovery.delay, Some(Delay::Constant(_))));
    assert_eq!(care(&spec).recovery.early_death, EarlyDeath::Retry);
    let (own, _) = edited(&brought(Verb::Up, plain()), Asked { copy: true, ..plain() });
    assert_eq!(care(&own).copy, Copying::Own);
}

#[test]
fn user_device_and_label_cannot_be_changed() {
    let present = brought(Verb::Up, Asked { device: Some(5), ..plain() });
    let settings = Some(vec![line("service", &["sh"]), line("uid", &["root"])]);
    let request = Request {
        label: "other".to_owned(),
        ..request(Verb::Edit, Asked { device: Some(6), settings, ..plain() })
    };

    let Edited { spec, notes, .. } = edit(&Machine, &present, &request).unwrap();

    assert_eq!((&spec.program.user, care(&spec).device, &*spec.name), (&None, Some(5), "sh"));
    assert_eq!(notes, ["cannot be changed, bring it down and up for that: user, device"]);
}

#[test]
fn privileges_are_given_up_with_the_user_and_stay_as_he_does() {
    let uid = |name| Some(vec![line("service", &["sh"]), line("uid", &[name])]);
    let present = brought(Verb::Up, Asked { settings: uid("root"), ..plain() });

    let (spec, _) = edited(&present, Asked { settings: uid("nobody"), ..Asked::default() });

    assert_eq!(spec.program.user, present.program.user);
    assert!(!care(&spec).confinement.gives_up_privileges);
}

#[test]
fn the_counter_is_set_and_nought_leaves_it() {
    let present = brought(Verb::Up, plain());
    let restarts = |restarts| {
        let request = request(Verb::Edit, Asked { restarts, ..Asked::default() });
        edit(&Machine, &present, &request).unwrap().restarts
    };

    assert_eq!((restarts(Some(7)), restarts(Some(0)), restarts(None)), (Some(7), None, None));
}

#[test]
fn a_control_list_is_replaced_only_by_one() {
    let with = |lines: &[Line]| {
        let mut settings = vec![line("service", &["sh"]), line("uid", &["root"])];
        settings.extend_from_slice(lines);
        Asked { settings: Some(settings), ..plain() }
    };
    let present = brought(Verb::Up, with(&[line("control", &["a"])]));

    let (kept, _) = edited(&present, with(&[line("pids", &["5"])]));
    let (replaced, notes) = edited(&present, with(&[line("control", &["b"])]));
    let other = Asked { restarts: Some(1), ..Asked::default() };
    let (_, silent) = edited(&present, other);

    assert_eq!(*care(&kept).confinement.control, [Arc::from("a")]);
    assert_eq!(*care(&replaced).confinement.control, [Arc::from("b")]);
    let unbound = "control restricts nothing: it runs as root, who may do everything";
    assert_eq!(notes, ["at once: control", unbound]);
    assert_eq!(silent, ["at once: restarts"]);
}

#[test]
fn arguments_go_with_the_program_under_minixs_rules() {
    let present = brought(Verb::Up, Asked { arguments: Some(vec!["x".to_owned()]), ..plain() });
    let command = |minix, asked| {
        let request = Request { minix, ..request(Verb::Edit, asked) };
        edit(&Machine, &present, &request).unwrap().spec.command.to_string()
    };

    assert_eq!(command(false, plain()), "/bin/sh x");
    assert_eq!(command(true, Asked { settings: entry(), ..plain() }), "/bin/sh");
    assert_eq!(command(true, Asked::default()), "/bin/sh x");
}

#[test]
fn a_program_of_the_file_is_edited_there() {
    let mut present = ServiceSpec::clone(&brought(Verb::Up, plain()));
    present.program = Arc::default();

    let refusal = edit(&Machine, &present, &request(Verb::Edit, plain())).unwrap_err();

    assert_eq!(refusal.errno, Errno::EPERM);
    assert_eq!(
        refusal.to_string(),
        "sh stands in the configuration file: edit that, and then update"
    );
}

#[test]
fn bad_values_are_refused_as_by_up() {
    let present = brought(Verb::Up, plain());
    let asked = Asked { script: Some("r".to_owned()), ..Asked::default() };

    let refusal = edit(&Machine, &present, &request(Verb::Edit, asked)).unwrap_err();

    assert_eq!(refusal.errno, Errno::EINVAL);
}
