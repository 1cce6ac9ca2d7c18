//! Which init system a machine has.
//!
//! Neither `/etc/init.d` nor a program `systemctl` decides anything by itself: both are
//! found on machines that are kept by another one.

use super::freebsd::FreeBsd;
use super::ground::Ground;
use super::launchd::Launchd;
use super::openrc::OpenRc;
use super::systemd::Systemd;
use super::sysv::Sysv;
use super::upstart::Upstart;
use super::{InitError, InitSystem, tools};

/// What was looked for, as it is told where nothing was found.
const LOOKED_FOR: &str = "systemd (/run/systemd/system), Upstart (initctl version), OpenRC \
    (/run/openrc/softlevel), SysV (/etc/init.d or /etc/rc.d/init.d with update-rc.d, chkconfig or \
    insserv)";

/// The names that `--init` takes.
pub const NAMES: [&str; 6] = ["systemd", "upstart", "openrc", "sysv", "launchd", "freebsd"];

/// The init system of that name.
#[must_use]
pub fn named(name: &str) -> Option<Box<dyn InitSystem>> {
    Some(match name {
        "systemd" => Box::new(Systemd::machine()),
        "upstart" => Box::new(Upstart),
        "openrc" => Box::new(OpenRc),
        "sysv" => Box::new(Sysv),
        "launchd" => Box::new(Launchd),
        "freebsd" => Box::new(FreeBsd),
        _ => return None,
    })
}

/// The init system that keeps this machine.
///
/// # Errors
/// When none is found.
pub fn found(ground: &Ground) -> Result<Box<dyn InitSystem>, InitError> {
    if ground.is_offline() {
        let text = "with --root nothing is asked of this machine: say --init KIND, one of";
        return Err(InitError::Usage(format!("{text} {}", NAMES.join(", "))));
    }
    match std::env::consts::OS {
        "macos" => return Ok(Box::new(Launchd)),
        "freebsd" => return Ok(Box::new(FreeBsd)),
        _ => {}
    }
    if ground.at("/run/systemd/system").is_dir() {
        return Ok(Box::new(Systemd::machine()));
    }
    if is_upstart(ground) {
        return Ok(Box::new(Upstart));
    }
    if ground.at("/run/openrc/softlevel").exists() {
        return Ok(Box::new(OpenRc));
    }
    let has_scripts = ["/etc/init.d", "/etc/rc.d/init.d"].iter().any(|at| ground.at(at).is_dir());
    let has_tool =
        ["update-rc.d", "chkconfig", "insserv"].iter().any(|tool| ground.tool(tool).is_some());
    if has_scripts && has_tool && !is_container_without_init(ground) {
        return Ok(Box::new(Sysv));
    }
    Err(InitError::NotConfigured(format!(
        "no init system is found here, as in a container or a chroot without one. Looked for: \
         {LOOKED_FOR}. Say which with --init KIND ({}), or run it in the foreground: bardo run",
        NAMES.join(", ")
    )))
}

fn is_upstart(ground: &Ground) -> bool {
    ground.tool("initctl").is_some()
        && tools::ask(ground, &["initctl", "version"])
            .is_ok_and(|answer| answer.said.contains("upstart"))
}

/// Debian's images have the folder and the tool, and nobody who runs the scripts: with
/// a known init system the process 1 has its name.
fn is_container_without_init(ground: &Ground) -> bool {
    let name = std::fs::read_to_string(ground.at("/proc/1/comm")).unwrap_or_default();
    !name.is_empty() && name.trim() != "init"
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    fn tool(folder: &Path, name: &str, script: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What is found on a machine with these files and these tools.
    fn on(files: &[&str], scripts: &[(&str, &str)]) -> Result<&'static str, InitError> {
        let room = tempfile::tempdir().unwrap();
        let tools = room.path().join("tools");
        let ground = Ground::of(room.path(), &tools);
        for file in files {
            let path = ground.at(file);
            if file.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "init\n").unwrap();
            }
        }
        for (name, script) in scripts {
            tool(&tools, name, script);
        }
        found(&ground).map(|system| system.name())
    }

    #[test]
    fn each_init_system_is_known_by_what_only_it_has() {
        let upstart = ("initctl", "echo 'init (upstart 1.13.2)'");
        let update = ("update-rc.d", "");

        assert_eq!(on(&["/run/systemd/system/", "/etc/init.d/"], &[update]).unwrap(), "systemd");
        assert_eq!(on(&["/etc/init.d/"], &[upstart, update]).unwrap(), "upstart");
        assert_eq!(on(&["/run/openrc/softlevel", "/etc/init.d/"], &[]).unwrap(), "openrc");
        assert_eq!(on(&["/etc/init.d/", "/proc/1/comm"], &[update]).unwrap(), "sysv");
        assert_eq!(on(&["/etc/rc.d/init.d/"], &[("chkconfig", "")]).unwrap(), "sysv");
        assert_eq!(on(&["/etc/init.d/"], &[("insserv", "")]).unwrap(), "sysv");
    }

    #[test]
    fn a_folder_or_a_program_alone_decides_nothing() {
        for (files, tools) in [
            (&["/etc/init.d/"][..], &[][..]),
            (&[][..], &[("systemctl", ""), ("update-rc.d", "")][..]),
            (&[][..], &[("initctl", "echo something")][..]),
        ] {
            let error = on(files, tools).unwrap_err();

            assert_eq!(error.code(), 6);
            assert!(error.to_string().contains("/run/openrc/softlevel"), "{error}");
        }
    }

    #[test]
    fn a_small_init_of_a_container_runs_no_scripts() {
        let room = tempfile::tempdir().unwrap();
        let tools = room.path().join("tools");
        let ground = Ground::of(room.path(), &tools);
        tool(&tools, "update-rc.d", "");
        fs::create_dir_all(ground.at("/etc/init.d")).unwrap();
        fs::create_dir_all(ground.at("/proc/1")).unwrap();
        for (name, is_found) in [("init", true), ("dumb-init", false), ("tini", false)] {
            fs::write(ground.at("/proc/1/comm"), format!("{name}\n")).unwrap();
            assert_eq!(found(&ground).is_ok(), is_found, "{name}");
        }
    }

    #[test]
    fn every_name_is_an_init_system() {
        for name in NAMES {
            assert_eq!(named(name).unwrap().name(), name);
        }
        assert!(named("launchd2").is_none());
    }
}
