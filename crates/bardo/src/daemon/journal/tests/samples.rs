//! Anything that can stand in a journal.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::decision::Reason;
use bardo_core::group::Group;
use bardo_core::id::ExitSequence;
use bardo_core::input::Mood;
use bardo_core::record::{Record, ServiceRecord};
use bardo_core::service::{
    Checking, Failure, Goal, Inquiry, Launch, Life, Order, Role, ScriptRun, State, Vitals,
};
use bardo_core::spec::care::{
    Check, Condition, Confinement, Copying, Delay, Dependency, EarlyDeath, Health, Heartbeat,
    Initialisation, Ready, Recovery, Reset, Scheduler, Script,
};
use bardo_core::spec::{
    Backoff, Care, EndsAll, EventLength, GroupKind, GroupSpec, ListenerSpec, LogSpec, LogTarget,
    Origin, ProgramSpec, Reach, RestartOn, RestartPolicy, Seconds, ServiceSpec, SocketAddress,
    SocketSpec, StopPolicy, User,
};
use bardo_core::time::{Instant, WallTime};
use bardo_core::{
    Configuration, ExitStatus, Generation, Pid, Preparation, ServiceId, Signal, SpawnError,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::{Change, Entry, Process};
use crate::daemon::channels::{Doing, Told};
use crate::daemon::images::MemoryCopy;
use crate::daemon::owed::{End, Promise};

pub(super) fn text() -> impl Strategy<Value = Arc<str>> {
    ".{0,6}".prop_map(Arc::from)
}

fn span() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn signal() -> impl Strategy<Value = Signal> {
    (1..=64_i64).prop_filter_map("a signal", Signal::from_number)
}

fn reach() -> impl Strategy<Value = Reach> {
    prop_oneof![Just(Reach::Process), Just(Reach::Group), Just(Reach::Tree)]
}

fn log() -> impl Strategy<Value = LogSpec> {
    let target =
        prop_oneof![Just(LogTarget::None), Just(LogTarget::Auto), text().prop_map(LogTarget::File)];
    let parts = (target, any::<[i64; 3]>(), any::<[bool; 3]>(), text());
    parts.prop_map(|(target, sizes, flags, prefix)| {
        let [bytes_max, backups, capture_bytes_max] = sizes;
        let [compress, events, syslog] = flags;
        LogSpec { target, bytes_max, backups, compress, capture_bytes_max, events, syslog, prefix }
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
    let start = (any::<i64>(), any::<bool>(), restart(), vec(any::<u8>(), 0..3), any::<i64>());
    let rest = (
        stop,
        option::of(user),
        option::of(any::<u32>()),
        (any::<bool>(), any::<bool>()),
        option::of(any::<bool>()),
        option::of(text()),
        (option::of(socket().prop_map(Arc::new)), option::of(care()), ends_all()),
    );
    (start, rest)
        .prop_map(|(start, rest)| {
            let (priority, autostart, restart, exit_codes, startsecs) = start;
            let (stop, user, umask, flags, strip_ansi, server_url, last) = rest;
            let (socket, care, ends_all) = last;
            let (redirect_stderr, ignore_sigpipe) = flags;
            Arc::new(ProgramSpec {
                priority,
                autostart,
                restart,
                exit_codes,
                startsecs: Seconds(startsecs),
                stop,
                user,
                umask,
                redirect_stderr,
                strip_ansi,
                ignore_sigpipe,
                server_url,
                socket,
                care,
                ends_all,
            })
        })
        .boxed()
}

fn ends_all() -> impl Strategy<Value = EndsAll> {
    prop_oneof![Just(EndsAll::Never), Just(EndsAll::Fatal), Just(EndsAll::Down)]
}

fn check() -> impl Strategy<Value = Check> {
    prop_oneof![
        text().prop_map(Check::Command),
        text().prop_map(Check::Http),
        text().prop_map(Check::Connect),
        Just(Check::Listening),
    ]
}

fn recovery() -> impl Strategy<Value = Recovery> {
    let delay = prop_oneof![
        span().prop_map(|max| Delay::Binary { max }),
        span().prop_map(Delay::Constant),
    ];
    let reset = prop_oneof![Just(Reset::Never), span().prop_map(Reset::Healthy)];
    let early_death = prop_oneof![Just(EarlyDeath::Down), Just(EarlyDeath::Retry)];
    (option::of(delay), reset, early_death, any::<u32>()).prop_map(
        |(delay, reset, early_death, restarts)| Recovery { delay, reset, early_death, restarts },
    )
}

fn readiness() -> impl Strategy<Value = Initialisation> {
    let by = prop_oneof![
        Just(Ready::Auto),
        option::of(any::<u32>()).prop_map(|descriptor| Ready::Says { descriptor }),
        Just(Ready::Alive),
        check().prop_map(Ready::Checks),
    ];
    (by, span()).prop_map(|(by, within)| Initialisation { by, within })
}

fn dependency() -> impl Strategy<Value = Dependency> {
    let condition = prop_oneof![Just(Condition::Started), Just(Condition::Ready)];
    (text(), text(), condition).prop_map(|(group, name, condition)| Dependency {
        group,
        name,
        condition,
    })
}

fn confinement() -> BoxedStrategy<Arc<Confinement>> {
    let scheduler = prop_oneof![
        Just(Scheduler::Other),
        Just(Scheduler::Batch),
        Just(Scheduler::Idle),
        any::<u32>().prop_map(Scheduler::Fifo),
        any::<u32>().prop_map(Scheduler::RoundRobin),
        (span(), span(), span()).prop_map(|(runtime, deadline, period)| {
            Scheduler::Deadline { runtime, deadline, period }
        }),
    ];
    let times = (
        option::of(any::<i32>()),
        option::of(span()),
        option::of(vec(any::<u32>(), 0..3)),
        option::of(scheduler),
    );
    let shares = (option::of(any::<u32>()), option::of(any::<u32>()), any::<bool>());
    let lists = (vec(text(), 0..3), vec(text(), 0..3), option::of(text()), vec(text(), 0..3));
    (times, any::<[Option<u64>; 6]>(), shares, lists)
        .prop_map(|(times, sizes, shares, lists)| {
            let (nice, slice, cpus, scheduler) = times;
            let [memory_max, memory_high, swap_max, pids_max, descriptors_max, core_max] = sizes;
            let (cpu_max, io_weight, gives_up_privileges) = shares;
            let (control, controlled_by, kind, unenforced) = lists;
            Arc::new(Confinement {
                nice,
                slice,
                cpus,
                scheduler,
                memory_max,
                memory_high,
                swap_max,
                pids_max,
                cpu_max,
                io_weight,
                descriptors_max,
                core_max,
                gives_up_privileges,
                control,
                controlled_by,
                kind,
                unenforced,
            })
        })
        .boxed()
}

fn care() -> BoxedStrategy<Arc<Care>> {
    let health =
        (check(), span(), span(), any::<u32>()).prop_map(|(check, interval, timeout, retries)| {
            Health { check, interval, timeout, retries }
        });
    let script = (option::of(text()), option::of(span()))
        .prop_map(|(path, timeout)| Script { path, timeout });
    let copy = prop_oneof![Just(Copying::No), Just(Copying::Own), Just(Copying::Shared)];
    let heartbeat = option::of(span().prop_map(|period| Heartbeat { period }));
    let watched = (recovery(), readiness(), heartbeat, option::of(health), option::of(script));
    let rest = (any::<bool>(), copy, vec(dependency(), 0..3), confinement());
    let names = (text(), option::of(any::<u64>()), option::of(text()), text());
    (watched, rest, names)
        .prop_map(|(watched, rest, names)| {
            let (recovery, readiness, heartbeat, health, script) = watched;
            let (critical, copy, depends_on, confinement) = rest;
            let (program_name, device, environment_file, description) = names;
            Arc::new(Care {
                recovery,
                readiness,
                heartbeat,
                health,
                script,
                critical,
                copy,
                depends_on,
                confinement,
                program_name,
                device,
                environment_file,
                description,
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
    let origin = prop_oneof![Just(Origin::File), Just(Origin::Brought)];
    (text(), any::<i64>(), kind, origin, services())
        .prop_map(|(name, priority, kind, origin, services)| {
            Arc::new(GroupSpec { name, priority, kind, origin, services })
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
        Just(Launch::Held),
    ];
    let inquiry = prop_oneof![
        Just(Inquiry::Waits),
        Just(Inquiry::Overdue),
        Just(Inquiry::Asked),
        option::of(moment()).prop_map(|warn_at| Inquiry::Silent { warn_at }),
    ];
    let order = prop_oneof![
        Just(Order::Stop),
        Just(Order::StopSent),
        Just(Order::Kill),
        Just(Order::KillSent),
        Just(Order::Held),
    ];
    prop_oneof![
        Just(State::Stopped),
        (moment(), launch).prop_map(|(since, launch)| State::Starting { since, launch }),
        Just(State::Running),
        moment().prop_map(|until| State::Backoff { until }),
        (moment(), order).prop_map(|(kill_at, order)| State::Stopping { kill_at, order }),
        (moment(), inquiry).prop_map(|(since, inquiry)| State::Recovering { since, inquiry }),
        Just(State::Exited),
        Just(State::Fatal),
        Just(State::Unknown),
    ]
}

pub(super) fn exit() -> impl Strategy<Value = ExitStatus> {
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
        any::<i32>().prop_map(SpawnError::Exec),
        any::<i32>().prop_map(SpawnError::Variables),
        (prop::sample::select(Preparation::ALL.to_vec()), any::<i32>())
            .prop_map(|(what, errno)| SpawnError::Prepare(what, errno)),
    ];
    prop_oneof![
        spawn.prop_map(Failure::Spawn),
        Just(Failure::ExitedTooQuickly),
        any::<i32>().prop_map(Failure::BadExitCode),
        reason().prop_map(Failure::Condemned),
    ]
}

fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![
        Just(Reason::Terminated),
        Just(Reason::NoHeartbeat),
        Just(Reason::Restart),
        Just(Reason::Health),
        Just(Reason::OutOfMemory),
        Just(Reason::InitTimeout),
        any::<i32>().prop_map(Reason::InitFailed),
        Just(Reason::CannotResume),
    ]
}

fn vitals() -> BoxedStrategy<Vitals> {
    let moment = || any::<u64>().prop_map(Instant);
    let script = prop_oneof![
        Just(ScriptRun::Idle),
        any::<u32>().prop_map(ScriptRun::Requested),
        any::<(u32, u32)>().prop_map(|(number, pid)| ScriptRun::Running(number, Pid(pid))),
    ];
    let check = prop_oneof![
        Just(Checking::Idle),
        moment().prop_map(Checking::Due),
        moment().prop_map(Checking::Asked),
    ];
    let moments = [(); 7].map(|()| option::of(moment()));
    let life =
        (any::<bool>(), moments, option::of(span()), check, any::<u32>(), option::of(reason()))
            .prop_map(|(spoke, moments, period, check, unhealthy, verdict)| {
                let [ready_by, ready_at, alive_at, ping_at, hung_at, begun, stop_by] = moments;
                Life {
                    spoke,
                    ready_by,
                    ready_at,
                    alive_at,
                    period,
                    ping_at,
                    hung_at,
                    check,
                    unhealthy,
                    verdict,
                    begun,
                    stop_by,
                }
            });
    let former = option::of(any::<u32>().prop_map(Generation));
    let counters = (any::<[u32; 4]>(), any::<[bool; 4]>());
    (counters, span(), option::of(reason()), (script, former), life)
        .prop_map(|((counters, flags), waited, asks, (script, former), life)| {
            let [restarts, crashes, checks, pings] = counters;
            let [recovers, refreshing, renews, ends_script] = flags;
            Vitals {
                restarts,
                crashes,
                waited,
                recovers,
                asks,
                refreshing,
                script,
                ends_script,
                former,
                checks,
                pings,
                life,
                renews,
            }
        })
        .boxed()
}

/// A service at one of a few places, so that records meet each other.
pub(super) fn id() -> impl Strategy<Value = ServiceId> {
    (0..6_u32).prop_map(ServiceId)
}

fn service() -> impl Strategy<Value = ServiceRecord> {
    let role = prop_oneof![Just(Role::Active), Just(Role::Replica), Just(Role::Candidate)];
    let goal = prop_oneof![Just(Goal::Up), Just(Goal::Down), Just(Goal::Gone)];
    let wall = || option::of(any::<i64>().prop_map(WallTime));
    let what = (id(), role, goal, state(), any::<u32>(), option::of(any::<u32>()), any::<u32>());
    let past = (wall(), wall(), option::of(exit()), option::of(failure()));
    (what, past, any::<u64>(), option::of(any::<u64>()), option::of(vitals())).prop_map(
        |(what, past, exit_sequence, stop_report_at, vitals)| {
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
                vitals,
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
    prop_oneof![
        Just(Mood::Running),
        Just(Mood::Restarting),
        Just(Mood::Shutdown),
        Just(Mood::Resting)
    ]
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
        any::<u8>().prop_map(Record::Ends),
        (id(), services())
            .prop_filter_map("a service", |(service, specs)| {
                let spec = specs.into_iter().next()?;
                Some(Record::Edited { service, spec })
            })
            .boxed(),
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

fn copy() -> impl Strategy<Value = MemoryCopy> {
    (0..3_u32, text(), name(), any::<[u8; 32]>())
        .prop_map(|(number, program, name, hash)| MemoryCopy { number, program, name, hash })
}

fn told() -> impl Strategy<Value = Told> {
    let doing = option::of(prop_oneof![Just(Doing::Reloading), Just(Doing::Stopping)]);
    (name(), doing, option::of(1..9_u32)).prop_map(|(status, doing, main_pid)| Told {
        status: (*status).into(),
        doing,
        main_pid,
    })
}

fn process() -> impl Strategy<Value = Process> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u64>(), option::of(any::<u64>()));
    numbers.prop_map(|(generation, pid, identity, session)| Process {
        generation: Generation(generation),
        pid: Pid(pid),
        identity,
        session,
    })
}

fn promise() -> impl Strategy<Value = Promise> {
    let ended = || (exit(), any::<bool>());
    let end = prop_oneof![
        ended().prop_map(|(status, expected)| End::Exited { status, expected }),
        ended().prop_map(|(status, expected)| End::Stopped { status, expected }),
        Just(End::GaveUp),
    ];
    (any::<u64>(), any::<i64>(), text(), end).prop_map(|(number, at, name, end)| Promise {
        number,
        at,
        name,
        end,
    })
}

/// Anything that is written down.
pub(super) fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        6 => record().prop_map(Entry::Table).boxed(),
        1 => (id(), 0..2_u8, option::of(text()))
            .prop_map(|(service, channel, path)| Entry::AutoLog(service, channel, path)),
        1 => (id(), process()).prop_map(|(service, process)| Entry::Process(service, process)),
        1 => any::<u64>().prop_map(Entry::Greeted),
        1 => any::<u8>().prop_map(Entry::Reloading),
        1 => any::<u8>().prop_map(Entry::EndsWith),
        1 => (0..3_u32, option::of(text())).prop_map(|(number, url)| Entry::Socket(number, url)),
        3 => change().prop_map(Entry::Cache),
        2 => (id(), told()).prop_map(|(service, told)| Entry::Told(service, told)),
        2 => (id(), option::of(process())).prop_map(|(service, it)| Entry::Check(service, it)),
        2 => (id(), option::of(copy())).prop_map(|(service, it)| Entry::Copy(service, it)),
        3 => promise().prop_map(Entry::Owed),
        9 => super::deeds::deed().prop_map(Entry::Audience),
        3 => super::decided::decision()
            .prop_map(|(number, decision)| Entry::Decided(number, decision)),
    ]
}
