//! Pages for people.

use std::fmt::Write as _;
use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, EXPIRES, HeaderValue, PRAGMA};
use hyper::{Response, StatusCode};

use super::answer::{self, Content};
use super::{Context, info, names};
use crate::daemon::clients::Selection;

const HTML: &str = "text/html;charset=utf-8";

/// Answers `/`: how every process is. While all is being stopped it fails, as in
/// Supervisor.
pub(super) async fn status(context: &Arc<Context>) -> Response<Content> {
    let Ok(views) = context.processes(Selection::All, "").await else {
        return answer::error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Supervisor Status</title></head><body>\n\
         <h1>Supervisor Status</h1>\n",
    );
    if views.is_empty() {
        page.push_str("<p>No programs to manage</p>\n");
    } else {
        page.push_str("<table>\n<tr><th>State</th><th>Description</th><th>Name</th></tr>\n");
        let now = info::now();
        for view in &views {
            let (_, state) = info::state(view.state);
            let spawnerr = info::spawn_error(view, context.path.as_deref());
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                state.to_ascii_lowercase(),
                escaped(&info::description(view, now, &spawnerr)),
                escaped(&names::namespec(&view.group.name, &view.spec.name)),
            );
        }
        page.push_str("</table>\n");
    }
    page.push_str("</body></html>\n");
    let mut response = answer::whole(HTML, page);
    let headers = response.headers_mut();
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let never = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT");
    headers.insert(EXPIRES, never);
    response
}

/// Answers `/ok.html`, which tells that there is a server.
pub(super) fn health() -> Response<Content> {
    answer::whole("text/plain", "OK")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
