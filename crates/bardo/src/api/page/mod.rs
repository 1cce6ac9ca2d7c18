//! Pages for people, at Supervisor's addresses.
//!
//! They work without scripts: every action is a link, answered by sending the browser
//! back to the first page with a message. Addresses are compared as they were sent,
//! before their `%` sequences are resolved, as in Supervisor.

mod action;
mod assets;
pub(super) mod form;
mod index;
pub(super) mod origin;
mod tail;

use std::sync::Arc;

use askama::Template;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, EXPIRES, HeaderValue, PRAGMA};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use self::form::Form;
use super::Context;
use super::answer::{self, Content};
use super::room::Share;

const HTML: &str = "text/html;charset=utf-8";

/// What pages may load and do: our own script, style and images, and nothing inline. Even
/// if a name were taken for markup by mistake, it could do nothing.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
);

/// Answers a request for a page or for one of the files that belong to it.
pub(super) async fn answer(context: &Arc<Context>, head: &Parts, body: &[u8]) -> Response<Content> {
    let path = head.uri.path();
    let is_page = matches!(path, "/" | "/index.html" | "/tail.html" | "/ok.html");
    match head.method {
        Method::GET | Method::HEAD => {}
        Method::POST if is_page => {}
        _ => return answer::error(StatusCode::BAD_REQUEST),
    }
    let form = || Form::read(head.uri.query().unwrap_or_default(), body);
    match path {
        "/" | "/index.html" => index::answer(context, head, &form()).await,
        "/tail.html" => tail::answer(context, &form()).await,
        "/ok.html" => uncached(answer::whole("text/plain", "OK")),
        _ => assets::answer(head),
    }
}

/// A page of a template, as part of a share of the room for answers.
async fn rendered(template: &impl Template, share: Share) -> Response<Content> {
    let Ok(page) = template.render() else {
        return answer::error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    match share.at_least(page.len()).await {
        Ok(()) => uncached(answer::whole(HTML, share.around(page))),
        Err(_) => answer::error(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    title: &'a str,
    text: &'a str,
}

fn notice(status: StatusCode, title: &str, text: &str) -> Response<Content> {
    let page = Notice { title, text }.render().unwrap_or_else(|_| text.to_owned());
    let mut response = uncached(answer::whole(HTML, page));
    *response.status_mut() = status;
    response
}

/// An answer that nobody is to keep.
pub(super) fn uncached(mut response: Response<Content>) -> Response<Content> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
    response
}
