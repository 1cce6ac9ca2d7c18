//! The verbs on machines with other init systems: what their tools are called with.

use std::fs;
use std::path::Path;

use bardo::init::definition::{Definition, Start};
use bardo::init::freebsd::FreeBsd;
use bardo::init::launchd::Launchd;
use bardo::init::openrc::OpenRc;
use bardo::init::registered::registered;
use bardo::init::systemd::Systemd;
use bardo::init::sysv::Sysv;
use bardo::init::upstart::Upstart;
use bardo::init::verbs::{self, Force, Told};
use bardo::init::{InitError, InitSystem};
use bardo::selftest::home::write_executable;

use super::stubs::{Machine, service};

fn on_demand(name: &str) -> Definition {
    Definition { start: Start::OnDemand, ..service(name) }
}

fn install(system: &dyn InitSystem, machine: &Machine, definition: &Definition) {
    verbs::install(system, &machine.ground(), definition, Force::No).unwrap();
}

fn names(machine: &Machine) -> Vec<String> {
    machine.files().into_iter().map(|(path, _)| path.display().to_string()).collect()
}

/// Plays Upstart: a job is known by its file, and runs where the state says so.
const INITCTL: &str = r#"
job=$2
case $1 in
version) echo 'init (upstart 1.13.2)' ; exit 0 ;;
reload-configuration) exit 0 ;;
esac
if [ ! -e "$R/etc/init/$job.conf" ]; then echo "initctl: Unknown job: $job" >&2; exit 1; fi
case $1 in
status)
    if [ -f "$S/$job" ]; then echo "$job start/running, process 77"; else echo "$job ${NOW:-stop/waiting}"; fi ;;
start)
    if [ -f "$S/$job" ]; then echo "initctl: Job is already running: $job" >&2; exit 1; fi
    : >"$S/$job"; echo "$job start/running, process 77" ;;
stop)
    if [ ! -f "$S/$job" ]; then echo "initctl: Unknown instance: " >&2; exit 1; fi
    rm "$S/$job"; echo "$job stop/waiting" ;;
esac
"#;

fn with_upstart() -> Machine {
    let machine = Machine::new();
    machine.tool("initctl", INITCTL);
    machine.folder("/etc/init");
    machine
}

#[test]
fn upstart_is_asked_as_it_answers_and_told_what_it_takes() {
    let machine = with_upstart();
    let ground = machine.ground();
    let code = |verb: fn(&dyn InitSystem, &_, &_) -> Result<_, InitError>| {
        verb(&Upstart, &ground, "web").map_err(|error| error.code()).map(|_| ())
    };
    assert_eq!(verbs::status(&Upstart, &ground, "web").code, 1);
    assert_eq!(code(verbs::start), Err(5));
    assert_eq!(code(verbs::stop), Err(5));
    assert_eq!(code(verbs::reload), Err(5));

    install(&Upstart, &machine, &service("web"));

    assert_eq!(names(&machine), ["etc/init/web.conf"]);
    assert_eq!(verbs::status(&Upstart, &ground, "web").code, 3);
    assert_eq!(code(verbs::reload), Err(7));
    let service = machine.runs("web");
    // Repeated ones are no failures, although initctl says so.
    for _ in 0..2 {
        assert_eq!(code(verbs::start), Ok(()));
        assert_eq!(verbs::status(&Upstart, &ground, "web").code, 0);
    }
    for _ in 0..2 {
        assert_eq!(code(verbs::stop), Ok(()));
        assert_eq!(verbs::status(&Upstart, &ground, "web").code, 3);
    }
    assert_eq!(code(verbs::restart), Ok(()));
    drop(service);
    let status = verbs::status(&Upstart, &ground, "web");
    assert_eq!(status.code, 3, "it is executed, and does not run: {}", status.line);
    machine.calls();
    fs::remove_file(machine.at("/run/web.pid")).unwrap();
    verbs::uninstall(&Upstart, &ground, "web").unwrap();
    assert_eq!(machine.calls(), ["initctl stop web", "initctl reload-configuration"]);
    assert_eq!(names(&machine), [] as [&str; 0]);
}

#[test]
fn what_a_reload_refuses_is_told_and_a_good_one_is_waited_for() {
    let machine = with_upstart();
    let ground = machine.ground();
    install(&Upstart, &machine, &service("web"));
    let _service = machine.runs("web");
    verbs::start(&Upstart, &ground, "web").unwrap();
    let Some(place) = bardo::daemon::managed::folder::place("web") else { return };
    let place = place.display().to_string();
    machine.write(&format!("{place}/told/reload"), "3\n3\n\n\n");
    for (noted, expected) in [
        ("4\\n4\\n\\n\\n", Ok(("what has changed is taken up", None))),
        ("5\\n5\\nnot reloaded: it is wrong\\n\\n", Err((1, "not reloaded: it is wrong"))),
        (
            "6\\n7\\n\\nlogfile, umask\\n",
            Ok((
                "what has changed is taken up",
                Some("only a restart takes up what else has changed: logfile, umask"),
            )),
        ),
    ] {
        let answers = INITCTL.replacen(
            "stop)",
            &format!("reload) printf '{noted}' >\"$R{place}/told/reload\" ;;\nstop)"),
            1,
        );
        machine.tool("initctl", &answers);

        let told = verbs::reload(&Upstart, &ground, "web");

        let said = told.map_err(|error| (error.code(), error.to_string()));
        let expected = expected.map_err(|(code, text)| (code, text.to_owned()));
        let expected = expected.map(|(line, note)| {
            let notes = note.into_iter().map(ToOwned::to_owned).collect();
            Told { line: line.to_owned(), notes }
        });
        assert_eq!(said, expected);
    }
}

#[test]
fn a_job_on_demand_is_overridden_and_no_more_when_it_starts_at_boot() {
    let machine = with_upstart();

    install(&Upstart, &machine, &on_demand("web"));
    assert_eq!(names(&machine), ["etc/init/web.conf", "etc/init/web.override"]);
    assert!(machine.read("/etc/init/web.override").ends_with("\nmanual\n"));

    install(&Upstart, &machine, &service("web"));
    assert_eq!(names(&machine), ["etc/init/web.conf"]);
}

#[test]
fn an_override_of_an_administrator_is_read_and_left_alone() {
    const OVERRIDE: &str = "/etc/init/web.override";
    let machine = with_upstart();
    let ground = machine.ground();
    let installed =
        |definition: &Definition| verbs::install(&Upstart, &ground, definition, Force::No).unwrap();
    machine.write(OVERRIDE, "limit nofile 9 9\n");
    install(&Upstart, &machine, &service("web"));
    let told = installed(&service("web"));
    assert!(told.line.starts_with("already installed"), "{}", told.line);
    // It does not say what is needed.
    let error = verbs::install(&Upstart, &ground, &on_demand("web"), Force::No).unwrap_err();
    assert!(error.code() == 1 && error.to_string().starts_with(OVERRIDE), "{error}");

    machine.write(OVERRIDE, "limit nofile 9 9\nmanual\n");
    for _ in 0..2 {
        let told = installed(&on_demand("web"));
        assert!(told.line.starts_with("already installed"), "{}", told.line);
        let told = installed(&service("web"));
        assert!(told.line.starts_with("already installed"), "{}", told.line);
        assert!(told.notes[0].contains("does not start at boot"), "{told:?}");
    }

    let told = verbs::uninstall(&Upstart, &ground, "web").unwrap();
    assert!(told.notes[0].contains("is left"), "{told:?}");
    assert_eq!(names(&machine), ["etc/init/web.override"]);
    let told = verbs::uninstall(&Upstart, &ground, "web").unwrap();
    assert!(told.line.contains("not installed"), "{}", told.line);
}

/// A stop of this one looks at the machine that the tests run on.
const NAME: &str = "bardo-test-tools";

#[test]
fn the_tools_of_sysv_are_called_in_their_order() {
    let cases = [
        (
            "update-rc.d",
            vec![
                "update-rc.d bardo-test-tools_service defaults",
                "update-rc.d bardo-test-tools_service enable",
            ],
            vec![
                "update-rc.d bardo-test-tools_service defaults-disabled",
                "update-rc.d bardo-test-tools_service disable",
            ],
            vec!["update-rc.d bardo-test-tools_service remove"],
        ),
        (
            "chkconfig",
            vec![
                "chkconfig --add bardo-test-tools_service",
                "chkconfig bardo-test-tools_service on",
            ],
            vec![
                "chkconfig --add bardo-test-tools_service",
                "chkconfig bardo-test-tools_service off",
            ],
            vec!["chkconfig --del bardo-test-tools_service"],
        ),
        (
            "insserv",
            vec!["insserv bardo-test-tools_service"],
            vec!["insserv -r bardo-test-tools_service"],
            vec!["insserv -r bardo-test-tools_service"],
        ),
    ];
    for (tool, boot, demand, removal) in cases {
        let machine = Machine::new();
        machine.folder("/etc/init.d");
        // Debian's tool refuses while the script is there.
        let refusal =
            "case $* in *' remove') [ ! -e \"$R/etc/init.d/bardo-test-tools_service\" ] ;; esac";
        machine.tool(tool, refusal);

        install(&Sysv, &machine, &service(NAME));
        assert_eq!(machine.calls(), boot);
        install(&Sysv, &machine, &on_demand(NAME));
        assert_eq!(machine.calls(), demand);

        // The script itself is tried elsewhere.
        let script = machine.read("/etc/init.d/bardo-test-tools_service");
        assert!(script.contains("\nNAME=bardo-test-tools\nSCRIPT=bardo-test-tools_service\n"));
        // It is executed now, and it was this process that has written it: see `write_executable`.
        write_executable(&machine.at(&format!("/etc/init.d/{NAME}_service")), script.as_bytes())
            .unwrap();
        let ground = machine.ground();
        match verbs::uninstall(&Sysv, &ground, NAME) {
            Ok(_) => {
                assert_eq!(machine.calls(), removal);
                assert_eq!(names(&machine), [] as [&str; 0]);
            }
            // Only root stops.
            Err(error) => assert_eq!(error.code(), 4),
        }
    }
}

#[test]
fn links_of_runlevels_are_made_where_no_tool_does_it() {
    let machine = Machine::new();
    machine.folder("/etc/init.d");
    let links = |kind: &str, levels: &str| -> Vec<String> {
        levels.chars().map(|level| format!("etc/rc{level}.d/{kind}web_service")).collect()
    };
    let scripts = || {
        let all = names(&machine);
        all.into_iter().filter(|name| name.contains("/rc")).collect::<Vec<_>>()
    };

    install(&Sysv, &machine, &service("web"));
    let mut wanted = [links("K01", "016"), links("S99", "2345")].concat();
    wanted.sort();
    assert_eq!(scripts(), wanted);
    install(&Sysv, &machine, &on_demand("web"));
    assert_eq!(scripts(), links("K01", "0123456"));
    let told = verbs::install(&Sysv, &machine.ground(), &on_demand("web"), Force::No).unwrap();
    assert!(told.line.starts_with("already installed"), "{}", told.line);
}

/// Plays OpenRC.
const RC_SERVICE: &str = r#"
case $2 in
status) exit "$(cat "$S/status" 2>/dev/null || echo 3)" ;;
start) echo 0 >"$S/status" ;;
stop|zap) echo 3 >"$S/status" ;;
esac
"#;

const RC_UPDATE: &str = r#"
link="$R/etc/runlevels/default/$2"
mkdir -p "${link%/*}"
case $1 in
add) ln -sfn "/etc/init.d/$2" "$link" ;;
del) rm "$link" ;;
esac
"#;

#[test]
fn openrc_is_told_of_runlevels_and_its_states_have_our_codes() {
    let machine = Machine::new();
    machine.tool("rc-service", RC_SERVICE);
    machine.tool("rc-update", RC_UPDATE);
    let ground = machine.ground();
    assert_eq!(verbs::status(&OpenRc, &ground, "web").code, 1);
    assert_eq!(verbs::start(&OpenRc, &ground, "web").unwrap_err().code(), 5);

    install(&OpenRc, &machine, &service("web"));
    assert_eq!(machine.calls(), ["rc-update add web default"]);
    install(&OpenRc, &machine, &on_demand("web"));
    assert_eq!(machine.calls(), ["rc-update del web default"]);
    install(&OpenRc, &machine, &service("web"));
    machine.calls();
    let service = machine.runs("web");
    for (told, ours) in [(0, 0), (3, 3), (4, 3), (16, 3), (32, 3), (64, 3), (1, 1)] {
        machine.state("status", &told.to_string());
        assert_eq!(verbs::status(&OpenRc, &ground, "web").code, ours, "{told}");
    }
    machine.calls();
    // What somebody else stops just now is not forgotten for him.
    machine.state("status", "4");
    verbs::start(&OpenRc, &ground, "web").unwrap();
    assert_eq!(machine.calls(), ["rc-service web start"]);

    machine.state("status", "64");
    verbs::start(&OpenRc, &ground, "web").unwrap();
    assert_eq!(machine.calls(), ["rc-service web zap", "rc-service web start"]);
    drop(service);
    let status = verbs::status(&OpenRc, &ground, "web");
    assert_eq!(status.code, 3, "in a pause it does not run: {}", status.line);
    fs::remove_file(machine.at("/run/web.pid")).unwrap();
    verbs::uninstall(&OpenRc, &ground, "web").unwrap();
    assert_eq!(machine.calls(), ["rc-service web stop", "rc-update del web default"]);
    assert_eq!(names(&machine), [] as [&str; 0]);
}

#[test]
fn what_a_killed_keeper_has_left_is_taken_over_and_then_stopped() {
    let machine = Machine::new();
    machine.tool("rc-service", RC_SERVICE);
    machine.tool("rc-update", RC_UPDATE);
    install(&OpenRc, &machine, &service("web"));
    machine.state("status", "64");
    machine.folder("/run/web");
    let door = machine.at("/run/web/handover");
    let listener = std::os::unix::net::UnixListener::bind(&door).unwrap();
    let _service = machine.runs("web");
    machine.calls();

    verbs::stop(&OpenRc, &machine.ground(), "web").unwrap();
    assert_eq!(
        machine.calls(),
        ["rc-service web stop", "rc-service web start", "rc-service web stop"]
    );

    // The same door, and nobody behind it any more.
    drop(listener);
    verbs::stop(&OpenRc, &machine.ground(), "web").unwrap();
    assert_eq!(machine.calls(), ["rc-service web stop"]);
}

#[test]
fn launchd_loads_at_a_start_and_unloads_at_a_stop() {
    let machine = Machine::new();
    machine.tool(
        "launchctl",
        "case $1 in\nprint) [ -f \"$S/loaded\" ] || exit 113; cat \"$S/loaded\" ;;\n\
         bootstrap) echo '	state = running' >\"$S/loaded\" ;;\nbootout) rm \"$S/loaded\" ;;\nesac",
    );
    let ground = machine.ground();
    assert_eq!(verbs::status(&Launchd, &ground, "web").code, 1);

    install(&Launchd, &machine, &service("web"));
    assert_eq!(machine.calls(), ["launchctl enable system/bardo.web"]);
    assert_eq!(verbs::status(&Launchd, &ground, "web").code, 3);
    verbs::start(&Launchd, &ground, "web").unwrap();
    assert_eq!(
        machine.calls(),
        [
            "launchctl bootstrap system /Library/LaunchDaemons/bardo.web.plist",
            "launchctl kickstart system/bardo.web",
        ]
    );
    assert_eq!(verbs::status(&Launchd, &ground, "web").code, 0);
    verbs::uninstall(&Launchd, &ground, "web").unwrap();
    assert_eq!(machine.calls(), ["launchctl bootout system/bardo.web"]);
    assert_eq!(names(&machine), [] as [&str; 0]);

    // What is loaded is started, unless it is disabled: so it is while it is not to run.
    install(&Launchd, &machine, &on_demand("web"));
    assert_eq!(machine.calls(), ["launchctl disable system/bardo.web"]);
    let plist = machine.read("/Library/LaunchDaemons/bardo.web.plist");
    assert!(plist.contains("<key>Disabled</key>\n\t<true/>"), "{plist}");
    verbs::start(&Launchd, &ground, "web").unwrap();
    assert_eq!(
        machine.calls(),
        [
            "launchctl enable system/bardo.web",
            "launchctl bootstrap system /Library/LaunchDaemons/bardo.web.plist",
            "launchctl disable system/bardo.web",
            "launchctl kickstart system/bardo.web",
        ]
    );
}

#[test]
fn freebsd_is_told_by_a_variable_whose_name_a_shell_takes() {
    let machine = Machine::new();
    machine.tool("sysrc", "");
    machine.tool(
        "service",
        "case $2 in\nonestatus) [ -f \"$S/up\" ] ;;\nonestart) : >\"$S/up\" ;;\nonestop) rm \"$S/up\" ;;\nesac",
    );
    let ground = machine.ground();

    install(&FreeBsd, &machine, &service("web-1.x"));
    assert_eq!(machine.calls(), ["sysrc web_1_x_enable=YES"]);
    verbs::start(&FreeBsd, &ground, "web-1.x").unwrap();
    assert_eq!(verbs::status(&FreeBsd, &ground, "web-1.x").code, 0);
    verbs::uninstall(&FreeBsd, &ground, "web-1.x").unwrap();
    let calls = machine.calls();
    assert!(calls.contains(&"service web-1.x onestop".to_owned()), "{calls:?}");
    assert_eq!(calls.last().unwrap(), "sysrc -x web_1_x_enable");
    assert_eq!(verbs::status(&FreeBsd, &ground, "web-1.x").code, 1);
}

#[test]
fn two_names_of_one_variable_are_refused() {
    let machine = Machine::new();
    machine.tool("sysrc", "");
    install(&FreeBsd, &machine, &service("a-b"));
    machine.calls();

    let error = verbs::install(&FreeBsd, &machine.ground(), &service("a.b"), Force::Yes);

    let error = error.unwrap_err().to_string();
    assert!(error.contains("rc.d/a-b ") && error.contains("a_b_enable"), "{error}");
    assert_eq!(machine.calls(), [] as [&str; 0]);
    assert_eq!(names(&machine), ["usr/local/etc/rc.d/a-b"]);
}

#[test]
fn a_tool_that_fails_leaves_nothing_on_any_system() {
    let systems: [(&dyn InitSystem, &str, &str); 4] = [
        (&Upstart, "initctl", "reload-configuration"),
        (&Sysv, "chkconfig", "web_service on"),
        (&OpenRc, "rc-update", "add"),
        (&FreeBsd, "sysrc", "enable=YES"),
    ];
    for (system, tool, pattern) in systems {
        let machine = Machine::new();
        machine.folder("/etc/init.d");
        machine.tool(tool, "");
        machine.fails(pattern, 3);

        let definition = service("web");
        let failed = verbs::install(system, &machine.ground(), &definition, Force::No);

        assert_eq!(failed.unwrap_err().code(), 1, "{tool}");
        assert_eq!(names(&machine), [] as [&str; 0], "{tool}");
    }
}

#[test]
fn the_reason_for_which_a_script_did_not_start_is_told() {
    let machine = Machine::new();
    machine.folder("/etc/init.d");
    install(&Sysv, &machine, &service("web"));
    let own = machine.read("/etc/init.d/web_service");
    let ours = own.lines().find(|line| line.contains("Generated by bardo")).unwrap();
    let script = "[ \"$1\" = start ] || exit 3\necho 'web: is told first'\n\
                  echo 'bardo: --service-run web: a.conf: there is no section [supervisord]' >&2\n\
                  echo 'web: it did not start (exit code 78)' >&2\nexit 1\n";
    let script = format!("#!/bin/sh\n{ours}\n{script}");
    write_executable(&machine.at("/etc/init.d/web_service"), script.as_bytes()).unwrap();

    let error = verbs::start(&Sysv, &machine.ground(), "web").unwrap_err();

    assert_eq!(error.code(), 1);
    let said = "bardo: --service-run web: a.conf: there is no section [supervisord]; \
                web: it did not start (exit code 78)";
    assert!(error.to_string().ends_with(&format!("(exit code 1): {said}")), "{error}");
}

#[test]
fn services_are_found_by_our_line_and_what_others_have_written_is_theirs() {
    let kinds: [(&dyn InitSystem, &str); 4] =
        [(&Systemd::machine(), "one"), (&Upstart, "two"), (&Sysv, "three"), (&OpenRc, "four")];
    let machine = Machine::with_systemd();
    for folder in ["/etc/init", "/etc/init.d"] {
        machine.folder(folder);
    }
    for tool in ["initctl", "update-rc.d", "rc-update"] {
        machine.tool(tool, "");
    }
    for (system, name) in kinds {
        install(system, &machine, &service(name));
    }
    let elsewhere = Definition { binary: "/opt/bardo".into(), ..service("elsewhere") };
    install(&Upstart, &machine, &elsewhere);
    let text = "[Service]\nExecStart=/usr/local/bin/bardo supervisord -n\n";
    machine.write("/etc/systemd/system/theirs.service", text);
    machine.write("/etc/init.d/ssh", "#!/bin/sh\nexec /usr/sbin/sshd\n");

    let found = registered(&machine.ground(), Path::new("/usr/local/bin/bardo"));

    let said: Vec<_> = found.iter().map(|it| (it.kind, it.name.as_str(), it.is_ours)).collect();
    let expected = [
        ("systemd", "one", true),
        ("systemd", "theirs", false),
        ("upstart", "two", true),
        ("openrc", "four", true),
        ("sysv", "three", true),
    ];
    assert_eq!(said, expected);
}

#[test]
fn services_of_an_executable_with_an_odd_path_are_found_as_each_definition_writes_it() {
    let kinds: [(&dyn InitSystem, &str); 6] = [
        (&Systemd::machine(), "/etc/systemd/system"),
        (&Upstart, "/etc/init"),
        (&Sysv, "/etc/init.d"),
        (&OpenRc, "/etc/init.d"),
        (&Launchd, "/Library/LaunchDaemons"),
        (&FreeBsd, "/usr/local/etc/rc.d"),
    ];
    for odd in ["/run/100%/bin/bardo", "/opt/a b&c/$x/bardo", "/opt/<it's \"own\">\\/bardo"] {
        for (system, folder) in kinds {
            let machine = Machine::new();
            machine.folder(folder);
            let definition = Definition { binary: odd.into(), ..service("web") };
            let file = system.files(&definition).unwrap().remove(0);
            machine.write(&file.path.display().to_string(), &file.text);
            let of = |path: &str| {
                let found = registered(&machine.ground(), Path::new(path));
                found.into_iter().map(|it| (it.kind, it.is_ours)).collect::<Vec<_>>()
            };

            assert_eq!(of(odd), [(system.name(), true)], "{odd}: {}", file.text);
            assert_eq!(of("/bin/bardo"), [], "{odd}: {}", file.text);
            assert_eq!(of(&format!("{odd}.old")), []);
        }
    }
    // Somebody else needs no quotes there, and a sign that is doubled is one of its path.
    let machine = Machine::new();
    let unit = "[Service]\nExecStart=/run/100%%/bin/bardo supervisord -n\n";
    machine.write("/etc/systemd/system/theirs.service", unit);
    let found = |path: &str| registered(&machine.ground(), Path::new(path)).len();
    assert_eq!((found("/run/100%/bin/bardo"), found("/run/100%%/bin/bardo")), (1, 0));
}
