//! XML-RPC: from a request's bytes to an answer's.
//!
//! [`table`] lists every method once; dispatch, `system.listMethods`,
//! `system.methodSignature` and `system.methodHelp` are all derived from it.

mod cache;
mod configuration;
mod laforge;
mod parameters;
mod process_logs;
mod processes;
mod supervisor;
mod system;
mod table;
mod twiddler;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bardo_wire::xmlrpc::{ParseError, Request, Response, Value};
use hyper::body::Bytes;

use self::parameters::Parameters;
use super::Context;
use super::body::Received;
use super::faults::{Code, Fault};
use super::room::Share;
use crate::daemon::settings::Namespace;

/// The names of all methods, sorted.
pub(super) fn method_names() -> impl Iterator<Item = &'static str> {
    table::METHODS.iter().map(|method| method.name)
}

/// What a method does, while it does it.
type Running = Pin<Box<dyn Future<Output = Result<Value, Fault>> + Send>>;

/// Answers a request. Its room is given back when the answer has been sent.
///
/// # Errors
/// When the bytes are no request.
pub(super) async fn answer(
    context: &Arc<Context>,
    mut body: Received,
) -> Result<Bytes, ParseError> {
    let request = Request::parse(&body.bytes)?;
    // What was made of a long body keeps its place, until all is done.
    body.bytes = Vec::new();
    let share = context.room.share();
    let text = match call(context, &request.method, request.parameters, &share).await {
        Ok(value) => Response::Result(value).to_xml(),
        Err(fault) => Response::Fault(fault.into()).to_xml(),
    };
    // What had to be escaped has become longer than it was asked for.
    Ok(match share.at_least(text.len()).await {
        Ok(()) => share.around(text),
        Err(fault) => Response::Fault(fault.into()).to_xml().into(),
    })
}

/// Calls a method that is offered, and waits until it is done.
async fn call(
    context: &Arc<Context>,
    name: &str,
    parameters: Vec<Value>,
    share: &Share,
) -> Result<Value, Fault> {
    call_within(context, name, parameters, share, &context.shown().namespaces).await
}

/// Calls a method of `supervisor.` and waits until it is done. Pages work also where no
/// `[rpcinterface:x]` offers it to clients.
pub(super) async fn call_for_page(
    context: &Arc<Context>,
    name: &str,
    parameters: Vec<Value>,
    share: &Share,
) -> Result<Value, Fault> {
    let namespaces = [Namespace::supervisor("supervisor")];
    call_within(context, name, parameters, share, &namespaces).await
}

async fn call_within(
    context: &Arc<Context>,
    name: &str,
    parameters: Vec<Value>,
    share: &Share,
    namespaces: &[Namespace],
) -> Result<Value, Fault> {
    let found = table::find(name, namespaces);
    let (method, namespace) = found.ok_or_else(|| Fault::bare(Code::UnknownMethod))?;
    if !method.takes(parameters.len()) {
        return Err(Fault::bare(Code::IncorrectParameters));
    }
    if let Some((_, rest)) = name.split_once('.')
        && let Some(Namespace { allowed, .. }) = namespace
        && !allowed.is_empty()
        && !allowed.iter().any(|there| there == rest)
    {
        context.working().await?;
        return Err(Fault::with(Code::NotAllowed, rest));
    }
    let namespace = namespace.map_or("", |namespace| &namespace.name);
    let parameters = Parameters::new(parameters, share.clone(), namespace);
    (method.run)(Arc::clone(context), parameters).await
}
