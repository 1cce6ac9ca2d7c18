//! Our marshaller beside Python's, on recorded answers of a real Supervisor and on single
//! values. `marshaller/record.py` has recorded them.

use std::borrow::Cow;

use bardo_wire::xmlrpc::{FaultText, Request, Response, Value};
use serde_json::Value as Json;

fn recorded() -> Json {
    serde_json::from_str(include_str!("marshaller/recorded.json")).expect("a recording")
}

fn rows(name: &str) -> Vec<Json> {
    let rows = recorded()[name].as_array().expect("rows").clone();
    assert!(!rows.is_empty());
    rows
}

/// The value that `[type, content]` describes.
fn described(json: &Json) -> Value {
    let (kind, content) = (json[0].as_str().expect("a type"), &json[1]);
    match kind {
        "int" => Value::Int(content.as_i64().expect("a number")),
        "boolean" => Value::Boolean(content.as_bool().expect("true or false")),
        "string" => Value::String(content.as_str().expect("text").to_owned()),
        "double" => Value::Double(content.as_f64().expect("a number")),
        "dateTime" => Value::DateTime(content.as_str().expect("a date").to_owned()),
        "array" => {
            Value::Array(content.as_array().expect("values").iter().map(described).collect())
        }
        "struct" => {
            let members = content.as_array().expect("members").iter();
            let member = |row: &Json| {
                (Cow::Owned(row[0].as_str().expect("a name").to_owned()), described(&row[1]))
            };
            Value::Struct(members.map(member).collect())
        }
        other => panic!("no type: {other}"),
    }
}

#[test]
fn every_answer_of_supervisor_is_written_as_supervisor_writes_it() {
    for row in rows("answers") {
        let answer = row["answer"].as_str().expect("an answer");

        let read = Response::parse(answer.as_bytes());

        let response = read.unwrap_or_else(|error| panic!("{}: {error}", row["call"]));
        assert_eq!(response.to_xml(), answer, "{}", row["call"]);
    }
}

#[test]
fn every_value_is_written_and_read_as_python_does() {
    for row in rows("values") {
        let value = described(&row["value"]);
        let answer = row["answer"].as_str().expect("an answer");
        let call = row["call"].as_str().expect("a call");

        let response = Response::Result(value.clone());
        let request = Request { method: "a.b".to_owned(), parameters: vec![value] };

        assert_eq!(response.to_xml(), answer);
        assert_eq!(request.to_xml(), call);
        assert_eq!(Response::parse(answer.as_bytes()).expect("an answer"), response);
        assert_eq!(Request::parse(call.as_bytes()).expect("a call"), request);
    }
}

#[test]
fn every_fault_is_written_as_python_writes_it() {
    for row in rows("faults") {
        let code = i32::try_from(row["code"].as_i64().expect("a code")).expect("a small code");
        let text = row["text"].as_str().expect("a text").to_owned();
        let answer = row["answer"].as_str().expect("an answer");

        let response = Response::Fault(FaultText { code, text });

        assert_eq!(response.to_xml(), answer);
        assert_eq!(Response::parse(answer.as_bytes()).expect("an answer"), response);
    }
}
