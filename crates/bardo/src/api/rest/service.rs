//! What `service` asks for. Who may ask is told by the kernel, not by a password: root, our
//! own user, and processes of services, which may do what their `control` lists say.

use std::sync::Arc;

use bardo_core::job::{Answer, Caller, Deed, Refusal, Wait as CoreWait};
use bardo_core::service::StateName;
use bardo_core::{Command, Preparation, ServiceSpec, SpawnError};
use hyper::Method;
use hyper::http::request::Parts;

use super::ROOT;
use super::call::{Call, Said};
use super::problem::Problem;
use crate::api::Context;
use crate::api::faults::Fault;
use crate::api::peer::Peer;
use crate::daemon::clients::{Question, Reply as Told, Selection};
use crate::daemon::standing::{NOT_ENFORCED, Standing};
use crate::host::Machine;
use crate::service::errno::Errno;
use crate::service::reply::{Reply, Rules};
use crate::service::request::{Request, Verb, Wait};
use crate::service::{bring, edit};
use crate::words::preparation;

/// Where something of services is looked at.
const LOOKS: [&str; 4] = ["/services", "/why", "/decisions", "/rules"];

/// What a request of `service` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Kind {
    /// Something is to be done.
    Deed,
    /// Something is looked at.
    Look,
}

/// What a request of `service` is; `None` when it is none.
pub(in crate::api) fn kind(head: &Parts) -> Option<Kind> {
    let below = head.uri.path().strip_prefix(ROOT)?;
    let is_below = |name: &str| {
        below.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if head.method == Method::POST && below == "/service" {
        return Some(Kind::Deed);
    }
    let is_look = head.method == Method::GET && LOOKS.into_iter().any(is_below);
    is_look.then_some(Kind::Look)
}

/// Whether who may not do everything may at least look: he is a process of a service that may
/// do something to others.
pub(in crate::api) async fn may_look(context: &Context, peer: &Peer) -> bool {
    who_is(context, peer).await.is_ok_and(|(_, controls)| controls)
}

/// Tells by whose rules services are kept: the tool reads `system.conf` by them.
pub(super) async fn rules(call: Call) -> Result<Said, Problem> {
    Said::json(&Rules { minix: call.context.shown().is_minix })
}

/// Does what `service` asks for.
pub(super) async fn act(mut call: Call) -> Result<Said, Problem> {
    let Some(peer) = call.peer.clone() else { return Err(Problem::not_through_a_port()) };
    let mut request: Request = call.object()?;
    request.minix |= call.context.shown().is_minix;
    let by = if peer.is_owner() { Caller::Owner } else { who_is(&call.context, &peer).await?.0 };
    let reply = match carry_out(&call, request, by).await {
        Ok(reply) => reply,
        Err(Failed::Refused(errno, message)) => {
            Reply { errno: errno.0, message, notes: Vec::new() }
        }
        Err(Failed::Unanswered(fault)) => {
            let message = Some(fault.text.to_string());
            Reply { errno: Errno::EIO.0, message, notes: Vec::new() }
        }
    };
    Said::json(&reply)
}

/// How often it is found out who somebody is whose ancestors end meanwhile.
const LOOKS_MAX: usize = 4;

/// On behalf of whom a process acts, whatever it may do; whether that one may do something
/// to any service.
async fn who_is(context: &Context, peer: &Peer) -> Result<(Caller, bool), Fault> {
    for _ in 0..LOOKS_MAX {
        let line = peer.line();
        let Told::WhoIs { caller, controls } =
            context.ask(Question::WhoIs { pids: line.pids() }).await?
        else {
            break;
        };
        // Otherwise one of the numbers may have been somebody else's when it was asked about.
        if peer.line() == line {
            return Ok((caller, controls));
        }
    }
    Ok((Caller::Nobody, false))
}

/// Why something was not done.
enum Failed {
    /// It was refused, for this reason.
    Refused(Errno, Option<String>),
    /// The control thread did not answer.
    Unanswered(Fault),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Unanswered(fault)
    }
}

type Outcome = Result<Reply, Failed>;

async fn carry_out(call: &Call, request: Request, by: Caller) -> Outcome {
    // Who is nobody is not told more than that, whatever he asks for.
    if by == Caller::Nobody {
        return Err(refused(&Refusal::NotPermitted, &request.label));
    }
    match request.verb {
        Verb::Up | Verb::Run => bring(call, request, by).await,
        Verb::Edit => edit(call, request, by).await,
        Verb::Update | Verb::Clone | Verb::Unclone => {
            manage(call, &request, Deed::Advance, by).await
        }
        Verb::Down => down(call, &request, by).await,
        Verb::Refresh => manage(call, &request, Deed::Refresh, by).await,
        Verb::Restart => manage(call, &request, Deed::RestartNow, by).await,
        Verb::Fi => manage(call, &request, Deed::Inject, by).await,
        Verb::Sysctl => sysctl(&request, by),
        Verb::Shutdown if request.stop && by == Caller::Owner => {
            command(call, Command::Shutdown, "").await
        }
        Verb::Shutdown if request.stop => Err(refused(&Refusal::NotPermitted, "")),
        Verb::Shutdown => command(call, Command::Rest { by }, "").await,
    }
}

async fn bring(call: &Call, request: Request, by: Caller) -> Outcome {
    // Only who may do everything brings something up: there is nobody yet to control.
    if by != Caller::Owner {
        return Err(refused(&Refusal::NotPermitted, &request.label));
    }
    let label = bring::label(&request).into_owned();
    let wait = match request.wait {
        Wait::Begun => CoreWait::Begun,
        Wait::Usual | Wait::Ready => CoreWait::Done,
    };
    let brought = made(move || bring::bring(&Machine, &request)).await?;
    let reply = command(call, Command::Bring { group: brought.group, wait, by }, &label).await?;
    let notes = brought.notes.into_iter().chain(unenforced(call, &label).await).collect();
    Ok(Reply { notes, ..reply })
}

async fn edit(call: &Call, request: Request, by: Caller) -> Outcome {
    let label = bring::label(&request).into_owned();
    let Some(present) = present(call, &label).await? else {
        // To somebody who may do something only, what is not there is what he may not do.
        let refusal =
            if by == Caller::Owner { Refusal::NoSuchLabel } else { Refusal::NotPermitted };
        return Err(refused(&refusal, &label));
    };
    let former = Arc::clone(&present);
    let edited = match made(move || edit::edit(&Machine, &present, &request)).await {
        Ok(edited) => edited,
        // Whether he may ask at all is told before what is wrong with the question.
        Err(_) if by != Caller::Owner => return Err(refused(&Refusal::NotPermitted, &label)),
        Err(failed) => return Err(failed),
    };
    let deed = Deed::Edit { former, spec: edited.spec, restarts: edited.restarts };
    let managed = Command::Manage { deed, label: label.as_str().into(), wait: CoreWait::Done, by };
    // What was so before has been told when it was asked for.
    let known = unenforced(call, &label).await;
    let reply = command(call, managed, &label).await?;
    let short = unenforced(call, &label).await.into_iter().filter(|line| !known.contains(line));
    let notes = edited.notes.into_iter().chain(short).collect();
    Ok(Reply { notes, ..reply })
}

/// What of a service is not enforced on this machine, for whoever has asked for it just now.
async fn unenforced(call: &Call, label: &str) -> Vec<String> {
    let standing = standing(call, label).await;
    let further = standing.into_iter().flat_map(|standing| standing.further);
    let short = further.filter(|(name, _)| *name == NOT_ENFORCED);
    short.map(|(_, text)| format!("not enforced: {text}")).collect()
}

/// Makes something that users and files are looked up for, which may take a while.
async fn made<T: Send + 'static>(
    make: impl FnOnce() -> Result<T, bring::Refusal> + Send + 'static,
) -> Result<T, Failed> {
    match tokio::task::spawn_blocking(make).await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(refusal)) => Err(Failed::Refused(refusal.errno, Some(refusal.text))),
        Err(_) => Err(Failed::Refused(Errno::EIO, Some("it cannot be looked up".to_owned()))),
    }
}

/// What the service of a label is now: `GROUP:NAME`, or a name that only one group has.
async fn present(call: &Call, label: &str) -> Result<Option<Arc<ServiceSpec>>, Failed> {
    let Told::Processes(views) = call.context.ask(Question::Processes(Selection::All)).await?
    else {
        return Ok(None);
    };
    let (group, name) = label.split_once(':').unwrap_or((label, label));
    let exact = views.iter().find(|view| *view.group.name == *group && *view.spec.name == *name);
    let mut named = views.iter().filter(|view| *view.spec.name == *label);
    let only = named.next().filter(|_| named.next().is_none());
    Ok(exact.or(only).map(|view| Arc::clone(&view.spec)))
}

async fn manage(call: &Call, request: &Request, deed: Deed, by: Caller) -> Outcome {
    let label = bring::label(request);
    // A refresh has begun when its process is there; all else is done or refused.
    let wait = match (&deed, request.wait) {
        (Deed::Refresh, Wait::Usual | Wait::Begun) => CoreWait::Begun,
        _ => CoreWait::Done,
    };
    let managed = Command::Manage { deed, label: (&*label).into(), wait, by };
    command(call, managed, &label).await
}

/// Whoever brings a service down ends its recovery script with it; not so that script
/// itself, also where it is somebody who may do everything.
async fn down(call: &Call, request: &Request, by: Caller) -> Outcome {
    if by == Caller::Owner
        && let Some(peer) = &call.peer
        && let (script @ Caller::Script(_), _) = who_is(&call.context, peer).await?
    {
        match manage(call, request, Deed::Down, script).await {
            // It is another service's.
            Err(Failed::Refused(Errno::EPERM, _)) => {}
            done => return done,
        }
    }
    manage(call, request, Deed::Down, by).await
}

/// Whoever may do everything is told of services by what comes after this.
fn sysctl(request: &Request, by: Caller) -> Outcome {
    match (by, &*request.label) {
        (Caller::Service(_) | Caller::Script(_) | Caller::Nobody, _) => {
            Err(refused(&Refusal::NotPermitted, ""))
        }
        (Caller::Owner, "srv_status") => Ok(Reply::default()),
        (Caller::Owner, "upd_start" | "upd_run" | "upd_stop" | "upd_status") => {
            Err(refused(&Refusal::NotYet, ""))
        }
        (Caller::Owner, other) => {
            Err(Failed::Refused(Errno::EINVAL, Some(format!("sysctl knows no {other}"))))
        }
    }
}

async fn command(call: &Call, command: Command, label: &str) -> Outcome {
    match call.context.ask(Question::Command(command)).await? {
        Told::Answer(Answer::Refused(refusal @ Refusal::Terminated)) => {
            let standing = standing(call, label).await;
            Err(Failed::Refused(Errno::from(&refusal), Some(not_up(standing.as_ref(), label))))
        }
        Told::Answer(Answer::Refused(refusal)) => Err(refused(&refusal, label)),
        Told::Answer(_) => Ok(Reply::default()),
        _ => Err(crate::api::ask::misanswered().into()),
    }
}

/// How the service of a label stands, where it is there.
async fn standing(call: &Call, label: &str) -> Option<Standing> {
    match call.context.ask(Question::Services(Some(label.into()))).await {
        Ok(Told::Services(standings)) => standings.into_iter().next(),
        _ => None,
    }
}

/// Why nothing is done with a service that has no process. What it does is looked at after
/// the refusal, so it may be up again.
fn not_up(standing: Option<&Standing>, label: &str) -> String {
    let starts = format!("service restart {label} starts it");
    match standing.map(|standing| (standing.state, standing.left)) {
        Some((StateName::Stopped, _)) => format!("{label} is stopped: {starts}"),
        Some((StateName::Exited, _)) => {
            format!("{label} has ended and is not started again: {starts}")
        }
        Some((StateName::Fatal, _)) => format!("{label} was given up: {starts}"),
        Some((StateName::Backoff, None)) => format!(
            "{label} is down and its recovery script decides: restart it now, or bring it down"
        ),
        Some((StateName::Backoff, Some(_))) => words(&Refusal::Terminated, label),
        _ => format!("{label} was down when it was asked for: try again"),
    }
}

/// What the core refuses, in MINIX's numbers and our words.
fn refused(refusal: &Refusal, label: &str) -> Failed {
    Failed::Refused(Errno::from(refusal), Some(words(refusal, label)))
}

fn words(refusal: &Refusal, label: &str) -> String {
    match refusal {
        Refusal::NotPermitted => "only root, the user of the supervisor, and a service that holds \
             control over it may do that"
            .to_owned(),
        Refusal::NoSuchLabel | Refusal::NoSuchName | Refusal::NoSuchGroup => {
            format!("there is no service {label}")
        }
        Refusal::LabelTaken | Refusal::AlreadyAdded | Refusal::NameTaken(_) => {
            format!("there is a {label} already: bring it down first, or give another -label")
        }
        Refusal::DeviceTaken => "another service has this device".to_owned(),
        Refusal::Busy => format!(
            "{label} is being initialised, or somebody waits for what becomes of it: try again"
        ),
        Refusal::Terminated => {
            format!("{label} has crashed and waits: restart it now, or bring it down")
        }
        Refusal::StillUp | Refusal::AlreadyStarted => {
            format!("{label} has not crashed: refresh replaces its process")
        }
        Refusal::Critical => format!("{label} is critical and cannot be brought down"),
        Refusal::FromFile => {
            format!("{label} stands in the configuration file: change it there and reread that")
        }
        Refusal::Died | Refusal::EndedEarly | Refusal::SpawnFailed(None) => {
            format!("{label} ended, or was not initialised in time: bardo why {label}")
        }
        Refusal::SpawnFailed(Some(error)) => {
            format!("the program of {label} could not be started: {}", spawn_words(*error))
        }
        Refusal::NotRunning => format!("{label} does not run"),
        Refusal::ShuttingDown => "everything is being stopped".to_owned(),
        Refusal::Resting => "nothing is started any more since `service shutdown`: end the \
             supervisor with `service shutdown -stop`, and start it again"
            .to_owned(),
        Refusal::TableFull => "there is no room for more services".to_owned(),
        Refusal::NotYet => "this version cannot do that yet".to_owned(),
        Refusal::TakesNoPrograms
        | Refusal::StillRunning
        | Refusal::UnknownState
        | Refusal::SignalFailed { .. } => format!("{label}: {refusal:?}"),
    }
}

fn spawn_words(error: SpawnError) -> String {
    let errno = match error {
        SpawnError::NoClosingQuotation | SpawnError::NoEscapedCharacter | SpawnError::Empty => {
            return "its command line makes no sense".to_owned();
        }
        SpawnError::NotFound => return "there is no such file".to_owned(),
        SpawnError::IsDirectory => return "it is a folder".to_owned(),
        SpawnError::NotExecutable | SpawnError::NotPermitted => {
            return "its file may not be executed".to_owned();
        }
        SpawnError::Pipes(errno) | SpawnError::Clone(errno) | SpawnError::Socket(errno) => errno,
        SpawnError::Exec(errno) => {
            // The file itself is there: what is not is told otherwise.
            return match (Errno::from_linux(errno), std::io::Error::from_raw_os_error(errno)) {
                (Errno::ENOENT, _) => {
                    "what interprets its file is not there (the #! line, or the loader)".to_owned()
                }
                (_, why) => format!("its file, or what interprets it: {why}"),
            };
        }
        SpawnError::Prepare(what, errno) => {
            let why = std::io::Error::from_raw_os_error(errno);
            let own = rustix::process::geteuid();
            let hint = match what {
                Preparation::User if !own.is_root() => {
                    format!("; this supervisor is user {own}, and only root becomes another one")
                }
                _ => String::new(),
            };
            return format!("{}: {why}{hint}", preparation(what));
        }
        SpawnError::Variables(errno) => {
            let why = std::io::Error::from_raw_os_error(errno);
            return format!("its file of variables cannot be used: {why}");
        }
    };
    std::io::Error::from_raw_os_error(errno).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_service_are_told_from_others() {
        let kind = |method: &str, path: &str| {
            let request = hyper::Request::builder().method(method).uri(path).body(()).unwrap();
            kind(&request.into_parts().0)
        };

        assert_eq!(kind("POST", "/api/v1/service"), Some(Kind::Deed));
        assert_eq!(kind("GET", "/api/v1/services/a"), Some(Kind::Look));
        assert_eq!(kind("GET", "/api/v1/why/a"), Some(Kind::Look));
        assert_eq!(kind("GET", "/api/v1/rules"), Some(Kind::Look));
        assert_eq!(kind("GET", "/api/v1/service"), None);
        assert_eq!(kind("POST", "/api/v1/services"), None);
        assert_eq!(kind("GET", "/api/v1/servicesx"), None);
        assert_eq!(kind("POST", "/api/v1/shutdown"), None);
    }
}
