//! One run of the tool: the server, what is said, and the exit code.

use std::io::Write;

use bardo_wire::xmlrpc::Value;

use super::table;
use crate::client::{CallError, Client};

/// The interface that the tool can talk to.
const API_VERSION: &str = "3.0";

/// Exit codes, as init scripts have them. The code of a run is the last one that was
/// set: a later success does not undo a failure.
pub(super) mod exit {
    pub(in super::super) const GENERIC: u8 = 1;
    pub(in super::super) const INVALID_ARGUMENTS: u8 = 2;
    pub(in super::super) const UNIMPLEMENTED: u8 = 3;
    pub(in super::super) const INSUFFICIENT_PRIVILEGES: u8 = 4;
    pub(in super::super) const NOT_INSTALLED: u8 = 5;
    pub(in super::super) const NOT_RUNNING: u8 = 7;
    /// Of `status`: some process is not running.
    pub(in super::super) const STATUS_NOT_RUNNING: u8 = 3;
    /// Of `status`: nothing is known.
    pub(in super::super) const STATUS_UNKNOWN: u8 = 4;
}

/// Fault numbers.
pub(super) mod fault {
    pub(in super::super) const UNKNOWN_METHOD: i32 = 1;
    pub(in super::super) const SHUTDOWN_STATE: i32 = 6;
    pub(in super::super) const BAD_NAME: i32 = 10;
    pub(in super::super) const BAD_SIGNAL: i32 = 11;
    pub(in super::super) const NO_FILE: i32 = 20;
    pub(in super::super) const NOT_EXECUTABLE: i32 = 21;
    pub(in super::super) const FAILED: i32 = 30;
    pub(in super::super) const ABNORMAL_TERMINATION: i32 = 40;
    pub(in super::super) const SPAWN_ERROR: i32 = 50;
    pub(in super::super) const ALREADY_STARTED: i32 = 60;
    pub(in super::super) const NOT_RUNNING: i32 = 70;
    pub(in super::super) const SUCCESS: i32 = 80;
    pub(in super::super) const ALREADY_ADDED: i32 = 90;
    pub(in super::super) const STILL_RUNNING: i32 = 91;
    pub(in super::super) const CANT_REREAD: i32 = 92;
}

/// The errno of a socket file that nobody listens at, and of a port.
const ECONNREFUSED: i32 = 111;

/// The errno of a socket file that is not there.
const ENOENT: i32 = 2;

/// Why a server cannot be reached, where Supervisor has words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// Nobody listens.
    Refused,
    /// The socket file is not there.
    NoFile,
}

impl Absence {
    pub(super) fn of(error: &CallError) -> Option<Self> {
        match error.errno() {
            Some(ECONNREFUSED) => Some(Self::Refused),
            Some(ENOENT) => Some(Self::NoFile),
            _ => None,
        }
    }
}

/// Whether lines are still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// They are.
    Line,
    /// The user wants to leave.
    Leave,
}

/// What stops a command.
#[derive(Debug)]
pub(super) enum Stop {
    /// A call that nobody expected to fail.
    Call(CallError),
    /// A result that makes no sense for this command.
    Value(String),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// One run of the tool.
pub(super) struct Control<'a> {
    pub(super) client: Client,
    pub(super) output: &'a mut dyn Write,
    /// Whether the user is asked before anything grave.
    pub(super) interactive: bool,
    exit: u8,
}

impl<'a> Control<'a> {
    pub(super) fn new(client: Client, output: &'a mut dyn Write, interactive: bool) -> Self {
        Self { client, output, interactive, exit: 0 }
    }

    /// The code of the run so far.
    pub(super) fn exit_code(&self) -> u8 {
        self.exit
    }

    pub(super) fn set_exit(&mut self, code: u8) {
        self.exit = code;
    }

    /// Says a line. When nobody listens there is nothing to be done about it.
    pub(super) fn say(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.output, "{line}");
    }

    /// Says a line about something that failed.
    pub(super) fn fail(&mut self, line: impl std::fmt::Display) {
        self.say(line);
        self.exit = exit::GENERIC;
    }

    /// Calls a method of the supervisor.
    pub(super) fn call(&mut self, method: &str, parameters: &[&str]) -> Result<Value, CallError> {
        let parameters = parameters.iter().map(|text| Value::from(*text)).collect();
        self.call_with(method, parameters)
    }

    /// Calls a method of the supervisor with other things than texts.
    pub(super) fn call_with(
        &mut self,
        method: &str,
        parameters: Vec<Value>,
    ) -> Result<Value, CallError> {
        self.client.call(&format!("supervisor.{method}"), parameters)
    }

    /// Runs one command line.
    pub(super) fn run_line(&mut self, line: &str) -> Next {
        let line = line.trim();
        if line.is_empty() {
            return Next::Line;
        }
        let line = match line.strip_prefix('?') {
            Some(topic) => format!("help {topic}"),
            None => line.to_owned(),
        };
        // The name of a command ends where its letters end: `start.x` starts `.x`.
        let end = line.find(|one: char| !one.is_ascii_alphanumeric() && one != '_');
        let (name, argument) = line.split_at(end.unwrap_or(line.len()));
        let argument = argument.trim();
        let Some(command) = table::find(name) else {
            self.fail(format_args!("*** Unknown syntax: {line}"));
            return Next::Line;
        };
        if command.takes_nothing && !argument.is_empty() {
            self.fail(format_args!("Error: {name} accepts no arguments"));
            self.say_help(name);
            return Next::Line;
        }
        match (command.run)(self, argument) {
            Ok(next) => next,
            Err(stop) => {
                self.give_up(&stop);
                Next::Line
            }
        }
    }

    /// Says what stopped a command, in the shape in which Supervisor shows a Python
    /// exception.
    fn give_up(&mut self, stop: &Stop) {
        if let Stop::Call(CallError::Status { status: 401, .. }) = stop {
            self.say("Server requires authentication");
        }
        let (kind, text) = match stop {
            Stop::Value(text) => ("ValueError", text.clone()),
            Stop::Call(error) => exception(error),
        };
        self.fail(format_args!("error: <class '{kind}'>, {text}: file: bardo line: 0"));
    }

    /// Whether the server can be talked to; says why not.
    pub(super) fn is_up(&mut self) -> Result<bool, Stop> {
        let url = self.client.url().to_owned();
        let error = match self.call("getVersion", &[]) {
            Ok(Value::String(version)) if version == API_VERSION => return Ok(true),
            Ok(version) => {
                let version = version.as_str().unwrap_or_default();
                self.say(format_args!(
                    "Sorry, this version of supervisorctl expects to talk to a server with API \
                     version {API_VERSION}, but the remote version is {version}."
                ));
                self.exit = exit::NOT_INSTALLED;
                return Ok(false);
            }
            Err(error) => error,
        };
        match (Absence::of(&error), error.fault()) {
            (Some(Absence::Refused), _) => {
                self.say(format_args!("{url} refused connection"));
                self.exit = exit::INSUFFICIENT_PRIVILEGES;
            }
            (Some(Absence::NoFile), _) => {
                self.say(format_args!("{url} no such file"));
                self.exit = exit::NOT_RUNNING;
            }
            (None, Some(fault::UNKNOWN_METHOD)) => {
                self.say(
                    "Sorry, supervisord responded but did not recognize the supervisor namespace \
                     commands that supervisorctl uses to control it.  Please check that the \
                     [rpcinterface:supervisor] section is enabled in the configuration file \
                     (see sample.conf).",
                );
                self.exit = exit::UNIMPLEMENTED;
            }
            (None, _) => return Err(error.into()),
        }
        Ok(false)
    }

    /// Says what a command does.
    pub(super) fn say_help(&mut self, name: &str) {
        match table::help(name) {
            Some(text) => self.say(text),
            None => self.say(format_args!("*** No help on {name}")),
        }
    }

    /// Asks a question that begins with y or does not.
    pub(super) fn confirms(&mut self, question: &str) -> bool {
        if !self.interactive {
            return true;
        }
        let _ = write!(self.output, "{question}");
        let _ = self.output.flush();
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        read.is_ok() && answer.to_lowercase().starts_with('y')
    }
}

/// The Python class and the text of an error of a call.
fn exception(error: &CallError) -> (&'static str, String) {
    match error {
        CallError::Fault { .. } => ("xmlrpc.client.Fault", error.to_string()),
        CallError::Status { .. } => ("xmlrpc.client.ProtocolError", error.to_string()),
        CallError::UnknownProtocol(_) | CallError::Nonsense(_) => ("ValueError", error.to_string()),
        CallError::Connection(source) => {
            let text = source.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            match source.raw_os_error() {
                Some(errno) => (error_class(errno), format!("[Errno {errno}] {text}")),
                None => ("http.client.RemoteDisconnected", text.to_owned()),
            }
        }
    }
}

/// The Python class of an errno.
fn error_class(errno: i32) -> &'static str {
    match errno {
        ENOENT => "FileNotFoundError",
        1 | 13 => "PermissionError",
        32 => "BrokenPipeError",
        104 => "ConnectionResetError",
        110 => "TimeoutError",
        ECONNREFUSED => "ConnectionRefusedError",
        _ => "OSError",
    }
}
