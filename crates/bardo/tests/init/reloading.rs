//! A service takes up what has changed in its configuration, asked by its init system.

use super::scene::{Init, Machine};
use super::service::Service;

/// A program that ends when it is told to.
fn sleeper(name: &str, seconds: u32) -> String {
    format!("[program:{name}]\ncommand=/bin/sleep {seconds}\nstartsecs=0\n")
}

fn pid_of(service: &Service<'_>, name: &str) -> Option<u32> {
    service.programs().into_iter().find(|(there, _)| there == name).map(|(_, pid)| pid)
}

/// `verb` is the init system's own, which ends so when a configuration is refused.
fn reload(init: Init, verb: &str, refused: i32) {
    let Some(machine) = Machine::boot(init) else { return };
    let service = machine.service("web");
    let before = sleeper("same", 100_000) + &sleeper("changed", 100_000);
    service.configure(&before).up(&[]);
    let pids = ["same", "changed"].map(|name| pid_of(&service, name));

    let after =
        sleeper("same", 100_000) + &sleeper("changed", 200_000) + &sleeper("fresh", 300_000);
    service.configure(&after);
    let said = service.verb("reload", &[]).ends_with(0).stdout;

    assert!(said.contains("what has changed is taken up"), "{said}");
    // It is done when that returns.
    let now = ["same", "changed"].map(|name| pid_of(&service, name));
    assert_eq!(now[0], pids[0], "nothing of it has changed");
    assert!(now[1].is_some() && now[1] != pids[1], "{pids:?} {now:?}");
    assert!(pid_of(&service, "fresh").is_some());

    service.configure("[program:same]\nnumprocs=many\n");
    let told = service.verb("reload", &[]).ends_with(1).stderr;
    assert!(told.contains("not reloaded: ") && told.contains("many"), "{told}");
    let all = ["same", "changed"].map(|name| pid_of(&service, name));
    assert_eq!(all, now, "everything goes on");
    service.verb("status", &[]).ends_with(0);
    machine.run(verb).ends_with(refused);
    service.verb("status", &[]).ends_with(0);

    service.configure(&before);
    machine.ok(verb);
    machine.until("the fresh one to be gone", |_| pid_of(&service, "fresh").is_none());
    assert_eq!(pid_of(&service, "same"), pids[0]);
    service.verb("stop", &[]).ends_with(0);
    assert!(!machine.has("/run/web/told"), "nothing is left of it");
}

#[test]
fn systemd_has_what_has_changed_taken_up() {
    reload(Init::Systemd, "systemctl reload web", 1);
}

#[test]
fn sysvinit_has_what_has_changed_taken_up() {
    reload(Init::Sysvinit, "/etc/init.d/web_service reload", 0);
}

#[test]
fn openrc_has_what_has_changed_taken_up() {
    reload(Init::Openrc, "rc-service web reload", 0);
}
