//! A service that ends again and again: it is never given up, and never started in a hurry.
//!
//! Nobody waits here for the minutes that the pauses would last together: who fails says how
//! long it is going to wait, and a reload, as a user would send it, ends that.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bardo::selftest::home::{self, send};

use super::scene::{Init, Machine};
use super::service::CAT;

const KILL: i32 = 9;

/// What nothing can be started from.
const WRONG: &str = "[program:x]\nstartsecs=many\n";

/// How often it ends in a row.
const CRASHES: usize = 50;

/// How a pause is told.
const TOLD: &str = "the next start is in ";

/// The pauses that a text tells of, in their order.
fn pauses(text: &str) -> Vec<String> {
    let told = text.split(TOLD).skip(1);
    told.filter_map(|behind| Some(behind.split_once(',')?.0.to_owned())).collect()
}

/// What they must be: twice as long each time, and a minute at most.
fn doubled(first: Duration) -> Vec<String> {
    let longest = Duration::from_secs(60);
    let all = std::iter::successors(Some(first), |pause| Some((*pause * 2).min(longest)));
    all.take(CRASHES).map(|pause| format!("{pause:?}")).collect()
}

/// The time of day. What is noted of an earlier one is forgotten a minute later.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[test]
fn fifty_crashes_under_systemd_are_followed_by_pauses_that_grow_and_are_forgotten() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("storm").configure(WRONG);
    service.verb("install", &[]).ends_with(0);
    service.drop_in("[Service]\nRestartSec=1ms\n");
    let told = || pauses(&machine.journal("--unit storm --grep 'next start is in'"));
    let main = || service.keeper();
    // Before it says so it would be ended by a reload, and nobody would start it again.
    let hurry = || {
        let keys = "MainPID,NRestarts,StatusText";
        let shown = machine.ok(&format!("systemctl show --property {keys} storm"));
        let value = |key| shown.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        if value("StatusText=").contains(TOLD) {
            machine.run(&format!("kill -HUP {}", value("MainPID=")));
        }
        value("NRestarts=").parse::<usize>().unwrap()
    };

    machine.run("systemctl start --no-block storm");
    machine.until("all crashes", |_| hurry() > CRASHES);

    assert_eq!(told()[..CRASHES], doubled(Duration::from_millis(100)));
    assert_eq!(service.verb("status", &[]).code, 3);
    assert_eq!(service.property("ActiveState"), "activating");

    // What is mended now runs at the next start.
    service.configure(CAT);
    machine.until("it to run", |_| {
        hurry();
        service.property("ActiveState") == "active"
    });
    service.all_running();
    let storm = told();

    // One that was ready is started again at once, so many times.
    let notes = "/run/storm/pauses";
    machine.write(notes, &format!("{} 0 23\n", now().as_secs() * 10));
    for pauses in [&[][..], &[], &["100ms"], &["100ms", "200ms"]] {
        let (keeper, programs) = (main(), service.programs());
        send(keeper.unwrap(), KILL).unwrap();
        service.recovered(keeper, None, &programs);
        assert_eq!(told()[storm.len()..], *pauses);
    }

    // A stop in a long pause is one at once, and with it all is forgotten.
    machine.write(notes, &format!("{} 600 25\n", now().as_secs() * 10));
    let keeper = main();
    send(keeper.unwrap(), KILL).unwrap();
    machine.until("the pause", |_| service.property("StatusText").contains("in 60s"));
    machine.ok("systemctl stop storm");
    assert_eq!((&*service.property("Result"), machine.has(notes)), ("success", false));
    service.nothing_left();
    assert!(machine.read("/srv/storm/main.log").contains("stopped: cat"), "they were told to end");
    service.verb("start", &[]).ends_with(0);
    service.all_running();
    assert!(machine.read(notes).ends_with(" 0 0\n"));
    assert!(home::stays(Duration::from_millis(300), || main().is_some()));
}

#[test]
fn crashes_under_openrc_are_followed_by_pauses_that_grow_and_are_forgotten() {
    let Some(machine) = Machine::boot(Init::Openrc) else { return };
    let service = machine.service("storm").configure(WRONG);
    service.verb("install", &[]).ends_with(0);
    machine.write("/etc/conf.d/storm", "error_log=/run/storm.said\n");
    let told = || pauses(&machine.read("/run/storm.said"));
    let mut last = 0;
    // It has a pause of a second of its own each time: so not all fifty are waited for here.
    let mut storm = |count: usize| {
        machine.until("all crashes", |machine| {
            let now = told().len();
            // supervise-daemon takes none while it begins. The last pause is left as it is.
            if now < count && now > last && machine.run("rc-service storm reload").code == 0 {
                last = now;
            }
            now >= count
        });
    };

    machine.ok("rc-service storm start");
    storm(3);
    assert_eq!(told(), ["1s", "2s", "4s"]);
    let notes = "/run/storm.pauses";
    // While it is there it writes notes itself.
    machine.ok("rc-service storm stop");
    machine.write(notes, &format!("{} 32\n", now().as_secs()));
    machine.ok("rc-service storm start");
    storm(5);
    assert_eq!(told()[3..], ["60s", "60s"]);

    assert_eq!(service.verb("status", &[]).code, 3);
    service.configure(CAT);
    machine.until("it to run", |machine| {
        // One that comes between two lives is lost.
        machine.run("rc-service storm reload");
        !service.programs().is_empty()
    });
    assert!(machine.read(notes).ends_with(" 60 0\n"));
    machine.ok("rc-service storm stop");
    assert!(!machine.has(notes) && machine.with_words("--service-run storm").is_empty());
}
