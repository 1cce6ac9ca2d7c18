//! Several services on one machine: each has its files, its processes and its end.

use super::scene::{Init, Machine};
use super::service::CAT;

fn two(init: Init) {
    let Some(machine) = Machine::boot(init) else { return };
    let (one, other) = (machine.service("one"), machine.service("o-t_h.er2"));
    for service in [one, other] {
        service.configure(CAT).up(&[]);
    }
    let kept = other.programs();
    assert_ne!(one.programs(), kept);

    one.verb("stop", &[]).ends_with(0);

    assert_eq!(one.verb("status", &[]).code, 3);
    assert_eq!(other.verb("status", &[]).code, 0);
    one.verb("uninstall", &[]).ends_with(0);
    assert_eq!(one.verb("status", &[]).code, 1);
    assert_eq!(other.verb("status", &[]).code, 0);
    assert_eq!(other.programs(), kept);
    other.verb("uninstall", &[]).ends_with(0);
    assert_eq!(machine.with_words("--service-run").len(), 0);
}

#[test]
fn two_services_of_systemd_leave_each_other_alone() {
    two(Init::Systemd);
}

#[test]
fn two_services_of_sysvinit_leave_each_other_alone() {
    two(Init::Sysvinit);
}

#[test]
fn two_services_of_openrc_leave_each_other_alone() {
    two(Init::Openrc);
}

#[test]
fn the_commands_of_systemd_know_both_names() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("both").configure(CAT).up(&[]);
    let keeper = service.keeper();

    machine.ok("systemctl enable both.service");
    machine.ok("systemctl restart both.service");
    let told = machine.ok("systemctl status both_service.service -l --no-pager");

    assert!(told.contains("active (running)"), "{told}");
    assert_ne!(service.keeper(), keeper);
}
