//! Under sysvinit.

use super::scene::{Init, Machine};
use super::service::CAT;

/// A service that is no more than a shell script: it proves the scene.
const SCRIPT: &str = "#!/bin/sh
### BEGIN INIT INFO
# Provides: plain
# Required-Start: $local_fs $remote_fs
# Required-Stop: $local_fs $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: a script
### END INIT INFO
case $1 in
start) start-stop-daemon --start --background --make-pidfile --pidfile /run/plain.pid --exec /bin/sleep -- 1000 ;;
stop) start-stop-daemon --stop --remove-pidfile --pidfile /run/plain.pid ;;
esac
echo \"$1 in $RUNLEVEL\" >>/var/lib/story
";

/// Whether the machine has come to this runlevel. Nobody in it is asked, because on the way
/// to the first one all processes are stopped and killed.
fn is_in(machine: &Machine, level: u32) -> bool {
    machine.read("/run/level").trim() == level.to_string()
}

#[test]
fn a_machine_goes_through_runlevels() {
    let Some(mut machine) = Machine::boot(Init::Sysvinit) else { return };
    machine.write_script("/etc/init.d/plain", SCRIPT);
    machine.ok("update-rc.d plain defaults");

    for (level, running) in [(1, 0), (3, 1)] {
        machine.ok(&format!("telinit {level}"));
        machine.until(&format!("runlevel {level}"), |machine| {
            is_in(machine, level) && machine.with_words("sleep 1000").len() == running
        });
    }
    machine.run("telinit 6");
    machine.await_end();
    machine.boot_again();

    let story = "stop in 1\nstart in 3\nstop in 6\nstart in 2\n";
    machine.until(story, |machine| machine.read("/var/lib/story") == story);
    // It may not have executed its program yet.
    machine.until("its process", |machine| machine.with_words("sleep 1000").len() == 1);
}

/// Tells when it starts and stops, as something that services need.
const NETWORK: &str = "#!/bin/sh
### BEGIN INIT INFO
# Provides: networking
# Required-Start: $local_fs
# Required-Stop: $local_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 6
# Short-Description: what others need
### END INIT INFO
echo \"wires $1\" >>/srv/story
";

/// The same for something that is stopped in runlevel 1, too, where Debian's network stays.
const NAMES: &str = "#!/bin/sh
### BEGIN INIT INFO
# Provides: named
# Required-Start: $network
# Required-Stop: $network
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: what others like to have
### END INIT INFO
echo \"names $1\" >>/srv/story
";

/// A program that tells of its beginning and its end.
const TELLING: &str = "[program:telling]
command=/usr/bin/perl -e 'sub note { open my $f, q(>>), q(/srv/story); syswrite $f, \"@_\\n\" } $SIG{TERM} = sub { note q(ended); exit }; note q(began); sleep 1 while 1'
startsecs=0
";

#[test]
fn a_service_follows_the_runlevels_behind_what_it_needs() {
    let Some(mut machine) = Machine::boot(Init::Sysvinit) else { return };
    machine.write_script("/etc/init.d/networking", NETWORK);
    machine.write_script("/etc/init.d/named", NAMES);
    machine.ok("update-rc.d networking defaults && update-rc.d named defaults");
    machine.service("runs").configure(TELLING).up(&[]);
    machine.ok("rm /srv/story");

    for (level, runs) in [(1, false), (3, true)] {
        machine.ok(&format!("telinit {level}"));
        machine.until(&format!("runlevel {level}"), |machine| {
            is_in(machine, level)
                && machine.with_words("sleep 1 while 1").len() == usize::from(runs)
                && machine.read("/srv/story").lines().count() == if runs { 5 } else { 2 }
        });
    }
    machine.run("telinit 6");
    machine.await_end();
    machine.boot_again();

    let up = "wires start\nnames start\nbegan\n";
    let story = format!("ended\nnames stop\n{up}ended\nnames stop\nwires stop\n{up}");
    machine.until("all lines", |machine| machine.read("/srv/story").lines().count() == 11);
    assert_eq!(machine.read("/srv/story"), story);
    machine.service("runs").all_running();
}

#[test]
fn nothing_starts_a_service_of_sysvinit_again_and_stop_leaves_nothing() {
    let Some(machine) = Machine::boot(Init::Sysvinit) else { return };
    let service = machine.service("once").configure(CAT).up(&[]);
    let is_gone = |machine: &Machine| machine.with_words("--service-run").is_empty();

    for end in ["supervisor.restart", "supervisor.shutdown"] {
        service.client().call(end, &[]).unwrap();
        machine.until("its end", is_gone);
        assert_eq!(service.verb("status", &[]).code, 3, "{end}");
        assert!(machine.with_words("sleep 100000").is_empty(), "{end}");
        machine.ok("/etc/init.d/once_service start");
        service.all_running();
    }

    machine.ok("/etc/init.d/once_service start");
    machine.ok("/etc/init.d/once_service restart");
    service.all_running();
    machine.ok("/etc/init.d/once_service stop");
    assert!(is_gone(&machine) && machine.with_words("sleep 100000").is_empty());
    machine.ok("/etc/init.d/once_service stop");
    assert_eq!(machine.run("/etc/init.d/once_service").code, 2);
    assert_eq!(machine.run("/etc/init.d/once_service dance").code, 2);
}

/// The links of a service in the folders of runlevels, without their numbers.
fn links(machine: &Machine) -> String {
    let list = "cd /etc && ls rc?.d | awk '/:$/ { level = substr($0, 3, 1) } \
                /linked_service$/ { printf \"%s%s \", substr($0, 1, 1), level }'";
    machine.ok(list).trim_end().to_owned()
}

#[test]
fn insserv_itself_makes_the_links_of_a_service() {
    let Some(machine) = Machine::boot(Init::Sysvinit) else { return };
    let service = machine.service("linked").configure(CAT);
    let usual = "K0 K1 S2 S3 S4 S5 K6";
    // Debian's tool calls it; then it is called by us; then there is neither.
    for hidden in [&[][..], &["update-rc.d"], &["update-rc.d", "insserv"]] {
        for tool in hidden {
            machine.ok(&format!("p=$(command -v {tool}) || exit 0; mv $p /srv/{tool}"));
        }
        let said = service.verb("install", &["--init", "sysv"]).ends_with(0);
        assert_eq!((links(&machine).as_str(), said.stderr.as_str()), (usual, ""), "{hidden:?}");
        if hidden.len() == 1 {
            let said = machine.run("insserv -n linked_service").ends_with(0);
            let complains = |line: &&str| !line.contains("dryrun");
            assert_eq!(said.stderr.lines().find(complains), None);
            // It does read the head: one that needs what is not there is refused.
            let text = machine.read("/etc/init.d/linked_service");
            let wrong = text.replace("$remote_fs $syslog", "$remote_fs nonsense");
            machine.write_script("/etc/init.d/wrong_service", &wrong.replace("linked", "wrong"));
            assert_ne!(machine.run("insserv -n wrong_service").code, 0);
            machine.ok("rm /etc/init.d/wrong_service");
        }
        service.verb("start", &["--init", "sysv"]).ends_with(0);
        service.all_running();
        service.verb("install-demand", &["--init", "sysv"]).ends_with(0);
        assert!(!links(&machine).contains('S'), "{hidden:?}: {}", links(&machine));
        service.verb("install", &["--init", "sysv"]).ends_with(0);
        assert_eq!(links(&machine), usual, "{hidden:?}");
        service.verb("uninstall", &["--init", "sysv"]).ends_with(0);
        assert_eq!(links(&machine), "", "{hidden:?}");
    }
}
