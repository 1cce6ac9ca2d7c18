//! The verbs on a machine with systemd.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bardo::init::definition::{Definition, Scope, Start};
use bardo::init::systemd::Systemd;
use bardo::init::sysv::Sysv;
use bardo::init::verbs::{self, Force, Told};
use bardo::init::{InitError, InitSystem};

use super::stubs::{Machine, service};

const UNIT: &str = "/etc/systemd/system/web.service";

fn install(machine: &Machine, definition: &Definition) -> Result<Told, InitError> {
    verbs::install(&Systemd::machine(), &machine.ground(), definition, Force::No)
}

fn forced(machine: &Machine, definition: &Definition) -> Result<Told, InitError> {
    verbs::install(&Systemd::machine(), &machine.ground(), definition, Force::Yes)
}

fn status(machine: &Machine) -> (u8, String) {
    let status = verbs::status(&Systemd::machine(), &machine.ground(), "web");
    (status.code, status.line)
}

fn on_demand(name: &str) -> Definition {
    Definition { start: Start::OnDemand, ..service(name) }
}

#[test]
fn an_installation_is_written_and_registered_and_not_started() {
    let machine = Machine::with_systemd();

    let told = install(&machine, &service("web")).unwrap();

    assert_eq!(told.line, format!("installed as {UNIT} (systemd); it starts at boot"));
    assert_eq!(machine.calls(), ["systemctl daemon-reload", "systemctl enable web.service"]);
    assert!(
        machine.read(UNIT).contains("ExecStart=/usr/local/bin/bardo --service-run web --pauses\n")
    );
    assert_eq!(status(&machine).0, 3);
}

#[test]
fn a_start_that_fails_names_what_is_wrong_with_the_configuration() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    machine.write("/etc/bardo/web.conf", "[supervisord]\n[program:cat]\n");
    machine.fails("start web", 1);
    let (system, ground) = (Systemd::machine(), machine.ground());
    let begin = [verbs::start, verbs::restart];
    let said = || begin.map(|verb| verb(&system, &ground, "web").unwrap_err());

    for error in said() {
        assert_eq!(error.code(), 1);
        let text = error.to_string();
        assert!(text.contains("program:cat") && text.contains("told to fail"), "{text}");
    }

    machine.write("/etc/bardo/web.conf", "[supervisord]\n[program:cat]\ncommand=/bin/cat\n");
    for error in said() {
        let text = error.to_string();
        assert!(!text.contains("/etc/bardo") && text.contains("told to fail"), "{text}");
    }
}

#[test]
fn the_same_again_changes_nothing() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    machine.calls();
    let before = fs::metadata(machine.at(UNIT)).unwrap().modified().unwrap();

    let told = install(&machine, &service("web")).unwrap();

    assert!(told.line.starts_with("already installed"), "{}", told.line);
    assert_eq!(machine.calls(), [] as [&str; 0]);
    assert_eq!(fs::metadata(machine.at(UNIT)).unwrap().modified().unwrap(), before);
}

#[test]
fn other_settings_are_changed_in_place_and_told() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    machine.calls();

    let configuration = Some("/etc/web.conf".into());
    let told = install(&machine, &Definition { configuration, ..service("web") }).unwrap();
    assert_eq!(told.line, format!("changed in {UNIT} (systemd): ExecStart"));
    assert_eq!(machine.calls(), ["systemctl daemon-reload", "systemctl enable web.service"]);

    let configuration = Some("/etc/web.conf".into());
    let told = install(&machine, &Definition { configuration, ..on_demand("web") }).unwrap();
    assert_eq!(told.line, format!("changed in {UNIT} (systemd): start at boot: no"));
    assert_eq!(machine.calls(), ["systemctl daemon-reload", "systemctl disable web.service"]);
}

#[test]
fn a_file_of_others_is_left_alone_unless_it_is_replaced_by_force() {
    let machine = Machine::with_systemd();
    machine.write(UNIT, "[Service]\nExecStart=/bin/true\n");

    let error = install(&machine, &service("web")).unwrap_err();
    assert_eq!(error.code(), 1);
    assert!(error.to_string().starts_with(UNIT), "{error}");
    let error = verbs::uninstall(&Systemd::machine(), &machine.ground(), "web").unwrap_err();
    assert_eq!(error.code(), 1);
    assert_eq!(machine.read(UNIT), "[Service]\nExecStart=/bin/true\n");
    assert_eq!(machine.calls(), [] as [&str; 0]);

    forced(&machine, &service("web")).unwrap();
    assert!(machine.read(UNIT).contains("--service-run web"));
    assert_eq!(machine.read(&format!("{UNIT}.bak")), "[Service]\nExecStart=/bin/true\n");
}

#[test]
fn a_unit_of_a_package_is_not_hidden_unless_by_force() {
    for folder in ["/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/generator.late"]
    {
        let machine = Machine::with_systemd();
        let theirs = format!("{folder}/web.service");
        machine.write(&theirs, "[Service]\nExecStart=/bin/true\n");
        let before = machine.files();
        let offline = machine.ground().below(machine.ground().root());

        for ground in [machine.ground(), offline] {
            let system = Systemd::machine();
            let error = verbs::install(&system, &ground, &service("web"), Force::No).unwrap_err();
            assert_eq!(error.code(), 1);
            assert!(error.to_string().starts_with(&theirs), "{error}");
        }
        assert_eq!(machine.files(), before);
        assert_eq!(machine.calls(), [] as [&str; 0]);

        let told = forced(&machine, &service("web")).unwrap();
        assert!(told.notes[0].contains(&theirs), "{told:?}");
        assert!(install(&machine, &service("web")).unwrap().line.starts_with("already"));
    }
    // A name that a unit of another name has.
    let machine = Machine::with_systemd();
    machine.state("fragment", "/usr/lib/systemd/system/httpd.service\n");
    let error = install(&machine, &service("web")).unwrap_err();
    assert!(error.to_string().starts_with("/usr/lib/systemd/system/httpd.service"), "{error}");
}

#[test]
fn a_lost_mode_is_put_right() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    fs::set_permissions(machine.at(UNIT), fs::Permissions::from_mode(0o600)).unwrap();

    let told = install(&machine, &service("web")).unwrap();

    assert!(told.line.ends_with(": mode"), "{}", told.line);
    assert_eq!(fs::metadata(machine.at(UNIT)).unwrap().permissions().mode() & 0o7777, 0o644);
}

#[test]
fn an_absolute_link_of_a_root_leads_nowhere_else() {
    let machine = Machine::new();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), machine.at("/etc")).unwrap();
    let ground = machine.ground().below(machine.ground().root());

    verbs::install(&Systemd::machine(), &ground, &service("web"), Force::No).unwrap();

    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(machine.at(UNIT).is_file());
    verbs::uninstall(&Systemd::machine(), &ground, "web").unwrap();
    assert!(!machine.at(UNIT).exists());
}

#[test]
fn what_an_administrator_has_edited_stays_and_drop_ins_are_told_of() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    let edited = machine.read(UNIT).replace("TimeoutStopSec=20", "TimeoutStopSec=40");
    machine.write(UNIT, &edited);
    machine.calls();

    let told = install(&machine, &Definition { account: Some("w".into()), ..service("web") });
    let told = told.unwrap();
    assert_eq!(machine.read(UNIT), edited);
    assert!(told.notes[0].contains("was edited") && told.notes[0].contains("drop-in"), "{told:?}");
    assert_eq!(machine.calls(), [] as [&str; 0]);

    let told = forced(&machine, &service("web")).unwrap();
    assert!(told.line.ends_with("TimeoutStopSec"), "{}", told.line);
    assert_eq!(machine.read(&format!("{UNIT}.bak")), edited);
}

#[test]
fn an_installation_that_fails_at_any_step_leaves_nothing() {
    for step in ["daemon-reload", "enable"] {
        let machine = Machine::with_systemd();
        let before = machine.files();
        machine.fails(step, 1);

        let error = install(&machine, &service("web")).unwrap_err();

        assert_eq!(error.code(), 1, "{step}");
        assert!(error.to_string().contains(step) && error.to_string().contains("told to fail"));
        assert_eq!(machine.files(), before, "{step}");
        let calls = machine.calls();
        assert_eq!(calls.last().unwrap(), "systemctl reset-failed web.service", "{calls:?}");
        machine.fails_no_more();
        assert!(install(&machine, &service("web")).is_ok());
    }
}

#[test]
fn a_change_that_fails_is_taken_back_and_the_service_starts_at_boot_as_before() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    let before = machine.files();
    machine.fails("disable", 1);

    let error = install(&machine, &Definition { account: Some("w".into()), ..on_demand("web") });

    assert_eq!(error.unwrap_err().code(), 1);
    assert_eq!(machine.files(), before);
    let calls = machine.calls();
    assert_eq!(calls.last().unwrap(), "systemctl enable web.service", "{calls:?}");
    machine.fails_no_more();
    assert!(install(&machine, &service("web")).unwrap().line.starts_with("already installed"));
}

#[test]
fn an_installation_that_was_killed_half_way_is_finished_by_the_next() {
    let machine = Machine::with_systemd();
    machine.write("/etc/systemd/system/.web.service.bardo-new", "half of it");
    install(&machine, &service("web")).unwrap();
    let unit = machine.read(UNIT);

    // The file is there, and nothing was registered.
    let other = Machine::with_systemd();
    other.write(UNIT, &unit);
    let told = install(&other, &service("web")).unwrap();

    assert_eq!(other.calls(), ["systemctl daemon-reload", "systemctl enable web.service"]);
    assert_eq!(told.line, format!("changed in {UNIT} (systemd): start at boot: yes"));
    assert_eq!(machine.files().len(), 1);
}

#[test]
fn an_uninstallation_stops_and_removes_everything_and_again_is_no_failure() {
    let machine = Machine::with_systemd();
    machine.write("/etc/bardo/web.conf", "[supervisord]\n");
    let before = machine.files();
    install(&machine, &service("web")).unwrap();
    machine.folder("/var/lib/web");
    machine.write("/var/log/web/web.log", "kept\n");
    verbs::start(&Systemd::machine(), &machine.ground(), "web").unwrap();
    machine.calls();

    let told = verbs::uninstall(&Systemd::machine(), &machine.ground(), "web").unwrap();

    assert!(told.line.starts_with("uninstalled"));
    assert_eq!(
        machine.calls(),
        [
            "systemctl stop web.service",
            "systemctl disable web.service",
            "systemctl daemon-reload",
            "systemctl reset-failed web.service",
        ]
    );
    assert_eq!(machine.read("/var/log/web/web.log"), "kept\n");
    fs::remove_dir_all(machine.at("/var/log/web")).unwrap();
    assert_eq!(machine.files(), before);
    assert!(!machine.at("/var/lib/web").exists(), "systemd has made it, and nothing is in it");
    let told = verbs::uninstall(&Systemd::machine(), &machine.ground(), "web").unwrap();
    assert!(told.line.contains("not installed"));
    assert_eq!(machine.calls(), [] as [&str; 0]);
}

#[test]
fn an_uninstallation_that_cannot_stop_it_leaves_it_there() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    let before = machine.files();
    machine.fails("stop", 1);

    let error = verbs::uninstall(&Systemd::machine(), &machine.ground(), "web").unwrap_err();

    assert_eq!(error.code(), 1);
    assert_eq!(machine.files(), before);
}

#[test]
fn an_uninstallation_that_fails_half_way_leaves_it_registered_and_running() {
    for (definition, verb) in [(service("web"), "enable"), (on_demand("web"), "disable")] {
        let machine = Machine::with_systemd();
        install(&machine, &definition).unwrap();
        verbs::start(&Systemd::machine(), &machine.ground(), "web").unwrap();
        let before = machine.files();
        // Only the first one fails.
        machine.fails("disable", 1);
        machine.state("once", "");
        machine.calls();

        let error = verbs::uninstall(&Systemd::machine(), &machine.ground(), "web").unwrap_err();

        assert!(error.to_string().contains("told to fail"), "{error}");
        assert!(!error.to_string().contains("not as before"), "{error}");
        assert_eq!(machine.files(), before);
        assert_eq!(
            machine.calls(),
            [
                "systemctl stop web.service",
                "systemctl disable web.service",
                "systemctl daemon-reload",
                &format!("systemctl {verb} web.service"),
                "systemctl start web.service",
            ]
        );
        assert_eq!(status(&machine).0, 0);
    }
}

#[test]
fn a_start_is_believed_only_when_it_is_seen() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    let start = |verb: fn(&_, &_, &_) -> _| -> Result<Told, InitError> {
        let system: &dyn InitSystem = &Systemd::machine();
        verb(system, &machine.ground(), "web")
    };

    // It ends with 0, and nothing was started.
    machine.state("deaf", "");
    for verb in [verbs::start, verbs::restart] {
        let error = start(verb).unwrap_err();
        assert_eq!(error.code(), 1);
        assert!(error.to_string().contains("does not run: inactive (dead)"), "{error}");
    }

    // In a chroot it ends with 0 and says nothing.
    machine.tool("systemctl", "echo 'Running in chroot, ignoring command' >&2");
    machine.calls();
    let error = start(verbs::start).unwrap_err();
    assert!(error.to_string().contains("systemctl tells nothing"), "{error}");
    assert_eq!(error.code(), 1);
    assert_eq!(machine.calls(), [] as [&str; 0]);
}

#[test]
fn a_restart_that_one_of_its_programs_asks_for_is_done_by_the_manager() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    verbs::start(&Systemd::machine(), &machine.ground(), "web").unwrap();
    machine.calls();

    verbs::restart(&Systemd::machine(), &machine.ground(), "web").unwrap();
    assert_eq!(machine.calls(), ["systemctl stop web.service", "systemctl start web.service"]);

    machine.write("/proc/self/cgroup", "0::/system.slice/web.service/programs\n");
    verbs::restart(&Systemd::machine(), &machine.ground(), "web").unwrap();
    assert_eq!(machine.calls(), ["systemctl restart web.service"]);
}

#[test]
fn of_two_kinds_of_definition_one_is_left() {
    let machine = Machine::with_systemd();
    machine.folder("/etc/init.d");
    machine.tool("update-rc.d", "");
    let script = "/etc/init.d/web_service";
    let by_script = || verbs::install(&Sysv, &machine.ground(), &service("web"), Force::No);
    by_script().unwrap();
    machine.calls();

    let running = machine.runs("web");
    let error = install(&machine, &service("web")).unwrap_err();
    assert!(error.to_string().contains("bardo /stop web --init sysv"), "{error}");
    assert!(machine.at(script).exists() && !machine.at(UNIT).exists());
    drop(running);

    // A failure later on brings it back.
    machine.write("/etc/rc3.d/S01web_service", "");
    machine.fails("systemctl enable", 1);
    machine.calls();
    install(&machine, &service("web")).unwrap_err();
    assert!(machine.at(script).exists() && !machine.at(UNIT).exists());
    let calls = machine.calls();
    assert!(calls.contains(&"update-rc.d web_service enable".to_owned()), "{calls:?}");
    machine.fails_no_more();
    machine.calls();

    let told = install(&machine, &service("web")).unwrap();
    assert!(told.notes[0].starts_with(script), "{told:?}");
    assert_eq!(
        machine.calls(),
        [
            "update-rc.d web_service remove",
            "systemctl daemon-reload",
            "systemctl enable web.service"
        ]
    );
    assert!(!machine.at(script).exists() && machine.at(UNIT).exists());
    assert!(install(&machine, &service("web")).unwrap().notes.is_empty());

    // One of the same name that others have written is theirs.
    machine.write(script, "#!/bin/sh\n");
    assert!(install(&machine, &service("web")).unwrap().notes.is_empty());
    assert!(machine.at(script).exists());
}

#[test]
fn a_reinstallation_keeps_the_configuration() {
    let machine = Machine::with_systemd();
    machine.write("/etc/bardo/web.conf", "[supervisord]\n; mine\n");
    install(&machine, &service("web")).unwrap();
    verbs::uninstall(&Systemd::machine(), &machine.ground(), "web").unwrap();
    install(&machine, &service("web")).unwrap();

    assert_eq!(machine.read("/etc/bardo/web.conf"), "[supervisord]\n; mine\n");
}

#[test]
fn two_names_are_two_services() {
    let machine = Machine::with_systemd();
    let (system, ground) = (Systemd::machine(), machine.ground());
    for name in ["web", "mail"] {
        install(&machine, &service(name)).unwrap();
        verbs::start(&system, &ground, name).unwrap();
    }

    verbs::stop(&system, &ground, "mail").unwrap();

    assert_eq!(verbs::status(&system, &ground, "web").code, 0);
    assert_eq!(verbs::status(&system, &ground, "mail").code, 3);
    let mail = machine.read("/etc/systemd/system/mail.service");
    for line in ["RuntimeDirectory=mail\n", "SyslogIdentifier=mail\n", "LogsDirectory=mail\n"] {
        assert!(mail.contains(line), "{line}");
    }
    verbs::uninstall(&system, &ground, "mail").unwrap();
    assert_eq!(verbs::status(&system, &ground, "web").code, 0);
}

#[test]
fn states_have_the_codes_zero_three_and_one() {
    let machine = Machine::with_systemd();
    assert_eq!(status(&machine), (1, "not installed (systemd)".to_owned()));
    install(&machine, &service("web")).unwrap();

    for (state, code) in [
        ("active running", 0),
        ("reloading reload", 0),
        ("activating start", 3),
        ("activating auto-restart", 3),
        ("deactivating stop-sigterm", 3),
        ("failed failed", 3),
        ("inactive dead", 3),
    ] {
        machine.state("web.active", state);
        let (told, line) = status(&machine);
        assert_eq!(told, code, "{state}: {line}");
        assert!(line.contains(state.split(' ').next().unwrap()), "{line}");
    }
    machine.fails("show", 1);
    let (code, line) = status(&machine);
    assert_eq!(code, 1, "{line}");
    assert!(line.contains("cannot be determined"), "{line}");
}

#[test]
fn what_systemctl_refuses_has_our_codes() {
    let machine = Machine::with_systemd();
    let (system, ground) = (Systemd::machine(), machine.ground());
    for verb in [verbs::start, verbs::stop, verbs::restart, verbs::try_restart, verbs::reload] {
        assert_eq!(verb(&system, &ground, "web").unwrap_err().code(), 5);
    }
    install(&machine, &service("web")).unwrap();
    assert_eq!(verbs::reload(&system, &ground, "web").unwrap_err().code(), 7);
    assert!(verbs::try_restart(&system, &ground, "web").unwrap().line.contains("nothing to do"));

    for (told, ours) in [(1, 1), (4, 4), (5, 5), (6, 1)] {
        machine.fails("start", told);
        let error = verbs::start(&system, &ground, "web").unwrap_err();
        assert_eq!(error.code(), ours, "{error}");
    }
    machine.fails_no_more();
    machine.state("load", "masked");
    let error = verbs::start(&system, &ground, "web").unwrap_err();
    assert_eq!(error.code(), 6);
    assert!(error.to_string().contains("systemctl unmask web.service"));
}

#[test]
fn starts_and_stops_may_be_repeated() {
    let machine = Machine::with_systemd();
    let (system, ground) = (Systemd::machine(), machine.ground());
    install(&machine, &service("web")).unwrap();

    assert_eq!(verbs::start(&system, &ground, "web").unwrap().line, "started");
    assert_eq!(verbs::start(&system, &ground, "web").unwrap().line, "it runs already");
    assert_eq!(verbs::stop(&system, &ground, "web").unwrap().line, "stopped");
    assert_eq!(verbs::stop(&system, &ground, "web").unwrap().line, "it does not run");
    assert_eq!(verbs::restart(&system, &ground, "web").unwrap().line, "restarted");
    assert_eq!(status(&machine).0, 0);
}

#[test]
fn what_is_left_in_the_cgroup_after_a_stop_is_killed() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    let cgroup = "/sys/fs/cgroup/system.slice/web.service";
    let mut left = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    machine.write(&format!("{cgroup}/cgroup.procs"), &format!("{}\n", left.id()));

    // No such file as cgroup.kill: one by one. What was killed leaves the list.
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| verbs::stop(&Systemd::machine(), &machine.ground(), "web"));
        left.wait().unwrap();
        machine.write(&format!("{cgroup}/cgroup.procs"), "");
        assert!(stop.join().unwrap().is_ok());
    });
}

#[test]
fn a_unit_of_a_user_is_told_to_the_manager_of_that_user() {
    let machine = Machine::with_systemd();
    let system = Systemd::user();
    let definition = Definition { scope: Scope::User, ..service("web") };

    let told = verbs::install(&system, &machine.ground(), &definition, Force::No).unwrap();

    assert!(told.notes[0].contains("loginctl enable-linger"));
    assert_eq!(
        machine.calls(),
        ["systemctl --user daemon-reload", "systemctl --user enable web.service"]
    );
    let unit = machine.read("/home/u/.config/systemd/user/web.service");
    assert!(unit.contains("WantedBy=default.target"));
    for line in ["OOMScoreAdjust", "CapabilityBoundingSet", "ProtectClock", "network.target"] {
        assert!(!unit.contains(line), "{line}");
    }
    assert_eq!(system.name(), "systemd");
}
