//! Asking a supervisor, and saying what it answers.
//!
//! A supervisor may die while it is asked, and another one takes its place within
//! milliseconds: whoever waits is not to see it. What had been begun goes on, so it is
//! looked for before anything is asked twice.

use std::path::Path;
use std::time::{Duration, Instant};

use super::command_line::Order;
use super::listing;
use super::verbs::Operand;
use bardo_config::value;
use bardo_core::spec::care::Dependency;

use crate::client::{self, CallError, Client, Document, SearchError};
use crate::output::say;
use crate::service::errno::Errno;
use crate::service::reply::{Reply, Rules, Service, Why};
use crate::service::request::{Request, Verb, Wait};

const REQUEST: &str = "/api/v1/service";
const SERVICES: &str = "/api/v1/services";
const RULES: &str = "/api/v1/rules";
const WHY: &str = "/api/v1/why";

/// How long a supervisor that has gone is waited for. The next one takes over within
/// milliseconds; where three in a row cannot, seconds.
const SUCCESSOR_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked for one, and for how far it has come with what its predecessor has
/// begun.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often the same is asked of a successor.
const ASKED_MAX: usize = 5;

/// Why there is no answer.
enum Unanswered {
    /// There is nobody.
    Nobody(SearchError),
    /// It was not taken, for this reason.
    Refused(Errno, String),
    /// The connection broke.
    Lost(CallError),
}

impl Unanswered {
    fn told(&self) -> (Errno, String) {
        match self {
            Self::Nobody(error @ (SearchError::Forbidden(_) | SearchError::OthersOnly(_))) => {
                (Errno::EPERM, error.to_string())
            }
            Self::Nobody(error @ SearchError::NoFile(_)) => (Errno::EINVAL, error.to_string()),
            Self::Nobody(error) => (Errno::EDEADSRCDST, error.to_string()),
            Self::Refused(errno, text) => (*errno, text.clone()),
            Self::Lost(error) => (
                Errno::EIO,
                format!("the supervisor did not answer: {error}; look with service list"),
            ),
        }
    }
}

/// Asks for something that is to be done, and says what came of it.
pub(super) fn ask(order: &Order, request: &Request) -> Errno {
    let reply = answer(order, request).unwrap_or_else(|unanswered| {
        let (errno, message) = unanswered.told();
        Reply { errno: errno.0, message: Some(message), notes: Vec::new() }
    });
    for note in &reply.notes {
        eprintln!("service: note: {note}");
    }
    let errno = Errno(reply.errno);
    if errno != Errno::OK {
        let known = if errno == Errno::EDEADEPT { end_of(order, &request.label) } else { None };
        return failed(order, errno, known.as_deref().or(reply.message.as_deref()));
    }
    match request.verb {
        // Who may know was asked first.
        Verb::Sysctl => look(order),
        _ => Errno::OK,
    }
}

/// How a service that is gone has ended, where that is known. The supervisor may end with it,
/// so it is asked after the answer.
fn end_of(order: &Order, label: &str) -> Option<String> {
    const ENDS: [&str; 3] = ["ended", "stopped", "spawn-failed"];
    let name = client::encoded_name(label);
    let why: Why = parsed(&open(order).ok()?.get(&format!("{WHY}/{name}")).ok()?).ok()?;
    let mut ends = why.decisions.iter().rev().filter(|decided| ENDS.contains(&&*decided.what));
    Some(format!("{label} {}; bardo why {label} tells what led to it", ends.next()?.text))
}

/// Looks, and says what is seen.
pub(super) fn look(order: &Order) -> Errno {
    match seen(order) {
        Ok(text) => {
            say(&text);
            Errno::OK
        }
        Err(unanswered) => {
            let (errno, message) = unanswered.told();
            failed(order, errno, Some(&message))
        }
    }
}

/// MINIX's words, and ours below.
fn failed(order: &Order, errno: Errno, message: Option<&str>) -> Errno {
    let (request, text, number) = (order.verb.request, errno.text(), errno.0);
    eprintln!("Request {request:#x} to RS failed: {text} (error {number})");
    if let Some(message) = message {
        eprintln!("service: {message}");
    }
    errno
}

fn open(order: &Order) -> Result<Client, Unanswered> {
    client::find(order.manner.socket.as_deref()).map_err(Unanswered::Nobody)
}

/// The name of the program that a service has; `None` where nobody knows it.
pub(super) fn program_of(order: &Order, label: &str) -> Option<String> {
    let service = of(&mut open(order).ok()?, label).ok()??;
    let name = Path::new(&service.binary).file_name()?;
    Some(name.to_string_lossy().into_owned())
}

/// Whether the supervisor keeps services by MINIX's rules. Who is not told, because he may
/// not ask or nobody is there, is told so when he asks for more.
pub(super) fn is_by_minix(order: &Order) -> bool {
    let rules = |mut client: Client| {
        let document = client.get(RULES).map_err(Unanswered::Lost)?;
        parsed(&document)
    };
    open(order).and_then(rules).is_ok_and(|rules: Rules| rules.minix)
}

/// Says for whom a service would wait that is not there. It is said before it waits.
fn tell_of_absent(client: &mut Client, request: &Request) {
    let listed = request.asked.as_ref().and_then(|asked| asked.depends_on.as_deref());
    let Some(dependencies) = listed.and_then(|text| value::dependencies(text).ok()) else { return };
    let Ok(services) = all(client) else { return };
    for dependency in dependencies {
        if !services.iter().any(|service| is_meant(&dependency, &service.label)) {
            let label = match (&*dependency.group, &*dependency.name) {
                ("", name) => name.to_owned(),
                (group, name) => format!("{group}:{name}"),
            };
            eprintln!(
                "service: note: -depends: there is no service {label}; {} waits until there is",
                request.label
            );
        }
    }
}

/// Whether a service of this label is waited for.
fn is_meant(dependency: &Dependency, label: &str) -> bool {
    let (group, name) = label.split_once(':').unwrap_or((label, label));
    let is_group = dependency.group.is_empty() || *dependency.group == *group;
    is_group && [name, "*"].contains(&&*dependency.name)
        || dependency.group.is_empty() && *dependency.name == *group
}

/// What a supervisor answers, be it the one that was asked first or its successor.
fn answer(order: &Order, request: &Request) -> Result<Reply, Unanswered> {
    let body = serde_json::to_string(request)
        .map_err(|error| Unanswered::Refused(Errno::EINVAL, error.to_string()))?;
    let mut client = open(order)?;
    tell_of_absent(&mut client, request);
    let begins = matches!(request.verb, Verb::Up | Verb::Run);
    // Who has the label already is not what was brought up.
    let is_taken = begins && of(&mut client, &request.label).is_ok_and(|there| there.is_some());
    for _ in 1..ASKED_MAX {
        match post(&mut client, &body) {
            Err(Unanswered::Lost(_)) if follows(request.verb) => {}
            answered => return answered,
        }
        if let Some(reply) = learned(&mut client, request, is_taken)? {
            return Ok(reply);
        }
    }
    post(&mut client, &body)
}

fn post(client: &mut Client, body: &str) -> Result<Reply, Unanswered> {
    let document = client.post(REQUEST, body.to_owned()).map_err(Unanswered::Lost)?;
    parsed(&document)
}

/// What can be looked for at a successor, or asked of it again without harm. A second crash
/// or refresh would be one too many.
fn follows(verb: Verb) -> bool {
    match verb {
        Verb::Up
        | Verb::Run
        | Verb::Edit
        | Verb::Update
        | Verb::Down
        | Verb::Restart
        | Verb::Clone
        | Verb::Unclone
        | Verb::Sysctl
        | Verb::Shutdown => true,
        Verb::Refresh | Verb::Fi => false,
    }
}

/// What has become of a request whose supervisor has gone: the answer, or `None` when it is
/// to be asked again.
fn learned(
    client: &mut Client,
    request: &Request,
    is_taken: bool,
) -> Result<Option<Reply>, Unanswered> {
    let gone_at = Instant::now() + SUCCESSOR_WITHIN;
    let mut was_there = false;
    loop {
        let service = match of(client, &request.label) {
            Ok(service) => service,
            Err(Unanswered::Lost(_)) if Instant::now() < gone_at => {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            Err(unanswered) => return Err(unanswered),
        };
        let done = match (request.verb, &service) {
            (Verb::Up | Verb::Run, Some(service)) if !is_taken => {
                was_there = true;
                match &*service.state {
                    "STARTING" if request.wait == Wait::Begun => Some(Errno::OK),
                    "STARTING" | "BACKOFF" => None,
                    _ => Some(Errno::OK),
                }
            }
            (Verb::Up | Verb::Run, None) if was_there => Some(Errno::EDEADEPT),
            (Verb::Down, None) => Some(Errno::OK),
            (Verb::Down, Some(service)) if service.state == "STOPPING" => None,
            (Verb::Down, Some(service)) if service.pid == 0 => Some(Errno::OK),
            // It was not begun, or it may be done twice.
            _ => return Ok(None),
        };
        if let Some(errno) = done {
            return Ok(Some(Reply { errno: errno.0, ..Reply::default() }));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The service of a label; `None` where there is none.
fn of(client: &mut Client, label: &str) -> Result<Option<Service>, Unanswered> {
    let name = client::encoded_name(label);
    let document = client.get(&format!("{SERVICES}/{name}")).map_err(Unanswered::Lost)?;
    match document.is_unknown_name() {
        true => Ok(None),
        false => parsed(&document).map(Some),
    }
}

/// What an answer says.
fn parsed<T: serde::de::DeserializeOwned>(document: &Document) -> Result<T, Unanswered> {
    if document.is_good() {
        let nonsense = |error: serde_json::Error| {
            Unanswered::Refused(Errno::EIO, format!("the answer makes no sense: {error}"))
        };
        return serde_json::from_slice(&document.bytes).map_err(nonsense);
    }
    let (errno, detail) = match document.status {
        401 | 403 => (Errno::EPERM, document.detail()),
        404 | 405 | 501 => {
            (Errno::ENOSYS, "what listens there knows nothing of services".to_owned())
        }
        _ => (Errno::EIO, document.detail()),
    };
    Err(Unanswered::Refused(errno, detail))
}

fn seen(order: &Order) -> Result<String, Unanswered> {
    let mut client = open(order)?;
    let label = match order.verb.operand {
        Operand::Label | Operand::AnyLabel => order.label(),
        Operand::Binary | Operand::Control | Operand::None => String::new(),
    };
    let services = match label.as_str() {
        "" => all(&mut client)?,
        label => {
            let unknown =
                || Unanswered::Refused(Errno::ESRCH, format!("there is no service {label}"));
            vec![of(&mut client, label)?.ok_or_else(unknown)?]
        }
    };
    if let ("lookup", Some(Service { label, published: false, description, .. })) =
        (order.verb.name, services.first())
    {
        let text = format!("{label} has no endpoint just now: {description}");
        return Err(Unanswered::Refused(Errno::ESRCH, text));
    }
    Ok(match (order.verb.name, order.manner.is_json) {
        ("lookup", _) => services.iter().map(|it| format!("{}\n", it.endpoint)).collect(),
        ("sysctl", _) => listing::status(&services),
        ("show", true) if !label.is_empty() => json(&services[0]),
        (_, true) => json(&services),
        ("show", false) => services.iter().map(listing::show).collect::<Vec<_>>().join("\n"),
        _ => listing::list(&services),
    })
}

fn all(client: &mut Client) -> Result<Vec<Service>, Unanswered> {
    parsed(&client.get(SERVICES).map_err(Unanswered::Lost)?)
}

/// One document on one line.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).map_or_else(|_| String::new(), |text| text + "\n")
}
