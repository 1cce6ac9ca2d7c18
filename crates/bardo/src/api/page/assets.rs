//! The files that belong to the pages. They are part of the program.

use std::sync::OnceLock;
use std::time::SystemTime;

use hyper::header::{CACHE_CONTROL, HeaderValue, IF_MODIFIED_SINCE, LAST_MODIFIED, LOCATION};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use crate::api::answer::{self, Content};

const CSS: &str = "text/css";
const SCRIPT: &str = "text/javascript;charset=utf-8";
const GIF: &str = "image/gif";
const PNG: &str = "image/png";

/// The one script, put together from its parts.
const PARTS: &str = concat!(
    include_str!("../../../templates/live/dom.js"),
    include_str!("../../../templates/live/talk.js"),
    include_str!("../../../templates/live/ansi.js"),
    include_str!("../../../templates/live/toasts.js"),
    include_str!("../../../templates/live/log.js"),
    include_str!("../../../templates/live/rows.js"),
    include_str!("../../../templates/live/drawer.js"),
    include_str!("../../../templates/live/page.js"),
);

/// Address, type and content of every file.
const FILES: &[(&str, &str, &[u8])] = &[
    (
        "/stylesheets/supervisor.css",
        CSS,
        include_bytes!("../../../templates/static/stylesheets/supervisor.css"),
    ),
    ("/scripts/bardo.js", SCRIPT, PARTS.as_bytes()),
    ("/images/icon.png", PNG, include_bytes!("../../../templates/static/images/icon.png")),
    ("/images/rule.gif", GIF, include_bytes!("../../../templates/static/images/rule.gif")),
    ("/images/state0.gif", GIF, include_bytes!("../../../templates/static/images/state0.gif")),
    ("/images/state1.gif", GIF, include_bytes!("../../../templates/static/images/state1.gif")),
    ("/images/state2.gif", GIF, include_bytes!("../../../templates/static/images/state2.gif")),
    ("/images/state3.gif", GIF, include_bytes!("../../../templates/static/images/state3.gif")),
    (
        "/images/supervisor.gif",
        GIF,
        include_bytes!("../../../templates/static/images/supervisor.gif"),
    ),
];

/// Answers a request for a file.
pub(super) fn answer(head: &Parts) -> Response<Content> {
    let path = head.uri.path();
    if path == "/images" || path == "/stylesheets" {
        return moved(&format!("{path}/"));
    }
    let Some((_, kind, content)) = FILES.iter().find(|(known, ..)| *known == path) else {
        return answer::error(StatusCode::NOT_FOUND);
    };
    let changed = changed();
    let since = head.headers.get(IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    let since = since.and_then(|text| httpdate::parse_http_date(text).ok());
    let mut response = answer::whole(kind, *content);
    if since.is_some_and(|since| since >= changed) {
        response = answer::whole(kind, "");
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    // A browser asks each time whether they are new: they change with the program.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(changed)) {
        response.headers_mut().insert(LAST_MODIFIED, date);
    }
    response
}

fn moved(to: &str) -> Response<Content> {
    let mut response = answer::error(StatusCode::MOVED_PERMANENTLY);
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// When the files last changed: with the program that they are part of, to the second.
fn changed() -> SystemTime {
    static CHANGED: OnceLock<SystemTime> = OnceLock::new();
    *CHANGED.get_or_init(|| {
        let program = std::fs::metadata("/proc/self/exe").and_then(|file| file.modified());
        let time = program.unwrap_or_else(|_| SystemTime::now());
        httpdate::parse_http_date(&httpdate::fmt_http_date(time)).unwrap_or(time)
    })
}
