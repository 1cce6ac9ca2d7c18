//! Anything that can stand in a journal.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::group::Group;
use bardo_core::id::ExitSequence;
use bardo_core::input::Mood;
use bardo_core::record::{Record, ServiceRecord};
use bardo_core::service::{Failure, Goal, Launch, Order, Role, State};
use bardo_core::spec::{
    Backoff, EventLength, GroupKind, GroupSpec, Heartbeat, ListenerSpec, LogSpec, LogTarget,
    ProgramSpec, Reach, Readiness, RestartOn, RestartPolicy, Seconds, ServiceSpec, SocketAddress,
    SocketSpec, StopPolicy, User,
};
use bardo_core::time::{Instant, WallTime};
use bardo_core::{Configuration, ExitStatus, Generation, Pid, ServiceId, Signal, SpawnError};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::{Change, Entry, Process};

fn text() -> impl Strategy<Value = Arc<str>> {
    ".{0,6}".prop_map(Arc::from)
}

fn span() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn signal() -> impl Strategy<Value = Signal> {
    (1..=64_i64).prop_filter_map("a signal", Signal::from_number)
}

fn reach() -> impl Strategy<Value = Reach> {
    prop_oneof![Just(Reach::Process), Just(Reach::Group)]
}

fn log() -> impl Strategy<Value = LogSpec> {
    let target =
        prop_oneof![Just(LogTarget::None), Just(LogTarget::Auto), text().prop_map(LogTarget::File)];
    (target, any::<[i64; 3]>(), any::<[bool; 3]>()).prop_map(|(target, sizes, flags)| {
        let [bytes_max, backups, capture_bytes_max] = sizes;
        let [compress, events, syslog] = flags;
        LogSpec { target, bytes_max, backups, compress, capture_bytes_max, events, syslog }
    })
}

fn restart() -> impl Strategy<Value = RestartPolicy> {
    let on =
        prop_oneof![Just(RestartOn::Always), Just(RestartOn::Unexpected), Just(RestartOn::Never)];
    let backoff = prop_oneof![
        span().prop_map(|step| Backoff::Linear { step }),
        (span(), span()).prop_map(|(first, max)| Backoff::Exponential { first, max }),
        span().prop_map(Backoff::Constant),
    ];
    (on, option::of(any::<i64>()), backoff).prop_map(|(on, start_retries, backoff)| RestartPolicy {
        on,
        start_retries,
        backoff,
    })
}

fn program() -> BoxedStrategy<Arc<ProgramSpec>> {
    let readiness = prop_oneof![
        any::<i64>().prop_map(|span| Readiness::StaysUp(Seconds(span))),
        span().prop_map(Readiness::Notifies),
    ];
    let stop = (signal(), any::<i64>(), reach(), reach()).prop_map(
        |(signal, wait, stop_reach, kill_reach)| StopPolicy {
            signal,
            wait: Seconds(wait),
            stop_reach,
            kill_reach,
        },
    );
    let user = (any::<u32>(), any::<u32>(), vec(any::<u32>(), 0..3))
        .prop_map(|(uid, gid, groups)| User { uid, gid, groups });
    let start = (any::<i64>(), any::<bool>(), restart(), vec(any::<u8>(), 0..3), readiness);
    let rest = (
        option::of(span().prop_map(|period| Heartbeat { period })),
        stop,
        option::of(user),
        option::of(any::<u32>()),
        (any::<bool>(), any::<bool>()),
        option::of(any::<bool>()),
        option::of(text()),
        option::of(socket().prop_map(Arc::new)),
    );
    (start, rest)
        .prop_map(|(start, rest)| {
            let (priority, autostart, restart, exit_codes, readiness) = start;
            let (heartbeat, stop, user, umask, flags, strip_ansi, server_url, socket) = rest;
            let (redirect_stderr, ignore_sigpipe) = flags;
            Arc::new(ProgramSpec {
                priority,
                autostart,
                restart,
                exit_codes,
                readiness,
                heartbeat,
                stop,
                user,
                umask,
                redirect_stderr,
                strip_ansi,
                ignore_sigpipe,
                server_url,
                socket,
            })
        })
        .boxed()
}

/// Members of one program share its spec and its environment, as in life.
fn services() -> BoxedStrategy<Vec<Arc<ServiceSpec>>> {
    let environment = vec((text(), text()), 0..3).prop_map(Arc::from);
    let member = (text(), text(), option::of(text()), log(), log());
    (program(), environment, vec(member, 0..4))
        .prop_map(|(program, environment, members)| {
            let environment: Arc<[(Arc<str>, Arc<str>)]> = environment;
            let service = |(name, command, directory, stdout, stderr)| {
                Arc::new(ServiceSpec {
                    program: Arc::clone(&program),
                    name,
                    command,
                    directory,
                    environment: Arc::clone(&environment),
                    stdout,
                    stderr,
                })
            };
            members.into_iter().map(service).collect()
        })
        .boxed()
}

fn socket() -> impl Strategy<Value = SocketSpec> {
    let address = prop_oneof![
        text().prop_map(SocketAddress::Unix),
        (text(), any::<u16>()).prop_map(|(host, port)| SocketAddress::Tcp { host, port }),
    ];
    let owner = option::of((any::<u32>(), option::of(any::<u32>())));
    (address, option::of(any::<u32>()), owner, option::of(any::<u32>()))
        .prop_map(|(address, backlog, owner, mode)| SocketSpec { address, backlog, owner, mode })
}

fn group_spec() -> BoxedStrategy<Arc<GroupSpec>> {
    let event_length = prop_oneof![Just(EventLength::Characters), Just(EventLength::Bytes)];
    let listeners = (vec(text(), 0..3), any::<u32>(), text(), event_length).prop_map(
        |(events, buffer_size, result_handler, event_length)| ListenerSpec {
            events,
            buffer_size,
            result_handler,
            event_length,
        },
    );
    let kind = prop_oneof![
        Just(GroupKind::Programs),
        listeners.prop_map(GroupKind::Listeners),
        socket().prop_map(GroupKind::FastCgi),
    ];
    (text(), any::<i64>(), kind, services())
        .prop_map(|(name, priority, kind, services)| {
            Arc::new(GroupSpec { name, priority, kind, services })
        })
        .boxed()
}

fn configuration() -> BoxedStrategy<Configuration> {
    (vec(group_spec(), 0..3), text())
        .prop_map(|(groups, attachment)| Configuration { groups, attachment })
        .boxed()
}

fn state() -> impl Strategy<Value = State> {
    let moment = || any::<u64>().prop_map(Instant);
    let launch = prop_oneof![
        Just(Launch::Requested),
        option::of(moment()).prop_map(|report_at| Launch::Cloned { report_at }),
        Just(Launch::Executed),
    ];
    let order = prop_oneof![
        Just(Order::Stop),
        Just(Order::StopSent),
        Just(Order::Kill),
        Just(Order::KillSent)
    ];
    prop_oneof![
        Just(State::Stopped),
        (moment(), launch).prop_map(|(since, launch)| State::Starting { since, launch }),
        Just(State::Running),
        moment().prop_map(|until| State::Backoff { until }),
        (moment(), order).prop_map(|(kill_at, order)| State::Stopping { kill_at, order }),
        Just(State::Exited),
        Just(State::Fatal),
        Just(State::Unknown),
    ]
}

fn exit() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        any::<u8>().prop_map(ExitStatus::Code),
        (signal(), any::<bool>()).prop_map(|(signal, core)| ExitStatus::Signal { signal, core }),
        Just(ExitStatus::Unknown),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    let spawn = prop_oneof![
        Just(SpawnError::NoClosingQuotation),
        Just(SpawnError::NoEscapedCharacter),
        Just(SpawnError::Empty),
        Just(SpawnError::NotFound),
        Just(SpawnError::IsDirectory),
        Just(SpawnError::NotExecutable),
        Just(SpawnError::NotPermitted),
        any::<i32>().prop_map(SpawnError::Pipes),
        any::<i32>().prop_map(SpawnError::Clone),
        any::<i32>().prop_map(SpawnError::Socket),
    ];
    prop_oneof![
        spawn.prop_map(Failure::Spawn),
        Just(Failure::ExitedTooQuickly),
        any::<i32>().prop_map(Failure::BadExitCode),
    ]
}

/// A service at one of a few places, so that records meet each other.
fn id() -> impl Strategy<Value = ServiceId> {
    (0..6_u32).prop_map(ServiceId)
}

fn service() -> impl Strategy<Value = ServiceRecord> {
    let role = prop_oneof![Just(Role::Active), Just(Role::Replica), Just(Role::Candidate)];
    let goal = prop_oneof![Just(Goal::Up), Just(Goal::Down)];
    let wall = || option::of(any::<i64>().prop_map(WallTime));
    let what = (id(), role, goal, state(), any::<u32>(), option::of(any::<u32>()), any::<u32>());
    let past = (wall(), wall(), option::of(exit()), option::of(failure()));
    (what, past, any::<u64>(), option::of(any::<u64>())).prop_map(
        |(what, past, exit_sequence, stop_report_at)| {
            let (id, role, goal, state, generation, pid, failures) = what;
            let (started, stopped, exit, failure) = past;
            ServiceRecord {
                id,
                role,
                goal,
                state,
                generation: Generation(generation),
                pid: pid.map(Pid),
                failures,
                started,
                stopped,
                exit,
                failure,
                exit_sequence: ExitSequence(exit_sequence),
                stop_report_at: stop_report_at.map(Instant),
            }
        },
    )
}

/// A group and places for its members.
pub(super) fn group() -> impl Strategy<Value = Group> {
    (group_spec(), 0..6_u32).prop_map(|(spec, first)| {
        let members = (first..).map(ServiceId).take(spec.services.len()).collect();
        Group { spec, members }
    })
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![Just(Mood::Running), Just(Mood::Restarting), Just(Mood::Shutdown)]
}

/// Any change of the table. The long strategies are boxed: they would lie on the stack
/// of whoever draws from them.
pub(super) fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        configuration().prop_map(Record::Loaded).boxed(),
        group().prop_map(Record::GroupAdded).boxed(),
        text().prop_map(Record::GroupRemoved),
        group()
            .prop_map(|Group { spec, members }| Record::MembersJoined {
                group: Arc::clone(&spec.name),
                services: spec.services.clone(),
                members,
            })
            .boxed(),
        (text(), id()).prop_map(|(group, service)| Record::MemberLeft { group, service }),
        service().prop_map(Record::Service),
        mood().prop_map(Record::Mood),
        option::of(configuration()).prop_map(Record::Replacement).boxed(),
    ]
}

/// Few names, so that what is stored is also replaced and deleted.
fn name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![Just(Arc::from("a")), Just(Arc::from("b")), Just(Arc::from("ab"))]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (name(), name(), text()).prop_map(|(interface, key, value)| {
            Change::Store(interface, key, value)
        }),
        1 => (name(), name()).prop_map(|(interface, key)| Change::Delete(interface, key)),
        1 => name().prop_map(Change::Clear),
        1 => Just(Change::ClearAll),
    ]
}

/// Anything that is written down.
pub(super) fn entry() -> impl Strategy<Value = Entry> {
    let process =
        (any::<u32>(), any::<u32>(), any::<u64>()).prop_map(|(generation, pid, identity)| {
            Process { generation: Generation(generation), pid: Pid(pid), identity }
        });
    prop_oneof![
        6 => record().prop_map(Entry::Table).boxed(),
        1 => (id(), 0..2_u8, option::of(text()))
            .prop_map(|(service, channel, path)| Entry::AutoLog(service, channel, path)),
        1 => (id(), process).prop_map(|(service, process)| Entry::Process(service, process)),
        1 => any::<u64>().prop_map(Entry::Greeted),
        1 => any::<u8>().prop_map(Entry::Reloading),
        1 => (0..3_u32, option::of(text())).prop_map(|(number, url)| Entry::Socket(number, url)),
        3 => change().prop_map(Entry::Cache),
        9 => super::deeds::deed().prop_map(Entry::Audience),
    ]
}
