//! The last bytes of a program's standard output.

use std::sync::Arc;

use askama::Template;
use bardo_wire::xmlrpc::Value;
use hyper::Response;

use super::action::unexpected;
use super::form::{Form, quoted};
use crate::api::answer::Content;
use crate::api::faults::Code;
use crate::api::{Context, rpc};

/// Least bytes that are shown, and how many where nobody asks for more.
const BYTES_MIN: i64 = 1024;

/// Most bytes that are shown: more of them no browser shows with pleasure.
const BYTES_MAX: i64 = 1 << 20;

#[derive(Template)]
#[template(path = "tail.html")]
struct TailPage<'a> {
    title: &'a str,
    text: String,
    refresh: Option<String>,
    /// Whether there is a log that a script can follow.
    follows: bool,
}

/// Answers `/tail.html`.
pub(super) async fn answer(context: &Arc<Context>, form: &Form) -> Response<Content> {
    let share = context.room.share();
    let Some(name) = form.get("processname") else {
        let text = "No process name found".to_owned();
        return super::rendered(
            &TailPage { title: "", text, refresh: None, follows: false },
            share,
        )
        .await;
    };
    let bytes = limit(form.get("limit"));
    let parameters = vec![Value::from(name), Value::Int(-bytes), Value::Int(0)];
    let method = "supervisor.readProcessStdoutLog";
    let log = rpc::call_for_page(context, method, parameters, &share).await;
    let follows = log.is_ok();
    let text = match log {
        Ok(text) => text.as_str().unwrap_or_default().to_owned(),
        Err(fault) if fault.code == Code::NoFile => format!("No file for {name}"),
        Err(fault) => format!("ERROR: {}", unexpected(&fault)),
    };
    let refresh = format!("tail.html?processname={}&amp;limit={bytes}", quoted(name));
    let page = TailPage { title: name, text, refresh: Some(refresh), follows };
    super::rendered(&page, share).await
}

fn limit(asked: Option<&str>) -> i64 {
    let number = asked.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let bytes = number.map_or(BYTES_MIN, |text| text.parse().unwrap_or(BYTES_MAX));
    bytes.clamp(BYTES_MIN, BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_within_bounds() {
        let cases = [
            (None, BYTES_MIN),
            (Some("5"), BYTES_MIN),
            (Some("-5000"), BYTES_MIN),
            (Some("x"), BYTES_MIN),
            (Some("5000"), 5000),
            (Some("99999999999999999999"), BYTES_MAX),
        ];

        for (asked, bytes) in cases {
            assert_eq!(limit(asked), bytes, "{asked:?}");
        }
    }
}
