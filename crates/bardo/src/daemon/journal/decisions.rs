//! Decisions to bytes and back.
//!
//! One that only a later version understands is left out, also of a snapshot: nothing is
//! decided from them.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::decision::{Cause, Rule, Sign, What, Wish};
use bardo_core::service::Failure;
use bardo_core::time::WallTime;
use bardo_core::{Decision, Generation, SpawnError};

use super::codec::Unreadable::{self, Malformed, Unknown};
use super::codec::{Decoder, Encoder};
use super::records::{read_exit, read_failure, write_exit, write_failure};
use super::vitals::{read_reason, write_reason};
use crate::daemon::decisions::{Decisions, History, Kept};

type Read<T> = Result<T, Unreadable>;

pub(super) fn write(to: &mut Encoder, decisions: &Decisions) {
    to.u64(decisions.last());
    let present: Vec<&History> =
        decisions.present().filter(|history| !history.kept.is_empty()).collect();
    to.list(&present, |to, history| {
        to.frame(|to| {
            to.u32(history.service.0);
            to.list(&history.kept, |to, kept| to.frame(|to| write_kept(to, kept)));
        });
    });
    let gone: Vec<&History> = decisions.gone().collect();
    to.list(&gone, |to, history| {
        to.frame(|to| {
            to.u32(history.service.0);
            to.text(&history.group);
            to.text(&history.name);
            to.list(&history.kept, |to, kept| to.frame(|to| write_kept(to, kept)));
        });
    });
}

/// Adds what is known to those of whom it is known.
pub(super) fn read(from: &mut Decoder<'_>, decisions: &mut Decisions) -> Read<()> {
    let last = from.u64()?;
    for (service, kept) in
        from.list(|from| from.frame(|from| Ok((from.service()?, read_all(from)?))))?
    {
        decisions.restore(service, kept);
    }
    let gone = from.list(|from| {
        from.frame(|from| {
            let service = from.service()?;
            let (group, name) = (from.text()?.into(), from.text()?.into());
            Ok(History { service, group, name, kept: read_all(from)? })
        })
    })?;
    decisions.restore_rest(last, gone);
    Ok(())
}

fn read_all(from: &mut Decoder<'_>) -> Read<Vec<Kept>> {
    let known = from.list(|from| match from.frame(read_kept) {
        Ok(kept) => Ok(Some(kept)),
        Err(Unknown) => Ok(None),
        Err(Malformed) => Err(Malformed),
    })?;
    Ok(known.into_iter().flatten().collect())
}

pub(super) fn write_decision(to: &mut Encoder, number: u64, decision: &Decision) {
    let Decision { service, generation, at, what } = decision;
    to.u32(service.0);
    write_kept(to, &Kept { number, generation: *generation, at: *at, what: what.clone() });
}

pub(super) fn read_decision(from: &mut Decoder<'_>) -> Read<(u64, Decision)> {
    let service = from.service()?;
    let Kept { number, generation, at, what } = read_kept(from)?;
    Ok((number, Decision { service, generation, at, what }))
}

fn write_kept(to: &mut Encoder, kept: &Kept) {
    to.u64(kept.number);
    to.u32(kept.generation.0);
    to.i64(kept.at.0);
    to.frame(|to| write_what(to, &kept.what));
}

fn read_kept(from: &mut Decoder<'_>) -> Read<Kept> {
    Ok(Kept {
        number: from.u64()?,
        generation: Generation(from.u32()?),
        at: WallTime(from.i64()?),
        what: from.frame(read_what)?,
    })
}

fn write_what(to: &mut Encoder, what: &What) {
    match what {
        What::Start(cause) => tagged(to, 0, cause_number(*cause)),
        What::Holds { on } => {
            to.byte(1);
            to.text(on);
        }
        What::Executed => to.byte(2),
        What::Ready(sign) => tagged(to, 3, sign_number(*sign)),
        What::Ended(status, reason) => {
            to.byte(4);
            write_exit(to, *status);
            write_reason(to, *reason);
        }
        What::SpawnFailed(error) => {
            to.byte(5);
            write_failure(to, Failure::Spawn(*error));
        }
        What::Waits { wait, count, rule } => {
            to.byte(6);
            to.u64(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
            to.u32(*count);
            to.byte(rule_number(*rule));
        }
        What::Kills(reason) => {
            to.byte(7);
            write_reason(to, *reason);
        }
        What::AsksScript(reason) => {
            to.byte(8);
            write_reason(to, *reason);
        }
        What::ScriptSilent => to.byte(9),
        What::ScriptFailed(error) => {
            to.byte(10);
            write_failure(to, Failure::Spawn(*error));
        }
        What::GaveUp => to.byte(11),
        What::Stop(wish) => tagged(to, 12, wish_number(*wish)),
        What::Stopped(status) => {
            to.byte(13);
            write_exit(to, *status);
        }
        What::CounterReset => to.byte(14),
        What::Edited => to.byte(15),
        What::Rests => to.byte(16),
        What::Ends => to.byte(17),
        What::ScriptBusy => to.byte(18),
        What::EndsAll(exit_code) => tagged(to, 19, *exit_code),
    }
}

fn read_what(from: &mut Decoder<'_>) -> Read<What> {
    Ok(match from.byte()? {
        0 => What::Start(one_of(&CAUSES, from)?),
        1 => What::Holds { on: from.text().map(Arc::from)? },
        2 => What::Executed,
        3 => What::Ready(one_of(&SIGNS, from)?),
        4 => What::Ended(read_exit(from)?, read_reason(from)?),
        5 => What::SpawnFailed(read_error(from)?),
        6 => What::Waits {
            wait: Duration::from_nanos(from.u64()?),
            count: from.u32()?,
            rule: one_of(&RULES, from)?,
        },
        7 => What::Kills(read_reason(from)?),
        8 => What::AsksScript(read_reason(from)?),
        9 => What::ScriptSilent,
        18 => What::ScriptBusy,
        10 => What::ScriptFailed(read_error(from)?),
        11 => What::GaveUp,
        12 => What::Stop(one_of(&WISHES, from)?),
        13 => What::Stopped(read_exit(from)?),
        14 => What::CounterReset,
        15 => What::Edited,
        16 => What::Rests,
        17 => What::Ends,
        19 => What::EndsAll(from.byte()?),
        _ => return Err(Unknown),
    })
}

fn tagged(to: &mut Encoder, kind: u8, value: u8) {
    to.byte(kind);
    to.byte(value);
}

/// One of several values that are written as their place among them.
fn one_of<T: Copy>(all: &[T], from: &mut Decoder<'_>) -> Read<T> {
    all.get(usize::from(from.byte()?)).copied().ok_or(Unknown)
}

fn read_error(from: &mut Decoder<'_>) -> Read<SpawnError> {
    match read_failure(from)? {
        Failure::Spawn(error) => Ok(error),
        _ => Err(Malformed),
    }
}

pub(super) const CAUSES: [Cause; 7] = [
    Cause::Automatic,
    Cause::Asked,
    Cause::Crash,
    Cause::Retry,
    Cause::Refresh,
    Cause::Now,
    Cause::Script,
];

fn cause_number(cause: Cause) -> u8 {
    match cause {
        Cause::Automatic => 0,
        Cause::Asked => 1,
        Cause::Crash => 2,
        Cause::Retry => 3,
        Cause::Refresh => 4,
        Cause::Now => 5,
        Cause::Script => 6,
    }
}

pub(super) const SIGNS: [Sign; 3] = [Sign::Said, Sign::Checked, Sign::StayedUp];

fn sign_number(sign: Sign) -> u8 {
    match sign {
        Sign::Said => 0,
        Sign::Checked => 1,
        Sign::StayedUp => 2,
    }
}

pub(super) const RULES: [Rule; 4] = [Rule::Retries, Rule::Binary, Rule::Constant, Rule::Shortage];

fn rule_number(rule: Rule) -> u8 {
    match rule {
        Rule::Retries => 0,
        Rule::Binary => 1,
        Rule::Constant => 2,
        Rule::Shortage => 3,
    }
}

pub(super) const WISHES: [Wish; 3] = [Wish::Client, Wish::Refresh, Wish::End];

fn wish_number(wish: Wish) -> u8 {
    match wish {
        Wish::Client => 0,
        Wish::Refresh => 1,
        Wish::End => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_later_version_decides_is_left_out() {
        let kept = |number, what| Kept { number, generation: Generation(1), at: WallTime(2), what };
        let (one, other) = (kept(1, What::GaveUp), kept(3, What::Rests));
        let mut encoder = Encoder::default();
        encoder.length(3);
        encoder.frame(|to| write_kept(to, &one));
        encoder.frame(|to| {
            to.u64(2);
            to.u32(1);
            to.i64(2);
            to.frame(|to| to.byte(200));
        });
        encoder.frame(|to| write_kept(to, &other));

        let known = read_all(&mut Decoder::new(encoder.bytes()));

        assert_eq!(known, Ok(vec![one, other]));
    }
}
