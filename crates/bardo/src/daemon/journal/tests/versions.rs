//! Journals of other versions: those that former versions wrote, and one that a version
//! to come might write.
//!
//! `samples/` has one of each version, for ever. All mean what [`the_sample`] says; a field
//! that is newer than a sample has its default there. A sample of a new version is written
//! with
//!
//! ```text
//! cargo test -p bardo --lib journal::tests::versions -- --ignored
//! ```

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bardo_config::ResultHandler;
use bardo_core::group::Group;
use bardo_core::id::ExitSequence;
use bardo_core::input::Mood;
use bardo_core::record::{Record, ServiceRecord};
use bardo_core::service::{Failure, Goal, Launch, Order, Role, State as ServiceState};
use bardo_core::spec::{
    Backoff, EndsAll, EventLength, GroupKind, GroupSpec, ListenerSpec, LogSpec, LogTarget, Origin,
    ProgramSpec, Reach, RestartOn, RestartPolicy, Seconds, ServiceSpec, SocketAddress, SocketSpec,
    StopPolicy, User,
};
use bardo_core::time::{Instant, WallTime};
use bardo_core::{Configuration, ExitStatus, Generation, Pid, ServiceId, Signal, SpawnError};
use bardo_sys::memory::SharedMemory;
use bardo_sys::spawn::BIRTH_WORDS;
use bardo_wire::listener::{EventType, EventTypes, LengthUnit};

use super::super::codec::Encoder;
use super::super::layout::{self, Areas, LEAST, VERSION};
use super::super::region::Regions;
use super::super::{Change, Entry, Flaws, Journal, Memory, Process, SEVERAL, entries};
use super::{State, apply, brought, decided, known_after, memory};
use crate::daemon::channels::{Doing, Told};
use crate::daemon::images::MemoryCopy;
use crate::daemon::listeners::audience::Deed;
use crate::daemon::listeners::pool::PoolSpec;
use crate::daemon::owed::{End, Promise};
use crate::daemon::pump::intake::{INTAKE_WORDS, PartKind, Tidings};
use crate::daemon::pump::{Channel, StreamKey};

/// Where the samples are.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/daemon/journal/tests/samples");

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/journal");

/// The samples, by their names.
const FORMER: &[(&str, &str)] = &[
    ("version-5", include_str!("samples/version-5")),
    ("version-6", include_str!("samples/version-6")),
    ("version-7", include_str!("samples/version-7")),
    ("version-8", include_str!("samples/version-8")),
    ("version-9", include_str!("samples/version-9")),
];
const FUTURE: &str = include_str!("samples/from-the-future");

#[test]
fn what_former_versions_wrote_is_read() {
    for (name, sample) in FORMER {
        let (_, known) = open(from_text(sample));

        assert_eq!(known.flaws, Flaws::default(), "{name}");
        let version = name.strip_prefix("version-").unwrap().parse().unwrap();
        assert_eq!((known.table, known.surroundings), the_state(version), "{name}");
    }
}

#[test]
fn what_is_written_changes_with_the_version_only() {
    let (name, sample) = FORMER.last().unwrap();

    assert_eq!(*name, format!("version-{VERSION}"), "there is a sample of this version");
    assert!(
        to_text(&of_this_version()) == *sample,
        "the bytes of a journal are others: raise layout::VERSION (see the recipe in journal.rs)"
    );
}

#[test]
fn what_a_later_version_wrote_is_read_as_far_as_it_is_known() {
    let memory = from_text(FUTURE);
    let versions = memory.words()[1].load(Ordering::Relaxed);

    let (mut journal, known) = open(Arc::clone(&memory));

    assert_eq!(known.flaws, Flaws { unknown: 4, ..Flaws::default() });
    let mut state = (known.table, known.surroundings);
    assert_eq!(state, the_state(VERSION));
    assert_eq!(memory.words()[1].load(Ordering::Relaxed), versions, "it stays a later one");

    // This version goes on with it.
    journal.replace(&state.0, &state.1).unwrap();
    assert!(journal.append(&Entry::Greeted(99)));
    apply(&mut state, &[Entry::Greeted(99)]);
    let (_, known) = open(memory);
    assert_eq!((known.table, known.surroundings), state);
    assert_eq!(known.flaws, Flaws::default());
}

#[test]
fn what_only_later_versions_can_read_is_refused_with_both_numbers() {
    let memory = of_this_version();
    let areas = layout::open(&memory).unwrap();
    let [one, other] = &areas.regions;
    let all = [&areas.births, &areas.pump, &areas.intake, one, other];
    layout::write(&memory, &all, (VERSION + 4, VERSION + 1));

    let error = Journal::open(memory).unwrap_err();

    let expected = format!(
        "the journal is of version {} and can be read from version {} on; this program has \
         version {VERSION}",
        VERSION + 4,
        VERSION + 1
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_damaged_header_is_an_error_that_says_what_it_is() {
    let table = "the journal's table of areas cannot be read";
    let version = "the version of the journal cannot be read";
    for (word, expected) in [(0, "this is not a journal"), (1, version), (3, table), (6, table)] {
        let memory = of_this_version();
        memory.words()[word].fetch_xor(1 << 3, Ordering::Relaxed);

        let error = Journal::open(memory).unwrap_err();

        assert_eq!(error.to_string(), expected, "word {word}");
    }
}

#[test]
fn a_journal_whose_end_is_missing_is_refused() {
    let whole = of_this_version();
    let file = SharedMemory::anonymous("journal").unwrap();
    let cut = Arc::new(SharedMemory::map(file, 1000).unwrap());
    for (to, from) in cut.words().iter().zip(whole.words()) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    let error = Journal::open(cut).unwrap_err();

    assert_eq!(error.to_string(), "area 1 of the journal has no room");
}

#[test]
#[ignore = "writes the sample of a new version"]
fn write_the_sample_of_this_version() {
    let path = format!("{SAMPLES}/version-{VERSION}");
    fs::write(path, to_text(&of_this_version())).unwrap();
}

#[test]
#[ignore = "writes the sample of a version to come"]
fn write_the_sample_from_the_future() {
    fs::write(format!("{SAMPLES}/from-the-future"), to_text(&from_the_future())).unwrap();
}

#[test]
#[ignore = "writes the inputs that the fuzz target `journal` begins with"]
fn write_the_seeds() {
    for (name, sample) in [("sample", FORMER.last().unwrap().1), ("future", FUTURE)] {
        let mut seed = Vec::new();
        let read = |entry: &[u8]| {
            seed.extend_from_slice(&u16::try_from(entry.len()).unwrap().to_le_bytes());
            seed.extend_from_slice(entry);
        };
        Regions::open(from_text(sample), read).unwrap();
        fs::write(format!("{SEEDS}/{name}"), seed).unwrap();
    }
}

fn open(memory: Arc<SharedMemory>) -> (Journal, Memory) {
    Journal::open(memory).unwrap()
}

/// What this version writes.
fn of_this_version() -> Arc<SharedMemory> {
    let memory = memory();
    let (before, after) = the_sample(VERSION);
    let mut journal = Journal::create(Arc::clone(&memory), Configuration::default()).unwrap();
    write(&mut journal, &before, &after);
    memory
}

fn write(journal: &mut Journal, before: &[Entry], after: &[Entry]) {
    let (table, surroundings) = known_after(before);
    journal.replace(&table, &surroundings).unwrap();
    let (one_by_one, together) = after.split_at(after.len() / 2);
    for entry in one_by_one {
        assert!(journal.append(entry));
    }
    let mut several = journal.begin();
    together.iter().for_each(|entry| several.add(entry));
    assert!(several.append());
}

/// What a later version might write: each structure has more fields, areas have other
/// sizes, there is one more, and there are entries of which nothing is known.
fn from_the_future() -> Arc<SharedMemory> {
    let areas = Areas::of_sizes(100, [BIRTH_WORDS + 30, 1 << 12, INTAKE_WORDS + 100, 1 << 17]);
    let last = areas.regions[1].end;
    let file = SharedMemory::anonymous("journal").unwrap();
    let memory = Arc::new(SharedMemory::map(file, last + 50).unwrap());
    let [one, other] = &areas.regions;
    let all = [&areas.births, &areas.pump, &areas.intake, one, other, &(last..last + 50)];
    layout::write(&memory, &all, (VERSION + 4, LEAST));
    let mut encoder = Encoder::default();
    encoder.surplus = &[0xee, 7, 0xee];
    let regions = Regions::empty(Arc::clone(&memory), areas);
    let mut journal = Journal { regions, encoder, is_full: false };
    let (before, after) = the_sample(VERSION);
    write(&mut journal, &before, &after[..after.len() - 1]);
    // A kind of entry, of a record and of a deed that nobody knows.
    for unknown in [&[200_u8, 1, 2, 3][..], &[1, 99, 0], &[7, 99, 0]] {
        journal.regions.append(unknown).unwrap();
    }
    let mut encoder = Encoder::default();
    encoder.byte(SEVERAL);
    encoder.frame(|to| to.byte(201));
    encoder.frame(|to| entries::write_entry(to, &after[after.len() - 1]));
    journal.regions.append(encoder.bytes()).unwrap();
    memory
}

/// A journal as text: how many words it has, and those that are not zero.
fn to_text(memory: &SharedMemory) -> String {
    let words = memory.words();
    let mut text = format!("words {}\n", words.len());
    for (place, word) in words.iter().enumerate() {
        let word = word.load(Ordering::Relaxed);
        if word != 0 {
            writeln!(text, "{place} {word:016x}").unwrap();
        }
    }
    text
}

fn from_text(text: &str) -> Arc<SharedMemory> {
    let mut lines = text.lines();
    let words = lines.next().unwrap().strip_prefix("words ").unwrap().parse().unwrap();
    let file = SharedMemory::anonymous("journal").unwrap();
    let memory = SharedMemory::map(file, words).unwrap();
    for line in lines {
        let (place, word) = line.split_once(' ').unwrap();
        let word = u64::from_str_radix(word, 16).unwrap();
        memory.words()[place.parse::<usize>().unwrap()].store(word, Ordering::Relaxed);
    }
    Arc::new(memory)
}

/// What every sample means.
fn the_state(version: u16) -> State {
    let (before, after) = the_sample(version);
    known_after(&[before, after].concat())
}

/// What happens before the snapshot of a sample and behind it. It has every kind of entry
/// and every structure that the version knows, some in both.
fn the_sample(version: u16) -> (Vec<Entry>, Vec<Entry>) {
    let groups = [programs(), listeners(), server()];
    let loaded = Configuration { groups: groups.to_vec(), attachment: "{\"a\":1}".into() };
    let places = [vec![0, 1], vec![2], vec![3]];
    let added = groups.iter().zip(places).map(|(spec, places)| {
        let members = places.into_iter().map(ServiceId).collect();
        Entry::Table(Record::GroupAdded(Group { spec: Arc::clone(spec), members }))
    });
    let mut before = vec![Entry::Table(Record::Loaded(loaded.clone()))];
    before.extend(added);
    if version >= 6 {
        let (spec, members) = (brought::group(version), vec![ServiceId(5)]);
        before.push(Entry::Table(Record::GroupAdded(Group { spec, members })));
        before.extend(told("before"));
    }
    if version >= 7 {
        before.extend(promised("before", 100));
    }
    before.push(Entry::Table(Record::Mood(Mood::Running)));
    before.extend(
        conditions().into_iter().take(4).map(|record| Entry::Table(Record::Service(record))),
    );
    before.extend(surroundings(version, "before"));
    before.extend(decisions(version, 1));
    before.extend(audience().into_iter().map(Entry::Audience));

    let mut after: Vec<Entry> =
        conditions().into_iter().map(|record| Entry::Table(Record::Service(record))).collect();
    after.extend(surroundings(version, "after"));
    after.extend(decisions(version, 100));
    if version >= 6 {
        after.extend(told("after"));
    }
    after.extend(
        [
            Record::MembersJoined {
                group: "web".into(),
                services: vec![service("joined", &Arc::new(program()))],
                members: vec![ServiceId(4)],
            },
            Record::MemberLeft { group: "web".into(), service: ServiceId(1) },
            Record::GroupRemoved("fast".into()),
            Record::Replacement(Some(loaded)),
            Record::Mood(Mood::Restarting),
        ]
        .map(Entry::Table),
    );
    if version >= 7 {
        after.extend(promised("after", 200));
    }
    after.push(Entry::Audience(Deed::Offered(EventType::ALL[3], "said at last".into())));
    after.push(Entry::Reloading(1));
    (before, after)
}

/// Decisions of every kind, numbered from `first` on.
fn decisions(version: u16, first: u64) -> Vec<Entry> {
    let decisions = if version >= 6 { decided::sample(version) } else { Vec::new() };
    let numbered = (first..).zip(decisions);
    numbered.map(|(number, decision)| Entry::Decided(number, decision)).collect()
}

/// One service in every condition, one after the other.
fn conditions() -> Vec<ServiceRecord> {
    let states = [
        ServiceState::Starting { since: Instant(11), launch: Launch::Requested },
        ServiceState::Backoff { until: Instant(12) },
        ServiceState::Stopping { kill_at: Instant(13), order: Order::KillSent },
        ServiceState::Fatal,
        ServiceState::Starting { since: Instant(14), launch: Launch::Executed },
        ServiceState::Stopped,
        ServiceState::Exited,
        ServiceState::Unknown,
        ServiceState::Starting {
            since: Instant(15),
            launch: Launch::Cloned { report_at: Some(Instant(16)) },
        },
        ServiceState::Running,
    ];
    let exits = [
        None,
        Some(ExitStatus::Code(7)),
        Some(ExitStatus::Signal { signal: Signal::TERM, core: true }),
        Some(ExitStatus::Unknown),
    ];
    let failures = [
        Some(Failure::Spawn(SpawnError::NotFound)),
        Some(Failure::Spawn(SpawnError::Clone(11))),
        Some(Failure::BadExitCode(-3)),
        Some(Failure::ExitedTooQuickly),
        None,
    ];
    let numbered = (0_u32..).zip(states);
    let record = |(number, state): (u32, ServiceState)| {
        let index = number as usize;
        ServiceRecord {
            id: ServiceId(number % 4),
            role: [Role::Active, Role::Replica, Role::Candidate][index % 3],
            goal: if number.is_multiple_of(2) { Goal::Up } else { Goal::Down },
            state,
            generation: Generation(20 + number),
            pid: (number > 1).then_some(Pid(1000 + number)),
            failures: number,
            started: Some(WallTime(1_700_000_000 + i64::from(number))),
            stopped: (number > 2).then_some(WallTime(-1)),
            exit: exits[index % exits.len()],
            failure: failures[index % failures.len()],
            exit_sequence: ExitSequence(u64::from(number) << 33),
            stop_report_at: (number == 3).then_some(Instant(17)),
            vitals: None,
        }
    };
    numbered.map(record).collect()
}

/// What there is beside the table.
fn surroundings(version: u16, when: &str) -> Vec<Entry> {
    let text = |what: &str| Arc::from(format!("{what} {when}"));
    let (generation, pid, identity) = (Generation(23), Pid(1003), 1 << 40);
    let session = (version >= 6).then_some(1 << 30);
    let process = Process { generation, pid, identity, session };
    vec![
        Entry::AutoLog(ServiceId(1), 0, Some(text("/tmp/log"))),
        Entry::AutoLog(ServiceId(2), 1, None),
        Entry::Process(ServiceId(3), process),
        Entry::Greeted(when.len() as u64),
        Entry::Reloading(0),
        Entry::Socket(5, Some(text("unix:///tmp/socket"))),
        Entry::Socket(6, None),
        Entry::Cache(Change::Clear("other".into())),
        Entry::Cache(Change::Store("cache".into(), text("key"), "<value/>".into())),
        Entry::Cache(Change::Store("cache".into(), "gone".into(), "<value/>".into())),
        Entry::Cache(Change::Delete("cache".into(), "gone".into())),
    ]
}

fn copy(number: u32, name: &str) -> MemoryCopy {
    MemoryCopy { number, program: "/bin/cat".into(), name: name.into(), hash: [7; 32] }
}

/// What services tell of themselves, and what is known of them beside.
fn told(when: &str) -> Vec<Entry> {
    let told = |doing, main_pid| Told { status: when.into(), doing, main_pid };
    let (generation, session) = (Generation(2), None);
    let process = |pid, identity| Process { generation, pid: Pid(pid), identity, session };
    vec![
        Entry::Told(ServiceId(1), told(Some(Doing::Reloading), None)),
        Entry::Told(ServiceId(2), told(Some(Doing::Stopping), Some(1002))),
        Entry::Told(ServiceId(2), Told::default()),
        Entry::Told(ServiceId(3), told(None, Some(1003))),
        Entry::Check(ServiceId(2), Some(process(7, 77))),
        Entry::Check(ServiceId(1), Some(process(8, 78))),
        Entry::Check(ServiceId(1), None),
        Entry::Copy(ServiceId(2), Some(copy(3, when))),
        Entry::Copy(ServiceId(1), Some(copy(3, when))),
        Entry::Copy(ServiceId(3), Some(copy(4, when))),
        Entry::Copy(ServiceId(3), None),
    ]
}

/// Lines of every kind that are owed.
fn promised(name: &str, first: u64) -> Vec<Entry> {
    let (status, signal) =
        (ExitStatus::Code(3), ExitStatus::Signal { signal: Signal::KILL, core: false });
    let ends = [
        End::Exited { status, expected: true },
        End::Exited { status: signal, expected: false },
        End::Stopped { status, expected: true },
        End::Stopped { status: signal, expected: false },
        End::GaveUp,
    ];
    let promise = |(number, end)| Promise { number, at: 1 << 60, name: name.into(), end };
    (first..).zip(ends).map(|it| Entry::Owed(promise(it))).collect()
}

/// A pool with two listeners: one has rejected an event and one is being sent another.
fn audience() -> Vec<Deed> {
    let members = [(ServiceId(2), "ears"), (ServiceId(1), "more")];
    let (service, generation) = (ServiceId(2), Generation(1));
    let heard = |service, parts: &[(PartKind, &str)], place| {
        let key = StreamKey { service, generation, channel: Channel::Stdout };
        let tidings = Tidings {
            key,
            pid: 1002,
            chunks: false,
            capture_bytes_max: 50,
            group: "ears".to_owned(),
            process: "ears".to_owned(),
            parts: parts.iter().map(|(kind, text)| (*kind, text.as_bytes().to_vec())).collect(),
        };
        Deed::Heard { bytes: tidings.to_bytes(), place, at: Instant(50) }
    };
    let said = |text| [(PartKind::Said, text)];
    let mut deeds = vec![Deed::PoolAdded(PoolSpec {
        name: "ears".into(),
        wanted: EventTypes::named("EVENT"),
        buffer_size: 10,
        handler: ResultHandler::ALL[0],
        unit: LengthUnit::Characters,
        members: members.map(|(service, name)| (service, name.into())).to_vec(),
    })];
    for (service, _) in members {
        deeds.push(Deed::Process { service, generation, is_running: true });
        deeds.push(heard(service, &said("READY\n"), 20));
    }
    deeds.extend([
        Deed::Ticked(1_700_000_000),
        Deed::Offered(EventType::ALL[1], "one".into()),
        Deed::Offered(EventType::ALL[2], "two".into()),
        Deed::Assigned(service, generation, "supervisor".into()),
        Deed::Packing(service, generation, 40),
        Deed::Moving,
        Deed::Moved(40),
        Deed::Delivered(service, generation),
        heard(service, &said("RESULT 4\nFA"), 30),
        heard(ServiceId(3), &[(PartKind::Captured, "half of it")], 40),
        Deed::Assigned(ServiceId(1), generation, "supervisor".into()),
        Deed::Packing(ServiceId(1), generation, 30),
    ]);
    deeds
}

fn programs() -> Arc<GroupSpec> {
    let shared = Arc::new(program());
    let services = vec![service("web", &shared), service("worker", &shared)];
    let name = "web".into();
    Arc::new(GroupSpec {
        name,
        priority: -1,
        kind: GroupKind::Programs,
        origin: Origin::File,
        services,
    })
}

fn listeners() -> Arc<GroupSpec> {
    let listeners = ListenerSpec {
        events: vec!["EVENT".into(), "TICK_5".into()],
        buffer_size: 10,
        result_handler: "supervisor.dispatchers:default_handler".into(),
        event_length: EventLength::Bytes,
    };
    let program = ProgramSpec {
        restart: RestartPolicy {
            on: RestartOn::Always,
            start_retries: None,
            backoff: Backoff::Exponential {
                first: Duration::from_millis(100),
                max: Duration::from_secs(9),
            },
        },
        startsecs: Seconds(4),
        ..program()
    };
    let services = vec![service("ears", &Arc::new(program))];
    let kind = GroupKind::Listeners(listeners);
    Arc::new(GroupSpec { name: "ears".into(), priority: 5, kind, origin: Origin::File, services })
}

fn server() -> Arc<GroupSpec> {
    let address = SocketAddress::Tcp { host: "localhost".into(), port: 9000 };
    let socket = SocketSpec { address, backlog: Some(7), owner: None, mode: None };
    let program = ProgramSpec {
        restart: RestartPolicy {
            on: RestartOn::Never,
            start_retries: Some(-2),
            backoff: Backoff::Constant(Duration::from_secs(3)),
        },
        user: None,
        umask: None,
        strip_ansi: None,
        server_url: None,
        socket: None,
        ..program()
    };
    let services = vec![service("fast", &Arc::new(program))];
    let kind = GroupKind::FastCgi(socket);
    Arc::new(GroupSpec { name: "fast".into(), priority: 999, kind, origin: Origin::File, services })
}

fn service(name: &str, program: &Arc<ProgramSpec>) -> Arc<ServiceSpec> {
    let log = |target| LogSpec {
        target,
        bytes_max: 50 << 20,
        backups: 10,
        compress: false,
        capture_bytes_max: 1,
        events: true,
        syslog: false,
        prefix: "".into(),
    };
    Arc::new(ServiceSpec {
        program: Arc::clone(program),
        name: name.into(),
        command: format!("/usr/bin/{name} --serve").into(),
        directory: (name == "web").then(|| "/srv".into()),
        environment: Arc::from([("HOME".into(), "/srv".into()), ("NAME".into(), name.into())]),
        stdout: log(LogTarget::File(format!("/var/log/{name}").into())),
        stderr: log(if name == "web" { LogTarget::None } else { LogTarget::Auto }),
    })
}

fn program() -> ProgramSpec {
    let address = SocketAddress::Unix("/run/web".into());
    let socket =
        SocketSpec { address, backlog: None, owner: Some((1, Some(2))), mode: Some(0o700) };
    ProgramSpec {
        priority: 900,
        autostart: true,
        restart: RestartPolicy {
            on: RestartOn::Unexpected,
            start_retries: Some(3),
            backoff: Backoff::Linear { step: Duration::from_secs(1) },
        },
        exit_codes: vec![0, 2],
        startsecs: Seconds(1),
        stop: StopPolicy {
            signal: Signal::TERM,
            wait: Seconds(10),
            stop_reach: Reach::Group,
            kill_reach: Reach::Process,
        },
        user: Some(User { uid: 1000, gid: 1001, groups: vec![1001, 4] }),
        umask: Some(0o22),
        redirect_stderr: true,
        strip_ansi: Some(true),
        ignore_sigpipe: false,
        server_url: Some("http://localhost:9001".into()),
        socket: Some(Arc::new(socket)),
        care: None,
        ends_all: EndsAll::default(),
    }
}
