//! Many things at once, and the supervisor dies in the midst of them.

use std::collections::BTreeSet;
use std::fs;

use bardo::selftest::client::{CallError, Info};
use bardo::selftest::home::{self, Daemon, Home};
use bardo::selftest::lines::Random;
use bardo::selftest::procfs;
use bardo_wire::xmlrpc::Value;

use crate::scene::{KILL, Scene, executable, open};

const MANY: usize = 150;

fn many() -> String {
    format!(
        "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nnumprocs={MANY}\n\
         process_name=cat_%(process_num)03d\n"
    )
}

fn running(scene: &Scene) -> Vec<Info> {
    let mut infos = scene.client().infos().unwrap_or_default();
    infos.retain(|info| info.state == "RUNNING");
    infos
}

/// Every program has its process, and there is no other process.
fn expect_one_process_each(scene: &Scene) {
    scene.wait("all programs", || running(scene).len() == MANY);
    let there = || {
        let children = scene.daemon.children().into_iter();
        children.filter(|child| child.comm == "cat").map(|child| child.pid).collect()
    };
    let pids: BTreeSet<u32> = running(scene).iter().map(|info| info.pid).collect();
    scene.wait("one process each", || pids == there());
    assert_eq!(scene.daemon.children().len(), MANY + 1, "and the supervisor");
}

/// A moment of chance, as time that the processor spends.
fn spin(random: &mut Random, limit: u64) {
    for _ in 0..random.below(limit) {
        std::hint::spin_loop();
    }
}

#[test]
fn a_start_of_many_programs_outlives_supervisors() {
    let home = Home::new("burst").unwrap();
    home.configure("", &many()).unwrap();
    let mut random = Random::new(u64::from(std::process::id()));
    let daemon = Daemon::spawn(executable(), &home).unwrap();

    // Two deaths in a row before it has taken over make the keeper wait for a second.
    for _ in 0..4 {
        home::wait_until("a supervisor", || daemon.supervisor().is_some()).unwrap();
        spin(&mut random, 3_000_000);
        daemon.kill_supervisor().unwrap();
    }

    expect_one_process_each(&Scene { daemon, home });
}

#[test]
fn many_exits_at_once_outlive_the_supervisor() {
    let scene = open("", &many());
    expect_one_process_each(&scene);
    let mut random = Random::new(u64::from(std::process::id()));

    for _ in 0..4 {
        let before: BTreeSet<u32> = running(&scene).iter().map(|info| info.pid).collect();
        assert_eq!(before.len(), MANY);
        for (count, pid) in before.iter().enumerate() {
            home::send(*pid, KILL).unwrap();
            if count == MANY / 2 {
                spin(&mut random, 1_000_000);
                scene.daemon.kill_supervisor().unwrap();
            }
        }
        let is_old = |info: &Info| before.contains(&info.pid);
        scene.wait("new processes", || {
            let infos = running(&scene);
            infos.len() == MANY && !infos.iter().any(is_old)
        });
        expect_one_process_each(&scene);
    }
}

/// Calls again when a death has cut the call off. A fault after that says that it had
/// been carried out.
fn insist(scene: &Scene, method: &str, parameters: &[Value]) {
    let mut cut_off = false;
    scene.wait(method, || match scene.client().call(method, parameters) {
        Ok(_) => true,
        Err(CallError::Unanswered(_)) => {
            cut_off = true;
            false
        }
        Err(CallError::Fault(..)) if cut_off => true,
        Err(error) => panic!("{method}: {error}"),
    });
}

#[test]
fn groups_come_and_go_while_supervisors_die() {
    let scene = open("", &many());
    expect_one_process_each(&scene);
    let path = scene.home.file("supervisord.conf");
    let text = fs::read_to_string(&path).unwrap();
    let mut random = Random::new(u64::from(std::process::id()));
    let kill = |random: &mut Random| {
        spin(random, 2_000_000);
        scene.daemon.kill_supervisor().unwrap();
    };

    for round in 0..6 {
        let name = format!("guest{round}");
        let guest = format!("[program:{name}]\ncommand=/bin/sleep 1000\nstartsecs=0\n");
        fs::write(&path, format!("{text}\n{guest}")).unwrap();
        let of_guest = [Value::from(&*name)];

        std::thread::scope(|scope| {
            scope.spawn(|| {
                insist(&scene, "supervisor.reloadConfig", &[]);
                insist(&scene, "supervisor.addProcessGroup", &of_guest);
            });
            kill(&mut random);
        });
        let guest = scene.process(&name);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                insist(&scene, "supervisor.stopProcessGroup", &of_guest);
                scene.until(&name, "STOPPED");
                insist(&scene, "supervisor.removeProcessGroup", &of_guest);
            });
            kill(&mut random);
        });

        let left = procfs::stat(guest.pid).filter(|stat| stat.identity() == guest.identity());
        assert_eq!(left, None);
        let gone = scene.client().info(&name);
        assert!(matches!(gone, Err(CallError::Fault(10, _))), "{gone:?}");
    }
    expect_one_process_each(&scene);
}
