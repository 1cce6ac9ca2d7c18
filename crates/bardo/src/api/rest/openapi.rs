//! What `/api/v1` is, told to programs (OpenAPI 3.1) and to people. Both are made from
//! the table of routes.

use askama::Template;
use serde_json::{Map, Value, json};

use super::ROOT;
use super::call::{Call, Said};
use super::problem::Problem;
use super::table::{Answer, Field, ROUTES, Route};
use crate::daemon::troubles::TroubleKind;

type Result = std::result::Result<Said, Problem>;

pub(super) async fn file(_: Call) -> Result {
    Said::json(&document())
}

#[derive(Template)]
#[template(path = "api.html")]
struct Docs {
    root: &'static str,
    routes: &'static [Route],
    version: &'static str,
}

pub(super) async fn docs(_: Call) -> Result {
    let page = Docs { root: ROOT, routes: ROUTES, version: env!("CARGO_PKG_VERSION") };
    page.render().map(Said::Page).map_err(|_| Problem::our_fault())
}

/// The whole file.
fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = format!("{ROOT}{}", route.path);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[route.method.to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bardo",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Processes, their logs and their changes. What a route does is what \
                the XML-RPC method of that name does. A browser's request that comes from a page \
                of another server is refused.",
        },
        "security": [{}, { "password": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "password": { "type": "http", "scheme": "basic" } },
            "schemas": schemas(),
            "responses": { "Problem": {
                "description": "It was not done: what, why, and what to do.",
                "content": { "application/problem+json": { "schema": reference("Problem") } },
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = open_places(route)
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    let is_post = route.method == "POST";
    if !is_post {
        parameters.extend(route.takes.iter().map(|field| {
            json!({
                "name": field.name, "in": "query", "required": field.required,
                "description": field.help, "schema": { "type": field.kind },
            })
        }));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.help,
        "parameters": parameters,
        "responses": {
            "200": good(route.answer),
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    if is_post && !route.takes.is_empty() {
        operation["requestBody"] = body(route.takes);
    }
    operation
}

/// The names of the open places of a path.
fn open_places(route: &Route) -> impl Iterator<Item = &'static str> {
    let parts = route.path.split('/');
    parts.filter_map(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')))
}

/// `post_processes_process_start`: unique because method and path are.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let words = if words.is_empty() { vec!["identity"] } else { words };
    format!("{}_{}", route.method.to_ascii_lowercase(), words.join("_"))
}

fn body(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            let shape = json!({ "type": field.kind, "description": field.help });
            (field.name.to_owned(), shape)
        })
        .collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let shape = json!({ "type": "object", "properties": properties, "required": required });
    json!({
        "required": !required.is_empty(),
        "content": {
            "application/json": { "schema": shape },
            "application/x-www-form-urlencoded": { "schema": shape },
        },
    })
}

fn good(answer: Answer) -> Value {
    match answer {
        Answer::Json(shape) => json!({
            "description": "It was done, as far as the answer does not say otherwise.",
            "content": { "application/json": { "schema": reference(shape) } },
        }),
        Answer::Events(words) => json!({
            "description": words,
            "content": { "text/event-stream": { "schema": { "type": "string" } } },
        }),
        Answer::Page => json!({
            "description": "A page.",
            "content": { "text/html": { "schema": { "type": "string" } } },
        }),
    }
}

fn reference(shape: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{shape}") })
}

/// An object all of whose members are always there.
fn object(members: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        members.iter().map(|(name, shape)| ((*name).to_owned(), shape.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": names })
}

fn list(shape: Value) -> Value {
    json!({ "type": "array", "items": shape })
}

fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    let number = || json!({ "type": "integer" });
    let truth = || json!({ "type": "boolean" });
    let maybe = |kind: &str| json!({ "type": [kind, "null"] });
    let or_null = |shape: Value| json!({ "anyOf": [shape, { "type": "null" }] });
    let numbered = object(&[("code", number()), ("text", text())]);
    let names = || list(text());
    let fault = object(&[("code", number()), ("name", text()), ("text", text())]);
    let outcome = object(&[
        ("namespec", text()),
        ("group", text()),
        ("name", text()),
        ("ok", truth()),
        ("fault", or_null(numbered)),
    ]);
    let change = object(&[
        ("group", text()),
        ("change", json!({ "enum": ["added", "changed", "removed"] })),
        ("ok", truth()),
        ("fault", or_null(fault.clone())),
    ]);
    let processes = || list(reference("Process"));
    json!({
        "Process": process(),
        "Processes": object(&[("now", number()), ("processes", processes())]),
        "Group": object(&[("name", text()), ("priority", number()), ("processes", processes())]),
        "Groups": list(reference("Group")),
        "Outcomes": object(&[("failed", number()), ("results", list(outcome))]),
        "Difference":
            object(&[("added", names()), ("changed", names()), ("removed", names())]),
        "Updated": object(&[("failed", number()), ("results", list(change))]),
        "LogPart":
            object(&[("from", number()), ("to", number()), ("size", number()), ("text", text())]),
        "Identity": object(&[
            ("identifier", text()),
            ("bardo", text()),
            ("supervisor", text()),
            ("state", json!({ "enum": ["RUNNING", "RESTARTING", "SHUTDOWN"] })),
            ("pid", number()),
            ("logfile", maybe("string")),
            ("watching", maybe("string")),
            ("ends_at_restart", json!({ "type": "boolean" })),
            ("openapi", text()),
            ("docs", text()),
        ]),
        "Problem": object(&[
            ("title", text()),
            ("status", number()),
            ("detail", text()),
            ("remedy", text()),
            ("fault", or_null(fault)),
        ]),
        "Troubles": troubles(),
        "Service": service(),
        "Services": list(reference("Service")),
        "Rules": object(&[("minix", json!({ "type": "boolean" }))]),
        "Why": why(),
        "Decisions": decisions(),
        "ServiceReply": object(&[("errno", number()), ("message", maybe("string")), ("notes", names())]),
        "Anything": {},
    })
}

fn troubles() -> Value {
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer" }));
    let kinds: Vec<&str> = TroubleKind::ALL.iter().map(|kind| kind.name()).collect();
    let since = json!({ "type": "integer", "description": "Seconds since 1970." });
    let trouble = object(&[
        ("kind", json!({ "enum": kinds })),
        ("subject", text.clone()),
        ("text", text),
        ("since", since),
    ]);
    let of_kind: Vec<(&str, Value)> = kinds.iter().map(|kind| (*kind, number.clone())).collect();
    object(&[("now", number), ("counts", object(&of_kind)), ("troubles", list(trouble))])
}

fn service() -> Value {
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer" }));
    object(&[
        ("label", text.clone()),
        ("endpoint", number.clone()),
        ("published", json!({ "type": "boolean" })),
        ("pid", number.clone()),
        ("state", text.clone()),
        ("description", text.clone()),
        ("flags", text.clone()),
        ("device", number.clone()),
        ("period", number.clone()),
        ("alive_at", number.clone()),
        ("restarts", number.clone()),
        ("crashes", number),
        ("command", text.clone()),
        ("binary", text.clone()),
        ("details", list(list(text))),
    ])
}

/// The members of a decision.
fn decided() -> Vec<(&'static str, Value)> {
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer" }));
    vec![
        ("number", number.clone()),
        ("at", json!({ "type": "integer", "description": "Seconds since 1970." })),
        ("generation", number),
        ("what", text.clone()),
        ("text", text),
    ]
}

fn why() -> Value {
    let text = json!({ "type": "string" });
    object(&[
        ("name", text.clone()),
        ("state", text.clone()),
        ("reason", text),
        ("decisions", list(object(&decided()))),
    ])
}

fn decisions() -> Value {
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer" }));
    let mut told = vec![("name", text), ("endpoint", number.clone())];
    told.extend(decided());
    object(&[("now", number.clone()), ("last", number), ("decisions", list(object(&told)))])
}

fn process() -> Value {
    let text = json!({ "type": "string" });
    let states =
        ["STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN"];
    object(&[
        ("namespec", text.clone()),
        ("group", text.clone()),
        ("name", text.clone()),
        ("state", json!({ "enum": states })),
        ("statecode", json!({ "type": "integer" })),
        ("pid", json!({ "type": ["integer", "null"] })),
        ("start", json!({ "type": ["integer", "null"], "description": "Seconds since 1970." })),
        ("stop", json!({ "type": ["integer", "null"], "description": "Seconds since 1970." })),
        ("exitstatus", json!({ "type": ["integer", "null"] })),
        ("spawnerr", text.clone()),
        ("description", text),
        ("stdout_logfile", json!({ "type": ["string", "null"] })),
        ("stderr_logfile", json!({ "type": ["string", "null"] })),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The parts of the file that something refers to.
    fn references(value: &Value, found: &mut HashSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    found.insert(target.clone());
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_in_the_file_under_a_name_of_its_own() {
        let file = document();
        let mut ids = HashSet::new();

        for route in ROUTES {
            let method = route.method.to_ascii_lowercase();
            let operation = &file["paths"][format!("{ROOT}{}", route.path)][method];
            assert_eq!(operation["summary"], route.help, "{}", route.path);
            assert!(ids.insert(operation["operationId"].clone()), "{}", route.path);
            let open = operation["parameters"].as_array().unwrap();
            let open = open.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(open, route.path.matches('{').count());
        }
    }

    #[test]
    fn whatever_is_referred_to_is_there() {
        let file = document();
        let mut found = HashSet::new();
        references(&file, &mut found);

        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(file.pointer(pointer).is_some(), "{target}");
        }
    }
}
