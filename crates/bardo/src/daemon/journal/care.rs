//! What a service asks for beyond Supervisor's rules, to bytes and back.

use std::sync::Arc;

use bardo_core::spec::Care;
use bardo_core::spec::care::{
    Check, Condition, Confinement, Copying, Delay, Dependency, EarlyDeath, Health, Heartbeat,
    Initialisation, Ready, Recovery, Reset, Scheduler, Script,
};

use super::codec::Unreadable::{Malformed, Unknown};
use super::codec::{Decoder, Encoder};
use super::specs::{Read, read_duration, read_text, write_duration, write_text};

pub(super) fn write_care(to: &mut Encoder, care: &Care) {
    to.frame(|to| {
        write_recovery(to, &care.recovery);
        to.frame(|to| {
            write_ready(to, &care.readiness.by);
            write_duration(to, care.readiness.within);
        });
        to.option(care.heartbeat, |to, heartbeat| {
            to.small(|to| write_duration(to, heartbeat.period));
        });
        to.option(care.health.as_ref(), write_health);
        to.option(care.script.as_ref(), |to, script| {
            to.frame(|to| {
                to.option(script.path.as_ref(), write_text);
                to.option(script.timeout, write_duration);
            });
        });
        to.byte(u8::from(care.critical));
        to.byte(match care.copy {
            Copying::No => 0,
            Copying::Own => 1,
            Copying::Shared => 2,
        });
        to.list(&care.depends_on, write_dependency);
        to.shared(&care.confinement, write_confinement);
        write_text(to, &care.program_name);
        to.option(care.device, Encoder::u64);
        to.option(care.environment_file.as_ref(), write_text);
        write_text(to, &care.description);
    });
}

pub(super) fn read_care(from: &mut Decoder<'_>) -> Read<Arc<Care>> {
    from.frame(|from| {
        let recovery = read_recovery(from)?;
        let readiness = from.frame(|from| {
            Ok(Initialisation { by: read_ready(from)?, within: read_duration(from)? })
        })?;
        Ok(Arc::new(Care {
            recovery,
            readiness,
            heartbeat: from
                .option(|from| from.small(|from| Ok(Heartbeat { period: read_duration(from)? })))?,
            health: from.option(read_health)?,
            script: from.option(|from| from.frame(read_script))?,
            critical: read_flag(from)?,
            copy: match from.byte()? {
                0 => Copying::No,
                1 => Copying::Own,
                2 => Copying::Shared,
                _ => return Err(Unknown),
            },
            depends_on: from.list(read_dependency)?,
            confinement: from.shared(read_confinement)?,
            program_name: read_text(from)?,
            device: from.option(Decoder::u64)?,
            environment_file: from.option(read_text)?,
            description: read_text(from)?,
        }))
    })
}

fn write_recovery(to: &mut Encoder, recovery: &Recovery) {
    to.small(|to| {
        to.option(recovery.delay, |to, delay| {
            to.small(|to| {
                let (kind, wait) = match delay {
                    Delay::Binary { max } => (0, max),
                    Delay::Constant(wait) => (1, wait),
                };
                to.byte(kind);
                write_duration(to, wait);
            });
        });
        let healthy = match recovery.reset {
            Reset::Never => None,
            Reset::Healthy(time) => Some(time),
        };
        to.option(healthy, write_duration);
        to.byte(match recovery.early_death {
            EarlyDeath::Down => 0,
            EarlyDeath::Retry => 1,
        });
        to.u32(recovery.restarts);
    });
}

fn read_recovery(from: &mut Decoder<'_>) -> Read<Recovery> {
    from.small(|from| {
        let delay = from.option(|from| from.small(read_delay))?;
        let reset = from.option(read_duration)?.map_or(Reset::Never, Reset::Healthy);
        let early_death = match from.byte()? {
            0 => EarlyDeath::Down,
            1 => EarlyDeath::Retry,
            _ => return Err(Unknown),
        };
        Ok(Recovery { delay, reset, early_death, restarts: from.u32()? })
    })
}

fn read_delay(from: &mut Decoder<'_>) -> Read<Delay> {
    Ok(match from.byte()? {
        0 => Delay::Binary { max: read_duration(from)? },
        1 => Delay::Constant(read_duration(from)?),
        _ => return Err(Unknown),
    })
}

fn write_ready(to: &mut Encoder, ready: &Ready) {
    to.frame(|to| match ready {
        Ready::Auto => to.byte(0),
        Ready::Says { descriptor } => {
            to.byte(1);
            to.option(*descriptor, Encoder::u32);
        }
        Ready::Alive => to.byte(2),
        Ready::Checks(check) => {
            to.byte(3);
            write_check(to, check);
        }
    });
}

fn read_ready(from: &mut Decoder<'_>) -> Read<Ready> {
    from.frame(|from| {
        Ok(match from.byte()? {
            0 => Ready::Auto,
            1 => Ready::Says { descriptor: from.option(Decoder::u32)? },
            2 => Ready::Alive,
            3 => Ready::Checks(read_check(from)?),
            _ => return Err(Unknown),
        })
    })
}

fn write_health(to: &mut Encoder, health: &Health) {
    to.frame(|to| {
        write_check(to, &health.check);
        write_duration(to, health.interval);
        write_duration(to, health.timeout);
        to.u32(health.retries);
    });
}

fn read_health(from: &mut Decoder<'_>) -> Read<Health> {
    from.frame(|from| {
        Ok(Health {
            check: read_check(from)?,
            interval: read_duration(from)?,
            timeout: read_duration(from)?,
            retries: from.u32()?,
        })
    })
}

fn write_check(to: &mut Encoder, check: &Check) {
    let (kind, what) = match check {
        Check::Command(line) => (0, Some(line)),
        Check::Http(url) => (1, Some(url)),
        Check::Connect(address) => (2, Some(address)),
        Check::Listening => (3, None),
    };
    to.frame(|to| {
        to.byte(kind);
        if let Some(what) = what {
            write_text(to, what);
        }
    });
}

fn read_check(from: &mut Decoder<'_>) -> Read<Check> {
    from.frame(|from| {
        Ok(match from.byte()? {
            0 => Check::Command(read_text(from)?),
            1 => Check::Http(read_text(from)?),
            2 => Check::Connect(read_text(from)?),
            3 => Check::Listening,
            _ => return Err(Unknown),
        })
    })
}

fn read_script(from: &mut Decoder<'_>) -> Read<Script> {
    Ok(Script { path: from.option(read_text)?, timeout: from.option(read_duration)? })
}

fn write_dependency(to: &mut Encoder, dependency: &Dependency) {
    to.frame(|to| {
        write_text(to, &dependency.group);
        write_text(to, &dependency.name);
        to.byte(match dependency.condition {
            Condition::Started => 0,
            Condition::Ready => 1,
        });
    });
}

fn read_dependency(from: &mut Decoder<'_>) -> Read<Dependency> {
    from.frame(|from| {
        let (group, name) = (read_text(from)?, read_text(from)?);
        let condition = match from.byte()? {
            0 => Condition::Started,
            1 => Condition::Ready,
            _ => return Err(Unknown),
        };
        Ok(Dependency { group, name, condition })
    })
}

fn write_confinement(to: &mut Encoder, confinement: &Confinement) {
    to.frame(|to| {
        to.option(confinement.nice, |to, nice| to.i64(i64::from(nice)));
        to.option(confinement.slice, write_duration);
        to.option(confinement.cpus.as_ref(), |to, cpus| to.list(cpus, |to, cpu| to.u32(*cpu)));
        to.option(confinement.scheduler, write_scheduler);
        for most in [
            confinement.memory_max,
            confinement.memory_high,
            confinement.swap_max,
            confinement.pids_max,
            confinement.descriptors_max,
            confinement.core_max,
        ] {
            to.option(most, Encoder::u64);
        }
        to.option(confinement.cpu_max, Encoder::u32);
        to.option(confinement.io_weight, Encoder::u32);
        to.byte(u8::from(confinement.gives_up_privileges));
        to.list(&confinement.control, write_text);
        to.list(&confinement.controlled_by, write_text);
        to.option(confinement.kind.as_ref(), write_text);
        to.list(&confinement.unenforced, write_text);
    });
}

fn read_confinement(from: &mut Decoder<'_>) -> Read<Arc<Confinement>> {
    from.frame(|from| {
        let nice = |from: &mut Decoder<'_>| i32::try_from(from.i64()?).map_err(|_| Malformed);
        Ok(Arc::new(Confinement {
            nice: from.option(nice)?,
            slice: from.option(read_duration)?,
            cpus: from.option(|from| from.list(Decoder::u32))?,
            scheduler: from.option(read_scheduler)?,
            memory_max: from.option(Decoder::u64)?,
            memory_high: from.option(Decoder::u64)?,
            swap_max: from.option(Decoder::u64)?,
            pids_max: from.option(Decoder::u64)?,
            descriptors_max: from.option(Decoder::u64)?,
            core_max: from.option(Decoder::u64)?,
            cpu_max: from.option(Decoder::u32)?,
            io_weight: from.option(Decoder::u32)?,
            gives_up_privileges: read_flag(from)?,
            control: from.list(read_text)?,
            controlled_by: from.list(read_text)?,
            kind: from.option(read_text)?,
            unenforced: from.list(read_text)?,
        }))
    })
}

fn write_scheduler(to: &mut Encoder, scheduler: Scheduler) {
    to.small(|to| match scheduler {
        Scheduler::Other => to.byte(0),
        Scheduler::Batch => to.byte(1),
        Scheduler::Idle => to.byte(2),
        Scheduler::Fifo(priority) => {
            to.byte(3);
            to.u32(priority);
        }
        Scheduler::RoundRobin(priority) => {
            to.byte(4);
            to.u32(priority);
        }
        Scheduler::Deadline { runtime, deadline, period } => {
            to.byte(5);
            for time in [runtime, deadline, period] {
                write_duration(to, time);
            }
        }
    });
}

fn read_scheduler(from: &mut Decoder<'_>) -> Read<Scheduler> {
    from.small(|from| {
        Ok(match from.byte()? {
            0 => Scheduler::Other,
            1 => Scheduler::Batch,
            2 => Scheduler::Idle,
            3 => Scheduler::Fifo(from.u32()?),
            4 => Scheduler::RoundRobin(from.u32()?),
            5 => Scheduler::Deadline {
                runtime: read_duration(from)?,
                deadline: read_duration(from)?,
                period: read_duration(from)?,
            },
            _ => return Err(Unknown),
        })
    })
}

fn read_flag(from: &mut Decoder<'_>) -> Read<bool> {
    match from.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}
