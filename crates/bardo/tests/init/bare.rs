//! A machine that has nothing but the program, and has nothing more afterwards.

use std::collections::BTreeMap;

use super::scene::{Init, Machine};

/// What the machine itself changes while it runs: what systemd and its journal keep for
/// themselves, and folders whose only change is when something in them came and went.
const RESTLESS: [&str; 7] = [
    "/run/systemd/",
    "/run/log/",
    "/run/utmp",
    "/run/console",
    "/var/log/journal/",
    "/var/log/wtmp",
    "/var/lib/systemd/",
];

/// What init systems work out from all that is installed, in an order of their own.
const WORKED_OUT: [&str; 2] = ["/run/openrc/deptree", "/etc/init.d/.depend."];

fn settled(machine: &Machine) -> BTreeMap<String, String> {
    if machine.has("/run/openrc") {
        machine.ok("rc-update --update");
    }
    let mut files = machine.files();
    files.retain(|path, _| {
        let is_worked_out = WORKED_OUT.iter().any(|start| path.starts_with(start));
        assert!(!is_worked_out || !machine.read(path).contains("bardo"), "{path} tells of it");
        !is_worked_out
    });
    files.retain(|path, _| !RESTLESS.iter().any(|start| path.starts_with(start)));
    files
}

/// What is different, a line for each.
fn difference(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
    let come = after.iter().filter(|(path, _)| !before.contains_key(*path));
    let other = after.iter().filter(|(path, now)| before.get(*path).is_some_and(|was| was != *now));
    let lines =
        [("gone", gone.collect::<Vec<_>>()), ("new", come.collect()), ("other", other.collect())];
    lines
        .into_iter()
        .flat_map(|(word, files)| {
            files.into_iter().map(move |(path, what)| format!("{word} {path} {what}"))
        })
        .collect()
}

fn leaves_nothing(init: Init, spelling: impl Fn(&str) -> String) {
    let Some(machine) = Machine::boot(init) else { return };
    let before = settled(&machine);
    let verb = |verb: &str| machine.command(&["bardo_service", &spelling(verb)]);
    assert_eq!(verb("status").code, 1, "it is not installed");

    verb("install").ends_with(0);
    assert_eq!(verb("status").code, 3);
    verb("start").ends_with(0);
    assert_eq!(verb("status").code, 0);
    verb("stop").ends_with(0);
    assert_eq!(verb("status").code, 3);
    assert_eq!(machine.with_words("--service-run").len(), 0);
    verb("uninstall").ends_with(0);
    assert_eq!(verb("status").code, 1);
    let change = difference(&before, &settled(&machine));
    assert!(change.is_empty(), "{change:#?}");

    // One that runs is ended by it.
    verb("install").ends_with(0);
    verb("start").ends_with(0);
    verb("uninstall").ends_with(0);
    assert_eq!(machine.with_words("--service-run").len(), 0);
    let change = difference(&before, &settled(&machine));
    assert!(change.is_empty(), "{change:#?}");
}

#[test]
fn systemd_is_as_it_was() {
    leaves_nothing(Init::Systemd, |verb| format!("/{verb}"));
}

#[test]
fn sysvinit_is_as_it_was() {
    leaves_nothing(Init::Sysvinit, |verb| format!("-{verb}"));
}

#[test]
fn openrc_is_as_it_was() {
    leaves_nothing(Init::Openrc, |verb| format!("--{verb}"));
}
