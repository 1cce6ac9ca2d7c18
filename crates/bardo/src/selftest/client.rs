//! A client of the API over its Unix socket: one request for each connection.
//!
//! Unlike [`crate::client`] it gives up in time and never asks twice by itself: what is
//! tested is whether somebody answers, and who.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bardo_wire::xmlrpc::{Request, Response, Value};

/// How long one request may take. A start or a stop that is waited for takes as long
/// as the program does.
const REQUEST_WITHIN: Duration = Duration::from_secs(60);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody answered, or the answer was cut off.
    #[error("no answer: {0}")]
    Unanswered(#[from] io::Error),
    /// The answer is a fault.
    #[error("fault {0}: {1}")]
    Fault(i32, String),
    /// The answer is none.
    #[error("not an answer: {0}")]
    Garbled(String),
}

/// How one process is, as `getProcessInfo` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// The name of its state.
    pub state: String,
    /// Its number; 0 where there is no process.
    pub pid: u32,
    /// When its last start began, in seconds since 1970.
    pub start: i64,
    /// How it last ended.
    pub exit_status: i64,
    /// What went wrong last.
    pub spawn_error: String,
    /// The file of its standard output.
    pub stdout_log: PathBuf,
    /// The file of its standard error.
    pub stderr_log: PathBuf,
}

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the server that listens there.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Where the server listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Calls a method.
    ///
    /// # Errors
    /// When there is no answer, or it is a fault.
    pub fn call(&self, method: &str, parameters: &[Value]) -> Result<Value, CallError> {
        let request = Request { method: method.to_owned(), parameters: parameters.to_vec() };
        let body = request.to_xml();
        let length = body.len();
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(REQUEST_WITHIN))?;
        stream.write_all(
            format!(
                "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .as_bytes(),
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&answer)
    }

    /// Calls a method of the supervisor about the process or group of that name.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn about(&self, method: &str, name: &str) -> Result<Value, CallError> {
        self.call(&format!("supervisor.{method}"), &[Value::from(name)])
    }

    /// The name of the state of the server itself.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn state(&self) -> Result<String, CallError> {
        let state = self.call("supervisor.getState", &[])?;
        let name = state.member("statename").and_then(Value::as_str);
        name.map(str::to_owned).ok_or_else(|| CallError::Garbled(format!("{state:?}")))
    }

    /// How a process is.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn info(&self, name: &str) -> Result<Info, CallError> {
        info(&self.about("getProcessInfo", name)?)
    }

    /// How all processes are.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn infos(&self) -> Result<Vec<Info>, CallError> {
        let answer = self.call("supervisor.getAllProcessInfo", &[])?;
        answer.as_array().unwrap_or_default().iter().map(info).collect()
    }
}

/// Takes an answer apart. One that was cut off is no answer.
fn parse(answer: &[u8]) -> Result<Value, CallError> {
    let text = String::from_utf8_lossy(answer);
    let cut = || CallError::Unanswered(io::ErrorKind::UnexpectedEof.into());
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
    });
    if length.is_some_and(|length| body.len() < length) {
        return Err(cut());
    }
    if head.split(' ').nth(1) != Some("200") {
        return Err(CallError::Garbled(head.to_owned()));
    }
    match Response::parse(body.as_bytes()) {
        Ok(Response::Result(value)) => Ok(value),
        Ok(Response::Fault(fault)) => Err(CallError::Fault(fault.code, fault.text)),
        Err(error) => Err(CallError::Garbled(format!("{error}: {body}"))),
    }
}

fn info(value: &Value) -> Result<Info, CallError> {
    let text = |name| value.member(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name| value.member(name).and_then(Value::as_int);
    let read = || {
        Some(Info {
            group: text("group")?,
            name: text("name")?,
            state: text("statename")?,
            pid: u32::try_from(number("pid")?).ok()?,
            start: number("start")?,
            exit_status: number("exitstatus")?,
            spawn_error: text("spawnerr")?,
            stdout_log: text("stdout_logfile")?.into(),
            stderr_log: text("stderr_logfile")?.into(),
        })
    };
    read().ok_or_else(|| CallError::Garbled(format!("{value:?}")))
}
