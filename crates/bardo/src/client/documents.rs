//! JSON documents of the server: `/api/v1`.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};

use super::{CallError, Client};

/// What a server has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub bytes: Bytes,
}

impl Document {
    /// Whether it is what was asked for.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.status == StatusCode::OK.as_u16()
    }

    /// Whether it is told of a name that nobody has. Where there is nothing of the sort at
    /// all the status is the same.
    #[must_use]
    pub fn is_unknown_name(&self) -> bool {
        let problem: Option<serde_json::Value> = serde_json::from_slice(&self.bytes).ok();
        let fault = problem.as_ref().and_then(|problem| problem.get("fault"));
        self.status == StatusCode::NOT_FOUND.as_u16() && fault.is_some_and(|it| !it.is_null())
    }

    /// What a problem says of itself; see `api/rest/problem.rs`.
    #[must_use]
    pub fn detail(&self) -> String {
        let problem: Option<serde_json::Value> = serde_json::from_slice(&self.bytes).ok();
        let detail = problem.as_ref().and_then(|problem| problem.get("detail")?.as_str());
        match detail {
            Some(detail) => detail.to_owned(),
            None => format!("the server answers with HTTP status {}", self.status),
        }
    }
}

impl Client {
    /// What lies at a path of the server, which is written as it is sent.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn get(&mut self, path: &str) -> Result<Document, CallError> {
        let (address, request) = self.request(path)?;
        let (status, bytes) = self.exchange_within(None, &address, request)?;
        Ok(Document { status: status.as_u16(), bytes })
    }

    /// Sends a JSON document to a path of the server and waits for the answer, however
    /// long that takes.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn post(&mut self, path: &str, json: String) -> Result<Document, CallError> {
        let (address, mut request) = self.request(path)?;
        *request.method_mut() = Method::POST;
        let kind = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Full::new(Bytes::from(json));
        let (status, bytes) = self.exchange_within(None, &address, request)?;
        Ok(Document { status: status.as_u16(), bytes })
    }
}
