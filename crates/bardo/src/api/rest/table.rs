//! The only list of routes.

use std::future::Future;
use std::pin::Pin;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::actions::{Deed, to_all, to_group, to_process};
use super::call::{Call, Said};
use super::problem::Problem;
use super::{
    ROOT, events, identity, log_events, logs, openapi, processes, service, services, setup,
    troubles,
};

/// What a route does, while it does it.
pub(super) type Running = Pin<Box<dyn Future<Output = Result<Said, Problem>> + Send>>;

/// A route.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// Its path below `/api/v1`; `{x}` stands for one part of it.
    pub(super) path: &'static str,
    /// What it does, for people.
    pub(super) help: &'static str,
    /// What may stand in its query, or in its body where it has one.
    pub(super) takes: &'static [Field],
    pub(super) answer: Answer,
    pub(super) run: fn(Call) -> Running,
}

/// A field of a query or a body.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) required: bool,
    pub(super) help: &'static str,
}

/// What a route answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// A value of this shape; the shapes are in `openapi`.
    Json(&'static str),
    /// Server-sent events, told of in words.
    Events(&'static str),
    /// A page for people.
    Page,
}

/// What was found at an address.
pub(super) enum Found {
    /// This, and what stands in the open places of its path.
    Route(&'static Route, Vec<String>),
    /// Something for these methods only.
    OtherMethods(Vec<&'static str>),
    Nothing,
}

const WAIT: Field = Field {
    name: "wait",
    kind: "boolean",
    required: false,
    help: "Whether to answer only when it is done (true when left out).",
};
const SIGNAL: Field = Field {
    name: "signal",
    kind: "string",
    required: true,
    help: "Name or number of the signal: HUP, SIGUSR1, 15.",
};
const CHARS: Field = Field {
    name: "chars",
    kind: "string",
    required: true,
    help: "What to write. A body of text/plain is taken as it is.",
};
const TAIL: Field = Field {
    name: "tail",
    kind: "integer",
    required: false,
    help: "So many bytes from the end (16384 when left out).",
};
const OFFSET: Field = Field {
    name: "offset",
    kind: "integer",
    required: false,
    help: "From this byte on, rather than from the end.",
};
const LENGTH: Field = Field {
    name: "length",
    kind: "integer",
    required: false,
    help: "So many bytes after the offset; 0 is all there are.",
};

const AFTER: Field = Field {
    name: "after",
    kind: "integer",
    required: false,
    help: "Only those after the decision of this number.",
};
/// See `service/request.rs`: what is asked for has fields of its own.
const SERVICE_REQUEST: &[Field] = &[
    Field {
        name: "verb",
        kind: "string",
        required: true,
        help: "up, run, edit, update, down, refresh, restart, clone, unclone, fi, sysctl or shutdown.",
    },
    Field {
        name: "label",
        kind: "string",
        required: true,
        help: "The service; for up and run the name it is given.",
    },
    Field {
        name: "minix",
        kind: "boolean",
        required: false,
        help: "Whether all is done as MINIX does.",
    },
    Field {
        name: "wait",
        kind: "string",
        required: false,
        help: "When to answer: usual, begun or ready.",
    },
    Field {
        name: "stop",
        kind: "boolean",
        required: false,
        help: "For shutdown: whether everything is stopped.",
    },
    Field {
        name: "asked",
        kind: "object",
        required: false,
        help: "For up, run, edit and update: what is asked for; times are in milliseconds.",
    },
];

const NOTHING: &[Field] = &[];
const LOG_PART: &[Field] = &[TAIL, OFFSET, LENGTH];

const PROCESS: Answer = Answer::Json("Process");
const OUTCOMES: Answer = Answer::Json("Outcomes");

macro_rules! route {
    ($method:literal $path:literal, $help:literal, $takes:expr, $answer:expr, $run:expr) => {
        Route {
            method: $method,
            path: $path,
            help: $help,
            takes: $takes,
            answer: $answer,
            run: |call| {
                let run = $run;
                Box::pin(run(call))
            },
        }
    };
}

/// Every route.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    route!("GET" "", "Who answers, which version, and what it is about.",
        NOTHING, Answer::Json("Identity"), identity::identity),
    route!("GET" "/processes", "How all processes are, sorted by group and name.",
        NOTHING, Answer::Json("Processes"), processes::all),
    route!("POST" "/processes/start", "Start all processes, by priority.",
        &[WAIT], OUTCOMES, |call| to_all(call, Deed::Start)),
    route!("POST" "/processes/stop", "Stop all processes, by priority backwards.",
        &[WAIT], OUTCOMES, |call| to_all(call, Deed::Stop)),
    route!("POST" "/processes/restart", "Stop all processes, then start all.",
        &[WAIT], OUTCOMES, |call| to_all(call, Deed::Restart)),
    route!("POST" "/processes/clear", "Empty the logs of all processes.",
        NOTHING, OUTCOMES, |call| to_all(call, Deed::Clear)),
    route!("POST" "/processes/signal", "Send a signal to all processes that run.",
        &[SIGNAL], OUTCOMES, |call| to_all(call, Deed::Signal)),
    route!("POST" "/processes/stdin", "Write to the standard input of all processes.",
        &[CHARS], OUTCOMES, |call| to_all(call, Deed::Stdin)),
    route!("GET" "/processes/{process}", "How one process is: GROUP:NAME, or NAME where both are the same.",
        NOTHING, PROCESS, processes::one),
    route!("POST" "/processes/{process}/start", "Start a process.",
        &[WAIT], PROCESS, |call| to_process(call, Deed::Start)),
    route!("POST" "/processes/{process}/stop", "Stop a process.",
        &[WAIT], PROCESS, |call| to_process(call, Deed::Stop)),
    route!("POST" "/processes/{process}/restart", "Stop a process if it runs, and start it.",
        &[WAIT], PROCESS, |call| to_process(call, Deed::Restart)),
    route!("POST" "/processes/{process}/clear", "Empty the logs of a process.",
        NOTHING, PROCESS, |call| to_process(call, Deed::Clear)),
    route!("POST" "/processes/{process}/signal", "Send a signal to a process.",
        &[SIGNAL], PROCESS, |call| to_process(call, Deed::Signal)),
    route!("POST" "/processes/{process}/stdin", "Write to the standard input of a process.",
        &[CHARS], PROCESS, |call| to_process(call, Deed::Stdin)),
    route!("GET" "/processes/{process}/log/{channel}", "A part of a log; the channel is stdout or stderr.",
        LOG_PART, Answer::Json("LogPart"), logs::of_process),
    route!("GET" "/processes/{process}/log/{channel}/events", "A log, and what is added to it.",
        &[TAIL], Answer::Events("`begin` with the offset of the first byte, then `text` with what was added; `truncated` and `replaced` when the file is cut or rotated, `lost` when it cannot be read."),
        log_events::of_process),
    route!("GET" "/processes/log/{channel}/events", "The logs of all processes together, if they are 64 or fewer.",
        &[TAIL], Answer::Events("As for the log of one process; `process` says whose it is."), log_events::of_all),
    route!("GET" "/groups", "All groups and how their processes are.",
        NOTHING, Answer::Json("Groups"), processes::groups),
    route!("GET" "/groups/{group}", "A group and how its processes are.",
        NOTHING, Answer::Json("Group"), processes::group),
    route!("GET" "/groups/{group}/log/{channel}/events", "The logs of a group together.",
        &[TAIL], Answer::Events("As for the log of one process; `process` says whose it is."), log_events::of_group),
    route!("POST" "/groups/{group}/start", "Start all processes of a group.",
        &[WAIT], OUTCOMES, |call| to_group(call, Deed::Start)),
    route!("POST" "/groups/{group}/stop", "Stop all processes of a group.",
        &[WAIT], OUTCOMES, |call| to_group(call, Deed::Stop)),
    route!("POST" "/groups/{group}/restart", "Stop all processes of a group, then start all.",
        &[WAIT], OUTCOMES, |call| to_group(call, Deed::Restart)),
    route!("POST" "/groups/{group}/clear", "Empty the logs of all processes of a group.",
        NOTHING, OUTCOMES, |call| to_group(call, Deed::Clear)),
    route!("POST" "/groups/{group}/signal", "Send a signal to all processes of a group that run.",
        &[SIGNAL], OUTCOMES, |call| to_group(call, Deed::Signal)),
    route!("POST" "/groups/{group}/stdin", "Write to the standard input of all processes of a group.",
        &[CHARS], OUTCOMES, |call| to_group(call, Deed::Stdin)),
    route!("GET" "/config", "The loaded configuration, as getAllConfigInfo tells it.",
        NOTHING, Answer::Json("Anything"), setup::loaded),
    route!("POST" "/config/reread", "Read the file again and tell what it would change.",
        NOTHING, Answer::Json("Difference"), setup::reread),
    route!("POST" "/config/update", "Read the file again; remove, restart and add the groups that it changes.",
        NOTHING, Answer::Json("Updated"), setup::update),
    route!("GET" "/log", "A part of the supervisor's own log.",
        LOG_PART, Answer::Json("LogPart"), logs::of_supervisor),
    route!("GET" "/log/events", "The supervisor's own log, and what is added to it.",
        &[TAIL], Answer::Events("As for the log of a process."), log_events::of_supervisor),
    route!("POST" "/log/clear", "Empty the supervisor's own log.",
        NOTHING, Answer::Json("Anything"), logs::clear_of_supervisor),
    route!("POST" "/shutdown", "Stop all processes and end.",
        NOTHING, Answer::Json("Identity"), identity::shutdown),
    route!("POST" "/restart", "Stop all processes, read the configuration anew and begin again.",
        NOTHING, Answer::Json("Identity"), identity::restart),
    route!("GET" "/events", "How all processes are, and every change as it happens.",
        NOTHING, Answer::Events("`snapshot` with all processes, then `change` with those that have changed and the groups that are gone (they come first); after either, `trouble` with all that is wrong, if that has changed. `decision` is one decision of the supervisor, as it is made; `missed` says that there were more than could be told: /decisions has those that are kept. `id` is taken back as Last-Event-ID."),
        events::events),
    route!("GET" "/services", "How all services are, and why.",
        NOTHING, Answer::Json("Services"), services::all),
    route!("GET" "/services/{label}", "How one service is, and why: GROUP:NAME, or NAME where that is enough.",
        NOTHING, Answer::Json("Service"), services::one),
    route!("GET" "/rules", "Whether services are kept by MINIX's rules.",
        NOTHING, Answer::Json("Rules"), service::rules),
    route!("GET" "/why/{label}", "Why a service is as it is, and the last twenty decisions about it.",
        NOTHING, Answer::Json("Why"), services::why),
    route!("GET" "/decisions", "The decisions about all services that are kept, in their order.",
        &[AFTER], Answer::Json("Decisions"), services::decisions),
    route!("GET" "/troubles", "What is wrong with the supervisor and its surroundings, and since when.",
        NOTHING, Answer::Json("Troubles"), troubles::all),
    route!("POST" "/service", "Do what service(8) asks for; the answer has MINIX's number. Through a socket file only.",
        SERVICE_REQUEST, Answer::Json("ServiceReply"), service::act),
    route!("GET" "/openapi.json", "This interface, for programs (OpenAPI 3.1).",
        NOTHING, Answer::Json("Anything"), openapi::file),
    route!("GET" "/docs", "This interface, for people.",
        NOTHING, Answer::Page, openapi::docs),
];

/// Finds the route for a path as it was sent: a `%2F` is part of a name.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let below = path.strip_prefix(ROOT).unwrap_or_default();
    let below = below.strip_suffix('/').unwrap_or(below);
    let mut others = Vec::new();
    for route in ROUTES {
        let Some(captured) = matches(route.path, below) else { continue };
        if route.method == method.as_str() {
            return Found::Route(route, captured);
        }
        others.push(route.method);
    }
    match others.is_empty() {
        true => Found::Nothing,
        false => Found::OtherMethods(others),
    }
}

/// What stands in the open places of a path; `None` when it is another one.
fn matches(wanted: &str, path: &str) -> Option<Vec<String>> {
    let mut captured = Vec::new();
    let mut parts = path.split('/');
    for wanted in wanted.split('/') {
        let part = parts.next()?;
        if wanted.starts_with('{') {
            captured.push(percent_decode_str(part).decode_utf8_lossy().into_owned());
        } else if part != wanted {
            return None;
        }
    }
    parts.next().is_none().then_some(captured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Option<(&'static str, Vec<String>)> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        match find(&method, &format!("{ROOT}{path}")) {
            Found::Route(route, captured) => Some((route.path, captured)),
            Found::OtherMethods(_) | Found::Nothing => None,
        }
    }

    #[test]
    fn every_route_is_found_at_its_own_address() {
        for route in ROUTES {
            let path = route.path.replace("{process}", "g%3Aa%2Fb").replace("{group}", "g");
            let path = path.replace("{channel}", "stderr").replace("{label}", "g");

            let (there, captured) = found(route.method, &path).expect(route.path);

            assert_eq!(there, route.path);
            assert_eq!(captured.len(), route.path.matches('{').count());
        }
    }

    #[test]
    fn a_name_is_decoded_after_the_path_is_taken_apart() {
        let (path, captured) = found("POST", "/processes/g%3Aa%2Fb/start").unwrap();

        assert_eq!((path, &*captured[0]), ("/processes/{process}/start", "g:a/b"));
    }

    #[test]
    fn another_method_is_told_from_another_address() {
        let methods = |path| match find(&Method::DELETE, path) {
            Found::OtherMethods(methods) => methods,
            Found::Route(..) | Found::Nothing => Vec::new(),
        };

        assert_eq!(methods("/api/v1/shutdown"), ["POST"]);
        assert!(methods("/api/v1/nowhere").is_empty());
        assert!(found("GET", "/processes//log/x/y").is_none());
    }
}
