//! Specs to bytes and back.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::Signal;
use bardo_core::spec::{
    Backoff, Configuration, EndsAll, EventLength, GroupKind, GroupSpec, ListenerSpec, LogSpec,
    LogTarget, Origin, ProgramSpec, Reach, RestartOn, RestartPolicy, Seconds, ServiceSpec,
    SocketAddress, SocketSpec, StopPolicy, User,
};

use super::care::{read_care, write_care};
use super::codec::Unreadable::{self, Malformed, Unknown};
use super::codec::{Decoder, Encoder};

pub(super) type Read<T> = Result<T, Unreadable>;

pub(super) fn write_configuration(to: &mut Encoder, value: &Configuration) {
    to.frame(|to| {
        to.list(&value.groups, write_group);
        write_text(to, &value.attachment);
    });
}

pub(super) fn read_configuration(from: &mut Decoder<'_>) -> Read<Configuration> {
    from.frame(|from| {
        Ok(Configuration { groups: from.list(read_group)?, attachment: read_text(from)? })
    })
}

pub(super) fn write_group(to: &mut Encoder, value: &Arc<GroupSpec>) {
    to.shared(value, |to, group| {
        to.frame(|to| {
            write_text(to, &group.name);
            to.i64(group.priority);
            write_kind(to, &group.kind);
            to.list(&group.services, write_service);
            to.byte(u8::from(group.origin == Origin::Brought));
        });
    });
}

pub(super) fn read_group(from: &mut Decoder<'_>) -> Read<Arc<GroupSpec>> {
    from.shared(|from| {
        from.frame(|from| {
            let (name, priority) = (read_text(from)?, from.i64()?);
            let (kind, services) = (read_kind(from)?, from.list(read_service)?);
            let origin = match from.is_at_end() || from.byte()? == 0 {
                true => Origin::File,
                false => Origin::Brought,
            };
            Ok(Arc::new(GroupSpec { name, priority, kind, origin, services }))
        })
    })
}

fn write_kind(to: &mut Encoder, kind: &GroupKind) {
    to.frame(|to| match kind {
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
    });
}

fn read_kind(from: &mut Decoder<'_>) -> Read<GroupKind> {
    from.frame(|from| {
        Ok(match from.byte()? {
            0 => GroupKind::Programs,
            1 => GroupKind::Listeners(ListenerSpec {
                events: from.list(read_text)?,
                buffer_size: from.u32()?,
                result_handler: read_text(from)?,
                event_length: match from.byte()? {
                    0 => EventLength::Characters,
                    1 => EventLength::Bytes,
                    _ => return Err(Unknown),
                },
            }),
            2 => GroupKind::FastCgi(read_socket(from)?),
            _ => return Err(Unknown),
        })
    })
}

fn write_socket(to: &mut Encoder, socket: &SocketSpec) {
    to.frame(|to| {
        to.frame(|to| match &socket.address {
            SocketAddress::Unix(path) => {
                to.byte(0);
                write_text(to, path);
            }
            SocketAddress::Tcp { host, port } => {
                to.byte(1);
                write_text(to, host);
                to.u32(u32::from(*port));
            }
        });
        to.option(socket.backlog, Encoder::u32);
        to.option(socket.owner, |to, (uid, gid)| {
            to.u32(uid);
            to.option(gid, Encoder::u32);
        });
        to.option(socket.mode, Encoder::u32);
    });
}

fn read_socket(from: &mut Decoder<'_>) -> Read<SocketSpec> {
    from.frame(|from| {
        Ok(SocketSpec {
            address: from.frame(read_address)?,
            backlog: from.option(Decoder::u32)?,
            owner: from.option(|from| Ok((from.u32()?, from.option(Decoder::u32)?)))?,
            mode: from.option(Decoder::u32)?,
        })
    })
}

fn read_address(from: &mut Decoder<'_>) -> Read<SocketAddress> {
    Ok(match from.byte()? {
        0 => SocketAddress::Unix(read_text(from)?),
        1 => {
            let host = read_text(from)?;
            let port = u16::try_from(from.u32()?).map_err(|_| Malformed)?;
            SocketAddress::Tcp { host, port }
        }
        _ => return Err(Unknown),
    })
}

pub(super) fn write_service(to: &mut Encoder, value: &Arc<ServiceSpec>) {
    to.shared(value, |to, service| {
        to.frame(|to| {
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
    });
}

pub(super) fn read_service(from: &mut Decoder<'_>) -> Read<Arc<ServiceSpec>> {
    from.shared(|from| {
        from.frame(|from| {
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
    })
}

fn write_log(to: &mut Encoder, log: &LogSpec) {
    to.frame(|to| {
        to.frame(|to| match &log.target {
            LogTarget::None => to.byte(0),
            LogTarget::Auto => to.byte(1),
            LogTarget::File(path) => {
                to.byte(2);
                write_text(to, path);
            }
        });
        to.i64(log.bytes_max);
        to.i64(log.backups);
        to.i64(log.capture_bytes_max);
        to.byte(u8::from(log.events) | u8::from(log.syslog) << 1 | u8::from(log.compress) << 2);
        write_text(to, &log.prefix);
    });
}

fn read_log(from: &mut Decoder<'_>) -> Read<LogSpec> {
    from.frame(|from| {
        let target = from.frame(|from| {
            Ok(match from.byte()? {
                0 => LogTarget::None,
                1 => LogTarget::Auto,
                2 => LogTarget::File(read_text(from)?),
                _ => return Err(Unknown),
            })
        })?;
        let (bytes_max, backups, capture_bytes_max) = (from.i64()?, from.i64()?, from.i64()?);
        let flags = from.byte()?;
        Ok(LogSpec {
            target,
            bytes_max,
            backups,
            compress: flags & 4 != 0,
            capture_bytes_max,
            events: flags & 1 != 0,
            syslog: flags & 2 != 0,
            prefix: if from.is_at_end() { "".into() } else { read_text(from)? },
        })
    })
}

fn write_program(to: &mut Encoder, program: &ProgramSpec) {
    to.frame(|to| {
        to.i64(program.priority);
        to.byte(
            u8::from(program.autostart)
                | u8::from(program.redirect_stderr) << 1
                | u8::from(program.ignore_sigpipe) << 2,
        );
        write_restart(to, &program.restart);
        to.list(&program.exit_codes, |to, code| to.byte(*code));
        to.small(|to| {
            to.byte(0);
            to.i64(program.startsecs.0);
        });
        // Where versions up to the fifth could have written a heartbeat.
        to.option(None::<u8>, Encoder::byte);
        write_stop(to, &program.stop);
        to.option(program.user.as_ref(), |to, user| {
            to.frame(|to| {
                to.u32(user.uid);
                to.u32(user.gid);
                to.list(&user.groups, |to, group| to.u32(*group));
            });
        });
        to.option(program.umask, Encoder::u32);
        to.option(program.strip_ansi, |to, strip| to.byte(u8::from(strip)));
        to.option(program.server_url.as_ref(), write_text);
        to.option(program.socket.as_ref(), |to, socket| to.shared(socket, write_socket));
        to.option(program.care.as_ref(), |to, care| to.shared(care, write_care));
        to.byte(match program.ends_all {
            EndsAll::Never => 0,
            EndsAll::Fatal => 1,
            EndsAll::Down => 2,
        });
    });
}

fn read_program(from: &mut Decoder<'_>) -> Read<Arc<ProgramSpec>> {
    from.frame(|from| {
        let priority = from.i64()?;
        let flags = from.byte()?;
        let restart = read_restart(from)?;
        let exit_codes = from.list(Decoder::byte)?;
        let startsecs = from.small(read_startsecs)?;
        from.option(|from| from.small(read_duration))?;
        let stop = read_stop(from)?;
        Ok(Arc::new(ProgramSpec {
            priority,
            autostart: flags & 1 != 0,
            restart,
            exit_codes,
            startsecs,
            stop,
            user: from.option(|from| from.frame(read_user))?,
            umask: from.option(Decoder::u32)?,
            redirect_stderr: flags & 2 != 0,
            strip_ansi: from.option(|from| Ok(from.byte()? == 1))?,
            ignore_sigpipe: flags & 4 != 0,
            server_url: from.option(read_text)?,
            socket: from.option(|from| from.shared(|from| read_socket(from).map(Arc::new)))?,
            care: match from.is_at_end() {
                true => None,
                false => from.option(|from| from.shared(read_care))?,
            },
            ends_all: match from.is_at_end() {
                true => EndsAll::Never,
                false => read_ends_all(from)?,
            },
        }))
    })
}

fn read_ends_all(from: &mut Decoder<'_>) -> Read<EndsAll> {
    Ok(match from.byte()? {
        0 => EndsAll::Never,
        1 => EndsAll::Fatal,
        2 => EndsAll::Down,
        _ => return Err(Unknown),
    })
}

/// Versions up to the fifth could have written a limit for programs that say themselves
/// that they are ready.
fn read_startsecs(from: &mut Decoder<'_>) -> Read<Seconds> {
    Ok(match from.byte()? {
        0 => Seconds(from.i64()?),
        1 => Seconds(i64::try_from(read_duration(from)?.as_secs()).unwrap_or(i64::MAX)),
        _ => return Err(Unknown),
    })
}

fn read_user(from: &mut Decoder<'_>) -> Read<User> {
    Ok(User { uid: from.u32()?, gid: from.u32()?, groups: from.list(Decoder::u32)? })
}

fn write_stop(to: &mut Encoder, stop: &StopPolicy) {
    to.small(|to| {
        to.i64(i64::from(stop.signal.number()));
        to.i64(stop.wait.0);
        // Versions up to the fifth know no tree, and take the group.
        let reach = |reach| match reach {
            Reach::Process => 0,
            Reach::Group => 1,
            Reach::Tree => 0b101,
        };
        to.byte(reach(stop.stop_reach) | reach(stop.kill_reach) << 1);
    });
}

fn read_stop(from: &mut Decoder<'_>) -> Read<StopPolicy> {
    from.small(|from| {
        let signal = Signal::from_number(from.i64()?).ok_or(Malformed)?;
        let (wait, reaches) = (Seconds(from.i64()?), from.byte()?);
        let reach = |bits: u8| match bits & 0b101 {
            0b001 => Reach::Group,
            0b101 => Reach::Tree,
            _ => Reach::Process,
        };
        let (stop_reach, kill_reach) = (reach(reaches), reach(reaches >> 1));
        Ok(StopPolicy { signal, wait, stop_reach, kill_reach })
    })
}

fn write_restart(to: &mut Encoder, restart: &RestartPolicy) {
    to.small(|to| {
        to.byte(match restart.on {
            RestartOn::Always => 0,
            RestartOn::Unexpected => 1,
            RestartOn::Never => 2,
        });
        to.option(restart.start_retries, Encoder::i64);
        to.small(|to| match restart.backoff {
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
        });
    });
}

fn read_restart(from: &mut Decoder<'_>) -> Read<RestartPolicy> {
    from.small(|from| {
        let on = match from.byte()? {
            0 => RestartOn::Always,
            1 => RestartOn::Unexpected,
            2 => RestartOn::Never,
            _ => return Err(Unknown),
        };
        let start_retries = from.option(Decoder::i64)?;
        let backoff = from.small(read_backoff)?;
        Ok(RestartPolicy { on, start_retries, backoff })
    })
}

fn read_backoff(from: &mut Decoder<'_>) -> Read<Backoff> {
    Ok(match from.byte()? {
        0 => Backoff::Linear { step: read_duration(from)? },
        1 => Backoff::Exponential { first: read_duration(from)?, max: read_duration(from)? },
        2 => Backoff::Constant(read_duration(from)?),
        _ => return Err(Unknown),
    })
}

pub(super) fn write_duration(to: &mut Encoder, value: Duration) {
    to.u64(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
}

pub(super) fn read_duration(from: &mut Decoder<'_>) -> Read<Duration> {
    from.u64().map(Duration::from_nanos)
}

pub(super) fn write_text(to: &mut Encoder, value: &Arc<str>) {
    to.shared(value, Encoder::text);
}

pub(super) fn read_text(from: &mut Decoder<'_>) -> Read<Arc<str>> {
    from.shared(|from| from.text().map(Arc::from))
}
