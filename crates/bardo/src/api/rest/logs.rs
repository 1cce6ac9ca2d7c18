//! Parts of logs.

use std::path::PathBuf;

use serde::Serialize;

use super::call::{Call, Said};
use super::problem::Problem;
use super::processes::view;
use crate::api::faults::{Code, Fault};
use crate::api::logs::{Part, Tail};

/// Bytes from the end where nothing else is asked for.
const TAIL_BYTES: i64 = 16 << 10;

type Result = std::result::Result<Said, Problem>;

#[derive(Serialize)]
struct Text {
    /// Where the text begins in the file, in bytes.
    from: u64,
    /// Where it ends: the offset to go on with.
    to: u64,
    /// How long the file is.
    size: u64,
    text: String,
}

pub(super) async fn of_process(call: Call) -> Result {
    let path = path_of(&call).await?;
    read(&call, path).await
}

pub(super) async fn of_supervisor(call: Call) -> Result {
    let path = main_path(&call)?;
    read(&call, path).await
}

pub(super) async fn clear_of_supervisor(call: Call) -> Result {
    call.rpc("clearLog", Vec::new()).await?;
    Said::json(&serde_json::json!({ "ok": true }))
}

/// The file that the path names.
pub(super) async fn path_of(call: &Call) -> std::result::Result<PathBuf, Problem> {
    let view = view(call).await?;
    let log = match call.channel() {
        "stdout" => view.stdout_log,
        "stderr" => view.stderr_log,
        _ => None,
    };
    let log = log.ok_or_else(|| Problem::no_log(&what(call)))?;
    Ok(PathBuf::from(&*log))
}

/// The file of the main log.
pub(super) fn main_path(call: &Call) -> std::result::Result<PathBuf, Problem> {
    let path = call.context.shown().main_log;
    path.map(|path| PathBuf::from(&*path)).ok_or_else(|| Problem::no_log("the main log"))
}

/// How the log is called that is asked for.
pub(super) fn what(call: &Call) -> String {
    match call.name() {
        "" => "the main log".to_owned(),
        name => format!("{} of {name}", call.channel()),
    }
}

async fn read(call: &Call, path: PathBuf) -> Result {
    let (tail, offset, length) =
        (call.bytes("tail")?, call.bytes("offset")?, call.bytes("length")?);
    let found = tokio::task::spawn_blocking(move || match (tail, offset) {
        (None, Some(offset)) => Part::find(&path, offset, length.unwrap_or(0)).ok(),
        (tail, _) => Tail::find(&path, 0, tail.unwrap_or(TAIL_BYTES)).ok().map(|tail| tail.part),
    });
    let Ok(Some(part)) = found.await else { return Err(Problem::no_log(&what(call))) };
    call.share.add(part.bytes()).await?;
    let read = tokio::task::spawn_blocking(move || {
        let (from, to, size) = part.span();
        part.read().map(|text| Text { from, to, size, text })
    });
    match read.await {
        Ok(Ok(text)) => Said::json(&text),
        Ok(Err(error)) => Err(Fault::with(Code::Failed, error).into()),
        Err(_) => Err(Problem::our_fault()),
    }
}
