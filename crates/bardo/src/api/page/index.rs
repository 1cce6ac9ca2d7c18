//! The first page: how every process is, and links that change it.

use std::sync::Arc;

use askama::Template;
use bardo_core::service::StateName;
use hyper::header::{HOST, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::action::{Action, Sweep};
use super::form::{Form, quoted};
use super::origin;
use crate::api::answer::{self, Content};
use crate::api::{Context, SUPERVISOR_VERSION, info};
use crate::daemon::clients::{ProcessView, Selection};
use crate::names;

const ELSEWHERE: &str = "This request comes from a page of another server, so nothing was done. If \
     there is a proxy between your browser and this server, let it pass the Host header on (nginx: \
     proxy_set_header Host $http_host).";

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage<'a> {
    message: Option<&'a str>,
    rows: Vec<Row>,
    version: &'static str,
    supervisor_version: &'static str,
    /// Whether somebody starts the supervisor again when it ends for that.
    ends_at_restart: bool,
}

struct Row {
    name: String,
    /// The name as it may stand in an address.
    quoted: String,
    state: String,
    class: &'static str,
    description: String,
    name_of_state: StateName,
}

impl Row {
    fn of(view: &ProcessView, now: i64, context: &Context) -> Self {
        let name = names::namespec(&view.group.name, &view.spec.name);
        let spawnerr = info::spawn_error(view, context.path.as_deref());
        Self {
            quoted: quoted(&name),
            name,
            state: crate::words::state(view.state).1.to_ascii_lowercase(),
            class: match view.state {
                StateName::Running => "statusrunning",
                StateName::Fatal | StateName::Backoff => "statuserror",
                _ => "statusnominal",
            },
            description: info::description(view, now, &spawnerr),
            name_of_state: view.state,
        }
    }

    /// The actions of its state; a `None` keeps a place free.
    fn offered(&self) -> [Option<Action>; 3] {
        let clear = Some(Action::ClearLog);
        match self.name_of_state {
            StateName::Running => [Some(Action::Restart), Some(Action::Stop), clear],
            StateName::Stopped | StateName::Exited | StateName::Fatal => {
                [Some(Action::Start), None, clear]
            }
            _ => [None, None, clear],
        }
    }
}

/// Answers `/`, and does what an `action` in its address asks for.
pub(super) async fn answer(context: &Arc<Context>, head: &Parts, form: &Form) -> Response<Content> {
    if let Some(word) = form.get("action") {
        if !origin::is_ours(&head.headers) {
            return super::notice(StatusCode::FORBIDDEN, "Nothing was done", ELSEWHERE);
        }
        let name = form.get("processname");
        let sweep = Sweep::find(word, context.shown().ends_at_restart);
        let message = match (sweep, Action::find(word), name) {
            (Some(sweep), _, _) => sweep.run(context).await,
            (None, Some(action), Some(name)) => action.run(context, name).await,
            (None, Some(_), None) => "No process name found".to_owned(),
            (None, None, _) => return answer::error(StatusCode::INTERNAL_SERVER_ERROR),
        };
        return back(head, &message);
    }
    let Ok(mut views) = context.processes(Selection::All, "").await else {
        let text = "All programs are being stopped. Try again in a moment.";
        return super::notice(StatusCode::SERVICE_UNAVAILABLE, "The supervisor is ending", text);
    };
    views.sort_by(|one, other| {
        (&one.group.name, &one.spec.name).cmp(&(&other.group.name, &other.spec.name))
    });
    // What could not be started is looked for on the disk, which may be slow.
    let looking = Arc::clone(context);
    let rows = tokio::task::spawn_blocking(move || {
        let now = info::now();
        views.iter().map(|view| Row::of(view, now, &looking)).collect()
    });
    let Ok(rows) = rows.await else {
        return answer::error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let page = StatusPage {
        message: form.get("message"),
        rows,
        version: env!("CARGO_PKG_VERSION"),
        supervisor_version: SUPERVISOR_VERSION,
        ends_at_restart: context.shown().ends_at_restart,
    };
    super::rendered(&page, context.room.share()).await
}

/// Sends the browser back to the first page with a message. The address is that by which
/// it came; where it named none, it is relative.
fn back(head: &Parts, message: &str) -> Response<Content> {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let server = match host.strip_suffix(":80").unwrap_or(host) {
        "" => String::new(),
        host => format!("http://{host}"),
    };
    let mut response = answer::error(StatusCode::MOVED_PERMANENTLY);
    let location = format!("{server}/?message={}", quoted(message));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    super::uncached(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, state: StateName) -> Row {
        Row {
            name: name.to_owned(),
            quoted: quoted(name),
            state: "x".to_owned(),
            class: "statusnominal",
            description: "<b>".to_owned(),
            name_of_state: state,
        }
    }

    fn page(message: Option<&str>, rows: Vec<Row>) -> String {
        let (version, supervisor_version) = ("1", "4.3.0");
        StatusPage { message, rows, version, supervisor_version, ends_at_restart: false }
            .render()
            .unwrap()
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let page = page(Some("<script>"), vec![row("a<b", StateName::Running)]);

        assert!(!page.contains("<script>") && !page.contains("<b>"));
        assert!(page.contains("processname=a%3Cb&amp;action=stop"), "{page}");
    }

    #[test]
    fn what_is_offered_depends_on_the_state() {
        let offers = |state, word: &str| page(None, vec![row("p", state)]).contains(word);

        assert!(
            offers(StateName::Running, "action=restart\"")
                && !offers(StateName::Running, "=start\"")
        );
        assert!(offers(StateName::Fatal, "action=start\"") && !offers(StateName::Fatal, "=stop\""));
        assert!(
            !offers(StateName::Stopping, "=start\"") && !offers(StateName::Stopping, "=stop\"")
        );
        assert!(offers(StateName::Stopping, "=clearlog\""));
    }

    #[test]
    fn without_programs_there_is_no_table() {
        let page = page(None, Vec::new());

        assert!(page.contains("No programs to manage") && !page.contains("<table>"));
    }
}
