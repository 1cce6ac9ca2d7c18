//! What it costs to write something down: the time and the bytes of the entries that
//! stand on the path of a restart, and of a snapshot of ten thousand services.
//!
//! `cargo bench -p bardo --bench journal` prints the figures.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bardo::daemon::journal::{Entry, Journal, Surroundings, WORDS};
use bardo::daemon::listeners::audience::Deed;
use bardo_core::group::Group;
use bardo_core::record::{Record, ServiceRecord, Snapshot};
use bardo_core::spec::{GroupKind, GroupSpec, LogSpec, LogTarget, Origin, ServiceSpec};
use bardo_core::{Configuration, ServiceId};
use bardo_sys::memory::SharedMemory;
use bardo_wire::listener::EventType;

/// Services of the snapshot.
const SERVICES: u32 = 10_000;

/// Entries between two looks at the clock.
const ROUND: u32 = 100_000;

/// Rounds of which the best one counts.
const ROUNDS: u32 = 9;

fn main() {
    let table = table();
    let service = table.places[7].service.expect("somebody is there");
    measure("a service", |journal| journal.append(&Entry::Table(Record::Service(service))));
    measure("an event and a service", |journal| with_event(journal, service));
    let mut journal = journal();
    let begin = Instant::now();
    journal.replace(&table, &Surroundings::default()).expect("there is room");
    let spent = begin.elapsed();
    let bytes = journal.sizes().0;
    println!("a snapshot of {SERVICES} services: {spent:?}, {bytes} bytes");
    let begin = Instant::now();
    Journal::open(Arc::clone(journal.memory())).expect("it is a journal");
    println!("reading it: {:?}", begin.elapsed());
}

fn with_event(journal: &mut Journal, service: ServiceRecord) -> bool {
    let mut both = journal.begin();
    let payload = "processname:web groupname:web from_state:RUNNING pid:12345";
    both.add(&Entry::Audience(Deed::Offered(EventType::ALL[0], payload.into())));
    both.add(&Entry::Table(Record::Service(service)));
    both.append()
}

fn measure(name: &str, append: impl Fn(&mut Journal) -> bool) {
    let mut journal = journal();
    let mut best = u128::MAX;
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let empty = journal.sizes().1;
        let begin = Instant::now();
        for _ in 0..ROUND {
            assert!(black_box(append(&mut journal)), "there is room");
        }
        best = best.min(begin.elapsed().as_nanos() / u128::from(ROUND));
        bytes = (journal.sizes().1 - empty) / ROUND as usize;
        journal.replace(&Snapshot::default(), &Surroundings::default()).expect("there is room");
    }
    println!("{name}: {best} ns, {bytes} bytes");
}

fn journal() -> Journal {
    let file = SharedMemory::anonymous("journal").expect("memory can be had");
    let memory = SharedMemory::map(file, WORDS).expect("memory can be mapped");
    Journal::create(Arc::new(memory), Configuration::default()).expect("there is room")
}

/// Every program is a group of its own, as in most files.
fn table() -> Snapshot {
    let mut table = Snapshot::default();
    for place in 0..SERVICES {
        let name = format!("program{place}");
        let spec = group(&name);
        table.loaded.groups.push(Arc::clone(&spec));
        table.apply(Record::GroupAdded(Group { spec, members: vec![ServiceId(place)] }));
    }
    table
}

fn group(name: &str) -> Arc<GroupSpec> {
    let name: Arc<str> = name.into();
    let log = |channel| LogSpec {
        target: LogTarget::File(format!("/var/log/{name}.{channel}").into()),
        ..LogSpec::default()
    };
    let service = ServiceSpec {
        program: Arc::default(),
        name: Arc::clone(&name),
        command: format!("/usr/bin/{name} --serve").into(),
        directory: None,
        environment: Arc::from([]),
        stdout: log("out"),
        stderr: log("err"),
    };
    let services = vec![Arc::new(service)];
    Arc::new(GroupSpec {
        name,
        priority: 999,
        kind: GroupKind::Programs,
        origin: Origin::File,
        services,
    })
}
