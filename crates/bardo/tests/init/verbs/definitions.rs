//! What is written for each init system, as those read it who are to read it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bardo::init::definition::{Definition, Network, Respawn, Scope, Start};
use bardo::init::freebsd::FreeBsd;
use bardo::init::launchd::Launchd;
use bardo::init::openrc::OpenRc;
use bardo::init::sandbox::Allowed;
use bardo::init::systemd::Systemd;
use bardo::init::sysv::Sysv;
use bardo::init::upstart::Upstart;
use bardo::init::{InitSystem, choice};

use super::stubs::{service, skipped};

/// Letters that mean something somewhere.
const ODD: &str = "o dd%d$HOME\u{e4};#&<`";

fn text(system: &dyn InitSystem, definition: &Definition) -> String {
    system.files(definition).unwrap().remove(0).text
}

fn unit(definition: &Definition) -> String {
    text(&Systemd::machine(), definition)
}

/// The values of a key of a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value).collect()
}

fn hardened() -> Definition {
    let mut allowed = Allowed::usual();
    allowed.harden();
    Definition { allowed, account: Some("daemon".into()), ..service("web") }
}

/// Runs systemd-analyze on a unit, if it is there; the executable exists.
fn analyzed(definition: &Definition, words: &[&str]) -> Option<(bool, String)> {
    if !Path::new("/usr/bin/systemd-analyze").exists() {
        skipped("systemd-analyze is not installed");
        return None;
    }
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("web.service");
    fs::write(&path, unit(definition)).unwrap();
    let output = Command::new("/usr/bin/systemd-analyze").args(words).arg(&path).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// An executable of an odd name.
fn executable(room: &Path, name: &str) -> PathBuf {
    let path = room.join(name);
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn systemd_finds_nothing_wrong_with_a_unit_whatever_the_names_of_files() {
    let room = tempfile::tempdir().unwrap();
    let never = Definition { respawn: Respawn::Never, ..service("web") };
    let online = Definition { network: Network::Online, ..service("web") };
    for definition in [service("web"), never, online, hardened()] {
        for name in ["bardo", ODD, "quo\"te", "apo'strophe", "back\\slash"] {
            let configuration = Some(PathBuf::from(format!("/etc/{ODD}\"'\\x.conf")));
            let binary = executable(room.path(), name);
            let definition = Definition { binary, configuration, ..definition.clone() };

            let Some((is_good, said)) = analyzed(&definition, &["verify", "--man=no"]) else {
                return;
            };

            assert!(is_good && said.is_empty(), "{name}: {said}\n{}", unit(&definition));
        }
    }
}

#[test]
fn a_reload_is_waited_for_at_the_manager_that_keeps_the_unit() {
    let of_user = Definition { scope: Scope::User, ..service("web") };
    for definition in [service("web"), of_user] {
        let text = match definition.scope {
            Scope::Machine => unit(&definition),
            Scope::User => text(&Systemd::user(), &definition),
        };
        assert_eq!(values(&text, "ExecReload"), ["/usr/local/bin/bardo --service-reload web"]);
    }
}

#[test]
fn the_exposure_of_a_unit_stays_below_its_bar() {
    for (definition, bar) in [(service("web"), "95"), (hardened(), "80")] {
        let words = ["security", "--offline=yes", "--no-pager", &format!("--threshold={bar}")];
        let Some((is_good, said)) = analyzed(&definition, &words) else { return };

        assert!(is_good, "{said}");
    }
}

#[test]
fn a_unit_says_what_was_agreed() {
    let unit = unit(&Definition { stop_budget: Duration::from_secs(77), ..service("web") });

    for (key, wanted) in [
        ("Type", &["notify"][..]),
        ("NotifyAccess", &["main"]),
        ("StartLimitIntervalSec", &["0"]),
        ("ExecStart", &["/usr/local/bin/bardo --service-run web --pauses"]),
        ("ExecStopPost", &["/usr/local/bin/bardo --service-reap web"]),
        ("Restart", &["on-failure"]),
        ("RestartSec", &["100ms"]),
        ("RestartForceExitStatus", &["1"]),
        ("SuccessExitStatus", &["1"]),
        ("KillMode", &["process"]),
        ("WatchdogSec", &["30"]),
        ("TimeoutStartSec", &["90"]),
        ("TimeoutStopSec", &["77"]),
        ("FileDescriptorStoreMax", &["4096"]),
        ("Environment", &["FDSTORE=4096"]),
        ("Delegate", &["yes"]),
        ("TasksMax", &["infinity"]),
        ("LimitNOFILE", &["1048576"]),
        ("OOMScoreAdjust", &["-900"]),
        ("RuntimeDirectoryPreserve", &["restart"]),
        ("StandardOutput", &["journal"]),
        ("After", &["network.target"]),
        ("Wants", &[]),
        ("WantedBy", &["multi-user.target"]),
        ("Alias", &["web_service.service"]),
        ("User", &[]),
    ] {
        assert_eq!(values(&unit, key), wanted, "{key}");
    }
    assert_eq!(
        values(&unit, "Documentation"),
        ["file:///usr/local/share/doc/bardo/service-mode.md"]
    );
}

#[test]
fn a_unit_has_only_keys_that_its_systemd_knows() {
    let of = |version| unit(&Definition { systemd_version: version, ..service("web") });
    let preserve = |version| values(&of(version), "FileDescriptorStorePreserve").len();
    assert_eq!([Some(253), Some(254), None].map(preserve), [0, 1, 0]);
    // It says so itself from then on.
    assert_eq!(values(&of(Some(254)), "Environment"), [] as [&str; 0]);
    // It would put the daemon into a cgroup that no controller is passed on to.
    assert_eq!(values(&of(Some(257)), "DelegateSubgroup"), [] as [&str; 0]);
    // From 253 on the manager itself asks for a reload and waits for its end.
    assert_eq!(values(&of(Some(252)), "ExecReload").len(), 1);
    assert_eq!(values(&of(Some(253)), "Type"), ["notify-reload"]);
    assert_eq!(values(&of(Some(253)), "ExecReload"), [] as [&str; 0]);
    assert_eq!(values(&of(Some(243)), "ProtectKernelLogs"), [] as [&str; 0]);
}

#[test]
fn a_unit_that_is_never_started_again_is_not_restarted_on_request_either() {
    let unit = unit(&Definition { respawn: Respawn::Never, ..service("web") });

    assert_eq!(values(&unit, "Restart"), ["no"]);
    assert_eq!(values(&unit, "RestartForceExitStatus"), [] as [&str; 0]);
    assert_eq!(values(&unit, "KillMode"), ["mixed"], "nobody follows who adopts programs");
}

#[test]
fn the_folder_of_all_locks_outlives_the_service_of_its_name() {
    assert_eq!(values(&unit(&service("bardo")), "RuntimeDirectoryPreserve"), ["yes"]);
}

#[test]
fn hardening_forbids_more_and_each_of_it_can_be_allowed() {
    let unit_of = |definition: &Definition| unit(definition);
    let hard = unit_of(&hardened());
    // The folders of `PrivateTmp=` would be deleted when a keeper is killed.
    assert_eq!(values(&hard, "PrivateTmp"), [] as [&str; 0]);
    let own = "TemporaryFileSystem=/tmp:mode=1777 /var/tmp:mode=1777";
    for line in ["User=daemon", "NoNewPrivileges=yes", "ProtectSystem=strict", own] {
        assert!(hard.contains(&format!("\n{line}\n")), "{line}");
        assert!(line == "User=daemon" || !unit_of(&service("web")).contains(line), "{line}");
    }
    let mut definition = hardened();
    assert!(definition.allowed.allow("all"));
    for key in ["NoNewPrivileges", "ProtectClock", "UMask", "SystemCallFilter"] {
        assert_eq!(values(&unit_of(&definition), key), [] as [&str; 0], "{key}");
    }
}

/// All kinds of definitions.
fn kinds() -> Vec<Definition> {
    let odd = PathBuf::from(format!("/etc/{ODD}'\"\\x.conf"));
    vec![
        service("web"),
        Definition { respawn: Respawn::Never, ..service("web-1.x") },
        Definition { network: Network::Online, start: Start::OnDemand, ..service("9") },
        Definition { account: Some("www-data".into()), ..service("web") },
        Definition {
            configuration: Some(odd.clone()),
            binary: odd.with_file_name(ODD),
            ..service("web")
        },
    ]
}

#[test]
fn scripts_are_shell_for_every_shell_that_is_here() {
    let systems: [&dyn InitSystem; 3] = [&Sysv, &OpenRc, &FreeBsd];
    for (system, definition) in
        systems.into_iter().flat_map(|system| kinds().into_iter().map(move |kind| (system, kind)))
    {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("script");
        let script = text(system, &definition);
        fs::write(&path, &script).unwrap();
        for shell in ["sh", "dash", "bash", "busybox"] {
            let mut command = Command::new(shell);
            if shell == "busybox" {
                command.arg("sh");
            }
            let Ok(output) = command.arg("-n").arg(&path).output() else { continue };
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.is_empty(), "{shell}: {said}\n{script}");
        }
    }
}

/// The fields of the block that LSB defines.
fn lsb(script: &str) -> Vec<(String, String)> {
    let block = script.split("### BEGIN INIT INFO\n").nth(1).unwrap();
    let block = block.split("### END INIT INFO\n").next().unwrap();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        let line = line.strip_prefix('#').unwrap();
        match line.strip_prefix(' ').filter(|rest| !rest.starts_with(' ')) {
            Some(field) => {
                let (name, value) = field.split_once(':').unwrap();
                fields.push((name.to_owned(), value.trim().to_owned()));
            }
            // Only a description goes on, behind a tab or two blanks.
            None => {
                let last = fields.last_mut().unwrap();
                assert_eq!(last.0, "Description");
                last.1 = format!("{} {}", last.1, line.trim());
            }
        }
    }
    fields
}

#[test]
fn the_head_of_a_sysv_script_is_read_by_insserv_and_by_chkconfig() {
    for definition in kinds() {
        let script = text(&Sysv, &definition);
        let fields = lsb(&script);
        let field = |name: &str| {
            let found = fields.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        assert_eq!(field("Provides"), format!("{}_service", definition.name));
        assert_eq!(field("Required-Start"), "$local_fs $remote_fs $syslog");
        assert_eq!(field("Should-Start"), "$network $named $time");
        assert_eq!((field("Default-Start"), field("Default-Stop")), ("2 3 4 5", "0 1 6"));
        assert!(!field("Short-Description").is_empty() && !field("Description").is_empty());

        // chkconfig: within the first comment; a backslash continues.
        let head: Vec<&str> = script.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(head.contains(&"# chkconfig: 2345 99 01"));
        let description = head.iter().position(|line| line.starts_with("# description: ")).unwrap();
        assert!(head[description].ends_with(" \\"));
        assert!(head[description + 1].starts_with("#  "));
    }
}

#[test]
fn a_job_of_upstart_has_each_stanza_once_and_its_scripts_are_shell() {
    for definition in kinds() {
        let job = text(&Upstart, &definition);
        let mut scripts: Vec<String> = Vec::new();
        let mut stanzas: Vec<String> = Vec::new();
        let mut in_script = false;
        for line in job.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match (in_script, line) {
                (true, "end script") => in_script = false,
                (true, line) => scripts.last_mut().unwrap().push_str(&format!("{line}\n")),
                (false, line) if line.ends_with(" script") => {
                    in_script = true;
                    stanzas.push(line.to_owned());
                    scripts.push(String::new());
                }
                (false, line) => stanzas.push(line.to_owned()),
            }
        }
        assert!(!in_script);
        let respawns = definition.respawn == Respawn::Always;
        for stanza in ["respawn", "respawn limit 0 0", "normal exit 0", "post-stop script"] {
            let count = stanzas.iter().filter(|line| *line == stanza).count();
            assert_eq!(count, usize::from(respawns), "{stanza}");
        }
        for word in ["description", "author", "start on", "stop on", "kill timeout 20", "exec "] {
            let count = stanzas.iter().filter(|line| line.starts_with(word)).count();
            assert_eq!(count, 1, "{word}: {job}");
        }
        assert!(!job.contains("expect"), "we run in the foreground");
        for script in scripts {
            let output = Command::new("sh").args(["-n", "-c", &script]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn a_command_line_reaches_the_service_word_by_word() {
    let definition = kinds().pop().unwrap();
    let pidfile = ["--pidfile", "/run/web.pid"].map(str::to_owned).to_vec();
    let wanted = [vec![definition.binary()], definition.arguments(), pidfile].concat();
    let printed = |line: &str| -> Vec<String> {
        let output =
            Command::new("sh").args(["-c", &format!("printf '%s\\n' {line}")]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };

    let job = text(&Upstart, &definition);
    let line = job.lines().find_map(|line| line.strip_prefix("exec ")).unwrap();
    assert_eq!(printed(line), wanted, "Upstart has a shell read it");

    // OpenRC and FreeBSD have a shell read the value a second time.
    let script = text(&OpenRc, &definition);
    let value = |key: &str| script.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let value = format!("{}' '{}", value("command="), value("command_args="));
    let twice = "eval \"printf '%s\\\\n' $a\"";
    let output = Command::new("sh").args(["-c", &format!("a={value}\n{twice}")]).output().unwrap();
    let words: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(
        [&words[..1], &words[2..]].concat(),
        [&wanted[..1], &wanted[2..]].concat(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let plist = text(&Launchd, &definition);
    assert!(plist.contains("&amp;&lt;`"), "{plist}");
}

#[test]
fn openrc_keeps_a_service_that_is_never_started_again_by_its_pid_file() {
    let always = text(&OpenRc, &service("web"));
    let never = text(&OpenRc, &Definition { respawn: Respawn::Never, ..service("web") });

    for line in ["supervisor=supervise-daemon", "respawn_delay=1", "respawn_max=0"] {
        assert!(always.contains(&format!("\n{line}\n")), "{line}");
        assert!(!never.contains(line), "{line}");
    }
    assert!(always.contains("--service-attend web"), "an end with 0 has to stay one");
    assert!(never.contains("--background --pidfile /run/web.pid"));
    assert!(always.contains("retry=TERM/20/KILL/5"));
}

#[test]
fn a_property_list_restarts_what_has_failed_and_starts_at_boot_where_it_is_to() {
    let boot = text(&Launchd, &service("web"));
    let demand = text(&Launchd, &Definition { start: Start::OnDemand, ..service("web") });

    assert!(boot.contains("<key>SuccessfulExit</key>\n\t\t<false/>"));
    assert!(boot.contains("<key>RunAtLoad</key>\n\t<true/>"));
    assert!(demand.contains("<key>RunAtLoad</key>\n\t<false/>"));
}

#[test]
fn every_init_system_writes_files_that_are_known_again() {
    for name in choice::NAMES {
        let system = choice::named(name).unwrap();
        for file in system.files(&service("web")).unwrap() {
            let marked = file.text.lines().take(2).any(|line| line.contains("Generated by bardo"));
            assert!(marked, "{name}: {}", file.path.display());
            let is_script = file.text.starts_with("#!");
            assert_eq!(file.mode, if is_script { 0o755 } else { 0o644 }, "{name}");
        }
    }
}

#[test]
fn a_unit_names_the_page_that_was_installed_with_the_program() {
    for (binary, pages) in [
        ("/usr/bin/bardo", &["file:///usr/share/doc/bardo/service-mode.md"][..]),
        ("/bin/bardo", &["file:///usr/share/doc/bardo/service-mode.md"]),
        ("/opt/bardo/bin/bardo", &["file:///opt/bardo/share/doc/bardo/service-mode.md"]),
        ("/opt/a b/bin/bardo", &[]),
        ("/srv/bardo", &[]),
    ] {
        let text = unit(&Definition { binary: binary.into(), ..service("web") });
        assert_eq!(values(&text, "Documentation"), pages, "{binary}");
    }
}
