//! `/logtail` and `/mainlogtail`: logs that go on for as long as somebody reads.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue, LAST_MODIFIED};
use hyper::{Method, Response, StatusCode};
use tokio::sync::mpsc;

use super::Context;
use super::answer::{self, Content};
use super::places::Place;
use super::tail_file::TailFile;
use crate::names;

/// How often a file is looked at while somebody follows it: Supervisor's number.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Pieces that are ready before the client has taken them.
pub(super) const PIECES_AHEAD: usize = 1;

const TEXT: &str = "text/plain;charset=utf-8";

/// Tells proxies not to wait for more.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers `/logtail/NAMESPEC[/CHANNEL]`.
pub(super) async fn process(
    context: &Arc<Context>,
    place: &Place,
    method: &Method,
    path: &str,
) -> Response<Content> {
    if method != Method::GET {
        return answer::error(StatusCode::BAD_REQUEST);
    }
    let Some((_, rest)) = path.trim_start_matches('/').split_once('/') else {
        return answer::error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let (name, channel) = rest.split_once('/').unwrap_or((rest, "stdout"));
    let Some(file) = log_of(context, name, channel).await else {
        return answer::error(StatusCode::NOT_FOUND);
    };
    let mut response = follow(context, place, file).await;
    if response.status() == StatusCode::OK {
        let headers = response.headers_mut();
        headers.insert(UNBUFFERED, HeaderValue::from_static("no"));
    }
    response
}

/// Answers `/mainlogtail`.
pub(super) async fn main_log(
    context: &Arc<Context>,
    place: &Place,
    method: &Method,
) -> Response<Content> {
    if method != Method::GET {
        return answer::error(StatusCode::BAD_REQUEST);
    }
    match context.shown().main_log {
        Some(file) => follow(context, place, PathBuf::from(&*file)).await,
        None => answer::error(StatusCode::NOT_FOUND),
    }
}

async fn log_of(context: &Context, name: &str, channel: &str) -> Option<PathBuf> {
    let namespec = names::parse(name);
    let process = namespec.process?;
    let view = context.process(namespec.group, process, name).await.ok()?;
    let log = match channel {
        "stdout" => view.stdout_log,
        "stderr" => view.stderr_log,
        _ => None,
    };
    log.map(|file| PathBuf::from(&*file))
}

async fn follow(context: &Arc<Context>, place: &Place, file: PathBuf) -> Response<Content> {
    let Some(permit) = place.follow() else {
        return answer::error(StatusCode::SERVICE_UNAVAILABLE);
    };
    let opened = tokio::task::spawn_blocking(move || {
        let tail = TailFile::open(&file)?;
        let modified = tail.modified()?;
        Ok::<_, std::io::Error>((tail, modified))
    });
    let Ok(Ok((tail, modified))) = opened.await else {
        return answer::error(StatusCode::NOT_FOUND);
    };
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    let context = Arc::clone(context);
    tokio::spawn(async move {
        send(context, tail, sender).await;
        drop(permit);
    });
    let mut response = answer::good(TEXT, Content::Stream(pieces));
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(modified)) {
        response.headers_mut().insert(LAST_MODIFIED, date);
    }
    response
}

/// Sends what is added to a file until the client goes away or the API ends, and then
/// what was added before the end.
async fn send(context: Arc<Context>, mut tail: TailFile, sender: mpsc::Sender<Bytes>) {
    loop {
        let last = context.is_ending();
        let looked = tokio::task::spawn_blocking(move || {
            let more = tail.more();
            (tail, more)
        });
        let Ok((back, Ok(more))) = looked.await else {
            return;
        };
        tail = back;
        if more.is_empty() && last {
            return;
        }
        if more.is_empty() {
            let gone = tokio::time::timeout(LOOK_EVERY, sender.closed()).await;
            if gone.is_ok() {
                return;
            }
        } else if sender.send(Bytes::from(more)).await.is_err() {
            return;
        }
    }
}
