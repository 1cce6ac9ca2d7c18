//! Decisions of every kind.

use std::time::Duration;

use bardo_core::decision::{Cause, Reason, Rule, Sign, What, Wish};
use bardo_core::time::WallTime;
use bardo_core::{Decision, ExitStatus, Generation, Preparation, ServiceId, Signal, SpawnError};
use proptest::prelude::*;

use super::super::decisions::{CAUSES, RULES, SIGNS, WISHES};
use super::samples::{exit, id, text};

fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![
        Just(Reason::Terminated),
        Just(Reason::NoHeartbeat),
        Just(Reason::Restart),
        Just(Reason::Health),
        Just(Reason::OutOfMemory),
        Just(Reason::InitTimeout),
        Just(Reason::CannotResume),
        any::<i32>().prop_map(Reason::InitFailed),
    ]
}

fn spawn_error() -> impl Strategy<Value = SpawnError> {
    prop_oneof![Just(SpawnError::NotFound), any::<i32>().prop_map(SpawnError::Clone)]
}

fn what() -> impl Strategy<Value = What> {
    let waits = (any::<u64>(), any::<u32>(), prop::sample::select(&RULES[..])).prop_map(
        |(wait, count, rule)| What::Waits { wait: Duration::from_nanos(wait), count, rule },
    );
    prop_oneof![
        prop::sample::select(&CAUSES[..]).prop_map(What::Start),
        text().prop_map(|on| What::Holds { on }),
        prop::sample::select(&SIGNS[..]).prop_map(What::Ready),
        (exit(), reason()).prop_map(|(exit, reason)| What::Ended(exit, reason)),
        spawn_error().prop_map(What::SpawnFailed),
        waits,
        reason().prop_map(What::Kills),
        reason().prop_map(What::AsksScript),
        spawn_error().prop_map(What::ScriptFailed),
        prop::sample::select(&WISHES[..]).prop_map(What::Stop),
        any::<u8>().prop_map(What::EndsAll),
        exit().prop_map(What::Stopped),
        prop::sample::select(vec![
            What::Executed,
            What::ScriptSilent,
            What::ScriptBusy,
            What::GaveUp,
            What::CounterReset,
            What::Edited,
            What::Rests,
            What::Ends,
        ]),
    ]
}

/// Any decision, with a number.
pub(super) fn decision() -> impl Strategy<Value = (u64, Decision)> {
    (1..1000_u64, id(), any::<u32>(), any::<i64>(), what()).prop_map(
        |(number, service, generation, at, what)| {
            let (generation, at) = (Generation(generation), WallTime(at));
            (number, Decision { service, generation, at, what })
        },
    )
}

/// A decision of every kind, about two services.
pub(super) fn sample(version: u16) -> Vec<Decision> {
    let exit = ExitStatus::Signal { signal: Signal::QUIT, core: true };
    let all = [
        What::Start(Cause::Crash),
        What::Holds { on: "web:worker".into() },
        What::Executed,
        What::Ready(Sign::Checked),
        What::Ended(exit, Reason::NoHeartbeat),
        What::SpawnFailed(SpawnError::Clone(11)),
        What::Waits { wait: Duration::from_millis(1500), count: 3, rule: Rule::Constant },
        What::Kills(Reason::InitFailed(-5)),
        What::AsksScript(Reason::Restart),
        What::ScriptSilent,
        What::ScriptFailed(SpawnError::NotFound),
        What::GaveUp,
        What::Stop(Wish::Refresh),
        What::Stopped(ExitStatus::Code(7)),
        What::CounterReset,
        What::Edited,
        What::Rests,
        What::Ends,
        What::EndsAll(3),
        What::SpawnFailed(SpawnError::Prepare(Preparation::User, 1)),
    ];
    let known = match version {
        9.. => all.len(),
        7.. => all.len() - 1,
        _ => all.len() - 2,
    };
    let numbered = (0_u32..).zip(all).take(known);
    let decision = |(number, what)| Decision {
        service: ServiceId(1 + number % 2),
        generation: Generation(20 + number),
        at: WallTime(1_700_000_000 + i64::from(number)),
        what,
    };
    numbered.map(decision).collect()
}
