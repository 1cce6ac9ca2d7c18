//! Installed twice, differently, over somebody else's, and taken away again.

use super::scene::{Init, Machine};
use super::service::CAT;

/// Where the definition of the service `again` is.
fn definition(init: Init) -> &'static str {
    match init {
        Init::Systemd => "/etc/systemd/system/again.service",
        Init::Sysvinit => "/etc/init.d/again_service",
        Init::Openrc => "/etc/init.d/again",
    }
}

fn again(init: Init) {
    let Some(machine) = Machine::boot(init) else { return };
    let service = machine.service("again").configure(CAT);
    let file = definition(init);
    machine.write_script(file, "# of somebody else\n");
    let refused = service.verb("install", &[]).ends_with(1);
    assert!(refused.stderr.contains(file), "{refused:?}");
    assert_eq!(machine.read(file), "# of somebody else\n");
    machine.ok(&format!("rm {file}"));

    service.verb("install", &[]).ends_with(0);
    let first = machine.read(file);
    let said = service.verb("install", &[]).ends_with(0);
    assert!(said.stdout.contains("already installed"), "{said:?}");
    assert_eq!(machine.read(file), first);

    machine.write("/srv/other.conf", &machine.read("/etc/bardo/again.conf"));
    let said = service.verb("install", &["--config", "/srv/other.conf"]).ends_with(0);
    assert!(said.stdout.contains("changed in") && said.stdout.contains(file), "{said:?}");
    let other = machine.read(file);
    assert!(other.contains("/srv/other.conf"));
    let said = service.verb("install", &[]).ends_with(0);
    assert!(said.stderr.contains("--config /srv/other.conf"), "{said:?}");
    assert_eq!(machine.read(file), other);
    service.verb("install", &["--anew"]).ends_with(0);
    assert_eq!(machine.read(file), first);
    service.verb("start", &[]).ends_with(0);
    service.all_running();

    let edited = machine.read(file) + "# of the administrator\n";
    machine.write_script(file, &edited);
    service.verb("install", &[]);
    assert_eq!(machine.read(file), edited);
    service.verb("install", &["--force"]).ends_with(0);
    assert_eq!(machine.read(file), first);

    service.verb("uninstall", &[]).ends_with(0);
    assert!(!machine.has(file));
    assert_eq!(machine.with_words("--service-run").len(), 0);
    service.verb("uninstall", &[]).ends_with(0);
    assert!(machine.has("/etc/bardo/again.conf") && machine.has("/srv/again/main.log"));
    service.up(&[]);
}

#[test]
fn a_unit_is_installed_again_and_again() {
    again(Init::Systemd);
}

#[test]
fn a_script_of_sysvinit_is_installed_again_and_again() {
    again(Init::Sysvinit);
}

#[test]
fn a_script_of_openrc_is_installed_again_and_again() {
    again(Init::Openrc);
}
