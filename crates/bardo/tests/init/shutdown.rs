//! The machine goes down, and comes again.

use super::scene::{Init, Machine};

/// Programs that tell of their beginning and take a moment for their end. The second one needs
/// the first.
const PARTING: &str = "[program:first]
command=/usr/bin/perl -e 'sub note { open my $f, q(>>), q(/srv/story); syswrite $f, \"@_\\n\" } $SIG{TERM} = sub { select undef, undef, undef, 0.3; note q(ended first); exit }; syswrite STDOUT, qq(began\\n); sleep 1 while 1'
stdout_logfile=/srv/first
startsecs=0
priority=1

[program:second]
command=/usr/bin/perl -e 'sub note { open my $f, q(>>), q(/srv/story); syswrite $f, \"@_\\n\" } $SIG{TERM} = sub { select undef, undef, undef, 0.3; note q(ended second); exit }; note q(began); sleep 1 while 1'
startsecs=0
depends_on=first
";

/// Tells when it starts and stops, as what services need.
const NETWORK: &str = "[Unit]
Before=network.target
Wants=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo wires up >>/srv/story'
ExecStop=/bin/sh -c 'echo wires down >>/srv/story'
[Install]
WantedBy=multi-user.target
";

#[test]
fn programs_end_in_order_at_poweroff_and_run_after_the_next_boot() {
    let Some(mut machine) = Machine::boot(Init::Systemd) else { return };
    machine.write("/etc/systemd/system/wires.service", NETWORK);
    machine.ok("systemctl enable --now wires");
    machine.service("home").configure(PARTING).up(&[]);
    machine.until("both", |machine| {
        machine.read("/srv/story").lines().count() == 2 && !machine.read("/srv/first").is_empty()
    });

    machine.run("systemctl poweroff");
    machine.await_end();
    assert!(!machine.told().contains("timed out"), "{}", machine.told());
    machine.boot_again();

    let up = "wires up\nbegan\n";
    let story = format!("{up}ended second\nended first\nwires down\n{up}");
    machine.until(&story, |machine| machine.read("/srv/story") == story);
    machine.service("home").all_running();
}

#[test]
fn on_demand_is_not_at_boot() {
    let Some(mut machine) = Machine::boot(Init::Systemd) else { return };
    machine.service("home").configure(PARTING);
    machine.service("home").verb("install-demand", &[]).ends_with(0);

    machine.run("systemctl poweroff");
    machine.await_end();
    machine.boot_again();

    assert_eq!(machine.service("home").verb("status", &[]).code, 3);
    machine.service("home").verb("start", &[]).ends_with(0);
    machine.service("home").all_running();
}
