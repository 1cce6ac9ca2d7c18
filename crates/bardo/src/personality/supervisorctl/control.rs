//! One run of the tool: the server, what is said, and the exit code.

use std::io::{ErrorKind, Write};

use bardo_config::PluginKind;
use bardo_wire::xmlrpc::Value;
use rustyline::error::ReadlineError;
use serde::Serialize;
use serde_json::Value as Json;

use super::colour::Colour;
use super::input::{Input, Silence};
use super::report::{self, Format};
use super::shell::Editor;
use super::table::{self, Answers, Command};
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
    pub(in super::super) const BAD_ARGUMENTS: i32 = 3;
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
    /// The user has pressed Ctrl-C.
    Interrupted,
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

/// How a run deals with its user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Who is asked.
    pub(super) questions: Questions,
    /// How commands answer when their line does not say otherwise.
    pub(super) format: Format,
    /// Whether states are coloured.
    pub(super) colour: Colour,
}

/// Who is asked when there is a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Questions {
    /// Nobody.
    Nobody,
    /// Whoever writes the lines, before anything grave. He is not asked for a password:
    /// a script would give its next commands away.
    Script,
    /// The user at his terminal, whatever it is.
    User,
}

/// One run of the tool.
pub(super) struct Control<'a> {
    pub(super) client: Client,
    pub(super) output: &'a mut dyn Write,
    pub(super) input: Input,
    /// Edits lines, once there is a shell on a terminal. It may hold lines that were
    /// typed ahead, so every question goes by it.
    pub(super) editor: Option<Editor>,
    pub(super) manner: Manner,
    /// The plugins that the file names.
    pub(super) plugins: Vec<(String, PluginKind)>,
    /// How the command in hand answers.
    format: Format,
    /// What it has to answer so far, when that is a document.
    document: Option<Json>,
    exit: u8,
}

impl<'a> Control<'a> {
    pub(super) fn new(client: Client, output: &'a mut dyn Write, manner: Manner) -> Self {
        let (input, format) = (Input::default(), manner.format);
        let (editor, plugins, document) = (None, Vec::new(), None);
        Self { client, output, input, editor, manner, plugins, format, document, exit: 0 }
    }

    /// The code of the run so far.
    pub(super) fn exit_code(&self) -> u8 {
        self.exit
    }

    pub(super) fn set_exit(&mut self, code: u8) {
        self.exit = code;
    }

    /// Says a line: on standard output, unless that is for a document. When nobody
    /// listens there is nothing to be done about it.
    pub(super) fn say(&mut self, line: impl std::fmt::Display) {
        let _ = match self.format {
            Format::Text => writeln!(self.output, "{line}"),
            Format::Json => writeln!(std::io::stderr(), "{line}"),
        };
    }

    /// Says a line whose matter a document has in its own way.
    pub(super) fn tell(&mut self, line: impl std::fmt::Display) {
        if !self.is_document() {
            self.say(line);
        }
    }

    /// Lets the user see all that was said.
    pub(super) fn flush(&mut self) {
        let _ = self.output.flush();
    }

    /// Whether the command in hand answers with a document.
    pub(super) fn is_document(&self) -> bool {
        self.format == Format::Json
    }

    /// Answers with this document.
    pub(super) fn answer(&mut self, document: impl Serialize) {
        self.document = serde_json::to_value(document).ok();
    }

    /// Answers with a list, which has this much more.
    pub(super) fn answer_also(&mut self, rows: impl IntoIterator<Item = Json>) {
        let document = self.document.get_or_insert_with(|| Json::Array(Vec::new()));
        if let Json::Array(all) = document {
            all.extend(rows);
        }
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
        self.call_any(&format!("supervisor.{method}"), parameters)
    }

    /// Calls a method of any namespace.
    pub(super) fn call_any(
        &mut self,
        method: &str,
        parameters: Vec<Value>,
    ) -> Result<Value, CallError> {
        self.flush();
        self.client.call(method, parameters)
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
        let Some(command) = table::find(name, &self.plugins) else {
            self.fail(format_args!("*** Unknown syntax: {line}"));
            return Next::Line;
        };
        self.format = self.manner.format;
        let without_flag = match command.answers {
            Answers::Both => without_flag(argument),
            Answers::TextOnly | Answers::Nothing => None,
        };
        if without_flag.is_some() {
            self.format = Format::Json;
        }
        let next = self.run_command(command, without_flag.as_deref().unwrap_or(argument));
        if let Some(document) = self.document.take() {
            let _ = writeln!(self.output, "{document}");
        }
        self.format = self.manner.format;
        self.flush();
        next
    }

    fn run_command(&mut self, command: &Command, argument: &str) -> Next {
        if self.is_document() && command.answers == Answers::TextOnly {
            let name = command.name;
            self.say(format_args!("Error: {name} has no JSON output; leave -o json away"));
            self.exit = exit::INVALID_ARGUMENTS;
            return Next::Line;
        }
        if command.takes_nothing && !argument.is_empty() {
            self.fail(format_args!("Error: {} accepts no arguments", command.name));
            self.say_help(command.name);
            return Next::Line;
        }
        loop {
            match (command.run)(self, argument) {
                Ok(next) => return next,
                Err(Stop::Call(CallError::Interrupted)) => return Next::Interrupted,
                Err(Stop::Call(CallError::Status { status: 401, .. }))
                    if self.manner.questions == Questions::User =>
                {
                    if self.identifies().is_err() {
                        return Next::Interrupted;
                    }
                }
                Err(stop) => {
                    self.give_up(&stop);
                    return Next::Line;
                }
            }
        }
    }

    /// Asks the user who he is. He cannot get out of it but by Ctrl-C.
    fn identifies(&mut self) -> Result<(), CallError> {
        self.say("Server requires authentication");
        let username = self.ask("Username:")?.ok_or(CallError::Interrupted)?;
        let silence = Silence::begin();
        let password = self.ask_plainly("Password:")?.ok_or(CallError::Interrupted)?;
        drop(silence);
        let _ = writeln!(self.output);
        self.client.identify(username, password);
        Ok(())
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
                let version = version
                    .as_str()
                    .map_or_else(|| report::json(&version).to_string(), str::to_owned);
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
        match table::help(name, &self.plugins) {
            Some(text) => self.say(text),
            None => self.say(format_args!("*** No help on {name}")),
        }
    }

    /// Asks a question that begins with y or does not.
    pub(super) fn confirms(&mut self, question: &str) -> Result<bool, CallError> {
        if self.manner.questions == Questions::Nobody {
            return Ok(true);
        }
        let answer = self.ask(question)?.unwrap_or_default();
        Ok(answer.starts_with(['y', 'Y']))
    }

    /// Waits for a line of the user, behind a question; `None` is the end of the input.
    ///
    /// # Errors
    /// [`CallError::Interrupted`] for Ctrl-C.
    pub(super) fn ask(&mut self, question: &str) -> Result<Option<String>, CallError> {
        let Some(editor) = &mut self.editor else {
            return self.ask_plainly(question);
        };
        let _ = self.output.flush();
        match editor.readline(question) {
            Ok(line) => Ok(Some(line)),
            Err(ReadlineError::Interrupted) => Err(CallError::Interrupted),
            Err(_) => Ok(None),
        }
    }

    /// The same without an editor.
    fn ask_plainly(&mut self, question: &str) -> Result<Option<String>, CallError> {
        let _ = write!(self.output, "{question}");
        self.flush();
        let mut lines = self.input.lines();
        self.client.wait_for(lines.next())
    }
}

/// A command's words without `--json`, where that is one of them.
fn without_flag(argument: &str) -> Option<String> {
    let words: Vec<&str> = argument.split_whitespace().collect();
    let others: Vec<&str> = words.iter().copied().filter(|word| *word != "--json").collect();
    (others.len() < words.len()).then(|| others.join(" "))
}

/// The Python class and the text of an error of a call.
pub(super) fn exception(error: &CallError) -> (&'static str, String) {
    match error {
        CallError::Fault { .. } => ("xmlrpc.client.Fault", error.to_string()),
        CallError::Status { .. } => ("xmlrpc.client.ProtocolError", error.to_string()),
        CallError::Interrupted => ("KeyboardInterrupt", String::new()),
        CallError::UnknownHost(_) => ("socket.gaierror", error.to_string()),
        CallError::UnknownProtocol(_) | CallError::BadPort(_) | CallError::Nonsense(_) => {
            ("ValueError", error.to_string())
        }
        CallError::Connection(source) => {
            let text = source.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            match source.raw_os_error() {
                Some(errno) => (error_class(errno), format!("[Errno {errno}] {text}")),
                None if source.kind() == ErrorKind::TimedOut => {
                    ("TimeoutError", "timed out".to_owned())
                }
                None if source.kind() == ErrorKind::UnexpectedEof => {
                    let text = "Remote end closed connection without response";
                    ("http.client.RemoteDisconnected", text.to_owned())
                }
                None => ("http.client.HTTPException", text.to_owned()),
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
