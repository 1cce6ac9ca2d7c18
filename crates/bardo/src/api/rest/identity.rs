//! The supervisor itself: who it is, and its end.

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
    openapi: String,
    docs: String,
}

/// It is answered also while everything is being stopped.
pub(super) async fn identity(call: Call) -> Result {
    let Reply::Mood(mood) = call.context.ask(Question::Mood).await? else {
        return Err(misanswered().into());
    };
    let shown = call.context.shown();
    Said::json(&Identity {
        identifier: &shown.identifier,
        bardo: env!("CARGO_PKG_VERSION"),
        supervisor: call.context.settings.supervisor_version,
        state: if shown.watching.is_some() { "FATAL" } else { shapes::mood(mood) },
        pid: call.context.settings.keeper.0,
        logfile: shown.main_log.as_deref(),
        watching: shown.watching.as_deref(),
        openapi: format!("{ROOT}/openapi.json"),
        docs: format!("{ROOT}/docs"),
    })
}

pub(super) async fn shutdown(call: Call) -> Result {
    call.rpc("shutdown", Vec::new()).await?;
    identity(call).await
}

pub(super) async fn restart(call: Call) -> Result {
    call.rpc("restart", Vec::new()).await?;
    identity(call).await
}
