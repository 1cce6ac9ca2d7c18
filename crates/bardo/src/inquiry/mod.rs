//! `bardo status`, `bardo why` and `bardo events`: what the supervisor has decided, and why
//! things are as they are; `bardo restart --self`: that it is to begin anew.
//!
//! The words come from the supervisor ([`crate::words::why`]); here is who is asked,
//! how an answer is laid out, and the exit code.

mod events;
mod lines;
mod status;

use std::fmt;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use bardo_config::ConfigError;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::lines::Layout;
use crate::check::Form;
use crate::client::{self, CallError, Client, Document, SearchError};
use crate::doctor::{self, Wanted};
use crate::output::say;
use crate::service::reply::Why;

/// Exit code for a name that nothing is known of.
const UNKNOWN: u8 = 1;

/// Exit code of a command line or a configuration that makes no sense.
const USAGE: u8 = 2;

/// Exit code where no supervisor answers.
const NOBODY: u8 = 3;

/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

/// How long a supervisor that has gone is waited for. The next one takes over within
/// milliseconds; one that hangs is replaced after ten seconds.
const SUCCESSOR_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked for one.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is asked.
#[derive(Debug)]
pub enum Inquiry {
    /// How services are; all where none is named.
    Status(Vec<String>),
    /// Why one is as it is.
    Why(String),
    /// What was decided.
    Events {
        /// Whether what is decided from now on is told, too.
        follow: bool,
    },
    /// That the supervisor itself begins anew.
    Restart,
}

impl Inquiry {
    fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Why(_) => "why",
            Self::Events { .. } => "events",
            Self::Restart => "restart",
        }
    }
}

/// Asks and says what is answered.
#[must_use]
pub fn main(wanted: &Wanted, inquiry: &Inquiry, form: Form) -> ExitCode {
    let asked = find(wanted).and_then(|mut client| match inquiry {
        Inquiry::Status(names) => status::status(&mut client, names, form),
        Inquiry::Why(name) => why(&mut client, name, form),
        Inquiry::Events { follow: false } => events::kept(&mut client, form),
        Inquiry::Events { follow: true } => events::follow(&mut client, form),
        Inquiry::Restart => restart(&mut client),
    });
    match asked {
        Ok(code) => code,
        Err(Failure::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(Failure::Unheard) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bardo: {}: {failure}", inquiry.name());
            ExitCode::from(failure.code())
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Failure {
    /// The configuration cannot be read.
    Configuration(ConfigError),
    /// There is no supervisor to be found.
    Nobody(SearchError),
    /// There is none where it was looked for.
    Silent(String, String),
    /// Nothing is known of that name.
    Unknown(String),
    /// It does not answer such questions, or not to us.
    Refused(String),
    /// The user has pressed Ctrl-C.
    Interrupted,
    /// Nobody reads what is said any more.
    Unheard,
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Configuration(_) => USAGE,
            Self::Nobody(_) | Self::Silent(..) | Self::Refused(_) => NOBODY,
            Self::Unknown(_) => UNKNOWN,
            Self::Interrupted => INTERRUPTED,
            Self::Unheard => 0,
        }
    }

    fn of_call(client: &Client, error: &CallError) -> Self {
        match error {
            CallError::Interrupted => Self::Interrupted,
            CallError::Connection(error) => {
                Self::Silent(client.url().to_owned(), error.to_string())
            }
            error => Self::Silent(client.url().to_owned(), error.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(error) => write!(f, "{error}"),
            Self::Nobody(error) => write!(f, "{error}"),
            Self::Silent(url, why) => {
                write!(f, "no supervisor answers at {url}: {why}; bardo doctor says more")
            }
            Self::Unknown(name) => {
                write!(f, "nothing is known of {name}; bardo status lists all services")
            }
            Self::Refused(why) => f.write_str(why),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Unheard => f.write_str("nobody reads what is said"),
        }
    }
}

/// The supervisor that the user means, or the one that is found.
fn find(wanted: &Wanted) -> Result<Client, Failure> {
    if wanted.file.is_none() && wanted.socket.is_none() {
        match client::find(None) {
            Ok(client) => return Ok(client),
            Err(nobody @ (SearchError::Nobody(_) | SearchError::NobodyThere { .. })) => {
                // It may have a port and no socket file.
                let settings = doctor::whereabouts(wanted).map_err(Failure::Configuration)?;
                if settings.server_url.starts_with("unix://") {
                    return Err(Failure::Nobody(nobody));
                }
            }
            Err(error) => return Err(Failure::Nobody(error)),
        }
    }
    let settings = doctor::whereabouts(wanted).map_err(Failure::Configuration)?;
    Client::new(&settings.server_url, settings.username, settings.password)
        .map_err(|error| Failure::Nobody(SearchError::Client(error)))
}

/// What lies at a path of the supervisor, or of its successor where it dies meanwhile.
fn get<T: DeserializeOwned>(client: &mut Client, path: &str) -> Result<Option<T>, Failure> {
    let mut waited = Duration::ZERO;
    loop {
        let error = match client.get(path) {
            Ok(document) => return read(client, &document),
            Err(error) => error,
        };
        if !is_broken(&error) || waited >= SUCCESSOR_WITHIN {
            return Err(Failure::of_call(client, &error));
        }
        client.pause(LOOK_EVERY).map_err(|_| Failure::Interrupted)?;
        waited += LOOK_EVERY;
    }
}

/// Whether there was a connection, which broke: somebody else will answer soon.
fn is_broken(error: &CallError) -> bool {
    let CallError::Connection(error) = error else { return false };
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn read<T: DeserializeOwned>(client: &Client, document: &Document) -> Result<Option<T>, Failure> {
    match document.status {
        200 => {}
        404 if names_the_fault(document) => return Ok(None),
        404 => {
            let url = client.url();
            let text = format!("who answers at {url} is no Bardo, or one of a former version");
            return Err(Failure::Refused(text));
        }
        401 => {
            let text = format!(
                "{} asks for another user and password: give them in \
                [supervisorctl], or name its socket with --socket",
                client.url()
            );
            return Err(Failure::Refused(text));
        }
        _ => return Err(Failure::Refused(document.detail())),
    }
    let nonsense = |error| Failure::Refused(format!("the answer makes no sense: {error}"));
    serde_json::from_slice(&document.bytes).map(Some).map_err(nonsense)
}

/// Whether it is a name that was not found, and not the question.
fn names_the_fault(document: &Document) -> bool {
    let problem: Option<serde_json::Value> = serde_json::from_slice(&document.bytes).ok();
    problem.is_some_and(|problem| problem["fault"]["name"] == "BAD_NAME")
}

/// What is told of a supervisor that was asked to begin anew.
#[derive(Deserialize)]
struct Restarting {
    ends_at_restart: bool,
}

/// Has the supervisor itself begin anew.
fn restart(client: &mut Client) -> Result<ExitCode, Failure> {
    let asked = client.post("/api/v1/restart", String::new());
    let document = asked.map_err(|error| Failure::of_call(client, &error))?;
    let nobody = || Failure::Refused(document.detail());
    let Restarting { ends_at_restart } = read(client, &document)?.ok_or_else(nobody)?;
    say(if ends_at_restart {
        "the supervisor ends with 1, for whoever has started it to start it again\n"
    } else {
        "everything stops and begins anew with the configuration as it is now\n"
    });
    Ok(ExitCode::SUCCESS)
}

/// Why a service is as it is.
fn why(client: &mut Client, name: &str, form: Form) -> Result<ExitCode, Failure> {
    let path = format!("/api/v1/why/{}", client::encoded_name(name));
    let why: Option<Why> = get(client, &path)?;
    let why = why.ok_or_else(|| Failure::Unknown(name.to_owned()))?;
    say(&match form {
        Form::Text => lines::why(&why, &Layout::of_output()),
        Form::Json => lines::json(&why),
    });
    Ok(ExitCode::SUCCESS)
}
