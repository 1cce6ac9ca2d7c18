//! The supervisor itself: who it is, and its end.

use bardo_core::Mood;
use serde::Serialize;

use super::call::{Call, Said};
use super::problem::Problem;
use super::{ROOT, shapes};
use crate::api::ask::misanswered;
use crate::daemon::clients::{Question, Reply};

type Result = std::result::Result<Said, Problem>;

#[derive(Serialize)]
struct Identity<'a> {
    identifier: &'a str,
    bardo: &'static str,
    supervisor: &'static str,
    state: &'static str,
    pid: u32,
    logfile: Option<&'a str>,
    watching: Option<&'a str>,
    ends_at_restart: bool,
    openapi: String,
    docs: String,
}

/// It is answered also while everything is being stopped.
pub(super) async fn identity(call: Call) -> Result {
    let Reply::Mood(mood) = call.context.ask(Question::Mood).await? else {
        return Err(misanswered().into());
    };
    told(&call, mood)
}

fn told(call: &Call, mood: Mood) -> Result {
    let shown = call.context.shown();
    Said::json(&Identity {
        identifier: &shown.identifier,
        bardo: env!("CARGO_PKG_VERSION"),
        supervisor: call.context.settings.supervisor_version,
        state: if shown.watching.is_some() { "FATAL" } else { shapes::mood(mood) },
        pid: call.context.settings.keeper.0,
        logfile: shown.main_log.as_deref(),
        watching: shown.watching.as_deref(),
        ends_at_restart: shown.ends_at_restart,
        openapi: format!("{ROOT}/openapi.json"),
        docs: format!("{ROOT}/docs"),
    })
}

pub(super) async fn shutdown(call: Call) -> Result {
    call.rpc("shutdown", Vec::new()).await?;
    // Who is asked now may have ended before the answer.
    told(&call, Mood::Shutdown)
}

pub(super) async fn restart(call: Call) -> Result {
    call.rpc("restart", Vec::new()).await?;
    if call.context.shown().ends_at_restart {
        return told(&call, Mood::Shutdown);
    }
    identity(call).await
}
