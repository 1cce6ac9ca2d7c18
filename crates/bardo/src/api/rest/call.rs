//! One request to a route: what its address, its query and its body say.

use std::sync::Arc;

use bardo_wire::xmlrpc::Value;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use tokio::sync::mpsc;

use super::is_of_type;
use super::problem::Problem;
use crate::api::body::Received;
use crate::api::faults::Fault;
use crate::api::page::form::Form;
use crate::api::peer::Peer;
use crate::api::places::Place;
use crate::api::room::Share;
use crate::api::{Context, rpc};
use crate::names;

/// What a route has to say.
#[derive(Debug)]
pub(super) enum Said {
    /// A value.
    Json(String),
    /// A page for people.
    Page(String),
    /// Events, until the client goes away.
    Stream(mpsc::Receiver<Bytes>),
}

impl Said {
    /// What can be written as JSON.
    pub(super) fn json(value: &impl serde::Serialize) -> Result<Self, Problem> {
        serde_json::to_string(value).map(Self::Json).map_err(|_| Problem::our_fault())
    }
}

/// A request.
pub(super) struct Call {
    pub(super) context: Arc<Context>,
    pub(super) place: Arc<Place>,
    /// Who asks, where that is known.
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) share: Share,
    pub(super) headers: HeaderMap,
    /// What stands in the places that the route's path leaves open.
    captured: Vec<String>,
    fields: Form,
    /// A JSON object that was sent.
    object: serde_json::Map<String, serde_json::Value>,
    /// A body that is neither JSON nor a form.
    text: Option<String>,
}

/// Whom an action is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whom {
    /// A process, by its namespec.
    Process(String),
    /// All of a group.
    Group(String),
    /// All.
    All,
}

impl Call {
    pub(super) fn new(
        context: &Arc<Context>,
        (place, peer): (&Arc<Place>, Option<&Arc<Peer>>),
        head: &Parts,
        captured: Vec<String>,
        body: Received,
        share: &Share,
    ) -> Result<Self, Problem> {
        let query = head.uri.query().unwrap_or_default();
        let mut call = Self {
            context: Arc::clone(context),
            place: Arc::clone(place),
            peer: peer.cloned(),
            share: share.clone(),
            headers: head.headers.clone(),
            captured,
            fields: Form::read(query, b""),
            object: serde_json::Map::new(),
            text: None,
        };
        if body.bytes.is_empty() {
            return Ok(call);
        }
        if is_of_type(head, "application/json") {
            call.object = match serde_json::from_slice(&body.bytes) {
                Ok(serde_json::Value::Object(object)) => object,
                Ok(_) => return Err(Problem::bad_body("it is JSON, but no object")),
                Err(error) => return Err(Problem::bad_body(&error.to_string())),
            };
        } else if is_of_type(head, "application/x-www-form-urlencoded") {
            call.fields = Form::read(query, &body.bytes);
        } else {
            let text = String::from_utf8(body.bytes);
            call.text = Some(text.map_err(|_| Problem::bad_body("it is not UTF-8"))?);
        }
        Ok(call)
    }

    /// What stands in the first open place of the path.
    pub(super) fn name(&self) -> &str {
        self.captured.first().map_or("", String::as_str)
    }

    /// What stands in the second one.
    pub(super) fn channel(&self) -> &str {
        self.captured.get(1).map_or("", String::as_str)
    }

    /// What stands in the last one.
    pub(super) fn last(&self) -> &str {
        self.captured.last().map_or("", String::as_str)
    }

    /// A field of the body or of the query.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        match self.object.get(name) {
            Some(serde_json::Value::String(text)) => Some(text.clone()),
            Some(serde_json::Value::Null) | None => self.fields.get(name).map(str::to_owned),
            Some(other) => Some(other.to_string()),
        }
    }

    /// A field, or a body that is nothing but this field.
    pub(super) fn field_or_text(&self, name: &'static str) -> Result<String, Problem> {
        let field = self.field(name).or_else(|| self.text.clone());
        field.ok_or_else(|| Problem::missing(name))
    }

    /// The JSON object that was sent, as a value of one type.
    pub(super) fn object<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let object = serde_json::Value::Object(std::mem::take(&mut self.object));
        serde_json::from_value(object).map_err(|error| Problem::bad_body(&error.to_string()))
    }

    /// A field that is a number of bytes.
    pub(super) fn bytes(&self, name: &'static str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.field(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if number >= 0 => Ok(Some(number)),
            Ok(_) | Err(_) => Err(Problem::no_number(name, &text)),
        }
    }

    /// A field that is a number and no number of bytes.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.field(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Problem::not_a_number(name, &text))
    }

    /// Whether to wait until it is done; true when nothing is said.
    pub(super) fn waits(&self) -> Result<bool, Problem> {
        match self.field("wait").as_deref() {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(Problem::no_truth("wait", other)),
        }
    }

    /// The process that the path names.
    pub(super) fn process(&self) -> Result<Whom, Problem> {
        match names::parse(self.name()).process {
            Some(_) => Ok(Whom::Process(self.name().to_owned())),
            None => Err(Problem::is_group(self.name())),
        }
    }

    /// Calls the XML-RPC method of the namespace `supervisor`.
    pub(super) async fn rpc(&self, method: &str, parameters: Vec<Value>) -> Result<Value, Fault> {
        let method = format!("supervisor.{method}");
        rpc::call_for_page(&self.context, &method, parameters, &self.share).await
    }
}
