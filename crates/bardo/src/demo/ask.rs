//! How the programs are, asked through the daemon's socket.

use std::io;
use std::path::Path;

use bardo_wire::xmlrpc::Value;

use crate::client::{CallError, Client};

/// A program as the daemon describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) state: String,
    /// Its number; 0 when it does not run.
    pub(super) pid: u32,
    pub(super) description: String,
}

/// A client of the daemon.
pub(super) fn client(socket: &Path) -> io::Result<Client> {
    Client::new(&format!("unix://{}", socket.display()), None, None)
}

/// Asks for all programs.
pub(super) fn processes(client: &mut Client) -> Result<Vec<Process>, CallError> {
    let answer = client.call("supervisor.getAllProcessInfo", Vec::new())?;
    let processes =
        answer.as_array().and_then(|all| all.iter().map(read).collect::<Option<Vec<Process>>>());
    processes.ok_or_else(|| CallError::Nonsense("no list of processes".to_owned()))
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
