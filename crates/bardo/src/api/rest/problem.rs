//! What a client is told when something is not done: what, why, and what to do.
//!
//! The shape is that of RFC 9457, with Supervisor's fault inside where there is one.

use hyper::{Method, StatusCode};
use serde::Serialize;

use super::{OURS, ROOT};
use crate::api::faults::{Code, Fault};

/// Something that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    title: &'static str,
    detail: String,
    remedy: String,
    fault: Option<Fault>,
}

#[derive(Serialize)]
struct Shown<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    remedy: &'a str,
    fault: Option<ShownFault<'a>>,
}

/// Supervisor's fault, as JSON.
#[derive(Serialize)]
pub(super) struct ShownFault<'a> {
    code: i32,
    name: &'static str,
    text: &'a str,
}

impl<'a> From<&'a Fault> for ShownFault<'a> {
    fn from(fault: &'a Fault) -> Self {
        Self { code: fault.code as i32, name: fault.code.name(), text: &fault.text }
    }
}

impl Problem {
    fn new(
        status: StatusCode,
        title: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { status, title, detail: detail.into(), remedy: remedy.into(), fault: None }
    }

    pub(super) fn to_json(&self) -> String {
        let shown = Shown {
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            remedy: &self.remedy,
            fault: self.fault.as_ref().map(ShownFault::from),
        };
        serde_json::to_string(&shown).unwrap_or_else(|_| "{}".to_owned())
    }

    pub(super) fn no_such_route(path: &str) -> Self {
        let detail = format!("there is nothing at {path}");
        let remedy =
            format!("GET {ROOT}/openapi.json lists what there is, {ROOT}/docs explains it");
        Self::new(StatusCode::NOT_FOUND, "No such address", detail, remedy)
    }

    pub(super) fn wrong_method(method: &Method, others: &[&str]) -> Self {
        let remedy = format!("use {}", others.join(" or "));
        let detail = format!("the method {method} means nothing here");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Wrong method", detail, remedy)
    }

    pub(super) fn from_elsewhere() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Nothing was done",
            "this request comes from a page of another server",
            "if there is a proxy between your browser and this server, let it pass the Host header \
             on (nginx: proxy_set_header Host $http_host)",
        )
    }

    pub(super) fn not_through_a_port() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Nothing was done",
            "through a port nobody can be told from anybody else",
            "ask through the socket file of [unix_http_server], as service(8) does",
        )
    }

    pub(super) fn not_permitted() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Not permitted",
            "only root, the user of the supervisor, and a service that holds control over another \
             may look at services",
            "ask as one of them, or give [unix_http_server] a password for others",
        )
    }

    pub(super) fn bad_body(why: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "The body cannot be read",
            why,
            "send a JSON object with Content-Type: application/json, a form, or UTF-8 text",
        )
    }

    pub(super) fn missing(field: &str) -> Self {
        let remedy = format!("send it in the query, in a JSON object, or in a form: {field}=...");
        Self::new(StatusCode::BAD_REQUEST, "Something is missing", format!("no {field}"), remedy)
    }

    pub(super) fn no_number(field: &str, text: &str) -> Self {
        let detail = format!("{field}={text} is no number of bytes");
        Self::new(StatusCode::BAD_REQUEST, "Not a number", detail, "use digits alone")
    }

    pub(super) fn not_a_number(field: &str, text: &str) -> Self {
        let detail = format!("{field}={text} is no number");
        Self::new(StatusCode::BAD_REQUEST, "Not a number", detail, "use digits alone")
    }

    pub(super) fn no_truth(field: &str, text: &str) -> Self {
        let detail = format!("{field}={text} is neither true nor false");
        Self::new(StatusCode::BAD_REQUEST, "Not a truth", detail, "use true or false")
    }

    pub(super) fn is_group(name: &str) -> Self {
        let detail = format!("{name} names a group, not a process");
        let remedy = format!("use {ROOT}/groups/NAME for groups");
        Self::new(StatusCode::BAD_REQUEST, "Not a process", detail, remedy)
    }

    pub(super) fn no_log(what: &str) -> Self {
        let detail = format!("{what} is not written to a file, or the file is not there yet");
        let remedy = "see the logfile options of the program; a log appears when it is started";
        Self::new(StatusCode::NOT_FOUND, "No such log", detail, remedy)
    }

    pub(super) fn too_many_logs(number: usize, most: usize) -> Self {
        let detail = format!("{number} logs are more than the {most} that one stream carries");
        let remedy = "follow a group, or one process";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Too many logs", detail, remedy)
    }

    pub(super) fn too_many_followers() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many followers",
            "as many connections as may follow something do so already",
            "close one, for example another window of the status page, and try again",
        )
    }

    pub(super) fn our_fault() -> Self {
        let remedy = "try again; if it stays so, please report it";
        Self::new(OURS, "Something went wrong here", "an answer could not be made", remedy)
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let (status, title, remedy) = explained(fault.code);
        let mut problem = Self::new(status, title, fault.text.clone(), remedy);
        problem.fault = Some(fault);
        problem
    }
}

/// Status, title and advice of every fault.
fn explained(code: Code) -> (StatusCode, &'static str, &'static str) {
    use StatusCode as Is;
    match code {
        Code::UnknownMethod => (Is::NOT_FOUND, "Unknown method", "see /api/v1/docs"),
        Code::IncorrectParameters | Code::BadArguments | Code::SignatureUnsupported => {
            (Is::BAD_REQUEST, "Bad parameters", "see /api/v1/docs for what is taken")
        }
        Code::ShutdownState => {
            (Is::SERVICE_UNAVAILABLE, "The supervisor is ending", "try again when it is back")
        }
        Code::BadName => (
            Is::NOT_FOUND,
            "No such process or group",
            "GET /api/v1/processes lists the names; after a change of the file, update",
        ),
        Code::BadSignal => {
            (Is::BAD_REQUEST, "No such signal", "use a name such as HUP, or a number")
        }
        Code::NoFile => (
            Is::UNPROCESSABLE_ENTITY,
            "No such file",
            "check command= and PATH, or whether the log has been written yet",
        ),
        Code::NotExecutable => {
            (Is::UNPROCESSABLE_ENTITY, "The file cannot be executed", "check command= and chmod +x")
        }
        Code::Failed => (OURS, "It failed", "the supervisor's log says more"),
        Code::AbnormalTermination => (
            Is::UNPROCESSABLE_ENTITY,
            "The program ended too early",
            "its log says why; startsecs= is how long it has to run",
        ),
        Code::SpawnError => (
            Is::UNPROCESSABLE_ENTITY,
            "The program could not be started",
            "spawnerr of the process says why; check command=, user= and directory=",
        ),
        Code::AlreadyStarted => {
            (Is::CONFLICT, "It runs already", "restart it, or leave it as it is")
        }
        Code::NotRunning => (Is::CONFLICT, "It does not run", "start it first"),
        Code::NotAllowed => {
            (Is::FORBIDDEN, "Not allowed", "the section of the extension says what is (whitelist=)")
        }
        Code::Success => (OURS, "It succeeded", "there is nothing to do"),
        Code::AlreadyAdded => (Is::CONFLICT, "The group is there already", "update instead"),
        Code::StillRunning => {
            (Is::CONFLICT, "The group still runs", "stop its processes before it is removed")
        }
        Code::CantReread => (
            Is::UNPROCESSABLE_ENTITY,
            "The configuration cannot be read",
            "mend the file where the detail says; what runs is not touched",
        ),
    }
}
