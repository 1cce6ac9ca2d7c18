//! How services are and what was decided about them, as JSON.

use bardo_sys::clock;
use serde::Serialize;

use super::call::{Call, Said};
use super::problem::Problem;
use crate::api::ask::misanswered;
use crate::api::faults::{Code, Fault};
use crate::api::info;
use crate::daemon::clients::{Question, Reply};
use crate::daemon::decisions::{History, Kept, Told};
use crate::daemon::standing::{CHECKS, Explained, Standing};
use crate::service::listing;
use crate::service::reply::{Decided, Service, ToldDecision, Why};
use crate::words::{self, why};

/// About how many bytes are told of each service.
const ROW_BYTES: usize = 2 << 10;

/// About how many bytes are told of each decision.
const DECISION_BYTES: usize = 256;

type Result = std::result::Result<Said, Problem>;

#[derive(Serialize)]
struct Decisions {
    now: i64,
    /// The number of the latest decision, also where it is not among those that are told.
    last: u64,
    decisions: Vec<ToldDecision>,
}

pub(super) async fn all(call: Call) -> Result {
    let standings = standings(&call, None).await?;
    call.share.add(standings.len() * ROW_BYTES).await?;
    let now = info::now();
    let services: Vec<Service> =
        standings.iter().map(|standing| listing::service(standing, now)).collect();
    Said::json(&services)
}

pub(super) async fn one(call: Call) -> Result {
    let standings = standings(&call, Some(call.name())).await?;
    let standing = standings.first().ok_or_else(|| unknown(&call))?;
    Said::json(&listing::service(standing, info::now()))
}

async fn standings(
    call: &Call,
    label: Option<&str>,
) -> std::result::Result<Vec<Standing>, Problem> {
    match call.context.ask(Question::Services(label.map(Into::into))).await? {
        Reply::Services(standings) => Ok(standings),
        _ => Err(misanswered().into()),
    }
}

pub(super) async fn why(call: Call) -> Result {
    let reply = call.context.ask(Question::Why(call.name().into())).await?;
    let Reply::Why(explained) = reply else { return Err(misanswered().into()) };
    let now = info::now();
    match explained.ok_or_else(|| unknown(&call))? {
        Explained::Present(standing) => Said::json(&of_present(&standing, now)),
        Explained::Gone(history) => Said::json(&of_gone(&history, now)),
    }
}

fn unknown(call: &Call) -> Problem {
    Fault::with(Code::BadName, call.name()).into()
}

fn of_present(standing: &Standing, now: i64) -> Why {
    Why {
        name: standing.label(),
        state: words::state(standing.state).1.to_owned(),
        reason: reason(standing, now),
        decisions: standing.kept.iter().map(decided).collect(),
    }
}

/// Why it is as it is, and what of its checks people have to see to.
fn reason(standing: &Standing, now: i64) -> String {
    let checks = standing.further.iter().filter(|(name, _)| *name == CHECKS);
    let also = checks.map(|(_, text)| format!("; {text}"));
    std::iter::once(why::reason(standing, now)).chain(also).collect()
}

fn of_gone(history: &History, now: i64) -> Why {
    Why {
        name: history.label(),
        state: String::new(),
        reason: why::gone(history, now),
        decisions: history.kept.iter().map(decided).collect(),
    }
}

pub(super) async fn decisions(call: Call) -> Result {
    let after = call.number("after")?.unwrap_or(0);
    let Reply::Decisions(told, last) = call.context.ask(Question::Decisions(after)).await? else {
        return Err(misanswered().into());
    };
    call.share.add(told.len() * DECISION_BYTES).await?;
    let decisions = told.iter().map(self::told).collect();
    Said::json(&Decisions { now: clock::wall_seconds(), last, decisions })
}

fn decided(kept: &Kept) -> Decided {
    Decided {
        number: kept.number,
        at: kept.at.0,
        generation: kept.generation.0,
        what: why::word(&kept.what).to_owned(),
        text: why::decision(&kept.what),
    }
}

/// A decision and whom it is about.
pub(super) fn told(told: &Told) -> ToldDecision {
    ToldDecision {
        name: crate::names::namespec(&told.group, &told.name),
        endpoint: listing::endpoint(told.service, told.kept.generation),
        decided: decided(&told.kept),
    }
}
