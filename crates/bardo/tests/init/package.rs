//! The Debian package, in a machine with systemd: what it registers, what an upgrade leaves alone,
//! and that nothing is left of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scene::{Init, Machine};

/// Where the package is put in the machine.
const PACKAGE: &str = "/root/bardo.deb";

/// A program of the service.
const PROGRAM: &str = "[program:sleeper]\ncommand=/bin/sleep 100000\n";

/// The sources.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Makes the package of the program that is tested. None, and one line that says why, where
/// there is no dpkg-deb.
fn package(folder: &Path) -> Option<PathBuf> {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        eprintln!("skipped: there is no dpkg-deb");
        return None;
    }
    let output = Command::new(top().join("packaging/debian/build"))
        .args(["--binary", env!("CARGO_BIN_EXE_bardo"), "--output"])
        .arg(folder)
        // It is read once.
        .env("DPKG_DEB_COMPRESSOR_TYPE", "none")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    Some(PathBuf::from(said.lines().last().unwrap()))
}

/// A machine without Bardo, into which the package was copied.
fn machine(folder: &Path, init: Init) -> Option<Machine> {
    let package = package(folder)?;
    let machine = Machine::boot(init)?;
    machine.ok("rm /usr/bin/bardo; find / -xdev -name bardo_service -delete");
    std::fs::copy(package, machine.file(PACKAGE)).unwrap();
    Some(machine)
}

#[test]
fn the_package_is_a_service_from_its_installation_to_its_removal() {
    let folder = tempfile::tempdir().unwrap();
    let Some(machine) = machine(folder.path(), Init::Systemd) else { return };
    let before = machine.files();

    machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));
    assert_eq!(machine.ok("systemctl is-active bardo").trim(), "active");
    assert_eq!(machine.ok("systemctl is-enabled bardo").trim(), "enabled");
    let documentation = machine.property("bardo", "Documentation");
    let page = documentation.trim().strip_prefix("file://").unwrap();
    // This machine leaves out what nobody reads in it.
    let files = machine.ok(&format!("dpkg-deb --contents {PACKAGE}"));
    assert!(files.contains(&format!(" .{page}\n")), "{documentation} {files}");
    machine.write("/etc/bardo/conf.d/sleeper.conf", PROGRAM);
    machine.ok("/usr/lib/bardo/bin/supervisorctl -c /etc/bardo/bardo.conf update");
    let sleeper = || machine.ok("pgrep -x sleep").trim().to_owned();
    machine.until("the program", |machine| machine.run("pgrep -x sleep").code == 0);
    let former = sleeper();
    let keeper = machine.property("bardo", "MainPID");
    machine.ok("bardo /install mail && bardo /start mail");
    let other = machine.property("mail", "MainPID");
    // As units of former versions have it with `--hardened`.
    let private_tmp = "[Service]\nPrivateTmp=yes\n";
    machine.write("/etc/systemd/system/web.service.d/o.conf", private_tmp);
    machine.ok("bardo /install web && bardo /start web");
    let web = machine.property("web", "MainPID");
    machine.until("the second after the units were written", |machine| {
        let units = "/etc/systemd/system/bardo.service /etc/systemd/system/mail.service";
        let lasts = format!("stat -c %Z {units} | grep -qx \"$(date +%s)\"");
        machine.run(&lasts).code == 1
    });

    // An upgrade, of which dpkg does not mind that it has the same version.
    let said = machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));
    let line = "until: bardo /stop web && bardo /install web && bardo /start web\n";
    assert!(said.contains(line), "{said}");
    machine.until("another keeper", |machine| {
        machine.property("bardo", "MainPID") != keeper
            && machine.property("bardo", "ActiveState").trim() == "active"
    });
    machine.until("another keeper of the other service", |machine| {
        machine.property("mail", "MainPID") != other
            && machine.property("mail", "ActiveState").trim() == "active"
    });
    assert_eq!(sleeper(), former, "the program goes on");
    assert_eq!(machine.property("web", "MainPID"), web);
    machine.ok("ls -d /tmp/systemd-private-*-web.service-*");

    // What the next keeper could not take over is left to this one, also where systemd is so old
    // that it tells whole seconds.
    let script = "#!/bin/sh\ncase \"$*\" in *--timestamp*) exit 1 ;; esac\n\
                  exec /bin/systemctl \"$@\"\n";
    machine.write_script("/usr/local/bin/systemctl", script);
    machine.write("/etc/systemd/system/mail.service.d/o.conf", "[Service]\nUser=daemon\n");
    machine.ok("systemctl daemon-reload");
    let (keeper, other) = ["bardo", "mail"].map(|name| machine.property(name, "MainPID")).into();
    let said = machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));
    assert!(said.contains("goes on until: bardo /restart mail"), "{said}");
    machine.until("a third keeper", |machine| {
        machine.property("bardo", "MainPID") != keeper
            && machine.property("bardo", "ActiveState").trim() == "active"
    });
    assert_eq!(machine.property("mail", "MainPID"), other);
    machine.ok("rm /usr/local/bin/systemctl");

    machine.ok("dpkg -r bardo 2>&1");
    for name in ["bardo", "mail", "web"] {
        assert!(!machine.has(&format!("/etc/systemd/system/{name}.service")), "{name}");
    }
    assert_eq!(machine.run("pgrep -f [s]ervice-run").code, 1, "nobody is left");
    assert_eq!(machine.run("pgrep -x sleep").code, 1, "its programs end with it");
    assert!(machine.has("/etc/bardo/bardo.conf"));
    machine.ok("rm /etc/bardo/conf.d/sleeper.conf; dpkg -P bardo 2>&1");
    let left: Vec<String> = machine
        .files()
        .into_keys()
        .filter(|path| path.contains("bardo") && !path.starts_with("/var/lib/dpkg"))
        .filter(|path| !before.contains_key(path))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

/// An upgrade where nobody keeps descriptors: the next keeper has them from the supervisor that
/// is left.
fn upgrade(init: Init) {
    let folder = tempfile::tempdir().unwrap();
    let Some(machine) = machine(folder.path(), init) else { return };
    machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));
    machine.ok("bardo_service /status");
    machine.write("/etc/bardo/conf.d/sleeper.conf", PROGRAM);
    let control = |words: &str| {
        let words = format!("/usr/lib/bardo/bin/supervisorctl -c /etc/bardo/bardo.conf {words}");
        machine.run(&words).stdout.trim().to_owned()
    };
    control("update");
    machine.until("the program", |_| control("status sleeper").contains("RUNNING"));
    let (keeper, sleeper) = (control("pid"), control("pid sleeper"));

    let said = machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));

    machine.until("another keeper", |_| {
        let now = control("pid");
        now != keeper && now.parse::<u32>().is_ok()
    });
    machine.until("its state", |machine| machine.run("bardo_service /status").code == 0);
    assert_eq!(control("pid sleeper"), sleeper, "the program goes on: {said}");
    machine.ok("dpkg -r bardo 2>&1");
    assert_eq!(machine.run("pgrep -x sleep").code, 1, "its programs end with it");
}

#[test]
fn an_upgrade_under_sysvinit_stops_no_program() {
    upgrade(Init::Sysvinit);
}

#[test]
fn an_upgrade_under_openrc_stops_no_program() {
    upgrade(Init::Openrc);
}

#[test]
fn a_removal_leaves_what_others_have_written_and_does_not_fail_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(machine) = machine(folder.path(), Init::Systemd) else { return };
    machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));
    machine.ok("bardo /uninstall && bardo /install web");
    let unit = "[Service]\nExecStart=/usr/bin/bardo supervisord -n -c /etc/bardo/bardo.conf\n";
    machine.write("/etc/systemd/system/bardo.service", unit);

    let said = machine.ok("dpkg -r bardo 2>&1");

    let line = "/etc/systemd/system/bardo.service starts /usr/bin/bardo too; it was written by";
    assert!(said.contains(line), "{said}");
    assert_eq!(machine.read("/etc/systemd/system/bardo.service"), unit);
    assert!(!machine.has("/etc/systemd/system/web.service"));
}

#[test]
fn a_package_that_was_removed_is_installed_as_for_the_first_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some(machine) = machine(folder.path(), Init::Systemd) else { return };
    machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));
    machine.ok("dpkg -r bardo 2>&1");

    let said = machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));

    assert!(said.contains("bardo: installed as /etc/systemd/system/bardo.service"), "{said}");
    assert_eq!(machine.ok("systemctl is-active bardo").trim(), "active");
    assert_eq!(machine.ok("systemctl is-enabled bardo").trim(), "enabled");

    // What an administrator has taken away an upgrade does not bring back.
    machine.ok("bardo /uninstall");
    machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));
    assert!(!machine.has("/etc/systemd/system/bardo.service"));

    machine.ok("dpkg -P bardo 2>&1");
    assert_eq!(machine.ok("ls /var/lib/misc").trim(), "", "what it has noted there is gone");
}

#[test]
fn a_removal_that_fails_leaves_all_services_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let Some(machine) = machine(folder.path(), Init::Systemd) else { return };
    machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));
    machine.ok("bardo /install aaa --no-respawn && bardo /start aaa");
    machine.ok("bardo /install-demand ddd && bardo /start ddd && bardo /install eee");
    machine.ok("bardo /install zzz && bardo /start zzz");
    let script = "#!/bin/sh\ncase \"$*\" in *disable*zzz*) echo no >&2; exit 1 ;; esac\n\
                  exec /bin/systemctl \"$@\"\n";
    machine.write_script("/usr/local/bin/systemctl", script);
    let stand = || {
        let all = ["bardo", "aaa", "ddd", "eee", "zzz"];
        all.map(|name| {
            let states = format!("systemctl is-active {name}; systemctl is-enabled {name}");
            let unit = machine.read(&format!("/etc/systemd/system/{name}.service"));
            (machine.run(&states).stdout, unit)
        })
    };
    let before = stand();
    // One in the pause before a restart.
    machine.write("/etc/systemd/system/ppp.service.d/o.conf", "[Service]\nRestartSec=1h\n");
    machine.ok("bardo /install ppp && bardo /start ppp && systemctl kill -s KILL ppp");
    machine.until("its pause", |machine| machine.property("ppp", "SubState") == "auto-restart");

    let removal = machine.run("dpkg -r bardo 2>&1");

    assert_ne!(removal.code, 0, "{}", removal.stdout);
    assert!(removal.stdout.contains("of zzz"), "{}", removal.stdout);
    assert_eq!(stand(), before, "{}", removal.stdout);
    assert_eq!(machine.property("ppp", "ActiveState"), "active", "it is up again");

    // One that was killed half-way goes well at last, and then another package does not.
    machine.ok("rm /usr/local/bin/systemctl");
    let script = |words: &str| machine.ok(&format!("/var/lib/dpkg/info/bardo.{words} 2>&1"));
    script("prerm remove");
    assert!(!machine.has("/etc/systemd/system/aaa.service"));
    script("prerm remove");
    let said = script("postinst abort-remove");
    assert_eq!(stand(), before, "{said}");

    machine.ok("dpkg -r bardo 2>&1");
    assert_eq!(machine.run("pgrep -f [s]ervice-run").code, 1, "nobody is left");
    assert_eq!(machine.ok("ls /var/lib/misc").trim(), "", "what it has noted there is gone");
}

#[test]
fn a_policy_keeps_the_package_from_starting_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(machine) = machine(folder.path(), Init::Systemd) else { return };
    machine.write_script("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");

    machine.ok(&format!("dpkg -i {PACKAGE} 2>&1"));

    assert_eq!(machine.run("systemctl is-active bardo").stdout.trim(), "inactive");
    assert_eq!(machine.ok("systemctl is-enabled bardo").trim(), "enabled");
}

#[test]
fn the_archive_installs_beside_others_and_takes_away_what_it_has_brought() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, prefix) = (folder.path().join("archive"), folder.path().join("prefix"));
    let run = |words: &[&str]| {
        let mut script = Command::new("/bin/sh");
        script.arg(archive.join("install.sh")).args(words).arg("--prefix").arg(&prefix);
        let output = script.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    std::fs::create_dir_all(prefix.join("bin")).unwrap();
    std::fs::create_dir(&archive).unwrap();
    let script = top().join("packaging/install.sh");
    std::fs::copy(script, archive.join("install.sh")).unwrap();
    for folder in ["share", "docs"] {
        std::os::unix::fs::symlink(top().join(folder), archive.join(folder)).unwrap();
    }
    std::fs::hard_link(env!("CARGO_BIN_EXE_bardo"), archive.join("bardo"))
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_bardo"), archive.join("bardo")).map(drop))
        .unwrap();
    std::fs::write(prefix.join("bin/supervisorctl"), "of somebody else").unwrap();

    let said = run(&["--supervisor-names"]);
    // Again, over itself.
    run(&["--supervisor-names"]);

    assert!(said.contains("bin/supervisorctl is there already and stays"), "{said}");
    for (name, word) in [("bin/bardo", "bardo"), ("bin/supervisord", "4.3.0")] {
        let output = Command::new(prefix.join(name)).arg("--version").output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(word), "{output:?}");
    }
    for file in ["man/man8/minix-service.8", "doc/bardo/service-mode.md"] {
        assert!(prefix.join("share").join(file).is_file(), "{file}");
    }

    run(&["uninstall"]);
    let left: Vec<_> = std::fs::read_dir(prefix.join("bin")).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(!prefix.join("share").exists());
}
