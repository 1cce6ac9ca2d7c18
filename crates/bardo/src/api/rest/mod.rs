//! `/api/v1`: the same as XML-RPC for programs that speak JSON, and changes as they
//! happen.
//!
//! [`table`] lists every route once; dispatch, the OpenAPI file and the page for people
//! are all derived from it. What a route does is what the XML-RPC method of that name
//! does: there is one meaning of "start", and this is another way to say it.

mod actions;
mod call;
mod events;
pub(super) mod feed;
mod identity;
mod log_events;
mod logs;
mod openapi;
mod problem;
mod processes;
pub(super) mod service;
mod services;
mod setup;
mod shapes;
mod table;
mod told;
mod troubles;

use std::sync::Arc;

use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use self::call::{Call, Said};
use self::problem::Problem;
use self::table::{Found, Route};
use super::Context;
use super::answer::{self, Content};
use super::body::Received;
use super::page::{POLICY, origin};
use super::peer::Peer;
use super::places::Place;
use super::room::Share;

/// Where all routes begin.
pub(super) const ROOT: &str = "/api/v1";

/// Tells proxies not to wait for more.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Whether a path, as it was sent, is one of ours.
pub(super) fn is_ours(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request below [`ROOT`].
pub(super) async fn answer(
    context: &Arc<Context>,
    whence: (&Arc<Place>, Option<&Arc<Peer>>),
    head: &Parts,
    body: Received,
) -> Response<Content> {
    let (route, captured) = match table::find(&head.method, head.uri.path()) {
        Found::Route(route, captured) => (route, captured),
        Found::OtherMethods(methods) => return not_allowed(&head.method, &methods),
        Found::Nothing => return told(Problem::no_such_route(head.uri.path())),
    };
    if route.acts() && !origin::is_ours(&head.headers) {
        return told(Problem::from_elsewhere());
    }
    let share = context.room.share();
    let said = match Call::new(context, whence, head, captured, body, &share) {
        Ok(call) => (route.run)(call).await,
        Err(problem) => Err(problem),
    };
    match said {
        Ok(said) => spoken(said, share).await,
        Err(problem) => told(problem),
    }
}

/// The answer of a route that has done what was asked.
async fn spoken(said: Said, share: Share) -> Response<Content> {
    let (kind, text) = match said {
        Said::Json(text) => ("application/json", text),
        Said::Page(text) => ("text/html;charset=utf-8", text),
        Said::Stream(pieces) => {
            let mut response = answer::good("text/event-stream", Content::Stream(pieces));
            response.headers_mut().insert(UNBUFFERED, HeaderValue::from_static("no"));
            return fresh(response);
        }
    };
    match share.at_least(text.len()).await {
        Ok(()) => fresh(answer::whole(kind, share.around(text))),
        Err(fault) => told(fault.into()),
    }
}

/// What somebody gets who may not even look.
pub(super) fn not_permitted() -> Response<Content> {
    told(Problem::not_permitted())
}

fn told(problem: Problem) -> Response<Content> {
    let mut response = answer::whole("application/problem+json", problem.to_json());
    *response.status_mut() = problem.status;
    fresh(response)
}

fn not_allowed(method: &Method, others: &[&'static str]) -> Response<Content> {
    let mut response = told(Problem::wrong_method(method, others));
    if let Ok(others) = HeaderValue::from_str(&others.join(", ")) {
        response.headers_mut().insert(ALLOW, others);
    }
    response
}

/// How things are now is never kept.
fn fresh(mut response: Response<Content>) -> Response<Content> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// Whether a body is said to be of a type.
fn is_of_type(head: &Parts, wanted: &str) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case(wanted)
}

/// The status of a problem that is nobody's fault but ours.
const OURS: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

impl Route {
    /// Whether it changes something.
    fn acts(&self) -> bool {
        self.method == "POST"
    }
}
