//! Changes of the table to bytes and back.

use bardo_core::group::Group;
use bardo_core::id::ExitSequence;
use bardo_core::input::Mood;
use bardo_core::record::{Place, Record, ServiceRecord, Snapshot};
use bardo_core::service::{Failure, Goal, Inquiry, Launch, Order, Role, State};
use bardo_core::time::{Instant, WallTime};
use bardo_core::{ExitStatus, Generation, Pid, Preparation, Signal, SpawnError};

use super::codec::Unreadable::{self, Malformed, Unknown};
use super::codec::{Decoder, Encoder};
use super::specs::{
    read_configuration, read_group, read_service as read_service_spec, read_text,
    write_configuration, write_group, write_service as write_service_spec, write_text,
};
use super::vitals::{read_reason, read_vitals, write_reason, write_vitals};

type Read<T> = Result<T, Unreadable>;

pub(super) fn write_record(to: &mut Encoder, record: &Record) {
    match record {
        Record::Loaded(configuration) => {
            to.byte(0);
            write_configuration(to, configuration);
        }
        Record::GroupAdded(group) => {
            to.byte(1);
            write_member_group(to, group);
        }
        Record::GroupRemoved(name) => {
            to.byte(2);
            write_text(to, name);
        }
        Record::Service(service) => {
            to.byte(3);
            write_service(to, service);
            to.option(service.vitals.as_ref(), write_vitals);
        }
        Record::Mood(mood) => {
            to.byte(4);
            write_mood(to, *mood);
        }
        Record::Replacement(configuration) => {
            to.byte(5);
            to.option(configuration.as_ref(), write_configuration);
        }
        Record::MembersJoined { group, services, members } => {
            to.byte(6);
            write_text(to, group);
            to.list(services, write_service_spec);
            to.list(members, |to, member| to.u32(member.0));
        }
        Record::MemberLeft { group, service } => {
            to.byte(7);
            write_text(to, group);
            to.u32(service.0);
        }
        Record::Edited { service, spec } => {
            to.byte(8);
            to.u32(service.0);
            write_service_spec(to, spec);
        }
        Record::Ends(exit_code) => {
            to.byte(9);
            to.byte(*exit_code);
        }
    }
}

pub(super) fn read_record(from: &mut Decoder<'_>) -> Read<Record> {
    Ok(match from.byte()? {
        0 => Record::Loaded(read_configuration(from)?),
        1 => Record::GroupAdded(read_member_group(from)?),
        2 => Record::GroupRemoved(read_text(from)?),
        3 => {
            let mut service = read_service(from)?;
            if !from.is_at_end() {
                service.vitals = from.option(read_vitals)?;
            }
            Record::Service(service)
        }
        4 => Record::Mood(read_mood(from)?),
        5 => Record::Replacement(from.option(read_configuration)?),
        6 => {
            let (group, services) = (read_text(from)?, from.list(read_service_spec)?);
            let members = from.list(Decoder::service)?;
            if members.len() != services.len() {
                return Err(Malformed);
            }
            Record::MembersJoined { group, services, members }
        }
        7 => Record::MemberLeft { group: read_text(from)?, service: from.service()? },
        8 => Record::Edited { service: from.service()?, spec: read_service_spec(from)? },
        9 => Record::Ends(from.byte()?),
        _ => return Err(Unknown),
    })
}

pub(super) fn write_snapshot(to: &mut Encoder, snapshot: &Snapshot) {
    to.frame(|to| {
        write_configuration(to, &snapshot.loaded);
        to.list(&snapshot.groups, write_member_group);
        to.list(&snapshot.places, write_place);
        to.option(snapshot.mood, write_mood);
        to.option(snapshot.replacement.as_ref(), write_configuration);
        let vitals: Vec<_> = (0..)
            .zip(&snapshot.places)
            .filter_map(|(place, there)| Some((place, there.service.as_ref()?.vitals.as_ref()?)))
            .collect();
        to.list(&vitals, |to, (place, vitals)| {
            to.u32(*place);
            write_vitals(to, vitals);
        });
        to.byte(snapshot.exit_code);
    });
}

pub(super) fn read_snapshot(from: &mut Decoder<'_>) -> Read<Snapshot> {
    from.frame(|from| {
        let mut snapshot = Snapshot {
            loaded: read_configuration(from)?,
            groups: from.list(read_member_group)?,
            places: from.list(read_place)?,
            mood: from.option(read_mood)?,
            replacement: from.option(read_configuration)?,
            exit_code: 0,
        };
        if !from.is_at_end() {
            for (place, vitals) in from.list(|from| Ok((from.u32()?, read_vitals(from)?)))? {
                let there = snapshot.places.get_mut(place as usize);
                let service = there.and_then(|place| place.service.as_mut()).ok_or(Malformed)?;
                service.vitals = Some(vitals);
            }
        }
        if !from.is_at_end() {
            snapshot.exit_code = from.byte()?;
        }
        Ok(snapshot)
    })
}

fn write_member_group(to: &mut Encoder, group: &Group) {
    to.frame(|to| {
        write_group(to, &group.spec);
        to.list(&group.members, |to, member| to.u32(member.0));
    });
}

fn read_member_group(from: &mut Decoder<'_>) -> Read<Group> {
    from.frame(|from| {
        let spec = read_group(from)?;
        let members = from.list(Decoder::service)?;
        if members.len() != spec.services.len() {
            return Err(Malformed);
        }
        Ok(Group { spec, members })
    })
}

fn write_place(to: &mut Encoder, place: &Place) {
    to.small(|to| {
        to.u32(place.generation.0);
        to.option(place.service.as_ref(), write_service);
    });
}

fn read_place(from: &mut Decoder<'_>) -> Read<Place> {
    from.small(|from| {
        let generation = Generation(from.u32()?);
        Ok(Place { generation, service: from.option(read_service)? })
    })
}

fn write_mood(to: &mut Encoder, mood: Mood) {
    to.byte(match mood {
        Mood::Running => 0,
        Mood::Restarting => 1,
        Mood::Shutdown => 2,
        Mood::Resting => 3,
    });
}

fn read_mood(from: &mut Decoder<'_>) -> Read<Mood> {
    Ok(match from.byte()? {
        0 => Mood::Running,
        1 => Mood::Restarting,
        2 => Mood::Shutdown,
        3 => Mood::Resting,
        _ => return Err(Unknown),
    })
}

fn write_service(to: &mut Encoder, service: &ServiceRecord) {
    to.small(|to| {
        to.u32(service.id.0);
        to.byte(match service.role {
            Role::Active => 0,
            Role::Replica => 1,
            Role::Candidate => 2,
        });
        to.byte(match service.goal {
            Goal::Down => 0,
            Goal::Up => 1,
            Goal::Gone => 2,
        });
        write_state(to, service.state);
        to.u32(service.generation.0);
        to.option(service.pid, |to, pid| to.u32(pid.0));
        to.u32(service.failures);
        to.option(service.started, |to, time| to.i64(time.0));
        to.option(service.stopped, |to, time| to.i64(time.0));
        to.option(service.exit, write_exit);
        to.option(service.failure, write_failure);
        to.u64(service.exit_sequence.0);
        to.option(service.stop_report_at, |to, time| to.u64(time.0));
    });
}

fn read_service(from: &mut Decoder<'_>) -> Read<ServiceRecord> {
    from.small(|from| {
        Ok(ServiceRecord {
            id: from.service()?,
            role: match from.byte()? {
                0 => Role::Active,
                1 => Role::Replica,
                2 => Role::Candidate,
                _ => return Err(Unknown),
            },
            goal: match from.byte()? {
                1 => Goal::Up,
                2 => Goal::Gone,
                _ => Goal::Down,
            },
            state: read_state(from)?,
            generation: Generation(from.u32()?),
            pid: from.option(|from| from.u32().map(Pid))?,
            failures: from.u32()?,
            started: from.option(|from| from.i64().map(WallTime))?,
            stopped: from.option(|from| from.i64().map(WallTime))?,
            exit: from.option(read_exit)?,
            failure: from.option(read_failure)?,
            exit_sequence: ExitSequence(from.u64()?),
            stop_report_at: from.option(|from| from.u64().map(Instant))?,
            vitals: None,
        })
    })
}

fn write_state(to: &mut Encoder, state: State) {
    to.small(|to| match state {
        State::Stopped => to.byte(0),
        State::Starting { since, launch } => {
            to.byte(1);
            to.u64(since.0);
            write_launch(to, launch);
        }
        State::Running => to.byte(2),
        State::Backoff { until } => {
            to.byte(3);
            to.u64(until.0);
        }
        State::Stopping { kill_at, order } => {
            to.byte(4);
            to.u64(kill_at.0);
            to.byte(match order {
                Order::Stop => 0,
                Order::StopSent => 1,
                Order::Kill => 2,
                Order::KillSent => 3,
                Order::Held => 4,
            });
        }
        State::Exited => to.byte(5),
        State::Fatal => to.byte(6),
        State::Unknown => to.byte(7),
        State::Recovering { since, inquiry } => {
            to.byte(8);
            to.u64(since.0);
            match inquiry {
                Inquiry::Waits => to.byte(0),
                Inquiry::Asked => to.byte(1),
                Inquiry::Overdue => to.byte(3),
                Inquiry::Silent { warn_at } => {
                    to.byte(2);
                    to.option(warn_at, |to, time| to.u64(time.0));
                }
            }
        }
    });
}

fn read_state(from: &mut Decoder<'_>) -> Read<State> {
    from.small(|from| {
        Ok(match from.byte()? {
            0 => State::Stopped,
            1 => State::Starting { since: Instant(from.u64()?), launch: read_launch(from)? },
            2 => State::Running,
            3 => State::Backoff { until: Instant(from.u64()?) },
            4 => State::Stopping {
                kill_at: Instant(from.u64()?),
                order: match from.byte()? {
                    0 => Order::Stop,
                    1 => Order::StopSent,
                    2 => Order::Kill,
                    3 => Order::KillSent,
                    4 => Order::Held,
                    _ => return Err(Unknown),
                },
            },
            5 => State::Exited,
            6 => State::Fatal,
            7 => State::Unknown,
            8 => State::Recovering {
                since: Instant(from.u64()?),
                inquiry: match from.byte()? {
                    0 => Inquiry::Waits,
                    1 => Inquiry::Asked,
                    3 => Inquiry::Overdue,
                    2 => Inquiry::Silent { warn_at: from.option(|from| from.u64().map(Instant))? },
                    _ => return Err(Unknown),
                },
            },
            _ => return Err(Unknown),
        })
    })
}

fn write_launch(to: &mut Encoder, launch: Launch) {
    to.small(|to| match launch {
        Launch::Requested => to.byte(0),
        Launch::Cloned { report_at } => {
            to.byte(1);
            to.option(report_at, |to, time| to.u64(time.0));
        }
        Launch::Executed | Launch::Dead { .. } => to.byte(2),
        Launch::Held => to.byte(3),
    });
}

fn read_launch(from: &mut Decoder<'_>) -> Read<Launch> {
    from.small(|from| {
        Ok(match from.byte()? {
            0 => Launch::Requested,
            1 => Launch::Cloned { report_at: from.option(|from| from.u64().map(Instant))? },
            2 => Launch::Executed,
            3 => Launch::Held,
            _ => return Err(Unknown),
        })
    })
}

pub(super) fn write_exit(to: &mut Encoder, exit: ExitStatus) {
    to.small(|to| match exit {
        ExitStatus::Code(code) => {
            to.byte(0);
            to.byte(code);
        }
        ExitStatus::Signal { signal, core } => {
            to.byte(1 + u8::from(core));
            to.i64(i64::from(signal.number()));
        }
        ExitStatus::Unknown => to.byte(3),
    });
}

pub(super) fn read_exit(from: &mut Decoder<'_>) -> Read<ExitStatus> {
    from.small(|from| {
        Ok(match from.byte()? {
            0 => ExitStatus::Code(from.byte()?),
            kind @ 1..=2 => ExitStatus::Signal {
                signal: Signal::from_number(from.i64()?).ok_or(Malformed)?,
                core: kind == 2,
            },
            3 => ExitStatus::Unknown,
            _ => return Err(Unknown),
        })
    })
}

/// The kind of [`SpawnError::Exec`]. Which step it was stands behind it: whoever does not know
/// that takes all of them for it.
const EXEC: u8 = 10;

/// 0 for the program itself, else one more than the place of the preparation.
fn step_number(error: SpawnError) -> u8 {
    let SpawnError::Prepare(what, _) = error else { return 0 };
    let place = Preparation::ALL.iter().position(|there| *there == what);
    place.and_then(|place| u8::try_from(place + 1).ok()).expect("they are few, and it is there")
}

fn read_step(from: &mut Decoder<'_>, errno: i32) -> Read<SpawnError> {
    let number = if from.is_at_end() { 0 } else { from.byte()? };
    // A step that only a later version knows is told as an older one would tell it.
    let what = usize::from(number).checked_sub(1).and_then(|place| Preparation::ALL.get(place));
    Ok(what.map_or(SpawnError::Exec(errno), |what| SpawnError::Prepare(*what, errno)))
}

pub(super) fn write_failure(to: &mut Encoder, failure: Failure) {
    to.small(|to| match failure {
        Failure::Spawn(error) => {
            let (kind, errno) = match error {
                SpawnError::NoClosingQuotation => (0, 0),
                SpawnError::NoEscapedCharacter => (1, 0),
                SpawnError::Empty => (2, 0),
                SpawnError::NotFound => (3, 0),
                SpawnError::IsDirectory => (4, 0),
                SpawnError::NotExecutable => (5, 0),
                SpawnError::NotPermitted => (6, 0),
                SpawnError::Pipes(errno) => (7, errno),
                SpawnError::Clone(errno) => (8, errno),
                SpawnError::Socket(errno) => (9, errno),
                SpawnError::Exec(errno) => (EXEC, errno),
                SpawnError::Variables(errno) => (11, errno),
                SpawnError::Prepare(_, errno) => (EXEC, errno),
            };
            to.byte(0);
            to.byte(kind);
            to.i64(i64::from(errno));
            if kind == EXEC {
                to.byte(step_number(error));
            }
        }
        Failure::ExitedTooQuickly => to.byte(1),
        Failure::BadExitCode(code) => {
            to.byte(2);
            to.i64(i64::from(code));
        }
        Failure::Condemned(reason) => {
            to.byte(3);
            write_reason(to, reason);
        }
    });
}

pub(super) fn read_failure(from: &mut Decoder<'_>) -> Read<Failure> {
    from.small(|from| {
        Ok(match from.byte()? {
            0 => {
                let kind = from.byte()?;
                let errno = i32::try_from(from.i64()?).map_err(|_| Malformed)?;
                Failure::Spawn(match kind {
                    0 => SpawnError::NoClosingQuotation,
                    1 => SpawnError::NoEscapedCharacter,
                    2 => SpawnError::Empty,
                    3 => SpawnError::NotFound,
                    4 => SpawnError::IsDirectory,
                    5 => SpawnError::NotExecutable,
                    6 => SpawnError::NotPermitted,
                    7 => SpawnError::Pipes(errno),
                    8 => SpawnError::Clone(errno),
                    9 => SpawnError::Socket(errno),
                    EXEC => read_step(from, errno)?,
                    11 => SpawnError::Variables(errno),
                    _ => return Err(Unknown),
                })
            }
            1 => Failure::ExitedTooQuickly,
            2 => Failure::BadExitCode(i32::try_from(from.i64()?).map_err(|_| Malformed)?),
            3 => Failure::Condemned(read_reason(from)?),
            _ => return Err(Unknown),
        })
    })
}
