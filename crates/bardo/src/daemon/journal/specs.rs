//! Specs to bytes and back.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::Signal;
use bardo_core::spec::{
    Backoff, Configuration, EventLength, GroupKind, GroupSpec, Heartbeat, ListenerSpec, LogSpec,
    LogTarget, ProgramSpec, Reach, Readiness, RestartOn, RestartPolicy, Seconds, ServiceSpec,
    SocketAddress, SocketSpec, StopPolicy, User,
};

use super::codec::{Decoder, Encoder, Malformed};

type Read<T> = Result<T, Malformed>;

pub(super) fn write_configuration(to: &mut Encoder, value: &Configuration) {
    to.list(&value.groups, write_group);
    write_text(to, &value.attachment);
}

pub(super) fn read_configuration(from: &mut Decoder<'_>) -> Read<Configuration> {
    Ok(Configuration { groups: from.list(read_group)?, attachment: read_text(from)? })
}

pub(super) fn write_group(to: &mut Encoder, value: &Arc<GroupSpec>) {
    to.shared(value, |to, group| {
        write_text(to, &group.name);
        to.i64(group.priority);
        match &group.kind {
            GroupKind::Programs => to.byte(0),
            GroupKind::Listeners(listeners) => {
                to.byte(1);
                to.list(&listeners.events, write_text);
                to.u32(listeners.buffer_size);
                write_text(to, &listeners.result_handler);
                to.byte(u8::from(listeners.event_length == EventLength::Bytes));
            }
            GroupKind::FastCgi(socket) => {
                to.byte(2);
                write_socket(to, socket);
            }
        }
        to.list(&group.services, write_service);
    });
}

pub(super) fn read_group(from: &mut Decoder<'_>) -> Read<Arc<GroupSpec>> {
    from.shared(|from| {
        let name = read_text(from)?;
        let priority = from.i64()?;
        let kind = match from.byte()? {
            0 => GroupKind::Programs,
            1 => GroupKind::Listeners(ListenerSpec {
                events: from.list(read_text)?,
                buffer_size: from.u32()?,
                result_handler: read_text(from)?,
                event_length: match from.byte()? {
                    0 => EventLength::Characters,
                    1 => EventLength::Bytes,
                    _ => return Err(Malformed),
                },
            }),
            2 => GroupKind::FastCgi(read_socket(from)?),
            _ => return Err(Malformed),
        };
        let services = from.list(read_service)?;
        Ok(Arc::new(GroupSpec { name, priority, kind, services }))
    })
}

fn write_socket(to: &mut Encoder, socket: &SocketSpec) {
    match &socket.address {
        SocketAddress::Unix(path) => {
            to.byte(0);
            write_text(to, path);
        }
        SocketAddress::Tcp { host, port } => {
            to.byte(1);
            write_text(to, host);
            to.u32(u32::from(*port));
        }
    }
    to.option(socket.backlog, Encoder::u32);
    to.option(socket.owner, |to, (uid, gid)| {
        to.u32(uid);
        to.option(gid, Encoder::u32);
    });
    to.option(socket.mode, Encoder::u32);
}

fn read_socket(from: &mut Decoder<'_>) -> Read<SocketSpec> {
    let address = match from.byte()? {
        0 => SocketAddress::Unix(read_text(from)?),
        1 => {
            let host = read_text(from)?;
            let port = u16::try_from(from.u32()?).map_err(|_| Malformed)?;
            SocketAddress::Tcp { host, port }
        }
        _ => return Err(Malformed),
    };
    Ok(SocketSpec {
        address,
        backlog: from.option(Decoder::u32)?,
        owner: from.option(|from| Ok((from.u32()?, from.option(Decoder::u32)?)))?,
        mode: from.option(Decoder::u32)?,
    })
}

pub(super) fn write_service(to: &mut Encoder, value: &Arc<ServiceSpec>) {
    to.shared(value, |to, service| {
        to.shared(&service.program, write_program);
        write_text(to, &service.name);
        write_text(to, &service.command);
        to.option(service.directory.as_ref(), write_text);
        to.shared(&service.environment, |to, variables| {
            to.list(variables, |to, (name, value)| {
                write_text(to, name);
                write_text(to, value);
            });
        });
        write_log(to, &service.stdout);
        write_log(to, &service.stderr);
    });
}

pub(super) fn read_service(from: &mut Decoder<'_>) -> Read<Arc<ServiceSpec>> {
    from.shared(|from| {
        Ok(Arc::new(ServiceSpec {
            program: from.shared(read_program)?,
            name: read_text(from)?,
            command: read_text(from)?,
            directory: from.option(read_text)?,
            environment: from.shared(|from| {
                Ok(from.list(|from| Ok((read_text(from)?, read_text(from)?)))?.into())
            })?,
            stdout: read_log(from)?,
            stderr: read_log(from)?,
        }))
    })
}

fn write_log(to: &mut Encoder, log: &LogSpec) {
    match &log.target {
        LogTarget::None => to.byte(0),
        LogTarget::Auto => to.byte(1),
        LogTarget::File(path) => {
            to.byte(2);
            write_text(to, path);
        }
    }
    to.i64(log.bytes_max);
    to.i64(log.backups);
    to.i64(log.capture_bytes_max);
    to.byte(u8::from(log.events) | u8::from(log.syslog) << 1);
}

fn read_log(from: &mut Decoder<'_>) -> Read<LogSpec> {
    let target = match from.byte()? {
        0 => LogTarget::None,
        1 => LogTarget::Auto,
        2 => LogTarget::File(read_text(from)?),
        _ => return Err(Malformed),
    };
    let (bytes_max, backups, capture_bytes_max) = (from.i64()?, from.i64()?, from.i64()?);
    let flags = from.byte()?;
    Ok(LogSpec {
        target,
        bytes_max,
        backups,
        capture_bytes_max,
        events: flags & 1 != 0,
        syslog: flags & 2 != 0,
    })
}

fn write_program(to: &mut Encoder, program: &ProgramSpec) {
    to.i64(program.priority);
    to.byte(
        u8::from(program.autostart)
            | u8::from(program.redirect_stderr) << 1
            | u8::from(program.ignore_sigpipe) << 2,
    );
    write_restart(to, &program.restart);
    to.list(&program.exit_codes, |to, code| to.byte(*code));
    match program.readiness {
        Readiness::StaysUp(span) => {
            to.byte(0);
            to.i64(span.0);
        }
        Readiness::Notifies(span) => {
            to.byte(1);
            write_duration(to, span);
        }
    }
    to.option(program.heartbeat, |to, heartbeat| {
        write_duration(to, heartbeat.period);
    });
    to.i64(i64::from(program.stop.signal.number()));
    to.i64(program.stop.wait.0);
    let reach = |reach| u8::from(reach == Reach::Group);
    to.byte(reach(program.stop.stop_reach) | reach(program.stop.kill_reach) << 1);
    to.option(program.user.as_ref(), |to, user| {
        to.u32(user.uid);
        to.u32(user.gid);
        to.list(&user.groups, |to, group| to.u32(*group));
    });
    to.option(program.umask, Encoder::u32);
    to.option(program.strip_ansi, |to, strip| to.byte(u8::from(strip)));
    to.option(program.server_url.as_ref(), write_text);
    to.option(program.socket.as_ref(), |to, socket| to.shared(socket, write_socket));
}

fn read_program(from: &mut Decoder<'_>) -> Read<Arc<ProgramSpec>> {
    let priority = from.i64()?;
    let flags = from.byte()?;
    let restart = read_restart(from)?;
    let exit_codes = from.list(Decoder::byte)?;
    let readiness = match from.byte()? {
        0 => Readiness::StaysUp(Seconds(from.i64()?)),
        1 => Readiness::Notifies(read_duration(from)?),
        _ => return Err(Malformed),
    };
    let heartbeat = from.option(|from| Ok(Heartbeat { period: read_duration(from)? }))?;
    let signal = Signal::from_number(from.i64()?).ok_or(Malformed)?;
    let wait = Seconds(from.i64()?);
    let reaches = from.byte()?;
    let reach = |bit: u8| {
        if reaches & bit != 0 { Reach::Group } else { Reach::Process }
    };
    let stop = StopPolicy { signal, wait, stop_reach: reach(1), kill_reach: reach(2) };
    Ok(Arc::new(ProgramSpec {
        priority,
        autostart: flags & 1 != 0,
        restart,
        exit_codes,
        readiness,
        heartbeat,
        stop,
        user: from.option(|from| {
            let (uid, gid) = (from.u32()?, from.u32()?);
            Ok(User { uid, gid, groups: from.list(Decoder::u32)? })
        })?,
        umask: from.option(Decoder::u32)?,
        redirect_stderr: flags & 2 != 0,
        strip_ansi: from.option(|from| Ok(from.byte()? == 1))?,
        ignore_sigpipe: flags & 4 != 0,
        server_url: from.option(read_text)?,
        socket: from.option(|from| from.shared(|from| read_socket(from).map(Arc::new)))?,
    }))
}

fn write_restart(to: &mut Encoder, restart: &RestartPolicy) {
    to.byte(match restart.on {
        RestartOn::Always => 0,
        RestartOn::Unexpected => 1,
        RestartOn::Never => 2,
    });
    to.option(restart.start_retries, Encoder::i64);
    match restart.backoff {
        Backoff::Linear { step } => {
            to.byte(0);
            write_duration(to, step);
        }
        Backoff::Exponential { first, max } => {
            to.byte(1);
            write_duration(to, first);
            write_duration(to, max);
        }
        Backoff::Constant(wait) => {
            to.byte(2);
            write_duration(to, wait);
        }
    }
}

fn read_restart(from: &mut Decoder<'_>) -> Read<RestartPolicy> {
    let on = match from.byte()? {
        0 => RestartOn::Always,
        1 => RestartOn::Unexpected,
        2 => RestartOn::Never,
        _ => return Err(Malformed),
    };
    let start_retries = from.option(Decoder::i64)?;
    let backoff = match from.byte()? {
        0 => Backoff::Linear { step: read_duration(from)? },
        1 => Backoff::Exponential { first: read_duration(from)?, max: read_duration(from)? },
        2 => Backoff::Constant(read_duration(from)?),
        _ => return Err(Malformed),
    };
    Ok(RestartPolicy { on, start_retries, backoff })
}

fn write_duration(to: &mut Encoder, value: Duration) {
    to.u64(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
}

fn read_duration(from: &mut Decoder<'_>) -> Read<Duration> {
    from.u64().map(Duration::from_nanos)
}

pub(super) fn write_text(to: &mut Encoder, value: &Arc<str>) {
    to.shared(value, Encoder::text);
}

pub(super) fn read_text(from: &mut Decoder<'_>) -> Read<Arc<str>> {
    from.shared(|from| from.text().map(Arc::from))
}
