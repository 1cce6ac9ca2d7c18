//! How the programs are, asked through the daemon's socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bardo_wire::xmlrpc::{Request, Response, Value};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A program as the daemon describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) state: String,
    /// Its number; 0 when it does not run.
    pub(super) pid: u32,
    pub(super) description: String,
}

/// Asks for all of them.
pub(super) fn processes(socket: &Path) -> io::Result<Vec<Process>> {
    let request =
        Request { method: "supervisor.getAllProcessInfo".to_owned(), parameters: Vec::new() };
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let body = request.to_xml();
    write!(
        stream,
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    match Response::parse(body.as_bytes()).map_err(io::Error::other)? {
        Response::Result(Value::Array(processes)) => {
            processes.iter().map(|one| read(one).ok_or(io::ErrorKind::InvalidData.into())).collect()
        }
        Response::Result(_) => Err(io::ErrorKind::InvalidData.into()),
        Response::Fault(fault) => Err(io::Error::other(fault.text)),
    }
}

fn read(value: &Value) -> Option<Process> {
    let text = |name: &str| Some(value.member(name)?.as_str()?.to_owned());
    Some(Process {
        name: text("name")?,
        state: text("statename")?,
        pid: u32::try_from(value.member("pid")?.as_int()?).ok()?,
        description: text("description")?,
    })
}
