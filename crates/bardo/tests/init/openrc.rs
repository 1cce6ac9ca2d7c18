//! Under OpenRC.

use bardo::selftest::home::send;

use super::scene::{Init, Machine};
use super::service::CAT;

const KILL: i32 = 9;

#[test]
fn a_service_of_openrc_is_started_again_unless_it_was_told_to_end() {
    let Some(machine) = Machine::boot(Init::Openrc) else { return };
    let service = machine.service("again").configure(CAT).up(&[]);
    let runs = |machine: &Machine| machine.with_words("--service-run again");
    let status = || machine.run("rc-service again status").code;
    assert_eq!(status(), 0);

    for process in runs(&machine) {
        // Who watches it has the words, too.
        if process.comm != "supervise-daemon" {
            let _ = send(process.pid, KILL);
        }
    }
    // Until then the former supervisor answers.
    machine.until("another keeper", |machine| {
        machine.read("/srv/again/main.log").contains("another one has come after it")
    });
    service.all_running();

    let before = service.programs();
    service.client().call("supervisor.restart", &[]).unwrap();
    machine.until("other programs", |_| {
        let now = service.programs();
        now.len() == before.len() && now != before
    });

    service.client().call("supervisor.shutdown", &[]).unwrap();
    machine.until("its end", |machine| runs(machine).is_empty());
    machine.until("it to be known", |_| status() == 3);
    assert_eq!(service.verb("status", &[]).code, 3);
    assert!(machine.with_words("sleep 100000").is_empty());

    machine.ok("rc-service again start");
    service.all_running();
    machine.ok("rc-service again stop");
    assert!(runs(&machine).is_empty() && machine.with_words("sleep 100000").is_empty());
}

#[test]
fn a_service_of_openrc_is_there_after_a_boot() {
    let Some(mut machine) = Machine::boot(Init::Openrc) else { return };
    assert_eq!(machine.ok("rc-status --runlevel").trim(), "default");
    machine.service("boots").configure(CAT).up(&[]);

    machine.run("telinit 6");
    machine.await_end();
    machine.boot_again();

    machine.service("boots").all_running();
    assert_eq!(machine.service("boots").verb("status", &[]).code, 0);
}

#[test]
fn a_shutdown_of_a_service_of_an_account_stays_one() {
    let Some(machine) = Machine::boot(Init::Openrc) else { return };
    let service = machine.service("theirs").configure(CAT);
    machine.ok("chown -R daemon /srv/theirs; chmod 644 /etc/bardo/theirs.conf");
    service.up(&["--user", "daemon"]);
    let runs = |machine: &Machine| machine.with_words("--service-run theirs");
    let status = || machine.run("rc-service theirs status").code;
    assert_eq!(machine.run("pgrep -u daemon -x sleep").code, 0);
    assert_eq!(service.verb("status", &[]).code, 0);

    service.client().call("supervisor.shutdown", &[]).unwrap();
    machine.until("its end", |machine| runs(machine).is_empty());
    machine.until("it to be known", |_| status() == 3);
    assert_eq!(service.verb("status", &[]).code, 3);

    machine.ok("rc-service theirs start");
    service.all_running();
    service.verb("uninstall", &[]).ends_with(0);
    assert!(runs(&machine).is_empty());
    assert!(!machine.file("/run/theirs").exists() && !machine.file("/run/theirs.pauses").exists());
}
