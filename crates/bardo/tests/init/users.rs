//! A service of a user, kept by that user's own manager.

use std::os::unix::fs::MetadataExt as _;

use bardo::selftest::client::Client;
use bardo::selftest::home::send;

use super::scene::{Init, Machine, Output};

const KILL: i32 = 9;

/// What starts the manager of a user where no login does: the machine has no PAM module that
/// would tell where its folder is.
const MANAGER: &str = "[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n";

/// The user, and a command of theirs.
const USER: &str = "1000";

fn theirs(machine: &Machine, line: &str) -> Output {
    let who = format!("setpriv --reuid={USER} --regid={USER} --clear-groups");
    let home = format!("env HOME=/home/someone XDG_RUNTIME_DIR=/run/user/{USER}");
    machine.run(&format!("{who} {home} {line}"))
}

/// A property of the unit.
fn property(machine: &Machine, name: &str) -> String {
    let line = format!("systemctl --user show --value --property {name} mine");
    theirs(machine, &line).stdout.trim().to_owned()
}

#[test]
fn a_user_has_a_service_without_root() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    machine.ok(&format!("useradd --uid {USER} --create-home someone"));
    machine.write("/etc/systemd/system/user@.service.d/test.conf", MANAGER);
    machine.ok(&format!("systemctl daemon-reload && systemctl start user@{USER}"));
    let verb = |verb: &str| theirs(&machine, &format!("bardo_service {verb} mine --user-unit"));
    let code = || verb("status").code;
    let unit = "/home/someone/.config/systemd/user/mine.service";
    let socket = format!("/run/user/{USER}/mine/s.sock");
    let programs = || {
        let infos = Client::new(&machine.file(&socket)).infos().unwrap_or_default();
        infos.into_iter().map(|info| (info.state, info.pid)).collect::<Vec<_>>()
    };
    let is_up = || matches!(&programs()[..], [(state, _)] if state == "RUNNING");
    let keeper = || {
        let inside = property(&machine, "MainPID").parse().ok().filter(|pid: &u32| *pid != 0)?;
        machine.outside(inside)
    };
    let left = || machine.with_words("sleep 100000").len();
    machine.write(
        "/home/someone/mine.conf",
        &format!(
            "[unix_http_server]\nfile={socket}\n\n[supervisord]\nlogfile=/home/someone/main.log\n\
             pidfile=/run/user/{USER}/mine/s.pid\nchildlogdir=/home/someone\n\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n\
             [program:cat]\ncommand=/bin/sleep 100000\nstartsecs=0\n"
        ),
    );

    assert_eq!(code(), 1, "it is not installed");
    let install = "bardo_service install mine --user-unit --config /home/someone/mine.conf";
    let said = theirs(&machine, install).ends_with(0);
    assert!(said.stderr.contains("enable-linger"), "{said:?}");
    assert!(machine.has(unit));
    assert_eq!(code(), 3, "it is stopped");
    verb("start").ends_with(0);
    machine.until("its program", |_| is_up());
    assert_eq!(code(), 0);
    let owner = |pid: u32| std::fs::metadata(format!("/proc/{pid}")).map(|file| file.uid()).ok();
    assert_eq!(keeper().and_then(owner), USER.parse().ok());

    // The next keeper takes over.
    let (first, before) = (keeper().unwrap(), programs());
    send(first, KILL).unwrap();
    machine.until("another keeper", |machine| {
        let is_active = property(machine, "ActiveState") == "active";
        is_active && keeper().is_some_and(|next| next != first) && is_up()
    });
    assert_eq!((programs(), left()), (before, 1));

    // A reload is waited for.
    verb("reload").ends_with(0);
    assert!(machine.read("/home/someone/main.log").contains("SIGHUP"), "{}", machine.told());

    // A stop leaves nothing, in the pause before the next start neither.
    verb("stop").ends_with(0);
    assert_eq!((code(), left()), (3, 0));
    let drop_in = "/home/someone/.config/systemd/user/mine.service.d/test.conf";
    machine.write(drop_in, "[Service]\nRestartSec=100\n");
    theirs(&machine, "systemctl --user daemon-reload").ends_with(0);
    for way in ["bardo_service stop mine --user-unit", "systemctl --user stop mine"] {
        verb("start").ends_with(0);
        machine.until("its program", |_| is_up());
        send(keeper().unwrap(), KILL).unwrap();
        machine.until("the pause", |_| property(&machine, "SubState") == "auto-restart");
        assert_eq!((code(), left()), (3, 1));
        theirs(&machine, way).ends_with(0);
        machine.until("nothing to be left", |_| left() == 0);
    }
    machine.ok(&format!("rm {drop_in}"));

    verb("start").ends_with(0);
    machine.until("its program", |_| is_up());
    verb("uninstall").ends_with(0);
    assert_eq!((code(), left(), machine.has(unit)), (1, 0, false));
    assert!(machine.has("/home/someone/mine.conf"));
    verb("uninstall").ends_with(0);
}
