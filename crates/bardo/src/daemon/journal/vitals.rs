//! What is kept of a service beyond Supervisor's rules, to bytes and back.
//!
//! It stands behind the record of its service and behind the places of a snapshot, not
//! within them: those are of a few numbers, and most services have none of this.

use std::time::Duration;

use bardo_core::decision::Reason;
use bardo_core::service::{Checking, Life, ScriptRun, Vitals};
use bardo_core::time::Instant;
use bardo_core::{Generation, Pid};

use super::codec::Unreadable::{self, Malformed, Unknown};
use super::codec::{Decoder, Encoder};

type Read<T> = Result<T, Unreadable>;

pub(super) fn write_vitals(to: &mut Encoder, vitals: &Vitals) {
    to.small(|to| {
        to.u32(vitals.restarts);
        to.u32(vitals.crashes);
        write_span(to, vitals.waited);
        to.byte(u8::from(vitals.recovers));
        to.option(vitals.asks, write_reason);
        to.byte(u8::from(vitals.refreshing));
        write_script(to, vitals.script);
        to.option(vitals.former, |to, generation| to.u32(generation.0));
        to.u32(vitals.checks);
        to.u32(vitals.pings);
        write_life(to, &vitals.life);
        to.byte(u8::from(vitals.renews));
        to.byte(u8::from(vitals.ends_script));
    });
}

pub(super) fn read_vitals(from: &mut Decoder<'_>) -> Read<Vitals> {
    from.small(|from| {
        Ok(Vitals {
            restarts: from.u32()?,
            crashes: from.u32()?,
            waited: read_span(from)?,
            recovers: read_flag(from)?,
            asks: from.option(read_reason)?,
            refreshing: read_flag(from)?,
            script: read_script(from)?,
            former: from.option(|from| from.u32().map(Generation))?,
            checks: from.u32()?,
            pings: from.u32()?,
            life: read_life(from)?,
            renews: !from.is_at_end() && read_flag(from)?,
            ends_script: !from.is_at_end() && read_flag(from)?,
        })
    })
}

fn write_life(to: &mut Encoder, life: &Life) {
    to.small(|to| {
        to.byte(u8::from(life.spoke));
        for moment in [life.ready_by, life.ready_at, life.alive_at, life.ping_at, life.hung_at] {
            to.option(moment, |to, moment| to.u64(moment.0));
        }
        to.option(life.period, write_span);
        match life.check {
            Checking::Idle => to.byte(0),
            Checking::Due(at) => {
                to.byte(1);
                to.u64(at.0);
            }
            Checking::Asked(until) => {
                to.byte(2);
                to.u64(until.0);
            }
        }
        to.u32(life.unhealthy);
        to.option(life.verdict, write_reason);
        for moment in [life.begun, life.stop_by] {
            to.option(moment, |to, moment| to.u64(moment.0));
        }
    });
}

fn read_life(from: &mut Decoder<'_>) -> Read<Life> {
    let moment = |from: &mut Decoder<'_>| from.option(|from| from.u64().map(Instant));
    from.small(|from| {
        Ok(Life {
            spoke: read_flag(from)?,
            ready_by: moment(from)?,
            ready_at: moment(from)?,
            alive_at: moment(from)?,
            ping_at: moment(from)?,
            hung_at: moment(from)?,
            period: from.option(read_span)?,
            check: match from.byte()? {
                0 => Checking::Idle,
                1 => Checking::Due(Instant(from.u64()?)),
                2 => Checking::Asked(Instant(from.u64()?)),
                _ => return Err(Unknown),
            },
            unhealthy: from.u32()?,
            verdict: from.option(read_reason)?,
            begun: if from.is_at_end() { None } else { moment(from)? },
            stop_by: if from.is_at_end() { None } else { moment(from)? },
        })
    })
}

fn write_script(to: &mut Encoder, script: ScriptRun) {
    match script {
        ScriptRun::Idle => to.byte(0),
        ScriptRun::Requested(number) => {
            to.byte(1);
            to.u32(number);
        }
        ScriptRun::Running(number, pid) => {
            to.byte(2);
            to.u32(number);
            to.u32(pid.0);
        }
    }
}

fn read_script(from: &mut Decoder<'_>) -> Read<ScriptRun> {
    Ok(match from.byte()? {
        0 => ScriptRun::Idle,
        1 => ScriptRun::Requested(from.u32()?),
        2 => ScriptRun::Running(from.u32()?, Pid(from.u32()?)),
        _ => return Err(Unknown),
    })
}

pub(super) fn write_reason(to: &mut Encoder, reason: Reason) {
    to.small(|to| {
        to.byte(match reason {
            Reason::Terminated => 0,
            Reason::NoHeartbeat => 1,
            Reason::Restart => 2,
            Reason::Health => 3,
            Reason::OutOfMemory => 4,
            Reason::InitTimeout => 5,
            Reason::InitFailed(_) => 6,
            Reason::CannotResume => 7,
        });
        if let Reason::InitFailed(number) = reason {
            to.i64(i64::from(number));
        }
    });
}

pub(super) fn read_reason(from: &mut Decoder<'_>) -> Read<Reason> {
    from.small(|from| {
        Ok(match from.byte()? {
            0 => Reason::Terminated,
            1 => Reason::NoHeartbeat,
            2 => Reason::Restart,
            3 => Reason::Health,
            4 => Reason::OutOfMemory,
            5 => Reason::InitTimeout,
            6 => Reason::InitFailed(i32::try_from(from.i64()?).map_err(|_| Malformed)?),
            7 => Reason::CannotResume,
            _ => return Err(Unknown),
        })
    })
}

/// Spans of more than five hundred years are as long as that.
fn write_span(to: &mut Encoder, span: Duration) {
    to.u64(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
}

fn read_span(from: &mut Decoder<'_>) -> Read<Duration> {
    from.u64().map(Duration::from_nanos)
}

fn read_flag(from: &mut Decoder<'_>) -> Read<bool> {
    match from.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}
