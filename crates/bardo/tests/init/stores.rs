//! How many descriptors systemd keeps for a service.

use bardo::selftest::home::send;

use super::scene::{Init, Machine};
use super::service::CAT;

const KILL: i32 = 9;

/// How many descriptors are kept that belong to no program, and how many of each program.
const KEPT: u32 = 6;
const KEPT_OF_ONE: u32 = 4;

/// Room for what belongs to no program, and little more.
const ROOM: u32 = 8;

/// So many programs.
fn programs(count: u32) -> String {
    format!("{CAT}process_name=%(process_num)d\nnumprocs={count}\n")
}

#[test]
fn the_room_for_descriptors_grows_with_the_configuration_and_a_want_of_it_is_told() {
    let Some(machine) = Machine::boot(Init::Systemd) else { return };
    let service = machine.service("holds").configure(&programs(2000));
    service.verb("install", &[]).ends_with(0);
    assert_eq!(service.property("FileDescriptorStoreMax"), "16384");
    service.configure(&programs(5));
    let said = service.verb("install", &[]).ends_with(0);
    assert!(said.stdout.contains("changed in"), "{said:?}");
    assert_eq!(service.property("FileDescriptorStoreMax"), "4096");

    let room = |count: u32| {
        let max = format!("FileDescriptorStoreMax={count}");
        service.drop_in(&format!("[Service]\n{max}\nEnvironment=FDSTORE={count}\n"));
    };
    let told = || {
        let journal = machine.journal("--unit holds");
        journal.matches("more descriptors are held").count()
    };
    let stored = || service.property("NFileDescriptorStore").parse::<u32>().unwrap();
    room(ROOM);
    service.verb("start", &[]).ends_with(0);
    service.all_running();
    machine.until("a full store", |_| stored() == ROOM);
    machine.until("the warning", |_| told() == 1);
    // None of what was refused is told again and again by the manager either.
    let journal = machine.journal("--boot");
    assert!(!journal.contains("Cannot store more fds"), "{journal}");
    // What ends makes room for others.
    service.client().call("supervisor.stopAllProcesses", &[]).unwrap();
    machine.until("room", |_| stored() < ROOM);
    service.client().call("supervisor.startAllProcesses", &[]).unwrap();
    service.all_running();
    machine.until("a full store", |_| stored() == ROOM);
    assert_eq!(told(), 1, "once is enough");
    // Where only the keeper is killed nothing is lost.
    let (keeper, before) = (service.keeper().unwrap(), service.programs());
    send(keeper, KILL).unwrap();
    service.recovered(Some(keeper), None, &before);

    service.verb("stop", &[]).ends_with(0);
    room(100);
    service.verb("start", &[]).ends_with(0);
    service.all_running();
    let before = service.programs();
    let both = [service.keeper().unwrap(), service.supervisor().unwrap()];
    machine.until("all to be stored", |_| stored() == KEPT + 5 * KEPT_OF_ONE);
    for pid in both {
        send(pid, KILL).unwrap();
    }
    service.recovered(Some(both[0]), Some(both[1]), &before);
}
