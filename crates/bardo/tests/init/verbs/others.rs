//! What others have made, and what an administrator has changed: nothing of it vanishes, and
//! nothing is done in silence.

use std::fs;
use std::os::unix::fs::symlink;

use bardo::init::definition::{Definition, Respawn, Start};
use bardo::init::ground::Ground;
use bardo::init::launchd::Launchd;
use bardo::init::openrc::OpenRc;
use bardo::init::sandbox::Allowed;
use bardo::init::systemd::Systemd;
use bardo::init::sysv::Sysv;
use bardo::init::verbs::{self, Force, Told};
use bardo::init::{InitError, InitSystem};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::stubs::{Machine, service};

const UNIT: &str = "/etc/systemd/system/web.service";

type Verb = fn(&dyn InitSystem, &Ground, &str) -> Result<Told, InitError>;

const STEERING: [Verb; 5] =
    [verbs::start, verbs::stop, verbs::restart, verbs::try_restart, verbs::reload];

fn install(machine: &Machine, definition: &Definition) -> Result<Told, InitError> {
    verbs::install(&Systemd::machine(), &machine.ground(), definition, Force::No)
}

fn uninstall(machine: &Machine, name: &str) -> Result<Told, InitError> {
    verbs::uninstall(&Systemd::machine(), &machine.ground(), name)
}

fn of_account(name: &str) -> Definition {
    Definition { account: Some("daemon".into()), ..service(name) }
}

/// Whether something that was told has a text in it.
fn tells(told: &Told, text: &str) -> bool {
    told.notes.iter().any(|note| note.contains(text))
}

#[test]
fn a_service_of_others_is_neither_steered_nor_told_of_as_one_of_ours() {
    for path in [UNIT, "/usr/lib/systemd/system/web.service"] {
        let machine = Machine::with_systemd();
        machine.write(path, "[Service]\nKillMode=process\n");
        machine.state("load", "loaded");
        machine.state("fragment", path);
        machine.state("web.active", "active running");
        let cgroup = "/sys/fs/cgroup/system.slice/web.service";
        machine.write(&format!("{cgroup}/cgroup.procs"), "1\n");
        machine.write(&format!("{cgroup}/cgroup.kill"), "");
        let (system, ground) = (Systemd::machine(), machine.ground());

        for verb in STEERING {
            let error = verb(&system, &ground, "web").unwrap_err();
            assert_eq!(error.code(), 5, "{error}");
            assert!(error.to_string().contains("no service of bardo's"), "{error}");
        }
        let status = verbs::status(&system, &ground, "web");
        assert_eq!(status.code, 1, "{}", status.line);
        assert!(status.line.starts_with(path), "{}", status.line);
        assert_eq!(machine.calls(), [] as [&str; 0]);
        assert_eq!(machine.read(&format!("{cgroup}/cgroup.kill")), "", "what it leaves is its own");
    }
    let machine = Machine::new();
    machine.write("/etc/init.d/web", "#!/bin/sh\n");
    machine.tool("rc-service", "exit 0");
    assert_eq!(verbs::stop(&OpenRc, &machine.ground(), "web").unwrap_err().code(), 5);
    assert_eq!(verbs::status(&OpenRc, &machine.ground(), "web").code, 1);
    assert_eq!(machine.calls(), [] as [&str; 0]);
}

#[test]
fn what_others_have_written_is_left_by_a_removal_in_words_that_fit_it() {
    let machine = Machine::with_systemd();
    machine.write(UNIT, "[Service]\n");

    let error = uninstall(&machine, "web").unwrap_err();

    assert_eq!(error.code(), 1);
    let text = error.to_string();
    assert!(text.starts_with(UNIT) && text.contains("is left"), "{text}");
    assert!(!text.contains("--force") && !text.contains("another name"), "{text}");
}

#[test]
fn the_other_name_of_a_unit_leads_to_its_service() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    let (system, ground) = (Systemd::machine(), machine.ground());

    for force in [Force::No, Force::Yes] {
        // Also where systemd has made no link of that name.
        let error = verbs::install(&system, &ground, &service("web_service"), force).unwrap_err();
        assert!(error.to_string().contains("another name of the service web"), "{error}");
    }
    symlink(UNIT, machine.at("/etc/systemd/system/web_service.service")).unwrap();
    let error = uninstall(&machine, "web_service").unwrap_err();
    assert!(error.to_string().contains("say web"), "{error}");
    // To start and stop it, one name is as good as the other.
    machine.state("load", "loaded");
    verbs::start(&system, &ground, "web_service").unwrap();
    verbs::stop(&system, &ground, "web_service").unwrap();
    // One that leads elsewhere is somebody else's.
    symlink("/usr/lib/x.service", machine.at("/etc/systemd/system/y_service.service")).unwrap();
    let error = uninstall(&machine, "y_service").unwrap_err();
    assert!(error.to_string().contains("was not written by bardo"), "{error}");
}

#[test]
fn a_masked_unit_is_unmasked_by_nobody_but_the_administrator() {
    let machine = Machine::with_systemd();
    symlink("/dev/null", machine.at(UNIT)).unwrap();
    machine.state("load", "masked");
    let (system, ground) = (Systemd::machine(), machine.ground());
    let mut refused = Vec::new();
    for force in [Force::No, Force::Yes] {
        refused.push(verbs::install(&system, &ground, &service("web"), force).unwrap_err());
    }
    refused.push(uninstall(&machine, "web").unwrap_err());
    refused.extend(STEERING.map(|verb| verb(&system, &ground, "web").unwrap_err()));

    for error in refused {
        assert_eq!(error.code(), 6);
        assert_eq!(error.to_string(), "it is masked; allow it with: systemctl unmask web.service");
    }
    assert_eq!(fs::read_link(machine.at(UNIT)).unwrap().to_str(), Some("/dev/null"));
    assert_eq!(machine.calls(), [] as [&str; 0]);
    assert_eq!(verbs::status(&system, &ground, "web").code, 1);
}

#[test]
fn a_running_service_is_found_by_its_own_init_system_before_another_one_takes_it() {
    let machine = Machine::with_systemd();
    machine.folder("/etc/init.d");
    machine.tool("update-rc.d", "");
    install(&machine, &service("web")).unwrap();
    verbs::start(&Systemd::machine(), &machine.ground(), "web").unwrap();
    let before = machine.files();
    machine.calls();

    let by_script = || verbs::install(&Sysv, &machine.ground(), &service("web"), Force::No);
    let error = by_script().unwrap_err();

    assert!(error.to_string().contains("bardo /stop web --init systemd"), "{error}");
    assert_eq!(machine.files(), before);
    assert_eq!(machine.calls(), [] as [&str; 0]);
    verbs::stop(&Systemd::machine(), &machine.ground(), "web").unwrap();
    machine.write(UNIT, &(machine.read(UNIT) + "# mine\n"));
    let edited = machine.read(UNIT);
    let told = by_script().unwrap();
    assert!(tells(&told, &format!("{UNIT}.bak")), "{told:?}");
    assert_eq!(machine.read(&format!("{UNIT}.bak")), edited);
}

#[test]
fn what_an_administrator_has_made_outlives_a_removal_and_is_told() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    machine.write(&format!("{UNIT}.d/mine.conf"), "[Service]\nNice=5\n");
    machine.write(UNIT, &(machine.read(UNIT) + "Nice=5\n"));
    let edited = machine.read(UNIT);

    let told = uninstall(&machine, "web").unwrap();

    assert!(!machine.at(UNIT).exists());
    assert_eq!(machine.read(&format!("{UNIT}.bak")), edited);
    assert!(tells(&told, &format!("it is kept as {UNIT}.bak")), "{told:?}");
    assert!(tells(&told, &format!("{UNIT}.d is left, and counts again")), "{told:?}");
    let told = uninstall(&machine, "web").unwrap();
    assert!(tells(&told, &format!("{UNIT}.bak is left")), "{told:?}");
    let told = install(&machine, &service("web")).unwrap();
    assert!(tells(&told, &format!("{UNIT}.d counts for it too")), "{told:?}");
    let told = install(&machine, &service("web")).unwrap();
    assert_eq!(told.notes, [] as [String; 0], "it was told when it was new");
}

#[test]
fn settings_of_scripts_are_told_of_as_well() {
    let machine = Machine::new();
    machine.folder("/etc/init.d");
    for (system, path) in
        [(&Sysv as &dyn InitSystem, "/etc/default/web"), (&OpenRc, "/etc/conf.d/web")]
    {
        machine.write(path, "CONFIG=/etc/x\n");
        let ground = machine.ground().below(machine.ground().root());
        let told = verbs::install(system, &ground, &service("web"), Force::No).unwrap();
        assert!(tells(&told, &format!("{path} counts for it too")), "{told:?}");
        let told = verbs::uninstall(system, &ground, "web").unwrap();
        assert!(tells(&told, &format!("{path} is left")), "{told:?}");
    }
}

#[test]
fn an_edited_file_that_lacks_what_was_asked_for_is_not_called_installed() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    machine.write(UNIT, &(machine.read(UNIT) + "Nice=5\n"));

    let told = install(&machine, &service("web")).unwrap();
    assert!(told.line.starts_with("already installed"), "{}", told.line);

    let told = install(&machine, &of_account("web")).unwrap();
    assert!(told.line.starts_with("left as it was edited"), "{}", told.line);
    assert!(told.line.ends_with("what was asked for is not in it"), "{}", told.line);
    assert!(tells(&told, "otherwise than asked for: User"), "{told:?}");
}

#[test]
fn a_change_of_what_runs_says_when_it_counts() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    let restart = "the change counts after: bardo /restart web";
    let configuration = Some("/etc/web.conf".into());
    let other = Definition { configuration, ..service("web") };
    assert!(!tells(&install(&machine, &other).unwrap(), restart), "it does not run");
    verbs::start(&Systemd::machine(), &machine.ground(), "web").unwrap();

    assert!(tells(&install(&machine, &service("web")).unwrap(), restart));
    let told = install(&machine, &Definition { start: Start::OnDemand, ..service("web") }).unwrap();
    assert!(!tells(&told, restart), "only the next boot is concerned: {told:?}");
}

#[test]
fn what_would_part_a_keeper_from_its_programs_is_not_changed_while_it_is_up() {
    let machine = Machine::with_systemd();
    let mut allowed = Allowed::usual();
    allowed.allow("realtime");
    let changes = [
        ("User", of_account("web")),
        ("KillMode", Definition { respawn: Respawn::Never, ..service("web") }),
        ("RestrictRealtime", Definition { allowed, ..service("web") }),
    ];
    install(&machine, &service("web")).unwrap();
    let before = machine.read(UNIT);
    // It runs, or it is in the pause before a restart, in which programs live on.
    for state in ["active running", "activating auto-restart"] {
        machine.state("web.active", state);
        machine.calls();
        for (key, definition) in &changes {
            let error = install(&machine, definition).unwrap_err();

            assert_eq!(error.code(), 1);
            let text = error.to_string();
            assert!(text.contains(key) && text.contains("bardo /stop web"), "{text}");
        }
        assert_eq!((machine.read(UNIT), machine.calls().len()), (before.clone(), 0));
    }

    let told = verbs::install(&Systemd::machine(), &machine.ground(), &changes[0].1, Force::Yes);
    assert!(tells(&told.unwrap(), "User counts at once"));
    verbs::stop(&Systemd::machine(), &machine.ground(), "web").unwrap();
    install(&machine, &changes[1].1).unwrap();
}

#[test]
fn a_change_of_a_property_list_is_told_by_its_keys() {
    let machine = Machine::new();
    machine.tool("launchctl", "case $1 in print) exit 113 ;; esac");
    let install = |definition: &Definition| {
        verbs::install(&Launchd, &machine.ground(), definition, Force::No).unwrap().line
    };
    install(&service("web"));

    let configuration = Some("/etc/web.conf".into());
    let line = install(&Definition { configuration, ..of_account("web") });

    assert!(line.ends_with(": ProgramArguments, UserName"), "{line}");
}

#[test]
fn a_folder_of_others_is_not_taken_by_a_name() {
    for folder in ["/run/web", "/var/lib/web", "/var/log/web"] {
        let machine = Machine::with_systemd();
        machine.folder(folder);
        let offline = machine.ground().below(machine.ground().root());
        for ground in [machine.ground(), offline] {
            let system = Systemd::machine();
            let error = verbs::install(&system, &ground, &service("web"), Force::No).unwrap_err();
            assert_eq!(error.code(), 1);
            let text = error.to_string();
            assert!(text.starts_with(folder) && text.contains("Choose another name"), "{text}");
        }
        assert_eq!((machine.files().len(), machine.calls().len()), (0, 0));

        let system = Systemd::machine();
        let told = verbs::install(&system, &machine.ground(), &service("web"), Force::Yes).unwrap();
        assert!(tells(&told, &format!("{folder} was there")), "{told:?}");
        let told = install(&machine, &of_account("web")).unwrap();
        assert!(told.line.starts_with("changed"), "it is its own: {told:?}");
    }
    // A script has none but that in /run.
    let machine = Machine::new();
    machine.tool("rc-update", "");
    machine.folder("/var/lib/web");
    let install = || verbs::install(&OpenRc, &machine.ground(), &service("web"), Force::No);
    install().unwrap();
    fs::remove_file(machine.at("/etc/init.d/web")).unwrap();
    machine.folder("/run/web");
    assert!(matches!(install(), Err(InitError::Taken(_))));
    // It was a keeper's, whose definition somebody has removed.
    machine.write("/run/web/keeper.lock", "");
    install().unwrap();
}

#[test]
fn the_folders_of_a_service_are_its_own_again_when_it_comes_back() {
    let machine = Machine::with_systemd();
    install(&machine, &service("web")).unwrap();
    machine.write("/var/log/web/web.log", "kept\n");
    machine.folder("/var/lib/web");

    let told = uninstall(&machine, "web").unwrap();

    assert!(tells(&told, "/var/log/web is left"), "{told:?}");
    assert!(!tells(&told, "/var/lib/web"), "{told:?}");
    install(&machine, &service("web")).unwrap();
    // Without anything else in it nothing is left.
    fs::remove_file(machine.at("/var/log/web/web.log")).unwrap();
    uninstall(&machine, "web").unwrap();
    assert!(!machine.at("/var/log/web").exists() && !machine.at("/var/lib/web").exists());
    // One that somebody else has made since is left as it is.
    install(&machine, &service("web")).unwrap();
    machine.write("/run/web/theirs", "");
    uninstall(&machine, "web").unwrap();
    assert_eq!(fs::read_dir(machine.at("/run/web")).unwrap().count(), 1);
    fs::remove_file(machine.at("/run/web/theirs")).unwrap();
    assert!(install(&machine, &service("web")).is_err());
    // Nothing that its account has put there is waited for.
    fs::remove_dir(machine.at("/run/web")).unwrap();
    install(&machine, &service("web")).unwrap();
    machine.folder("/run/web/told");
    for name in ["bardo.conf", "pauses", "told/ready", "told/reload"] {
        let (path, mode) = (machine.at("/run/web").join(name), Mode::from_raw_mode(0o600));
        mknodat(CWD, path, FileType::Fifo, mode, 0).unwrap();
    }
    machine.write("/run/web/supervisor.lock", "");
    uninstall(&machine, "web").unwrap();
    assert!(machine.at("/run/web/bardo.conf").exists(), "it is no launcher's");
    fs::remove_dir_all(machine.at("/run/web")).unwrap();
    // What is called bardo is ours, and unmarked.
    machine.write("/var/log/bardo/bardo.log", "");
    install(&machine, &service("bardo")).unwrap();
    uninstall(&machine, "bardo").unwrap();
    assert_eq!(fs::read_dir(machine.at("/var/log/bardo")).unwrap().count(), 1);
}
